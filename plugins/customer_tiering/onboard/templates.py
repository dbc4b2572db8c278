"""Excel templates of the input tables, read back as they are: a sheet per table, column names in both languages."""

from __future__ import annotations

from pathlib import Path

import xlsxwriter

from customer_tiering.inputs.tables import Column, InputTable, input_tables

_ROWS = 2_000


def write_templates(folder: Path) -> list[Path]:
    """One workbook per input table; returns their paths. Those that are there are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table in input_tables().values():
        path = folder / f"{table.label_zh}.xlsx"
        if not path.exists():
            _write(path, table)
            written.append(path)
    return written


def _write(path: Path, table: InputTable) -> None:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet(table.label_zh)
        needed = book.add_format({"bold": True, "bg_color": "#DDEBF7"})
        usual = book.add_format({"bold": True})
        text = book.add_format({"num_format": "@"})
        sheet.freeze_panes(1, 0)
        for position, column in enumerate(table.columns):
            sheet.write_string(0, position, column.label_zh, needed if column.required else usual)
            sheet.write_comment(0, position, _note(column))
            # Codes and phones as text: Excel would cut zeros and shorten long numbers.
            is_text = column.type in ("id", "phone", "text")
            sheet.set_column(position, position, 18, text if is_text else None)
            choices = _choices(column)
            if choices:
                sheet.data_validation(1, position, _ROWS, position, {"validate": "list", "source": choices})


def _note(column: Column) -> str:
    lines = [column.label_en, column.meaning_en, f"type: {column.type}" if column.type != "level" else ""]
    lines += ["必填 required" if column.required else "可空 optional"]
    return "\n".join(line for line in lines if line)


def _choices(column: Column) -> list[str]:
    if column.levels:
        return [words[0] if words else code for code, words in column.levels.items()]
    return ["是", "否"] if column.type == "flag" else []
