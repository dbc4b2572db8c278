"""Recomputing nights of the past in a side warehouse, comparing them with what was published, promoting on request.

A replay reads what is known today (every load so far) and uses the rules that were in force on each night. The
company's own warehouse and its published snapshot stay as they are until a replay is promoted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import NightBusy, OrderError
from customer_tiering.night.guard import night_lock
from customer_tiering.night.steps import manifest_of
from customer_tiering.publish.snapshot import DATABASE, current_folder, publish, published_folder, read_manifest
from customer_tiering.release import holds
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.overrides import land_overrides, load_overrides
from customer_tiering.sql import literal
from customer_tiering.warehouse.compute import compute_nights
from customer_tiering.warehouse.connection import copy_warehouse, warehouse_lock, warehouse_schema
from customer_tiering.warehouse.coverage import check_data_begins
from customer_tiering.warehouse.nights import PlannedNight, built_rules, make_build_inputs
from customer_tiering.warehouse.state import land_accepted_state

_NOTE = "replay.json"


@dataclass(frozen=True)
class SchemeComparison:
    """One scheme over the replayed nights.

    Moves are changes from one tier to another (a customer's first tier and its leaving are none): of the tier that the
    score alone gives, and of the effective one. ``same``, ``only_published`` and ``only_replayed`` count changes of the
    effective tier by customer, night and tier; ``tiers_differ`` customers whose tier on the last night differs.
    """

    scheme: str
    customers: int
    computed_moves: int
    effective_moves: int
    same: int
    only_published: int
    only_replayed: int
    tiers_differ: int


@dataclass(frozen=True)
class Replay:
    """A finished replay; ``base`` is the snapshot it was compared with."""

    first: date
    last: date
    nights: int
    base: str
    schemes: list[SchemeComparison]
    causes: dict[str, int]
    reasons: dict[str, int]
    warehouse: Path


def replay(
    profile: Profile, first: date, last: date | None = None, say: Callable[[str], None] = lambda _text: None
) -> Replay:
    """Recompute the nights ``first`` to ``last`` (default: the published night) in ascending order.

    Raises ``OrderError`` when the nights are not in the past of the published one.
    """
    workspace = profile.workspace
    snapshot = published_folder(workspace)
    published = read_manifest(snapshot).night
    last = last or published
    with _one_at_a_time(workspace):
        return _replay(profile, snapshot, first, last, published, say)


def _replay(
    profile: Profile, snapshot: Path, first: date, last: date, published: date, say: Callable[[str], None]
) -> Replay:
    workspace = profile.workspace
    if not first <= last <= published:
        raise OrderError(
            f"a replay from {first} to {last} is not before the published night {published}",
            f"give --from and --to in ascending order, --to no later than {published}",
        )
    warehouse = _side_warehouse(workspace)
    overrides = load_overrides(profile, load_rules(profile))
    nights = _plan(snapshot, first, last)
    say(f"recomputing {len(nights):,} nights from {first} to {last} in {warehouse.parent} …")
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(warehouse_schema())
        make_build_inputs(connection)
        land_overrides(connection, overrides)
        land_accepted_state(connection, workspace, first, from_history=True)
        connection.execute("create or replace schema replay")
        connection.execute(
            "create table replay.tiers (customer_id varchar, scheme varchar, as_of_date date, computed_tier varchar)"
        )
    done = 0

    def keep_computed(connection: duckdb.DuckDBPyConnection, batch: list[PlannedNight]) -> None:
        nonlocal done
        if done == 0:
            check_data_begins(connection, batch[-1].as_of)
        connection.execute(
            "insert into replay.tiers select customer_id, scheme, as_of_date, computed_tier "
            "from marts.fct_customer_tiers"
        )
        done += len(batch)
        say(f"  {done:,} of {len(nights):,} nights, up to {batch[-1].as_of}")

    compute_nights(profile, nights, warehouse.parent, warehouse=warehouse, after_batch=keep_computed)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(f"attach {literal(str(snapshot / DATABASE))} as published (read_only)")
        result = Replay(
            first=first,
            last=last,
            nights=len(nights),
            base=snapshot.name,
            schemes=_compare(connection, first, last),
            causes=_counts(connection, "cause", first, last),
            reasons=_counts(connection, "reason", first, last),
            warehouse=warehouse,
        )
    note = {"base": result.base, "first": str(first), "last": str(last)}
    (warehouse.parent / _NOTE).write_text(json.dumps(note), encoding="utf-8")
    return result


def promote(profile: Profile) -> Path:
    """Publish the last replay in place of the night it was compared with; returns the new snapshot.

    Raises ``OrderError`` unless the replay ends with the published night and nothing was published since;
    ``GateBlocked`` when the gate on the marts, the audit sample with it, does not accept it.
    """
    workspace = profile.workspace
    with _one_at_a_time(workspace):
        return _promote(profile, workspace)


@contextmanager
def _one_at_a_time(workspace: Workspace) -> Iterator[None]:
    lock = FileLock(workspace.root / "replay.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise NightBusy(f"a replay of {workspace.root.name} is already running", "wait for it to end") from error
    try:
        yield
    finally:
        lock.release()


def _promote(profile: Profile, workspace: Workspace) -> Path:
    from customer_tiering.release.mart_checks import check_marts

    folder = workspace.replay
    if not (folder / _NOTE).is_file():
        raise OrderError("there is no finished replay to promote", "run tiering replay --from YYYY-MM-DD first")
    note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
    with night_lock(workspace), warehouse_lock(workspace):
        current = current_folder(workspace)
        if current is None or current.name != note["base"]:
            raise OrderError(
                f"the replay was compared with {note['base']}, and {current.name if current else 'nothing'} is "
                "published now",
                f"replay again: tiering replay --from {note['first']}",
            )
        last = date.fromisoformat(note["last"])
        if last != read_manifest(current).night:
            raise OrderError(
                f"the replay ends on {last}, before the published night {read_manifest(current).night}",
                f"replay up to the published night: tiering replay --from {note['first']}",
            )
        holds.supersede(workspace, "a replay was promoted")
        with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
            # A person has seen the comparison, which is what a hold would ask for; the mart checks stay.
            check_marts(connection, workspace, last, results_dir=folder / "data_docs", run_time=datetime.now(UTC))
            run_id = f"replay-{datetime.now(UTC):%Y%m%dT%H%M%S}"
            manifest = manifest_of(profile, last, run_id, built_rules(connection, last))
            # No snapshot holds the night before as the replay sees it: a rerun of the last night has to take it from
            # the replayed history.
            snapshot = publish(connection, workspace, manifest, profile.keep_snapshots, follows_predecessor=False)
    shutil.rmtree(folder)
    return snapshot


def _side_warehouse(workspace: Workspace) -> Path:
    """A copy of the company's warehouse; an older replay is thrown away."""
    folder = workspace.replay
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)
    copy = folder / "warehouse.duckdb"
    copy_warehouse(workspace, copy)
    return copy


