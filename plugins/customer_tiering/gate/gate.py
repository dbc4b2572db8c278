"""The gate: new loads plus open quarantine go in; accepted rows, quarantined rows and their account come out.

Every step is SQL on the warehouse. A load is gated once per entity, in one transaction, so a run that was
killed goes on where it stopped, and ``rows in = kept + merged + quarantined`` holds to the row.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from customer_tiering.company.workspace import project_root
from customer_tiering.decisions.quarantine import Decision, Decisions, read_decisions, shown
from customer_tiering.errors import GateBlocked, TieringError
from customer_tiering.extract.landing import Load, completed_loads, load_files
from customer_tiering.gate.input_rules import HELD_RULE, input_suite, text_column
from customer_tiering.gate.suites import Rule, Suite, is_row_level_type
from customer_tiering.gate.validation import RuleOutcome, Validator
from customer_tiering.inputs.mapping import MappedEntity, MappedSource
from customer_tiering.inputs.tables import input_tables
from customer_tiering.sources.base import FILE_COLUMN, LOAD_COLUMN, MALFORMED_COLUMN, ROW_COLUMN, gone_table
from customer_tiering.sql import literal, quote

# Below this many amounts, median and MAD say little and the outlier rule lets everything through.
_MIN_ROWS_FOR_STATISTICS = 30
_OUTLIER_RULE = "expect_column_values_to_be_within_robust_z_score"
# Rule that rows of a load are kept out by when a person rejected it.
REJECTED_RULE = "load_rejected"
# Fewer bad rows hold a night only when they are all that ever came.
_MIN_BAD_ROWS = 10


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


def batch_table(source: MappedSource, entity: MappedEntity) -> str:
    return f"{source.name}__{entity.name}"


_ORIGIN = "_load_id varchar, _row_number bigint, _source_file varchar"
_ACCEPTED = (
    f"_row_id varchar not null, {_ORIGIN}, _content_hash varchar, _is_merged boolean, _accepted_on date, "
    "_is_deleted boolean"
)


def ensure_input_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of accepted rows of the input layer; add columns a newer declaration brought."""
    for table in input_tables().values():
        stored = ", ".join(f"{quote(column)} {kind}" for column, kind in table.stored.items())
        name = quote("input_layer", table.name)
        # Without a primary key: a load is gated once, and the index would cost more than the rows.
        connection.execute(f"create table if not exists {name} (source varchar not null, {stored}, {_ACCEPTED})")
        for column, kind in table.stored.items():
            connection.execute(f"alter table {name} add column if not exists {quote(column)} {kind}")
        connection.execute(f"alter table {name} add column if not exists _is_deleted boolean")


def ensure_tables(connection: duckdb.DuckDBPyConnection, source: MappedSource) -> frozenset[str]:
    """Create the tables of a source: a view of its accepted rows, its quarantine; add columns that it maps newly.

    Returns the input tables whose mapping is another one than that by which their rows were read.
    """
    ensure_input_tables(connection)
    mapped_anew = set()
    connection.execute("delete from meta.input_tables where source = ?", [source.name])
    for entity in source.entities:
        name = batch_table(source, entity)
        _start_over_where_kept_as_text(connection, source, entity)
        if _start_over_where_mapped_anew(connection, source, entity):
            mapped_anew.add(entity.name)
        columns = ", ".join(quote(column) for column in entity.mapped.declared.stored)
        connection.execute("insert into meta.input_tables values (?, ?)", [source.name, entity.name])
        connection.execute(
            f"create or replace view {quote('raw', name)} as select {columns}, _row_id, _load_id, _row_number, "
            f"_source_file, _content_hash, _is_merged, _accepted_on from {quote('input_layer', entity.name)} "
            f"where source = {literal(source.name)}"
        )
        texts = ", ".join(f"{quote(column)} varchar" for column in entity.fields)
        kept_out = quote("quarantine", name)
        connection.execute(
            f"create table if not exists {kept_out} ({texts}, _row_id varchar primary key, {_ORIGIN}, "
            "_malformed varchar, _status varchar, _first_seen date, _last_seen date, _closed_on date)"
        )
        connection.execute(f"alter table {kept_out} add column if not exists _decision_id varchar")
        for column in entity.fields:
            connection.execute(f"alter table {kept_out} add column if not exists {quote(column)} varchar")
    return frozenset(mapped_anew)


def _start_over_where_kept_as_text(
    connection: duckdb.DuckDBPyConnection, source: MappedSource, entity: MappedEntity
) -> None:
    """Before there were mappings, accepted rows were kept as text: the landed loads are gated anew."""
    name = batch_table(source, entity)
    old = connection.execute(
        "select 1 from information_schema.tables where table_schema = 'raw' and table_name = ? "
        "and table_type = 'BASE TABLE'",
        [name],
    ).fetchone()
    if old:
        connection.execute(f"drop table {quote('raw', name)}")
        _start_over(connection, source, entity)


def _start_over_where_mapped_anew(
    connection: duckdb.DuckDBPyConnection, source: MappedSource, entity: MappedEntity
) -> bool:
    """Rows that were read by another mapping are read again from landing, so that a corrected mapping corrects."""
    key, now = [source.name, entity.name], entity.mapped.fingerprint
    row = connection.execute(
        "select fingerprint from meta.mappings where source = ? and input_table = ?", key
    ).fetchone()
    if row == (now,):
        return False
    connection.execute("begin")
    if row is not None:
        _start_over(connection, source, entity)
    connection.execute("insert or replace into meta.mappings values (?, ?, ?)", [*key, now])
    connection.execute("commit")
    return row is not None


