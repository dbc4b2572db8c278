"""Rules about whole tables: freshness, volume, figures against the published snapshot; and dates of versions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_tiering.company.workspace import PROJECT_ROOT
from customer_tiering.gate.suites import Rule, RuleMeta, Suite, SuiteError, check_rule, load_suite
from customer_tiering.gate.validation import RuleOutcome, Validator

NIGHT = date(2024, 3, 31)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute((PROJECT_ROOT / "plugins/customer_tiering/warehouse/schema.sql").read_text("utf-8"))
        connection.execute("create table raw.erp__orders (order_no varchar, updated_at varchar)")
        connection.execute(
            "create table gate.erp__orders (_row_id bigint, order_no varchar, updated_at varchar, _reopened boolean)"
        )
        yield connection


def rule(kind: str, on_failure: Any = "warn", **kwargs: Any) -> Rule:
    meta = RuleMeta(on_failure=on_failure, reason_en="reason", reason_zh="原因")
    return Rule(rule="erp.orders.r", type=kind, kwargs=kwargs, severity="warning", meta=meta)


def check(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, of: Rule, schema: str = "gate", table: str = "erp__orders"
) -> RuleOutcome:
    with Validator(
        connection, results_dir=tmp_path / "results", run_name="r", run_time=datetime(2024, 4, 1, tzinfo=UTC)
    ) as validator:
        (outcome,) = validator.validate(
            Suite(source="erp", entity="orders", expectations=(of,)),
            schema=schema,
            table=table,
            row_id_column="_row_id",
        )
    assert outcome.error is None, outcome.error
    assert outcome.success == (not outcome.findings and not outcome.unexpected)
    return outcome


# --- versions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        (None, True),
        ("2024-03-31", True),
        ("2024-04-02T23:59:59Z", True),
        ("2024-04-03", False),
        ("2024-04-03 00:00:00", False),
        ("9999-12-31", False),
        ("2024/03/31", False),
        ("20240331", False),
        (" 2024-03-31", False),
        ("2024-02-30", False),
        ("soon", False),
        ("0024-03-31", False),
    ],
)
def test_a_version_is_an_iso_date_and_not_of_the_future(
    value: str | None, passes: bool, warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    warehouse.execute("insert into gate.erp__orders values (1, 'O1', ?, false)", [value])
    kwargs = {"column": "updated_at", "latest_day": "2024-03-31"}
    outcome = check(warehouse, tmp_path, rule("expect_column_values_to_be_timely_iso_date", "quarantine", **kwargs))
    assert outcome.unexpected == (not passes)


def test_a_business_date_that_is_the_version_keeps_its_formats(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    values = ("2024/03/31", "2024-04-02 23:59:59", "2024/04/03", "2024-04-03", "soon")
    for number, value in enumerate(values):
        warehouse.execute("insert into gate.erp__orders values (?, 'O', ?, false)", [number, value])
    kwargs = {"column": "updated_at", "latest_day": "2024-03-31", "formats": ["%Y/%m/%d"]}
    outcome = check(warehouse, tmp_path, rule("expect_column_values_to_be_timely_iso_date", "quarantine", **kwargs))
    assert outcome.failing_rows_sql is not None
    assert {row for (row,) in warehouse.execute(outcome.failing_rows_sql).fetchall()} == {2, 3, 4}


# --- freshness ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "tonight", "finding"),
    [
        ("2024-03-29", None, None),
        ("2024-03-28", None, "the newest updated_at is of 2024-03-28, 3 days before 2024-03-31"),
        ("2024-03-01", "2024-03-30 10:00:00", None),
        (None, "2024-03-01", "the newest updated_at is of 2024-03-01, 30 days before 2024-03-31"),
        (None, None, "there is no updated_at up to 2024-03-31 at all"),
        ("2024-03-01", "2999-01-01", "the newest updated_at is of 2024-03-01, 30 days before 2024-03-31"),
        ("2024-03-01", "2024/03/30", "the newest updated_at is of 2024-03-01, 30 days before 2024-03-31"),
        ("2024-03-01", "soon", "the newest updated_at is of 2024-03-01, 30 days before 2024-03-31"),
    ],
)
def test_freshness(
    accepted: str | None,
    tonight: str | None,
    finding: str | None,
    warehouse: duckdb.DuckDBPyConnection,
    tmp_path: Path,
) -> None:
    warehouse.execute("insert into raw.erp__orders select 'O1', ? where ? is not null", [accepted, accepted])
    warehouse.execute("insert into gate.erp__orders select 1, 'O2', ?, false where ? is not null", [tonight, tonight])
    kwargs = {"column": "updated_at", "as_of_date": "2024-03-31", "max_age_days": 2}
    outcome = check(warehouse, tmp_path, rule("expect_newest_value_to_be_recent", **kwargs))
    assert outcome.findings == ((finding,) if finding else ())


# --- volume -------------------------------------------------------------------------------------------------


def volume(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, past: dict[int, int], tonight: int, **more: Any
) -> str:
    """Nights by days before NIGHT; returns the finding."""
    for days, rows in past.items():
        night = NIGHT - timedelta(days=days)
        connection.execute(
            "insert into meta.gated_loads values ('erp', 'orders', ?, ?, ?, ?, 0, 0)", [f"l{days}", night, rows, rows]
        )
    connection.execute(f"insert into gate.erp__orders select range, 'O', null, false from range({tonight})")
    connection.execute("insert into gate.erp__orders select range + 1000000, 'O', null, true from range(5000)")
    kwargs = {"as_of_date": NIGHT.isoformat(), "same_weekday": False} | more
    return "; ".join(check(connection, tmp_path, rule("expect_volume_like_recent_nights", **kwargs)).findings)


USUAL = {20: 90_000, 4: 100, 3: 90, 2: 110, 1: 100}  # the first night brings the past


@pytest.mark.parametrize(
    ("tonight", "finding"),
    [
        (100, ""),
        (20, ""),
        (19, "19 rows tonight, 100 is usual (median of the last 4 nights); between 20 and 500 would pass"),
        (0, "0 rows tonight, 100 is usual (median of the last 4 nights); between 20 and 500 would pass"),
        (500, ""),
        (501, "501 rows tonight, 100 is usual (median of the last 4 nights); between 20 and 500 would pass"),
    ],
)
def test_volume(tonight: int, finding: str, warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert volume(warehouse, tmp_path, USUAL, tonight) == finding


def test_volume_says_nothing_of_few_nights_or_few_rows(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert volume(warehouse, tmp_path, {20: 90_000, 2: 100, 1: 100}, 0) == ""
    warehouse.execute("delete from meta.gated_loads")
    assert volume(warehouse, tmp_path, {20: 9_000, 4: 10, 3: 10, 2: 10, 1: 10}, 0) == ""


def test_volume_compares_weekdays(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    sundays = {70: 90_000, 28: 60, 21: 60, 14: 60, 7: 60} | {6: 1000, 5: 1000, 4: 1000, 3: 1000}
    assert volume(warehouse, tmp_path, sundays, 60, same_weekday=True) == ""
    assert "60 rows tonight, 530 is usual" in "; ".join(
        check(
            warehouse,
            tmp_path,
            rule("expect_volume_like_recent_nights", as_of_date=NIGHT.isoformat(), same_weekday=False),
        ).findings
    )


def test_a_night_on_which_no_load_came_counts_as_empty(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for days in (3, 2, 1):
        warehouse.execute(
            "insert into meta.run_loads values (?, ?, 'erp', 'old')", [f"r{days}", NIGHT - timedelta(days=days)]
        )
    finding = volume(warehouse, tmp_path, {20: 90_000, 4: 100}, 60)
    assert finding == "60 rows tonight, 0 is usual (median of the last 4 nights); between 0 and 0 would pass"


def test_rows_that_an_earlier_run_of_the_night_took_in_count(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    warehouse.execute("insert into meta.gated_loads values ('erp', 'orders', 'a', ?, 80, 80, 0, 0)", [NIGHT])
    assert volume(warehouse, tmp_path, USUAL, 0) == ""


# --- figures ------------------------------------------------------------------------------------------------

# --- what a suite may say -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "kwargs", "problem"),
    [
        (
            "expect_newest_value_to_be_recent",
            {"column": "c", "as_of_date": "2024-01-01", "max_age_days": -1},
            "greater",
        ),
    ],
)
def test_mistakes_in_a_suite_are_named(kind: str, kwargs: dict[str, Any], problem: str) -> None:
    assert any(problem in line for line in check_rule(rule(kind, **kwargs)))


def test_a_rule_about_the_table_puts_no_row_aside(tmp_path: Path) -> None:
    path = tmp_path / "erp" / "orders.yml"
    path.parent.mkdir()
    meta = "severity: info, meta: {on_failure: quarantine, reason_en: r, reason_zh: 原}"
    kind = "type: expect_volume_like_recent_nights, kwargs: {as_of_date: '2024-01-01'}"
    path.write_text(f"expectations:\n  - {{rule: erp.orders.r, {kind}, {meta}}}\n", encoding="utf-8")
    with pytest.raises(SuiteError, match="judges the whole table"):
        load_suite(path, "erp", "orders")
