"""Churn features: what happens after the cutoff never changes them, and they are what their descriptions say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customer_tiering.rules.seeds import churn_feature_names
from rendering import render_model

CUTOFFS = (date(2025, 6, 30), date(2025, 9, 30))
NIGHTS = (date(2025, 3, 1), date(2025, 6, 30), date(2025, 9, 30))
TOPICS = ("orders", "products", "service", "engagement", "payments", "tiers")
TABLES = {
    "int_customer_days": "customer_id varchar, ordered_on date, order_count bigint, net_amount decimal(18, 2)",
    "int_order_lines": "customer_id varchar, ordered_on date, order_type varchar, source varchar, product_id varchar, "
    "category varchar",
    "int_tickets": "customer_id varchar, is_complaint boolean, opened_at timestamp, first_response_at timestamp, "
    "resolved_at timestamp, satisfaction integer, rated_on date",
    "int_surveys": "customer_id varchar, kind varchar, score integer, answered_on date",
    "int_interactions": "customer_id varchar, kind varchar, is_participation boolean, occurred_at timestamp",
    "int_payments": "customer_id varchar, due_on date, paid_on date",
    "int_tier_changes": "customer_id varchar, as_of_date date, direction varchar",
    "int_nights": "as_of_date date",
    "int_as_of_dates": "as_of_date date",
    "int_churn_settings": "as_of_date date, churn_active_days integer",
    "int_customers": "customer_id varchar, has_order_source boolean, registered_on date",
}


class Features:
    """The models on an in-memory database."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        for name, columns in TABLES.items():
            self.connection.execute(f"create table {name} ({columns})")
        models = {name: name for name in TABLES}
        self.steps = []
        for name in (
            "int_customer_as_of",
            "int_order_coverage",
            *(f"int_churn_{topic}" for topic in TOPICS),
            "int_churn_features",
        ):
            self.steps.append(f"create or replace table {name} as {render_model(name, models)}")
            models[name] = name

    def compute(self, facts: dict[str, list[tuple[Any, ...]]]) -> dict[tuple[str, date], dict[str, Any]]:
        """Features by customer and cutoff."""
        fixed = {
            "int_nights": [(night,) for night in NIGHTS],
            "int_as_of_dates": [(cutoff,) for cutoff in CUTOFFS],
            "int_churn_settings": [(cutoff, 365) for cutoff in CUTOFFS],
            "int_customers": [("a", True, date(2024, 1, 1)), ("b", True, date(2025, 1, 1)), ("c", False, None)],
        }
        for name in TABLES:
            self.connection.execute(f"delete from {name}")
            if rows := (fixed | facts).get(name):
                marks = ", ".join("?" for _ in rows[0])
                self.connection.executemany(f"insert into {name} values ({marks})", rows)
        for step in self.steps:
            self.connection.execute(step)
        cursor = self.connection.execute("select * from int_churn_features")
        names = [column[0] for column in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return {(row["customer_id"], row["as_of_date"]): row for row in rows}


@pytest.fixture(scope="module")
def features() -> Iterator[Features]:
    built = Features()
    yield built
    built.connection.close()


# --- leakage -------------------------------------------------------------------------------------------------

BUYERS = st.sampled_from(["a", "b"])
DAYS = st.dates(date(2023, 9, 1), date(2025, 12, 31))


@st.composite
def facts_of_a_company(draw: st.DrawFn) -> dict[str, list[tuple[Any, ...]]]:
    def rows(*parts: st.SearchStrategy[Any]) -> list[tuple[Any, ...]]:
        return draw(st.lists(st.tuples(*parts), max_size=25))

    hours = st.integers(0, 24 * 200)
    tickets = []
    for customer, complaint, opened, response, resolution, score, rated in rows(
        BUYERS, st.booleans(), DAYS, hours, hours, st.integers(1, 5), st.integers(0, 200)
    ):
        at = datetime.combine(opened, datetime.min.time()) + timedelta(hours=9)
        answered, resolved = at + timedelta(hours=response), at + timedelta(hours=resolution)
        tickets.append((customer, complaint, at, answered, resolved, score, opened + timedelta(days=rated)))
    days = {
        (customer, day): (customer, day, count, amount)
        for customer, day, count, amount in rows(
            BUYERS, DAYS, st.integers(0, 3), st.decimals(-500, 5000, places=2, allow_nan=False)
        )
    }
    text = st.sampled_from(["x", "y", "z"])
    return {
        "int_customer_days": list(days.values()),
        "int_order_lines": rows(BUYERS, DAYS, st.sampled_from(["sale", "return"]), st.just("s"), text, text),
        "int_tickets": tickets,
        "int_surveys": rows(BUYERS, st.sampled_from(["CSAT", "NPS"]), st.integers(1, 5), DAYS),
        "int_interactions": rows(
            BUYERS,
            st.sampled_from(["login", "call", "event"]),
            st.booleans(),
            DAYS.map(lambda day: datetime.combine(day, datetime.max.time().replace(microsecond=0))),
        ),
        "int_payments": [
            (customer, due, None if paid > 200 else due + timedelta(days=paid))
            for customer, due, paid in rows(BUYERS, DAYS, st.integers(-30, 260))
        ],
        "int_tier_changes": rows(BUYERS, DAYS, st.sampled_from(["up", "down", "entered"])),
    }


def known_at(facts: dict[str, list[tuple[Any, ...]]], cutoff: date) -> dict[str, list[tuple[Any, ...]]]:
    """What an observer at the end of the day ``cutoff`` could have written down."""

    def seen(moment: Any) -> Any:
        day = moment.date() if isinstance(moment, datetime) else moment
        return moment if day is not None and day <= cutoff else None

    return {
        "int_customer_days": [row for row in facts["int_customer_days"] if row[1] <= cutoff],
        "int_order_lines": [row for row in facts["int_order_lines"] if row[1] <= cutoff],
        "int_tickets": [
            (row[0], row[1], row[2], seen(row[3]), seen(row[4]), row[5] if seen(row[6]) else None, seen(row[6]))
            for row in facts["int_tickets"]
            if seen(row[2])
        ],
        "int_surveys": [row for row in facts["int_surveys"] if row[3] <= cutoff],
        "int_interactions": [row for row in facts["int_interactions"] if seen(row[3])],
        "int_payments": [(row[0], row[1], seen(row[2])) for row in facts["int_payments"] if row[1] <= cutoff],
        # The night's own moves are not known when its features are computed.
        "int_tier_changes": [row for row in facts["int_tier_changes"] if row[1] < cutoff],
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(facts=facts_of_a_company())
def test_what_comes_after_the_cutoff_changes_no_feature(features: Features, facts: dict[str, Any]) -> None:
    """All facts, or only those known at the cutoff: the same features, for several cutoffs in one build."""
    everything = features.compute(facts)
    for cutoff in CUTOFFS:
        known = features.compute(known_at(facts, cutoff))
        then = {key: row for key, row in known.items() if key[1] == cutoff}
        assert {key: row for key, row in everything.items() if key[1] == cutoff} == then


def test_the_leakage_test_would_notice_a_leak(features: Features) -> None:
    """Each topic reads facts up to the cutoff itself: one more fact on that day changes a feature."""
    day = CUTOFFS[0]
    noon = datetime.combine(day, datetime.min.time()) + timedelta(hours=12)
    before = datetime(2025, 6, 1, 9)
    base: dict[str, list[tuple[Any, ...]]] = {
        "int_customer_days": [("a", date(2024, 1, 5), 1, 10), ("a", date(2025, 5, 1), 1, 10)],
        "int_order_lines": [("a", date(2025, 5, 1), "sale", "s", "x", "x")],
        "int_tickets": [("a", False, before, None, None, None, None)],
        "int_surveys": [],
        "int_interactions": [("a", "login", False, before)],
        "int_payments": [("a", date(2025, 6, 1), None)],
        "int_tier_changes": [],
    }
    added: dict[str, tuple[Any, ...]] = {
        "int_customer_days": ("a", day, 1, 99),
        "int_order_lines": ("a", day, "sale", "s", "y", "y"),
        "int_tickets": ("a", True, noon, noon, noon, 1, day),
        "int_surveys": ("a", "CSAT", 5, day),
        "int_interactions": ("a", "login", False, noon),
        "int_payments": ("a", day, day),
        "int_tier_changes": ("a", day - timedelta(days=1), "down"),
    }
    usual = features.compute(base)["a", day]
    for table, row in added.items():
        assert features.compute(base | {table: [*base[table], row]})["a", day] != usual, table


# --- values --------------------------------------------------------------------------------------------------


def test_features_are_what_they_say(features: Features) -> None:
    day = CUTOFFS[0]

    def ago(days: int) -> date:
        return day - timedelta(days=days)

    def at(days: int) -> datetime:
        return datetime.combine(ago(days), datetime.min.time()) + timedelta(hours=10)

    row = features.compute(
        {
            "int_customer_days": [
                ("b", ago(800), 1, 1),  # where the data begins
                ("a", ago(120), 1, 100),
                ("a", ago(100), 2, 300),
                ("a", ago(60), 1, 200),
                ("a", ago(50), 0, -50),  # a return is no order
            ],
            "int_order_lines": [
                ("a", ago(120), "sale", "s", "p1", "c1"),
                ("a", ago(60), "sale", "s", "p2", "c1"),
                ("a", ago(200), "sale", "s", "p3", "c2"),
                ("a", ago(50), "return", "s", "p4", "c9"),
            ],
            "int_tickets": [
                ("a", True, at(10), at(10) + timedelta(hours=2), at(9), 2, ago(8)),
                ("a", False, at(1), None, None, None, None),
                ("a", True, at(100), None, at(99), 4, ago(98)),
            ],
            "int_interactions": [
                *(("a", "login", False, at(days)) for days in (5, 35, 40, 45)),
                ("a", "event", True, at(20)),
            ],
            "int_payments": [("a", ago(100), ago(90)), ("a", ago(30), None), ("a", ago(20), ago(25))],
            "int_tier_changes": [("a", ago(30), "down"), ("a", day, "down"), ("a", ago(400), "up")],
        }
    )["a", day]
    expected = {
        "is_active_buyer": 1,
        "recency_days": 60,
        "tenure_days": 120,
        "order_days": 3,
        "orders_90d": 1,
        "orders_180d": 4,
        "orders_trend_90d": -0.5,  # 1 against 3
        "orders_trend_180d": 1,
        "spend_90d": 150,
        "spend_trend_90d": -0.454545,  # 150 against 400
        "average_gap_days": 30,
        "gap_deviation_days": 14.142136,
        "longest_gap_days": 40,
        "rhythm_ratio": 2,
        "rhythm_excess": 2.12132,
        "categories_365d": 2,
        "products_365d": 3,
        "products_trend_180d": 0.333333,
        "tickets_90d": 2,
        "complaints_365d": 2,
        "complaints_change_90d": 0,
        "open_tickets": 1,
        "first_response_hours_365d": 2,
        "resolution_hours_365d": 24,
        "satisfaction_365d": 3,
        "satisfaction_change": -2,
        "logins_30d": 1,
        "logins_before_30d": 3,
        "days_since_login": 5,
        "interactions_90d": 1,
        "participations_365d": 1,
        "on_time_rate_365d": 0.333333,
        "days_overdue_365d": 13.33,  # 10, 30 and 0 days
        "days_overdue_change": 5,  # 15 against 10
        "overdue_invoices": 1,
        "tier_downgrades_365d": 1,
        "tier_upgrades_365d": 0,
    }
    assert {name: float(row[name]) for name in expected} == pytest.approx(expected)


def test_what_cannot_be_known_is_null(features: Features) -> None:
    """No tickets, no interactions, no window to compare with, no order system, no earlier night."""
    day = CUTOFFS[0]
    rows = features.compute({"int_customer_days": [("a", day - timedelta(days=20), 1, 10)]})
    bought, unknown = rows["a", day], rows["c", day]
    assert {bought[name] for name in ("complaints_90d", "logins_30d", "orders_trend_30d", "average_gap_days")} == {None}
    assert (bought["orders_90d"], rows["b", day]["orders_90d"], unknown["orders_90d"]) == (1, 0, None)
    assert (bought["is_active_buyer"], rows["b", day]["is_active_buyer"]) == (True, False)


def test_every_feature_is_a_column(features: Features) -> None:
    row = features.compute({})["a", CUTOFFS[0]]
    assert set(churn_feature_names()) < set(row)
