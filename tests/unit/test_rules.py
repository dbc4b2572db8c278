"""The tiering rules: every mistake is named with file and line, overrides replace groups, bands cover the axis."""

from __future__ import annotations

import csv
import io
import shutil
from calendar import isleap
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import duckdb
import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.company.workspace import PROJECT_ROOT
from customer_tiering.errors import RulesError
from customer_tiering.rules.checks import check_bands
from customer_tiering.rules.load import load_rules, seed_folders
from customer_tiering.rules.seeds import SEEDS, Row, Rules, churn_feature_names, indicator_names, level_indicator_names
from customer_tiering.rules.versions import archive_rules, ensure_rules, land_rules
from customer_tiering.warehouse.nights import (
    PlannedNight,
    land_as_of_dates,
    make_build_inputs,
    plan_nights,
    spend_window,
)
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
churn_idle_months,2,months
churn_complaint_increase,1,signal
churn_order_slump,0.5,signal
churn_order_min,2,orders
clv_horizon_days,365,days
clv_min_customers,50,customers
opportunity_min_coverage,0.5,share
audit_seed,1,seed
audit_share,0.10,share
audit_max_customers,200,customers
""",
    "schemes": """\
scheme,kind,population,label_en,label_zh,description
value,weighted,buyers,Value,价值,"margin, and spend"
abc,bands,buyers,ABC,分级,spend
grid,quadrant,buyers,Grid,矩阵,spend and profit
top,rank,repeat_buyers,Top,前列,spend
care,rules,all,Care,关怀,last order
map,axes,buyers,Map,坐标,profit and loyalty
alike,cluster,buyers,Alike,相似,"recency, spend"
""",
    "scheme_dimensions": """\
scheme,dimension,weight,measure,level_by,label_en,label_zh
value,worth,0.70,score,none,Worth,价值
value,fit,0.30,score,none,Fit,契合
abc,spend,1,raw,bands,Spend,消费
grid,spend,0.60,raw,bands,Spend,消费
grid,profit,0.40,raw,rank,Profit,利润
top,spend,1,raw,rank,Spend,消费
care,last,1,raw,rules,Last order,最近
map,profit,1,raw,rank,Profit,利润
map,loyalty,1,raw,rules,Loyalty,忠诚
alike,habit,1,log,cluster,Habit,习惯
""",
    "scheme_indicators": """\
scheme,dimension,indicator,weight,missing,missing_score
value,worth,annual_spend,0.60,pending,
value,worth,profit_margin,0.40,impute,50
value,fit,strategic_level,1.00,renormalise,
abc,spend,annual_spend,1.00,pending,
grid,spend,annual_spend,1.00,pending,
grid,profit,profit_contribution,1.00,pending,
top,spend,annual_spend,1.00,pending,
care,last,recency_days,1.00,pending,
map,profit,profit_contribution,1.00,pending,
map,loyalty,orders_12m,1.00,pending,
alike,habit,recency_days,0.40,pending,
alike,habit,annual_spend,0.60,pending,
""",
    "score_bands": """\
scheme,indicator,lower_bound,upper_bound,lower_included,upper_included,score
value,annual_spend,1000,,true,false,100
value,annual_spend,,1000,false,false,60
value,profit_margin,0.10,,true,false,90
value,profit_margin,,0.10,false,false,30
""",
    "level_scores": """\
scheme,indicator,level,score
value,strategic_level,national_key,100
value,strategic_level,ordinary,60
""",
    "tier_bands": """\
scheme,dimension,tier,lower_bound,upper_bound,lower_included,upper_included
value,,high,80,,true,false
value,,low,,80,false,false
abc,spend,A,500,,false,false
abc,spend,B,100,500,true,true
abc,spend,C,,100,false,false
grid,spend,much,500,,true,false
grid,spend,little,,500,false,false
""",
    "gates": """\
scheme,tier,indicator,lower_bound,cap_tier
value,high,on_time_payment_rate,0.8,low
""",
    "stability": """\
scheme,enter_margin,exit_margin,min_dwell_days,spend_change,idle_months,review
value,2,3,30,0.30,3,quarterly
abc,10,10,0,,,nightly
top,0,0,30,,6,none
""",
    "quadrants": """\
scheme,first_dimension,first_level,second_dimension,second_level,tier
grid,spend,much,profit,good,star
grid,spend,much,profit,bad,fix
grid,spend,little,profit,good,grow
grid,spend,little,profit,bad,leave
""",
    "ranks": """\
scheme,dimension,tier,cumulative_share
grid,profit,good,0.20
grid,profit,bad,1
top,spend,first,0.10
top,spend,rest,1
map,profit,rich,0.50
map,profit,poor,1
""",
    "rules": """\
scheme,dimension,rule_order,tier,indicator,operator,value
care,last,1,never,recency_days,missing,
care,last,2,fresh,recency_days,<=,90
care,last,2,fresh,orders_12m,>=,2
care,last,3,fresh,company_size,in,大型|中型
care,last,4,stale,,always,
map,loyalty,1,loyal,orders_12m,>=,4
map,loyalty,2,general,,always,
""",
    "tiers": """\
scheme,tier,tier_rank,label_en,label_zh,strategy_en,strategy_zh
value,high,1,High,高,visit,拜访
value,low,2,Low,低,mail,邮件
abc,A,1,A,A,first,优先
abc,B,2,B,B,care,维护
abc,C,3,C,C,self,自助
grid,star,1,Star,明星,invest,投入
grid,fix,2,Fix,改善,improve,改善
grid,grow,3,Grow,培育,teach,培育
grid,leave,4,Leave,放手,wait,等待
top,first,1,First,前列,call,致电
top,rest,2,Rest,其他,mail,邮件
care,fresh,1,Fresh,新,thank,感谢
care,stale,2,Stale,旧,remind,提醒
care,never,3,Never,从未,invite,邀请
alike,near,1,Near,近,thank,感谢
alike,far,2,Far,远,call,致电
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


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """A folder with a small, sound set of seeds."""
    folder = tmp_path / "seeds"
    folder.mkdir()
    for name, text in SMALL_SEEDS.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def override(tmp_path: Path) -> Path:
    folder = tmp_path / "override"
    folder.mkdir()
    return folder


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as memory:
        memory.execute((PROJECT_ROOT / "plugins/customer_tiering/warehouse/schema.sql").read_text("utf-8"))
        yield memory


def load(*folders: Path, headline: str = "value") -> Rules:
    return load_rules(small_profile(headline), folders)


def problem_of(*folders: Path, headline: str = "value") -> str:
    with pytest.raises(RulesError) as caught:
        load(*folders, headline=headline)
    assert "nothing was run" in caught.value.next_step
    return caught.value.problem


def change(folder: Path, seed: str, before: str, after: str) -> None:
    path = folder / f"{seed}.csv"
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{before!r} stands {text.count(before)} times in {seed}.csv"
    path.write_text(text.replace(before, after), encoding="utf-8")


# --- loading and overriding ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sample", "online_retail"])
def test_the_shipped_seeds_of_each_profile_load_and_can_be_landed(
    name: str, connection: duckdb.DuckDBPyConnection
) -> None:
    rules = load_rules(load_profile(name))
    assert {"account_value", "spend_abc"} <= set(rules.schemes())
    assert land_rules(connection, rules, date(2024, 1, 1)) == rules.version
    for seed, rows in rules.rows.items():
        assert connection.execute(f"select count(*) from rules.{seed}").fetchone() == (len(rows),)


def test_the_profile_folder_comes_after_the_project_folder() -> None:
    project, own = seed_folders(load_profile("online_retail"))
    assert project == PROJECT_ROOT / "dbt_project" / "seeds"
    assert own.parts[-2:] == ("online_retail", "seeds")


