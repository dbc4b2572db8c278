"""Why a customer has its tier: the assessment table, the distance to the next tier and the ways there.

Everything is read from the published snapshot, so an explanation always fits what BI shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.errors import TieringError
from customer_tiering.inputs.types import UNRANKED
from customer_tiering.publish.contract import contract_version
from customer_tiering.publish.snapshot import DATABASE, Manifest, read_manifest
from customer_tiering.rules.seeds import COVERAGE, COVERAGE_EN, COVERAGE_ZH
from customer_tiering.sql import fetch_rows, quote

_CHANGES_TOLD = 5


@dataclass(frozen=True)
class Step:
    """A single indicator whose change alone would bring what is missing; ``relative`` is the change's size.

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
class NextTier:
    """A better tier than the one that counts, and what it takes.

    The next one above; where the score already has what a still better one takes, the best of these.
    """

    tier: str
    needed: Decimal
    """The score to reach: the edge of the tier and the margin beyond it."""
    margin: Decimal
    included: bool
    missing: Decimal
    """Points; 0 when the score has them and something else holds the customer back."""
    not_before: date | None
    """When the least time in the present tier has passed; None once it has."""


@dataclass(frozen=True)
class Explanation:
    """One customer in one scheme on the published night."""

    customer: dict[str, Any]
    scheme: dict[str, Any]
    tier: dict[str, Any]
    scores: list[dict[str, Any]]
    dimensions: list[dict[str, Any]]
    history: list[dict[str, Any]]
    caps: list[dict[str, Any]]
    """What the tiers between score and computed tier need, and the value that is less."""
    stability: dict[str, Any] | None
    next_tier: NextTier | None
    steps: list[Step]


def explain(snapshot: Path, customer_id: str, scheme: str | None = None) -> Explanation:
    """Explain a customer, named by its id or by any source's id of it.

    Raises ``TieringError`` when the customer, the scheme or the pair of them is not in the snapshot, or another version
    of the marts is.
    """
    manifest = read_manifest(snapshot)
    _require_same_marts(manifest)
    scheme = scheme or manifest.headline_scheme
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        customer_id = _resolve(connection, customer_id)
        rules = _read_rules(connection, scheme)
        found = _explain_customers(connection, rules, [customer_id])
    if not found:
        raise TieringError(
            f"customer {customer_id} is not in the population of scheme {scheme} ({rules.scheme['population']})",
            "choose another scheme with --scheme",
        )
    return found[customer_id]


def _require_same_marts(manifest: Manifest) -> None:
    """A night that an older package published lacks what an explanation reads."""
    made, read = manifest.contract_version or "0.0", contract_version()
    if made.split(".")[0] != read.split(".")[0]:
        raise TieringError(
            f"the night {manifest.as_of_date} was published with marts {made}; this version explains {read}",
            "run the next night, then ask again",
        )


def explain_scheme(
    connection: duckdb.DuckDBPyConnection, scheme: str, customer_ids: list[str]
) -> dict[str, Explanation]:
    """Explanations of many customers by one set of queries; customers outside the scheme are left out.

    ``connection`` is one to a snapshot with its marts in use.
    """
    return _explain_customers(connection, _read_rules(connection, scheme), customer_ids)


@dataclass(frozen=True)
class _Rules:
    """What a scheme's explanations need of its rules."""

    scheme: dict[str, Any]
    tier_ranks: dict[str, int]
    tier_bands: list[dict[str, Any]]
    score_bands: dict[str, list[dict[str, Any]]]
    caps: list[dict[str, Any]]
    stability: dict[str, Any] | None


