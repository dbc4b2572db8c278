"""Manual tiers: who set which tier for whom, why and until when. They stand in ``profiles/<profile>/overrides.csv``.

An override always wins over the score and ends by itself after its last day. It is no rule of tiering: changing one
makes no new version of the rules.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import duckdb

from customer_tiering.company.profile import Profile
from customer_tiering.errors import RulesError
from customer_tiering.rules.seeds import ColumnType, Row, Rules, SeedSpec, read_rows, shown_path

FILE = "overrides.csv"
_TEXT, _DAY = ColumnType("varchar"), ColumnType("date")
SPEC = SeedSpec(
    {
        "customer_id": _TEXT,
        "scheme": _TEXT,
        "tier": _TEXT,
        "owner": _TEXT,
        "reason": _TEXT,
        "valid_from": _DAY,
        "expires_on": _DAY,
    },
    ("customer_id", "scheme", "valid_from"),
    ("customer_id",),
)


def load_overrides(profile: Profile, rules: Rules, warnings: list[str] | None = None) -> list[Row]:
    """The overrides of a profile, checked against its schemes and tiers; none without a file.

    A last line that was cut off while the file was written is left out and named in ``warnings``. Raises ``RulesError``
    listing every other problem with file and line.
    """
    path = profile.folder / FILE
    if not path.exists():
        return []
    problems: list[str] = []
    rows = read_rows(path, SPEC, problems)
    if not problems:
        problems = _check(rows, rules)
    if problems and (cut := _line_without_end(path)):
        here = f"{shown_path(path)}:{cut}: "
        if any(problem.startswith(here) for problem in problems):
            if warnings is not None:
                warnings.append(f"{here}the last line of the manual tiers was cut off and is left out; complete it")
            rows = [row for row in rows if row.line != cut]
            problems = [problem for problem in problems if not problem.startswith(here)] or _check(rows, rules)
    if problems:
        listed = "\n  - ".join(problems)
        raise RulesError(
            f"profile {profile.name}: the manual tiers have {len(problems)} problem(s):\n  - {listed}",
            "correct the lines named above; nothing was run",
        )
    return rows


def _line_without_end(path: Path) -> int | None:
    """Number of the last line, if nothing ends it: then writing it may have been interrupted."""
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        lines = stream.readlines()
    return len(lines) if lines and not lines[-1].endswith(("\n", "\r")) else None


def _check(rows: list[Row], rules: Rules) -> list[str]:
    tiers: dict[str, set[str]] = defaultdict(set)
    for row in rules.rows["tiers"]:
        tiers[row["scheme"]].add(row["tier"])
    kinds = {row["scheme"]: row["kind"] for row in rules.rows["schemes"]}
    problems = []
    spells: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        scheme = row["scheme"]
        if scheme not in kinds:
            problems.append(f"{row.where()}: unknown scheme {scheme!r}; there are {', '.join(sorted(kinds))}")
        # The tiers of axes are combinations of their levels, which tiers.csv does not list.
        elif kinds[scheme] != "axes" and row["tier"] not in tiers[scheme]:
            problems.append(
                f"{row.where()}: unknown tier {row['tier']!r} of scheme {scheme}; "
                f"there are {', '.join(sorted(tiers[scheme]))}"
            )
        if row["expires_on"] < row["valid_from"]:
            problems.append(f"{row.where()}: expires_on {row['expires_on']} lies before valid_from {row['valid_from']}")
        spells[row["customer_id"], scheme].append(row)
    for (customer, scheme), group in spells.items():
        for earlier, later in pairwise(sorted(group, key=lambda row: row["valid_from"])):
            if later["valid_from"] <= earlier["expires_on"]:
                problems.append(
                    f"{later.where()}: customer {customer} has another tier of {scheme} by hand until "
                    f"{earlier['expires_on']} (line {earlier.line})"
                )
    return problems


def land_overrides(connection: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    """Put the overrides where the models read them."""
    connection.execute("delete from meta.tier_overrides")
    for row in rows:
        connection.execute(
            "insert into meta.tier_overrides values (?, ?, ?, ?, ?, ?, ?)", [row[column] for column in SPEC.columns]
        )
