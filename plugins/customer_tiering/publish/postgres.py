"""A copy of the published marts in Postgres, for tools that cannot read DuckDB or Parquet.

The copy is made from the snapshot behind ``current``, after the pointer moved: the snapshot is the record of accepted
nights, so Postgres must never show a night that was not accepted, and may well be a night behind while it is down.

Load and swap are one transaction: readers see yesterday's schema until they see tonight's, and whoever is killed on the
way leaves nothing. The swap holds every old table for a moment, so no transaction that has begun to read one night
goes on with another. Rows are written frozen: a transaction whose snapshot is older than the load finds them, instead
of empty tables.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from customer_tiering.company.profile import Profile
from customer_tiering.errors import PublishError, TargetError
from customer_tiering.publish.contract import Mart, marts_of_models
from customer_tiering.publish.postgres_types import as_csv_value, postgres_type
from customer_tiering.publish.snapshot import DATABASE, SCHEMA, Manifest, mart_names, published_folder, read_manifest
from customer_tiering.sql import literal, quote

MANIFEST_TABLE = "manifest"
_MARK = "customer-tiering"
_OLD = "__old_"
_CONNECT_SECONDS = 10
# The swap takes the old tables when nobody reads; every so often it queues for them, and readers that come wait behind
# it. It steps back well before deadlock_timeout (1 s by default): of a reader and a swap that wait for each other, the
# reader is never the one to be refused.
_SWAP_QUEUES_EVERY = 10
_SWAP_WAIT_MS = 400
_SWAP_PAUSE_SECONDS = 0.05
_SWAP_SECONDS = 300.0
_BUSY_SECONDS = 30
_LOCK_SPACE = 0x7E12  # of advisory locks; the second key is the schema's


@dataclass
class PostgresResult:
    """What was loaded: the snapshot's folder name, rows per mart (none when it was there already), and warnings."""

    schema: str
    snapshot: str
    rows: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def publish_to_postgres(
    profile: Profile, *, again: bool = False, swap_seconds: float = _SWAP_SECONDS
) -> PostgresResult:
    """Bring the profile's Postgres schema to the snapshot behind ``current``; nothing happens when it shows it already.

    ``again`` loads it anyway. Raises ``PublishError`` when there is nothing to load or no target, ``TargetError`` when
    Postgres cannot be brought up to date: it goes on showing what it showed.
    """
    target = profile.postgres_target
    if target is None:
        raise PublishError(
            f"profile {profile.name} names no postgres_target", "add one to the profile, see docs/bi.md, Postgres"
        )
    folder = published_folder(profile.workspace)
    schema = target.schema_of(profile.name)
    secrets: list[str] = []
    try:
        with closing(_connect(profile, secrets)) as connection:
            _one_at_a_time(connection, schema)
            folder = published_folder(profile.workspace)  # it may have waited while another night came
            scratch = profile.workspace.root / "postgres"
            loader = _Loader(connection, folder, scratch, schema, profile.name, target.read_role, swap_seconds)
            return loader.run(again=again)
    except psycopg2.Error as error:
        raise _unavailable(profile.name, folder, _said(error, secrets)) from None
    except (duckdb.Error, OSError) as error:
        raise _unavailable(profile.name, folder, str(error).splitlines()[0]) from error


