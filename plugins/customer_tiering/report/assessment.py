"""The single-customer assessment (单客户评估表) for a terminal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from customer_tiering.explain.explanation import Explanation, NextTier
from customer_tiering.report.words import CAUSES, LIMITS, REASONS, status_of, words_of


def render_assessment(explanation: Explanation) -> Group:
    """Who, the table of indicators, the total, the tier, the next tier and recent changes."""
    customer, tier, scheme = explanation.customer, explanation.tier, explanation.scheme
    industry = " / ".join(filter(None, (customer["industry_l1"], customer["industry_l2"]))) or "unknown industry"
    parts: list[Any] = [
        Text(f"{customer['customer_id']}  {customer['customer_name']}", style="bold"),
        Text(f"{industry} · {customer['owner'] or 'no account manager'} · {customer['phone_masked'] or 'no phone'}"),
        Text(f"{scheme['scheme']} {scheme['label_en']} {scheme['label_zh']} · night of {tier['as_of_date']}\n"),
        _scores_table(explanation),
    ]
    if len(explanation.dimensions) > 1:
        parts.append(_dimensions_text(explanation))
    parts.append(_verdict(explanation))
    return Group(*parts)


def _scores_table(explanation: Explanation) -> Table:
    table = Table("indicator 指标", "dimension", "value 原值", "score 得分", "weight 权重", "points 贡献", "note 备注")
    for row in explanation.scores:
        table.add_row(
            f"{row['indicator']} {row['label_zh'] or ''}",
            row["dimension"],
            row["raw_level"] or measured(row["raw_value"], row["unit"]),
            number(row["score"]),
            f"{row['weight']:.2%}",
            number(row["points"]),
            str(status_of(row)),
        )
    table.add_section()
    table.add_row("total 合计", "", "", "", "", number(explanation.tier["score"]), "")
    return table


def _dimensions_text(explanation: Explanation) -> Text:
    shown = (
        f"{row['dimension']} {number(row['score'])}{' ' + row['level'] if row['level'] else ''}"
        for row in explanation.dimensions
    )
    return Text("dimensions 维度: " + " · ".join(shown))


def _verdict(explanation: Explanation) -> Text:
    tier = explanation.tier
    text = Text("tier 等级: ")
    text.append(f"{tier['effective_tier']} {tier['label_zh'] or ''}", style="bold")
    text.append(f" since {tier['tier_since']}, {REASONS[tier['reason']]}; coverage 覆盖率 {tier['coverage']:.0%}")
    if tier["score_low"] is not None and tier["score_low"] != tier["score_high"]:
        text.append(
            f"\nwith what is unknown the score lies between {number(tier['score_low'])} and "
            f"{number(tier['score_high'])} 未知部分可使得分在两者之间"
        )
    if tier["computed_tier"] != tier["effective_tier"]:
        text.append(f"\nby the score alone 按得分: {tier['computed_tier']}")
    if tier["limited_by"]:
        text.append(f"\nlimited 受限: {LIMITS[tier['limited_by']]}")
    for cap in explanation.caps:
        least, value = measured(cap["lower_bound"], cap["unit"]), measured(cap["value"], cap["unit"])
        text.append(
            f"\n{cap['tier']} needs 要求 {cap['indicator']} {cap['label_zh'] or ''} of at least 至少 {least}, it is "
            f"现为 {value}: {tier['computed_tier']}"
        )
    if tier["strategy_en"]:
        text.append(f"\nstrategy 策略: {tier['strategy_en']} {tier['strategy_zh']}")
    if explanation.next_tier:
        text.append("\n" + _way_up(explanation, explanation.next_tier))
    for change in explanation.history:
        text.append(_change(change))
    return text


def _way_up(explanation: Explanation, to: NextTier) -> str:
    """The next tier: the points it takes, the first day on which it may come, and the steps that suffice alone."""
    margin = f", margin 缓冲 {number(to.margin)} included 含" if to.margin else ""
    if to.missing:
        lines = [f"{number(to.missing)} points missing 还差 (to reach 需达到 {number(to.needed)}{margin})"]
    else:
        lines = [f"the score suffices 得分已达到 ({number(to.needed)}{margin})"]
    if to.not_before:
        lines[0] += f"; not before 最早 {to.not_before}"
    units = {row["indicator"]: row["unit"] for row in explanation.scores}
    for step in explanation.steps:
        beyond = "" if step.included else "above 高于 " if step.needed >= step.raw_value else "below 低于 "
        before, after = (measured(value, units[step.indicator]) for value in (step.raw_value, step.needed))
        lines.append(
            f"  {step.indicator} from 由 {before} to 到 {beyond}{after} ({step.relative:.0%}) "
            f"brings 可得 {number(step.points_gained)}"
        )
    if to.missing and not explanation.steps:
        lines.append("  no single indicator reaches it alone 没有单项指标可独自达到")
    return f"next tier 上一级: {to.tier}, " + "\n".join(lines)


def _change(change: dict[str, Any]) -> str:
    """A line for a change of tier, with what moved the score since the tier before was set."""
    before, after = change["from_tier"] or "-", change["to_tier"] or "-"
    line = f"\n{change['as_of_date']}  {before} → {after}"
    if change["from_tier"] is None or change["to_tier"] is None:
        return f"{line}  {change['direction']}"
    line += f"  {words_of(change['reason'], REASONS)}; cause 原因: {CAUSES[change['cause']]}"
    if change["data_points"] is None:
        return line
    parts = [
        f"{label} {change[column]:+,.6g}"
        for label, column in (("data", "data_points"), ("correction", "correction_points"), ("rules", "rule_points"))
        if change[column]
    ]
    scores = f"score 得分 {number(change['from_score'])} → {number(change['to_score'])}"
    return f"{line}\n    {scores}: {', '.join(parts) or 'the same'}"


def measured(value: Decimal | str | None, unit: str | None) -> str:
    """A value of an indicator: shares as percent, everything else as it stands."""
    if isinstance(value, Decimal):
        return f"{value:.2%}" if unit in ("share", "share per year") else number(value)
    return value or number(None)


def number(value: Decimal | None) -> str:
    """A decimal without trailing zeros, thousands separated; a dash when it is missing."""
    if value is None:
        return "–"
    text = f"{value:,.6f}".rstrip("0").rstrip(".")
    return text or "0"
