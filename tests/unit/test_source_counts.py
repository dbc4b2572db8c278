"""Rows at the source are rows in landing, but for a difference that is told: whatever is committed late, deleted,
restated, or dated wrongly."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from customer_tiering.extract.pipeline import ExtractionResult, extract_source
from customer_tiering.inputs.mapping import TableMapping, mapped_source

FIRST, NIGHTS, LOOK_BACK = date(2024, 1, 1), 30, 3
MAPPING = {
    "table": "orders",
    "look_back_days": LOOK_BACK,
    "columns": {
        "order_id": "no",
        "customer_id": "customer",
        "ordered_on": "day",
        "net_amount": "amount",
        "updated_at": "changed",
    },
}
ERP = mapped_source("erp", {"orders": TableMapping.model_validate(MAPPING)}, label_en="ERP", label_zh="ERP")


class Erp:
    """A table of orders and the landing that it is extracted into."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / "erp.sqlite"
        self.run("create table orders (no text, customer text, day text, amount text, changed text)")

    def run(self, statement: str, *values: object) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def add(self, number: int, changed: date | None, amount: int = 1) -> None:
        stamp = f"{changed} 10:00:00" if changed else None
        self.run("insert into orders values (?, 'C', '2024-01-01', ?, ?)", f"N{number}", str(amount), stamp)

    def extract(self, night: date) -> ExtractionResult:
        return extract_source(ERP, f"sqlite:///{self.path}", self.root / "landing", self.root / "state", night)

    def landed(self) -> list[tuple[str, str, str | None]]:
        files = f"{self.root}/landing/erp/orders/*.parquet"
        return duckdb.execute(f"select no, amount, changed from read_parquet('{files}')").fetchall()


@pytest.fixture
def erp(tmp_path: Path) -> Erp:
    return Erp(tmp_path)


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1))
@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking a seed is vain
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_thirty_nights_of_a_careless_source_add_up(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance, erp = random.Random(seed), Erp(tmp_path_factory.mktemp("erp"))  # noqa: S311 - test data
    alive: set[int] = set()
    number = gone = told = 0
    for night in (FIRST + timedelta(days=n) for n in range(NIGHTS)):
        for _ in range(chance.randrange(8)):
            number += 1
            # In time, committed late, dated wrongly by far, or without a time.
            late = chance.choices([0, 2, 40, None], [6, 2, 1, 1])[0]
            erp.add(number, None if late is None else night - timedelta(days=late))
            alive.add(number)
        for victim in chance.sample(sorted(alive), min(len(alive), chance.randrange(3))):
            if chance.random() < 0.5:
                erp.run("delete from orders where no = ?", f"N{victim}")
                alive.discard(victim)
            else:  # restated; the time moves, or was moved within the look-back
                moved = night - timedelta(days=chance.randrange(LOOK_BACK))
                amount = str(chance.randrange(1000))
                erp.run(
                    "update orders set amount = ?, changed = ? where no = ?", amount, f"{moved} 12:00:00", f"N{victim}"
                )
        result = erp.extract(night)
        counted = result.counted["orders"]
        landed = erp.landed()
        ever = {no for no, _, _ in landed}
        assert counted.at_source == len(alive)
        assert counted.landed == len(ever)
        assert {f"N{n}" for n in alive} <= ever, "nothing that is there is missing"
        gone = len(ever) - len(alive)
        assert (counted.missing, counted.gone) == (0, gone), "the difference is what was deleted, and told"
        current = set(erp.run("select no, amount, changed from orders"))
        assert current <= set(landed), "the newest state of every row was landed"
        assert len(landed) == len(set(landed)), "and no state twice"
        told += len(result.warnings)
    assert gone and told, "the source was careless enough to show something"


def test_what_was_committed_late_is_landed_once(erp: Erp) -> None:
    erp.add(1, FIRST)
    erp.extract(FIRST)
    erp.add(2, FIRST - timedelta(days=2))
    result = erp.extract(FIRST + timedelta(days=1))
    assert (result.rows["orders"], result.warnings) == (1, [])
    assert erp.extract(FIRST + timedelta(days=2)).rows["orders"] == 0


def test_a_row_dated_far_back_is_found_by_counting_and_told(erp: Erp) -> None:
    erp.add(1, FIRST)
    erp.extract(FIRST)
    erp.add(2, FIRST - timedelta(days=90))
    result = erp.extract(FIRST + timedelta(days=1))
    assert result.rows["orders"] == 1
    assert "entity orders: 1 rows lay more than its look-back behind the last change" in result.warnings[0]


def test_a_row_without_a_time_is_landed_once(erp: Erp) -> None:
    erp.add(1, None)
    assert [erp.extract(FIRST + timedelta(days=n)).rows["orders"] for n in range(3)] == [1, 0, 0]


def test_copies_that_are_alike_are_landed_as_often_as_they_are_there(erp: Erp) -> None:
    erp.add(1, FIRST)
    erp.add(1, FIRST)
    assert erp.extract(FIRST).rows["orders"] == 2
    erp.add(1, FIRST)
    assert erp.extract(FIRST + timedelta(days=1)).rows["orders"] == 1


def test_a_table_without_a_time_is_read_whole_and_landed_once(erp: Erp) -> None:
    columns = {name: native for name, native in MAPPING["columns"].items() if name != "updated_at"}  # type: ignore[attr-defined]
    mapping = TableMapping.model_validate(MAPPING | {"columns": columns})
    source = mapped_source("erp", {"orders": mapping}, label_en="ERP", label_zh="ERP")
    erp.add(1, None)

    def rows() -> int:
        url = f"sqlite:///{erp.path}"
        return extract_source(source, url, erp.root / "landing", erp.root / "state", FIRST).rows["orders"]

    assert [rows(), rows()] == [1, 0]
    erp.run("update orders set amount = '7'")
    assert rows() == 1
