"""Identifiers in SQL: allow-listed, then quoted."""

from __future__ import annotations

import re

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
