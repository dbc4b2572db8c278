"""The headline figures of a snapshot, and how they moved since the snapshot before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb

from customer_tiering.publish.snapshot import DATABASE, mart_names, read_manifest
from customer_tiering.report.words import Words

Shown = Literal["integer", "money", "percent"]

AVERAGE_MARGIN = (
    "select sum(profit_margin * annual_spend) / nullif(sum(annual_spend) filter (profit_margin is not null), 0) "
    "from fct_customer_tiers join fct_customer_indicators using (customer_id) where scheme = $scheme"
)
"""Margin of all customers of ``$scheme``, weighted by the spend of those whose margin is known."""

_FIGURES: tuple[tuple[str, Words, Shown, bool | None, str, str], ...] = (
    (
        "customers", Words("客户数", "Customers"), "integer", True, "fct_customer_tiers",
        "select count(*) from fct_customer_tiers where scheme = $scheme",
    ),
    (
        "annual_spend", Words("年消费总额", "Annual spend"), "money", True, "agg_tier_summary",
        "select sum(annual_spend) from agg_tier_summary where scheme = $scheme",
    ),
    (
        "margin", Words("平均毛利率", "Average margin"), "percent", True, "fct_customer_tiers", AVERAGE_MARGIN,
    ),
    (
        "pending", Words("待评估", "Pending"), "integer", False, "fct_customer_tiers",
        "select count(*) from fct_customer_tiers where scheme = $scheme and effective_tier = 'pending'",
    ),
    (
        "churn", Words("流失预警", "Churn risks"), "integer", False, "fct_churn_risks",
        "select count(*) from fct_churn_risks where risk_class = 'high'",
    ),
    (
        "opportunities", Words("优先商机", "Follow up first"), "integer", True, "fct_opportunity_scores",
        "select count(*) from fct_opportunity_scores where priority_rank = 1",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A figure tonight and before. ``more_is_good`` colours the movement; a missing ``before`` shows none."""

    name: str
    label: Words
    shown: Shown
    value: Any
    before: Any = None
    more_is_good: bool | None = None


@dataclass(frozen=True)
class Movement:
    """Moves of the headline scheme since the night before: up, down, and to or from pending."""

    since: date | None
    up: int
    down: int
    other: int


def headline_figures(snapshot: Path, before: Path | None) -> list[Figure]:
    """The figures whose marts exist, compared with those of the snapshot ``before``."""
    scheme = read_manifest(snapshot).headline_scheme
    now = _values(snapshot, scheme)
    then = _values(before, scheme) if before is not None and read_manifest(before).headline_scheme == scheme else {}
    return [
        Figure(name, label, shown, now[name], then.get(name), more_is_good)
        for name, label, shown, more_is_good, _, _ in _FIGURES
        if now.get(name) is not None
    ]


def movement(connection: duckdb.DuckDBPyConnection, scheme: str, since: date | None, night: date) -> Movement:
    """Moves after the night ``since`` (first tiers left out); of the night itself when nothing came before it."""
    counts = dict(
        connection.execute(
            "select direction, count(*) from fct_tier_changes where scheme = $scheme and as_of_date <= $night "
            "and as_of_date > coalesce($since, $night - 1) and direction <> 'entered' group by 1",
            {"scheme": scheme, "since": since, "night": night},
        ).fetchall()
    )
    up, down = counts.pop("up", 0), counts.pop("down", 0)
    return Movement(since, up, down, sum(counts.values()))


def _values(snapshot: Path, scheme: str) -> dict[str, Any]:
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        known = set(mart_names(connection))
        values = {}
        for name, _, _, _, mart, sql in _FIGURES:
            if mart in known:
                row = connection.execute(sql, {"scheme": scheme} if "$scheme" in sql else {}).fetchone()
                values[name] = row[0] if row else None
        return values
