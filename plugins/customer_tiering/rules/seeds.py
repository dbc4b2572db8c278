"""The tables of the rules: their columns, and how a CSV file of one (a seed) is read.

A company's seed replaces whole groups of the project's rows (one setting, one currency, ...), so an override never
mixes with what it overrides. The tables of schemes are filled from scheme files (``schemes``).
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any

from customer_tiering.company.workspace import project_root
from customer_tiering.yaml_text import load_yaml

PENDING = "pending"
COVERAGE = "coverage"
"""What a tier may need besides indicators: the share of the scheme's weight that was measured."""
COVERAGE_EN, COVERAGE_ZH = "Coverage", "覆盖率"


@dataclass(frozen=True)
class ColumnType:
    """SQL type of a seed's column, and whether the field may be empty."""

    sql: str
    optional: bool = False


@dataclass(frozen=True)
class SeedSpec:
    """Columns and their types, the key, and the columns that name the group an override replaces."""

    columns: dict[str, ColumnType]
    key: tuple[str, ...]
    group: tuple[str, ...]


_TEXT, OPTIONAL_TEXT = ColumnType("varchar"), ColumnType("varchar", optional=True)
_INTEGER, _FLAG = ColumnType("integer"), ColumnType("boolean")
_OPTIONAL_INTEGER = ColumnType("integer", optional=True)
_SCORE, _OPTIONAL_SCORE = ColumnType("decimal(7,2)"), ColumnType("decimal(7,2)", optional=True)
BOUND, _REQUIRED_BOUND = ColumnType("decimal(24,6)", optional=True), ColumnType("decimal(24,6)")
_WEIGHT, _OPTIONAL_WEIGHT = ColumnType("decimal(7,6)"), ColumnType("decimal(7,6)", optional=True)
_RATE, _DAY = ColumnType("decimal(18,8)"), ColumnType("date")
# Digits before and after the point that a column holds; more would be rounded or refused when the rules land.
_DIGITS = {
    BOUND: (18, 6),
    _REQUIRED_BOUND: (18, 6),
    _SCORE: (5, 2),
    _OPTIONAL_SCORE: (5, 2),
    _WEIGHT: (1, 6),
    _OPTIONAL_WEIGHT: (1, 6),
    _RATE: (10, 8),
    _INTEGER: (9, 0),
    _OPTIONAL_INTEGER: (9, 0),
}

