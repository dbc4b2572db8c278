"""Training: models on the earlier cutoffs, judged on the latest window against baselines and the model in use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from customer_tiering.churn.logistic import LogisticModel
from customer_tiering.churn.metrics import Metrics, measure
from customer_tiering.churn.models import Fitted, as_numbers, fit_baseline, fit_logistic, fit_tree
from customer_tiering.churn.table import TrainingTable, require_enough, split_by_time

# How much ranking a challenger may give up for better probabilities.
_AUC_TOLERANCE = 0.005
BASELINES = {"recency only": "recency_days", "own rhythm": "rhythm_ratio"}


@dataclass(frozen=True)
class Limits:
    """What a training needs; see the settings of the same names."""

    horizon_days: int
    min_customers: int
    min_events: int


@dataclass(frozen=True)
class Training:
    """A finished training. ``results`` are figures on the latest window; champion is the model in use before."""

    model: LogisticModel
    fitted: Fitted
    tree: Fitted
    trained: TrainingTable
    judged: TrainingTable
    results: dict[str, Metrics]
    promoted: bool
    reason: str


def train(
    table: TrainingTable,
    limits: Limits,
    champion: LogisticModel | None = None,
    *,
    baselines: dict[str, str] | None = None,
    train_until: date | None = None,
    split: tuple[TrainingTable, TrainingTable] | None = None,
) -> Training:
    """Fit, calibrate, compare, decide. ``split`` replaces the split by time for tables without cutoffs.

    Raises ``TrainingRefused`` when there is too little data.
    """
    trained, judged = split or split_by_time(table, limits.horizon_days, train_until)
    require_enough(trained, judged, limits.min_customers, limits.min_events)
    fitted, tree = fit_logistic(trained), fit_tree(trained)
    model = as_numbers(fitted, limits.horizon_days, trained.days()[-1])
    results = {
        "logistic regression": measure(judged.churned, model.probabilities(judged)),
        "decision tree": measure(judged.churned, tree.probabilities(judged.values)),
    }
    rules = BASELINES if baselines is None else baselines
    for name, feature in rules.items():
        results[name] = measure(judged.churned, fit_baseline(trained, feature).probabilities(judged.values))
    if champion is not None:
        results["champion"] = measure(judged.churned, champion.probabilities(judged))
    promoted, reason = decide(
        results["logistic regression"], {name: results[name] for name in rules}, results.get("champion")
    )
    return Training(model, fitted, tree, trained, judged, results, promoted, reason)


def decide(challenger: Metrics, baselines: dict[str, Metrics], champion: Metrics | None) -> tuple[bool, str]:
    """Whether to promote, and why. Probabilities must be nearer to the outcomes without ranking worse."""
    for name, baseline in baselines.items():
        if challenger.brier >= baseline.brier or challenger.auc <= baseline.auc:
            return False, (
                f"not promoted: no better than the baseline {name} on the latest window (Brier "
                f"{challenger.brier:.4f} against {baseline.brier:.4f}, AUC {challenger.auc:.4f} against "
                f"{baseline.auc:.4f})"
            )
    if champion is None:
        return True, "promoted: the first model, better than every baseline on the latest window"
    figures = (
        f"Brier {challenger.brier:.4f} against {champion.brier:.4f}, AUC {challenger.auc:.4f} against "
        f"{champion.auc:.4f}"
    )
    if challenger.brier >= champion.brier:
        return False, f"not promoted: its probabilities are no better than those of the model in use ({figures})"
    if challenger.auc < champion.auc - _AUC_TOLERANCE:
        return False, f"not promoted: it ranks customers worse than the model in use ({figures})"
    return True, f"promoted: better than the model in use on the latest window ({figures})"


def summary(training: Training) -> dict[str, Any]:
    """A few figures for logs and the DAG."""
    best = training.results["logistic regression"]
    return {
        "model_version": training.model.version,
        "promoted": training.promoted,
        "reason": training.reason,
        "auc": round(best.auc, 4),
        "brier": round(best.brier, 4),
    }
