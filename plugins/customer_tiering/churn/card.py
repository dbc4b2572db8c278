"""The model card: what a model was trained on, how good it is, and what drives it. Markdown for people, JSON beside."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from customer_tiering.churn.metrics import Metrics
    from customer_tiering.churn.table import TrainingTable
    from customer_tiering.churn.training import Training


def card_of(training: Training, about: dict[str, Any]) -> dict[str, Any]:
    """The card's content; ``about`` names profile, night, label and settings."""
    from customer_tiering.churn.models import tree_as_text

    labels = {feature.name: feature for feature in training.fitted.features}
    ordered = sorted(training.model.weights, key=lambda weight: -abs(weight.coefficient))
    return {
        **about,
        "model_version": training.model.version,
        "promoted": training.promoted,
        "reason": training.reason,
        "training_window": _window(training.trained),
        "latest_window": _window(training.judged),
        "calibration": {"slope": training.model.slope, "offset": training.model.calibration_offset},
        "results": {name: asdict(result) for name, result in training.results.items()},
        "features": [
            {
                "feature": weight.feature,
                "label_en": labels[weight.feature].label_en,
                "label_zh": labels[weight.feature].label_zh,
                "weight": round(training.model.slope * weight.coefficient, 6),
                "direction": "raises" if weight.coefficient > 0 else "lowers",
                "transform": weight.transform,
            }
            for weight in ordered
        ],
        "tree": tree_as_text(training.tree),
    }


def refusal_card(about: dict[str, Any], reason: str) -> dict[str, Any]:
    """The card of a training that was refused."""
    return {**about, "model_version": None, "promoted": False, "reason": f"refused: {reason}"}


def as_markdown(card: dict[str, Any]) -> str:
    """The card for people."""
    lines = [
        f"# Churn model {card['model_version'] or '(none)'} of {card['profile']} 客户流失模型",
        "",
        f"**{card['reason']}**",
        "",
        f"- data up to: {card['night']}; label: {card['label']}",
    ]
    if card["model_version"] is None:
        lines.append("- the rule signals stand alone 仅使用规则信号 (fct_churn_signals)")
        return "\n".join(lines) + "\n"
    for name, title in (("training_window", "trained on 训练"), ("latest_window", "judged on 评估")):
        window = card[name]
        lines.append(
            f"- {title}: {window['rows']:,} rows of {window['customers']:,} customers at {window['cutoffs']} cutoff(s) "
            f"{window['first']} to {window['last']}; {window['churn_rate']:.1%} churned"
        )
    slope, offset = card["calibration"]["slope"], card["calibration"]["offset"]
    lines += [
        f"- calibration (Platt, on folds that split customers): slope {slope:.4f}, offset {offset:.4f}",
        "",
        "## On the latest window 最近窗口上的表现",
        "",
        *_results_table(card["results"]),
        "",
        "## Calibration and lift of the logistic regression 校准与提升度",
        "",
        "| tenth by probability 分组 | customers | predicted | observed | lift |",
        "|---|---:|---:|---:|---:|",
    ]
    for number, group in enumerate(card["results"]["logistic regression"]["groups"], start=1):
        lines.append(
            f"| {number} | {group['rows']:,} | {group['predicted']:.3f} | {group['observed']:.3f} | "
            f"{group['lift']:.2f} |"
        )
    lines += [
        "",
        "## Features 特征",
        "",
        "Weight: calibrated log-odds per standard deviation, other features held. Features that measure nearly",
        "the same share their weight, so read neighbours together.",
        "",
        "| feature | 特征 | weight | a greater value | as |",
        "|---|---|---:|---|---|",
    ]
    for item in card["features"]:
        lines.append(
            f"| {item['label_en'] or item['feature']} (`{item['feature']}`) | {item['label_zh']} | "
            f"{item['weight']:+.3f} | {item['direction']} the risk | "
            f"{'ln(1+x)' if item['transform'] == 'log' else 'x'} |"
        )
    lines += ["", "## The decision tree beside it 决策树", "", "```", card["tree"].rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _results_table(results: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "| model | AUC | PR-AUC | Brier | log loss | calibration error | lift of the top tenth |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, result in results.items():
        lines.append(
            f"| {name} | {result['auc']:.4f} | {result['pr_auc']:.4f} | {result['brier']:.4f} | "
            f"{result['log_loss']:.4f} | {result['calibration_error']:.4f} | {result['groups'][0]['lift']:.2f} |"
        )
    return lines


def results_table(results: dict[str, Metrics]) -> list[str]:
    """The same table from figures that are no card yet."""
    return _results_table({name: asdict(result) for name, result in results.items()})


def _window(table: TrainingTable) -> dict[str, Any]:
    days = table.days()
    return {
        "first": str(days[0]),
        "last": str(days[-1]),
        "cutoffs": len(days),
        "rows": len(table),
        "customers": len(set(table.customers.tolist())),
        "churn_rate": float(table.churned.mean()),
    }
