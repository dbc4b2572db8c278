"""How good probabilities are: ranking, distance from the outcomes, calibration, lift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from customer_tiering.churn.table import Floats

_GROUPS = 10


@dataclass(frozen=True)
class Group:
    """A tenth of the rows by probability, the highest first; ``lift`` is its churn rate over that of all."""

    rows: int
    predicted: float
    observed: float
    lift: float


@dataclass(frozen=True)
class Metrics:
    """Figures over rows; ``calibration_error`` is the mean distance of the groups' observed rate from the predicted."""

    rows: int
    churn_rate: float
    auc: float
    pr_auc: float
    brier: float
    log_loss: float
    calibration_error: float
    groups: tuple[Group, ...]


def measure(churned: NDArray[np.bool_], probabilities: Floats) -> Metrics:
    """Both outcomes must occur. Equal probabilities keep the order of the rows."""
    order = np.argsort(-probabilities, kind="stable")
    rate = float(churned.mean())
    groups = tuple(
        Group(
            rows=len(part),
            predicted=float(probabilities[part].mean()),
            observed=float(churned[part].mean()),
            lift=float(churned[part].mean() / rate),
        )
        for part in np.array_split(order, min(_GROUPS, len(order)))
    )
    return Metrics(
        rows=len(churned),
        churn_rate=rate,
        auc=float(roc_auc_score(churned, probabilities)),
        pr_auc=float(average_precision_score(churned, probabilities)),
        brier=float(brier_score_loss(churned, probabilities)),
        log_loss=float(log_loss(churned, np.clip(probabilities, 1e-12, 1 - 1e-12))),
        calibration_error=float(sum(g.rows * abs(g.predicted - g.observed) for g in groups) / len(churned)),
        groups=groups,
    )
