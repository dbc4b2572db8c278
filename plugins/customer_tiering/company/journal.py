"""The journal of a run: one line per step event, read by the runner's progress and by the summary."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from customer_tiering.decisions.log import AppendOnlyLog
from customer_tiering.errors import TieringError

JOURNAL = "steps.jsonl"


@dataclass
class Step:
    """A step in progress; ``facts`` end up in its journal line."""

    name: str
    facts: dict[str, Any] = field(default_factory=dict)


@contextmanager
def journaled(folder: Path, name: str) -> Iterator[Step]:
    """Note a step's start, then its end with seconds and facts, or its failure with problem and next step."""
    step = Step(name)
    begun = time.monotonic()
    _append(folder, {"step": name, "event": "started"})
    try:
        yield step
    except TieringError as error:
        _append(
            folder,
            {
                "step": name,
                "event": "failed",
                "seconds": round(time.monotonic() - begun, 2),
                "problem": error.problem,
                "next_step": error.next_step,
            },
        )
        raise
    except BaseException as error:
        _append(
            folder,
            {
                "step": name,
                "event": "failed",
                "seconds": round(time.monotonic() - begun, 2),
                "problem": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}",
                "next_step": "see the log of this run; the next run recovers by itself",
            },
        )
        raise
    _append(
        folder,
        {"step": name, "event": "finished", "seconds": round(time.monotonic() - begun, 2), "facts": step.facts},
    )


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """The events so far, oldest first."""
    return AppendOnlyLog(folder / JOURNAL).read()


def _append(folder: Path, event: dict[str, Any]) -> None:
    AppendOnlyLog(folder / JOURNAL).append(lambda _before: [event])