SEEDS: dict[str, SeedSpec] = {
    "settings": SeedSpec({"setting": _TEXT, "value": _TEXT, "meaning": _TEXT}, ("setting",), ("setting",)),
    "schemes": SeedSpec(
        {
            "scheme": _TEXT,
            "kind": _TEXT,
            "population": _TEXT,
            "label_en": _TEXT,
            "label_zh": _TEXT,
            "description": _TEXT,
            "least_coverage": _OPTIONAL_WEIGHT,
        },
        ("scheme",),
        ("scheme",),
    ),
    "scheme_dimensions": SeedSpec(
        {
            "scheme": _TEXT,
            "dimension": _TEXT,
            "weight": _WEIGHT,
            "measure": _TEXT,
            "level_by": _TEXT,
            "label_en": _TEXT,
            "label_zh": _TEXT,
        },
        ("scheme", "dimension"),
        ("scheme",),
    ),
    "scheme_indicators": SeedSpec(
        {
            "scheme": _TEXT,
            "dimension": _TEXT,
            "indicator": _TEXT,
            "weight": _WEIGHT,
            "missing": _TEXT,
            "missing_score": _OPTIONAL_SCORE,
        },
        ("scheme", "dimension", "indicator"),
        ("scheme",),
    ),
    "score_bands": SeedSpec(
        {
            "scheme": _TEXT,
            "indicator": _TEXT,
            "lower_bound": BOUND,
            "upper_bound": BOUND,
            "lower_included": _FLAG,
            "upper_included": _FLAG,
            "score": _SCORE,
        },
        ("scheme", "indicator", "lower_bound", "upper_bound"),
        ("scheme", "indicator"),
    ),
    "level_scores": SeedSpec(
        {"scheme": _TEXT, "indicator": _TEXT, "level": _TEXT, "score": _SCORE},
        ("scheme", "indicator", "level"),
        ("scheme", "indicator"),
    ),
    "tier_bands": SeedSpec(
        {
            "scheme": _TEXT,
            "dimension": OPTIONAL_TEXT,
            "tier": _TEXT,
            "lower_bound": BOUND,
            "upper_bound": BOUND,
            "lower_included": _FLAG,
            "upper_included": _FLAG,
        },
        ("scheme", "dimension", "tier"),
        ("scheme",),
    ),
    "tier_caps": SeedSpec(
        {"scheme": _TEXT, "tier": _TEXT, "indicator": _TEXT, "lower_bound": _REQUIRED_BOUND},
        ("scheme", "tier", "indicator"),
        ("scheme",),
    ),
    "stability": SeedSpec(
        {
            "scheme": _TEXT,
            "enter_margin": _REQUIRED_BOUND,
            "exit_margin": _REQUIRED_BOUND,
            "min_dwell_days": _INTEGER,
            "spend_change": BOUND,
            "idle_months": _OPTIONAL_INTEGER,
            "review": _TEXT,
        },
        ("scheme",),
        ("scheme",),
    ),
    "quadrants": SeedSpec(
        {
            "scheme": _TEXT,
            "first_dimension": _TEXT,
            "first_level": _TEXT,
            "second_dimension": _TEXT,
            "second_level": _TEXT,
            "tier": _TEXT,
        },
        ("scheme", "first_level", "second_level"),
        ("scheme",),
    ),
    "ranks": SeedSpec(
        {"scheme": _TEXT, "dimension": _TEXT, "tier": _TEXT, "cumulative_share": _WEIGHT},
        ("scheme", "dimension", "tier"),
        ("scheme",),
    ),
    "rules": SeedSpec(
        {
            "scheme": _TEXT,
            "dimension": _TEXT,
            "rule_order": _INTEGER,
            "tier": _TEXT,
            "indicator": OPTIONAL_TEXT,
            "operator": _TEXT,
            "value": OPTIONAL_TEXT,
        },
        ("scheme", "dimension", "rule_order", "indicator", "operator"),
        ("scheme",),
    ),
    "tiers": SeedSpec(
        {
            "scheme": _TEXT,
            "tier": _TEXT,
            "tier_rank": _INTEGER,
            "label_en": _TEXT,
            "label_zh": _TEXT,
            "strategy_en": _TEXT,
            "strategy_zh": _TEXT,
            "strategy_high_potential_en": OPTIONAL_TEXT,
            "strategy_high_potential_zh": OPTIONAL_TEXT,
        },
        ("scheme", "tier"),
        ("scheme",),
    ),
    "indicators": SeedSpec(
        {
            "indicator": _TEXT,
            "label_en": _TEXT,
            "label_zh": _TEXT,
            "unit": _TEXT,
            "definition": _TEXT,
            "formula": _TEXT,
            "source": _TEXT,
            "time_window": _TEXT,
        },
        ("indicator",),
        ("indicator",),
    ),
    "rfm_adjustments": SeedSpec(
        {
            "indicator": _TEXT,
            "level": OPTIONAL_TEXT,
            "lower_bound": BOUND,
            "upper_bound": BOUND,
            "lower_included": _FLAG,
            "upper_included": _FLAG,
            "points": _SCORE,
        },
        ("indicator", "level", "lower_bound", "upper_bound"),
        ("indicator",),
    ),
    "exchange_rates": SeedSpec(
        {"currency": _TEXT, "valid_from": _DAY, "rate": _RATE}, ("currency", "valid_from"), ("currency",)
    ),
    "churn_features": SeedSpec(
        {"feature": _TEXT, "transform": _TEXT, "label_en": _TEXT, "label_zh": _TEXT}, ("feature",), ("feature",)
    ),
    "opportunity_bands": SeedSpec(
        {
            "component": _TEXT,
            "level": OPTIONAL_TEXT,
            "lower_bound": BOUND,
            "upper_bound": BOUND,
            "lower_included": _FLAG,
            "upper_included": _FLAG,
            "points": _SCORE,
        },
        ("component", "level", "lower_bound", "upper_bound"),
        ("component",),
    ),
    # An override replaces all priorities: their bands cover the axis together.
    "opportunity_priorities": SeedSpec(
        {
            "priority": _TEXT,
            "priority_rank": _INTEGER,
            "lower_bound": BOUND,
            "upper_bound": BOUND,
            "lower_included": _FLAG,
            "upper_included": _FLAG,
            "label_en": _TEXT,
            "label_zh": _TEXT,
            "advice_en": _TEXT,
            "advice_zh": _TEXT,
        },
        ("priority",),
        (),
    ),
    "industry_mapping": SeedSpec(
        {
            "source_value": _TEXT,
            "industry_l1": _TEXT,
            "industry_l2": _TEXT,
            "industry_l1_en": _TEXT,
            "industry_l2_en": _TEXT,
        },
        ("source_value",),
        ("source_value",),
    ),
}


@dataclass(frozen=True)
class Row:
    """A row of a table of rules: the line of a CSV or YAML file that says it, or the cell of a workbook."""

    values: dict[str, str]
    file: Path
    line: int | str

    def where(self) -> str:
        return f"{shown_path(self.file)}:{self.line}"

    def __getitem__(self, column: str) -> str:
        return self.values[column]


@dataclass(frozen=True)
class Rules:
    """The merged seeds of a profile, and their version."""

    rows: dict[str, list[Row]]

    @property
    def version(self) -> str:
        """Hash of the merged content: same rules, same version, wherever the rows stand."""
        digest = hashlib.sha256()
        for seed in sorted(self.rows):
            lines = sorted("\x1f".join(row.values[column] for column in SEEDS[seed].columns) for row in self.rows[seed])
            digest.update("\n".join([seed, *lines]).encode())
        return digest.hexdigest()[:16]

    def setting(self, name: str) -> str:
        return next(row["value"] for row in self.rows["settings"] if row["setting"] == name)

    def schemes(self) -> list[str]:
        return [row["scheme"] for row in self.rows["schemes"]]


