"""The walk of docs/add-a-source.md: the profile is taken from the page itself, and a night runs on exports written
here."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.warehouse.connection import open_warehouse
from nights import mart_rows, run_night

pytestmark = pytest.mark.slow
FILE_BLOCK = re.compile(r"^`profiles/([^`\n]+)`:\n\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CUSTOMERS = """客户编号,客户名称,手机号,更新时间
K001,江南茶行,138 1234 5678,2026-03-30 08:00:00
K002,北方书店,无,2026-03-30 08:00:00
K003 ,城西花店,微信13900001111,2026/3/30 8:00
"""
ORDERS = """订单编号,客户编号,下单日期,状态,金额,更新时间
D1,K001,2026/3/5,已完成,"1,200.50",2026-03-30 08:00:00
D2,K001,2026-03-20,已完成,¥300,2026-03-30 08:00:00
D3,K001,2026-03-21,已取消,9999,2026-03-30 08:00:00
D4,K002,20260301,已完成,88.80,2026-03-30 08:00:00
D5,K009,2026-03-22,已完成,70,2026-03-30 08:00:00
D6,K002,2026-02-30,已完成,60,2026-03-30 08:00:00
D7,K002
D8,K003,2026-03-22,开心,50,2026-03-30 08:00:00
"""


def test_the_page_adds_a_source_whose_bad_rows_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (project_root() / "docs" / "add-a-source.md").read_text(encoding="utf-8")
    ((name, content),) = FILE_BLOCK.findall(page)
    profiles, data = tmp_path / "profiles", tmp_path / "data"
    for folder in (profiles, data):
        folder.mkdir()
    (profiles / name).write_text(content, encoding="utf-8")
    for export, text in (("客户-20260330.csv", CUSTOMERS), ("订单-20260330.csv", ORDERS)):
        (data / export).write_bytes(text.encode("gb18030"))
    monkeypatch.setenv("TIERING_PROFILES", str(profiles))
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("TIERING_DATA", str(data))

    workspace = run_night("corner_shop", date(2026, 3, 30)).workspace

    published = mart_rows(
        workspace,
        "select d.customer_name, d.phone_masked, i.order_frequency, i.cumulative_spend, t.effective_tier "
        "from dim_customers d join fct_customer_indicators i using (customer_id) "
        "join fct_customer_tiers t on t.customer_id = d.customer_id and t.scheme = 'spend_abc' order by 4 desc",
    )
    assert [tuple(row.values())[:4] for row in published if row["order_frequency"]] == [
        ("江南茶行", "138****5678", 2, Decimal("1500.50")),
        ("北方书店", None, 1, Decimal("88.80")),
    ]
    assert all(row["effective_tier"] for row in published if row["order_frequency"])

    with open_warehouse(workspace) as connection:
        failures = connection.execute(
            "select f.rule, f.offending_value, f.reason_zh, coalesce(o.order_id, o._malformed) "
            "from quarantine.failures f join quarantine.corner_shop__orders o on f.row_id = o._row_id"
        ).fetchall()
    no_date = "下单日期不是可识别的日期;若有固定格式,请在映射中声明 formats"
    assert {
        ("corner_shop.orders.customer_id_exists", "K009", "客户编号不存在或未被接受", "D5"),
        ("corner_shop.orders.ordered_on_readable", "2026-02-30", no_date, "D6"),
        ("corner_shop.orders.row_well_formed", None, "该行无法读取、字段数不符,或是合计行", "D7,K002"),
    } <= set(failures)
    assert {row for *_, row in failures} == {"D5", "D6", "D7,K002", "D8"}
    unknown = next(reason for rule, _, reason, _ in failures if rule == "corner_shop.orders.status_readable")
    assert "confirmed (已确认)" in unknown

    for number in ("13812345678", "138 1234 5678", "13900001111"):
        assert not tables_with(workspace, number)
    assert tables_with(workspace, "138****5678") == ["dim_customers"]


def tables_with(workspace: Workspace, text: str) -> list[str]:
    """Published tables that show a text in any column."""
    (database,) = (workspace.published / "current").glob("*.duckdb")
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        assert len(tables) > 10
        return [
            name
            for schema, name in tables
            if connection.execute(
                f'select count(*) from "{schema}"."{name}" t where contains(cast(t as varchar), ?)', [text]
            ).fetchone()
            != (0,)
        ]
