"""A bad night through the real pipeline: held, then approved, rejected, or taken back; backed up and restored.

The bad night is one on which the ERP says that most of its orders were cancelled: rows that vanish from a source stay
landed, so it takes new versions of rows to spoil a night.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from killing import EXTRACTS, GATES, NIGHT, Company, run
from typer.testing import CliRunner

from customer_tiering.cli.main import app
from customer_tiering.company.journal import read_journal
from customer_tiering.company.workspace import project_root
from customer_tiering.publish.snapshot import DATABASE, checksums, current_folder, last_accepted, predecessor
from customer_tiering.release.holds import answer, find, holds
from sample_company import generate_company

pytestmark = pytest.mark.slow

FIRST = date(2026, 3, 1)
BAD = FIRST + timedelta(days=1)
NEXT = FIRST + timedelta(days=2)
UP_TO_JUDGE = ["begin", *EXTRACTS, *GATES, "build", "judge"]


@dataclass
class Stages:
    """One company: after its first night with its backup, after the held bad night, and an undisturbed twin of that."""

    first: Company
    backup: Path
    held: Company
    twin: Company


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    root = tmp_path_factory.mktemp("release")
    company = create(root / "company")
    # Tiers follow the figures at once, so that a bad night has something to tell.
    for path in (project_root() / "schemes").glob("*.yml"):
        if "enter_margin: 2" in path.read_text(encoding="utf-8"):
            company.override_scheme(
                path.stem, "stability: {enter_margin: 0, exit_margin: 0, min_dwell_days: 0, spend_change: 0.01}\n"
            )
    generate_company(company.source, customers=60, years=2, until=FIRST)
    run(company, FIRST, "first", NIGHT)
    backup = root / "backup.tar.gz"
    assert tiering(company, "backup", "--out", str(backup), "--with-landing").exit_code == 0
    first = company.copy(root / "first")
    generate_company(company.source, until=BAD)
    twin = company.copy(root / "twin")
    cancel_most(company)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(run, company, BAD, "bad", UP_TO_JUDGE), pool.submit(run, twin, BAD, "good", NIGHT)]:
            done.result()
    return Stages(first, backup, company, twin)


def create(folder: Path) -> Company:
    """A company whose operators are told, too."""
    company = Company.create(folder)
    profile = company.profiles / f"{company.name}.yml"
    profile.write_text(profile.read_text("utf-8").replace("operators: []", "operators: [local_file]"), "utf-8")
    return company


def cancel_most(company: Company) -> None:
    with company.erp() as erp:
        erp.execute(
            "update orders set status = 'cancelled', updated_at = ? where status = 'confirmed' and rowid % 3 > 0",
            [f"{BAD} 20:00:00"],
        )


@contextmanager
def environment(company: Company) -> Iterator[None]:
    # What the package sets for the libraries below it when it is first imported has to stay.
    with pytest.MonkeyPatch.context() as patch:
        for name, value in company.environment.items():
            patch.setenv(name, value)
        yield


def tiering(company: Company, *arguments: str) -> Any:
    with environment(company):
        return CliRunner().invoke(app, [*arguments, "--profile", company.name])


def bi(company: Company) -> tuple[str, int, int]:
    """What a BI user reads through ``current``: the night, customers with orders confirmed, their spend."""
    with duckdb.connect(str(company.workspace.published / "current" / DATABASE), read_only=True) as connection:
        row = connection.execute(
            "select max(as_of_date)::varchar, count(*), sum(annual_spend)::bigint from marts.fct_customer_indicators"
        ).fetchone()
    assert row is not None
    return row


def told(company: Company) -> list[str]:
    """What account managers were told: everything but the notices to operators."""
    return [line for line in sent(company) if json.loads(line)["type"] != "warning"]


def sent(company: Company) -> list[str]:
    path = company.workspace.reports / "alerts.jsonl"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


WHO = ("--owner", "Operations", "--reason", "checked with the ERP's owner")


def test_a_bad_night_is_held_and_says_why(stages: Stages) -> None:
    company = stages.held
    assert bi(company) == bi(stages.first), "yesterday's snapshot stays"
    assert told(company) == []
    held_notices = [line for line in sent(company) if json.loads(line)["title"].startswith("Night is held")]
    assert len(held_notices) == 1, "operators know at once"
    held = find(company.workspace)
    assert held.name == f"{BAD}_bad"
    assert held.state() == "open"
    assert any(line.startswith("annual spend of all customers") for line in held.facts["beyond"]), held.facts["beyond"]
    shown = tiering(company, "release", "show")
    assert shown.exit_code == 0, shown.output
    for words in ("annual spend of all customers", "→", "limit", "tiering release approve", "spend before"):
        assert words in shown.output, shown.output
    assert held.facts["movers"]
    facts = read_journal(company.workspace.reports / held.name)[-1]["facts"]
    assert facts["held"] == held.name


def test_what_is_approved_is_published_as_it_was_looked_at_and_told_at_once(stages: Stages, tmp_path: Path) -> None:
    company = stages.held.copy(tmp_path / "approved")
    before, looked_at = bi(company), checksums(company.workspace.held / f"{BAD}_bad")
    refused = tiering(company, "release", "approve")
    assert refused.exit_code == 1
    approved = tiering(company, "release", "approve", *WHO)
    assert approved.exit_code == 0, approved.output
    folder = current_folder(company.workspace)
    assert folder is not None
    assert checksums(folder) == looked_at
    night, _, spend = bi(company)
    assert night == str(BAD)
    assert spend < before[2] * 0.7
    messages = told(company)
    assert messages
    assert len(messages) == len(set(messages))
    again = tiering(company, "release", "approve", f"{BAD}_bad", *WHO)
    assert again.exit_code == 0, again.output
    assert told(company) == messages
    assert tiering(company, "release", "reject", f"{BAD}_bad", *WHO).exit_code == 1
    # Taken back: yesterday is current, nobody is told, and the bad night is no one's yesterday.
    done = tiering(company, "rollback", *WHO)
    assert done.exit_code == 0, done.output
    assert bi(company) == before
    assert told(company) == messages
    accepted = last_accepted(company.workspace)
    assert accepted is not None
    assert accepted.night == FIRST
    yesterday = predecessor(company.workspace, BAD)
    assert yesterday is not None
    assert yesterday.name == f"{FIRST}_first"
    assert find(company.workspace, f"{BAD}_bad").state() == "rolled back"


def test_a_held_night_needs_no_reports_to_be_approved_and_can_be_dropped_after_that(
    stages: Stages, tmp_path: Path
) -> None:
    """Somebody made room on the disk."""
    company = stages.held.copy(tmp_path / "room")
    shutil.rmtree(company.workspace.reports)
    approved = tiering(company, "release", "approve", *WHO)
    assert approved.exit_code == 0, approved.output
    assert bi(company)[0] == str(BAD)
    other = stages.held.copy(tmp_path / "more_room")
    with environment(other):
        answer(other.workspace, f"{BAD}_bad", "approve", "Operations", "then the disk was full")
    shutil.rmtree(other.workspace.held)
    refused = tiering(other, "release", "approve", *WHO)
    assert (refused.exit_code, "is gone, so it cannot be published" in refused.output) == (1, True), refused.output
    assert "tiering release reject" in tiering(other, "release", "show").output
    rejected = tiering(other, "release", "reject", *WHO)
    assert rejected.exit_code == 0, rejected.output
    assert find(other.workspace, f"{BAD}_bad").state() == "rejected"


def test_what_is_rejected_is_no_ones_yesterday(stages: Stages, tmp_path: Path) -> None:
    """The ERP takes its mistake back; the next night goes on from the first one and is not held."""
    company = stages.held.copy(tmp_path / "rejected")
    rejected = tiering(company, "release", "reject", *WHO)
    assert rejected.exit_code == 0, rejected.output
    assert tiering(company, "release", "approve", f"{BAD}_bad", *WHO).exit_code == 1
    assert bi(company) == bi(stages.first)
    generate_company(company.source, until=NEXT)
    with company.erp() as erp, sqlite3.connect(stages.twin.source / "erp" / "erp.sqlite") as right:
        for number, status in right.execute("select order_no, status from orders").fetchall():
            erp.execute(
                "update orders set status = ?, updated_at = ? where order_no = ? and status <> ?",
                [status, f"{NEXT} 20:00:00", number, status],
            )
    run(company, NEXT, "next", NIGHT)
    night, customers, spend = bi(company)
    _, usual_customers, usual_spend = bi(stages.twin)
    assert (night, customers) == (str(NEXT), usual_customers)
    assert abs(spend - usual_spend) < usual_spend * 0.02
    folder = current_folder(company.workspace)
    assert folder is not None
    assert json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["previous"] == f"{FIRST}_first"


@pytest.mark.full
def test_a_restored_company_goes_on_as_its_twin(stages: Stages, tmp_path: Path) -> None:
    """Everything is lost but the sources and a backup of the night before."""
    company = create(tmp_path / "restored")
    assert stat.S_IMODE(stages.backup.stat().st_mode) == 0o600
    restored = tiering(company, "restore", str(stages.backup))
    assert restored.exit_code == 0, restored.output
    assert bi(company) == bi(stages.first)
    refused = tiering(company, "restore", str(stages.backup))
    assert refused.exit_code == 1
    assert "lives here already" in refused.output
    sources = stages.twin.source
    for part in sources.rglob("*"):
        if part.is_file():
            target = company.source / part.relative_to(sources)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(part.read_bytes())
    run(company, BAD, "good", NIGHT)
    found, wanted = (checksums(current_folder(each.workspace) or Path()) for each in (company, stages.twin))
    # Rows are counted, and loads are dated, at the night that gates them: after a rebuild that is this one.
    assert {name for name in wanted if found[name] != wanted[name]} <= {"fct_data_quality", "fct_publication"}
    assert told(company) == told(stages.twin)
    assert [hold.name for hold in holds(company.workspace)] == []
