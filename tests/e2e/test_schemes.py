"""The schemes' worked examples, from raw source rows to published marts: small companies, one night each."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from asking import ask
from customer_tiering.alerts.published import Published
from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import TieringError
from customer_tiering.explain.explanation import Explanation, Step, explain
from customer_tiering.publish.snapshot import DATABASE, MANIFEST, current_folder
from customer_tiering.report.assessment import render_assessment
from customer_tiering.report.tables import SCHEMES, fill
from customer_tiering.warehouse.connection import open_warehouse
from hand_made import (
    AS_OF,
    LONG_AGO,
    THIS_YEAR,
    CrmExport,
    bought_last_year,
    buys,
    indicator_scores,
    pays,
    published_night,
    tiers,
)
from nights import ErpDatabase, mart_rows, write_schemes

pytestmark = pytest.mark.slow


def summary(workspace: Workspace, scheme: str) -> dict[str, dict[str, Any]]:
    return {
        row["tier"]: row
        for row in mart_rows(workspace, "select * from agg_tier_summary where scheme = ? order by tier_rank", [scheme])
    }


# --- 40 customers with a CRM: the criteria table, quadrants, ranks, payment, a user's own schemes -------------


@pytest.fixture(scope="module")
def criteria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """40 buyers: 2 S, 5 A, 10 B and 23 C of value_potential; some of them are the other examples' customers."""
    root = tmp_path_factory.mktemp("criteria")
    erp, crm = ErpDatabase(root / "erp.sqlite"), CrmExport(root / "crm")
    erp.products(5)
    # Example 9, one customer per column of the criteria table, and one on the way up.
    for code, spend, margin, kept, lost, in_time, late, review in (
        ("STRATEGIC", "10000000.00", "0.15", "96000.00", "4000.00", 20, 0, (10, "0.15", "0.9", "national_key")),
        ("KEY", "5000000.00", "0.10", "95000.00", "5000.00", 19, 1, (20, "0.10", "0.7", "regional_leader")),
        ("STANDARD", "1000000.00", "0.05", "85000.00", "15000.00", 9, 1, (50, "0.10", "0.5", "ordinary")),
        ("POTENTIAL", "999999.99", "0.04", "80000.00", "20000.00", 8, 2, (51, "0.09", "0.4", "non_core")),
        ("CLIMBER", "7500000.00", "0.10", "80000.00", "20000.00", 20, 0, (10, "0.09", "0.9", "national_key")),
    ):
        erp.customer(code)
        order = buys(erp, code, spend, margin)
        bought_last_year(erp, code, kept, lost)
        pays(erp, code, order, in_time, late)
        rank, growth, match, level = review
        crm.account(code, industry_rank=rank, industry_growth=growth, demand_match=match, strategic_level=level)
    # Example 7: more profit beats more revenue, paying on time beats paying more.
    for code, spend, margin in (
        ("REVENUE", "6000.00", "0.10"),
        ("PROFIT", "5000.00", "0.15"),
        ("LATE", "1000.00", "0.10"),
        ("PROMPT", "800.00", "0.10"),
    ):
        erp.customer(code)
        order = buys(erp, code, spend, margin)
        crm.account(code, industry_growth="0.02")
        if code in ("LATE", "PROMPT"):
            pays(erp, code, order, int(code == "PROMPT"), int(code == "LATE"), spend)
    # Example 4: the rest of the 5/12.5/25/57.5 %, at the edges of the cuts.
    for letter, count, spend, growth in (
        ("A", 4, "5000000.00", "0.099999"),
        ("B", 9, "4999999.99", "0.10"),
        ("C", 18, "4999999.99", "0.099999"),
    ):
        for index in range(count):
            code = f"{letter}{index:02}"
            erp.customer(code)
            buys(erp, code, spend, "0.10")
            crm.account(code, industry_growth=growth)
    # Known, but never bought: no buyer.
    erp.customer("NEVER")
    # Answers for the user's own scheme.
    crm.survey("STRATEGIC", "CSAT", 5, 5, 4, 4)
    crm.survey("STRATEGIC", "NPS", 10, 9, 8, 10)
    crm.survey("KEY", "CSAT", 5, 4, 4, 2)
    crm.survey("STANDARD", "NPS", 10)
    crm.write()
    write_schemes(
        root / "profiles" / "criteria" / "schemes",
        care="""\
label_en: Care
label_zh: 关怀
description: whom to call
kind: rules
population: all
dimensions:
  last_order: {label_en: Last order, label_zh: 最近下单, value: recency_days}
conditions:
  - {tier: invite, if: [recency_days missing]}
  - {tier: visit, if: [annual_spend >= 5000000, orders_12m >= 1]}
  - {tier: remind, if: [recency_days > 180]}
  - {tier: thank}
tiers:
  visit: {label_en: Visit, label_zh: 拜访, strategy_en: go there, strategy_zh: 上门}
  thank: {label_en: Thank, label_zh: 感谢, strategy_en: write, strategy_zh: 致谢}
  remind: {label_en: Remind, label_zh: 提醒, strategy_en: mail, strategy_zh: 邮件}
  invite: {label_en: Invite, label_zh: 邀请, strategy_en: mail, strategy_zh: 邮件}
""",
        service_quality="""\
label_en: Service quality
label_zh: 服务质量
description: what customers say
kind: weighted
population: repeat_buyers
dimensions:
  heard:
    label_en: Heard
    label_zh: 口碑
    weight: 75 %
    indicators:
      csat:
        weight: 60 %
        scores: {">= 80 %": 100, others: 50}
      nps:
        weight: 40 %
        missing: impute
        missing_score: 50
        scores: {">= 50": 100, others: 40}
  loyal:
    label_en: Loyal
    label_zh: 忠诚
    weight: 25 %
    indicators:
      order_frequency:
        scores: {">= 3": 90, others: 60}
tiers:
  happy:
    when: ">= 80"
    label_en: Happy
    label_zh: 满意
    strategy_en: ask for a reference
    strategy_zh: 请求推荐
  unhappy: {when: others, label_en: Unhappy, label_zh: 不满, strategy_en: call back, strategy_zh: 回访}
""",
    )
    yield from published_night(root, "criteria", erp={"url": erp.url}, crm={"path": str(crm.folder)})


