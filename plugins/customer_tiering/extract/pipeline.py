"""One dlt pipeline per source: drain what a crash left, then land what is new up to the as-of date."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from customer_tiering.errors import NightBusy, SourceError
from customer_tiering.extract import files
from customer_tiering.extract.landed import Counted, Landed
from customer_tiering.extract.landing import completed_loads
from customer_tiering.sources.base import ROW_COLUMN, Entity, Source, gone_table

# dlt reads these when it is imported: nothing calls home, Arrow rows carry their load id, and no setting is
# looked up among Airflow's variables (more than a thousand failing queries per source).
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")
os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
os.environ.setdefault("NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID", "true")
os.environ.setdefault("LOAD__DELETE_COMPLETED_JOBS", "true")


_WAIT_SECONDS = 900


@dataclass(frozen=True)
class ExtractionResult:
    """What one extraction landed. ``rows`` counts per entity; ``recovered`` loads were left by a crash."""

    source: str
    load_ids: list[str]
    rows: dict[str, int]
    recovered: list[str] = field(default_factory=list)
    counted: dict[str, Counted] = field(default_factory=dict)
    """Keys of each table at the source and in landing, after this extraction."""
    warnings: list[str] = field(default_factory=list)


def is_database(location: str) -> bool:
    return "://" in location


def extract_source(source: Source, location: str, landing: Path, state: Path, as_of: date) -> ExtractionResult:
    """Land the new rows of ``source`` up to the end of ``as_of``; running it again lands nothing twice.

    ``location`` is a database URL or a folder. Raises ``SourceError`` when the source cannot be read or has
    never had a row of an entity that must have some, ``NightBusy`` when another process keeps extracting it.
    """
    with source_lock(source.name, state):
        return _extract_source(source, location, landing, state, as_of)


def _extract_source(source: Source, location: str, landing: Path, state: Path, as_of: date) -> ExtractionResult:
    import dlt
    from dlt.destinations import filesystem

    if is_database(location):
        from customer_tiering.extract import sql

        sql.check_tables(source, location)
        bound = _cursor_bound(as_of)
        warnings = [
            f"source {source.name}, entity {entity}: {count} rows lie past {bound} and are not read; "
            "their update time must be a mistake"
            for entity, count in sql.rows_of_the_future(source, location, bound).items()
        ]
    else:
        warnings = []
        _check_files(source, Path(location), as_of)

    pipeline = dlt.pipeline(
        pipeline_name=f"landing_{source.name}",
        destination=filesystem(
            bucket_url=landing.as_uri(), layout="{table_name}/{load_id}.{file_id}.{ext}", kwargs={"auto_mkdir": True}
        ),
        dataset_name=source.name,
        pipelines_dir=str(state),
    )
    before = {load.load_id for load in completed_loads(landing, source.name)}
    _drain(pipeline)
    recovered = {load.load_id for load in completed_loads(landing, source.name)} - before
    _land(pipeline, source, _dlt_source(source, location, landing, as_of))
    counted: dict[str, Counted] = {}
    if is_database(location):
        counted = _count(source, location, landing, as_of)
        short = {name for name, keys in counted.items() if keys.missing}
        if short:
            # Committed behind the look-back, or with a time that lies: only a look at the whole table finds them.
            _land(pipeline, source, _dlt_source(source, location, landing, as_of, whole=short))
            again = _count(source, location, landing, as_of)
            warnings += [
                f"source {source.name}, entity {name}: {counted[name].missing} rows lay more than "
                f"its look-back behind the last change and were found by reading the whole table; if that happens "
                "often, raise look_back_days"
                for name in sorted(short)
            ]
            counted = again
    if gone := list(_gone(source, location, landing, as_of)):
        _land(pipeline, source, gone)
    after = completed_loads(landing, source.name)
    new = [load.load_id for load in after if load.load_id not in before]
    rows = _count_rows(source, landing, new)
    _refuse_never_filled(source, landing)
    return ExtractionResult(source.name, new, rows, sorted(recovered), counted, warnings)


@contextmanager
def source_lock(source: str, state: Path) -> Iterator[None]:
    """One extraction of a source at a time: a run that was overtaken amid its extraction would land the rows of
    the run after it once more. The lock ends with its process.

    Raises ``NightBusy`` when another process keeps it.
    """
    state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(state / f"{source}.lock")
    try:
        lock.acquire(timeout=_WAIT_SECONDS)
    except Timeout as error:
        raise NightBusy(
            f"source {source} has been in use by another process (a night, a backup) for {_WAIT_SECONDS} s",
            "wait for that to end, or stop it; then do this again",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _drain(pipeline: Any) -> None:
    """Finish what a killed run left: run() alone would load it and silently skip tonight's rows."""
    if pipeline.has_pending_data:
        pipeline.normalize()
        pipeline.load()


def _cursor_bound(as_of: date) -> str:
    """A cursor value that no row can rightly have yet: two days past the later of the night and today."""
    return (max(as_of, datetime.now(UTC).date()) + timedelta(days=2)).isoformat()


