"""What ``tiering init`` sees in files and databases, and what it proposes; where it is unsure it asks."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from customer_tiering.errors import SourceError
from customer_tiering.inputs.tables import input_tables
from customer_tiering.onboard.probe import probe
from customer_tiering.onboard.propose import Proposal, propose
from customer_tiering.onboard.templates import write_templates


def workbook(path: Path, *sheets: Sequence[Sequence[Any]], hidden: Sequence[str] = ()) -> Path:
    with xlsxwriter.Workbook(path) as book:
        for number, rows in enumerate(sheets, start=1):
            sheet = book.add_worksheet(f"Sheet{number}")
            for position, row in enumerate(rows):
                sheet.write_row(position, 0, row)
        for name in hidden:
            book.add_worksheet(name).hide()
    return path


def proposals(*places: Path | str, day_first: bool = True, **chosen: str) -> dict[str | None, Proposal]:
    found = [item for place in places for item in probe(str(place))]
    return {proposal.table: proposal for proposal in propose(found, chosen, day_first)}


def rows(names: str, *lines: str) -> str:
    return "\n".join([names, *lines]) + "\n"


def test_a_sheet_with_a_title_and_chinese_names(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "客户资料.xlsx",
        [
            ["某公司客户资料"],
            [],
            ["客户编号", "公司名称", "手机号码", "所属行业", "备注"],
            ["K1", "甲", 13800138000, "机械", ""],
        ],
    )
    (proposal,) = proposals(path).values()
    assert proposal.found.place == {"files": "客户资料.xlsx", "header_row": 3}
    assert proposal.columns == {
        "customer_id": "客户编号", "customer_name": "公司名称", "industry": "所属行业", "phone": "手机号码",
    }  # fmt: skip
    assert proposal.sure


def test_sheets_that_are_hidden_or_empty_are_left_out(tmp_path: Path) -> None:
    customers = [["customer_id", "name"], ["C1", "A"]]
    path = workbook(tmp_path / "all.xlsx", customers, [], hidden=["secret"])
    assert [found.name for found in probe(str(path))] == ["all.xlsx › Sheet1"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encoding_and_delimiter_are_recognised(encoding: str, delimiter: str, tmp_path: Path) -> None:
    text = "订单号,客户编号,日期,金额\nD1,K1,2026-03-01,12\nD2,K2,2026-03-02,13\n".replace(",", delimiter)
    (tmp_path / "orders-20260331.csv").write_bytes(text.encode(encoding))
    proposal = proposals(tmp_path)["orders"]
    place = proposal.found.place
    assert place["files"] == "orders-*.csv", "tomorrow's file is read too"
    assert place.get("encoding", "utf-8") == encoding.removesuffix("-sig")
    assert place.get("delimiter", ",") == delimiter
    assert proposal.columns == {
        "order_id": "订单号",
        "customer_id": "客户编号",
        "ordered_on": "日期",
        "net_amount": "金额",
    }


def test_rows_of_an_order_that_repeat_are_lines(tmp_path: Path) -> None:
    names = "单据编号,单据日期,客户,商品编码,商品名称,数量,单价,金额"
    lines = [f"S{n // 3},2026-03-0{n % 9 + 1},甲公司,P{n},轴承,2,5,10" for n in range(30)]
    (tmp_path / "销售出库明细表.csv").write_text(rows(names, *lines), encoding="utf-8")
    (table, proposal), *_ = proposals(tmp_path).items()
    assert table == "order_lines"
    assert proposal.columns["customer_id"] == "客户"
    assert {"order_id", "ordered_on", "product_id", "quantity", "net_amount"} <= set(proposal.columns)


def test_lines_without_an_order_number_are_orders_of_a_customer_and_day(tmp_path: Path) -> None:
    lines = [f"{n % 4},199701{n % 27 + 1:02},2,{10 + n}.50" for n in range(40)]
    (tmp_path / "purchases.csv").write_text(rows("customer,date,units,amount", *lines), encoding="utf-8")
    proposal = proposals(tmp_path)["order_lines"]
    assert proposal.columns["order_id"] == {"join": ["customer", "date"]}


def test_customers_are_named_by_what_the_tables_share(tmp_path: Path) -> None:
    """The orders name customers by their names, although the list of customers has numbers."""
    (tmp_path / "客户.csv").write_text(rows("客户编号,客户名称,电话", "K1,甲公司,1", "K2,乙公司,2"), encoding="utf-8")
    orders = rows("订单号,客户名称,下单日期,金额", "D1,甲公司,2026-03-01,5", "D2,乙公司,2026-03-02,6")
    (tmp_path / "订单.csv").write_text(orders, encoding="utf-8")
    found = proposals(tmp_path)
    assert found["customers"].columns["customer_id"] == "客户名称"
    assert found["orders"].columns["customer_id"] == "客户名称"


@pytest.mark.parametrize(
    ("days", "day_first", "formats", "asked"),
    [
        (("31/12/2025", "05/06/2026"), True, ["%d/%m/%Y"], False),
        (("12/31/2025", "05/06/2026"), True, ["%m/%d/%Y"], False),
        (("05/06/2026", "07/08/2026"), True, ["%d/%m/%Y"], True),
        (("05/06/2026", "07/08/2026"), False, ["%m/%d/%Y"], True),
        (("31.12.2025", "05.06.2026"), True, ["%d.%m.%Y"], False),
        (("45800", "45900"), True, ["excel"], False),
        (("2026/3/15 9:00", "2026年3月1日"), True, None, False),
    ],
)
def test_dates_that_could_mean_two_days_are_asked_about(
    days: tuple[str, str], day_first: bool, formats: list[str] | None, asked: bool, tmp_path: Path
) -> None:
    lines = [f"D{n},C1,{day},5" for n, day in enumerate(days)]
    (tmp_path / "orders.csv").write_text(rows("order_id,customer_id,order_date,amount", *lines), encoding="utf-8")
    proposal = proposals(tmp_path, day_first=day_first)["orders"]
    said = proposal.columns["ordered_on"]
    assert (said.get("formats") if isinstance(said, dict) else None) == formats
    assert bool(proposal.questions) == asked
    if asked:
        (question,) = proposal.questions
        assert question.flag == "--format orders.ordered_on=" and question.proposal == (formats or [""])[0]


def test_decimal_commas_missing_words_and_unknown_words(tmp_path: Path) -> None:
    text = rows(
        "order_id;customer_id;order_date;amount;status",
        "D1;C1;2026-03-01;1.234,56;paid", "D2;C1;2026-03-02;7,50;verschickt", "D3;C2;2026-03-03;-;paid",
    )  # fmt: skip
    (tmp_path / "orders.csv").write_text(text, encoding="utf-8")
    proposal = proposals(tmp_path)["orders"]
    assert proposal.columns["net_amount"] == {"column": "amount", "decimal": ","}
    assert proposal.missing == ("-",)
    (question,) = proposal.questions
    assert "'verschickt'" in question.text and question.flag == "--value orders.status.verschickt="


def test_a_database_with_names_of_its_own(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "erp.sqlite") as database:
        database.execute("create table t_kunde (kundennr text, name text, telefon text)")
        database.execute(
            "create table T_SALES_ORDER "
            "(order_number text, account_id text, order_date text, total real, modified_at text)"
        )
        database.execute("insert into T_SALES_ORDER values ('1', 'A', '2026-03-01', 5.5, '2026-03-01 10:00:00')")
        database.execute("create table audit_log (id int, line text)")
    found = proposals(f"sqlite:///{tmp_path / 'erp.sqlite'}")
    orders = found["orders"]
    assert orders.found.place == {"table": "T_SALES_ORDER"}
    assert orders.columns["updated_at"] == "modified_at"


def test_templates_are_read_back_as_they_are(tmp_path: Path) -> None:
    """Every table by its sheet, every column by its name; filled with one row that its types read."""
    from openpyxl import load_workbook
    from test_input_types import good

    written = write_templates(tmp_path)
    assert len(written) == len(input_tables())
    assert write_templates(tmp_path) == [], "what somebody filled in is left alone"
    for path, table in zip(written, input_tables().values(), strict=True):
        book = load_workbook(path)
        for position, column in enumerate(table.columns, start=1):
            book.active.cell(2, position).value = good(column, table)
        book.save(path)
    found = {proposal.table: proposal for proposal in propose(probe(str(tmp_path)), {}, True)}
    assert set(found) == set(input_tables())
    for name, proposal in found.items():
        declared = input_tables()[name or ""]
        assert proposal.columns == {column.name: column.label_zh for column in declared.columns}


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda folder: folder / "nothing.xlsx", "there is no file or folder"),
        (lambda folder: folder, "holds no"),
        (lambda folder: _touch(folder / "a.csv"), "is empty"),
        (lambda folder: _touch(folder / "a.pdf"), "is no"),
        (lambda folder: _touch(folder / "a.xlsx"), "cannot be read as a workbook"),
        (lambda folder: f"sqlite:///{folder}/x.sqlite", "there is no database file"),
        (lambda _folder: "nosuch://host/db", "cannot be used"),
    ],
)
def test_what_cannot_be_read_is_told(make: Any, problem: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        probe(str(make(tmp_path)))
    assert problem in caught.value.problem and caught.value.next_step


def _touch(path: Path) -> Path:
    path.touch()
    return path
