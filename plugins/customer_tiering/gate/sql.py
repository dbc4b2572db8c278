"""DuckDB SQL of the cleaning rules: one place where "is a date", "is a number", "is repeated" are written.

Every function takes and returns SQL text and is free of GX, so that a repair or a model can parse a value
exactly as the rule judged it. Conditions are never NULL: NULL would count as neither passed nor failed.

DuckDB evaluates an expression that is repeated behind AND, OR or CASE once per place, so conditions are
written to name every parsed value once where they can.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

# A calendar day, optionally with a time of day with optional seconds, fraction and zone.
_ISO = (
    r"[1-9]\d{3}-\d{2}-\d{2}"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d{1,9})?)? ?([Zz]|[+-]\d{2}(:?\d{2})?)?)?"
)
# strptime directives DuckDB reads without a time zone database; a format needs a year, a month and a day.
_DIRECTIVES = frozenset("YymdHMSfpIbBjaA-%")
# strptime returns 1900-01-01 for these words whatever the format says.
_SPECIAL_DATES = "('infinity', '-infinity', 'epoch')"

# 14 digits before the point. A wider DECIMAL is stored in 128 bits, and DuckDB reads those from text 100
# times slower (33 s instead of 0.2 s for 10 million values).
NUMBER_TYPE = "DECIMAL(18, 4)"


def quote(identifier: str) -> str:
    """A quoted identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def table_name(table: str, schema: str | None = None) -> str:
    """Quoted table name; without ``schema`` the parts of ``table`` are separated by dots ("schema.table")."""
    parts = [schema, table] if schema else table.split(".")
    if not all(parts):
        raise ValueError(f"not a table name: {table!r}")
    return ".".join(quote(str(part)) for part in parts)


def condition(expression: str) -> sa.ColumnElement[bool]:
    """SQL text as a condition GX can negate and count."""
    return sa.literal_column(f"({expression})", sa.Boolean())


def selectable(domain: Any, engine: sa.Engine) -> str:
    """The rows GX evaluates (the batch, filtered by the rule's row_condition) as a FROM item."""
    statement = domain if isinstance(domain, sa.Select) else sa.select(sa.text("*")).select_from(domain)
    return f"({statement.compile(engine, compile_kwargs={'literal_binds': True})})"


def text(column: str) -> str:
    """The value as trimmed text, whatever type the column has."""
    return f"trim(CAST({quote(column)} AS VARCHAR))"


# --- dates --------------------------------------------------------------------------------------------------


def check_format(date_format: str) -> str:
    """The format itself, if it names a calendar day; ValueError says what is wrong with it."""
    directives = re.findall(r"%(-?.)", date_format)
    unknown = [name for name in directives if name.lstrip("-") not in _DIRECTIVES]
    if unknown:
        raise ValueError(f"date format {date_format!r}: %{unknown[0]} is not supported")
    names = {name.lstrip("-") for name in directives}
    if not ({"Y", "y"} & names and (({"d"} <= names and {"m", "b", "B"} & names) or "j" in names)):
        raise ValueError(f"date format {date_format!r} does not name a year, a month and a day")
    return date_format


def is_iso(value: str) -> str:
    """Whether text is YYYY-MM-DD, optionally with a time, and a day of the calendar (years 1000 to 9999)."""
    return (
        f"coalesce(regexp_full_match({value}, {literal(_ISO)}) "
        f"AND TRY_CAST(left({value}, 10) AS DATE) IS NOT NULL, false)"
    )


def timestamp(value: str, formats: Sequence[str] = ()) -> str:
    """The wall-clock TIMESTAMP the text says (a zone is not applied), NULL when it is not a date.

    ``value`` is SQL text of trimmed text; ``formats`` are strptime formats tried in order after ISO.
    Fractions of a second are dropped; years with fewer than four digits are not dates.
    """
    without_zone = f"left({value}, CASE WHEN substr({value}, 17, 1) = ':' THEN 19 ELSE 16 END)"
    forms = [f"CASE WHEN regexp_full_match({value}, {literal(_ISO)}) THEN TRY_CAST({without_zone} AS TIMESTAMP) END"]
    for date_format in formats:
        parsed = f"try_strptime({value}, {literal(check_format(date_format))})"
        forms.append(f"CASE WHEN year({parsed}) >= 1000 AND lower({value}) NOT IN {_SPECIAL_DATES} THEN {parsed} END")
    return f"coalesce({', '.join(forms)})" if len(forms) > 1 else f"({forms[0]})"


# --- numbers ------------------------------------------------------------------------------------------------


def newest_iso_date(column: str, as_of: date) -> str:
    """Aggregate: the newest ISO day of a text column; days later than two after ``as_of`` do not count."""
    value = f"CAST({quote(column)} AS VARCHAR)"
    # As text: ISO days sort as they are dated, and no row has to be parsed.
    usable = f"{value} < {literal(str(as_of + timedelta(days=3)))} AND substr({value}, 5, 1) = '-'"
    return f"TRY_CAST(left(max({value}) FILTER ({usable}), 10) AS DATE)"


def number(value: str) -> str:
    """The number the text says as NUMBER_TYPE, NULL when it is none ("1,000" and "1_000" are none)."""
    # DuckDB reads "1_000" as a thousand; a source that writes it means something else.
    return f"TRY_CAST(replace({value}, '_', '?') AS {NUMBER_TYPE})"


def unless_null(column: str, passes: str) -> str:
    """A condition that must hold for every value but NULL; ``passes`` itself is never NULL."""
    return f"({passes}) = ({quote(column)} IS NOT NULL)"


# --- keys ---------------------------------------------------------------------------------------------------


def key(columns: Sequence[str], *, trimmed: bool = False) -> str:
    """A (compound) key as text, comparable across column types; NULL when a part of it is."""
    parts = [text(column) if trimmed else f"CAST({quote(column)} AS VARCHAR)" for column in columns]
    if len(parts) == 1:
        return parts[0]
    # The length in front of every part keeps ('ab', 'c') apart from ('a', 'bc').
    return "(" + " || ".join(f"strlen({part}) || ':' || {part}" for part in parts) + ")"


def is_repeated(columns: Sequence[str], source: str) -> str:
    """Whether the row's key occurs more than once in ``source`` (a FROM item)."""
    return (
        f"coalesce({key(columns)} IN (SELECT {key(columns)} FROM {source} WHERE {key(columns)} IS NOT NULL "
        f"GROUP BY 1 HAVING count(*) > 1), false)"
    )


def exists_in(columns: Sequence[str], tables: Sequence[tuple[str, Sequence[str]]], *, trimmed: bool = False) -> str:
    """Whether the row's key exists in one of the tables, each given with its key columns."""
    sources = " UNION ALL ".join(
        f"SELECT {key(names, trimmed=trimmed)} AS k FROM {table_name(table)}" for table, names in tables
    )
    value = key(columns, trimmed=trimmed)
    return f"coalesce({value} IN (SELECT k FROM ({sources}) WHERE k IS NOT NULL), false)"


def row_ids(query: str, batch: str, row_id_column: str) -> str:
    """Distinct row ids of a rule's query; ``{batch}`` in it stands for the batch table."""
    return f"SELECT DISTINCT {quote(row_id_column)} FROM ({query.replace('{batch}', batch)}\n)"
