"""What is there: tables, files and sheets with their columns and a sample of rows, as text."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from customer_tiering.errors import SourceError
from customer_tiering.extract.files import cell_text, file_day

SAMPLE_ROWS = 5_000
_FILES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".xlsx", ".xlsm", ".xls", ".ods")
_DAY = re.compile(r"(?<!\d)\d{4}-?\d{2}-?\d{2}(\d{4}(\d{2})?)?(?!\d)")
_TITLE_ROWS = 20


@dataclass(frozen=True)
class Found:
    """A table, file or sheet. ``place`` is what a mapping says of where it is, ``home`` where the source itself is."""

    name: str
    home: tuple[str, str]
    """``("path", folder)`` or ``("url", address)``."""
    place: dict[str, Any]
    columns: tuple[str, ...]
    rows: list[dict[str, str | None]] = field(repr=False)
    notes: tuple[str, ...] = ()


def probe(what: str) -> list[Found]:
    """Everything under a file, a folder or a database URL. Raises ``SourceError`` when there is nothing to read."""
    if "://" in what:
        return _database(what)
    path = Path(what).expanduser()
    if path.is_dir():
        files = sorted(item for item in path.iterdir() if _is_data(item))
        if not files:
            raise SourceError(f"the folder {path} holds no {', '.join(_FILES)} file", "name another --from")
        return _newest_of_each_series([found for file in files for found in _file(file)])
    if not path.is_file():
        raise SourceError(f"there is no file or folder {what}", "name a file, a folder or a database URL with --from")
    if not _is_data(path):
        raise SourceError(f"{path.name} is no {', '.join(_FILES)} file", "save it as one of them")
    return _file(path)


def _is_data(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return path.is_file() and not path.name.startswith((".", "~$")) and name.endswith(_FILES)


def _newest_of_each_series(found: list[Found]) -> list[Found]:
    """Of the files of a series (the same name with another day) the last one stands for all."""
    newest = {(item.place.get("files"), item.place.get("sheet")): item for item in found}
    return list(newest.values())


# --- files -------------------------------------------------------------------------------------------------


def _file(path: Path) -> list[Found]:
    name = path.name.lower().removesuffix(".gz")
    try:
        if name.endswith((".xlsx", ".xlsm", ".xls", ".ods")):
            return _sheets(path)
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise SourceError(f"{path.name} cannot be read: {error}", "check that it was transferred whole") from error
    encoding = _encoding(raw)
    text = raw.decode(encoding, "replace").lstrip("\ufeff")
    if not text.strip():
        raise SourceError(f"{path.name} is empty", "have it written again")
    return [_json_lines(path, text, encoding) if name.endswith((".jsonl", ".ndjson")) else _csv(path, text, encoding)]


def _encoding(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for name in ("utf-8", "gb18030"):
        try:
            raw.decode(name)
        except UnicodeDecodeError:
            continue
        return name
    return "utf-8"


def _place(path: Path, **more: Any) -> dict[str, Any]:
    """A file by its name; the day in it stands for any day, so that tomorrow's export is read too."""
    name = _DAY.sub("*", path.name) if file_day(path) else path.name
    return {"files": name} | more


def _csv(path: Path, text: str, encoding: str) -> Found:
    first_lines = text[:20_000]
    delimiter = "\t" if path.name.lower().endswith(".tsv") else max(",;\t|", key=first_lines.count)
    lines = list(islice(csv.reader(io.StringIO(text), delimiter=delimiter), SAMPLE_ROWS + _TITLE_ROWS))
    header = _header_row(lines)
    place = _place(path) | _unless_usual(encoding="utf-8" if encoding == "utf-8" else encoding)
    if delimiter != "," and not path.name.lower().endswith(".tsv"):
        place["delimiter"] = delimiter
    return _table(path.name, path, place, lines, header)


def _unless_usual(encoding: str) -> dict[str, Any]:
    return {} if encoding == "utf-8" else {"encoding": encoding}


def _json_lines(path: Path, text: str, encoding: str) -> Found:
    rows: list[dict[str, str | None]] = []
    for line in islice(text.split("\n"), SAMPLE_ROWS):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            rows.append({key: None if value is None else _json_text(value) for key, value in document.items()})
    if not rows:
        raise SourceError(f"{path.name} holds no JSON object per line", "write one object per line")
    columns = tuple(dict.fromkeys(key for row in rows for key in row))
    full = [{name: row.get(name) for name in columns} for row in rows]
    return Found(path.name, ("path", str(path.parent.resolve())), _place(path) | _unless_usual(encoding), columns, full)