def _land(pipeline: Any, source: Source, rows: Any) -> None:
    try:
        pipeline.run(
            rows,
            loader_file_format="parquet",
            schema_contract={"tables": "evolve", "columns": "evolve", "data_type": "freeze"},
        )
    except Exception as error:
        raise _source_error(source, error) from error


def _count(source: Source, location: str, landing: Path, as_of: date) -> dict[str, Counted]:
    """Keys at the source and in landing, of each table that has a key of its own."""
    from customer_tiering.extract.sql import keys_at_source

    return {
        entity.name: Landed(source, entity, landing).count(*keys_at_source(entity, location, _cursor_bound(as_of)))
        for entity in source.entities
        if entity.key_columns
    }


def _gone(source: Source, location: str, landing: Path, as_of: date) -> Iterator[Any]:
    """Resources of the keys that entities which compare them no longer have at the source."""
    import dlt

    for entity in source.entities:
        if not entity.compares_keys or not entity.key_columns:
            continue
        if is_database(location):
            from customer_tiering.extract.sql import keys_at_source

            _, keys = keys_at_source(entity, location, _cursor_bound(as_of), however_many=True)
        else:
            keys = files.keys_of_newest(source, entity, Path(location), as_of)
        gone = Landed(source, entity, landing).gone(keys) if keys is not None else None
        if gone is not None and gone.num_rows:
            yield dlt.resource(gone, name=gone_table(entity.name), write_disposition="append")


def _dlt_source(source: Source, location: str, landing: Path, as_of: date, whole: Set[str] = frozenset()) -> Any:
    """Resources of all entities, or of those tables that are to be read as a whole."""
    import dlt

    @dlt.source(name=source.name, max_table_nesting=0)
    def landed() -> Iterator[Any]:
        for entity in source.entities:
            if whole and entity.name not in whole:
                continue
            if is_database(location):
                from customer_tiering.extract.sql import table_resource

                known = Landed(source, entity, landing)
                yield table_resource(entity, location, _cursor_bound(as_of), known, whole=bool(whole))
            else:
                anew = bool(Landed(source, entity, landing).lacks)
                yield _file_resource(source, entity, Path(location), as_of, anew=anew)

    return landed()


def _file_resource(source: Source, entity: Entity, folder: Path, as_of: date, *, anew: bool) -> Any:
    """A dlt resource of the rows of new and changed files; of all files, where they are to be landed ``anew``."""
    import dlt
    import pyarrow as pa

    @dlt.resource(name=entity.name, write_disposition="append")
    def rows() -> Iterator[pa.Table]:
        # dlt commits this state together with the load, so a crash forgets both or keeps both.
        landed: dict[str, dict[str, Any]] = dlt.current.resource_state().setdefault("files", {})
        if anew:
            landed.clear()
        count = 0
        for path in files.entity_files(source, entity, folder, as_of):
            known = landed.get(path.name)
            state = files.changed_state(path, files.FileState(**known) if known else None)
            if state is None:
                continue
            for table in files.read_rows(source, entity, path):
                # Row numbers identify a row within a load, so they run on over its files.
                numbers = pa.array(range(count + 1, count + table.num_rows + 1), pa.int64())
                position = table.schema.get_field_index(ROW_COLUMN)
                yield table.set_column(position, ROW_COLUMN, numbers)
                count += table.num_rows
            landed[path.name] = asdict(state)

    return rows


def _check_files(source: Source, folder: Path, as_of: date) -> None:
    for entity in source.entities:
        found = files.entity_files(source, entity, folder, as_of)
        if not found and entity.required:
            later = files.entity_files(source, entity, folder)
            first = files.file_day(later[0]) if later else None
            raise SourceError(
                f"source {source.name}, entity {entity.name}: no file {entity.files} "
                + (f"up to {as_of} in {folder}; the first is of {first}" if first else f"in {folder}"),
                "choose a later AS_OF" if first else "check the path in the profile and that the export ran",
            )
        if found:
            newest, *older = reversed(found)
            files.check_header(source, entity, newest, *older)


def _count_rows(source: Source, landing: Path, load_ids: list[str]) -> dict[str, int]:
    import pyarrow.parquet as pq

    from customer_tiering.extract.landing import Load, load_files

    return {
        entity.name: sum(
            pq.ParquetFile(path).metadata.num_rows
            for load_id in load_ids
            for path in load_files(landing, entity, Load(source.name, load_id))
        )
        for entity in source.entities
    }


def _refuse_never_filled(source: Source, landing: Path) -> None:
    for entity in source.entities:
        if entity.required and not any((landing / source.name / entity.name).glob("*.parquet")):
            raise SourceError(
                f"source {source.name}, entity {entity.name}: it is empty; not one row was ever landed",
                "check that the export or table holds data, or declare the entity with required=False",
            )


def _source_error(source: Source, error: BaseException) -> Exception:
    """The readable cause inside dlt's wrapped exceptions."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, SourceError):
            return cause
        seen.add(id(cause))
        last, cause = cause, cause.__cause__ or cause.__context__
    text = (str(last).strip().splitlines() or [type(last).__name__])[0]
    return SourceError(
        f"source {source.name}: extraction failed: {type(last).__name__}: {text}",
        "see the run's log; nothing of this extraction is visible, the next run starts it again",
    )
