"""From two workbooks as a sales assistant keeps them to tiers: ``tiering init`` and a night, no editor."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from click.testing import Result
from typer.testing import CliRunner

from customer_tiering.cli.main import app
from customer_tiering.company.profile import load_profile
from nights import mart_rows, run_night

NIGHT = date(2026, 3, 30)
COMPANIES = [f"{city}{name}有限公司" for city in ("上海", "苏州") for name in ("晨达", "安泰", "宏图", "金源", "远航")]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIERING_PROFILES", str(tmp_path / "profiles"))
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["init", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def done(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return " ".join(result.stdout.split())


def refused(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 1
    return " ".join(result.stderr.split())


def write_customers(path: Path) -> None:
    """A merged title, numbers as phones, two spellings of a date, one customer twice, a total."""
    with xlsxwriter.Workbook(path) as book:
        sheet, day = book.add_worksheet("客户"), book.add_format({"num_format": "yyyy/m/d"})
        sheet.merge_range(0, 0, 0, 4, "客户资料 2026")
        sheet.write_row(1, 0, ["客户编号", "客户名称", "联系电话", "负责人", "建档日期"])
        for number, name in enumerate([*COMPANIES, COMPANIES[0]], start=2):
            sheet.write_row(number, 0, [f"K{number}", name])
            sheet.write_number(number, 2, 13800138000 + number)
            sheet.write_string(number, 3, "王丽")
            if number % 2:
                sheet.write_datetime(number, 4, datetime(2024, 3, number), day)
            else:
                sheet.write_string(number, 4, f"2024.3.{number}")
        sheet.write_row(number + 1, 0, ["合计", f"{len(COMPANIES)}家"])


def write_orders(path: Path) -> dict[str, Decimal]:
    """Dates in four forms, amounts with signs, an order twice, one cancelled, a total; spend by customer."""
    spend: dict[str, Decimal] = defaultdict(Decimal)
    with xlsxwriter.Workbook(path) as book:
        sheet, day = book.add_worksheet("Sheet1"), book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, ["订单号", "客户名称", "下单日期", "金额(元)", "订单状态"])
        line = 1
        for number in range(60):
            name = COMPANIES[min(number % 13, number % 10)]
            ordered, amount = NIGHT - timedelta(days=5 * number), Decimal(1000 + 37 * number)
            state = "已取消" if number % 20 == 19 else "已完成"
            for _ in range(2 if number == 7 else 1):
                sheet.write_row(line, 0, [f"D{number:04}", name])
                forms = (
                    ordered.isoformat(),
                    f"{ordered.year}/{ordered.month}/{ordered.day}",
                    None,
                    f"{ordered:%Y%m%d}",
                )
                if text := forms[number % 4]:
                    sheet.write_string(line, 2, text)
                else:
                    sheet.write_datetime(line, 2, datetime.combine(ordered, datetime.min.time()), day)
                sheet.write_string(line, 3, f"¥{amount:,.2f}" if number % 3 else str(amount))
                sheet.write_string(line, 4, state)
                line += 1
            spend[name] += amount if state == "已完成" else 0
        sheet.write_row(line, 0, ["合计", "", "", 99999999])
    return spend


@pytest.mark.slow
def test_two_workbooks_become_tiers_without_an_editor(home: Path) -> None:
    write_customers(home / "客户.xlsx")
    spend = write_orders(home / "订单.xlsx")
    said = done("acme", "--from", str(home / "客户.xlsx"), "--from", str(home / "订单.xlsx"), "--yes")
    assert "files.customers: 12 rows, 10 kept, 1 merged (came twice), 1 kept out" in said
    assert "files.orders: 62 rows, 60 kept, 1 merged (came twice), 1 kept out" in said
    assert "Next step 下一步: make run PROFILE=acme" in said
    assert "138****" in said and "13800138" not in said, "the preview shows nothing private"
    profile = load_profile("acme")
    assert (profile.currency, profile.timezone, profile.headline_scheme) == ("CNY", "Asia/Shanghai", "spend_abc")

    workspace = run_night("acme", NIGHT).workspace
    published = mart_rows(
        workspace,
        "select d.customer_name, i.annual_spend, t.effective_tier from dim_customers d "
        "join fct_customer_indicators i using (customer_id) join fct_customer_tiers t using (customer_id) "
        "where t.scheme = 'spend_abc'",
    )
    assert {row["customer_name"]: row["annual_spend"] for row in published} == spend
    assert {row["effective_tier"] for row in published} == {"A", "B", "C"}, "the cuts fit the company's own spend"

    assert "there is a profile" in refused("acme", "--from", str(home / "客户.xlsx"))


def test_one_sheet_of_order_lines_is_enough(home: Path) -> None:
    lines = [f"S{n // 2},2026/3/{n % 28 + 1},{COMPANIES[n % 7]},P{n % 5},轴承,{n % 4 + 1},25" for n in range(80)]
    text = "\n".join(["单据编号,单据日期,客户,商品编码,商品名称,数量,单价", *lines]) + "\n"
    (home / "明细.csv").write_bytes(text.encode("gb18030"))
    said = done("shop", "--from", str(home / "明细.csv"), "--yes")
    assert "order_lines 订单明细" in said and "80 kept" in said
    assert "customers are those who buy" in said
    order_lines = load_profile("shop").sources["files"].tables["order_lines"]
    assert order_lines.encoding == "gb18030"
    assert order_lines.columns["net_amount"].product == ("数量", "单价")


def test_every_question_has_a_flag(home: Path) -> None:
    text = "nr,who,when,sum,state\n1,A,05/06/2025,10,verschickt\n2,B,07/08/2025,20,paid\n"
    (home / "x.csv").write_text(text, encoding="utf-8")
    place = ("--from", str(home / "x.csv"), "--yes")
    assert "none of this is a list of customers or of orders" in refused("a", *place)
    columns: list[str] = []
    for name, native in {"order_id": "nr", "customer_id": "who", "ordered_on": "when", "net_amount": "sum"}.items():
        columns += ["--column", f"orders.{name}={native}"]
    flags = (*place, "--table", "x.csv=orders", *columns, "--column", "orders.status=state")
    said = done("a", *flags, "--format", "orders.ordered_on=%m/%d/%Y", "--value", "orders.status.verschickt=confirmed",
                "--currency", "EUR", "--timezone", "Europe/Berlin", "--headline", "top_decile")  # fmt: skip
    assert "ordered_on=2025-05-06" in said and "status=confirmed" in said
    profile = load_profile("a")
    assert (profile.currency, profile.timezone, profile.headline_scheme) == ("EUR", "Europe/Berlin", "top_decile")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "say what the company is to be called"),
        (("A B",), "'A B' is no name of a company"),
        (("acme",), "say where the data is"),
        (("acme", "--from", "nowhere.xlsx"), "there is no file or folder nowhere.xlsx"),
        (("acme", "--from", "{home}", "--timezone", "Mars/Olympus"), "unknown time zone"),
        (("acme", "--from", "{home}", "--table", "y.csv=orders"), "there is no y.csv"),
        (("acme", "--from", "{home}", "--table", "x.csv=order"), "no input table 'order'"),
        (("acme", "--from", "{home}", "--table", "x.csv=orders", "--column", "orders.nr=x"), "orders has no column nr"),
        (("acme", "--from", "{home}", "--table", "x.csv=orders", "--column", "orders.order_id=x"), "has no column x"),
        (("acme", "--from", "{home}", "--table", "x.csv=orders"), "must be mapped"),
    ],
)
def test_a_mistake_is_told_and_leaves_no_profile(arguments: tuple[str, ...], problem: str, home: Path) -> None:
    (home / "x.csv").write_text("nr,who\n1,A\n", encoding="utf-8")
    said: list[Any] = [argument.format(home=home) for argument in arguments]
    assert problem in refused(*said, "--yes")
    assert not (home / "profiles" / "acme.yml").exists()


def test_a_source_is_checked(home: Path) -> None:
    (home / "订单.csv").write_text(
        "订单号,客户,日期,金额\n1,A,2026-03-01,5\n2,B,soon,6\n3,A,2026-03-02,5\n4,B,2026-03-02,5\n", encoding="utf-8"
    )
    done("acme", "--from", str(home), "--yes")
    result = CliRunner().invoke(app, ["source", "check", "files", "-p", "acme"])
    assert result.exit_code == 0, result.stderr
    said = " ".join(result.stdout.split())
    assert "订单号 100% 0% key order_id" in said
    assert "✗ kept out 1: the order date cannot be read as a date" in said
    assert "has no source 'nope'" in CliRunner().invoke(app, ["source", "check", "nope", "-p", "acme"]).stderr
