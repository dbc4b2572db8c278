"""Versions of the rules: landed in the warehouse for the models, and kept as files outside it.

The version is the hash of the merged content; the models join each as-of date to the version in force on that day.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import duckdb

from customer_tiering.rules.seeds import OPTIONAL_TEXT, SEEDS, Row, Rules, SeedSpec
from customer_tiering.sql import quote

_OLD_NAMES = {"tier_caps": "gates"}
"""What tables were called before; rules of earlier nights lie under that name."""


def land_rules(connection: duckdb.DuckDBPyConnection, rules: Rules, valid_from: date) -> str:
    """Store the rules under their version unless they are there; returns the version."""
    version = rules.version
    _ensure_tables(connection)
    if not connection.execute("select 1 from rules.versions where rules_version = ?", [version]).fetchone():
        _insert(connection, rules, version, valid_from)
    return version


def _insert(connection: duckdb.DuckDBPyConnection, rules: Rules, version: str, valid_from: date) -> None:
    connection.execute("begin")
    try:
        for seed, spec in SEEDS.items():
            if not rules.rows[seed]:  # a project may map no industry; executemany refuses an empty list
                continue
            names = ", ".join(quote(column) for column in spec.columns)
            marks = ", ".join(f"?::{kind.sql}" for kind in spec.columns.values())
            connection.executemany(
                f"insert into {quote('rules', seed)} (rules_version, {names}) values (?, {marks})",
                [[version, *_values(row, spec)] for row in rules.rows[seed]],
            )
        connection.execute("insert into rules.versions values (?, ?)", [version, valid_from])
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise


def archive_rules(folder: Path, rules: Rules) -> None:
    """Keep a version of the rules outside the warehouse, where a lost warehouse finds the rules of its nights."""
    path = folder / f"{rules.version}.json"
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    content = {seed: [row.values for row in rows] for seed, rows in rules.rows.items()}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    fresh.replace(path)


def ensure_rules(connection: duckdb.DuckDBPyConnection, version: str, folder: Path, valid_from: date) -> bool:
    """Whether the warehouse knows a version of the rules; an unknown one is taken from its file, if there is one."""
    _ensure_tables(connection)
    if connection.execute("select 1 from rules.versions where rules_version = ?", [version]).fetchone():
        return True
    path = folder / f"{version}.json"
    if not path.exists():
        return False
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = {
        seed: [
            Row({column: values.get(column, "") for column in spec.columns}, path, line)
            for line, values in enumerate(content.get(seed, content.get(_OLD_NAMES.get(seed, ""), [])), start=1)
        ]
        for seed, spec in SEEDS.items()
    }
    _insert(connection, Rules(rows), version, valid_from)
    return True


def _ensure_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """A table per seed. Older versions of rules have nulls in columns that a newer package has added."""
    connection.execute(
        "create table if not exists rules.versions (rules_version varchar primary key, valid_from date not null)"
    )
    for seed, spec in SEEDS.items():
        table = quote("rules", seed)
        columns = ", ".join(f"{quote(column)} {kind.sql}" for column, kind in spec.columns.items())
        connection.execute(f"create table if not exists {table} (rules_version varchar, {columns})")
        for column, kind in spec.columns.items():
            connection.execute(f"alter table {table} add column if not exists {quote(column)} {kind.sql}")
        _take_over(connection, seed, spec)


def _take_over(connection: duckdb.DuckDBPyConnection, seed: str, spec: SeedSpec) -> None:
    """Rows that an older package left under another name."""
    old = _OLD_NAMES.get(seed, "")
    there = "select 1 from duckdb_tables() where schema_name = 'rules' and table_name = ?"
    if old and connection.execute(there, [old]).fetchone():
        columns = ", ".join(quote(column) for column in ("rules_version", *spec.columns))
        connection.execute(
            f"insert into {quote('rules', seed)} ({columns}) select {columns} from {quote('rules', old)}; "
            f"drop table {quote('rules', old)}"
        )


def _values(row: Row, spec: SeedSpec) -> list[str | None]:
    """An empty field is null, except where the empty text itself says something (no dimension)."""
    return [value if (value := row[column]) or kind == OPTIONAL_TEXT else None for column, kind in spec.columns.items()]
