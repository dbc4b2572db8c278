"""The gate: new loads plus open quarantine go in; accepted rows, quarantined rows and their account come out.

Every step is SQL on the warehouse. A load is gated once per entity, in one transaction, so a run that was
killed goes on where it stopped, and ``rows in = kept + merged + quarantined`` holds to the row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import duckdb

from customer_tiering.errors import GateBlocked, TieringError
from customer_tiering.extract.landing import Load, completed_loads, load_files
from customer_tiering.quality.suites import Suite, load_suite
from customer_tiering.quality.validation import RuleOutcome, Validator
from customer_tiering.sources.base import FILE_COLUMN, LOAD_COLUMN, MALFORMED_COLUMN, ROW_COLUMN, Entity, Source
from customer_tiering.warehouse.identifiers import literal, quote
from customer_tiering.workspace import project_root

# Below this many amounts, median and MAD say little and the outlier rule lets everything through.
_MIN_ROWS_FOR_STATISTICS = 30
_OUTLIER_RULE = "expect_column_values_to_be_within_robust_z_score"


@dataclass(frozen=True)
class EntityAccount:
    """What became of the rows of one entity in one run of the gate."""

    source: str
    entity: str
    rows_in: int = 0
    rows_kept: int = 0
    rows_merged: int = 0
    rows_quarantined: int = 0
    rows_released: int = 0
    warnings: list[str] = field(default_factory=list)


def batch_table(source: Source, entity: Entity) -> str:
    return f"{source.name}__{entity.name}"


def ensure_tables(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Create the raw and quarantine tables of a source; add columns a newer declaration brought."""
    for entity in source.entities:
        name = batch_table(source, entity)
        declared = ", ".join(f"{quote(column)} varchar" for column in entity.columns)
        origin = "_row_id varchar primary key, _load_id varchar, _row_number bigint, _source_file varchar"
        connection.execute(
            f"create table if not exists {quote('raw', name)} ({declared}, {origin}, "
            "_content_hash varchar, _is_merged boolean, _accepted_on date)"
        )
        connection.execute(
            f"create table if not exists {quote('quarantine', name)} ({declared}, {origin}, "
            "_malformed varchar, _status varchar, _first_seen date, _last_seen date, _closed_on date)"
        )
        for schema in ("raw", "quarantine"):
            for column in entity.columns:
                connection.execute(
                    f"alter table {quote(schema, name)} add column if not exists {quote(column)} varchar"
                )


