"""The criteria table (分级标准表) of a scheme, and the cuts that fit a company, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from customer_tiering.explain.separation import Proposal
from customer_tiering.rules.scheme_file import Choice, Dimension, IndicatorUse, SchemeFile


def render_scheme(name: str, said: SchemeFile, labels: Mapping[str, str], files: Sequence[str]) -> Group:
    """What is weighed, how it is scored, and which tier follows. ``labels`` are names of indicators."""
    parts: list[Any] = [
        Text(f"{name}  {said.label_en} {said.label_zh}", style="bold"),
        Text(f"{said.description}\n{said.kind} · for 适用于 {said.population} · {', '.join(files)}\n"),
        _criteria(said, labels),
        _tiers(said),
    ]
    for choices in (said.conditions, *(dimension.conditions for dimension in said.dimensions.values())):
        if choices:
            parts.append(_choices(choices))
    if said.least_coverage:
        parts.append(Text(f"least coverage 最低覆盖率 {said.least_coverage:.0%}: below it pending 低于此则待评估"))
    if said.stability:
        rules = said.stability.model_dump(exclude_none=True)
        parts.append(Text("stability 稳定: " + " · ".join(f"{key} {value}" for key, value in rules.items())))
    return Group(*parts)


def _criteria(said: SchemeFile, labels: Mapping[str, str]) -> Table:
    table = Table("dimension 维度", "indicator 指标", "weight 权重", "missing 缺失", "value → score 取值 → 得分")
    for key, dimension in said.dimensions.items():
        weight = f" {dimension.weight:.4%}".replace(".0000%", " %") if dimension.weight else ""
        for place, (indicator, use) in enumerate(dimension.uses().items()):
            table.add_row(
                f"{key} {dimension.label_zh}{weight}" if place == 0 else "",
                f"{indicator} {labels.get(indicator, '')}",
                "" if use.weight is None else f"{use.weight:.4%}".replace(".0000%", " %"),
                use.missing + (f" {use.missing_score}" if use.missing_score is not None else ""),
                _scored(dimension, use),
            )
    return table


def _scored(dimension: Dimension, use: IndicatorUse) -> str:
    said = use.scores or dimension.levels
    if not said:
        return "the value itself 原值" + (f", compared by {dimension.compare}" if dimension.compare else "")
    if use.scores:
        return "\n".join(f"{text} → {score}" for text, score in use.scores.items())
    return "\n".join(f"{text} → {level}" for level, text in (dimension.levels or {}).items())


def _tiers(said: SchemeFile) -> Table:
    table = Table("tier 级别", "when 标准", "needs 必要条件", "strategy 策略")
    for key, tier in said.tiers.items():
        when = tier.when or ""
        if isinstance(when, dict):
            when = ", ".join(f"{dimension} {level}" for dimension, level in when.items())
        needs = ", ".join(f"{indicator} {text}" for indicator, text in tier.needs.items())
        strategy = f"{tier.strategy_en}\n{tier.strategy_zh}"
        if tier.strategy_high_potential_en:
            strategy += f"\nhigh potential 高潜力: {tier.strategy_high_potential_en}\n{tier.strategy_high_potential_zh}"
        table.add_row(f"{key} {tier.label_zh}", when, needs, strategy)
    return table


def _choices(choices: Sequence[Choice]) -> Table:
    table = Table("order 次序", "if 条件", "tier 级别", title="the first that holds decides 取第一个满足的条件")
    for place, choice in enumerate(choices, start=1):
        table.add_row(str(place), " and 且 ".join(choice.conditions) or "all others 其余", choice.tier)
    return table


def render_proposals(proposals: Sequence[Proposal]) -> Group:
    """Edges as they are and as they would separate, each with its share of customers."""
    parts = []
    for proposal in proposals:
        table = Table(
            "now 现在",
            "share 占比",
            "proposed 建议",
            "share 占比",
            title=f"{proposal.label}  ({proposal.known} customers 客户)",
        )
        lines = zip_longest(proposal.before, proposal.shares_before, proposal.after, proposal.shares_after)
        for before, share, after, new_share in lines:
            table.add_row(before, _share(share), after, _share(new_share))
        parts.append(table)
    return Group(*parts)


def _share(share: Decimal | None) -> str:
    return "" if share is None else f"{share:.1%}"
