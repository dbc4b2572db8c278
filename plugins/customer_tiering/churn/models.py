"""The models: a calibrated logistic regression that SQL can repeat, a decision tree beside it, and simple baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, export_text

from customer_tiering.churn.logistic import LogisticModel, Weight, sigmoid
from customer_tiering.churn.table import Feature, Floats, TrainingTable

_FOLDS = 5
_AS_GOOD = 1.005
_PENALTIES = (0.001, 0.01, 0.1, 1.0)
_OUTER = (0.005, 0.995)  # quantiles of the training that values are held between
_KNOWN_SHARE = 0.05
_ALMOST = 1e-6


class Prepared(TransformerMixin, BaseEstimator):
    """Logarithms where asked, the mean where a value is missing, and bounds from the training's quantiles."""

    def __init__(self, is_log: Sequence[bool]) -> None:
        self.is_log = is_log

    def fit(self, values: Floats, _y: Any = None) -> Prepared:
        shaped = self._shape(values)
        known = ~np.isnan(shaped)
        self.imputation_ = np.array(
            [shaped[known[:, j], j].mean() if known[:, j].any() else 0.0 for j in range(shaped.shape[1])]
        )
        bounds = [
            np.quantile(shaped[known[:, j], j], _OUTER) if known[:, j].any() else (0.0, 0.0)
            for j in range(shaped.shape[1])
        ]
        self.lower_, self.upper_ = (np.array(side, dtype=float) for side in zip(*bounds, strict=True))
        return self

    def transform(self, values: Floats) -> Floats:
        shaped = self._shape(values)
        filled = np.where(np.isnan(shaped), self.imputation_, shaped)
        return np.clip(filled, self.lower_, self.upper_)

    def _shape(self, values: Floats) -> Floats:
        return np.where(np.asarray(self.is_log), np.log(1 + np.maximum(values, 0)), values)


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator with its calibration, both of scikit-learn."""

    features: tuple[Feature, ...]
    columns: NDArray[np.int64]
    pipeline: Pipeline
    calibration: LogisticRegression

    def probabilities(self, values: Floats) -> Floats:
        """Calibrated probabilities of rows of the whole table."""
        margin = _margin(self.pipeline, values[:, self.columns])
        return np.asarray(self.calibration.predict_proba(margin.reshape(-1, 1))[:, 1])


def fit_logistic(table: TrainingTable) -> Fitted:
    """Logistic regression; the penalty and the calibration come from folds that split customers, not rows."""
    columns = _usable(table)
    losses = {penalty: _fold_loss(table, columns, penalty) for penalty in _PENALTIES}
    # Of models that are as good the one with the smallest weights: its reasons are the steadiest.
    chosen = min(penalty for penalty, loss in losses.items() if loss <= min(losses.values()) * _AS_GOOD)
    return _fit(table, columns, LogisticRegression(C=chosen, max_iter=2000))


def fit_tree(table: TrainingTable) -> Fitted:
    """A small decision tree, calibrated in the same way."""
    leaf = max(20, len(table) // 100)
    tree = DecisionTreeClassifier(max_depth=5, min_samples_leaf=leaf, random_state=0)
    return _fit(table, _usable(table), tree)


def fit_baseline(table: TrainingTable, feature: str) -> Fitted:
    """What one feature alone says, as a calibrated probability: the simple rule that a model has to beat."""
    column = [item.name for item in table.features].index(feature)
    return _fit(table, np.array([column]), LogisticRegression(C=1e6, max_iter=2000))


def as_numbers(fitted: Fitted, horizon_days: int, trained_until: date) -> LogisticModel:
    """The logistic regression as the numbers that SQL needs."""
    prepared, scaler, regression = (step for _, step in fitted.pipeline.steps)
    weights = [
        Weight(
            feature=fitted.features[column].name,
            transform=fitted.features[column].transform,
            lower_bound=float(prepared.lower_[j]),
            upper_bound=float(prepared.upper_[j]),
            imputation=float(prepared.imputation_[j]),
            mean=float(scaler.mean_[j]),
            scale=float(scaler.scale_[j]),
            coefficient=float(regression.coef_[0, j]),
        )
        for j, column in enumerate(fitted.columns)
    ]
    return LogisticModel(
        intercept=float(regression.intercept_[0]),
        slope=float(fitted.calibration.coef_[0, 0]),
        calibration_offset=float(fitted.calibration.intercept_[0]),
        horizon_days=horizon_days,
        trained_until=trained_until,
        weights=tuple(weights),
    )


def tree_as_text(fitted: Fitted) -> str:
    """The tree's rules; weights are [stayed, churned] of the training rows, log features show their logarithm."""
    names = [
        f"ln(1+{feature.name})" if feature.transform == "log" else feature.name
        for feature in (fitted.features[column] for column in fitted.columns)
    ]
    return str(export_text(fitted.pipeline.steps[-1][1], feature_names=names, decimals=3, show_weights=True))


def _usable(table: TrainingTable) -> NDArray[np.int64]:
    """Features that are known often enough and that differ between rows."""
    known = ~np.isnan(table.values)
    return np.array(
        [
            column
            for column in range(table.values.shape[1])
            if known[:, column].mean() >= _KNOWN_SHARE and np.ptp(table.values[known[:, column], column]) > 0
        ],
        dtype=np.int64,
    )


def _pipeline(table: TrainingTable, columns: NDArray[np.int64], estimator: Any) -> Pipeline:
    is_log = tuple(table.features[column].transform == "log" for column in columns)
    steps: list[tuple[str, Any]] = [("prepared", Prepared(is_log))]
    if isinstance(estimator, LogisticRegression):
        steps.append(("scaler", StandardScaler()))
    return Pipeline([*steps, ("estimator", estimator)])


def _fit(table: TrainingTable, columns: NDArray[np.int64], estimator: Any) -> Fitted:
    margins = _fold_margins(table, columns, estimator)
    calibration = LogisticRegression(C=1e6, max_iter=2000).fit(margins.reshape(-1, 1), table.churned)
    pipeline = _pipeline(table, columns, estimator).fit(table.values[:, columns], table.churned)
    return Fitted(table.features, columns, pipeline, calibration)


def _fold_margins(table: TrainingTable, columns: NDArray[np.int64], estimator: Any) -> Floats:
    """Log-odds of each row by models that have not seen its customer."""
    from sklearn.base import clone

    margins = np.zeros(len(table))
    for train, test in GroupKFold(_FOLDS).split(table.values, groups=table.customers):
        fold = _pipeline(table, columns, clone(estimator)).fit(table.values[train][:, columns], table.churned[train])
        margins[test] = _margin(fold, table.values[test][:, columns])
    return margins


def _fold_loss(table: TrainingTable, columns: NDArray[np.int64], penalty: float) -> float:
    margins = _fold_margins(table, columns, LogisticRegression(C=penalty, max_iter=2000))
    return float(log_loss(table.churned, sigmoid(margins)))


def _margin(pipeline: Pipeline, values: Floats) -> Floats:
    """Log-odds before calibration."""
    if hasattr(pipeline, "decision_function"):
        return np.asarray(pipeline.decision_function(values))
    probability = np.clip(pipeline.predict_proba(values)[:, 1], _ALMOST, 1 - _ALMOST)
    return np.asarray(np.log(probability / (1 - probability)))
