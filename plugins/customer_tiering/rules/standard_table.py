"""The standard table of a scheme (分级标准表) in Excel: written for managers to fill in, and read back.

Sheets: the scheme itself, the criteria (an indicator per column, a band per row), tiers, and where a scheme has them
levels and conditions. Cells hold what a scheme file says, in the same words; mistakes are told by sheet and cell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter
from openpyxl.utils import get_column_letter
from python_calamine import CalamineError, CalamineWorkbook
from xlsxwriter.worksheet import Worksheet

from customer_tiering.errors import TieringError, nearest
from customer_tiering.rules import edges
from customer_tiering.rules.schemes import TIER_TEXTS, Text, Where

Content = dict[str, Any]

SHEETS = {
    "scheme": "方案 scheme",
    "criteria": "标准 criteria",
    "tiers": "级别 tiers",
    "levels": "档位 levels",
    "conditions": "条件 conditions",
}
_HEAD = ("label_en", "label_zh", "description", "kind", "population", "least_coverage")
_CRITERIA = (
    ("dimension", "维度"),
    ("dimension weight", "维度权重"),
    ("dimension label_en", "维度英文名"),
    ("dimension label_zh", "维度中文名"),
    ("compare", "比较方式"),
    ("indicator", "指标"),
    ("indicator name", "指标名称"),
    ("weight", "权重"),
    ("missing", "缺失时"),
    ("missing score", "缺失得分"),
)
_TIERS = ("tier", "when", "needs", *TIER_TEXTS, "rank")
_CHINESE = {
    "tier": "级别",
    "when": "标准",
    "needs": "必要条件",
    "label_en": "英文名",
    "label_zh": "中文名",
    "strategy_en": "英文策略",
    "strategy_zh": "策略",
    "strategy_high_potential_en": "高潜力英文策略",
    "strategy_high_potential_zh": "高潜力策略",
    "rank": "次序",
    "dimension": "维度",
    "level": "档位",
    "if": "条件",
}
_SCORED = re.compile(r"(.*\S)\s*(?:→|->|=>|:|：)\s*(\S+)")
_PAIR = re.compile(r"(\w+)\s*(?::|：|\s)\s*(.*\S)")
_ARROW = " → "


def write_standard_table(path: Path, name: str, content: Content, labels: Mapping[str, str]) -> None:
    """Write a scheme's content. ``labels`` are the indicators' names in the user's language."""
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        title = book.add_format({"bold": True, "bg_color": "#DDEBF7", "text_wrap": True, "valign": "top"})
        wrap = book.add_format({"text_wrap": True, "valign": "top"})
        share = book.add_format({"num_format": "0.######%", "align": "left", "valign": "top"})
        writer = _Writer(title, wrap, share)
        writer.scheme(book.add_worksheet(SHEETS["scheme"]), name, content)
        writer.criteria(book.add_worksheet(SHEETS["criteria"]), content, labels)
        writer.tiers(book.add_worksheet(SHEETS["tiers"]), content)
        if levels := [
            (key, level, text)
            for key, dimension in content["dimensions"].items()
            for level, text in dimension.get("levels", {}).items()
        ]:
            writer.lines(book.add_worksheet(SHEETS["levels"]), ("dimension", "level", "when"), levels)
        if conditions := [
            (key, choice["tier"], "\n".join(choice.get("if", [])))
            for key, choices in _all_conditions(content)
            for choice in choices
        ]:
            writer.lines(book.add_worksheet(SHEETS["conditions"]), ("dimension", "tier", "if"), conditions)


def _all_conditions(content: Content) -> list[tuple[str, list[Content]]]:
    own = [("", content["conditions"])] if "conditions" in content else []
    return own + [
        (key, dimension["conditions"]) for key, dimension in content["dimensions"].items() if "conditions" in dimension
    ]


