"""The input tables, declared once in ``tables/*.yml``: grain, key, columns with their types, labels and synonyms.

They are the contract of the input layer: a source is a mapping onto them, the gate's rules come from them, and so do
the templates and docs/input-layer.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from customer_tiering.inputs.types import TYPES, ColumnType, Form, half_width, read_level
from customer_tiering.sources.base import PiiKind
from customer_tiering.yaml_text import load_yaml

EARLIEST_DAY = "1980-01-01"
"""Days before it are placeholders of programs (1900-01-01, 1970-01-01), never days of business."""
LATEST_DAY = "2100-01-01"
CUSTOMER_SOURCE, LINKED_SOURCE = "customer_source", "linked_source"


class Column(BaseModel):
    """A column of an input table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    type: str
    label_en: str
    label_zh: str
    meaning_en: str = ""
    required: bool = False
    """Every row needs a value; without a mapping the table needs a ``default``."""
    default: str | None = None
    """What a row says where the column is not mapped."""
    private: PiiKind | None = None
    references: str | None = None
    optional_reference: bool = False
    """Rows whose parent is unknown are kept."""
    past: bool = False
    """A date that cannot lie after the night."""
    min: float | None = None
    max: float | None = None
    max_length: int | None = None
    """Longer texts are several rows that a stray quotation mark glued together."""
    levels: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Codes of a level, each with the words by which people call it."""
    on_unreadable: Literal["quarantine", "repair"] | None = None
    synonyms: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _type_is_known(self) -> Column:
        if self.type != "level" and self.type not in TYPES:
            raise ValueError(f"unknown type {self.type!r}")
        if (self.type == "level") != bool(self.levels):
            raise ValueError("levels belong to the type level")
        return self

    @property
    def kind(self) -> ColumnType:
        return TYPES["text"] if self.type == "level" else TYPES[self.type]

    @property
    def sql_type(self) -> str:
        return self.kind.sql_type

    @property
    def is_time(self) -> bool:
        return self.type in ("date", "instant")

    @property
    def when_unreadable(self) -> str:
        """quarantine or repair: whether a row is kept out when its text cannot be read, or kept without the value."""
        return "quarantine" if self.required else self.on_unreadable or self.kind.on_unreadable

    @property
    def spellings(self) -> dict[str, str]:
        """Lower-case spelling to code, of a level."""
        return {
            word.lower(): code for code, words in self.levels.items() for word in (code, code.replace("_", " "), *words)
        }

    def read(self, text: str, form: Form) -> str:
        """SQL of the typed value of a text; null when it cannot be read."""
        return read_level(text, self.spellings) if self.levels else self.kind.read(text, form)


class InputTable(BaseModel):
    """An input table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    label_en: str
    label_zh: str
    grain_en: str
    grain_zh: str
    key: tuple[str, ...]
    version: str
    required: bool = False
    """A source that maps the table must deliver some row of it."""
    synonyms: tuple[str, ...]
    columns: tuple[Column, ...]

    @model_validator(mode="after")
    def _names_are_columns(self) -> InputTable:
        names = {column.name for column in self.columns}
        if unknown := sorted({*self.key, self.version} - names):
            raise ValueError(f"{unknown} are not among its columns")
        return self

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def stored(self) -> dict[str, str]:
        """Columns of accepted rows with their SQL types: those declared, and which source a customer id is of."""
        columns = {column.name: column.sql_type for column in self.columns}
        if "customer_id" in columns and self.name != "customers":
            columns[CUSTOMER_SOURCE] = "varchar"
        if "linked_customer_id" in columns:
            columns[LINKED_SOURCE] = "varchar"
        return columns


@cache
def input_tables() -> dict[str, InputTable]:
    """All input tables by name, parents before the tables that refer to them."""
    found: dict[str, InputTable] = {}
    folder = resources.files("customer_tiering.inputs") / "tables"
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        name = path.name.removesuffix(".yml")
        content = load_yaml(path.read_text(encoding="utf-8"))
        columns = [{"name": column} | declared for column, declared in content.pop("columns").items()]
        found[name] = InputTable.model_validate({"name": name, "columns": columns, **content})
    ordered: dict[str, InputTable] = {}
    while len(ordered) < len(found):
        for name, table in found.items():
            parents = {column.references for column in table.columns if column.references} - {name}
            if name not in ordered and parents <= set(ordered):
                ordered[name] = table
    return ordered


def plausible(column: Column, value: str, earliest_day: str, latest_day: str) -> str:
    """SQL of whether a day or a moment can be one of business: no placeholder, and not of the future."""
    latest = f"cast({latest_day!r} as date) + interval 2 day" if column.past else f"date {LATEST_DAY!r}"
    return f"{value} >= date {earliest_day!r} and {value} < {latest}"


def spoken_levels(column: Column) -> str:
    """What a level may be called, for messages: "confirmed (已确认), cancelled (已取消)"."""
    return ", ".join(f"{code} ({words[0]})" if words else code for code, words in column.levels.items())


__all__ = ["Column", "InputTable", "half_width", "input_tables", "plausible", "spoken_levels"]
