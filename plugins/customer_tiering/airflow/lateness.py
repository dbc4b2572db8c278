"""A night that is not published at the profile's ``deadline`` is told about once, by Airflow's Deadline Alerts.

The scheduler notices, the triggerer runs ``tell_late_night``. Only nights of the schedule have a deadline: whoever
triggers one by hand is watching.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.errors import PublishError

if TYPE_CHECKING:
    from airflow.sdk.definitions.deadline import DeadlineAlert

    from customer_tiering.night.steps import Night

_LOG = logging.getLogger(__name__)


def deadline_alert(profile: Profile) -> DeadlineAlert | None:
    """What the DAG says to Airflow: the deadline counted from the logical date, a day before the night is due.

    On days when the clocks change it is an hour off; ``tell_late_night`` waits when that is too early.
    """
    from airflow.sdk.definitions.callback import AsyncCallback
    from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

    # `airflow dags test` (make run) has no deadline, and at its end Airflow 3.3 fails on a DAG with one.
    if profile.deadline is None or sys.argv[1:3] == ["dags", "test"]:
        return None
    minute, hour, *_ = profile.schedule.split()
    due = datetime(2000, 1, 1, int(hour), int(minute), tzinfo=UTC)
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_LOGICAL_DATE,
        interval=timedelta(days=1) + (_next_time(due, profile.deadline) - due),
        callback=AsyncCallback(tell_late_night, kwargs={"profile_name": profile.name}),
        name="published in time",
    )


async def tell_late_night(profile_name: str, context: dict[str, Any]) -> None:
    """Tell the operators that a scheduled night is late, unless it is published by now."""
    run = context["dag_run"]
    if run["run_type"] != "scheduled":
        return
    profile = load_profile(profile_name)
    due = datetime.fromisoformat(run["run_after"]).astimezone(profile.zone)
    if profile.deadline is not None:
        await asyncio.sleep((_next_time(due, profile.deadline) - datetime.now(UTC)).total_seconds())
    await asyncio.to_thread(report_if_late, profile, due)


def report_if_late(profile: Profile, due: datetime) -> bool:
    """Tell, once, that the night due at a moment is not published; whether it told."""
    from customer_tiering.airflow.tasks import run_id_of
    from customer_tiering.alerts.notices import notify_operators
    from customer_tiering.night.steps import Night, interval_as_of
    from customer_tiering.publish.snapshot import last_accepted

    night = Night(profile.name, interval_as_of(due, profile).isoformat(), run_id_of(due))
    accepted = None
    with suppress(PublishError):  # nothing that can be read is published: late
        accepted = last_accepted(night.workspace)
    told = night.workspace.reports / f"late_{night.as_of_date}.json"
    if (accepted and accepted.night >= night.as_of) or told.exists():
        return False
    facts = {
        "night": night.as_of_date,
        "deadline": f"{profile.deadline} {profile.timezone}",
        "published": accepted.as_of_date if accepted else None,
        "state": _state(night),
    }
    _LOG.error("%s: late night: %s", profile.name, json.dumps(facts, ensure_ascii=False))
    if not notify_operators(profile, "late_night", night.as_of_date, facts):
        return False
    told.parent.mkdir(parents=True, exist_ok=True)
    told.write_text(json.dumps(facts, indent=2, ensure_ascii=False), encoding="utf-8")
    return True


def _next_time(moment: datetime, clock: str) -> datetime:
    """The first moment after another at which the clocks of its time zone show ``HH:MM``."""
    hour, minute = (int(part) for part in clock.split(":"))
    found = moment.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return found if found > moment else found + timedelta(days=1)


def _state(night: Night) -> str:
    """What the run's journal says: the steps that run, and those that failed, with the reason."""
    from customer_tiering.company.journal import read_journal

    last = {event["step"]: event for event in read_journal(night.folder)}  # a step may have been tried again
    said = [
        f"{step} failed: {event['problem']}" if event["event"] == "failed" else f"{step} running"
        for step, event in last.items()
        if event["event"] != "finished"
    ]
    if last and not said:
        return f"waits after {list(last)[-1]}"
    return "; ".join(said) or "has not begun"
