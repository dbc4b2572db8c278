"""A calibrated logistic regression as plain numbers: what is stored, promoted, and repeated by SQL."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from customer_tiering.churn.table import Floats, TrainingTable


@dataclass(frozen=True)
class Weight:
    """One feature of a logistic model, as SQL applies it."""

    feature: str
    transform: str
    lower_bound: float
    upper_bound: float
    imputation: float
    mean: float
    scale: float
    coefficient: float


@dataclass(frozen=True)
class LogisticModel:
    """A calibrated logistic regression as numbers; see ``meta.churn_model`` for the formula."""

    intercept: float
    slope: float
    calibration_offset: float
    horizon_days: int
    trained_until: date
    weights: tuple[Weight, ...]

    @property
    def version(self) -> str:
        """Hash of the numbers."""
        return hashlib.sha256(json.dumps(asdict(self), default=str).encode()).hexdigest()[:12]

    def probabilities(self, table: TrainingTable) -> Floats:
        """Of each row; a feature that the table no longer has counts as missing."""
        position = {feature.name: index for index, feature in enumerate(table.features)}
        odds = np.full(len(table), self.intercept)
        for weight in self.weights:
            if weight.feature in position:
                value = table.values[:, position[weight.feature]]
                if weight.transform == "log":
                    value = np.log(1 + np.maximum(value, 0))
                value = np.where(np.isnan(value), weight.imputation, value)
            else:
                value = np.full(len(table), weight.imputation)
            value = np.clip(value, weight.lower_bound, weight.upper_bound)
            odds += weight.coefficient * (value - weight.mean) / weight.scale
        return sigmoid(self.slope * odds + self.calibration_offset)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> LogisticModel:
        return cls(
            **{
                **content,
                "trained_until": date.fromisoformat(content["trained_until"]),
                "weights": tuple(Weight(**weight) for weight in content["weights"]),
            }
        )


def sigmoid(odds: Floats) -> Floats:
    """Log-odds to probability."""
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -40, 40))))
