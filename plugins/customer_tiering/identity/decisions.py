"""Which records are one customer, decided on what is known: no clock, no database, equal input gives equal output.

Records are nodes, reasons to see two of them as one company are links, customers are what hangs together. An id is
the name of a record (``<source>-<key>``) and only ever names the customer that holds this record, so it cannot change
hands. Decisions are rows that are only ever added; the newest row of a record or of a link is in force.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import combinations

MERGE, APART = "merge", "apart"  # what a person decides
OWN_ID, CROSSWALK, MANUAL, FUZZY = "own_id", "crosswalk", "manual", "fuzzy"
TAX_ID = "tax_id"
# Methods by their strength; a weaker one only decides what a stronger one has left open.
AUTOMATIC = (TAX_ID, "phone", "email", "name", FUZZY)

_ROUNDS = 10

Edge = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """A source's record of a customer. ``link`` is the record whose id it carries (the crosswalk); a registry is a
    source that keeps accounts (orders) by customer: two of its records are two customers unless a tax id says no."""

    record_id: str
    source: str
    key: str
    is_registry: bool = False
    tax_key: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two records that look like one company: how strongly (``method``, None when only a person can tell), in which
    keys they agree, and the match weight when a model compared them."""

    left: str
    right: str
    method: str | None
    agreed: str = ""
    weight: Decimal | None = None
    model_version: str | None = None
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class ManualDecision:
    """What a person decided about two groups of records; it counts for nights after ``after_night``."""

    number: int
    action: str  # merge | apart
    left: tuple[str, ...]
    right: tuple[str, ...]
    owner: str
    reason: str
    after_night: date | None = None
    entered_on: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Why two records are one customer."""

    left: str
    right: str
    method: str
    agreed: str = ""
    weight: Decimal | None = None
    model_version: str | None = None

    @property
    def edge(self) -> Edge:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A link that was made or cut on a night."""

    number: int
    night: date
    action: str  # join | cut
    link: Link


