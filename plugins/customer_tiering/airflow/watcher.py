"""How Airflow's processes end: in order when they can, by force when they cannot, and none stays behind.

``tiering up`` stops them so. Should it be killed instead, a watcher does the same: a process of its own that outlives
it. A signal to the children (PR_SET_PDEATHSIG) would not be enough: a scheduler that is told to end while it forks its
workers waits for them for ever, and workers do not notice that their scheduler is gone.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil

STEP_SECONDS = 30  # how long a running step may take to end before it is stopped
_STOP_SECONDS = 10
_POLL_SECONDS = 0.25


def end_sessions(leaders: Sequence[psutil.Process], in_a_hurry: Callable[[], bool] = lambda: False) -> None:
    """Ask the leaders of sessions to end, one after the other, then kill what is left of their sessions.

    The first has ``STEP_SECONDS``, the others ten together; nobody is waited for once ``in_a_hurry`` says so.
    """
    limit = time.monotonic() + STEP_SECONDS
    for leader in leaders:
        with suppress(psutil.NoSuchProcess):
            leader.terminate()
        while _alive(leader) and time.monotonic() < limit and not in_a_hurry():
            time.sleep(_POLL_SECONDS)
        if leader is leaders[0]:
            limit = time.monotonic() + _STOP_SECONDS
    limit = time.monotonic() + _STOP_SECONDS
    while (left := _members(leaders)) and time.monotonic() < limit:  # again, should one have forked meanwhile
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(_POLL_SECONDS)


def watch() -> None:
    """Read session leaders from stdin, one process id a line; when the writer is gone, end them, the last first."""
    leaders: list[psutil.Process] = []
    for line in sys.stdin:
        with suppress(psutil.NoSuchProcess):
            leaders.insert(0, psutil.Process(int(line)))
    end_sessions(leaders)


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _members(leaders: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Processes of the sessions, also of those whose leader is gone (its number stays taken as long as they live)."""
    sessions = {leader.pid for leader in leaders if leader.is_running() or not psutil.pid_exists(leader.pid)}
    members = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) in sessions and _alive(process):
                members.append(process)
    return members


if __name__ == "__main__":
    watch()
