"""Cluster schemes on whole nights: groups by hand, other rules by what-if, many nights at once, the same again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from customer_tiering.company.profile import Profile
from customer_tiering.explain.explanation import explain
from customer_tiering.explain.what_if import what_if
from customer_tiering.publish.snapshot import current_folder
from customer_tiering.report.assessment import render_assessment
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.versions import land_rules
from customer_tiering.warehouse.build import run_dbt
from customer_tiering.warehouse.nights import PlannedNight, land_as_of_dates
from nights import ErpDatabase, mart_rows, run_night, write_profile, write_schemes

NIGHT = date(2026, 3, 30)
pytestmark = pytest.mark.slow

# Customers of each tier: how many, orders, amount of an order of the first (the others buy 5 % more each), last order.
GROUPS = {
    "core": (3, 12, 400_000, "2026-03-2"),
    "major": (5, 6, 9_000, "2026-03-0"),
    "regular": (6, 3, 1_000, "2025-12-0"),
    "marginal": (8, 1, 120, "2023-05-0"),
}
GIANT = "core-0"


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Profile]:
    """22 buyers in four separated groups, one of them a giant, and a customer that never bought."""
    root = tmp_path_factory.mktemp("clusters")
    erp = ErpDatabase(root / "erp.sqlite")
    erp.products(2)
    erp.customer("never")
    for tier, (count, orders, amount, last) in GROUPS.items():
        for index in range(count):
            code = f"{tier}-{index}"
            erp.customer(code)
            for number in range(orders):
                price = Decimal(amount) * (100 + 5 * index) / 100 * (30 if code == GIANT else 1)
                day = f"{last}{index + 1}" if number == 0 else f"2023-01-{number:02}"
                erp.order(f"{code}-{number}", code, day, [("P1", f"{price:.2f}", "1.00")])
    write_schemes(root / "profiles" / "groups" / "schemes", **NEIGHBOURS)
    write_profile(root / "profiles", "groups", sources={"erp": {"url": erp.url}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_VAR", str(root / "var"))
        patch.setenv("TIERING_PROFILES", str(root / "profiles"))
        yield run_night("groups", NIGHT).profile


# A company's own clusters: a feature that some lack and the others' weight replaces, one that is imputed, one by score.
NEIGHBOURS = {
    "crowd": """\
label_en: Crowd
label_zh: 人群
description: too few to cluster
kind: cluster
population: prospects
dimensions:
  habit:
    label_en: Habit
    label_zh: 习惯
    compare: score
    indicators:
      tenure_years:
        scores: {">= 5": 100, others: 40}
tiers:
  old: {label_en: Old, label_zh: 老, strategy_en: thank, strategy_zh: 感谢}
  new: {label_en: New, label_zh: 新, strategy_en: greet, strategy_zh: 问候}
""",
    "neighbours": """\
label_en: Neighbours
label_zh: 近邻
description: alike in orders and punctuality
kind: cluster
population: all
dimensions:
  habit:
    label_en: Habit
    label_zh: 习惯
    compare: log
    indicators:
      average_order_value: {weight: 60 %, missing: impute, missing_score: 0}
      recency_days: {weight: 25 %, missing: renormalise}
      on_time_payment_rate: {weight: 15 %, missing: renormalise}
tiers:
  big: {label_en: Big, label_zh: 大, strategy_en: visit, strategy_zh: 拜访}
  small: {label_en: Small, label_zh: 小, strategy_en: mail, strategy_zh: 邮件}
