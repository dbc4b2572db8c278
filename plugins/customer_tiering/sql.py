"""Writing SQL safely (identifiers are allow-listed, then quoted) and reading small results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

_PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


def quote(*parts: str) -> str:
    """``quote("raw", "erp__orders")`` -> ``"raw"."erp__orders"``.

    Raises ``ValueError`` for anything but plain identifiers: names come from configuration.
    """
    for part in parts:
        if not _PLAIN.match(part):
            raise ValueError(f"{part!r} is not a plain identifier")
    return ".".join(f'"{part}"' for part in parts)


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def fetch_rows(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any] | dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """One dictionary per row, keys as the query names its columns."""
    cursor = connection.execute(sql, parameters or [])
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