@dataclass(frozen=True, slots=True)
class RecordRow:
    """The customer a record belongs to from a night on, and the link towards the record that names the customer."""

    number: int
    night: date
    record_id: str
    source: str
    key: str
    customer_id: str
    previous_customer_id: str | None
    method: str
    via: str | None = None
    agreed: str = ""
    weight: Decimal | None = None
    model_version: str | None = None

    def says(self) -> tuple[object, ...]:
        """What the row decides, without when."""
        return (self.customer_id, self.method, self.via, self.agreed, self.weight, self.model_version)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Two customers that may be one; a person decides."""

    left: str
    right: str
    left_customer: str
    right_customer: str
    reason: str
    agreed: str = ""
    weight: Decimal | None = None


@dataclass
class State:
    """The decisions in force."""

    last_number: int = 0
    first_seen: dict[str, int] = field(default_factory=dict)
    newest: dict[str, RecordRow] = field(default_factory=dict)
    links: dict[Edge, Link] = field(default_factory=dict)

    def add(self, row: LinkRow | RecordRow) -> None:
        """Take in one row; rows come in the order of their numbers."""
        self.last_number = max(self.last_number, row.number)
        if isinstance(row, RecordRow):
            self.first_seen.setdefault(row.record_id, row.number)
            self.newest[row.record_id] = row
        elif row.action == "join":
            self.links[row.link.edge] = row.link
        else:
            self.links.pop(row.link.edge, None)

    def customers(self) -> dict[str, list[str]]:
        """Records by customer id, those seen first in front."""
        members: dict[str, list[str]] = defaultdict(list)
        for record_id in self.first_seen:
            members[self.newest[record_id].customer_id].append(record_id)
        return members


def state_of(rows: Iterable[LinkRow | RecordRow]) -> State:
    """The state after these rows."""
    state = State()
    for row in sorted(rows, key=lambda row: row.number):
        state.add(row)
    return state


@dataclass
class Outcome:
    """What a night adds, and what it leaves to a person."""

    rows: list[LinkRow | RecordRow]
    review: list[Doubt]


def decide(
    records: Sequence[Record],
    pairs: Iterable[Pair],
    manual: Iterable[ManualDecision],
    state: State,
    night: date,
    source_order: Sequence[str] = (),
) -> Outcome:
    """Tonight's decisions. Deciding again on the state they lead to adds nothing.

    ``source_order`` ranks records that are seen first on the same night: the earlier source names the customer.
    """
    rank = {source: position for position, source in enumerate(source_order)}
    known = {record.record_id: record for record in records}
    ordered = sorted(records, key=lambda r: (rank.get(r.source, len(rank)), r.source, r.key))
    arrivals = [record.record_id for record in ordered if record.record_id not in state.first_seen]
    first_seen = state.first_seen | {name: state.last_number + n for n, name in enumerate(arrivals, start=1)}
    counted = [m for m in manual if m.after_night is None or m.after_night < night]
    candidates = sorted(
        (pair for pair in pairs if pair.left in first_seen and pair.right in first_seen),
        key=lambda p: (-(p.weight or Decimal(0)), p.left, p.right, p.method or "", p.agreed),
    )
    links = state.links
    for _ in range(_ROUNDS):  # what one round joins may settle what it left open before
        found = _Matching(known, first_seen, counted, candidates, links)
        if list(found.links) == list(links):
            break
        links = found.links
    rows = _rows(state, found, known, first_seen, arrivals, night)
    return Outcome(rows, _review(found, rows, state, candidates))


@dataclass(slots=True)
class _Cluster:
    """Records that hang together, with what decides whether others may join."""

    members: list[str]
    tax_keys: set[str]
    registry: dict[str, set[str | None]]  # registry source -> tax keys of its records
    apart: set[str]  # records that a person keeps out

    def contradicts(self, other: _Cluster) -> bool:
        """Whether an automatic link between the two would be against what is known."""
        small, large = sorted((self, other), key=lambda cluster: len(cluster.members))
        if any(member in large.apart for member in small.members):
            return True
        if self.has_other_tax_id(other):
            return True
        return any(
            len(both := self.registry[source] | other.registry[source]) > 1 or None in both
            for source in self.registry.keys() & other.registry.keys()
        )

    def has_other_tax_id(self, other: _Cluster) -> bool:
        """Whether both have tax ids and none in common."""
        return bool(self.tax_keys and other.tax_keys and not self.tax_keys & other.tax_keys)

    def absorb(self, other: _Cluster) -> None:
        self.members += other.members
        self.tax_keys |= other.tax_keys
        self.apart |= other.apart
        for source, keys in other.registry.items():
            self.registry[source] = self.registry.get(source, set()) | keys


class _Matching:
    """One pass: links from the strongest reason to the weakest, each only where nothing contradicts it."""

    def __init__(
        self,
        known: Mapping[str, Record],
        first_seen: Mapping[str, int],
        manual: list[ManualDecision],
        candidates: list[Pair],
        kept: Mapping[Edge, Link],
    ) -> None:
        self.links: dict[Edge, Link] = {}
        self.doubtful: dict[Edge, str] = {}
        self._known = known
        self._parent = {name: name for name in first_seen}
        self._clusters: dict[str, _Cluster] = {}
        self._manual(manual)
        for record in sorted(known.values(), key=lambda r: r.record_id):
            if record.link is not None and record.link in self._parent:
                self._join(Link(record.record_id, record.link, CROSSWALK, CROSSWALK), explicit=True)
        for link in kept.values():  # of records that are gone from their source
            if link.method == CROSSWALK and link.left not in known:
                self._join(link, explicit=True)
        automatic = [link for link in kept.values() if link.method in AUTOMATIC]
        for link in automatic:
            if link.method == TAX_ID:
                self._join(link)
        self._stage([pair for pair in candidates if pair.method == TAX_ID])
        for link in automatic:  # matches last; only a tax id is worth more than an older match
            if link.method != TAX_ID:
                self._join(link)
        for method in AUTOMATIC:
            if method != TAX_ID:
                self._stage([pair for pair in candidates if pair.method == method])

    # --- clusters -----------------------------------------------------------------------------------------

    def root(self, name: str) -> str:
        """The name of the cluster a record is in."""
        while self._parent[name] != name:
            self._parent[name] = self._parent[self._parent[name]]
            name = self._parent[name]
        return name

    def cluster(self, name: str) -> _Cluster:
        """The cluster a record is in."""
        root = self.root(name)
        if root not in self._clusters:
            record = self._known.get(root)
            tax_key = record.tax_key if record else None
            self._clusters[root] = _Cluster(
                [root],
                {tax_key} if tax_key else set(),
                {record.source: {tax_key}} if record and record.is_registry else {},
                set(),
            )
        return self._clusters[root]

    def _join(self, link: Link, *, explicit: bool = False) -> bool:
        """Join the clusters of a link's ends unless they are one, or the link is automatic and contradicted."""
        left, right = self.root(link.left), self.root(link.right)
        if left == right:
            return False
        one, other = self.cluster(left), self.cluster(right)
        if explicit:
            small, large = sorted((one, other), key=lambda cluster: len(cluster.members))
            if link.method != MANUAL and any(member in large.apart for member in small.members):
                return False
        elif one.contradicts(other):
            return False
        self._parent[right] = left
        one.absorb(other)
        del self._clusters[right]
        self.links[link.edge] = link
        return True

    def _manual(self, decisions: list[ManualDecision]) -> None:
        """Newest first: a decision counts as far as no newer one says otherwise."""
        apart: set[Edge] = set()
        settled: set[Edge] = set()
        for decision in sorted(decisions, key=lambda d: -d.number):
            edges = [
                (a, b) if a < b else (b, a)
                for a in decision.left
                for b in decision.right
                if a != b and a in self._parent and b in self._parent
            ]
            if decision.action == MERGE:
                if not edges:
                    continue
                one, other = self.root(edges[0][0]), self.root(edges[0][1])
                held = set(self.cluster(one).members), set(self.cluster(other).members)
                if not any((min(a, b), max(a, b)) in apart for a in held[0] for b in held[1]):
                    self._join(Link(*edges[0], MANUAL, MANUAL), explicit=True)
                settled.update(edges)
            else:
                fresh = [edge for edge in edges if edge not in settled and self.root(edge[0]) != self.root(edge[1])]
                apart.update(fresh)
        for a, b in sorted(apart):
            self.cluster(a).apart.add(b)
            self.cluster(b).apart.add(a)

    # --- automatic links ----------------------------------------------------------------------------------

    def _stage(self, pairs: list[Pair]) -> None:
        """Join what the pairs of one method connect, if all of it can be one customer; else leave all of it to a
        person: a phone that leads to two customers says nothing about either."""
        open_pairs = []
        for pair in pairs:
            if self.root(pair.left) == self.root(pair.right):
                continue
            if self.cluster(pair.left).contradicts(self.cluster(pair.right)):
                self.doubtful[pair.left, pair.right] = "contradicted"
            else:
                open_pairs.append(pair)
        for group in self._groups(open_pairs):
            roots = sorted({self.root(end) for pair in group for end in (pair.left, pair.right)})
            if any(self.cluster(a).contradicts(self.cluster(b)) for a, b in combinations(roots, 2)):
                self.doubtful.update({(pair.left, pair.right): "ambiguous" for pair in group})
                continue
            for pair in group:
                self._join(
                    Link(pair.left, pair.right, str(pair.method), pair.agreed, pair.weight, pair.model_version),
                )

    def _groups(self, pairs: list[Pair]) -> Iterator[list[Pair]]:
        """Pairs that are connected through the clusters they touch."""
        group_of: dict[str, int] = {}
        groups: dict[int, list[Pair]] = {}
        roots: dict[int, set[str]] = {}
        for number, pair in enumerate(pairs):
            ends = {self.root(pair.left), self.root(pair.right)}
            groups[number], roots[number] = [pair], ends
            for other in sorted({group_of[end] for end in ends if end in group_of}):
                groups[number] = groups.pop(other) + groups[number]
                roots[number] |= roots.pop(other)
            group_of.update(dict.fromkeys(roots[number], number))
        yield from groups.values()


