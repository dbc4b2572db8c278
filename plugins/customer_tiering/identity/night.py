"""A night's identities: read what the sources say, decide, keep the decisions, hand them to the models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb

from customer_tiering.company.profile import Profile
from customer_tiering.errors import TieringError
from customer_tiering.identity.decisions import (
    FUZZY,
    Doubt,
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
from customer_tiering.identity.matching import Likeness, likenesses, load_model
from customer_tiering.identity.store import DecisionStore, copy_to_warehouse, last_number_in
from customer_tiering.warehouse.build import run_dbt
from customer_tiering.warehouse.connection import open_warehouse, warehouse_lock

_NO_METHOD = "shared_key"


@dataclass(frozen=True)
class Identities:
    """What a night decided: records that were new, that changed their customer, and pairs left to a person."""

    new: int
    moved: int
    review: int
    by_method: dict[str, int]


def decide_identities(profile: Profile, night: date, log_folder: Path) -> Identities:
    """Decide which records are one customer, on the accepted rows; run again it changes nothing.

    The log of decisions is the original, written before the warehouse's copy: a crash between the two heals.
    """
    with warehouse_lock(profile.workspace):
        run_dbt(profile, ["run", "--select", "+int_identity_pairs"], log_folder)
    store = DecisionStore(profile.workspace.decisions)
    with open_warehouse(profile.workspace) as connection:
        earlier = store.rows()
        state = state_of(earlier)
        if (last := last_number_in(connection)) > state.last_number:
            raise TieringError(
                f"{store.folder}: decisions are missing: the warehouse knows {last} of them, the log "
                f"{state.last_number}",
                "restore the folder from the backup; if it is lost for good, move the warehouse away too: ids are "
                "then assigned again",
            )
        outcome = _decide(connection, state, store.manual(), night, list(profile.sources))
        store.append(outcome.rows)
        copy_to_warehouse(connection, [*earlier, *outcome.rows])
        _land_review(connection, outcome.review)
    decided = [row for row in outcome.rows if isinstance(row, RecordRow)]
    state = state_of([*earlier, *outcome.rows])
    return Identities(
        new=sum(row.previous_customer_id is None for row in decided),
        moved=sum(row.previous_customer_id not in (None, row.customer_id) for row in decided),
        review=len(outcome.review),
        by_method=dict(sorted(Counter(row.method for row in state.newest.values()).items())),
    )


def _decide(
    connection: duckdb.DuckDBPyConnection,
    state: State,
    manual: Sequence[ManualDecision],
    night: date,
    source_order: Sequence[str],
) -> Outcome:
    """Keys first; then the match model for the records that stand alone by keys."""
    records, pairs = _records(connection), _pairs(connection)
    without_model = replace(state, links={e: link for e, link in state.links.items() if link.method != FUZZY})
    by_keys = decide(records, pairs, manual, without_model, night, source_order)
    match_weight, review_weight = _thresholds(connection)
    model = load_model()
    pairs = _with_likenesses(
        pairs,
        likenesses(connection, model, _alone(without_model, by_keys.rows), review_weight),
        match_weight,
        model.version,
    )
    return decide(records, pairs, manual, state, night, source_order)


def _alone(state: State, rows: Sequence[LinkRow | RecordRow]) -> set[str]:
    """Records that are a customer of their own."""
    customer = {name: row.customer_id for name, row in state.newest.items()}
    customer |= {row.record_id: row.customer_id for row in rows if isinstance(row, RecordRow)}
    size = Counter(customer.values())
    return {name for name, customer_id in customer.items() if size[customer_id] == 1}


def _records(connection: duckdb.DuckDBPyConnection) -> list[Record]:
    return [
        Record(*row)
        for row in connection.execute(
            "select record_id, source, source_customer_id, is_registry, tax_key, linked_record_id "
            "from intermediate.int_identity_keys order by record_id"
        ).fetchall()
    ]


def _pairs(connection: duckdb.DuckDBPyConnection) -> list[Pair]:
    """Pairs that share a key. Different tax ids say no, so such a pair is nobody's question."""
    rows = connection.execute(
        "select left_record_id, right_record_id, method, is_tax_equal, is_name_equal, is_phone_equal, is_email_equal "
        "from intermediate.int_identity_pairs where not is_tax_different order by 1, 2"
    ).fetchall()
    names = ("tax id", "name", "phone", "email")
    return [
        Pair(
            left, right, method, ", ".join(n for n, equal in zip(names, flags, strict=True) if equal), doubt=_NO_METHOD
        )
        for left, right, method, *flags in rows
    ]


def _with_likenesses(pairs: list[Pair], found: list[Likeness], match_weight: Decimal, version: str) -> list[Pair]:
    """Add what the model says where keys have no method. Two records of one source need more than likeness."""
    by_edge = {(pair.left, pair.right): pair for pair in pairs}
    for likeness in found:
        edge = (likeness.left, likeness.right)
        known = by_edge.get(edge)
        if known is not None and known.method is not None:
            continue
        sure = likeness.weight >= match_weight
        by_edge[edge] = Pair(
            likeness.left,
            likeness.right,
            FUZZY if sure and not likeness.is_same_source else None,
            likeness.agreed,
            likeness.weight,
            version,
            doubt="same_source" if sure else known.doubt if known else "weight",
        )
    return list(by_edge.values())


def _thresholds(connection: duckdb.DuckDBPyConnection) -> tuple[Decimal, Decimal]:
    """Match weights from which on records are matched, and from which on they are looked at."""
    values = dict(
        connection.execute(
            "select s.setting, s.value from rules.settings s join meta.as_of_dates d using (rules_version) "
            "where d.as_of_date = (select max(as_of_date) from meta.as_of_dates)"
        ).fetchall()
    )
    return Decimal(values["identity_match_weight"]), Decimal(values["identity_review_weight"])


def _land_review(connection: duckdb.DuckDBPyConnection, review: Sequence[Doubt]) -> None:
    """The list as tonight sees it; what was settled is gone from it."""
    connection.execute("begin")
    connection.execute("delete from meta.identity_review")
    if review:
        connection.executemany(
            "insert into meta.identity_review values (?, ?, ?, ?, ?, ?, ?)",
            [
                (d.left, d.right, d.left_customer, d.right_customer, d.reason, d.agreed or None, d.weight)
                for d in review
            ],
        )
    connection.execute("commit")
