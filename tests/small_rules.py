"""The rules of a small company, one scheme of each kind, for tests that change a line of them."""

from __future__ import annotations

from pathlib import Path

from customer_tiering.company.profile import Profile
from customer_tiering.rules.load import load_rules, rules_in
from customer_tiering.rules.seeds import Rules, churn_feature_names, indicator_names, level_indicator_names
from nights import shipped_sources

DICTIONARY = sorted(indicator_names() | level_indicator_names())

SMALL_SEEDS = {
    "settings": """\
setting,value,meaning
spend_window,trailing_12_months,window
fiscal_year_start_month,4,month
spend_basis,net,basis
uncovered_window,pending,window
rfm_recency_days,30,R
rfm_frequency,10,F
rfm_monetary,100000,M
rfm_cuts,fixed,cuts
high_potential_score,82,potential
expected_years,3,years
rfm_risk_recency_days,90,R
rfm_risk_frequency,3,F
rfm_risk_monetary,10000,M
rfm_important_recency_days,30,R
rfm_important_frequency,10,F
rfm_important_monetary,100000,M
rfm_high_score,12,level
rfm_middle_score,8,level
outcome_days,90,window
profile_top_values,3,list
upgrade_distance,0.03,share
upgrade_potential_rank,3,rank
cost_cut_margin,0.05,margin
phase_out_idle_days,365,days
low_csat,0.6,share
driver_excess,0.05,share
driver_min_cases,5,tickets
identity_match_weight,12,matched
identity_review_weight,2,looked at
identity_key_limit,10,limit
churn_label,no_order,label
churn_horizon_days,90,days
churn_label_drop,0.5,share
churn_active_days,365,days
churn_high_probability,0.7,class
churn_medium_probability,0.4,class
churn_reasons,3,list
churn_cutoffs,12,cutoffs
churn_cutoff_days,30,days
churn_min_customers,100,customers
churn_min_events,30,customers
churn_login_drop,0.3,signal
churn_login_min,3,logins
churn_high_signals,2,signals
churn_idle_months,2,months
churn_complaint_increase,1,signal
churn_order_slump,0.5,signal
churn_order_min,2,orders
clv_horizon_days,365,days
clv_min_customers,50,customers
opportunity_min_coverage,0.5,share
neutral_min_customers,20,customers
neutral_score,60,score
audit_seed,1,seed
audit_share,0.10,share
audit_max_customers,200,customers
""",
    "indicators": "indicator,label_en,label_zh,unit,definition,formula,source,time_window\n"
    + "".join(f"{name},{name},指标,u,d,f,s,w\n" for name in DICTIONARY),
    "rfm_adjustments": """\
indicator,level,lower_bound,upper_bound,lower_included,upper_included,points
company_size,large,,,false,false,1
company_size,micro,,,false,false,-1
industry_growth,,0.10,,true,false,1
industry_growth,,,0.10,false,false,-0.5
""",
    "churn_features": "feature,transform,label_en,label_zh\n"
    + "".join(f"{name},log,{name},特征\n" for name in churn_feature_names()),
    "opportunity_bands": """\
component,level,lower_bound,upper_bound,lower_included,upper_included,points
company_size,large,,,false,false,20
decision_maker,yes,,,false,false,25
industry_fit,,50,,true,false,25
industry_fit,,,50,false,false,0
budget,,1000,,true,false,30
budget,,,1000,false,false,10
""",
    "opportunity_priorities": """\
priority,priority_rank,lower_bound,upper_bound,lower_included,upper_included,label_en,label_zh,advice_en,advice_zh
first,1,80,,true,false,First,优先,call,致电
later,2,,80,false,false,Later,观察,wait,等待
""",
    "industry_mapping": """\
source_value,industry_l1,industry_l2,industry_l1_en,industry_l2_en
汽配,制造业,汽车零部件,Manufacturing,Auto Parts
""",
    "exchange_rates": """\
currency,valid_from,rate
USD,2026-01-01,7.10
USD,2026-02-01,7.25
EUR,2026-01-01,8.30
""",
}

