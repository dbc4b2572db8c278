"""Words for codes of the marts, in both languages; reports, pages and the terminal say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Words(NamedTuple):
    """One text in two languages."""

    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.en} {self.zh}".strip()


STATUS = {
    "measured": Words("", ""),
    "imputed": Words("估算", "imputed"),
    "neutral": Words("未知,按中性分计", "unknown, counted as neutral"),
    "renormalised": Words("未知,按同维度其余指标计", "unknown, counted like the rest of its dimension"),
    "left_out": Words("不计", "left out"),
    "pending": Words("待评估", "pending"),
}
"""Status of an indicator in a score; ``measured`` goes without saying."""

LIMITS = {
    "too_little_known": Words("已知信息不足", "too little is known"),
    "needs_unmet": Words("未满足必要条件", "a need of the tier is not met"),
}
"""Why a computed tier is lower than its score alone gives."""

REASONS = {
    "first_tier": Words("首次评定", "its first tier"),
    "scored": Words("可评定", "can be scored now"),
    "recomputed": Words("每晚随得分", "follows the score every night"),
    "unchanged": Words("与得分一致", "agrees with the score"),
    "within_margin": Words("得分在缓冲区内", "the score is within the margin at the edge"),
    "dwell": Words("未满最短保持期", "it was set too recently"),
    "no_trigger": Words("未触发调整", "no trigger yet: spend, idleness or review"),
    "spend_change": Words("年消费变动", "annual spend changed"),
    "no_trade": Words("数月无交易", "months without trade"),
    "review": Words("定期复核", "scheduled review"),
    "rules_changed": Words("规则变更", "the rules changed"),
    "not_scored": Words("无法评定", "can no longer be scored"),
    "override": Words("人工指定", "set by hand"),
    "override_ended": Words("人工指定到期", "the manual tier ended"),
    "left": Words("退出方案", "left the scheme"),
}
"""Why a customer has its effective tier."""

CAUSES = {
    "data": Words("数据", "data"),
    "correction": Words("数据更正", "correction"),
    "rule_change": Words("规则变更", "rule change"),
    "override": Words("人工", "by hand"),
}

DIRECTIONS = {
    "up": Words("升级", "up"),
    "down": Words("降级", "down"),
    "entered": Words("首次分级", "first tier"),
    "left": Words("离开", "left"),
    "to_pending": Words("转待评估", "to pending"),
    "from_pending": Words("待评估转出", "from pending"),
    "moved": Words("平移", "moved"),
}

RISKS = {
    "high": Words("高", "High"),
    "medium": Words("中", "Medium"),
    "low": Words("低", "Low"),
}

RFM_CLASSES = {
    "重要价值": Words("重要价值", "Champions"),
    "重要保持": Words("重要保持", "Valuable, slipping"),
    "重要发展": Words("重要发展", "Valuable, to develop"),
    "重要挽留": Words("重要挽留", "Valuable, to win back"),
    "一般价值": Words("一般价值", "Regular"),
    "一般保持": Words("一般保持", "Regular, slipping"),
    "一般发展": Words("一般发展", "New"),
    "一般挽留": Words("一般挽留", "Lapsed"),
}

UNITS = {
    "days": Words("天", "days"),
    "hours": Words("小时", "h"),
    "years": Words("年", "years"),
    "orders": Words("单", "orders"),
    "tickets": Words("件", "tickets"),
    "products": Words("种", "products"),
    "categories": Words("类", "categories"),
    "points": Words("分", "points"),
}
"""Units of indicators that are shown behind a number; money, shares and ranks have formats of their own."""

PENDING = Words("待评估", "Pending")


def words_of(code: str | None, known: dict[str, Words]) -> Words:
    """The words for a code, or the code itself where it has none."""
    return known.get(code or "", Words(code or "", code or ""))


def status_of(row: Mapping[str, Any]) -> Words:
    """What became of an indicator, in a row of fct_indicator_scores: a neutral score says whose mean it is."""
    if row["status"] == "neutral" and row["averaged_over"] is not None:
        score, customers = f"{row['score']:.2f}", row["averaged_over"]
        return Words(
            f"未知,按 {customers} 个客户的平均分 {score} 计",
            f"unknown, counted with the average {score} of {customers} customers",
        )
    return STATUS[row["status"]]
