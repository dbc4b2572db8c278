"""Rows that are gone at the source count no more, are told, and come back when they come back; a source that lost much
holds the night."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from customer_tiering.errors import GateBlocked
from gating import AS_OF, Gated, gated

COLUMNS = {"customer_id": "no", "customer_name": "name"}


def night(number: int) -> date:
    return AS_OF + timedelta(days=number)


def alive(source: Gated) -> set[str]:
    """What the staging models would count: the last version of each key, unless it says that it is gone."""
    rows = source.connection.execute(
        "select customer_id, _is_deleted from (select *, row_number() over (partition by customer_id "
        "order by updated_at desc nulls last, _load_id desc, _row_number desc) as rank from input_layer.customers "
        "where not _is_merged) where rank = 1"
    ).fetchall()
    return {customer for customer, is_deleted in rows if not is_deleted}


class Files:
    """Full exports of a list of customers, one a day."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: dict[str, Any] = {
            "path": str(folder),
            "tables": {"customers": {"files": "c-*.csv", "deletes": "compare", "columns": COLUMNS}},
        }

    def put(self, number: int, customers: list[int]) -> None:
        text = "no,name\n" + "".join(f"C{n},N{n}\n" for n in customers)
        (self.folder / f"c-{night(number)}.csv").write_text(text, encoding="utf-8")


class Table:
    """A table of customers without a time of change."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "erp.sqlite"
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("create table c (no, name)")
        self.said: dict[str, Any] = {
            "url": f"sqlite:///{self.path}",
            "tables": {"customers": {"table": "c", "deletes": "compare", "columns": COLUMNS}},
        }

    def put(self, _number: int, customers: list[int]) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute("delete from c")
            database.executemany("insert into c values (?, ?)", [(f"C{n}", f"N{n}") for n in customers])


@pytest.fixture(params=[Files, Table])
def exports(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return request.param(tmp_path)


@pytest.fixture
def source(exports: Any, tmp_path: Path) -> Iterator[Gated]:
    with gated(tmp_path, "crm", exports.said) as opened:
        yield opened


def test_what_is_gone_counts_no_more_and_comes_back(exports: Any, source: Gated) -> None:
    everybody = list(range(20))
    exports.put(0, everybody)
    source.night(night(0))
    assert len(alive(source)) == 20
    exports.put(1, everybody[2:])
    account = source.night(night(1))["customers"]
    assert account.warnings == ["source crm, entity customers: 2 rows are gone at the source and count no more"]
    assert alive(source) == {f"C{n}" for n in everybody[2:]}
    exports.put(2, everybody[2:])
    assert source.night(night(2))["customers"].warnings == [], "told once"
    exports.put(3, everybody[1:])
    source.night(night(3))
    assert alive(source) == {f"C{n}" for n in everybody[1:]}, "C1 is back, in the same words"
    exports.put(4, everybody[2:])
    source.night(night(4))
    assert alive(source) == {f"C{n}" for n in everybody[2:]}, "and gone again"


def test_an_export_that_lost_much_holds_the_night(exports: Any, source: Gated) -> None:
    exports.put(0, list(range(40)))
    source.night(night(0))
    exports.put(1, list(range(10)))
    source.extract(night(1))
    with pytest.raises(GateBlocked, match="30 of 40 rows are no longer there, more than the 20% allowed"):
        source.gate(night(1))
    assert len(alive(source)) == 40
