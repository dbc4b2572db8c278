"""Two nights of one company never work at the same time, and two companies never get in each other's way."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from killing import (
    EXTRACTS,
    FIRST,
    GATES,
    SECOND,
    WAITING_FLAG,
    Company,
    Prepared,
    Run,
    Slots,
    check_current,
    current_checksums,
    fork,
    hold_night,
    landed_rows,
    run,
    source_rows,
    start,
    unfinished_files,
    wait_for,
    warehouse_rows,
)
from rich.console import Console

from customer_tiering.airflow.runner import run_night
from customer_tiering.company.journal import read_journal
from customer_tiering.company.profile import load_profile
from customer_tiering.errors import NightBusy
from customer_tiering.night.guard import night_lock
from customer_tiering.publish import snapshot
from sample_company import generate_company

pytestmark = pytest.mark.slow


@pytest.fixture
def company(prepared: Prepared, tmp_path: Path) -> Company:
    """A company that has had no night yet."""
    return prepared.fresh.copy(tmp_path / "company")


class Holder:
    """A runner that holds a company's night, and the child that inherited it."""

    def __init__(self, company: Company) -> None:
        pids = company.folder / "pids.json"
        self.run: Run = fork(
            hold_night, company.environment, company.name, str(pids), log=company.folder / "holder.log"
        )
        wait_for(pids.exists)
        self.runner, self.child = json.loads(pids.read_text(encoding="utf-8"))


@pytest.fixture
def holder(company: Company) -> Iterator[Holder]:
    """Someone holds the night of ``company``."""
    made = Holder(company)
    yield made
    for pid in (made.runner, made.child):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def test_second_night_is_refused_while_one_runs(
    company: Company, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``make run`` and a run of the scheduler stop at once; the night's own process begins its run."""
    for name, value in company.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NightBusy, match="a night of sample is already running"):
        run_night(load_profile("sample"), FIRST, Console(quiet=True))

    scheduled = start(company, FIRST, "scheduled", ["begin"])
    scheduled.assert_failed_with("NightBusy", "a night of sample is already running")
    assert not company.workspace.warehouse.exists()
    assert not (company.workspace.root / "current_run.json").exists()

    start(company, FIRST, "own", ["begin"], environment={"TIERING_NIGHT_LOCK": "3"}).assert_done()


def test_night_lasts_as_long_as_anyone_who_works_on_it(company: Company, holder: Holder) -> None:
    """Killing the runner does not free the night while its child lives; killing both does, without a clean-up."""
    os.kill(holder.runner, signal.SIGKILL)
    holder.run.assert_killed()
    with pytest.raises(NightBusy), night_lock(company.workspace):
        pass
    start(company, FIRST, "early", ["begin"]).assert_failed_with("NightBusy", "already running")

    os.kill(holder.child, signal.SIGKILL)
    wait_for(lambda: not _is_alive(holder.child))
    with night_lock(company.workspace):
        pass
    run(company, FIRST, "free", ["begin"])


def test_overtaken_run_stops(company: Company, prepared: Prepared) -> None:
    """A run that another one overtook stops at its next step with a message; the later run does the night."""
    run(company, FIRST, "slow", ["begin", "extract erp"])
    run(company, FIRST, "fast", ["begin", "extract erp"])
    for step in ("extract crm", "gate erp", "build", "publish", "alert", "report"):
        overtaken = start(company, FIRST, "slow", [step])
        overtaken.assert_failed_with("NightBusy", "run slow stops: run fast of sample began after it")
    journal = read_journal(company.workspace.reports / f"{FIRST}_slow")
    assert journal[-1]["event"] == "failed"
    assert journal[-1]["next_step"] == "nothing is broken; the later run does the night"

    run(company, FIRST, "fast", [*EXTRACTS, *GATES])
    assert landed_rows(company) == source_rows(company)
    assert warehouse_rows(company) == warehouse_rows(prepared.gated)


@pytest.mark.full
def test_overtaken_amid_its_extraction(company: Company) -> None:
    """A later run waits for an extraction that is still on, so that no row lands twice."""
    flag = company.folder / "waiting"
    slow = start(
        company,
        FIRST,
        "slow",
        ["begin", "extract erp", "gate erp"],
        place="wait while the third table is read",
        environment={WAITING_FLAG: str(flag)},
    )
    wait_for(flag.exists)
    fast = start(company, FIRST, "fast", ["begin", *EXTRACTS])
    wait_for(lambda: "begin:" in fast.text())
    with pytest.raises(AssertionError, match="waited in vain"):
        wait_for(lambda: not fast.is_running(), seconds=3)
    flag.unlink()

    slow.assert_failed_with("NightBusy", "run fast of sample began after it")
    fast.assert_done()
    assert landed_rows(company) == source_rows(company)
    assert unfinished_files(company) == []


@pytest.mark.full
def test_two_companies_at_once(prepared: Prepared, slots: Slots) -> None:
    """Two companies have their nights at the same time; each gets its own, as if it were alone."""
    with slots.copy_of(prepared.fresh) as north:
        south = Company.create(north.folder, "south")
        generate_company(south.source, customers=30, years=2, until=SECOND, seed=7)
        nights: list[tuple[Company, date]] = [(north, FIRST), (south, SECOND)]
        for started in [start(company, night, "run") for company, night in nights]:
            started.assert_done()

        for company, night in nights:
            assert check_current(company) == night
            assert landed_rows(company) == source_rows(company)
            folder = snapshot.current_folder(company.workspace)
            assert folder is not None
            assert snapshot.read_manifest(folder).profile == company.name
        assert current_checksums(north) == current_checksums(prepared.first)
        assert current_checksums(south).keys() == current_checksums(north).keys()


def _is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
