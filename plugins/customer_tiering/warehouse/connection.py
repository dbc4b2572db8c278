"""Opening the warehouse: a file lock first, because DuckDB has one writer and DAG runs may overlap."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import NightBusy, TieringError

_WAIT_SECONDS = 900
_SCHEMA = Path(__file__).with_name("schema.sql")


def warehouse_schema() -> str:
    """SQL that makes the pipeline's own tables where they are missing."""
    return _SCHEMA.read_text(encoding="utf-8")


@contextmanager
def warehouse_lock(workspace: Workspace, wait_seconds: float = _WAIT_SECONDS) -> Iterator[None]:
    """Hold the company's warehouse for one step. The lock ends with its process, so a kill leaves none.

    Raises ``NightBusy`` when another process still holds it after ``wait_seconds``.
    """
    workspace.make()
    lock = FileLock(workspace.warehouse_lock)
    try:
        lock.acquire(timeout=wait_seconds)
    except Timeout as error:
        raise NightBusy(
            f"the warehouse of {workspace.root.name} has been in use by another process for {wait_seconds:.0f} s",
            "wait for that run to end, or stop it; then run the night again",
        ) from error
    try:
        yield
    finally:
        lock.release()


def check_warehouse(workspace: Workspace) -> None:
    """Raises ``TieringError`` when the company has no warehouse: before its first night, or after it was removed."""
    if not workspace.warehouse.exists():
        name = workspace.root.name
        raise TieringError(f"{name} has no warehouse yet", f"run a night first, it makes one: make run PROFILE={name}")


def copy_warehouse(workspace: Workspace, target: Path) -> None:
    """Copy the warehouse between two steps of a night, to compute beside it. Raises ``TieringError``, ``NightBusy``."""
    with warehouse_lock(workspace):
        check_warehouse(workspace)
        shutil.copyfile(workspace.warehouse, target)


@contextmanager
def open_warehouse(workspace: Workspace) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-write connection under the warehouse lock, with the pipeline's own tables in place."""
    with warehouse_lock(workspace):
        try:
            connection = duckdb.connect(str(workspace.warehouse))
        except duckdb.Error as error:
            raise TieringError(
                f"the warehouse {workspace.warehouse} cannot be opened: {str(error).splitlines()[0]}",
                "close the program that holds it; if the file is damaged, move it away: the next run builds it "
                "again from landing, and tier history comes from the published snapshot",
            ) from error
        try:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(warehouse_schema())
            yield connection
        finally:
            connection.close()
