"""The tables people get: one list for the workbook and for the page, so that both show the same figures.

Every table is one query on the marts of a published snapshot. A label column ``x`` is made of the two columns
``x_zh`` and ``x_en`` of its query.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import duckdb

from customer_tiering.publish.snapshot import mart_names
from customer_tiering.report.words import CAUSES, DIRECTIONS, PENDING, REASONS, RFM_CLASSES, RISKS, STATUS, Words
from customer_tiering.sql import literal

_BATCH = 10_000

Kind = Literal["text", "label", "date", "integer", "number", "money", "percent"]


@dataclass(frozen=True)
class Column:
    """A column: its name in the query, its headings, how values are shown and its width in characters.

    ``on_page``: whether the page shows it, too; the workbook shows all.
    """

    name: str
    heading: Words
    kind: Kind = "text"
    width: int = 12
    on_page: bool = True


@dataclass(frozen=True)
class Table:
    """A table and its query; ``$scheme`` is the headline scheme, ``$night`` the published night.

    ``marts`` must exist for it to be shown.
    """

    name: str
    title: Words
    about: Words
    marts: tuple[str, ...]
    sql: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Filled:
    """A table with its rows; each has one value per column, a label's value is a ``Words``."""

    table: Table
    rows: list[tuple[Any, ...]] = field(default_factory=list)


def _words(column: str, known: dict[str, Words], name: str = "") -> str:
    """SQL for ``<name>_zh`` and ``<name>_en`` of a code; a code without words stands for itself."""
    parts = []
    for language in ("zh", "en"):
        whens = " ".join(
            f"when {literal(code)} then {literal(getattr(words, language))}" for code, words in known.items()
        )
        parts.append(
            f"case {column} {whens} else {column} end as {name or column.rsplit('.', maxsplit=1)[-1]}_{language}"
        )
    return ", ".join(parts)


def _tier(column: str, name: str = "tier") -> str:
    """SQL for the label of a tier in ``column`` (with its table); a combination of axes stands for itself."""
    parts = []
    for language in ("zh", "en"):
        label = f"(select d.label_{language} from dim_tiers d where d.scheme = $scheme and d.tier = {column})"
        pending = literal(getattr(PENDING, language))
        parts.append(f"coalesce({label}, case {column} when 'pending' then {pending} else {column} end) "
                     f"as {name}_{language}")  # fmt: skip
    return ", ".join(parts)


_ID = Column("customer_id", Words("客户编号", "Customer no."), width=16)
_NAME = Column("customer_name", Words("客户名称", "Name"), width=32)
_OWNER = Column("owner", Words("客户经理", "Account manager"), width=18)
_TIER = Column("tier", Words("等级", "Tier"), "label", 20)
_ADVICE = Column("advice", Words("建议", "Advice"), "label", 60)

SUMMARY = Table(
    "summary",
    Words("分级汇总", "Tier summary"),
    Words(
        "主方案各等级的客户、消费、毛利率(按消费加权)与策略",
        "Headline scheme: customers, spend, margin weighted by spend, strategy",
    ),
    ("agg_tier_summary",),
    f"select {_tier('a.tier')}, customers, customer_share, annual_spend, spend_share, average_margin, "
    "strategy_zh, strategy_en from agg_tier_summary a where scheme = $scheme "
    "order by (a.tier = 'pending'), a.tier_rank, a.tier",
    (
        _TIER,
        Column("customers", Words("客户数", "Customers"), "integer"),
        Column("customer_share", Words("客户占比", "Share"), "percent"),
        Column("annual_spend", Words("年消费总额", "Total spend"), "money", 18),
        Column("spend_share", Words("消费占比", "Spend share"), "percent"),
        Column("average_margin", Words("平均毛利率", "Average margin"), "percent", 16),
        Column("strategy", Words("策略", "Strategy"), "label", 70),
    ),
)  # fmt: skip

