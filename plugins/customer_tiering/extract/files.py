"""File entities: which files are new, and their rows as text with file and row number."""

from __future__ import annotations

import codecs
import hashlib
import re
import zipfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from customer_tiering.errors import SourceError
from customer_tiering.sources.base import FILE_COLUMN, MALFORMED_COLUMN, ROW_COLUMN, Entity, Source

# A day, perhaps with a time of day behind it (20260331, 2026-03-31, 20260331120000).
_DAY_IN_NAME = re.compile(r"(?<!\d)(\d{4})-?(\d{2})-?(\d{2})(?=(?:\d{4}(?:\d{2})?)?(?!\d))")
# What Excel and macOS put beside a file; nothing that anybody delivered.
_COMPANION = ("~$", ".")
_CSV_BLOCK_BYTES = 16 << 20
_JSON_LINES_PER_BATCH = 100_000
_BYTES = 1 << 20
_OTHER_ENCODINGS = ("utf-8", "gb18030")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_TOTAL = re.compile(r"合\s*计|总\s*计|小\s*计|total|grand total|subtotal|sum")
_NOT_DECODED = "\ufffd"


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
    found = [
        path for path in folder.glob(entity.files or "") if path.is_file() and not path.name.startswith(_COMPANION)
    ]
    if until is not None:
        found = [path for path in found if (file_day(path) or until) <= until]
    return sorted(found, key=lambda path: (file_day(path) or date.min, path.name))


def keys_of_newest(source: Source, entity: Entity, folder: Path, until: date) -> pa.Table | None:
    """The keys in the entity's newest file, which is a full export; None when there is no file."""
    paths = entity_files(source, entity, folder, until)
    if not paths:
        return None
    keys = [table.select(list(entity.key_columns)) for table in read_rows(source, entity, paths[-1])]
    empty = pa.table({name: pa.array([], pa.string()) for name in entity.key_columns})
    return pa.concat_tables([empty, *keys])


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


def check_header(source: Source, entity: Entity, path: Path, *older: Path) -> None:
    """Raise ``SourceError`` naming file and columns when a declared column that is not optional is missing or double.

    In JSON a key that is left out is a missing value: a column is missing when no line of ``path`` and of the
    ``older`` files has it.
    """
    names = {"csv": _csv_header, "jsonl": _json_keys, "excel": _sheet_header}[entity.format](source, entity, path)
    declared = {entity.header(column) for column in entity.columns}
    if double := sorted({name for name in names if name in declared and names.count(name) > 1}):
        raise SourceError(
            f"source {source.name}, entity {entity.name}: {path.name} has the column {', '.join(double)} twice",
            "rename or remove one of them in the export: nobody can know which one counts",
        )
    for file in older if entity.format == "jsonl" else ():
        if not _missing(entity, names):
            break
        if file.stat().st_size:
            names += _json_keys(source, entity, file)
    if missing := _missing(entity, names):
        raise SourceError(
            f"source {source.name}, entity {entity.name}: {path.name} has no column {', '.join(missing)} "
            f"(it has: {', '.join(sorted(set(names)))})",
            "ask the owner of the source for a complete export, or correct the mapping of the source in the profile",
        )


def _missing(entity: Entity, names: Container[str]) -> list[str]:
    """Headers of declared columns that a file with these names lacks; optional ones may be absent."""
    needed = [entity.header(column) for column in entity.columns if column not in entity.optional]
    return [name for name in needed if name not in names]


def read_rows(source: Source, entity: Entity, path: Path) -> Iterator[pa.Table]:
    """The file's rows in batches: the declared columns as text, then file, row number and malformed text.

    Row numbers are lines of data counted from 1. A line with too many or too few fields, with bytes that are not of
    the encoding, with an error in a cell of a sheet, or that adds up the lines above it, comes with all columns null
    and its text in ``_malformed``, so that the gate can account for it. Raises ``SourceError``.
    """
    if entity.format != "jsonl":
        check_header(source, entity, path)
    reader = {"csv": _read_csv, "jsonl": _read_jsonl, "excel": _read_excel}[entity.format]
    try:
        yield from reader(entity, path)
    except (pa.ArrowInvalid, EOFError, OSError, UnicodeDecodeError) as error:
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