class _Loader:
    """One load of one snapshot into one schema."""

    def __init__(
        self,
        connection: PgConnection,
        folder: Path,
        scratch: Path,
        schema: str,
        profile_name: str,
        read_role: str | None,
        swap_seconds: float,
    ) -> None:
        self.connection = connection
        self.folder = folder
        self.scratch = scratch
        self.schema = schema
        self.fresh = f"{schema}__new"
        self.profile_name = profile_name
        self.read_role = read_role
        self.swap_seconds = swap_seconds
        self.manifest = read_manifest(folder)
        self.result = PostgresResult(schema, folder.name)

    def run(self, *, again: bool) -> PostgresResult:
        with self.connection.cursor() as cursor:
            shown = self._shown(cursor)
            if again or shown != self.folder.name:
                self._load(cursor)
                self._swap(cursor)
            self.connection.commit()
            self._drop_old(cursor)
        return self.result

    def _shown(self, cursor: PgCursor) -> str | None:
        """The snapshot that the schema shows, None when there is none. Refuses a schema that is not ours."""
        cursor.execute(
            "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = %s", (self.schema,)
        )
        row = cursor.fetchone()
        if row is None:
            return None
        try:
            mark = json.loads(row[0] or "{}").get(_MARK, {})
        except (ValueError, AttributeError):
            mark = {}
        if mark.get("profile") != self.profile_name:
            raise TargetError(
                f"Postgres schema {self.schema} was not made by {self.profile_name}: it would be replaced as a whole",
                "name another schema in postgres_target (schema: …), or drop this one if nobody needs it",
            )
        return str(mark.get("snapshot"))

    # --- load ---------------------------------------------------------------------------------------------------

    def _load(self, cursor: PgCursor) -> None:
        cursor.execute(f"create schema {quote(self.fresh)}")
        mark = {_MARK: {"profile": self.profile_name, "snapshot": self.folder.name}}
        cursor.execute(f"comment on schema {quote(self.fresh)} is %s", (json.dumps(mark),))
        described = marts_of_models()
        with (
            duckdb.connect(str(self.folder / DATABASE), read_only=True) as snapshot,
            _emptied(self.scratch),
        ):
            for name in mart_names(snapshot):
                self.result.rows[name] = self._load_mart(cursor, snapshot, name, described.get(name))
        self._load_manifest(cursor)
        if self.read_role:
            self._grant(cursor, self.read_role)

    def _load_mart(self, cursor: PgCursor, snapshot: duckdb.DuckDBPyConnection, name: str, mart: Mart | None) -> int:
        table = quote(self.fresh, name)
        columns = [
            (str(column), str(kind))
            for column, kind in snapshot.execute(
                "select column_name, data_type from duckdb_columns() where schema_name = ? and table_name = ? "
                "and database_name = current_database() order by column_index",
                [SCHEMA, name],
            ).fetchall()
        ]
        types = {column: postgres_type(kind, where=f"{name}.{column}") for column, kind in columns}
        cursor.execute(f"create table {table} ({', '.join(f'{quote(c)} {t}' for c, t in types.items())})")
        values = ", ".join(f"{as_csv_value(quote(column), kind)} as {quote(column)}" for column, kind in columns)
        path = self.scratch / f"{name}.csv"
        snapshot.execute(
            f"copy (select {values} from {quote(SCHEMA, name)}) to {literal(str(path))} "
            "(format csv, header false, nullstr '\\N')"
        )
        with path.open("rb") as rows:
            cursor.copy_expert(f"copy {table} from stdin (format csv, null '\\N', freeze true)", rows)
        loaded = cursor.rowcount
        path.unlink()
        if loaded != self.manifest.rows[name]:
            raise TargetError(
                f"Postgres took {loaded} rows of mart {name}, the snapshot has {self.manifest.rows[name]}",
                "nothing was changed; run again, and report it if it stays",
            )
        if mart is not None:
            self._describe(cursor, snapshot, mart, types)
        cursor.execute(f"analyze {table}")
        return loaded

    def _describe(
        self, cursor: PgCursor, snapshot: duckdb.DuckDBPyConnection, mart: Mart, types: dict[str, str]
    ) -> None:
        """Key and comments. The grain is the primary key, or a unique index where parts of it may be missing."""
        table = quote(self.fresh, mart.name)
        cursor.execute(f"comment on table {table} is %s", (mart.description,))
        for column in mart.columns:
            if column.name in types:
                cursor.execute(f"comment on column {table}.{quote(column.name)} is %s", (column.description,))
        if not set(mart.grain) <= set(types):
            return  # a snapshot older than the models
        missing = " or ".join(f"{quote(column)} is null" for column in mart.grain)
        key = ", ".join(quote(column) for column in mart.grain)
        whole = not snapshot.execute(f"select 1 from {quote(SCHEMA, mart.name)} where {missing} limit 1").fetchone()
        cursor.execute(
            f"alter table {table} add primary key ({key})" if whole else f"create unique index on {table} ({key})"
        )

    def _load_manifest(self, cursor: PgCursor) -> None:
        """Table ``manifest``, one row: what manifest.json says, so that a reader can tell which night it reads."""
        table = quote(self.fresh, MANIFEST_TABLE)
        cursor.execute(
            f"create table {table} (profile text not null, as_of_date date not null, run_id text not null, "
            "snapshot text not null, contract_version text, currency text not null, headline_scheme text not null, "
            "details jsonb not null)"
        )
        manifest: Manifest = self.manifest
        row = io.StringIO()
        csv.writer(row).writerow(
            [
                manifest.profile,
                manifest.as_of_date,
                manifest.run_id,
                self.folder.name,
                manifest.contract_version,
                manifest.currency,
                manifest.headline_scheme,
                json.dumps(asdict(manifest), ensure_ascii=False),
            ]
        )
        row.seek(0)
        cursor.copy_expert(f"copy {table} from stdin (format csv, freeze true)", row)
        cursor.execute(f"comment on table {table} is %s", ("Which night, run and rules these marts are of. One row.",))

    def _grant(self, cursor: PgCursor, role: str) -> None:
        cursor.execute("select 1 from pg_roles where rolname = %s", (role,))
        if cursor.fetchone() is None:
            raise TargetError(
                f"Postgres has no role {role}, which postgres_target names as read_role",
                f"create it (create role {role}) or take it out of the profile, then: tiering publish-postgres "
                f"--profile {self.profile_name}",
            )
        cursor.execute(f"grant usage on schema {quote(self.fresh)} to {quote(role)}")
        cursor.execute(f"grant select on all tables in schema {quote(self.fresh)} to {quote(role)}")

    # --- swap ---------------------------------------------------------------------------------------------------

    def _swap(self, cursor: PgCursor) -> None:
        """Put the fresh schema in the place of the old one, once no reader is in the middle of a transaction on it."""
        cursor.execute("select 1 from pg_namespace where nspname = %s", (self.schema,))
        if cursor.fetchone() is not None:
            self._hold_old_tables(cursor)
            old = f"{self.schema}{_OLD}{self._free_number(cursor)}"
            cursor.execute(f"alter schema {quote(self.schema)} rename to {quote(old)}")
        cursor.execute(f"alter schema {quote(self.fresh)} rename to {quote(self.schema)}")

    def _hold_old_tables(self, cursor: PgCursor) -> None:
        """Lock all old tables at once. Stepping back on every wait leaves no chance of a deadlock with a reader."""
        cursor.execute("select tablename from pg_tables where schemaname = %s order by 1", (self.schema,))
        tables = ", ".join(quote(self.schema, name) for (name,) in cursor.fetchall())
        if not tables:
            return
        deadline = time.monotonic() + self.swap_seconds
        for attempt in itertools.count(1):
            cursor.execute("savepoint before_swap")
            try:
                nowait = "nowait" if attempt % _SWAP_QUEUES_EVERY else ""
                cursor.execute(f"set local statement_timeout = {_SWAP_WAIT_MS}")
                cursor.execute(f"lock table {tables} in access exclusive mode {nowait}")
                cursor.execute("set local statement_timeout = 0")
                return
            except (
                psycopg2.errors.LockNotAvailable,
                psycopg2.errors.QueryCanceled,
                psycopg2.errors.DeadlockDetected,
            ):
                cursor.execute("rollback to savepoint before_swap")
                if time.monotonic() > deadline:
                    raise TargetError(
                        f"readers have held the marts in Postgres schema {self.schema} for {self.swap_seconds:g} s: "
                        f"it still shows the night before{self._holders(cursor)}",
                        "end transactions that were left open (select pg_terminate_backend(<pid>)), then: "
                        f"tiering publish-postgres --profile {self.profile_name}",
                    ) from None
                time.sleep(_SWAP_PAUSE_SECONDS)

    def _holders(self, cursor: PgCursor) -> str:
        cursor.execute(
            "select distinct l.pid, a.usename, a.application_name from pg_locks l "
            "join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace "
            "join pg_stat_activity a on a.pid = l.pid where n.nspname = %s and l.pid <> pg_backend_pid() order by 1",
            (self.schema,),
        )
        held = [f"pid {pid} ({user}{f', {name}' if name else ''})" for pid, user, name in cursor.fetchall()]
        return f"; held by {', '.join(held)}" if held else ""

    def _free_number(self, cursor: PgCursor) -> int:
        taken = [int(name.rsplit("_", 1)[1]) for name in self._old_schemas(cursor)]
        return max(taken, default=0) + 1

    def _old_schemas(self, cursor: PgCursor) -> list[str]:
        """Schemas that an earlier swap moved aside, by name."""
        cursor.execute(
            "select nspname from pg_namespace where nspname ~ %s and obj_description(oid, 'pg_namespace') like %s "
            "order by 1",
            (f"^{self.schema}{_OLD}[0-9]+$", f"%{_MARK}%"),
        )
        return [str(name) for (name,) in cursor.fetchall()]

    def _drop_old(self, cursor: PgCursor) -> None:
        """Drop what swaps moved aside; views of other people that stand on it keep it alive and are named."""
        for old in self._old_schemas(cursor):
            cursor.execute(f"set local lock_timeout = {_SWAP_WAIT_MS}")
            cursor.execute("select tablename from pg_tables where schemaname = %s", (old,))
            tables = ", ".join(quote(old, name) for (name,) in cursor.fetchall())
            try:
                if tables:
                    cursor.execute(f"drop table {tables}")
                cursor.execute(f"drop schema {quote(old)}")
                self.connection.commit()
            except psycopg2.errors.DependentObjectsStillExist as error:
                self.connection.rollback()
                depends = (error.diag.message_detail or "").splitlines()
                self.result.warnings.append(
                    f"Postgres schema {old} holds an earlier night and cannot be dropped: {'; '.join(depends[:3])}. "
                    f"Whatever stands on it keeps showing that night; make it read {self.schema} again each night, or "
                    "ask the BI tool for the query instead"
                )
            except psycopg2.errors.LockNotAvailable:
                self.connection.rollback()  # somebody still reads it; the next load drops it


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """A folder of one's own for files on their way, gone afterwards; a killed load may have left some."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _connect(profile: Profile, secrets: list[str]) -> PgConnection:
    """A connection to the profile's target; what must not be told is added to ``secrets`` first."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(profile.resolve_postgres())
        port = url.port
    except (ArgumentError, ValueError):
        url = None
    if url is None or not url.drivername.startswith("postgres"):
        raise TargetError(
            f"profile {profile.name}: postgres_target leads to no Postgres URL",
            "it looks like postgresql://user:password@host:5432/database; percent-encode signs such as @ and /",
        )
    if url.password:
        secrets.append(str(url.password))
    options = {key: value for key, value in url.query.items() if not key.startswith("__")}
    arguments: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": _MARK,
        **options,
        "host": url.host or options.get("host"),
        "port": port or options.get("port"),
        "dbname": url.database,
        "user": url.username,
        "password": url.password,
    }
    return psycopg2.connect(**{key: value for key, value in arguments.items() if value is not None})