class Gate:
    """One run of the gate over one source."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: Source,
        *,
        landing: Path,
        as_of: date,
        currency: str,
        results_dir: Path,
        run_time: datetime,
    ) -> None:
        self.connection = connection
        self.source = source
        self.landing = landing
        self.as_of = as_of
        self.currency = currency
        self.results_dir = results_dir
        self.run_time = run_time
        self._validator: Validator | None = None

    def run(self) -> list[EntityAccount]:
        """Gate every entity, parents first. Raises ``GateBlocked`` or ``TieringError``."""
        ensure_tables(self.connection, self.source)
        accounts = [self._gate_entity(entity) for entity in self.source.entities]
        if self._validator is not None:
            self._validator.build_docs()
            self._validator.close()
        return accounts

    def _gate_entity(self, entity: Entity) -> EntityAccount:
        loads = self._new_loads(entity)
        rows = self._stage_batch(entity, loads)
        if rows == 0:
            self._record_loads(entity, loads, counted={})
            return EntityAccount(self.source.name, entity.name)
        suite = load_suite(project_root() / "expectations" / self.source.name / f"{entity.name}.yml")
        outcomes = self._validate(entity, suite)
        warnings = self._stop_or_warn(entity, suite, outcomes)
        return self._move(entity, suite, loads, outcomes, warnings)

    # --- what goes in ------------------------------------------------------------------------------------

    def _new_loads(self, entity: Entity) -> list[Load]:
        gated = {
            load_id
            for (load_id,) in self.connection.execute(
                "select load_id from meta.gated_loads where source = ? and entity = ?",
                [self.source.name, entity.name],
            ).fetchall()
        }
        return [load for load in completed_loads(self.landing, self.source.name) if load.load_id not in gated]

    def _stage_batch(self, entity: Entity, loads: list[Load]) -> int:
        """Build ``gate.<source>__<entity>``: new rows and open quarantine; text without a value is missing."""
        name = batch_table(self.source, entity)
        columns = ", ".join(quote(column) for column in entity.columns)
        texts = ", ".join(f"{_value(entity, column)} as {quote(column)}" for column in entity.columns)
        parts = [
            f"select {columns}, _row_id, _load_id, _row_number, _source_file, _malformed, true as _reopened "
            f"from {quote('quarantine', name)} where _status = 'open'"
        ]
        files = [str(path) for load in loads for path in load_files(self.landing, entity, load)]
        if files:
            listed = ", ".join(literal(path) for path in files)
            parts.append(
                f"select {texts}, {LOAD_COLUMN} || ':' || {ROW_COLUMN} as _row_id, {LOAD_COLUMN} as _load_id, "
                f"{ROW_COLUMN} as _row_number, {FILE_COLUMN} as _source_file, {MALFORMED_COLUMN} as _malformed, "
                f"false as _reopened from read_parquet([{listed}], union_by_name = true)"
            )
        try:
            self.connection.execute(
                f"create or replace table {quote('gate', name)} as " + " union all by name ".join(parts)
            )
        except duckdb.Error as error:
            raise TieringError(
                f"source {self.source.name}, entity {entity.name}: the landed rows cannot be read: "
                f"{str(error).splitlines()[0]}",
                "if a column was added to the declaration, land the source again from the start: remove its "
                "folder under landing/",
            ) from error
        return self._scalar(f"select count(*) from {quote('gate', name)}")

    # --- what the rules say ------------------------------------------------------------------------------

    def _validate(self, entity: Entity, suite: Suite) -> list[RuleOutcome]:
        if self._validator is None:
            self._validator = Validator(
                self.connection,
                results_dir=self.results_dir / self.source.name,
                run_name=f"{self.as_of}",
                run_time=self.run_time,
            )
        return self._validator.validate(
            suite,
            schema="gate",
            table=batch_table(self.source, entity),
            parameters=self._parameters(entity, suite),
            pii_columns=frozenset(entity.pii),
        )

    def _parameters(self, entity: Entity, suite: Suite) -> dict[str, object]:
        """The company's currency; median and MAD of log amounts for each robust z-score rule, once per night."""
        parameters: dict[str, object] = {"reporting_currency": self.currency}
        name = batch_table(self.source, entity)
        columns = {str(rule.kwargs["column"]) for rule in suite.expectations if rule.type == _OUTLIER_RULE}
        for column in sorted(columns):
            key = [self.as_of, self.source.name, entity.name, column]
            self.connection.execute(
                f"""
                insert or ignore into meta.outlier_statistics
                with amounts as (
                    select ln(abs(try_cast({quote(column)} as double))) as log_amount
                    from (select {quote(column)} from {quote("raw", name)}
                          union all select {quote(column)} from {quote("gate", name)})
                    where abs(try_cast({quote(column)} as double)) > 0
                ),
                centre as (select median(log_amount) as median_log, count(*) as row_count from amounts)
                select ?, ?, ?, ?, median_log, median(abs(log_amount - median_log)), row_count
                from amounts cross join centre group by median_log, row_count
                """,
                key,
            )
            row = self.connection.execute(
                "select median_log, mad_log from meta.outlier_statistics where as_of_date = ? and source = ? "
                "and entity = ? and column_name = ? and row_count >= ?",
                [*key, _MIN_ROWS_FOR_STATISTICS],
            ).fetchone()
            parameters[f"{column}_median_log"], parameters[f"{column}_mad_log"] = row or (None, None)
        return parameters

    def _stop_or_warn(self, entity: Entity, suite: Suite, outcomes: Iterable[RuleOutcome]) -> list[str]:
        warnings = []
        rules = {rule.rule: rule for rule in suite.expectations}
        where = f"source {self.source.name}, entity {entity.name}"
        for outcome in outcomes:
            if outcome.error:
                raise TieringError(
                    f"{where}: rule {outcome.rule} could not be checked: {outcome.error}",
                    f"mend the rule in expectations/{self.source.name}/{entity.name}.yml",
                )
            if outcome.success:
                continue
            facts = f"{where}: rule {outcome.rule} fails for {outcome.unexpected} of {outcome.evaluated} rows"
            allowed = rules[outcome.rule].meta.max_quarantined_share
            over_share = allowed is not None and self._new_share(entity, outcome) > allowed
            if outcome.on_failure == "block" or over_share:
                limit = f", more than the {allowed:.0%} allowed" if over_share else ""
                raise GateBlocked(
                    f"{facts}{limit}; nothing of this night is published, yesterday's snapshot stays",
                    "ask the owner of the source for a corrected export; then raise the limit of this rule in "
                    f"expectations/{self.source.name}/{entity.name}.yml for one night: the bad rows go to "
                    "quarantine and the corrected ones take their place",
                )
            if outcome.on_failure == "warn":
                warnings.append(facts)
        return warnings

    def _new_share(self, entity: Entity, outcome: RuleOutcome) -> float:
        """Share of the new rows that fail; rows waiting in quarantine say nothing about tonight's delivery."""
        if not outcome.failing_rows_sql:
            return 0.0
        batch = quote("gate", batch_table(self.source, entity))
        new_rows = self._scalar(f"select count(*) from {batch} where not _reopened")
        failing = self._scalar(
            f"select count(*) from {batch} where not _reopened and _row_id in ({outcome.failing_rows_sql})"
        )
        return failing / new_rows if new_rows else 0.0

    # --- what comes out ----------------------------------------------------------------------------------

    def _move(
        self,
        entity: Entity,
        suite: Suite,
        loads: list[Load],
        outcomes: list[RuleOutcome],
        warnings: list[str],
    ) -> EntityAccount:
        connection, name = self.connection, batch_table(self.source, entity)
        batch, raw, kept_out = quote("gate", name), quote("raw", name), quote("quarantine", name)
        columns = ", ".join(quote(column) for column in entity.columns)
        connection.execute("begin")
        try:
            self._collect_failures(entity, suite, outcomes)
            connection.execute(
                f"create or replace temp table _decided as select b.*, "
                f"md5({_content(entity)}) as _content_hash, "
                "exists (select 1 from _failing f where f._row_id = b._row_id and f.on_failure = 'quarantine') "
                f"as _failed from {batch} b"
            )
            self._close_superseded(entity)
            connection.execute(
                f"""
                create or replace temp table _accepted as
                select *, row_number() over (
                    partition by _reopened, _load_id, {_key(entity)}
                    order by {_newest_first(entity)}
                ) > 1
                or exists (select 1 from {raw} r where r._content_hash = _decided._content_hash) as _is_merged
                from _decided where not _failed
                """
            )
            connection.execute(
                f"insert into {raw} by name select {columns}, _row_id, _load_id, _row_number, _source_file, "
                f"_content_hash, _is_merged, ?::date as _accepted_on from _accepted",
                [self.as_of],
            )
            connection.execute(
                f"insert into {kept_out} by name select {columns}, _row_id, _load_id, _row_number, _source_file, "
                "_malformed, 'open' as _status, ?::date as _first_seen, ?::date as _last_seen "
                "from _decided where _failed and not _reopened",
                [self.as_of, self.as_of],
            )
            connection.execute(
                f"update {kept_out} set _status = 'released', _closed_on = ? "
                "where _row_id in (select _row_id from _accepted where _reopened)",
                [self.as_of],
            )
            connection.execute(f"update {kept_out} set _last_seen = ? where _status = 'open'", [self.as_of])
            self._store_failures(entity)
            self._close_superseded(entity)  # new rows too, or gating the same loads again would close them
            counted = self._count_by_load()
            self._record_loads(entity, loads, counted)
            released = self._scalar("select count(*) from _accepted where _reopened")
            connection.execute(
                "insert into meta.releases values (?, ?, ?, ?) on conflict (source, entity, as_of_date) "
                "do update set rows_released = rows_released + excluded.rows_released",
                [self.source.name, entity.name, self.as_of, released],
            )
            connection.execute("commit")
        except BaseException:
            connection.execute("rollback")
            raise
        rows_in, kept, merged, quarantined = (
            sum(counts[position] for counts in counted.values()) for position in range(4)
        )
        return EntityAccount(self.source.name, entity.name, rows_in, kept, merged, quarantined, released, warnings)

    def _collect_failures(self, entity: Entity, suite: Suite, outcomes: list[RuleOutcome]) -> None:
        """Gather failing rows by each rule's own SQL; no row passes through Python."""
        name = batch_table(self.source, entity)
        self.connection.execute(
            "create or replace temp table _failing (_row_id varchar, rule varchar, on_failure varchar, "
            "column_name varchar, offending_value varchar, reason_en varchar, reason_zh varchar)"
        )
        for rule, outcome in zip(suite.expectations, outcomes, strict=True):
            if not outcome.failing_rows_sql or outcome.on_failure not in ("quarantine", "repair"):
                continue
            self.connection.execute(
                f"insert into _failing select b._row_id, ?, ?, ?, {_offending_value(entity, outcome.column)}, ?, ? "
                f"from {quote('gate', name)} b "
                f"where b._row_id in ({outcome.failing_rows_sql.rstrip().rstrip(';')})",
                [
                    outcome.rule,
                    outcome.on_failure,
                    outcome.column,
                    rule.meta.reason_en,
                    rule.meta.reason_zh,
                ],
            )

    def _close_superseded(self, entity: Entity) -> None:
        """A quarantined row whose key is accepted from a later load, now or before, is history: the correction
        came in."""
        name = batch_table(self.source, entity)
        raw, kept_out = quote("raw", name), quote("quarantine", name)
        same_key = " and ".join(f"r.{quote(column)} = q.{quote(column)}" for column in entity.key)
        newer = " or ".join(
            f"exists (select 1 from {rows} r where {same_key} and r._load_id > q._load_id)"
            for rows in (raw, "(select * from _decided where not _failed)")
        )
        self.connection.execute(
            f"update {kept_out} q set _status = 'superseded', _closed_on = ? where q._status = 'open' and ({newer})",
            [self.as_of],
        )
        self.connection.execute(
            f"delete from _decided where _reopened and _row_id in "
            f"(select _row_id from {kept_out} where _status = 'superseded')"
        )

    def _store_failures(self, entity: Entity) -> None:
        where = [self.source.name, entity.name]
        self.connection.execute(
            "delete from quarantine.failures where source = ? and entity = ? and row_id in "
            "(select _row_id from _decided where _reopened and _failed) and (row_id, rule) not in "
            "(select _row_id, rule from _failing)",
            where,
        )
        self.connection.execute(
            """
            insert into quarantine.failures
            select ?, ?, f._row_id, f.rule, f.column_name, f.offending_value, f.reason_en, f.reason_zh,
                   d._load_id, ?, ?
            from _failing f join _decided d using (_row_id)
            where f.on_failure = 'quarantine'
            on conflict (source, entity, row_id, rule) do update set last_seen = excluded.last_seen
            """,
            [*where, self.as_of, self.as_of],
        )
        self.connection.execute(
            "insert or ignore into meta.row_flags select ?, ?, f._row_id, f.rule from _failing f "
            "join _accepted a using (_row_id) where f.on_failure = 'repair'",
            where,
        )

    def _count_by_load(self) -> dict[str, tuple[int, int, int, int]]:
        """Rows in, kept, merged and quarantined of each new load of the batch."""
        return {
            load_id: (rows_in, kept, merged, quarantined)
            for load_id, rows_in, kept, merged, quarantined in self.connection.execute(
                """
                select d._load_id, count(*),
                       count(*) filter (not d._failed and not a._is_merged),
                       count(*) filter (not d._failed and a._is_merged),
                       count(*) filter (d._failed)
                from _decided d left join _accepted a using (_row_id)
                where not d._reopened group by d._load_id
                """
            ).fetchall()
        }

    def _record_loads(self, entity: Entity, loads: list[Load], counted: dict[str, tuple[int, int, int, int]]) -> None:
        """Account for each load once; a load without rows of this entity counts as zeros."""
        for load in loads:
            counts = counted.get(load.load_id, (0, 0, 0, 0))
            self.connection.execute(
                "insert into meta.gated_loads values (?, ?, ?, ?, ?, ?, ?, ?)",
                [self.source.name, entity.name, load.load_id, self.as_of, *counts],
            )

    def _scalar(self, sql: str) -> int:
        row = self.connection.execute(sql).fetchone()
        return int(row[0]) if row else 0