def test_an_override_replaces_whole_groups_and_nothing_else(seeds: Path, override: Path) -> None:
    (override / "tier_bands.csv").write_text(
        "scheme,dimension,tier,lower_bound,upper_bound,lower_included,upper_included\n"
        "abc,spend,A,7000,,true,false\nabc,spend,C,,7000,false,false\n",
        encoding="utf-8",
    )
    (override / "settings.csv").write_text("setting,value,meaning\nrfm_frequency,3,few\n", encoding="utf-8")
    rules = load(seeds, override)
    bands = [(row["scheme"], row["tier"], row["lower_bound"]) for row in rules.rows["tier_bands"]]
    assert bands == [
        ("value", "high", "80"),
        ("value", "low", ""),
        ("grid", "much", "500"),
        ("grid", "little", ""),
        ("abc", "A", "7000"),
        ("abc", "C", ""),
    ]
    assert rules.setting("rfm_frequency") == "3"
    assert rules.setting("rfm_monetary") == "100000"
    assert rules.version != load(seeds).version


def test_a_seed_saved_by_excel_with_a_byte_order_mark_loads(seeds: Path) -> None:
    version = load(seeds).version
    path = seeds / "tiers.csv"
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert load(seeds).version == version


def test_a_seed_in_another_encoding_is_named(seeds: Path) -> None:
    (seeds / "tiers.csv").write_text(SMALL_SEEDS["tiers"], encoding="gb18030")
    assert "tiers.csv: the file is not UTF-8" in problem_of(seeds)


def test_a_seed_without_rows_can_be_landed(seeds: Path, connection: duckdb.DuckDBPyConnection) -> None:
    (seeds / "industry_mapping.csv").write_text(SMALL_SEEDS["industry_mapping"].splitlines()[0] + "\n")
    land_rules(connection, load(seeds), date(2024, 1, 1))
    assert connection.execute("select count(*) from rules.industry_mapping").fetchone() == (0,)
    assert connection.execute("select count(*) from rules.tiers").fetchone() == (16,)


def test_a_profiles_rates_replace_those_of_the_currency(seeds: Path, override: Path) -> None:
    """One row for USD replaces both; EUR stays; the reporting currency is there from the first day on."""
    (override / "exchange_rates.csv").write_text("currency,valid_from,rate\nUSD,2026-03-01,7.0\n", encoding="utf-8")
    rates = [tuple(row.values.values()) for row in load(seeds, override).rows["exchange_rates"]]
    assert rates == [("EUR", "2026-01-01", "8.30"), ("USD", "2026-03-01", "7.0"), ("CNY", "0001-01-01", "1")]


def test_rates_are_landed_as_days_and_decimals(seeds: Path, connection: duckdb.DuckDBPyConnection) -> None:
    land_rules(connection, load(seeds), date(2024, 1, 1))
    rates = connection.execute("select currency, valid_from, rate from rules.exchange_rates order by all").fetchall()
    assert rates == [
        ("CNY", date(1, 1, 1), Decimal(1)),
        ("EUR", date(2026, 1, 1), Decimal("8.3")),
        ("USD", date(2026, 1, 1), Decimal("7.1")),
        ("USD", date(2026, 2, 1), Decimal("7.25")),
    ]


