"""How a source is declared: what it holds, where each entity is found, what is private."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

IDENTIFIER = re.compile(r"^[a-z][a-z0-9_]{0,62}$")

PiiKind = Literal["name", "phone", "email", "text"]
FileFormat = Literal["csv", "jsonl", "excel"]

# Columns that extraction adds to every landed row, so that an error can name the row.
FILE_COLUMN = "_source_file"
ROW_COLUMN = "_row_number"
MALFORMED_COLUMN = "_malformed"
LOAD_COLUMN = "_dlt_load_id"


def gone_table(entity: str) -> str:
    """Where in landing the keys lie that an entity no longer has at its source."""
    return f"{entity}_gone"


@dataclass(frozen=True)
class Entity:
    """One table, file series or sheet of a source, as it is extracted.

    ``columns`` are the names used from landing on; ``headers`` maps a name to the header in the source where they
    differ (Chinese headers, for instance). ``table`` or ``query`` (SQL, read by its ``cursor`` where it has one) or
    ``files`` (glob under the source's folder) says where it is. A file's day is the date in its name (``YYYYMMDD`` or
    ``YYYY-MM-DD``); a night reads no file of a later day. ``optional`` columns may be absent from a file, such as an
    export written before they were introduced: their values are missing then.
    """

    name: str
    columns: tuple[str, ...]
    # A table or view, with its schema in front where that is not the default one.
    table: str | None = None
    query: str | None = None
    cursor: str | None = None
    # How far behind the last cursor rows are read again: what was committed late would else never be seen.
    look_back_days: int = 0
    # Columns that name a row in the table, by which its rows are counted there and in landing.
    key_columns: tuple[str, ...] = ()
    # Whether keys that the table, or the newest file, no longer has are deleted rows.
    compares_keys: bool = False
    files: str | None = None
    format: FileFormat = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    sheet: str | None = None
    # The line of a sheet that holds the column names; what stands above it is a title.
    header_row: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    required: bool = True

    def __post_init__(self) -> None:
        for name in (self.name, *self.columns):
            if not IDENTIFIER.match(name):
                raise ValueError(f"entity {self.name}: {name!r} is not a plain lower-case identifier")
        named = {*self.headers, *self.optional, *self.key_columns, *filter(None, [self.cursor])}
        if unknown := sorted(named - set(self.columns)):
            raise ValueError(f"entity {self.name}: {unknown} are not among its columns")
        if sum(place is not None for place in (self.table, self.query, self.files)) != 1:
            raise ValueError(f"entity {self.name}: give exactly one of table, query, files")
        if self.optional and self.files is None:
            raise ValueError(f"entity {self.name}: only files may lack columns, a table's are selected by name")

    def header(self, column: str) -> str:
        """The column's name in the source itself."""
        return self.headers.get(column, column)


@dataclass(frozen=True)
class Source:
    """A system that entities are extracted from. Parents come before the entities that refer to them."""

    name: str
    label_en: str
    label_zh: str
    entities: tuple[Entity, ...]

    def __post_init__(self) -> None:
        if not IDENTIFIER.match(self.name):
            raise ValueError(f"source {self.name!r} is not a plain lower-case identifier")