@pytest.mark.parametrize(
    ("code", "score", "tier", "values"),
    [
        ("STRATEGIC", 100, "strategic", ("10000000", "0.15", "10", "0.9", "0.04", "1", "national_key")),
        ("KEY", 82, "key", ("5000000", "0.1", "20", "0.7", "0.05", "0.95", "regional_leader")),
        ("STANDARD", 67, "standard", ("1000000", "0.05", "50", "0.5", "0.15", "0.9", "ordinary")),
        ("POTENTIAL", 40, "potential", ("999999.99", "0.04", "51", "0.4", "0.2", "0.8", "non_core")),
    ],
)
def test_example_9_each_column_of_the_criteria_table_scores_itself(
    criteria: Workspace, code: str, score: int, tier: str, values: tuple[str, ...]
) -> None:
    """Every indicator, every dimension and the whole score are the column's; all of it was measured."""
    scores = indicator_scores(criteria, "account_360", code)
    names = ("annual_spend", "profit_margin", "industry_rank", "demand_match", "churn_rate", "on_time_payment_rate")
    numbers = tuple(Decimal(value) for value in values[:-1])
    assert tuple(scores[name]["raw_value"] for name in names) == numbers
    assert scores["strategic_level"]["raw_level"] == values[-1]
    assert {(row["score"], row["status"]) for row in scores.values()} == {(Decimal(score), "measured")}
    assert {name: row["weight"] for name, row in scores.items()} == {
        "annual_spend": Decimal("0.24"),
        "profit_margin": Decimal("0.16"),
        "industry_rank": Decimal("0.15"),
        "demand_match": Decimal("0.15"),
        "churn_rate": Decimal("0.10"),
        "on_time_payment_rate": Decimal("0.10"),
        "strategic_level": Decimal("0.10"),
    }
    assert sum(row["points"] for row in scores.values()) == Decimal(score)
    dimensions = mart_rows(
        criteria,
        "select dimension, score from fct_dimension_scores where scheme = 'account_360' and customer_id = ?",
        [f"erp-{code}"],
    )
    assert {(row["dimension"], row["score"]) for row in dimensions} == {
        (name, Decimal(score)) for name in ("value", "potential", "risk", "strategic")
    }
    row = tiers(criteria, "account_360")[code]
    assert (row["score"], row["coverage"], row["effective_tier"]) == (Decimal(score), Decimal(1), tier)
    assert row["is_high_potential"] == (score >= 82)


def test_example_4_quadrants_have_the_exact_shares(criteria: Workspace) -> None:
    """2, 5, 10 and 23 of 40 customers; a customer at a cut is on its high side."""
    rows = summary(criteria, "value_potential")
    assert {tier: (row["customers"], row["customer_share"]) for tier, row in rows.items()} == {
        "S": (2, Decimal("0.05")),
        "A": (5, Decimal("0.125")),
        "B": (10, Decimal("0.25")),
        "C": (23, Decimal("0.575")),
    }
    members = tiers(criteria, "value_potential")
    expected = {"KEY": "S", "CLIMBER": "A", "A00": "A", "STANDARD": "B", "B00": "B", "C00": "C"}
    assert {code: members[code]["effective_tier"] for code in expected} == expected
    assert "NEVER" not in members


