"""Between Airflow and the steps of a training: too little data skips, a busy warehouse is retried, the rest fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from customer_tiering.errors import NightBusy, TieringError, TrainingRefused


def prepare_training(profile_name: str) -> str:
    """Compute the training set; returns its folder, which travels to the next task by XCom."""
    from customer_tiering.churn.steps import new_training, prepare
    from customer_tiering.company.profile import load_profile

    profile = load_profile(profile_name)
    return str(_guarded(lambda: prepare(profile, new_training(profile), print)))


def train_model(profile_name: str, folder: str) -> dict[str, Any]:
    """Train, judge, promote; returns a few figures."""
    from customer_tiering.churn.steps import train_and_judge
    from customer_tiering.company.profile import load_profile

    result: dict[str, Any] = _guarded(lambda: train_and_judge(load_profile(profile_name), Path(folder)))
    return result


def _guarded(step: Callable[[], Any]) -> Any:
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    try:
        return step()
    except NightBusy:
        raise
    except TrainingRefused as error:
        raise AirflowSkipException(str(error)) from error
    except TieringError as error:
        raise AirflowFailException(str(error)) from error
