"""Decisions about identity: what cannot be computed again. The warehouse holds a copy for the models.

Two append-only logs: what nights decided (``identity.jsonl``; the rows of a night are one batch, written as a whole or
not at all), and what people decided (``identity_manual.jsonl``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.decisions.log import AppendOnlyLog, Entry
from customer_tiering.errors import TieringError
from customer_tiering.identity.decisions import Link, LinkRow, ManualDecision, RecordRow

FILE, MANUAL_FILE = "identity.jsonl", "identity_manual.jsonl"


class DecisionStore:
    """The decisions about identity of one company."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._nights = AppendOnlyLog(folder / FILE)
        self._people = AppendOnlyLog(folder / MANUAL_FILE)

    # --- reading ------------------------------------------------------------------------------------------

    def rows(self) -> list[LinkRow | RecordRow]:
        """Every decision row, by number. Raises ``TieringError`` naming file and line that cannot be read."""
        self._take_over("decided", self._nights)
        return _rows(self._nights, self._nights.read())

    def manual(self) -> list[ManualDecision]:
        """Manual decisions in the order in which they were entered."""
        self._take_over("manual", self._people)
        return _manual(self._people, self._people.read())

    # --- writing ------------------------------------------------------------------------------------------

    def append(self, rows: Sequence[LinkRow | RecordRow]) -> None:
        """Add the rows of one night. Raises ``TieringError`` when another run decided meanwhile."""

        def following(before: list[Entry]) -> list[Entry]:
            if rows and rows[0].number != len(before) + 1:
                raise TieringError(
                    f"{self._nights.path.name} has {len(before)} decisions, so the next one is not number "
                    f"{rows[0].number}: another run decided at the same moment",
                    "run the night again",
                )
            return [_as_json(row) for row in rows]

        self._nights.append(following)

    def add_manual(self, decision: ManualDecision) -> None:
        """Add a manual decision. Raises ``TieringError`` when somebody else decided meanwhile."""

        def following(before: list[Entry]) -> list[Entry]:
            if decision.number != len(before) + 1:
                raise TieringError(
                    f"{self._people.path.name} has {len(before)} decisions already: somebody else decided at the same "
                    "moment",
                    "try again",
                )
            return [
                {
                    "number": decision.number,
                    "action": decision.action,
                    "left": list(decision.left),
                    "right": list(decision.right),
                    "owner": decision.owner,
                    "reason": decision.reason,
                    "after_night": decision.after_night.isoformat() if decision.after_night else None,
                    "entered_on": decision.entered_on,
                }
            ]

        self._people.append(following)

    def _take_over(self, kind: str, log: AppendOnlyLog) -> None:
        """Version 0.1 wrote one file per night and per manual decision: put them into the log, once."""
        old = sorted(self.folder.glob(f"{kind}_*.jsonl"))
        if not old:
            return

        def missing(before: list[Entry]) -> list[Entry]:
            known = {entry.get("number") for entry in before}
            entries = [entry for path in old for entry in AppendOnlyLog(path).read()]
            return sorted(
                (entry for entry in entries if entry.get("number") not in known), key=lambda entry: entry["number"]
            )

        log.append(missing)
        for path in old:
            path.unlink()


def last_number_in(connection: duckdb.DuckDBPyConnection) -> int:
    """Number of the last decision that the warehouse has a copy of."""
    row = connection.execute("select coalesce(max(number), 0) from meta.identity_decisions").fetchone()
    return int(row[0]) if row else 0


def copy_to_warehouse(connection: duckdb.DuckDBPyConnection, rows: Iterable[LinkRow | RecordRow]) -> None:
    """Bring ``meta.identity_decisions`` up to the log; rows that are there already stay."""
    last = last_number_in(connection)
    fresh = [
        (
            row.number, row.night, row.record_id, row.source, row.key, row.customer_id, row.previous_customer_id,
            row.method, row.via, row.agreed or None, row.weight, row.model_version,
        )
        for row in rows
        if isinstance(row, RecordRow) and row.number > last
    ]  # fmt: skip
    if not fresh:
        return
    import pyarrow as pa

    names = [name for (name, *_rest) in connection.execute("describe meta.identity_decisions").fetchall()]
    columns = [list(column) for column in zip(*fresh, strict=True)]
    connection.register("fresh_identity_decisions", pa.table(dict(zip(names, columns, strict=True))))
    try:
        connection.execute("insert into meta.identity_decisions select * from fresh_identity_decisions")
    finally:
        connection.unregister("fresh_identity_decisions")


def _as_json(row: LinkRow | RecordRow) -> dict[str, Any]:
    if isinstance(row, RecordRow):
        return {
            "kind": "record",
            "number": row.number,
            "night": row.night.isoformat(),
            "record_id": row.record_id,
            "source": row.source,
            "key": row.key,
            "customer_id": row.customer_id,
            "previous_customer_id": row.previous_customer_id,
            "method": row.method,
            "via": row.via,
            "agreed": row.agreed,
            "weight": _text(row.weight),
            "model_version": row.model_version,
        }
    return {
        "kind": "link",
        "number": row.number,
        "night": row.night.isoformat(),
        "action": row.action,
        "left": row.link.left,
        "right": row.link.right,
        "method": row.link.method,
        "agreed": row.link.agreed,
        "weight": _text(row.link.weight),
        "model_version": row.link.model_version,
    }


def _rows(log: AppendOnlyLog, entries: list[Entry]) -> list[LinkRow | RecordRow]:
    found = [_row(log, line, entry) for line, entry in enumerate(entries, start=1)]
    numbers = [row.number for row in found]
    if numbers != list(range(1, len(numbers) + 1)):
        raise TieringError(
            f"{log.path}: decisions are missing or twice there; {len(numbers)} decisions, the last one has number "
            f"{numbers[-1]}",
            "restore the file from the backup; without these decisions ids would be assigned again",
        )
    return found


def _row(log: AppendOnlyLog, line: int, entry: Entry) -> LinkRow | RecordRow:
    content = dict(entry)
    try:
        kind, night = content.pop("kind"), date.fromisoformat(content.pop("night"))
        number, weight = int(content.pop("number")), content.pop("weight")
        weight = None if weight is None else Decimal(weight)
        if kind == "record":
            return RecordRow(number=number, night=night, weight=weight, **content)
        return LinkRow(number, night, content.pop("action"), Link(weight=weight, **content))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise _unreadable(log, line, error) from error


def _manual(log: AppendOnlyLog, entries: list[Entry]) -> list[ManualDecision]:
    found = []
    for line, entry in enumerate(entries, start=1):
        try:
            after = entry["after_night"]
            found.append(
                ManualDecision(
                    **entry
                    | {
                        "left": tuple(entry["left"]),
                        "right": tuple(entry["right"]),
                        "after_night": date.fromisoformat(after) if after else None,
                    }
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(log, line, error) from error
    return sorted(found, key=lambda decision: decision.number)


def _text(weight: Decimal | None) -> str | None:
    return None if weight is None else str(weight)


def _unreadable(log: AppendOnlyLog, line: int, why: object) -> TieringError:
    return TieringError(
        f"{log.path.name}, line {line} cannot be read: {why}",
        f"restore {log.path} from the backup; it is never edited",
    )
