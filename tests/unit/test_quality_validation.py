"""Cleaning rules on a real DuckDB: what each custom expectation finds, and what is (not) left behind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customer_tiering.gate.suites import Rule, RuleMeta, Suite, SuiteError, load_suite
from customer_tiering.gate.validation import RuleOutcome, Validator

RUN_TIME = datetime(2024, 3, 1, 2, 0, tzinfo=UTC)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(str(tmp_path / "warehouse.duckdb"))
    connection.execute("CREATE SCHEMA batch; CREATE SCHEMA accepted")
    yield connection
    connection.close()


@pytest.fixture
def validator(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> Iterator[Validator]:
    with Validator(warehouse, results_dir=tmp_path / "results", run_name="2024-03-01", run_time=RUN_TIME) as run:
        yield run


def rule(name: str, kind: str, on_failure: str = "quarantine", **kwargs: Any) -> Rule:
    meta = RuleMeta(on_failure=on_failure, reason_en="reason", reason_zh="原因")  # type: ignore[arg-type]
    return Rule(rule=f"erp.orders.{name}", type=kind, kwargs=kwargs, severity="critical", meta=meta)


def suite(*rules: Rule) -> Suite:
    return Suite(source="erp", entity="orders", expectations=rules)


def fill(connection: duckdb.DuckDBPyConnection, **columns: list[Any]) -> None:
    """Create batch.orders with text columns; row ids count from 1."""
    names = list(columns)
    connection.execute(
        "CREATE OR REPLACE TABLE batch.orders (_row_id BIGINT, "
        + ", ".join(f'"{name}" VARCHAR' for name in names)
        + ")"
    )
    rows = [[index, *values] for index, values in enumerate(zip(*columns.values(), strict=True), 1)]
    marks = ", ".join("?" * (len(names) + 1))
    if rows:
        connection.executemany(f"INSERT INTO batch.orders VALUES ({marks})", rows)


def failing(connection: duckdb.DuckDBPyConnection, outcome: RuleOutcome) -> set[int]:
    """Row ids of an outcome; checks that the SELECT agrees with the count and returns one column."""
    assert outcome.error is None, outcome.error
    if outcome.failing_rows_sql is None:
        assert outcome.unexpected == 0
        return set()
    cursor = connection.execute(outcome.failing_rows_sql)
    assert cursor.description is not None
    assert [column[0] for column in cursor.description] == ["_row_id"]
    ids = [row[0] for row in cursor.fetchall()]
    assert len(ids) == len(set(ids)) == outcome.unexpected
    return set(ids)


def check(
    validator: Validator,
    connection: duckdb.DuckDBPyConnection,
    kind: str,
    parameters: dict[str, object] | None = None,
    **kwargs: Any,
) -> set[int]:
    """Validate one rule on batch.orders; returns the failing row ids."""
    (outcome,) = validator.validate(
        suite(rule("r", kind, **kwargs)), table="orders", schema="batch", parameters=parameters
    )
    ids = failing(connection, outcome)
    assert outcome.success == (not ids)
    return ids


def test_dates(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    values = {
        1: "2024-02-29",
        2: "2024-02-30",
        3: None,
        4: "2024-01-05T08:15:00+08:00",
        5: "2024-01-05 08:15",
        6: "2024-01-05 25:00:00",
        7: "2024/1/5",
        8: "24/1/5",
        9: "infinity",
        10: " 2024-01-05 ",
        11: "2024-1-5",
        12: "0001-01-01",
        13: "05.01.24",
        14: "yesterday",
        15: "2024-31-12",
    }
    fill(warehouse, d=list(values.values()))
    kind = "expect_column_values_to_be_date"
    never = {2, 6, 8, 9, 11, 12, 14}
    assert check(validator, warehouse, kind, column="d") == never | {7, 13, 15}
    assert check(validator, warehouse, kind, column="d", formats=["%Y/%m/%d", "%d.%m.%y", "%Y-%d-%m"]) == (never - {11})
    assert check(validator, warehouse, "expect_column_values_to_be_iso_date", column="d") == never | {
        7,
        10,
        13,
        15,
    }


def test_numbers(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, n=["1", "-2.50", " 3 ", "1e3", None, "1,000", "1_000", "NaN", "inf", "x", "", "0", "1000"])
    kind = "expect_column_values_to_be_number"
    nan = {6, 7, 8, 9, 10, 11}
    assert check(validator, warehouse, kind, column="n") == nan
    assert check(validator, warehouse, kind, column="n", min_value=0) == nan | {2}
    assert check(validator, warehouse, kind, column="n", min_value=0, strict_min=True) == nan | {2, 12}
    assert check(validator, warehouse, kind, column="n", max_value="1000", strict_max=True) == nan | {4, 13}
    limit = {"$PARAMETER": "limit"}
    assert check(validator, warehouse, kind, {"limit": 2}, column="n", min_value=-5, max_value=limit) == nan | {
        3,
        4,
        13,
    }


def test_reference_and_mapping(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("CREATE TABLE accepted.customers AS SELECT * FROM (VALUES (1), (2), (NULL)) t(id)")
    warehouse.execute("CREATE TABLE batch.customers AS SELECT '3' AS customer_no")
    warehouse.execute("CREATE TABLE accepted.mapping AS SELECT '金牌' AS value")
    fill(warehouse, c=["1", "3", "4", None, " 2 "], level=["金牌", " 金牌 ", "银牌", None, "''; --"])
    kind = "expect_column_values_to_reference"
    one: dict[str, Any] = {"column": "c", "referenced_table": "accepted.customers", "referenced_column": "id"}
    assert check(validator, warehouse, kind, **one) == {2, 3, 5}
    assert check(validator, warehouse, kind, **one, trim=True) == {2, 3}
    assert check(
        validator,
        warehouse,
        kind,
        {"parent": "batch.customers"},
        column="c",
        referenced_table=["accepted.customers", {"$PARAMETER": "parent"}],
        referenced_column=["id", "customer_no"],
    ) == {3, 5}
    assert check(
        validator,
        warehouse,
        "expect_column_values_to_match_a_mapping",
        column="level",
        referenced_table="accepted.mapping",
        referenced_column="value",
    ) == {3, 5}
    (missing,) = validator.validate(
        suite(rule("r", kind, column="c", referenced_table="accepted.nothing", referenced_column="id")),
        table="orders",
        schema="batch",
    )
    assert not missing.success
    assert missing.error is not None
    assert "nothing" in missing.error


def test_unique_with_accepted(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("CREATE TABLE accepted.orders AS SELECT 'D' AS order_no, 1 AS line")
    fill(warehouse, order_no=["A", "A", "A", "D", None, None, "ab"], line=["1", "1", "2", "1", "1", "1", None])
    kind = "expect_columns_to_be_unique_with_accepted"
    both = ["order_no", "line"]
    assert check(validator, warehouse, kind, column_list=both) == {1, 2}
    assert check(validator, warehouse, kind, column_list=both, accepted_table="accepted.orders") == {1, 2, 4}
    assert check(validator, warehouse, kind, column_list=["order_no"]) == {1, 2, 3}
    # GX's own uniqueness rules return every copy too
    assert check(validator, warehouse, "expect_column_values_to_be_unique", column="order_no") == {1, 2, 3}
    assert check(validator, warehouse, "expect_compound_columns_to_be_unique", column_list=both) == {1, 2}


def test_compound_keys_do_not_run_together(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, a=["ab", "a", "1:a"], b=["c", "bc", "1:b"])
    kind = "expect_columns_to_be_unique_with_accepted"
    assert check(validator, warehouse, kind, column_list=["a", "b"]) == set()


def test_dates_in_order(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(
        warehouse,
        opened=["2024-01-02", "2024-01-02 10:00", "2024-01-02 10:00", "2024-01-03", None, "x", "2024/1/3"],
        closed=[*["2024-01-02"] * 2, "2024-01-02 09:00", "2024-01-02", *["2024-01-01"] * 2, "2024-01-02"],
    )
    kind = "expect_column_pair_dates_in_order"
    columns: dict[str, Any] = {"earlier_column": "opened", "later_column": "closed"}
    assert check(validator, warehouse, kind, **columns) == {3, 4}
    assert check(validator, warehouse, kind, **columns, or_equal=False) == {1, 2, 3, 4}
    assert check(validator, warehouse, kind, **columns, formats=["%Y/%m/%d"]) == {3, 4, 7}


def test_currencies_have_a_rate(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    """By the rules of the newest night: USD from February on, CNY always, JPY not (an older version had it)."""
    warehouse.execute("CREATE SCHEMA rules; CREATE SCHEMA meta")
    warehouse.execute(
        "CREATE TABLE meta.as_of_dates AS FROM (VALUES (DATE '2024-03-01', 'v1'), (DATE '2024-03-02', 'v2')) "
        "t(as_of_date, rules_version)"
    )
    warehouse.execute(
        "CREATE TABLE rules.exchange_rates AS FROM (VALUES ('v1', 'JPY', DATE '2024-01-01'), "
        "('v2', 'USD', DATE '2024-02-01'), ('v2', 'USD', DATE '2024-03-01'), ('v2', 'CNY', DATE '0001-01-01')) "
        "t(rules_version, currency, valid_from)"
    )
    fill(
        warehouse,
        currency=["USD", "USD", "USD", "JPY", "CNY", None, "cny", "USD", "JPY"],
        order_date=["2024-02-01", "2024-01-31", "2024/2/1", "2024-02-01", "1999-01-01", *["2024-02-01"] * 2, "x", None],
    )
    kind = "expect_column_values_to_have_a_rate"
    found = check(validator, warehouse, kind, column="currency", date_column="order_date", formats=["%Y/%m/%d"])
    assert found == {2, 4, 7, 9}


def test_robust_z_score(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, amount=["100", "-110", "0", None, "x", "100000", "0.0001"])
    kind = "expect_column_values_to_be_within_robust_z_score"
    kwargs: dict[str, Any] = {
        "column": "amount",
        "median_log": {"$PARAMETER": "median"},
        "mad_log": {"$PARAMETER": "mad"},
        "threshold": 6,
    }
    assert check(validator, warehouse, kind, {"median": 4.6, "mad": 0.5}, **kwargs) == {6, 7}
    assert check(validator, warehouse, kind, {"median": 4.6, "mad": 0.0}, **kwargs) == set()
    assert check(validator, warehouse, kind, {"median": None, "mad": None}, **kwargs) == set()


def test_query_rule(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, code=["aaa:x", "b", None])
    query = "SELECT b._row_id FROM {batch} b, range(2) WHERE regexp_matches(code, 'a{3}:x') -- twice each"
    for kind in ("expect_no_rows_from_query", "unexpected_rows_expectation"):
        assert check(validator, warehouse, kind, unexpected_rows_query=query) == {1}
    empty = "SELECT _row_id FROM {batch} WHERE code = 'z';"
    assert check(validator, warehouse, "expect_no_rows_from_query", unexpected_rows_query=empty) == set()


def test_regex_on_duckdb(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, code=["A-1", "x A-22 y", "a-1", None, "it's 5%:$1\\d"])
    kind = "expect_column_values_to_match_regex"
    assert check(validator, warehouse, kind, column="code", regex=r"^[A-Z]-\d+$") == {2, 3, 5}
    assert check(validator, warehouse, kind, column="code", regex=r"'s 5%:\$1\\d|-") == set()
    kind = "expect_column_values_to_not_match_regex"
    assert check(validator, warehouse, kind, column="code", regex=r"\d\d|%:\$1\\") == {2, 5}
    kind = "expect_column_values_to_match_regex_list"
    assert check(validator, warehouse, kind, column="code", regex_list=["^A", "a"]) == {2, 5}
    kind = "expect_column_values_to_not_match_regex_list"
    assert check(validator, warehouse, kind, column="code", regex_list=["^A", "^a"]) == {1, 3}


def test_failing_rows_keep_to_the_rows_of_the_rule(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, kind=["a", "a", "b", None], v=["1", None, None, None], w=["1", "1", "1", None])
    conditional: dict[str, Any] = {
        "row_condition": 'col("kind")=="a"',
        "condition_parser": "great_expectations",
    }
    not_null = "expect_column_values_to_not_be_null"
    assert check(validator, warehouse, not_null, column="v", **conditional) == {2}
    unique = "expect_columns_to_be_unique_with_accepted"
    assert check(validator, warehouse, unique, column_list=["w"], **conditional) == {1, 2}
    pairs = "expect_column_pair_values_to_be_equal"
    ignoring: dict[str, Any] = {"column_A": "v", "column_B": "w", "ignore_row_if": "either_value_is_missing"}
    assert check(validator, warehouse, pairs, **ignoring) == set()


def test_outcomes(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, a=["x", None, None, "y"], b=["1", "z", "3", None])
    outcomes = validator.validate(
        suite(
            rule("present", "expect_column_values_to_not_be_null", column="a"),
            rule("missing_column", "expect_column_values_to_not_be_null", column="nope"),
            rule(
                "missing_parameter",
                "expect_column_values_to_be_number",
                column="b",
                min_value={"$PARAMETER": "m"},
            ),
            rule(
                "sql",
                "expect_no_rows_from_query",
                unexpected_rows_query="SELECT _row_id FROM {batch} WHERE q",
            ),
            rule("rows", "expect_table_row_count_to_be_between", "block", min_value=10),
            rule("mostly", "expect_column_values_to_not_be_null", column="b", mostly=0.5),
            rule("fine", "expect_column_values_to_be_in_set", column="a", value_set=["x", "y"]),
        ),
        table="orders",
        schema="batch",
    )
    by_name = {outcome.rule.removeprefix("erp.orders."): outcome for outcome in outcomes}
    assert list(by_name) == [
        "present",
        "missing_column",
        "missing_parameter",
        "sql",
        "rows",
        "mostly",
        "fine",
    ]
    present = by_name["present"]
    assert (present.column, present.evaluated, present.unexpected, present.unexpected_share) == (
        "a",
        4,
        2,
        0.5,
    )
    assert (present.source, present.entity, present.on_failure) == ("erp", "orders", "quarantine")
    assert (present.severity, present.success) == ("critical", False)
    for name, part in (("missing_column", "nope"), ("missing_parameter", "$PARAMETER m"), ("sql", '"q"')):
        outcome = by_name[name]
        assert outcome.error is not None
        assert part in outcome.error
        assert "\n" not in outcome.error
        assert not outcome.success
        assert outcome.failing_rows_sql is None
    assert not by_name["rows"].success
    assert by_name["rows"].failing_rows_sql is None
    assert by_name["mostly"].success
    assert failing(warehouse, by_name["mostly"]) == {4}
    assert by_name["fine"].success


def test_a_missing_table_fails_every_rule(validator: Validator) -> None:
    (outcome,) = validator.validate(
        suite(rule("r", "expect_column_values_to_not_be_null", column="a")), table="nothing", schema="batch"
    )
    assert not outcome.success
    assert outcome.error is not None
    assert "batch.nothing" in outcome.error


def test_an_empty_batch_passes(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, a=[])
    (outcome,) = validator.validate(
        suite(rule("r", "expect_column_values_to_be_date", column="a")), table="orders", schema="batch"
    )
    assert outcome.success
    assert (outcome.evaluated, outcome.unexpected_share) == (0, 0.0)


def test_the_current_state_is_read(validator: Validator, warehouse: duckdb.DuckDBPyConnection) -> None:
    """A batch repaired by the caller is read again, with its new columns."""
    fill(warehouse, a=["x", None])
    kind = "expect_column_values_to_not_be_null"
    assert check(validator, warehouse, kind, column="a") == {2}
    warehouse.execute("UPDATE batch.orders SET a = 'y' WHERE a IS NULL")
    assert check(validator, warehouse, kind, column="a") == set()
    fill(warehouse, b=["x", None, None])
    assert check(validator, warehouse, kind, column="b") == {2, 3}


def test_nothing_is_left_behind(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, a=["x", None], b=["1", "1"])
    before = warehouse.execute("SELECT * FROM duckdb_tables() ORDER BY ALL").fetchall()
    with Validator(warehouse, results_dir=tmp_path / "results", run_name="n", run_time=RUN_TIME) as run:
        run.validate(
            suite(
                rule("a", "expect_column_values_to_be_unique", column="b"),
                rule("b", "expect_compound_columns_to_be_unique", column_list=["a", "b"]),
                rule("c", "expect_column_values_to_be_number", column="a"),
            ),
            table="orders",
            schema="batch",
        )
        # The caller writes while the validator is open, and its own transactions stay its own.
        warehouse.execute("BEGIN; INSERT INTO batch.orders VALUES (3, 'z', '2'); ROLLBACK")
    assert warehouse.execute("SELECT * FROM duckdb_tables() ORDER BY ALL").fetchall() == before
    assert warehouse.execute("SELECT count(*) FROM duckdb_views() WHERE NOT internal").fetchone() == (0,)
    warehouse.execute("INSERT INTO batch.orders VALUES (3, 'z', '2'); CHECKPOINT")
    assert warehouse.execute("SELECT count(*) FROM batch.orders").fetchone() == (3,)


def stored_text(results: Path) -> str:
    files = [path for path in results.rglob("*") if path.suffix in {".json", ".html"}]
    assert {path.suffix for path in files} == {".json", ".html"}
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_personal_data_is_not_kept(validator: Validator, warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    fill(
        warehouse,
        mail=["alice-secret", "o'brien-secret", "alice-secret"],
        code=[f"open-{index}" for index in range(3)],
    )
    warehouse.execute("INSERT INTO batch.orders SELECT i, 'm' || i || '-secret', 'open-' || i FROM range(4, 30) t(i)")
    outcomes = validator.validate(
        suite(
            rule("a", "expect_column_values_to_match_regex", column="mail", regex="@"),
            rule(
                "b",
                "expect_columns_to_be_unique_with_accepted",
                column_list=["code", "mail"],
                accepted_table="batch.orders",
            ),
            rule("c", "expect_column_distinct_values_to_be_in_set", "warn", column="mail", value_set=["v"]),
            rule("d", "expect_column_max_to_be_between", "warn", column="mail", max_value=1),
            rule("e", "expect_column_values_to_match_regex", column="code", regex="^$"),
            rule(
                "f",
                "expect_no_rows_from_query",
                unexpected_rows_query="SELECT _row_id FROM {batch} WHERE mail::INT > 1",
            ),
            rule("g", "expect_column_pair_values_to_be_equal", column_A="code", column_B="mail"),
            rule("h", "expect_column_value_lengths_to_be_between", column="mail", max_value=1),
        ),
        table="orders",
        schema="batch",
        pii_columns=["MAIL"],
    )
    index = validator.build_docs()
    assert index == tmp_path / "results" / "docs" / "index.html"
    text = stored_text(tmp_path / "results")
    assert "secret" not in text
    assert "brien" not in text
    assert not any("secret" in str(outcome) for outcome in outcomes)
    assert [outcome.success for outcome in outcomes] == [False] * 8
    assert outcomes[5].error is not None
    # Other columns show up to five samples, and the docs name rule and reason.
    (stored,) = (tmp_path / "results" / "validations").rglob("*orders.json")
    samples = json.loads(stored.read_text(encoding="utf-8"))["results"][4]["result"]["partial_unexpected_list"]
    assert len(samples) == 5
    assert all(value.startswith("open-") for value in samples)
    html = "".join(path.read_text(encoding="utf-8") for path in index.parent.rglob("orders/**/*.html"))
    for part in ("open-", "erp.orders.a", "reason", "原因"):
        assert part in html


GOOD = """
expectations:
  - rule: erp.orders.order_no_present
    type: expect_column_values_to_not_be_null
    kwargs: {column: order_no}
    severity: critical
    meta: {on_failure: quarantine, reason_en: missing, reason_zh: 缺少订单号, max_quarantined_share: 0.2}
  - rule: erp.orders.amount_usual
    type: expect_column_values_to_be_within_robust_z_score
    kwargs: {column: amount, median_log: {$PARAMETER: m}, mad_log: {$PARAMETER: s}, threshold: 8}
    severity: warning
    meta: {on_failure: warn, reason_en: unusual amount, reason_zh: 金额异常}
