"""SQL entities: dlt's ``sql_table``, every column as text; incremental by the cursor column and by what was landed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from dlt.sources.sql_database import sql_table

from customer_tiering.errors import SourceError
from customer_tiering.extract.landed import Landed
from customer_tiering.sources.base import FILE_COLUMN, MALFORMED_COLUMN, ROW_COLUMN, Entity, Source

_CHUNK_ROWS = 100_000
# Up to so many keys of a table are compared one by one with landing, every night.
_COMPARED_KEYS = 1_000_000


def check_tables(source: Source, url: str) -> None:
    """Raise ``SourceError`` when the database, a declared table or a declared column is not there."""
    try:
        address = sa.make_url(url)
        engine = sa.create_engine(address)
    except (sa.exc.ArgumentError, ImportError, ValueError) as error:
        # Other messages may quote the URL, and with it the password.
        known = isinstance(error, ImportError | sa.exc.NoSuchModuleError)
        raise SourceError(
            f"source {source.name}: its database URL cannot be used: {error if known else 'it is no valid URL'}",
            "check the url in the profile (dialect://user:password@host:port/database); a database other than "
            "SQLite also needs its driver in the environment",
        ) from error
    if address.get_backend_name() == "sqlite":
        # SQLite would create an empty database where there is none.
        path = Path(address.database or "")
        if not path.is_file() or path.stat().st_size == 0:
            raise SourceError(
                f"source {source.name}: the database file {path} does not exist or is empty",
                "check the url in the profile",
            )
    try:
        for entity in source.entities:
            present = _columns_of(source, entity, engine)
            if missing := [entity.header(name) for name in entity.columns if entity.header(name) not in present]:
                place = f"table {entity.table}" if entity.table else "the query"
                raise SourceError(
                    f"source {source.name}, entity {entity.name}: {place} has no column "
                    f"{', '.join(missing)} (it has: {', '.join(sorted(present))})",
                    f"correct the mapping of the source in the profile, or {place}",
                )
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise SourceError(
            f"source {source.name}: the database {address.render_as_string(hide_password=True)} cannot be "
            f"read: {reason}",
            "see that it is up and that the connection is right; the next run goes on by itself",
        ) from error
    finally:
        engine.dispose()


def _columns_of(source: Source, entity: Entity, engine: sa.Engine) -> set[str]:
    where = f"source {source.name}, entity {entity.name}"
    if entity.query:
        try:
            with engine.connect() as connection:
                return set(connection.execute(sa.select(sa.text("*")).select_from(_rows(entity)).limit(0)).keys())
        except sa.exc.DBAPIError as error:
            raise SourceError(
                f"{where}: the query cannot be run: {str(error.orig).splitlines()[0]}",
                "correct the query in the profile; it is one select, without a semicolon at its end",
            ) from error
    inspector = sa.inspect(engine)
    schema, name = _table_name(entity)
    tables = {*inspector.get_table_names(schema), *inspector.get_view_names(schema)}
    if name not in tables:
        raise SourceError(
            f"{where}: there is no table {entity.table!r} (there are: {', '.join(sorted(tables)) or 'none'})",
            "check the url in the profile and the rights of its user; a table of another schema is schema.name",
        )
    return {column["name"] for column in inspector.get_columns(name, schema)}


def _table_name(entity: Entity) -> tuple[str | None, str]:
    schema, _, name = (entity.table or "").rpartition(".")
    return schema or None, name


def _rows(entity: Entity) -> sa.FromClause:
    """What the rows are selected from."""
    if entity.query:
        # A colon in the query is a colon, not a parameter.
        text = sa.text(re.sub(r"(?<!:):(?!:)", r"\\:", entity.query))
        return text.columns(*(sa.column(entity.header(name)) for name in entity.columns)).subquery("delivered")
    schema, name = _table_name(entity)
    return sa.table(name, schema=schema)


def rows_of_the_future(source: Source, url: str, bound: str) -> dict[str, int]:
    """Rows per entity whose cursor lies at or past ``bound``. They are not read: the cursor would move past every
    row of the days between, which then would never be read."""
    engine = sa.create_engine(url)
    counts = {}
    try:
        with engine.connect() as connection:
            for entity in source.entities:
                if entity.cursor is None:
                    continue
                cursor = sa.cast(sa.column(entity.header(entity.cursor or "")), sa.Text)
                query = sa.select(sa.func.count()).select_from(_rows(entity)).where(cursor >= bound)
                counts[entity.name] = int(connection.execute(query).scalar_one())
    finally:
        engine.dispose()
    return {name: count for name, count in counts.items() if count}


def keys_at_source(entity: Entity, url: str, bound: str, *, however_many: bool = False) -> tuple[int, pa.Table | None]:
    """Distinct keys of the table among the rows that are read (cursor below ``bound``, or none): their number, and the
    keys as text unless they are too many to be compared every night."""
    engine = sa.create_engine(url)
    keys: list[Any] = [
        sa.cast(sa.column(entity.header(column)), sa.Text).label(column) for column in entity.key_columns
    ]
    wanted = sa.select(*keys).select_from(_rows(entity)).distinct()
    if entity.cursor:
        cursor = sa.cast(sa.column(entity.header(entity.cursor)), sa.Text)
        wanted = wanted.where(sa.or_(cursor.is_(None), cursor < bound))
    try:
        with engine.connect() as connection:
            number = int(connection.execute(sa.select(sa.func.count()).select_from(wanted.subquery())).scalar_one())
            if number > _COMPARED_KEYS and not however_many:
                return number, None
            rows = connection.execute(wanted).fetchall()
    finally:
        engine.dispose()
    columns = list(zip(*rows, strict=True)) or [()] * len(keys)
    return number, pa.table(
        {name: pa.array(values, pa.string()) for name, values in zip(entity.key_columns, columns, strict=True)}
    )


def table_resource(entity: Entity, url: str, bound: str, known: Landed, *, whole: bool = False) -> Any:
    """A dlt resource of the rows of a table or query that were not landed before, as text: from the last cursor less
    the look-back on, or of the ``whole`` table, up to ``bound`` (excluded)."""

    if entity.files is not None:
        raise ValueError(f"entity {entity.name} is not declared as a table or query")
    low = None if whole else known.low_mark(bound)

    def select_text(_query: Any, _table: sa.Table) -> Any:
        texts = sa.select(
            *(sa.cast(sa.column(entity.header(name)), sa.Text).label(name) for name in entity.columns)
        ).select_from(_rows(entity))
        if entity.cursor is None:
            return texts
        cursor: sa.ColumnElement[Any] = sa.column(entity.header(entity.cursor))
        wanted = cursor < bound if low is None else sa.and_(cursor >= low, cursor < bound)
        return texts.where(sa.or_(cursor.is_(None), wanted))

    counter = 0

    def add_origin(rows: pa.Table) -> pa.Table:
        nonlocal counter
        first, counter = counter + 1, counter + rows.num_rows
        return (
            rows.append_column(FILE_COLUMN, pa.array([entity.table or "query"] * rows.num_rows, pa.string()))
            .append_column(ROW_COLUMN, pa.array(range(first, counter + 1), pa.int64()))
            .append_column(MALFORMED_COLUMN, pa.nulls(rows.num_rows, pa.string()))
        )

    # Every column arrives as text, whatever the database makes of it, and a query is in no catalog: nothing is looked
    # up there.
    metadata = sa.MetaData()
    sa.Table(entity.name, metadata, *(sa.Column(name, sa.Text()) for name in entity.columns))
    resource = sql_table(
        credentials=url,
        table=entity.name,
        metadata=metadata,
        backend="pyarrow",
        chunk_size=_CHUNK_ROWS,
        query_adapter_callback=select_text,
        write_disposition="append",
    )
    return resource.add_map(known.filter_new(low)).add_map(add_origin).with_name(entity.name)
