"""What people ask and decide about identities: explain a customer, merge two, keep two apart, split a record off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from customer_tiering.company.profile import Profile
from customer_tiering.errors import TieringError
from customer_tiering.identity.decisions import (
    APART,
    MERGE,
    LinkRow,
    ManualDecision,
    RecordRow,
    State,
    decide,
    state_of,
)
from customer_tiering.identity.store import DecisionStore
from customer_tiering.publish.snapshot import last_accepted


@dataclass(frozen=True)
class Entry:
    """What became of a manual decision: entered now, or said before and still in force."""

    decision: ManualDecision
    is_new: bool


@dataclass(frozen=True)
class Explanation:
    """The records of a customer with the decision in force of each, all decisions about them, and what people said."""

    customer_id: str
    asked: str
    members: list[RecordRow]
    history: list[RecordRow]
    manual: list[ManualDecision]


def explain_identity(profile: Profile, name: str) -> Explanation:
    """Who is behind a customer id, a former id, or a source's id. Raises ``TieringError`` when nobody is."""
    store = DecisionStore(profile.workspace.decisions)
    rows, state = _known(profile, store)
    customer_id = _customer(state, name)
    members = state.customers()[customer_id]
    about = {member.record_id: member for row in members if (member := state.newest[row])}
    ever = {row.record_id for row in rows if isinstance(row, RecordRow) and row.customer_id == customer_id}
    concerned = about.keys() | ever
    return Explanation(
        customer_id,
        name,
        list(about.values()),
        [row for row in rows if isinstance(row, RecordRow) and row.record_id in concerned],
        [decision for decision in store.manual() if concerned & {*decision.left, *decision.right}],
    )


def merge(profile: Profile, one: str, other: str, owner: str, reason: str) -> Entry:
    """Two customers are one from the next night on. Said again while it holds, nothing is added."""
    store, state = _ready(profile, owner, reason)
    first, second = _customer(state, one), _customer(state, other)
    if first == second:
        return _said_before(store, MERGE, state.customers()[first], (one, other))
    first, second = sorted((first, second), key=lambda name: state.first_seen[name])
    return _enter(profile, store, MERGE, _members(state, first), _members(state, second), owner, reason)


def keep_apart(profile: Profile, one: str, other: str, owner: str, reason: str) -> Entry:
    """Two customers are two, whatever agrees: the pair leaves the review list for good."""
    store, state = _ready(profile, owner, reason)
    first, second = _customer(state, one), _customer(state, other)
    if first == second:
        raise TieringError(
            f"{one} and {other} are one customer, {first}",
            "take the record that does not belong there out: tiering identity split <source> <key>",
        )
    return _enter(profile, store, APART, _members(state, first), _members(state, second), owner, reason)


def split(profile: Profile, source: str, key: str, owner: str, reason: str) -> Entry:
    """A record leaves its customer from the next night on; the other records stay what they are to each other."""
    store, state = _ready(profile, owner, reason)
    record_id = f"{source}-{key}"
    row = state.newest.get(record_id)
    if row is None:
        raise TieringError(
            f"no decision knows the record {key!r} of source {source!r}",
            f"give a source ({', '.join(profile.sources)}) and its id as bridge_customer_ids shows them",
        )
    others = [member for member in _members(state, row.customer_id) if member != record_id]
    if not others:
        return _said_before(store, APART, [record_id], (record_id,))
    return _enter(profile, store, APART, [record_id], others, owner, reason)


def _ready(profile: Profile, owner: str, reason: str) -> tuple[DecisionStore, State]:
    if not owner.strip() or not reason.strip():
        raise TieringError("a decision needs who decided and why", "give --owner and --reason")
    store = DecisionStore(profile.workspace.decisions)
    rows, state = _known(profile, store)
    # What was entered since the last night counts as decided: the next decision may build on it. No record is read
    # from the sources here, so every link stays as it is.
    pending = decide([], [], store.manual(), state, date.max)
    return store, state_of([*rows, *pending.rows])


def _known(profile: Profile, store: DecisionStore) -> tuple[list[LinkRow | RecordRow], State]:
    rows = store.rows()
    if not rows:
        raise TieringError(
            f"{profile.name} has decided no identities yet", f"run a night first: make run PROFILE={profile.name}"
        )
    return rows, state_of(rows)


def _customer(state: State, name: str) -> str:
    customers = state.customers()
    if name in customers:
        return name
    if (row := state.newest.get(name)) is not None:  # an alias: the id that a record gives its name to
        return row.customer_id
    found = sorted({row.customer_id for row in state.newest.values() if row.key == name})
    if not found:
        raise TieringError(
            f"there is no customer {name!r}", "give a customer_id, a former one, or an id of one of the sources"
        )
    if len(found) > 1:
        raise TieringError(f"{name!r} is an id of several customers: {', '.join(found)}", "give one of these")
    return found[0]


def _members(state: State, customer_id: str) -> list[str]:
    """Records of a customer, the one that names it in front."""
    return sorted(state.customers()[customer_id], key=lambda name: (name != customer_id, state.first_seen[name]))


def _said_before(store: DecisionStore, action: str, members: Sequence[str], names: Sequence[str]) -> Entry:
    """The newest manual decision that made it so. Raises ``TieringError`` when it is so without one."""
    for decision in reversed(store.manual()):
        if decision.action == action and set(members) & {*decision.left, *decision.right}:
            return Entry(decision, False)
    are = "are one customer already" if len(names) > 1 else "is a customer of its own already"
    raise TieringError(f"{' and '.join(names)} {are}; nothing to decide", "see tiering identity <customer>")


def _enter(
    profile: Profile,
    store: DecisionStore,
    action: str,
    left: Sequence[str],
    right: Sequence[str],
    owner: str,
    reason: str,
) -> Entry:
    said = store.manual()
    sides = {frozenset(left), frozenset(right)}
    for earlier in reversed(said):
        if earlier.action == action and {frozenset(earlier.left), frozenset(earlier.right)} == sides:
            return Entry(earlier, False)
        touched = {*earlier.left, *earlier.right}
        if earlier.action != action and all(side & touched for side in sides):
            break  # the opposite was said in between
    accepted = last_accepted(profile.workspace)
    decision = ManualDecision(
        number=said[-1].number + 1 if said else 1,
        action=action,
        left=tuple(left),
        right=tuple(right),
        owner=owner.strip(),
        reason=reason.strip(),
        after_night=accepted.night if accepted else None,
        entered_on=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    store.add_manual(decision)
    return Entry(decision, True)
