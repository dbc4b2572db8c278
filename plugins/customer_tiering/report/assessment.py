"""The single-customer assessment (单客户评估表) for a terminal, in the profile's language."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from customer_tiering.explain.explanation import Explanation, NextTier, Step
from customer_tiering.report.words import CAUSES, DIRECTIONS, LIMITS, REASONS, Words, status_of, words_of

Language = Literal["en", "zh"]


def render_assessment(explanation: Explanation, language: Language) -> Group:
    """Who, the table of indicators, the total, the tier, the next tier and recent changes."""
    return _Assessment(explanation, language).rendered()


class _Assessment:
    def __init__(self, explanation: Explanation, language: Language) -> None:
        self._one, self._language = explanation, language
        named = [*explanation.caps, *explanation.scores]
        self._labels = {row["indicator"]: row[f"label_{language}"] or row["indicator"] for row in named}
        self._units = {row["indicator"]: row["unit"] for row in explanation.scores}

    def _say(self, zh: str, en: str) -> str:
        return zh if self._language == "zh" else en

    def _word(self, words: Words) -> str:
        return words.zh if self._language == "zh" else words.en

    def _indicator(self, name: str) -> str:
        label = self._labels.get(name, name)
        return name if label == name else f"{name} {label}"

    def rendered(self) -> Group:
        customer, tier, scheme = self._one.customer, self._one.tier, self._one.scheme
        industry = " / ".join(filter(None, (customer["industry_l1"], customer["industry_l2"])))
        who = (
            industry or self._say("行业未知", "unknown industry"),
            customer["owner"] or self._say("无客户经理", "no account manager"),
            customer["phone_masked"] or self._say("无电话", "no phone"),
        )
        night = self._say(f"{tier['as_of_date']} 当晚", f"night of {tier['as_of_date']}")
        parts: list[Any] = [
            Text(f"{customer['customer_id']}  {customer['customer_name']}", style="bold"),
            Text(" · ".join(who)),
            Text(f"{scheme['scheme']} {scheme[f'label_{self._language}']} · {night}\n"),
            self._scores(),
        ]
        if len(self._one.dimensions) > 1:
            parts.append(self._dimensions())
        parts.append(self._verdict())
        return Group(*parts)

    def _scores(self) -> Table:
        heads = ("指标", "维度", "原值", "得分", "权重", "贡献", "备注")
        heads_en = ("indicator", "dimension", "value", "score", "weight", "points", "note")
        table = Table(*(heads if self._language == "zh" else heads_en))
        for row in self._one.scores:
            table.add_row(
                self._indicator(row["indicator"]),
                row["dimension"],
                row["raw_level"] or measured(row["raw_value"], row["unit"]),
                number(row["score"]),
                f"{row['weight']:.2%}",
                number(row["points"]),
                self._word(status_of(row)),
            )
        table.add_section()
        table.add_row(self._say("合计", "total"), "", "", "", "", number(self._one.tier["score"]), "")
        return table

    def _dimensions(self) -> Text:
        shown = (
            f"{row['dimension']} {number(row['score'])}{' ' + row['level'] if row['level'] else ''}"
            for row in self._one.dimensions
        )
        return Text(self._say("维度: ", "dimensions: ") + " · ".join(shown))

    def _verdict(self) -> Text:
        tier = self._one.tier
        text = Text(self._say("等级: ", "tier: "))
        text.append(f"{tier['effective_tier']} {tier[f'label_{self._language}'] or ''}".rstrip(), style="bold")
        reason, coverage = self._word(REASONS[tier["reason"]]), f"{tier['coverage']:.0%}"
        since = tier["tier_since"]
        text.append(
            self._say(f" 自 {since}，{reason}；覆盖率 {coverage}", f" since {since}, {reason}; coverage {coverage}")
        )
        for line in (*self._limits(), *self._strategy()):
            text.append("\n" + line)
        if self._one.next_tier:
            text.append("\n" + self._way_up(self._one.next_tier))
        for change in self._one.history:
            text.append("\n" + self._change(change))
        return text

    def _limits(self) -> list[str]:
        """What the score could still be, and what holds the tier below it."""
        tier, lines = self._one.tier, []
        if tier["score_low"] is not None and tier["score_low"] != tier["score_high"]:
            low, high = number(tier["score_low"]), number(tier["score_high"])
            lines.append(
                self._say(
                    f"未知部分可使得分在 {low} 与 {high} 之间",
                    f"with what is unknown the score lies between {low} and {high}",
                )
            )
        if tier["computed_tier"] != tier["effective_tier"]:
            lines.append(self._say("仅按得分: ", "by the score alone: ") + tier["computed_tier"])
        if tier["limited_by"]:
            lines.append(self._say("受限: ", "limited: ") + self._word(LIMITS[tier["limited_by"]]))
        for cap in self._one.caps:
            least, value = measured(cap["lower_bound"], cap["unit"]), measured(cap["value"], cap["unit"])
            name = self._indicator(cap["indicator"])
            lines.append(
                self._say(
                    f"{cap['tier']} 要求 {name} 至少 {least}，现为 {value}: {tier['computed_tier']}",
                    f"{cap['tier']} needs {name} of at least {least}, it is {value}: {tier['computed_tier']}",
                )
            )
        return lines

    def _strategy(self) -> list[str]:
        strategy = self._one.tier[f"strategy_{self._language}"]
        return [self._say("策略: ", "strategy: ") + strategy] if strategy else []

    def _way_up(self, to: NextTier) -> str:
        """The next tier: the points it takes, the first day on which it may come, and the steps that suffice alone."""
        needed, missing = number(to.needed), number(to.missing)
        margin = number(to.margin)
        if to.missing:
            line = self._say(f"还差 {missing} 分，需达到 {needed}", f"{missing} points missing to {needed}")
            line += self._say(f"（含缓冲 {margin}）", f", a margin of {margin} included") if to.margin else ""
        else:
            line = self._say(f"得分已达到 {needed}", f"the score has the {needed} it takes")
        if to.not_before:
            line += self._say(f"；最早 {to.not_before}", f"; not before {to.not_before}")
        lines = [self._say(f"上一级: {to.tier}，{line}", f"next tier: {to.tier}, {line}")]
        lines += [self._step(step) for step in self._one.steps]
        if to.missing and not self._one.steps:
            lines.append("  " + self._say("没有单项指标可独自达到", "no single indicator reaches it alone"))
        return "\n".join(lines)

    def _step(self, step: Step) -> str:
        unit = self._units[step.indicator]
        before, after = measured(step.raw_value, unit), measured(step.needed, unit)
        is_up = step.needed >= step.raw_value
        beyond = "" if step.included else self._say("高于 ", "above ") if is_up else self._say("低于 ", "below ")
        name, gained = self._indicator(step.indicator), number(step.points_gained)
        return "  " + self._say(
            f"{name} 由 {before} 到 {beyond}{after}（{step.relative:.0%}），可得 {gained} 分",
            f"{name} from {before} to {beyond}{after} ({step.relative:.0%}) brings {gained}",
        )

    def _change(self, change: dict[str, Any]) -> str:
        """A line for a change of tier, with what moved the score since the tier before was set."""
        before, after = change["from_tier"] or "-", change["to_tier"] or "-"
        line = f"{change['as_of_date']}  {before} → {after}  "
        if change["from_tier"] is None or change["to_tier"] is None:
            return line + self._word(words_of(change["direction"], DIRECTIONS))
        cause = self._word(CAUSES[change["cause"]])
        line += self._word(words_of(change["reason"], REASONS)) + self._say(f"；原因: {cause}", f"; cause: {cause}")
        if change["data_points"] is None:
            return line
        parts = [
            f"{self._word(words)} {change[column]:+,.6g}"
            for words, column in (
                (CAUSES["data"], "data_points"),
                (CAUSES["correction"], "correction_points"),
                (CAUSES["rule_change"], "rule_points"),
            )
            if change[column]
        ]
        moved = self._say("得分", "score") + f" {number(change['from_score'])} → {number(change['to_score'])}"
        return f"{line}\n    {moved}: {', '.join(parts) or self._say('不变', 'the same')}"


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
