"""Rules about several columns or other tables: references, keys, order of dates, and a rule's own query."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa
from great_expectations.compatibility import pydantic
from great_expectations.core.suite_parameters import SuiteParameterDict
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    column_condition_partial,
)

from customer_tiering.gate import sql
from customer_tiering.gate.engine import DuckDBExecutionEngine
from customer_tiering.gate.expectations.base import RowExpectation, as_list
from customer_tiering.gate.expectations.values import checked_formats


class ValuesReference(ColumnMapMetricProvider):
    """Metric of :class:`ExpectColumnValuesToReference`."""

    condition_metric_name = "column_values.reference"
    filter_column_isnull = False  # the condition passes NULL itself
    condition_value_keys = ("referenced_table", "referenced_column", "trim")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column: Any,
        referenced_table: str | list[str],
        referenced_column: str | list[str],
        trim: bool = False,
        **_: Any,
    ) -> Any:
        tables, columns = as_list(referenced_table), as_list(referenced_column)
        if len(columns) == 1:
            columns = columns * len(tables)
        pairs = [(table, [name]) for table, name in zip(tables, columns, strict=True)]
        exists = sql.exists_in([column.name], pairs, trimmed=bool(trim))
        return sql.condition(sql.unless_null(column.name, exists))


class ExpectColumnValuesToReference(RowExpectation):
    """Expect every value to exist in a column of another table (or of one of several tables).

    Args:
        column: the referencing column; NULL is ignored.
        referenced_table: "schema.table", or a list of them, for example the accepted parent table and the
            parent of the current batch.
        referenced_column: its column, or one per table.
        trim: compare both sides without surrounding blanks.

    Values are compared as text, so '7' and '007' differ. A table that does not exist is an error, not a pass.
    """

    referenced_table: str | list[str] | SuiteParameterDict
    referenced_column: str | list[str] | SuiteParameterDict
    trim: bool = False

    map_metric = "column_values.reference"
    success_keys = ("referenced_table", "referenced_column", "trim", "mostly")


class ExpectColumnValuesToMatchAMapping(RowExpectation):
    """Expect every value, without surrounding blanks, to be listed in a mapping table.

    Args:
        column: the value to map; NULL is ignored.
        referenced_table, referenced_column: "schema.table" of the mapping and its column of source values.
    """

    referenced_table: str | list[str] | SuiteParameterDict
    referenced_column: str | list[str] | SuiteParameterDict
    trim: bool = True

    map_metric = "column_values.reference"
    success_keys = ("referenced_table", "referenced_column", "trim", "mostly")


class ValuesHaveARate(ColumnMapMetricProvider):
    """Metric of :class:`ExpectColumnValuesToHaveARate`."""

    condition_metric_name = "column_values.have_a_rate"
    filter_column_isnull = False  # the condition passes NULL itself
    condition_value_keys = ("date_column", "formats")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, date_column: str, formats: list[str] | None = None, **_: Any) -> Any:
        # The first day of each currency's rates; names of the batch inside a subquery would be looked up there first.
        first_days = (
            "(SELECT map_from_entries(list((currency, valid_from))) FROM "
            "(SELECT currency, min(valid_from) AS valid_from FROM rules.exchange_rates WHERE rules_version = "
            "(SELECT rules_version FROM meta.as_of_dates ORDER BY as_of_date DESC LIMIT 1) GROUP BY currency))"
        )
        day = f"CAST({sql.timestamp(sql.text(date_column), formats or ())} AS DATE)"
        first_day = f"{first_days}[CAST({sql.quote(column.name)} AS VARCHAR)]"
        passes = f"coalesce({first_day} <= coalesce({day}, DATE '9999-12-31'), false)"
        return sql.condition(sql.unless_null(column.name, passes))


class ExpectColumnValuesToHaveARate(RowExpectation):
    """Expect every currency to have a rate on the day of its row, by the rules of the newest night.

    Args:
        column: a currency code; NULL is ignored.
        date_column: the day whose rate is wanted; a day that cannot be read is another rule's finding, any rate
            of the currency will do.
        formats: strptime formats of the day besides ISO.
    """

    date_column: str
    formats: list[str] | SuiteParameterDict = pydantic.Field(default_factory=list)

    map_metric = "column_values.have_a_rate"
    success_keys = ("date_column", "formats", "mostly")

    _check = pydantic.validator("formats", allow_reuse=True)(checked_formats)


class ColumnsUniqueWithAccepted(ColumnMapMetricProvider):
    """Metric of :class:`ExpectColumnsToBeUniqueWithAccepted`."""

    condition_metric_name = "columns.unique_with_accepted"
    filter_column_isnull = False  # the condition passes NULL itself
    condition_value_keys = ("column_list", "accepted_table", "accepted_columns")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column: Any,  # noqa: ARG002 - the first of column_list
        column_list: list[str],
        _table: Any,
        _sqlalchemy_engine: sa.Engine,
        _metrics: dict[str, Any],
        accepted_table: str | None = None,
        accepted_columns: list[str] | None = None,
        **_: Any,
    ) -> Any:
        missing = [name for name in column_list if name not in _metrics["table.columns"]]
        if missing:
            # Inside IN (SELECT ...) DuckDB would look the name up in the other table.
            raise ValueError(f'the column "{missing[0]}" does not exist in the batch')
        seen = sql.is_repeated(column_list, sql.selectable(_table, _sqlalchemy_engine))
        if accepted_table:
            seen += " OR " + sql.exists_in(column_list, [(accepted_table, accepted_columns or column_list)])
        return sql.condition(f"NOT ({seen})")


class ExpectColumnsToBeUniqueWithAccepted(RowExpectation):
    """Expect a key to occur once in the batch and not at all in the table of accepted rows.

    Args:
        column_list: columns of the key (one or more); a row with a NULL part is ignored.
        accepted_table: "schema.table" of accepted rows; None compares within the batch only.
        accepted_columns: its key columns when they have other names, in the order of column_list.

    Every copy fails. Values are compared as text.
    """

    column: str = ""
    column_list: list[str]
    accepted_table: str | SuiteParameterDict | None = None
    accepted_columns: list[str] | None = None

    map_metric = "columns.unique_with_accepted"
    success_keys = ("column_list", "accepted_table", "accepted_columns", "mostly")

    @pydantic.root_validator(pre=True)
    def _first_column(cls, values: dict[str, Any]) -> dict[str, Any]:
        columns = values.get("column_list")
        if not isinstance(columns, list) or not columns:
            raise ValueError("column_list must name at least one column")
        return values | {"column": columns[0]}


class DatesInOrder(ColumnMapMetricProvider):
    """Metric of :class:`ExpectColumnPairDatesInOrder`."""

    condition_metric_name = "columns.dates_in_order"
    filter_column_isnull = False  # the condition passes NULL itself
    condition_value_keys = ("earlier_column", "or_equal", "formats")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column: Any,
        earlier_column: str,
        _metrics: dict[str, Any],
        or_equal: bool | None = None,
        formats: list[str] | None = None,
        **_: Any,
    ) -> Any:
        if earlier_column not in _metrics["table.columns"]:
            raise ValueError(f'the column "{earlier_column}" does not exist in the batch')
        earlier = sql.timestamp(sql.text(earlier_column), formats or ())
        later = sql.timestamp(sql.text(column.name), formats or ())
        # Midnight is what a date without a time reads as; against it only the days can be compared.
        if or_equal is False:
            in_order = f"{earlier} < {later} AND {earlier} <> date_trunc('day', {later})"
        else:
            in_order = f"{earlier} <= {later} OR {later} = date_trunc('day', {earlier})"
        return sql.condition(f"coalesce({in_order}, true)")


class ExpectColumnPairDatesInOrder(RowExpectation):
    """Expect one date not to lie after another.

    Args:
        earlier_column, later_column: text dates; rows where either is NULL or no date are ignored.
        or_equal: the same moment is fine (default).
        formats: strptime formats accepted besides ISO.

    When either side has no time of day (midnight) the calendar days are compared. Zones are not applied.
    """

    column: str = ""
    earlier_column: str
    later_column: str
    or_equal: bool = True
    formats: list[str] | SuiteParameterDict = pydantic.Field(default_factory=list)

    map_metric = "columns.dates_in_order"
    success_keys = ("earlier_column", "later_column", "or_equal", "formats", "mostly")

    _check = pydantic.validator("formats", allow_reuse=True)(checked_formats)

    @pydantic.root_validator(pre=True)
    def _later_column(cls, values: dict[str, Any]) -> dict[str, Any]:
        return values | {"column": values.get("later_column", "")}


class ExpectNoRowsFromQuery(BatchExpectation):
    """Expect a query to find nothing; what it finds are the failing rows.

    Args:
        unexpected_rows_query: a SELECT over ``{batch}`` (the batch table, written without an alias of its
            own) that returns at least the row id column. Other braces need no doubling.
        row_id_column: name of that column.

    Unlike GX's UnexpectedRowsExpectation (whose type ``unexpected_rows_expectation`` a suite may also write),
    no row is read into Python: distinct row ids are counted in the database.
    """

    unexpected_rows_query: str | SuiteParameterDict
    row_id_column: str = "_row_id"

    metric_dependencies: ClassVar[tuple[str, ...]] = ("no_rows_from_query.count", "table.row_count")
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)
    success_keys: ClassVar[tuple[str, ...]] = ("unexpected_rows_query", "row_id_column")

    @pydantic.validator("unexpected_rows_query")
    def _check_query(cls, query: str | SuiteParameterDict) -> str | SuiteParameterDict:
        if isinstance(query, str):
            query = query.rstrip("; \t\r\n")
            if "{batch}" not in query:
                raise ValueError("unexpected_rows_query must select from {batch}")
        return query

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002 - GX's signature
        execution_engine: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        found, rows = int(metrics["no_rows_from_query.count"]), int(metrics["table.row_count"])
        return {
            "success": found == 0,
            "result": {
                "observed_value": found,
                "element_count": rows,
                "unexpected_count": found,
                "unexpected_percent": 100 * found / rows if rows else 0.0,
            },
        }