def _json_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _sheets(path: Path) -> list[Found]:
    from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

    try:
        workbook = CalamineWorkbook.from_path(str(path))
    except (CalamineError, Exception) as error:
        raise SourceError(
            f"{path.name} cannot be read as a workbook: {error}", "open it in Excel and save it"
        ) from error
    found = []
    visible = [sheet.name for sheet in workbook.sheets_metadata if sheet.visible == SheetVisibleEnum.Visible]
    for name in visible:
        lines = [
            [cell_text(cell) for cell in row]
            for row in workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
        ]
        if not any(any(cell.strip() for cell in line) for line in lines):
            continue
        place = _place(path) | ({"sheet": name} if len(workbook.sheet_names) > 1 else {})
        label = f"{path.name} › {name}" if len(visible) > 1 else path.name
        found.append(_table(label, path, place, lines[: SAMPLE_ROWS + _TITLE_ROWS], _header_row(lines)))
    if not found:
        raise SourceError(f"{path.name} has no visible sheet with rows", "show the sheet, or name another file")
    return found


def _header_row(lines: list[list[str]]) -> int:
    """Position of the line that names the columns: the first that is nearly as wide as the table and holds texts."""
    width = max((sum(bool(cell.strip()) for cell in line) for line in lines[: 10 * _TITLE_ROWS]), default=0)
    for position, line in enumerate(lines[:_TITLE_ROWS]):
        names = [cell.strip() for cell in line if cell.strip()]
        texts = [name for name in names if not re.fullmatch(r"[-+¥$0-9.,:/ %]+", name)]
        if len(names) >= max(0.6 * width, min(2, width)) and len(texts) >= 0.8 * len(names):
            return position
    return 0


def _table(label: str, path: Path, place: dict[str, Any], lines: list[list[str]], header: int) -> Found:
    names = [cell.strip() for cell in lines[header]]
    named = {index: name for index, name in enumerate(names) if name}
    double = sorted({name for name in named.values() if names.count(name) > 1})
    wanted = {index: name for index, name in named.items() if name not in double}
    rows = [
        {name: (line[index].strip() or None) if index < len(line) else None for index, name in wanted.items()}
        for line in lines[header + 1 :]
        if any(cell.strip() for cell in line)
    ]
    notes = [f"the title above the column names is skipped ({header} lines)"] if header else []
    if double:
        notes.append(f"columns that are there twice are left out: {', '.join(double)}")
    if header:
        place = place | {"header_row": header + 1}
    return Found(label, ("path", str(path.parent.resolve())), place, tuple(wanted.values()), rows, tuple(notes))


# --- databases ---------------------------------------------------------------------------------------------


def _database(url: str) -> list[Found]:
    import sqlalchemy as sa

    try:
        address = sa.make_url(url)
        engine = sa.create_engine(address)
    except (sa.exc.ArgumentError, ImportError, ValueError) as error:
        known = isinstance(error, ImportError | sa.exc.NoSuchModuleError)
        raise SourceError(
            f"the database URL cannot be used: {error if known else 'it is no valid URL'}",
            "write dialect://user:password@host:port/database",
        ) from error
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        raise SourceError(f"there is no database file {address.database}", "check the path")
    try:
        with engine.connect() as connection:
            inspector = sa.inspect(engine)
            names = sorted({*inspector.get_table_names(), *inspector.get_view_names()})
            found = []
            for name in names:
                columns = tuple(column["name"] for column in inspector.get_columns(name))
                page = sa.select(sa.table(name, *map(sa.column, columns))).limit(SAMPLE_ROWS)
                rows = list(_as_text(columns, connection.execute(page)))
                found.append(Found(name, ("url", url), {"table": name}, columns, rows))
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        shown = address.render_as_string(hide_password=True)
        raise SourceError(
            f"the database {shown} cannot be read: {reason}", "see that it is up and who may read"
        ) from error
    finally:
        engine.dispose()
    if not found:
        raise SourceError("the database holds no table that its user may see", "check the URL and the user's rights")
    return found


def _as_text(columns: tuple[str, ...], rows: Iterable[Any]) -> Iterator[dict[str, str | None]]:
    for row in rows:
        yield {name: None if value is None else cell_text(value) for name, value in zip(columns, row, strict=True)}
