"""docs/input-layer.md and the JSON schema of profiles, written from what the code declares."""

from __future__ import annotations

from customer_tiering.inputs.tables import Column, InputTable, input_tables
from customer_tiering.inputs.types import TYPES

_HEAD = """# The input layer

Written by `tiering input-tables --write`; edit `plugins/customer_tiering/inputs/tables/*.yml` instead.

What the project knows about customers are the tables below. A source is a mapping onto some of them
([how](add-a-source.md)); whoever would rather write a view can give a database these tables and columns and map each
to itself. No table is needed but one that says who bought: customers and orders, or order lines alone, which
customers and orders are then made from.

Every text is read by the type of its column. Forms that mean one thing are read, in either language; a text that
could mean two things, or nothing, breaks a rule and is told with source, table, row and value: it never turns into a
missing value in silence. Days before 1980 and days to come are placeholders or mistakes, and are told too.

"""


def page() -> str:
    """docs/input-layer.md."""
    parts = [_HEAD, "## Types\n\n", _types(), "## Tables\n\n", _index(), *map(_table, input_tables().values())]
    return "".join(parts).rstrip() + "\n"


def _types() -> str:
    lines = ["| type | is | is read, for instance | is refused, for instance |", "|---|---|---|---|"]
    for kind in TYPES.values():
        read = ", ".join(f"`{text}`" for text in list(kind.accepted)[:5])
        refused = ", ".join(f"`{text}`" for text in kind.refused[:4])
        lines.append(_row(kind.name, kind.meaning, read, refused))
    lines.append(_row("level", "one of the words listed with the column", "", "any other word"))
    return "\n".join(lines) + "\n\n"


def _index() -> str:
    lines = ["| table | holds | 中文 |", "|---|---|---|"]
    for table in input_tables().values():
        lines.append(_row(f"[`{table.name}`](#{table.name})", table.grain_en, f"{table.label_zh}:{table.grain_zh}"))
    return "\n".join(lines) + "\n\n"


def _table(table: InputTable) -> str:
    key = ", ".join(f"`{name}`" for name in table.key)
    lines = [
        f"### {table.name}",
        "",
        f"{table.label_en} · {table.label_zh}: {table.grain_en}. Key: {key}; of several versions the one with the "
        f"greatest `{table.version}` counts, where it is mapped.",
        "",
        "| column | 中文 | type | says |",
        "|---|---|---|---|",
    ]
    lines += [_row(f"`{column.name}`", column.label_zh, column.type, _says(column)) for column in table.columns]
    return "\n".join(lines) + "\n\n"


def _says(column: Column) -> str:
    facts = [
        "**needed**" if column.required and column.default is None else "",
        f"`{column.default}` where it is not mapped" if column.default else "",
        column.meaning_en,
        f"refers to `{column.references}`" if column.references else "",
        "private" if column.private else "",
        _range(column),
        ", ".join(f"`{code}` ({', '.join(words[:3])})" for code, words in column.levels.items()),
    ]
    return "; ".join(fact for fact in facts if fact)


def _range(column: Column) -> str:
    if column.min is not None and column.max is not None:
        return f"{column.min:g} to {column.max:g}"
    return f"at least {column.min:g}" if column.min is not None else ""


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