def shown_path(path: Path) -> str:
    root = project_root()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def indicator_names() -> set[str]:
    """Numeric indicators that a scheme may use: the columns of ``fct_customer_indicators`` that are numbers."""
    return {column["name"] for column in _indicator_columns() if column["data_type"].startswith(("decimal", "integer"))}


def level_indicator_names() -> set[str]:
    """Indicators whose values are names (emerging, regional leader), scored by ``level_scores``."""
    return {column["name"] for column in _indicator_columns() if column.get("config", {}).get("meta", {}).get("level")}


def churn_feature_names() -> list[str]:
    """Columns of ``fct_churn_features`` that a churn model may use, in the order in which the models list them."""
    text = (project_root() / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8")
    names: list[str] = load_yaml(text)["vars"]["churn_features"]
    return names


def _indicator_columns() -> list[dict[str, Any]]:
    path = project_root() / "dbt_project/models/marts/indicators/fct_customer_indicators.yml"
    return _columns_of_model(path.read_text(encoding="utf-8"))


@cache
def _columns_of_model(text: str) -> list[dict[str, Any]]:
    """Columns in a model's YAML; parsed once, because the checks of one load of the rules ask twenty times."""
    (model,) = load_yaml(text)["models"]
    columns: list[dict[str, Any]] = model["columns"]
    return columns


def read_seed(path: Path, seed: str, problems: list[str]) -> list[Row]:
    if not path.exists():
        problems.append(f"{shown_path(path)}: the file is missing")
        return []
    return read_rows(path, SEEDS[seed], problems)


def read_rows(path: Path, spec: SeedSpec, problems: list[str]) -> list[Row]:
    """The lines of a CSV file with exactly the columns of ``spec``; whatever is wrong is added to ``problems``."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        problems.append(f"{shown_path(path)}: the file is not UTF-8; save it as CSV UTF-8")
        return []
    with io.StringIO(text, newline="") as stream:
        reader = csv.DictReader(stream)
        if (header := reader.fieldnames or []) != list(spec.columns):
            problems.append(
                f"{shown_path(path)}:1: the header is {','.join(header)}; expected {','.join(spec.columns)}"
            )
            return []
        rows = []
        for record in reader:
            row = Row({k: (v or "").strip() for k, v in record.items() if k}, path, reader.line_num)
            if None in record or None in record.values():
                problems.append(f"{row.where()}: {len(spec.columns)} fields expected")
                continue
            rows.append(row)
    problems += check_rows(rows, spec)
    return rows


def check_rows(rows: list[Row], spec: SeedSpec) -> list[str]:
    """Values that do not fit their column, and keys that are there twice."""
    problems = []
    seen: dict[tuple[str, ...], Row] = {}
    for row in rows:
        problems += _check_types(row, spec)
        key = tuple(row[column] for column in spec.key)
        if key in seen:
            problems.append(f"{row.where()}: {', '.join(key)} is already in line {seen[key].line}")
        seen[key] = row
    return problems


def _check_types(row: Row, spec: SeedSpec) -> list[str]:
    problems = []
    for column, kind in spec.columns.items():
        value = row[column]
        if value == "":
            if not kind.optional:
                problems.append(f"{row.where()}: {column} is empty")
            continue
        if kind == _FLAG and value not in ("true", "false"):
            problems.append(f"{row.where()}: {column} is {value!r}; write true or false")
        if kind in _DIGITS:
            number = as_decimal(value)
            if number is None:
                problems.append(f"{row.where()}: {column} is {value!r}; a number is needed")
            elif not fits_column(number, kind):
                whole, fraction = _DIGITS[kind]
                problems.append(f"{row.where()}: {column} is {value}; up to {whole} digits and {fraction} decimals")
            elif kind == _WEIGHT and not 0 < number <= 1:
                problems.append(f"{row.where()}: {column} is {value}; it must be above 0 and at most 1")
            elif kind == _RATE and number <= 0:
                problems.append(f"{row.where()}: {column} is {value}; it must be above 0")
        if kind == _DAY and not _is_day(value):
            problems.append(f"{row.where()}: {column} is {value!r}; write a day as YYYY-MM-DD")
    return problems


def _is_day(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def fits_column(number: Decimal, kind: ColumnType) -> bool:
    whole, fraction = _DIGITS[kind]
    return abs(number) < 10**whole and number == round(number, fraction)


def as_decimal(value: str) -> Decimal | None:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    # Decimal also reads full-width digits and underscores, which the warehouse does not.
    return number if number.is_finite() and value.isascii() and "_" not in value else None


def override_rows(base: list[Row], override: list[Row], seed: str) -> list[Row]:
    group = SEEDS[seed].group
    replaced = {tuple(row[column] for column in group) for row in override}
    return [row for row in base if tuple(row[column] for column in group) not in replaced] + override
