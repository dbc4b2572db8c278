"""Writing the company: ERP database, export files, strategic sheet. Everything lands atomically."""

import csv
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from sample_company.batch import COLUMNS, ERP_COLUMNS, Row

_TYPES = {"line_no": "INTEGER", "quantity": "INTEGER"}
_NUMERIC = ("amount", "price")
_STATE_TABLE = "_generator_state"


def fsync_directory(path: Path) -> None:
    """Make renames inside `path` durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish(staged: Path, target: Path) -> None:
    """Move a finished file into place; readers see the old or the new file, never a part of one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with staged.open("rb") as handle:
        os.fsync(handle.fileno())
    staged.replace(target)
    fsync_directory(target.parent)


class ErpWriter:
    """Writes one window of ERP rows and the new marker in a single step.

    The first generation builds a new database file and renames it into place; later ones are one transaction
    on the existing file. Until `commit` returns, nothing of the window is visible.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fresh = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._build = path.with_name(path.name + ".building") if self._fresh else path
        if self._fresh:
            self._build.unlink(missing_ok=True)
        self._db = sqlite3.connect(self._build, isolation_level=None)
        if self._fresh:
            self._db.execute("PRAGMA journal_mode = OFF")  # a half-built file is thrown away, not rolled back
            self._db.execute("PRAGMA synchronous = OFF")
        else:
            self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA cache_size = -64000")
        self._db.execute("BEGIN IMMEDIATE")
        if self._fresh:
            self._create_tables()
        self._inserts = {
            table: f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})"
            for table, columns in ERP_COLUMNS.items()
        }

    def _create_tables(self) -> None:
        for table, columns in ERP_COLUMNS.items():
            typed = []
            for column in columns:
                numeric = "NUMERIC" if column.endswith(_NUMERIC) else "TEXT"
                typed.append(f"{column} {_TYPES.get(column, numeric)}")
            self._db.execute(f"CREATE TABLE {table} ({', '.join(typed)})")
        self._db.execute(f"CREATE TABLE {_STATE_TABLE} (state TEXT NOT NULL)")

    def write(self, table: str, rows: Iterable[Row]) -> None:
        """Insert rows into one table."""
        self._db.executemany(self._inserts[table], rows)

    def commit(self, state: Mapping[str, Any]) -> None:
        """Store the marker, build the indexes of a new file and make the window visible."""
        self._db.execute(f"DELETE FROM {_STATE_TABLE}")
        self._db.execute(f"INSERT INTO {_STATE_TABLE} VALUES (?)", (json.dumps(dict(state), sort_keys=True),))
        if self._fresh:
            for table in ERP_COLUMNS:
                self._db.execute(f"CREATE INDEX {table}_updated_at ON {table} (updated_at)")
        self._db.execute("COMMIT")
        self._db.close()
        if self._fresh:
            publish(self._build, self._path)

    def abort(self) -> None:
        """Drop the window."""
        self._db.close()
        if self._fresh:
            self._build.unlink(missing_ok=True)


def read_erp_state(path: Path) -> dict[str, Any] | None:
    """The marker inside the ERP database; None if there is no database."""
    if not path.exists():
        return None
    db = sqlite3.connect(path)
    try:
        row = db.execute(f"SELECT state FROM {_STATE_TABLE}").fetchone()
    finally:
        db.close()
    state: dict[str, Any] = json.loads(row[0])
    return state


_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


class ExportWriter:
    """Collects export rows in a staging directory; `publish` moves the finished files into place.

    Rows are buffered per file and appended when the buffer is full, so that neither memory nor the number of
    open files depends on the size of the company or the number of days.
    """

    _BUFFERED_ROWS = 50_000

    def __init__(self, root: Path, staging: Path) -> None:
        self._root, self._staging = root, staging
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        self._buffers: dict[Path, list[Row]] = {}
        self._buffered = 0
        self._files: dict[Path, tuple[str, str]] = {}

    def write(self, source: str, entity: str, label: str, rows: list[Row]) -> None:
        """Add rows to the export of `entity` named by `label` ('YYYYMMDD')."""
        if not rows:
            return
        extension = "jsonl" if source == "ticketing" else "csv"
        name = Path(source) / f"{entity}-{label}.{extension}"
        self._files[name] = (source, entity)
        self._buffers.setdefault(name, []).extend(rows)
        self._buffered += len(rows)
        if self._buffered >= self._BUFFERED_ROWS:
            self.flush()

    def flush(self) -> None:
        """Append everything buffered to the staged files."""
        for name, rows in self._buffers.items():
            source, entity = self._files[name]
            columns = COLUMNS[source][entity]
            path = self._staging / name
            path.parent.mkdir(exist_ok=True)
            new = not path.exists()
            with path.open("a", encoding="utf-8", newline="") as handle:
                if source == "ticketing":
                    handle.writelines(_ENCODE(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
                    continue
                if new:
                    handle.write("\ufeff")
                writer = csv.writer(handle, lineterminator="\n")
                if new:
                    writer.writerow(columns)
                writer.writerows(rows)
        self._buffers.clear()
        self._buffered = 0

    def publish(self) -> list[Path]:
        """Move all staged export files into place; returns their paths relative to the root."""
        self.flush()
        for name in sorted(self._files):
            publish(self._staging / name, self._root / name)
        return sorted(self._files)


class GrowingFile:
    """A text file that grows by each generation: the first `kept` bytes stay, what follows is rewritten."""

    def __init__(self, target: Path, staged: Path, kept: int, header: str = "") -> None:
        self._target, self._staged = target, staged
        if kept:
            with target.open("rb") as old, staged.open("wb") as new:
                _copy(old, new, kept)
        else:
            staged.write_text(header, encoding="utf-8")
        self._handle = staged.open("a", encoding="utf-8", newline="")

    def write(self, lines: Iterable[str]) -> None:
        """Append lines (without line ends)."""
        self._handle.writelines(line + "\n" for line in lines)

    def publish(self) -> int:
        """Move the file into place; returns its size in bytes."""
        self._handle.close()
        size = self._staged.stat().st_size
        publish(self._staged, self._target)
        return size


def _copy(old: IO[bytes], new: IO[bytes], size: int) -> None:
    while size > 0:
        block = old.read(min(size, 1 << 20))
        if not block:
            raise OSError("a file of the sample company is shorter than company.json says")
        new.write(block)
        size -= len(block)


def strategic_sheet(columns: tuple[str, ...], rows: list[Row]) -> bytes:
    """The strategic Excel sheet; equal rows give equal bytes."""
    import xlsxwriter

    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    book.set_properties({"author": "sales", "created": datetime(2020, 1, 1)})
    sheet = book.add_worksheet("strategic")
    sheet.write_row(0, 0, columns)
    for number, row in enumerate(rows, start=1):
        sheet.write_row(number, 0, row)
    book.close()
    return buffer.getvalue()


def write_if_changed(target: Path, staged: Path, content: bytes) -> bool:
    """Replace `target` unless it already holds `content`; True if it was replaced."""
    if target.exists() and target.read_bytes() == content:
        return False
    staged.write_bytes(content)
    publish(staged, target)
    return True
