"""Between Airflow and the steps: what a task gets from its context, and which failures are worth a retry."""

from __future__ import annotations

from datetime import date
from typing import Any

from customer_tiering.errors import NightBusy, ProfileError, SourceError, TieringError


def begin_night(profile_name: str, context: dict[str, Any]) -> dict[str, str]:
    """Name the night of a DAG run and begin it; the result travels to the other tasks by XCom."""
    from customer_tiering.nightly.steps import Night, begin, interval_as_of
    from customer_tiering.profile import load_profile

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
    night = Night(profile_name, as_of.isoformat(), run.run_after.strftime("%Y%m%dT%H%M%S"))
    try:
        begin(night)
    except TieringError as error:
        raise _final(error) from error
    return night.as_dict()


def run_step(name: str, night: dict[str, str], *arguments: str) -> None:
    """Run one step. A source that cannot be read and a busy warehouse are retried, other failures are final."""
    from customer_tiering.nightly import steps

    try:
        getattr(steps, name)(steps.Night(**night), *arguments)
    except (SourceError, NightBusy):
        raise
    except TieringError as error:
        raise _final(error) from error


def tell_of_failure(context: dict[str, Any]) -> None:
    """Tell operators, once a run, that the night has failed and where; for a task that is not tried again."""
    import os

    from customer_tiering.alerts.notices import notify_operators
    from customer_tiering.profile import load_profile

    error = context.get("exception")
    cause = error.__cause__ if isinstance(error, BaseException) and error.__cause__ else error
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


def _final(error: TieringError) -> Exception:
    from airflow.sdk.exceptions import AirflowFailException

    return AirflowFailException(str(error))
