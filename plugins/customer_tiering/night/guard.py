"""One night at a time per company.

Airflow's ``max_active_runs`` is not enough: backfills ignore it, ``dags test`` ignores pools, and a person may
start a run beside the scheduler. So the package guards itself: ``make run`` holds a file lock for the whole
night, and every step checks that its run is still the one that began last.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import BackupError, NightBusy

_LOCK_DESCRIPTOR = "TIERING_NIGHT_LOCK"
_ACTING_FOR: ContextVar[str | None] = ContextVar("acting_for", default=None)


@contextmanager
def night_lock(workspace: Workspace) -> Iterator[int]:
    """Hold the company's night; yields the descriptor to hand to the process that runs it.

    The lock lives as long as any process that holds the descriptor, so killing only the runner does not open
    the door while its night still runs. Raises ``NightBusy`` at once when another night is running.
    """
    workspace.make()
    descriptor = os.open(workspace.night_lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _try_lock(descriptor, workspace)
        os.set_inheritable(descriptor, True)
        yield descriptor
    finally:
        os.close(descriptor)


def inherited_environment(descriptor: int) -> dict[str, str]:
    """Environment that tells a child process which descriptor holds the night."""
    return {_LOCK_DESCRIPTOR: str(descriptor)}


def begin_run(workspace: Workspace, run_id: str) -> None:
    """Make ``run_id`` the company's current run. Raises ``NightBusy`` while a ``make run`` of another is on."""
    if _LOCK_DESCRIPTOR not in os.environ:
        descriptor = os.open(workspace.night_lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _try_lock(descriptor, workspace)
        finally:
            os.close(descriptor)
    fresh = _claim(workspace).with_suffix(".new")
    fresh.write_text(json.dumps({"run_id": run_id}), encoding="utf-8")
    fresh.replace(_claim(workspace))


@contextmanager
def acting_for(run_id: str) -> Iterator[None]:
    """Let the last steps of a run that ended (a held night that was approved) run, though another began after it."""
    token = _ACTING_FOR.set(run_id)
    try:
        yield
    finally:
        _ACTING_FOR.reset(token)


def check_run(workspace: Workspace, run_id: str) -> None:
    """Raise ``NightBusy`` when another run of the company began after this one."""
    if _ACTING_FOR.get() == run_id:
        return
    claim = _claim(workspace)
    current = json.loads(claim.read_text(encoding="utf-8"))["run_id"] if claim.exists() else None
    if current != run_id:
        raise NightBusy(
            f"run {run_id} stops: run {current} of {workspace.root.name} began after it",
            "nothing is broken; the later run does the night",
        )


def check_restored(workspace: Workspace) -> None:
    """Raise ``BackupError`` when a restore was cut off: half of a company must not run."""
    note = workspace.unfinished_restore
    if note.exists():
        archive = note.read_text(encoding="utf-8").strip()
        raise BackupError(
            f"a restore of {workspace.root.name} was cut off",
            f"run it again: tiering restore {archive} --force --profile {workspace.root.name}",
        )


def _claim(workspace: Workspace) -> Path:
    return workspace.root / "current_run.json"


def _try_lock(descriptor: int, workspace: Workspace) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise NightBusy(
            f"a night of {workspace.root.name} is already running",
            "wait for it to end, then run the command again",
        ) from error