SCHEMES = Table(
    "schemes",
    Words("各方案分布", "All schemes"),
    Words("所有方案并行计算", "All schemes are computed side by side"),
    ("agg_tier_summary", "dim_schemes"),
    "select s.label_zh as scheme_zh, s.label_en as scheme_en, "
    "case when s.placed_customers = 0 "
    "then concat_ws(':', '暂无法分级', '未知 ' || replace(s.unknown_indicators, '/', '、')) "
    f"else coalesce(a.label_zh, case a.tier when 'pending' then {literal(PENDING.zh)} else a.tier end) end as tier_zh, "
    "case when s.placed_customers = 0 then concat_ws(': ', 'places nobody', 'unknown ' || "
    "replace(s.unknown_indicators, '/', ', ')) "
    f"else coalesce(a.label_en, case a.tier when 'pending' then {literal(PENDING.en)} else a.tier end) end as tier_en, "
    "a.customers, a.customer_share, a.annual_spend, a.spend_share, a.average_margin "
    "from agg_tier_summary a join dim_schemes s using (scheme) "
    "order by (a.scheme <> $scheme), a.scheme, (a.tier = 'pending'), a.tier_rank, a.tier",
    (Column("scheme", Words("方案", "Scheme"), "label", 36), *SUMMARY.columns[:-1]),
)

CUSTOMERS = Table(
    "customers",
    Words("客户清单", "Customers"),
    Words("清洗后的客户;联系方式已脱敏", "Cleaned customers; contact data is masked"),
    ("dim_customers", "fct_customer_tiers", "fct_customer_indicators"),
    f"select c.customer_id, c.customer_name, {_tier('t.effective_tier')}, t.score, "
    "case when t.is_high_potential then '高潜力' end as potential_zh, "
    "case when t.is_high_potential then 'high potential' end as potential_en, i.annual_spend, "
    "concat_ws(' / ', c.industry_l1, c.industry_l2) as industry, c.region, c.owner, c.contact_masked, "
    "c.phone_masked, c.registered_on, c.last_order_on, c.cumulative_spend "
    "from dim_customers c join fct_customer_indicators i using (customer_id) "
    "left join fct_customer_tiers t on c.customer_id = t.customer_id and t.scheme = $scheme "
    "order by (t.customer_id is null), i.annual_spend desc nulls last, c.customer_id",
    (
        _ID,
        _NAME,
        _TIER,
        Column("score", Words("得分", "Score"), "number"),
        Column("potential", Words("潜力", "Potential"), "label", 16),
        Column("annual_spend", Words("年消费", "Annual spend"), "money", 16),
        Column("industry", Words("行业", "Industry"), width=22),
        Column("region", Words("地区", "Region"), on_page=False),
        _OWNER,
        Column("contact_masked", Words("联系人(脱敏)", "Contact, masked"), width=16),
        Column("phone_masked", Words("电话(脱敏)", "Phone, masked"), width=18),
        Column("registered_on", Words("注册日期", "Registered"), "date", on_page=False),
        Column("last_order_on", Words("最近下单", "Last order"), "date"),
        Column("cumulative_spend", Words("累计消费", "Cumulative spend"), "money", 18, on_page=False),
    ),
)

ASSESSMENTS = Table(
    "assessments",
    Words("单客户评估", "Assessments"),
    Words(
        "每个客户每项指标一行:原值、得分、权重、贡献;按客户编号筛选即为单客户评估表",
        "One row per customer and indicator: value, score, weight, points; filter by customer for a single sheet",
    ),
    ("fct_indicator_scores", "fct_customer_tiers", "dim_customers", "dim_indicators"),
    "select s.customer_id, c.customer_name, concat_ws(' / ', c.industry_l1, c.industry_l2) as industry, c.owner, "
    "c.contact_masked, c.phone_masked, coalesce(d.label_zh, s.indicator) as indicator_zh, "
    "coalesce(d.label_en, s.indicator) as indicator_en, s.raw_value, s.raw_level, d.unit, s.score, s.weight, "
    f"s.points, {_words('s.status', STATUS, 'note')}, t.score as total, {_tier('t.effective_tier')}, "
    f"{_words('t.reason', REASONS)} from fct_indicator_scores s "
    "join fct_customer_tiers t on s.customer_id = t.customer_id and t.scheme = s.scheme "
    "left join dim_customers c on s.customer_id = c.customer_id "
    "left join dim_indicators d on s.indicator = d.indicator "
    "where s.scheme = $scheme order by s.customer_id, s.weight desc, s.indicator",
    (
        _ID,
        _NAME,
        Column("industry", Words("行业", "Industry"), width=22),
        _OWNER,
        Column("contact_masked", Words("联系人(脱敏)", "Contact, masked"), width=16),
        Column("phone_masked", Words("电话(脱敏)", "Phone, masked"), width=18),
        Column("indicator", Words("指标", "Indicator"), "label", 28),
        Column("raw_value", Words("原值", "Value"), "number", 16),
        Column("raw_level", Words("原值(档次)", "Value, level"), width=16),
        Column("unit", Words("单位", "Unit")),
        Column("score", Words("得分", "Score"), "number"),
        Column("weight", Words("权重", "Weight"), "percent"),
        Column("points", Words("贡献", "Points"), "number"),
        Column("note", Words("备注", "Note"), "label", 18),
        Column("total", Words("总分", "Total"), "number"),
        _TIER,
        Column("reason", Words("等级依据", "Why this tier"), "label", 32),
    ),
)