def _start_over(connection: duckdb.DuckDBPyConnection, source: MappedSource, entity: MappedEntity) -> None:
    """Forget what the gate decided about an entity: its landed loads are gated again, decisions of people included."""
    where = [source.name, entity.name]
    connection.execute(f"delete from {quote('input_layer', entity.name)} where source = ?", [source.name])
    connection.execute(f"drop table if exists {quote('quarantine', batch_table(source, entity))}")
    for table in ("meta.gated_loads", "quarantine.failures", "meta.row_flags"):
        connection.execute(f"delete from {table} where source = ? and entity = ?", where)


class Gate:
    """One run of the gate over one source."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: MappedSource,
        *,
        landing: Path,
        decisions: Path,
        as_of: date,
        currency: str,
        results_dir: Path,
        run_time: datetime,
    ) -> None:
        self.connection = connection
        self.source = source
        self.landing = landing
        self.decisions_folder = decisions
        self.decisions: Decisions = read_decisions(decisions)
        self.as_of = as_of
        self.currency = currency
        self.results_dir = results_dir
        self.run_time = run_time
        self._validator: Validator | None = None
        self._mapped_anew: frozenset[str] = frozenset()

    def run(self) -> list[EntityAccount]:
        """Gate every entity, parents first. Raises ``GateBlocked`` or ``TieringError``."""
        self._mapped_anew = ensure_tables(self.connection, self.source)
        try:
            return [self._gate_entity(entity) for entity in self.source.entities]
        finally:
            if self._validator is not None:
                self._validator.build_docs()  # of a held night too: it is then that somebody looks
                self._validator.close()

    def _gate_entity(self, entity: MappedEntity) -> EntityAccount:
        rejected, loads = self._split_rejected(entity, self._new_loads(entity))
        set_aside = self._set_aside(entity, rejected)
        suite = suite_of(self.source, entity)
        rows = self._stage_batch(entity, loads)
        if rows == 0:
            # Nothing came, which is what rules about the whole table are there for.
            suite = suite.model_copy(
                update={"expectations": tuple(r for r in suite.expectations if not is_row_level_type(r.type))}
            )
        outcomes = self._validate(entity, suite) if suite.expectations else []
        self._collect_failures(entity, suite, outcomes)
        self._pardon(entity, suite)
        warnings = self._stop_or_warn(entity, suite, outcomes, loads)
        if entity.name in self._mapped_anew:
            warnings.append(
                f"source {self.source.name}, entity {entity.name}: its mapping changed, so all {rows} rows that were "
                "landed are read anew"
            )
        account = self._move(entity, loads, warnings) if rows else self._move_nothing(entity, loads, warnings)
        return replace(
            account,
            rows_in=account.rows_in + set_aside,
            rows_quarantined=account.rows_quarantined + set_aside,
        )

    # --- what goes in ------------------------------------------------------------------------------------

    def _new_loads(self, entity: MappedEntity) -> list[Load]:
        gated = {
            load_id
            for (load_id,) in self.connection.execute(
                "select load_id from meta.gated_loads where source = ? and entity = ?",
                [self.source.name, entity.name],
            ).fetchall()
        }
        return [load for load in completed_loads(self.landing, self.source.name) if load.load_id not in gated]

    def _split_rejected(self, entity: MappedEntity, loads: list[Load]) -> tuple[list[Load], list[Load]]:
        rejected = self.decisions.loads("reject_load", self.source.name, entity.name)
        return (
            [load for load in loads if load.load_id in rejected],
            [load for load in loads if load.load_id not in rejected],
        )

    def _set_aside(self, entity: MappedEntity, loads: list[Load]) -> int:
        """Put all rows of rejected loads into quarantine, out of sight of any rule; returns their number.

        Rows whose rejection was taken back wait for the rules like any others.
        """
        connection, name = self.connection, batch_table(self.source, entity)
        kept_out, where = quote("quarantine", name), [self.source.name, entity.name]
        rule = f"{self.source.name}.{entity.name}.{REJECTED_RULE}"
        rejected = self.decisions.loads("reject_load", self.source.name, entity.name)
        connection.execute("begin")
        try:
            back = "_status = 'rejected' and not list_contains(?::varchar[], _load_id)"
            connection.execute(
                "delete from quarantine.failures where source = ? and entity = ? and rule = ? and row_id in "
                f"(select _row_id from {kept_out} where {back})",
                [*where, rule, list(rejected)],
            )
            connection.execute(
                f"update {kept_out} set _status = 'open', _closed_on = null, _decision_id = null where {back}",
                [list(rejected)],
            )
            rows = 0
            for load in loads:
                decision = rejected[load.load_id]
                landed = self._landed_rows(entity, [load])
                if landed:
                    connection.execute(
                        f"insert into {kept_out} by name select * exclude (_reopened), 'rejected' as _status, "
                        "?::date as _first_seen, ?::date as _last_seen, ?::date as _closed_on, ? as _decision_id "
                        f"from ({landed})",
                        [self.as_of, self.as_of, self.as_of, decision.decision_id],
                    )
                    connection.execute(
                        "insert into quarantine.failures "
                        f"select ?, ?, _row_id, ?, null, null, ?, ?, _load_id, ?, ? from {kept_out} "
                        "where _load_id = ? and _status = 'rejected'",
                        [
                            *where,
                            rule,
                            f"the load was rejected by {decision.owner}: {decision.reason}",
                            f"该批次被 {decision.owner} 拒收:{decision.reason}",
                            self.as_of,
                            self.as_of,
                            load.load_id,
                        ],
                    )
                counted = self._scalar(f"select count(*) from {kept_out} where _load_id = {literal(load.load_id)}")
                self._record_loads(entity, [load], {load.load_id: (counted, 0, 0, counted)})
                rows += counted
            connection.execute("commit")
        except BaseException:
            connection.execute("rollback")
            raise
        return rows

    def _landed_rows(self, entity: MappedEntity, loads: list[Load]) -> str:
        """SELECT of the landed rows of loads, text without a value as missing; "" when they brought none."""
        files = [str(path) for load in loads for path in load_files(self.landing, entity, load)]
        if not files:
            return ""
        texts = ", ".join(f"{entity.mapped.picked(column)} as {quote(column)}" for column in entity.fields)
        return (
            f"select {texts}, {LOAD_COLUMN} || ':' || {ROW_COLUMN} as _row_id, {LOAD_COLUMN} as _load_id, "
            f"{ROW_COLUMN} as _row_number, {FILE_COLUMN} as _source_file, {MALFORMED_COLUMN} as _malformed, "
            f"false as _reopened from {self._with_all_columns(entity, files)}"
        )

    def _with_all_columns(self, entity: MappedEntity, files: list[str]) -> str:
        """What landed files hold. Files from before a column was mapped lack it; what was landed anew since then,
        from the same file or (where a row has no key of its own) table, takes their place."""

        def rows(paths: list[str]) -> str:
            return f"read_parquet([{', '.join(map(literal, paths))}], union_by_name = true)"

        lacking = {
            path: absent
            for path, names in self.connection.execute(
                f"select file_name, list(name) from parquet_schema([{', '.join(map(literal, files))}]) group by all"
            ).fetchall()
            if (absent := frozenset(entity.columns) - set(names))
        }
        if not lacking:
            return rows(files)
        complete = [path for path in files if path not in lacking]
        everywhere = frozenset.intersection(*lacking.values()) if not complete else frozenset[str]()
        added = "".join(f", cast(null as varchar) as {quote(column)}" for column in sorted(everywhere))
        if not complete or not (entity.files or entity.mapped.has_derived_key):
            return f"(select *{added} from {rows(files)})"
        return (
            f"(select * from {rows(complete)} union all by name select * from {rows(list(lacking))} "
            f"where {FILE_COLUMN} not in (select {FILE_COLUMN} from {rows(complete)}))"
        )

    def _stage_batch(self, entity: MappedEntity, loads: list[Load]) -> int:
        """Build ``gate.<source>__<entity>``: new rows and open quarantine; returns their number."""
        name = batch_table(self.source, entity)
        columns = ", ".join(quote(column) for column in entity.fields)
        parts = [
            f"select {columns}, _row_id, _load_id, _row_number, _source_file, _malformed, true as _reopened "
            f"from {quote('quarantine', name)} where _status = 'open'"
        ]
        if landed := self._landed_rows(entity, loads):
            parts.append(landed)
        try:
            rows = self._corrected(entity, " union all by name ".join(parts))
            rows = _typed(entity, rows, self._latest_day())
            self.connection.execute(f"create or replace table {quote('gate', name)} as {rows}")
        except duckdb.Error as error:
            raise TieringError(
                f"source {self.source.name}, entity {entity.name}: the landed rows cannot be read: "
                f"{str(error).splitlines()[0]}",
                "correct the mapping (a regular expression of it, for instance) and run the night again",
            ) from error
        return self._scalar(f"select count(*) from {quote('gate', name)}")

    def _corrected(self, entity: MappedEntity, rows: str) -> str:
        """SELECT of rows with the texts that people put in place of what came; notes by which decisions."""
        corrections = self.decisions.corrections(self.source.name, entity.name)
        by = {row_id: decision for texts in corrections.values() for row_id, (_, decision) in texts.items()}
        self.connection.execute("create or replace temp table _corrections (_row_id varchar, decision_id varchar)")
        if not by:
            return rows
        self.connection.executemany("insert into _corrections values (?, ?)", list(by.items()))
        replaced = []
        for column, texts in corrections.items():
            cases = " ".join(f"when {literal(row_id)} then {literal(text)}" for row_id, (text, _) in texts.items())
            replaced.append(f"case _row_id {cases} else {quote(column)} end as {quote(column)}")
        return f"select * replace ({', '.join(replaced)}) from ({rows})"

    # --- what the rules say ------------------------------------------------------------------------------

    def _validate(self, entity: MappedEntity, suite: Suite) -> list[RuleOutcome]:
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
            pii_columns=frozenset(entity.pii) | {text_column(column) for column in entity.pii},
        )

    def _parameters(self, entity: MappedEntity, suite: Suite) -> dict[str, object]:
        """Night and currency; median and MAD of log amounts for each robust z-score rule, once per night."""
        parameters: dict[str, object] = {
            "reporting_currency": self.currency,
            "as_of_date": self.as_of.isoformat(),
            "latest_day": self._latest_day().isoformat(),
        }
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

    def _latest_day(self) -> date:
        """The last day that a row can rightly know of: the night's, or that of the last extraction. Databases are
        read whatever the date of their rows, so a past night sees what was written since."""
        loads = completed_loads(self.landing, self.source.name)
        extracted = [datetime.fromtimestamp(float(load.load_id), UTC).date() for load in loads[-1:]]
        return max([self.as_of, *extracted])

    def _collect_failures(self, entity: MappedEntity, suite: Suite, outcomes: list[RuleOutcome]) -> None:
        """Gather failing rows by each rule's own SQL; no row passes through Python."""
        name = batch_table(self.source, entity)
        self.connection.execute(
            "create or replace temp table _failing (_row_id varchar, rule varchar, on_failure varchar, "
            "column_name varchar, offending_value varchar, reason_en varchar, reason_zh varchar)"
        )
        for rule, outcome in zip(suite.expectations, outcomes, strict=True):
            if not outcome.failing_rows_sql or outcome.on_failure == "warn":
                continue
            if outcome.on_failure == "block" and outcome.success:  # fewer rows than `mostly` tolerates
                continue
            offending = _offending_value(entity, outcome.column)
            reason = f"replace(?, '{{value}}', coalesce({offending}, ''))"
            self.connection.execute(
                f"insert into _failing select b._row_id, ?, ?, ?, {offending}, {reason}, {reason} "
                f"from {quote('gate', name)} b "
                f"where b._row_id in ({outcome.failing_rows_sql.rstrip().rstrip(';')})",
                [outcome.rule, outcome.on_failure, _named(outcome.column), rule.meta.reason_en, rule.meta.reason_zh],
            )

    def _pardon(self, entity: MappedEntity, suite: Suite) -> None:
        """Note the failures that a person decided to overlook, by release or waiver."""
        connection, batch = self.connection, quote("gate", batch_table(self.source, entity))
        connection.execute(
            "create or replace temp table _pardoned (_row_id varchar, rule varchar, decision_id varchar)"
        )
        can_be_waived = {rule.rule for rule in suite.expectations if rule.can_be_waived}
        for decision in self.decisions.standing("release"):
            if decision.concerns(self.source.name, entity.name):
                named = [(row_id, rule) for row_id, rule in decision.rows if rule in can_be_waived]
                connection.execute(
                    "insert into _pardoned select f._row_id, f.rule, ? from _failing f join "
                    "(select unnest(?::varchar[]) as _row_id, unnest(?::varchar[]) as rule) using (_row_id, rule)",
                    [decision.decision_id, [row_id for row_id, _ in named], [rule for _, rule in named]],
                )
        for rule in sorted(can_be_waived):
            for waiver in self.decisions.waivers(rule, self.as_of):
                same_key = " and ".join(
                    f"cast(b.{quote(column)} as varchar) = {literal(value)}"
                    for column, value in waiver.key.items()
                    if column in entity.fields
                )
                connection.execute(
                    f"insert into _pardoned select f._row_id, f.rule, ? from _failing f join {batch} b using (_row_id) "
                    f"where f.rule = ? and {same_key or 'true'}",
                    [waiver.decision_id, rule],
                )

    # --- whether the night goes on -----------------------------------------------------------------------

    def _stop_or_warn(
        self, entity: MappedEntity, suite: Suite, outcomes: list[RuleOutcome], loads: list[Load]
    ) -> list[str]:
        """Warnings of the entity. Raises ``GateBlocked`` when a rule holds a load that nobody has decided about."""
        warnings = []
        where = f"source {self.source.name}, entity {entity.name}"
        accepted = self.decisions.loads("accept_load", self.source.name, entity.name)
        for rule, outcome in zip(suite.expectations, outcomes, strict=True):
            if outcome.error:
                raise TieringError(
                    f"{where}: rule {outcome.rule} could not be checked: {outcome.error}",
                    f"fix the rule in expectations/{self.source.name}/{entity.name}.yml",
                )
            if outcome.success:
                continue
            if not is_row_level_type(rule.type):
                waiver = self.decisions.whole_rule_waived(rule.rule, self.as_of)
                taken = [load for load in loads if load.load_id in accepted]
                said = "; ".join(outcome.findings) or rule.meta.reason_en
                if rule.meta.on_failure == "block" and waiver is None and (not loads or len(taken) < len(loads)):
                    undecided = [load.load_id for load in loads if load.load_id not in accepted]
                    raise self._blocked(entity, rule, f"{where}: rule {rule.rule}: {said}", undecided)
                by = [waiver] if waiver else [accepted[load.load_id] for load in taken]
                warnings.append(
                    f"{where}: rule {rule.rule}: {rule.meta.reason_en}: {said}" + (f" ({shown(by[:1])})" if by else "")
                )
                continue
            facts = f"{where}: rule {outcome.rule} fails for {outcome.unexpected} of {outcome.evaluated} rows"
            held, new_rows = self._held_rows(entity, rule, accepted)
            allowed = rule.meta.max_quarantined_share
            over_share = allowed is not None and new_rows > 0 and sum(held.values()) / new_rows > allowed
            if (outcome.on_failure == "block" and held) or over_share:
                limit = f", more than the {allowed:.0%} allowed" if over_share else ""
                listed = ", ".join(f"load {load}: {rows} rows" for load, rows in sorted(held.items()))
                raise self._blocked(entity, rule, f"{facts}{limit} ({listed})", sorted(held))
            if outcome.on_failure == "warn":
                warnings.append(facts)
        self._hold_bad_delivery(entity, accepted)
        self._hold_mass_deletion(entity, loads, accepted)
        return warnings

    def _hold_bad_delivery(self, entity: MappedEntity, accepted: dict[str, Decision]) -> None:
        """Hold the night when too much of what came tonight would be kept out, whichever rules are to blame."""
        undecided = "not b._reopened and not list_contains(?::varchar[], b._load_id)"
        batch = quote("gate", batch_table(self.source, entity))
        rows, bad = self.connection.execute(
            f"""
            with broken as (
                select distinct _row_id from _failing
                where on_failure <> 'repair' and (_row_id, rule) not in (select _row_id, rule from _pardoned)
            )
            select count(*), count(broken._row_id) from {batch} b left join broken using (_row_id) where {undecided}
            """,
            [list(accepted)],
        ).fetchone() or (0, 0)
        allowed = entity.mapped.mapping.hold_above
        if bad <= rows * allowed or (bad < _MIN_BAD_ROWS and (bad < rows or self._has_rows(entity))):
            return
        blame = self.connection.execute(
            f"select f.rule, count(*) from _failing f join {batch} b using (_row_id) "
            f"where f.on_failure <> 'repair' and {undecided} group by 1 order by 2 desc, 1 limit 3",
            [list(accepted)],
        ).fetchall()
        loads = self.connection.execute(
            f"select distinct b._load_id from {batch} b where {undecided} order by 1", [list(accepted)]
        ).fetchall()
        most = ", ".join(f"{rule} ({count})" for rule, count in blame)
        raise self._blocked(
            entity,
            None,
            f"source {self.source.name}, entity {entity.name}: {bad} of {rows} rows delivered break rules, more than "
            f"the {allowed:.0%} allowed (rule {self.source.name}.{entity.name}.{HELD_RULE}); most often {most}",
            [load for (load,) in loads],
        )

    def _has_rows(self, entity: MappedEntity) -> bool:
        """Whether some row of the entity was ever accepted."""
        raw = quote("raw", batch_table(self.source, entity))
        return self.connection.execute(f"select 1 from {raw} limit 1").fetchone() is not None

    def _held_rows(self, entity: MappedEntity, rule: Rule, accepted: dict[str, Decision]) -> tuple[dict[str, int], int]:
        """New rows that break a rule and nobody has decided about, by load; and all new rows of undecided loads.

        Rows waiting in quarantine say nothing about tonight's delivery.
        """
        if rule.meta.on_failure != "block" and rule.meta.max_quarantined_share is None:
            return {}, 0
        undecided = "not b._reopened and not list_contains(?::varchar[], b._load_id)"
        batch = quote("gate", batch_table(self.source, entity))
        rows = self.connection.execute(
            f"select b._load_id, count(*) from _failing f join {batch} b using (_row_id) where f.rule = ? and "
            f"{undecided} and (f._row_id, f.rule) not in (select _row_id, rule from _pardoned) group by b._load_id",
            [rule.rule, list(accepted)],
        ).fetchall()
        total = self.connection.execute(
            f"select count(*) from {batch} b where {undecided}", [list(accepted)]
        ).fetchone()
        return dict(rows), int(total[0]) if total else 0

    def _blocked(self, entity: MappedEntity, rule: Rule | None, facts: str, loads: list[str]) -> GateBlocked:
        """The error of a held night: what a person can do about it, as commands."""
        name = f"{self.source.name}.{entity.name}"
        who = f"--profile {self.decisions_folder.parent.name} --owner <who> --reason <why>"
        ways = []
        if loads:
            ways = [
                f"`tiering quarantine reject-load {name} {' '.join(loads)} {who}` sets all rows of the load aside",
                f"`tiering quarantine accept-load {name} {' '.join(loads)} {who}` takes the load: rows that break "
                "rules go to quarantine, the others flow",
            ]
        if rule and rule.can_be_waived:
            ways.append(
                f"`tiering quarantine waive {rule.rule} --until <day> {who}` switches the rule off for a while: rows "
                "that break it flow"
            )
        return GateBlocked(
            f"{facts}; nothing of this night is published, yesterday's snapshot stays",
            "ask the owner of the source for a corrected export. Decide what happens to what came, then run the night "
            "again: " + "; or ".join(ways),
        )

    # --- what comes out ----------------------------------------------------------------------------------

    def _move(self, entity: MappedEntity, loads: list[Load], warnings: list[str]) -> EntityAccount:
        connection, name = self.connection, batch_table(self.source, entity)
        batch, kept_out = quote("gate", name), quote("quarantine", name)
        texts = ", ".join(f"{quote(text_column(column))} as {quote(column)}" for column in entity.fields)
        values = [*(quote(column) for column in entity.fields), *_constants(entity)]
        columns = ", ".join([f"{literal(self.source.name)} as source", *values])
        connection.execute("begin")
        try:
            connection.execute(
                f"""
                create or replace temp table _decided as
                with broken as (
                    select f._row_id, count(*) filter (p.rule is null) > 0 as is_kept_out,
                        min(p.decision_id) as decision_id
                    from _failing f
                    left join (select distinct on (_row_id, rule) * from _pardoned order by all) p using (_row_id, rule)
                    where f.on_failure <> 'repair' group by f._row_id
                )
                select b.*, md5({_content(entity)}) as _content_hash, coalesce(k.is_kept_out, false) as _failed,
                    case when k.is_kept_out then null else coalesce(k.decision_id, c.decision_id) end as _decision_id
                from {batch} b left join broken k using (_row_id) left join _corrections c using (_row_id)
                """
            )
            self._close_superseded(entity)
            connection.execute(
                f"""
                create or replace temp table _accepted as
                select *, row_number() over (
                    partition by _reopened, _load_id, {_key(entity)}
                    order by {_newest_first(entity)}
                ) > 1
                or _row_id in ({self._repeated(entity)}) as _is_merged
                from _decided where not _failed
                """
            )
            connection.execute(
                f"insert into {quote('input_layer', entity.name)} by name select {columns}, _row_id, _load_id, "
                "_row_number, _source_file, _content_hash, _is_merged, ?::date as _accepted_on from _accepted",
                [self.as_of],
            )
            # A row that a person lets in at once is in quarantine too, closed: reasons and decision stay visible.
            connection.execute(
                f"insert into {kept_out} by name select {texts}, _row_id, _load_id, _row_number, _source_file, "
                "_malformed, 'open' as _status, ?::date as _first_seen, ?::date as _last_seen "
                "from _decided where (_failed or _decision_id is not null) and not _reopened",
                [self.as_of, self.as_of],
            )
            connection.execute(
                f"update {kept_out} q set _status = 'released', _closed_on = ?, _decision_id = a._decision_id "
                "from _accepted a where a._row_id = q._row_id and (a._reopened or a._decision_id is not null)",
                [self.as_of],
            )
            connection.execute(f"update {kept_out} set _last_seen = ? where _status = 'open'", [self.as_of])
            self._store_failures(entity)
            self._close_superseded(entity)  # new rows too, or gating the same loads again would close them
            self._note_waiting_payments(entity)
            warnings = [*warnings, *self._bury(entity, loads)]
            counted = self._count_by_load()
            self._record_loads(entity, loads, counted)
            released, decided = self._record_releases(entity)
            connection.execute("commit")
        except BaseException:
            connection.execute("rollback")
            raise
        rows_in, kept, merged, quarantined = (
            sum(counts[position] for counts in counted.values()) for position in range(4)
        )
        where = f"source {self.source.name}, entity {entity.name}"
        warnings = [*warnings, *(f"{where}: {rows} rows were let in by decision {by}" for by, rows in decided.items())]
        return EntityAccount(self.source.name, entity.name, rows_in, kept, merged, quarantined, released, warnings)

    def _move_nothing(self, entity: MappedEntity, loads: list[Load], warnings: list[str]) -> EntityAccount:
        """Account for loads that brought no row of the entity, or only keys that are gone."""
        self.connection.execute("begin")
        try:
            warnings = [*warnings, *self._bury(entity, loads)]
            self._record_loads(entity, loads, counted={})
            self.connection.execute("commit")
        except BaseException:
            self.connection.execute("rollback")
            raise
        return EntityAccount(self.source.name, entity.name, warnings=warnings)

    def _gone_keys(self, entity: MappedEntity, loads: list[Load]) -> str:
        """SELECT of the keys that the source no longer has, with the load that says so; "" when there are none."""
        folder = self.landing / self.source.name / gone_table(entity.name)
        files = [str(path) for load in loads for path in sorted(folder.glob(f"{load.load_id}.*.parquet"))]
        if not files:
            return ""
        mapped = entity.mapped
        texts = ", ".join(f"{mapped.picked(key)} as {quote(text_column(key))}" for key in entity.key)
        keys = ", ".join(f"{mapped.read(key, quote(text_column(key)))} as {quote(key)}" for key in entity.key)
        return (
            f"select {keys}, max(_load) as _gone_load from (select {texts}, {LOAD_COLUMN} as _load "
            f"from read_parquet([{', '.join(map(literal, files))}], union_by_name = true)) group by all"
        )

    def _newest_rows(self, entity: MappedEntity) -> str:
        """SELECT of the newest accepted row of each key, with its rank."""
        version = f"{quote(entity.version)} desc nulls last, " if entity.version else ""
        return (
            f"select * from (select *, row_number() over (partition by {_key(entity)} "
            f"order by {version}_load_id desc, _row_number desc) as _rank from {quote('input_layer', entity.name)} "
            f"where source = {literal(self.source.name)} and not _is_merged) "
            "where _rank = 1 and not coalesce(_is_deleted, false)"
        )

    def _bury(self, entity: MappedEntity, loads: list[Load]) -> list[str]:
        """Add a last version, deleted, of the rows whose keys the source no longer has; says how many."""
        gone = self._gone_keys(entity, loads)
        if not gone:
            return []
        table = quote("input_layer", entity.name)
        before = self._scalar(f"select count(*) from {table} where _is_deleted")
        self.connection.execute(
            f"insert into {table} by name select n.* exclude (_rank) replace (_gone_load || ':gone:' || n._row_id as "
            "_row_id, _gone_load as _load_id, md5('gone' || _gone_load || n._row_id) as _content_hash, "
            "?::date as _accepted_on, true as _is_deleted) "
            f"from ({self._newest_rows(entity)}) n join ({gone}) g using ({_key(entity)})",
            [self.as_of],
        )
        rows = self._scalar(f"select count(*) from {table} where _is_deleted") - before
        where = f"source {self.source.name}, entity {entity.name}"
        return [f"{where}: {rows} rows are gone at the source and count no more"] if rows else []

    def _hold_mass_deletion(self, entity: MappedEntity, loads: list[Load], accepted: dict[str, Decision]) -> None:
        """Hold the night when much of what there is would be deleted: more likely the export is incomplete."""
        undecided = [load for load in loads if load.load_id not in accepted]
        gone = self._gone_keys(entity, undecided)
        if not gone:
            return
        newest = self._newest_rows(entity)
        alive = self._scalar(f"select count(*) from ({newest})")
        rows = self._scalar(f"select count(*) from ({newest}) join ({gone}) using ({_key(entity)})")
        allowed = entity.mapped.mapping.hold_above
        if rows < _MIN_BAD_ROWS or rows <= alive * allowed:
            return
        raise self._blocked(
            entity,
            None,
            f"source {self.source.name}, entity {entity.name}: {rows} of {alive} rows are no longer there, more than "
            f"the {allowed:.0%} allowed (rule {self.source.name}.{entity.name}.{HELD_RULE}); an incomplete export "
            "looks like that",
            [load.load_id for load in undecided],
        )

    def _repeated(self, entity: MappedEntity) -> str:
        """SELECT of tonight's rows (ids) that were delivered before in the same words.

        A content that was accepted before is a repetition, unless the value was changed and has now been changed
        back under a version that did not move: then the newest accepted row of the key has the same version and
        another content, and it came in the same file (which is written again) or from a file that never held this
        content (else that older file was merely delivered again).
        """
        raw = quote("raw", batch_table(self.source, entity))
        key = ", ".join(quote(column) for column in entity.key)
        version = f"{quote(entity.version)}" if entity.version else "cast(null as varchar)"
        same_key = " and ".join(f"n.{quote(column)} is not distinct from d.{quote(column)}" for column in entity.key)
        return f"""
            with known as (
                select * from _decided where not _failed and _content_hash in (select _content_hash from {raw})
            ),
            newest as (
                select * from (
                    select *, {version} as _version, row_number() over (
                        partition by {key} order by {version} desc nulls last, _load_id desc, _row_number desc
                    ) as _rank
                    from {raw} where not _is_merged and ({key}) in (select ({key}) from known)
                ) where _rank = 1
            ),
            changed_back as (
                select d._row_id from (select *, {version} as _version from known) d join newest n on {same_key}
                where n._content_hash <> d._content_hash and n._version is not distinct from d._version
                    and n._load_id < d._load_id
                    and (
                        n._source_file is not distinct from d._source_file
                        or not exists (
                            select 1 from {raw} r
                            where r._content_hash = d._content_hash
                                and r._source_file is not distinct from d._source_file
                        )
                    )
            )
            select _row_id from known where _row_id not in (select _row_id from changed_back)
        """

    def _close_superseded(self, entity: MappedEntity) -> None:
        """A quarantined row whose key is accepted from a later load, now or before, is history: the correction
        came in. A line without a key, unreadable for instance, is history once its file came again."""
        name = batch_table(self.source, entity)
        raw, kept_out = quote("raw", name), quote("quarantine", name)
        same_key = " and ".join(
            f"r.{quote(column)} = {entity.mapped.read(column, f'q.{quote(column)}')}" for column in entity.key
        )
        newer = " or ".join(
            f"exists (select 1 from {rows} r where {same_key} and r._load_id > q._load_id)"
            for rows in (raw, "(select * from _decided where not _failed)")
        )
        # Delivered again and bad again: the newest waits for everybody.
        again = " and ".join(f"r.{quote(column)} = q.{quote(column)}" for column in entity.key)
        newer += (
            f" or exists (select 1 from {kept_out} r where {again} and r._status = 'open' and r._load_id > q._load_id)"
        )
        if entity.files is not None:
            keyless = " or ".join(f"q.{quote(column)} is null" for column in entity.key)
            landed_again = " or ".join(
                f"exists (select 1 from {rows} r where r._source_file = q._source_file and r._load_id > q._load_id)"
                for rows in (raw, kept_out, "_decided")
            )
            newer += f" or (({keyless}) and ({landed_again}))"
        self.connection.execute(
            f"update {kept_out} q set _status = 'superseded', _closed_on = ? where q._status = 'open' and ({newer})",
            [self.as_of],
        )
        self.connection.execute(
            f"delete from _decided where _reopened and _row_id in "
            f"(select _row_id from {kept_out} where _status = 'superseded')"
        )

    def _note_waiting_payments(self, entity: MappedEntity) -> None:
        """Which invoices have a payment in quarantine: the models count them as unknown, not as unpaid."""
        if entity.name != "payments":
            return
        invoice = entity.mapped.read("invoice_id", quote("invoice_id"))
        self.connection.execute("delete from meta.waiting_payments where source = ?", [self.source.name])
        self.connection.execute(
            f"insert into meta.waiting_payments select distinct ?, {invoice} "
            f"from {quote('quarantine', batch_table(self.source, entity))} "
            f"where _status in ('open', 'rejected') and {invoice} is not null",
            [self.source.name],
        )

    def _store_failures(self, entity: MappedEntity) -> None:
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
            where f.on_failure <> 'repair'
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
        """Rows in, kept, merged and quarantined of each new load of the batch; a row that a person let in at
        once counts as quarantined, and as released."""
        return {
            load_id: (rows_in, kept, merged, quarantined)
            for load_id, rows_in, kept, merged, quarantined in self.connection.execute(
                """
                select d._load_id, count(*),
                       count(*) filter (d._decision_id is null and not d._failed and not a._is_merged),
                       count(*) filter (d._decision_id is null and not d._failed and a._is_merged),
                       count(*) filter (d._failed or d._decision_id is not null)
                from _decided d left join _accepted a using (_row_id)
                where not d._reopened group by d._load_id
                """
            ).fetchall()
        }

    def _record_loads(
        self, entity: MappedEntity, loads: list[Load], counted: dict[str, tuple[int, int, int, int]]
    ) -> None:
        """Account for each load once; a load without rows of this entity counts as zeros."""
        for load in loads:
            counts = counted.get(load.load_id, (0, 0, 0, 0))
            self.connection.execute(
                "insert into meta.gated_loads values (?, ?, ?, ?, ?, ?, ?, ?)",
                [self.source.name, entity.name, load.load_id, self.as_of, *counts],
            )

    def _record_releases(self, entity: MappedEntity) -> tuple[int, dict[str, int]]:
        """Count the rows that left quarantine tonight, all and by decision ("id owner: reason" to rows)."""
        where = [self.source.name, entity.name, self.as_of]
        released = self._scalar("select count(*) from _accepted where _reopened or _decision_id is not null")
        self.connection.execute(
            "insert into meta.releases values (?, ?, ?, ?) on conflict (source, entity, as_of_date) "
            "do update set rows_released = rows_released + excluded.rows_released",
            [*where, released],
        )
        by_id = {decision.decision_id: decision for decision in self.decisions.all}
        decided = {}
        for decision_id, rows in self.connection.execute(
            "select _decision_id, count(*) from _accepted where _decision_id is not null group by 1 order by 1"
        ).fetchall():
            decision = by_id[decision_id]
            decided[shown([decision])] = rows
            self.connection.execute(
                "insert into meta.decided_releases values (?, ?, ?, ?, ?, ?, ?) on conflict "
                "(source, entity, as_of_date, decision_id) "
                "do update set rows_released = rows_released + excluded.rows_released",
                [*where, decision_id, decision.owner, decision.reason, rows],
            )
        return released, decided

    def _scalar(self, sql: str) -> int:
        row = self.connection.execute(sql).fetchone()
        return int(row[0]) if row else 0