def test_example_7_more_profit_ranks_above_more_revenue(criteria: Workspace) -> None:
    """6000 with 600 profit stands right below 5000 with 750 profit."""
    values = {code: tiers(criteria, "pyramid")[code]["score"] for code in ("REVENUE", "PROFIT")}
    assert values == {"REVENUE": Decimal(600), "PROFIT": Decimal(750)}
    ranked = mart_rows(
        criteria, "select customer_id from fct_customer_tiers where scheme = 'pyramid' order by score desc, customer_id"
    )
    order = [row["customer_id"] for row in ranked]
    assert len(order) == 40
    assert order.index("erp-REVENUE") == order.index("erp-PROFIT") + 1
    # 1/20/50/100 % of 40 customers end at 0.4, 8, 20 and 40; a part of a customer is a customer.
    counts = {tier: row["customers"] for tier, row in summary(criteria, "pyramid").items()}
    assert counts == {"vital": 1, "major": 7, "ordinary": 12, "small": 20}


def test_example_7_paying_on_time_ranks_above_paying_more(criteria: Workspace) -> None:
    """800 paid on time is good, 1000 paid half a year late is poor; without invoices there is no verdict."""
    rows = tiers(criteria, "credit")
    assert {code: (rows[code]["score"], rows[code]["effective_tier"]) for code in ("PROMPT", "LATE", "PROFIT")} == {
        "PROMPT": (Decimal(1), "good"),
        "LATE": (Decimal(0), "poor"),
        "PROFIT": (None, "pending"),
    }
    ranks = {
        row["tier"]: row["tier_rank"] for row in mart_rows(criteria, "select * from dim_tiers where scheme = 'credit'")
    }
    assert ranks["good"] < ranks["poor"]


def test_a_weighted_scheme_needs_one_file_only(criteria: Workspace) -> None:
    """service_quality exists in the company's files alone: two levels of weights, an imputed and a missing value."""
    rows = tiers(criteria, "service_quality")
    # 0.75 x (0.6 x 100 + 0.4 x 100) + 0.25 x 90; csat 0.75 and no NPS: 0.75 x (0.6 x 50 + 0.4 x 50) + 0.25 x 90
    assert (rows["STRATEGIC"]["score"], rows["STRATEGIC"]["effective_tier"]) == (Decimal("97.5"), "happy")
    assert (rows["KEY"]["score"], rows["KEY"]["effective_tier"]) == (Decimal(60), "unhappy")
    assert (rows["STANDARD"]["score"], rows["STANDARD"]["effective_tier"]) == (None, "pending")
    assert (rows["STRATEGIC"]["coverage"], rows["KEY"]["coverage"]) == (Decimal(1), Decimal("0.7"))
    nps = indicator_scores(criteria, "service_quality", "KEY")["nps"]
    assert (nps["raw_value"], nps["score"], nps["status"]) == (None, Decimal(50), "imputed")
    assert set(rows) == {"STRATEGIC", "KEY", "STANDARD", "POTENTIAL", "CLIMBER"}  # who bought more than once
    assert summary(criteria, "service_quality")["happy"]["strategy_zh"] == "请求推荐"


def test_a_rule_scheme_needs_one_file_only(criteria: Workspace) -> None:
    """The first rule whose conditions all hold; the scheme is for everybody, also who never bought."""
    rows = tiers(criteria, "care")
    assert len(rows) == 41
    expected = {"NEVER": "invite", "KEY": "visit", "B00": "remind", "PROFIT": "remind"}
    assert {code: rows[code]["effective_tier"] for code in expected} == expected
    assert {row["effective_tier"] for row in rows.values()} == {"invite", "visit", "remind"}


# --- explaining a customer of the published night -----------------------------------------------------------


def explained(workspace: Workspace, customer: str, scheme: str | None = None) -> Explanation:
    folder = current_folder(workspace)
    assert folder is not None
    return explain(folder, customer, scheme)


def score_with(workspace: Workspace, explanation: Explanation, step: Step, value: Decimal) -> Decimal:
    """The whole score when one indicator had another value, through the published bands."""
    (band,) = mart_rows(
        workspace,
        "select score from dim_score_bands where scheme = $1 and indicator = $2 "
        "and (lower_bound is null or lower_bound < $3 or (lower_bound = $3 and lower_included)) "
        "and (upper_bound is null or upper_bound > $3 or (upper_bound = $3 and upper_included))",
        [explanation.scheme["scheme"], step.indicator, value],
    )
    total = Decimal(0)
    for row in explanation.scores:
        total += (band["score"] if row["indicator"] == step.indicator else row["score"]) * row["weight"]
    return total


