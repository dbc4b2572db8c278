"""Between Airflow and the steps: what a task gets from its context, and which failures are worth a retry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from customer_tiering.errors import NightBusy, NightHeld, ProfileError, SourceError, TargetError, TieringError

NO_WAITING = "TIERING_NO_WAITING"
"""Set where no Airflow stays up in which a person could answer."""


def begin_night(profile_name: str, context: dict[str, Any]) -> dict[str, str]:
    """Name the night of a DAG run and begin it; the result travels to the other tasks by XCom."""
    from customer_tiering.company.profile import load_profile
    from customer_tiering.night.steps import Night, begin, interval_as_of

    run = context["dag_run"]
    wanted = context["params"].get("as_of")
    try:
        if wanted:
            as_of = date.fromisoformat(wanted)
        elif context.get("data_interval_end"):
            as_of = interval_as_of(context["data_interval_end"], load_profile(profile_name))
        else:
            as_of = interval_as_of(run.run_after, load_profile(profile_name))
    except ValueError as error:
        raise _final(ProfileError(f"as_of {wanted!r} is no date", "write it as YYYY-MM-DD")) from error
    night = Night(profile_name, as_of.isoformat(), run_id_of(run.run_after))
    with _retried_or_final():
        begin(night)
    return night.as_dict()


def run_id_of(run_after: datetime) -> str:
    """The id of the run that was due at a moment."""
    return run_after.astimezone(UTC).strftime("%Y%m%dT%H%M%S")


def run_step(name: str, night: dict[str, str], *arguments: str) -> None:
    """Run one step."""
    from customer_tiering.night import steps

    with _retried_or_final():
        getattr(steps, name)(steps.Night(**night), *arguments)


def judge_night(night: dict[str, str]) -> str:
    """Judge the marts; returns the task that comes next. Where nobody could answer (``NO_WAITING``) a hold fails."""
    from customer_tiering.night import steps
    from customer_tiering.release.holds import find, how_to_answer, text

    run_step("judge", night)
    of_run = steps.Night(**night)
    held = steps.judgement(of_run)["held"]
    if not held:
        return "publish"
    if os.environ.get(NO_WAITING):
        hold = find(of_run.workspace, held)
        held_night = NightHeld(text(hold), how_to_answer(hold, of_run.profile_name))
        raise _final(held_night) from held_night
    return "approve"


def tell_of_failure(context: dict[str, Any]) -> None:
    """Tell operators, once a run, that the night has failed and where; for a task that is not tried again."""
    from customer_tiering.alerts.notices import notify_operators
    from customer_tiering.company.profile import load_profile

    error = context.get("exception")
    cause = error.__cause__ if isinstance(error, BaseException) and error.__cause__ else error
    if isinstance(cause, NightHeld):  # told when it was held
        return
    if isinstance(cause, TieringError):
        problem, next_step = cause.problem, cause.next_step
    else:  # its text may hold anything
        problem, next_step = (
            f"it failed ({type(cause).__name__})",
            "see the task's log; the next run recovers by itself",
        )
    try:
        night = context["ti"].xcom_pull(task_ids="begin") or {}
    except Exception:  # a task that was killed has its callback called where there is no XCom
        night = {}
    notify_operators(
        load_profile(os.environ.get("TIERING_PROFILE", "sample")),
        "failed_night",
        context["run_id"],
        {
            "as_of_date": night.get("as_of_date", ""),
            "step": context["ti"].task_id,
            "problem": problem,
            "next_step": next_step,
        },
    )


def summarise_published(night: dict[str, str] | None) -> None:
    """Summarise a run that was published, also when alerts or report failed; skip the summary of any other run."""
    from airflow.sdk.exceptions import AirflowSkipException

    from customer_tiering.company.journal import read_journal
    from customer_tiering.night import steps

    published = night is not None and any(
        (event["step"], event["event"]) == ("publish", "finished")
        for event in read_journal(steps.Night(**night).folder)
    )
    if night is None or not published:
        raise AirflowSkipException("nothing of this run was published; the task that failed says why")
    run_step("summarise", night)


@contextmanager
def _retried_or_final() -> Iterator[None]:
    """A source or target out of reach and a busy company are worth a retry, other failures are final."""
    try:
        yield
    except (SourceError, TargetError, NightBusy):
        raise
    except TieringError as error:
        raise _final(error) from error


def _final(error: TieringError) -> Exception:
    from airflow.sdk.exceptions import AirflowFailException

    return AirflowFailException(str(error))
