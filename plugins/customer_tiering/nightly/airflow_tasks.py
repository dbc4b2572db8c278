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


def summarise_published(night: dict[str, str] | None) -> None:
    """Summarise a run that was published, also when alerts or report failed; skip the summary of any other run."""
    from airflow.sdk.exceptions import AirflowSkipException

    from customer_tiering.nightly import steps
    from customer_tiering.nightly.journal import read_journal

    published = night is not None and any(
        (event["step"], event["event"]) == ("publish", "finished")
        for event in read_journal(steps.Night(**night).folder)
    )
    if night is None or not published:
        raise AirflowSkipException("nothing of this run was published; the task that failed says why")
    run_step("summarise", night)


def _final(error: TieringError) -> Exception:
    from airflow.sdk.exceptions import AirflowFailException

    return AirflowFailException(str(error))
