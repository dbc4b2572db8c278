"""``tiering run``, the command behind ``make run``: the real DAG in a real Airflow, from nothing to a summary."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from customer_tiering.company.workspace import Workspace
from customer_tiering.publish.snapshot import last_accepted
from nights import write_profile

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    write_profile(
        root / "profiles",
        "small",
        sample_company={"customers": 40, "years": 1},
        deadline="06:00",
        sources={
            "erp": {"url": "sqlite:///{workspace}/source/erp/erp.sqlite"},
            "crm": {"path": "{workspace}/source/crm"},
            "ticketing": {"path": "{workspace}/source/ticketing"},
        },
    )
    return root


def tiering(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TIERING_VAR": str(root / "var"), "TIERING_PROFILES": str(root / "profiles")}
    return subprocess.run(
        [str(Path(sys.executable).with_name("tiering")), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def test_a_night_and_a_night_too_old(surroundings: Path) -> None:
    """From nothing: the company is made, the night runs and is summarised; an earlier night is refused with a
    message, and what is published stays."""
    first = tiering(surroundings, "run", "--profile", "small")
    assert first.returncode == 0, first.stdout + first.stderr
    for words in (
        "Rows of the night",
        "Customers per tier",
        "Alerts sent",
        "Seconds per step",
        "published/2026-03-30",
        "report.html",
    ):
        assert words in first.stdout
    for step in ("begin", "extract erp", "gate crm", "build", "publish", "alert", "report"):
        assert f"✓ {step}" in first.stdout
    log = surroundings / "var" / "small" / "reports" / "airflow.log"
    assert "Traceback" not in log.read_text(encoding="utf-8")  # Airflow has closed its run too
    workspace = Workspace(surroundings / "var" / "small")
    accepted = last_accepted(workspace)
    assert accepted is not None and accepted.as_of_date == "2026-03-30"
    older = tiering(surroundings, "run", "--profile", "small", "--as-of", "2026-03-29")
    assert older.returncode == 1
    assert "is before the last accepted night 2026-03-30" in older.stderr
    assert "Next step" in older.stderr
    assert last_accepted(workspace) == accepted


def test_a_failing_step_is_named_with_its_next_step_and_nothing_is_published(surroundings: Path) -> None:
    """A source that is not there stops the night before anything is published."""
    write_profile(surroundings / "profiles", "missing", sources={"crm": {"path": "{workspace}/nowhere"}})
    done = tiering(surroundings, "run", "--profile", "missing", "--as-of", "2026-03-30")
    assert done.returncode == 1
    assert "source crm: the folder" in done.stdout
    assert "Next step" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert last_accepted(Workspace(surroundings / "var" / "missing")) is None


def test_nothing_private_left_the_warehouse_and_the_scan_can_fail(surroundings: Path) -> None:
    """Snapshots, reports, Data Docs, workbook, logs and XCom of the nights above; then with planted numbers."""
    clean = tiering(surroundings, "privacy-scan", "--profile", "small")
    assert clean.returncode == 0, clean.stdout
    workspace = Workspace(surroundings / "var" / "small")
    with duckdb.connect(str(workspace.warehouse), read_only=True) as connection:
        row = connection.execute("select max(phone) from raw.crm__contacts where phone is not null").fetchone()
    assert row is not None
    log = workspace.airflow_home / "logs" / "planted.log"
    log.write_text(f"called {row[0]}", encoding="utf-8")
    shape = surroundings / "export.csv"
    shape.write_text("customer,mobile\nC1,138 0013 8000\n", encoding="utf-8")
    found = tiering(surroundings, "privacy-scan", "--profile", "small", str(shape))
    log.unlink()
    assert found.returncode == 1
    assert "planted.log" in found.stdout and "telephone of a source" in found.stdout
    assert "export.csv" in found.stdout and "mobile number" in found.stdout
    assert str(row[0]) not in found.stdout and "138 0013 8000" not in found.stdout
