"""Rules about one value: is it a date, a number, an outlier."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

from great_expectations.compatibility import pydantic
from great_expectations.core.suite_parameters import SuiteParameterDict
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    column_condition_partial,
)

from customer_tiering.gate import sql
from customer_tiering.gate.engine import DuckDBExecutionEngine
from customer_tiering.gate.expectations.base import RowExpectation

TEXT_PREFIX = "_text_"
"""In front of the name of an input column: the column of a batch that holds the text which it was read from."""
# Turns the median absolute deviation into a standard deviation of normally distributed values.
_MAD_TO_SIGMA = 1.4826


def checked_formats(formats: list[str] | SuiteParameterDict) -> list[str] | SuiteParameterDict:
    """The formats themselves; ValueError names the one that does not describe a calendar day."""
    if isinstance(formats, list):
        for date_format in formats:
            sql.check_format(date_format)
    return formats


class ValuesDate(ColumnMapMetricProvider):
    """Metric of :class:`ExpectColumnValuesToBeDate`."""

    condition_metric_name = "column_values.date"
    filter_column_isnull = False  # the condition passes NULL itself
    condition_value_keys = ("formats",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, formats: list[str] | None = None, **_: Any) -> Any:
        parsed = sql.timestamp(sql.text(column.name), formats or ())
        return sql.condition(sql.unless_null(column.name, f"{parsed} IS NOT NULL"))


class ExpectColumnValuesToBeDate(RowExpectation):
    """Expect every value to be a day of the calendar, optionally with a time.

    Args:
        column: text (or any type that reads as text); NULL is ignored, surrounding blanks do not matter.
        formats: strptime formats accepted besides ISO ("2024-01-31", "2024-01-31T08:15:00Z"), each naming a
            year, a month and a day. Formats with a time zone are not supported.

    "2024-02-30" fails, as does a year of fewer than four digits.
    """

    formats: list[str] | SuiteParameterDict = pydantic.Field(default_factory=list)

    map_metric = "column_values.date"
    success_keys = ("formats", "mostly")

    _check = pydantic.validator("formats", allow_reuse=True)(checked_formats)


class ValuesReadable(ColumnMapMetricProvider):
    """Metric of :class:`ExpectColumnValuesToBeReadable`."""

    condition_metric_name = "column_values.readable"
    filter_column_isnull = False  # the condition passes NULL itself

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, **_: Any) -> Any:
        return sql.condition(_not_told("_unreadable", column.name))


class ExpectColumnValuesToBeReadable(RowExpectation):
    """Expect every text of an input column to have been read by the column's type.

    Args:
        column: the text of an input column (``_text_<name>``); the batch says in ``_unreadable`` which of a row's
            texts could not be read.
    """

    map_metric = "column_values.readable"


class ValuesPlausible(ColumnMapMetricProvider):
    """Metric of :class:`ExpectColumnValuesToBePlausible`."""

    condition_metric_name = "column_values.plausible"
    filter_column_isnull = False  # the condition passes NULL itself

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, **_: Any) -> Any:
        return sql.condition(_not_told("_implausible", column.name))


class ExpectColumnValuesToBePlausible(RowExpectation):
    """Expect every day of an input column to be one of business: no placeholder such as 1900-01-01, none to come.

    Args:
        column: the text of an input column (``_text_<name>``); the batch says in ``_implausible`` which of a row's
            days do not count.
    """

    map_metric = "column_values.plausible"


def _not_told(told: str, column: str) -> str:
    name = column.removeprefix(TEXT_PREFIX)
    return f"NOT coalesce(contains({sql.quote(told)}, {sql.literal(f',{name},')}), false)"


class ValuesIsoDate(ColumnMapMetricProvider):
    """Metric of :class:`ExpectColumnValuesToBeIsoDate`."""

    condition_metric_name = "column_values.iso_date"
    filter_column_isnull = False  # the condition passes NULL itself

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, **_: Any) -> Any:
        is_iso = sql.is_iso(f"CAST({sql.quote(column.name)} AS VARCHAR)")
        return sql.condition(sql.unless_null(column.name, is_iso))


class ExpectColumnValuesToBeIsoDate(RowExpectation):
    """Expect every value to be written as YYYY-MM-DD, optionally followed by a time of day.

    Args:
        column: text; NULL is ignored. Surrounding blanks fail: the rule finds what a repair would rewrite.
    """

    map_metric = "column_values.iso_date"


class ValuesTimelyIsoDate(ColumnMapMetricProvider):
    """Metric of :class:`ExpectColumnValuesToBeTimelyIsoDate`."""

    condition_metric_name = "column_values.timely_iso_date"
    filter_column_isnull = False  # the condition passes NULL itself
    condition_value_keys = ("latest_day", "grace_days", "formats")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column: Any,
        latest_day: str | None = None,
        grace_days: int = 0,
        formats: list[str] | None = None,
        **_: Any,
    ) -> Any:
        value = f"CAST({sql.quote(column.name)} AS VARCHAR)"
        limit = date.fromisoformat(latest_day) + timedelta(days=grace_days) if latest_day else date.max
        if formats:
            parsed = sql.timestamp(sql.text(column.name), formats)
            passes = f"coalesce(CAST({parsed} AS DATE) <= DATE {sql.literal(limit.isoformat())}, false)"
        else:
            # As text: an ISO day sorts as it is dated, and the value need not be parsed once more.
            in_time = f"coalesce(left({value}, 10) <= {sql.literal(limit.isoformat())}, false)"
            passes = f"{sql.is_iso(value)} AND {in_time}"
        return sql.condition(sql.unless_null(column.name, passes))


class ExpectColumnValuesToBeTimelyIsoDate(RowExpectation):
    """Expect every value to be written as YYYY-MM-DD, optionally with a time, and not to lie in the future.

    Args:
        column: text, usually the version of a row: the greatest text wins there, so another way of writing or
            a date that nothing can follow would win for good. NULL is ignored.
        latest_day: ISO day up to which a value can rightly lie, usually a parameter; None checks the form only.
        grace_days: days after it that are fine still, for zones and clocks.
        formats: strptime formats that the column may use besides ISO, where it is a business date too.
    """

    latest_day: str | SuiteParameterDict | None = None
    grace_days: int = 2
    formats: list[str] | SuiteParameterDict = pydantic.Field(default_factory=list)

    map_metric = "column_values.timely_iso_date"
    success_keys = ("latest_day", "grace_days", "formats", "mostly")

    _check = pydantic.validator("formats", allow_reuse=True)(checked_formats)


class ValuesNumber(ColumnMapMetricProvider):
    """Metric of :class:`ExpectColumnValuesToBeNumber`."""

    condition_metric_name = "column_values.number"
    filter_column_isnull = False  # the condition passes NULL itself
    condition_value_keys = ("min_value", "max_value", "strict_min", "strict_max")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column: Any,
        min_value: float | str | None = None,
        max_value: float | str | None = None,
        strict_min: bool = False,
        strict_max: bool = False,
        **_: Any,
    ) -> Any:
        value = sql.number(sql.text(column.name))
        tests = []
        if min_value is not None:
            tests.append(f"{value} {'>' if strict_min else '>='} {_number_literal(min_value)}")
        if max_value is not None:
            tests.append(f"{value} {'<' if strict_max else '<='} {_number_literal(max_value)}")
        passes = f"coalesce({' AND '.join(tests)}, false)" if tests else f"{value} IS NOT NULL"
        return sql.condition(sql.unless_null(column.name, passes))


def _number_literal(value: float | str) -> str:
    return f"CAST({sql.literal(str(value))} AS {sql.NUMBER_TYPE})"


class ExpectColumnValuesToBeNumber(RowExpectation):
    """Expect every value to be a number that fits DECIMAL(18, 4), optionally within limits.

    Args:
        column: text (or any type that reads as text); NULL is ignored, surrounding blanks do not matter.
        min_value, max_value: limits in the unit of the column, included unless strict_min / strict_max.
            Values are compared rounded to four decimals.

    "1e3" is a number; "1,000", "1_000", "NaN" and "inf" are not.
    """

    min_value: float | str | SuiteParameterDict | None = None
    max_value: float | str | SuiteParameterDict | None = None
    strict_min: bool = False
    strict_max: bool = False

    map_metric = "column_values.number"
    success_keys = ("min_value", "max_value", "strict_min", "strict_max", "mostly")


class ValuesRobustZScore(ColumnMapMetricProvider):
    """Metric of :class:`ExpectColumnValuesToBeWithinRobustZScore`."""

    condition_metric_name = "column_values.within_robust_z_score"
    filter_column_isnull = False  # the condition passes NULL itself
    condition_value_keys = ("median_log", "mad_log", "threshold")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column: Any,
        median_log: float | None = None,
        mad_log: float | None = None,
        threshold: float | None = None,
        **_: Any,
    ) -> Any:
        if median_log is None or threshold is None or not mad_log or not all(map(math.isfinite, (median_log, mad_log))):
            return sql.condition("true")  # without a spread nothing can be called unusual
        value = f"nullif({sql.number(sql.text(column.name))}, 0)"
        allowed = float(threshold) * _MAD_TO_SIGMA * float(mad_log)
        distance = f"abs(ln(CAST(abs({value}) AS DOUBLE)) - {float(median_log)!r}::DOUBLE)"
        return sql.condition(f"coalesce({distance} <= {allowed!r}::DOUBLE, true)")


class ExpectColumnValuesToBeWithinRobustZScore(RowExpectation):
    """Expect usual sizes of amounts: |ln|x| - median| / (1.4826 * MAD) is at most ``threshold``.

    Args:
        column: amounts; NULL, zero and text that is no number are ignored (other rules find those).
        median_log, mad_log: median and median absolute deviation of ln|x| of accepted rows, natural
            logarithm; usually parameters of the day. Missing statistics or a deviation of zero pass every
            row.
        threshold: robust standard deviations, for example 8.
    """

    median_log: float | SuiteParameterDict | None = None
    mad_log: float | SuiteParameterDict | None = None
    threshold: float | SuiteParameterDict

    map_metric = "column_values.within_robust_z_score"
    success_keys = ("median_log", "mad_log", "threshold", "mostly")
