"""Mappings: how the rows of a source become rows of the input tables; read from a company's YAML.

A mapping picks a text for each input column (a native column, a constant, several columns joined or multiplied), puts
its own words in place of the source's (``values``), and declares forms that could mean two things (``formats``). The
type of the input column does the rest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from customer_tiering.errors import nearest
from customer_tiering.inputs.tables import (
    CUSTOMER_SOURCE,
    EARLIEST_DAY,
    LINKED_SOURCE,
    Column,
    InputTable,
    input_tables,
    plausible,
)
from customer_tiering.inputs.types import EXCEL_SERIAL, NUMBER_TYPE, TYPES, Form, pick
from customer_tiering.sources.base import IDENTIFIER, Entity, FileFormat, PiiKind, Source
from customer_tiering.sql import literal, quote

_FORMATS: Dict[str, FileFormat] = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
    ".ods": "excel",
}
Operand = str | float | int
_ORIGINS = ("column", "first", "value", "join", "product", "sum")
_TIMES, _PLUS = " × ", " + "


def _texts(value: object) -> object:
    """YAML reads unquoted yes, 1 and 2024 as something else than the text that the source has."""
    if isinstance(value, dict):
        return {_text(key): _text(item) for key, item in value.items()}
    return value


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Words = Annotated[dict[str, str], BeforeValidator(_texts)]


class ColumnMapping(BaseModel):
    """Where the text of an input column comes from; exactly one of column, first, value, join, product, sum."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = None
    first: tuple[str, ...] | None = None
    """Columns of which the first that says something counts."""
    value: Annotated[str | None, BeforeValidator(_text)] = None
    """The same text for every row."""
    join: tuple[str, ...] | None = None
    """Columns joined by ``separator``; an empty one stays as an empty part."""
    separator: str = "|"
    product: tuple[Operand, ...] | None = None
    """Columns and numbers multiplied."""
    sum: tuple[Operand, ...] | None = None
    """Columns and numbers added; a column with a minus sign in front of its name is subtracted, an empty one is 0."""
    extract: str | None = None
    """A regular expression; its first group, or the whole match, is the text."""
    values: Words = Field(default_factory=dict)
    """The source's words to ours; words that are not listed stay as they are."""
    patterns: Words = Field(default_factory=dict)
    """Regular expressions to our words; the first that matches counts."""
    default: Annotated[str | None, BeforeValidator(_text)] = None
    """Our word where the source says nothing (or no pattern matches)."""
    formats: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."
    of: str | None = None
    """The source whose ids these are, where it is another one."""
    private: PiiKind | None = None
    """What makes the column private here, where it is not so by itself: ids that are people's names, for instance."""
    optional: bool = False
    """The source may come without the column, as exports written before it was introduced do."""

    @model_validator(mode="after")
    def _one_origin(self) -> ColumnMapping:
        given = [name for name in _ORIGINS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"say exactly one of {', '.join(_ORIGINS)}")
        for pattern in (*self.patterns, *([self.extract] if self.extract else ())):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return self

    @field_validator("formats")
    @classmethod
    def _names_a_day(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name != EXCEL_SERIAL and not ({"%Y", "%y"} & set(re.findall(r"%.", name)) and "%d" in name):
                raise ValueError(f"{name!r} names no year and day; write it like %d/%m/%Y, or excel for serial numbers")
        return value

    @property
    def native(self) -> tuple[str, ...]:
        """Names of the source's columns that it needs."""
        names = [self.column] if self.column else [*(self.first or self.join or ())]
        for operand in (*(self.product or ()), *(self.sum or ())):
            if isinstance(operand, str):
                names.append(operand.removeprefix("-"))
        return tuple(names)

    def text(self, landed: Dict[str, str], missing: tuple[str, ...]) -> str:
        """SQL of the picked text over the landed columns (native name to landed name), before any word is replaced."""

        def one(name: str) -> str:
            picked = pick(quote(landed[name]))
            if not missing:
                return picked
            return f"case when {picked} not in ({', '.join(map(literal, missing))}) then {picked} end"

        if self.value is not None:
            return literal(self.value)
        if self.column:
            return one(self.column)
        if self.first:
            return f"coalesce({', '.join(map(one, self.first))})"
        if self.join:
            parts = f" || {literal(self.separator)} || ".join(f"coalesce({one(name)}, '')" for name in self.join)
            return f"nullif({parts}, {literal(self.separator * (len(self.join) - 1))})"
        # Numbers are computed when they are read; until then they stay the texts that they came as.
        sign = self._sign
        parts = f" || {literal(sign)} || ".join(f"coalesce({one(name)}, '')" for name in self.native)
        return f"nullif({parts}, {literal(sign * (len(self.native) - 1))})"

    @property
    def _sign(self) -> str:
        return _TIMES if self.product is not None else _PLUS

    def _extracted(self, text: str) -> str:
        if not self.extract:
            return text
        group = 1 if re.compile(self.extract).groups else 0
        return f"nullif(regexp_extract({text}, {literal(self.extract)}, {group}), '')"

    def spoken(self, text: str) -> str:
        """SQL of the text with our words in place of the source's."""
        result = self._extracted(text)
        if self.values:
            cases = " ".join(f"when {literal(word)} then {literal(ours)}" for word, ours in self.values.items())
            result = f"case {result} {cases} else {result} end"
        if self.patterns:
            cases = " ".join(
                f"when regexp_matches({result}, {literal(pattern)}) then {literal(ours)}"
                for pattern, ours in self.patterns.items()
            )
            otherwise = literal(self.default) if self.default is not None else result
            return f"case when {result} is null then null {cases} else {otherwise} end"
        if self.default is not None:
            result = f"coalesce({result}, {literal(self.default)})"
        return result

    def read(self, column: Column, text: str, form: Form) -> str:
        """SQL of the typed value of a picked text."""
        if self.product is None and self.sum is None:
            return column.read(self.spoken(text), form)
        result, position = "", 0
        for operand in self.product or self.sum or ():
            if isinstance(operand, str):
                position += 1
                part = self._extracted(f"nullif(split_part({text}, {literal(self._sign)}, {position}), '')")
                number = f"({TYPES['number'].read(part, form)})"
                number = f"-{number}" if operand.startswith("-") else number
                if self.sum is not None:
                    number = f"case when {part} is null then 0 else {number} end"
            else:
                number = f"cast({operand} as {NUMBER_TYPE})"
            operator = "*" if self.product is not None else "+"
            result = f"cast({result} {operator} {number} as {NUMBER_TYPE})" if result else number
        if column.sql_type == "varchar":
            return f"case when {result} = trunc({result}) then cast(cast({result} as bigint) as varchar) end"
        return f"try_cast({result} as {column.sql_type})"


class TableMapping(BaseModel):
    """Where the rows of an input table are in a source, and what each of its columns is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str | None = None
    """A table or view of the database, as name or schema.name."""
    query: str | None = None
    """A select of the database, where no table or view has the rows as they are wanted."""
    files: str | None = None
    """File names under the source's folder, with * and ?; a day in the name orders them."""
    format: FileFormat | None = None
    sheet: str | None = None
    header_row: int = Field(default=1, ge=1)
    """The line of a sheet that holds the column names."""
    encoding: str = "utf-8"
    delimiter: str = ","
    cursor: str | None = None
    """The database column by which changed rows are found; default: the one mapped to the table's version."""
    deletes: Literal["compare"] | None = None
    """compare: keys that the table, or the newest file (a full export then), no longer has are deleted rows."""
    look_back_days: int = Field(default=3, ge=0)
    """How many days behind its last change a table is read again, for what was committed late."""
    columns: dict[str, ColumnMapping]
    required: bool | None = None
    hold_above: float = Field(default=0.2, gt=0, le=1)
    """Share of a delivery's rows that may be kept out; above it the night is held."""
    fresh_days: int | None = Field(default=None, ge=1)
    """Days without anything new after which the night warns."""

    @field_validator("columns", mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        """``order_id: OrderNo`` stands for ``order_id: {column: OrderNo}``."""
        if not isinstance(value, dict):
            return value
        return {name: {"column": item} if isinstance(item, str) else item for name, item in value.items()}

    @model_validator(mode="after")
    def _one_place(self) -> TableMapping:
        if sum(place is not None for place in (self.table, self.query, self.files)) != 1:
            raise ValueError("say exactly one of table, query, files")
        return self

    @property
    def native(self) -> tuple[str, ...]:
        """Names of the source's columns that the mapping needs, each once."""
        return tuple(dict.fromkeys(name for item in self.columns.values() for name in item.native))

    @property
    def optional(self) -> tuple[str, ...]:
        """Those that may be absent: no column needs them that may not be."""
        needed = {name for item in self.columns.values() if not item.optional for name in item.native}
        return tuple(name for name in self.native if name not in needed)


def check_columns(table: str, mapping: TableMapping) -> list[tuple[tuple[str, ...], str]]:
    """What is wrong with the mapping of a table, apart from its form: where, and what."""
    tables = input_tables()
    if table not in tables:
        return [((table,), f"there is no such input table{nearest(table, tables)}")]
    declared = tables[table]
    problems: list[tuple[tuple[str, ...], str]] = [
        ((table, "columns", name), f"{table} has no such column{nearest(name, declared.names)}")
        for name in mapping.columns
        if name not in declared.names
    ]
    derived = {"line_id"} if table == "order_lines" else set()
    needed = {column.name for column in declared.columns if column.required and column.default is None} - derived
    if missing := sorted(needed - set(mapping.columns)):
        problems.append(((table, "columns"), f"{', '.join(missing)} must be mapped"))
    for name, item in mapping.columns.items():
        if name in declared.names and declared.column(name).levels:
            known = declared.column(name).spellings
            for word in (*item.values.values(), *item.patterns.values(), item.default, item.value):
                if word is not None and word.lower() not in known:
                    levels = ", ".join(declared.column(name).levels)
                    problems.append(((table, "columns", name), f"{word!r} is none of {levels}"))
    return problems


def landed_name(native: str) -> str:
    """The name under which a native column is landed: its own in plain small letters, or a code made from it."""
    if IDENTIFIER.match(native):
        return native
    plain = re.sub(r"[^a-z0-9]+", "_", native.lower()).strip("_")[:50]
    readable = native.isascii() and IDENTIFIER.match(plain)
    return f"{plain if readable else 'column'}_{_code(native)}"


def _code(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]


@dataclass(frozen=True)
class MappedTable:
    """An input table as one source fills it: what the gate needs to stage and judge its rows."""

    declared: InputTable
    mapping: TableMapping
    source: str
    sources_of_table: frozenset[str]
    """Input tables that the source maps."""
    landed: Dict[str, str]
    missing: tuple[str, ...] = ()
    zone: str | None = None
    business_zone: str | None = None
    data_begins: str | None = None
    defaults: Dict[str, ColumnMapping] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Input columns that are mapped, or have a value of their own, in the order of the table."""
        return tuple(name for name in self.declared.names if name in self.mapping.columns or name in self.defaults)

    @property
    def fingerprint(self) -> str:
        """Changes with whatever makes a row of the source another row of the input table."""
        columns = {name: self.column_mapping(name).model_dump(mode="json") for name in self.names}
        said = [columns, self.missing, self.zone, self.business_zone, self.data_begins]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def has_derived_key(self) -> bool:
        """Whether a part of the key is made of whatever columns are mapped, because the source has none."""
        return any(name in self.defaults and name not in self.mapping.columns for name in self.declared.key)

    def column_mapping(self, name: str) -> ColumnMapping:
        return self.mapping.columns.get(name) or self.defaults[name]

    def picked(self, name: str) -> str:
        """SQL of the text of an input column, over the landed columns."""
        return self.column_mapping(name).text(self.landed, self.missing)

    def read(self, name: str, text: str) -> str:
        """SQL of the typed value of a picked text; null when it cannot be read."""
        item = self.column_mapping(name)
        form = Form(item.formats, item.decimal, self.zone, self.business_zone)
        return item.read(self.declared.column(name), text, form)

    def accepted(self, name: str, value: str, latest_day: str) -> str:
        """SQL of the value that counts: a day that cannot be one of business is no value."""
        column = self.declared.column(name)
        if not column.is_time:
            return value
        return f"case when {plausible(column, value, self.earliest_day(name), latest_day)} then {value} end"

    def earliest_day(self, name: str) -> str:
        """The first day that a column may hold; of what happened, the day on which the company's data begins."""
        return self.data_begins if self.data_begins and self.declared.column(name).required else EARLIEST_DAY

    @property
    def constants(self) -> dict[str, str | None]:
        """Columns of accepted rows that say of which source the ids in them are."""
        constants: dict[str, str | None] = {}
        if CUSTOMER_SOURCE in self.declared.stored and "customer_id" in self.names:
            constants[CUSTOMER_SOURCE] = self.column_mapping("customer_id").of or self.source
        if LINKED_SOURCE in self.declared.stored and "linked_customer_id" in self.names:
            constants[LINKED_SOURCE] = self.column_mapping("linked_customer_id").of
        return constants

    def references(self) -> list[tuple[str, str]]:
        """Input columns and the input table of the same source that they refer to."""
        return [
            (column.name, column.references)
            for column in self.declared.columns
            if column.references in self.sources_of_table
            and column.name in self.names
            and not column.optional_reference
            and self.column_mapping(column.name).of in (None, self.source)
        ]


@dataclass(frozen=True)
class MappedEntity(Entity):
    """An input table as a source delivers it: native columns are landed, input columns are judged and kept."""

    mapped: MappedTable = field(kw_only=True)

    @property
    def fields(self) -> tuple[str, ...]:
        """The input columns that the gate judges and keeps."""
        return self.mapped.names

    @property
    def key(self) -> tuple[str, ...]:
        return self.mapped.declared.key

    @property
    def version(self) -> str | None:
        """The column by which of several versions of a key the newest wins; later loads and rows break ties."""
        version = self.mapped.declared.version
        return version if version in self.fields else None

    @property
    def pii(self) -> dict[str, PiiKind]:
        """Private input columns and their kind."""
        kinds = {
            name: self.mapped.column_mapping(name).private or self.mapped.declared.column(name).private
            for name in self.fields
        }
        return {name: kind for name, kind in kinds.items() if kind}


@dataclass(frozen=True)
class MappedSource(Source):
    """A source whose entities are input tables, parents first."""

    entities: tuple[MappedEntity, ...]

    def entity(self, name: str) -> MappedEntity:
        return next(entity for entity in self.entities if entity.name == name)


def mapped_source(
    name: str,
    tables: Dict[str, TableMapping],
    *,
    label_en: str,
    label_zh: str,
    missing: tuple[str, ...] = (),
    zone: str | None = None,
    business_zone: str | None = None,
    data_begins: str | None = None,
) -> MappedSource:
    """The source that a company's YAML describes: one entity per input table that it maps, parents first."""
    entities = []
    for declared in input_tables().values():
        mapping = tables.get(declared.name)
        if mapping is None:
            continue
        natives = dict.fromkeys([*mapping.native, *([mapping.cursor] if mapping.cursor else [])])
        landed = {native: landed_name(native) for native in natives}
        mapped = MappedTable(
            declared=declared,
            mapping=mapping,
            source=name,
            sources_of_table=frozenset(tables),
            landed=landed,
            missing=missing,
            zone=zone,
            business_zone=business_zone,
            data_begins=data_begins,
            defaults=_defaults(declared, mapping),
        )
        cursor = _cursor(mapping, declared.version)
        entities.append(
            MappedEntity(
                name=declared.name,
                columns=tuple(landed.values()),
                table=mapping.table,
                query=mapping.query,
                cursor=landed[cursor] if cursor else None,
                look_back_days=mapping.look_back_days,
                key_columns=_key_columns(declared, mapping, landed),
                compares_keys=mapping.deletes == "compare",
                files=mapping.files,
                format=mapping.format or _format(mapping.files),
                encoding=mapping.encoding,
                delimiter="\t" if (mapping.files or "").endswith(".tsv") else mapping.delimiter,
                sheet=mapping.sheet,
                header_row=mapping.header_row,
                headers={landed: native for native, landed in landed.items()},
                optional=tuple(landed[native] for native in mapping.optional),
                required=declared.required if mapping.required is None else mapping.required,
                mapped=mapped,
            )
        )
    return MappedSource(name, label_en, label_zh, tuple(entities))


def _defaults(declared: InputTable, mapping: TableMapping) -> dict[str, ColumnMapping]:
    """What a table says where a column is not mapped."""
    defaults = {
        column.name: ColumnMapping(value=column.default)
        for column in declared.columns
        if column.default is not None and column.name not in mapping.columns
    }
    if declared.name == "order_lines" and "line_id" not in mapping.columns:
        # Two lines of an order that agree in every column are one line delivered twice.
        defaults["line_id"] = ColumnMapping(join=mapping.native)
    if declared.name == "orders" and "gross_amount" not in mapping.columns and "net_amount" in mapping.columns:
        defaults["gross_amount"] = mapping.columns["net_amount"]
    return defaults


def _key_columns(declared: InputTable, mapping: TableMapping, landed: Dict[str, str]) -> tuple[str, ...]:
    """Landed columns that the key is made of; none where a part of it is not the source's own, or no one counts."""
    counts = mapping.files is None or mapping.deletes is not None
    if not counts or any(name not in mapping.columns for name in declared.key):
        return ()
    return tuple(dict.fromkeys(landed[native] for name in declared.key for native in mapping.columns[name].native))


def _cursor(mapping: TableMapping, version: str) -> str | None:
    """The native column by which a database table is read incrementally, None to read it whole every night."""
    if mapping.files is not None:
        return None
    if mapping.cursor:
        return mapping.cursor
    return mapping.columns[version].column if version in mapping.columns else None


def _format(files: str | None) -> FileFormat:
    name = (files or "").lower().removesuffix(".gz")
    return next((kind for suffix, kind in _FORMATS.items() if name.endswith(suffix)), "csv")