def _one_at_a_time(connection: PgConnection, schema: str) -> None:
    """Hold the schema for this session; the lock ends with it, also after a kill."""
    with connection.cursor() as cursor:
        cursor.execute("set statement_timeout = 0; set idle_in_transaction_session_timeout = 0")
        connection.commit()
        cursor.execute(f"set local lock_timeout = '{_BUSY_SECONDS}s'")
        try:
            cursor.execute("select pg_advisory_lock(%s, hashtext(%s))", (_LOCK_SPACE, schema))
        except psycopg2.errors.LockNotAvailable:
            raise TargetError(
                f"Postgres schema {schema} is being loaded by another run", "wait for it to end, then run again"
            ) from None
        connection.commit()


def _said(error: psycopg2.Error, secrets: list[str]) -> str:
    """The first line of what Postgres said, without a password."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    for secret in secrets:
        line = line.replace(secret, "***")
    return line


def _unavailable(profile_name: str, folder: Path, said: str) -> TargetError:
    return TargetError(
        f"the night is published ({folder.name}), but Postgres could not be brought up to date and shows what it "
        f"showed before: {said}",
        f"fix Postgres (is it up, is there room, are user and password right?); the next run loads it, or at once: "
        f"tiering publish-postgres --profile {profile_name}",
    )
