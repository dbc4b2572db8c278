"""Identity decisions: by example, and as properties of arbitrary histories."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_tiering.errors import TieringError
from customer_tiering.identity.decisions import (
    APART,
    MERGE,
    LinkRow,
    ManualDecision,
    Outcome,
    Pair,
    Record,
    RecordRow,
    State,
    decide,
    state_of,
)
from customer_tiering.identity.store import DecisionStore

NIGHT = date(2026, 3, 30)
SOURCES = ("erp", "crm", "shop")


def record(record_id: str, tax: str | None = None, link: str | None = None) -> Record:
    source, key = record_id.split("-", 1)
    return Record(record_id, source, key, source in ("erp", "shop"), tax, link)


def pair(left: str, right: str, method: str | None = "phone", weight: str | None = None) -> Pair:
    left, right = sorted((left, right))
    return Pair(left, right, method, method or "", Decimal(weight) if weight else None, "v1" if weight else None)


def said(number: int, action: str, left: str, right: str, after: date | None = None) -> ManualDecision:
    return ManualDecision(number, action, tuple(left.split()), tuple(right.split()), "owner", "reason", after)


class Company:
    """Nights one after the other on one log of decisions."""

    def __init__(self) -> None:
        self.rows: list[LinkRow | RecordRow] = []
        self.night = NIGHT

    @property
    def state(self) -> State:
        return state_of(self.rows)

    def run(
        self,
        records: Iterable[Record],
        pairs: Iterable[Pair] = (),
        manual: Iterable[ManualDecision] = (),
    ) -> Outcome:
        """One night; the next one is the day after."""
        outcome = decide(list(records), list(pairs), list(manual), self.state, self.night, SOURCES)
        self.rows += outcome.rows
        self.night += timedelta(days=1)
        return outcome

    def groups(self) -> dict[str, set[str]]:
        return {name: set(members) for name, members in self.state.customers().items()}

    def customer(self, record_id: str) -> str:
        return self.state.newest[record_id].customer_id


# --- by example --------------------------------------------------------------------------------------------------


def test_an_account_that_carries_an_erp_code_belongs_to_that_customer() -> None:
    company = Company()
    company.run([record("erp-A"), record("crm-X", link="erp-A"), record("crm-Y", link="erp-unknown")])
    assert company.groups() == {"erp-A": {"erp-A", "crm-X"}, "crm-Y": {"crm-Y"}}
    row = company.state.newest["crm-X"]
    assert (row.method, row.via, row.night) == ("crosswalk", "erp-A", NIGHT)
    assert company.state.newest["erp-A"].method == "own_id"


def test_a_corrected_link_moves_only_the_record_that_carries_it() -> None:
    """Both ERP customers keep their ids, though the account is older than the second of them."""
    company = Company()
    company.run([record("erp-A"), record("crm-X", link="erp-A")])
    company.run([record("erp-A"), record("crm-X", link="erp-A"), record("erp-B"), record("crm-Y", link="erp-B")])
    outcome = company.run(
        [record("erp-A"), record("crm-X", link="erp-B"), record("erp-B"), record("crm-Y", link="erp-B")]
    )
    assert company.groups() == {"erp-A": {"erp-A"}, "erp-B": {"erp-B", "crm-X", "crm-Y"}}
    moved = [row for row in outcome.rows if isinstance(row, RecordRow)]
    assert [(row.record_id, row.previous_customer_id, row.customer_id) for row in moved] == [
        ("crm-X", "erp-A", "erp-B")
    ]


def test_a_prospect_that_becomes_an_erp_customer_keeps_its_id() -> None:
    company = Company()
    company.run([record("crm-X")])
    company.run([record("crm-X", link="erp-A"), record("erp-A")])
    assert company.groups() == {"crm-X": {"crm-X", "erp-A"}}


def test_of_two_customers_that_turn_out_to_be_one_the_older_id_stays() -> None:
    company = Company()
    company.run([record("crm-X", tax="T1")])
    company.run([record("crm-X", tax="T1"), record("erp-A"), record("crm-Y", link="erp-A")])
    assert company.groups() == {"crm-X": {"crm-X"}, "erp-A": {"erp-A", "crm-Y"}}
    both = [record("crm-X", tax="T1"), record("erp-A", tax="T1"), record("crm-Y", link="erp-A")]
    company.run(both, [pair("crm-X", "erp-A", "tax_id")])
    assert company.groups() == {"crm-X": {"crm-X", "erp-A", "crm-Y"}}
    assert company.state.newest["erp-A"].previous_customer_id == "erp-A"
    assert company.state.newest["crm-Y"].via == "erp-A"


def test_two_erp_customers_that_share_a_phone_are_not_merged_by_it() -> None:
    """Neither directly nor through an account that has the phone, too."""
    company = Company()
    records = [record("erp-A"), record("erp-B"), record("crm-X")]
    pairs = [pair("erp-A", "erp-B", None), pair("crm-X", "erp-A"), pair("crm-X", "erp-B")]
    outcome = company.run(records, pairs)
    assert company.groups() == {"erp-A": {"erp-A"}, "erp-B": {"erp-B"}, "crm-X": {"crm-X"}}
    assert {(doubt.left, doubt.right, doubt.reason) for doubt in outcome.review} == {
        ("crm-X", "erp-A", "ambiguous"),
        ("crm-X", "erp-B", "ambiguous"),
        ("erp-A", "erp-B", "weight"),
    }


def test_two_erp_customers_of_one_tax_id_are_one() -> None:
    company = Company()
    company.run([record("erp-A", "T"), record("erp-B", "T")], [pair("erp-A", "erp-B", "tax_id")])
    assert company.groups() == {"erp-A": {"erp-A", "erp-B"}}


def test_different_tax_ids_outweigh_everything_but_the_crosswalk_and_people() -> None:
    company = Company()
    records = [record("erp-A", "T1"), record("crm-X", "T2"), record("crm-Y", "T3", link="erp-A")]
    outcome = company.run(records, [pair("crm-X", "erp-A", "fuzzy", "40")])
    assert company.groups() == {"erp-A": {"erp-A", "crm-Y"}, "crm-X": {"crm-X"}}
    assert outcome.review == [], "tax ids have answered it"
    company.run(records, manual=[said(1, MERGE, "erp-A crm-Y", "crm-X")])
    assert company.groups() == {"erp-A": {"erp-A", "crm-Y", "crm-X"}}


def test_a_match_lasts_when_its_evidence_is_gone_until_something_contradicts_it() -> None:
    company = Company()
    company.run([record("erp-A", "T1"), record("crm-X")], [pair("crm-X", "erp-A")])
    assert company.run([record("erp-A", "T1"), record("crm-X")]).rows == []
    company.run([record("erp-A", "T1"), record("crm-X", "T2")])
    assert company.groups() == {"erp-A": {"erp-A"}, "crm-X": {"crm-X"}}


def test_a_tax_id_that_arrives_later_is_worth_more_than_an_older_match() -> None:
    company = Company()
    company.run([record("erp-A"), record("erp-B", "T"), record("crm-X")], [pair("crm-X", "erp-A")])
    records = [record("erp-A"), record("erp-B", "T"), record("crm-X", "T")]
    company.run(records, [pair("crm-X", "erp-A"), pair("crm-X", "erp-B", "tax_id")])
    assert company.groups() == {"erp-A": {"erp-A"}, "erp-B": {"erp-B", "crm-X"}}


def test_a_deleted_record_keeps_the_customer_that_is_named_after_it() -> None:
    company = Company()
    company.run([record("erp-A"), record("crm-X", link="erp-A"), record("crm-Y")], [pair("crm-Y", "erp-A")])
    assert company.run([record("crm-X", link="erp-A"), record("crm-Y")]).rows == []
    assert company.groups() == {"erp-A": {"erp-A", "crm-X", "crm-Y"}}


def test_merge_split_and_merge_again() -> None:
    """The newest word counts, and an id that was given up comes back to the same company."""
    company, records = Company(), [record("erp-A"), record("crm-X", link="erp-A"), record("crm-Y")]
    company.run(records)
    decisions = [said(1, MERGE, "erp-A crm-X", "crm-Y")]
    company.run(records, manual=decisions)
    assert company.groups() == {"erp-A": {"erp-A", "crm-X", "crm-Y"}}
    decisions.append(said(2, APART, "crm-Y", "erp-A crm-X"))
    company.run(records, manual=decisions)
    assert company.groups() == {"erp-A": {"erp-A", "crm-X"}, "crm-Y": {"crm-Y"}}
    decisions.append(said(3, MERGE, "erp-A crm-X", "crm-Y"))
    company.run(records, manual=decisions)
    assert company.groups() == {"erp-A": {"erp-A", "crm-X", "crm-Y"}}
    assert [row.customer_id for row in company.rows if isinstance(row, RecordRow) and row.record_id == "crm-Y"] == [
        "crm-Y",
        "erp-A",
        "crm-Y",
        "erp-A",
    ]


def test_a_split_wins_over_crosswalk_tax_id_and_later_matches_of_others() -> None:
    company = Company()
    records = [record("erp-A", "T"), record("crm-X", "T", link="erp-A")]
    pairs = [pair("crm-X", "erp-A", "tax_id")]
    company.run(records, pairs)
    decisions = [said(1, APART, "crm-X", "erp-A")]
    newcomer = record("crm-Z")
    company.run(
        [*records, newcomer], [*pairs, pair("crm-Z", "erp-A", "email"), pair("crm-X", "crm-Z", "phone")], decisions
    )
    assert company.customer("crm-X") == "crm-X"
    assert company.customer("erp-A") == "erp-A"


def test_a_manual_decision_counts_from_the_next_night_on() -> None:
    records = [record("erp-A"), record("crm-X")]
    decision = said(1, MERGE, "erp-A", "crm-X", after=NIGHT)
    same, after = Company(), Company()
    same.run(records, manual=[decision])
    assert same.groups() == {"erp-A": {"erp-A"}, "crm-X": {"crm-X"}}
    after.night += timedelta(days=1)
    after.run(records, manual=[decision])
    assert after.groups() == {"erp-A": {"erp-A", "crm-X"}}


def test_what_a_person_kept_apart_is_no_question_any_more() -> None:
    company, records = Company(), [record("erp-A"), record("crm-X")]
    doubt = [pair("crm-X", "erp-A", None, "7")]
    assert len(company.run(records, doubt).review) == 1
    assert company.run(records, doubt, [said(1, APART, "erp-A", "crm-X")]).review == []


def test_a_pair_of_customers_is_asked_about_once_by_its_likeliest_records() -> None:
    company = Company()
    records = [record("erp-A"), record("crm-X", link="erp-A"), record("crm-Y")]
    outcome = company.run(records, [pair("crm-Y", "erp-A", None, "3"), pair("crm-X", "crm-Y", None, "5")])
    assert [(doubt.left, doubt.right, doubt.weight) for doubt in outcome.review] == [("crm-X", "crm-Y", Decimal(5))]


# --- as properties -----------------------------------------------------------------------------------------------

IDS = [f"{source}-{number}" for source in SOURCES for number in range(4)]
METHODS = ["tax_id", "phone", "email", "name", "fuzzy", None]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Record], list[Pair]]:
    """What the sources say on one night: some records, their tax ids and links, and what looks alike."""
    present = draw(st.lists(st.sampled_from(IDS), unique=True, min_size=1))
    records = [
        record(
            name,
            draw(st.sampled_from([None, None, "T1", "T2", "T3"])),
            draw(st.sampled_from([None, None, *(other for other in IDS if other[:3] == "erp")]))
            if name.startswith("crm")
            else None,
        )
        for name in present
    ]
    tax = {r.record_id: r.tax_key for r in records}
    edges = draw(st.lists(st.tuples(st.sampled_from(present), st.sampled_from(present)), max_size=8))
    pairs: dict[tuple[str, ...], Pair] = {}
    for left, right in edges:
        if left != right:
            method = draw(st.sampled_from(METHODS))
            if method == "tax_id" and (tax[left] is None or tax[left] != tax[right]):
                method = None
            weight = str(draw(st.integers(1, 30))) if method in ("fuzzy", None) else None
            pairs[tuple(sorted((left, right)))] = pair(left, right, method, weight)
    return records, list(pairs.values())


MANUAL = st.tuples(
    st.sampled_from([MERGE, APART]),
    st.lists(st.sampled_from(IDS), unique=True, min_size=1, max_size=3),
    st.lists(st.sampled_from(IDS), unique=True, min_size=1, max_size=3),
).filter(lambda decision: not set(decision[1]) & set(decision[2]))
NIGHTS = st.lists(st.tuples(worlds(), st.none() | MANUAL), min_size=1, max_size=5)


@settings(max_examples=300, deadline=None)
@given(NIGHTS, st.randoms(use_true_random=False))
def test_any_history(nights: list[tuple[tuple[list[Record], list[Pair]], tuple | None]], random: object) -> None:
    company, decisions = Company(), []
    named: dict[str, str] = {}
    for (records, pairs), manual in nights:
        if manual is not None:
            action, left, right = manual
            decisions.append(said(len(decisions) + 1, action, " ".join(left), " ".join(right)))
        before = company.state
        outcome = decide(records, pairs, decisions, before, company.night, SOURCES)

        # The order in which rows are read does not matter.
        shuffled_records, shuffled_pairs = list(records), list(pairs)
        random.shuffle(shuffled_records)  # type: ignore[attr-defined]
        random.shuffle(shuffled_pairs)  # type: ignore[attr-defined]
        again = decide(shuffled_records, shuffled_pairs, decisions, before, company.night, SOURCES)
        assert again == outcome

        # The night run again decides the same: nothing new.
        company.rows += outcome.rows
        rerun = decide(records, pairs, decisions, company.state, company.night, SOURCES)
        assert rerun.rows == []
        assert rerun.review == outcome.review
        company.night += timedelta(days=1)

        # An id names the customer that holds its namesake, and nobody else ever.
        state = company.state
        for customer_id, members in state.customers().items():
            assert customer_id in members
            assert named.setdefault(customer_id, customer_id) == customer_id
        assert {r.record_id for r in records} <= state.newest.keys()

        # A customer that exists does not lose its id to a newer one.
        for customer_id in before.customers():
            holder = state.newest[customer_id].customer_id
            assert state.first_seen[holder] <= state.first_seen[customer_id] or holder in before.customers()

        # Rows are a chain: each one changes something and knows what was before.
        history: dict[str, RecordRow] = {}
        for number, row in enumerate(company.rows, start=1):
            assert row.number == number
            if isinstance(row, RecordRow):
                previous = history.get(row.record_id)
                assert row.previous_customer_id == (previous.customer_id if previous else None)
                assert previous is None or previous.says() != row.says()
                assert (row.method == "own_id") == (row.customer_id == row.record_id)
                history[row.record_id] = row

        # The last word of a person counts.
        if decisions and all(name in state.newest for name in (*decisions[-1].left, *decisions[-1].right)):
            last = decisions[-1]
            customers = [
                (state.newest[a].customer_id, state.newest[b].customer_id) for a in last.left for b in last.right
            ]
            if last.action == MERGE:
                assert customers[0][0] == customers[0][1]
            else:
                assert all(one != other for one, other in customers)


@settings(max_examples=200, deadline=None)
@given(st.lists(worlds(), min_size=1, max_size=4))
def test_automatic_matches_respect_tax_ids_and_registries(nights: list[tuple[list[Record], list[Pair]]]) -> None:
    """Without crosswalk and people, a customer has one tax id at most, and one record of each registry unless they
    share a tax id."""
    company = Company()
    for records, pairs in nights:
        plain = {r.record_id: dataclasses.replace(r, link=None) for r in records}
        company.run(plain.values(), pairs)
        for members in company.groups().values():
            present = [plain[name] for name in members if name in plain]
            assert len({r.tax_key for r in present if r.tax_key}) <= 1
            for source in ("erp", "shop"):
                accounts = [r for r in present if r.source == source]
                assert len(accounts) <= 1 or {r.tax_key for r in accounts} == {accounts[0].tax_key} != {None}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_same_customers_come_out_whatever_the_order_of_arrival(data: st.DataObject) -> None:
    """Where the evidence does not contradict itself."""
    truth = {name: data.draw(st.integers(0, 4)) for name in IDS if name.startswith("crm")}
    truth |= {f"erp-{number}": number for number in range(4)}
    evidence = [
        pair(a, b, data.draw(st.sampled_from(["phone", "email", "name"])))
        for a in truth
        for b in truth
        if a < b and truth[a] == truth[b] and data.draw(st.booleans())
    ]
    partitions = []
    for _ in range(2):
        arrival = {name: data.draw(st.integers(0, 2)) for name in truth}
        company = Company()
        for night in range(3):
            present = {name for name, day in arrival.items() if day <= night}
            company.run(
                [record(name) for name in sorted(present)],
                [p for p in evidence if p.left in present and p.right in present],
            )
        partitions.append({frozenset(members) for members in company.groups().values()})
    assert partitions[0] == partitions[1]


# --- files -------------------------------------------------------------------------------------------------------


def decided() -> Company:
    company = Company()
    company.run([record("erp-A"), record("crm-X")], [pair("crm-X", "erp-A", "fuzzy", "13.25")])
    company.run([record("erp-A", "T1"), record("crm-X", "T2"), record("crm-Y", link="erp-A")])
    return company


def test_decisions_come_back_from_their_files(tmp_path: Path) -> None:
    company, store = decided(), DecisionStore(tmp_path / "decisions")
    by_night: dict[date, list[LinkRow | RecordRow]] = defaultdict(list)
    for row in company.rows:
        by_night[row.night].append(row)
    for rows in by_night.values():
        store.append(rows)
    store.append([])
    assert store.rows() == company.rows
    decision = said(1, APART, "crm-X", "erp-A crm-Y", NIGHT)
    store.add_manual(decision)
    assert store.manual() == [decision]
    assert store.folder.stat().st_mode & 0o077 == 0, "the folder is private"


def test_no_decision_takes_the_place_of_another(tmp_path: Path) -> None:
    company, store = decided(), DecisionStore(tmp_path)
    store.append(company.rows)
    with pytest.raises(TieringError, match="another run decided"):
        store.append(company.rows)
    store.add_manual(said(1, MERGE, "erp-A", "crm-X"))
    with pytest.raises(TieringError, match="somebody else decided"):
        store.add_manual(said(1, APART, "erp-A", "crm-X"))
    assert store.rows() == company.rows
    assert store.manual() == [said(1, MERGE, "erp-A", "crm-X")]


def test_missing_or_broken_decisions_are_refused(tmp_path: Path) -> None:
    """Going on without them would give ids again."""
    company, store = decided(), DecisionStore(tmp_path)
    store.append(company.rows[:1])
    store.append(company.rows[1:2])
    (path,) = tmp_path.iterdir()
    first, second = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text(second, encoding="utf-8")
    with pytest.raises(TieringError, match="missing"):
        store.rows()
    path.write_text(first + first, encoding="utf-8")
    with pytest.raises(TieringError, match="twice"):
        store.rows()
    path.write_text(first[: len(first) // 2] + "\n" + second, encoding="utf-8")
    with pytest.raises(TieringError, match=f"{path.name}, line 1 cannot be read"):
        store.rows()
    path.write_text(first + '{"kind": "record"}\n', encoding="utf-8")
    with pytest.raises(TieringError, match=f"{path.name}, line 2 cannot be read"):
        store.rows()
