"""Why a customer has its tier: the assessment table, the distance to the next tier and the ways there.

Everything is read from the published snapshot, so an explanation always fits what BI shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.errors import TieringError
from customer_tiering.publish.snapshot import DATABASE, read_manifest
from customer_tiering.warehouse.rows import fetch_rows


@dataclass(frozen=True)
class Step:
    """A single indicator whose change alone would reach the next tier; ``relative`` is the change's size.

    Where the better band does not include its edge, ``included`` is false and the value has to pass ``needed``.
    """

    indicator: str
    raw_value: Decimal
    needed: Decimal
    included: bool
    points_gained: Decimal

    @property
    def relative(self) -> Decimal:
        return abs(self.needed - self.raw_value) / max(abs(self.raw_value), Decimal("0.000001"))


@dataclass(frozen=True)
class Explanation:
    """One customer in one scheme on the published night."""

    customer: dict[str, Any]
    scheme: dict[str, Any]
    tier: dict[str, Any]
    scores: list[dict[str, Any]]
    dimensions: list[dict[str, Any]]
    history: list[dict[str, Any]]
    gates: list[dict[str, Any]]
    """Gates that keep the customer out of a tier it has the score for: the gate and the value it found."""
    stability: dict[str, Any] | None
    next_tier: str | None
    missing_points: Decimal | None
    steps: list[Step]


def explain(snapshot: Path, customer_id: str, scheme: str | None = None) -> Explanation:
    """Explain a customer, named by its id or by any source's id of it.

    Raises ``TieringError`` when the customer, the scheme or the pair of them is not in the snapshot.
    """
    scheme = scheme or read_manifest(snapshot).headline_scheme
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        customer_id = _resolve(connection, customer_id)
        schemes = fetch_rows(connection, "select * from dim_schemes order by scheme")
        chosen = next((row for row in schemes if row["scheme"] == scheme), None)
        if chosen is None:
            raise TieringError(
                f"there is no scheme {scheme!r} in the published night",
                f"choose one of {', '.join(row['scheme'] for row in schemes)}",
            )
        key = [customer_id, scheme]
        tiers = fetch_rows(
            connection,
            "select t.*, d.label_en, d.label_zh, d.tier_rank, d.strategy_en, d.strategy_zh from fct_customer_tiers t "
            "left join dim_tiers d on t.scheme = d.scheme and t.effective_tier = d.tier "
            "where t.customer_id = ? and t.scheme = ?",
            key,
        )
        if not tiers:
            raise TieringError(
                f"customer {customer_id} is not in the population of scheme {scheme} ({chosen['population']})",
                "choose another scheme with --scheme",
            )
        scores = fetch_rows(
            connection,
            "select s.*, i.label_en, i.label_zh, i.unit from fct_indicator_scores s left join dim_indicators i "
            "using (indicator) where s.customer_id = ? and s.scheme = ? order by s.weight desc, s.indicator",
            key,
        )
        next_tier, missing_points, included = _distance(connection, chosen, tiers[0])
        return Explanation(
            customer=fetch_rows(connection, "select * from dim_customers where customer_id = ?", [customer_id])[0],
            scheme=chosen,
            tier=tiers[0],
            scores=scores,
            dimensions=fetch_rows(
                connection,
                "select * from fct_dimension_scores where customer_id = ? and scheme = ? order by dimension",
                key,
            ),
            history=fetch_rows(
                connection,
                "select * from fct_tier_changes where customer_id = ? and scheme = ? order by as_of_date desc limit 5",
                key,
            ),
            next_tier=next_tier,
            missing_points=missing_points,
            gates=_failed_gates(connection, chosen, tiers[0]),
            stability=next(
                iter(fetch_rows(connection, "select * from dim_stability where scheme = ?", [scheme])), None
            ),
            steps=_steps(connection, scheme, scores, missing_points, included) if missing_points is not None else [],
        )


def _resolve(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    ids = [
        customer_id
        for (customer_id,) in connection.execute(
            "select distinct customer_id from bridge_customer_ids "
            "where customer_id = $name or own_id = $name or source_customer_id = $name order by 1",
            {"name": name},
        ).fetchall()
    ]
    if not ids:
        raise TieringError(
            f"there is no customer {name!r} in the published night",
            "give a customer_id of dim_customers or an id of one of the sources",
        )
    if name in ids:
        return name
    if len(ids) > 1:
        raise TieringError(f"{name!r} is an id of several customers: {', '.join(ids)}", "give one of these")
    return str(ids[0])


def _failed_gates(
    connection: duckdb.DuckDBPyConnection, scheme: dict[str, Any], tier: dict[str, Any]
) -> list[dict[str, Any]]:
    if scheme["kind"] not in ("weighted", "bands") or tier["score"] is None:
        return []
    gates = fetch_rows(
        connection,
        "select g.* from dim_gates g join dim_tier_bands b on g.scheme = b.scheme and g.tier = b.tier "
        "where g.scheme = $1 and (b.lower_bound is null or $2 > b.lower_bound "
        "or ($2 = b.lower_bound and b.lower_included)) and (b.upper_bound is null or $2 < b.upper_bound "
        "or ($2 = b.upper_bound and b.upper_included)) order by g.indicator",
        [scheme["scheme"], tier["score"]],
    )
    (values,) = fetch_rows(
        connection, "select * from fct_customer_indicators where customer_id = ?", [tier["customer_id"]]
    )
    return [
        gate | {"value": value}
        for gate in gates
        if (value := values[gate["indicator"]]) is None or value < gate["lower_bound"]
    ]


def _distance(
    connection: duckdb.DuckDBPyConnection, scheme: dict[str, Any], tier: dict[str, Any]
) -> tuple[str | None, Decimal | None, bool]:
    """The next better tier, the points missing to its edge and whether the edge is in it; nothing at the top."""
    if scheme["kind"] != "weighted" or tier["score"] is None:
        return None, None, True
    row = connection.execute(
        "select tier, lower_bound, lower_included from dim_tier_bands where scheme = $1 and dimension = '' "
        "and (lower_bound > $2 or (lower_bound = $2 and not lower_included)) order by lower_bound limit 1",
        [scheme["scheme"], tier["score"]],
    ).fetchone()
    return (str(row[0]), row[1] - tier["score"], row[2]) if row else (None, None, True)


def _steps(
    connection: duckdb.DuckDBPyConnection, scheme: str, scores: list[dict[str, Any]], missing: Decimal, included: bool
) -> list[Step]:
    """Changes of one indicator that suffice alone, smallest relative change first."""
    counted = sum((row["weight"] for row in scores if row["score"] is not None), Decimal(0))
    steps = []
    for row in scores:
        if row["raw_value"] is None or row["score"] is None:
            continue
        bands = fetch_rows(
            connection,
            "select * from dim_score_bands where scheme = ? and indicator = ? and score > ?",
            [scheme, row["indicator"], row["score"]],
        )
        candidates = [
            Step(row["indicator"], row["raw_value"], *_nearest_edge(band, row["raw_value"]), gained)
            for band in bands
            if (gained := (band["score"] - row["score"]) * row["weight"] / counted) > missing
            or (included and gained == missing)
        ]
        if candidates:
            steps.append(min(candidates, key=lambda step: step.relative))
    return sorted(steps, key=lambda step: step.relative)


def _nearest_edge(band: dict[str, Any], raw_value: Decimal) -> tuple[Decimal, bool]:
    """Edge of the band on the value's side, and whether the band includes it."""
    side = "lower" if band["lower_bound"] is not None and raw_value <= band["lower_bound"] else "upper"
    return band[f"{side}_bound"], band[f"{side}_included"]