def _read_rules(connection: duckdb.DuckDBPyConnection, scheme: str) -> _Rules:
    schemes = fetch_rows(connection, "select * from dim_schemes order by scheme")
    chosen = next((row for row in schemes if row["scheme"] == scheme), None)
    if chosen is None:
        raise TieringError(
            f"there is no scheme {scheme!r} in the published night",
            f"choose one of {', '.join(row['scheme'] for row in schemes)}",
        )
    bands = fetch_rows(
        connection,
        "select * from dim_score_bands where scheme = ? order by indicator, score, lower_bound nulls first",
        [scheme],
    )
    return _Rules(
        scheme=chosen,
        tier_ranks={
            row["tier"]: row["tier_rank"]
            for row in fetch_rows(connection, "select tier, tier_rank from dim_tiers where scheme = ?", [scheme])
        },
        tier_bands=fetch_rows(connection, "select * from dim_tier_bands where scheme = ?", [scheme]),
        score_bands=_grouped(bands, "indicator"),
        caps=fetch_rows(
            connection,
            "select c.*, coalesce(i.label_en, $label_en) as label_en, coalesce(i.label_zh, $label_zh) as label_zh, "
            "coalesce(i.unit, 'share') as unit from dim_tier_caps c left join dim_indicators i using (indicator) "
            "where scheme = $scheme order by indicator",
            {"scheme": scheme, "label_en": COVERAGE_EN, "label_zh": COVERAGE_ZH},
        ),
        stability=next(iter(fetch_rows(connection, "select * from dim_stability where scheme = ?", [scheme])), None),
    )


def _explain_customers(
    connection: duckdb.DuckDBPyConnection, rules: _Rules, customer_ids: list[str]
) -> dict[str, Explanation]:
    key = [rules.scheme["scheme"], customer_ids]
    of_these = "scheme = $1 and customer_id in (select unnest($2::varchar[]))"
    tiers = fetch_rows(
        connection,
        "select t.*, d.label_en, d.label_zh, d.tier_rank, "
        "coalesce(case when t.is_high_potential then d.strategy_high_potential_en end, d.strategy_en) as strategy_en, "
        "coalesce(case when t.is_high_potential then d.strategy_high_potential_zh end, d.strategy_zh) as strategy_zh "
        "from fct_customer_tiers t "
        "left join dim_tiers d on t.scheme = d.scheme and t.effective_tier = d.tier "
        "where t.scheme = $1 and t.customer_id in (select unnest($2::varchar[]))",
        key,
    )
    customers = _of_ids(connection, "dim_customers", customer_ids)
    values = _of_ids(connection, "fct_customer_indicators", customer_ids) if rules.caps else {}
    lines = fetch_rows(
        connection,
        "select s.*, i.label_en, i.label_zh, i.unit from fct_indicator_scores s left join dim_indicators i "
        f"using (indicator) where {of_these} order by s.weight desc, s.indicator",
        key,
    )
    for line in lines:
        if line["unit"] == "rank" and line["raw_value"] == UNRANKED:
            line["raw_level"] = "emerging 新兴"
    scores = _grouped(lines)
    dimensions = _grouped(
        fetch_rows(connection, f"select * from fct_dimension_scores where {of_these} order by dimension", key)
    )
    history = _grouped(
        fetch_rows(connection, f"select * from fct_tier_changes where {of_these} order by as_of_date desc", key)
    )
    explained = {}
    for tier in tiers:
        name = tier["customer_id"]
        next_tier = _next_tier(rules, tier)
        own_scores = scores.get(name, [])
        explained[name] = Explanation(
            customer=customers[name],
            scheme=rules.scheme,
            tier=tier,
            scores=own_scores,
            dimensions=dimensions.get(name, []),
            history=history.get(name, [])[:_CHANGES_TOLD],
            next_tier=next_tier,
            caps=_unmet_caps(rules, tier, {**values.get(name, {}), COVERAGE: tier["coverage"]}),
            stability=rules.stability,
            steps=_steps(rules, own_scores, next_tier) if next_tier is not None and next_tier.missing > 0 else [],
        )
    return explained


