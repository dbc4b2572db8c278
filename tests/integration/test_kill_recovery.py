"""A process killed with SIGKILL anywhere in a night costs nothing but time.

Each test kills a process at a named place, looks at what it left, runs the same night again in a fresh process,
and compares with an undisturbed twin: the same rows landed, accepted and quarantined, the same marts, a pointer
that never showed anything half-done, and every change told once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest
from killing import (
    EXTRACTS,
    FIRST,
    GATES,
    NIGHT,
    SECOND,
    Company,
    Prepared,
    Slots,
    Watcher,
    check_current,
    current_checksums,
    landed_rows,
    rows_after_crash,
    run,
    source_rows,
    start,
    told,
    unfinished_files,
    warehouse_rows,
)

from customer_tiering.extract.landing import completed_loads
from sample_company import generate_company

pytestmark = pytest.mark.slow

Scenario = Callable[[Prepared, Slots, str], None]


@pytest.fixture(scope="module")
def started(request: pytest.FixtureRequest, prepared: Prepared, slots: Slots) -> Iterator[dict[str, Future[None]]]:
    """The scenarios of the selected tests, run a few at a time; each test waits for its own."""
    with ThreadPoolExecutor(slots.number) as pool:
        futures = {}
        for item in request.session.items:
            if isinstance(item, pytest.Function) and item.originalname == test_killed.__name__:
                scenario, place = item.callspec.params["scenario"], item.callspec.params["place"]
                futures[place] = pool.submit(scenario, prepared, slots, place)
        yield futures
        pool.shutdown(cancel_futures=True)


def amid_extraction(prepared: Prepared, slots: Slots, place: str) -> None:
    """Killed amid an extraction of the first night: the rerun lands every row of the source once."""
    with slots.copy_of(prepared.fresh) as company:
        start(company, FIRST, "killed", ["begin", *EXTRACTS], place=place).assert_killed()
        assert check_current(company) is None
        if place in ("after two files were loaded", "before the load is marked complete"):
            assert unfinished_files(company), "the kill came too early: nothing was copied"
            assert completed_loads(company.workspace.landing, "erp") == []
        else:
            assert unfinished_files(company) == []

        whole_night = place in _WHOLE_NIGHT
        run(company, FIRST, "again", NIGHT if whole_night else ["begin", *EXTRACTS, *GATES])
        _same_rows(company, prepared.gated)
        if whole_night:
            _same_night(company, prepared.first)


def given_up_night(prepared: Prepared, slots: Slots, place: str) -> None:
    """Killed with a package pending, and nobody ran that night again: a later one lands it and its own rows."""
    killed, later = FIRST + timedelta(days=7), FIRST + timedelta(days=14)
    with slots.copy_of(prepared.first) as company:
        generate_company(company.source, until=killed)
        at = "between normalize and load"
        start(company, killed, "killed", ["begin", "extract erp"], place=at).assert_killed()
        generate_company(company.source, until=later)
        first, now = (source_rows(each)["erp.orders"] for each in (prepared.first, company))
        assert landed_rows(company)["erp.orders"] == first < now

        run(company, later, "next", ["begin", "extract erp"])
        for entity, rows in source_rows(company).items():
            assert landed_rows(company)[entity] == rows or not entity.startswith("erp."), entity
        assert unfinished_files(company) == []


def between_gated_entities(prepared: Prepared, slots: Slots, place: str) -> None:
    """Killed between two entities of the gate: what was gated stays, the rerun does the others."""
    with slots.copy_of(prepared.extracted) as company:
        start(company, FIRST, "first", GATES, place=place).assert_killed()
        gated = rows_after_crash(company, "select entity from meta.gated_loads order by entity")
        assert gated == [("customers",), ("products",)]

        run(company, FIRST, "again", ["begin", *EXTRACTS, *GATES])
        _same_rows(company, prepared.gated)


def inside_gate(prepared: Prepared, slots: Slots, place: str) -> None:
    """Killed just before the gate commits an entity: nothing of the entity was kept, the rerun does it whole."""
    with slots.copy_of(prepared.extracted) as company:
        start(company, FIRST, "first", GATES, place=place).assert_killed()
        gated = rows_after_crash(company, "select entity from meta.gated_loads order by entity")
        assert gated == [("customers",), ("invoices",), ("orders",), ("products",)]
        left = "select (select count(*) from raw.erp__order_lines), (select count(*) from quarantine.erp__order_lines)"
        assert rows_after_crash(company, left) == [(0, 0)]

        run(company, FIRST, "again", ["begin", *EXTRACTS, *GATES])
        _same_rows(company, prepared.gated)


def amid_models(prepared: Prepared, slots: Slots, place: str) -> None:
    """Killed after some models were built: nothing is published; the rerun builds them all."""
    with slots.copy_of(prepared.gated) as company:
        start(company, FIRST, "first", ["build", "publish"], place=place).assert_killed()
        assert check_current(company) is None
        built = "select count(*) from duckdb_tables() where table_name like 'int\\_%' escape '\\'"
        assert rows_after_crash(company, built) != [(0,)]
        finished = "select count(*) from duckdb_tables() where table_name = 'fct_tier_history'"
        assert rows_after_crash(company, finished) == [(0,)]

        run(company, FIRST, "again")
        _same_night(company, prepared.first)


def amid_publishing(prepared: Prepared, slots: Slots, place: str) -> None:
    """Killed amid publishing the second night: ``current`` shows the first or the second night, always whole.

    Airflow tries the step again in the same run, or a person runs the night again: both end as the twin did.
    """
    shown = SECOND if place == "right after the switch" else FIRST
    for steps, run_id in ((["publish", "alert", "summarise"], "second"), (NIGHT, "again")):
        if steps is NIGHT and place not in _WHOLE_NIGHT:
            continue
        with slots.copy_of(prepared.second_built) as company, Watcher(company) as watcher:
            start(company, SECOND, "second", ["publish", "alert"], place=place).assert_killed()
            assert check_current(company) == shown
            assert told(company) == []
            run(company, SECOND, run_id, steps)
            _same_night(company, prepared.second)
            assert len(told(company)) == len(set(told(company)))
            left = [path.name for path in company.workspace.published.iterdir() if path.name.startswith(".")]
            assert left == []
        watcher.check([FIRST, SECOND])


def amid_alerts(prepared: Prepared, slots: Slots, place: str) -> None:
    """Killed amid the messages: each change is told once; only the message on its way is repeated, with its id."""
    with slots.copy_of(prepared.second_published) as company:
        start(company, SECOND, "second", ["alert"], place=place).assert_killed()
        before = told(company)
        assert len(before) == 2

        if place in _WHOLE_NIGHT:
            run(company, SECOND, "again")
        else:
            run(company, SECOND, "second", ["alert", "summarise"])
        _same_night(company, prepared.second)
        repeated = [message for message, times in Counter(told(company)).items() if times > 1]
        assert repeated == (before[1:] if place == "sent, not recorded" else [])
        assert len(told(company)) == len(told(prepared.second)) + len(repeated)


# Places after which the whole night runs again, models and all; after the others only what the kill concerns.
_WHOLE_NIGHT = {
    "after two files were loaded",
    "right after the switch",
    "sent, not recorded",
}
_CASES: list[tuple[Scenario, str]] = [
    (amid_extraction, "while the second table is read"),
    (amid_extraction, "while the second file entity is read"),
    (amid_extraction, "extracted, state not saved"),
    (amid_extraction, "between extract and normalize"),
    (amid_extraction, "between normalize and load"),
    (amid_extraction, "after two files were loaded"),
    (amid_extraction, "before the load is marked complete"),
    (amid_extraction, "after the load is marked complete"),
    (given_up_night, "between normalize and load, night given up"),
    (between_gated_entities, "between two gated entities"),
    (inside_gate, "inside the gate's transaction"),
    (amid_models, "amid the models"),
    (amid_publishing, "before the manifest is written"),
    (amid_publishing, "before the folder is renamed"),
    (amid_publishing, "between rename and switch"),
    (amid_publishing, "amid the switch"),
    (amid_publishing, "right after the switch"),
    (amid_alerts, "sent, not recorded"),
    (amid_alerts, "between two messages"),
]


# One place of each step; all of them with `make test-all`.
_ALWAYS = {
    "while the second table is read",
    "inside the gate's transaction",
    "amid the models",
    "between rename and switch",
    "sent, not recorded",
}


@pytest.mark.parametrize(
    ("scenario", "place"),
    [
        pytest.param(scenario, place, marks=() if place in _ALWAYS else pytest.mark.full, id=place)
        for scenario, place in _CASES
    ],
)
def test_killed(started: dict[str, Future[None]], scenario: Scenario, place: str) -> None:
    """The scenario named by the parameter, killed at the place named by it."""
    started[place].result()


def test_twin_is_worth_comparing_with(prepared: Prepared) -> None:
    """The undisturbed nights land the whole source, keep rows out, change marts, and tell several changes."""
    assert landed_rows(prepared.second) == source_rows(prepared.second)
    assert any(count for name, (count, _sum) in warehouse_rows(prepared.gated).items() if "quarantine" in name)
    assert check_current(prepared.first) == FIRST
    assert check_current(prepared.second) == SECOND
    assert current_checksums(prepared.first) != current_checksums(prepared.second)
    assert told(prepared.first) == []
    assert len(told(prepared.second)) >= 4


def _same_rows(company: Company, twin: Company) -> None:
    """No row lost or doubled, from the source to the warehouse."""
    assert landed_rows(company) == source_rows(company)
    assert unfinished_files(company) == []
    assert warehouse_rows(company) == warehouse_rows(twin)


def _same_night(company: Company, twin: Company) -> None:
    """The company stands where its undisturbed twin stands."""
    _same_rows(company, twin)
    assert check_current(company) == check_current(twin)
    assert current_checksums(company) == current_checksums(twin)
    assert set(told(company)) == set(told(twin))
