"""The readers that a mart's YAML names are those that read it: seen from the queries that run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_tiering.airflow.page import snapshot as tiers_page
from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import project_root
from customer_tiering.explain.explanation import explain
from customer_tiering.publish.contract import marts_of_models
from customer_tiering.publish.snapshot import DATABASE, published_folder, read_manifest
from customer_tiering.report.page import render_report
from customer_tiering.report.words import Words
from customer_tiering.report.workbook import write_workbook
from nights import mart_rows

pytestmark = pytest.mark.slow
COMPANY = Words("Company", "公司")


class Recorder:
    """A connection that notes the text of every query."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, queries: list[str]) -> None:
        self._connection = connection
        self._queries = queries

    def execute(self, query: str, *arguments: Any) -> Any:
        self._queries.append(query)
        return self._connection.execute(query, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()


def read_by(reader: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Marts that the queries of ``reader`` name."""
    queries: list[str] = []
    real = duckdb.connect
    with monkeypatch.context() as patch:
        patch.setattr(duckdb, "connect", lambda *given, **named: Recorder(real(*given, **named), queries))
        reader()
    return set(marts_of_models()) & set(re.findall(r"\w+", " ".join(queries)))


def named(reader: str) -> set[str]:
    return {mart.name for mart in marts_of_models().values() if reader in mart.readers}


def test_report_workbook_and_page_read_the_marts_that_name_them(
    sample: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = published_folder(sample.workspace)
    manifest = read_manifest(snapshot)
    scheme = manifest.headline_scheme
    (row, *_) = mart_rows(sample.workspace, "select customer_id from fct_customer_tiers where scheme = ?", [scheme])

    def workbook() -> None:
        with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
            connection.execute("use marts")
            write_workbook(tmp_path / "tiers.xlsx", connection, manifest, COMPANY, None)

    def page() -> None:
        tiers_page.tier_summary(snapshot, scheme)
        tiers_page.tier_labels(snapshot, scheme)
        tiers_page.find_customers(snapshot, scheme, "a", 5)
        tiers_page.schemes_of(snapshot, row["customer_id"])
        tiers_page.past_nights(sample.workspace, snapshot)
        explain(snapshot, row["customer_id"], scheme)

    assert read_by(lambda: render_report(snapshot, None, COMPANY, None), monkeypatch) == named("html_report")
    assert read_by(workbook, monkeypatch) == named("excel_workbook")
    assert read_by(page, monkeypatch) == named("tiers_page")


def test_alerts_read_the_marts_that_name_them() -> None:
    """Which of them a night reads depends on what it has to tell, so the code is asked."""
    folder = project_root() / "plugins/customer_tiering/alerts"
    code = " ".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert set(re.findall(r"\bmarts\.(\w+)", code)) & set(marts_of_models()) == named("alerts")