def test_explain_names_the_next_tier_and_steps_that_suffice(criteria: Workspace) -> None:
    """CLIMBER lacks 5.2 points to strategic, 2 of them margin; churn alone would bring it there, and just so."""
    explanation = explained(criteria, "CLIMBER", "account_360")
    # 82 for spend and margin, 40 for churn: 100 - 18 x 0.24 - 18 x 0.16 - 60 x 0.10
    assert explanation.tier["score"] == Decimal("86.8") == sum(row["points"] for row in explanation.scores)
    assert (explanation.tier["effective_tier"], explanation.tier["label_zh"]) == ("key", "重点级")
    following = explanation.next_tier
    assert following is not None
    assert (following.tier, following.needed, following.missing) == ("strategic", Decimal(92), Decimal("5.2"))
    assert following.not_before == AS_OF + timedelta(days=30)
    assert [(step.indicator, step.needed, step.included, step.points_gained) for step in explanation.steps] == [
        ("churn_rate", Decimal("0.05"), False, Decimal(6)),
    ]
    unit = Decimal("0.000001")
    for step in explanation.steps:
        direction = 1 if step.needed > step.raw_value else -1
        enough = step.needed if step.included else step.needed + direction * unit
        assert score_with(criteria, explanation, step, enough) >= following.needed
        assert score_with(criteria, explanation, step, enough - direction * unit) < following.needed
    assert [step.relative for step in explanation.steps] == sorted(step.relative for step in explanation.steps)


def test_explain_shows_the_assessment_table(criteria: Workspace) -> None:
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(render_assessment(explained(criteria, "CLIMBER", "account_360"), "en"))
    text = console.export_text()
    first_day = AS_OF + timedelta(days=30)
    way = f"next tier: strategic, 5.2 points missing to 92, a margin of 2 included; not before {first_day}"
    assert way in " ".join(text.split())
    assert "churn_rate Churn rate from 20.00% to below 5.00% (75%) brings 6" in text
    console.print(render_assessment(explained(criteria, "CLIMBER", "account_360"), "zh"))
    spoken = "".join(console.export_text().split())
    assert f"上一级:strategic，还差5.2分，需达到92（含缓冲2）；最早{first_day}" in spoken
    assert "churn_rate流失率由20.00%到低于5.00%（75%），可得6分" in spoken
    assert re.search("[a-z]{3,} (points|score|margin)", spoken) is None


def test_explain_says_when_no_single_step_suffices_or_none_is_needed(criteria: Workspace) -> None:
    """KEY lacks 10 points, more than any indicator brings; above strategic there is nothing."""
    key = explained(criteria, "erp-KEY", "account_360")
    assert key.next_tier is not None
    assert (key.next_tier.tier, key.next_tier.missing, key.steps) == ("strategic", Decimal(10), [])
    top = explained(criteria, "STRATEGIC", "account_360")
    assert (top.next_tier, top.steps) == (None, [])


def test_explain_takes_any_sources_id_and_the_headline_scheme(criteria: Workspace) -> None:
    explanation = explained(criteria, "A-KEY")
    assert explanation.customer["customer_id"] == "erp-KEY"
    assert explanation.scheme["scheme"] == "account_value"
    assert sum(row["points"] for row in explanation.scores) == explanation.tier["score"]
    assert [(row["to_tier"], row["direction"]) for row in explanation.history] == [
        (explanation.tier["effective_tier"], "entered")
    ]


@pytest.mark.parametrize(
    ("customer", "scheme", "problem", "next_step"),
    [
        ("NOBODY", None, "there is no customer 'NOBODY' in the published night", "dim_customers"),
        ("KEY", "account_350", "there is no scheme 'account_350' in the published night", "account_360, account_value"),
        (
            "NEVER",
            "account_360",
            "customer erp-NEVER is not in the population of scheme account_360 (businesses)",
            "--scheme",
        ),
    ],
)
def test_explain_names_what_is_not_there(
    criteria: Workspace, customer: str, scheme: str | None, problem: str, next_step: str
) -> None:
    with pytest.raises(TieringError) as caught:
        explained(criteria, customer, scheme)
    assert caught.value.problem == problem
    assert next_step in caught.value.next_step


# --- 100 small customers of an ERP alone: summary table, long tail, missing values ---------------------------

# Summary table: tier -> (margin, spend of each customer); 2/5/20/13 of 40 customers, spend 40/30/25/5 %.
SUMMARY_TIERS: dict[str, tuple[str, list[int]]] = {
    "first": ("0.18", [1000] * 2),
    "second": ("0.12", [300] * 5),
    "third": ("0.08", [62, 63] * 9 + [62, 63]),
    "fourth": ("0.03", [20] * 11 + [15] * 2),
}
# The other 60: 11 that belong to the 18 largest, and 49 of the long tail.
OTHERS = [400] * 10 + [500] + [10] * 48 + [20]