CHANGES = Table(
    "changes",
    Words("等级变动", "Tier changes"),
    Words("主方案的升级、降级与转入转出;不含首次分级", "Headline scheme: every move but the first tier, newest first"),
    ("fct_tier_changes", "dim_customers"),
    f"select h.as_of_date, h.customer_id, c.customer_name, {_tier('h.from_tier', 'from')}, "
    f"{_tier('h.to_tier', 'to')}, {_words('h.direction', DIRECTIONS)}, {_words('h.reason', REASONS)}, "
    f"{_words('h.cause', CAUSES)}, h.from_score, h.to_score, h.annual_spend, c.owner "
    "from fct_tier_changes h left join dim_customers c using (customer_id) "
    "where h.scheme = $scheme and h.direction <> 'entered' "
    "order by h.as_of_date desc, h.annual_spend desc nulls last, h.customer_id",
    (
        Column("as_of_date", Words("日期", "Night"), "date"),
        _ID,
        _NAME,
        Column("from", Words("原等级", "From"), "label", 20),
        Column("to", Words("新等级", "To"), "label", 20),
        Column("direction", Words("方向", "Direction"), "label", 18),
        Column("reason", Words("依据", "Reason"), "label", 28),
        Column("cause", Words("原因", "Cause"), "label", 18, on_page=False),
        Column("from_score", Words("原得分", "Score before"), "number"),
        Column("to_score", Words("新得分", "Score after"), "number"),
        Column("annual_spend", Words("年消费", "Annual spend"), "money", 16),
        _OWNER,
    ),
)

CHURN = Table(
    "churn",
    Words("流失风险", "Churn risks"),
    Words("按风险与消费排序的跟进清单", "Whom to call first: by risk, then by spend at stake"),
    ("fct_churn_risks",),
    f"select customer_id, customer_name, {_words('risk_class', RISKS, 'risk')}, probability, "
    "replace(reasons_zh, '/', '、') as reasons_zh, replace(reasons_en, '/', '; ') as reasons_en, "
    "replace(signals_zh, '/', '、') as signals_zh, replace(signals_en, '/', '; ') as signals_en, "
    "last_order_on, spend_365d, spend_at_risk, advice_zh, advice_en, owner from fct_churn_risks "
    "order by probability desc nulls last, spend_365d desc nulls last, customer_id",
    (
        _ID,
        _NAME,
        Column("risk", Words("风险", "Risk"), "label", 14),
        Column("probability", Words("流失概率", "Probability"), "percent"),
        Column("reasons", Words("主要原因", "Reasons"), "label", 48),
        Column("signals", Words("预警信号", "Signals"), "label", 30),
        Column("last_order_on", Words("最近下单", "Last order"), "date", on_page=False),
        Column("spend_365d", Words("近一年消费", "Spend, 365 days"), "money", 16),
        Column("spend_at_risk", Words("风险金额", "Spend at risk"), "money", 16, on_page=False),
        _ADVICE,
        _OWNER,
    ),
)

