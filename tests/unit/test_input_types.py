"""What each type of an input column reads and refuses, and that no column of no table lets a refused text pass."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pytest

from customer_tiering.inputs.tables import Column, InputTable, input_tables
from customer_tiering.inputs.types import TYPES, Form, pick
from gating import gated

READ = [(kind.name, text, value) for kind in TYPES.values() for text, value in kind.accepted.items()]
REFUSED = [(kind.name, text) for kind in TYPES.values() for text in kind.refused]
FORM = Form(zone="Asia/Shanghai", business_zone="UTC")


def read(kind: str, text: str, form: Form = FORM) -> str | None:
    """The value of a text, as text, read in two connections' worth of rows so that no constant folding helps."""
    sql = TYPES[kind].read("t", form)
    (row,) = duckdb.execute(
        f"select cast({sql} as varchar) from (select {pick('x')} as t from (select ? as x))", [text]
    ).fetchall()
    return row[0]


@pytest.mark.parametrize(("kind", "text", "value"), READ)
def test_a_form_that_means_one_thing_is_read(kind: str, text: str, value: str) -> None:
    assert read(kind, text, Form()) == value


@pytest.mark.parametrize(("kind", "text"), REFUSED)
def test_a_form_that_is_not_safe_is_not_guessed(kind: str, text: str) -> None:
    assert read(kind, text, Form()) is None


@pytest.mark.parametrize(
    ("kind", "text", "form", "value"),
    [
        ("date", "05/06/2024", Form(formats=("%d/%m/%Y",)), "2024-06-05"),
        ("date", "05/06/2024", Form(formats=("%m/%d/%Y",)), "2024-05-06"),
        ("date", "05/06/2024 13:15", Form(formats=("%d/%m/%Y",)), "2024-06-05"),
        ("date", "5/6/24", Form(formats=("%d/%m/%y",)), "2024-06-05"),
        ("date", "45357", Form(formats=("excel",)), "2024-03-06"),
        ("money", "1.234,56", Form(decimal=","), "1234.56"),
        ("money", "1234,5", Form(decimal=","), "1234.50"),
        ("money", "1,234.56", Form(decimal=","), None),
        ("instant", "2026-03-15 09:30:00", Form(zone="UTC", business_zone="Asia/Shanghai"), "2026-03-15 17:30:00"),
        ("instant", "2026-03-15T01:30:00Z", Form(business_zone="Asia/Shanghai"), "2026-03-15 09:30:00"),
        ("date", "2026-03-15", Form(zone="America/New_York", business_zone="Asia/Shanghai"), "2026-03-15"),
    ],
)
def test_a_declared_form_is_read(kind: str, text: str, form: Form, value: str | None) -> None:
    assert read(kind, text, form) == value


def good(column: Column, table: InputTable) -> str:
    """A text that the column reads."""
    if column.is_time:
        return "2026-03-15"
    if column.references or column.name in table.key or column.type == "id":
        return "K0"
    if column.levels:
        return next(iter(column.levels))
    if column.type in ("text", "email", "currency", "phone", "flag"):
        return {"email": "a@example.com", "currency": "CNY", "phone": "13800138000", "flag": "1"}.get(column.type, "x")
    return "1"


def test_a_refused_text_breaks_a_rule_in_every_typed_column(tmp_path: Path) -> None:
    """In every input table, through extraction and gate: nothing turns to null without a rule that says so."""
    expected, tables = set(), {}
    for table in input_tables().values():
        with (tmp_path / f"{table.name}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, table.names)
            writer.writeheader()
            sound = {column.name: good(column, table) for column in table.columns}
            writer.writerow(sound)
            for number, column in enumerate(table.columns, start=1):
                refused = "no such word" if column.levels else next(iter(column.kind.refused), None)
                if refused is None:
                    continue
                expected.add(f"all.{table.name}.{column.name}_readable")
                own_key = {name: f"K{number}" for name in table.key if not table.column(name).references}
                own_key = {name: key for name, key in own_key.items() if not table.column(name).is_time}
                writer.writerow(sound | own_key | {column.name: refused})
        tables[table.name] = {
            "files": f"{table.name}.csv",
            "hold_above": 1,
            "columns": {name: name for name in table.names},
        }
    with gated(tmp_path, "all", {"path": str(tmp_path), "tables": tables}) as source:
        accounts = source.night()
        assert all(account.rows_kept >= 1 for account in accounts.values()), "the sound row of each table is kept"
        broken = {rule for rule, _ in source.broken()}
    assert len(expected) > 100
    assert expected - broken == set()
