"""Files and tables as they really come, through extraction and gate: what can be read is read, the rest is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from customer_tiering.errors import GateBlocked
from gating import Gated, gated
from nights import native_columns, shipped_sources

STAMP = "2026-03-29 08:00:00"
KEPT_OUT, REPAIRED = "kept out", "repaired"


def exports(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


def accounts(*rows: dict[str, str]) -> str:
    """An export of accounts of the sample company's CRM."""
    columns = native_columns("crm")["accounts"]
    usual = {"created_at": "2024-01-01", "modified_at": STAMP, "is_deleted": "0"}
    lines = [",".join(({"account_id": f"A{n}", "account_name": f"公司{n}"} | usual | row).get(c, "") for c in columns)
             for n, row in enumerate(rows)]  # fmt: skip
    return "\n".join([",".join(columns), *lines]) + "\n"


def crm(folder: Path, table: str = "customers") -> dict[str, Any]:
    tables = shipped_sources()["crm"]["tables"]
    return {"path": str(folder), "tables": {table: tables[table]}}


def night_of_accounts(folder: Path, *rows: dict[str, str]) -> tuple[list[tuple[Any, ...]], set[tuple[str, str]]]:
    exports(folder, "accounts-20260330.csv", accounts(*rows))
    with gated(folder, "crm", crm(folder)) as source:
        source.night()
        columns = "customer_id, phone, is_deleted, updated_at, linked_customer_id"
        return source.accepted("customers", columns), source.broken()


