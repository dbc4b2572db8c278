"""The sample company through whole nights: the gate finds exactly the injected dirt, and increments are true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from customer_tiering.profile import load_profile
from customer_tiering.publish.snapshot import checksums, current_folder, read_manifest
from customer_tiering.sample import company_state, generate_company
from customer_tiering.sample.evaluation import evaluate
from customer_tiering.warehouse.connection import open_warehouse
from customer_tiering.warehouse.quarantine import open_by_rule
from customer_tiering.workspace import Workspace
from nights import mart_rows, run_night

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[(None, 1.0), (7, 2.0)], ids=["default", "another seed, twice the dirt"])
def company(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Workspace, date]]:
    seed, dirt = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_VAR", str(tmp_path_factory.mktemp("sample")))
        workspace = load_profile("sample").workspace
        generate_company(workspace.root / "source", dirt=dirt, **({"seed": seed} if seed else {}))
        state = company_state(workspace.root / "source")
        assert state is not None
        run_night("sample", state.until, "first")
        yield workspace, state.until


def source_rows(workspace: Workspace) -> dict[tuple[str, str], int]:
    """Rows in the company's systems, counted without the pipeline."""
    import csv
    import sqlite3

    root = workspace.root / "source"
    connection = sqlite3.connect(root / "erp" / "erp.sqlite")
    tables = ("customers", "products", "orders", "order_lines", "invoices", "payments")
    counts = {("erp", table): connection.execute(f"select count(*) from {table}").fetchone()[0] for table in tables}
    for path in (root / "crm").glob("*.csv"):
        with path.open(encoding="utf-8-sig", newline="") as stream:
            key = ("crm", path.name.rsplit("-", 1)[0])
            counts[key] = counts.get(key, 0) + sum(1 for _ in csv.reader(stream)) - 1
    for path in (root / "ticketing").glob("*.jsonl"):
        key = ("ticketing", path.name.rsplit("-", 1)[0])
        counts[key] = counts.get(key, 0) + len(path.read_text(encoding="utf-8").splitlines())
    return counts


def test_the_gate_finds_exactly_the_injected_dirt(company: tuple[Workspace, date]) -> None:
    """Recall and precision of every rule are at least 0.99, and no rule keeps a clean row out."""
    workspace, _ = company
    with open_warehouse(workspace) as connection:
        scores = evaluate(connection, workspace.root / "source" / "truth.jsonl")
        kept_out_by = {row["rule"] for row in open_by_rule(connection)}
    assert len(scores) >= 24
    assert [score for score in scores if score.injected < 5] == []
    assert [score for score in scores if min(score.recall, score.precision) < 0.99] == []
    assert kept_out_by == {score.rule for score in scores if score.action == "quarantine"}


def test_nights_land_increments_and_a_rerun_lands_nothing(company: tuple[Workspace, date]) -> None:
    """Three later nights and one rerun: each lands just the new rows, and changes are told once."""
    workspace, first = company
    before = source_rows(workspace)
    for number in range(1, 4):
        night_of = first + timedelta(days=number)
        generate_company(workspace.root / "source", until=night_of)
        run_night("sample", night_of, f"n{number}")
        now = source_rows(workspace)
        landed = {
            (row["source"], row["entity"]): row["rows_in"]
            for row in mart_rows(workspace, "select * from fct_data_quality where as_of_date = ?", [night_of])
        }
        increments = {key: now[key] - before.get(key, 0) for key in now}
        assert {key: landed.get(key, 0) for key in increments} == increments
        before = now
        moved = mart_rows(
            workspace,
            "select c.customer_id from fct_tier_changes c where as_of_date = ? and scheme = 'account_360' "
            "and direction in ('up', 'down', 'to_pending', 'from_pending') order by 1",
            [night_of],
        )
        told = [json.loads(line) for line in read_alerts(workspace) if str(night_of) in line]
        assert sorted(row["customer_id"] for row in moved) == sorted(message["body"].split()[1] for message in told)
    snapshot, alerts = current_folder(workspace), read_alerts(workspace)
    assert snapshot is not None
    once = checksums(snapshot)
    again = run_night("sample", night_of, "again")
    after = current_folder(workspace)
    assert after is not None and after != snapshot
    assert checksums(after) == once
    assert read_alerts(workspace) == alerts
    steps = {
        event["step"]: event.get("facts", {})
        for event in map(json.loads, (again.folder / "steps.jsonl").read_text(encoding="utf-8").splitlines())
        if event["event"] == "finished"
    }
    assert {sum(steps[f"extract {name}"]["rows"].values()) for name in ("erp", "crm", "ticketing")} == {0}
    assert steps["alert"]["sent"] == {"local_file": 0}
    assert read_manifest(after).as_of_date == str(night_of)


def read_alerts(workspace: Workspace) -> list[str]:
    path = workspace.reports / "alerts.jsonl"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_nothing_private_is_published(company: tuple[Workspace, date]) -> None:
    """No phone number, e-mail or contact name of the CRM stands in any published file, alert, report or log."""
    import csv

    workspace, _first = company
    private: set[str] = set()
    persons: set[str] = set()
    for path in (workspace.root / "source" / "crm").glob("*.csv"):
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for row in csv.DictReader(stream):
                for column in ("phone", "email", "contact_phone"):
                    if len(value := row.get(column) or "") >= 8 and path.name.split("-")[0] != "owners":
                        private.add(value)
                if (row.get("account_type") or "").startswith("个人"):
                    persons.add(row["account_name"])
    assert len(private) > 100 and len(persons) > 20
    published = current_folder(workspace)
    assert published is not None
    texts = [
        path.read_bytes()
        for folder in (published, workspace.reports)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".parquet"
    ]
    for table in mart_tables(published):
        texts.append(table.encode())
    haystack = b"\n".join(texts)
    found = [value for value in private if value.encode() in haystack]
    assert found == []
    # A person's name may be an account manager's or part of a company's, too: only customers are looked at.
    named = {row["customer_name"] for row in mart_rows(workspace, "select customer_name from dim_customers")}
    assert named & persons == set() and any(name.endswith("**") for name in named)


def test_every_tier_of_every_scheme_of_the_sample_has_customers(company: tuple[Workspace, date]) -> None:
    """Members are persons and prospects have no orders; at least three customers in each tier of the schemes."""
    workspace, _ = company
    rows = mart_rows(
        workspace,
        "select scheme, tier, customers from agg_tier_summary where scheme in ('stability', 'prospect', 'member') "
        "and as_of_date = (select max(as_of_date) from agg_tier_summary) and tier <> 'pending'",
    )
    found = {(row["scheme"], row["tier"]): row["customers"] for row in rows}
    tiers = mart_rows(
        workspace, "select scheme, tier from dim_tiers where scheme in ('stability', 'prospect', 'member')"
    )
    assert set(found) == {(row["scheme"], row["tier"]) for row in tiers}
    assert min(found.values()) >= 3, found
    assert sum(count for (scheme, _), count in found.items() if scheme == "member") > 30


def mart_tables(folder: Path) -> list[str]:
    import duckdb

    return [
        str(duckdb.execute("select * from read_parquet(?)", [str(path)]).fetchall())
        for path in sorted(folder.glob("*.parquet"))
    ]