"""


def write(tmp_path: Path, text: str, place: str = "erp/orders.yml") -> Path:
    path = tmp_path / "expectations" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_suite_file(tmp_path: Path) -> None:
    loaded = load_suite(write(tmp_path, GOOD), "erp", "orders")
    assert loaded.name == "erp.orders"
    assert loaded.parameters == {"m", "s"}
    assert loaded.expectations[0].meta.max_quarantined_share == 0.2
    assert loaded.expectations[0].column == "order_no"


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("severity: critical", "severity: fatal", ["erp.orders.order_no_present", "key severity"]),
        ("on_failure: quarantine", "on_failure: delete", ["order_no_present", "key meta.on_failure"]),
        ("to_not_be_null", "to_not_be_nul", ["order_no_present", "key type"]),
        ("{column: order_no}", "{colum: order_no}", ["order_no_present", "key kwargs.colum"]),
        ("{column: order_no}", "{}", ["order_no_present", "key kwargs.column"]),
        ("threshold: 8", "threshold: many", ["amount_usual", "key kwargs.threshold"]),
        ("share: 0.2", "share: 20", ["order_no_present", "key meta.max_quarantined_share"]),
        ("amount_usual", "order_no_present", ["key rule", "used twice"]),
        ("expectations:", "rules:", ["key expectations"]),
        (
            "expect_column_values_to_not_be_null\n    kwargs: {column: order_no}",
            "expect_table_row_count_to_be_between\n    kwargs: {min_value: 1}",
            ["key meta.on_failure", "block or warn"],
        ),
        ("expectations:", "expectations: [", ["not readable as YAML"]),
    ],
)
def test_suite_errors(tmp_path: Path, old: str, new: str, parts: list[str]) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(SuiteError) as caught:
        load_suite(path, "erp", "orders")
    for part in ["expectations/erp/orders.yml", *parts]:
        assert part in str(caught.value)


def is_day(text: str | None) -> bool:
    """The Python model of expect_column_values_to_be_date."""
    if text is None:
        return True
    try:
        return date.fromisoformat(text).isoformat() == text and text >= "1000"
    except ValueError:
        return False


KEYS = st.one_of(st.none(), st.sampled_from(["a", "b", "ab", "1:a", "A "]))
DAYS = st.one_of(
    st.none(),
    st.dates(min_value=date(900, 1, 1)).map(date.isoformat),
    st.tuples(st.integers(990, 2030), st.integers(0, 13), st.integers(0, 32)).map(
        lambda parts: f"{parts[0]:04d}-{parts[1]:02d}-{parts[2]:02d}"
    ),
    st.text(alphabet="0123456789-/T: ", max_size=10).filter(lambda text: text == text.strip()),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(KEYS, KEYS, DAYS), max_size=30),
    accepted=st.lists(st.tuples(KEYS, KEYS), max_size=5),
)
def test_agrees_with_python(
    rows: list[tuple[str | None, str | None, str | None]],
    accepted: list[tuple[str | None, str | None]],
    validator: Validator,
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    fill(warehouse, a=[row[0] for row in rows], b=[row[1] for row in rows], d=[row[2] for row in rows])
    warehouse.execute("CREATE OR REPLACE TABLE accepted.orders (a VARCHAR, b VARCHAR)")
    if accepted:
        warehouse.executemany("INSERT INTO accepted.orders VALUES (?, ?)", accepted)
    unique, dates = validator.validate(
        suite(
            rule(
                "unique",
                "expect_columns_to_be_unique_with_accepted",
                column_list=["a", "b"],
                accepted_table="accepted.orders",
            ),
            rule("dates", "expect_column_values_to_be_date", column="d"),
        ),
        table="orders",
        schema="batch",
    )
    counts = Counter((a, b) for a, b, _ in rows)
    assert failing(warehouse, unique) == {
        index
        for index, (a, b, _) in enumerate(rows, 1)
        if a is not None and b is not None and (counts[a, b] > 1 or (a, b) in accepted)
    }
    assert failing(warehouse, dates) == {index for index, row in enumerate(rows, 1) if not is_day(row[2])}
