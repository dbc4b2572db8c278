"""A real Postgres for tests: a cluster of its own on a socket and a free port of 127.0.0.1."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as PgConnection

PASSWORD = "pa:ss/w@rd"
_PROGRAMS = ("initdb", "pg_ctl", "postgres")
# Debian keeps the server's programs off the PATH.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))])


class Postgres:
    """A running server; ``tiering`` owns database ``bi``, ``analyst`` is a role that may read what it is granted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    @property
    def url(self) -> str:
        return f"postgresql://tiering:pa%3Ass%2Fw%40rd@127.0.0.1:{self.port}/bi"

    def connect(self, user: str = "tiering", database: str = "bi", *, autocommit: bool = True) -> PgConnection:
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, dbname=database, user=user, password=PASSWORD, connect_timeout=10
        )
        connection.autocommit = autocommit
        return connection

    def query(self, sql: str, *parameters: object, user: str = "tiering") -> list[tuple[object, ...]]:
        with closing(self.connect(user)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", self.folder / "log", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def create(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)  # the unprivileged user below reads it; it lives as long as the test
        self._run("initdb", "-D", self.data, "-U", "admin", "-E", "UTF8", "--locale=C", "--no-sync",
                  "--auth=scram-sha-256", "--pwfile", secret)  # fmt: skip
        settings = {
            "port": self.port,
            "listen_addresses": "'127.0.0.1'",
            "unix_socket_directories": "''",
            "fsync": "off",
            "shared_buffers": "32MB",
        }
        text = "".join(f"{name} = {value}\n" for name, value in settings.items())
        self._run("sh", "-c", f"printf '%s' \"{text}\" >> {self.data}/postgresql.conf")
        self.start()
        with closing(self.connect("admin", "postgres")) as connection, connection.cursor() as cursor:
            for role in ("tiering", "analyst"):
                cursor.execute(f"create role {role} login password %s", (PASSWORD,))
            cursor.execute("create database bi owner tiering")

    def _run(self, *command: object) -> None:
        program, *arguments = (str(part) for part in command)
        # Postgres refuses to run as root; "nobody" is everywhere.
        prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*prefix, shutil.which(program, path=_PATH) or program, *arguments],
            cwd="/",
            capture_output=program != "pg_ctl",  # the server would keep a pipe open
            stdout=subprocess.DEVNULL if program == "pg_ctl" else None,
            stderr=subprocess.DEVNULL if program == "pg_ctl" else None,
            text=True,
            check=False,
        )
        if done.returncode:
            log = self.folder / "log"
            raise RuntimeError(f"{program} failed: {done.stderr} {log.read_text() if log.exists() else ''}")


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A fresh server, stopped and removed afterwards; skips the test where Postgres is not installed."""
    if missing := [program for program in _PROGRAMS if shutil.which(program, path=_PATH) is None]:
        pytest.skip(f"no Postgres on this machine: {', '.join(missing)} not found on PATH")
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("Postgres does not run as root, and setpriv is not there to become another user")
    # Not under tmp_path, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="tiering-test-postgres-"))
    server = Postgres(folder)
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        server.create()
        yield server
    finally:
        if (server.data / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
