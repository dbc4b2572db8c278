"""The shipped cleaning rules agree with the declared sources and explain themselves in both languages."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from customer_tiering.company.profile import load_profile
from customer_tiering.company.workspace import PROJECT_ROOT
from customer_tiering.gate.gate import ensure_tables
from customer_tiering.gate.suites import Suite, load_suite, load_suites
from customer_tiering.gate.validation import Validator
from customer_tiering.release.mart_checks import MARTS
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.versions import land_rules
from customer_tiering.sources import get_source, source_names
from customer_tiering.sources.base import MALFORMED_COLUMN, Entity
from customer_tiering.warehouse.connection import warehouse_schema
from customer_tiering.warehouse.nights import make_build_inputs

FOLDER = PROJECT_ROOT / "expectations"
ALL_SUITES = load_suites(FOLDER)
SUITES = {key: suite for key, suite in ALL_SUITES.items() if key[0] != MARTS}
ENTITIES = {(name, entity.name): entity for name in source_names() for entity in get_source(name).entities}
by_suite = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
STANDING_LISTS = {"erp.products", "crm.owners"}  # nothing new for years is nothing to worry about
HAN = re.compile(r"[\u4e00-\u9fff]")


def columns_of(source: str, entity: str) -> set[str]:
    return {*ENTITIES[source, entity].columns, MALFORMED_COLUMN}


def test_every_declared_entity_has_a_suite_and_every_suite_an_entity() -> None:
    assert set(SUITES) == set(ENTITIES)


def test_no_file_lies_where_it_would_not_be_read() -> None:
    files = {path for path in FOLDER.rglob("*") if path.is_file()}
    assert files == {FOLDER / source / f"{entity}.yml" for source, entity in ALL_SUITES}


@pytest.mark.parametrize("key", SUITES, ids=".".join)
def test_each_suite_loads_by_itself_and_has_rules(key: tuple[str, str]) -> None:
    suite = load_suite(FOLDER / key[0] / f"{key[1]}.yml")
    assert suite == SUITES[key]
    assert suite.expectations


@by_suite
def test_a_rule_is_named_after_its_entity(suite: Suite) -> None:
    for rule in suite.expectations:
        assert rule.rule.startswith(f"{suite.source}.{suite.entity}.")
        assert rule.rule.count(".") == 2


@by_suite
def test_a_rule_names_declared_columns(suite: Suite) -> None:
    for rule in suite.expectations:
        assert set(rule.columns) <= columns_of(suite.source, suite.entity)


@by_suite
def test_a_rule_refers_to_columns_and_tables_that_exist(suite: Suite) -> None:
    for rule in suite.expectations:
        tables = rule.kwargs.get("referenced_table", [])
        columns = rule.kwargs.get("referenced_column", [])
        tables, columns = ([value] if isinstance(value, str) else value for value in (tables, columns))
        for table, column in zip(tables, columns * len(tables) if len(columns) == 1 else columns, strict=True):
            schema, name = table.split(".")
            if schema == "raw":
                assert column in ENTITIES[name.split("__")[0], name.split("__")[1]].columns
            else:
                assert (table, column) == ("rules.industry_mapping", "source_value")


@by_suite
def test_a_rule_refers_to_entities_that_are_gated_before_it(suite: Suite) -> None:
    """Parents first: a reference to a later entity of the source would keep its children out for a night."""
    order = [entity.name for entity in get_source(suite.source).entities]
    for rule in suite.expectations:
        text = " ".join(str(value) for value in rule.kwargs.values())
        for source, entity in re.findall(r"\braw\.([a-z_]+?)__([a-z_]+)", text):
            assert source == suite.source, "sources are gated in parallel"
            assert order.index(entity) < order.index(suite.entity)


@by_suite
def test_reasons_are_given_in_both_languages(suite: Suite) -> None:
    for rule in suite.expectations:
        assert HAN.search(rule.meta.reason_zh)
        assert not HAN.search(rule.meta.reason_en)
        assert rule.meta.reason_en.strip() == rule.meta.reason_en
        assert rule.meta.reason_zh.strip() == rule.meta.reason_zh


@by_suite
def test_a_rule_asks_only_for_parameters_that_the_gate_gives(suite: Suite) -> None:
    for rule in suite.expectations:
        given = {f"{rule.kwargs.get('column')}_median_log", f"{rule.kwargs.get('column')}_mad_log"}
        assert rule.parameters <= given | {"reporting_currency", "as_of_date", "latest_day"}


@by_suite
def test_every_entity_is_checked_for_presence_versions_freshness_and_volume(suite: Suite) -> None:
    kinds = {(rule.type, rule.column) for rule in suite.expectations}
    version = ENTITIES[suite.source, suite.entity].version
    assert "expect_column_values_to_not_be_null" in {kind for kind, _ in kinds}
    if version is not None:  # an entity without one has no column whose greatest text could win for good
        assert ("expect_column_values_to_be_timely_iso_date", version) in kinds
        assert (("expect_newest_value_to_be_recent", version) in kinds) == (suite.name not in STANDING_LISTS)
    assert "expect_volume_like_recent_nights" in {kind for kind, _ in kinds}
    assert {kind for kind, _ in kinds} & {
        "expect_column_values_to_be_unique",
        "expect_compound_columns_to_be_unique",
    }


@by_suite
def test_what_the_models_cannot_do_without_cannot_be_waived(suite: Suite) -> None:
    entity = ENTITIES[suite.source, suite.entity]
    for rule in suite.expectations:
        names_the_row = rule.type == "expect_column_values_to_not_be_null" and set(rule.columns) & set(entity.key)
        if names_the_row or rule.type == "expect_column_values_to_reference" or MALFORMED_COLUMN in rule.columns:
            assert not rule.can_be_waived


@pytest.mark.parametrize("key", ENTITIES, ids=".".join)
def test_malformed_lines_of_files_are_kept_out(key: tuple[str, str]) -> None:
    """Lines that could not be read have no values; without this rule they would be accepted as empty rows."""
    if ENTITIES[key].table is not None:
        return
    if ENTITIES[key].format == "excel":
        return  # a sheet has cells, not lines
    assert any(
        rule.type == "expect_column_values_to_be_null"
        and rule.columns == (MALFORMED_COLUMN,)
        and rule.meta.on_failure == "quarantine"
        for rule in SUITES[key].expectations
    )


@pytest.mark.parametrize("key", ENTITIES, ids=".".join)
def test_rows_without_an_identifier_are_kept_out(key: tuple[str, str]) -> None:
    """Rows of one load that miss their whole key would be merged into one."""
    entity: Entity = ENTITIES[key]
    required = {
        column
        for rule in SUITES[key].expectations
        if rule.type == "expect_column_values_to_not_be_null" and rule.meta.on_failure in ("quarantine", "block")
        for column in rule.columns
    }
    if len(entity.key) == len(entity.columns):
        assert required, "the key is the whole row; something must be given"
    else:
        assert set(entity.key) <= required


def test_every_shipped_rule_can_be_evaluated(tmp_path: Path) -> None:
    """On empty batches, so that a query that names a missing column or table shows before a night does."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(warehouse_schema())
        make_build_inputs(connection)
        land_rules(connection, load_rules(load_profile("sample")), date(2024, 1, 1))
        for name in source_names():
            ensure_tables(connection, get_source(name))
        for source, entity in ENTITIES:
            connection.execute(
                f"create table gate.{source}__{entity} as "
                f"select *, false as _reopened from quarantine.{source}__{entity}"
            )
        with Validator(
            connection, results_dir=tmp_path / "results", run_name="r", run_time=datetime(2024, 1, 1, tzinfo=UTC)
        ) as validator:
            errors = {
                outcome.rule: outcome.error
                for suite in SUITES.values()
                for outcome in validator.validate(
                    suite,
                    schema="gate",
                    table=f"{suite.source}__{suite.entity}",
                    parameters=dict.fromkeys(suite.parameters) | {"as_of_date": "2024-01-01"},
                )
                if outcome.error is not None
            }
    assert errors == {}
