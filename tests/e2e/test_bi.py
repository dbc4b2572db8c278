"""A published night as BI tools read it: docs/bi.md is run to the letter, the marts are what their contract says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
import yaml

from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import project_root
from customer_tiering.errors import ContractError
from customer_tiering.night import steps
from customer_tiering.publish import contract as mart_contract
from customer_tiering.publish.contract import contract_folder, contract_version, marts_of_manifest, marts_of_models
from customer_tiering.publish.postgres import publish_to_postgres
from customer_tiering.publish.snapshot import DATABASE, MANIFEST, current_folder, point_current_to, read_manifest
from nights import mart_rows
from postgres import running_postgres

pytestmark = pytest.mark.slow

NIGHT = date(2026, 3, 30)
PAGE = (project_root() / "docs" / "bi.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def company(sample: Profile) -> Profile:
    """``var/`` lies in the folder that snippets are run in."""
    return sample


def published(company: Profile) -> Path:
    folder = current_folder(company.workspace)
    assert folder is not None
    return folder


def run_snippet(code: str, company: Profile) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=company.workspace.root.parents[1],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_snippet_of_the_page_runs_on_a_published_night(company: Profile) -> None:
    folder, customers = published(company), len(mart_rows(company.workspace, "select 1 from fct_customer_tiers"))
    said = {title: run_snippet(code, company) for title, code in SNIPPETS}
    assert list(said) == ["DuckDB", "SQLAlchemy", "pandas and Polars", "How fresh is it?"]
    assert len(SNIPPETS) == PAGE.count("```python")
    tiers = mart_rows(
        company.workspace, "select * from agg_tier_summary where scheme = 'account_360' and tier_rank > 0"
    )
    assert folder.name in said["DuckDB"] and tiers
    assert all(f"{row['label_zh']}" in said["DuckDB"] and str(row["annual_spend"]) in said["DuckDB"] for row in tiers)
    assert said["SQLAlchemy"].split() == [str(NIGHT), str(customers)]
    assert f"pandas {NIGHT} 00:00:00 {customers}" in said["pandas and Polars"] or (
        f"pandas {NIGHT} {customers}" in said["pandas and Polars"]
    )
    assert "polars shape: (" in said["pandas and Polars"]
    assert "ERP" in said["How fresh is it?"] and " ok " in said["How fresh is it?"]


@pytest.fixture
def next_night(company: Profile) -> Iterator[Any]:
    """Publishes a copy of the night as the one after it; taken back afterwards."""
    before = published(company)

    def publish() -> Path:
        folder = before.with_name("2026-03-31_copy")
        shutil.copytree(before, folder)
        with duckdb.connect(str(folder / DATABASE)) as connection:
            connection.execute("update marts.fct_customer_tiers set as_of_date = as_of_date + 1")
        manifest = json.loads((folder / MANIFEST).read_text()) | {"as_of_date": "2026-03-31"}
        (folder / MANIFEST).write_text(json.dumps(manifest))
        point_current_to(company.workspace, folder)
        return folder

    yield publish
    point_current_to(company.workspace, before)
    shutil.rmtree(before.with_name("2026-03-31_copy"), ignore_errors=True)


def test_the_documented_engine_sees_a_new_night_and_open_connections_do_not(
    company: Profile, next_night: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(company.workspace.root.parents[1])
    snippet: dict[str, Any] = {}
    exec(dict(SNIPPETS)["SQLAlchemy"], snippet)  # noqa: S102 - the page itself
    latest = sa.text("select max(as_of_date) from marts.fct_customer_tiers")
    pooled = sa.create_engine(snippet["engine"].url, connect_args={"read_only": True})

    def seen(engine: sa.Engine) -> Any:
        with engine.connect() as connection:
            return connection.execute(latest).scalar()

    later = date(2026, 3, 31)
    with snippet["engine"].connect() as kept:
        assert kept.execute(latest).scalar() == seen(snippet["engine"]) == seen(pooled) == NIGHT
        next_night()
        assert seen(snippet["engine"]) == later
        assert kept.execute(latest).scalar() == NIGHT
        assert seen(pooled) == NIGHT, "what the page warns of"
        with pytest.raises(duckdb.ConnectionException, match="different configuration than existing connections"):
            duckdb.connect(str(published(company) / ".." / f"{NIGHT}_first" / DATABASE), read_only=True)
        pooled.dispose()
        assert seen(pooled) == later
    pooled.dispose()


def test_the_published_tables_are_what_the_contract_says(company: Profile) -> None:
    folder = published(company)
    assert read_manifest(folder).contract_version == contract_version()
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        found: dict[str, dict[str, str]] = {}
        for mart, column, kind in connection.execute(
            "select table_name, column_name, lower(data_type) from duckdb_columns() where schema_name = 'marts'"
        ).fetchall():
            found.setdefault(mart, {})[column] = kind
        contract = yaml.safe_load((contract_folder() / "marts.yml").read_text(encoding="utf-8"))["marts"]
        assert found == {mart: promise["columns"] for mart, promise in contract.items()}
        for mart, promise in contract.items():
            key = ", ".join(promise["grain"])
            assert not connection.execute(f"select 1 from marts.{mart} group by {key} having count(*) > 1").fetchall()


def test_dbt_and_the_yaml_files_agree_on_the_marts(company: Profile) -> None:
    """The command reads dbt's manifest, the fast test the files."""
    manifest = json.loads((company.workspace.dbt_target / "manifest.json").read_text(encoding="utf-8"))
    assert marts_of_manifest(manifest) == dict(sorted(marts_of_models().items()))
    assert {exposure["name"] for exposure in manifest["exposures"].values()} == {
        "bi_dashboards", "postgres_copy", "html_report", "excel_workbook", "tiers_page", "alerts",
    }  # fmt: skip


