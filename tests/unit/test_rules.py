"""The tiering rules in CSV files: mistakes are named with file and line, overrides replace groups, versions hold."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_tiering.company.profile import load_profile
from customer_tiering.company.workspace import PROJECT_ROOT
from customer_tiering.errors import RulesError
from customer_tiering.rules.checks import check_bands
from customer_tiering.rules.load import load_rules, rule_folders
from customer_tiering.rules.seeds import SEEDS, Row, Rules
from customer_tiering.rules.versions import archive_rules, ensure_rules, land_rules
from customer_tiering.warehouse.nights import (
    PlannedNight,
    land_as_of_dates,
    make_build_inputs,
    plan_nights,
    spend_window,
)
from small_rules import SMALL_SEEDS, change, load_small, write_small_rules


@pytest.fixture
def rules_folder(tmp_path: Path) -> Path:
    return write_small_rules(tmp_path / "rules")


@pytest.fixture
def override(tmp_path: Path) -> Path:
    (tmp_path / "override" / "seeds").mkdir(parents=True)
    return tmp_path / "override"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as memory:
        memory.execute((PROJECT_ROOT / "plugins/customer_tiering/warehouse/schema.sql").read_text("utf-8"))
        yield memory


def problem_of(*folders: Path, headline: str = "value") -> str:
    with pytest.raises(RulesError) as caught:
        load_small(*folders, headline=headline)
    assert "nothing was run" in caught.value.next_step
    return caught.value.problem


# --- loading and overriding ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sample", "online_retail"])
def test_the_shipped_rules_of_each_profile_load_and_can_be_landed(
    name: str, connection: duckdb.DuckDBPyConnection
) -> None:
    rules = load_rules(load_profile(name))
    assert {"account_value", "spend_abc"} <= set(rules.schemes())
    assert land_rules(connection, rules, date(2024, 1, 1)) == rules.version
    for seed, rows in rules.rows.items():
        assert connection.execute(f"select count(*) from rules.{seed}").fetchone() == (len(rows),)


def test_the_profile_folder_comes_after_the_project_folder() -> None:
    project, own = rule_folders(load_profile("online_retail"))
    assert (project.schemes, project.seeds) == (PROJECT_ROOT / "schemes", PROJECT_ROOT / "dbt_project" / "seeds")
    assert own.schemes.parts[-2:] == ("online_retail", "schemes")
    assert own.seeds.parts[-2:] == ("online_retail", "seeds")


def test_an_override_replaces_whole_groups_and_nothing_else(rules_folder: Path, override: Path) -> None:
    (override / "seeds" / "settings.csv").write_text("setting,value,meaning\nrfm_frequency,3,few\n", encoding="utf-8")
    rules = load_small(rules_folder, override)
    assert rules.setting("rfm_frequency") == "3"
    assert rules.setting("rfm_monetary") == "100000"
    assert rules.version != load_small(rules_folder).version


def test_a_seed_saved_by_excel_with_a_byte_order_mark_loads(rules_folder: Path) -> None:
    version = load_small(rules_folder).version
    path = rules_folder / "seeds" / "indicators.csv"
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert load_small(rules_folder).version == version


def test_a_seed_in_another_encoding_is_named(rules_folder: Path) -> None:
    (rules_folder / "seeds" / "indicators.csv").write_text(SMALL_SEEDS["indicators"], encoding="gb18030")
    assert "indicators.csv: the file is not UTF-8" in problem_of(rules_folder)


def test_a_seed_without_rows_can_be_landed(rules_folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
    (rules_folder / "seeds" / "industry_mapping.csv").write_text(SMALL_SEEDS["industry_mapping"].splitlines()[0] + "\n")
    land_rules(connection, load_small(rules_folder), date(2024, 1, 1))
    assert connection.execute("select count(*) from rules.industry_mapping").fetchone() == (0,)
    assert connection.execute("select count(*) from rules.tiers").fetchone() == (16,)


def test_a_profiles_rates_replace_those_of_the_currency(rules_folder: Path, override: Path) -> None:
    """One row for USD replaces both; EUR stays; the reporting currency is there from the first day on."""
    (override / "seeds" / "exchange_rates.csv").write_text(
        "currency,valid_from,rate\nUSD,2026-03-01,7.0\n", encoding="utf-8"
    )
    rates = [tuple(row.values.values()) for row in load_small(rules_folder, override).rows["exchange_rates"]]
    assert rates == [("EUR", "2026-01-01", "8.30"), ("USD", "2026-03-01", "7.0"), ("CNY", "0001-01-01", "1")]


def test_rates_are_landed_as_days_and_decimals(rules_folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
    land_rules(connection, load_small(rules_folder), date(2024, 1, 1))
    rates = connection.execute("select currency, valid_from, rate from rules.exchange_rates order by all").fetchall()
    assert rates == [
        ("CNY", date(1, 1, 1), Decimal(1)),
        ("EUR", date(2026, 1, 1), Decimal("8.3")),
        ("USD", date(2026, 1, 1), Decimal("7.1")),
        ("USD", date(2026, 2, 1), Decimal("7.25")),
    ]


# --- mistakes -----------------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[str, str, str, str]] = {
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
def test_a_mistake_is_named_with_file_and_line(mistake: str, rules_folder: Path) -> None:
    load_small(rules_folder)
    seed, before, after, expected = MISTAKES[mistake]
    change(rules_folder, f"seeds/{seed}.csv", before, after)
    assert expected in problem_of(rules_folder)


def test_a_missing_file_is_named(rules_folder: Path) -> None:
    (rules_folder / "seeds" / "indicators.csv").unlink()
    assert f"{rules_folder / 'seeds' / 'indicators.csv'}: the file is missing" in problem_of(rules_folder)


def test_a_headline_that_is_no_scheme_is_named(rules_folder: Path) -> None:
    expected = "headline_scheme 'rfm' is not one of abc, alike, care, grid, map, top, value"
    assert expected in problem_of(rules_folder, headline="rfm")


def test_an_override_of_no_known_seed_is_named(rules_folder: Path, override: Path) -> None:
    path = override / "seeds" / "setting.csv"
    path.write_text("setting\n", encoding="utf-8")
    assert f"{path}: there is no seed 'setting'" in problem_of(rules_folder, override)


def test_a_scheme_seed_of_the_first_version_says_how_to_carry_it_over(rules_folder: Path, override: Path) -> None:
    (override / "seeds" / "tier_bands.csv").write_text("scheme\n", encoding="utf-8")
    problem = problem_of(rules_folder, override)
    assert "schemes are YAML files now; carry this file over with tiering scheme migrate --profile small" in problem


def test_a_mistake_in_an_override_names_the_override(rules_folder: Path, override: Path) -> None:
    path = override / "seeds" / "settings.csv"
    path.write_text("setting,value,meaning\nspend_basis,nett,basis\n", encoding="utf-8")
    assert f"{path}:2: spend_basis is 'nett'" in problem_of(rules_folder, override)


def test_several_mistakes_of_files_of_both_kinds_come_in_one_report(rules_folder: Path) -> None:
    mistakes = (
        "unknown value of a setting",
        "dictionary misses a name",
        "gap in the priorities",
        "churn feature without a label",
    )
    for mistake in mistakes:
        seed, before, after, _ = MISTAKES[mistake]
        change(rules_folder, f"seeds/{seed}.csv", before, after)
    change(rules_folder, "schemes/value.yml", "weight: 70 %", "weight: 60 %")
    problem = problem_of(rules_folder)
    for mistake in mistakes:
        assert MISTAKES[mistake][3] in problem
    assert "schemes/value.yml:10: the weights of scheme value, its dimensions sum to 90 %, not to 100 %" in problem
    assert f"have {len(mistakes) + 1} problem(s)" in problem


# --- version and landing ------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_the_version_does_not_depend_on_the_order_of_rows(data: st.DataObject) -> None:
    rows = small_rows()
    shuffled = {seed: data.draw(st.permutations(rows[seed])) for seed in data.draw(st.permutations(list(rows)))}
    assert Rules(shuffled).version == Rules(rows).version


@cache
def small_rows() -> dict[str, list[Row]]:
    with TemporaryDirectory() as folder:
        return load_small(write_small_rules(Path(folder) / "rules")).rows


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("seeds/settings.csv", "rfm_frequency,10", "rfm_frequency,11"),
        ("seeds/indicators.csv", "annual_spend,annual_spend,", "annual_spend,Spend of a year,"),
        ("seeds/rfm_adjustments.csv", "large,,,false,false,1", "large,,,false,false,2"),
        ("seeds/industry_mapping.csv", "汽配", "汽车"),
        ("seeds/exchange_rates.csv", "7.25", "7.26"),
        ("seeds/churn_features.csv", "recency_days,log,recency_days", "recency_days,none,recency_days"),
        ("seeds/opportunity_bands.csv", "50,false,false,0", "50,false,false,1"),
        ("seeds/opportunity_priorities.csv", "等待", "观望"),
        ("schemes/abc.yml", "population: buyers", "population: all"),
        ("schemes/abc.yml", "review: nightly", "review: monthly"),
        ("schemes/abc.yml", ">= 100", ">= 101"),
        ("schemes/value.yml", "label_en: Fit", "label_en: Match"),
        ("schemes/value.yml", "missing_score: 50", "missing_score: 51"),
        ("schemes/value.yml", "others: 60}\n      profit", "others: 61}\n      profit"),
        ("schemes/value.yml", "ordinary: 60", "ordinary: 61"),
        ("schemes/value.yml", '>= 0.8"', '>= 0.9"'),
        ("schemes/value.yml", "拜访", "上门"),
        ("schemes/top.yml", "top 10 %", "top 20 %"),
        ("schemes/care.yml", "recency_days <= 90", "recency_days <= 91"),
        ("schemes/grid.yml", "when: {spend: much, profit: good}", "when: {profit: good, spend: little}"),
    ],
)
def test_the_version_changes_with_the_content_of_each_file(
    file: str, before: str, after: str, rules_folder: Path
) -> None:
    version = load_small(rules_folder).version
    change(rules_folder, file, before, after)
    if file == "schemes/grid.yml":
        change(rules_folder, file, "when: {spend: little, profit: good}", "when: {spend: much, profit: good}")
    assert load_small(rules_folder).version != version


def test_landing_the_same_rules_twice_adds_nothing(rules_folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
    def content() -> dict[str, list[tuple[object, ...]]]:
        return {
            seed: connection.execute(f"select * from rules.{seed} order by all").fetchall()
            for seed in [*SEEDS, "versions"]
        }

    rules = load_small(rules_folder)
    version = land_rules(connection, rules, date(2024, 1, 1))
    first = content()
    assert land_rules(connection, rules, date(2024, 1, 2)) == version
    assert content() == first
    assert first["versions"] == [(version, date(2024, 1, 1))]
    assert {row[0] for row in first["tier_bands"]} == {version}

    change(rules_folder, "schemes/value.yml", "拜访", "上门")
    other = land_rules(connection, load_small(rules_folder), date(2024, 1, 3))
    assert {row[0] for row in content()["versions"]} == {version, other}
    assert connection.execute("select count(*) from rules.tiers").fetchone() == (32,)


def test_landed_bounds_have_types_and_an_empty_bound_is_null(
    rules_folder: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    land_rules(connection, load_small(rules_folder), date(2024, 1, 1))
    band = connection.execute(
        "select lower_bound, upper_bound, lower_included, upper_included from rules.tier_bands where tier = 'A'"
    ).fetchone()
    assert band == (Decimal(500), None, False, False)
    dimensions = connection.execute("select distinct dimension from rules.tier_bands order by 1").fetchall()
    assert dimensions == [("",), ("spend",)]  # no dimension is an empty text, which the models compare with
    scores = connection.execute("select distinct missing_score from rules.scheme_indicators order by 1").fetchall()
    assert scores == [(Decimal(50),), (None,)]


def test_each_night_gets_its_rules_and_window(rules_folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
    change(rules_folder, "seeds/settings.csv", "trailing_12_months", "fiscal_year")
    version = land_rules(connection, load_small(rules_folder), date(2024, 3, 30))
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
    rules_folder: Path, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    rules = load_small(rules_folder)
    archive_rules(tmp_path / "rules", rules)
    assert ensure_rules(connection, rules.version, tmp_path / "rules", date(2024, 3, 30))
    bands = "select * from rules.score_bands order by all"
    restored = connection.execute(bands).fetchall()
    connection.execute("delete from rules.versions; delete from rules.score_bands")
    land_rules(connection, rules, date(2024, 3, 30))
    assert connection.execute(bands).fetchall() == restored
    assert not ensure_rules(connection, "unknown", tmp_path / "rules", date(2024, 3, 30))


def test_rules_of_an_older_package_gain_the_new_columns(
    rules_folder: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    land_rules(connection, load_small(rules_folder), date(2024, 3, 30))
    connection.execute("alter table rules.stability drop column review")
    change(rules_folder, "schemes/value.yml", "enter_margin: 2", "enter_margin: 3")
    version = land_rules(connection, load_small(rules_folder), date(2024, 3, 31))
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
