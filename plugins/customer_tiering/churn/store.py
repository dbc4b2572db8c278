"""Where models lie: ``var/<profile>/models/<training>/`` with card and numbers; ``champion.json`` is the one in use."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.churn.card import as_markdown
from customer_tiering.churn.logistic import LogisticModel
from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import TieringError

CARD, CARD_TEXT, NUMBERS, CHAMPION = "card.json", "card.md", "model.json", "champion.json"


def save_training(folder: Path, card: dict[str, Any], model: LogisticModel | None) -> None:
    """Write a training's card, and its numbers if it has any."""
    folder.mkdir(parents=True, exist_ok=True)
    if model is not None:
        _write(folder / NUMBERS, asdict(model))
    _write(folder / CARD, card)
    (folder / CARD_TEXT).write_text(as_markdown(card), encoding="utf-8")


def promote(workspace: Workspace, training: str, model: LogisticModel) -> None:
    """Make a model the one in use from the next night on, in one step."""
    _write(workspace.models / CHAMPION, {"training": training, "model": asdict(model)})


def champion(workspace: Workspace) -> LogisticModel | None:
    """The model in use. Raises ``TieringError`` when its file cannot be read."""
    path = workspace.models / CHAMPION
    if not path.exists():
        return None
    try:
        return LogisticModel.from_json(json.loads(path.read_text(encoding="utf-8"))["model"])
    except (ValueError, KeyError, TypeError) as error:
        raise TieringError(
            f"the promoted churn model {path} cannot be read: {error}",
            f"put it back from a backup, or remove it (rule signals only) and train again: rm {path}",
        ) from error


def latest_card(workspace: Workspace) -> Path:
    """The newest training's card. Raises ``TieringError`` when nothing was trained yet."""
    cards = sorted(workspace.models.glob(f"*/{CARD_TEXT}"))
    if not cards:
        raise TieringError("no churn model was trained yet", "train one: tiering churn train")
    return cards[-1]


def land_churn_model(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    """Put the promoted model, if there is one, in front of the models."""
    model = champion(workspace)
    connection.execute("begin")
    try:
        connection.execute("delete from meta.churn_model")
        connection.execute("delete from meta.churn_model_features")
        if model is not None:
            version = model.version
            connection.execute(
                "insert into meta.churn_model values (?, ?, ?, ?, ?, ?)",
                [
                    *(version, model.horizon_days, model.trained_until),
                    *(model.intercept, model.slope, model.calibration_offset),
                ],
            )
            connection.executemany(
                "insert into meta.churn_model_features values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [[version, *asdict(weight).values()] for weight in model.weights],
            )
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content, ensure_ascii=False, indent=1, default=str) + "\n", encoding="utf-8")
    fresh.replace(path)
