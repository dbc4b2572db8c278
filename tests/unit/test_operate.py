"""What an operator asks and does: status, and taking a publication back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import duckdb
import pytest
from typer.testing import CliRunner

from customer_tiering.alerts.ledger import FILE, open_ledger
from customer_tiering.alerts.messages import Letter
from customer_tiering.cli.main import app
from customer_tiering.company.journal import journaled
from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.company.release_limits import ReleaseLimits
from customer_tiering.decisions.release import read_events
from customer_tiering.errors import DecisionError, NightBusy, PublishError
from customer_tiering.night.guard import night_lock
from customer_tiering.operate import rollback as rollback_module
from customer_tiering.operate.rollback import rollback
from customer_tiering.operate.status import status
from customer_tiering.publish import snapshot
from customer_tiering.publish.snapshot import Manifest, check_order, current_folder, folder_of, predecessor, publish
from customer_tiering.release import holds
from customer_tiering.release.comparison import Verdict
from nights import write_profile

WHO = ("Wu", "half of the ERP was missing")
NIGHTS = [date(2026, 3, day) for day in (1, 2, 3)]
NOON = datetime(2026, 3, 4, 4, tzinfo=UTC)  # in Shanghai, the day after the last night


class Yesterday(datetime):
    """A clock that is a day slow."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) - timedelta(days=1)


class Acme:
    """A company whose snapshots are made by hand."""

    def __init__(self, profile: Profile) -> None:
        self.profile, self.workspace = profile, profile.workspace
        self.workspace.make()
        self.connection = duckdb.connect(str(self.workspace.warehouse))
        self.connection.execute(
            "create schema if not exists marts; create table if not exists marts.dim_nights (night date); "
            "create table if not exists marts.fct_data_quality (source varchar, as_of_date date, rows_in integer)"
        )

    def manifest(self, night: date, run_id: str = "r") -> Manifest:
        return Manifest("acme", str(night), run_id, "", "", "", "s", "CNY", {})

    def publish(self, night: date, run_id: str = "r") -> Path:
        self.connection.execute("insert into marts.dim_nights values (?)", [night])
        self.connection.execute("insert into marts.fct_data_quality values ('crm', ?, 5)", [night])
        return publish(self.connection, self.workspace, self.manifest(night, run_id), keep=3)

    def hold(self, night: date, run_id: str = "held") -> holds.Hold:
        return holds.hold(
            self.connection, self.workspace, self.manifest(night, run_id), Verdict(), ReleaseLimits(), keep=3
        )

    def published(self) -> list[str]:
        return sorted(path.name for path in self.workspace.published.iterdir())


