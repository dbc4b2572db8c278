"""docker-compose.yml as plain processes: the same commands, environment and health checks, in this machine's places.

Commands come from the Compose file and the image's ENV from the Dockerfile, so a test cannot drift from what is
deployed. Only places change: folders for volumes, 127.0.0.1 and free ports for the names of services.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from customer_tiering.airflow.watcher import end_sessions
from customer_tiering.company.workspace import project_root

BASE = project_root() / "docker-compose.yml"
OVERLAYS = sorted((project_root() / "docker").glob("compose.*.yml"))
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[?-])(?P<rest>[^}]*))?\})")


def services(path: Path) -> dict[str, dict[str, Any]]:
    """A Compose file's services, anchors resolved, variables not."""
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))["services"])


def required_variables(*paths: Path) -> set[str]:
    """Variables without which the files are refused."""
    found = (_VARIABLE.finditer(path.read_text(encoding="utf-8")) for path in paths)
    return {match["name"] for matches in found for match in matches if match["kind"] == "?"}


def image_environment() -> dict[str, str]:
    """The last ENV of the Dockerfile."""
    text = (project_root() / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    last = re.findall(r"^ENV (.+)$", text, re.MULTILINE)[-1]
    return dict(part.split("=", 1) for part in last.split())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PlainServices:
    """The services of docker-compose.yml that run our image, as processes under ``folder``."""

    def __init__(self, folder: Path, variables: dict[str, str], postgres_port: int, extra: dict[str, str]) -> None:
        self.folder, self.variables, self.port = folder, variables, free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        health_port = free_port()
        self._places = {
            "/var/lib/airflow": str(folder / "airflow"),
            "/var/lib/tiering": str(folder / "tiering"),
            "/opt/tiering": str(project_root()),
            "/opt/venv/bin": str(Path(sys.executable).parent),
            "$PATH": "/usr/local/bin:/usr/bin:/bin",
            "api-server:8080": f"127.0.0.1:{self.port}",
            "127.0.0.1:8080": f"127.0.0.1:{self.port}",
            "127.0.0.1:8974": f"127.0.0.1:{health_port}",
            "@postgres:5432": f"@127.0.0.1:{postgres_port}",
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - what is replaced
        }
        self._extra = extra | {
            "HOME": str(folder / "home"),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(health_port),
        }
        if "PYTHONPATH" in os.environ:  # a checkout beside the one that is installed
            self._extra["PYTHONPATH"] = os.environ["PYTHONPATH"]
        for name in ("airflow", "tiering", "home"):
            (folder / name).mkdir(mode=0o700)
        self.services = {name: service for name, service in services(BASE).items() if "build" in service}

    def environment(self, name: str) -> dict[str, str]:
        both = image_environment() | self.services[name]["environment"]
        return {key: self._place(str(value)) for key, value in both.items()} | self._extra

    def start(self) -> None:
        """Start every service once what it depends on is healthy or has ended well."""
        waiting = list(self.services)
        limit = time.monotonic() + 240
        while waiting:
            assert time.monotonic() < limit, f"{waiting} wait for ever\n{self.logs()}"
            for name in [name for name in waiting if self._may_start(name)]:
                waiting.remove(name)
                with (self.folder / f"{name}.log").open("wb") as log:
                    self.processes[name] = subprocess.Popen(
                        self._command(self.services[name]["command"]),
                        env=self.environment(name),
                        cwd=self.folder / "tiering",
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
            time.sleep(0.25)
        assert self.wait_until(lambda: all(self.healthy(name) for name in self.processes if name != "init"), 120)

    def healthy(self, name: str) -> bool:
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        check = subprocess.run(
            self._command(command), env=self.environment(name), capture_output=True, check=False, timeout=60
        )
        return check.returncode == 0

    def memory(self) -> dict[str, float]:
        """MiB that each service holds, shared pages counted by their share."""
        held = {}
        for name, process in self.processes.items():
            if process.poll() is None:
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                held[name] = sum(member.memory_full_info().pss for member in family) / 2**20
        return held

    def stop(self) -> None:
        running = [psutil.Process(process.pid) for process in self.processes.values() if process.poll() is None]
        end_sessions(running[::-1])

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-25:])
            for path in sorted(self.folder.glob("*.log"))
        )

    @staticmethod
    def wait_until(condition: Any, seconds: float) -> bool:
        limit = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > limit:
                return False
            time.sleep(0.5)
        return True

    def _may_start(self, name: str) -> bool:
        for needed, how in self.services[name]["depends_on"].items():
            process = self.processes.get(needed)
            if needed not in self.services:  # Postgres runs already
                continue
            if process is None:
                return False
            if how["condition"] == "service_completed_successfully":
                if process.poll() is None:
                    return False
                assert process.returncode == 0, self.logs()
            else:
                assert process.poll() is None, self.logs()
                if not self.healthy(needed):
                    return False
        return True

    def _command(self, command: list[str]) -> list[str]:
        program, *arguments = [str(self.port) if part == "8080" else self._place(part) for part in command]
        beside = Path(sys.executable).with_name(program)
        return [str(beside) if beside.exists() else program, *arguments]

    def _place(self, text: str) -> str:
        for place, here in self._places.items():
            text = text.replace(place, here)
        return _VARIABLE.sub(self._value, text)

    def _value(self, match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        value = self.variables.get(match["name"], match["rest"] if match["kind"] == "-" else None)
        assert value is not None, f"{match['name']} has no value"
        return value
