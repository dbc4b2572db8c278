"""Between Airflow and the steps: what is tried again, what is final, and what operators read of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from customer_tiering.airflow.approval import HeldNight
from customer_tiering.airflow.tasks import begin_night
from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.decisions import release
from customer_tiering.errors import DecisionError, NightBusy, OrderError, SourceError
from customer_tiering.night import steps
from customer_tiering.night.guard import night_lock
from nights import write_profile


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Profile]:
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("TIERING_PROFILES", str(tmp_path / "profiles"))
    write_profile(tmp_path / "profiles", "acme", sources={"crm": {"path": "crm"}})
    made = load_profile("acme")
    made.workspace.make()
    yield made


def begin() -> dict[str, str]:
    run = SimpleNamespace(run_after=datetime(2026, 3, 2, tzinfo=UTC))
    return begin_night("acme", {"dag_run": run, "params": {"as_of": "2026-03-01"}})


def test_a_night_that_finds_its_company_busy_is_tried_again(acme: Profile) -> None:
    """A rollback takes a moment; the scheduled night must not be lost to it."""
    with night_lock(acme.workspace), pytest.raises(NightBusy):
        begin()
    assert begin()["as_of_date"] == "2026-03-01"


def test_only_what_may_pass_is_tried_again(acme: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, seen in ((SourceError("out of reach"), SourceError), (OrderError("too early"), AirflowFailException)):

        def fail(_night: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(steps, "begin", fail)
        with pytest.raises(seen) as caught:
            begin()
        assert error in (caught.value, caught.value.__cause__)


def test_a_held_night_that_nobody_answered_says_how_to_go_on(acme: Profile) -> None:
    line = {"kind": "hold", "night": "2026-03-01_r", "owner": "circuit breaker", "answer_until": "2026-03-02T09:00:00Z"}
    text = json.dumps(line | {"decided_at": "2026-03-01T21:00:00Z"}) + "\n"
    (acme.workspace.decisions / release.FILE).write_text(text, encoding="utf-8")
    task = HeldNight(task_id="approve", night=steps.Night("acme", str(date(2026, 3, 1)), "r").as_dict())
    with pytest.raises(AirflowFailException) as caught:
        task._go_on({}, "2026-03-01_r")
    told = caught.value.__cause__  # operators are told this
    assert isinstance(told, DecisionError)
    assert told.problem.startswith("the held night 2026-03-01_r was not answered by 2026-03-02 09:00 UTC")
    assert "tiering release show 2026-03-01_r --profile acme" in told.next_step
