"""What becomes of a company's rows: a mapping is tried through the real extraction and rules, and thrown away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from customer_tiering.company.profile import Profile
from customer_tiering.extract.pipeline import extract_source
from customer_tiering.gate.gate import Gate, suite_of
from customer_tiering.gate.quarantine import mask
from customer_tiering.inputs.mapping import MappedEntity, MappedSource
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.versions import land_rules
from customer_tiering.sql import literal, quote
from customer_tiering.warehouse.connection import warehouse_schema
from customer_tiering.warehouse.nights import PlannedNight, land_as_of_dates, make_build_inputs

_SHOWN = 3
_SHARES = (0.8, 0.5)


@dataclass(frozen=True)
class Broken:
    """A rule that rows break: how many, what happens to them, and examples of the values."""

    rule: str
    rows: int
    kept_out: bool
    reason_en: str
    reason_zh: str
    examples: tuple[str, ...]


@dataclass
class TablePreview:
    """An input table of a source: its rows, first rows as they will be, and what the rules say."""

    source: str
    table: str
    rows_in: int
    rows_kept: int
    rows_merged: int
    rows_kept_out: int
    shown: list[dict[str, str]]
    broken: list[Broken]


@dataclass
class Preview:
    """What a first night would find. ``newest_order`` is the last day of an order that counts."""

    tables: list[TablePreview] = field(default_factory=list)
    newest_order: date | None = None
    spend_cuts: tuple[float, float] | None = None
    """Annual spend above which a fifth, and half, of the customers lie; rounded to two digits."""


def preview(profile: Profile, as_of: date) -> Preview:
    """Try the profile's sources. Raises ``SourceError`` when one cannot be read."""
    found = Preview()
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute(warehouse_schema())
        make_build_inputs(connection)
        version = land_rules(connection, load_rules(profile), as_of)
        land_as_of_dates(connection, [PlannedNight(as_of, version, "run")])
        for source in _never_held(profile).all_sources():
            root = Path(folder)
            location = profile.resolve_location(source.name)
            extract_source(source, location, root / "landing", root / "state", as_of)
            gate = Gate(
                connection,
                source,
                landing=root / "landing",
                decisions=root / "decisions",
                as_of=as_of,
                currency=profile.currency,
                results_dir=root / "results",
                run_time=datetime.now(UTC),
            )
            for account in gate.run():
                entity = source.entity(account.entity)
                rules = {rule.rule: rule.meta for rule in suite_of(source, entity).expectations}
                reasons = {name: (meta.reason_en, meta.reason_zh) for name, meta in rules.items()}
                found.tables.append(
                    TablePreview(
                        source.name,
                        entity.name,
                        account.rows_in,
                        account.rows_kept,
                        account.rows_merged,
                        account.rows_quarantined,
                        _first_rows(connection, source, entity),
                        list(_broken(connection, source, entity, reasons)),
                    )
                )
        found.newest_order, found.spend_cuts = _spend(connection)
    return found


def _never_held(profile: Profile) -> Profile:
    """The profile with deliveries taken in however many of their rows break rules: it is them that are looked at."""
    sources = {}
    for name, said in profile.sources.items():
        tables = {table: mapping.model_copy(update={"hold_above": 1.0}) for table, mapping in said.tables.items()}
        sources[name] = said.model_copy(update={"tables": tables})
    return profile.model_copy(update={"sources": sources})


def _first_rows(
    connection: duckdb.DuckDBPyConnection, source: MappedSource, entity: MappedEntity
) -> list[dict[str, str]]:
    columns = ", ".join(f"cast({quote(column)} as varchar)" for column in entity.fields)
    rows = connection.execute(
        f"select {columns} from {quote('raw', f'{source.name}__{entity.name}')} where not _is_merged "
        f"order by _load_id, _row_number limit {_SHOWN}"
    ).fetchall()
    private = entity.pii
    return [
        {
            column: (mask(value, private[column]) or "") if column in private else value
            for column, value in zip(entity.fields, row, strict=True)
            if value is not None
        }
        for row in rows
    ]


def _broken(
    connection: duckdb.DuckDBPyConnection,
    source: MappedSource,
    entity: MappedEntity,
    reasons: dict[str, tuple[str, str]],
) -> Iterable[Broken]:
    where = f"where source = {literal(source.name)} and entity = {literal(entity.name)}"
    for rule, rows, examples in connection.execute(
        f"select rule, count(*), list(distinct offending_value)[:{_SHOWN}] from quarantine.failures {where} "
        "group by rule order by count(*) desc, rule"
    ).fetchall():
        shown = tuple(sorted(value for value in examples if value))
        yield Broken(rule, rows, True, *reasons[rule], shown)
    for rule, rows in connection.execute(
        f"select rule, count(*) from meta.row_flags {where} group by rule order by count(*) desc, rule"
    ).fetchall():
        yield Broken(rule, rows, False, *reasons[rule], ())


def _spend(connection: duckdb.DuckDBPyConnection) -> tuple[date | None, tuple[float, float] | None]:
    """The last order, and where the spend of the twelve months before it separates customers."""
    amounts = " union all ".join(
        f"select customer_id, ordered_on, net_amount from input_layer.{table} where not _is_merged "
        f"and coalesce(status, 'confirmed') = 'confirmed' and ordered_on is not null and customer_id is not null"
        for table in ("orders", "order_lines")
    )
    row: Any = connection.execute(
        f"""
        with amounts as ({amounts}),
        newest as (select max(ordered_on) as day from amounts),
        spend as (
            select customer_id, sum(net_amount) as amount from amounts, newest
            where ordered_on > newest.day - interval 12 month group by customer_id having sum(net_amount) > 0
        )
        select (select day from newest), quantile_cont(amount, {_SHARES[0]}), quantile_cont(amount, {_SHARES[1]})
        from spend
        """
    ).fetchone()
    newest, high, low = row
    if high is None or _rounded(float(high)) <= _rounded(float(low)):
        return newest, None
    return newest, (_rounded(float(high)), _rounded(float(low)))


def _rounded(amount: float) -> float:
    return float(f"{amount:.1e}")