OPPORTUNITIES = Table(
    "opportunities",
    Words("商机", "Opportunities"),
    Words("在谈商机的得分、优先级与建议", "Open opportunities: score, priority, advice"),
    ("fct_opportunity_scores",),
    "select opportunity_id, opportunity_name, customer_id, customer_name, label_zh as priority_zh, "
    "label_en as priority_en, score, budget, stage, opened_on, advice_zh, advice_en, owner "
    "from fct_opportunity_scores order by priority_rank nulls last, score desc nulls last, opportunity_id",
    (
        Column("opportunity_id", Words("商机编号", "Opportunity no."), width=18, on_page=False),
        Column("opportunity_name", Words("商机", "Opportunity"), width=24),
        _ID,
        _NAME,
        Column("priority", Words("优先级", "Priority"), "label", 26),
        Column("score", Words("得分", "Score"), "number"),
        Column("budget", Words("预算", "Budget"), "money", 16),
        Column("stage", Words("阶段", "Stage"), width=14),
        Column("opened_on", Words("创建日期", "Opened"), "date", on_page=False),
        _ADVICE,
        _OWNER,
    ),
)


def _candidates(kind: str, title: Words, about: Words, extra: tuple[Column, ...]) -> Table:
    return Table(
        kind,
        title,
        about,
        ("fct_tier_candidates", "dim_customers"),
        f"select k.customer_id, c.customer_name, {_tier('k.tier')}, {_tier('k.target_tier', 'target')}, "
        "k.reason_zh, k.reason_en, k.score, k.distance, k.profit_margin, k.profit_contribution, k.recency_days, "
        "k.complaints, k.resolution_hours, c.owner "
        "from fct_tier_candidates k left join dim_customers c using (customer_id) "
        f"where k.scheme = $scheme and k.kind = {literal(kind)} "
        "order by k.distance nulls last, k.profit_contribution desc nulls last, k.customer_id",
        (_ID, _NAME, _TIER, *extra, Column("reason", Words("理由", "Reason"), "label", 60), _OWNER),
    )


_MARGIN = Column("profit_margin", Words("毛利率", "Margin"), "percent")
_PROFIT = Column("profit_contribution", Words("利润贡献", "Profit"), "money", 16)

UPGRADES = _candidates(
    "upgrade",
    Words("升级候选", "Upgrade candidates"),
    Words("接近上一等级或潜力高的客户", "Close to a better tier, or with high potential"),
    (
        Column("target", Words("目标等级", "Target tier"), "label", 20),
        Column("score", Words("得分", "Score"), "number"),
        Column("distance", Words("差距", "Distance"), "number"),
    ),
)
COST_CUTS = _candidates(
    "cost_cut",
    Words("降本候选", "Cost-cut candidates"),
    Words("利润低而服务成本高的客户", "Little margin, much service"),
    (
        _MARGIN,
        _PROFIT,
        Column("complaints", Words("投诉", "Complaints"), "integer"),
        Column("resolution_hours", Words("解决时长(小时)", "Resolution, hours"), "number", 18),
    ),
)
PHASE_OUTS = _candidates(
    "phase_out",
    Words("淘汰候选", "Phase-out candidates"),
    Words("最低等级且亏损或长期无交易的客户", "Lowest tier, at a loss or without trade for long"),
    (_MARGIN, _PROFIT, Column("recency_days", Words("距上次下单(天)", "Days since order"), "integer", 18)),
)

PENDING_CUSTOMERS = Table(
    "pending",
    Words("待评估", "Pending"),
    Words("已知信息不足、暂不能评级的客户", "Customers without a tier, and what is not known of them"),
    ("fct_customer_tiers", "dim_customers", "fct_indicator_scores", "dim_indicators"),
    "with missing as (select s.customer_id, string_agg(coalesce(i.label_zh, s.indicator), '、' order by s.indicator) "
    "as missing_zh, string_agg(coalesce(i.label_en, s.indicator), '; ' order by s.indicator) as missing_en "
    "from fct_indicator_scores s left join dim_indicators i using (indicator) "
    "where s.scheme = $scheme and s.status <> 'measured' group by s.customer_id) "
    "select t.customer_id, c.customer_name, concat_ws(' / ', c.industry_l1, c.industry_l2) as industry, "
    "m.missing_zh, m.missing_en, t.coverage, c.registered_on, c.last_order_on, c.owner from fct_customer_tiers t "
    "left join dim_customers c using (customer_id) left join missing m using (customer_id) "
    "where t.scheme = $scheme and t.effective_tier = 'pending' order by t.customer_id",
    (
        _ID,
        _NAME,
        Column("industry", Words("行业", "Industry"), width=22),
        Column("missing", Words("缺少指标", "Missing"), "label", 40),
        Column("coverage", Words("覆盖率", "Coverage"), "percent"),
        Column("registered_on", Words("注册日期", "Registered"), "date"),
        Column("last_order_on", Words("最近下单", "Last order"), "date"),
        _OWNER,
    ),
)

