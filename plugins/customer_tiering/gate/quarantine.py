"""Reading the quarantine: counts by rule, and single rows with their reasons, private values masked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import duckdb

from customer_tiering.company.profile import Profile
from customer_tiering.errors import DecisionError
from customer_tiering.inputs.mapping import MappedEntity
from customer_tiering.sources.base import PiiKind
from customer_tiering.sql import literal, quote

_NAME = re.compile(r"^([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)/(.+)$")


@dataclass(frozen=True)
class RowName:
    """How people name a row: ``erp.orders/1700000000.5:17`` (entity, load and row number)."""

    source: str
    entity: str
    row_id: str

    def __str__(self) -> str:
        return f"{self.source}.{self.entity}/{self.row_id}"

    @classmethod
    def parse(cls, text: str) -> RowName:
        """Raises ``DecisionError`` when the text names no row."""
        match = _NAME.match(text)
        if match is None:
            raise DecisionError(
                f"{text!r} is no name of a row", "take it from `tiering quarantine show`: erp.orders/1700000000.5:17"
            )
        return cls(*match.groups())


@dataclass(frozen=True)
class Failure:
    """A rule that a row breaks, and the value it breaks it with (masked where private)."""

    rule: str
    column: str | None
    value: str | None
    reason_en: str
    reason_zh: str


@dataclass(frozen=True)
class QuarantinedRow:
    """A row in quarantine. ``status`` is open, released, superseded or rejected; ``values`` are masked."""

    name: RowName
    status: str
    load_id: str
    file: str | None
    row_number: int
    first_seen: date
    last_seen: date
    closed_on: date | None
    decision_id: str | None
    values: dict[str, str | None]
    failures: list[Failure]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"name": str(self.name)}


def open_by_rule(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Rows still in quarantine per rule: source, entity, rule, reasons, count and since when the oldest waits. A
    row counts under each rule that it breaks."""
    tables = _tables(connection)
    if not tables:
        return []
    kept_out = " union all ".join(
        f"select {literal(name.split('__')[0])} as source, {literal(name.split('__', 1)[1])} as entity, "
        f"_row_id as row_id, _first_seen from {quote('quarantine', name)} where _status = 'open'"
        for name in tables
    )
    rows = connection.execute(
        f"select f.source, f.entity, f.rule, string_agg(distinct f.reason_en, '; ' order by f.reason_en), "
        "string_agg(distinct f.reason_zh, ';' order by f.reason_zh), count(*), "
        f"min(o._first_seen) from quarantine.failures f join ({kept_out}) o using (source, entity, row_id) "
        "group by f.source, f.entity, f.rule order by f.source, f.entity, f.rule"
    ).fetchall()
    names = ("source", "entity", "rule", "reason_en", "reason_zh", "rows", "oldest")
    return [dict(zip(names, row, strict=True)) for row in rows]


