"""Databases as sources: readable refusals, every row landed exactly once, unfinished loads invisible."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from customer_tiering.errors import SourceError
from customer_tiering.extract.landing import Load, completed_loads, load_files
from customer_tiering.extract.pipeline import ExtractionResult, extract_source
from customer_tiering.extract.sql import check_tables
from customer_tiering.sources.base import FILE_COLUMN, LOAD_COLUMN, MALFORMED_COLUMN, ROW_COLUMN, Entity, Source

AS_OF = date(2024, 1, 31)


def entity(name: str = "orders", **options: Any) -> Entity:
    declared: dict[str, Any] = {
        "table": name,
        "cursor": "updated_at",
        "columns": ("order_no", "amount", "updated_at"),
    }
    return Entity(name=name, **(declared | options))


def source(*entities: Entity) -> Source:
    return Source("erp", "ERP", "ERP", entities or (entity(),))


class Shop:
    """A small database and the landing it is extracted into."""

    def __init__(self, root: Path) -> None:
        self.path = root / "shop.sqlite"
        self.landing = root / "landing"
        self.state = root / "landing" / ".dlt"
        self.sql("create table orders (order_no text, amount numeric, updated_at text, secret text)")

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def sql(self, statement: str, *rows: tuple[Any, ...]) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            if rows:
                connection.executemany(statement, rows)
            else:
                connection.execute(statement)

    def add(self, *rows: tuple[Any, ...]) -> None:
        self.sql("insert into orders (order_no, amount, updated_at) values (?, ?, ?)", *rows)

    def extract(self, *entities: Entity) -> ExtractionResult:
        return extract_source(source(*entities), self.url, self.landing, self.state, AS_OF)

    def landed(self, of: Entity | None = None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for load in completed_loads(self.landing, "erp"):
            for path in load_files(self.landing, of or entity(), load):
                rows += pq.read_table(path).to_pylist()
        return rows

    def landed_values(self) -> Counter[tuple[Any, ...]]:
        return Counter((row["order_no"], row["amount"], row["updated_at"]) for row in self.landed())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield Shop(tmp_path)


# --- refusals -----------------------------------------------------------------------------------------------


def test_a_database_file_that_does_not_exist_is_named_and_not_created(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite"
    with pytest.raises(SourceError) as caught:
        extract_source(source(), f"sqlite:///{path}", tmp_path / "landing", tmp_path / "state", AS_OF)
    assert caught.value.problem == f"source erp: the database file {path} does not exist or is empty"
    assert not path.exists()


def test_a_missing_table_is_named_with_those_that_are_there(shop: Shop) -> None:
    with pytest.raises(SourceError) as caught:
        shop.extract(entity(), entity("payments"))
    assert "source erp, entity payments: there is no table 'payments' (there are: orders)" in caught.value.problem
    assert completed_loads(shop.landing, "erp") == []


def test_a_missing_column_is_named_with_those_that_are_there(shop: Shop) -> None:
    with pytest.raises(SourceError) as caught:
        shop.extract(entity(columns=("order_no", "amount", "currency", "updated_at")))
    assert (
        "source erp, entity orders: table orders has no column currency (it has: amount, order_no, secret, updated_at)"
    ) in caught.value.problem
    assert "mapping of the source in the profile" in caught.value.next_step


def test_a_required_table_that_never_had_a_row_is_refused_until_it_has(shop: Shop) -> None:
    with pytest.raises(SourceError, match="entity orders: it is empty; not one row was ever landed"):
        shop.extract()
    assert shop.extract(entity(required=False)).rows == {"orders": 0}
    shop.add(("A1", 1, "2024-01-01"))
    assert shop.extract().rows == {"orders": 1}
    assert shop.extract().rows == {"orders": 0}, "a night without news is no mistake once there were rows"


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    path.write_text("this is no database, but long enough to look like one" * 50)
    with pytest.raises(SourceError, match=r"the database sqlite:.* cannot be read: file is not a database"):
        check_tables(source(), f"sqlite:///{path}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:hunter2@127.0.0.1:1/erp",
        "mysql+pymysql://reader:hunter2@127.0.0.1:1/erp",
        "nosuchdatabase://reader:hunter2@127.0.0.1:1/erp",
        "postgresql://reader:hunter2@127.0.0.1:port/erp",
        "not a url://reader:hunter2@127.0.0.1/erp",
        "sqlite:////nowhere/erp.sqlite?password=hunter2",
    ],
)
def test_an_unreachable_database_is_a_readable_error_without_the_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        extract_source(source(), url, tmp_path / "landing", tmp_path / "state", AS_OF)
    assert caught.value.problem.startswith("source erp: ")
    assert "hunter2" not in str(caught.value)


def test_a_failure_while_reading_names_the_source_and_lands_nothing(shop: Shop) -> None:
    shop.add(("A1", 1, "2024-01-01"))
    shop.sql("alter table orders rename to rows_of_orders")
    # A view whose columns can be listed, but not read.
    shop.sql("create view orders as select order_no, json(order_no) as amount, updated_at from rows_of_orders")
    with pytest.raises(SourceError, match=r"source erp: extraction failed: .*malformed JSON"):
        shop.extract()
    assert completed_loads(shop.landing, "erp") == []
    shop.sql("drop view orders")
    shop.sql("create view orders as select order_no, amount, updated_at from rows_of_orders")
    assert shop.extract().rows == {"orders": 1}


# --- what is landed -----------------------------------------------------------------------------------------


def test_rows_are_landed_as_text_with_their_origin(shop: Shop) -> None:
    shop.add(("007", 1.5, "2024-01-01"), ("A2", None, "2024-01-02"), ("A3", 3, "2024-01-03"))
    (load_id,) = shop.extract().load_ids
    rows = sorted(shop.landed(), key=lambda row: row[ROW_COLUMN])
    assert [list(row) for row in rows] == [
        ["order_no", "amount", "updated_at", FILE_COLUMN, ROW_COLUMN, MALFORMED_COLUMN, LOAD_COLUMN]
    ] * 3, "undeclared columns stay in the database"
    assert [(row["order_no"], row["amount"]) for row in rows] == [("007", "1.5"), ("A2", None), ("A3", "3")]
    assert [row[ROW_COLUMN] for row in rows] == [1, 2, 3]
    assert {(row[FILE_COLUMN], row[MALFORMED_COLUMN], row[LOAD_COLUMN]) for row in rows} == {("orders", None, load_id)}


def test_columns_may_have_other_names_in_the_table(shop: Shop) -> None:
    shop.sql('create table bills ("订单编号" text, "金额" numeric, updated_at text)')
    shop.sql("insert into bills values ('B1', 2, '2024-01-01')")
    bills = entity("bills", headers={"order_no": "订单编号", "amount": "金额"})
    shop.extract(bills)
    assert [(row["order_no"], row["amount"], row["updated_at"]) for row in shop.landed(bills)] == [
        ("B1", "2", "2024-01-01")
    ]


def test_nothing_is_landed_twice_and_late_rows_of_the_same_moment_exactly_once(shop: Shop) -> None:
    shop.add(("A1", 1, "2024-01-01"), ("A2", 1, "2024-01-02"), ("A3", 1, "2024-01-02"))
    assert shop.extract().rows == {"orders": 3}
    assert shop.extract().rows == {"orders": 0}
    shop.add(("A4", 1, "2024-01-02"))
    assert shop.extract().rows == {"orders": 1}, "its cursor equals the last one landed"
    shop.add(("A5", 1, "2024-01-02"), ("A6", 1, "2024-01-03"))
    assert shop.extract().rows == {"orders": 2}
    assert shop.extract().rows == {"orders": 0}
    assert shop.landed_values() == Counter(
        [
            ("A1", "1", "2024-01-01"),
            *((f"A{n}", "1", "2024-01-02") for n in (2, 3, 4, 5)),
            ("A6", "1", "2024-01-03"),
        ]
    )


def test_row_ids_are_unique_over_all_loads(shop: Shop) -> None:
    for day in range(1, 5):
        shop.add(*((f"{day}-{n}", n, f"2024-01-0{day}") for n in range(3)))
        shop.extract()
    ids = [(row[LOAD_COLUMN], row[ROW_COLUMN]) for row in shop.landed()]
    assert len(ids) == len(set(ids)) == 12


def test_an_updated_row_is_landed_as_a_new_version(shop: Shop) -> None:
    shop.add(("A1", 1, "2024-01-01"), ("A2", 1, "2024-01-01"))
    shop.extract()
    shop.sql("update orders set amount = 9, updated_at = '2024-01-05' where order_no = 'A1'")
    assert shop.extract().rows == {"orders": 1}
    assert sorted(row for row in shop.landed_values() if row[0] == "A1") == [
        ("A1", "1", "2024-01-01"),
        ("A1", "9", "2024-01-05"),
    ]


def test_an_update_time_of_the_future_is_reported_and_hides_no_other_row(shop: Shop) -> None:
    """A cursor that followed a mistyped year would never read the rows of the days between."""
    shop.add(("A1", 1, "2024-01-01"), ("A2", 1, "2099-01-01"))
    first = shop.extract()
    assert first.rows == {"orders": 1}
    assert "1 rows lie past" in first.warnings[0]
    shop.add(("A3", 1, "2024-01-02"))
    assert shop.extract().rows == {"orders": 1}
    shop.sql("update orders set updated_at = '2024-01-03' where order_no = 'A2'")
    last = shop.extract()
    assert (last.rows, last.warnings) == ({"orders": 1}, [])
    assert {row[0] for row in shop.landed_values()} == {"A1", "A2", "A3"}


def test_rows_without_a_cursor_value_are_landed(shop: Shop) -> None:
    shop.add(("A1", 1, "2024-01-01"), ("A2", 1, None))
    assert shop.extract().rows == {"orders": 2}
    assert shop.landed_values() == Counter([("A1", "1", "2024-01-01"), ("A2", "1", None)])


def test_entities_of_one_database_keep_their_own_cursor(shop: Shop) -> None:
    shop.sql("create table payments (order_no text, amount numeric, updated_at text)")
    shop.sql("insert into payments values ('A1', 1, '2024-01-09')")
    shop.add(("A1", 1, "2024-01-01"))
    both = (entity(), entity("payments"))
    assert shop.extract(*both).rows == {"orders": 1, "payments": 1}
    shop.add(("A2", 1, "2024-01-02"))
    assert shop.extract(*both).rows == {"orders": 1, "payments": 0}


# --- which loads exist --------------------------------------------------------------------------------------


def test_a_load_without_the_completed_mark_is_invisible(shop: Shop) -> None:
    shop.add(("A1", 1, "2024-01-01"))
    (load_id,) = shop.extract().load_ids
    assert completed_loads(shop.landing, "erp") == [Load("erp", load_id)]
    marks = list((shop.landing / "erp" / "_dlt_loads").glob("*.jsonl*"))
    for mark in marks:
        mark.unlink()
    assert marks
    assert completed_loads(shop.landing, "erp") == []
    assert shop.landed() == []


def test_loads_are_read_plain_or_gzipped_and_come_oldest_first(tmp_path: Path) -> None:
    folder = tmp_path / "erp" / "_dlt_loads"
    folder.mkdir(parents=True)

    def mark(name: str, *rows: dict[str, Any]) -> None:
        raw = "\n".join(json.dumps(row) for row in rows).encode() + b"\n\n"
        (folder / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)

    mark("a.jsonl", {"load_id": "100.5", "status": 0}, {"load_id": "99.5", "status": 0})
    mark("b.jsonl.gz", {"load_id": "1000.25", "status": 0})
    mark("c.jsonl", {"load_id": "1001.0", "status": 1}, {"load_id": "1002.0"})
    assert [load.load_id for load in completed_loads(tmp_path, "erp")] == ["99.5", "100.5", "1000.25"]
    assert completed_loads(tmp_path, "crm") == []


def test_a_load_that_was_killed_before_its_mark_is_finished_by_the_next_run(shop: Shop) -> None:
    """The rows lie in a normalised package; the next run loads them, and tonight's rows as well."""
    import dlt
    from dlt.destinations import filesystem

    from customer_tiering.extract import pipeline as module

    shop.add(("A1", 1, "2024-01-01"))
    left = dlt.pipeline(
        pipeline_name="landing_erp",
        destination=filesystem(
            bucket_url=shop.landing.as_uri(),
            layout="{table_name}/{load_id}.{file_id}.{ext}",
            kwargs={"auto_mkdir": True},
        ),
        dataset_name="erp",
        pipelines_dir=str(shop.state),
    )
    left.extract(module._dlt_source(source(), shop.url, shop.landing, AS_OF), loader_file_format="parquet")
    left.normalize()
    assert completed_loads(shop.landing, "erp") == []

    shop.add(("A2", 1, "2024-01-02"))
    result = shop.extract()
    assert len(result.recovered) == 1
    assert result.rows == {"orders": 2}
    assert shop.landed_values() == Counter([("A1", "1", "2024-01-01"), ("A2", "1", "2024-01-02")])