_BELOW = {"true": Words("偏低", "below"), "false": Words("", "")}

SATISFACTION = Table(
    "satisfaction",
    Words("满意度诊断", "Satisfaction by tier"),
    Words(
        "各等级的满意度、投诉与服务时效;低于整体者标出主要原因",
        "Ratings, complaints and service times; what drags a tier below the whole",
    ),
    ("agg_tier_satisfaction",),
    f"select {_tier('a.tier')}, customers, customers_rated, csat, scheme_csat, "
    f"{_words('cast(is_below_scheme as varchar)', _BELOW, 'verdict')}, "
    "dissatisfied_customers, dissatisfied_share, complaints, complaints_per_customer, first_response_hours, "
    "resolution_hours, main_driver_zh, main_driver_en from agg_tier_satisfaction a where scheme = $scheme "
    "order by (a.tier = 'pending'), a.tier_rank, a.tier",
    (
        _TIER,
        Column("customers", Words("客户数", "Customers"), "integer"),
        Column("customers_rated", Words("有评分", "Rated"), "integer"),
        Column("csat", Words("满意度", "CSAT"), "percent"),
        Column("scheme_csat", Words("整体满意度", "CSAT of all"), "percent"),
        Column("verdict", Words("判断", "Verdict"), "label", 14),
        Column("dissatisfied_customers", Words("不满意客户", "Dissatisfied"), "integer"),
        Column("dissatisfied_share", Words("不满意占比", "Share"), "percent"),
        Column("complaints", Words("投诉", "Complaints"), "integer"),
        Column("complaints_per_customer", Words("户均投诉", "Complaints each"), "number"),
        Column("first_response_hours", Words("首次响应(小时)", "First response, h"), "number", 16),
        Column("resolution_hours", Words("解决时长(小时)", "Resolution, h"), "number", 16),
        Column("main_driver", Words("主要原因", "Main driver"), "label", 24),
    ),
)  # fmt: skip

RFM = Table(
    "rfm",
    Words("RFM", "RFM"),
    Words("每个买家的 R、F、M 与类别", "Recency, frequency, spend and class of every buyer"),
    ("fct_customer_rfm", "dim_customers"),
    "select r.customer_id, c.customer_name, r.recency_days, r.frequency, r.monetary, r.r_score, r.f_score, "
    f"r.m_score, r.rfm_score, {_words('r.rfm_class', RFM_CLASSES)}, r.rfm_overlay, c.owner from fct_customer_rfm r "
    "left join dim_customers c using (customer_id) order by r.rfm_score desc, r.monetary desc, r.customer_id",
    (
        _ID,
        _NAME,
        Column("recency_days", Words("R 距今天数", "R, days"), "integer"),
        Column("frequency", Words("F 次数", "F, orders"), "integer"),
        Column("monetary", Words("M 金额", "M, spend"), "money", 18),
        Column("r_score", Words("R 分", "R score"), "integer"),
        Column("f_score", Words("F 分", "F score"), "integer"),
        Column("m_score", Words("M 分", "M score"), "integer"),
        Column("rfm_score", Words("总分", "Total"), "integer"),
        Column("rfm_class", Words("类别", "Class"), "label", 30),
        Column("rfm_overlay", Words("标记", "Mark"), width=14),
        _OWNER,
    ),
)

