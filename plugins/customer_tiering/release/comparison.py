"""The comparison: figures of the marts just built against those of the last accepted night.

The only place that compares two nights. Each figure has a warn and a hold limit (``company/release_limits.py``).

What the tiering rules moved is judged apart from what data moved: shares are taken as if the rules had not changed, and
moves by rules have a limit of their own. After missed nights growth, shares and moves may be larger, as much as
independent days add up (the square root of their number, at most threefold). Losses keep their limit, because
customers do not vanish little by little; annual spend may lose a further 365th per night, which is what leaves its
window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb

from customer_tiering.company.release_limits import Change, ChangeLimits, ReleaseLimits, ShareLimits
from customer_tiering.company.workspace import Workspace
from customer_tiering.publish.catalog import history_marts, marts_whose_rows_vary
from customer_tiering.publish.snapshot import (
    DATABASE,
    NIGHT_SCHEMA,
    SCHEMA,
    current_folder,
    mart_names,
    predecessor,
    read_manifest,
    select_night,
)
from customer_tiering.sql import fetch_rows, literal, quote

_ACCEPTED = "last_accepted"
_WINDOW_DAYS = 365
_MAX_FACTOR = 3.0
_MOVERS = 20
_LABELS = {
    "customers": ("customers", "客户数"),
    "spend": ("annual spend of all customers", "全部客户年消费额"),
    "zero_spend": ("share of customers without spend", "无消费客户占比"),
    "scheme_customers": ("customers of the scheme", "方案内客户数"),
    "tier_share": ("share of the tier", "等级占比"),
    "moved": ("share of customers that changed tier", "等级变动客户占比"),
    "moved_by_rules": ("share of customers that changed rules move", "规则变更引起的等级变动占比"),
    "rows": ("rows of the mart", "数据表行数"),
}


@dataclass(frozen=True)
class Figure:
    """One figure before and after. ``group`` is a scheme, a tier of one, or a mart; ``limit`` is None if not judged."""

    name: str
    group: str
    before: float | None
    after: float
    unit: Literal["count", "money", "share"]
    limit: str | None
    """The limit that it is beyond, else the hold limit, else the warn limit."""
    level: Literal["ok", "warn", "hold"]

    def __str__(self) -> str:
        english, chinese = _LABELS[self.name]
        group = f" ({self.group})" if self.group else ""
        before = "" if self.before is None else f"{self._written(self.before)} → "
        limit = f", limit 上限 {self.limit}" if self.limit else ", not judged 不作判断"
        return f"{english} {chinese}{group}: {before}{self._written(self.after)}{limit}"

    def _written(self, value: float) -> str:
        return f"{value:.1%}" if self.unit == "share" else f"{value:,.0f}"


@dataclass
class Verdict:
    """What the comparison found. Without ``base`` (the folder compared with) there was nothing to compare with."""

    base: str | None = None
    base_night: date | None = None
    rules_before: str = ""
    rules_after: str = ""
    figures: list[Figure] = field(default_factory=list)
    movers: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def beyond(self) -> list[Figure]:
        """Figures beyond their hold limit."""
        return [figure for figure in self.figures if figure.level == "hold"]

    @property
    def warned(self) -> list[Figure]:
        """Figures beyond their warn limit only."""
        return [figure for figure in self.figures if figure.level == "warn"]

    @property
    def rules_changed(self) -> bool:
        return self.base is not None and self.rules_before != self.rules_after


def compare(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    as_of: date,
    *,
    limits: ReleaseLimits,
    headline: str,
    rules_version: str,
) -> Verdict:
    """Compare the marts in ``connection`` with the last accepted night before ``as_of``.

    A rerun of the published night is compared with the night before it, if that is kept: what is being corrected must
    not be the measure. Figures beyond their warn limit, and those that an older snapshot does not have, are named in
    ``warnings``.
    """
    base = _base(workspace, as_of)
    if base is None:
        return Verdict()
    manifest = read_manifest(base)
    verdict = Verdict(base.name, manifest.night, manifest.rules_version, rules_version)
    select_night(connection, as_of)
    nights = max(1, (as_of - manifest.night).days)
    with _attached(connection, base) as accepted:
        judge = _Judge(connection, limits, headline, manifest.night, nights, verdict, accepted)
        judge.judge()
    verdict.warnings += [f"compared with the night {manifest.night}: {figure}" for figure in verdict.warned]
    return verdict


def _base(workspace: Workspace, as_of: date) -> Path | None:
    folder = current_folder(workspace)
    if folder is not None and read_manifest(folder).night >= as_of:
        return predecessor(workspace, as_of) or folder
    return folder


@contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, folder: Path) -> Iterator[set[str]]:
    """Attach a snapshot; yields its marts."""
    connection.execute(f"attach {literal(str(folder / DATABASE))} as {quote(_ACCEPTED)} (read_only)")
    try:
        rows = connection.execute(
            "select table_name from duckdb_tables() where database_name = ? and schema_name = ?", [_ACCEPTED, SCHEMA]
        ).fetchall()
        yield {name for (name,) in rows}
    finally:
        connection.execute(f"detach {quote(_ACCEPTED)}")


@dataclass(frozen=True)
class _State:
    """A limit as people read it, None when it is not judged, and whether the figure is beyond it."""

    limit: str | None
    beyond: bool


def _more_decrease(limit: Change, extra: float) -> Change:
    if limit.max_decrease is None:
        return limit
    return limit.model_copy(update={"max_decrease": min(1.0, limit.max_decrease + extra)})


@dataclass
class _Judge:
    connection: duckdb.DuckDBPyConnection
    limits: ReleaseLimits
    headline: str
    since: date
    nights: int
    verdict: Verdict
    accepted: set[str]

    def judge(self) -> None:
        for part in (self._customers, self._spend, self._tiers, self._rows, self._movers):
            try:
                part()
            except duckdb.Error as error:
                first = str(error).splitlines()[0]
                self.verdict.warnings.append(
                    f"the last accepted snapshot has another shape, {part.__name__.strip('_')} cannot be compared "
                    f"tonight: {first}"
                )

    @property
    def factor(self) -> float:
        """How much larger growth, shares and moves may be after missed nights."""
        return min(math.sqrt(self.nights), _MAX_FACTOR)

    def _customers(self) -> None:
        before, after = self._both("select count(*) from {mart}", "dim_customers")
        self._judge_change("customers", "", before, after, self.limits.customers, base=before)

    def _spend(self) -> None:
        query = "select coalesce(sum(annual_spend), 0) from {mart}"
        before, after = self._both(query, "fct_customer_indicators")
        known_before, known_after = self._both("select count(annual_spend) from {mart}", "fct_customer_indicators")
        leaves_the_window = (self.nights - 1) / _WINDOW_DAYS
        limits = ChangeLimits(
            warn=_more_decrease(self.limits.spend.warn, leaves_the_window),
            hold=_more_decrease(self.limits.spend.hold, leaves_the_window),
        )
        self._judge_change("spend", "", before, after, limits, base=known_before, unit="money")
        zero = "select count(*) from {mart} where annual_spend = 0"
        zero_before, zero_after = self._both(zero, "fct_customer_indicators")
        self._judge_share(
            "zero_spend",
            "",
            zero_before / known_before if known_before else 0.0,
            int(zero_after),
            int(known_after),
            self.limits.zero_spend,
            base=int(known_before),
        )

    def _tiers(self) -> None:
        """Customers per scheme, those who moved, and the shares of tiers; only of schemes that both nights have."""
        self.connection.execute(
            f"""
            create or replace temp table release_pairs as
            with accepted as (select customer_id, scheme, effective_tier from {self._old("fct_customer_tiers")}),
            built as (select customer_id, scheme, effective_tier from {self._new("fct_customer_tiers")}),
            both_have as (select scheme from accepted intersect select scheme from built),
            by_rules as (
                select distinct customer_id, scheme from {self._new("fct_tier_changes")}
                where cause = 'rule_change' and as_of_date > ?
            )
            select scheme, customer_id, a.effective_tier as before, b.effective_tier as after,
                   r.customer_id is not null as by_rules
            from accepted a full join built b using (scheme, customer_id)
            left join by_rules r using (scheme, customer_id)
            where scheme in (from both_have)
            """,
            [self.since],
        )
        for row in fetch_rows(
            self.connection,
            """
            select scheme, count(before) as before, count(after) as after,
                   count(*) filter (where before is not null and after is not null) as stayed,
                   count(*) filter (where before <> after and not by_rules) as moved,
                   count(*) filter (where before <> after and by_rules) as moved_by_rules
            from release_pairs group by scheme order by scheme <> ?, scheme
            """,
            [self.headline],
        ):
            scheme, is_headline = row["scheme"], row["scheme"] == self.headline
            limit = ChangeLimits() if self.verdict.rules_changed else self.limits.scheme_customers
            self._judge_change("scheme_customers", scheme, row["before"], row["after"], limit, base=row["before"])
            moved = self.limits.moved if is_headline else self.limits.moved_others
            self._judge_share("moved", scheme, None, row["moved"], row["stayed"], moved)
            if is_headline and row["moved_by_rules"]:
                self._judge_share(
                    "moved_by_rules",
                    scheme,
                    None,
                    row["moved_by_rules"],
                    row["stayed"],
                    self.limits.moved_by_rules,
                    factor=1.0,
                )
        for row in fetch_rows(
            self.connection,
            """
            with sides as (
                select scheme, before as tier, 1 as before, 0 as after from release_pairs where before is not null
                union all
                select scheme, case when by_rules and before is not null then before else after end, 0, 1
                from release_pairs where after is not null
            )
            select scheme, tier, sum(before) as before, sum(after) as after,
                   sum(sum(before)) over (partition by scheme) as all_before,
                   sum(sum(after)) over (partition by scheme) as all_after
            from sides group by scheme, tier order by scheme <> ?, scheme, tier
            """,
            [self.headline],
        ):
            limit_share = self.limits.tier_share if row["scheme"] == self.headline else self.limits.tier_share_others
            self._judge_share(
                "tier_share",
                f"{row['scheme']} {row['tier']}",
                row["before"] / row["all_before"],
                row["after"],
                row["all_after"],
                limit_share,
                base=row["all_before"],
            )

    def _rows(self) -> None:
        """Rows per mart; of long marts those of schemes that both nights have. A sample is as large as its tier."""
        for mart in mart_names(self.connection):
            if mart not in self.accepted or mart in history_marts() | marts_whose_rows_vary():
                continue
            query = "select count(*) from {mart}"
            if self._has_schemes(mart):
                query += " where scheme in (select distinct scheme from release_pairs)"
            before, after = self._both(query, mart)
            floor = self.limits.min_rows
            self._judge_change("rows", mart, before, after, self.limits.rows, base=before, at_least=floor)

    def _movers(self) -> None:
        """Customers of the headline scheme: those whose tier moved, then those whose spend did, the largest first."""
        spend = "(select customer_id, annual_spend from {})"
        self.verdict.movers = fetch_rows(
            self.connection,
            f"""
            select customer_id, coalesce(n.customer_name, o.customer_name) as customer_name, p.before, p.after,
                   cast(s.annual_spend as double) as spend_before, cast(t.annual_spend as double) as spend_after,
                   p.by_rules
            from release_pairs p
            left join {self._old("dim_customers")} o using (customer_id)
            left join {self._new("dim_customers")} n using (customer_id)
            left join {spend.format(self._old("fct_customer_indicators"))} s using (customer_id)
            left join {spend.format(self._new("fct_customer_indicators"))} t using (customer_id)
            where p.scheme = ?
                and (p.before is distinct from p.after or s.annual_spend is distinct from t.annual_spend)
            order by p.before is distinct from p.after desc,
                abs(coalesce(t.annual_spend, 0) - coalesce(s.annual_spend, 0)) desc, customer_id
            limit {_MOVERS}
            """,
            [self.headline],
        )

    # --- one figure ---------------------------------------------------------------------------------------

    def _judge_change(
        self,
        name: str,
        group: str,
        before: float,
        after: float,
        limits: ChangeLimits,
        *,
        base: float,
        at_least: int | None = None,
        unit: Literal["count", "money"] = "count",
    ) -> None:
        judged = base >= (self.limits.min_customers if at_least is None else at_least) and before > 0
        change = round((after - before) / before, 6) if before > 0 else 0.0

        def state(limit: Change) -> _State:
            increase = None if limit.max_increase is None else limit.max_increase * self.factor
            parts = [
                *([f"−{limit.max_decrease:.0%}"] if limit.max_decrease is not None else []),
                *([f"+{increase:.0%}"] if increase is not None else []),
            ]
            beyond = (limit.max_decrease is not None and change < -limit.max_decrease) or (
                increase is not None and change > increase
            )
            return _State(" / ".join(parts) if judged and parts else None, judged and beyond)

        self._note(name, group, float(before), float(after), unit, state(limits.warn), state(limits.hold))

    def _judge_share(
        self,
        name: str,
        group: str,
        before: float | None,
        count: int,
        of: int,
        limits: ShareLimits,
        *,
        base: int | None = None,
        factor: float | None = None,
    ) -> None:
        """A share of customers; with ``before`` its move is judged, without it the share itself."""
        share = count / of if of else 0.0
        distance = share if before is None else abs(share - before)
        judged = min(of, of if base is None else base) >= self.limits.min_customers

        def state(limit: float | None) -> _State:
            if limit is None or not judged:
                return _State(None, False)
            most = min(1.0, limit * (self.factor if factor is None else factor))
            beyond = round(distance, 6) > most and round(distance * of, 6) >= self.limits.min_moved
            return _State(f"± {most * 100:.0f} points 百分点" if before is not None else f"{most:.0%}", beyond)

        known = None if before is None else float(before)
        self._note(name, group, known, share, "share", state(limits.warn), state(limits.hold))

    def _note(
        self,
        name: str,
        group: str,
        before: float | None,
        after: float,
        unit: Literal["count", "money", "share"],
        warn: _State,
        hold: _State,
    ) -> None:
        level: Literal["ok", "warn", "hold"] = "hold" if hold.beyond else "warn" if warn.beyond else "ok"
        shown = warn.limit if level == "warn" else hold.limit or warn.limit
        self.verdict.figures.append(Figure(name, group, before, after, unit, shown, level))

    # --- where things are ---------------------------------------------------------------------------------

    def _old(self, mart: str) -> str:
        return quote(_ACCEPTED, SCHEMA, mart)

    def _new(self, mart: str) -> str:
        return quote(NIGHT_SCHEMA, mart)

    def _both(self, query: str, mart: str) -> tuple[float, float]:
        found = []
        for side in (self._old(mart), self._new(mart)):
            row = self.connection.execute(query.format(mart=side)).fetchone()
            found.append(float(row[0]) if row else 0.0)
        return found[0], found[1]

    def _has_schemes(self, mart: str) -> bool:
        row = self.connection.execute(
            "select count(distinct database_name) from duckdb_columns() where schema_name = ? and table_name = ? "
            "and column_name = 'scheme' and database_name in (?, current_database())",
            [SCHEMA, mart, _ACCEPTED],
        ).fetchone()
        return bool(row and row[0] == 2)
