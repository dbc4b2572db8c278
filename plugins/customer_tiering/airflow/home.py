"""The Airflow of a company on one machine: its settings, its secrets and its metadata database."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.errors import NightBusy, TieringError

ADMIN = "admin"


def airflow_environment(profile: Profile, *, sqlite_timeout: int = 30) -> dict[str, str]:
    """Environment for Airflow's commands: everything under ``var/<profile>/airflow``, nothing calls home.

    ``sqlite_timeout`` says how many seconds a writer waits for another one; Airflow itself sets WAL mode.
    """
    home = profile.workspace.airflow_home
    root = project_root()
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        **_read_json(home / "secrets.json"),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Only `make up` has a scheduler, so a DAG that `make run` creates first may as well be unpaused.
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": os.environ.get("AIRFLOW__CORE__EXECUTOR", "LocalExecutor"),
        "AIRFLOW__CORE__PARALLELISM": os.environ.get("AIRFLOW__CORE__PARALLELISM", "4"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": os.environ.get(
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{home / 'airflow.db'}?timeout={sqlite_timeout}"
        ),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "TIERING_PROFILE": profile.name,
        # Steps take their profile, data folder and workspace from here too.
        "TIERING_HOME": str(root),
        **_read_json(home / "schedule.json"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def reach_connections(profile: Profile) -> None:
    """Let a command, outside of any task, look up the Airflow connections that channels and Postgres name."""
    named = [channel.connection for channel in profile.channels.values()]
    if profile.postgres_target:
        named.append(profile.postgres_target.connection)
    if any(named):
        for name, value in airflow_environment(profile).items():
            os.environ.setdefault(name, value)
        # Airflow looks connections up in its metadata database only for tasks and for what takes itself for a server.
        os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


def airflow_command() -> str:
    return str(Path(sys.executable).with_name("airflow"))


def prepare_airflow(profile: Profile, log: Path, *, serving: bool = False) -> None:
    """Create secrets, and create or upgrade the metadata database and the warehouse pool once per version and database.

    Raises ``NightBusy`` while ``make up`` serves the company (its scheduler would take over the tasks of any
    other run in the same metadata database), ``TieringError`` with the log's place when Airflow refuses.
    """
    import importlib.metadata

    home = profile.workspace.airflow_home
    if not serving:
        with hold_airflow(profile):
            pass
    with _locked(home / ".preparing"):
        keep_json(home / "secrets.json", _new_secrets)
        stamp = home / ".prepared"
        environment = airflow_environment(profile)
        database = urlsplit(environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
        prepared = f"{importlib.metadata.version('apache-airflow')} {database.hostname or ''}{database.path}"
        if stamp.exists() and stamp.read_text() == prepared:
            return
        log.parent.mkdir(parents=True, exist_ok=True)
        for arguments in (["db", "migrate"], ["pools", "set", "warehouse", "1", "one writer to the warehouse"]):
            with log.open("a", encoding="utf-8") as stream:
                done = subprocess.run(
                    [airflow_command(), *arguments],
                    env=environment,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            if done.returncode != 0:
                raise TieringError(
                    f"airflow {' '.join(arguments)} failed with exit code {done.returncode}", f"see {log}"
                )
        stamp.write_text(prepared)


@contextmanager
def hold_airflow(profile: Profile, note: str = "") -> Iterator[int]:
    """Be the only one who serves the company; yields the descriptor to hand to Airflow's processes.

    Whoever finds the door closed is shown ``note``, which ends with the number of the process. Raises ``NightBusy``.
    """
    with hold_airflow_of(profile.workspace, note) as descriptor:
        yield descriptor


@contextmanager
def hold_airflow_of(workspace: Workspace, note: str = "") -> Iterator[int]:
    """``hold_airflow`` for a company whose profile may be lost."""
    company, home = workspace.root.name, workspace.airflow_home
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = home / "up.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = path.read_text(encoding="utf-8")
            number = holder.rpartition(" ")[2]
            if number.isdigit() and not psutil.pid_exists(int(number)):
                raise NightBusy(
                    f"Airflow of {company} was killed ({holder}), and its parts are still ending",
                    "try again in a minute",
                ) from error
            raise NightBusy(
                f"Airflow of {company} is running: {holder}",
                "trigger nightly_tiering there, or stop it first (Ctrl-C where it runs)",
            ) from error
        if note:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, note.encode())
        yield descriptor
    finally:
        os.close(descriptor)


def keep_json(path: Path, make: Callable[[], dict[str, str]]) -> dict[str, str]:
    """What a file that only its owner may read holds; it is made when it is not there."""
    if not path.exists():
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(make(), indent=2), encoding="utf-8")
        fresh.replace(path)
    return _read_json(path)


def _new_secrets() -> dict[str, str]:
    return {
        "AIRFLOW__CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
    }


def _read_json(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
