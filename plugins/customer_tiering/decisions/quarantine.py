"""What people decide about rows in quarantine and about held loads: one JSON line per decision, only ever appended.

The file lies outside the warehouse (``var/<company>/decisions/quarantine.jsonl``), so that losing the warehouse
loses no decision. The gate reads it at the start of each run; a decision that was revoked is as good as never made,
except for what it has already let in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from customer_tiering.decisions.log import AppendOnlyLog, Entry
from customer_tiering.errors import DecisionError

Kind = Literal["release", "waive", "correct", "accept_load", "reject_load", "revoke"]
FILE = "quarantine.jsonl"


@dataclass(frozen=True)
class Decision:
    """One line of the file.

    ``release`` lets the rows of ``rows`` (row id, rule) in, in spite of exactly those rules. ``waive`` lets in all
    rows of ``source``.``entity`` that break ``rule`` and whose columns equal ``key`` (empty: every row), on nights
    up to ``until``. ``correct`` puts ``values`` (texts by input column) in place of what the rows of ``rows`` (row id,
    column) say; they meet the rules again. ``accept_load`` and ``reject_load`` name ``loads``. ``revoke`` names an
    earlier decision.
    """

    decision_id: str
    kind: Kind
    owner: str
    reason: str
    decided_at: str
    source: str = ""
    entity: str = ""
    rule: str = ""
    key: Mapping[str, str] = field(default_factory=dict)
    until: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    loads: tuple[str, ...] = ()
    revokes: str = ""

    @property
    def last_night(self) -> date:
        """The last night on which a waiver holds."""
        return date.fromisoformat(self.until)

    def concerns(self, source: str, entity: str) -> bool:
        return (self.source, self.entity) == (source, entity)


@dataclass(frozen=True)
class Decisions:
    """All decisions of a company, oldest first."""

    all: tuple[Decision, ...] = ()

    @property
    def revoked(self) -> frozenset[str]:
        """Ids of decisions that were taken back."""
        return frozenset(decision.revokes for decision in self.all if decision.kind == "revoke")

    def standing(self, *kinds: Kind) -> list[Decision]:
        """Decisions of these kinds that were not taken back; waivers among them may be over."""
        return [
            decision for decision in self.all if decision.kind in kinds and decision.decision_id not in self.revoked
        ]

    def waivers(self, rule: str, night: date) -> list[Decision]:
        """Waivers of a rule that hold on a night."""
        return [
            decision for decision in self.standing("waive") if decision.rule == rule and night <= decision.last_night
        ]

    def whole_rule_waived(self, rule: str, night: date) -> Decision | None:
        """The waiver of a rule for all rows, if one holds on a night."""
        return next((waiver for waiver in self.waivers(rule, night) if not waiver.key), None)

    def corrections(self, source: str, entity: str) -> dict[str, dict[str, tuple[str, str]]]:
        """Corrected texts of an entity: by column, then by row id, with the decision; the last word counts."""
        found: dict[str, dict[str, tuple[str, str]]] = {}
        for decision in self.standing("correct"):
            if decision.concerns(source, entity):
                for row_id, column in decision.rows:
                    found.setdefault(column, {})[row_id] = (decision.values[column], decision.decision_id)
        return found

    def loads(self, kind: Literal["accept_load", "reject_load"], source: str, entity: str) -> dict[str, Decision]:
        """Loads of an entity that a person accepted (or rejected); the last word on a load counts."""
        last: dict[str, Decision] = {}
        for decision in self.standing("accept_load", "reject_load"):
            if decision.concerns(source, entity):
                last |= dict.fromkeys(decision.loads, decision)
        return {load: decision for load, decision in last.items() if decision.kind == kind}


def read_decisions(folder: Path) -> Decisions:
    """The decisions kept in a folder; none when it has no file. Raises ``DecisionError`` naming a broken line."""
    log = AppendOnlyLog(folder / FILE)
    return Decisions(tuple(_parse(log.path, number, entry) for number, entry in enumerate(log.read(), 1)))


def decide(folder: Path, kind: Kind, *, owner: str, reason: str, **what: Any) -> Decision:
    """Append a decision; it is on disk when this returns. ``what`` are further fields of :class:`Decision`.

    Raises ``DecisionError`` when owner or reason are empty.
    """
    owner, reason = owner.strip(), " ".join(reason.split())
    if not owner or not reason:
        raise DecisionError("a decision needs an owner and a reason", "give --owner and --reason")
    made: list[Decision] = []

    def line(before: list[Entry]) -> list[Entry]:
        decided_at = datetime.now(UTC).isoformat(timespec="seconds")
        made.append(Decision(f"D-{len(before) + 1:04}", kind, owner, reason, decided_at, **what))
        return [{name: value for name, value in asdict(made[0]).items() if value}]

    AppendOnlyLog(folder / FILE).append(line)
    return made[0]


def _parse(path: Path, number: int, fields: Entry) -> Decision:
    try:
        fields["rows"] = tuple((row, rule) for row, rule in fields.get("rows", ()))
        fields["loads"] = tuple(fields.get("loads", ()))
        decision = Decision(**fields)
        if decision.kind == "waive":
            _ = decision.last_night
    except (AttributeError, TypeError, ValueError) as error:
        raise DecisionError(
            f"{path.name}, line {number} cannot be read: {error}",
            f"restore {path} from the backup, or correct that line; tiering quarantine only ever appends to it",
        ) from error
    return decision


def shown(decisions: Iterable[Decision]) -> str:
    """Decisions in a line: id, who and why."""
    return "; ".join(f"{decision.decision_id} {decision.owner}: {decision.reason}" for decision in decisions)
