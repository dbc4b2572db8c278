"""SQL entities: dlt's ``sql_table``, every column as text; incremental by the cursor column and by what was landed."""

from __future__ import annotations

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
        inspector = sa.inspect(engine)
        tables = set(inspector.get_table_names()) | set(inspector.get_view_names())
        for entity in source.entities:
            if entity.table not in tables:
                raise SourceError(
                    f"source {source.name}, entity {entity.name}: there is no table {entity.table!r} "
                    f"(there are: {', '.join(sorted(tables)) or 'none'})",
                    "check the url in the profile and the rights of its user",
                )
            present = {column["name"] for column in inspector.get_columns(entity.table)}
            if missing := [column for column in entity.columns if entity.header(column) not in present]:
                raise SourceError(
                    f"source {source.name}, entity {entity.name}: table {entity.table} has no column "
                    f"{', '.join(missing)} (it has: {', '.join(sorted(present))})",
                    "correct the mapping of the source in the profile, or the table",
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
                query = sa.select(sa.func.count()).select_from(sa.table(entity.table or "")).where(cursor >= bound)
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
    wanted = sa.select(*keys).select_from(sa.table(entity.table or "")).distinct()
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
    """A dlt resource of the table's rows that were not landed before, as text: from the last cursor less the look-back
    on, or of the ``whole`` table, up to ``bound`` (excluded)."""

    if entity.table is None:
        raise ValueError(f"entity {entity.name} is not declared as a table")
    low = None if whole else known.low_mark(bound)

    def as_text(table: sa.Table) -> None:
        for column in table.columns:
            column.type = sa.Text()

    def select_text(query: Any, table: sa.Table) -> Any:
        texts = query.with_only_columns(
            *(sa.cast(table.c[entity.header(name)], sa.Text).label(name) for name in entity.columns)
        )
        if entity.cursor is None:
            return texts
        cursor = table.c[entity.header(entity.cursor)]
        wanted = cursor < bound if low is None else sa.and_(cursor >= low, cursor < bound)
        return texts.where(sa.or_(cursor.is_(None), wanted))

    counter = 0

    def add_origin(rows: pa.Table) -> pa.Table:
        nonlocal counter
        first, counter = counter + 1, counter + rows.num_rows
        return (
            rows.append_column(FILE_COLUMN, pa.array([entity.table] * rows.num_rows, pa.string()))
            .append_column(ROW_COLUMN, pa.array(range(first, counter + 1), pa.int64()))
            .append_column(MALFORMED_COLUMN, pa.nulls(rows.num_rows, pa.string()))
        )

    resource = sql_table(
        credentials=url,
        table=entity.table,
        included_columns=[entity.header(column) for column in entity.columns],
        backend="pyarrow",
        chunk_size=_CHUNK_ROWS,
        table_adapter_callback=as_text,
        query_adapter_callback=select_text,
        write_disposition="append",
    )
    return resource.add_map(known.filter_new(low)).add_map(add_origin).with_name(entity.name)