def _set_aside(entity: Entity, path: Path, first_row: int, texts: list[str]) -> pa.Table:
    """Rows that cannot be used: no column, just their text."""
    empty = [pa.nulls(len(texts), pa.string()) for _ in entity.columns]
    return _table(entity, empty, path, first_row, pa.array(texts, pa.string()))


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


# --- encodings ---------------------------------------------------------------------------------------------


def _decodes(path: Path, encoding: str) -> bool:
    """Whether every byte of the file is of the encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with pa.input_stream(str(path), compression="detect") as stream:
        try:
            while part := stream.read(_BYTES):
                decoder.decode(part)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _is_chinese_utf8(path: Path) -> bool:
    """Whether the file is UTF-8 with Chinese characters: read as GB18030 it would often decode, to nonsense.

    Real GB18030 is hardly ever valid UTF-8, and then gives no Chinese characters.
    """
    if not _decodes(path, "utf-8"):
        return False
    with pa.input_stream(str(path), compression="detect") as stream:
        return _CHINESE.search(stream.read().decode()) is not None


def _refuse_other_encoding(path: Path, encoding: str) -> None:
    """Raise ``OSError`` when the file is of another encoding; return when it only has some broken bytes."""
    good = bad = 0
    first = None
    with pa.input_stream(str(path), compression="detect") as stream:
        data = stream.read()
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.isascii():
            continue
        try:
            line.decode(encoding)
            good += 1
        except UnicodeDecodeError:
            bad += 1
            first = first or number
    others = [name for name in _OTHER_ENCODINGS if name != encoding and _decodes(path, name)]
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        others = ["utf-16"]
    if bad > good and (bad > 1 or others):
        advice = f"it is valid {others[0]}, so declare encoding={others[0]!r}" if others else "no known encoding fits"
        raise OSError(f"line {first} is not {encoding}, nor are {bad - 1} others; {advice}")


def _lenient(path: Path, encoding: str) -> bool:
    """Whether single bytes of the file are broken, so that rows with them are to be set aside.

    Raises ``OSError`` when the file as a whole is of another encoding.
    """
    if _decodes(path, encoding):
        if encoding.lower().startswith("gb") and _is_chinese_utf8(path):
            raise OSError("its bytes are utf-8 with Chinese characters, so declare encoding='utf-8'")
        return False
    _refuse_other_encoding(path, encoding)
    return True


# --- CSV ---------------------------------------------------------------------------------------------------


@contextmanager
def _csv_stream(entity: Entity, path: Path, lenient: bool) -> Iterator[tuple[Any, str]]:
    """The file's bytes and their encoding; with broken bytes replaced where ``lenient``."""
    with pa.input_stream(str(path), compression="detect") as stream:
        if lenient:
            yield pa.BufferReader(stream.read().decode(entity.encoding, "replace").encode()), "utf-8"
        else:
            yield stream, entity.encoding


def _read_options(entity: Entity, encoding: str) -> pa_csv.ReadOptions:
    return pa_csv.ReadOptions(
        encoding=encoding, block_size=_CSV_BLOCK_BYTES, use_threads=False, skip_rows=entity.header_row - 1
    )


def _csv_header(source: Source, entity: Entity, path: Path) -> list[str]:
    try:
        with _csv_stream(entity, path, _lenient(path, entity.encoding)) as (stream, encoding):
            reader = pa_csv.open_csv(
                stream,
                read_options=_read_options(entity, encoding),
                parse_options=pa_csv.ParseOptions(
                    delimiter=entity.delimiter, newlines_in_values=True, invalid_row_handler=lambda _row: "skip"
                ),
            )
            return list(reader.schema.names)
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            raise _empty(source, entity, path) from error
        raise _unreadable(source, entity, path, error) from error
    except (EOFError, OSError, UnicodeDecodeError) as error:
        raise _unreadable(source, entity, path, error) from error


