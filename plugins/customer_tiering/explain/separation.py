"""Whether the tiers of a scheme separate the company's customers, and cuts from its own figures that would.

Everything is read from the published snapshot and the scheme files; nothing is changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.errors import TieringError
from customer_tiering.publish.snapshot import DATABASE
from customer_tiering.rules import edges
from customer_tiering.rules.scheme_file import Dimension, SchemeFile
from customer_tiering.rules.schemes import Scheme
from customer_tiering.sql import fetch_rows

MOST_IN_ONE_TIER = Decimal("0.60")
"""A tier that holds more of a scheme's customers than this separates too little; our default."""
_SHARES = {
    2: ("0.5", "0.5"),
    3: ("0.2", "0.3", "0.5"),
    4: ("0.05", "0.15", "0.3", "0.5"),
}
_FEWEST = 20


@dataclass(frozen=True)
class Proposal:
    """Edges for one axis. ``where`` is its place in the scheme file; shares are of customers whose value is known."""

    where: tuple[str, ...]
    label: str
    known: int
    before: list[str]
    shares_before: list[Decimal]
    after: list[str]
    shares_after: list[Decimal]


# --- what does not separate -----------------------------------------------------------------------------------


def unreachable(scheme: Scheme) -> list[str]:
    """Tiers and levels that no score can reach, whatever the customers are like."""
    said = scheme.said()
    found: list[str] = []
    if said.kind == "weighted":
        limits = [_limits(dimension) for dimension in said.dimensions.values()]
        weights = [dimension.weight or Decimal(1) for dimension in said.dimensions.values()]
        if all(limits):
            low, high = (
                sum((limit[side] * weight for limit, weight in zip(limits, weights, strict=True) if limit), Decimal(0))
                for side in (0, 1)
            )
            texts = {key: tier.when for key, tier in said.tiers.items() if isinstance(tier.when, str)}
            found += _beyond(scheme.name, "tier", texts, low, high)
    for key, dimension in said.dimensions.items():
        if dimension.levels and not _ranked(dimension.levels) and (ends := _limits(dimension)):
            found += _beyond(f"{scheme.name} {key}", "level", dimension.levels, *ends)
    return found


def _limits(dimension: Dimension) -> tuple[Decimal, Decimal] | None:
    """The lowest and highest score of a dimension; nothing where a value counts as it is."""
    uses = dimension.uses().values()
    if not all(use.scores for use in uses):
        return None
    ends = [
        (min((use.scores or {}).values()), max((use.scores or {}).values()), use.weight or Decimal(1)) for use in uses
    ]
    low = sum((one * weight for one, _, weight in ends), Decimal(0))
    return low, sum((other * weight for _, other, weight in ends), Decimal(0))


def _beyond(name: str, word: str, texts: dict[str, str], low: Decimal, high: Decimal) -> Iterator[str]:
    for key, band in zip(texts, edges.bands(list(texts.values())), strict=True):
        if (band.lower is not None and (high < band.lower or (high == band.lower and not band.lower_included))) or (
            band.upper is not None and (low > band.upper or (low == band.upper and not band.upper_included))
        ):
            yield (
                f"{name}: nobody can reach the {word} {key} ({texts[key]}); scores lie between {edges.plain(low)} and "
                f"{edges.plain(high)}"
            )


def weak_spots(snapshot: Path, schemes: Sequence[Scheme]) -> list[str]:
    """What the published night says about the schemes: shares that do not separate, indicators that nobody has."""
    found: list[str] = []
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        for scheme in schemes:
            found += _weak_spots(connection, scheme.name, scheme.said())
    return found


def _weak_spots(connection: duckdb.DuckDBPyConnection, name: str, said: SchemeFile) -> Iterator[str]:
    rows = fetch_rows(
        connection,
        "select computed_tier, count(*) as customers from fct_customer_tiers where scheme = ? group by all",
        [name],
    )
    counts = {row["computed_tier"]: row["customers"] for row in rows}
    total, pending = sum(counts.values()), counts.pop("pending", 0)
    if not total:
        yield f"{name}: has no customers (population {said.population})"
        return
    unknown = [
        row["indicator"]
        for row in fetch_rows(
            connection,
            "select indicator from fct_indicator_scores where scheme = ? group by indicator "
            "having count(raw_value) = 0 and count(raw_level) = 0 order by 1",
            [name],
        )
    ]
    if unknown:
        yield f"{name}: nobody has {', '.join(unknown)}"
    if pending == total:
        yield f"{name}: all {total} customers are pending, it can be computed for nobody"
        return
    for tier, customers in counts.items():
        if said.kind != "rank" and customers > MOST_IN_ONE_TIER * (total - pending):  # ranks say how many they take
            yield (
                f"{name}: {customers / (total - pending):.0%} of {total - pending} customers are {tier}; "
                f"cuts that separate: tiering scheme calibrate {name}"
            )
    if said.kind in ("weighted", "bands", "quadrant", "rules") and (
        empty := [tier for tier in said.tiers if tier not in counts]
    ):
        yield f"{name}: nobody is {', '.join(empty)}"


