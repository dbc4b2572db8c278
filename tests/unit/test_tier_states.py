"""The state machine of effective tiers: properties of the model's own SQL, on made-up rows of nights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customer_tiering.warehouse.connection import warehouse_schema
from customer_tiering.warehouse.nights import make_build_inputs
from rendering import render_model

FIRST = date(2026, 1, 1)
DWELL = 10
RANKS = {"gold": 1, "silver": 2, "bronze": 3}
TIERS = [*RANKS, "pending"]
ENDS_BY_HAND = {"override", "override_ended"}
STAYS = {"unchanged", "within_margin", "dwell", "no_trigger"}


@dataclass(frozen=True)
class Inputs:
    """What one customer brings to one night; ``tier`` is None when it is not in the scheme."""

    tier: str | None = "gold"
    entering: str | None = None
    leaving: str | None = None
    spend: int = 100
    idle: bool = False
    review: bool = False
    override: str | None = None
    rules_changed: bool = False
    old_tier: str | None = None
    corrected: str | None = None


@dataclass(frozen=True)
class State:
    """What the machine decided for one night."""

    tier: str | None
    since: date
    reason: str
    cause: str
    computed_cause: str


class Machine:
    """The model on an in-memory database; nights can be given in one build or over several."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(warehouse_schema())
        make_build_inputs(self.connection)
        self.connection.execute(
            "create table tiers (rules_version varchar, scheme varchar, tier varchar, tier_rank int)"
        )
        self.connection.executemany("insert into tiers values ('v', 's', ?, ?)", list(RANKS.items()))
        self.connection.execute(
            "create table inputs (customer_id varchar, scheme varchar, as_of_date date, night_number bigint, "
            "rules_version varchar, score decimal(30, 12), coverage decimal(7, 6), computed_tier varchar, "
            "entering_tier varchar, leaving_tier varchar, computed_rank int, entering_rank int, leaving_rank int, "
            "annual_spend decimal(18, 2), min_dwell_days int, spend_change decimal(24, 6), is_idle boolean, "
            "is_review_day boolean, override_tier varchar, is_rule_change boolean, tier_under_old_rules varchar, "
            "rule_delta decimal(30, 12), corrected_tier varchar, correction_delta decimal(30, 12))"
        )
        self.sql = render_model(
            "int_tier_states",
            {"int_tier_inputs": "inputs", "rules.tiers": "tiers", "state.customer_tiers": "state.customer_tiers"},
        )

    def run(
        self, customers: dict[str, list[Inputs]], splits: list[int], dwell: int | None = DWELL
    ) -> dict[str, list[State | None]]:
        """Each customer's states; ``splits`` are the nights before which a build ends and its state is carried over."""
        self.connection.execute("delete from state.customer_tiers")
        nights = max(len(row) for row in customers.values())
        result: dict[str, list[State | None]] = {name: [None] * len(row) for name, row in customers.items()}
        edges = [0, *sorted({split for split in splits if 0 < split < nights}), nights]
        for start, end in pairwise(edges):
            self.connection.execute("delete from inputs")
            rows = [
                _input_row(name, number - start, FIRST + timedelta(days=number), night, dwell)
                for name, row in customers.items()
                for number, night in enumerate(row)
                if start <= number < end
            ]
            # One statement: a prepared one per row costs more than the build.
            marks = ", ".join(f"({', '.join('?' for _ in rows[0])})" for _ in rows)
            self.connection.execute(f"insert into inputs values {marks}", [value for row in rows for value in row])
            self.connection.execute(f"create or replace table built as {self.sql}")
            for name, day, *decided in self.connection.execute(
                "select customer_id, as_of_date, effective_tier, tier_since, reason, cause, computed_cause from built"
            ).fetchall():
                result[name][(day - FIRST).days] = State(*decided)
            self.connection.execute("delete from state.customer_tiers")
            self.connection.execute(
                "insert into state.customer_tiers by name select customer_id, scheme, as_of_date, effective_tier, "
                "tier_since, reason, score, computed_tier, computed_cause, tier_set_spend, tier_set_score, "
                "correction_points, rule_points from built where as_of_date = ? and effective_tier is not null",
                [FIRST + timedelta(days=end - 1)],
            )
        return result


