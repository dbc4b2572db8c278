"""Rules of tiering are data: the project's seeds merged with the profile's, checked, then landed with a version.

A profile's seed replaces whole groups of the project's rows (a scheme's bands, one setting, ...), so an
override never mixes with what it overrides. The version is the hash of the merged content; the models join
each as-of date to the version in force on that day.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

import duckdb
import yaml

from customer_tiering.errors import RulesError
from customer_tiering.profile import Profile
from customer_tiering.warehouse.identifiers import quote
from customer_tiering.workspace import project_root

SCORE_SCALE = 100
PENDING = "pending"


@dataclass(frozen=True)
class SeedSpec:
    """Columns and their types, the key, and the columns that name the group an override replaces."""

    columns: dict[str, str]
    key: tuple[str, ...]
    group: tuple[str, ...]


_TEXT, _INTEGER, _FLAG = "varchar", "integer", "boolean"
_BOUND, _SCORE, _WEIGHT = "decimal(24,6)", "decimal(7,2)", "decimal(7,6)"
# Digits before and after the point that a column holds; more would be rounded or refused when the rules land.
_DIGITS = {_BOUND: (18, 6), _SCORE: (5, 2), _WEIGHT: (1, 6), _INTEGER: (9, 0)}

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
        },
        ("scheme",),
        ("scheme",),
    ),
    "scheme_indicators": SeedSpec(
        {"scheme": _TEXT, "indicator": _TEXT, "weight": _WEIGHT}, ("scheme", "indicator"), ("scheme",)
    ),
    "score_bands": SeedSpec(
        {
            "scheme": _TEXT,
            "indicator": _TEXT,
            "lower_bound": _BOUND,
            "upper_bound": _BOUND,
            "lower_included": _FLAG,
            "upper_included": _FLAG,
            "score": _SCORE,
        },
        ("scheme", "indicator", "lower_bound", "upper_bound"),
        ("scheme", "indicator"),
    ),
    "tier_bands": SeedSpec(
        {
            "scheme": _TEXT,
            "tier": _TEXT,
            "lower_bound": _BOUND,
            "upper_bound": _BOUND,
            "lower_included": _FLAG,
            "upper_included": _FLAG,
        },
        ("scheme", "tier"),
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
        },
        ("scheme", "tier"),
        ("scheme",),
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

_SETTING_VALUES = {
    "spend_window": ("trailing_12_months", "calendar_year", "fiscal_year"),
    "spend_basis": ("net", "gross"),
    "uncovered_window": ("pending", "impute", "observed"),
    "rfm_cuts": ("fixed", "median", "mean"),
}
_NUMERIC_SETTINGS = ("fiscal_year_start_month", "rfm_recency_days", "rfm_frequency", "rfm_monetary")
_KINDS = ("weighted", "bands")
_POPULATIONS = ("buyers", "all")


@dataclass(frozen=True)
class Row:
    """One line of a seed file."""

    values: dict[str, str]
    file: Path
    line: int

    def where(self) -> str:
        return f"{_shown(self.file)}:{self.line}"

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


def _shown(path: Path) -> str:
    root = project_root()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def seed_folders(profile: Profile) -> list[Path]:
    return [project_root() / "dbt_project" / "seeds", profile.folder / "seeds"]


def indicator_names() -> set[str]:
    """Indicators that a scheme may use: the list the models unpivot."""
    project = yaml.safe_load((project_root() / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8"))
    return set(project["vars"]["indicators"])


def load_rules(profile: Profile, folders: Iterable[Path] | None = None) -> Rules:
    """Merge and check the seeds. Raises ``RulesError`` listing every problem with file and line."""
    project_folder, *override_folders = folders or seed_folders(profile)
    problems: list[str] = []
    merged = {seed: _read_seed(project_folder / f"{seed}.csv", seed, problems) for seed in SEEDS}
    for folder in override_folders:
        for path in sorted(folder.glob("*.csv")):
            if path.stem not in SEEDS:
                problems.append(f"{_shown(path)}: there is no seed {path.stem!r}; there are {', '.join(SEEDS)}")
                continue
            merged[path.stem] = _override(merged[path.stem], _read_seed(path, path.stem, problems), path.stem)
    if not problems:
        problems += _check(merged, profile.headline_scheme)
    if problems:
        listed = "\n  - ".join(problems)
        raise RulesError(
            f"profile {profile.name}: the tiering rules have {len(problems)} problem(s):\n  - {listed}",
            "mend the lines named above; nothing was run",
        )
    return Rules(merged)


def _read_seed(path: Path, seed: str, problems: list[str]) -> list[Row]:
    if not path.exists():
        problems.append(f"{_shown(path)}: the file is missing")
        return []
    spec = SEEDS[seed]
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        problems.append(f"{_shown(path)}: the file is not UTF-8; save it as CSV UTF-8")
        return []
    with io.StringIO(text, newline="") as stream:
        reader = csv.DictReader(stream)
        if (header := reader.fieldnames or []) != list(spec.columns):
            problems.append(f"{_shown(path)}:1: the header is {','.join(header)}; expected {','.join(spec.columns)}")
            return []
        rows = []
        for record in reader:
            row = Row({k: (v or "").strip() for k, v in record.items() if k}, path, reader.line_num)
            if None in record or None in record.values():
                problems.append(f"{row.where()}: {len(spec.columns)} fields expected")
                continue
            rows.append(row)
    seen: dict[tuple[str, ...], Row] = {}
    for row in rows:
        problems += _check_types(row, spec)
        key = tuple(row[column] for column in spec.key)
        if key in seen:
            problems.append(f"{row.where()}: {', '.join(key)} stands already in line {seen[key].line}")
        seen[key] = row
    return rows


def _check_types(row: Row, spec: SeedSpec) -> list[str]:
    problems = []
    for column, kind in spec.columns.items():
        value = row[column]
        if kind == _FLAG and value not in ("true", "false"):
            problems.append(f"{row.where()}: {column} is {value!r}; write true or false")
        if kind in (_SCORE, _WEIGHT, _INTEGER, _BOUND) and not (value == "" and kind == _BOUND):
            number = _decimal(value)
            if number is None:
                problems.append(f"{row.where()}: {column} is {value!r}; a number is needed")
            elif abs(number) >= 10 ** _DIGITS[kind][0] or number != round(number, _DIGITS[kind][1]):
                whole, fraction = _DIGITS[kind]
                problems.append(f"{row.where()}: {column} is {value}; up to {whole} digits and {fraction} decimals")
            elif kind == _WEIGHT and not 0 < number <= 1:
                problems.append(f"{row.where()}: weight is {value}; it lies above 0 and up to 1")
    return problems


def _decimal(value: str) -> Decimal | None:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    # Decimal also reads full-width digits and underscores, which the warehouse does not.
    return number if number.is_finite() and value.isascii() and "_" not in value else None


def _override(base: list[Row], override: list[Row], seed: str) -> list[Row]:
    group = SEEDS[seed].group
    replaced = {tuple(row[column] for column in group) for row in override}
    return [row for row in base if tuple(row[column] for column in group) not in replaced] + override


# --- checks ------------------------------------------------------------------------------------------------


def _check(merged: dict[str, list[Row]], headline: str) -> list[str]:
    problems = _check_settings(merged["settings"])
    schemes = {row["scheme"]: row for row in merged["schemes"]}
    for row in merged["schemes"]:
        if row["kind"] not in _KINDS:
            problems.append(f"{row.where()}: kind {row['kind']!r} is not one of {', '.join(_KINDS)}")
        if row["population"] not in _POPULATIONS:
            problems.append(f"{row.where()}: population {row['population']!r} is not one of {', '.join(_POPULATIONS)}")
    if headline not in schemes:
        problems.append(f"profile: headline_scheme {headline!r} is not one of {', '.join(schemes)}")
    known_indicators = indicator_names()
    for seed in ("scheme_indicators", "score_bands", "tier_bands", "tiers"):
        for row in merged[seed]:
            if row["scheme"] not in schemes:
                problems.append(f"{row.where()}: unknown scheme {row['scheme']!r}")
            if "indicator" in row.values and row["indicator"] not in known_indicators:
                problems.append(
                    f"{row.where()}: unknown indicator {row['indicator']!r}; there are "
                    f"{', '.join(sorted(known_indicators))}"
                )
    known_tiers = {(row["scheme"], row["tier"]) for row in merged["tiers"]}
    for row in merged["tiers"]:
        if row["tier"] == PENDING:
            problems.append(f"{row.where()}: {PENDING!r} is reserved for customers that cannot be scored yet")
    for row in merged["tier_bands"]:
        if (row["scheme"], row["tier"]) not in known_tiers:
            problems.append(f"{row.where()}: unknown tier {row['tier']!r} of scheme {row['scheme']}; see tiers.csv")
    problems += _check_weights(merged["scheme_indicators"])
    problems += _check_completeness(merged, schemes)
    for seed, group in (("score_bands", ("scheme", "indicator")), ("tier_bands", ("scheme",))):
        grouped: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in merged[seed]:
            grouped[tuple(row[column] for column in group)].append(row)
        for name, rows in grouped.items():
            problems += check_bands(" ".join(name), rows)
    return problems


def _check_settings(rows: list[Row]) -> list[str]:
    problems = []
    given = {row["setting"]: row for row in rows}
    for name in (*_SETTING_VALUES, *_NUMERIC_SETTINGS):
        if name not in given:
            problems.append(f"settings.csv: setting {name!r} is missing")
    for row in rows:
        name, value = row["setting"], row["value"]
        if name in _SETTING_VALUES and value not in _SETTING_VALUES[name]:
            problems.append(f"{row.where()}: {name} is {value!r}; choose one of {', '.join(_SETTING_VALUES[name])}")
        elif name in _NUMERIC_SETTINGS and _decimal(value) is None:
            problems.append(f"{row.where()}: {name} is {value!r}; a number is needed")
        elif name == "fiscal_year_start_month" and value not in {str(month) for month in range(1, 13)}:
            problems.append(f"{row.where()}: fiscal_year_start_month is {value}; it lies between 1 and 12")
        elif name not in _SETTING_VALUES and name not in _NUMERIC_SETTINGS:
            problems.append(f"{row.where()}: unknown setting {name!r}")
    return problems


def _check_weights(rows: list[Row]) -> list[str]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["scheme"]].append(row)
    return [
        f"{group[0].where()}: the weights of scheme {scheme} sum to {total}, not to 1"
        for scheme, group in groups.items()
        if (total := sum(Decimal(row["weight"]) for row in group)) != 1
    ]


def _check_completeness(merged: dict[str, list[Row]], schemes: dict[str, Row]) -> list[str]:
    problems = []
    used = {(row["scheme"], row["indicator"]) for row in merged["scheme_indicators"]}
    banded = {(row["scheme"], row["indicator"]) for row in merged["score_bands"]}
    tiered = {row["scheme"] for row in merged["tier_bands"]}
    for name, row in schemes.items():
        indicators = sorted(indicator for scheme, indicator in used if scheme == name)
        if not indicators:
            problems.append(f"{row.where()}: scheme {name} uses no indicator (scheme_indicators.csv)")
        if name not in tiered:
            problems.append(f"{row.where()}: scheme {name} has no tier bands (tier_bands.csv)")
        if row["kind"] == "bands" and len(indicators) > 1:
            problems.append(f"{row.where()}: a scheme of kind bands uses one indicator, {name} has {indicators}")
        if row["kind"] == "weighted":
            problems += [
                f"{row.where()}: indicator {indicator} of scheme {name} has no score bands (score_bands.csv)"
                for indicator in indicators
                if (name, indicator) not in banded
            ]
    return problems


def check_bands(name: str, rows: list[Row]) -> list[str]:
    """Bands cover the whole axis: no gap, no overlap, each edge owned by exactly one band."""
    problems = []
    for row in rows:
        low, high = row["lower_bound"], row["upper_bound"]
        if low and high and Decimal(low) >= Decimal(high):
            problems.append(f"{row.where()}: the band of {name} from {low} to {high} is empty")
    if problems:
        return problems
    ordered = sorted(rows, key=lambda row: Decimal(row["lower_bound"] or "-Infinity"))
    if ordered[0]["lower_bound"]:
        problems.append(f"{ordered[0].where()}: the lowest band of {name} is open below, leave lower_bound empty")
    if ordered[-1]["upper_bound"]:
        problems.append(f"{ordered[-1].where()}: the highest band of {name} is open above, leave upper_bound empty")
    for below, above in pairwise(ordered):
        upper, lower = below["upper_bound"], above["lower_bound"]
        lines = f"{below.where()} and line {above.line}"
        if not upper or not lower or Decimal(upper) > Decimal(lower):
            problems.append(f"{lines}: bands of {name} overlap above {lower or 'the lowest value'}")
        elif Decimal(upper) < Decimal(lower):
            problems.append(f"{lines}: bands of {name} leave a gap between {upper} and {lower}")
        elif (below["upper_included"] == "true") == (above["lower_included"] == "true"):
            owners = "both bands" if above["lower_included"] == "true" else "no band"
            problems.append(f"{lines}: the edge {lower} of {name} belongs to {owners}; exactly one includes it")
    return problems


# --- landing -----------------------------------------------------------------------------------------------


def land_rules(connection: duckdb.DuckDBPyConnection, rules: Rules, valid_from: date) -> str:
    """Store the rules under their version unless they are there; returns the version."""
    version = rules.version
    connection.execute(
        "create table if not exists rules.versions (rules_version varchar primary key, valid_from date not null)"
    )
    for seed, spec in SEEDS.items():
        columns = ", ".join(f"{quote(column)} {kind}" for column, kind in spec.columns.items())
        connection.execute(f"create table if not exists {quote('rules', seed)} (rules_version varchar, {columns})")
    known = connection.execute("select 1 from rules.versions where rules_version = ?", [version]).fetchone()
    if known:
        return version
    connection.execute("begin")
    try:
        for seed, spec in SEEDS.items():
            if not rules.rows[seed]:  # a project may map no industry; executemany refuses an empty list
                continue
            marks = ", ".join(f"?::{kind}" for kind in spec.columns.values())
            connection.executemany(
                f"insert into {quote('rules', seed)} values (?, {marks})",
                [[version, *(row[column] or None for column in spec.columns)] for row in rules.rows[seed]],
            )
        connection.execute("insert into rules.versions values (?, ?)", [version, valid_from])
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
    return version


def land_as_of_dates(
    connection: duckdb.DuckDBPyConnection, rules: Rules, version: str, as_of_dates: Iterable[date]
) -> None:
    """The nights to compute, each with its rules and spend window."""
    connection.execute("delete from meta.as_of_dates")
    for day in as_of_dates:
        start, end = spend_window(day, rules.setting("spend_window"), int(rules.setting("fiscal_year_start_month")))
        connection.execute("insert into meta.as_of_dates values (?, ?, ?, ?)", [day, version, start, end])


def spend_window(day: date, kind: str, fiscal_start_month: int = 1) -> tuple[date, date]:
    """First and last day (both included) of the window that annual spend covers on ``day``.

    ``trailing_12_months`` ends with ``day``; ``calendar_year`` and ``fiscal_year`` are the last completed ones.
    """
    one_day = date.resolution
    if kind == "trailing_12_months":
        try:
            start = day.replace(year=day.year - 1) + one_day
        except ValueError:  # 29 February
            start = date(day.year - 1, 3, 1)
        return start, day
    month = fiscal_start_month if kind == "fiscal_year" else 1
    this_start = date(day.year if (day.month, day.day) >= (month, 1) else day.year - 1, month, 1)
    # A year that ends with the as-of day itself is completed.
    next_start = this_start.replace(year=this_start.year + 1)
    if day + one_day == next_start:
        return this_start, day
    return this_start.replace(year=this_start.year - 1), this_start - one_day