def _customer_ids(found: _Matching, state: State, first_seen: Mapping[str, int]) -> dict[str, str]:
    """The id of each cluster: of the ids its records hold and whose namesake is among them the one seen first. A part
    that has none (split off, or new) is named after its own first record."""
    members: dict[str, list[str]] = defaultdict(list)
    for name in first_seen:
        members[found.root(name)].append(name)
    ids = {}
    for root, names in members.items():
        own = set(names)
        held = {row.customer_id for name in names if (row := state.newest.get(name)) and row.customer_id in own}
        ids[root] = min(held or own, key=lambda name: first_seen[name])
    return ids


def _rows(
    state: State,
    found: _Matching,
    known: Mapping[str, Record],
    first_seen: Mapping[str, int],
    arrivals: list[str],
    night: date,
) -> list[LinkRow | RecordRow]:
    """What changed, numbered: first the records (new ones in the order in which they were seen), then the links."""
    ids = _customer_ids(found, state, first_seen)
    towards = _paths(found.links, set(ids.values()))
    rows: list[LinkRow | RecordRow] = []
    number = state.last_number
    for name in [*arrivals, *(name for name in state.first_seen)]:
        customer_id, before, link = ids[found.root(name)], state.newest.get(name), towards.get(name)
        record = known.get(name)
        number += 1
        row = RecordRow(
            number,
            night,
            name,
            record.source if record else before.source if before else "",
            record.key if record else before.key if before else "",
            customer_id,
            before.customer_id if before else None,
            link.method if link else OWN_ID,
            (link.right if link.left == name else link.left) if link else None,
            link.agreed if link else "",
            link.weight if link else None,
            link.model_version if link else None,
        )
        if before is not None and before.says() == row.says():
            number -= 1
            continue
        rows.append(row)
    changes = [("cut", link) for edge, link in state.links.items() if found.links.get(edge) != link]
    changes += [("join", link) for edge, link in found.links.items() if state.links.get(edge) != link]
    for action, link in changes:
        number += 1
        rows.append(LinkRow(number, night, action, link))
    return rows