@pytest.fixture(scope="module")
def tail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """100 buyers that spend 10 000; 40 of them bought before, and only these are in the profile's spend_abc."""
    root = tmp_path_factory.mktemp("tail")
    erp = ErpDatabase(root / "erp.sqlite")
    erp.products(2)
    for tier, (margin, spends) in SUMMARY_TIERS.items():
        for index, spend in enumerate(spends):
            code = f"{tier}-{index:02}"
            erp.customer(code)
            buys(erp, code, "50.00", "0.10", LONG_AGO)
            buys(erp, code, f"{spend}.00", margin)
    for index, spend in enumerate(OTHERS):
        erp.customer(f"other-{index:02}")
        if index == 1:  # nobody entered what its goods cost
            erp.order(f"other-{index:02}-1", f"other-{index:02}", THIS_YEAR, [("P1", f"{spend}.00", None)])
            continue
        order = buys(erp, f"other-{index:02}", f"{spend}.00", "0.10")
        if index == 0:
            pays(erp, f"other-{index:02}", order, 19, 1)
    write_schemes(
        root / "profiles" / "tail" / "schemes",
        gated="""\
label_en: Gated
label_zh: 设限
description: spend capped by margin
kind: weighted
population: buyers
dimensions:
  spend:
    label_en: Spend
    label_zh: 消费
    indicators:
      annual_spend:
        scores: {">= 400": 90, others: 40}
tiers:
  gold:
    when: ">= 80"
    needs: {profit_margin: ">= 15 %", order_frequency: ">= 2"}
    label_en: Gold
    label_zh: 金
    strategy_en: call
    strategy_zh: 致电
  silver:
    when: ">= 60"
    needs: {order_frequency: ">= 2"}
    label_en: Silver
    label_zh: 银
    strategy_en: mail
    strategy_zh: 邮件
  bronze: {when: others, label_en: Bronze, label_zh: 铜, strategy_en: mail, strategy_zh: 邮件}
""",
        loyal_spend="""\
label_en: Loyal spend
label_zh: 忠诚消费
description: spend by rank against orders by rules
kind: quadrant
population: buyers
dimensions:
  spend:
    label_en: Spend
    label_zh: 消费
    weight: 50 %
    value: annual_spend
    levels: {upper: top 18 %, lower: others}
  orders:
    label_en: Orders
    label_zh: 下单
    weight: 50 %
    value: order_frequency
    conditions:
      - {tier: back, if: [order_frequency >= 2]}
tiers:
  keep:
    when: {spend: upper, orders: back}
    label_en: Keep
    label_zh: 保持
    strategy_en: call
    strategy_zh: 致电
  grow:
    when: {spend: lower, orders: back}
    label_en: Grow
    label_zh: 培育
    strategy_en: mail
    strategy_zh: 邮件
""",
        spend_abc="""\
label_en: Spend
label_zh: 消费
description: bands of a smaller company
population: repeat_buyers
tiers:
  first: {when: ">= 1000", label_en: T, label_zh: 级, strategy_en: care, strategy_zh: 维护}
  second: {when: ">= 300", label_en: T, label_zh: 级, strategy_en: care, strategy_zh: 维护}
  third: {when: ">= 60", label_en: T, label_zh: 级, strategy_en: care, strategy_zh: 维护}
  fourth: {when: others, label_en: T, label_zh: 级, strategy_en: care, strategy_zh: 维护}
  A:
  B:
  C:
""",
    )
    yield from published_night(root, "tail", erp={"url": erp.url})


def test_example_3_the_summary_table_adds_up(tail: Workspace) -> None:
    """20/50/200/130 of 400 as 2/5/20/13 of 40: shares are exact, the margin over all is 12.95 %."""
    rows = summary(tail, "spend_abc")
    facts = ("customers", "customer_share", "spend_share", "average_margin")
    assert {tier: tuple(row[fact] for fact in facts) for tier, row in rows.items()} == {
        "first": (2, Decimal("0.05"), Decimal("0.4"), Decimal("0.18")),
        "second": (5, Decimal("0.125"), Decimal("0.3"), Decimal("0.12")),
        "third": (20, Decimal("0.5"), Decimal("0.25"), Decimal("0.08")),
        "fourth": (13, Decimal("0.325"), Decimal("0.05"), Decimal("0.03")),
    }
    (total,) = mart_rows(
        tail,
        "select sum(customers) customers, sum(annual_spend) spend, sum(annual_spend * average_margin) profit "
        "from agg_tier_summary where scheme = 'spend_abc'",
    )
    assert (total["customers"], total["spend"]) == (40, Decimal(5000))
    assert total["profit"] / total["spend"] == Decimal("0.1295")


def test_example_6_the_top_18_percent_hold_80_percent(tail: Workspace) -> None:
    """18 of 100 customers hold 8000 of 10 000; the long tail of 82 holds the other 2000."""
    (row,) = mart_rows(tail, "select * from agg_spend_concentration where top_share = 0.18")
    assert (row["top_customers"], row["top_spend"], row["spend_share"]) == (18, Decimal(8000), Decimal("0.8"))
    assert (row["tail_customers"], row["tail_spend"]) == (82, Decimal(2000))
    shares = mart_rows(tail, "select top_share, top_customers from agg_spend_concentration order by top_share")
    assert [row["top_customers"] for row in shares] == [1, 5, 10, 18, 20, 50]


