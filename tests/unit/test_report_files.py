"""Report files: the pointer, the number of run folders that stay, and texts that look like formulas."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import openpyxl
import pytest
import xlsxwriter

from customer_tiering.company.journal import JOURNAL
from customer_tiering.company.workspace import Workspace
from customer_tiering.report.figures import AVERAGE_MARGIN
from customer_tiering.report.files import LATEST, REPORT, latest_folder, prune_reports
from customer_tiering.report.page import shown
from customer_tiering.report.spreadsheets import harmless
from customer_tiering.report.workbook import cell_value


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


@pytest.mark.parametrize("text", ["=1+1", "+86 138****0000", "-5", "@cmd", "\t=1", "\r=1", "\n=1", "＝1+1"])
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


@pytest.mark.parametrize("name", ["<r><t>x</t></r></is></c><c r='E5'><f>1</f></c><r></r>", "<r>&</r>"])
def test_a_name_is_never_written_as_the_workbooks_own_xml(name: str, tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "names.xlsx", {"constant_memory": True}) as book:
        book.add_worksheet().write_string(0, 0, str(cell_value(name)))
    sheet = openpyxl.load_workbook(tmp_path / "names.xlsx").active
    assert [(cell.coordinate, cell.value) for row in sheet.iter_rows() for cell in row] == [("A1", f"'{name}")]


def test_the_margin_of_all_leaves_out_spend_whose_margin_is_unknown() -> None:
    with duckdb.connect() as connection:
        connection.execute(
            """
            create table fct_customer_tiers as
                from (values ('a', 's'), ('b', 's'), ('c', 's'), ('d', 'other')) t(customer_id, scheme);
            create table fct_customer_indicators as
                from (values ('a', 100, 0.5), ('b', 900, null), ('c', 100, 0.1), ('d', 9, 0.9))
                t(customer_id, annual_spend, profit_margin)
            """
        )
        assert connection.execute(AVERAGE_MARGIN, {"scheme": "s"}).fetchone() == (pytest.approx(0.3),)
