"""The Compose files: understood by Compose itself, nothing floats, nothing runs as root or listens to the world."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from compose import BASE, OVERLAYS, required_variables, services
from customer_tiering.company.workspace import project_root


def _compose() -> list[str] | None:
    """Compose, as a program of its own or as a plugin of ``docker``, which may be there without it."""
    for command in (["docker-compose"], ["docker", "compose"]):
        if shutil.which(command[0]) is None:
            continue
        if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            return command
    return None


COMPOSE = _compose()
STACKS = [[BASE], *([BASE, overlay] for overlay in OVERLAYS)]
IDS = [stack[-1].name for stack in STACKS]
needs_compose = pytest.mark.skipif(
    COMPOSE is None, reason="neither docker-compose nor docker with its compose plugin is installed"
)


def config(stack: list[Path], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    files = [part for path in stack for part in ("-f", str(path))]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | variables
    return subprocess.run(
        [*(COMPOSE or []), *files, "--project-directory", str(project_root()), "config"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@needs_compose
@pytest.mark.parametrize("stack", STACKS, ids=IDS)
def test_compose_understands_it(stack: list[Path]) -> None:
    variables = {name: f"given-{name}" for name in required_variables(*stack)}
    done = config(stack, variables)
    assert done.returncode == 0, done.stderr
    for name in {name for path in stack for name in services(path)}:
        assert re.search(rf"^  {name}:$", done.stdout, re.MULTILINE), name
    assert "WARN" not in done.stderr


@needs_compose
@pytest.mark.parametrize("stack", STACKS, ids=IDS)
def test_compose_refuses_to_start_without_a_secret(stack: list[Path]) -> None:
    names = required_variables(*stack)
    assert {"POSTGRES_PASSWORD", "AIRFLOW_JWT_SECRET"} <= names
    missing = sorted(required_variables(stack[-1]) - required_variables(*stack[:-1]))[-1]
    done = config(stack, dict.fromkeys(names - {missing}, "given"))
    assert done.returncode != 0
    assert "see the top of" in done.stderr or "say which company" in done.stderr


@pytest.mark.parametrize("stack", STACKS, ids=IDS)
def test_containers_are_pinned_closed_and_read_only(stack: list[Path]) -> None:
    merged: dict[str, dict[str, object]] = {}
    for path in stack:
        for name, service in services(path).items():
            merged[name] = merged.get(name, {}) | service
    for name, service in merged.items():
        assert re.search(r":\d+\.\d+(\.\d+)?(-\w+)?$", str(service["image"])), f"{name}: image without a version"
        assert service.get("read_only") is True, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        assert service.get("user") != "root", name
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if name != "init":
            assert service.get("healthcheck"), f"{name}: nobody sees that it is ill"
            assert service.get("restart") == "unless-stopped", name


def test_the_image_is_pinned_and_runs_as_a_user() -> None:
    text = (project_root() / "Dockerfile").read_text(encoding="utf-8")
    assert all(re.search(r":\d+\.\d+\.\d+-", image) for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE))
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE)[-1] == "tiering"
    assert text.count("--require-hashes") == len(re.findall(r"uv pip (?:sync|install)(?!.*--no-build-isolation)", text))


def test_the_lock_of_celery_adds_to_the_lock() -> None:
    base, extra = (
        re.findall(
            r"^([\w.-]+)(?:\[.*\])?==\S+ \\\n    --hash=", (project_root() / name).read_text("utf-8"), re.MULTILINE
        )
        for name in ("requirements.lock", "requirements-celery.lock")
    )
    assert "apache-airflow-providers-celery" in extra
    assert not set(base) & set(extra), "packages in both locks: make lock"
