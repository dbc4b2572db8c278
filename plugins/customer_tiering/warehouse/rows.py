"""Rows of a small query as dictionaries, for what people read."""

from __future__ import annotations

from typing import Any

import duckdb


def fetch_rows(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any] | dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """One dictionary per row, keys as the query names its columns."""
    cursor = connection.execute(sql, parameters or [])
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