def test_every_measure_can_be_computed_on_its_mart(company: Profile) -> None:
    """dbt checks names of metrics and measures; whether their SQL runs only a database knows."""
    semantic = json.loads((company.workspace.dbt_target / "semantic_manifest.json").read_text(encoding="utf-8"))
    measures = {measure["name"] for model in semantic["semantic_models"] for measure in model["measures"]}
    inputs = {metric["type_params"]["measure"]["name"] for metric in semantic["metrics"] if metric["type"] == "simple"}
    assert inputs <= measures and len(semantic["metrics"]) >= 8
    values = {}
    for model in semantic["semantic_models"]:
        dimensions = [dimension["expr"] or dimension["name"] for dimension in model["dimensions"]]
        for measure in model["measures"]:
            sql = f"{measure['agg']}({measure['expr']})"
            (row,) = mart_rows(
                company.workspace,
                f"select {sql} as value, {', '.join(f'count({d})' for d in dimensions)} "
                f"from {model['node_relation']['alias']} "
                + ("where scheme = 'account_360'" if "scheme" in dimensions else ""),
            )
            values[measure["name"]] = row["value"]
    assert values["tier_customers"] == len(
        mart_rows(company.workspace, "select 1 from fct_customer_tiers where scheme = 'account_360'")
    )
    assert abs(values["tier_customer_share"] - 1) < 0.001 and abs(values["tier_spend_share"] - 1) < 0.001
    assert values["customer_count"] == len(mart_rows(company.workspace, "select 1 from fct_customer_indicators"))
    assert values["customer_spend"] > 0


def test_freshness_is_told_for_every_entity(company: Profile) -> None:
    rows = mart_rows(company.workspace, "select * from fct_publication where as_of_date = ?", [NIGHT])
    declared = {(source.name, entity.name) for source in company.all_sources() for entity in source.entities}
    assert {(row["source"], row["entity"]) for row in rows} == declared
    orders = next(row for row in rows if (row["source"], row["entity"]) == ("erp", "orders"))
    quality = mart_rows(
        company.workspace, "select rows_in from fct_data_quality where source = 'erp' and entity = 'orders'"
    )
    assert (orders["status"], orders["max_age_days"], orders["source_label_zh"]) == ("ok", 7, "ERP 系统")
    assert orders["rows_in"] == quality[0]["rows_in"] > 0
    assert 0 <= orders["age_days"] <= 7 and orders["newest_load_at"].year >= 2024
    assert {row["status"] for row in rows} <= {"ok", "stale", "unchecked"}
    assert next(row for row in rows if row["entity"] == "owners")["status"] == "unchecked"


def test_a_whole_night_arrives_in_postgres(company: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    from customer_tiering.company.profile import PostgresTarget

    with running_postgres() as server:
        monkeypatch.setenv("BI_URL", server.url)
        target = PostgresTarget(url_from="BI_URL", read_role="analyst")
        result = publish_to_postgres(company.model_copy(update={"postgres_target": target}))
        assert result.rows == read_manifest(published(company)).rows
        columns = server.query(
            "select table_name, column_name, data_type, numeric_precision, numeric_scale "
            "from information_schema.columns where table_schema = 'sample_marts' and table_name <> 'manifest'"
        )
        names = {"varchar": "text", "timestamp": "timestamp without time zone"}
        wanted = {
            (mart.name, column.name): column.type for mart in marts_of_models().values() for column in mart.columns
        }
        assert {
            (mart, column): f"decimal({precision},{scale})" if kind == "numeric" else kind
            for mart, column, kind, precision, scale in columns
        } == {key: names.get(kind, kind) for key, kind in wanted.items()}
        spend = mart_rows(company.workspace, "select sum(annual_spend) as s from fct_customer_indicators")[0]["s"]
        assert server.query("select sum(annual_spend) from sample_marts.fct_customer_indicators", user="analyst") == [
            (spend,)
        ]


def test_the_documentation_is_one_file_with_readers_and_metrics(company: Profile) -> None:
    command = [str(Path(sys.executable).with_name("tiering")), "docs"]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (company.workspace.reports / "dbt_docs.html").read_text(encoding="utf-8")
    for name in ("fct_publication", "exposure.customer_tiering.bi_dashboards", "metric.customer_tiering.annual_spend"):
        assert name in page


def test_marts_that_break_their_contract_are_not_published(
    company: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, promised = current_folder(company.workspace), tmp_path / "contract"
    shutil.copytree(mart_contract.contract_folder(), promised)
    text = (promised / mart_contract.FILE).read_text(encoding="utf-8")
    other = text.replace("      customer_name: varchar", "      full_name: varchar", 1)
    (promised / mart_contract.FILE).write_text(other, encoding="utf-8")
    monkeypatch.setattr(mart_contract, "contract_folder", lambda: promised)
    manifest = read_manifest(published(company))
    with pytest.raises(ContractError, match="column full_name was removed"):
        steps.judge(steps.Night("sample", manifest.as_of_date, manifest.run_id))
    assert current_folder(company.workspace) == before
