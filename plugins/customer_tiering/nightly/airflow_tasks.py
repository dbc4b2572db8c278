"""Between Airflow and the steps: what a task gets from its context, and which failures are worth a retry."""

from __future__ import annotations

from datetime import date
from typing import Any

from customer_tiering.errors import NightBusy, ProfileError, SourceError, TargetError, TieringError


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
    """Run one step. A source or target out of reach and a busy warehouse are retried, other failures are final."""
    from customer_tiering.nightly import steps

    try:
        getattr(steps, name)(steps.Night(**night), *arguments)
    except (SourceError, TargetError, NightBusy):
        raise
    except TieringError as error:
        raise _final(error) from error


def _final(error: TieringError) -> Exception:
    from airflow.sdk.exceptions import AirflowFailException

    return AirflowFailException(str(error))