# --- cuts from the company's own figures ----------------------------------------------------------------------


def calibrate(snapshot: Path, scheme: Scheme, shares: Sequence[Decimal] = ()) -> list[Proposal]:
    """Edges by quantiles of the published night: for bands of indicators, levels of dimensions, and tiers.

    ``shares`` are those of the tiers, best first. Raises ``TieringError`` when they do not fit, or the scheme has no
    edges, or too few customers are known.
    """
    said = scheme.said()
    if shares and (len(shares) != len(said.tiers) or sum(shares) != 1):
        raise TieringError(
            f"{len(shares)} shares that sum to {edges.percent(sum(shares, Decimal(0)))} were given",
            f"give one per tier ({', '.join(said.tiers)}), best first, that sum to 100 %",
        )
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        found = list(_proposals(connection, scheme.name, said, list(shares)))
    if not found:
        raise TieringError(
            f"there is nothing to calibrate in scheme {scheme.name}: it has no edges of numbers, or fewer than "
            f"{_FEWEST} customers are known",
            "see tiering scheme check for indicators that nobody has",
        )
    return found


def _proposals(
    connection: duckdb.DuckDBPyConnection, name: str, said: SchemeFile, shares: list[Decimal]
) -> Iterator[Proposal]:
    for key, dimension in said.dimensions.items():
        for indicator, use in dimension.uses().items():
            if use.scores and edges.OTHERS in use.scores:
                values = _values(
                    connection,
                    "select raw_value from fct_indicator_scores where scheme = ? and indicator = ?",
                    [name, indicator],
                )
                where = ("dimensions", key, "indicators", indicator, "scores")
                yield from _proposal(where, indicator, values, list(use.scores), [])
        if dimension.levels and edges.OTHERS in dimension.levels.values() and not _ranked(dimension.levels):
            values = _values(
                connection, "select score from fct_dimension_scores where scheme = ? and dimension = ?", [name, key]
            )
            yield from _proposal(("dimensions", key, "levels"), key, values, list(dimension.levels.values()), [])
    texts = [tier.when for tier in said.tiers.values() if isinstance(tier.when, str)]
    if said.kind in ("weighted", "bands"):
        values = _values(connection, "select score from fct_customer_tiers where scheme = ?", [name])
        yield from _proposal(("tiers",), "score", values, texts, shares)


def _ranked(levels: dict[str, str]) -> bool:
    return any(text.startswith("top") for text in levels.values())


def _values(connection: duckdb.DuckDBPyConnection, query: str, key: list[Any]) -> list[Decimal]:
    return sorted(value for (value,) in connection.execute(query, key).fetchall() if value is not None)


def _proposal(
    where: tuple[str, ...], label: str, values: list[Decimal], before: list[str], shares: list[Decimal]
) -> Iterator[Proposal]:
    if len(values) < _FEWEST or len(before) < 2:
        return
    wanted = shares or _default_shares(len(before))
    operator = edges.edge(before[0]).operator
    from_below = operator.startswith(">")
    after: list[str] = []
    last: Decimal | None = None
    is_share = any("%" in text for text in before)
    for part in list(accumulate(wanted))[:-1]:
        place = max(0, math.ceil(part * len(values)) - 1)
        cut = _round(values[-1 - place] if from_below else values[place])
        if last is not None and (cut >= last if from_below else cut <= last):
            return  # too many customers share one value: no cuts of these shares exist
        after.append(f"{operator} {edges.shown(cut, is_share)}")
        last = cut
    after.append(edges.OTHERS)
    yield Proposal(where, label, len(values), before, _split(values, before), after, _split(values, after))


def _default_shares(count: int) -> list[Decimal]:
    if count in _SHARES:
        return [Decimal(share) for share in _SHARES[count]]
    return [Decimal(1) / count] * count


def _round(value: Decimal) -> Decimal:
    """Two digits that count: people cut at 1 200, not at 1 187.33."""
    if value == 0:
        return Decimal(0)
    return round(value, 1 - value.adjusted())


def _split(values: list[Decimal], texts: list[str]) -> list[Decimal]:
    bands = edges.bands(texts)
    return [Decimal(sum(band.holds(value) for value in values)) / len(values) for band in bands]
