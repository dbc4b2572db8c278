"""The report of a night: one HTML file that needs nothing but a browser, in Chinese and English.

Everything comes from the published snapshot. Tables carry their rows as data, which a small script of ours draws as
text, never as HTML; a content security policy forbids every other script and every request.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import jinja2
from markupsafe import Markup

from customer_tiering.explain.explanation import Explanation, explain_scheme
from customer_tiering.publish.snapshot import DATABASE, Manifest, mart_names, read_manifest
from customer_tiering.report import charts
from customer_tiering.report.figures import headline_figures, movement
from customer_tiering.report.tables import (
    AUDIT,
    CHANGES,
    CHURN,
    COST_CUTS,
    CUSTOMERS,
    OPPORTUNITIES,
    PENDING_CUSTOMERS,
    PHASE_OUTS,
    QUALITY,
    QUARANTINE,
    SATISFACTION,
    SCHEMES,
    SUMMARY,
    UPGRADES,
    Filled,
    Table,
    count,
    fill,
)
from customer_tiering.report.words import CAUSES, LIMITS, PENDING, REASONS, UNITS, Words, status_of, words_of
from customer_tiering.rules.seeds import COVERAGE, COVERAGE_EN, COVERAGE_ZH
from customer_tiering.sql import fetch_rows

TEMPLATES = Path(__file__).with_name("templates")
MAX_CUSTOMERS = 1000
MAX_ROWS = 300
_MOVES_DAYS = 90
_CURVE_POINTS = 120
_MATRIX_TIERS = 9
_LANGUAGES: tuple[charts.Language, ...] = ("zh", "en")


def render_report(
    snapshot: Path, before: Path | None, company: Words, quarantine: Filled | None, language: str = "en"
) -> str:
    """The report of a snapshot as HTML; ``before`` is the snapshot of the night before, if it is kept.

    Tables hold at most ``MAX_ROWS`` rows (customers ``MAX_CUSTOMERS``, by spend) and say how many there are.
    """
    manifest = read_manifest(snapshot)
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        page = _Page(connection, manifest, quarantine)
        sections = page.sections()
        since = read_manifest(before).night if before else None
        moves = movement(connection, manifest.headline_scheme, since, manifest.night)
        data = page.data()
        scheme = page.scheme()
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            company=company,
            manifest=manifest,
            scheme=scheme,
            language=language,
            figures=headline_figures(snapshot, before),
            moves=moves,
            sections=sections,
            data=Markup(_json(data)),  # noqa: S704 - escaped for a script element by _json
            style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def environment() -> jinja2.Environment:
    """Jinja for pages: everything that is put in is escaped, a name that is missing is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["shown"] = shown
    made.globals |= {"both": both, "words": Words}
    return made


def both(words: Words | str) -> Markup:
    """A text in both languages; the page shows one of them."""
    if isinstance(words, str):
        return Markup("{}").format(words)
    return Markup('<span class="zh" lang="zh">{}</span><span class="en" lang="en">{}</span>').format(*words)


def shown(value: Any, kind: str, digits: int = 2) -> Words:
    """A figure for a card: large amounts in 亿 and 万, or in B, M and K."""
    if kind == "percent":
        return Words(*([f"{value:.1%}"] * 2))
    if kind == "money":
        return Words(
            _large(value, ((10**8, " 亿"), (10**4, " 万")), digits),
            _large(value, ((10**9, "B"), (10**6, "M"), (10**3, "K")), digits or 1),
        )
    return Words(*([f"{value:,}"] * 2))


def _large(value: Any, units: tuple[tuple[int, str], ...], digits: int) -> str:
    number = float(value)
    for size, name in units:
        if abs(number) >= size:
            return f"{number / size:,.{digits}f}{name}"
    return f"{number:,.0f}"


