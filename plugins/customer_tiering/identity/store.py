"""Decision files: what cannot be computed again. One file per night that decided something, one per manual decision;
a file is complete or absent, and never changes. The warehouse holds a copy for the models.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.errors import TieringError
from customer_tiering.identity.decisions import Link, LinkRow, ManualDecision, RecordRow

_AUTOMATIC, _MANUAL = "decided", "manual"


class DecisionStore:
    """The decision files of one company."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # --- reading ------------------------------------------------------------------------------------------

    def rows(self) -> list[LinkRow | RecordRow]:
        """Every decision row, by number. Raises ``TieringError`` naming the file and line that cannot be read."""
        found = [_row(content, where) for content, where in self._lines(_AUTOMATIC)]
        found.sort(key=lambda row: row.number)
        numbers = [row.number for row in found]
        if numbers != list(range(1, len(numbers) + 1)):
            raise TieringError(
                f"{self.folder}: decision files are missing or stand twice; {len(numbers)} decisions, "
                f"the last one has number {numbers[-1]}",
                "put the missing files back from the backup; without them ids would be given anew",
            )
        return found

    def manual(self) -> list[ManualDecision]:
        """Manual decisions in the order in which they were entered."""
        found = []
        for content, where in self._lines(_MANUAL):
            try:
                after = content.pop("after_night")
                found.append(
                    ManualDecision(
                        **content
                        | {
                            "left": tuple(content["left"]),
                            "right": tuple(content["right"]),
                            "after_night": date.fromisoformat(after) if after else None,
                        }
                    )
                )
            except (KeyError, TypeError, ValueError) as error:
                raise _unreadable(where, error) from error
        return sorted(found, key=lambda decision: decision.number)

    def _lines(self, kind: str) -> Iterator[tuple[dict[str, Any], str]]:
        for path in sorted(self.folder.glob(f"{kind}_*.jsonl")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                where = f"{path}:{number}"
                try:
                    content = json.loads(line)
                except json.JSONDecodeError as error:
                    raise _unreadable(where, error) from error
                if not isinstance(content, dict):
                    raise _unreadable(where, "it is no object")
                yield content, where

    # --- writing ------------------------------------------------------------------------------------------

    def append(self, rows: Sequence[LinkRow | RecordRow]) -> None:
        """Add the rows of one night as one file."""
        if rows:
            name = f"{_AUTOMATIC}_{rows[0].number:012d}_{rows[0].night}.jsonl"
            self._write(name, (_as_json(row) for row in rows))

    def add_manual(self, decision: ManualDecision) -> None:
        """Add a manual decision."""
        content = {
            "number": decision.number,
            "action": decision.action,
            "left": list(decision.left),
            "right": list(decision.right),
            "owner": decision.owner,
            "reason": decision.reason,
            "after_night": decision.after_night.isoformat() if decision.after_night else None,
            "entered_on": decision.entered_on,
        }
        self._write(f"{_MANUAL}_{decision.number:06d}.jsonl", [content])

    def _write(self, name: str, lines: Iterable[dict[str, Any]]) -> None:
        """A file that is there is complete. Raises ``TieringError`` when another one has taken its place."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = self.folder / f".unfinished-{os.getpid()}-{name}"
        try:
            with unfinished.open("w", encoding="utf-8") as stream:
                stream.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
                stream.flush()
                os.fsync(stream.fileno())
            try:
                os.link(unfinished, self.folder / name)  # unlike a rename it does not overwrite
            except FileExistsError as error:
                raise TieringError(
                    f"{self.folder / name} is there already: somebody else decided at the same moment", "try again"
                ) from error
        finally:
            unfinished.unlink(missing_ok=True)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def last_number_in(connection: duckdb.DuckDBPyConnection) -> int:
    """Number of the last decision that the warehouse has a copy of."""
    row = connection.execute("select coalesce(max(number), 0) from meta.identity_decisions").fetchone()
    return int(row[0]) if row else 0


def copy_to_warehouse(connection: duckdb.DuckDBPyConnection, rows: Iterable[LinkRow | RecordRow]) -> None:
    """Bring ``meta.identity_decisions`` up to the files; rows that stand there already stay."""
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


def _row(content: dict[str, Any], where: str) -> LinkRow | RecordRow:
    try:
        kind, night = content.pop("kind"), date.fromisoformat(content.pop("night"))
        number, weight = int(content.pop("number")), content.pop("weight")
        weight = None if weight is None else Decimal(weight)
        if kind == "record":
            return RecordRow(number=number, night=night, weight=weight, **content)
        return LinkRow(number, night, content.pop("action"), Link(weight=weight, **content))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise _unreadable(where, error) from error


def _text(weight: Decimal | None) -> str | None:
    return None if weight is None else str(weight)


def _unreadable(where: str, why: object) -> TieringError:
    return TieringError(
        f"{where}: this decision cannot be read: {why}", "put the file back from the backup; it is never edited"
    )
