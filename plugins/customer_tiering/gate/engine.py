"""Great Expectations on a DuckDB connection this process already holds.

DuckDB lets one process write a file, and a second ``duckdb.connect`` to an open file must carry the same
configuration. duckdb-engine adds its own user agent to that configuration, so GX cannot open the warehouse
itself: it is given a cursor of the connection the caller holds (:func:`hold`).

A cursor is a connection of its own to the same database: it sees committed tables and views of the caller,
not its temporary tables and not the changes of a transaction that is still open.
"""

from __future__ import annotations

import os

# Before great_expectations is imported. 1.24.1 has no telemetry left that reads it; other versions do.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

import itertools
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

import duckdb
import sqlalchemy as sa
from duckdb_engine import ConnectionWrapper
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.datasource.fluent.config_str import ConfigStr
from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    MulticolumnMapMetricProvider,
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.multicolumn_condition_partial import (
    multicolumn_condition_partial,
)
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from sqlalchemy.pool import StaticPool

from customer_tiering.gate import sql

# The datasource has a field called "type", which hides the builtin inside its class.
_EngineType = type[SqlAlchemyExecutionEngine]

_HELD: dict[str, sa.Engine] = {}
_TOKENS = itertools.count(1)


class _AutocommitConnection(ConnectionWrapper):
    """The DBAPI connection SQLAlchemy sees: every statement commits by itself.

    SQLAlchemy would otherwise open a transaction at the first query and keep it: later queries would read
    an old state of the warehouse, and one failed rule would abort every rule after it.
    """

    def begin(self) -> None: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...


def hold(connection: duckdb.DuckDBPyConnection) -> str:
    """Make a held DuckDB connection reachable for :class:`DuckDBDatasource`; returns its connection string.

    The connection itself stays the caller's: GX works on a cursor of it. Give the string to :func:`release`
    when the validation is over.
    """
    connection_string = f"duckdb://held/{next(_TOKENS)}"
    engine = sa.create_engine(
        "duckdb://",
        creator=lambda: _AutocommitConnection(connection.cursor()),
        poolclass=StaticPool,  # one cursor for all of GX, and results stay readable until the next query
        hide_parameters=True,  # messages of failed statements must not carry values
    )
    # The Postgres dialect doubles backslashes when it writes a literal; DuckDB reads them as they are.
    engine.dialect._backslash_escapes = False  # type: ignore[attr-defined]
    _HELD[connection_string] = engine
    return connection_string


def release(connection_string: str) -> None:
    """Close the cursor GX worked on; the caller's connection stays open. Unknown strings are ignored."""
    engine = _HELD.pop(connection_string, None)
    if engine is not None:
        engine.dispose()


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """GX's SQL engine with one kept connection and no temporary tables.

    GX reads a result after it has left ``get_connection``; with SQLAlchemy 2 a closed DuckDB connection has
    no more rows ("list index out of range"), so the connection is kept until :meth:`close`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["create_temp_table"] = False  # nothing of GX may stay behind in the warehouse
        super().__init__(*args, **kwargs)

    @contextmanager
    def get_connection(self) -> Generator[sa.Connection, None, None]:
        """The one connection of this engine, opened at first use."""
        if self._connection is None or self._connection.closed:
            self._connection = self.engine.connect()
        yield self._connection

    def close(self) -> None:
        """Give the connection back; the held connection of the caller is untouched."""
        connection = getattr(self, "_connection", None)
        if connection is not None and not connection.closed:
            connection.close()
        self._connection = None

    def execute_query(self, query: Any) -> Any:
        """Run a query with its values written into the SQL.

        DuckDB plans a statement before it knows bound values: a bound pattern would be compiled again for
        every row, and no constant folded.
        """
        try:
            statement = str(query.compile(self.engine, compile_kwargs={"literal_binds": True}))
        except sa.exc.CompileError:  # a value without a literal form
            return super().execute_query(query)
        with self.get_connection() as connection:
            return connection.exec_driver_sql(statement)

    def fetch(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a statement written as plain DuckDB SQL (colons and percent signs mean themselves)."""
        with self.get_connection() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement).fetchall()]

    def batch_table(self, batch_id: str | None) -> str:
        """Quoted ``"schema"."table"`` of a loaded batch."""
        data: Any = self.batch_manager.active_batch_data
        if batch_id is not None:
            data = self.batch_manager.batch_data_cache.get(batch_id, data)
        return sql.table_name(data.source_table_name, data.source_schema_name)


class DuckDBDatasource(SQLDatasource):
    """``context.data_sources.add_duckdb``: a connection held by this process (see :func:`hold`).

    ``schema_name`` is the schema of its table assets.
    """

    type: Literal["duckdb"] = "duckdb"  # type: ignore[assignment]
    connection_string: ConfigStr | str
    schema_name: str | None = None

    @property
    def schema_(self) -> str | None:
        """Schema of the tables of this datasource."""
        return self.schema_name

    @property
    def execution_engine_type(self) -> _EngineType:
        """The engine above."""
        return DuckDBExecutionEngine

    def get_engine(self) -> sa.Engine:
        """The engine of the held connection; KeyError when it was never held or has been released."""
        return _HELD[str(self.connection_string)]

    def get_execution_engine(self) -> DuckDBExecutionEngine:
        """One execution engine per datasource."""
        if not isinstance(self._execution_engine, DuckDBExecutionEngine):
            self._execution_engine = DuckDBExecutionEngine(engine=self.get_engine())
        return self._execution_engine


