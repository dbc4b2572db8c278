"""What became of held nights: one line per event in ``decisions/release.jsonl``; the first answer to a hold counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from customer_tiering.decisions.log import AppendOnlyLog, Entry
from customer_tiering.errors import DecisionError

FILE = "release.jsonl"
Kind = Literal["hold", "approve", "reject", "supersede", "publish", "rollback"]
State = Literal["open", "approved", "published", "rejected", "superseded", "rolled back"]
STATES: dict[str, State] = {
    "hold": "open",
    "approve": "approved",
    "reject": "rejected",
    "supersede": "superseded",
    "publish": "published",
    "rollback": "rolled back",
}
"""Where a night is after each kind of event."""


@dataclass(frozen=True)
class Event:
    """One line of the file: what happened to a folder (``night``), when, by whom and why."""

    kind: Kind
    night: str
    owner: str
    decided_at: str
    reason: str = ""
    answer_until: str = ""
    folder: str = ""
    """Where a published night went; the snapshot that a rollback went back to."""


def read_events(folder: Path) -> list[Event]:
    """Every event in the company's folder of decisions, oldest first. Raises ``DecisionError`` naming a broken line."""
    log = AppendOnlyLog(folder / FILE)
    return _parse(log.path, log.read())


def append_event(
    decisions: Path, kind: Kind, night: str, *, only_if: Callable[[list[Event]], bool] | None = None, **what: str
) -> None:
    """Append an event, unless ``only_if`` says of those so far that there is nothing to add."""
    log = AppendOnlyLog(decisions / FILE)

    def line(before: list[Entry]) -> list[Entry]:
        if only_if is not None and not only_if(_parse(log.path, before)):
            return []
        event = Event(kind, night, decided_at=datetime.now(UTC).isoformat(timespec="seconds"), **what)
        return [{key: value for key, value in asdict(event).items() if value}]

    log.append(line)


def _parse(path: Path, entries: list[Entry]) -> list[Event]:
    events = []
    for number, entry in enumerate(entries, 1):
        try:
            event = Event(**entry)
            if event.kind == "hold":
                datetime.fromisoformat(event.answer_until)
            _ = STATES[event.kind]
        except (TypeError, ValueError, KeyError) as error:
            raise DecisionError(
                f"{path.name}, line {number} cannot be read: {error}",
                f"restore {path} from the backup, or correct that line",
            ) from error
        events.append(event)
    return events