# --- mistakes -----------------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[str, str, str, str]] = {
    "weights of a dimension do not sum to 1": (
        "scheme_indicators", "profit_margin,0.40", "profit_margin,0.30",
        "scheme_indicators.csv:2: the weights of scheme value, dimension worth sum to 0.90, not to 1",
    ),
    "weights of dimensions do not sum to 1": (
        "scheme_dimensions", "value,fit,0.30", "value,fit,0.40",
        "scheme_dimensions.csv:2: the weights of scheme value, its dimensions sum to 1.10, not to 1",
    ),
    "weights of a quadrant's dimensions do not sum to 1": (
        "scheme_dimensions", "grid,profit,0.40", "grid,profit,0.30",
        "scheme_dimensions.csv:5: the weights of scheme grid, its dimensions sum to 0.90, not to 1",
    ),
    "weight is zero": (
        "scheme_indicators", "profit_margin,0.40", "profit_margin,0",
        "scheme_indicators.csv:3: weight is 0; it must be above 0 and at most 1",
    ),
    "weight above one": (
        "scheme_indicators", "profit_margin,0.40", "profit_margin,1.4",
        "scheme_indicators.csv:3: weight is 1.4; it must be above 0 and at most 1",
    ),
    "weight of a dimension is zero": (
        "scheme_dimensions", "value,fit,0.30", "value,fit,0",
        "scheme_dimensions.csv:3: weight is 0; it must be above 0 and at most 1",
    ),
    "share is zero": (
        "ranks", "top,spend,first,0.10", "top,spend,first,0",
        "ranks.csv:4: cumulative_share is 0; it must be above 0 and at most 1",
    ),
    "gap": (
        "tier_bands", "B,100,500,true,true", "B,100,400,true,true",
        "tier_bands.csv:5 and line 4: bands of abc spend leave a gap between 400 and 500",
    ),
    "gap in the bands of a total": (
        "tier_bands", "low,,80,", "low,,79,",
        "tier_bands.csv:3 and line 2: bands of value leave a gap between 79 and 80",
    ),
    "overlap": (
        "tier_bands", "B,100,500,true,true", "B,100,600,true,true",
        "tier_bands.csv:5 and line 4: bands of abc spend overlap above 500",
    ),
    "overlap of two bands open below": (
        "tier_bands", "B,100,500,true,true", "B,,500,true,true",
        "bands of abc spend overlap above the lowest value",
    ),
    "edge owned by both": (
        "tier_bands", "A,500,,false,false", "A,500,,true,false",
        "tier_bands.csv:5 and line 4: the edge 500 of abc spend belongs to both bands; exactly one includes it",
    ),
    "edge owned by none": (
        "tier_bands", "B,100,500,true,true", "B,100,500,true,false",
        "tier_bands.csv:5 and line 4: the edge 500 of abc spend belongs to no band; exactly one includes it",
    ),
    "open below": (
        "score_bands", "profit_margin,,0.10,", "profit_margin,0,0.10,",
        "score_bands.csv:5: the lowest band of value profit_margin is open below, leave lower_bound empty",
    ),
    "open above": (
        "score_bands", "annual_spend,1000,,true", "annual_spend,1000,9000,true",
        "score_bands.csv:2: the highest band of value annual_spend is open above, leave upper_bound empty",
    ),
    "empty band": (
        "tier_bands", "B,100,500,true,true", "B,500,500,true,true",
        "tier_bands.csv:5: the band of abc spend from 500 to 500 is empty",
    ),
    "upside-down band": (
        "tier_bands", "B,100,500,true,true", "B,500,100,true,true",
        "tier_bands.csv:5: the band of abc spend from 500 to 100 is empty",
    ),
    "unknown scheme": (
        "scheme_indicators", "abc,spend,annual_spend", "xyz,spend,annual_spend",
        "scheme_indicators.csv:5: unknown scheme 'xyz'",
    ),
    "unknown scheme of a dimension": (
        "scheme_dimensions", "abc,spend", "xyz,spend", "scheme_dimensions.csv:4: unknown scheme 'xyz'",
    ),
    "unknown scheme of a rank": ("ranks", "top,spend,first", "tip,spend,first", "ranks.csv:4: unknown scheme 'tip'"),
    "unknown dimension": (
        "scheme_indicators", "value,fit,", "value,fitt,",
        "scheme_indicators.csv:4: unknown dimension 'fitt' of scheme value",
    ),
    "unknown dimension of a band": (
        "tier_bands", "abc,spend,B", "abc,spent,B", "tier_bands.csv:5: unknown dimension 'spent' of scheme abc",
    ),
    "unknown dimension of a rank": (
        "ranks", "top,spend,first", "top,spent,first", "ranks.csv:4: unknown dimension 'spent' of scheme top",
    ),
    "unknown dimension of a rule": (
        "rules", "care,last,1", "care,lost,1", "rules.csv:2: unknown dimension 'lost' of scheme care",
    ),
    "unknown first dimension": (
        "quadrants", "grid,spend,much,profit,good", "grid,spent,much,profit,good",
        "quadrants.csv:2: unknown dimension 'spent' of scheme grid",
    ),
    "unknown second dimension": (
        "quadrants", "much,profit,good", "much,profits,good",
        "quadrants.csv:2: unknown dimension 'profits' of scheme grid",
    ),
    "unknown indicator": (
        "scheme_indicators", "profit_margin", "profit_margn",
        "scheme_indicators.csv:3: unknown indicator 'profit_margn'; there are active_days_90d, ",
    ),
    "unknown indicator of a gate": (
        "gates", "on_time_payment_rate", "on_time", "gates.csv:2: unknown indicator 'on_time'; there are ",
    ),
    "unknown indicator of a rule": (
        "rules", "recency_days,<=", "recency,<=", "rules.csv:3: unknown indicator 'recency'; there are ",
    ),
    "name scored by bands": (
        "score_bands", "value,profit_margin,0.10", "value,strategic_level,0.10",
        "score_bands.csv:4: unknown indicator 'strategic_level'; there are ",
    ),
    "name in a gate": (
        "gates", "on_time_payment_rate", "company_size", "gates.csv:2: unknown indicator 'company_size'; there are ",
    ),
    "name compared like a number": (
        "rules", "orders_12m,>=,2", "company_size,>=,2",
        "rules.csv:4: company_size is a name; compare it by =, <>, in or missing",
    ),
    "number compared like a name": (
        "rules", "orders_12m,>=,2", "orders_12m,in,2|3",
        "rules.csv:4: orders_12m is a number; operator 'in' compares names",
    ),
    "condition without name": (
        "rules", "orders_12m,>=,2", "company_size,=,",
        "rules.csv:4: value is ''; operator '=' needs a name",
    ),
    "empty name in a list": (
        "rules", "大型|中型", "大型||中型",
        "rules.csv:5: value is '大型||中型'; operator 'in' needs names separated by |, without blanks",
    ),
    "blank in a list of names": (
        "rules", "大型|中型", "大型 | 中型", "rules.csv:5: value is '大型 | 中型'; operator 'in' needs names ",
    ),
    "list without indicator": (
        "rules", "company_size,in", ",in", "rules.csv:5: operator 'in' needs an indicator",
    ),
    "rate of 0": ("exchange_rates", "7.10", "0", "exchange_rates.csv:2: rate is 0; it must be above 0"),
    "negative rate": ("exchange_rates", "7.10", "-7.1", "exchange_rates.csv:2: rate is -7.1; it must be above 0"),
    "rate no number": ("exchange_rates", "7.10", "7,1", "exchange_rates.csv:2: 3 fields expected"),
    "rate with more decimals than the column holds": (
        "exchange_rates", "7.10", "7.123456789",
        "exchange_rates.csv:2: rate is 7.123456789; up to 10 digits and 8 decimals",
    ),
    "two rates of one day": (
        "exchange_rates", "USD,2026-02-01", "USD,2026-01-01",
        "exchange_rates.csv:3: USD, 2026-01-01 is already in line 2",
    ),
    "rate from no day": (
        "exchange_rates", "2026-02-01", "2026-02-30",
        "exchange_rates.csv:3: valid_from is '2026-02-30'; write a day as YYYY-MM-DD",
    ),
    "day in another form": (
        "exchange_rates", "2026-02-01", "20260201",
        "exchange_rates.csv:3: valid_from is '20260201'; write a day as YYYY-MM-DD",
    ),
    "day missing": ("exchange_rates", "2026-02-01", "", "exchange_rates.csv:3: valid_from is empty"),
    "currency in small letters": (
        "exchange_rates", "EUR,", "eur,",
        "exchange_rates.csv:4: currency 'eur' is no code of three capitals such as USD",
    ),
    "rate of the reporting currency": (
        "exchange_rates", "EUR,2026-01-01", "CNY,2026-01-01",
        "exchange_rates.csv:4: CNY is the reporting currency, its rate is 1",
    ),
    "number scored by levels": (
        "level_scores", "strategic_level,ordinary", "annual_spend,ordinary",
        "level_scores.csv:3: unknown indicator 'annual_spend'; there are company_size, strategic_level",
    ),
    "name in a raw dimension": (
        "scheme_indicators", "top,spend,annual_spend", "top,spend,company_size",
        "scheme_indicators.csv:8: company_size is a name, a raw dimension needs a number; measure it by score",
    ),
    "unknown tier": (
        "tier_bands", "abc,spend,B,", "abc,spend,Bee,",
        "tier_bands.csv:5: unknown tier 'Bee' of scheme abc; see tiers.csv",
    ),
    "unknown tier of a gate": (
        "gates", "value,high,", "value,hi,", "gates.csv:2: unknown tier 'hi' of scheme value; see tiers.csv",
    ),
    "unknown cap": ("gates", "0.8,low", "0.8,lo", "gates.csv:2: unknown tier 'lo' of scheme value; see tiers.csv"),
    "unknown tier of a quadrant": (
        "quadrants", "good,star", "good,start", "quadrants.csv:2: unknown tier 'start' of scheme grid; see tiers.csv",
    ),
    "unknown tier of a rank": (
        "ranks", "top,spend,first", "top,spend,fist", "ranks.csv:4: unknown tier 'fist' of scheme top; see tiers.csv",
    ),
    "unknown tier of a rule": (
        "rules", "never,recency_days", "ever,recency_days",
        "rules.csv:2: unknown tier 'ever' of scheme care; see tiers.csv",
    ),
    "reserved tier": (
        "tiers", "value,low,2", "value,pending,2",
        "tiers.csv:3: 'pending' is reserved for customers that cannot be scored yet",
    ),
    "duplicate key": (
        "tiers", "abc,B,2", "abc,A,2",
        "tiers.csv:5: abc, A is already in line 4",
    ),
    "duplicate dimension": (
        "scheme_dimensions", "value,fit", "value,worth",
        "scheme_dimensions.csv:3: value, worth is already in line 2",
    ),
    "duplicate level": (
        "level_scores", "ordinary,60", "national_key,60",
        "level_scores.csv:3: value, strategic_level, national_key is already in line 2",
    ),
    "wrong header": (
        "tiers", "scheme,tier,tier_rank", "scheme,tier,rank",
        "tiers.csv:1: the header is scheme,tier,rank,label_en,label_zh,strategy_en,strategy_zh; expected "
        "scheme,tier,tier_rank,label_en,label_zh,strategy_en,strategy_zh",
    ),
    "field missing": ("tiers", "abc,B,2,B,B,care,维护", "abc,B,2,B,B,care", "tiers.csv:5: 7 fields expected"),
    "field too many": ("tiers", "care,维护", "care,维护,x", "tiers.csv:5: 7 fields expected"),
    "no number": (
        "score_bands", "false,false,60", "false,false,sixty",
        "score_bands.csv:3: score is 'sixty'; a number is needed",
    ),
    "not finite": (
        "score_bands", "false,false,60", "false,false,NaN",
        "score_bands.csv:3: score is 'NaN'; a number is needed",
    ),
    "number missing": ("score_bands", "false,false,60", "false,false,", "score_bands.csv:3: score is empty"),
    "weight missing": (
        "scheme_indicators", "profit_margin,0.40", "profit_margin,", "scheme_indicators.csv:3: weight is empty",
    ),
    "flag missing": (
        "tier_bands", "B,100,500,true,true", "B,100,500,,true", "tier_bands.csv:5: lower_included is empty",
    ),
    "scheme missing": ("tiers", "abc,B,2", ",B,2", "tiers.csv:5: scheme is empty"),
    "level missing": ("level_scores", "ordinary,60", ",60", "level_scores.csv:3: level is empty"),
    "unknown scheme with stability rules": (
        "stability", "top,0,0", "tip,0,0", "stability.csv:4: unknown scheme 'tip'",
    ),
    "unknown review": (
        "stability", "quarterly", "weekly",
        "stability.csv:2: review 'weekly' is not one of none, nightly, monthly, quarterly, half_yearly, yearly",
    ),
    "negative margin": (
        "stability", "value,2,", "value,-2,", "stability.csv:2: enter_margin is -2; it cannot lie below 0",
    ),
    "negative dwell": (
        "stability", "value,2,3,30", "value,2,3,-1", "stability.csv:2: min_dwell_days is -1; it cannot lie below 0",
    ),
    "dwell missing": ("stability", "value,2,3,30", "value,2,3,", "stability.csv:2: min_dwell_days is empty"),
    "margins where there are no bands": (
        "stability", "top,0,0", "top,0,1",
        "stability.csv:4: margins need a scheme whose score has bands (weighted, bands); top is of kind rank",
    ),
    "margins wider than a tier": (
        "stability", "abc,10,10", "abc,200,200",
        "stability.csv:3: enter_margin and exit_margin together (400) leave no room in the tier B, 400 wide (",
    ),
    "tiers that never move": (
        "stability", "top,0,0,30,,6,none", "top,0,0,30,,,none",
        "stability.csv:4: tiers of top would never move: give a trigger or a review",
    ),
    "bound of a gate missing": ("gates", "0.8,low", ",low", "gates.csv:2: lower_bound is empty"),
    "label missing": ("tiers", "B,care,维护", ",care,维护", "tiers.csv:5: label_zh is empty"),
    "missing score no number": (
        "scheme_indicators", "impute,50", "impute,half",
        "scheme_indicators.csv:3: missing_score is 'half'; a number is needed",
    ),
    "bound no number": (
        "tier_bands", "B,100,500", "B,100,5oo", "tier_bands.csv:5: upper_bound is '5oo'; a number is needed",
    ),
    "full-width digits": (
        "tier_bands", "B,100,500", "B,１００,500", "tier_bands.csv:5: lower_bound is '１００'; a number is needed",
    ),
    "more decimals than the column holds": (
        "score_bands", "profit_margin,,0.10,", "profit_margin,,0.1000001,",
        "score_bands.csv:5: upper_bound is 0.1000001; up to 18 digits and 6 decimals",
    ),
    "more digits than the column holds": (
        "score_bands", "false,false,60", "false,false,100000",
        "score_bands.csv:3: score is 100000; up to 5 digits and 2 decimals",
    ),
    "rank is no whole number": (
        "tiers", "value,low,2", "value,low,1.5",
        "tiers.csv:3: tier_rank is 1.5; up to 9 digits and 0 decimals",
    ),
    "order of a rule is no whole number": (
        "rules", "care,last,1", "care,last,1.5", "rules.csv:2: rule_order is 1.5; up to 9 digits and 0 decimals",
    ),
    "wrong flag": (
        "tier_bands", "B,100,500,true,true", "B,100,500,yes,true",
        "tier_bands.csv:5: lower_included is 'yes'; write true or false",
    ),
    "unknown setting": (
        "settings", "rfm_cuts,fixed,cuts\n", "rfm_cuts,fixed,cuts\nrfm_cut,fixed,x\n",
        "settings.csv:10: unknown setting 'rfm_cut'",
    ),
    "unknown value of a setting": (
        "settings", "spend_basis,net", "spend_basis,nett",
        "settings.csv:4: spend_basis is 'nett'; choose one of net, gross",
    ),
    "setting no number": (
        "settings", "rfm_frequency,10", "rfm_frequency,ten",
        "settings.csv:7: rfm_frequency is 'ten'; a number is needed",
    ),
    "month out of range": (
        "settings", "fiscal_year_start_month,4", "fiscal_year_start_month,13",
        "settings.csv:3: fiscal_year_start_month is 13; it lies between 1 and 12",
    ),
    "setting missing": (
        "settings", "rfm_cuts,fixed,cuts\n", "", "settings.csv: setting 'rfm_cuts' is missing",
    ),
    "setting of engine missing": (
        "settings", "high_potential_score,82,potential\n", "",
        "settings.csv: setting 'high_potential_score' is missing",
    ),
    "review weight above match weight": (
        "settings", "identity_review_weight,2", "identity_review_weight,12.5",
        "settings.csv:30: identity_review_weight is 12.5; it is at most identity_match_weight, 12",
    ),
    "key limit of one": (
        "settings", "identity_key_limit,10", "identity_key_limit,1",
        "settings.csv:31: identity_key_limit is 1; a whole number from 2 is needed",
    ),
    "key limit no whole number": (
        "settings", "identity_key_limit,10", "identity_key_limit,2.5",
        "settings.csv:31: identity_key_limit is 2.5; a whole number from 2 is needed",
    ),
    "unknown kind": (
        "schemes", "abc,bands", "abc,band",
        "schemes.csv:3: kind 'band' is not one of weighted, bands, quadrant, rank, axes, rules, cluster",
    ),
    "unknown population": (
        "schemes", "abc,bands,buyers", "abc,bands,payers",
        "schemes.csv:3: population 'payers' is not one of buyers, repeat_buyers, businesses, consumers, prospects, all",
    ),
    "unknown measure": (
        "scheme_dimensions", "abc,spend,1,raw", "abc,spend,1,rare",
        "scheme_dimensions.csv:4: measure 'rare' is not one of score, raw, log",
    ),
    "unknown level_by": (
        "scheme_dimensions", "abc,spend,1,raw,bands", "abc,spend,1,raw,band",
        "scheme_dimensions.csv:4: level_by 'band' is not one of none, bands, rank, rules, cluster",
    ),
    "unknown policy for missing values": (
        "scheme_indicators", "strategic_level,1.00,renormalise", "strategic_level,1.00,renormalize",
        "scheme_indicators.csv:4: missing 'renormalize' is not one of pending, renormalise, impute",
    ),
    "impute without a score": (
        "scheme_indicators", "impute,50", "impute,",
        "scheme_indicators.csv:3: missing is impute, so missing_score needs a value",
    ),
    "unknown operator": (
        "rules", "recency_days,<=,90", "recency_days,=<,90",
        "rules.csv:3: operator '=<' is not one of =, <>, >=, >, <=, <, in, missing, always",
    ),
    "condition without indicator": (
        "rules", "never,recency_days,missing", "never,,missing", "rules.csv:2: operator 'missing' needs an indicator",
    ),
    "condition without number": (
        "rules", "recency_days,<=,90", "recency_days,<=,", "rules.csv:3: value is ''; operator '<=' needs a number",
    ),
    "condition with a word": (
        "rules", "orders_12m,>=,4", "orders_12m,>=,four",
        "rules.csv:7: value is 'four'; operator '>=' needs a number",
    ),
    "condition with more decimals than the column holds": (
        "rules", "orders_12m,>=,4", "orders_12m,>=,4.0000001",
        "rules.csv:7: value is 4.0000001; up to 18 digits and 6 decimals",
    ),
    "one rule leads to two tiers": (
        "rules", "2,fresh,orders_12m", "2,stale,orders_12m",
        "rules.csv:4: rule 2 of care last leads to fresh in line 3 and to stale here",
    ),
    "raw dimension with two indicators": (
        "scheme_indicators", "abc,spend,annual_spend,1.00,pending,\n",
        "abc,spend,annual_spend,0.5,pending,\nabc,spend,profit_margin,0.5,pending,\n",
        "scheme_dimensions.csv:4: a raw dimension uses one indicator, abc has 2",
    ),
    "dimension without indicator": (
        "scheme_indicators", "abc,spend,annual_spend,1.00,pending,\n", "",
        "scheme_dimensions.csv:4: dimension spend of scheme abc uses no indicator (scheme_indicators.csv)",
    ),
    "scheme without dimension": (
        "schemes", "map,axes,buyers,Map,坐标,profit and loyalty\n",
        "map,axes,buyers,Map,坐标,profit and loyalty\nvoid,weighted,buyers,Void,空,none\n",
        "schemes.csv:8: scheme void has no dimension (scheme_dimensions.csv)",
    ),
    "indicator without score bands": (
        "score_bands",
        "value,profit_margin,0.10,,true,false,90\nvalue,profit_margin,,0.10,false,false,30\n", "",
        "scheme_indicators.csv:3: indicator profit_margin of scheme value has no scores "
        "(score_bands.csv or level_scores.csv)",
    ),
    "indicator without level scores": (
        "level_scores",
        "value,strategic_level,national_key,100\nvalue,strategic_level,ordinary,60\n", "",
        "scheme_indicators.csv:4: indicator strategic_level of scheme value has no scores "
        "(score_bands.csv or level_scores.csv)",
    ),
    "weighted scheme without tier bands": (
        "tier_bands", "value,,high,80,,true,false\nvalue,,low,,80,false,false\n", "",
        "schemes.csv:2: scheme value has no tier bands for its score (tier_bands.csv)",
    ),
    "dimension without tier bands": (
        "tier_bands", "grid,spend,much,500,,true,false\ngrid,spend,little,,500,false,false\n", "",
        "scheme_dimensions.csv:5: dimension spend of scheme grid has no rows in tier_bands.csv",
    ),
    "dimension without ranks": (
        "ranks", "top,spend,first,0.10\ntop,spend,rest,1\n", "",
        "scheme_dimensions.csv:7: dimension spend of scheme top has no rows in ranks.csv",
    ),
    "dimension without rules": (
        "rules", "map,loyalty,1,loyal,orders_12m,>=,4\nmap,loyalty,2,general,,always,\n", "",
        "scheme_dimensions.csv:10: dimension loyalty of scheme map has no rows in rules.csv",
    ),
    "band scheme whose dimension is ranked": (
        "schemes", "abc,bands", "abc,rank",
        "schemes.csv:3: a scheme of kind rank has one dimension with that level_by",
    ),
    "rule scheme with two dimensions": (
        "schemes", "map,axes", "map,rules",
        "schemes.csv:7: a scheme of kind rules has one dimension with that level_by",
    ),
    "axis without levels": (
        "scheme_dimensions", "map,profit,1,raw,rank", "map,profit,1,raw,none",
        "scheme_dimensions.csv:9: a dimension of a scheme of kind axes needs a level_by",
    ),
    "quadrant dimension without levels": (
        "scheme_dimensions", "grid,spend,0.60,raw,bands", "grid,spend,0.60,raw,none",
        "scheme_dimensions.csv:5: a dimension of a scheme of kind quadrant needs a level_by",
    ),
    "quadrant pair missing": (
        "quadrants", "grid,spend,little,profit,bad,leave\n", "",
        "schemes.csv:4: quadrants.csv has no tier for little/bad of scheme grid",
    ),
    "quadrant level mistyped": (
        "quadrants", "much,profit,bad", "much,profit,badd",
        "schemes.csv:4: quadrants.csv has no tier for much/bad of scheme grid",
    ),
    "quadrant dimensions in another order": (
        "quadrants", "grid,spend,much,profit,good", "grid,profit,much,spend,good",
        "schemes.csv:4: a quadrant scheme has two dimensions, named in the same order in quadrants.csv",
    ),
    "quadrant of three dimensions": (
        "scheme_dimensions", "grid,profit,0.40,raw,rank,Profit,利润\n",
        "grid,profit,0.30,raw,rank,Profit,利润\ngrid,more,0.10,raw,rank,More,更多\n",
        "schemes.csv:4: a quadrant scheme has two dimensions, named in the same order in quadrants.csv",
    ),
    "cluster scheme whose dimension is banded": (
        "schemes", "abc,bands", "abc,cluster",
        "schemes.csv:3: a scheme of kind cluster has one dimension with that level_by",
    ),
    "cluster scheme of two dimensions": (
        "scheme_dimensions", "alike,habit,1,log,cluster,Habit,习惯\n",
        "alike,habit,0.5,log,cluster,Habit,习惯\nalike,more,0.5,log,cluster,More,更多\n",
        "schemes.csv:8: a scheme of kind cluster has one dimension with that level_by",
    ),
    "clusters in a scheme of another kind": (
        "scheme_dimensions", "grid,spend,0.60,raw,bands", "grid,spend,0.60,raw,cluster",
        "scheme_dimensions.csv:5: level_by cluster needs a scheme of kind cluster, not quadrant",
    ),
    "clusters ranked by no one indicator": (
        "scheme_indicators", "recency_days,0.40,pending,\nalike,habit,annual_spend,0.60",
        "recency_days,0.5,pending,\nalike,habit,annual_spend,0.50",
        "scheme_dimensions.csv:11: clusters are ranked by the indicator that weighs most; in alike 2 indicators "
        "weigh 0.5",
    ),
    "clusters of a name": (
        "scheme_indicators", "alike,habit,recency_days", "alike,habit,company_size",
        "scheme_indicators.csv:12: company_size is a name, a log dimension needs a number; measure it by score",
    ),
    "cluster scheme with one tier": (
        "tiers", "alike,far,2,Far,远,call,致电\n", "",
        "schemes.csv:8: a scheme of kind cluster has two or more tiers in tiers.csv, ranked 1, 2, 3 …; alike has 1",
    ),
    "cluster scheme without tiers": (
        "tiers", "alike,near,1,Near,近,thank,感谢\nalike,far,2,Far,远,call,致电\n", "", "alike has none",
    ),
    "cluster tiers with a gap in the ranks": (
        "tiers", "alike,far,2", "alike,far,3",
        "schemes.csv:8: a scheme of kind cluster has two or more tiers in tiers.csv, ranked 1, 2, 3 …; alike has 1, 3",
    ),
    "cluster tiers of one rank": ("tiers", "alike,far,2", "alike,far,1", "alike has 1, 1"),
    "log where values are not compared": (
        "scheme_dimensions", "top,spend,1,raw,rank", "top,spend,1,log,rank",
        "scheme_dimensions.csv:7: measure log is for a dimension whose level_by is cluster; write raw",
    ),
    "clusters by score without score bands": (
        "scheme_dimensions", "alike,habit,1,log,cluster", "alike,habit,1,score,cluster",
        "scheme_indicators.csv:12: indicator recency_days of scheme alike has no scores",
    ),
    "ranks do not reach everyone": (
        "ranks", "top,spend,rest,1", "top,spend,rest,0.9",
        "ranks.csv:5: the largest cumulative_share of top spend is 0.9, not 1",
    ),
    "two ranks end at one share": (
        "ranks", "top,spend,first,0.10", "top,spend,first,1.0",
        "cumulative_share 1 of top spend is already in line 4",
    ),
    "setting of follow-up missing": (
        "settings", "outcome_days,90,window\n", "", "settings.csv: setting 'outcome_days' is missing",
    ),
    "setting of follow-up is no number": (
        "settings", "low_csat,0.6", "low_csat,60 %",
        "settings.csv:26: low_csat is '60 %'; a number of up to 18 digits and 6 decimals is needed",
    ),
    "setting with more decimals than kept": (
        "settings", "upgrade_distance,0.03", "upgrade_distance,0.0300001",
        "settings.csv:22: upgrade_distance is '0.0300001'; a number of up to 18 digits and 6 decimals is needed",
    ),
    "setting out of its limits": (
        "settings", "low_csat,0.6", "low_csat,60", "settings.csv:26: low_csat is 60; it lies between 0 and 1",
    ),
    "days are not whole": (
        "settings", "outcome_days,90", "outcome_days,90.5",
        "settings.csv:20: outcome_days is 90.5; a whole number is needed",
    ),
    "window of no day": (
        "settings", "outcome_days,90", "outcome_days,0",
        "settings.csv:20: outcome_days is 0; it lies between 1 and 3660",
    ),
    "RFM levels in the wrong order": (
        "settings", "rfm_high_score,12", "rfm_high_score,8",
        "settings.csv:18: rfm_high_score 8 is not above rfm_middle_score 8",
    ),
    "adjustment by an unknown indicator": (
        "rfm_adjustments", "company_size,large", "staff,large",
        "rfm_adjustments.csv:2: unknown indicator 'staff'; there are active_days_90d, ",
    ),
    "adjustment by a name without a level": (
        "rfm_adjustments", "company_size,large,", "company_size,,",
        "rfm_adjustments.csv:2: company_size is a name; give a level and leave the bounds empty",
    ),
    "adjustment by a name with bounds": (
        "rfm_adjustments", "large,,,false", "large,5,,false",
        "rfm_adjustments.csv:2: company_size is a name; give a level and leave the bounds empty",
    ),
    "adjustment by a number with a level": (
        "rfm_adjustments", "industry_growth,,0.10", "industry_growth,fast,0.10",
        "rfm_adjustments.csv:4: industry_growth is a number; give bounds and leave level empty",
    ),
    "gap in an adjustment": (
        "rfm_adjustments", "industry_growth,,,0.10", "industry_growth,,,0.09",
        "rfm_adjustments.csv:5 and line 4: bands of the RFM adjustment by industry_growth leave a gap between 0.09",
    ),
    "adjustment without points": (
        "rfm_adjustments", "false,false,-0.5", "false,false,", "rfm_adjustments.csv:5: points is empty",
    ),
    "level adjusted twice": (
        "rfm_adjustments", "company_size,micro", "company_size,large",
        "rfm_adjustments.csv:3: company_size, large, ,  is already in line 2",
    ),
    "dictionary misses an indicator": (
        "indicators", "annual_spend,annual_spend,指标,u,d,f,s,w\n", "",
        "indicators.csv: indicator 'annual_spend' is not described",
    ),
    "dictionary misses a name": (
        "indicators", "company_size,company_size,指标,u,d,f,s,w\n", "",
        "indicators.csv: indicator 'company_size' is not described",
    ),
    "dictionary describes what nothing computes": (
        "indicators", "active_days_90d,active_days_90d,", "charm,active_days_90d,",
        "indicators.csv:2: no model computes indicator 'charm'",
    ),
    "medium churn risk above high": (
        "settings", "churn_medium_probability,0.4", "churn_medium_probability,0.8",
        "churn_high_probability 0.7 is not above churn_medium_probability 0.8",
    ),
    "unknown churn label": ("settings", "churn_label,no_order", "churn_label,sad", "churn_label is 'sad'; choose"),
    "churn feature without a label": (
        "churn_features", "recency_days,log,recency_days,特征\n", "",
        "churn_features.csv: feature 'recency_days' has no label",
    ),
    "churn feature that nothing computes": (
        "churn_features", "recency_days,log,", "mood,log,", "churn_features.csv:2: no model computes feature 'mood'",
    ),
    "unknown transform": (
        "churn_features", "recency_days,log,", "recency_days,square,", "transform 'square' is not one of none, log",
    ),
    "opportunity points do not sum to 100": (
        "opportunity_bands", "decision_maker,yes,,,false,false,25", "decision_maker,yes,,,false,false,24",
        "opportunity_bands.csv:2: the most points of the components sum to 99, not to 100",
    ),
    "opportunity component without points": (
        "opportunity_bands", "decision_maker,yes,,,false,false,25\n", "",
        "opportunity_bands.csv: component 'decision_maker' has no points",
    ),
    "gap in the bands of a budget": (
        "opportunity_bands", "budget,,,1000,", "budget,,,900,", "bands of opportunity budget leave a gap",
    ),
    "opportunity name with bounds": (
        "opportunity_bands", "company_size,large,,", "company_size,large,1,",
        "opportunity_bands.csv:2: company_size is a name; give a level and leave the bounds empty",
    ),
    "gap in the priorities": (
        "opportunity_priorities", "later,2,,80,", "later,2,,70,", "bands of opportunity priorities leave a gap",
    ),
    "priority named pending": (
        "opportunity_priorities", "later,2", "pending,2", "'pending' is reserved for opportunities",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_file_and_line(mistake: str, seeds: Path) -> None:
    load(seeds)
    seed, before, after, expected = MISTAKES[mistake]
    change(seeds, seed, before, after)
    assert expected in problem_of(seeds)


def test_a_missing_file_is_named(seeds: Path) -> None:
    (seeds / "tiers.csv").unlink()
    assert f"{seeds / 'tiers.csv'}: the file is missing" in problem_of(seeds)


def test_a_headline_that_is_no_scheme_is_named(seeds: Path) -> None:
    expected = "headline_scheme 'rfm' is not one of value, abc, grid, top, care, map, alike"
    assert expected in problem_of(seeds, headline="rfm")


def test_an_override_of_no_known_seed_is_named(seeds: Path, override: Path) -> None:
    (override / "tier_band.csv").write_text("scheme\n", encoding="utf-8")
    assert f"{override / 'tier_band.csv'}: there is no seed 'tier_band'" in problem_of(seeds, override)


def test_a_mistake_in_an_override_names_the_override(seeds: Path, override: Path) -> None:
    shutil.copy(seeds / "tier_bands.csv", override)
    change(override, "tier_bands", "B,100,500,true,true", "B,100,400,true,true")
    assert f"{override / 'tier_bands.csv'}:5 and line 4: bands of abc spend leave a gap" in problem_of(seeds, override)


def test_two_mistakes_of_one_row_are_both_named(seeds: Path) -> None:
    """A ranked dimension measured by score would rank a customer once per indicator; both mistakes come."""
    change(seeds, "scheme_dimensions", "top,spend,1,raw,rank", "top,spend,1,score,rank")
    change(
        seeds,
        "scheme_indicators",
        "top,spend,annual_spend,1.00,pending,\n",
        "top,spend,annual_spend,0.50,pending,\ntop,spend,profit_margin,0.50,pending,\n",
    )
    problem = problem_of(seeds)
    assert "scheme_dimensions.csv:7: a ranked dimension uses one indicator, top has 2" in problem
    for line, indicator in ((8, "annual_spend"), (9, "profit_margin")):
        assert f"scheme_indicators.csv:{line}: indicator {indicator} of scheme top has no scores" in problem
    assert "have 3 problem(s)" in problem


def test_axes_weigh_nothing_so_their_weights_may_sum_to_anything(seeds: Path) -> None:
    change(seeds, "scheme_dimensions", "map,loyalty,1,", "map,loyalty,0.3,")
    assert "map" in load(seeds).schemes()


def test_the_levels_of_axes_and_quadrants_need_no_tier(seeds: Path) -> None:
    change(seeds, "ranks", "map,profit,rich", "map,profit,wealthy")
    assert "map" in load(seeds).schemes()


def test_several_mistakes_come_in_one_report(seeds: Path) -> None:
    mistakes = (
        "gap",
        "weights of a dimension do not sum to 1",
        "unknown population",
        "unknown value of a setting",
        "ranks do not reach everyone",
        "quadrant pair missing",
        "one rule leads to two tiers",
        "unknown cap",
        "dictionary misses a name",
    )
    for mistake in mistakes:
        seed, before, after, _ = MISTAKES[mistake]
        change(seeds, seed, before, after)
    problem = problem_of(seeds)
    assert f"have {len(mistakes)} problem(s)" in problem
    for mistake in mistakes:
        assert MISTAKES[mistake][3] in problem


def test_unreadable_lines_of_several_files_come_in_one_report(seeds: Path) -> None:
    for mistake in ("no number", "wrong flag", "duplicate key"):
        change(seeds, *MISTAKES[mistake][:3])
    problem = problem_of(seeds)
    assert "have 3 problem(s)" in problem
    for mistake in ("no number", "wrong flag", "duplicate key"):
        assert MISTAKES[mistake][3] in problem


# --- version and landing ------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_the_version_does_not_depend_on_the_order_of_rows(data: st.DataObject) -> None:
    rows = {
        seed: [
            Row(record, Path(f"{seed}.csv"), number)
            for number, record in enumerate(csv.DictReader(io.StringIO(SMALL_SEEDS[seed])), 2)
        ]
        for seed in SEEDS
    }
    shuffled = {seed: data.draw(st.permutations(rows[seed])) for seed in data.draw(st.permutations(list(rows)))}
    assert Rules(shuffled).version == Rules(rows).version


@pytest.mark.parametrize("seed", list(SEEDS))
def test_the_version_changes_with_the_content_of_each_seed(seed: str, seeds: Path) -> None:
    version = load(seeds).version
    before, after = {
        "settings": ("rfm_frequency,10", "rfm_frequency,11"),
        "schemes": ("abc,bands,buyers", "abc,bands,all"),
        "scheme_dimensions": ("value,fit,0.30,score,none,Fit", "value,fit,0.30,score,none,Match"),
        "scheme_indicators": ("impute,50", "impute,51"),
        "score_bands": ("false,false,60", "false,false,61"),
        "level_scores": ("ordinary,60", "ordinary,61"),
        "tier_bands": (
            "abc,spend,B,100,500,true,true\nabc,spend,C,,100,false",
            "abc,spend,B,101,500,true,true\nabc,spend,C,,101,false",
        ),
        "gates": ("0.8,low", "0.9,low"),
        "quadrants": ("bad,leave", "bad,grow"),
        "ranks": ("first,0.10", "first,0.20"),
        "rules": ("<=,90", "<=,91"),
        "indicators": ("annual_spend,annual_spend,", "annual_spend,Spend of a year,"),
        "tiers": ("拜访", "上门"),
        "stability": ("nightly", "monthly"),
        "rfm_adjustments": ("large,,,false,false,1", "large,,,false,false,2"),
        "industry_mapping": ("汽配", "汽车"),
        "exchange_rates": ("7.25", "7.26"),
        "churn_features": ("recency_days,log,recency_days", "recency_days,none,recency_days"),
        "opportunity_bands": ("50,false,false,0", "50,false,false,1"),
        "opportunity_priorities": ("等待", "观望"),
    }[seed]
    change(seeds, seed, before, after)
    assert load(seeds).version != version


def test_landing_the_same_rules_twice_adds_nothing(seeds: Path, connection: duckdb.DuckDBPyConnection) -> None:
    def content() -> dict[str, list[tuple[object, ...]]]:
        return {
            seed: connection.execute(f"select * from rules.{seed} order by all").fetchall()
            for seed in [*SEEDS, "versions"]
        }

    rules = load(seeds)
    version = land_rules(connection, rules, date(2024, 1, 1))
    first = content()
    assert land_rules(connection, rules, date(2024, 1, 2)) == version
    assert content() == first
    assert first["versions"] == [(version, date(2024, 1, 1))]
    assert {row[0] for row in first["tier_bands"]} == {version}

    change(seeds, "tiers", "拜访", "上门")
    other = land_rules(connection, load(seeds), date(2024, 1, 3))
    assert {row[0] for row in content()["versions"]} == {version, other}
    assert connection.execute("select count(*) from rules.tiers").fetchone() == (32,)


def test_landed_bounds_have_types_and_an_empty_bound_is_null(
    seeds: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    land_rules(connection, load(seeds), date(2024, 1, 1))
    band = connection.execute(
        "select lower_bound, upper_bound, lower_included, upper_included from rules.tier_bands where tier = 'A'"
    ).fetchone()
    assert band == (Decimal(500), None, False, False)
    dimensions = connection.execute("select distinct dimension from rules.tier_bands order by 1").fetchall()
    assert dimensions == [("",), ("spend",)]  # no dimension is an empty text, which the models compare with
    scores = connection.execute("select distinct missing_score from rules.scheme_indicators order by 1").fetchall()
    assert scores == [(Decimal(50),), (None,)]


def test_each_night_gets_its_rules_and_window(seeds: Path, connection: duckdb.DuckDBPyConnection) -> None:
    change(seeds, "settings", "trailing_12_months", "fiscal_year")
    version = land_rules(connection, load(seeds), date(2024, 3, 30))
    make_build_inputs(connection)
    for _ in range(2):
        land_as_of_dates(connection, plan_nights(None, date(2024, 3, 30), version, 9))
        land_as_of_dates(
            connection,
            [PlannedNight(date(2024, 3, 30), version, "baseline"), PlannedNight(date(2024, 3, 31), version, "run")],
        )
        assert connection.execute("select * from meta.as_of_dates order by 1").fetchall() == [
            (date(2024, 3, 30), version, "baseline", date(2022, 4, 1), date(2023, 3, 31)),
            (date(2024, 3, 31), version, "run", date(2023, 4, 1), date(2024, 3, 31)),
        ]


def test_missed_nights_are_planned_under_the_rules_of_the_last_accepted_one() -> None:
    accepted = PlannedNight(date(2024, 2, 27), "old", "baseline")
    planned = plan_nights(accepted, date(2024, 3, 2), "new", 92)
    assert [(night.as_of.isoformat(), night.rules_version, night.kind) for night in planned] == [
        ("2024-02-28", "old", "caught_up"),
        ("2024-02-29", "old", "caught_up"),
        ("2024-03-01", "old", "caught_up"),
        ("2024-03-02", "new", "run"),
    ]
    assert [night.as_of.day for night in plan_nights(accepted, date(2024, 3, 2), "new", 1)] == [1, 2]
    assert [night.as_of.day for night in plan_nights(accepted, date(2024, 3, 2), "new", 0)] == [2]


def test_a_lost_warehouse_finds_old_rules_in_their_file(
    seeds: Path, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    rules = load(seeds)
    archive_rules(tmp_path / "rules", rules)
    assert ensure_rules(connection, rules.version, tmp_path / "rules", date(2024, 3, 30))
    bands = "select * from rules.score_bands order by all"
    restored = connection.execute(bands).fetchall()
    connection.execute("delete from rules.versions; delete from rules.score_bands")
    land_rules(connection, rules, date(2024, 3, 30))
    assert connection.execute(bands).fetchall() == restored
    assert not ensure_rules(connection, "unknown", tmp_path / "rules", date(2024, 3, 30))


def test_rules_of_an_older_package_gain_the_new_columns(seeds: Path, connection: duckdb.DuckDBPyConnection) -> None:
    land_rules(connection, load(seeds), date(2024, 3, 30))
    connection.execute("alter table rules.stability drop column review")
    change(seeds, "stability", "value,2,3", "value,3,3")
    version = land_rules(connection, load(seeds), date(2024, 3, 31))
    rows = connection.execute("select review from rules.stability where rules_version = ? order by 1", [version])
    assert rows.fetchall() == [("nightly",), ("none",), ("quarterly",)]


# --- bands, against the models' own macro -------------------------------------------------------------------


def in_band_sql() -> str:
    """The macro that the models use, rendered."""
    text = (PROJECT_ROOT / "dbt_project/macros/scoring.sql").read_text(encoding="utf-8")
    module = jinja2.Environment(autoescape=False).from_string(text).module  # noqa: S701 - SQL, not HTML
    return str(module.in_band("v.value", "b"))  # type: ignore[attr-defined]


IN_BAND = in_band_sql()


def band(low: Decimal | None, high: Decimal | None, low_in: bool, high_in: bool, line: int) -> Row:
    return Row(
        {
            "lower_bound": "" if low is None else str(low),
            "upper_bound": "" if high is None else str(high),
            "lower_included": str(low_in).lower(),
            "upper_included": str(high_in).lower(),
        },
        Path("bands.csv"),
        line,
    )


Cuts = list[tuple[Decimal, bool]]
numbers = st.decimals(min_value=-10_000, max_value=10_000, places=6, allow_nan=False, allow_infinity=False)
# Each cut with its owner: True when the band above includes it.
cuts_and_owners = st.lists(
    st.tuples(numbers, st.booleans()), min_size=0, max_size=7, unique_by=lambda pair: pair[0]
).map(sorted)


def bands_of(cuts: Cuts) -> list[Row]:
    edges: list[tuple[Decimal | None, bool]] = [(None, False), *cuts, (None, False)]
    return [
        band(low, high, low is not None and above_owns, high is not None and not next_above_owns, line)
        for line, ((low, above_owns), (high, next_above_owns)) in enumerate(pairwise(edges), 2)
    ]


def bands_per_value(rows: list[Row], values: list[Decimal]) -> list[tuple[Decimal, int]]:
    """How many bands each value lies in, by the SQL of the models."""
    with duckdb.connect() as memory:
        memory.execute(
            "create table bands (lower_bound decimal(24, 6), upper_bound decimal(24, 6), "
            "lower_included boolean, upper_included boolean); create table vals (value decimal(24, 6))"
        )
        columns = ("lower_bound", "upper_bound", "lower_included", "upper_included")
        memory.executemany(
            "insert into bands values (?, ?, ?, ?)", [[row[name] or None for name in columns] for row in rows]
        )
        memory.executemany("insert into vals values (?)", [[value] for value in values])
        return memory.execute(
            f"select v.value, count(b.lower_included) from (select distinct value from vals) v "
            f"left join bands b on {IN_BAND} group by v.value"
        ).fetchall()


@given(cuts=cuts_and_owners, extra=st.lists(numbers, max_size=5), data=st.data())
@settings(max_examples=60, deadline=None)
def test_accepted_bands_hold_every_value_exactly_once(cuts: Cuts, extra: list[Decimal], data: st.DataObject) -> None:
    rows = data.draw(st.permutations(bands_of(cuts)))
    assert check_bands("s", rows) == []
    step = Decimal("0.000001")
    near = [value + delta for value, _ in cuts for delta in (-step, Decimal(0), step)]
    values = [*near, *extra, Decimal(-(10**17)), Decimal(10**17), Decimal(0)]
    assert {count for _, count in bands_per_value(rows, values)} == {1}


@given(
    cuts=cuts_and_owners.filter(bool),
    kind=st.sampled_from(["move lower", "move upper", "flip lower", "flip upper", "drop", "close"]),
    delta=st.sampled_from([Decimal("-0.000001"), Decimal("0.000001"), Decimal(-3), Decimal("1000.5")]),
    data=st.data(),
)
@settings(max_examples=200, deadline=None)
def test_any_perturbation_of_sound_bands_is_refused(cuts: Cuts, kind: str, delta: Decimal, data: st.DataObject) -> None:
    rows = bands_of(cuts)
    index = data.draw(st.integers(0, len(cuts) - 1))
    # Cut number ``index`` is the upper bound of band ``index`` and the lower bound of the band after it.
    below, above = dict(rows[index].values), dict(rows[index + 1].values)
    if kind == "move lower":
        above["lower_bound"] = str(Decimal(above["lower_bound"]) + delta)
    elif kind == "move upper":
        below["upper_bound"] = str(Decimal(below["upper_bound"]) + delta)
    elif kind == "flip lower":
        above["lower_included"] = "false" if above["lower_included"] == "true" else "true"
    elif kind == "flip upper":
        below["upper_included"] = "false" if below["upper_included"] == "true" else "true"
    elif kind == "close":
        outer = data.draw(st.sampled_from(["lowest", "highest"]))
        if outer == "lowest":
            rows[0] = Row(rows[0].values | {"lower_bound": "-99999"}, rows[0].file, rows[0].line)
        else:
            rows[-1] = Row(rows[-1].values | {"upper_bound": "99999"}, rows[-1].file, rows[-1].line)
    if kind == "drop":
        del rows[data.draw(st.integers(0, len(rows) - 1))]
    elif kind != "close":
        rows[index] = Row(below, rows[index].file, rows[index].line)
        rows[index + 1] = Row(above, rows[index + 1].file, rows[index + 1].line)
    assert check_bands("s", data.draw(st.permutations(rows))) != []


# --- spend window -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "kind", "month", "start", "end"),
    [
        ("2024-02-29", "trailing_12_months", 1, "2023-03-01", "2024-02-29"),
        ("2024-02-28", "trailing_12_months", 1, "2023-03-01", "2024-02-28"),
        ("2025-02-28", "trailing_12_months", 1, "2024-02-29", "2025-02-28"),
        ("2023-12-31", "trailing_12_months", 1, "2023-01-01", "2023-12-31"),
        ("2024-01-01", "trailing_12_months", 1, "2023-01-02", "2024-01-01"),
        ("2023-12-30", "calendar_year", 1, "2022-01-01", "2022-12-31"),
        ("2023-12-31", "calendar_year", 1, "2023-01-01", "2023-12-31"),
        ("2024-01-01", "calendar_year", 1, "2023-01-01", "2023-12-31"),
        ("2024-02-29", "calendar_year", 4, "2023-01-01", "2023-12-31"),  # the month is the fiscal year's only
        ("2024-03-30", "fiscal_year", 4, "2022-04-01", "2023-03-31"),
        ("2024-03-31", "fiscal_year", 4, "2023-04-01", "2024-03-31"),
        ("2024-04-01", "fiscal_year", 4, "2023-04-01", "2024-03-31"),
        ("2024-02-29", "fiscal_year", 3, "2023-03-01", "2024-02-29"),
        ("2024-02-28", "fiscal_year", 3, "2022-03-01", "2023-02-28"),
        ("2024-12-31", "fiscal_year", 1, "2024-01-01", "2024-12-31"),
    ],
)
def test_spend_window(day: str, kind: str, month: int, start: str, end: str) -> None:
    window = spend_window(date.fromisoformat(day), kind, month)
    assert window == (date.fromisoformat(start), date.fromisoformat(end))


days = st.dates(date(2000, 1, 1), date(2100, 12, 31))


@given(days)
def test_the_trailing_window_is_a_year_that_ends_with_the_day(day: date) -> None:
    start, end = spend_window(day, "trailing_12_months")
    leap_days = [date(year, 2, 29) for year in (day.year - 1, day.year) if isleap(year)]
    has_leap_day = any(start <= leap <= end for leap in leap_days)
    assert end == day
    assert (end - start).days + 1 == 365 + has_leap_day


@given(days, st.sampled_from(["calendar_year", "fiscal_year"]), st.integers(1, 12))
def test_a_year_window_is_the_last_completed_one(day: date, kind: str, month: int) -> None:
    start, end = spend_window(day, kind, month)
    assert (start.month, start.day) == (month if kind == "fiscal_year" else 1, 1)
    assert end + timedelta(days=1) == start.replace(year=start.year + 1)
    assert end <= day
    assert day - end <= timedelta(days=365)  # else the next year would be completed too