class _Page:
    """Collects sections, charts and tables of a snapshot; panels appear for the marts that exist and have rows."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, manifest: Manifest, quarantine: Filled | None) -> None:
        self._connection, self._manifest, self._quarantine = connection, manifest, quarantine
        self._marts = set(mart_names(connection))
        self._tables: dict[str, dict[str, Any]] = {}
        self._words: dict[Words, int] = {}
        self._tiers = self._tier_rows()

    def scheme(self) -> Words:
        for row in fetch_rows(
            self._connection, "select * from dim_schemes where scheme = ?", [self._manifest.headline_scheme]
        ):
            return Words(row["label_zh"], row["label_en"])
        return Words(*([self._manifest.headline_scheme] * 2))

    def sections(self) -> list[dict[str, Any]]:
        """What the page shows, in order; a section without charts and tables is left out."""
        made = [
            self._section(
                "tiers",
                Words("客户分级", "Tiers"),
                [
                    (Words("等级占比", "Share of customers"), self._chart(charts.tier_share, self._tier_marks)),
                    (Words("客户金字塔", "Pyramid"), self._pyramid()),
                ],
                [SUMMARY, SCHEMES],
            ),
            self._section(
                "structure",
                Words("结构", "Structure"),
                [
                    (Words("消费集中度(帕累托)", "Concentration of spend (Pareto)"), self._pareto()),
                    (Words("RFM 热力图:客户数与平均消费", "RFM: customers and mean spend"), self._rfm()),
                ],
                [],
            ),
            self._section(
                "moves",
                Words("等级变动", "Moves"),
                [(Words(f"近 {_MOVES_DAYS} 天转移矩阵", f"Transitions of {_MOVES_DAYS} days"), self._transitions())],
                [CHANGES],
            ),
            self._section("customers", Words("客户", "Customers"), [], [CUSTOMERS]),
            self._section("churn", Words("流失风险", "Churn"), [], [CHURN]),
            self._section("opportunities", Words("商机", "Opportunities"), [], [OPPORTUNITIES]),
            self._section("candidates", Words("候选", "Candidates"), [], [UPGRADES, COST_CUTS, PHASE_OUTS]),
            self._section("service", Words("满意度", "Service"), [], [SATISFACTION]),
            self._section("data", Words("数据质量", "Data"), [], [PENDING_CUSTOMERS, QUARANTINE, QUALITY, AUDIT]),
        ]
        return [section for section in made if section["charts"] or section["tables"]]

    def data(self) -> dict[str, Any]:
        """What the script draws: tables, explanations, and the words that both refer to by number."""
        explanations = self._explanations()
        colours = {str(self._word(row["label"])): row["colour"] for row in self._tiers}
        indicators = {
            row["indicator"]: [
                self._word(Words(row["label_zh"], row["label_en"])),
                {"currency": "money", "share": "percent", "share per year": "percent"}.get(row["unit"], "number"),
                self._word(UNITS[row["unit"]]) if row["unit"] in UNITS else None,
            ]
            for row in fetch_rows(self._connection, "select * from dim_indicators order by indicator")
        }
        indicators[COVERAGE] = [self._word(Words(COVERAGE_ZH, COVERAGE_EN)), "percent", None]
        return {
            "tables": self._tables,
            "explanations": explanations,
            "indicators": indicators,
            "colours": colours,
            "words": list(self._words),
        }

    def _section(
        self, name: str, title: Words, drawn: list[tuple[Words, dict[str, Markup] | None]], tables: list[Table]
    ) -> dict[str, Any]:
        return {
            "name": name,
            "title": title,
            "charts": [{"title": words, "svg": svg} for words, svg in drawn if svg],
            "tables": [table for table in tables if self._add_table(table)],
        }

    def _add_table(self, table: Table) -> bool:
        scheme, night = self._manifest.headline_scheme, self._manifest.night
        limit = MAX_CUSTOMERS if table is CUSTOMERS else MAX_ROWS
        filled = self._quarantine if table is QUARANTINE else fill(self._connection, table, scheme, night, limit)
        if filled is None or not filled.rows:
            return False
        rows = filled.rows[:limit]
        total = (
            len(filled.rows)
            if table is QUARANTINE or len(rows) < limit
            else count(self._connection, table, scheme, night)
        )
        self._tables[table.name] = {
            "columns": [
                {
                    "name": column.name,
                    "heading": self._word(column.heading),
                    "kind": column.kind,
                    "width": column.width,
                }
                for column in table.columns
                if column.on_page
            ],
            "rows": [
                [self._cell(value) for column, value in zip(table.columns, row, strict=True) if column.on_page]
                for row in rows
            ],
            "total": total,
        }
        return True

    def _cell(self, value: Any) -> Any:
        if isinstance(value, Words):
            return self._word(value)
        if isinstance(value, Decimal):
            return round(float(value), 6)
        return str(value) if isinstance(value, date) else value

    def _word(self, words: Words) -> int:
        """The number under which the page knows a text."""
        return self._words.setdefault(words, len(self._words))

    # --- charts ------------------------------------------------------------------------------------------------

    def _tier_rows(self) -> list[dict[str, Any]]:
        """Tiers of the headline scheme from best to worst with label and colour, pending last."""
        if "agg_tier_summary" not in self._marts:
            return []
        rows = fetch_rows(
            self._connection,
            "select * from agg_tier_summary where scheme = ? order by (tier = 'pending'), tier_rank, tier",
            [self._manifest.headline_scheme],
        )
        known = {
            row["tier"]: Words(row["label_zh"], row["label_en"])
            for row in fetch_rows(
                self._connection, "select * from dim_tiers where scheme = ?", [self._manifest.headline_scheme]
            )
        } | {"pending": PENDING}
        colours = itertools.cycle(charts.COLOURS)
        return [
            row
            | {
                "label": words_of(row["tier"], known),
                "colour": charts.PENDING_COLOUR if row["tier"] == "pending" else next(colours),
            }
            for row in rows
        ]

    def _chart(self, draw: Any, rows_of: Any) -> dict[str, Markup] | None:
        """One drawing per language; nothing when there is nothing to draw."""
        drawn = {language: rows_of(language) for language in _LANGUAGES}
        if not drawn["zh"]:
            return None
        # Altair escapes what stands in the drawing.
        return {language: Markup(draw(rows, language)) for language, rows in drawn.items()}  # noqa: S704

    def _tier_marks(self, language: charts.Language) -> list[dict[str, Any]]:
        return [
            {
                "label": getattr(row["label"], language),
                "customers": row["customers"],
                "share": float(row["customer_share"] or 0),
                "spend_share": float(row["spend_share"] or 0),
                "colour": row["colour"],
                "on": "white" if row["colour"] in charts.COLOURS[:2] else "#0f172a",
            }
            for row in self._tiers
        ]

    def _pyramid(self) -> dict[str, Markup] | None:
        """Only for tiers that have an order: combinations of axes have none."""
        ranked = any(row["tier_rank"] is not None for row in self._tiers)
        return self._chart(charts.tier_pyramid, self._tier_marks) if ranked else None

    def _pareto(self) -> dict[str, Markup] | None:
        if not {"agg_spend_concentration", "fct_customer_indicators"} <= self._marts:
            return None
        rows = fetch_rows(
            self._connection,
            "with buyers as (select row_number() over ranked as place, sum(annual_spend) over ranked as held, "
            "count(*) over () as customers, sum(annual_spend) over () as total from fct_customer_indicators "
            "where order_frequency > 0 and annual_spend is not null "  # as in agg_spend_concentration
            "window ranked as (order by annual_spend desc, customer_id)) "
            "select max(place) / any_value(customers) as share, "
            "arg_max(held, place) / nullif(any_value(total), 0) as spend "
            f"from buyers group by cast(floor((place - 1) * {_CURVE_POINTS} / customers) as integer) order by share",
        )
        if not rows or rows[0]["spend"] is None:
            return None
        points = [(0.0, 0.0), *((float(row["share"]), float(row["spend"])) for row in rows)]
        marks = self._connection.execute(
            "select top_share, spend_share from agg_spend_concentration "
            "where top_share in (0.05, 0.2, 0.5) and spend_share is not null order by 1"
        ).fetchall()
        named = [(float(share), float(spend)) for share, spend in marks]
        return {
            language: Markup(charts.pareto(points, named, language))  # noqa: S704
            for language in _LANGUAGES
        }

    def _rfm(self) -> dict[str, Markup] | None:
        if "fct_customer_rfm" not in self._marts:
            return None
        rows = fetch_rows(
            self._connection,
            "select r_score as r, f_score as f, count(*) as customers, avg(monetary) as spend from fct_customer_rfm "
            "where r_score is not null and f_score is not null group by all order by all",
        )
        return self._chart(
            charts.rfm_heat,
            lambda language: [row | {"spend": getattr(shown(row["spend"] or 0, "money", 0), language)} for row in rows],
        )

    def _transitions(self) -> dict[str, Markup] | None:
        if "fct_tier_changes" not in self._marts:
            return None
        rows = fetch_rows(
            self._connection,
            "select from_tier, to_tier, direction, count(*) as customers from fct_tier_changes "
            "where scheme = $scheme and as_of_date > $since and as_of_date <= $night "
            "and from_tier is not null and to_tier is not null group by all order by all",
            {
                "scheme": self._manifest.headline_scheme,
                "since": self._manifest.night - timedelta(days=_MOVES_DAYS),
                "night": self._manifest.night,
            },
        )
        labels = {row["tier"]: row["label"] for row in self._tiers}
        if not rows or len(labels) > _MATRIX_TIERS:  # combinations of axes make no readable matrix
            return None

        def drawn(language: charts.Language) -> Markup:
            def name(tier: str) -> str:
                return str(getattr(words_of(tier, labels), language))

            cells: dict[tuple[str, str], dict[str, Any]] = {}
            for row in rows:
                key = (name(row["from_tier"]), name(row["to_tier"]))
                way = row["direction"] if row["direction"] in ("up", "down") else "other"
                cell = cells.setdefault(key, {"before": key[0], "after": key[1], "customers": 0, "way": way})
                cell["customers"] += row["customers"]
            gone = {name(row[side]) for row in rows for side in ("from_tier", "to_tier")}
            names = list(dict.fromkeys([name(tier) for tier in labels] + sorted(gone)))
            return Markup(charts.transitions(list(cells.values()), names, language))  # noqa: S704

        return {language: drawn(language) for language in _LANGUAGES}

    # --- explanations ------------------------------------------------------------------------------------------

    def _explanations(self) -> dict[str, Any]:
        """By customer, for every customer that a table of the page shows."""
        named: set[str] = set()
        for table in self._tables.values():
            columns = [column["name"] for column in table["columns"]]
            if "customer_id" in columns:
                named |= {row[columns.index("customer_id")] for row in table["rows"]}
        found = explain_scheme(self._connection, self._manifest.headline_scheme, sorted(named))
        labels = {row["tier"]: row["label"] for row in self._tiers}
        return {customer: self._explained(one, labels) for customer, one in sorted(found.items())}

    def _explained(self, one: Explanation, labels: dict[str, Words]) -> dict[str, Any]:
        def tier(code: str | None) -> int | None:
            return None if code is None else self._word(words_of(code, labels))

        facts = one.tier
        explained = {
            "tier": tier(facts["effective_tier"]),
            "computed": tier(facts["computed_tier"]) if facts["computed_tier"] != facts["effective_tier"] else None,
            "since": str(facts["tier_since"]),
            "reason": self._word(words_of(facts["reason"], REASONS)),
            "coverage": self._cell(facts["coverage"]),
            "range": [self._cell(facts[name]) for name in ("score_low", "score_high")] if _is_open(facts) else None,
            "limit": self._word(LIMITS[facts["limited_by"]]) if facts["limited_by"] else None,
            "score": self._cell(facts["score"]),
            "strategy": self._word(Words(facts["strategy_zh"] or "", facts["strategy_en"] or "")),
            "scores": [
                [
                    row["indicator"],
                    row["raw_level"] or self._cell(row["raw_value"]),
                    *(self._cell(row[name]) for name in ("score", "weight", "points")),
                    self._word(status_of(row)),
                ]
                for row in one.scores
            ],
            "next": [tier(to.tier), *(self._cell(value) for value in (to.missing, to.needed, to.margin, to.not_before))]
            if (to := one.next_tier)
            else None,
            "steps": [
                [
                    step.indicator,
                    *(self._cell(value) for value in (step.raw_value, step.needed, step.relative, step.points_gained)),
                    "" if step.included else ">" if step.needed >= step.raw_value else "<",
                ]
                for step in one.steps
            ],
            "caps": [
                [cap["indicator"], self._cell(cap["lower_bound"]), self._cell(cap["value"]), tier(cap["tier"]),
                 tier(one.tier["computed_tier"])]
                for cap in one.caps
            ],
            "history": [
                [
                    str(change["as_of_date"]),
                    tier(change["from_tier"]),
                    tier(change["to_tier"]),
                    self._word(words_of(change["reason"], REASONS)),
                    self._word(words_of(change["cause"], CAUSES)),
                ]
                for change in one.history
            ],
        }  # fmt: skip
        return {name: value for name, value in explained.items() if value not in (None, [])}


def _is_open(tier: dict[str, Any]) -> bool:
    """Whether something unknown could still move the score."""
    return tier["score_low"] is not None and tier["score_low"] != tier["score_high"]


def _json(data: Any) -> str:
    """JSON that can stand inside a script element: nothing in it ends the element or begins a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def quarantine_table(rows: Iterable[dict[str, Any]]) -> Filled:
    """The table of what waits in quarantine, from the rows of ``open_by_rule`` (or of its JSON)."""
    return Filled(
        QUARANTINE,
        [
            (
                row["rule"],
                Words(row["reason_zh"], row["reason_en"]),
                row["rows"],
                date.fromisoformat(str(row["oldest"])),
            )
            for row in rows
        ],
    )