def _input_row(name: str, number: int, day: date, night: Inputs, dwell: int | None) -> list[Any]:
    entering, leaving = night.entering or night.tier, night.leaving or night.tier
    ranks = [RANKS.get(tier or "") for tier in (night.tier, entering, leaving)]
    in_scheme = night.tier is not None
    return [
        *(name, "s", day, number + 1, "v", None, None, night.tier, entering, leaving, *ranks),
        *(night.spend if in_scheme else None, dwell, 0.3 if dwell is not None else None),
        *(night.idle, night.review, night.override, night.rules_changed),
        *(night.old_tier or night.tier if night.rules_changed else None, None, night.corrected, None),
    ]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    machine = Machine()
    yield machine
    machine.connection.close()


def states(machine: Machine, *nights: Inputs, dwell: int | None = DWELL) -> list[State | None]:
    return machine.run({"c": list(nights)}, [], dwell)["c"]


def reasons(machine: Machine, *nights: Inputs, dwell: int | None = DWELL) -> list[tuple[str | None, str]]:
    return [(state.tier, state.reason) for state in states(machine, *nights, dwell=dwell) if state]


# --- one rule at a time ---------------------------------------------------------------------------------------


def test_a_tier_waits_for_a_trigger(machine: Machine) -> None:
    held = Inputs("silver")
    row = [Inputs("gold"), *[held] * DWELL]
    assert reasons(machine, *row, held)[-2:] == [("gold", "no_trigger")] * 2
    assert reasons(machine, *row, replace(held, review=True))[-1] == ("silver", "review")
    assert reasons(machine, *row, replace(held, idle=True))[-1] == ("silver", "no_trade")
    assert reasons(machine, *row, replace(held, spend=130))[-1] == ("gold", "no_trigger"), "more than 30 % is needed"
    assert reasons(machine, *row, replace(held, spend=131))[-1] == ("silver", "spend_change")
    assert reasons(machine, *row, replace(held, spend=69))[-1] == ("silver", "spend_change")


def test_a_trigger_waits_for_the_dwell(machine: Machine) -> None:
    moved = Inputs("silver", review=True)
    decided = reasons(machine, Inputs("gold"), *[moved] * DWELL)
    assert decided == [("gold", "first_tier"), *[("gold", "dwell")] * (DWELL - 1), ("silver", "review")]


def test_the_margin_holds_a_customer_at_the_edge(machine: Machine) -> None:
    wait = [Inputs("silver")] * DWELL
    at_edge = Inputs("gold", entering="silver", review=True)
    assert reasons(machine, *wait, at_edge)[-1] == ("silver", "within_margin")
    assert reasons(machine, *wait, Inputs("bronze", leaving="silver", review=True))[-1] == ("silver", "within_margin")
    two_up = Inputs("gold", entering="silver", review=True)
    assert reasons(machine, *[Inputs("bronze")] * DWELL, two_up)[-1] == ("silver", "review"), "as far as it holds"


def test_an_override_wins_and_ends_by_itself(machine: Machine) -> None:
    by_hand = Inputs("bronze", override="gold")
    decided = reasons(
        machine, Inputs("bronze"), by_hand, replace(by_hand, tier="pending"), Inputs("bronze"), Inputs("bronze")
    )
    assert decided == [
        ("bronze", "first_tier"),
        ("gold", "override"),
        ("gold", "override"),
        ("bronze", "override_ended"),
        ("bronze", "unchanged"),
    ]


def test_changed_rules_apply_at_once_to_those_they_move(machine: Machine) -> None:
    moved = Inputs("silver", rules_changed=True, old_tier="gold")
    (_, state) = states(machine, Inputs("gold"), moved)
    assert state is not None
    assert (state.tier, state.reason, state.cause) == ("silver", "rules_changed", "rule_change")
    held = Inputs("silver", rules_changed=True, old_tier="silver")
    assert reasons(machine, Inputs("gold"), held)[-1] == ("gold", "dwell"), "the rules did not move it, its figures did"


def test_pending_ends_at_once_and_begins_after_the_dwell(machine: Machine) -> None:
    assert reasons(machine, Inputs("pending"), Inputs("silver"))[-1] == ("silver", "scored")
    lost = reasons(machine, Inputs("silver"), *[Inputs("pending")] * DWELL)
    assert lost[1:] == [*[("silver", "dwell")] * (DWELL - 1), ("pending", "not_scored")]


