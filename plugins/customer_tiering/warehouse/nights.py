"""The nights of a build: which as-of dates it computes, and under which rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import duckdb

from customer_tiering.errors import BuildFailed
from customer_tiering.rules.compile import land_compiled

_BUILD_INPUTS = Path(__file__).with_name("build_inputs.sql")


@dataclass(frozen=True)
class PlannedNight:
    """A night to compute. A ``baseline`` is the last accepted night, recomputed to tell corrections apart."""

    as_of: date
    rules_version: str
    kind: Literal["run", "caught_up", "replayed", "baseline"]


def plan_nights(accepted: PlannedNight | None, as_of: date, rules_version: str, catch_up: int) -> list[PlannedNight]:
    """The nights missed since the last accepted one, under its rules, then the night itself.

    No more than ``catch_up`` missed nights, the latest ones: a company that pauses for years starts over from its
    last tiers.
    """
    nights = []
    if accepted is not None:
        missed = (as_of - accepted.as_of).days - 1
        first = as_of - timedelta(days=min(missed, catch_up))
        nights = [
            PlannedNight(first + timedelta(days=number), accepted.rules_version, "caught_up")
            for number in range((as_of - first).days)
        ]
    return [*nights, PlannedNight(as_of, rules_version, "run")]


def make_build_inputs(connection: duckdb.DuckDBPyConnection) -> None:
    """The tables that every build fills again, empty."""
    connection.execute(_BUILD_INPUTS.read_text(encoding="utf-8"))


def land_as_of_dates(connection: duckdb.DuckDBPyConnection, nights: Sequence[PlannedNight]) -> None:
    """The nights to compute, each with its rules and the spend window that these ask for; and the rules as queries."""
    connection.execute("begin")
    connection.execute("delete from meta.as_of_dates")
    for night in nights:
        settings = dict(
            connection.execute(
                "select setting, value from rules.settings where rules_version = ?", [night.rules_version]
            ).fetchall()
        )
        start, end = spend_window(night.as_of, settings["spend_window"], int(settings["fiscal_year_start_month"]))
        connection.execute(
            "insert into meta.as_of_dates values (?, ?, ?, ?, ?)",
            [night.as_of, night.rules_version, night.kind, start, end],
        )
    land_compiled(connection, {night.rules_version for night in nights})
    connection.execute("commit")


def built_rules(connection: duckdb.DuckDBPyConnection, as_of: date) -> str:
    """The rules version that the marts were built with. Raises ``BuildFailed`` when they hold another night."""
    row = connection.execute("select rules_version from marts.fct_nights where as_of_date = ?", [as_of]).fetchone()
    if row is None:
        raise BuildFailed(f"the warehouse does not hold the night {as_of}", "run the night again from its start")
    return str(row[0])


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
