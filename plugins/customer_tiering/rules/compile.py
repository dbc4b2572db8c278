"""The schemes in force as SQL: bands become CASE, weights become sums, in one pass over the wide indicators.

Each part is the query of one model (macro ``compiled``); ``{scores}`` and its like stand for the relations that the
model passes. A build may hold nights under several versions of the rules: each version reads its own rows.

A missing indicator counts with a stand-in, rounded to 2 decimals, so that weights never move:

- ``impute``: a set score; ``neutral``: the mean score of the scheme's customers for whom it is known that night, or a
  set score where fewer than ``neutral_min_customers`` are; ``renormalise``: the mean of what is known in its
  dimension, and where nothing is, as neutral; ``pending``: nothing, the customer is not scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import duckdb

from customer_tiering.errors import RulesError
from customer_tiering.rules.edges import plain
from customer_tiering.rules.seeds import COVERAGE, PENDING, as_decimal, indicator_names, level_indicator_names
from customer_tiering.sql import fetch_rows, literal, quote

_POPULATIONS = {
    "all": "true",
    "buyers": "coalesce(i.order_frequency, 0) > 0",
    "repeat_buyers": "coalesce(i.order_frequency, 0) > 1",
    "prospects": "coalesce(i.order_frequency, 0) = 0",
    "businesses": "c.customer_kind = 'business' and coalesce(i.order_frequency, 0) > 0",
    "consumers": "c.customer_kind = 'consumer' and coalesce(i.order_frequency, 0) > 0",
}
_TABLES = (
    *("schemes", "scheme_dimensions", "scheme_indicators", "score_bands", "level_scores", "tier_bands", "tier_caps"),
    *("stability", "quadrants", "ranks", "rules", "tiers", "settings"),
)
_Rows = list[dict[str, Any]]
_ON_AN_AXIS = ("weighted", "bands")


def land_compiled(connection: duckdb.DuckDBPyConnection, versions: Iterable[str]) -> None:
    """Write the parts of the versions that a build computes into ``rules.compiled``."""
    connection.execute("create or replace table rules.compiled (part varchar primary key, statement varchar not null)")
    for part, statement in compile_schemes(connection, sorted(set(versions))).items():
        connection.execute("insert into rules.compiled values (?, ?)", [part, statement])


def compile_schemes(connection: duckdb.DuckDBPyConnection, versions: Sequence[str]) -> dict[str, str]:
    """The query of each part, for rules that were landed under ``versions``."""
    rules = [_Rules(version, _read(connection, version)) for version in versions]
    return {
        "scores": _wide(rules, _Rules.scores, _raw_columns(rules)),
        "neutral_scores": _wide(rules, _Rules.neutral_scores),
        "cluster_features": _long(rules, _Rules.cluster_features, _CLUSTER_FEATURES),
        "tiers_wide": _wide(rules, _Rules.tiers),
        "computed_tiers": _long(rules, _Rules.computed_tiers, _COMPUTED_TIERS),
        "dimension_scores": _long(rules, _Rules.dimension_scores, _DIMENSION_SCORES),
        "indicator_scores": _long(rules, _Rules.indicator_scores, _INDICATOR_SCORES),
    }


def _read(connection: duckdb.DuckDBPyConnection, version: str) -> dict[str, _Rows]:
    return {
        table: fetch_rows(
            connection, f"select * from {quote('rules', table)} where rules_version = ? order by rowid", [version]
        )
        for table in _TABLES
    }


@dataclass(frozen=True)
class _Part:
    """A query of one version: columns by name, and what they are read from."""

    columns: dict[str, str]
    tables: str
    group_by: str = ""


def _wide(rules: Sequence[_Rules], part_of: Callable[[_Rules], _Part], common: Mapping[str, str] | None = None) -> str:
    """One row per customer and night; a column that a version lacks is empty for its nights."""
    parts = [part_of(one) for one in rules]
    names = list(dict.fromkeys(name for part in parts for name in (*part.columns, *(common or {}))))
    return "\nunion all\n".join(
        "select\n    "
        + ",\n    ".join(f"{part.columns.get(name, (common or {}).get(name, 'null'))} as {name}" for name in names)
        + f"\nfrom {part.tables}{part.group_by}"
        for part in parts
    )


def _long(rules: Sequence[_Rules], part_of: Callable[[_Rules], list[str]], columns: Mapping[str, str]) -> str:
    """A row per customer and scheme, dimension or indicator."""
    selects = [select for one in rules for select in part_of(one)]
    if not selects:
        selects = [f"select {', '.join(f'cast(null as {kind}) as {name}' for name, kind in columns.items())} limit 0"]
    return "\nunion all\n".join(selects)


_KEY = {"customer_id": "varchar", "scheme": "varchar", "as_of_date": "date"}
_CLUSTER_FEATURES = _KEY | {
    **{"dimension": "varchar", "indicator": "varchar", "value": "double", "weight": "double", "measure": "varchar"},
    **{"clusters": "integer", "accepted_rank": "integer", "is_baseline": "boolean"},
}
_COMPUTED_TIERS = _KEY | {
    **{"rules_version": "varchar", "score": "decimal(30, 12)", "score_low": "decimal(30, 12)"},
    **{"score_high": "decimal(30, 12)", "coverage": "decimal(7, 6)", "computed_tier": "varchar"},
    **{"entering_tier": "varchar", "leaving_tier": "varchar", "limited_by": "varchar"},
}
_DIMENSION_SCORES = _KEY | {
    **{"dimension": "varchar", "score": "decimal(30, 12)", "weight": "decimal(7, 6)", "level": "varchar"},
}
_INDICATOR_SCORES = _KEY | {
    **{"dimension": "varchar", "indicator": "varchar", "raw_value": "decimal(24, 6)", "raw_level": "varchar"},
    **{"score": "decimal(24, 6)", "weight_in_dimension": "decimal(7, 6)", "weight": "decimal(14, 12)"},
    **{"points": "decimal(30, 12)", "status": "varchar", "averaged_over": "integer"},
}


def _select(columns: Mapping[str, str], kinds: Mapping[str, str], tables: str) -> str:
    """The columns in the order and of the types that a part promises."""
    listed = ", ".join(f"cast({columns[name]} as {kind}) as {name}" for name, kind in kinds.items())
    return f"select {listed} from {tables}"


def _column(*parts: str) -> str:
    """The name of a wide column; parts come from scheme files, so they are quoted whatever they hold."""
    return '"' + "__".join(parts).replace('"', '""') + '"'


def _sum(terms: Iterable[tuple[str, Decimal]]) -> str:
    return " + ".join(value if weight == 1 else f"{value} * {plain(weight)}" for value, weight in terms)


def _case(branches: Iterable[tuple[str, str]]) -> str:
    return "case " + " ".join(f"when {condition} then {value}" for condition, value in branches) + " end"


def _in_band(value: str, band: Mapping[str, Any]) -> str:
    conditions = []
    if band["lower_bound"] is not None:
        conditions.append(f"{value} {'>=' if band['lower_included'] else '>'} {plain(band['lower_bound'])}")
    if band["upper_bound"] is not None:
        conditions.append(f"{value} {'<=' if band['upper_included'] else '<'} {plain(band['upper_bound'])}")
    return " and ".join(conditions) or f"{value} is not null"


@dataclass(frozen=True)
class _Use:
    """An indicator in a dimension of a scheme."""

    scheme: str
    dimension: str
    indicator: str
    measure: str
    missing: str
    set_score: Decimal
    """What stands in: the score that is set (impute), or the one for too few known customers (neutral)."""
    weight_in_dimension: Decimal
    weight: Decimal
    bands: tuple[Mapping[str, Any], ...]
    levels: tuple[Mapping[str, Any], ...]

    @property
    def column(self) -> str:
        return _column("score", self.scheme, self.dimension, self.indicator)

    @property
    def known(self) -> str:
        """Column with the number of customers behind the neutral score; empty where it is set."""
        return _column("known", self.scheme, self.dimension, self.indicator)

    @property
    def measured(self) -> str:
        """What the customer really has, as it counts."""
        return f"s.{self.column}" if self.measure == "score" else _raw(self.indicator)

    @property
    def is_compared(self) -> bool:
        """Whether its stand-in may be the mean of the other customers."""
        return self.measure == "score" and self.missing in ("neutral", "renormalise")

    def scored(self) -> str:
        """Its score by bands or levels."""
        if self.indicator not in indicator_names() | level_indicator_names():
            return "cast(null as decimal(7, 2))"  # rules of an earlier night, before the indicator went
        value = f"i.{quote(self.indicator)}"
        by = [(f"{value} = {literal(row['level'])}", plain(row["score"])) for row in self.levels]
        by += [(_in_band(value, row), plain(row["score"])) for row in self.bands]
        return f"cast({_case(by)} as decimal(7, 2))" if by else "cast(null as decimal(7, 2))"

    def bound(self, choose: Callable[[list[Decimal]], Decimal]) -> Decimal | None:
        scores = [row["score"] for row in (*self.bands, *self.levels)]
        return choose(scores) if self.measure == "score" and scores else None


def _raw(indicator: str) -> str:
    if indicator not in indicator_names() | level_indicator_names():
        return "null"
    return f"s.{quote(indicator)}"


def _raw_columns(rules: Sequence[_Rules]) -> dict[str, str]:
    """Indicators that later parts read as they are."""
    named = {name for one in rules for name in one.raw_indicators} & (indicator_names() | level_indicator_names())
    return {quote(name): f"i.{quote(name)}" for name in sorted(named)}


class _Rules:
    """The rules of one version, and the queries that they become."""

    def __init__(self, version: str, rows: dict[str, _Rows]) -> None:
        self.version, self._rows = version, rows
        self.schemes = [_Scheme(self, row) for row in rows["schemes"]]
        names = [use.column for use in self._uses]
        if twice := {name for name in names if names.count(name) > 1}:
            raise RulesError(
                f"two indicators get the same column {', '.join(sorted(twice))}",
                "names of schemes and dimensions with two underscores meet; rename one of them",
            )

    def of(self, table: str, scheme: str, **values: Any) -> _Rows:
        wanted = {"scheme": scheme, **values}
        return [row for row in self._rows[table] if all(row[name] == value for name, value in wanted.items())]

    @cached_property
    def settings(self) -> dict[str, str]:
        return {row["setting"]: row["value"] for row in self._rows["settings"]}

    @cached_property
    def raw_indicators(self) -> set[str]:
        """Every indicator that a scheme names: what is explained is shown as it is."""
        rows = [*self._rows["scheme_indicators"], *self._rows["rules"], *self._rows["tier_caps"]]
        return {row["indicator"] for row in rows} - {"", None, COVERAGE}

    @cached_property
    def _uses(self) -> list[_Use]:
        return [use for scheme in self.schemes for use in scheme.uses]

    def scores(self) -> _Part:
        columns = {
            "customer_id": "i.customer_id",
            "as_of_date": "i.as_of_date",
            "rules_version": "a.rules_version",
            **{scheme.member: _POPULATIONS[scheme.row["population"]] for scheme in self.schemes},
            **{use.column: use.scored() for use in self._uses if use.measure == "score"},
        }
        tables = (
            "{indicators} as i inner join {as_of_dates} as a on i.as_of_date = a.as_of_date "
            "inner join {customers} as c on i.customer_id = c.customer_id "
            f"where a.rules_version = {literal(self.version)}"
        )
        return _Part(columns, tables)

    def neutral_scores(self) -> _Part:
        least = int(self.settings.get("neutral_min_customers", "20"))
        columns = {"as_of_date": "s.as_of_date", "rules_version": "s.rules_version"}
        for scheme in self.schemes:
            for use in scheme.uses:
                if not use.is_compared:
                    continue
                known = f"count(case when s.{scheme.member} then s.{use.column} end)"
                total = f"sum(case when s.{scheme.member} then s.{use.column} end)"
                mean = f"round(cast({total} as double) / {known}, 2)"
                columns[use.column] = (
                    f"cast(case when {known} >= {least} then {mean} else {plain(use.set_score)} end as decimal(7, 2))"
                )
                columns[use.known] = f"cast(case when {known} >= {least} then {known} end as integer)"
        return _Part(columns, "{scores} as s " + self._own("s"), "\ngroup by s.as_of_date, s.rules_version")

    def _own(self, alias: str) -> str:
        return f"where {alias}.rules_version = {literal(self.version)}"

    def cluster_features(self) -> list[str]:
        selects = []
        for scheme in self.schemes:
            tiers = self.of("tiers", scheme.name)
            ranks = _case((f"a.computed_tier = {literal(tier['tier'])}", str(tier["tier_rank"])) for tier in tiers)
            for dimension in scheme.dimensions:
                if dimension.level_by != "cluster":
                    continue
                needed = [f"{use.measured} is not null" for use in dimension.uses if use.missing == PENDING]
                for use in dimension.uses:
                    value = f"coalesce({use.measured}, {plain(use.set_score)})" if use.missing == "impute" else ""
                    columns = {
                        "customer_id": "s.customer_id",
                        "scheme": literal(scheme.name),
                        "as_of_date": "s.as_of_date",
                        "dimension": literal(dimension.name),
                        "indicator": literal(use.indicator),
                        "value": value or use.measured,
                        "weight": plain(use.weight_in_dimension),
                        "measure": literal(use.measure),
                        "clusters": str(len(tiers)),
                        "accepted_rank": ranks,
                        "is_baseline": "d.kind = 'baseline'",
                    }
                    where = " and ".join([f"s.{scheme.member}", *needed])
                    tables = (
                        "{scores} as s inner join {as_of_dates} as d on s.as_of_date = d.as_of_date "
                        "left join {accepted} as a on s.customer_id = a.customer_id "
                        f"and a.scheme = {literal(scheme.name)} {self._own('s')} and {where}"
                    )
                    selects.append(_select(columns, _CLUSTER_FEATURES, tables))
        return selects

    def tiers(self) -> _Part:
        """Three layers: scores of the dimensions; levels and totals; tiers."""
        key = {name: f"s.{name}" for name in ("customer_id", "as_of_date", "rules_version")}
        first = {**key, **{quote(name): f"s.{quote(name)}" for name in sorted(self._judged_raw())}}
        second: dict[str, str] = {}
        third: dict[str, str] = {}
        joins: list[str] = []
        for scheme in self.schemes:
            first |= scheme.first()
            second |= scheme.second()
            third |= scheme.third()
            joins += scheme.joins()
        layer_1 = (
            "select " + ", ".join(f"{value} as {name}" for name, value in first.items()) + " from {scores} as s "
            "inner join {neutral} as n on s.as_of_date = n.as_of_date and s.rules_version = n.rules_version "
            + self._own("s")
        )
        listed = "".join(f", {value} as {name}" for name, value in second.items())
        layer_2 = f"select d.*{listed} from ({layer_1}) as d {' '.join(joins)}"
        passed = [*key, *(name for name in first if name.startswith(('"member__', '"dimension__', '"coverage__')))]
        passed += [name for name in second if name.startswith('"level__')]
        return _Part({**{name: f"t.{name}" for name in passed}, **third}, f"({layer_2}) as t")

    def _judged_raw(self) -> set[str]:
        """Indicators that conditions and caps judge as they are."""
        rows = [*self._rows["rules"], *self._rows["tier_caps"]]
        named = {row["indicator"] for row in rows} - {"", None, COVERAGE}
        return named & (indicator_names() | level_indicator_names())

    def computed_tiers(self) -> list[str]:
        return [
            _select(scheme.computed_tier(), _COMPUTED_TIERS, f"{{tiers}} as t {self._own('t')} and t.{scheme.member}")
            for scheme in self.schemes
        ]

    def dimension_scores(self) -> list[str]:
        return [
            _select(
                {
                    "customer_id": "t.customer_id",
                    "scheme": literal(scheme.name),
                    "as_of_date": "t.as_of_date",
                    "dimension": literal(dimension.name),
                    "score": "null" if dimension.level_by == "cluster" else f"t.{dimension.column}",
                    "weight": plain(dimension.weight),
                    "level": "null" if dimension.level_by == "none" else f"t.{dimension.level}",
                },
                _DIMENSION_SCORES,
                f"{{tiers}} as t {self._own('t')} and t.{scheme.member}",
            )
            for scheme in self.schemes
            for dimension in scheme.dimensions
        ]

    def indicator_scores(self) -> list[str]:
        tables = (
            "{scores} as s inner join {neutral} as n "
            f"on s.as_of_date = n.as_of_date and s.rules_version = n.rules_version {self._own('s')}"
        )
        return [
            _select(dimension.explained(use), _INDICATOR_SCORES, f"{tables} and s.{scheme.member}")
            for scheme in self.schemes
            for dimension in scheme.dimensions
            for use in dimension.uses
        ]


class _Dimension:
    def __init__(self, rules: _Rules, row: Mapping[str, Any]) -> None:
        self.scheme, self.name = row["scheme"], row["dimension"]
        self.weight, self.measure, self.level_by = row["weight"], row["measure"], row["level_by"]
        self.column = _column("dimension", self.scheme, self.name)
        self.level = _column("level", self.scheme, self.name)
        self._rules = rules
        neutral = Decimal(rules.settings.get("neutral_score", "60"))
        self.uses = [
            _Use(
                self.scheme,
                self.name,
                use["indicator"],
                self.measure,
                use["missing"],
                neutral if use["missing_score"] is None else use["missing_score"],
                use["weight"],
                use["weight"] * self.weight,
                tuple(rules.of("score_bands", self.scheme, indicator=use["indicator"])),
                tuple(rules.of("level_scores", self.scheme, indicator=use["indicator"])),
            )
            for use in rules.of("scheme_indicators", self.scheme, dimension=self.name)
        ]

    def stand_in(self, use: _Use) -> str | None:
        """What counts where the indicator is missing; None where nothing does."""
        if use.missing == "impute":
            return plain(use.set_score)
        if not use.is_compared:
            return None
        neutral = f"n.{use.column}"
        if use.missing == "neutral" or len(self.uses) == 1:
            return neutral
        weight = self.known_weight()
        return f"case when {weight} > 0 then {self._known_mean(weight)} else {neutral} end"

    def known_weight(self) -> str:
        """Weight of what is known in the dimension; imputed and neutral indicators are."""
        parts = []
        for use in self.uses:
            weight = plain(use.weight_in_dimension)
            known = use.missing in ("impute", "neutral")
            parts.append(weight if known else f"case when {use.measured} is null then 0 else {weight} end")
        return f"({' + '.join(parts)})"

    def _known_mean(self, weight: str) -> str:
        known = [
            (
                f"coalesce({use.measured}, {self.stand_in(use) if use.missing in ('impute', 'neutral') else 0})",
                use.weight_in_dimension,
            )
            for use in self.uses
        ]
        return f"cast(round(cast({_sum(known)} as double) / {weight}, 2) as decimal(7, 2))"

    def counted(self, use: _Use) -> str:
        """The score that counts: measured, or its stand-in."""
        stand_in = self.stand_in(use)
        return use.measured if stand_in is None else f"coalesce({use.measured}, {stand_in})"

    def score(self) -> str:
        """Null while an indicator is missing that has no stand-in."""
        return _sum((self.counted(use), use.weight_in_dimension) for use in self.uses)

    @property
    def is_evident(self) -> str:
        """Whether anything of the dimension was measured or set; a place among levels needs that."""
        if any(use.missing == "impute" for use in self.uses):
            return "true"
        return "(" + " or ".join(f"{use.measured} is not null" for use in self.uses) + ")"

    def explained(self, use: _Use) -> dict[str, str]:
        is_level = use.indicator in level_indicator_names()
        counted, points = self.counted(use), "null"
        if self.level_by != "cluster":
            points = f"({counted}) * {plain(use.weight)}"
        neutral = f"case when {use.measured} is null then n.{use.known} end"
        return {
            "customer_id": "s.customer_id",
            "scheme": literal(self.scheme),
            "as_of_date": "s.as_of_date",
            "dimension": literal(self.name),
            "indicator": literal(use.indicator),
            "raw_value": "null" if is_level else _raw(use.indicator),
            "raw_level": _raw(use.indicator) if is_level else "null",
            "score": counted,
            "weight_in_dimension": plain(use.weight_in_dimension),
            "weight": plain(use.weight),
            "points": points,
            "status": f"case when {use.measured} is not null then 'measured' else {self._status(use)} end",
            "averaged_over": self._where_neutral(use, neutral),
        }

    def _status(self, use: _Use) -> str:
        """What became of a missing indicator."""
        if use.missing == "renormalise":
            if not use.is_compared:
                return "'left_out'"
            return self._where_neutral(use, "'neutral'", "'renormalised'")
        return literal({"impute": "imputed", "neutral": "neutral"}.get(use.missing, PENDING))

    def _where_neutral(self, use: _Use, value: str, other: str = "null") -> str:
        if not use.is_compared:
            return other
        if use.missing == "neutral" or len(self.uses) == 1:
            return value
        return f"case when {self.known_weight()} > 0 then {other} else {value} end"


class _Scheme:
    def __init__(self, rules: _Rules, row: Mapping[str, Any]) -> None:
        self.row, self.name, self.kind = row, row["scheme"], row["kind"]
        self._rules = rules
        self.dimensions = [_Dimension(rules, one) for one in rules.of("scheme_dimensions", self.name)]
        self.uses = [use for dimension in self.dimensions for use in dimension.uses]
        self.member = _column("member", self.name)
        self._total, self._coverage = _column("total", self.name), _column("coverage", self.name)
        self._low, self._high = _column("low", self.name), _column("high", self.name)
        self._tier, self._limit = _column("tier", self.name), _column("limit", self.name)
        self._entering, self._leaving = _column("entering", self.name), _column("leaving", self.name)

    # --- first layer: what is known, and the scores of the dimensions

    def first(self) -> dict[str, str]:
        columns = {self.member: f"s.{self.member}", self._coverage: self._measured_share()}
        for dimension in self.dimensions:
            if dimension.level_by != "cluster":
                columns[dimension.column] = dimension.score()
            if dimension in self._placed:
                columns[self._evident(dimension)] = dimension.is_evident
        if self.kind == "weighted":
            columns[self._low] = self._bound(min)
            columns[self._high] = self._bound(max)
        return columns

    @cached_property
    def _placed(self) -> list[_Dimension]:
        """Dimensions in which nobody has a place of whom nothing is known: a mean of others is none."""
        if self.kind not in ("quadrant", "axes"):
            return []
        return [one for one in self.dimensions if one.measure == "score" and one.level_by != "rules"]

    def _evident(self, dimension: _Dimension) -> str:
        return _column("evident", self.name, dimension.name)

    def _measured_share(self) -> str:
        total = sum((use.weight for use in self.uses), Decimal(0))
        share = " + ".join(f"case when {use.measured} is null then 0 else {plain(use.weight)} end" for use in self.uses)
        return f"cast(({share}){'' if total == 1 else f' / {plain(total)}'} as decimal(7, 6))"

    def _bound(self, choose: Callable[[list[Decimal]], Decimal]) -> str:
        """The score if everything unknown were at its worst, or at its best."""
        terms = []
        for use in self.uses:
            bound = use.bound(choose)
            if bound is None:
                return "cast(null as decimal(30, 12))"
            terms.append((f"coalesce({use.measured}, {plain(bound)})", use.weight))
        return _sum(terms)

    # --- second layer: levels and totals

    def second(self) -> dict[str, str]:
        columns = {
            dimension.level: self._level(dimension) for dimension in self.dimensions if dimension.level_by != "none"
        }
        if self.kind == "weighted":
            columns[self._total] = _sum((f"d.{one.column}", one.weight) for one in self.dimensions)
        elif self.kind in ("bands", "rank"):
            columns[self._total] = f"d.{self.dimensions[0].column}"
        elif self.kind == "quadrant":
            columns[self._total] = f"round({_sum((self._place(one), one.weight) for one in self.dimensions)}, 6)"
        return columns

    def _level(self, dimension: _Dimension) -> str:
        score = f"d.{dimension.column}"
        if dimension.level_by == "bands":
            bands = self._rules.of("tier_bands", self.name, dimension=dimension.name)
            level = _case((_in_band(score, band), literal(band["tier"])) for band in bands)
        elif dimension.level_by == "rank":
            reached = self._reached(dimension)
            level = _case((reached(place), literal(rank["tier"])) for place, rank in enumerate(self._ranks(dimension)))
        elif dimension.level_by == "rules":
            level = _case(self._choices(dimension))
        else:
            tiers = self._rules.of("tiers", self.name)
            rank = f"{self._alias('cluster', dimension)}.cluster_rank"
            level = _case((f"{rank} = {tier['tier_rank']}", literal(tier["tier"])) for tier in tiers)
        return f"case when d.{self._evident(dimension)} then {level} end" if dimension in self._placed else level

    def _reached(self, dimension: _Dimension) -> Callable[[int], str]:
        """Whether a customer stands at the end of a rank or before it. Who has the same score shares a level; among
        the same values, where shares are exact, the customer id decides.
        """
        score, cut = f"d.{dimension.column}", self._alias("cut", dimension)

        def reached(place: int) -> str:
            if dimension.measure == "score":
                return f"{score} >= {cut}.value_{place}"
            tie = f"{score} = {cut}.value_{place} and d.customer_id <= {cut}.customer_{place}"
            return f"{score} > {cut}.value_{place} or ({tie})"

        return reached

    def _ranks(self, dimension: _Dimension) -> _Rows:
        rows = self._rules.of("ranks", self.name, dimension=dimension.name)
        return sorted(rows, key=lambda row: row["cumulative_share"])

    def _choices(self, dimension: _Dimension) -> list[tuple[str, str]]:
        """The first choice counts whose conditions all hold; a missing value meets none but ``missing``."""
        choices: dict[tuple[int, str], list[str]] = {}
        for row in self._rules.of("rules", self.name, dimension=dimension.name):
            choices.setdefault((row["rule_order"], row["tier"]), []).append(_condition(row))
        return [(" and ".join(choices[key]), literal(key[1])) for key in sorted(choices)]

    def _place(self, dimension: _Dimension) -> str:
        if dimension.measure == "score":
            return f"cast(d.{dimension.column} as double)"
        return f"{self._alias('place', dimension)}.place"

    def _alias(self, what: str, dimension: _Dimension) -> str:
        return _column(what, "of", self.name, dimension.name)

    def joins(self) -> list[str]:
        """Cuts of ranks, places in a quadrant and clusters: few rows, or one per customer."""
        joins = []
        for dimension in self.dimensions:
            if dimension.level_by == "rank":
                joins.append(self._join_cuts(dimension))
            if dimension.level_by == "cluster":
                alias = self._alias("cluster", dimension)
                joins.append(
                    f"left join {{clusters}} as {alias} on d.customer_id = {alias}.customer_id "
                    f"and d.as_of_date = {alias}.as_of_date and {alias}.scheme = {literal(self.name)} "
                    f"and {alias}.dimension = {literal(dimension.name)}"
                )
            if self.kind == "quadrant" and dimension.measure != "score":
                joins.append(self._join_places(dimension))
        return joins

    def _ranked(self, dimension: _Dimension) -> str:
        """The customers of the scheme with a value in the dimension that is their own."""
        own = f" and {dimension.is_evident}" if dimension in self._placed else ""
        return (
            f"select s.customer_id, s.as_of_date, {dimension.score()} as value from {{scores}} as s "
            "inner join {neutral} as n on s.as_of_date = n.as_of_date and s.rules_version = n.rules_version "
            f"where s.rules_version = {literal(self._rules.version)} and s.{self.member}{own}"
        )

    def _join_cuts(self, dimension: _Dimension) -> str:
        """Value and customer at the end of each rank: the best come first, ties by customer id."""
        alias = self._alias("cut", dimension)
        ends = ", ".join(
            f"max(case when place = ceil(customers * {plain(rank['cumulative_share'])}) then {column} end) "
            f"as {name}_{number}"
            for number, rank in enumerate(self._ranks(dimension))
            for name, column in (("value", "value"), ("customer", "customer_id"))
        )
        return (
            f"left join (select as_of_date, {ends} from (select customer_id, as_of_date, value, "
            "row_number() over (partition by as_of_date order by value desc, customer_id asc) as place, "
            f"count(*) over (partition by as_of_date) as customers from ({self._ranked(dimension)}) as known "
            f"where value is not null) as ranked group by as_of_date) as {alias} on d.as_of_date = {alias}.as_of_date"
        )

    def _join_places(self, dimension: _Dimension) -> str:
        """Percent rank of each value among the scheme's customers."""
        alias = self._alias("place", dimension)
        return (
            "left join (select as_of_date, value, 100 * coalesce(cast(sum(customers) over (partition by as_of_date "
            "order by value) - customers as double) / nullif(cast(sum(customers) over (partition by as_of_date) - 1 "
            "as double), 0), 0) as place from (select as_of_date, value, count(*) as customers from "
            f"({self._ranked(dimension)}) as known where value is not null group by as_of_date, value) as counted) "
            f"as {alias} on d.as_of_date = {alias}.as_of_date and d.{dimension.column} = {alias}.value"
        )

    # --- third layer: tiers

    def third(self) -> dict[str, str]:
        tier = self._tier_of()
        least = self.row.get("least_coverage")
        too_little = f"t.{self._coverage} < {plain(least)}" if least else ""
        columns = {self._tier: self._or_pending(tier, too_little), self._limit: self._limited_by(tier, too_little)}
        if self.kind in ("weighted", "bands", "rank"):
            columns[self._total] = f"t.{self._total}"
        elif self.kind == "quadrant":  # who lacks a level has no place in a quadrant
            columns[self._total] = f"case when ({tier}) is not null then t.{self._total} end"
        if self.kind == "weighted":
            for name in (self._low, self._high):
                columns[name] = f"case when t.{self._total} is not null then t.{name} end"
        shifts = {self._entering: -self._margin("enter_margin"), self._leaving: self._margin("exit_margin")}
        for name, shift in shifts.items():
            if shift:
                shifted = f"(t.{self._total} {'+' if shift > 0 else '-'} {plain(abs(shift))})"
                columns[name] = self._or_pending(self._tier_of(shifted), too_little)
        return columns

    @staticmethod
    def _or_pending(tier: str, too_little: str) -> str:
        tier = f"coalesce({tier}, '{PENDING}')"
        return f"case when {too_little} then '{PENDING}' else {tier} end" if too_little else tier

    def _margin(self, column: str) -> Decimal:
        """A margin counts towards the better tiers, which may lie below (days overdue)."""
        rows = self._rules.of("stability", self.name)
        if self.kind not in _ON_AN_AXIS or not rows or not rows[0][column]:
            return Decimal(0)
        best = min(self._ranked_bands(), key=lambda found: found[0])[1]
        margin: Decimal = rows[0][column]
        return -margin if best["lower_bound"] is None else margin

    def _ranked_bands(self) -> list[tuple[int, dict[str, Any]]]:
        """The bands of the score with the rank of their tier, best first."""
        ranks = {row["tier"]: row["tier_rank"] for row in self._rules.of("tiers", self.name)}
        bands = [
            band
            for band in self._rules.of("tier_bands", self.name)
            if bool(band["dimension"]) == (self.kind == "bands") and band["tier"] in ranks
        ]
        return sorted(((ranks[band["tier"]], band) for band in bands), key=lambda found: found[0])

    def _tier_of(self, score: str = "", needs: Callable[[str], bool] = lambda _: True) -> str:
        """The tier of a score, or of the levels; ``needs`` says which needs of a tier count."""
        if self.kind in _ON_AN_AXIS:
            return self._axis_tier(score or f"t.{self._total}", needs)
        levels = {one.name: f"t.{one.level}" for one in self.dimensions}
        if self.kind == "quadrant":
            return _case(
                (
                    f"{levels[row['first_dimension']]} = {literal(row['first_level'])} "
                    f"and {levels[row['second_dimension']]} = {literal(row['second_level'])}",
                    literal(row["tier"]),
                )
                for row in self._rules.of("quadrants", self.name)
            )
        return " || '/' || ".join(levels[name] for name in sorted(levels))

    def _axis_tier(self, score: str, needs: Callable[[str], bool]) -> str:
        """The best tier that the score reaches and whose needs are met; an unknown value fails none."""
        known = indicator_names() | {COVERAGE}
        branches: list[tuple[str, str]] = []
        reached: list[str] = []
        for _, band in self._ranked_bands():
            unmet = [
                f"coalesce(t.{self._coverage if cap['indicator'] == COVERAGE else quote(cap['indicator'])} "
                f"< {plain(cap['lower_bound'])}, false)"
                for cap in self._rules.of("tier_caps", self.name, tier=band["tier"])
                if needs(cap["indicator"]) and cap["indicator"] in known
            ]
            within = " or ".join(f"({one})" for one in (*reached, _in_band(score, band)))
            # Whoever reaches this tier and lacks a need falls to the next one whose needs are met.
            met = f"({within}) and not ({' or '.join(unmet)})" if unmet else within
            branches.append((met, literal(band["tier"])))
            if unmet:
                reached.append(_in_band(score, band))
        return _case(branches)

    def _limited_by(self, tier: str, too_little: str) -> str:
        """Why a tier is lower than the score alone gives: too little is known, or a need is not met."""
        branches = [(too_little, "'too_little_known'")] if too_little else []
        branches += [(f"not t.{self._evident(one)}", "'too_little_known'") for one in self._placed]
        caps = self._rules.of("tier_caps", self.name)
        if self.kind in _ON_AN_AXIS and caps:
            alone = self._tier_of(needs=lambda _: False)
            known = self._tier_of(needs=lambda name: name == COVERAGE)
            branches += [
                (f"({tier}) = ({alone})", "null"),
                (f"({tier}) = ({known})", "'too_little_known'"),
                (f"({tier}) is not null", "'needs_unmet'"),
            ]
        return _case(branches) if branches else "cast(null as varchar)"

    def computed_tier(self) -> dict[str, str]:
        third = self.third()
        tier = f"t.{self._tier}"
        return {
            "customer_id": "t.customer_id",
            "scheme": literal(self.name),
            "as_of_date": "t.as_of_date",
            "rules_version": "t.rules_version",
            "score": f"t.{self._total}" if self._total in third else "null",
            "score_low": f"t.{self._low}" if self._low in third else "null",
            "score_high": f"t.{self._high}" if self._high in third else "null",
            "coverage": f"t.{self._coverage}",
            "computed_tier": tier,
            "entering_tier": f"t.{self._entering}" if self._entering in third else tier,
            "leaving_tier": f"t.{self._leaving}" if self._leaving in third else tier,
            "limited_by": f"t.{self._limit}",
        }


def _condition(row: Mapping[str, Any]) -> str:
    name, operator, value = row["indicator"], row["operator"], row["value"] or ""
    if operator == "always":
        return "true"
    if name not in indicator_names() | level_indicator_names():
        return "false"
    column = f"d.{quote(name)}"
    if operator == "missing":
        return f"{column} is null"
    if operator == "in":
        return f"{column} in ({', '.join(literal(one) for one in value.split('|'))})"
    if name in level_indicator_names():
        return f"{column} {operator} {literal(value)}"
    number = as_decimal(value)
    return "false" if number is None else f"{column} {operator} {plain(number)}"
