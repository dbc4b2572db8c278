"""A Postgres as a source: tables of a schema and queries, read by a real timestamp; nothing is read twice or missed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from customer_tiering.cli.main import app
from customer_tiering.company.profile import load_profile
from customer_tiering.errors import ProfileError, SourceError
from gating import Gated, gated
from postgres import Postgres, running_postgres

FIRST, SECOND, THIRD = date(2026, 3, 10), date(2026, 3, 11), date(2026, 3, 12)
CUSTOMERS = {
    "table": "crm.tbl_client",
    "columns": {"customer_id": "client_no", "customer_name": "Client Name", "updated_at": "changed_on"},
}
ORDERS = {
    # A colon, a cast and a percent sign are SQL here, not parameters.
    "query": "select doc_no, client_no, doc_date, amount_net, changed_on, to_char(changed_on, 'HH24:MI:SS') as clock "
    "from sales_doc where kind::text like 'sal%'",
    "deletes": "compare",
    "columns": {
        "order_id": "doc_no",
        "customer_id": "client_no",
        "ordered_on": "doc_date",
        "net_amount": "amount_net",
        "updated_at": "changed_on",
    },
}


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


@pytest.fixture
def postgres(server: Postgres) -> Postgres:
    for statement in (
        "drop schema if exists crm cascade",
        "drop table if exists sales_doc",
        "create schema crm",
        'create table crm.tbl_client (client_no text, "Client Name" text, changed_on timestamptz)',
        "create table sales_doc (doc_no bigint primary key, client_no text, kind varchar(10), doc_date date, "
        "amount_net numeric(12, 2), changed_on timestamp)",
        "insert into crm.tbl_client select 'K' || n, 'Client ' || n, '2026-03-01 09:00+08' "
        "from generate_series(1, 9) n",
        "insert into sales_doc select n, 'K' || (1 + n % 9), case when n % 10 = 0 then 'quote' else 'sale' end, "
        "date '2026-02-01' + n % 28, 1000 + n * 10.5, timestamp '2026-03-01' + n * interval '1 hour' "
        "from generate_series(1, 200) n",
    ):
        server.query(statement)
    return server


@pytest.fixture
def source(postgres: Postgres, tmp_path: Path) -> Iterator[Gated]:
    said: dict[str, Any] = {"url": postgres.url, "tables": {"customers": CUSTOMERS, "orders": ORDERS}}
    with gated(tmp_path, "erp", said) as opened:
        yield opened


def test_every_row_arrives_once(postgres: Postgres, source: Gated) -> None:
    first = source.night(FIRST)
    assert (first["customers"].rows_in, first["orders"].rows_in) == (9, 180)
    assert (
        source.accepted("orders", "sum(net_amount)")[0][0]
        == postgres.query("select sum(amount_net) from sales_doc where kind = 'sale'")[0][0]
    )
    assert source.night(FIRST)["orders"].rows_in == 0, "the look-back reads rows again, and lands them not"

    postgres.query("update sales_doc set amount_net = 1, changed_on = '2026-03-11 10:00' where doc_no = 1")
    postgres.query("insert into sales_doc values (900, 'K1', 'sale', '2026-03-09', 5, '2026-03-08 08:00')")
    postgres.query("delete from sales_doc where doc_no = 2")
    second = source.night(SECOND)["orders"]
    assert second.rows_in == 2, "the change and what was committed late"
    assert second.warnings == ["source erp, entity orders: 1 rows are gone at the source and count no more"]

    postgres.query("insert into sales_doc values (901, 'K1', 'sale', '2026-03-09', 5, '2027-01-01 08:00')")
    assert source.night(THIRD)["orders"].rows_in == 0, "a row of the future waits for its day"


@pytest.mark.parametrize(
    ("table", "said", "problem"),
    [
        ("customers", {"table": "tbl_client"}, "there is no table 'tbl_client' \\(there are: sales_doc\\)"),
        ("orders", {"query": "select doc_no from sales_doc"}, "the query has no column client_no, doc_date"),
        ("orders", {"query": "selec 1"}, "the query cannot be run: syntax error"),
    ],
)
def test_a_wrong_place_is_told(
    table: str, said: dict[str, Any], problem: str, postgres: Postgres, tmp_path: Path
) -> None:
    tables = {"customers": CUSTOMERS, "orders": ORDERS}
    tables[table] = {"columns": tables[table]["columns"]} | said
    with gated(tmp_path, "erp", {"url": postgres.url, "tables": tables}) as source:
        with pytest.raises(SourceError, match=problem) as caught:
            source.extract(FIRST)
        assert "w@rd" not in str(caught.value)
        assert "w%40rd" not in str(caught.value)


def test_init_keeps_the_password_out_of_the_profile(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERING_PROFILES", str(tmp_path / "profiles"))
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("SHOP_DATABASE_URL", "")
    result = CliRunner().invoke(app, ["init", "shop", "--from", postgres.url, "--yes", "--timezone", "Asia/Shanghai"])
    assert result.exit_code == 0, result.output
    text = (tmp_path / "profiles" / "shop.yml").read_text(encoding="utf-8")
    assert "url_from: SHOP_DATABASE_URL" in text
    assert "order_id: doc_no" in text
    assert "w%40rd" not in text + result.output
    assert "export SHOP_DATABASE_URL=" in result.output
    profile = load_profile("shop")
    assert profile.resolve_location("database") == postgres.url
    monkeypatch.delenv("SHOP_DATABASE_URL")
    with pytest.raises(ProfileError, match="source database reads SHOP_DATABASE_URL, and that variable is not set"):
        profile.resolve_location("database")