def count_by_status(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Rows of every entity that ever had one in quarantine, by status; a row counts once."""
    counts = []
    for name in _tables(connection):
        source, _, entity = name.partition("__")
        by_status = dict(
            connection.execute(
                f"select _status, count(*) from {quote('quarantine', name)} group by 1 order by 1"
            ).fetchall()
        )
        if by_status:
            counts.append({"source": source, "entity": entity} | by_status)
    return counts


def last_night(connection: duckdb.DuckDBPyConnection) -> date | None:
    """The last night that was gated."""
    row = connection.execute("select max(as_of_date) from meta.gated_loads").fetchone()
    return row[0] if row else None


def quarantined_rows(
    connection: duckdb.DuckDBPyConnection,
    profile: Profile,
    *,
    entities: Collection[tuple[str, str]] = (),
    rule: str = "",
    row_ids: Collection[str] = (),
    statuses: Collection[str] = ("open",),
    limit: int | None = None,
) -> list[QuarantinedRow]:
    """Rows in quarantine, longest waiting first; without filters all of them. ``entities`` are (source, entity)."""
    found: list[QuarantinedRow] = []
    declared = {(source.name, entity.name): entity for source in profile.all_sources() for entity in source.entities}
    for table in _tables(connection):
        source, _, entity_name = table.partition("__")
        if entities and (source, entity_name) not in entities:
            continue
        entity = declared.get((source, entity_name))
        if entity is None:  # of a source that the company no longer has
            continue
        where, parameters = ["true"], list[Any]()
        for column, wanted in (("q._status", statuses), ("q._row_id", row_ids)):
            if wanted:
                where.append(f"list_contains(?::varchar[], {column})")
                parameters.append(list(wanted))
        if rule:
            where.append(
                "exists (select 1 from quarantine.failures f where f.source = ? and f.entity = ? "
                "and f.rule = ? and f.row_id = q._row_id)"
            )
            parameters += [source, entity_name, rule]
        columns = ", ".join(f"q.{quote(column)}" for column in entity.fields)
        rows = connection.execute(
            "select q._row_id, q._status, q._load_id, q._source_file, q._row_number, q._first_seen, q._last_seen, "
            f"q._closed_on, q._decision_id, q._malformed, {columns} from {quote('quarantine', table)} q "
            f"where {' and '.join(where)} order by q._first_seen, q._load_id, q._row_number"
            + (f" limit {limit - len(found)}" if limit is not None else ""),
            parameters,
        ).fetchall()
        failures = _failures(connection, source, entity_name, [row[0] for row in rows])
        for row_id, status, load_id, file, number, first, last, closed, decision_id, malformed, *values in rows:
            found.append(
                QuarantinedRow(
                    name=RowName(source, entity_name, row_id),
                    status=status,
                    load_id=load_id,
                    file=file,
                    row_number=number,
                    first_seen=first,
                    last_seen=last,
                    closed_on=closed,
                    decision_id=decision_id,
                    values=_shown_values(entity, malformed, values),
                    failures=failures.get(row_id, []),
                )
            )
        if limit is not None and len(found) >= limit:
            break
    return found


def mask(value: str | None, kind: PiiKind) -> str | None:
    """A private value as it may be shown: ``138****5678``, ``a***@example.com``, ``张**``."""
    if value is None:
        return None
    if kind == "phone":
        return f"{value[:3]}****{value[-4:]}" if len(value) >= 11 else "****"
    if kind == "email":
        name, at, domain = value.partition("@")
        return f"{name[:1]}***{at}{domain}"
    return f"{value[:1]}**" if kind == "name" else "***"


def _shown_values(entity: MappedEntity, malformed: str | None, values: Iterable[str | None]) -> dict[str, str | None]:
    if malformed is not None:
        # The line as it came may hold anything, so of an entity with private columns nothing of it is shown.
        text = f"unreadable line of {len(malformed)} characters" if entity.pii else malformed[:200]
        return {"_malformed": text}
    return {
        column: mask(value, entity.pii[column]) if column in entity.pii else value
        for column, value in zip(entity.fields, values, strict=True)
        if value is not None
    }


def _failures(
    connection: duckdb.DuckDBPyConnection, source: str, entity: str, row_ids: list[str]
) -> dict[str, list[Failure]]:
    by_row: dict[str, list[Failure]] = {}
    for row_id, *failure in connection.execute(
        "select row_id, rule, column_name, offending_value, reason_en, reason_zh from quarantine.failures "
        "where source = ? and entity = ? and list_contains(?::varchar[], row_id) order by row_id, rule",
        [source, entity, row_ids],
    ).fetchall():
        by_row.setdefault(row_id, []).append(Failure(*failure))
    return by_row


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Quarantine tables (``<source>__<entity>``), sorted."""
    return [
        name
        for (name,) in connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'quarantine' and table_name <> 'failures' "
            "order by table_name"
        ).fetchall()
    ]
