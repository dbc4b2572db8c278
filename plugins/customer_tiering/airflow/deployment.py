"""``make up``: the Airflow of one company on this machine, with UI and nightly schedule, until Ctrl-C."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from rich.console import Console

from customer_tiering.airflow.home import (
    ADMIN,
    airflow_command,
    airflow_environment,
    hold_airflow,
    keep_json,
    prepare_airflow,
)
from customer_tiering.airflow.watcher import STEP_SECONDS, end_sessions
from customer_tiering.company.profile import Profile
from customer_tiering.errors import TieringError
from customer_tiering.night.guard import night_lock

HOST = "127.0.0.1"
DAG_ID = "nightly_tiering"
PASSWORD_FILE = "ui_password.json"  # noqa: S105 - the file's name

_POLL_SECONDS = 0.25
_START_SECONDS = 120
_LOG_LINES = 15
_BASE_URL = "AIRFLOW__API__BASE_URL"  # set by whoever puts a reverse proxy in front


def serve(profile: Profile, port: int, console: Console) -> int:
    """Serve the company until Ctrl-C, SIGTERM or SIGHUP; 0 then, 1 when a part of Airflow died.

    Raises ``TieringError`` when it cannot start: port in use, company already served, DAG not importable.
    """
    home = profile.workspace.airflow_home
    with hold_airflow(profile, f"http://{HOST}:{port}, process {os.getpid()}") as descriptor:
        _check_port(port)
        _prepare_company(profile, console)
        if not (home / ".prepared").exists():
            console.print("  setting up Airflow's metadata database …")
        prepare_airflow(profile, home / "logs" / "prepare.log", serving=True)
        password = keep_json(home / PASSWORD_FILE, lambda: {ADMIN: secrets.token_urlsafe(18)})[ADMIN]
        first_time = not (home / "schedule.json").exists()
        # From here on scheduled nights exist. The schedule begins with the interval that is on now, because
        # Airflow runs the last complete interval at once when a schedule is new, and that night is no one's wish.
        keep_json(home / "schedule.json", lambda: {"TIERING_SCHEDULE_FROM": _interval_start(profile)})
        airflow = _Airflow(profile, port, password, descriptor)
        with _stop_signals() as received:
            try:
                console.print(f"  starting Airflow for {profile.label_en} …")
                ready = airflow.start(received, first_time=first_time)
                if ready:
                    _tell_ready(profile, port, console, paused=airflow.paused)
                    while not received and not airflow.dead():
                        time.sleep(_POLL_SECONDS)
            finally:
                dead = airflow.dead()
                if not dead:
                    console.print(f"  stopping; a running step has {STEP_SECONDS} s to end (Ctrl-C again: stop now) …")
                airflow.stop(received)
    return _tell_end(dead, console)


@dataclass
class _Component:
    name: str
    log: Path
    process: subprocess.Popen[bytes]
    leader: psutil.Process  # of a session of its own; knows when its number was given to another process


@dataclass
class _Airflow:
    """Airflow's processes and the watcher that outlives us."""

    profile: Profile
    port: int
    password: str
    descriptor: int  # holds the company; every process has it, so the door opens when the last one ends
    components: list[_Component] = field(default_factory=list)  # in the order of their start; first the watcher
    paused: bool = False

    def start(self, received: list[int], *, first_time: bool) -> bool:
        """Start everything; False when a signal or a dead process ended the start.

        The scheduler comes last: it must see neither a stale DAG nor runs that a killed ``make run`` left.
        """
        began = datetime.now(UTC)
        api = _Api(self.port, self.password)

        def wait(what: str, condition: Callable[[], Any]) -> bool:
            limit = time.monotonic() + _START_SECONDS
            while not received and not self.dead():
                with suppress(OSError, http.client.HTTPException):
                    if condition():
                        return True
                if time.monotonic() > limit:
                    logs = self.components[-1].log.parent
                    raise TieringError(f"{what} took longer than {_START_SECONDS} s", f"see the logs in {logs}")
                time.sleep(_POLL_SECONDS)
            return False

        self._launch("watcher", [sys.executable, "-m", "customer_tiering.airflow.watcher"], stdin=subprocess.PIPE)
        behind_proxy = ["--proxy-headers"] if _BASE_URL in os.environ else []
        self._launch_airflow("api-server", "--host", HOST, "--port", str(self.port), *behind_proxy)
        self._launch_airflow("dag-processor")
        if not wait("starting Airflow's API server", api.log_in):
            return False
        if not wait("reading the DAG", lambda: api.parsed_since(began)):
            return False
        api.fail_abandoned_runs()
        if first_time:
            api.call("PATCH", f"/api/v2/dags/{DAG_ID}", {"is_paused": False})
        self.paused = bool(api.call("GET", f"/api/v2/dags/{DAG_ID}")["is_paused"])
        self._launch_airflow("triggerer", "--skip-serve-logs")
        self._launch_airflow("scheduler", "--skip-serve-logs")  # the API server reads the task logs from the same disk
        return wait("starting Airflow's scheduler", lambda: api.scheduler_beats_since(began))

    def dead(self) -> list[_Component]:
        """Components that ended by themselves."""
        return [component for component in self.components if component.process.poll() is not None]

    def stop(self, received: list[int]) -> None:
        """End all processes, the scheduler first and the API server last: running steps report to it."""
        if not self.components:
            return
        patience = len(received)  # one more signal means: now
        watcher, *parts = self.components
        end_sessions([part.leader for part in reversed(parts)], lambda: len(received) != patience)
        watcher.process.kill()
        watcher.process.wait()

    def _launch_airflow(self, command: str, *arguments: str) -> None:
        component = self._launch(command, [airflow_command(), command, *arguments])
        watcher = self.components[0].process.stdin
        with suppress(BrokenPipeError):  # a dead watcher is noticed by `dead`
            if watcher is not None:
                watcher.write(f"{component.process.pid}\n".encode())
                watcher.flush()

    def _launch(self, name: str, command: list[str], stdin: int = subprocess.DEVNULL) -> _Component:
        logs = self.profile.workspace.airflow_home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        log = logs / f"{name}.log"
        if log.exists():
            log.replace(logs / f"{name}.previous.log")
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                env=_environment(self.profile, self.port, name),
                stdin=stdin,
                stdout=stream,
                stderr=subprocess.STDOUT,
                pass_fds=(self.descriptor,),
                start_new_session=True,  # Ctrl-C goes to us alone, and we stop things in order
            )
        self.components.append(_Component(name, log, process, psutil.Process(process.pid)))
        return self.components[-1]


