"""Report files: the pointer, the number of run folders that stay, and texts that look like formulas."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from customer_tiering.nightly.journal import JOURNAL
from customer_tiering.report.files import LATEST, REPORT, latest_folder, prune_reports
from customer_tiering.report.page import shown
from customer_tiering.report.spreadsheets import harmless
from customer_tiering.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path)
    made.make()
    return made


def run_folder(workspace: Workspace, name: str, age: int) -> Path:
    """A run's folder whose journal was last written ``age`` seconds after the epoch."""
    folder = workspace.run_folder(name)
    folder.mkdir()
    (folder / JOURNAL).touch()
    os.utime(folder / JOURNAL, (age, age))
    return folder


def test_the_runs_that_were_last_written_stay(workspace: Workspace) -> None:
    """Not the newest nights: an old night that was run again just now is what somebody is looking at."""
    folders = {
        name: run_folder(workspace, name, age)
        for name, age in (("2026-01-01_a", 400), ("2026-01-02_b", 100), ("2026-01-03_c", 300), ("2026-01-04_d", 200))
    }
    other = workspace.reports / "2026-notes"
    other.mkdir()
    assert prune_reports(workspace, 2) == 2
    assert {name for name, folder in folders.items() if folder.exists()} == {"2026-01-01_a", "2026-01-03_c"}
    assert other.exists(), "only folders of runs are pruned"


def test_the_latest_report_is_never_pruned(workspace: Workspace) -> None:
    oldest = run_folder(workspace, "2026-01-01_a", 100)
    (oldest / REPORT).touch()
    (workspace.reports / LATEST).symlink_to(oldest.name)
    for day in (2, 3, 4):
        run_folder(workspace, f"2026-01-0{day}_x", 100 * day)
    assert prune_reports(workspace, 1) == 2
    assert latest_folder(workspace) == oldest.resolve()


def test_there_is_no_latest_report_before_the_first(workspace: Workspace) -> None:
    assert latest_folder(workspace) is None
    (workspace.reports / LATEST).symlink_to("gone")
    assert latest_folder(workspace) is None


@pytest.mark.parametrize("text", ["=1+1", "+86 138****0000", "-5", "@cmd", "\t=1", "\r=1"])
def test_what_begins_like_a_formula_gets_an_apostrophe(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-", "", "Acme = Co", "138****0000", "战略级 / Strategic"])
def test_other_texts_stay(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    ("value", "zh", "en"),
    [
        (1_681_000_000, "16.81 亿", "1.68B"),
        (23_456, "2.35 万", "23.46K"),
        (999, "999", "999"),
        (-120_000, "-12.00 万", "-120.00K"),
    ],
)  # fmt: skip
def test_large_amounts_are_told_in_the_units_of_the_language(value: int, zh: str, en: str) -> None:
    assert tuple(shown(value, "money")) == (zh, en)