def _of_ids(connection: duckdb.DuckDBPyConnection, mart: str, customer_ids: list[str]) -> dict[str, dict[str, Any]]:
    rows = fetch_rows(
        connection, f"select * from {quote(mart)} where customer_id in (select unnest($1::varchar[]))", [customer_ids]
    )
    return {row["customer_id"]: row for row in rows}


def _grouped(rows: list[dict[str, Any]], column: str = "customer_id") -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return groups


def find_customer(snapshot: Path, name: str) -> str:
    """The customer_id behind a customer_id or a source's id. Raises ``TieringError`` when none or several have it."""
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        return _resolve(connection, name)


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


def _unmet_caps(rules: _Rules, tier: dict[str, Any], values: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the tiers from the one of the score down to the computed one: what they need and the customer lacks."""
    if rules.scheme["kind"] not in ("weighted", "bands") or tier["score"] is None:
        return []
    ranks, computed = rules.tier_ranks, rules.tier_ranks.get(tier["computed_tier"], 0)
    by_score = min((ranks[band["tier"]] for band in rules.tier_bands if _within(band, tier["score"])), default=computed)
    return [
        cap | {"value": value}
        for cap in rules.caps
        if by_score <= ranks[cap["tier"]] < computed
        and (value := values[cap["indicator"]]) is not None
        and value < cap["lower_bound"]
    ]


def _within(band: dict[str, Any], score: Decimal) -> bool:
    lower, upper = band["lower_bound"], band["upper_bound"]
    above = lower is None or score > lower or (score == lower and band["lower_included"])
    return above and (upper is None or score < upper or (score == upper and band["upper_included"]))


def _next_tier(rules: _Rules, tier: dict[str, Any]) -> NextTier | None:
    """None at the top, without a score, and in schemes whose tiers are no bands of a weighted score."""
    score, rank = tier["score"], rules.tier_ranks.get(tier["effective_tier"])
    if rules.scheme["kind"] != "weighted" or score is None or rank is None:
        return None
    stability = rules.stability or {}
    margin = stability.get("enter_margin") or Decimal(0)
    free_from = tier["tier_since"] + timedelta(days=stability.get("min_dwell_days") or 0)
    better = [
        NextTier(
            tier=band["tier"],
            needed=(needed := band["lower_bound"] + margin),
            margin=margin,
            included=band["lower_included"],
            missing=max(needed - score, Decimal(0)),
            not_before=free_from if free_from > tier["as_of_date"] else None,
        )
        for band in rules.tier_bands
        if band["dimension"] == "" and band["lower_bound"] is not None and rules.tier_ranks[band["tier"]] < rank
    ]
    better.sort(key=lambda one: rules.tier_ranks[one.tier], reverse=True)
    reached = [one for one in better if score > one.needed or (score == one.needed and one.included)]
    return reached[-1] if reached else better[0] if better else None


def _steps(rules: _Rules, scores: list[dict[str, Any]], to: NextTier) -> list[Step]:
    """Changes of one indicator that suffice alone, smallest relative change first."""
    steps = []
    for row in scores:
        if row["raw_value"] is None or row["score"] is None:
            continue
        candidates = [
            Step(row["indicator"], row["raw_value"], *_nearest_edge(band, row["raw_value"]), gained)
            for band in rules.score_bands.get(row["indicator"], [])
            if band["score"] > row["score"]
            and (
                (gained := (band["score"] - row["score"]) * row["weight"]) > to.missing
                or (to.included and gained == to.missing)
            )
        ]
        if candidates:
            steps.append(min(candidates, key=lambda step: step.relative))
    return sorted(steps, key=lambda step: step.relative)


def _nearest_edge(band: dict[str, Any], raw_value: Decimal) -> tuple[Decimal, bool]:
    """Edge of the band on the value's side, and whether the band includes it."""
    side = "lower" if band["lower_bound"] is not None and raw_value <= band["lower_bound"] else "upper"
    return band[f"{side}_bound"], band[f"{side}_included"]