class _Writer:
    """Cells with their formats; a weight is a number that Excel shows as a percentage."""

    def __init__(self, title: Any, wrap: Any, share: Any) -> None:
        self._title, self._wrap, self._share = title, wrap, share

    def scheme(self, sheet: Worksheet, name: str, content: Content) -> None:
        sheet.set_column(0, 0, 24)
        sheet.set_column(1, 1, 80)
        rows = [("scheme", name), *((key, content.get(key, "")) for key in _HEAD)]
        rows += [(f"stability.{key}", value) for key, value in content.get("stability", {}).items()]
        for line, (key, value) in enumerate(rows):
            sheet.write_string(line, 0, key, self._title)
            self._cell(sheet, line, 1, value)

    def criteria(self, sheet: Worksheet, content: Content, labels: Mapping[str, str]) -> None:
        sheet.set_column(0, 0, 24)
        sheet.freeze_panes(len(_CRITERIA), 1)
        for line, (english, chinese) in enumerate(_CRITERIA):
            sheet.write_string(line, 0, f"{chinese} {english}", self._title)
        column, most = 1, 0
        for key, dimension in content["dimensions"].items():
            uses = {dimension["value"]: {}} if "value" in dimension else dimension["indicators"]
            for place, (indicator, use) in enumerate(uses.items()):
                head = [key, dimension.get("weight", ""), dimension["label_en"], dimension["label_zh"]]
                head.append(dimension.get("compare", ""))
                values = [*(head if place == 0 else [key, "", "", "", ""]), indicator, labels.get(indicator, "")]
                values += [use.get("weight", ""), use.get("missing", ""), use.get("missing_score", "")]
                scores = [f"{text}{_ARROW}{score}" for text, score in use.get("scores", {}).items()]
                for line, value in enumerate([*values, *scores]):
                    self._cell(sheet, line, column, value)
                most = max(most, len(scores))
                column += 1
        for line in range(most):
            sheet.write_string(len(_CRITERIA) + line, 0, f"得分 scores {line + 1}", self._title)
        sheet.set_column(1, column, 22)

    def tiers(self, sheet: Worksheet, content: Content) -> None:
        rows = []
        for key, tier in content["tiers"].items():
            needs = "\n".join(f"{indicator} {text}" for indicator, text in tier.get("needs", {}).items())
            when = tier.get("when", "")
            if isinstance(when, dict):
                when = "\n".join(f"{dimension}: {level}" for dimension, level in when.items())
            rows.append([key, when, needs, *(tier.get(column, "") for column in _TIERS[3:])])
        self.lines(sheet, _TIERS, rows)

    def lines(self, sheet: Worksheet, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        sheet.freeze_panes(1, 1)
        sheet.set_column(0, len(columns), 24)
        for place, column in enumerate(columns):
            sheet.write_string(0, place, f"{_CHINESE[column]} {column}", self._title)
        for line, row in enumerate(rows, start=1):
            for place, value in enumerate(row):
                self._cell(sheet, line, place, value)

    def _cell(self, sheet: Worksheet, line: int, place: int, value: Any) -> None:
        if isinstance(value, str) and re.fullmatch(r"[\d.]+ %", value):
            sheet.write_number(line, place, float(edges.number(value)), self._share)
        elif isinstance(value, int | float):
            sheet.write_number(line, place, value, self._wrap)
        elif value:
            sheet.write_string(line, place, str(value), self._wrap)
        else:
            sheet.write_blank(line, place, None, self._wrap)


# --- reading --------------------------------------------------------------------------------------------------


def read_standard_table(path: Path, problems: list[str]) -> tuple[str, Text]:
    """Name and content of the scheme in a workbook; places are cells such as ``criteria!D9``.

    Raises ``TieringError`` when the file is no such workbook; what is wrong in a cell is added to ``problems``.
    """
    try:
        book = CalamineWorkbook.from_path(str(path))
        sheets = {name.split()[-1]: _rows(book, name) for name in book.sheet_names if name.strip()}
    except (CalamineError, OSError) as error:
        raise TieringError(
            f"{path}: this is not an Excel file that can be read ({error})",
            "give a file that tiering scheme export wrote",
        ) from error
    if missing := [name for name in ("scheme", "criteria", "tiers") if name not in sheets]:
        raise TieringError(
            f"{path}: sheet {', '.join(SHEETS[name] for name in missing)} is missing",
            "write the table with tiering scheme export, and change its cells only",
        )
    reader = _Reader(path, problems)
    name = reader.scheme(sheets["scheme"])
    reader.criteria(sheets["criteria"])
    reader.tiers(sheets["tiers"])
    reader.levels(sheets.get("levels", []))
    reader.conditions(sheets.get("conditions", []))
    return name, reader.text


def _rows(book: CalamineWorkbook, name: str) -> list[list[str]]:
    return [[_text(value) for value in row] for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)]