class _Api:
    """What `make up` needs of Airflow's REST API."""

    def __init__(self, port: int, password: str) -> None:
        self._port, self._password = port, password
        self._token = ""

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer's JSON. Raises ``OSError`` when the server is not there or says no."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=10)  # never by a proxy
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise OSError(f"{method} {path}: {answer.status} {content[:500].decode(errors='replace')}")
        return dict(json.loads(content)) if content else {}

    def log_in(self) -> bool:
        token = self.call("POST", "/auth/token", {"username": ADMIN, "password": self._password})
        self._token = str(token["access_token"])
        return True

    def parsed_since(self, moment: datetime) -> bool:
        """Whether the DAG was read after ``moment``. Raises ``TieringError`` when it cannot be imported."""
        for problem in self.call("GET", "/api/v2/importErrors")["import_errors"]:
            if _moment(problem["timestamp"]) >= moment:
                lines = problem["stack_trace"].strip().splitlines()
                raise TieringError(f"{problem['filename']} cannot be imported: {lines[-1]}", "fix it, then start again")
        parsed = self.call("GET", f"/api/v2/dags/{DAG_ID}")["last_parsed_time"]
        return bool(parsed) and _moment(parsed) >= moment

    def scheduler_beats_since(self, moment: datetime) -> bool:
        beat = self.call("GET", "/api/v2/monitor/health")["scheduler"]["latest_scheduler_heartbeat"]
        return bool(beat) and _moment(beat) >= moment

    def fail_abandoned_runs(self) -> None:
        """Close the runs that a killed ``make run`` left open: the scheduler would go on with them."""
        runs = self.call("GET", f"/api/v2/dags/{DAG_ID}/dagRuns?state=running&limit=100")["dag_runs"]
        for run in runs:
            if run["triggered_by"] == "test":  # how `airflow dags test` signs its runs
                self.call("PATCH", f"/api/v2/dags/{DAG_ID}/dagRuns/{run['dag_run_id']}", {"state": "failed"})