SMALL_SCHEMES = {
    "value": """\
label_en: Value
label_zh: 价值
description: margin, and spend
kind: weighted
population: buyers
dimensions:
  worth:
    label_en: Worth
    label_zh: 价值
    weight: 70 %
    indicators:
      annual_spend:
        weight: 60 %
        scores: {">= 1000": 100, others: 60}
      profit_margin:
        weight: 40 %
        missing: impute
        missing_score: 50
        scores: {">= 0.1": 90, others: 30}
  fit:
    label_en: Fit
    label_zh: 契合
    weight: 30 %
    indicators:
      strategic_level:
        missing: renormalise
        scores: {national_key: 100, ordinary: 60}
tiers:
  high:
    when: ">= 80"
    needs: {on_time_payment_rate: ">= 0.8"}
    label_en: High
    label_zh: 高
    strategy_en: visit
    strategy_zh: 拜访
  low: {when: others, label_en: Low, label_zh: 低, strategy_en: mail, strategy_zh: 邮件}
stability:
  enter_margin: 2
  exit_margin: 3
  min_dwell_days: 30
  spend_change: 0.3
  idle_months: 3
  review: quarterly
""",
    "abc": """\
label_en: ABC
label_zh: 分级
description: spend
kind: bands
population: buyers
dimensions:
  spend: {label_en: Spend, label_zh: 消费, value: annual_spend}
tiers:
  A: {when: "> 500", label_en: A, label_zh: A, strategy_en: first, strategy_zh: 优先}
  B: {when: ">= 100", label_en: B, label_zh: B, strategy_en: care, strategy_zh: 维护}
  C: {when: others, label_en: C, label_zh: C, strategy_en: self, strategy_zh: 自助}
stability: {enter_margin: 10, exit_margin: 10, review: nightly}
""",
    "grid": """\
label_en: Grid
label_zh: 矩阵
description: spend and profit
kind: quadrant
population: buyers
dimensions:
  spend:
    label_en: Spend
    label_zh: 消费
    weight: 60 %
    value: annual_spend
    levels: {much: ">= 500", little: others}
  profit:
    label_en: Profit
    label_zh: 利润
    weight: 40 %
    value: profit_contribution
    levels: {good: top 20 %, bad: others}
tiers:
  star:
    when: {spend: much, profit: good}
    label_en: Star
    label_zh: 明星
    strategy_en: invest
    strategy_zh: 投入
  fix:
    when: {spend: much, profit: bad}
    label_en: Fix
    label_zh: 改善
    strategy_en: improve
    strategy_zh: 改善
  grow:
    when: {spend: little, profit: good}
    label_en: Grow
    label_zh: 培育
    strategy_en: teach
    strategy_zh: 培育
  leave:
    when: {spend: little, profit: bad}
    label_en: Leave
    label_zh: 放手
    strategy_en: wait
    strategy_zh: 等待
""",
    "top": """\
label_en: Top
label_zh: 前列
description: spend
kind: rank
population: repeat_buyers
dimensions:
  spend: {label_en: Spend, label_zh: 消费, value: annual_spend}
tiers:
  first: {when: top 10 %, label_en: First, label_zh: 前列, strategy_en: call, strategy_zh: 致电}
  rest: {when: others, label_en: Rest, label_zh: 其他, strategy_en: mail, strategy_zh: 邮件}
stability: {min_dwell_days: 30, idle_months: 6, review: none}
""",
    "care": """\
label_en: Care
label_zh: 关怀
description: last order
kind: rules
population: all
dimensions:
  last: {label_en: Last order, label_zh: 最近, value: recency_days}
conditions:
  - {tier: never, if: [recency_days missing]}
  - {tier: fresh, if: [recency_days <= 90, orders_12m >= 2]}
  - {tier: fresh, if: ['company_size in 大型, 中型']}
  - {tier: stale}
tiers:
  fresh: {label_en: Fresh, label_zh: 新, strategy_en: thank, strategy_zh: 感谢}
  stale: {label_en: Stale, label_zh: 旧, strategy_en: remind, strategy_zh: 提醒}
  never: {label_en: Never, label_zh: 从未, strategy_en: invite, strategy_zh: 邀请}
""",
    "map": """\
label_en: Map
label_zh: 坐标
description: profit and loyalty
kind: axes
population: buyers
dimensions:
  profit:
    label_en: Profit
    label_zh: 利润
    value: profit_contribution
    levels: {rich: top 50 %, poor: others}
  loyalty:
    label_en: Loyalty
    label_zh: 忠诚
    value: orders_12m
    conditions:
      - {tier: loyal, if: [orders_12m >= 4]}
      - {tier: general}
""",
    "alike": """\
label_en: Alike
label_zh: 相似
description: recency, spend
kind: cluster
population: buyers
dimensions:
  habit:
    label_en: Habit
    label_zh: 习惯
    compare: log
    indicators:
      recency_days: {weight: 40 %}
      annual_spend: {weight: 60 %}
tiers:
  near: {label_en: Near, label_zh: 近, strategy_en: thank, strategy_zh: 感谢}
  far: {label_en: Far, label_zh: 远, strategy_en: call, strategy_zh: 致电}
""",
}


def small_profile(headline: str = "value") -> Profile:
    return Profile(
        name="small",
        label_en="Small",
        label_zh="小",
        timezone="Asia/Shanghai",
        currency="CNY",
        headline_scheme=headline,
        sources={"erp": shipped_sources()["erp"]},  # type: ignore[dict-item]
    )


def write_small_rules(folder: Path) -> Path:
    """A folder with sound rules: ``schemes/`` and ``seeds/``."""
    for kind, suffix, texts in (("seeds", "csv", SMALL_SEEDS), ("schemes", "yml", SMALL_SCHEMES)):
        (folder / kind).mkdir(parents=True)
        for name, text in texts.items():
            (folder / kind / f"{name}.{suffix}").write_text(text, encoding="utf-8")
    return folder


def load_small(*folders: Path, headline: str = "value") -> Rules:
    return load_rules(small_profile(headline), [rules_in(folder) for folder in folders])


def change(folder: Path, name: str, before: str, after: str) -> None:
    """Replace a text that is in a file once: ``seeds/settings.csv``, ``schemes/abc.yml``."""
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{before!r} is {text.count(before)} times in {name}"
    path.write_text(text.replace(before, after), encoding="utf-8")
