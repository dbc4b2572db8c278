"""File entities: which files are new, and their rows as text with file and row number."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from customer_tiering.errors import SourceError
from customer_tiering.sources.base import FILE_COLUMN, MALFORMED_COLUMN, ROW_COLUMN, Entity, Source

_DAY_IN_NAME = re.compile(r"(?<!\d)(\d{4})-?(\d{2})-?(\d{2})(?!\d)")
_CSV_BLOCK_BYTES = 16 << 20
_JSON_LINES_PER_BATCH = 100_000


@dataclass(frozen=True)
class FileState:
    """What is remembered of a landed file: size and time to skip it quickly, content hash to be sure."""

    size: int
    modified_ns: int
    sha256: str


def file_day(path: Path) -> date | None:
    """The day in a file's name, or None."""
    match = _DAY_IN_NAME.search(path.name)
    if not match:
        return None
    try:
        return date(*(int(part) for part in match.groups()))
    except ValueError:
        return None


def entity_files(source: Source, entity: Entity, folder: Path, until: date | None = None) -> list[Path]:
    """The entity's files of days up to ``until``, oldest first; files without a day always count.

    Raises ``SourceError`` when the folder does not exist.
    """
    if not folder.is_dir():
        raise SourceError(
            f"source {source.name}: the folder {folder} does not exist",
            "check the path in the profile (and DATA=, if the profile uses {data})",
        )
    found = [path for path in folder.glob(entity.files or "") if path.is_file()]
    if until is not None:
        found = [path for path in found if (file_day(path) or until) <= until]
    return sorted(found, key=lambda path: (file_day(path) or date.min, path.name))


def changed_state(path: Path, known: FileState | None) -> FileState | None:
    """The file's new state if its content is not what was landed, else None."""
    stat = path.stat()
    if known and (known.size, known.modified_ns) == (stat.st_size, stat.st_mtime_ns):
        return None
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if known and known.sha256 == digest:
        return None
    return FileState(stat.st_size, stat.st_mtime_ns, digest)


def check_header(source: Source, entity: Entity, path: Path) -> None:
    """Raise ``SourceError`` naming file and columns when the file lacks a declared column that is not optional."""
    names = {"csv": _csv_header, "jsonl": _json_keys, "excel": _sheet_header}[entity.format](source, entity, path)
    if missing := _missing(entity, names):
        raise SourceError(
            f"source {source.name}, entity {entity.name}: {path.name} has no column {', '.join(missing)} "
            f"(it has: {', '.join(sorted(names))})",
            "ask the owner of the source for a complete export, or change the declaration in "
            f"customer_tiering/sources/{source.name}.py",
        )


def _missing(entity: Entity, names: Container[str]) -> list[str]:
    """Headers of declared columns that a file with these names lacks; optional ones may be absent."""
    needed = [entity.header(column) for column in entity.columns if column not in entity.optional]
    return [name for name in needed if name not in names]


def read_rows(source: Source, entity: Entity, path: Path) -> Iterator[pa.Table]:
    """The file's rows in batches: the declared columns as text, then file, row number and malformed text.

    Row numbers are lines of data counted from 1. A line with too many or too few fields comes with all
    columns null and its text in ``_malformed``, so that the gate can account for it.
    """
    reader = {"csv": _read_csv, "jsonl": _read_jsonl, "excel": _read_excel}[entity.format]
    try:
        yield from reader(entity, path)
    except (pa.ArrowInvalid, EOFError, KeyError, OSError, UnicodeDecodeError) as error:
        # KeyError: an older file of the series lacks a declared column; only the newest header is checked.
        raise _unreadable(source, entity, path, error) from error


def _unreadable(source: Source, entity: Entity, path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"source {source.name}, entity {entity.name}: {path.name} cannot be read as {entity.format} "
        f"in {entity.encoding}: {_without_content(error)}",
        "check that the file was transferred whole and has the declared format and encoding",
    )


def _without_content(error: Exception) -> str:
    """The first line of a reader's message up to where it would quote the file, which may be private."""
    lines = str(error).splitlines()
    return ": ".join(lines[0].split(": ")[:2]) if lines else type(error).__name__


def _empty(source: Source, entity: Entity, path: Path) -> SourceError:
    return SourceError(
        f"source {source.name}, entity {entity.name}: {path.name} is empty, without even a header",
        "have the export written again, then rerun the night",
    )


def _table(entity: Entity, columns: list[Any], path: Path, first_row: int, malformed: Any = None) -> pa.Table:
    rows = len(columns[0]) if columns else 0
    arrays = [pa.array(column, pa.string()) if isinstance(column, list) else column for column in columns]
    return pa.table(
        [
            *arrays,
            pa.array([path.name] * rows, pa.string()),
            pa.array(range(first_row, first_row + rows), pa.int64()),
            malformed if malformed is not None else pa.nulls(rows, pa.string()),
        ],
        names=[*entity.columns, FILE_COLUMN, ROW_COLUMN, MALFORMED_COLUMN],
    )


# --- CSV ---------------------------------------------------------------------------------------------------


