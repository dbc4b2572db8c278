"""The Excel workbook of a night: every table of ``tables.py`` on a sheet of its own, in full, with charts.

Texts are written as texts, never as formulas or links; one that begins like a formula gets an apostrophe, so that it
stays a text after an export to CSV as well. Dates are dates, money and shares are numbers with formats.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

from customer_tiering.publish.snapshot import Manifest
from customer_tiering.report.charts import COLOURS, PENDING_COLOUR
from customer_tiering.report.figures import AVERAGE_MARGIN
from customer_tiering.report.spreadsheets import harmless
from customer_tiering.report.tables import (
    OPPORTUNITIES,
    QUARANTINE,
    SUMMARY,
    TABLES,
    Column,
    Filled,
    Table,
    count,
    exists,
    fill,
    stream,
)
from customer_tiering.report.words import PENDING, Words

_EXCEL_ROWS = 1_048_576
HEADER_ROW = 3  # 0-based: title, description and an empty row come first
_MAX_ROWS = _EXCEL_ROWS - HEADER_ROW - 2
_MAX_TEXT = 32_767
_FORMATS = {
    "integer": "#,##0",
    "number": "#,##0.00##",
    "money": "#,##0.00",
    "percent": "0.0%",
    "date": "yyyy-mm-dd",
}
_INK, _ACCENT, _PALE = "#1f2937", "#2563eb", "#eef2ff"


def write_workbook(
    path: Path,
    connection: duckdb.DuckDBPyConnection,
    manifest: Manifest,
    company: Words,
    quarantine: Filled | None,
    *,
    max_rows: int = _MAX_ROWS,
) -> None:
    """Write the workbook of the snapshot behind ``connection``; the same snapshot gives the same file.

    A table with more than ``max_rows`` rows is cut; its sheet and the first sheet say so. Raises ``OSError`` when the
    file cannot be written.
    """
    book = xlsxwriter.Workbook(
        str(path),
        {
            "constant_memory": True,  # rows go to disk one by one; hundreds of thousands of them are no matter
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "default_date_format": _FORMATS["date"],
        },
    )
    _Writer(book, connection, manifest, company, quarantine, max_rows).write()
    try:
        book.close()
    except FileCreateError as error:
        raise error.args[0] from error  # the operating system's own error


class _Writer:
    def __init__(
        self,
        book: xlsxwriter.Workbook,
        connection: duckdb.DuckDBPyConnection,
        manifest: Manifest,
        company: Words,
        quarantine: Filled | None,
        max_rows: int,
    ) -> None:
        self._book, self._connection, self._manifest, self._company = book, connection, manifest, company
        self._quarantine, self._max_rows = quarantine, max_rows
        font = {"font_name": "Microsoft YaHei", "font_size": 10, "font_color": _INK, "valign": "vcenter"}
        self._title = book.add_format(font | {"bold": True, "font_size": 16})
        self._about = book.add_format(font | {"font_color": "#6b7280"})
        head = font | {"bold": True, "bg_color": _PALE, "bottom": 1, "bottom_color": _ACCENT, "text_wrap": True}
        self._header = book.add_format(head | {"indent": 1})
        self._header_of_numbers = book.add_format(head | {"align": "right"})
        self._link = book.add_format(font | {"font_color": _ACCENT, "underline": 1})
        self._text = book.add_format(font | {"indent": 1})
        self._formats = {kind: book.add_format(font | {"num_format": code}) for kind, code in _FORMATS.items()}
        total = font | {"bold": True, "top": 1, "top_color": _ACCENT}
        self._totals = {kind: book.add_format(total | {"num_format": code}) for kind, code in _FORMATS.items()}
        self._total_text = book.add_format(total | {"indent": 1})

    def write(self) -> None:
        self._book.set_properties(
            {
                "title": f"{self._company} {self._manifest.as_of_date}",
                "created": datetime.combine(self._manifest.night, time()),
            }
        )
        cover = self._book.add_worksheet("概览 Overview")
        listed = []
        for table in TABLES:
            if table is not QUARANTINE and not exists(self._connection, table):
                continue
            if table is QUARANTINE and self._quarantine is None:
                continue
            total = self._count(table)
            shown = min(total, self._max_rows)
            sheet = self._book.add_worksheet(sheet_name(table))
            self._write_table(sheet, table, shown, total)
            if table is SUMMARY:
                self._finish_summary(sheet)
            if table is OPPORTUNITIES and shown:
                self._add_score_bars(sheet, shown)
            listed.append((table, shown, total))
        self._write_cover(cover, listed)

    def _count(self, table: Table) -> int:
        if table is QUARANTINE:
            return len(self._quarantine.rows) if self._quarantine else 0
        return count(self._connection, table, self._manifest.headline_scheme, self._manifest.night)

    def _rows(self, table: Table, limit: int) -> Iterable[tuple[Any, ...]]:
        if table is QUARANTINE:
            return self._quarantine.rows[:limit] if self._quarantine else []
        return stream(self._connection, table, self._manifest.headline_scheme, self._manifest.night, limit)

    def _write_cover(self, sheet: Worksheet, listed: list[tuple[Table, int, int]]) -> None:
        sheet.hide_gridlines(2)
        sheet.set_column(0, 0, 34)
        sheet.set_column(1, 1, 22)
        sheet.set_column(2, 2, 130)
        _fit_to_width(sheet)
        sheet.set_row(0, 30)
        sheet.write_string(0, 0, f"{self._company.zh} · {self._company.en}", self._title)
        facts = (
            (Words("日期", "Night"), self._manifest.as_of_date),
            (Words("运行", "Run"), self._manifest.run_id),
            (Words("主方案", "Headline scheme"), self._manifest.headline_scheme),
            (Words("货币", "Currency"), self._manifest.currency),
            (Words("规则版本", "Rules version"), self._manifest.rules_version),
        )
        for row, (name, value) in enumerate(facts, start=1):
            sheet.write_string(row, 0, heading(name), self._about)
            sheet.write_string(row, 1, value, self._text)
        start = len(facts) + 2
        for index, name in enumerate((Words("工作表", "Sheet"), Words("行数", "Rows"), Words("说明", "What it shows"))):
            sheet.write_string(start, index, heading(name), self._header)
        for row, (table, shown, rows) in enumerate(listed, start=start + 1):
            sheet.write_url(row, 0, f"internal:'{sheet_name(table)}'!A1", self._link, sheet_name(table))
            sheet.write_number(row, 1, rows, self._formats["integer"])
            note = f" {_cut_note(shown, rows)}" if shown < rows else ""
            sheet.write_string(row, 2, f"{heading(table.about)}{note}", self._about)

    def _write_table(self, sheet: Worksheet, table: Table, shown: int, total: int) -> None:
        """Row by row from above, as a workbook that does not stay in memory demands."""
        columns = table.columns
        sheet.set_row(0, 26)
        sheet.set_row(HEADER_ROW, 34)
        sheet.write_string(0, 0, heading(table.title), self._title)
        note = f"  {_cut_note(shown, total)}" if shown < total else ""
        sheet.write_string(1, 0, heading(table.about) + note, self._about)
        for index, column in enumerate(columns):
            sheet.set_column(index, index, column.width)
            numeric = column.kind in ("integer", "number", "money", "percent")
            style = self._header_of_numbers if numeric else self._header
            sheet.write_string(HEADER_ROW, index, heading(column.heading, "\n"), style)
        for row, values in enumerate(self._rows(table, shown), start=HEADER_ROW + 1):
            self._write_row(sheet, row, columns, values)
        # Title and headings stay in sight, and so do number and name of a customer.
        sheet.freeze_panes(HEADER_ROW + 1, 2 if columns[0].name in ("customer_id", "opportunity_id") else 1)
        if shown:
            sheet.autofilter(HEADER_ROW, 0, HEADER_ROW + shown, len(columns) - 1)
        sheet.repeat_rows(HEADER_ROW)
        _fit_to_width(sheet)

    def _write_row(self, sheet: Worksheet, row: int, columns: Iterable[Column], values: tuple[Any, ...]) -> None:
        for index, (column, value) in enumerate(zip(columns, values, strict=True)):
            shown = cell_value(value)
            if shown is None:
                continue
            if isinstance(shown, date):
                sheet.write_datetime(row, index, datetime.combine(shown, time()), self._formats["date"])
            elif isinstance(shown, str):
                sheet.write_string(row, index, shown, self._text)
            else:
                sheet.write_number(row, index, shown, self._formats.get(column.kind, self._text))

    def _finish_summary(self, sheet: Worksheet) -> None:
        """The line of totals, the tiers as a doughnut and their spend as columns."""
        filled = fill(self._connection, SUMMARY, self._manifest.headline_scheme, self._manifest.night)
        if filled is None or not filled.rows:
            return
        first, last = HEADER_ROW + 1, HEADER_ROW + len(filled.rows)
        margin = self._connection.execute(AVERAGE_MARGIN, {"scheme": self._manifest.headline_scheme}).fetchone()
        total = summary_total(filled, margin[0] if margin else None)
        for index, (column, value) in enumerate(zip(SUMMARY.columns, total, strict=True)):
            shown = cell_value(value)
            if isinstance(shown, int | float):
                sheet.write_number(last + 1, index, shown, self._totals[column.kind])
            else:
                sheet.write_string(last + 1, index, shown or "", self._total_text)
        name = sheet_name(SUMMARY)
        pie = self._book.add_chart({"type": "doughnut"})
        pie.add_series(
            {
                "name": "客户占比 Share of customers",
                "categories": [name, first, 0, last, 0],
                "values": [name, first, 1, last, 1],
                "points": [{"fill": {"color": colour}} for colour in self._slices(filled)],
                "data_labels": {"percentage": True, "font": {"size": 9}},
            }
        )
        pie.set_title({"name": "客户占比 Share of customers", "name_font": {"size": 12}})
        pie.set_hole_size(55)
        pie.set_size({"width": 460, "height": 300})
        bars = self._book.add_chart({"type": "column"})
        bars.add_series(
            {
                "name": "年消费 Annual spend",
                "categories": [name, first, 0, last, 0],
                "values": [name, first, 3, last, 3],
                "fill": {"color": _ACCENT},
                "gap": 60,
            }
        )
        bars.set_title({"name": f"年消费 Annual spend ({self._manifest.currency})", "name_font": {"size": 12}})
        bars.set_legend({"none": True})
        bars.set_y_axis(
            {"num_format": "#,##0,,\\ \\M", "major_gridlines": {"visible": True, "line": {"color": "#e5e7eb"}}}
        )
        bars.set_size({"width": 560, "height": 300})
        sheet.insert_chart(last + 3, 0, pie)
        sheet.insert_chart(last + 3, 4, bars)

    def _slices(self, filled: Filled) -> list[str]:
        """The page's colours: from the best tier on, pending grey."""
        colours = itertools.cycle(COLOURS)
        return [PENDING_COLOUR if row[0] == PENDING else next(colours) for row in filled.rows]

    def _add_score_bars(self, sheet: Worksheet, shown: int) -> None:
        """Scores of opportunities as bars inside their cells."""
        column = [column.name for column in OPPORTUNITIES.columns].index("score")
        sheet.conditional_format(
            HEADER_ROW + 1,
            column,
            HEADER_ROW + shown,
            column,
            {"type": "data_bar", "bar_color": "#93c5fd", "bar_solid": True, "min_type": "num", "min_value": 0},
        )