def _content(entity: MappedEntity) -> str:
    """All declared columns as one text; a separator that no export uses keeps columns apart."""
    return " || chr(31) || ".join(f"coalesce(cast(b.{quote(column)} as varchar), chr(30))" for column in entity.fields)


def _key(entity: MappedEntity) -> str:
    return ", ".join(quote(column) for column in entity.key)


def _newest_first(entity: MappedEntity) -> str:
    version = f"{quote(entity.version)} desc nulls last, " if entity.version else ""
    return f"{version}_row_number desc"


def _named(columns: str | None) -> str | None:
    """Columns of a rule, a text by the name of the input column that is read from it."""
    return columns.replace(text_column(""), "") if columns else None


def _offending_value(entity: MappedEntity, columns: str | None) -> str:
    """SQL for the text shown in quarantine; of a private column only its first character."""
    parts = [part.strip() for part in (_named(columns) or "").split(",")]
    shown = [
        f"left(b.{quote(text_column(part))}, 1) || '***'"
        if part in entity.pii
        else f"left(b.{quote(text_column(part))}, 200)"
        for part in parts
        if part in entity.fields
    ]
    return f"concat_ws(' | ', {', '.join(shown)})" if shown else "null"


def suite_of(source: MappedSource, entity: MappedEntity) -> Suite:
    """The rules of an entity: those that its input table brings, and those of judgement."""
    return input_suite(source, entity, project_root() / "expectations")


