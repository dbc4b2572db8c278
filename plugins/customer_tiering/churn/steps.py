"""The steps of a training, as plain functions; ``dags/churn_training.py`` and ``tiering churn train`` call them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from customer_tiering.company.profile import Profile
from customer_tiering.errors import TieringError, TrainingRefused


def new_training(profile: Profile) -> Path:
    """The folder of a new training. The names of trainings sort by time."""
    return profile.workspace.models / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"


def prepare(profile: Profile, folder: Path, say: Callable[[str], None] = lambda _text: None) -> Path:
    """Compute the training set of past cutoffs beside the warehouse. Raises ``TrainingRefused``."""
    from customer_tiering.churn.card import refusal_card
    from customer_tiering.churn.store import save_training
    from customer_tiering.churn.training_set import build_training_set

    try:
        return build_training_set(profile, folder, say)
    except TrainingRefused as error:
        save_training(folder, refusal_card(_about(profile), error.problem), None)
        raise
    except TieringError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def train_and_judge(profile: Profile, folder: Path, train_until: date | None = None) -> dict[str, Any]:
    """Train on a prepared set, write the card, and promote the model if it is better. Raises ``TrainingRefused``."""
    from customer_tiering.churn.card import card_of, refusal_card
    from customer_tiering.churn.store import champion, promote, save_training
    from customer_tiering.churn.table import Feature, read_table
    from customer_tiering.churn.training import Limits, summary, train
    from customer_tiering.churn.training_set import ABOUT, TABLE

    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    settings = about["settings"]
    limits = Limits(
        horizon_days=int(settings["churn_horizon_days"]),
        min_customers=int(settings["churn_min_customers"]),
        min_events=int(settings["churn_min_events"]),
    )
    table = read_table(folder / TABLE, [Feature(**feature) for feature in about.pop("features")])
    in_use = champion(profile.workspace)
    if in_use is not None and in_use.horizon_days != limits.horizon_days:
        in_use = None  # it answers another question
    try:
        training = train(table, limits, in_use, train_until=train_until)
    except TrainingRefused as error:
        save_training(folder, refusal_card(about, error.problem), None)
        raise
    save_training(folder, card_of(training, about), training.model)
    if training.promoted:
        promote(profile.workspace, folder.name, training.model)
    return summary(training) | {"training": folder.name}


def _about(profile: Profile) -> dict[str, Any]:
    from customer_tiering.publish.snapshot import current_folder, read_manifest

    published = current_folder(profile.workspace)
    return {
        "profile": profile.name,
        "night": read_manifest(published).as_of_date if published else "no night",
        "label": "not computed",
    }