""",
}


def tiers(profile: Profile, scheme: str) -> dict[str, dict[str, Any]]:
    rows = mart_rows(profile.workspace, "select * from fct_customer_tiers where scheme = ?", [scheme])
    return {row["customer_id"].removeprefix("erp-"): row for row in rows}


def test_separated_groups_are_the_tiers(groups: Profile) -> None:
    """Each group its tier, best spend first, a giant among its like; who never bought is no buyer."""
    rows = tiers(groups, "rfm_clusters")
    assert {code: row["effective_tier"] for code, row in rows.items()} == {
        f"{tier}-{index}": tier for tier, (count, *_) in GROUPS.items() for index in range(count)
    }
    assert {(row["score"], row["coverage"]) for row in rows.values()} == {(None, Decimal(1))}
    summary = mart_rows(
        groups.workspace,
        "select tier, customers from agg_tier_summary where scheme = 'rfm_clusters' order by tier_rank",
    )
    assert {row["tier"]: row["customers"] for row in summary if row["customers"]} == {
        tier: count for tier, (count, *_) in GROUPS.items()
    }


def test_indicators_show_what_was_compared_and_have_no_points(groups: Profile) -> None:
    rows = mart_rows(
        groups.workspace,
        "select indicator, raw_value, score, points, weight, status from fct_indicator_scores "
        "where scheme = 'rfm_clusters' and customer_id = 'erp-major-1' order by indicator",
    )
    assert [tuple(row.values()) for row in rows] == [
        ("cumulative_spend", Decimal(56_700), Decimal(56_700), None, Decimal("0.5"), "measured"),
        ("order_frequency", Decimal(6), Decimal(6), None, Decimal("0.3"), "measured"),
        ("recency_days", Decimal(28), Decimal(28), None, Decimal("0.2"), "measured"),
    ]
    (dimension,) = mart_rows(
        groups.workspace,
        "select dimension, score, level from fct_dimension_scores "
        "where scheme = 'rfm_clusters' and customer_id = 'erp-major-1'",
    )
    assert dimension == {"dimension": "rfm", "score": None, "level": "major"}


def test_an_assessment_of_a_cluster_can_be_read(groups: Profile) -> None:
    folder = current_folder(groups.workspace)
    assert folder is not None
    explanation = explain(folder, GIANT, "rfm_clusters")
    assert (explanation.next_tier, explanation.steps) == (None, [])
    console = Console(width=160)
    with console.capture() as capture:
        console.print(render_assessment(explanation, "zh"))
    assert "core 核心群" in capture.get()


def test_missing_values_follow_their_policies(groups: Profile) -> None:
    """Nobody has invoices, so punctuality is left out; who never ordered is compared by an order value of 0 alone."""
    rows = tiers(groups, "neighbours")
    expected = {"core": "big", "major": "big", "regular": "small", "marginal": "small", "never": "small"}
    assert {code: row["effective_tier"] for code, row in rows.items()} == {
        code: expected[code.split("-")[0]] for code in rows
    }
    assert len(rows) == 23
    statuses = mart_rows(
        groups.workspace,
        "select indicator, status from fct_indicator_scores "
        "where scheme = 'neighbours' and customer_id = 'erp-never' order by indicator",
    )
    assert [row["status"] for row in statuses] == ["imputed", "left_out", "left_out"]


def test_too_few_customers_are_pending(groups: Profile) -> None:
    """One prospect makes no two clusters."""
    rows = tiers(groups, "crowd")
    assert {code: row["effective_tier"] for code, row in rows.items()} == {"never": "pending"}


def test_what_if_recomputes_clusters(groups: Profile, tmp_path: Path) -> None:
    """The same weights move nobody; with two tiers there are two clusters, and everybody is in one of them."""
    same = what_if(groups, None, ["weights.rfm_clusters.cumulative_spend=0.5"], None)
    assert (same.scheme, same.movers) == ("rfm_clusters", [])
    write_schemes(tmp_path / "schemes", rfm_clusters="tiers: {major:, regular:}\n")
    fewer = what_if(groups, "rfm_clusters", [], tmp_path)
    assert {shift.tier: shift.after for shift in fewer.shifts if shift.after} == {"core": 8, "marginal": 14}
    moved = {mover.customer_id.removeprefix("erp-").split("-")[0]: mover.to_tier for mover in fewer.movers}
    assert moved == {"major": "core", "regular": "marginal"}


# --- many nights at once -------------------------------------------------------------------------------------


def clusters_of(profile: Profile, folder: Path, days: list[date], order_by: str) -> dict[date, dict[str, str]]:
    """Levels of the shipped scheme per night, built on a copy of the warehouse whose customers stand in that order."""
    folder.mkdir()
    copy = folder / "warehouse.duckdb"
    shutil.copyfile(profile.workspace.warehouse, copy)
    with duckdb.connect(str(copy)) as connection:
        version = land_rules(connection, load_rules(profile), NIGHT)
        land_as_of_dates(connection, [PlannedNight(day, version, "replayed") for day in days])
        for table in ("int_customers", "int_customer_days"):
            connection.execute(
                f"create or replace table intermediate.{table} as from intermediate.{table} order by {order_by}"
            )
    run_dbt(profile, ["run", "--select", "int_as_of_dates+"], folder, warehouse=copy)
    with duckdb.connect(str(copy)) as connection:
        rows = connection.execute(
            "select as_of_date, customer_id, level from marts.fct_dimension_scores where scheme = 'rfm_clusters'"
        ).fetchall()
    levels: dict[date, dict[str, str]] = {day: {} for day in days}
    for day, customer, level in rows:
        levels[day][customer] = level
    return levels


@pytest.mark.full
def test_nights_go_on_from_each_other_whatever_the_order_of_rows(sample: Profile, tmp_path: Path) -> None:
    """Built together again, from rows in another order: the same clusters. Alone a night is the first one."""
    days = [date(2025, 1, 31), date(2025, 9, 30), NIGHT]
    together = clusters_of(sample, tmp_path / "together", days, "customer_id")
    assert all(set(levels.values()) == {"core", "major", "regular", "marginal"} for levels in together.values())
    assert together[days[0]] != together[days[2]]
    assert clusters_of(sample, tmp_path / "again", days, "hash(customer_id)") == together
    alone = clusters_of(sample, tmp_path / "alone", [NIGHT], "hash(customer_id)")
    published = {
        row["customer_id"]: row["effective_tier"]
        for row in mart_rows(sample.workspace, "select * from fct_customer_tiers where scheme = 'rfm_clusters'")
    }
    assert alone[NIGHT] == published


def test_better_clusters_spend_more_on_average(sample: Profile) -> None:
    rows = mart_rows(
        sample.workspace,
        "select d.tier_rank, avg(i.cumulative_spend) spend from fct_customer_tiers t "
        "join fct_customer_indicators i using (customer_id) join dim_tiers d on d.scheme = t.scheme "
        "and d.tier = t.effective_tier where t.scheme = 'rfm_clusters' group by 1 order by 1",
    )
    assert [row["tier_rank"] for row in rows] == [1, 2, 3, 4]
    spends = [row["spend"] for row in rows]
    assert spends == sorted(spends, reverse=True)