STANDARDS = Table(
    "standards",
    Words("等级标准", "Tier standards"),
    Words("所有方案的等级、界限与策略", "Tiers of every scheme with edges and strategy"),
    ("dim_schemes", "dim_tiers", "dim_tier_bands"),
    "select s.label_zh as scheme_zh, s.label_en as scheme_en, s.kind, t.tier_rank, t.tier as code, "
    "t.label_zh as tier_zh, t.label_en as tier_en, b.dimension, b.lower_bound, "
    "case when b.lower_bound is null then '' when b.lower_included then '≥' else '>' end as lower_sign, "
    "b.upper_bound, case when b.upper_bound is null then '' when b.upper_included then '≤' else '<' end as upper_sign, "
    "t.strategy_zh, t.strategy_en from dim_tiers t join dim_schemes s using (scheme) "
    "left join dim_tier_bands b on t.scheme = b.scheme and t.tier = b.tier "
    "order by (s.scheme <> $scheme), s.scheme, t.tier_rank, t.tier, b.dimension",
    (
        Column("scheme", Words("方案", "Scheme"), "label", 30),
        Column("kind", Words("类型", "Kind")),
        Column("tier_rank", Words("序", "Rank"), "integer", 8),
        Column("code", Words("代码", "Code")),
        _TIER,
        Column("dimension", Words("维度", "Dimension")),
        Column("lower_sign", Words("", "≥ >"), width=6),
        Column("lower_bound", Words("下限", "From"), "number"),
        Column("upper_sign", Words("", "≤ <"), width=6),
        Column("upper_bound", Words("上限", "To"), "number"),
        Column("strategy", Words("策略", "Strategy"), "label", 70),
    ),
)

SCORE_RULES = Table(
    "score_rules",
    Words("评分规则", "Scoring rules"),
    Words("主方案每项指标的分档与得分", "Headline scheme: bands and scores of each indicator"),
    ("dim_score_bands", "dim_indicators"),
    "select coalesce(i.label_zh, b.indicator) as indicator_zh, coalesce(i.label_en, b.indicator) as indicator_en, "
    "i.unit, i.definition, "
    "case when b.lower_bound is null then '' when b.lower_included then '≥' else '>' end as lower_sign, b.lower_bound, "
    "case when b.upper_bound is null then '' when b.upper_included then '≤' else '<' end as upper_sign, b.upper_bound, "
    "b.score from dim_score_bands b left join dim_indicators i using (indicator) where b.scheme = $scheme "
    "order by b.indicator, b.score desc, b.lower_bound",
    (
        Column("indicator", Words("指标", "Indicator"), "label", 28),
        Column("unit", Words("单位", "Unit")),
        Column("definition", Words("定义", "Definition"), width=50),
        Column("lower_sign", Words("", "≥ >"), width=6),
        Column("lower_bound", Words("下限", "From"), "number", 14),
        Column("upper_sign", Words("", "≤ <"), width=6),
        Column("upper_bound", Words("上限", "To"), "number", 14),
        Column("score", Words("得分", "Score"), "number"),
    ),
)

QUALITY = Table(
    "quality",
    Words("数据质量", "Data quality"),
    Words(
        "当晚每类数据的去向:到达 = 保留 + 合并 + 隔离",
        "What became of every row of the night: in = kept + merged + quarantined",
    ),
    ("fct_data_quality",),
    "select source, entity, rows_in, rows_kept, rows_merged, rows_quarantined, rows_released, "
    "rows_quarantined / nullif(rows_in, 0) as quarantined_share from fct_data_quality "
    "where as_of_date = $night order by source, entity",
    (
        Column("source", Words("来源", "Source"), width=14),
        Column("entity", Words("数据", "Entity"), width=22),
        Column("rows_in", Words("到达", "In"), "integer"),
        Column("rows_kept", Words("保留", "Kept"), "integer"),
        Column("rows_merged", Words("合并", "Merged"), "integer"),
        Column("rows_quarantined", Words("隔离", "Quarantined"), "integer"),
        Column("rows_released", Words("放行", "Released"), "integer"),
        Column("quarantined_share", Words("隔离率", "Quarantine rate"), "percent"),
    ),
)  # fmt: skip

