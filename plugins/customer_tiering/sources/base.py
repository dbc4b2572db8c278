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


@dataclass(frozen=True)
class Entity:
    """One table, file series or sheet of a source.

    ``columns`` are the names used from landing on; ``headers`` maps a name to the header in the file where
    they differ (Chinese headers, for instance). ``key`` identifies a row; of several versions of a key the
    one with the greatest ``version`` wins, later loads and later rows breaking ties. ``table`` (SQL) or
    ``files`` (glob under the source's folder) says where it is. A file's day is the date in its name
    (``YYYYMMDD`` or ``YYYY-MM-DD``); a night reads no file of a later day. ``optional`` columns may be absent from
    a file, such as an export written before they were introduced: their values are missing then.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    version: str | None = None
    pii: Mapping[str, PiiKind] = field(default_factory=dict)
    table: str | None = None
    cursor: str | None = None
    files: str | None = None
    format: FileFormat = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    # Texts by which the source says "no value", such as "?" or "N/A"; the gate reads them as missing, like empty text.
    missing: tuple[str, ...] = ()
    sheet: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    required: bool = True

    def __post_init__(self) -> None:
        for name in (self.name, *self.columns):
            if not IDENTIFIER.match(name):
                raise ValueError(f"entity {self.name}: {name!r} is not a plain lower-case identifier")
        named = {*self.key, *self.pii, *self.headers, *self.optional, *filter(None, [self.version, self.cursor])}
        if unknown := sorted(named - set(self.columns)):
            raise ValueError(f"entity {self.name}: {unknown} are not among its columns")
        if (self.table is None) == (self.files is None):
            raise ValueError(f"entity {self.name}: give exactly one of table, files")
        if self.optional and self.table is not None:
            raise ValueError(f"entity {self.name}: only files may lack columns, a table's are selected by name")
        if needed := sorted({*self.key, *filter(None, [self.version])} & set(self.optional)):
            raise ValueError(f"entity {self.name}: {needed} name or order its rows and cannot be optional")
        if self.table is not None and self.cursor is None:
            raise ValueError(f"entity {self.name}: a table needs a cursor column to be read incrementally")

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

    def entity(self, name: str) -> Entity:
        return next(entity for entity in self.entities if entity.name == name)
