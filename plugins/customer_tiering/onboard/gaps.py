"""What a company does not bring, and what therefore stays unknown."""

from __future__ import annotations

from collections.abc import Set

_GIVES = {
    "customers": ("industries, account managers and contacts; customers are those who buy", "行业、客户经理与联系人"),
    "order_lines": ("products, breadth of buying and profit", "产品、交叉购买与利润"),
    "invoices": ("whether invoices are paid in time", "回款是否按时"),
    "tickets": ("complaints and response times", "投诉与响应时长"),
    "interactions": ("logins, visits and campaigns", "登录、拜访与营销活动"),
    "surveys": ("NPS and satisfaction", "NPS 与满意度"),
    "opportunities": ("sales opportunities", "商机"),
    "strategic_attributes": ("industry growth and strategic fit", "行业增速与战略契合"),
}


def gaps(mapped: Set[str], *, has_cost: bool) -> list[tuple[str, str]]:
    """In two languages, a line per input table that is missing and what it would tell."""
    lines = [
        (f"{table}: {english} stay unknown", f"缺少 {table}:{chinese}未知")
        for table, (english, chinese) in _GIVES.items()
        if table not in mapped
    ]
    if "order_lines" in mapped and not has_cost:
        lines.append(("cost of order lines: profit stays unknown", "缺少订单明细成本:利润未知"))
    return lines