def _environment(profile: Profile, port: int, command: str) -> dict[str, str]:
    # The API server writes its audit log in its event loop. When another request of its own has written and not
    # committed yet, both wait for each other until SQLite's timeout, so that must be short: 3 s, less than the
    # 5 s after which a task asks again.
    environment = airflow_environment(profile, sqlite_timeout=3 if command == "api-server" else 30) | {
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        _BASE_URL: os.environ.get(_BASE_URL, f"http://{HOST}:{port}"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{port}/execution/",
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(profile.workspace.airflow_home / PASSWORD_FILE),
    }
    # Tasks report to the API server on this machine; a proxy set for the outside must not get in between.
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, [os.environ.get(name, ""), HOST, "localhost"]))
    if data := environment.get("TIERING_DATA"):
        environment["TIERING_DATA"] = str(Path(data).resolve())
    return environment


def _prepare_company(profile: Profile, console: Console) -> None:
    """Check rules and places before Airflow starts; generate the sample company if it is not there."""
    from customer_tiering.night.sources import prepare_sources
    from customer_tiering.rules.load import load_rules

    with night_lock(profile.workspace):  # refuses while a `make run` is on
        load_rules(profile)
        if profile.sample_company is not None:
            prepare_sources(profile, None, lambda text: console.print(f"  {text}"))
    for name, location in profile.sources.items():
        if not location.connection:
            profile.resolve_location(name)  # raises when {data} is needed and was not given


def _interval_start(profile: Profile) -> str:
    """When the schedule's current interval began."""
    from croniter import croniter

    began: datetime = croniter(profile.schedule, datetime.now(profile.zone)).get_prev(datetime)
    return began.isoformat()


def _check_port(port: int) -> None:
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
    except (OSError, OverflowError) as error:
        raise TieringError(
            f"port {port} of {HOST} cannot be used: {getattr(error, 'strerror', None) or error}",
            "choose another one: make up PORT=8081",
        ) from error


def _tell_ready(profile: Profile, port: int, console: Console, *, paused: bool) -> None:
    home = profile.workspace.airflow_home
    console.print(f"Airflow is up: http://{HOST}:{port}   (Ctrl-C stops it)")
    console.print(f"  user {ADMIN}, password in {home / PASSWORD_FILE}", highlight=False)
    console.print(f"  schedule {profile.schedule} {profile.timezone}" + (", paused in the UI" if paused else ""))
    console.print(f"  logs in {home / 'logs'}", highlight=False)


def _tell_end(dead: list[_Component], console: Console) -> int:
    for component in dead:
        code = component.process.returncode
        console.print(f"Airflow's {component.name} ended by itself (exit code {code}); its log:", style="red bold")
        lines = component.log.read_text(encoding="utf-8", errors="replace").splitlines()
        console.print("\n".join(lines[-_LOG_LINES:]), highlight=False)
        console.print(f"The other parts were stopped. Whole log: {component.log}", highlight=False)
    if not dead:
        console.print("Airflow is down.")
    return 1 if dead else 0


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP instead of dying from them."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