def _value(entity: Entity, column: str) -> str:
    """A landed text, null when it is empty or one of the texts by which the source says that there is no value."""
    if not entity.missing:
        return f"nullif({quote(column)}, '')"
    no_value = ", ".join(map(literal, entity.missing))
    return f"case when trim({quote(column)}) not in ({no_value}) then nullif({quote(column)}, '') end"


def _content(entity: Entity) -> str:
    """All declared columns as one text; a separator that no export uses keeps columns apart."""
    return " || chr(31) || ".join(f"coalesce(b.{quote(column)}, chr(30))" for column in entity.columns)


def _key(entity: Entity) -> str:
    return ", ".join(quote(column) for column in entity.key)


def _newest_first(entity: Entity) -> str:
    version = f"{quote(entity.version)} desc nulls last, " if entity.version else ""
    return f"{version}_row_number desc"


def _offending_value(entity: Entity, column: str | None) -> str:
    """SQL for the value shown in quarantine; of a private column only its first character."""
    columns = [part.strip() for part in (column or "").split(",") if part.strip() in entity.columns]
    shown = [
        f"left(b.{quote(part)}, 1) || '***'" if part in entity.pii else f"left(b.{quote(part)}, 200)"
        for part in columns
    ]
    return f"concat_ws(' | ', {', '.join(shown)})" if shown else "null"