def test_a_customer_without_strategic_review_is_scored_on_what_is_known(tail: Workspace) -> None:
    """Spend (40), margin (82) and payment (82) carry half of the weight; what nobody knows has the set score."""
    row = tiers(tail, "account_360")["other-00"]
    # 40 x 0.24 + 82 x 0.16 + 82 x 0.10 + 60 x 0.50
    assert (row["score"], row["coverage"], row["effective_tier"]) == (Decimal("60.92"), Decimal("0.5"), "standard")
    # The worst and the best that the other half could be: 40 and 100.
    assert (row["score_low"], row["score_high"]) == (Decimal("50.92"), Decimal("80.92"))
    scores = indicator_scores(tail, "account_360", "other-00")
    assert {name: (line["status"], line["points"]) for name, line in scores.items()} == {
        "annual_spend": ("measured", Decimal("9.6")),
        "profit_margin": ("measured", Decimal("13.12")),
        "on_time_payment_rate": ("measured", Decimal("8.2")),
        "churn_rate": ("neutral", Decimal(6)),
        "industry_rank": ("neutral", Decimal(9)),
        "demand_match": ("neutral", Decimal(9)),
        "strategic_level": ("neutral", Decimal(6)),
    }


def test_points_add_up_whatever_is_unknown(tail: Workspace) -> None:
    """No customer has a review; for each that is scored the points are the score, to the last decimal."""
    rows = mart_rows(
        tail,
        "select t.customer_id, t.scheme, t.score, t.coverage, sum(s.points) points from fct_customer_tiers t "
        "join fct_indicator_scores s using (customer_id, scheme) "
        "where t.scheme in ('account_360', 'account_value') group by all",
    )
    assert len(rows) == 200
    scored = [row for row in rows if row["score"] is not None]
    assert len(scored) == 199  # without a margin account_value cannot be scored
    assert [row for row in scored if row["points"] != row["score"]] == []
    known = {row["coverage"] for row in scored if row["scheme"] == "account_360"}
    assert known == {Decimal("0.24"), Decimal("0.4"), Decimal("0.5")}


def test_a_quadrant_needs_both_dimensions(tail: Workspace) -> None:
    """Our strength is known, the attractiveness of a customer nobody reviewed is not: no quadrant, no score."""
    strength = mart_rows(tail, "select * from fct_dimension_scores where scheme = 'kaism' and dimension = 'strength'")
    assert len(strength) == 100
    assert all(row["score"] is not None and row["level"] is not None for row in strength)
    assert {(row["score"], row["effective_tier"]) for row in tiers(tail, "kaism").values()} == {(None, "pending")}


def test_a_scheme_that_places_nobody_is_named_once_and_told_to_nobody(tail: Workspace) -> None:
    (row,) = mart_rows(tail, "select * from dim_schemes where scheme = 'kaism'")
    assert (row["customers"], row["placed_customers"]) == (100, 0)
    assert {"demand_match", "industry_growth"} <= set(row["unknown_indicators"].split("/"))
    folder = current_folder(tail)
    assert folder is not None
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        published = Published(connection, "en")
        assert published.standings("kaism") == []
        assert published.standings("spend_abc") != []
        connection.execute("use marts")
        filled = fill(connection, SCHEMES, "account_value", AS_OF)
    assert filled is not None
    named = [line for line in filled.rows if "KAISM" in str(line)]
    assert len(named) == 1 and "places nobody: unknown" in str(named)


def test_a_customer_without_margin_is_pending_and_keeps_its_place_in_the_spend(tail: Workspace) -> None:
    """An unknown cost is no margin of 100 %: the customer cannot be scored, and says which value is missing."""
    row = tiers(tail, "account_value")["other-01"]
    assert (row["score"], row["computed_tier"], row["effective_tier"]) == (None, "pending", "pending")
    scores = indicator_scores(tail, "account_value", "other-01")
    assert {name for name, line in scores.items() if line["status"] == "pending"} == {"profit_margin"}
    assert scores["annual_spend"]["raw_value"] == Decimal(400)
    assert summary(tail, "account_value")["pending"]["customers"] == 1
    margin = indicator_scores(tail, "account_360", "other-01")["profit_margin"]
    assert (margin["status"], margin["averaged_over"]) == ("neutral", 99)
    folder = current_folder(tail)
    assert folder is not None
    explanation = explain(folder, "other-01", "account_value")
    assert (explanation.next_tier, explanation.steps) == (None, [])


