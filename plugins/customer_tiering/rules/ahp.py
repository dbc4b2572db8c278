"""Weights of criteria from pairwise comparisons: Saaty's analytic hierarchy process (docs/ahp.md).

An entry a_ij says how many times as important row i is as column j (no unit, 1/9 to 9). The weights are the
principal eigenvector of the matrix, scaled to sum to 1; the consistency ratio CR says how far the comparisons
contradict each other, and from 0.10 on they are refused with the comparison to look at first.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from itertools import combinations
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from customer_tiering.errors import TieringError, nearest
from customer_tiering.rules.edges import percent
from customer_tiering.rules.schemes import Scheme

Content = dict[str, Any]
Matrix = NDArray[np.float64]

# Mean consistency index of random reciprocal matrices of n = 1, 2, ... criteria (Saaty 1980).
RANDOM_INDEX = (0.0, 0.0, 0.58, 0.90, 1.12, 1.24, 1.32, 1.41, 1.45, 1.49, 1.51, 1.48, 1.56, 1.57, 1.59)
MOST_CRITERIA = len(RANDOM_INDEX)
CR_LIMIT = 0.10
SCALE = (*(Fraction(1, k) for k in range(9, 1, -1)), *(Fraction(k) for k in range(1, 10)))
RECIPROCAL_TOLERANCE = Fraction(1, 100)
WEIGHT_DECIMALS = 6

_NAME = re.compile(r"[^\W_][\w .-]*")
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:\s*/\s*(\d+\.?\d*|\.\d+))?", re.ASCII)
_LONGEST_NUMBER = 40
_FIX_NEXT = "fix the cells named above (docs/ahp.md shows a matrix) and run tiering ahp again; nothing was written"


@dataclass(frozen=True)
class Comparisons:
    """A positive reciprocal matrix: ``values[i, j]`` is how many times as important i is as j."""

    names: tuple[str, ...]
    values: Matrix


@dataclass(frozen=True)
class Weighing:
    """Weights (shares of 1) in the order of the criteria, and how consistent the comparisons are."""

    names: tuple[str, ...]
    exact: tuple[float, ...]
    weights: dict[str, Decimal]
    lambda_max: float
    consistency_index: float
    consistency_ratio: float

    @property
    def consistent(self) -> bool:
        return self.consistency_ratio < CR_LIMIT


@dataclass(frozen=True)
class Doubt:
    """The comparison that disagrees most with the others.

    ``given`` is its entry, ``implied`` w_row/w_column computed without it, ``nearest`` the value of the 1-9 scale
    nearest to that, ``ratio_after`` the CR of the matrix with ``nearest`` in its place.
    """

    row: str
    column: str
    given: float
    implied: float
    nearest: Fraction
    ratio_after: float


# --- reading ------------------------------------------------------------------------------------------------


def read_matrix(path: Path) -> Comparisons:
    """Read and check a matrix file. Raises ``TieringError`` that names every problem by row and column."""
    return parse_matrix(_read_text(path, "give the CSV file that holds the comparison matrix"), str(path))


def parse_matrix(text: str, where: str) -> Comparisons:
    """Check the text of a matrix (CSV, names in the first row and column); ``where`` names it in messages.

    A blank below the diagonal is the reciprocal of the entry above it; where both are written the one of 1 or more
    counts, so 3 and 0.333 are 3 and 1/3. Raises ``TieringError``.
    """
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]
    except csv.Error as error:
        raise TieringError(f"{where}: this is not a CSV file ({error})", "save the matrix as CSV UTF-8") from error
    rows = [row for row in rows if any(row)]
    names, problems = _names(rows)
    if not problems:
        entries, problems = _entries(names, rows[1:])
    if problems:
        listed = "\n  - ".join(problems)
        raise TieringError(f"{where}: the comparison matrix has {len(problems)} problem(s):\n  - {listed}", _FIX_NEXT)
    values = np.array([[float(entry) for entry in row] for row in entries], dtype=np.float64)
    return Comparisons(tuple(names), values)


def _read_text(path: Path, next_step: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise TieringError(f"{path}: the file cannot be read ({error.strerror})", next_step) from error
    except UnicodeDecodeError as error:
        raise TieringError(f"{path}: the file is not UTF-8", "save it as CSV UTF-8") from error


def _names(rows: list[list[str]]) -> tuple[list[str], list[str]]:
    """Names of the criteria, and what is wrong with the shape; cuts empty cells at the right end of the rows."""
    if not rows:
        return [], ["the file is empty; the first row is an empty cell, then the names of the criteria"]
    header = rows[0]
    while len(header) > 1 and not header[-1]:
        header.pop()
    for row in rows[1:]:
        while len(row) > len(header) and not row[-1]:
            row.pop()
    names = header[1:]
    problems = []
    if header[0]:
        problems.append(f"row 1, column 1: is {header[0]!r}; it stays empty, the names begin in the next cell")
    if not names:
        problems.append("row 1: holds no names; an empty cell, then the criteria, separated by commas")
        return names, problems
    if len(names) > MOST_CRITERIA:
        problems.append(f"row 1: names {len(names)} criteria; up to {MOST_CRITERIA} can be compared")
    seen: dict[str, int] = {}
    for number, name in enumerate(names, start=2):
        if not _NAME.fullmatch(name):
            problems.append(f"row 1, column {number}: {name!r} is not a plain name (letters, digits, _ - . and spaces)")
        elif name in seen:
            problems.append(f"row 1, column {number}: {name} is already in column {seen[name]}")
        seen.setdefault(name, number)
    if len(rows) - 1 != len(names):
        problems.append(f"not square: {len(names)} name(s) in the first row, {len(rows) - 1} row(s) below it")
    for number, (name, row) in enumerate(zip(names, rows[1:], strict=False), start=2):
        if row[0] != name:
            problems.append(
                f"row {number}: is named {row[0]!r}, column {number} {name!r}; rows and columns have the same names "
                "in the same order"
            )
        elif len(row) != len(header):
            problems.append(f"row {name}: has {len(row) - 1} entries; {len(names)} are needed")
    return names, problems


def _entries(names: list[str], rows: list[list[str]]) -> tuple[list[list[Fraction]], list[str]]:
    one = Fraction(1)
    entries = [[one] * len(names) for _ in names]
    problems: list[str] = []

    def entry(row: int, column: int, hint: str) -> Fraction | None:
        text = rows[row][column + 1]
        value, problem = _number(text) if text else (None, f"is blank; {hint}")
        if problem:
            problems.append(f"row {names[row]}, column {names[column]}: {problem}")
        return value

    for place, name in enumerate(names):
        itself = entry(place, place, "a criterion compared with itself is 1")
        if itself not in (None, one):
            text = rows[place][place + 1]
            problems.append(f"row {name}, column {name}: is {text}; a criterion compared with itself is 1")
    for i, j in combinations(range(len(names)), 2):
        above = entry(i, j, "write the comparison; only entries below the diagonal may be left out")
        below_given = bool(rows[j][i + 1])
        below = entry(j, i, "") if below_given else None
        if above is None or (below is None and below_given):
            continue
        if below is not None and abs(above * below - 1) > RECIPROCAL_TOLERANCE:
            problems.append(
                f"row {names[j]}, column {names[i]}: is {rows[j][i + 1]}, but row {names[i]}, column {names[j]} is "
                f"{rows[i][j + 1]}; write {shown_ratio(float(1 / above))} or leave it blank"
            )
        if below is not None and below > 1:
            above = 1 / below
        entries[i][j], entries[j][i] = above, 1 / above
    return entries, problems


def _number(text: str) -> tuple[Fraction | None, str]:
    """The value of an entry, or what is wrong with it."""
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if match is None or (match[2] and not Fraction(match[2])):
        return None, (
            f"is {text[:_LONGEST_NUMBER]!r}; write a number such as 3, 1/3 or 0.333 (spreadsheets turn 1/3 into a date)"
        )
    value = Fraction(match[1]) / Fraction(match[2] or "1")
    if value <= 0:
        return None, f"is {text}; comparisons are above 0"
    decimals = len(match[1].partition(".")[2])
    if decimals >= 2 and not match[2]:
        # 0.333, 0.14: a reciprocal of the scale, rounded to the digits that are written
        half_digit = Fraction(1, 2 * 10**decimals)
        value = next((step for step in SCALE if step < 1 and abs(step - value) <= half_digit), value)
    if not SCALE[0] <= value <= SCALE[-1]:
        return None, f"is {text}; comparisons lie between 1/9 and 9"
    return value, ""


def shown_ratio(value: float) -> str:
    """A comparison as people write it: 3, 1/3, otherwise four digits."""
    near = next((step for step in SCALE if abs(float(step) - value) < 1e-9), None)
    return str(near) if near is not None else f"{value:.4g}"


# --- weights ------------------------------------------------------------------------------------------------


def weigh(comparisons: Comparisons) -> Weighing:
    """Weights by the principal eigenvector, with lambda_max, CI and CR; says nothing about too high a CR."""
    count = len(comparisons.names)
    eigenvalue, vector = _principal(comparisons.values)
    # A positive reciprocal matrix has lambda_max >= n; below it is rounding.
    lambda_max = max(eigenvalue, float(count))
    return Weighing(
        names=comparisons.names,
        exact=tuple(float(weight) for weight in vector),
        weights=round_weights(dict(zip(comparisons.names, (float(weight) for weight in vector), strict=True))),
        lambda_max=lambda_max,
        consistency_index=(lambda_max - count) / (count - 1) if count > 1 else 0.0,
        consistency_ratio=_consistency_ratio(lambda_max, count),
    )


def require_consistent(comparisons: Comparisons, weighing: Weighing, where: str) -> None:
    """Raises ``TieringError`` from CR = 0.10 on, naming the comparison that disagrees most with the others."""
    if weighing.consistent:
        return
    doubt = worst_comparison(comparisons)
    ratio_after = f"CR {doubt.ratio_after:.4f}" + ("" if doubt.ratio_after < CR_LIMIT else ", which is still too high")
    any_of_three = (
        " With three criteria, either of the other two comparisons may be the wrong one just as well."
        if len(comparisons.names) == 3
        else ""
    )
    raise TieringError(
        f"{where}: the comparisons contradict each other: CR is {weighing.consistency_ratio:.4f}, it has to be below "
        f"{CR_LIMIT:.2f} (lambda_max {weighing.lambda_max:.4f}, CI {weighing.consistency_index:.4f}).\n"
        f"Worst comparison: row {doubt.row}, column {doubt.column} is {shown_ratio(doubt.given)}; without it the "
        f"weights stand {doubt.implied:.4g} to 1. The nearest value of the scale, {doubt.nearest}, would give "
        f"{ratio_after}.{any_of_three}",
        f"compare {doubt.row} with {doubt.column} again; change the entry if it was not meant, else look at the "
        "comparisons of these two with the others. Nothing was written",
    )


def worst_comparison(comparisons: Comparisons) -> Doubt:
    """The comparison whose replacement by the nearest consistent value of the scale lowers CR most.

    The consistent value of a pair is w_i/w_j with the pair left out (Harker 1987). Equal gains: the one whose exact
    replacement lowers CR most, then the one that is farthest from its consistent value, then by name. Needs at
    least three criteria; raises ``ValueError`` below.
    """
    count = len(comparisons.names)
    if count < 3:
        raise ValueError("fewer than three criteria cannot contradict each other")
    doubts = []
    for i, j in combinations(range(count), 2):
        given = float(comparisons.values[i, j])
        implied = implied_ratio(comparisons.values, i, j)
        nearest = min(SCALE, key=lambda step: abs(log(float(step) / implied)))
        ratio_after = _ratio_with(comparisons.values, i, j, float(nearest))
        order = (
            round(ratio_after, 9),
            round(_ratio_with(comparisons.values, i, j, implied), 9),
            -round(abs(log(given / implied)), 9),
            sorted((comparisons.names[i], comparisons.names[j])),
        )
        doubts.append((order, Doubt(comparisons.names[i], comparisons.names[j], given, implied, nearest, ratio_after)))
    return min(doubts, key=lambda candidate: candidate[0])[1]


def implied_ratio(values: Matrix, i: int, j: int) -> float:
    """w_i/w_j from all comparisons but that of i with j: Harker's incomplete matrix.

    The missing entries become 0 and each of the two rows counts one missing entry on its diagonal.
    """
    incomplete = values.copy()
    incomplete[i, j] = incomplete[j, i] = 0.0
    incomplete[i, i] = incomplete[j, j] = 2.0
    _, vector = _principal(incomplete)
    return float(vector[i] / vector[j])


def _ratio_with(values: Matrix, i: int, j: int, entry: float) -> float:
    changed = values.copy()
    changed[i, j], changed[j, i] = entry, 1 / entry
    eigenvalue, _ = _principal(changed)
    return _consistency_ratio(max(eigenvalue, float(len(values))), len(values))


def _consistency_ratio(lambda_max: float, count: int) -> float:
    return (lambda_max - count) / (count - 1) / RANDOM_INDEX[count - 1] if count > 2 else 0.0


def _principal(values: Matrix) -> tuple[float, Matrix]:
    """Largest eigenvalue of a non-negative irreducible matrix, and its eigenvector scaled to sum to 1."""
    eigenvalues, vectors = np.linalg.eig(values)
    largest = int(np.argmax(eigenvalues.real))
    vector = np.abs(vectors[:, largest].real)
    return float(eigenvalues[largest].real), vector / vector.sum()


def round_weights(weights: Mapping[str, float]) -> dict[str, Decimal]:
    """Shares of 1 with six decimals that sum to exactly 1: largest remainders get the missing millionths.

    Remainders are compared on 12 decimals, ties by name, so neither the machine's last bits nor the order of the
    criteria decide.
    """
    total = sum(map(Decimal, weights.values()))
    fine, unit = Decimal(1).scaleb(-2 * WEIGHT_DECIMALS), Decimal(1).scaleb(-WEIGHT_DECIMALS)
    shares = {name: (Decimal(w) / total).quantize(fine, rounding=ROUND_HALF_EVEN) for name, w in weights.items()}
    floors = {name: share // unit for name, share in shares.items()}
    missing = int(1 / unit - sum(floors.values()))
    for name in sorted(shares, key=lambda name: (floors[name] * unit - shares[name], name))[:missing]:
        floors[name] += 1
    return {name: (floor * unit).quantize(unit) for name, floor in floors.items()}


# --- a scheme's weights ---------------------------------------------------------------------------------------


def weight_changes(scheme: Scheme, weights: Mapping[str, Decimal], dimension: str = "") -> Content:
    """What a scheme file has to say so that a scheme has these weights.

    The criteria are the indicators of a dimension, or the dimensions of the scheme. Raises ``TieringError`` when they
    are neither.
    """
    dimensions = scheme.said().dimensions
    if not dimension and set(weights) == set(dimensions) and len(dimensions) > 1:
        return {"dimensions": {name: {"weight": percent(weight)} for name, weight in weights.items()}}
    if not dimension and len(dimensions) > 1:
        raise TieringError(
            f"the criteria are not the dimensions of scheme {scheme.name}: {', '.join(dimensions)}",
            "compare these, or say with --dimension whose indicators are compared",
        )
    dimension = dimension or next(iter(dimensions))
    if dimension not in dimensions:
        raise TieringError(
            f"scheme {scheme.name} has no dimension {dimension!r}{nearest(dimension, dimensions)}",
            "give --dimension one of these",
        )
    there = dimensions[dimension].uses()
    if set(weights) != set(there):
        raise TieringError(
            f"the criteria are not the indicators of scheme {scheme.name}, dimension {dimension}: {', '.join(there)}",
            "compare exactly these; an indicator more or less is first written into the scheme file",
        )
    indicators = {name: {"weight": percent(weight)} for name, weight in weights.items()}
    return {"dimensions": {dimension: {"indicators": indicators}}}