def _text(value: Any) -> str:
    """A number without the noise of its last binary digits; a text without blanks around it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).strip()
    return edges.plain(round(Decimal(repr(value)), 8))


class _Reader:
    def __init__(self, path: Path, problems: list[str]) -> None:
        self.text = Text(path)
        self._problems = problems

    def _told(self, cell: str, message: str) -> None:
        self._problems.append(f"{self.text.path.name}:{cell}: {message}")

    def _set(self, where: Where, value: Any, cell: str) -> None:
        """Put a value into the content, and remember the cell for it and for what is new above it."""
        inner: Any = self.text.content
        for place, part in enumerate(where[:-1]):
            self.text.lines.setdefault(where[: place + 1], cell)
            inner = inner.setdefault(part, {})
        if where[-1] in inner:
            self._told(cell, f"{where[-1]} is already in {self.text.lines[where]}")
        self.text.lines[where] = cell
        inner[where[-1]] = value

    def scheme(self, rows: list[list[str]]) -> str:
        name = ""
        known = ("scheme", *_HEAD, "stability.")
        for line, row in enumerate(rows):
            key, value = (*row, "", "")[:2]
            cell = f"scheme!B{line + 1}"
            if key == "scheme":
                name = value
            elif key in _HEAD and value:
                self._set((key,), value, cell)
            elif key.startswith("stability.") and value:
                self._set(("stability", key.removeprefix("stability.")), value, cell)
            elif key and key not in _HEAD and not key.startswith("stability."):
                self._told(f"scheme!A{line + 1}", f"there is no {key!r}{nearest(key, known)}")
        if not name:
            self._told("scheme!B1", "the scheme has no name")
        return name

    def criteria(self, rows: list[list[str]]) -> None:
        width = max((len(row) for row in rows), default=0)
        rows = [row + [""] * (width - len(row)) for row in rows]
        heads = {row[0].split(" ", 1)[-1]: line for line, row in enumerate(rows[: len(_CRITERIA)]) if row[0]}
        if missing := [english for english, _ in _CRITERIA if english not in heads]:
            self._told("criteria!A1", f"column A names no {', '.join(missing)}")
            return
        for place in range(1, width):
            column = [row[place] for row in rows]
            if any(column):
                self._criterion(get_column_letter(place + 1), column, heads)

    def _criterion(self, letter: str, column: list[str], heads: dict[str, int]) -> None:
        def cell(line: int) -> str:
            return f"criteria!{letter}{line + 1}"

        values = {name: column[line] for name, line in heads.items()}
        dimension, indicator = values["dimension"], values["indicator"]
        if not dimension or not indicator:
            self._told(
                cell(heads["dimension" if not dimension else "indicator"]),
                "the cell is empty; name what is scored below",
            )
            return
        base: Where = ("dimensions", dimension)
        for name, key in (
            ("dimension weight", "weight"),
            ("dimension label_en", "label_en"),
            ("dimension label_zh", "label_zh"),
            ("compare", "compare"),
        ):
            if values[name]:
                self._set((*base, key), values[name], cell(heads[name]))
        at: Where = (*base, "indicators", indicator)
        self._set(at, {}, cell(heads["indicator"]))
        for name, key in (("weight", "weight"), ("missing", "missing"), ("missing score", "missing_score")):
            if values[name]:
                self._set((*at, key), values[name], cell(heads[name]))
        for line in range(len(_CRITERIA), len(column)):
            if not column[line]:
                continue
            match = _SCORED.fullmatch(column[line])
            if match is None:
                self._told(cell(line), f"{column[line]!r} is no band; write one such as >= 15 %{_ARROW}100")
            else:
                self._set((*at, "scores", match[1]), match[2], cell(line))

    def _records(
        self, sheet: str, rows: list[list[str]], columns: Sequence[str]
    ) -> list[tuple[dict[str, str], dict[str, str]]]:
        """Values and cells of each line, by the English names of the columns."""
        if not rows:
            return []
        heads = {text.split()[-1]: place for place, text in enumerate(rows[0]) if text}
        if missing := [column for column in columns if column not in heads]:
            self._told(f"{sheet}!A1", f"there is no column {', '.join(missing)}")
            return []
        return [
            (
                {column: row[heads[column]] if heads[column] < len(row) else "" for column in columns},
                {column: f"{sheet}!{get_column_letter(heads[column] + 1)}{line}" for column in columns},
            )
            for line, row in enumerate(rows[1:], start=2)
            if any(row)
        ]

    def tiers(self, rows: list[list[str]]) -> None:
        for values, cells in self._records("tiers", rows, _TIERS):
            key = values["tier"]
            if not key:
                self._told(cells["tier"], "the tier has no name")
                continue
            base: Where = ("tiers", key)
            self._set(base, {}, cells["tier"])
            if values["when"]:
                pairs = [_PAIR.fullmatch(line) for line in values["when"].splitlines()]
                is_pair = ":" in values["when"] or "：" in values["when"]
                when = {pair[1]: pair[2] for pair in pairs if pair} if is_pair else values["when"]
                self._set((*base, "when"), when, cells["when"])
            for line in values["needs"].splitlines():
                if pair := _PAIR.fullmatch(line.strip()):
                    self._set((*base, "needs", pair[1]), pair[2], cells["needs"])
                else:
                    self._told(
                        cells["needs"], f"{line!r} is no need; write an indicator and an edge such as csat >= 80 %"
                    )
            for column in _TIERS[3:]:
                if values[column]:
                    self._set((*base, column), values[column], cells[column])

    def levels(self, rows: list[list[str]]) -> None:
        for values, cells in self._records("levels", rows, ("dimension", "level", "when")):
            self._set(("dimensions", values["dimension"], "levels", values["level"]), values["when"], cells["level"])

    def conditions(self, rows: list[list[str]]) -> None:
        for values, cells in self._records("conditions", rows, ("dimension", "tier", "if")):
            base: Where = ("dimensions", values["dimension"], "conditions") if values["dimension"] else ("conditions",)
            inner: Any = self.text.content
            for part in base[:-1]:
                inner = inner.setdefault(part, {})
            choices = inner.setdefault(base[-1], [])
            self.text.lines.setdefault(base, cells["tier"])
            self.text.lines[(*base, len(choices))] = cells["if"] if values["if"] else cells["tier"]
            said = [line.strip() for line in values["if"].splitlines() if line.strip()]
            choices.append({"tier": values["tier"]} | ({"if": said} if said else {}))