def _open_csv(entity: Entity, path: Path, bad_rows: list[str], block: int) -> pa_csv.CSVStreamingReader:
    def remember(row: pa_csv.InvalidRow) -> str:
        bad_rows.append(row.text)
        return "skip"

    header = [entity.header(column) for column in entity.columns]
    return pa_csv.open_csv(
        pa.input_stream(str(path), compression="detect"),
        read_options=pa_csv.ReadOptions(encoding=entity.encoding, block_size=block, use_threads=False),
        parse_options=pa_csv.ParseOptions(
            delimiter=entity.delimiter, newlines_in_values=True, invalid_row_handler=remember
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            include_columns=header,
            include_missing_columns=bool(entity.optional),
            strings_can_be_null=False,
        ),
    )


def _csv_header(source: Source, entity: Entity, path: Path) -> set[str]:
    try:
        return _csv_names(entity, path)
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            raise _empty(source, entity, path) from error
        raise _unreadable(source, entity, path, error) from error
    except (EOFError, OSError, UnicodeDecodeError) as error:
        raise _unreadable(source, entity, path, error) from error


def _csv_names(entity: Entity, path: Path) -> set[str]:
    with pa.input_stream(str(path), compression="detect") as stream:
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(encoding=entity.encoding, block_size=_CSV_BLOCK_BYTES, use_threads=False),
            parse_options=pa_csv.ParseOptions(
                delimiter=entity.delimiter, newlines_in_values=True, invalid_row_handler=lambda _row: "skip"
            ),
        )
        return set(reader.schema.names)


def _read_csv(entity: Entity, path: Path) -> Iterator[pa.Table]:
    bad_rows: list[str] = []
    row = 1
    if entity.optional and (missing := _missing(entity, _csv_names(entity, path))):
        raise KeyError(f"there is no column {', '.join(missing)}")  # or they would be read as empty, too
    for batch in _open_csv(entity, path, bad_rows, _CSV_BLOCK_BYTES):
        yield _table(entity, list(batch.columns), path, row)
        row += batch.num_rows
    if bad_rows:
        empty = [pa.nulls(len(bad_rows), pa.string()) for _ in entity.columns]
        yield _table(entity, empty, path, row, pa.array(bad_rows, pa.string()))


# --- JSON lines --------------------------------------------------------------------------------------------


def _json_batches(path: Path, encoding: str) -> Iterator[list[str]]:
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding) as stream:
        batch: list[str] = []
        for line in stream:
            if line.strip():
                batch.append(line.strip())
            if len(batch) == _JSON_LINES_PER_BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _json_keys(source: Source, entity: Entity, path: Path) -> set[str]:
    import duckdb

    try:
        batch = next(_json_batches(path, entity.encoding), None)
    except UnicodeDecodeError as error:
        raise _unreadable(source, entity, path, error) from error
    if batch is None:
        raise _empty(source, entity, path)
    lines = pa.table({"line": pa.array(batch[:1000], pa.string())})
    with duckdb.connect() as connection:
        connection.register("lines", lines)
        keys = connection.execute(
            "select distinct unnest(json_keys(doc)) from (select try_cast(line as json) as doc from lines) "
            "where json_type(doc) = 'OBJECT'"
        ).fetchall()
    return {key for (key,) in keys}


def _read_jsonl(entity: Entity, path: Path) -> Iterator[pa.Table]:
    import duckdb

    row = 1
    fields = ", ".join(
        f"case when ok then json_extract_string(doc, '$.\"{entity.header(column)}\"') end" for column in entity.columns
    )
    with duckdb.connect() as connection:
        for batch in _json_batches(path, entity.encoding):
            connection.register("lines", pa.table({"line": pa.array(batch, pa.string())}))
            parsed = connection.execute(
                # Not json_valid() and json_type(): both sides are evaluated, and json_type() fails on a broken line.
                f"select {fields}, case when not ok then line end from "
                "(select line, doc, coalesce(json_type(doc) = 'OBJECT', false) as ok "
                "from (select line, try_cast(line as json) as doc from lines))"
            ).to_arrow_table()
            columns = [parsed.column(index) for index in range(parsed.num_columns)]
            yield _table(entity, columns[:-1], path, row, columns[-1])
            row += parsed.num_rows


# --- Excel -------------------------------------------------------------------------------------------------


def _sheet(entity: Entity, path: Path) -> list[list[Any]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        workbook = CalamineWorkbook.from_path(str(path))
        sheet = workbook.get_sheet_by_name(entity.sheet) if entity.sheet else workbook.get_sheet_by_index(0)
    except (CalamineError, Exception) as error:
        raise OSError(str(error)) from error
    return sheet.to_python(skip_empty_area=True)


def _sheet_header(source: Source, entity: Entity, path: Path) -> set[str]:
    try:
        rows = _sheet(entity, path)
    except OSError as error:
        raise _unreadable(source, entity, path, error) from error
    if not rows:
        raise _empty(source, entity, path)
    return {str(cell).strip() for cell in rows[0]}


def _cell_text(value: Any) -> str:
    """A cell as text: whole numbers without '.0', dates in ISO form."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def _read_excel(entity: Entity, path: Path) -> Iterator[pa.Table]:
    header, *rows = _sheet(entity, path) or [[]]
    position = {str(cell).strip(): index for index, cell in enumerate(header)}
    if missing := _missing(entity, position):
        raise KeyError(f"there is no column {', '.join(missing)}")
    columns: list[Any] = [
        [_cell_text(row[position[name]]) for row in rows]
        if (name := entity.header(column)) in position
        else pa.nulls(len(rows), pa.string())
        for column in entity.columns
    ]
    if rows:
        yield _table(entity, columns, path, 1)