def _plan(snapshot: Path, first: date, last: date) -> list[PlannedNight]:
    """The nights with the rules of their day: those of the newest night up to it, the oldest known before that."""
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        known = connection.execute("select as_of_date, rules_version from marts.fct_nights order by 1").fetchall()
    nights = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        version = next((version for night, version in reversed(known) if night <= day), known[0][1])
        nights.append(PlannedNight(day, version, "replayed"))
    return nights


def _compare(connection: duckdb.DuckDBPyConnection, first: date, last: date) -> list[SchemeComparison]:
    rows = connection.execute(
        """
        with computed as (
            select scheme, customer_id, computed_tier,
                   lag(computed_tier) over (partition by scheme, customer_id order by as_of_date) as before
            from replay.tiers
        ),
        computed_moves as (
            select scheme, count(distinct customer_id) as customers,
                   count(*) filter (where computed_tier <> before) as moves
            from computed group by scheme
        ),
        replayed as (
            select * from marts.fct_tier_changes where as_of_date between $first and $last
        ),
        published as (
            select * from published.marts.fct_tier_changes where as_of_date between $first and $last
        ),
        matched as (
            select coalesce(r.scheme, p.scheme) as scheme, r.customer_id is not null as is_replayed,
                   p.customer_id is not null as is_published,
                   r.from_tier is not null and r.to_tier is not null as is_move
            from replayed r
            full join published p
                on r.customer_id = p.customer_id and r.scheme = p.scheme and r.as_of_date = p.as_of_date
                and r.to_tier is not distinct from p.to_tier
        ),
        changes as (
            select scheme, count(*) filter (where is_replayed and is_move) as moves,
                   count(*) filter (where is_replayed and is_published) as same,
                   count(*) filter (where not is_replayed) as only_published,
                   count(*) filter (where not is_published) as only_replayed
            from matched group by scheme
        ),
        last_tiers as (
            select coalesce(r.scheme, p.scheme) as scheme,
                   count(*) filter (where r.effective_tier is distinct from p.effective_tier) as differ
            from (select * from marts.fct_customer_tiers where as_of_date = $last) r
            full join (select * from published.marts.fct_customer_tiers where as_of_date = $last) p
                on r.customer_id = p.customer_id and r.scheme = p.scheme
            group by all
        )
        select scheme, coalesce(c.customers, 0), coalesce(c.moves, 0), coalesce(h.moves, 0), coalesce(h.same, 0),
               coalesce(h.only_published, 0), coalesce(h.only_replayed, 0), coalesce(t.differ, 0)
        from computed_moves c
        full join changes h using (scheme)
        full join last_tiers t using (scheme)
        order by scheme
        """,
        {"first": first, "last": last},
    ).fetchall()
    return [SchemeComparison(*row) for row in rows]


def _counts(connection: duckdb.DuckDBPyConnection, column: str, first: date, last: date) -> dict[str, int]:
    """Replayed moves by cause or reason."""
    return dict(
        connection.execute(
            f"select {column}, count(*) from marts.fct_tier_changes where as_of_date between ? and ? "
            "and from_tier is not null and to_tier is not null group by 1 order by 2 desc, 1",
            [first, last],
        ).fetchall()
    )


def as_json(result: Replay) -> str:
    """The replay's figures for other programs."""
    return json.dumps(asdict(result), ensure_ascii=False, indent=2, default=str)
