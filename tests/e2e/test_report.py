"""Report, workbook and tiers page of real nights, looked at as people do: in a browser, in a spreadsheet, by login."""

from __future__ import annotations

import io
import json
import re
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from asking import ask
from customer_tiering.airflow.runner import _conclude
from customer_tiering.cli.main import app as cli
from customer_tiering.company.journal import JOURNAL, read_journal
from customer_tiering.company.profile import load_profile
from customer_tiering.errors import TieringError
from customer_tiering.night import steps
from customer_tiering.publish.snapshot import DATABASE, current_folder, read_manifest
from customer_tiering.report import files as report_files
from customer_tiering.report import tables as report_tables
from customer_tiering.report.files import build_reports, latest_folder
from customer_tiering.report.summary import write_summary
from customer_tiering.report.words import Words
from customer_tiering.report.workbook import HEADER_ROW, sheet_name, summary_total, write_workbook
from nights import mart_rows, run_night, write_profile
from sample_company import company_state, generate_company

pytestmark = pytest.mark.slow

NAME = "looked_at"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = ('=HYPERLINK("http://example.invalid","x")', "</script><img src=x onerror=alert(1)>")


@dataclass(frozen=True)
class Company:
    """A company after two nights; two of its customers have names that mean harm."""

    night: steps.Night
    root: Path

    @property
    def folder(self) -> Path:
        return self.night.folder

    @property
    def snapshot(self) -> Path:
        found = current_folder(self.night.workspace)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    root = tmp_path_factory.mktemp("look")
    write_profile(
        root / "profiles",
        NAME,
        label_en="Looked <at>",
        label_zh="被看的公司",
        headline_scheme="account_360",
        language="zh",
        # On the second night the data begin to fill a whole year: everybody leaves pending at once.
        release={"min_customers": 1000},
        sources={
            "erp": {"url": "sqlite:///{workspace}/source/erp/erp.sqlite"},
            "crm": {"path": "{workspace}/source/crm"},
            "ticketing": {"path": "{workspace}/source/ticketing"},
        },
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_VAR", str(root / "var"))
        patch.setenv("TIERING_PROFILES", str(root / "profiles"))
        patch.setenv("TIERING_PROFILE", NAME)
        source = load_profile(NAME).workspace.root / "source"
        generate_company(source, customers=60, years=1)
        _rename(source)
        state = company_state(source)
        assert state is not None
        run_night(NAME, state.until, "first")
        night = run_night(NAME, state.until + timedelta(days=1), "second", with_report=True)
        yield Company(night, root)


def _rename(source: Path) -> None:
    """Give the two customers with most orders names that mean harm, in the ERP and wherever the CRM knows them."""
    with sqlite3.connect(source / "erp" / "erp.sqlite") as erp:
        names = [
            name
            for (name,) in erp.execute(
                "select c.customer_name from customers c join orders o using (customer_code) "
                "where c.customer_code like 'C%' group by c.customer_name order by count(*) desc limit 2"
            )
        ]
        for name, hostile in zip(names, HOSTILE, strict=True):
            erp.execute("update customers set customer_name = ? where customer_name = ?", [hostile, name])
    for path in (source / "crm").glob("accounts-*.csv"):
        text = path.read_text(encoding="utf-8-sig")
        for name, hostile in zip(names, HOSTILE, strict=True):
            text = text.replace(name, '"' + hostile.replace('"', '""') + '"')
        path.write_text(text, encoding="utf-8-sig")


# --- files -------------------------------------------------------------------------------------------------------


def test_the_night_leaves_report_workbook_and_pointer(company: Company) -> None:
    names = {path.name for path in company.folder.iterdir()}
    assert {"report.html", "tiers.xlsx", "quarantine.json", "summary.txt"} <= names
    assert latest_folder(company.night.workspace) == company.folder.resolve()
    summary = (company.folder / "summary.txt").read_text(encoding="utf-8")
    for name in ("report.html", "tiers.xlsx"):
        assert str(company.folder / name) in summary
        assert (company.folder / name).stat().st_size < 2_000_000
    assert {row["customer_name"] for row in mart_rows(company.night.workspace, "from dim_customers")} >= set(HOSTILE)


def test_the_same_snapshot_gives_the_same_files(company: Company, tmp_path: Path) -> None:
    """The command writes them again, elsewhere if asked, and then leaves the pointer alone."""
    result = CliRunner().invoke(cli, ["report", "--profile", NAME, "--out", str(tmp_path / "again")])
    assert result.exit_code == 0, result.output
    for name in ("report.html", "tiers.xlsx"):
        assert (tmp_path / "again" / name).read_bytes() == (company.folder / name).read_bytes(), name
    assert latest_folder(company.night.workspace) == company.folder.resolve()


def test_a_report_that_fails_leaves_what_is_published_and_is_told(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step fails by itself; the summary of the run says that the report is missing and how to write it."""
    before = {path: path.read_bytes() for path in (company.folder / "report.html", company.folder / "tiers.xlsx")}
    snapshot = company.snapshot
    monkeypatch.setattr(report_files, "WORKBOOK", "no/such/folder.xlsx")
    with pytest.raises(TieringError, match="the report cannot be written"):
        steps.report(company.night)
    assert current_folder(company.night.workspace) == snapshot
    assert all(path.read_bytes() == content for path, content in before.items() if path.suffix == ".xlsx")
    assert read_journal(company.folder)[-1]["event"] == "failed"
    monkeypatch.undo()
    steps.report(company.night)
    assert {path: path.read_bytes() for path in before} == before


def test_the_summary_of_a_run_whose_report_failed_says_so(company: Company, tmp_path: Path) -> None:
    """``make run`` shows the summary, because the night is published, names the failure and ends non-zero."""
    events = [event for event in read_journal(company.folder) if event["step"] != "report"]
    events.append({"step": "report", "event": "failed", "seconds": 1, "problem": "no room", "next_step": "make room"})
    (tmp_path / JOURNAL).write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    write_summary(company.night.profile, company.night.workspace, tmp_path)
    console = Console(record=True, width=200, file=io.StringIO())
    assert _conclude(company.night.profile, 1, tmp_path, tmp_path / "airflow.log", console) == 1
    told = console.export_text()
    assert "report failed: no room" in told and "Next step: make room" in told
    assert "The night is published, but report failed" in told
    assert f"not written; to write it: tiering report --profile {NAME}" in told
    assert "Nothing half-done is published" not in told


def test_nothing_published_and_no_place_to_write_are_told(company: Company, tmp_path: Path) -> None:
    write_profile(company.root / "profiles", "fresh", sources={"crm": {"path": "{workspace}/source/crm"}})
    with pytest.raises(TieringError, match="fresh has published nothing yet"):
        build_reports(load_profile("fresh"))
    (tmp_path / "file").touch()
    with pytest.raises(TieringError, match="the report cannot be written"):
        build_reports(load_profile(NAME), tmp_path / "file" / "below")


def test_only_masked_contacts_are_shown(company: Company) -> None:
    """No phone number of a customer stands in the page or in any part of the workbook."""
    import csv

    private = set()
    for path in (company.night.workspace.root / "source" / "crm").glob("*.csv"):
        if path.name.startswith("owners"):
            continue
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for row in csv.DictReader(stream):
                private |= {row[name] for name in ("phone", "email", "contact_phone") if len(row.get(name) or "") >= 8}
    assert len(private) > 30
    with zipfile.ZipFile(company.folder / "tiers.xlsx") as book:
        texts = [book.read(name).decode("utf-8", "replace") for name in book.namelist()]
    texts.append((company.folder / "report.html").read_text(encoding="utf-8"))
    assert [value for value in private if any(value in text for text in texts)] == []
    masked = mart_rows(company.night.workspace, "select phone_masked from dim_customers where phone_masked like '%**%'")
    assert masked and masked[0]["phone_masked"] in texts[-1]


# --- workbook ----------------------------------------------------------------------------------------------------

# Sheet, mart and its rows, and the columns that the sheet repeats: a comparison that shares no SQL with the workbook.
_LAST = "as_of_date = (select max(as_of_date) from fct_data_quality)"
_HEADLINE = "scheme = 'account_360'"
REPEATED: list[tuple[str, str, str, str]] = [
    ("summary", "agg_tier_summary", _HEADLINE, "customers customer_share annual_spend spend_share average_margin"),
    ("customers", "dim_customers", "true", "customer_id customer_name owner region contact_masked phone_masked "
     "registered_on last_order_on cumulative_spend"),
    ("churn", "fct_churn_risks", "true", "customer_id customer_name probability last_order_on spend_365d owner"),
    ("opportunities", "fct_opportunity_scores", "true", 
     "opportunity_id customer_id score budget stage opened_on owner"),
    ("rfm", "fct_customer_rfm", "true",
     "customer_id recency_days frequency monetary r_score f_score m_score rfm_score"),
    ("quality", "fct_data_quality", _LAST,
     "source entity rows_in rows_kept rows_merged rows_quarantined rows_released"),
    ("satisfaction", "agg_tier_satisfaction", _HEADLINE, "customers customers_rated csat complaints resolution_hours"),
]  # fmt: skip


def expected(value: Any) -> Any:
    """What openpyxl reads where the workbook holds a value of a mart."""
    if isinstance(value, Words):
        value = " / ".join(dict.fromkeys(part for part in value if part)) or None
    if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") and value != "-":
        return f"'{value}"
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    return value or None if isinstance(value, str) else value


def sheet_rows(book: Any, table: report_tables.Table, rows: int) -> list[tuple[Any, ...]]:
    sheet = book[sheet_name(table)]
    first, width = HEADER_ROW + 2, len(table.columns)
    return [
        tuple(cell.value for cell in row)
        for row in sheet.iter_rows(min_row=first, max_row=first + rows - 1, max_col=width)
    ]


def in_order(rows: list[tuple[Any, ...]]) -> list[str]:
    """Rows as texts in an order of their own; a whole number is the same with and without a point."""
    return sorted(repr([float(value) if isinstance(value, int) else value for value in row]) for row in rows)


def test_every_cell_of_the_workbook_is_what_the_marts_say(company: Company) -> None:
    book = openpyxl.load_workbook(company.folder / "tiers.xlsx")
    manifest = read_manifest(company.snapshot)
    compared = cells_of_marts = 0
    by_name: dict[str, tuple[report_tables.Table, list[tuple[Any, ...]]]] = {}
    with duckdb.connect(str(company.snapshot / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        for table in report_tables.TABLES:
            if table is report_tables.QUARANTINE:
                continue
            filled = report_tables.fill(connection, table, manifest.headline_scheme, manifest.night)
            assert filled is not None, f"{table.name}: a mart is missing"
            shown = sheet_rows(book, table, len(filled.rows))
            for row, (found, wanted) in enumerate(zip(shown, filled.rows, strict=True)):
                assert found == tuple(expected(value) for value in wanted), f"{table.name}, row {row}"
                compared += len(wanted)
            by_name[table.name] = (table, shown)
        for name, mart, condition, repeated in REPEATED:
            table, shown = by_name[name]
            places = {column.name: place for place, column in enumerate(table.columns)}
            columns = repeated.split()
            wanted = connection.execute(f"select {', '.join(columns)} from {mart} where {condition}").fetchall()
            found = [tuple(row[places[column]] for column in columns) for row in shown]
            assert in_order(found) == in_order([tuple(map(expected, row)) for row in wanted]), name
            assert found, name
            cells_of_marts += sum(map(len, found))
    assert compared > 5_000 and cells_of_marts > 1_000


def test_dates_money_and_shares_have_formats_and_headings_two_languages(company: Company) -> None:
    book = openpyxl.load_workbook(company.folder / "tiers.xlsx")
    kinds = {"date": "yyyy-mm-dd", "money": "#,##0.00", "percent": "0.0%", "integer": "#,##0"}
    seen = set()
    for table in report_tables.TABLES:
        sheet = book[sheet_name(table)]
        assert sheet.freeze_panes is not None
        if sheet.max_row > HEADER_ROW + 1:
            assert sheet.auto_filter.ref is not None or table.name == "changes"
        for place, column in enumerate(table.columns, start=1):
            heading = str(sheet.cell(HEADER_ROW + 1, place).value)
            assert all(part in heading for part in column.heading), table.name
            cell = sheet.cell(HEADER_ROW + 2, place)
            if cell.value is not None and column.kind in kinds:
                assert cell.number_format == kinds[column.kind], (table.name, column.name)
                seen.add(column.kind)
    assert seen == set(kinds)
    assert len(book[sheet_name(report_tables.SUMMARY)]._charts) == 2


def test_the_summary_adds_up(company: Company) -> None:
    book = openpyxl.load_workbook(company.folder / "tiers.xlsx")
    sheet = book[sheet_name(report_tables.SUMMARY)]
    last = next(row for row in range(1, 50) if str(sheet.cell(row, 1).value).startswith("合计"))
    total = [sheet.cell(last, place).value for place in range(1, 7)]
    (wanted,) = mart_rows(
        company.night.workspace,
        "select count(*) as customers, sum(i.annual_spend) as spend, "
        "sum(i.profit_margin * i.annual_spend) / sum(i.annual_spend) filter (i.profit_margin is not null) as margin "
        "from fct_customer_tiers t join fct_customer_indicators i using (customer_id) where t.scheme = 'account_360'",
    )
    assert total[1] == wanted["customers"]
    assert total[2] == pytest.approx(1, abs=1e-5)
    assert total[3] == pytest.approx(float(wanted["spend"]))
    assert total[5] == pytest.approx(float(wanted["margin"]), abs=1e-5)
    assert summary_total(report_tables.Filled(report_tables.SUMMARY), None)[1] == 0


def test_text_that_looks_like_a_formula_or_a_link_stays_text(company: Company) -> None:
    """Nothing in the file is a formula, in any sheet; the only links lead to sheets of the book itself."""
    book = openpyxl.load_workbook(company.folder / "tiers.xlsx")
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert [cell.coordinate for cell in cells if cell.data_type == "f"] == []
    assert any(cell.value == f"'{HOSTILE[0]}" for cell in cells)
    assert all(cell.hyperlink.target is None for cell in cells if cell.hyperlink)
    with zipfile.ZipFile(company.folder / "tiers.xlsx") as archive:
        assert not [name for name in archive.namelist() if "externalLink" in name or "vba" in name.lower()]


def test_a_table_too_long_for_a_sheet_is_cut_and_says_so(company: Company, tmp_path: Path) -> None:
    with duckdb.connect(str(company.snapshot / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        write_workbook(
            tmp_path / "short.xlsx", connection, read_manifest(company.snapshot), Words("甲", "A"), None, max_rows=10
        )
        customers = connection.execute("select count(*) from dim_customers").fetchone()
    assert customers is not None
    book = openpyxl.load_workbook(tmp_path / "short.xlsx")
    sheet = book[sheet_name(report_tables.CUSTOMERS)]
    assert sheet.max_row == HEADER_ROW + 1 + 10
    assert f"The first 10 of {customers[0]:,} rows; the rest is in the mart" in str(sheet.cell(2, 1).value)
    cover = book.worksheets[0]
    assert any(f"The first 10 of {customers[0]:,} rows" in str(row[2].value) for row in cover.iter_rows())
    assert sheet_name(report_tables.QUARANTINE) not in book.sheetnames, "not known, so not shown"


# --- page --------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(company: Company) -> Iterator[Any]:
    """The report opened from disk in a browser without a network; ``page.told`` collects errors and requests."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1320, "height": 1000}, offline=True)
        opened = context.new_page()
        opened.told = []
        opened.on("console", lambda message: opened.told.append(message.text))
        opened.on("pageerror", lambda error: opened.told.append(str(error)))
        opened.on("request", lambda request: opened.told.append(request.url))
        opened.on("dialog", lambda dialog: opened.told.append(f"dialog {dialog.message}"))
        opened.goto((company.folder / "report.html").as_uri())
        yield opened
        browser.close()


def test_the_report_opens_in_a_browser_without_errors_and_without_requests(page: Any, company: Company) -> None:
    assert page.told == [(company.folder / "report.html").as_uri()]
    assert page.locator("section").count() >= 8
    drawn = page.locator("section .zh svg")
    assert drawn.count() >= 4
    assert all(drawn.nth(number).bounding_box()["height"] > 100 for number in range(drawn.count()))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is cut off"
    (customers,) = mart_rows(
        company.night.workspace, "select count(*) as n from fct_customer_tiers where scheme = 'account_360'"
    )
    assert page.locator("#figures .figure .zh").first.inner_text() == str(customers["n"])


def test_the_language_is_switched(page: Any) -> None:
    assert page.locator("h2:visible").first.inner_text() == "客户分级"
    assert page.locator("#customers th").nth(1).inner_text() == "客户名称"
    page.click("button[data-language=en]")
    assert page.locator("h2:visible").first.inner_text() == "Tiers"
    assert page.locator("#customers th").nth(1).inner_text() == "Name"
    assert page.locator("h1 .zh").is_hidden()
    assert page.locator("html").get_attribute("lang") == "en"
    assert len(page.told) == 1


def test_tables_are_searched_sorted_and_turned(page: Any, company: Company) -> None:
    table = page.locator("[data-table=customers]")
    (top, second) = mart_rows(
        company.night.workspace,
        "select c.customer_id, c.customer_name from dim_customers c join fct_customer_indicators i using (customer_id) "
        "join fct_customer_tiers t using (customer_id) where t.scheme = 'account_360' "
        "order by i.annual_spend desc nulls last, c.customer_id limit 2",
    )
    assert table.locator("tbody tr").first.locator("td").first.inner_text().strip().endswith(top["customer_id"])
    table.locator("input").fill(second["customer_id"])
    assert table.locator("tbody tr.row").count() == 1
    table.locator("input").fill("no such customer")
    assert table.locator("tbody tr.row").count() == 0
    assert "没有符合的行" in table.inner_text()
    table.locator("input").fill("")
    table.locator(".pager button").last.click()
    assert table.locator("tbody tr").first.locator("td").first.inner_text().strip() != f"▸{top['customer_id']}"
    heading = table.locator("th", has_text="年消费")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    heading = table.locator("th", has_text="年消费")
    heading.locator("button").click()
    spends = table.locator("tbody tr.row td:nth-child(5)").all_inner_texts()
    amounts = [float(text.replace(",", "")) for text in spends if text != "–"]
    assert amounts == sorted(amounts) and len(amounts) > 5
    assert len(page.told) == 1


def test_an_explanation_opens_and_says_what_the_command_says(page: Any, company: Company) -> None:
    table = page.locator("[data-table=customers]")
    (one,) = mart_rows(
        company.night.workspace,
        "select customer_id, score from fct_customer_tiers where scheme = 'account_360' "
        "and effective_tier = 'standard' and score < 75 order by customer_id limit 1",
    )
    page.click("button[data-language=en]")
    table.locator("input").fill(one["customer_id"])
    table.locator("button.who").click()
    told = table.locator(".why").inner_text()
    spoken = CliRunner().invoke(cli, ["explain", one["customer_id"], "--profile", NAME]).stdout
    points = re.search(r"([\d.]+) points missing", told)
    same = re.search(r"([\d.]+)\s+points\s+missing", spoken)
    assert points is not None and same is not None
    assert float(points.group(1)) == pytest.approx(float(same.group(1)), abs=0.006)
    scores = mart_rows(
        company.night.workspace,
        "select d.label_en, s.points from fct_indicator_scores s join dim_indicators d using (indicator) "
        "where s.customer_id = ? and s.scheme = 'account_360'",
        [one["customer_id"]],
    )
    lines = {line.split("\t")[0].split(" (")[0]: line.split("\t")[-1] for line in told.splitlines() if "\t" in line}
    for row in scores:
        shown = lines[row["label_en"]]
        assert shown == "–" if row["points"] is None else float(shown) == pytest.approx(float(row["points"]), abs=0.006)
    assert float(lines["Total"]) == pytest.approx(float(one["score"]), abs=0.006)
    table.locator("button.who").click()
    assert table.locator(".why").count() == 0
    assert len(page.told) == 1


def test_names_that_mean_harm_are_only_text(page: Any) -> None:
    """A name that ends the script element and loads a picture is shown as it is; nothing runs, nothing is asked for."""
    table = page.locator("[data-table=customers]")
    table.locator("input").fill("onerror")
    assert HOSTILE[1] in table.locator("tbody").inner_text()
    assert page.locator("img").count() == 0
    assert page.locator("h1 .en").text_content() == "Looked <at>"
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )
    assert page.evaluate("window.ran") is None, "the page's policy lets only its own script run"
    assert [told for told in page.told if told.startswith(("http", "dialog"))] == []


def test_the_report_is_readable_on_a_phone(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


# --- the page in Airflow -----------------------------------------------------------------------------------------


def test_the_page_asks_airflow_who_is_there_and_shows_what_is_published(company: Company, tmp_path: Path) -> None:
    html = "text/html"
    (top,) = mart_rows(
        company.night.workspace,
        "select customer_id, customer_name from dim_customers where customer_name like '%onerror%'",
    )
    paths = ["/", "/report", "/workbook", "/customers", "/customer?id=x", "/nights"]
    answers = ask(
        tmp_path,
        *(("nobody", path, "*/*") for path in paths),
        *(("none", path, "*/*") for path in paths),
        ("nobody", "/customers?q=a", html),
        *(("VIEWER", path, html) for path in paths),
        ("VIEWER", "/customers?q=%3C%2Fscript%3E%3Cimg", html),
        ("VIEWER", f"/customer?id={top['customer_id']}&scheme=account_360", html),
        ("VIEWER", "/customer?id=%3Cscript%3Ealert(1)%3C/script%3E", html),
        ("VIEWER", "/docs", html),
        ("VIEWER", "/openapi.json", html),
    )
    assert [status for status, _, _ in answers[:6]] == [401] * 6
    assert [status for status, _, _ in answers[6:12]] == [403] * 6
    status, headers, _ = answers[12]
    assert (status, headers["location"]) == (303, "/auth/login?next=%2Ftiering%2Fcustomers%3Fq%3Da")
    seen = dict(zip(paths, answers[13:19], strict=True))
    assert {path: status for path, (status, _, _) in seen.items()} == dict.fromkeys(paths, 200) | {
        "/customer?id=x": 404
    }
    assert seen["/report"][2] == (company.folder / "report.html").read_text(encoding="utf-8")
    assert "spreadsheetml" in seen["/workbook"][1]["content-type"]
    assert "attachment" in seen["/workbook"][1]["content-disposition"]
    for path in ("/", "/customers", "/nights"):
        assert "default-src 'none'" in seen[path][1]["content-security-policy"]
        assert seen[path][1]["cache-control"] == "no-store"
    nights = re.findall(r"\d{4}-\d\d-\d\d</td>", seen["/nights"][2])
    assert len(nights) == 2 and "当前 current" in seen["/nights"][2]
    found, shown, missing, docs, openapi = answers[19:]
    assert top["customer_id"] in found[2] and "<img" not in found[2] and "&lt;img" in found[2]
    assert "<img" not in shown[2] and "合计 Total" in shown[2] and "年采购额" in shown[2]
    (score,) = mart_rows(
        company.night.workspace,
        "select score from fct_customer_tiers where scheme = 'account_360' and customer_id = ?",
        [top["customer_id"]],
    )
    assert f"{score['score']:,.6f}".rstrip("0").rstrip(".") in shown[2]
    assert missing[0] == 404 and "<script" not in missing[2] and "there is no customer" in missing[2]
    assert (docs[0], openapi[0]) == (404, 404)
