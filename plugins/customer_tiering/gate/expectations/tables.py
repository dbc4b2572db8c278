"""Rules about a whole table: how fresh it is, how much of it came, how far its figures moved since they were published.

They judge no single row, so they warn or block; what they saw is a line of text per finding (``observed_value``).
"""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

from great_expectations.compatibility import pydantic
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.suite_parameters import SuiteParameterDict
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

from customer_tiering.gate import sql
from customer_tiering.gate.engine import DuckDBExecutionEngine

_MAX_FINDINGS = 20


class TableExpectation(BatchExpectation):
    """A rule whose metric returns the findings as lines of text; none when it holds."""

    metric: ClassVar[str]
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002 - GX's signature
        execution_engine: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        findings = metrics[self.metric]
        return {"success": not findings, "result": {"observed_value": findings or "as expected"}}


class NewestValueAge(TableMetricProvider):
    """Metric of :class:`ExpectNewestValueToBeRecent`."""

    metric_name = "newest_value.too_old"
    value_keys = ("column", "as_of_date", "max_age_days")

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        execution_engine: DuckDBExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> list[str]:
        batch, accepted, _source, _entity = _entity_tables(execution_engine, metric_domain_kwargs)
        as_of, most = date.fromisoformat(metric_value_kwargs["as_of_date"]), metric_value_kwargs["max_age_days"]
        newest_of = sql.newest_iso_date(metric_value_kwargs["column"], as_of)
        ((newest,),) = execution_engine.fetch(
            f"SELECT CAST(max(day) AS VARCHAR) FROM (SELECT {newest_of} AS day FROM {batch} "
            f"UNION ALL SELECT {newest_of} FROM {accepted})"
        )
        if newest is None:
            return [f"there is no {metric_value_kwargs['column']} up to {as_of} at all"]
        age = (as_of - date.fromisoformat(newest)).days
        return [f"the newest {metric_value_kwargs['column']} is of {newest}, {age} days before {as_of}"] * (age > most)


class ExpectNewestValueToBeRecent(TableExpectation):
    """Expect the newest date known, tonight's or accepted earlier, to lie close to the night (freshness).

    Args:
        column: ISO dates as text; later than two days after the night do not count.
        as_of_date: ISO day of the night, a parameter.
        max_age_days: days it may lie before the night.

    Only for batches of the gate: accepted rows are looked up in ``raw.<source>__<entity>``.
    """

    column: str
    as_of_date: str | SuiteParameterDict
    max_age_days: int = pydantic.Field(ge=0)

    metric = "newest_value.too_old"
    metric_dependencies: ClassVar[tuple[str, ...]] = (metric,)
    success_keys: ClassVar[tuple[str, ...]] = ("column", "as_of_date", "max_age_days")


class VolumeOfNight(TableMetricProvider):
    """Metric of :class:`ExpectVolumeLikeRecentNights`."""

    metric_name = "volume.unlike_recent_nights"
    value_keys = ("as_of_date", "min_share", "max_share", "nights", "min_nights", "min_rows", "same_weekday")

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        execution_engine: DuckDBExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> list[str]:
        wanted = metric_value_kwargs
        batch, _accepted, source, entity = _entity_tables(execution_engine, metric_domain_kwargs)
        night = f"DATE {sql.literal(date.fromisoformat(wanted['as_of_date']).isoformat())}"
        of_source, of_entity = f"source = {sql.literal(source)}", f"entity = {sql.literal(entity)}"
        weekday = f"AND dayofweek(as_of_date) = dayofweek({night})" if wanted["same_weekday"] else ""
        ((tonight, usual, nights),) = execution_engine.fetch(
            f"""
            WITH nights AS (
                SELECT as_of_date FROM meta.run_loads WHERE {of_source} AND as_of_date < {night}
                UNION SELECT as_of_date FROM meta.gated_loads WHERE {of_source} AND as_of_date < {night}
            ), volumes AS (
                SELECT as_of_date, coalesce(sum(rows_in), 0) AS row_count
                FROM nights LEFT JOIN (FROM meta.gated_loads WHERE {of_source} AND {of_entity}) USING (as_of_date)
                GROUP BY as_of_date
            ), recent AS (  -- without the first night, which brings the whole past
                SELECT row_count FROM volumes
                WHERE as_of_date > (SELECT min(as_of_date) FROM volumes) {weekday}
                ORDER BY as_of_date DESC LIMIT {int(wanted["nights"])}
            )
            SELECT
                (SELECT coalesce(sum(rows_in), 0) FROM meta.gated_loads
                 WHERE {of_source} AND {of_entity} AND as_of_date = {night})
                + (SELECT count(*) FROM {batch} WHERE NOT _reopened),
                median(row_count), count(*)
            FROM recent
            """
        )
        if nights < wanted["min_nights"] or max(tonight, usual) < wanted["min_rows"]:
            return []
        fewest, most = usual * wanted["min_share"], usual * wanted["max_share"]
        if fewest <= tonight <= most:
            return []
        days = "same weekdays" if wanted["same_weekday"] else "nights"
        return [
            f"{int(tonight):,} rows tonight, {usual:,.0f} is usual (median of the last {nights} {days}); "
            f"between {fewest:,.0f} and {most:,.0f} would pass"
        ]


class ExpectVolumeLikeRecentNights(TableExpectation):
    """Expect the rows of the night to be about as many as on recent nights (volume).

    Args:
        as_of_date: ISO day of the night, a parameter.
        min_share, max_share: bounds as shares of the median of the recent nights.
        nights: how many nights the median is taken of; the very first night does not count.
        min_nights: with fewer nights the rule says nothing.
        min_rows: when both tonight and the median lie below it, chance decides and the rule says nothing.
        same_weekday: compare with nights of the same weekday only.

    Only for batches of the gate: the account of earlier loads (``meta.gated_loads``) says how many rows came.
    """

    as_of_date: str | SuiteParameterDict
    min_share: float = pydantic.Field(0.2, ge=0)
    max_share: float = pydantic.Field(5, gt=0)
    nights: int = pydantic.Field(10, ge=1)
    min_nights: int = pydantic.Field(3, ge=1)
    min_rows: int = pydantic.Field(50, ge=0)
    same_weekday: bool = True

    metric = "volume.unlike_recent_nights"
    metric_dependencies: ClassVar[tuple[str, ...]] = (metric,)
    success_keys: ClassVar[tuple[str, ...]] = (
        "as_of_date",
        "min_share",
        "max_share",
        "nights",
        "min_nights",
        "min_rows",
        "same_weekday",
    )


def _entity_tables(
    execution_engine: DuckDBExecutionEngine, metric_domain_kwargs: dict[str, Any]
) -> tuple[str, str, str, str]:
    """Batch, table of accepted rows, source and entity; the gate names batches ``gate.<source>__<entity>``."""
    execution_engine.get_compute_domain(metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE)
    batch = execution_engine.batch_table(metric_domain_kwargs.get("batch_id"))
    name = batch.rsplit(".", 1)[-1].strip('"')
    source, separator, entity = name.partition("__")
    if not separator:
        raise ValueError(f"{name} is no batch of the gate")
    return batch, sql.table_name(name, "raw"), source, entity
