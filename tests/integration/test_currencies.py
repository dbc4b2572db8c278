"""Orders in other currencies: converted at the rate of their day, kept out while there is none, never added up raw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import BuildFailed
from customer_tiering.gate.quarantine import open_by_rule
from customer_tiering.publish.snapshot import current_folder
from customer_tiering.warehouse.connection import open_warehouse
from nights import ErpDatabase, mart_rows, run_night, write_profile

FIRST = date(2026, 3, 30)
SECOND, THIRD = FIRST + timedelta(days=1), FIRST + timedelta(days=2)
DOLLARS = "USD,2026-01-01,7.10\nUSD,2026-02-01,7.25\n"
pytestmark = pytest.mark.slow


@dataclass
class Trader:
    """A company that sells in yuan, dollars and yen, and the seed with its rates."""

    workspace: Workspace
    seed: Path

    def night(self, day: date, rates: str) -> None:
        self.seed.write_text("currency,valid_from,rate\n" + rates, encoding="utf-8")
        run_night("trader", day, f"n{day.day}")

    def warehouse(self, sql: str) -> list[tuple[Any, ...]]:
        with open_warehouse(self.workspace) as connection:
            return connection.execute(sql).fetchall()

    def quarantined(self, entity: str, order: str) -> str | None:
        rows = self.warehouse(f"select _status from quarantine.erp__{entity} where order_id = '{order}'")
        return rows[0][0] if rows else None

    def indicators(self, customer: str) -> dict[str, Any]:
        (row,) = mart_rows(
            self.workspace, "select * from fct_customer_indicators where customer_id = ?", [f"erp-{customer}"]
        )
        return row


@pytest.fixture(scope="module")
def trader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trader]:
    """One night with rates for dollars only."""
    root = tmp_path_factory.mktemp("currencies")
    erp = ErpDatabase(root / "erp.sqlite")
    erp.products(2)
    for code in ("MIXED", "YEN"):
        erp.customer(code)
    erp.order("OLD", "YEN", "2024-01-05", [("P1", "1.00", "0.50")])
    erp.order("YUAN", "MIXED", "2026-01-20", [("P1", "10.00", "6.00")])
    lines = [("P1", "100.00", "60.00"), ("P2", "0.10", "0.05")]
    for number, day in (("DOLLARS-JAN", "2026-01-31"), ("DOLLARS-FEB", "2026-02-01"), ("DOLLARS-EARLY", "2025-12-31")):
        sell(erp, number, "MIXED", day, "USD", lines)
        erp.invoice(f"{number}-I", number, "MIXED", "2026-02-02", "2026-03-01", "113.11")
        erp.payment(f"{number}-P", f"{number}-I", "2026-03-01", "113.11")
    sell(erp, "YEN-1", "YEN", "2026-03-02", "JPY", [("P1", "10000", "6000")])
    write_profile(root / "profiles", "trader", sources={"erp": {"url": erp.url}})
    seed = root / "profiles" / "trader" / "seeds" / "exchange_rates.csv"
    seed.parent.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_VAR", str(root / "var"))
        patch.setenv("TIERING_PROFILES", str(root / "profiles"))
        company = Trader(Workspace.of("trader"), seed)
        company.night(FIRST, DOLLARS)
        yield company


def sell(
    erp: ErpDatabase, number: str, customer: str, day: str, currency: str, lines: list[tuple[str, str, str]]
) -> None:
    """An order in another currency."""
    erp.order(number, customer, day, lines)
    erp.connection.execute("update orders set currency = ? where order_no = ?", [currency, number])
    erp.connection.commit()


def test_amounts_are_converted_at_the_rate_of_their_day(trader: Trader) -> None:
    """100.10 dollars: 710.71 yuan at 7.10 in January, 725.73 at 7.25 in February (half a cent is rounded up)."""
    assert trader.warehouse(
        "select order_id, currency, original_net_amount, exchange_rate, net_amount, gross_amount "
        "from intermediate.int_orders where customer_id = 'erp-MIXED' order by ordered_on"
    ) == [
        ("YUAN", "CNY", Decimal("10.00"), Decimal(1), Decimal("10.00"), Decimal("11.30")),
        ("DOLLARS-JAN", "USD", Decimal("100.10"), Decimal("7.10"), Decimal("710.71"), Decimal("803.08")),
        ("DOLLARS-FEB", "USD", Decimal("100.10"), Decimal("7.25"), Decimal("725.73"), Decimal("820.05")),
    ]
    assert trader.warehouse(
        "select order_id, line_id, net_amount, cost_amount from intermediate.int_order_lines "
        "where customer_id = 'erp-MIXED' order by ordered_on, line_id"
    ) == [
        ("YUAN", "1", Decimal("10.00"), Decimal("6.00")),
        ("DOLLARS-JAN", "1", Decimal("710.00"), Decimal("426.00")),
        ("DOLLARS-JAN", "2", Decimal("0.71"), Decimal("0.36")),
        ("DOLLARS-FEB", "1", Decimal("725.00"), Decimal("435.00")),
        ("DOLLARS-FEB", "2", Decimal("0.73"), Decimal("0.36")),
    ]
    assert trader.warehouse("select invoice_id, amount, paid_on from intermediate.int_payments order by 1") == [
        ("DOLLARS-FEB-I", Decimal("820.05"), date(2026, 3, 1)),
        ("DOLLARS-JAN-I", Decimal("803.08"), date(2026, 3, 1)),
    ]
    facts = trader.indicators("MIXED")
    assert (facts["annual_spend"], facts["order_frequency"]) == (Decimal("1446.44"), 3)
    assert facts["profit_contribution"] == Decimal("1446.44") - Decimal("867.72")
    assert facts["on_time_payment_rate"] == Decimal(1)


def test_orders_without_a_rate_wait_with_a_reason_that_names_the_currency(trader: Trader) -> None:
    """No rate at all for yen, none yet for dollars on the last day of 2025; lines and invoices wait behind them."""
    assert {
        (order, entity): trader.quarantined(entity, order)
        for order in ("YEN-1", "DOLLARS-EARLY")
        for entity in ("orders", "order_lines")
    } == dict.fromkeys(
        [(order, entity) for order in ("YEN-1", "DOLLARS-EARLY") for entity in ("orders", "order_lines")], "open"
    )
    assert trader.quarantined("invoices", "DOLLARS-EARLY") == "open"
    failures = trader.warehouse(
        "select offending_value, reason_en, reason_zh from quarantine.failures "
        "where rule = 'erp.orders.currency_has_a_rate' order by 1"
    )
    assert [(value, en[: len("no rate for JPY")], value in zh) for value, en, zh in failures] == [
        ("JPY", "no rate for JPY", True),
        ("USD", "no rate for USD", True),
    ]
    with open_warehouse(trader.workspace) as connection:
        (told,) = [row for row in open_by_rule(connection) if row["rule"] == "erp.orders.currency_has_a_rate"]
    assert told["rows"] == 2
    assert "no rate for JPY" in told["reason_en"] and "no rate for USD" in told["reason_en"]
    assert trader.indicators("YEN")["annual_spend"] == Decimal(0)


def test_a_rate_that_comes_later_lets_orders_in_and_one_that_goes_stops_the_night(trader: Trader) -> None:
    """The second night knows yen. On the third somebody takes the dollars away: amounts would be unknown."""
    trader.night(SECOND, DOLLARS + "JPY,2026-03-01,0.0468\n")
    assert trader.quarantined("orders", "YEN-1") == trader.quarantined("order_lines", "YEN-1") == "released"
    assert trader.quarantined("orders", "DOLLARS-EARLY") == "open"
    facts = trader.indicators("YEN")
    assert (facts["annual_spend"], facts["profit_contribution"]) == (Decimal("468.00"), Decimal("187.20"))
    assert trader.indicators("MIXED")["annual_spend"] == Decimal("1446.44")
    published = current_folder(trader.workspace)
    with pytest.raises(BuildFailed, match="orders_have_a_rate"):
        trader.night(THIRD, "JPY,2026-03-01,0.0468\n")
    assert current_folder(trader.workspace) == published
