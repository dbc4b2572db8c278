"""What if the rules were different: tiers recomputed on a copy of the warehouse, compared with what is published."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.company.profile import Profile
from customer_tiering.errors import TieringError
from customer_tiering.publish.snapshot import DATABASE, published_folder, read_manifest
from customer_tiering.rules.load import check_rules, load_rules, rule_folders, rules_in
from customer_tiering.rules.overrides import land_overrides, load_overrides
from customer_tiering.rules.seeds import Row, Rules
from customer_tiering.rules.versions import land_rules
from customer_tiering.sql import literal, quote
from customer_tiering.warehouse.build import run_dbt
from customer_tiering.warehouse.connection import copy_warehouse
from customer_tiering.warehouse.nights import PlannedNight, land_as_of_dates, make_build_inputs
from customer_tiering.warehouse.state import land_published_state

_WEIGHT_DIGITS = Decimal("0.000001")
# What the rules decide of the marts that a comparison reads; no other mart is built.
_TIERS, _SCORES = "fct_customer_tiers", "fct_indicator_scores"
_COMPARED = [f"int_as_of_dates+,+{mart}" for mart in (_TIERS, _SCORES, "dim_tiers", "dim_customers")]
# Most rules act on indicators that are computed already; these change the indicators themselves.
RULES_OF_INDICATORS = ("settings", "exchange_rates", "industry_mapping")
_INDICATORS = "int_customer_indicators"
_FROM_INDICATORS = [
    *("int_as_of_dates", "int_rules_in_force", "dim_tiers"),
    *(f"{_INDICATORS}+,+{mart}" for mart in (_TIERS, _SCORES)),
]


@dataclass(frozen=True)
class TierShift:
    """Customers of a tier before and after."""

    tier: str
    before: int
    after: int


@dataclass(frozen=True)
class Mover:
    """A customer whose tier would change, with the indicator whose points would change most."""

    customer_id: str
    customer_name: str
    from_tier: str
    to_tier: str
    direction: str
    annual_spend: Decimal | None
    reason: str


@dataclass(frozen=True)
class WhatIf:
    """The comparison of one scheme on the published night."""

    scheme: str
    as_of_date: str
    shifts: list[TierShift]
    movers: list[Mover]


def what_if(profile: Profile, scheme: str | None, settings: Iterable[str], folder: Path | None) -> WhatIf:
    """Recompute the published night under other rules; warehouse and snapshot stay untouched.

    ``settings`` are ``weights.<scheme>.<indicator>=<weight>`` (the other weights of the dimension share the rest
    in proportion) and ``settings.<name>=<value>``; ``folder`` holds ``schemes/`` and ``seeds/`` that override as a
    company's do. Raises ``TieringError``, or ``RulesError`` when the changed rules contradict themselves.
    """
    workspace = profile.workspace
    snapshot = published_folder(workspace)
    manifest = read_manifest(snapshot)
    settings = list(settings)
    reweighted = [setting.split(".")[1] for setting in settings if setting.startswith("weights.")]
    scheme = scheme or (reweighted[0] if reweighted else manifest.headline_scheme)
    if folder is not None and not ((folder / "schemes").is_dir() or (folder / "seeds").is_dir()):
        raise TieringError(
            f"{folder} holds neither schemes/ nor seeds/", "give a folder laid out like profiles/<company>/"
        )
    rules = load_rules(profile, [*rule_folders(profile), *([rules_in(folder)] if folder else [])])
    for setting in settings:
        rules = _changed(rules, setting)
    check_rules(profile, rules)
    if scheme not in rules.schemes():
        raise TieringError(f"there is no scheme {scheme!r}", f"choose one of {', '.join(rules.schemes())}")
    with tempfile.TemporaryDirectory(prefix="what-if-") as scratch:
        copy = Path(scratch) / "warehouse.duckdb"
        copy_warehouse(workspace, copy)
        with duckdb.connect(str(copy)) as connection:
            version = land_rules(connection, rules, manifest.night)
            make_build_inputs(connection)
            land_overrides(connection, load_overrides(profile, rules))
            land_published_state(connection, workspace)
            land_as_of_dates(connection, [PlannedNight(manifest.night, version, "run")])
            selection = _select_models(connection, manifest.night, version)
        run_dbt(profile, ["run", *selection], Path(scratch), warehouse=copy)
        with duckdb.connect(str(copy)) as connection:
            connection.execute(f"attach {literal(str(snapshot / DATABASE))} as published (read_only)")
            return WhatIf(scheme, manifest.as_of_date, _shifts(connection, scheme), _movers(connection, scheme))


def _select_models(connection: duckdb.DuckDBPyConnection, night: date, version: str) -> list[str]:
    """What dbt has to build: all up to the compared marts, or only what follows indicators that stay the same."""
    try:
        built = connection.execute(
            "select rules_version from intermediate.int_as_of_dates where as_of_date = ? and kind = 'run'", [night]
        ).fetchone()
    except duckdb.CatalogException:
        built = None
    if built is None or any(_differs(connection, seed, built[0], version) for seed in RULES_OF_INDICATORS):
        return ["--select", *_COMPARED]
    connection.execute(f"delete from {quote('intermediate', _INDICATORS)} where as_of_date <> ?", [night])
    return ["--select", *_FROM_INDICATORS, "--exclude", _INDICATORS]


def _differs(connection: duckdb.DuckDBPyConnection, seed: str, one: str, other: str) -> bool:
    rows = f"select * exclude (rules_version) from {quote('rules', seed)} where rules_version = "
    found = connection.execute(
        f"(({rows} $one) except ({rows} $other)) union all (({rows} $other) except ({rows} $one)) limit 1",
        {"one": one, "other": other},
    ).fetchone()
    return found is not None


def _changed(rules: Rules, setting: str) -> Rules:
    """The rules with one ``name=value`` applied."""
    name, _, value = setting.partition("=")
    kind, *path = name.strip().split(".")
    if kind == "settings" and len(path) == 1:
        rows = [
            replace(row, values=row.values | {"value": value}) if row["setting"] == path[0] else row
            for row in rules.rows["settings"]
        ]
        if path[0] not in {row["setting"] for row in rows}:
            raise TieringError(f"--set {setting}: there is no setting {path[0]!r}", "see settings.csv")
        return Rules(rules.rows | {"settings": rows})
    if kind == "weights" and len(path) == 2:
        scheme, indicator = path
        rows = _reweighted(rules.rows["scheme_indicators"], scheme, indicator, value)
        return Rules(rules.rows | {"scheme_indicators": rows})
    raise TieringError(
        f"--set {setting} is not understood", "write weights.<scheme>.<indicator>=<weight> or settings.<name>=<value>"
    )


def _reweighted(rows: list[Row], scheme: str, indicator: str, value: str) -> list[Row]:
    """One weight set, the others of its dimension scaled so that they sum to exactly 1."""
    chosen = [row for row in rows if (row["scheme"], row["indicator"]) == (scheme, indicator)]
    if len(chosen) != 1:
        raise TieringError(
            f"scheme {scheme} has no single indicator {indicator!r}", "see tiering scheme show " + scheme
        )
    try:
        weight = Decimal(value)
    except InvalidOperation as error:
        raise TieringError(f"weight {value!r} is no number", "write a number between 0 and 1") from error
    others = [
        row
        for row in rows
        if (row["scheme"], row["dimension"]) == (scheme, chosen[0]["dimension"]) and row is not chosen[0]
    ]
    if not 0 < weight < 1 or not others:
        raise TieringError(
            f"weight {value} leaves nothing for the other indicators of its dimension, or there are none",
            "choose a weight between 0 and 1 in a dimension of several indicators",
        )
    total = sum(Decimal(row["weight"]) for row in others)
    scaled = {id(row): (Decimal(row["weight"]) / total * (1 - weight)).quantize(_WEIGHT_DIGITS) for row in others}
    scaled[id(others[0])] += 1 - weight - sum(scaled.values())
    scaled[id(chosen[0])] = weight
    return [
        replace(row, values=row.values | {"weight": str(scaled[id(row)])}) if id(row) in scaled else row for row in rows
    ]


def _shifts(connection: duckdb.DuckDBPyConnection, scheme: str) -> list[TierShift]:
    rows = connection.execute(
        """
        select sides.tier, count(*) filter (side = 'before'), count(*) filter (side = 'after')
        from (select effective_tier as tier, 'before' as side
              from published.marts.fct_customer_tiers where scheme = $scheme
              union all
              select effective_tier, 'after' from marts.fct_customer_tiers where scheme = $scheme) as sides
        left join marts.dim_tiers d on d.scheme = $scheme and d.tier = sides.tier
        group by sides.tier, d.tier_rank order by coalesce(d.tier_rank, 99), sides.tier
        """,
        {"scheme": scheme},
    ).fetchall()
    return [TierShift(*row) for row in rows]


def _movers(connection: duckdb.DuckDBPyConnection, scheme: str) -> list[Mover]:
    """Customers with another tier, most spend first."""
    rows: list[tuple[Any, ...]] = connection.execute(
        """
        with compared as (
            select coalesce(a.customer_id, b.customer_id) as customer_id,
                   b.effective_tier as from_tier, a.effective_tier as to_tier
            from (select * from marts.fct_customer_tiers where scheme = $scheme) a
            full join (select * from published.marts.fct_customer_tiers where scheme = $scheme) b
                on a.customer_id = b.customer_id
            where a.effective_tier is distinct from b.effective_tier
        ),
        reasons as (
            select a.customer_id,
                   arg_max(
                       a.indicator || ' ' || printf('%+.2f', cast(a.points - b.points as double)),
                       abs(a.points - b.points)
                   ) as reason
            from marts.fct_indicator_scores a
            join published.marts.fct_indicator_scores b using (customer_id, scheme, dimension, indicator)
            where a.scheme = $scheme and a.points <> b.points
            group by a.customer_id
        )
        select c.customer_id, d.customer_name, coalesce(c.from_tier, '-'), coalesce(c.to_tier, '-'),
               case when rb.tier_rank > ra.tier_rank then 'up' when rb.tier_rank < ra.tier_rank then 'down'
                    else 'other' end,
               i.annual_spend, coalesce(r.reason, 'bands of the tiers')
        from compared c
        join marts.dim_customers d using (customer_id)
        left join intermediate.int_customer_indicators i using (customer_id)
        left join reasons r using (customer_id)
        left join published.marts.dim_tiers rb on rb.scheme = $scheme and rb.tier = c.from_tier
        left join marts.dim_tiers ra on ra.scheme = $scheme and ra.tier = c.to_tier
        order by i.annual_spend desc nulls last, c.customer_id
        """,
        {"scheme": scheme},
    ).fetchall()
    return [Mover(*row) for row in rows]
