"""Worked examples of the domain, from raw source rows to published marts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from customer_tiering.company.workspace import Workspace
from customer_tiering.warehouse.connection import open_warehouse
from nights import ErpDatabase, mart_rows, run_night, write_profile

AS_OF = date(2026, 3, 30)
pytestmark = pytest.mark.slow


def build_company(erp: ErpDatabase) -> None:
    """Customers that meet the examples exactly; 20 categories are offered."""
    erp.products(20)
    # Example 1: 12 000 000 in the window, margin 15 %, five years to the day, 6 of 20 categories.
    erp.customer("E1")
    erp.order("E1-first", "E1", "2021-03-30", [("P1", "1000.00", "900.00")])
    erp.order("E1-year", "E1", "2026-03-01", [(f"P{n}", "2000000.00", "1700000.00") for n in range(1, 7)])
    # Example 2: 15 000 000, 18 %, six years, 7 of 20 categories.
    erp.customer("C2024001")
    erp.order("E2-first", "C2024001", "2020-03-30", [("P1", "1000.00", "900.00")])
    erp.order(
        "E2-year",
        "C2024001",
        "2025-03-31",  # the first day of the window
        [(f"P{n}", "2000000.00", "1640000.00") for n in range(1, 7)] + [("P7", "3000000.00", "2460000.00")],
    )
    # Example 5: the edges of spend_abc.
    for code, amount in (("A", "100000.01"), ("B1", "100000.00"), ("B2", "50000.00"), ("C", "49999.99")):
        erp.customer(code)
        erp.order(f"{code}-1", code, "2025-06-01", [("P1", amount, "1.00")])
        erp.order(f"{code}-0", code, "2025-03-30", [("P1", "999.00", "1.00")])  # the day before the window
        erp.order(f"{code}-x", code, "2025-07-01", [("P1", "999.00", "1.00")], status="cancelled")
    # Example 8: R, F and M at their cuts.
    for code, recency, orders, each in (("R30", 30, 10, "10000"), ("R90", 90, 3, ""), ("R31", 31, 10, "10000")):
        erp.customer(code)
        last = AS_OF - timedelta(days=recency)
        amounts = [each] * orders if each else ["3333.33", "3333.33", "3333.34"]
        for number, amount in enumerate(amounts):
            erp.order(f"{code}-{number}", code, str(last - timedelta(days=number)), [("P1", amount, "1.00")])
    # Known to the ERP, never ordered: no buyer, and its spend is a true 0.
    erp.customer("N0")
    # In another currency: it waits in quarantine, or 10 000 yen would count as 10 000 yuan.
    order = {"order_no": "N0-yen", "customer_code": "N0", "order_date": "2026-01-05", "status": "confirmed"}
    erp.add("orders", order | {"currency": "JPY", "net_amount": "10000.00", "gross_amount": "11300.00"})


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    root = tmp_path_factory.mktemp("worked")
    erp = ErpDatabase(root / "erp.sqlite")
    build_company(erp)
    write_profile(root / "profiles", "worked", sources={"erp": {"url": erp.url}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_VAR", str(root / "var"))
        patch.setenv("TIERING_PROFILES", str(root / "profiles"))
        yield run_night("worked", AS_OF).workspace


def scores_of(workspace: Workspace, customer: str) -> dict[str, Any]:
    return {
        row["indicator"]: row
        for row in mart_rows(
            workspace,
            "select * from fct_indicator_scores where customer_id = ? and scheme = 'account_value'",
            [f"erp-{customer}"],
        )
    }


def tier_of(workspace: Workspace, customer: str, scheme: str) -> dict[str, Any]:
    (row,) = mart_rows(
        workspace,
        "select * from fct_customer_tiers where customer_id = ? and scheme = ?",
        [f"erp-{customer}", scheme],
    )
    return row


def test_example_1_scores_94_5_and_is_strategic(workspace: Workspace) -> None:
    scores = scores_of(workspace, "E1")
    assert {name: row["raw_value"] for name, row in scores.items()} == {
        "annual_spend": Decimal(12_000_000),
        "profit_margin": Decimal("0.15"),
        "tenure_years": Decimal(5),
        "cross_buy_rate": Decimal("0.3"),
    }
    assert {name: (row["score"], row["points"]) for name, row in scores.items()} == {
        "annual_spend": (Decimal(100), Decimal(40)),
        "profit_margin": (Decimal(90), Decimal("22.5")),
        "tenure_years": (Decimal(100), Decimal(20)),
        "cross_buy_rate": (Decimal(80), Decimal(12)),
    }
    tier = tier_of(workspace, "E1", "account_value")
    assert tier["score"] == Decimal("94.5")
    assert tier["computed_tier"] == tier["effective_tier"] == "strategic"
    assert (tier["tier_since"], tier["reason"]) == (AS_OF, "first_tier")


def test_example_2_scores_100_and_is_strategic(workspace: Workspace) -> None:
    assert {name: row["raw_value"] for name, row in scores_of(workspace, "C2024001").items()} == {
        "annual_spend": Decimal(15_000_000),
        "profit_margin": Decimal("0.18"),
        "tenure_years": Decimal(6),
        "cross_buy_rate": Decimal("0.35"),
    }
    tier = tier_of(workspace, "C2024001", "account_value")
    assert (tier["score"], tier["effective_tier"]) == (Decimal(100), "strategic")


@pytest.mark.parametrize(
    ("customer", "spend", "tier"),
    [("A", "100000.01", "A"), ("B1", "100000.00", "B"), ("B2", "50000.00", "B"), ("C", "49999.99", "C")],
)
def test_example_5_both_ends_of_the_middle_band_are_b(
    workspace: Workspace, customer: str, spend: str, tier: str
) -> None:
    row = tier_of(workspace, customer, "spend_abc")
    assert (row["score"], row["effective_tier"]) == (Decimal(spend), tier)


@pytest.mark.parametrize(
    ("customer", "facts", "rfm_class", "overlay"),
    [
        ("R30", (30, 10, Decimal(100_000)), "重要价值", "重要价值"),
        ("R90", (90, 3, Decimal(10_000)), "一般挽留", "流失风险"),
        ("R31", (31, 10, Decimal(100_000)), "重要保持", None),
    ],
)
def test_example_8_rfm_at_its_cuts(
    workspace: Workspace, customer: str, facts: tuple[Any, ...], rfm_class: str, overlay: str | None
) -> None:
    (row,) = mart_rows(workspace, "select * from fct_customer_rfm where customer_id = ?", [f"erp-{customer}"])
    assert (row["recency_days"], row["frequency"], row["monetary"]) == facts
    assert (row["rfm_class"], row["rfm_overlay"]) == (rfm_class, overlay)


def test_a_customer_without_orders_has_a_true_zero_and_is_a_prospect_only(workspace: Workspace) -> None:
    """Nobody reviewed it, so the prospect cannot be scored yet; its order in yen is no order while yen have no rate."""
    (row,) = mart_rows(workspace, "select * from fct_customer_indicators where customer_id = 'erp-N0'")
    assert (row["annual_spend"], row["annual_spend_status"]) == (Decimal(0), "measured")
    assert row["recency_days"] is None
    (tier,) = mart_rows(workspace, "select * from fct_customer_tiers where customer_id = 'erp-N0'")
    assert (tier["scheme"], tier["effective_tier"], tier["score"]) == ("prospect", "pending", None)
    with open_warehouse(workspace) as connection:
        (kept_out,) = connection.execute("select offending_value, reason_en from quarantine.failures").fetchall()
    assert kept_out[0] == "JPY" and kept_out[1].startswith("no rate for JPY on the order date")
