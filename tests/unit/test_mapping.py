"""A mapping picks, renames and reads; its mistakes are told with the nearest right name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from customer_tiering.inputs.mapping import ColumnMapping, TableMapping, check_columns, landed_name, mapped_source
from customer_tiering.sources.base import IDENTIFIER
from gating import gated


def night(
    root: Path, text: str, columns: dict[str, Any], table: str = "order_lines", **said: Any
) -> list[tuple[Any, ...]]:
    """Accepted rows of a CSV that is mapped so: the mapped columns in the order of the mapping."""
    (root / "t.csv").write_text(text, encoding="utf-8")
    mapping = {"files": "t.csv", "hold_above": 1, "columns": columns} | said.pop("of_table", {})
    with gated(root, "shop", {"path": str(root), "tables": {table: mapping}} | said) as source:
        source.night()
        return source.accepted(table, ", ".join(columns))


def test_every_way_to_fill_a_column(tmp_path: Path) -> None:
    header = "No,Art,Qty,Price,Off,State,When,Then,Kind,Note\n"
    rows = [
        "R1,85123A,2,1.50,0.5,交易成功,2026-03-01,,credit note,x",
        "R2,POST,1,4.00,,已取消,,2026-03-02,,",
    ]
    columns = {
        "order_id": "No",
        "line_id": {"join": ["No", "Art"]},
        "line_type": {"column": "Art", "patterns": {"^[0-9]{5}": "product"}, "default": "charge"},
        "category": {"column": "Art", "extract": "^([0-9]{5})"},
        "net_amount": {"product": ["Qty", "Price"]},
        "cost_amount": {"sum": ["Price", "-Off", 1]},
        "status": {"column": "State", "values": {"交易成功": "confirmed"}},
        "ordered_on": {"first": ["When", "Then"]},
        "order_type": {"column": "Kind", "default": "sale"},
        "currency": {"value": "rmb"},
        "customer_id": {"value": "C1"},
        "channel": {"column": "Note", "default": "web"},
    }
    first, second = night(tmp_path, header + "\n".join(rows) + "\n", columns)
    assert [str(value) if value is not None else None for value in first] == [
        "R1", "R1|85123A", "product", "85123", "3.00", "2.00", "confirmed", "2026-03-01", "return", "CNY", "C1", "x",
    ]  # fmt: skip
    assert [str(value) if value is not None else None for value in second] == [
        "R2", "R2|POST", "charge", None, "4.00", "5.00", "cancelled", "2026-03-02", "sale", "CNY", "C1", "web",
    ]  # fmt: skip


def test_texts_that_mean_no_value_are_missing(tmp_path: Path) -> None:
    text = "id,name,phone\nC1,无,无\nC2,N/A,13800138000\n"
    columns = {"customer_id": "id", "customer_name": "name", "phone": "phone"}
    found = night(tmp_path, text, columns, "customers", missing=["无", "N/A"])
    assert found == [("C1", None, None), ("C2", None, "13800138000")]


def test_lines_without_numbers_are_told_apart_by_what_they_say(tmp_path: Path) -> None:
    text = "order,art,amount,customer,day\nO1,A,1,C1,2026-03-01\nO1,A,1,C1,2026-03-01\nO1,B,1,C1,2026-03-01\n"
    columns = {"order_id": "order", "product_id": "art", "net_amount": "amount"}
    assert len(night(tmp_path, text, columns | {"customer_id": "customer", "ordered_on": "day"})) == 2


def test_levels_are_understood_in_both_languages(tmp_path: Path) -> None:
    states = {
        "已确认": "confirmed",
        "Completed": "confirmed",
        "已取消": "cancelled",
        "草稿": "pending",
        "ＰＡＩＤ": "confirmed",
    }
    text = "id,state\n" + "".join(f"{n},{state}\n" for n, state in enumerate(states))
    columns = {
        "order_id": "id",
        "status": "state",
        "customer_id": {"value": "C"},
        "ordered_on": {"value": "2026-03-01"},
        "net_amount": {"value": 1},
    }
    found = {row[0]: row[1] for row in night(tmp_path, text, columns, "orders")}
    assert found == {str(n): code for n, code in enumerate(states.values())}


def test_a_header_below_a_title_is_found(tmp_path: Path) -> None:
    text = "客户表 2026\n客户编号,名称\nC1,甲\n"
    found = night(
        tmp_path, text, {"customer_id": "客户编号", "customer_name": "名称"}, "customers", of_table={"header_row": 2}
    )
    assert found == [("C1", "甲")]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"column": "a", "value": "b"}, "exactly one of"),
        ({}, "exactly one of"),
        ({"column": "a", "patterns": {"(": "x"}}, "is no regular expression"),
        ({"column": "a", "formats": ["%H:%M"]}, "names no year and day"),
        ({"column": "a", "unit": "x"}, "Extra inputs"),
    ],
)
def test_a_mistake_in_a_column_is_told(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ColumnMapping.model_validate(said)


@pytest.mark.parametrize(
    ("table", "columns", "problem"),
    [
        ("customer", {"customer_id": "a"}, "there is no such input table; did you mean customers?"),
        ("customers", {"customer_id": "a", "fone": "b"}, "customers has no such column; did you mean phone?"),
        ("customers", {"phone": "a"}, "customer_id must be mapped"),
        ("orders", {"status": {"column": "s", "values": {"x": "done!"}}}, "'done!' is none of confirmed, cancelled"),
    ],
)
def test_a_mistake_in_a_table_is_told(table: str, columns: dict[str, Any], problem: str) -> None:
    mapping = TableMapping.model_validate({"files": "x.csv", "columns": columns})
    assert problem in "; ".join(message for _, message in check_columns(table, mapping))


def test_any_native_name_is_landed_under_a_plain_one_of_its_own() -> None:
    names = [
        "order_no",
        "Order No",
        "ORDER_NO",
        "订单号",
        "客户号",
        "a" * 90,
        "select",
        "Übertrag",
        '"; drop',
        "9lives",
    ]
    landed = [landed_name(name) for name in names]
    assert all(IDENTIFIER.match(name) for name in landed)
    assert len(set(landed)) == len(names)
    assert landed[0] == "order_no"


def test_parents_come_before_the_tables_that_refer_to_them() -> None:
    columns = {"customer_id": "c", "order_id": "o", "ordered_on": "d", "net_amount": "n"}
    tables = {
        "orders": TableMapping.model_validate({"table": "o", "columns": columns}),
        "customers": TableMapping.model_validate({"table": "c", "columns": {"customer_id": "c"}}),
    }
    source = mapped_source("erp", tables, label_en="ERP", label_zh="ERP")
    assert [entity.name for entity in source.entities] == ["customers", "orders"]
    assert source.entity("orders").mapped.references() == [("customer_id", "customers")]