@pytest.fixture(scope="module")
def three_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company with three published nights; tests work on copies."""
    root = tmp_path_factory.mktemp("three")
    with pytest.MonkeyPatch.context() as patch:
        _live_in(root, patch)
        write_profile(root / "profiles", "acme", sources={"crm": {"path": "crm"}})
        made = Acme(load_profile("acme"))
        for night in NIGHTS:
            made.publish(night)
        made.connection.close()
    return root


@pytest.fixture
def acme(three_nights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    """Three nights are published."""
    root = Path(shutil.copytree(three_nights, tmp_path / "copy", symlinks=True))
    _live_in(root, monkeypatch)
    made = Acme(load_profile("acme"))
    yield made
    made.connection.close()


def _live_in(root: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("TIERING_VAR", str(root / "var"))
    patch.setenv("TIERING_PROFILES", str(root / "profiles"))


def tiering(*arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--profile", "acme"])


# --- rollback --------------------------------------------------------------------------------------------------


def test_the_night_before_is_current_again_and_the_bad_one_is_no_ones_yesterday(acme: Acme) -> None:
    bad = snapshot.checksums(acme.workspace.published / "2026-03-03_r")
    done = rollback(acme.profile, "", *WHO)
    assert (done.target.name, done.withdrawn) == ("2026-03-02_r", ["2026-03-03_r"])
    assert acme.published() == ["2026-03-01_r", "2026-03-02_r", "current"]
    assert snapshot.checksums(acme.workspace.held / "2026-03-03_r") == bad, "set aside, not lost"
    accepted = check_order(acme.workspace, NIGHTS[2])
    assert accepted is not None
    assert accepted.night == NIGHTS[1]
    yesterday = predecessor(acme.workspace, date(2026, 3, 4))
    assert yesterday is not None
    assert yesterday.name == "2026-03-02_r"
    with pytest.raises(PublishError, match="no snapshot of the night 2026-03-03 is kept"):
        folder_of(acme.workspace, NIGHTS[2])
    event = read_events(acme.workspace.decisions)[-1]
    assert (event.kind, event.night, event.owner, event.folder) == ("rollback", "2026-03-03_r", "Wu", "2026-03-02_r")


def test_the_night_that_was_taken_back_can_be_run_again_even_by_the_same_run(acme: Acme) -> None:
    rollback(acme.profile, "", *WHO)
    folder = acme.publish(NIGHTS[2])
    assert current_folder(acme.workspace) == folder.resolve()
    assert snapshot.read_manifest(folder).previous == "2026-03-02_r"
    rollback(acme.profile, "", *WHO)
    assert acme.published() == ["2026-03-01_r", "2026-03-02_r", "current"]


def test_a_night_or_a_folder_can_be_named(acme: Acme) -> None:
    acme.publish(NIGHTS[2], "again")
    assert rollback(acme.profile, "2026-03-03_r", *WHO).withdrawn == ["2026-03-03_again"]
    done = rollback(acme.profile, "2026-03-01", *WHO)
    assert done.withdrawn == ["2026-03-03_r", "2026-03-02_r"]
    assert acme.published() == ["2026-03-01_r", "current"]


@pytest.mark.parametrize("to", ["2026-03-09", "2026-03-09_r", "current", "../published", "nonsense"])
def test_only_kept_snapshots_are_gone_back_to(to: str, acme: Acme) -> None:
    with pytest.raises(PublishError):
        rollback(acme.profile, to, *WHO)
    assert len(acme.published()) == 4


def test_it_needs_a_reason_and_waits_for_a_night(acme: Acme) -> None:
    with pytest.raises(DecisionError):
        rollback(acme.profile, "", "Wu", "")
    with night_lock(acme.workspace), pytest.raises(NightBusy):
        rollback(acme.profile, "", *WHO)
    rollback(acme.profile, "2026-03-01", *WHO)
    with pytest.raises(PublishError, match="it was the first night"):
        rollback(acme.profile, "", *WHO)


def test_one_that_was_cut_off_is_finished_by_the_same_call(acme: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(holds, "withdraw", die)
        with pytest.raises(Killed):
            rollback(acme.profile, "2026-03-02", *WHO)
    current = current_folder(acme.workspace)
    assert current is not None
    assert current.name == "2026-03-02_r"
    assert rollback(acme.profile, "2026-03-02", *WHO).withdrawn == ["2026-03-03_r"]
    assert acme.published() == ["2026-03-01_r", "2026-03-02_r", "current"]


@pytest.mark.parametrize("place", ["point_current_to", "withdraw", "move"])
def test_cut_off_anywhere_the_same_call_takes_back_one_night_only(
    place: str, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        where = {"point_current_to": rollback_module, "withdraw": holds, "move": shutil}[place]
        patch.setattr(where, place, full_disk)
        with pytest.raises(OSError, match="No space left"):
            rollback(acme.profile, "", *WHO)
    done = rollback(acme.profile, "", *WHO)
    assert (done.target.name, done.withdrawn) == ("2026-03-02_r", ["2026-03-03_r"])
    assert acme.published() == ["2026-03-01_r", "2026-03-02_r", "current"]
    assert rollback(acme.profile, "", *WHO).target.name == "2026-03-01_r", "a second one goes back once more"


def test_a_cut_off_rollback_does_not_matter_after_the_next_night(acme: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(holds, "withdraw", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rollback(acme.profile, "", *WHO)
    acme.publish(NIGHTS[2], "again")
    assert rollback(acme.profile, "", *WHO).target.name == "2026-03-02_r"


def test_a_hold_that_goes_on_from_what_is_taken_back_is_superseded(acme: Acme) -> None:
    held = acme.hold(date(2026, 3, 4))
    rollback(acme.profile, "", *WHO)
    assert holds.find(acme.workspace, held.name).state() == "superseded"


# --- status ----------------------------------------------------------------------------------------------------


def test_a_company_without_worries(acme: Acme) -> None:
    found = status(acme.profile, NOON)
    assert found.attention == []
    assert found.published is not None
    assert (found.published["night"], found.published["nights_behind"]) == ("2026-03-03", 0)
    assert found.sources == {"crm": {"last_night_with_rows": "2026-03-03", "silent_nights": 0}}
    shown = tiering("status")
    assert (shown.exit_code, "all is well" in shown.output) == (0, True), shown.output
    assert json.loads(tiering("status", "--json").output)["disk"]["free"] > 0


def test_lateness_counts_only_where_a_schedule_is_on(acme: Acme) -> None:
    """The schedule is 02:00 in Shanghai; six hours later the night of the day before should be there."""
    late = datetime(2026, 3, 5, 1, tzinfo=UTC)
    assert status(acme.profile, late).attention == []
    acme.workspace.airflow_home.mkdir()
    (acme.workspace.airflow_home / "schedule.json").write_text("{}", encoding="utf-8")
    (line,) = status(acme.profile, late).attention
    assert "the published night 2026-03-03 is 1 day(s) behind the schedule" in line
    assert status(acme.profile, datetime(2026, 3, 4, 23, tzinfo=UTC)).attention == [], "it may still run"


def test_a_held_night_a_failed_step_and_a_silent_source_are_named(acme: Acme) -> None:
    held = acme.hold(date(2026, 3, 20))
    acme.connection.execute("update marts.fct_data_quality set rows_in = 0 where as_of_date > '2026-03-01'")
    acme.publish(date(2026, 3, 12))
    acme.connection.execute("update marts.fct_data_quality set rows_in = 0 where as_of_date > '2026-03-01'")
    acme.publish(date(2026, 3, 12), "again")
    with pytest.raises(PublishError), journaled(acme.workspace.reports / "2026-03-20_x", "extract crm"):
        raise PublishError("the export did not come", "ask its owner")
    found = status(acme.profile, NOON)
    assert [item["name"] for item in found.held] == [held.name]
    assert found.last_run is not None
    assert found.last_run["state"] == "failed"
    assert found.sources["crm"]["failed"] == "the export did not come"
    joined = "\n".join(found.attention)
    for words in (f"the night {held.name} is held", "tiering release approve", "failed in extract crm: the export did"):
        assert words in joined
    shown = tiering("status")
    assert shown.exit_code == 1
    assert held.name in shown.output


def test_a_silent_source_is_named(acme: Acme) -> None:
    acme.connection.execute("delete from marts.fct_data_quality where as_of_date > '2026-03-01'")
    acme.connection.execute("insert into marts.fct_data_quality values ('crm', '2026-03-12', 0)")
    publish(acme.connection, acme.workspace, acme.manifest(date(2026, 3, 12)), keep=3)
    assert status(acme.profile, NOON).attention == ["source crm has brought no row since 2026-03-01; ask its owner"]


def test_what_the_ledger_says_of_alerts_counts(acme: Acme) -> None:
    """Also a notice of a night that made no summary; and a retry that has delivered it is seen at once."""
    assert status(acme.profile, NOON).alerts == {}
    assert not (acme.workspace.ledger / FILE).exists(), "looking makes no ledger"
    with open_ledger(acme.workspace.ledger) as ledger:
        for number, give_up_days in ((1, 14), (2, 0)):
            ledger.add_notice("held_night", str(number), "chat", "operators", "2026-03-04", {})
            ledger.fail(ledger.messages()[-1:], "refused", give_up_days)
    found = status(acme.profile, NOON)
    assert found.alerts == {"chat": {"failed": 1, "given_up": 1}}
    assert [line.partition(";")[0] for line in found.attention] == [
        "channel chat: 1 messages failed",
        "channel chat: 1 messages were given up",
    ]
    shown = tiering("status")
    assert (shown.exit_code, "chat 1 failed, 1 given_up" in shown.output) == (1, True)
    with open_ledger(acme.workspace.ledger) as ledger:
        for message in ledger.messages():
            ledger.record(Letter("x", "chat", "", "", "", True, (message,)))
    assert status(acme.profile, NOON).attention == []
    assert tiering("status").exit_code == 0


def test_a_held_night_that_nobody_answered_in_time_is_named_until_a_later_one_is_published(acme: Acme) -> None:
    limits = ReleaseLimits(answer_within_hours=1)
    night = date(2026, 3, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holds, "datetime", Yesterday)
        held = holds.hold(acme.connection, acme.workspace, acme.manifest(night, "r1"), Verdict(), limits, keep=3)
    assert held.state() == "rejected"
    (line,) = status(acme.profile, NOON).attention
    assert f"the held night {held.name} was not answered by" in line
    assert "make run PROFILE=acme AS_OF=2026-03-04" in line
    holds.answer(acme.workspace, held.name, "reject", holds.TIME_LIMIT, "unanswered")
    assert status(acme.profile, NOON).attention == [line], "as Airflow writes it down"
    acme.publish(night, "r2")
    assert status(acme.profile, NOON).attention == []


def test_a_held_night_that_a_person_rejected_needs_nobody(acme: Acme) -> None:
    held = acme.hold(date(2026, 3, 4))
    holds.answer(acme.workspace, held.name, "reject", *WHO)
    assert status(acme.profile, NOON).attention == []


def test_a_night_that_was_killed_is_told_from_one_that_runs(acme: Acme) -> None:
    folder = acme.workspace.reports / "2026-03-04_x"
    folder.mkdir()
    (folder / "steps.jsonl").write_text('{"step": "build", "event": "started"}\n', encoding="utf-8")
    (line,) = status(acme.profile, NOON).attention
    assert "ended in the middle of build" in line
    code = (
        "import time\nfrom customer_tiering.company.workspace import Workspace\n"
        "from customer_tiering.night.guard import night_lock\n"
        "with night_lock(Workspace.of('acme')): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ, stdout=subprocess.PIPE) as night:
        assert night.stdout is not None
        night.stdout.readline()
        found = status(acme.profile, NOON)
        night.kill()
    assert found.attention == []
    assert found.last_run is not None
    assert (found.night_runs, found.last_run["state"]) == (True, "running")


def test_a_lost_pointer_does_not_hide_the_rest(acme: Acme) -> None:
    (acme.workspace.published / "current").unlink()
    found = status(acme.profile, NOON)
    assert any("is no longer a link to a snapshot" in line and "ln -s 2026-03-03_r" in line for line in found.attention)
    assert found.disk
