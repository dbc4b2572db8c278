"""A night is late at one moment, told once, and only when it is really not there."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from customer_tiering.airflow.lateness import _next_time, _state, deadline_alert, report_if_late, tell_late_night
from customer_tiering.alerts import notices
from customer_tiering.alerts.ledger import FILE, open_ledger
from customer_tiering.company.journal import journaled
from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.company.workspace import project_root
from customer_tiering.errors import ProfileError
from customer_tiering.night.steps import Night

DUE = datetime(2026, 3, 31, 18, 0, tzinfo=UTC)  # 02:00 on 1 April in Shanghai: the night of 31 March


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("TIERING_PROFILES", str(tmp_path))
    return with_keys(tmp_path, deadline="06:00")


def with_keys(folder: Path, **keys: object) -> Profile:
    raw = yaml.safe_load((project_root() / "profiles" / "sample.yml").read_text(encoding="utf-8")) | keys
    (folder / "late.yml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    return load_profile("late")


def publish(profile: Profile, night: date) -> None:
    """As much of a snapshot as names its night."""
    folder = profile.workspace.published / "snapshots" / "one"
    folder.mkdir(parents=True)
    fields = ("profile", "run_id", "rules_version", "config_hash", "code_version", "headline_scheme", "currency")
    manifest = dict.fromkeys(fields, "x") | {"as_of_date": night.isoformat(), "rows": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (profile.workspace.published / "current").symlink_to(folder)


def told(profile: Profile) -> list[Path]:
    return sorted(profile.workspace.reports.glob("late_*.json"))


def test_the_alert_counts_from_the_day_before(tmp_path: Path, company: Profile) -> None:
    alert = deadline_alert(company)
    assert alert is not None
    assert alert.interval == timedelta(days=1, hours=4)
    evening = deadline_alert(with_keys(tmp_path, schedule="30 22 * * *", deadline="06:00"))
    assert evening is not None
    assert evening.interval == timedelta(days=1, hours=7, minutes=30)
    assert deadline_alert(with_keys(tmp_path, deadline=None)) is None


def test_a_run_that_a_person_watches_has_no_deadline(company: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow 3.3 ends such a run with an error when its DAG has a deadline, and leaves it open."""
    monkeypatch.setattr("sys.argv", ["airflow", "dags", "test", "nightly_tiering"])
    assert deadline_alert(company) is None


def test_clocks_that_change_do_not_move_the_deadline() -> None:
    berlin = load_profile("sample").model_copy(update={"timezone": "Europe/Berlin"}).zone
    for day in (date(2026, 3, 29), date(2026, 10, 25), date(2026, 7, 1)):
        due = datetime(day.year, day.month, day.day, 1, 30, tzinfo=berlin)
        assert _next_time(due, "06:00").isoformat()[:16] == f"{day}T06:00"
        assert _next_time(due, "01:30").date() == day + timedelta(days=1)


def test_a_late_night_is_told_once_and_says_where_it_stands(company: Profile) -> None:
    with (
        pytest.raises(ValueError, match="gone"),
        journaled(Night("late", "2026-03-31", "20260331T180000").folder, "extract crm"),
    ):
        raise ValueError("gone")
    publish(company, date(2026, 3, 30))
    assert report_if_late(company, DUE)
    assert not report_if_late(company, DUE)
    (notice,) = (company.workspace.reports / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(notice)["title"].startswith("Night is late")
    assert [json.loads(path.read_text(encoding="utf-8")) for path in told(company)] == [
        {
            "night": "2026-03-31",
            "deadline": "06:00 Asia/Shanghai",
            "published": "2026-03-30",
            "state": "extract crm failed: ValueError: gone",
        }
    ]


def test_a_notice_needs_no_lock_to_be_noted(company: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead channel keeps another process sending for minutes; the notice goes out when that has ended."""
    monkeypatch.setattr(notices, "_LOCK_SECONDS", 0.1)
    with open_ledger(company.workspace.ledger):
        assert report_if_late(company, DUE)
    with open_ledger(company.workspace.ledger) as ledger:
        assert [(message.line.scheme, message.state) for message in ledger.messages()] == [("late_night", "due")]
    assert len(told(company)) == 1


def test_what_could_not_be_noted_is_tried_again(company: Profile) -> None:
    company.workspace.ledger.mkdir(parents=True)
    broken = company.workspace.ledger / FILE
    broken.write_bytes(b"no database at all, but long enough to be one" * 100)
    assert not report_if_late(company, DUE)
    assert told(company) == []
    broken.unlink()
    assert report_if_late(company, DUE)
    assert len(told(company)) == 1


def test_a_step_that_is_tried_again_runs(company: Profile) -> None:
    night = Night("late", "2026-03-31", "20260331T180000")
    assert _state(night) == "has not begun"
    with suppress(ValueError), journaled(night.folder, "begin"):
        raise ValueError("gone")
    with journaled(night.folder, "begin"):
        assert _state(night) == "begin running"
    assert _state(night) == "waits after begin"


def test_a_night_that_somebody_published_meanwhile_is_not_late(company: Profile) -> None:
    publish(company, date(2026, 3, 31))
    assert not report_if_late(company, DUE)
    assert told(company) == []


def test_only_nights_of_the_schedule_are_late(company: Profile) -> None:
    run = {"run_type": "manual", "run_after": DUE.isoformat()}
    asyncio.run(tell_late_night("late", {"dag_run": run}))
    assert told(company) == []
    asyncio.run(tell_late_night("late", {"dag_run": run | {"run_type": "scheduled"}}))
    assert [path.name for path in told(company)] == ["late_2026-03-31.json"]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"deadline": "25:00"}, "deadline: String should match pattern"),
        ({"deadline": "06:00", "schedule": "0 2 * * 1-5"}, "deadline: a deadline needs a schedule of one"),
    ],
)
def test_a_deadline_that_makes_no_sense_is_refused(
    keys: dict[str, object], problem: str, tmp_path: Path, company: Profile
) -> None:
    with pytest.raises(ProfileError, match=problem):
        with_keys(tmp_path, **keys)
    assert with_keys(tmp_path, deadline=1080).deadline == "18:00"  # what YAML makes of 18:00 without quotes