class Erp:
    """The sample company's ERP with rows of a test's own."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / "erp.sqlite"
        with closing(sqlite3.connect(self.path)) as database:
            for table, columns in native_columns("erp").items():
                database.execute(f"create table {table} ({', '.join(columns)})")
        self.add("products", product_code="P1", category="轴承")
        self.add("customers", customer_code="C1", customer_name="甲")
        self.add(
            "orders", order_no="O1", customer_code="C1", order_date="2026-03-01", status="confirmed", net_amount="9"
        )
        self.add("order_lines", order_no="O1", line_no="1", quantity="1", net_amount="9")

    def add(self, table: str, **values: str | None) -> None:
        row = {"updated_at": STAMP} | values
        with closing(sqlite3.connect(self.path)) as database, database:
            marks = ", ".join("?" for _ in row)
            database.execute(f"insert into {table} ({', '.join(row)}) values ({marks})", list(row.values()))

    def said(self) -> dict[str, Any]:
        return {"url": f"sqlite:///{self.path}", "tables": shipped_sources()["erp"]["tables"]}


@pytest.fixture
def erp(tmp_path: Path) -> Erp:
    return Erp(tmp_path)


def broken_of(source: Gated, table: str) -> set[str]:
    source.night()
    return {rule.removeprefix(f"erp.{table}.") for rule, _ in source.broken() if rule.startswith(f"erp.{table}.")}


def test_amounts_with_separators_are_read_and_other_texts_are_told(erp: Erp) -> None:
    amounts = {"I1": "1,234.56", "I2": "￥800", "I3": "１２００", "I4": "1.234,56", "I5": "约三千", "I6": None}
    for number, amount in amounts.items():
        erp.add("invoices", invoice_no=number, order_no="O1", customer_code="C1", invoice_date="2026-03-02",
                due_date="2026-03-20", gross_amount=amount)  # fmt: skip
    with gated(erp.root, "erp", erp.said()) as source:
        assert broken_of(source, "invoices") == {"amount_readable", "amount_present"}
        assert source.accepted("invoices", "invoice_id, amount") == [
            ("I1", Decimal("1234.56")), ("I2", Decimal("800.00")), ("I3", Decimal("1200.00")),
        ]  # fmt: skip


def test_what_models_need_is_missing(erp: Erp) -> None:
    erp.add("orders", order_no="O2", customer_code="C1", order_date="2026-03-01", net_amount="5")
    erp.add("order_lines", order_no="O1", line_no="2", quantity="1", cost_amount="6000")
    with gated(erp.root, "erp", erp.said()) as source:
        source.night()
        assert {
            ("erp.orders.status_present", KEPT_OUT),
            ("erp.order_lines.net_amount_present", KEPT_OUT),
        } <= source.broken()


@pytest.mark.parametrize("day", ["1900-01-01", "1970-01-01", "9999-12-31", "2027-01-01", "2024115", "0000-00-00"])
def test_placeholders_for_days_are_kept_out_and_told(day: str, erp: Erp) -> None:
    erp.add("orders", order_no="O2", customer_code="C1", order_date=day, status="confirmed", net_amount="5")
    with gated(erp.root, "erp", erp.said()) as source:
        assert broken_of(source, "orders") & {"ordered_on_plausible", "ordered_on_readable"}
        assert source.accepted("orders", "order_id") == [("O1",)]


def test_what_happened_before_the_data_begins_is_kept_out_and_told(erp: Erp) -> None:
    erp.add("orders", order_no="O2", customer_code="C1", order_date="2019-12-31", status="confirmed", net_amount="5")
    erp.add("customers", customer_code="C2", customer_name="乙", registered_on="2015-06-01")
    with gated(erp.root, "erp", erp.said(), data_begins="2020-01-01") as source:
        source.night()
        assert ("erp.orders.ordered_on_plausible", KEPT_OUT) in source.broken()
        assert source.accepted("orders", "order_id") == [("O1",)]
        assert ("C2", date(2015, 6, 1)) in source.accepted("customers", "customer_id, registered_on")


def test_a_placeholder_for_a_day_that_nobody_needs_costs_the_day_only(erp: Erp) -> None:
    erp.add("customers", customer_code="C2", customer_name="乙", registered_on="1900-01-01")
    with gated(erp.root, "erp", erp.said()) as source:
        source.night()
        assert ("erp.customers.registered_on_plausible", REPAIRED) in source.broken()
        assert ("C2", None) in source.accepted("customers", "customer_id, registered_on")


def test_flags_are_read_as_people_write_them(tmp_path: Path) -> None:
    said = {"1": True, "是": True, "TRUE": True, "Y": True, "Ｙ": True, "0": False, "否": False, "n": False, "": None}
    rows, broken = night_of_accounts(tmp_path, *({"is_deleted": flag} for flag in said), {"is_deleted": "deleted"})
    assert [row[2] for row in rows] == list(said.values())
    assert ("crm.customers.is_deleted_readable", KEPT_OUT) in broken


def test_what_excel_makes_of_times_is_read(tmp_path: Path) -> None:
    times = ["2026/3/20 9:00", "2026/3/5", "2026-03-20T09:00:00", "2026-03-20 01:00:00Z", "2026年3月20日"]
    rows, broken = night_of_accounts(tmp_path, *({"modified_at": time} for time in times))
    assert [row[3] for row in rows] == [
        datetime(2026, 3, 20, 9), datetime(2026, 3, 5), datetime(2026, 3, 20, 9), datetime(2026, 3, 20, 9),
        datetime(2026, 3, 20),
    ]  # fmt: skip
    assert not [rule for rule, _ in broken if "updated_at" in rule]


def test_a_delivery_that_cannot_be_read_at_all_holds_the_night(tmp_path: Path) -> None:
    exports(tmp_path, "accounts-20260330.csv", accounts(*({"modified_at": "20/3/26"} for _ in range(30))))
    with gated(tmp_path, "crm", crm(tmp_path)) as source:
        source.extract()
        with pytest.raises(GateBlocked, match=r"30 of 30 rows delivered break rules.*updated_at_readable"):
            source.gate()
        assert source.accepted("customers", "customer_id") == []


def test_phones_that_excel_spoiled_name_nobody(tmp_path: Path) -> None:
    said = {"1.38E+10": None, "13800138000.0": "13800138000", "138 0013 8000/139 0013 9000": "13800138000",
            "+86 138-0013-8000": "13800138000", "请致电前台": None}  # fmt: skip
    rows, broken = night_of_accounts(tmp_path, *({"phone": phone} for phone in said))
    assert [row[1] for row in rows] == list(said.values())
    assert ("crm.customers.phone_readable", REPAIRED) in broken


def test_codes_of_another_system_are_found_however_they_are_typed(tmp_path: Path) -> None:
    rows, _ = night_of_accounts(tmp_path, *({"erp_customer_code": code} for code in ("C1 ", "　C1", "Ｃ１", "C1")))
    assert {row[4] for row in rows} == {"C1"}


def test_a_stray_quotation_mark_that_swallows_rows_is_told(tmp_path: Path) -> None:
    lines = accounts(*({} for _ in range(20))).splitlines()
    lines[3] = lines[3].replace("公司2", '"公司2')
    lines[16] = lines[16].replace("公司15", '公司15"')
    exports(tmp_path, "accounts-20260330.csv", "\n".join(lines) + "\n")
    with gated(tmp_path, "crm", crm(tmp_path)) as source:
        source.night()
        assert {rule for rule, _ in source.broken()} & {
            "crm.customers.customer_name_length",
            "crm.customers.row_well_formed",
        }
        assert ("A2",) not in source.accepted("customers", "customer_id")


def test_a_level_that_nobody_knows_lists_those_that_are_known(erp: Erp) -> None:
    for number, status in enumerate(("已审核", "作废", "草稿", "开心")):
        erp.add(
            "orders", order_no=f"S{number}", customer_code="C1", order_date="2026-03-01", status=status, net_amount="5"
        )
    with gated(erp.root, "erp", erp.said()) as source:
        assert broken_of(source, "orders") == {"status_readable"}
        assert [row[1] for row in source.accepted("orders", "order_id, status")[1:]] == [
            "confirmed",
            "cancelled",
            "pending",
        ]
        reasons = source.connection.execute("select reason_en from quarantine.failures").fetchall()
        assert ("the status is unknown; known are confirmed, cancelled, pending",) in reasons


def test_instants_are_compared_as_instants(tmp_path: Path) -> None:
    """Of two versions with offsets the later moment counts, not the greater text."""
    text = accounts(
        {"account_id": "A1", "phone": "13800138000", "modified_at": "2026-03-29 10:00:00+08:00"},
        {"account_id": "A1", "phone": "13900139000", "modified_at": "2026-03-29 04:00:00Z"},
    )
    exports(tmp_path, "accounts-20260330.csv", text)
    with gated(tmp_path, "crm", crm(tmp_path)) as source:
        source.night(date(2026, 3, 30))
        assert source.accepted("customers", "phone, updated_at") == [("13900139000", datetime(2026, 3, 29, 12))]