def test_leaving_and_coming_back_are_no_moves(machine: Machine) -> None:
    decided = reasons(machine, Inputs("gold"), Inputs(None), Inputs("bronze"))
    assert decided == [("gold", "first_tier"), (None, "left"), ("bronze", "first_tier")]


def test_a_scheme_without_stability_rules_follows_the_score(machine: Machine) -> None:
    decided = reasons(machine, Inputs("gold"), Inputs("silver"), Inputs("gold"), dwell=None)
    assert decided[1:] == [("silver", "recomputed"), ("gold", "recomputed")]


def test_the_cause_is_what_moved_the_computed_tier(machine: Machine) -> None:
    wait = [Inputs("silver")] * DWELL
    corrected = machine.run({"c": [Inputs("gold"), *wait]}, [])["c"]
    assert corrected[-1] is not None
    assert corrected[-1].computed_cause == "data"
    # The night before, seen again, is silver already: the past was corrected, and the tier moves with the review.
    nights = [
        Inputs("gold"),
        *[Inputs("gold")] * DWELL,
        Inputs("silver", corrected="silver"),
        Inputs("silver", review=True),
    ]
    decided = machine.run({"c": nights}, [len(nights) - 2])["c"]
    assert [state.cause for state in decided[-2:] if state] == ["correction", "correction"]
    assert [state.tier for state in decided[-2:] if state] == ["gold", "silver"]


# --- properties -----------------------------------------------------------------------------------------------

tiers = st.sampled_from(TIERS)
nights = st.builds(
    Inputs,
    tier=st.one_of(tiers, tiers, tiers, st.none()),
    entering=st.none(),
    leaving=st.none(),
    spend=st.sampled_from([0, 50, 100, 140, 200]),
    idle=st.booleans(),
    review=st.booleans(),
    override=st.one_of(st.none(), st.none(), st.none(), st.sampled_from(list(RANKS))),
    rules_changed=st.just(False),
)
# Several customers at once: every example is one build, which costs more than its rows.
companies = st.integers(min_value=2, max_value=24).flatmap(
    lambda length: st.dictionaries(
        st.sampled_from([f"c{number}" for number in range(12)]),
        st.lists(nights, min_size=length, max_size=length),
        min_size=6,
        max_size=12,
    )
)
examples = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@examples
@given(customers=companies)
def test_a_customer_never_flips_twice_within_the_dwell(machine: Machine, customers: dict[str, list[Inputs]]) -> None:
    for row in machine.run(customers, []).values():
        known = [(FIRST + timedelta(days=number), state) for number, state in enumerate(row) if state]
        last_flip: date | None = None
        for (_, before), (day, after) in pairwise(known):
            if before.tier is None or after.tier is None or "pending" in (before.tier, after.tier):
                last_flip = None
            elif before.tier != after.tier:
                by_hand = after.reason in ENDS_BY_HAND
                assert by_hand or last_flip is None or (day - last_flip).days >= DWELL, (before, after)
                assert after.since == day
                last_flip = day


@examples
@given(customers=companies)
def test_an_override_always_wins(machine: Machine, customers: dict[str, list[Inputs]]) -> None:
    decided = machine.run(customers, [])
    for name, row in customers.items():
        for night, state in zip(row, decided[name], strict=True):
            if night.tier is not None and night.override is not None:
                assert state is not None
                assert (state.tier, state.reason) == (night.override, "override")
            elif state is not None:
                assert state.reason != "override"


@examples
@given(customers=companies, splits=st.lists(st.integers(min_value=1, max_value=23), min_size=1, max_size=3))
def test_nights_in_one_build_or_in_many_decide_the_same(
    machine: Machine, customers: dict[str, list[Inputs]], splits: list[int]
) -> None:
    assert machine.run(customers, splits) == machine.run(customers, [])


@examples
@given(customers=companies)
def test_every_state_has_its_tier_reason_and_cause(machine: Machine, customers: dict[str, list[Inputs]]) -> None:
    decided = machine.run(customers, [])
    for name, row in customers.items():
        before: State | None = None
        for night, state in zip(row, decided[name], strict=True):
            if night.tier is None:
                assert state is None or (state.tier is None and state.reason == "left")
            else:
                assert state is not None
                assert state.cause in ("data", "correction", "rule_change", "override")
                assert state.tier in TIERS
                if state.reason in STAYS:
                    assert before is not None
                    assert state.tier == before.tier
                    assert state.since == before.since
            before = state if state and state.tier else None