# --- what GX itself does not know about DuckDB --------------------------------------------------------------


class DuckDBColumnTypes(TableMetricProvider):
    """Columns of a batch by one catalogue query; duckdb-engine's reflection needs several per table."""

    metric_name = "table.column_types"
    value_keys = ("include_nested",)
    default_kwarg_values = {"include_nested": True}  # noqa: RUF012 - GX reads a plain dict here

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls, execution_engine: DuckDBExecutionEngine, metric_domain_kwargs: dict[str, Any], **_: Any
    ) -> list[dict[str, Any]]:
        table = execution_engine.batch_table(metric_domain_kwargs.get("batch_id"))
        rows = execution_engine.fetch(f"DESCRIBE {table}")
        return [{"name": row[0], "type": row[1], "nullable": row[2] == "YES"} for row in rows]


def _matches(column: sa.ColumnElement[Any], pattern: str) -> sa.ColumnElement[bool]:
    """Whether the value contains a match of the pattern, like ``re.search``."""
    return sa.func.regexp_matches(sa.cast(column, sa.VARCHAR), pattern, type_=sa.Boolean)


class DuckDBMatchRegex(ColumnMapMetricProvider):
    """expect_column_values_to_match_regex."""

    condition_metric_name = "column_values.match_regex"
    condition_value_keys = ("regex",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, regex: str, **_: Any) -> Any:
        return _matches(column, regex)


class DuckDBNotMatchRegex(ColumnMapMetricProvider):
    """expect_column_values_to_not_match_regex."""

    condition_metric_name = "column_values.not_match_regex"
    condition_value_keys = ("regex",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, regex: str, **_: Any) -> Any:
        return sa.not_(_matches(column, regex))


class DuckDBMatchRegexList(ColumnMapMetricProvider):
    """expect_column_values_to_match_regex_list."""

    condition_metric_name = "column_values.match_regex_list"
    condition_value_keys = ("regex_list", "match_on")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, regex_list: list[str], match_on: str | None = "any", **_: Any) -> Any:
        combine = sa.and_ if match_on == "all" else sa.or_
        return combine(*(_matches(column, regex) for regex in regex_list))


class DuckDBNotMatchRegexList(ColumnMapMetricProvider):
    """expect_column_values_to_not_match_regex_list."""

    condition_metric_name = "column_values.not_match_regex_list"
    condition_value_keys = ("regex_list",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, regex_list: list[str], **_: Any) -> Any:
        return sa.not_(sa.or_(*(_matches(column, regex) for regex in regex_list)))


class DuckDBUnique(ColumnMapMetricProvider):
    """expect_column_values_to_be_unique as a plain condition, so that it is counted in the common scan.

    GX's own form is a window over all rows in a query of its own.
    """

    condition_metric_name = "column_values.unique"

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, _table: Any, _sqlalchemy_engine: sa.Engine, **_: Any) -> Any:
        return sql.condition(f"NOT {sql.is_repeated([column.name], sql.selectable(_table, _sqlalchemy_engine))}")


class DuckDBCompoundUnique(MulticolumnMapMetricProvider):
    """expect_compound_columns_to_be_unique with failing rows that can be selected by row id.

    GX's own query of failing rows names the batch next to the counting subquery without joining the two. Keys
    with a NULL part are not compared.
    """

    condition_metric_name = "compound_columns.unique"
    condition_domain_keys = (
        "batch_id",
        "table",
        "column_list",
        "row_condition",
        "condition_parser",
        "ignore_row_if",
    )

    @multicolumn_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column_list: list[Any], _table: Any, _sqlalchemy_engine: sa.Engine, **_: Any) -> Any:
        names = [column.name for column in column_list]
        return sql.condition(f"NOT {sql.is_repeated(names, sql.selectable(_table, _sqlalchemy_engine))}")


# GX knows by these names that its own forms bring their FROM clause along; the forms above do not. They are
# registered by now, so the name only serves that test.
DuckDBUnique.condition_metric_name = "duckdb.column_values.unique"
DuckDBCompoundUnique.condition_metric_name = "duckdb.compound_columns.unique"


class DuckDBQueryRowCount(TableMetricProvider):
    """Distinct row ids of a rule's own query, counted in the database (``expect_no_rows_from_query``)."""

    metric_name = "no_rows_from_query.count"
    value_keys = ("unexpected_rows_query", "row_id_column")

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        execution_engine: DuckDBExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> int:
        execution_engine.get_compute_domain(metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE)
        rows = execution_engine.fetch(
            "SELECT count(*) FROM ("
            + sql.row_ids(
                metric_value_kwargs["unexpected_rows_query"],
                execution_engine.batch_table(metric_domain_kwargs.get("batch_id")),
                metric_value_kwargs["row_id_column"],
            )
            + ")"
        )
        return int(rows[0][0])
