"""The shipped cleaning rules agree with the declared sources and explain themselves in both languages."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from customer_tiering.company.profile import load_profile, profile_names
from customer_tiering.company.workspace import PROJECT_ROOT
from customer_tiering.gate.gate import ensure_tables, suite_of
from customer_tiering.gate.suites import Suite, check_rule
from customer_tiering.gate.validation import Validator
from customer_tiering.inputs.tables import input_tables
from customer_tiering.release.mart_checks import MARTS
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.versions import land_rules
from customer_tiering.sources.base import MALFORMED_COLUMN
from customer_tiering.warehouse.connection import warehouse_schema
from customer_tiering.warehouse.nights import make_build_inputs

FOLDER = PROJECT_ROOT / "expectations"
SOURCES = {source.name: source for name in profile_names() for source in load_profile(name).all_sources()}
ENTITIES = {(source.name, entity.name): entity for source in SOURCES.values() for entity in source.entities}
SUITES = {key: suite_of(SOURCES[key[0]], entity) for key, entity in ENTITIES.items()}
by_suite = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
HAN = re.compile(r"[\u4e00-\u9fff]")


def columns_of(source: str, entity: str) -> set[str]:
    fields = ENTITIES[source, entity].fields
    return {*fields, *(f"_text_{column}" for column in fields), MALFORMED_COLUMN}


def test_no_file_lies_where_it_would_not_be_read() -> None:
    shared = {FOLDER / f"{table}.yml" for table in input_tables()}
    own = {FOLDER / source / f"{entity}.yml" for source, entity in ENTITIES}
    found = {path for path in FOLDER.rglob("*") if path.is_file() and path.parent.name != MARTS}
    assert found <= shared | own


@by_suite
def test_every_rule_makes_sense_to_great_expectations(suite: Suite) -> None:
    assert [problem for rule in suite.expectations for problem in check_rule(rule)] == []
    assert len({rule.rule for rule in suite.expectations}) == len(suite.expectations)


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
                assert column in ENTITIES[name.split("__")[0], name.split("__")[1]].fields
            else:
                assert (table, column) == ("rules.industry_mapping", "source_value")


@by_suite
def test_a_rule_refers_to_entities_that_are_gated_before_it(suite: Suite) -> None:
    """Parents first: a reference to a later entity of the source would keep its children out for a night."""
    order = [entity.name for entity in SOURCES[suite.source].entities]
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


@pytest.mark.parametrize("key", ENTITIES, ids=".".join)
def test_every_typed_column_is_judged(key: tuple[str, str]) -> None:
    """Whether its text can be read, and whether its day can be one of business; a key's and a needed one's presence."""
    entity = ENTITIES[key]
    kinds = {(rule.type, rule.column) for rule in SUITES[key].expectations}
    for name in entity.fields:
        column = entity.mapped.declared.column(name)
        if column.type != "text":
            assert ("expect_column_values_to_be_readable", f"_text_{name}") in kinds
        if column.is_time:
            assert ("expect_column_values_to_be_plausible", f"_text_{name}") in kinds
        if column.required or name in entity.key:
            assert ("expect_column_values_to_not_be_null", f"_text_{name}") in kinds
    assert "expect_volume_like_recent_nights" in {kind for kind, _ in kinds}
    assert {kind for kind, _ in kinds} & {
        "expect_column_values_to_be_unique",
        "expect_compound_columns_to_be_unique",
    }


@by_suite
def test_what_the_models_cannot_do_without_cannot_be_waived(suite: Suite) -> None:
    entity = ENTITIES[suite.source, suite.entity]
    for rule in suite.expectations:
        key = {f"_text_{column}" for column in entity.key}
        names_the_row = rule.type == "expect_column_values_to_not_be_null" and set(rule.columns) & key
        if names_the_row or rule.type == "expect_column_values_to_reference" or MALFORMED_COLUMN in rule.columns:
            assert not rule.can_be_waived


@pytest.mark.parametrize("key", ENTITIES, ids=".".join)
def test_malformed_lines_of_files_are_kept_out(key: tuple[str, str]) -> None:
    """Lines that could not be read have no values; without this rule they would be accepted as empty rows."""
    if ENTITIES[key].table is not None:
        return
    assert any(
        rule.type == "expect_column_values_to_be_null"
        and rule.columns == (MALFORMED_COLUMN,)
        and rule.meta.on_failure == "quarantine"
        for rule in SUITES[key].expectations
    )


def test_every_shipped_rule_can_be_evaluated(tmp_path: Path) -> None:
    """On empty batches, so that a query that names a missing column or table shows before a night does."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(warehouse_schema())
        make_build_inputs(connection)
        land_rules(connection, load_rules(load_profile("sample")), date(2024, 1, 1))
        for source in SOURCES.values():
            ensure_tables(connection, source)
        for (source_name, name), entity in ENTITIES.items():
            texts = ", ".join(f"{column} as _text_{column}" for column in entity.fields)
            connection.execute(
                f"create table gate.{source_name}__{name} as select {', '.join(entity.fields)}, t.* exclude (source) "
                f"from raw.{source_name}__{name} join (select _row_id, {texts}, _malformed, '' as _unreadable, "
                f"'' as _implausible, false as _reopened, '{source_name}' as source "
                f"from quarantine.{source_name}__{name}) t using (_row_id)"
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