def _paths(links: Mapping[Edge, Link], namesakes: set[str]) -> dict[str, Link]:
    """For every record but the namesakes: its link on the way to the record that names its customer."""
    touching: dict[str, list[Link]] = defaultdict(list)
    for link in links.values():
        touching[link.left].append(link)
        touching[link.right].append(link)
    towards: dict[str, Link] = {}
    waiting = deque(sorted(namesakes & touching.keys()))
    reached = set(waiting)
    while waiting:
        here = waiting.popleft()
        for link in touching[here]:
            there = link.right if link.left == here else link.left
            if there not in reached:
                reached.add(there)
                towards[there] = link
                waiting.append(there)
    return towards


def _review(found: _Matching, rows: list[LinkRow | RecordRow], state: State, candidates: list[Pair]) -> list[Doubt]:
    """Pairs of customers that nothing has decided, the likeliest pair of each. What a person kept apart is decided,
    and so are different tax ids."""
    customer = {name: row.customer_id for name, row in state.newest.items()}
    customer |= {row.record_id: row.customer_id for row in rows if isinstance(row, RecordRow)}
    doubts: dict[Edge, Doubt] = {}
    for pair in candidates:
        one, other = customer[pair.left], customer[pair.right]
        if one == other:
            continue
        left, right = found.cluster(pair.left), found.cluster(pair.right)
        if left.has_other_tax_id(right) or any(member in right.apart for member in left.members):
            continue
        reason = found.doubtful.get((pair.left, pair.right), pair.doubt or "weight")
        key = (one, other) if one < other else (other, one)
        if key not in doubts:
            doubts[key] = Doubt(pair.left, pair.right, one, other, reason, pair.agreed, pair.weight)
    return [doubts[key] for key in sorted(doubts)]
