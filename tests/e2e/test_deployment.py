"""The deployment of docker-compose.yml as plain processes with a real Postgres: a night that nobody starts."""

from __future__ import annotations

import http.client
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from compose import BASE, PlainServices, required_variables, services
from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.publish.snapshot import last_accepted
from postgres import running_postgres

pytestmark = [pytest.mark.slow, pytest.mark.full]

NAME = "small"
DAG = "/api/v2/dags/nightly_tiering"
SECRETS = sorted(required_variables(BASE) - {"TIERING_PROFILE"})


class Deployment(PlainServices):
    """The services and their REST API."""

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / "tiering" / NAME)

    def log_in(self) -> None:
        self.token = ""
        answer = self.call(
            "POST", "/auth/token", {"username": "admin", "password": self.variables["AIRFLOW_UI_PASSWORD"]}
        )
        self.token = answer["access_token"]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            content = response.read()
        assert response.status < 400, f"{method} {path}: {response.status} {content[:300]!r}"
        return dict(json.loads(content))


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployed")
    profile = yaml.safe_load((project_root() / "profiles" / "sample.yml").read_text(encoding="utf-8"))
    profile |= {"sample_company": {"customers": 40, "years": 1}, "schedule": "0 2 * * *", "deadline": "02:01"}
    (folder / "profiles").mkdir()
    (folder / "profiles" / f"{NAME}.yml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    variables = {name: secrets.token_hex(24) for name in SECRETS} | {"TIERING_PROFILE": NAME}
    variables["AIRFLOW_FERNET_KEY"] = urlsafe_b64encode(secrets.token_bytes(32)).decode()
    with running_postgres() as server:
        wanted = services(BASE)["postgres"]["environment"]
        with closing(server.connect("admin", "postgres")) as connection, connection.cursor() as cursor:
            user, database = wanted["POSTGRES_USER"], wanted["POSTGRES_DB"]
            cursor.execute(f"create role {user} login password %s", (variables["POSTGRES_PASSWORD"],))
            cursor.execute(f"create database {database} owner {user}")
        deployment = Deployment(folder, variables, server.port, {"TIERING_PROFILES": str(folder / "profiles")})
        try:
            deployment.start()
            deployment.log_in()
            yield deployment
        finally:
            deployment.stop()


def test_the_scheduler_runs_last_night_without_being_asked(deployed: Deployment) -> None:
    assert deployed.wait_until(lambda: _dags(deployed) == {"nightly_tiering", "churn_training"}, 60), deployed.logs()
    assert deployed.call("GET", DAG)["is_paused"] is True  # nobody's data is touched before someone says so
    assert deployed.call("GET", f"{DAG}/dagRuns")["dag_runs"] == []
    deployed.call("PATCH", DAG, {"is_paused": False})
    assert deployed.wait_until(lambda: _states(deployed) in (["success"], ["failed"]), 300), deployed.logs()
    (run,) = deployed.call("GET", f"{DAG}/dagRuns")["dag_runs"]
    tasks = deployed.call("GET", f"{DAG}/dagRuns/{run['dag_run_id']}/taskInstances")["task_instances"]
    assert (run["state"], run["run_type"]) == ("success", "scheduled"), {t["task_id"]: t["state"] for t in tasks}
    assert {task["try_number"] for task in tasks if task["state"] != "skipped"} == {1}
    published = last_accepted(deployed.workspace)
    assert published is not None
    due = datetime.now(UTC).astimezone(ZoneInfo("Asia/Shanghai")) - timedelta(hours=2)
    assert published.night == due.date() - timedelta(days=1)


def test_a_night_after_its_deadline_was_told_once(deployed: Deployment) -> None:
    """The night before began hours after 02:01, so the scheduler saw at once that it was late."""
    assert deployed.wait_until(lambda: bool(_late(deployed)), 30), deployed.logs()
    (path,) = _late(deployed)
    facts = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == f"late_{facts['night']}.json"
    assert facts["published"] is None  # it was told while the night ran
    assert facts["deadline"] == "02:01 Asia/Shanghai"
    log = (deployed.folder / "triggerer.log").read_text(encoding="utf-8", errors="replace")
    assert log.count("late night: ") == 1


def test_every_service_is_healthy_and_small(deployed: Deployment) -> None:
    assert [name for name in deployed.processes if name != "init" and not deployed.healthy(name)] == []
    memory = deployed.memory()
    print({name: f"{held:.0f} MiB" for name, held in memory.items()})  # noqa: T201 - for docs/deploy.md
    assert sorted(memory) == sorted(set(deployed.services) - {"init"})
    assert sum(memory.values()) < 3000


def test_no_log_shows_a_secret(deployed: Deployment) -> None:
    hidden = [deployed.variables[name] for name in SECRETS]
    for path in [*deployed.folder.glob("*.log"), *(deployed.folder / "airflow" / "logs").rglob("*.log")]:
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not any(secret in text for secret in hidden), path


def _dags(deployed: Deployment) -> set[str]:
    return {dag["dag_id"] for dag in deployed.call("GET", "/api/v2/dags")["dags"]}


def _states(deployed: Deployment) -> list[str]:
    return [run["state"] for run in deployed.call("GET", f"{DAG}/dagRuns")["dag_runs"]]


def _late(deployed: Deployment) -> list[Path]:
    return sorted(deployed.workspace.reports.glob("late_*.json"))
