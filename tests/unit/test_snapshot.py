"""Publishing: a snapshot is whole before the pointer moves, nights move forward, checksums compare contents."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import OrderError, PublishError
from customer_tiering.publish.snapshot import (
    DATABASE,
    MANIFEST,
    Manifest,
    check_order,
    checksums,
    current_folder,
    last_accepted,
    mart_names,
    point_current_to,
    publish,
    read_manifest,
)

MANIFEST_OF_NIGHT = Manifest(
    profile="small",
    as_of_date="2024-01-01",
    run_id="r1",
    rules_version="abc",
    config_hash="def",
    code_version="0.1",
    headline_scheme="value",
    currency="CNY",
    rows={},
)


def night(day: str, run_id: str = "r1") -> Manifest:
    return replace(MANIFEST_OF_NIGHT, as_of_date=day, run_id=run_id)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "var" / "small")


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(
            """
            create schema marts; create schema intermediate;
            create table marts.fct_tiers (customer_id varchar, score decimal(7, 2), tiers varchar[], day date);
            insert into marts.fct_tiers values
                ('C2', 80.5, ['A', '中'], '2024-01-01'), ('C1', null, null, null),
                ('C2', 80.5, ['A', '中'], '2024-01-01');
            create table marts.dim_empty (name varchar);
            create table intermediate.int_private (phone varchar);
            """
        )
        yield connection


def change(connection: duckdb.DuckDBPyConnection, score: float) -> None:
    connection.execute("update marts.fct_tiers set score = ? where customer_id = 'C1'", [score])


def score(folder: Path) -> object:
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        row = connection.execute("select score from marts.fct_tiers where customer_id = 'C1'").fetchone()
    return row and row[0]


def test_a_published_night_has_pointer_manifest_and_every_mart(
    warehouse: duckdb.DuckDBPyConnection, workspace: Workspace
) -> None:
    assert current_folder(workspace) is None
    assert last_accepted(workspace) is None
    folder = publish(warehouse, workspace, night("2024-01-01"), keep=3)
    assert folder == workspace.published / "2024-01-01_r1"
    pointer = workspace.published / "current"
    assert pointer.is_symlink()
    assert pointer.readlink() == Path("2024-01-01_r1"), "relative, so that the folder can be moved or mounted"
    assert current_folder(workspace) == folder.resolve()
    assert sorted(path.name for path in folder.iterdir()) == [
        "dim_empty.parquet", "fct_tiers.parquet", MANIFEST, DATABASE,
    ]  # fmt: skip
    expected = replace(night("2024-01-01"), rows={"dim_empty": 0, "fct_tiers": 3})
    assert read_manifest(folder) == last_accepted(workspace) == expected
    assert json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["as_of_date"] == "2024-01-01"


def test_parquet_and_database_hold_what_the_warehouse_holds_and_nothing_private(
    warehouse: duckdb.DuckDBPyConnection, workspace: Workspace
) -> None:
    folder = publish(warehouse, workspace, night("2024-01-01"), keep=3)
    with duckdb.connect(str(folder / DATABASE), read_only=True) as snapshot:
        tables = snapshot.execute("select schema_name, table_name from duckdb_tables() order by all").fetchall()
        assert tables == [("marts", "dim_empty"), ("marts", "fct_tiers")]
        for _, mart in tables:
            wanted = warehouse.execute(f"select * from marts.{mart} order by all")
            columns, rows = wanted.description, wanted.fetchall()
            for copy in (f"marts.{mart}", f"read_parquet('{folder / mart}.parquet')"):
                got = snapshot.execute(f"select * from {copy} order by all")
                assert got.description == columns
                assert got.fetchall() == rows


def test_the_newest_snapshots_are_kept(warehouse: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    for day in range(1, 6):
        publish(warehouse, workspace, night(f"2024-01-0{day}"), keep=3)
    publish(warehouse, workspace, night("2024-01-05", "r2"), keep=3)
    names = sorted(path.name for path in workspace.published.iterdir())
    # The run that was just replaced stays: a reader may have looked it up a moment ago.
    assert names == ["2024-01-03_r1", "2024-01-04_r1", "2024-01-05_r1", "2024-01-05_r2", "current"]
    folder = current_folder(workspace)
    assert folder is not None
    assert folder.name == "2024-01-05_r2"


def test_what_a_killed_run_left_is_removed(warehouse: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    publish(warehouse, workspace, night("2024-01-01"), keep=3)
    left = workspace.published / ".unfinished-2024-01-02_r1"
    left.mkdir()
    (left / DATABASE).write_bytes(b"half")
    (workspace.published / ".current-new").symlink_to("nowhere")
    publish(warehouse, workspace, night("2024-01-02"), keep=3)
    assert sorted(path.name for path in workspace.published.iterdir()) == [
        "2024-01-01_r1", "2024-01-02_r1", "current",
    ]  # fmt: skip


def test_a_failure_while_writing_leaves_yesterday_in_place(
    warehouse: duckdb.DuckDBPyConnection, workspace: Workspace
) -> None:
    folder = publish(warehouse, workspace, night("2024-01-01"), keep=3)
    before = checksums(folder)
    warehouse.execute("create view marts.broken as select cast(name as integer) as x from (values ('no')) v(name)")
    with pytest.raises(duckdb.Error):
        publish(warehouse, workspace, night("2024-01-02"), keep=3)
    assert current_folder(workspace) == folder.resolve()
    assert checksums(folder) == before
    warehouse.execute("drop view marts.broken")
    assert publish(warehouse, workspace, night("2024-01-02"), keep=3).name == "2024-01-02_r1"


def test_the_same_run_published_again_shows_its_new_marts_and_leaves_the_open_folder_alone(
    warehouse: duckdb.DuckDBPyConnection, workspace: Workspace
) -> None:
    """A step cleared in Airflow after a rebuild runs in the same run."""
    folder = publish(warehouse, workspace, night("2024-01-01"), keep=3)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    change(warehouse, 42)
    again = publish(warehouse, workspace, night("2024-01-01"), keep=3)
    assert again.name == "2024-01-01_r1-2"
    assert current_folder(workspace) == again.resolve()
    assert score(again) == 42
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize("left", ["nothing", "a folder"])
def test_a_lost_pointer_is_an_error_and_no_first_night(
    warehouse: duckdb.DuckDBPyConnection, workspace: Workspace, left: str
) -> None:
    """Tier history would start over, and the order guard would be off."""
    folder = publish(warehouse, workspace, night("2024-01-01"), keep=3)
    (workspace.published / "current").unlink()
    if left == "a folder":
        (workspace.published / "current").mkdir()
    with pytest.raises(PublishError, match="is no longer a link to a snapshot") as caught:
        current_folder(workspace)
    assert folder.name in caught.value.next_step


def test_a_run_killed_between_folder_and_pointer_is_published_by_its_next_try(
    warehouse: duckdb.DuckDBPyConnection, workspace: Workspace
) -> None:
    first = publish(warehouse, workspace, night("2024-01-01"), keep=3)
    second = publish(warehouse, workspace, night("2024-01-02"), keep=3)
    point_current_to(workspace, first)  # as if the second run had been killed before its switch
    change(warehouse, 42)
    assert publish(warehouse, workspace, night("2024-01-02"), keep=3) == second
    assert current_folder(workspace) == second.resolve()
    assert score(second) == 42


def test_a_rerun_of_the_night_replaces_what_is_published(
    warehouse: duckdb.DuckDBPyConnection, workspace: Workspace
) -> None:
    publish(warehouse, workspace, night("2024-01-01"), keep=3)
    change(warehouse, 7)
    folder = publish(warehouse, workspace, night("2024-01-01", "r2"), keep=3)
    assert current_folder(workspace) == folder.resolve()
    assert score(folder) == 7


def test_an_older_night_is_refused(warehouse: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    assert check_order(workspace, date(1999, 1, 1)) is None
    folder = publish(warehouse, workspace, night("2024-01-02"), keep=3)
    with pytest.raises(OrderError) as caught:
        publish(warehouse, workspace, night("2024-01-01"), keep=3)
    assert "2024-01-01 is before the last accepted night 2024-01-02" in caught.value.problem
    assert "2024-01-02" in caught.value.next_step
    assert [path.name for path in workspace.published.iterdir() if path.name != "current"] == [folder.name]
    for day in (date(2024, 1, 2), date(2024, 1, 3)):
        accepted = check_order(workspace, day)
        assert accepted is not None
        assert accepted.night == date(2024, 1, 2)


@pytest.mark.parametrize("target", ["2024-01-09_r9", "2024-01-01_r1"])
def test_a_broken_pointer_is_named_with_the_way_out(
    target: str, warehouse: duckdb.DuckDBPyConnection, workspace: Workspace
) -> None:
    folder = publish(warehouse, workspace, night("2024-01-01"), keep=3)
    if target == folder.name:
        (folder / MANIFEST).unlink()
    else:
        point_current_to(workspace, workspace.published / target)
    with pytest.raises(PublishError) as caught:
        current_folder(workspace)
    assert f"points to {target}, which is no complete snapshot" in caught.value.problem
    assert "ln -sfn" in caught.value.next_step
    with pytest.raises(PublishError):
        publish(warehouse, workspace, night("2024-01-02"), keep=3)


def test_checksums_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    """Publishing sorts the rows, so the snapshots here are written by hand."""
    rows = [(f"C{number}", number % 7) for number in range(500)]
    found = []
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        random.Random(seed).shuffle(rows)  # noqa: S311 - an order, no secret
        with duckdb.connect(str(folder / DATABASE)) as connection:
            connection.execute("create schema marts; create table marts.fct (customer_id varchar, score integer)")
            connection.executemany("insert into marts.fct values (?, ?)", rows)
        found.append(checksums(folder))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    "statement",
    [
        "update marts.fct_tiers set score = 80.51 where customer_id = 'C2'",
        "update marts.fct_tiers set score = 0 where customer_id = 'C1'",
        "update marts.fct_tiers set tiers = ['A', '文'] where customer_id = 'C2'",
        "update marts.fct_tiers set tiers = [] where customer_id = 'C1'",
        "update marts.fct_tiers set day = '2024-01-02' where customer_id = 'C2'",
        "insert into marts.fct_tiers values ('C1', null, null, null)",
        "delete from marts.fct_tiers where customer_id = 'C1'",
        "alter table marts.fct_tiers rename column score to points",
    ],
)
def test_checksums_show_any_change(statement: str, warehouse: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    first = checksums(publish(warehouse, workspace, night("2024-01-01"), keep=3))
    warehouse.execute(statement)
    second = checksums(publish(warehouse, workspace, night("2024-01-02"), keep=3))
    assert first["dim_empty"] == second["dim_empty"]
    assert first["fct_tiers"] != second["fct_tiers"]


def test_checksums_tell_missing_from_the_word_null(workspace: Workspace) -> None:
    found = []
    for day, value in (("2024-01-01", None), ("2024-01-02", "NULL"), ("2024-01-03", "")):
        with duckdb.connect() as connection:
            connection.execute("create schema marts; create table marts.dim (name varchar)")
            connection.execute("insert into marts.dim values (?)", [value])
            found.append(checksums(publish(connection, workspace, night(day), keep=9))["dim"])
    assert len(set(found)) == 3


READER = """
import sys, time, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    query = "select sum(score) from marts.fct_tiers where customer_id = 'C1'"
    print(connection.execute(query).fetchone()[0], flush=True)
    sys.stdin.readline()
    print(connection.execute(query).fetchone()[0], flush=True)
"""


def test_a_reader_of_yesterday_keeps_reading_while_the_pointer_moves(
    warehouse: duckdb.DuckDBPyConnection, workspace: Workspace
) -> None:
    """Another process, as BI would be; its snapshot is even pruned under it."""
    change(warehouse, 1)
    publish(warehouse, workspace, night("2024-01-01"), keep=2)
    path = str(workspace.published / "current" / DATABASE)
    with subprocess.Popen(
        [sys.executable, "-c", READER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == "1.00\n"
        for day in (2, 3, 4):
            change(warehouse, day)
            publish(warehouse, workspace, night(f"2024-01-0{day}"), keep=2)
        assert not (workspace.published / "2024-01-01_r1").exists()
        reader.stdin.write("\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "1.00\n"
    assert reader.returncode == 0
    assert score(workspace.published / "current") == 4


def test_marts_are_listed_by_name(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert mart_names(warehouse) == ["dim_empty", "fct_tiers"]
