"""Manual tiers: who set which tier for whom, why and until when. Lines of ``decisions/overrides.jsonl``.

An override always wins over the score. It ends by itself after its last day, or earlier by another line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from customer_tiering.decisions.log import AppendOnlyLog, Entry
from customer_tiering.errors import DecisionError

FILE = "overrides.jsonl"


@dataclass(frozen=True)
class Override:
    """A manual tier; both days are included. ``decided_at`` is UTC."""

    override_id: str
    customer_id: str
    scheme: str
    tier: str
    owner: str
    reason: str
    valid_from: date
    expires_on: date
    decided_at: str = ""

    @property
    def spell(self) -> tuple[str, str, date]:
        """What no two overrides share: customer, scheme and first day."""
        return self.customer_id, self.scheme, self.valid_from


Check = Callable[[list[Override]], list[str]]
"""Says what is wrong with the overrides of a company."""


def read_overrides(folder: Path) -> list[Override]:
    """The overrides of a company, by number; an ended one up to its last day, not at all if that is before its first.

    Raises ``DecisionError`` naming a line that cannot be read.
    """
    log = AppendOnlyLog(folder / FILE)
    return _parse(log.path, log.read())


def set_overrides(folder: Path, rows: Iterable[dict[str, Any]], check: Check, *, once: bool = False) -> list[Override]:
    """Add overrides (fields of :class:`Override` but for id and time) as one batch; returns them.

    What is there already, word for word, is not added again; with ``once`` nor what was there and was ended, as of
    a table that is read a second time. Raises ``DecisionError`` without owner or reason, or with
    what ``check`` says of all overrides together.
    """
    log = AppendOnlyLog(folder / FILE)
    made: list[Override] = []

    def lines(before: list[Entry]) -> list[Entry]:
        known = _parse(log.path, before)
        said = {_words(override) for override in (_all(log.path, before) if once else known)}
        number = sum(entry.get("kind") == "set" for entry in before)
        for row in rows:
            number += 1
            now = datetime.now(UTC).isoformat(timespec="seconds")
            override = Override(f"O-{number:04}", decided_at=now, **row)
            if not override.owner.strip() or not override.reason.strip():
                raise DecisionError("a manual tier needs an owner and a reason", "give --owner and --reason")
            if _words(override) in said:
                number -= 1
                continue
            made.append(override)
        if problems := check([*known, *made]):
            raise DecisionError("the manual tiers do not fit:\n  - " + "\n  - ".join(problems), "nothing was added")
        return [{"kind": "set", **asdict(override)} for override in made]

    log.append(lines)
    return made


def end_override(folder: Path, override_id: str, *, last_day: date, owner: str, reason: str) -> Override:
    """End an override after ``last_day``; returns it. Ended again on the same day, nothing is added.

    Raises ``DecisionError`` for an unknown or earlier ended one, and without owner or reason.
    """
    owner, reason = owner.strip(), " ".join(reason.split())
    if not owner or not reason:
        raise DecisionError("ending a manual tier needs an owner and a reason", "give --owner and --reason")
    log = AppendOnlyLog(folder / FILE)
    ended: list[Override] = []

    def line(before: list[Entry]) -> list[Entry]:
        known = {override.override_id: override for override in _all(log.path, before)}
        if override_id not in known:
            raise DecisionError(f"there is no manual tier {override_id}", "see tiering override list")
        override = known[override_id]
        ended.append(replace(override, expires_on=min(last_day, override.expires_on)))
        if override.expires_on <= last_day:
            return []
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return [
            {
                "kind": "end", "override_id": override_id, "last_day": last_day.isoformat(), "owner": owner,
                "reason": reason, "decided_at": now,
            }
        ]  # fmt: skip

    log.append(line)
    return ended[0]


def _words(override: Override) -> tuple[str, ...]:
    """What an override says, without its number, its time and how long it holds: it may have been ended since."""
    return (*map(str, override.spell), override.tier, override.owner, override.reason)


def _parse(path: Path, entries: list[Entry]) -> list[Override]:
    return [override for override in _all(path, entries) if override.expires_on >= override.valid_from]


def _all(path: Path, entries: list[Entry]) -> list[Override]:
    found: dict[str, Override] = {}
    for number, entry in enumerate(entries, 1):
        fields = dict(entry)
        try:
            kind = fields.pop("kind")
            if kind == "set":
                for name in ("valid_from", "expires_on"):
                    fields[name] = date.fromisoformat(fields[name])
                override = Override(**fields)
                found[override.override_id] = override
            elif kind == "end":
                ended = found[fields["override_id"]]
                last_day = date.fromisoformat(fields["last_day"])
                found[ended.override_id] = replace(ended, expires_on=min(last_day, ended.expires_on))
            else:
                raise ValueError(f"unknown kind {kind!r}")
        except (KeyError, TypeError, ValueError) as error:
            raise DecisionError(
                f"{path.name}, line {number} cannot be read: {error}",
                f"restore {path} from the backup, or correct that line",
            ) from error
    return list(found.values())