def _read_csv(entity: Entity, path: Path) -> Iterator[pa.Table]:
    bad_rows: list[str] = []
    header = [entity.header(column) for column in entity.columns]

    def remember(row: pa_csv.InvalidRow) -> str:
        bad_rows.append(row.text)
        return "skip"

    row = 1
    lenient = _lenient(path, entity.encoding)
    with _csv_stream(entity, path, lenient) as (stream, encoding):
        reader = pa_csv.open_csv(
            stream,
            read_options=_read_options(entity, encoding),
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
        for batch in reader:
            kept = _without_broken(batch, entity.delimiter, bad_rows) if lenient else batch
            yield _table(entity, list(kept.columns), path, row)
            row += kept.num_rows
    if bad_rows:
        yield _set_aside(entity, path, row, bad_rows)


def _without_broken(batch: pa.RecordBatch, delimiter: str, bad_rows: list[str]) -> pa.RecordBatch:
    """The rows without a replaced byte; the text of the others goes to ``bad_rows``."""
    kept = []
    for row in batch.to_pylist():
        text = delimiter.join(value or "" for value in row.values())
        kept.append(_NOT_DECODED not in text)
        if not kept[-1]:
            bad_rows.append(text)
    return batch.filter(pa.array(kept, pa.bool_()))


# --- JSON lines --------------------------------------------------------------------------------------------


def _json_batches(path: Path, encoding: str, errors: str = "strict") -> Iterator[list[str]]:
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, errors=errors) as stream:
        batch: list[str] = []
        for line in stream:
            if line.strip():
                batch.append(line.strip())
            if len(batch) == _JSON_LINES_PER_BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _json_keys(source: Source, entity: Entity, path: Path) -> list[str]:
    """Keys of the file's lines; reading ends with the batch in which every declared column was seen."""
    import duckdb

    keys: set[str] = set()
    empty = True
    try:
        errors = "replace" if _lenient(path, entity.encoding) else "strict"
        with duckdb.connect() as connection:
            for batch in _json_batches(path, entity.encoding, errors):
                empty = False
                connection.register("lines", pa.table({"line": pa.array(batch, pa.string())}))
                keys |= {
                    key
                    for (key,) in connection.execute(
                        "select distinct unnest(json_keys(doc)) from (select try_cast(line as json) as doc from lines) "
                        "where json_type(doc) = 'OBJECT'"
                    ).fetchall()
                }
                if not _missing(entity, keys):
                    break
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(source, entity, path, error) from error
    if empty:
        raise _empty(source, entity, path)
    return sorted(keys)


def _read_jsonl(entity: Entity, path: Path) -> Iterator[pa.Table]:
    import duckdb

    row = 1
    lenient = _lenient(path, entity.encoding)
    fields = ", ".join(
        f"case when ok then json_extract_string(doc, '$.\"{entity.header(column)}\"') end" for column in entity.columns
    )
    with duckdb.connect() as connection:
        for batch in _json_batches(path, entity.encoding, "replace" if lenient else "strict"):
            connection.register("lines", pa.table({"line": pa.array(batch, pa.string())}))
            parsed = connection.execute(
                # Not json_valid() and json_type(): both sides are evaluated, and json_type() fails on a broken line.
                f"select {fields}, case when not ok then line end from "
                "(select line, doc, coalesce(json_type(doc) = 'OBJECT', false) "
                "and not ($lenient and contains(line, $not_decoded)) as ok "
                "from (select line, try_cast(line as json) as doc from lines))",
                {"lenient": lenient, "not_decoded": _NOT_DECODED},
            ).to_arrow_table()
            columns = [parsed.column(index) for index in range(parsed.num_columns)]
            yield _table(entity, columns[:-1], path, row, columns[-1])
            row += parsed.num_rows


