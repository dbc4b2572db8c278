"""A corrected mapping corrects what was read before: from landing, or from the source where landing lacks it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gating import AS_OF, Gated, gated

LINES: dict[str, Any] = {
    "order_id": "no",
    "customer_id": "who",
    "ordered_on": {"column": "day", "formats": ["%m/%d/%Y"]},
    "net_amount": "amount",
}


def night(number: int) -> date:
    return AS_OF + timedelta(days=number)


def put(folder: Path, number: int, *lines: str) -> None:
    text = "no,who,day,amount,cost\n" + "\n".join(lines) + "\n"
    (folder / f"lines-{night(number)}.csv").write_text(text, encoding="utf-8")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with gated(tmp_path, "shop", said(tmp_path)) as opened:
        yield opened.connection


def said(folder: Path, **columns: Any) -> dict[str, Any]:
    return {"path": str(folder), "tables": {"order_lines": {"files": "lines-*.csv", "columns": LINES | columns}}}


def test_a_corrected_format_corrects_accepted_rows(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    put(tmp_path, 0, "1,a,05/06/2024,10,4", "2,a,13/06/2024,20,8")
    first = Gated(tmp_path, connection, "shop", said(tmp_path))
    assert first.night(night(0))["order_lines"].rows_quarantined == 1
    assert first.accepted("order_lines", "order_id, ordered_on") == [("1", date(2024, 5, 6))]

    corrected = said(tmp_path, ordered_on={"column": "day", "formats": ["%d/%m/%Y"]})
    account = Gated(tmp_path, connection, "shop", corrected).night(night(1))["order_lines"]
    assert account.warnings == [
        "source shop, entity order_lines: its mapping changed, so all 2 rows that were landed are read anew"
    ]
    both = [("1", date(2024, 6, 5)), ("2", date(2024, 6, 13))]
    assert first.accepted("order_lines", "order_id, ordered_on") == both
    assert connection.execute("select count(*) from quarantine.failures").fetchone() == (0,)
    again = Gated(tmp_path, connection, "shop", corrected).night(night(2))["order_lines"]
    assert (again.rows_in, again.warnings) == (0, []), "once"


def test_a_column_that_is_mapped_later_is_read_from_the_files_that_are_there(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    put(tmp_path, 0, "1,a,05/06/2024,10,4")
    put(tmp_path, 1, "2,a,05/07/2024,20,8", "2,a,05/07/2024,30,9")
    first = Gated(tmp_path, connection, "shop", said(tmp_path))
    first.night(night(1))
    (tmp_path / f"lines-{night(0)}.csv").unlink()

    Gated(tmp_path, connection, "shop", said(tmp_path, cost_amount="cost")).night(night(2))
    # The key of a line is made of its columns: read by both mappings, each line would count twice.
    assert first.accepted("order_lines", "order_id, cast(net_amount as int), cast(cost_amount as int)") == [
        ("1", 10, None),
        ("2", 20, 8),
        ("2", 30, 9),
    ]


def test_a_column_that_is_mapped_later_is_read_from_the_table(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table c (no, name, city, changed)")
        database.executemany(
            "insert into c values (?, ?, 'Ulm', '2026-03-01 08:00:00')", [(n, f"N{n}") for n in range(9)]
        )
    columns = {"customer_id": "no", "customer_name": "name", "updated_at": "changed"}
    tables = {"customers": {"table": "c", "columns": columns}}
    with gated(tmp_path, "erp", {"url": f"sqlite:///{path}", "tables": tables}) as source:
        source.night(night(0))
        tables["customers"] = {"table": "c", "columns": columns | {"region": "city"}}
        later = Gated(tmp_path, source.connection, "erp", {"url": f"sqlite:///{path}", "tables": tables})
        assert later.extract(night(1)).rows == {"customers": 9}
        later.gate(night(1))
        newest = source.connection.execute(
            "select count(*), count(region) from (select * from input_layer.customers "
            "qualify row_number() over (partition by customer_id order by updated_at desc, _load_id desc) = 1)"
        ).fetchone()
        assert newest == (9, 9)
        assert later.night(night(2))["customers"].rows_in == 0
