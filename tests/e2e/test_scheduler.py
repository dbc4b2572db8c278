"""``make up`` for real: Airflow's processes start, a night runs through the scheduler, and all of them end."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.publish.snapshot import current_folder, read_manifest
from customer_tiering.report.files import latest_folder
from sample_company import company_state

pytestmark = [pytest.mark.slow, pytest.mark.full]

NAME = "small"
RUNS = "/api/v2/dags/nightly_tiering/dagRuns"
TIERING = str(Path(sys.executable).with_name("tiering"))


class Served:
    """A company in a folder of its own, and the ``tiering up`` that serves it."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder / "var" / NAME)
        self.output = folder / "output.txt"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "TIERING")) or name == "TIERING_HOME"
        } | {"TIERING_VAR": str(folder / "var"), "TIERING_PROFILES": str(folder / "profiles")}
        profile = yaml.safe_load((project_root() / "profiles" / "sample.yml").read_text(encoding="utf-8"))
        profile["sample_company"] = {"customers": 40, "years": 1}
        (folder / "profiles").mkdir()
        (folder / "profiles" / f"{NAME}.yml").write_text(yaml.safe_dump(profile), encoding="utf-8")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.process: subprocess.Popen[bytes] | None = None
        self.token = ""

    @property
    def password(self) -> str:
        return str(json.loads((self.workspace.airflow_home / "ui_password.json").read_text())["admin"])

    def start(self) -> None:
        with self.output.open("wb") as stream:
            process = subprocess.Popen(
                [TIERING, "up", "--profile", NAME, "--port", str(self.port)],
                env=self.environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.process = process
        self.wait_until(lambda: "Airflow is up" in self.output.read_text() or process.poll() is not None, 150)
        assert process.poll() is None, self.output.read_text()
        self.token = self.call("POST", "/auth/token", {"username": "admin", "password": self.password})["access_token"]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        status, answer = self.ask(method, path, body, self.token)
        assert status < 400, f"{method} {path}: {status} {answer}"
        return answer

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, token: str = "") -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        status, content = response.status, response.read()
        connection.close()
        return status, json.loads(content)

    def fetch(self, path: str, *, token: str = "", accept: str = "*/*") -> tuple[int, str, bytes]:
        """Status, where it sends to, and content of a page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Accept": accept} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        answer = response.status, response.getheader("Location", ""), response.read()
        connection.close()
        return answer

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another ``tiering`` command of the same company, at the same time."""
        return subprocess.run(
            [TIERING, *arguments], env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def night(self, as_of: str, seconds: float) -> list[dict[str, Any]]:
        """Trigger a night as a person in the UI would, and wait for its end; its tasks, in the order they ran."""
        run = self.call("POST", RUNS, {"logical_date": None, "conf": {"as_of": as_of}})["dag_run_id"]
        ended = self.wait_until(lambda: self.call("GET", f"{RUNS}/{run}")["state"] in ("success", "failed"), seconds)
        tasks = self.call("GET", f"{RUNS}/{run}/taskInstances")["task_instances"]
        tasks.sort(key=lambda task: task["start_date"] or "~")
        state = self.call("GET", f"{RUNS}/{run}")["state"]
        assert ended and state == "success", "\n".join(
            [f"the night {run} is {state}:"]
            + [f"  {task['task_id']:<24}{task['state']!s:<12}{task['duration']} s" for task in tasks]
        )
        return list(tasks)

    @staticmethod
    def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
        limit = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > limit:
                return False
            time.sleep(0.25)
        return True


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The tests below use it in their order; the last ones stop it."""
    if shutil.which(TIERING) is None:
        pytest.skip("the package's command is not installed")
    company = Served(tmp_path_factory.mktemp("up"))
    try:
        company.start()
        yield company
    finally:
        if company.process is not None and company.process.poll() is None:
            family = company.family()
            company.process.terminate()
            for process in psutil.wait_procs(family, timeout=60)[1]:
                process.kill()


def test_starting_up_runs_no_night(served: Served) -> None:
    """Airflow would run the last complete interval at once, which moves the company's date without being asked."""
    dag = served.call("GET", "/api/v2/dags/nightly_tiering")
    assert dag["is_paused"] is False
    assert dag["next_dagrun_run_after"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    assert served.call("GET", RUNS)["dag_runs"] == []


def test_nobody_else_works_on_the_company(served: Served) -> None:
    for arguments in (["up", "--profile", NAME, "--port", str(served.port + 1)], ["run", "--profile", NAME]):
        refused = served.command(*arguments)
        assert refused.returncode == 1
        assert f"Airflow of {NAME} is running: http://127.0.0.1:{served.port}" in refused.stderr.replace("\n", " ")
    (Path(served.environment["TIERING_PROFILES"]) / "other.yml").write_text(
        (Path(served.environment["TIERING_PROFILES"]) / f"{NAME}.yml").read_text(), encoding="utf-8"
    )
    refused = served.command("up", "--profile", "other", "--port", str(served.port))
    assert refused.returncode == 1
    assert f"port {served.port} of 127.0.0.1 cannot be used" in refused.stderr.replace("\n", " ")


def test_a_night_runs_through_the_scheduler(served: Served) -> None:
    state = company_state(served.workspace.root / "source")
    assert state is not None
    tasks = served.night(state.until.isoformat(), 300)
    asked = [task for task in tasks if task["task_id"] == "approve"]
    assert [task["state"] for task in asked] == ["skipped"], "only a held night asks a person"
    done = [task for task in tasks if task not in asked]
    assert {task["state"] for task in done} == {"success"}
    assert {task["try_number"] for task in done} == {1}
    assert len(done) == 13
    folder = current_folder(served.workspace)
    assert folder is not None
    assert read_manifest(folder).night == state.until
    log = served.call("GET", f"{RUNS}/{tasks[0]['dag_run_id']}/taskInstances/begin/logs/1")
    assert "nightly_tiering" in json.dumps(log["content"])  # the UI finds the task's log


def test_the_tiers_page_is_behind_the_login(served: Served) -> None:
    """Strangers get 401, or are sent to Airflow's login; who is logged in sees what the night published."""
    for path in ("/", "/report", "/workbook", "/customers", "/nights"):
        assert served.fetch(f"/tiering{path}")[0] == 401, path
        assert served.fetch(f"/tiering{path}", token="not.a.token")[0] in (401, 403), path
    status, location, _ = served.fetch("/tiering/nights", accept="text/html")
    assert (status, location) == (303, "/auth/login?next=%2Ftiering%2Fnights")
    folder = latest_folder(served.workspace)
    assert folder is not None
    status, _, shown = served.fetch("/tiering/report", token=served.token)
    assert (status, shown) == (200, (folder / "report.html").read_bytes())
    for path, words in (("/", "分级汇总"), ("/customers?q=C20", "erp-C20"), ("/nights", "当前 current")):
        status, _, shown = served.fetch(f"/tiering{path}", token=served.token)
        assert status == 200 and words in shown.decode(), path
    views = served.call("GET", "/api/v2/plugins")["plugins"][0]["external_views"]
    assert [view["href"] for view in views] == ["/tiering/"]


def test_only_who_knows_the_password_gets_in(served: Served) -> None:
    assert served.ask("GET", RUNS)[0] == 401
    assert served.ask("POST", "/auth/token", {"username": "admin", "password": "admin"})[0] == 401
    home = served.workspace.airflow_home
    for name in ("ui_password.json", "secrets.json"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    written = [served.output, *(path for path in (home / "logs").rglob("*") if path.is_file())]
    hidden = [served.password, *json.loads((home / "secrets.json").read_text()).values()]
    for path in written:
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not any(secret in text for secret in hidden), path


def test_a_signal_stops_everything(served: Served) -> None:
    assert served.process is not None
    family = served.family()
    assert len(family) >= 4
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(timeout=60) == 0
    assert psutil.wait_procs(family[1:], timeout=2)[1] == []


@pytest.mark.skipif(sys.platform != "linux", reason="children follow a killed parent on Linux only")
def test_it_starts_again_and_dies_as_a_whole(served: Served) -> None:
    password = served.password
    served.start()
    assert served.password == password
    assert [run["run_type"] for run in served.call("GET", RUNS)["dag_runs"]] == ["manual"]
    family = served.family()
    family[0].kill()
    assert psutil.wait_procs(family, timeout=60)[1] == []
