"""What of a table was landed before: from where to read again, which rows are known, and whether any are missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from customer_tiering.extract.landing import completed_loads
from customer_tiering.sources.base import LOAD_COLUMN, Entity, Source, gone_table
from customer_tiering.sql import literal, quote


@dataclass(frozen=True)
class Counted:
    """Keys of a table at the source and in landing; those that were never landed, and those that are gone there.

    Of a table with more keys than are compared one by one, only the difference of the two counts is known.
    """

    at_source: int
    landed: int
    missing: int
    gone: int


class Landed:
    """The rows of an entity in finished loads, and the keys that were found gone, asked in SQL."""

    def __init__(self, source: Source, entity: Entity, landing: Path) -> None:
        self.entity = entity
        self.keys = ", ".join(quote(column) for column in entity.key_columns)
        self.connection = duckdb.connect()
        self.lacks: frozenset[str] = frozenset()
        """Columns that no load has, because the mapping did not name them: what was landed has to be landed anew."""
        loads = completed_loads(landing, source.name)
        for view, table, columns in (
            ("landed", entity.name, entity.columns),
            ("gone", gone_table(entity.name), entity.key_columns),
        ):
            folder = landing / source.name / table
            files = [str(path) for load in loads for path in sorted(folder.glob(f"{load.load_id}.*.parquet"))]
            names = ", ".join(map(quote, columns))
            rows = f"read_parquet([{', '.join(map(literal, files))}], union_by_name = true)"
            if files and table == entity.name:
                self.lacks = frozenset(columns) - self._columns_of(rows)
                added = "".join(f", cast(null as varchar) as {quote(column)}" for column in sorted(self.lacks))
                rows = f"(select *{added} from {rows})"
            elif not files:
                empty = ", ".join(f"cast(null as varchar) as {quote(column)}" for column in (*columns, LOAD_COLUMN))
                rows = f"(select {empty} where false)"
            listed = ", ".join(filter(None, [names, f"cast({LOAD_COLUMN} as double) as _load"]))
            self.connection.execute(f"create view {view} as select {listed} from {rows}")

    def _columns_of(self, rows: str) -> frozenset[str]:
        return frozenset(name for name, *_ in self.connection.execute(f"describe select * from {rows}").fetchall())

    def low_mark(self, bound: str) -> str | None:
        """The cursor from which on rows are read again: the greatest that was landed, less the days of look-back."""
        if self.entity.cursor is None or self.lacks:
            return None
        cursor = quote(self.entity.cursor)
        row = self.connection.execute(f"select max({cursor}) from landed where {cursor} < ?", [bound]).fetchone()
        mark: str | None = row[0] if row else None
        if mark is None or not self.entity.look_back_days:
            return mark
        try:
            day = date.fromisoformat(mark[:10])
        except ValueError:
            return mark  # a number, or a time in another form: no days to go back by
        return (day - timedelta(days=self.entity.look_back_days)).isoformat()

    def filter_new(self, low: str | None) -> Unknown:
        """A filter of rows that were not landed before, as often as they were; for rows from ``low`` on.

        What was landed before its key was found gone is not known: if it comes back, it is landed anew.
        """
        wanted = ["true"]
        if self.entity.cursor and low is not None:
            wanted.append(f"({quote(self.entity.cursor)} is null or {quote(self.entity.cursor)} >= {literal(low)})")
        if self.entity.compares_keys:
            same_key = " and ".join(f"g.{quote(key)} = l.{quote(key)}" for key in self.entity.key_columns)
            wanted.append(f"not exists (select 1 from gone g where {same_key} and g._load > l._load)")
        self.connection.execute(
            f"create or replace table known as select {_content(self.entity)} as content, count(*) as copies "
            f"from landed l where {' and '.join(wanted)} group by 1"
        )
        return Unknown(self.connection, self.entity)

    def count(self, at_source: int, keys: pa.Table | None) -> Counted:
        """Compare with the source: its number of distinct keys and, where they are compared one by one, the keys."""
        landed = self._number(self._alive())
        if keys is None:
            return Counted(at_source, landed, max(at_source - landed, 0), max(landed - at_source, 0))
        self.connection.register("at_source", keys)
        missing = self._number(f"select {self.keys} from at_source except {self._alive()}")
        return Counted(at_source, landed, missing, self._number(self._gone_now()))

    def gone(self, keys: pa.Table) -> pa.Table:
        """Landed keys that are not among ``keys``, as text."""
        self.connection.register("at_source", keys)
        return self.connection.execute(f"{self._gone_now()} order by all").to_arrow_table()

    def _alive(self) -> str:
        """SELECT of the landed keys that were not found gone since."""
        return (
            f"select {self.keys} from (select {self.keys}, max(_load) as _load from landed group by all) "
            f"left join (select {self.keys}, max(_load) as _gone from gone group by all) using ({self.keys}) "
            "where coalesce(_gone, 0) < _load"
        )

    def _gone_now(self) -> str:
        return f"{self._alive()} except select {self.keys} from at_source"

    def _number(self, rows: str) -> int:
        row = self.connection.execute(f"select count(*) from ({rows})").fetchone()
        return int(row[0]) if row else 0


class Unknown:
    """Leaves out of batches what is known; of rows that are alike in every column each copy counts."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, entity: Entity) -> None:
        self.connection, self.entity = connection, entity

    def __call__(self, rows: Any) -> pa.Table:
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        self.connection.register("batch", table)
        self.connection.execute(
            "create or replace temp table counted as "
            "select *, row_number() over (partition by _content order by _position) as _copy "
            f"from (select {_columns(self.entity)}, {_content(self.entity)} as _content, "
            "row_number() over () as _position from batch)"
        )
        new = self.connection.execute(
            f"select {_columns(self.entity)} from counted left join known on content = _content "
            "where _copy > coalesce(copies, 0) order by _position"
        ).to_arrow_table()
        self.connection.execute(
            "update known set copies = greatest(copies - came, 0) from "
            "(select _content, count(*) as came from counted group by 1) where content = _content"
        )
        self.connection.unregister("batch")
        return new


def _columns(entity: Entity) -> str:
    return ", ".join(quote(column) for column in entity.columns)


def _content(entity: Entity) -> str:
    """All columns as one text; a separator that no export uses keeps columns apart."""
    texts = " || chr(31) || ".join(f"coalesce({quote(column)}, chr(30))" for column in entity.columns)
    return f"md5({texts})"