# --- Excel -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sheet:
    """Cells from the first filled row and column on; ``errors`` are the texts of error cells by row and column."""

    rows: list[list[Any]]
    errors: dict[tuple[int, int], str]


def _sheet(entity: Entity, path: Path) -> _Sheet:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        workbook = CalamineWorkbook.from_path(str(path))
        sheet = workbook.get_sheet_by_name(entity.sheet) if entity.sheet else workbook.get_sheet_by_index(0)
        rows = sheet.to_python(skip_empty_area=True)
        top, left = sheet.start or (0, 0)
        for first, last in sheet.merged_cell_ranges or []:
            _fill(rows, first[0] - top, first[1] - left, last[0] - top)
        titles = max(entity.header_row - 1 - top, 0)
        rows, top = rows[titles:], top + titles
        errors = {(row - top, column - left): text for (row, column), text in _error_cells(path, sheet.name).items()}
    except (CalamineError, Exception) as error:
        raise OSError(str(error)) from error
    return _Sheet(rows, errors)


def _fill(rows: list[list[Any]], first: int, column: int, last: int) -> None:
    """A cell that was merged over several rows says the same of each of them."""
    for row in range(first + 1, min(last + 1, len(rows))):
        rows[row][column] = rows[first][column]


def _error_cells(path: Path, sheet: str) -> dict[tuple[int, int], str]:
    """Cells that hold an error such as #DIV/0!; calamine would read them as empty. Only in the XML format of Excel."""
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        parts = [name for name in archive.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        if not any(b't="e"' in archive.read(name) for name in parts):
            return {}
    from openpyxl import load_workbook

    workbook = load_workbook(path, read_only=True, data_only=True)
    try:
        return {
            (cell.row - 1, cell.column - 1): str(cell.value)
            for row in workbook[sheet].iter_rows()
            for cell in row
            if cell.data_type == "e"
        }
    finally:
        workbook.close()


def _sheet_header(source: Source, entity: Entity, path: Path) -> list[str]:
    try:
        rows = _sheet(entity, path).rows
    except OSError as error:
        raise _unreadable(source, entity, path, error) from error
    if not rows:
        raise _empty(source, entity, path)
    return [str(cell).strip() for cell in rows[0]]


def cell_text(value: Any) -> str:
    """A cell as text: whole numbers without '.0', dates in ISO form."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def _is_total(row: list[Any]) -> bool:
    """Whether a line below the rows adds them up: people write them, and they are nobody's."""
    first = next((text for value in row if (text := cell_text(value).strip())), "")
    return _TOTAL.fullmatch(first.rstrip(":：").lower()) is not None


def _read_excel(entity: Entity, path: Path) -> Iterator[pa.Table]:
    sheet = _sheet(entity, path)
    header, *rows = sheet.rows
    position = {str(cell).strip(): index for index, cell in enumerate(header)}
    wanted = {position[name] for column in entity.columns if (name := entity.header(column)) in position}
    broken = {row for row, column in sheet.errors if column in wanted}
    broken |= {number for number, row in enumerate(rows, start=1) if _is_total(row)}
    good = [row for number, row in enumerate(rows, start=1) if number not in broken]
    columns: list[Any] = [
        [cell_text(row[position[name]]) for row in good]
        if (name := entity.header(column)) in position
        else pa.nulls(len(good), pa.string())
        for column in entity.columns
    ]
    if good:
        yield _table(entity, columns, path, 1)
    texts = [
        ",".join(sheet.errors.get((number, column)) or cell_text(value) for column, value in enumerate(row))
        for number, row in enumerate(rows, start=1)
        if number in broken
    ]
    if texts:
        yield _set_aside(entity, path, len(good) + 1, texts)
