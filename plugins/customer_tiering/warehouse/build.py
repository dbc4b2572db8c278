"""Running dbt inside the process: the models, then their tests; nothing is published unless all pass."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import project_root
from customer_tiering.errors import BuildFailed
from customer_tiering.sql import quote
from customer_tiering.warehouse.connection import warehouse_lock

# dbt parses the whole project again (many seconds) when the path of the warehouse is another one than last time. So it
# parses for a name that is never opened, and every warehouse, side copies too, is built from what was parsed once.
_PARSED_FOR = Path("warehouse.duckdb")


@dataclass(frozen=True)
class BuildResult:
    """How many models were built and tests passed."""

    models: int
    tests: int


def build_models(profile: Profile, log_folder: Path, warehouse: Path | None = None) -> BuildResult:
    """Build and test every model, in the company's warehouse or a side copy of it.

    Raises ``BuildFailed`` naming each failing node, its message and where the log is.
    """
    with warehouse_lock(profile.workspace) if warehouse is None else nullcontext():
        result = run_dbt(profile, ["build", "--exclude-resource-type", "unit_test"], log_folder, warehouse)
        _drop_others(warehouse or profile.workspace.warehouse, result)
    return BuildResult(
        models=sum(node.node.resource_type == "model" for node in result),
        tests=sum(node.node.resource_type == "test" for node in result),
    )


def _drop_others(warehouse: Path, results: Any) -> None:
    """Drop what earlier versions of the models left behind: a mart that is no longer a model is not published."""
    built = {(node.node.schema, node.node.alias) for node in results if node.node.resource_type == "model"}
    with duckdb.connect(str(warehouse)) as connection:
        found = connection.execute(
            "select table_schema, table_name, table_type from information_schema.tables "
            "where table_catalog = current_database() and table_schema in (select unnest(?))",
            [sorted({schema for schema, _ in built})],
        ).fetchall()
        for schema, name, kind in found:
            if (schema, name) not in built:
                connection.execute(f"drop {'view' if kind == 'VIEW' else 'table'} {quote(schema, name)}")


def run_dbt(profile: Profile, command: list[str], log_folder: Path, warehouse: Path | None = None) -> Any:
    """Run a dbt command on the profile's warehouse (or a copy of it); returns dbt's node results.

    Raises ``BuildFailed``.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    project = str(project_root() / "dbt_project")
    options = [
        *("--project-dir", project, "--profiles-dir", project, "--log-path", str(log_folder)),
        *("--log-level", "none", "--log-level-file", "info", "--no-print", "--no-use-colors"),
    ]
    with _environment(_PARSED_FOR):
        outcome: Any = dbtRunner().invoke(["parse", *options, "--target-path", str(parsed_project(profile))])
    if outcome.success:
        with _environment(warehouse or profile.workspace.warehouse):
            try:
                outcome = dbtRunner(manifest=outcome.result).invoke(
                    [*command, *options, "--target-path", str(profile.workspace.dbt_target)]
                )
            finally:
                # dbt keeps the file open in this process; the next step opens it with other settings.
                DuckDBConnectionManager.close_all_connections()
    if outcome.success:
        return outcome.result
    failures = [
        f"{node.node.resource_type} {node.node.name}: {_first_line(node.message)}"
        for node in getattr(outcome.result, "results", None) or []
        if node.status in ("error", "fail")
    ]
    if not failures:
        failures = [_first_line(str(outcome.exception or "dbt stopped without a message"))]
    raise BuildFailed(
        f"profile {profile.name}: the models were not accepted; nothing is published:\n  - " + "\n  - ".join(failures),
        f"see {log_folder / 'dbt.log'}; fix the model or the data and run the night again",
    )


def parsed_project(profile: Profile) -> Path:
    """Where the parsed project is kept: with the warehouse, or in ``TIERING_DBT_CACHE`` for several companies."""
    shared = os.environ.get("TIERING_DBT_CACHE")
    return Path(shared) if shared else profile.workspace.dbt_target


def _first_line(message: str | None) -> str:
    lines = [line.strip() for line in (message or "").splitlines() if line.strip()]
    return " ".join(lines[:3])


@contextmanager
def _environment(warehouse: Path) -> Iterator[None]:
    """dbt reads the warehouse's path from the environment; telemetry stays off."""
    wanted = {
        "TIERING_WAREHOUSE": str(warehouse),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