def _fit_to_width(sheet: Worksheet) -> None:
    """Print on A4 across, all columns on a page."""
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)


def summary_total(filled: Filled, margin: float | None) -> tuple[Any, ...]:
    """The totals of the tier summary; ``margin`` is that of all customers, which the tiers' margins do not tell."""
    names = [column.name for column in SUMMARY.columns]
    rows = [dict(zip(names, row, strict=True)) for row in filled.rows]
    return (
        Words("合计", "Total"),
        sum(row["customers"] for row in rows),
        sum((row["customer_share"] or Decimal(0) for row in rows), Decimal(0)),
        sum((row["annual_spend"] or Decimal(0) for row in rows), Decimal(0)),
        sum((row["spend_share"] or Decimal(0) for row in rows), Decimal(0)),
        margin,
        None,
    )


def sheet_name(table: Table) -> str:
    return f"{table.title.zh} {table.title.en}"[:31] if table.title.zh != table.title.en else table.title.en


def heading(words: Words, between: str = " / ") -> str:
    """Both languages; one when they are the same."""
    return between.join(dict.fromkeys(filter(None, words)))


def cell_value(value: Any) -> str | float | int | date | None:
    """What stands in the cell of a value: text made harmless, decimals as floating-point numbers."""
    if isinstance(value, Words):
        value = heading(value) or None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, str):
        text = harmless(value)[:_MAX_TEXT]
        # XlsxWriter would take it for XML of its own and write it as it is.
        return f"'{text}"[:_MAX_TEXT] if text.startswith("<r>") and text.endswith("</r>") else text or None
    return value


def _cut_note(shown: int, rows: int) -> str:
    english = f"The first {shown:,} of {rows:,} rows; the rest is in the mart"
    return f"仅前 {shown:,} 行,共 {rows:,} 行,其余见数据集市 / {english}"
