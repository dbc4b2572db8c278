"""Sessions end whether their leaders listen or not, and nobody else's process is touched."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from customer_tiering.airflow import watcher
from customer_tiering.airflow.home import hold_airflow
from customer_tiering.company.profile import load_profile
from customer_tiering.errors import NightBusy

# A leader and a child that is a process group of its own, as Airflow's tasks are. Both say when they are ready.
LEADER = """
import os, signal, sys, time
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"%d\\n" % os.getpid())
time.sleep(600)
"""


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "STEP_SECONDS", 1)
    monkeypatch.setattr(watcher, "_STOP_SECONDS", 1)


@pytest.fixture
def bystander() -> Iterator[psutil.Popen]:
    process = psutil.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def _session(kind: str) -> list[psutil.Process]:
    """A leader and its child."""
    leader = subprocess.Popen(
        [sys.executable, "-c", LEADER, kind], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert leader.stdout is not None
    members = [psutil.Process(int(leader.stdout.readline())) for _ in range(2)]
    return sorted(members, key=lambda process: process.pid != leader.pid)


@pytest.mark.parametrize("kind", ["listening", "deaf"])
def test_a_session_ends_with_all_its_members(kind: str, patience: None, bystander: psutil.Popen) -> None:
    leader, child = _session(kind)
    watcher.end_sessions([leader])
    assert psutil.wait_procs([leader, child], timeout=5)[1] == []
    assert bystander.poll() is None


def test_members_are_found_when_their_leader_is_gone(patience: None) -> None:
    leader, child = _session("listening")
    leader.kill()
    leader.wait()
    watcher.end_sessions([leader])
    assert psutil.wait_procs([child], timeout=5)[1] == []


def test_a_second_signal_waits_for_nobody() -> None:
    leader, child = _session("deaf")
    began = time.monotonic()
    watcher.end_sessions([leader], lambda: True)
    assert psutil.wait_procs([leader, child], timeout=5)[1] == []
    assert time.monotonic() - began < 5


def test_who_comes_while_the_parts_of_a_killed_airflow_end_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERING_VAR", str(tmp_path))
    company = load_profile("sample")
    for number, said in ((os.getpid(), "is running: http://127.0.0.1:1, process"), (2**22 + 1, "was killed")):
        with (
            hold_airflow(company, f"http://127.0.0.1:1, process {number}"),
            pytest.raises(NightBusy, match=said),
            hold_airflow(company),
        ):
            pytest.fail("two hold the company")


def test_the_watcher_waits_for_its_pipe_to_close() -> None:
    leader, child = _session("listening")
    process = subprocess.Popen([sys.executable, "-m", "customer_tiering.airflow.watcher"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(f"{leader.pid}\n".encode())
    process.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    assert leader.is_running()
    process.stdin.close()  # what the end of `tiering up` looks like from here, however it came
    assert process.wait(timeout=10) == 0
    assert psutil.wait_procs([leader, child], timeout=5)[1] == []