def test_a_quadrant_of_ranks_and_rules_needs_one_file_only(tail: Workspace) -> None:
    """Levels of a quadrant may come by rank and by rules; whom no rule meets has no quadrant and no score."""
    rows = tiers(tail, "loyal_spend")
    counts = {tier: row["customers"] for tier, row in summary(tail, "loyal_spend").items()}
    assert counts == {"keep": 7, "grow": 33, "pending": 60}
    assert (rows["second-00"]["effective_tier"], rows["third-00"]["effective_tier"]) == ("keep", "grow")
    assert (rows["other-00"]["score"], rows["other-00"]["effective_tier"]) == (None, "pending")


def test_the_lowest_of_several_caps_holds(tail: Workspace) -> None:
    """Gold by score: with margin and orders it stays gold; without orders bronze, whatever the margin."""
    rows = tiers(tail, "gated")
    expected = {"first-00": "gold", "other-00": "bronze", "other-01": "bronze", "second-00": "bronze"}
    assert {code: rows[code]["effective_tier"] for code in expected} == expected
    assert rows["other-00"]["score"] == Decimal(90)  # the score stays, the tier is capped
    assert rows["second-00"]["score"] == Decimal(40)


def test_a_need_that_is_not_met_is_told(tail: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the terminal and on the page, for indicators that the scheme does not score; shares as percent."""
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(render_assessment(explained(tail, "other-00", "gated"), "en"))
    told = console.export_text()
    assert "gold needs profit_margin Profit margin of at least 15.00%, it is 10.00%: bronze" in told
    assert "silver needs order_frequency" in told
    monkeypatch.setenv("TIERING_PROFILE", "tail")
    ((status, _, page),) = ask(tmp_path, ("VIEWER", "/customer?id=other-00&scheme=gated", "text/html"))
    assert status == 200
    spoken = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "毛利率 Profit margin 10.00%,要求至少 15.00%" in spoken
    assert "→ 铜 Bronze" in spoken


def test_a_night_of_an_older_version_is_not_explained_with_an_accident(tail: Workspace, tmp_path: Path) -> None:
    folder = current_folder(tail)
    assert folder is not None
    older = shutil.copytree(folder, tmp_path / "older")
    manifest = json.loads((older / MANIFEST).read_text(encoding="utf-8"))
    (older / MANIFEST).write_text(json.dumps(manifest | {"contract_version": "2.0"}), encoding="utf-8")
    with pytest.raises(TieringError, match=r"was published with marts 2\.0; this version explains"):
        explain(older, "other-00", "gated")


# --- stability, prospects, members, rules on names: who is at risk, whom to approach, who is a person --------


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Companies at the edges of stability, prospects without orders, and one person who buys like a shop's member."""
    root = tmp_path_factory.mktemp("mixed")
    erp, crm = ErpDatabase(root / "erp.sqlite"), CrmExport(root / "crm")
    erp.products(20)
    for code, assets, recent, products in (
        ("SOLID", "50000000", 4, 20),
        ("STABLE", "20000000", 2, 10),
        ("WATCHED", "19999999.99", 1, 4),
        ("LEAVING", "4999999.99", 0, 3),
        ("UNKNOWN", None, 2, 10),
    ):
        erp.customer(code)
        for number in range(1, products + 1):
            buys(erp, code, "100.00", "0.10", LONG_AGO, f"P{number}")
        for number in range(recent):
            buys(erp, code, "100.00", "0.10", str(AS_OF - timedelta(days=89 - number)))
        buys(erp, code, "100.00", "0.10", str(AS_OF - timedelta(days=90)))  # a day too early to count
        crm.account(code, {"account_type": "集团" if code == "SOLID" else "企业客户"}, assets=assets)
    for code, size, fit, demand in (
        ("TARGET", "中型", "0.8", "0.4"),
        ("BARELY", "小型", "0.6", "0.8"),
        ("NURTURE", "大型", "0.799", "0.39"),
        ("SIZELESS", None, "0.8", "0.6"),
        ("UNASKED", "大型", None, "0.9"),
    ):
        crm.prospect(code, size, industry_fit=fit, digital_demand=demand)
    erp.customer("NEVER")  # in the ERP, without an order and without a review
    erp.customer("PERSON", customer_name="王小明")
    for number in range(24):
        # Ten orders on days of the last 90, fourteen before them; 24 000 in all.
        days = number if number < 10 else 100 + number
        buys(erp, "PERSON", "1000.00", "0.10", str(AS_OF - timedelta(days=days)))
    crm.account("PERSON", {"account_name": "王小明", "account_type": "个人"})
    crm.write()
    write_schemes(
        root / "profiles" / "mixed" / "schemes",
        visit="""\
label_en: Visits
label_zh: 拜访计划
description: whom to visit
kind: rules
population: all
dimensions:
  order: {label_en: Order, label_zh: 次序, value: digital_demand}
conditions:
  - {tier: first, if: [company_size = 大型, digital_demand >= 0.5]}
  - {tier: then, if: ['company_size in 大型, 中型']}
  - {tier: later}
tiers:
  first: {label_en: First, label_zh: 先, strategy_en: go, strategy_zh: 去}
  then: {label_en: Then, label_zh: 后, strategy_en: call, strategy_zh: 电}
  later: {label_en: Later, label_zh: 缓, strategy_en: mail, strategy_zh: 信}
""",
    )
    yield from published_night(root, "mixed", erp={"url": erp.url}, crm={"path": str(crm.folder)})


def scores_and_tiers(workspace: Workspace, scheme: str) -> dict[str, tuple[Decimal | None, str]]:
    rows = tiers(workspace, scheme)
    return {code.removeprefix("crm-A-"): (row["score"], row["effective_tier"]) for code, row in rows.items()}


def test_stability_weighs_assets_orders_and_products(mixed: Workspace) -> None:
    """One customer per tier, at the edges; who has no assets on file is judged by what it does, with less coverage."""
    assert scores_and_tiers(mixed, "stability") == {
        "SOLID": (Decimal(100), "stable"),
        "STABLE": (Decimal(75), "stable"),
        "WATCHED": (Decimal(50), "watch"),
        "LEAVING": (Decimal("17.5"), "at_risk"),  # 25 x 0.4 + 0 x 0.3 + 25 x 0.3
        "UNKNOWN": (Decimal(69), "watch"),
        "PERSON": (Decimal("61.5"), "watch"),  # 100 for ten orders and 25 for one product; unknown assets count 60
    }
    values = indicator_scores(mixed, "stability", "STABLE")
    assert {name: (row["raw_value"], row["score"], row["points"]) for name, row in values.items()} == {
        "assets": (Decimal(20_000_000), Decimal(75), Decimal(30)),
        "orders_90d": (Decimal(2), Decimal(75), Decimal("22.5")),
        "products_held": (Decimal(10), Decimal(75), Decimal("22.5")),
    }
    rows = tiers(mixed, "stability")
    assert (rows["STABLE"]["coverage"], rows["UNKNOWN"]["coverage"]) == (Decimal(1), Decimal("0.6"))
    assert summary(mixed, "stability")["at_risk"]["customers"] == 1


def test_prospects_are_customers_without_orders(mixed: Workspace) -> None:
    """Target from 75 on; without a known industry fit there is no verdict, a missing size shares its weight."""
    assert scores_and_tiers(mixed, "prospect") == {
        "TARGET": (Decimal(82), "target"),  # 100 x 0.4 + 80 x 0.3 + 60 x 0.3
        "BARELY": (Decimal(80), "target"),  # 80 x 0.4 + 60 x 0.3 + 100 x 0.3
        "NURTURE": (Decimal(74), "nurture"),  # 80 x 0.4 + 100 x 0.3 + 40 x 0.3
        "SIZELESS": (Decimal(82), "target"),  # 100 x 0.4 + 80 x 0.3 + 60 x 0.3 for the unknown size
        "UNASKED": (None, "pending"),
        "NEVER": (None, "pending"),
    }
    assert summary(mixed, "prospect")["target"]["label_zh"] == "重点开发目标"


def test_members_are_persons_and_accounts_are_not(mixed: Workspace) -> None:
    """24 orders (100), 1000 each (100), 10 days (80): 94, diamond. An unknown account type counts as a business."""
    assert scores_and_tiers(mixed, "member") == {"PERSON": (Decimal(94), "diamond")}
    assert set(tiers(mixed, "account_value")) == {"SOLID", "STABLE", "WATCHED", "LEAVING", "UNKNOWN"}
    assert "PERSON" in tiers(mixed, "spend_abc")
    with open_warehouse(mixed) as connection:
        flagged = connection.execute(
            "select a.customer_id from meta.row_flags f join raw.crm__customers a on f.row_id = a._row_id "
            "where f.rule = 'crm.customers.customer_kind_readable'"
        ).fetchall()
    assert flagged == [("A-SOLID",)]


def test_a_persons_name_is_masked_and_a_companys_is_not(mixed: Workspace) -> None:
    rows = mart_rows(mixed, "select customer_id, customer_name from dim_customers")
    names = {row["customer_id"]: row["customer_name"] for row in rows}
    assert (names["erp-PERSON"], names["erp-SOLID"]) == ("王**", "公司 SOLID")


def test_rules_may_name_a_level(mixed: Workspace) -> None:
    """A user's own ordered rules: large and digital first, then large or middle-sized, the others later."""
    found = {code: tier for code, (_, tier) in scores_and_tiers(mixed, "visit").items()}
    chosen = ("UNASKED", "NURTURE", "TARGET", "BARELY", "SIZELESS", "SOLID")
    assert {code: found[code] for code in chosen} == {
        "UNASKED": "first",
        "NURTURE": "then",
        "TARGET": "then",
        "BARELY": "later",
        "SIZELESS": "later",
        "SOLID": "later",
    }