def _typed(entity: MappedEntity, rows: str, latest_day: date) -> str:
    """SELECT of typed rows beside the texts that they were read from, and the columns that could not be read."""
    mapped, origin = entity.mapped, "_row_id, _load_id, _row_number, _source_file, _malformed, _reopened"
    texts = ", ".join(f"{quote(column)} as {quote(text_column(column))}" for column in entity.fields)
    read = ", ".join(
        f"{mapped.read(column, quote(text_column(column)))} as {quote(column)}" for column in entity.fields
    )
    values = {column: mapped.accepted(column, quote(column), latest_day.isoformat()) for column in entity.fields}
    times = [column for column in entity.fields if mapped.declared.column(column).is_time]
    told = {
        "_unreadable": {
            column: f"{quote(text_column(column))} is not null and {quote(column)} is null" for column in entity.fields
        },
        "_implausible": {column: f"{quote(column)} is not null and ({values[column]}) is null" for column in times},
    }
    lists = ", ".join(f"{_told(conditions)} as {name}" for name, conditions in told.items())
    kept = ", ".join(f"{values[column]} as {quote(column)}" for column in entity.fields)
    all_texts = ", ".join(quote(text_column(column)) for column in entity.fields)
    return (
        f"select {kept}, {all_texts}, {lists}, {origin} from (select *, {read} from "
        f"(select {texts}, {origin} from ({rows})))"
    )


def _told(conditions: dict[str, str]) -> str:
    """SQL of the columns of which a condition holds, as ``,a,b,``; null, nearly always, when of none."""
    if not conditions:
        return "cast(null as varchar)"
    names = " || ".join(
        f"case when {holds} then {literal(column + ',')} else '' end" for column, holds in conditions.items()
    )
    return f"case when {' or '.join(f'({holds})' for holds in conditions.values())} then ',' || {names} end"


def _constants(entity: MappedEntity) -> list[str]:
    return [
        f"{literal(value) if value else 'cast(null as varchar)'} as {quote(column)}"
        for column, value in entity.mapped.constants.items()
    ]
