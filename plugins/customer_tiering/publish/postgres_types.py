"""DuckDB's types in Postgres, and how their values travel in CSV."""

from __future__ import annotations

import re

from customer_tiering.errors import TargetError

_DECIMAL = re.compile(r"^DECIMAL\((\d+),(\d+)\)$")
_TYPES = {
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "UTINYINT": "smallint",
    "INTEGER": "integer",
    "USMALLINT": "integer",
    "BIGINT": "bigint",
    "UINTEGER": "bigint",
    "UBIGINT": "numeric(20,0)",
    "HUGEINT": "numeric(39,0)",
    "UHUGEINT": "numeric(39,0)",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_S": "timestamp",
    "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "UUID": "uuid",
    "INTERVAL": "interval",
    "JSON": "jsonb",
}
_NESTED = ("STRUCT(", "MAP(", "UNION(")


def postgres_type(duckdb_type: str, *, where: str) -> str:
    """The Postgres type that holds every value of a DuckDB type; lists and structs become jsonb.

    Raises ``TargetError`` naming ``where`` (table and column) for a type without one.
    """
    if decimal := _DECIMAL.match(duckdb_type):
        return f"numeric({decimal[1]},{decimal[2]})"
    if is_nested(duckdb_type):
        return "jsonb"
    if duckdb_type not in _TYPES:
        raise TargetError(
            f"mart column {where} has type {duckdb_type}, which has no counterpart in Postgres",
            "cast it in the model to one that has (text, number, date, timestamp, boolean)",
        )
    return _TYPES[duckdb_type]


def as_csv_value(column: str, duckdb_type: str) -> str:
    """SQL that writes a (quoted) column so that Postgres reads the same value from CSV."""
    if is_nested(duckdb_type):
        return f"cast(to_json({column}) as varchar)"
    if duckdb_type == "VARCHAR":
        return f"replace({column}, chr(0), '')"  # Postgres' text has no place for a zero character
    return column


def is_nested(duckdb_type: str) -> bool:
    return duckdb_type.endswith("]") or duckdb_type.startswith(_NESTED)