AUDIT = Table(
    "audit",
    Words("抽样复算", "Audit sample"),
    Words(
        "各方案最高等级抽样客户,直接由原始数据独立复算并比对",
        "Customers sampled from the best tier of each scheme, computed again from the raw rows and compared",
    ),
    ("fct_audit_sample", "dim_schemes"),
    "select s.label_zh as scheme_zh, s.label_en as scheme_en, count(distinct a.customer_id) as customers, "
    "count(*) filter (a.status = 'agrees') as agreeing, count(*) filter (a.status = 'differs') as differing, "
    "count(*) filter (a.status = 'not_recomputed') as not_recomputed "
    "from fct_audit_sample a join dim_schemes s using (scheme) where a.as_of_date = $night "
    "group by a.scheme, s.label_zh, s.label_en order by (a.scheme <> $scheme), a.scheme",
    (
        Column("scheme", Words("方案", "Scheme"), "label", 36),
        Column("customers", Words("抽样客户", "Sampled"), "integer"),
        Column("agreeing", Words("一致项", "Figures that agree"), "integer", 16),
        Column("differing", Words("不一致项", "That differ"), "integer"),
        Column("not_recomputed", Words("未复算项", "Not recomputed"), "integer", 16),
    ),
)

QUARANTINE = Table(
    "quarantine",
    Words("隔离", "Quarantine"),
    Words(
        "仍在隔离的行,按规则;处理:tiering quarantine", "Rows that still wait, by rule; what to do: tiering quarantine"
    ),
    (),
    "",  # it lies in the private warehouse; the night hands the counts over
    (
        Column("rule", Words("规则", "Rule"), width=44),
        Column("reason", Words("原因", "Reason"), "label", 80),
        Column("rows", Words("行数", "Rows"), "integer"),
        Column("oldest", Words("最早", "Since"), "date"),
    ),
)

TABLES = (
    SUMMARY, SCHEMES, STANDARDS, SCORE_RULES, ASSESSMENTS, CHANGES, CHURN, OPPORTUNITIES, UPGRADES, COST_CUTS,
    PHASE_OUTS, PENDING_CUSTOMERS, QUARANTINE, QUALITY, AUDIT, CUSTOMERS, RFM, SATISFACTION,
)  # fmt: skip


def fill(
    connection: duckdb.DuckDBPyConnection, table: Table, scheme: str, night: date, limit: int | None = None
) -> Filled | None:
    """The table's rows, at most ``limit``; None when a mart it needs is not in this snapshot.

    ``connection`` is one to a snapshot with its marts in use.
    """
    if not exists(connection, table):
        return None
    return Filled(table, list(stream(connection, table, scheme, night, limit)))


def exists(connection: duckdb.DuckDBPyConnection, table: Table) -> bool:
    """Whether the snapshot has the marts of the table."""
    return bool(table.sql) and set(table.marts) <= set(mart_names(connection))


def stream(
    connection: duckdb.DuckDBPyConnection, table: Table, scheme: str, night: date, limit: int | None = None
) -> Iterator[tuple[Any, ...]]:
    """The rows one by one: values in the order of the table's columns. The connection is busy until the last one."""
    cut = f" limit {int(limit)}" if limit is not None else ""
    cursor = connection.execute(table.sql + cut, _bound(table, scheme, night))
    names = [column[0] for column in cursor.description or []]
    places = [
        (names.index(f"{column.name}_zh"), names.index(f"{column.name}_en"))
        if column.kind == "label"
        else (names.index(column.name), None)
        for column in table.columns
    ]
    while rows := cursor.fetchmany(_BATCH):
        for row in rows:
            yield tuple(
                row[place] if english is None else Words(row[place] or "", row[english] or "")
                for place, english in places
            )


def count(connection: duckdb.DuckDBPyConnection, table: Table, scheme: str, night: date) -> int:
    """How many rows the table has in all."""
    row = connection.execute(f"select count(*) from ({table.sql})", _bound(table, scheme, night)).fetchone()
    return int(row[0]) if row else 0


def _bound(table: Table, scheme: str, night: date) -> dict[str, Any]:
    return {name: value for name, value in {"scheme": scheme, "night": night}.items() if f"${name}" in table.sql}
