"""How fresh the sources are on a night, noted for the mart ``fct_publication``: newest load, newest date, limit."""

from __future__ import annotations

from datetime import date

import duckdb

from customer_tiering.gate import sql
from customer_tiering.gate.gate import suite_of
from customer_tiering.gate.suites import Suite
from customer_tiering.inputs.mapping import MappedEntity, MappedSource
from customer_tiering.sql import quote

_FRESHNESS_RULE = "expect_newest_value_to_be_recent"


def record_freshness(connection: duckdb.DuckDBPyConnection, source: MappedSource, as_of: date) -> None:
    """Note what is known of every entity of a source on the night, in place of an earlier try's note.

    The date is the one that the entity's freshness rule judges, or else its version; other than ISO it stays unknown.
    """
    for entity in source.entities:
        column, limit = _judged(suite_of(source, entity), entity)
        connection.execute(
            "insert or replace into meta.source_freshness "
            "select ?, ?, ?, ?, ?, load_id, make_timestamp(cast(cast(load_id as double) * 1000000 as bigint)), "
            f"newest_date, ? from ({_newest_load()}) cross join ({_newest_date(source, entity, column, as_of)})",
            [as_of, source.name, entity.name, source.label_en, source.label_zh, limit, source.name, entity.name],
        )


def _judged(suite: Suite, entity: MappedEntity) -> tuple[str | None, int | None]:
    """The dated column, and how many days it may lie before the night; None where no rule says."""
    for rule in suite.expectations:
        if rule.type == _FRESHNESS_RULE:
            return str(rule.kwargs["column"]), int(rule.kwargs["max_age_days"])
    return entity.version, None


def _newest_load() -> str:
    """SELECT of one row: the newest load that brought rows of the entity, or null."""
    return (
        "select arg_max(load_id, cast(load_id as double)) as load_id from meta.gated_loads "
        "where source = ? and entity = ? and rows_in > 0"
    )


def _newest_date(source: MappedSource, entity: MappedEntity, column: str | None, as_of: date) -> str:
    """SELECT of one row: the newest accepted date, or null."""
    if column is None:
        return "select cast(null as date) as newest_date"
    newest = sql.newest_iso_date(column, as_of)
    return f"select {newest} as newest_date from {quote('raw', f'{source.name}__{entity.name}')}"
