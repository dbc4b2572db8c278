"""The DAG files as Airflow reads them: they load for every profile, stay light, and are wired as documented."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from customer_tiering.company.profile import load_profile
from customer_tiering.company.workspace import project_root

ROOT = project_root()
DAG_FILE = ROOT / "dags" / "nightly_tiering.py"
PARSE_SECONDS = 0.5
HEAVY = {"great_expectations", "dbt", "dlt", "duckdb", "pandas", "pyarrow", "sklearn", "apprise"}

# Reads the DAG folder with Airflow's own importer and prints what it found.
DESCRIBE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

bag = DagBag(sys.argv[1])
dags = {}
for dag_id, dag in bag.dags.items():
    DagSerialization.to_dict(dag)  # the scheduler works on this form
    tasks = {}
    for task in dag.tasks:
        tasks[task.task_id] = {
            "type": type(task).__name__,
            "pool": task.pool,
            "trigger_rule": task.trigger_rule.value,
            "retries": task.retries,
            "retry_delay": task.retry_delay.total_seconds(),
            "backoff": bool(task.retry_exponential_backoff),
            "after": sorted(task.upstream_task_ids),
            "outlets": sorted(outlet.uri for outlet in task.outlets),
            "teardown": task.is_teardown,
            "fails_run": task.on_failure_fail_dagrun,
            "weight": task.priority_weight,
        }
    dags[dag_id] = {
        "tasks": tasks,
        "max_active_runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "timetable": str(DagSerialization.to_dict(dag)["dag"]["timetable"]),
        "params": sorted(dag.params),
    }
modules = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps({"dags": dags, "errors": bag.import_errors, "modules": modules}))
"""

# Times the file alone: what Airflow's DAG processor has imported before it reads a file is imported first.
TIME = """
import sys, time
import airflow.sdk, airflow.dag_processing.processor

source = open(sys.argv[1], encoding="utf-8").read()
began = time.perf_counter()
exec(compile(source, sys.argv[1], "exec"), {"__name__": "dag_file", "__file__": sys.argv[1]})
print(time.perf_counter() - began)
"""

# Loads the plugins folder as Airflow does and prints which of its files were executed.
PLUGINS = """
import json, sys
from pathlib import Path
from airflow import plugins_manager

_, errors = plugins_manager._get_plugins()
files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
folder = Path(sys.argv[1])
print(json.dumps([errors, sorted(Path(file).name for file in files if file and folder in Path(file).parents)]))
"""


# What the plugin registers, and what of the page was imported for it.
PAGE = """
import json, sys
from airflow import plugins_manager

apps, _ = plugins_manager.get_fastapi_plugins()
(plugin,) = plugins_manager._get_plugins()[0]
print(json.dumps({
    "apps": [[app["url_prefix"], app["name"]] for app in apps],
    "views": [[view["url_route"], view["href"]] for view in plugin.external_views],
    "modules": sorted(name for name in sys.modules if name.startswith(("customer_tiering.airflow.page", "duckdb"))),
}))
"""


def airflow_python(code: str, argument: Path, home: Path, **environment: str) -> str:
    """Run code in a fresh interpreter with an Airflow of its own; the last line that it prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TIERING"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", code, str(argument)],
        env=kept
        | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        }
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module", params=["sample", "online_retail"])
def parsed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """A profile and what Airflow made of the DAG folder. No data folder is given: parsing must not need one."""
    home = tmp_path_factory.mktemp("airflow")
    return request.param, json.loads(airflow_python(DESCRIBE, DAG_FILE.parent, home, TIERING_PROFILE=request.param))


def test_the_folder_loads_without_errors(parsed: tuple[str, dict[str, Any]]) -> None:
    _, found = parsed
    assert found["errors"] == {}
    assert sorted(found["dags"]) == ["churn_training", "nightly_tiering"]


def test_the_tasks_are_wired_as_documented(parsed: tuple[str, dict[str, Any]]) -> None:
    name, found = parsed
    sources = list(load_profile(name).sources)
    after = {
        "begin": [],
        **{f"extract_{source}": ["begin"] for source in sources},
        **{f"gate_{source}": ["begin", f"extract_{source}"] for source in sources},
        "build": sorted(["begin", *(f"gate_{source}" for source in sources)]),
        "judge": ["begin", "build"],
        "approve": ["begin", "judge"],
        "publish": ["approve", "begin", "judge"],
        "alert": ["begin", "publish"],
        "report": ["begin", "publish"],
        "summarise": ["alert", "begin", "report"],
    }
    tasks = found["dags"]["nightly_tiering"]["tasks"]
    assert {task: facts["after"] for task, facts in tasks.items()} == after


def test_a_failing_report_stops_neither_alerts_nor_the_summary(parsed: tuple[str, dict[str, Any]]) -> None:
    """The summary runs whatever becomes of the two, and leaves it to them to say how the run ended."""
    _, found = parsed
    tasks = found["dags"]["nightly_tiering"]["tasks"]
    assert "report" not in tasks["alert"]["after"]
    assert [task for task, facts in tasks.items() if facts["teardown"]] == ["summarise"]
    assert tasks["summarise"]["trigger_rule"] == "all_done_setup_success" and not tasks["summarise"]["fails_run"]
    assert tasks["report"]["weight"] < tasks["alert"]["weight"], "alerts go first"


def test_a_postgres_target_adds_a_leaf_that_nothing_waits_for(tmp_path: Path) -> None:
    profile = (ROOT / "profiles" / "sample.yml").read_text(encoding="utf-8")
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "sample.yml").write_text(
        f"{profile}postgres_target: {{connection: bi}}\n", encoding="utf-8"
    )
    environment = {"TIERING_PROFILE": "sample", "TIERING_PROFILES": str(tmp_path / "profiles")}
    found = json.loads(airflow_python(DESCRIBE, DAG_FILE.parent, tmp_path, **environment))
    tasks = found["dags"]["nightly_tiering"]["tasks"]
    assert tasks["publish_postgres"]["after"] == ["begin", "publish"]
    assert tasks["publish_postgres"]["pool"] != "warehouse"
    assert not [name for name, facts in tasks.items() if "publish_postgres" in facts["after"]]
    assert tasks["publish_postgres"]["retries"] == 2


def test_only_one_task_at_a_time_touches_the_warehouse(parsed: tuple[str, dict[str, Any]]) -> None:
    _, found = parsed
    tasks = found["dags"]["nightly_tiering"]["tasks"]
    outside = {task for task, facts in tasks.items() if facts["pool"] != "warehouse"}
    assert outside == {task for task in tasks if task.startswith("extract_")} | {"approve", "summarise"}
    assert found["dags"]["nightly_tiering"]["max_active_runs"] == 1


def test_only_a_held_night_asks_a_person_and_a_night_stays_small(parsed: tuple[str, dict[str, Any]]) -> None:
    """``judge`` names the next task; ``publish`` runs though ``approve`` was skipped, and not when it failed."""
    name, found = parsed
    tasks = found["dags"]["nightly_tiering"]["tasks"]
    assert tasks["judge"]["type"] == "_BranchPythonDecoratedOperator"
    assert tasks["approve"]["type"] == "HeldNight"
    rules = {task: facts["trigger_rule"] for task, facts in tasks.items() if facts["trigger_rule"] != "all_success"}
    assert rules == {"publish": "none_failed_min_one_success", "summarise": "all_done_setup_success"}
    assert len(tasks) <= 12 + 2 * len(load_profile(name).sources)


def test_every_task_is_retried(parsed: tuple[str, dict[str, Any]]) -> None:
    _, found = parsed
    for task, facts in found["dags"]["nightly_tiering"]["tasks"].items():
        assert (facts["retries"], facts["retry_delay"], facts["backoff"]) == (2, 120, True), task


def test_the_churn_training_is_two_tasks_once_a_month(parsed: tuple[str, dict[str, Any]]) -> None:
    """Only the copy of the warehouse waits for its slot; the fit may run beside a night."""
    name, found = parsed
    dag = found["dags"]["churn_training"]
    assert {task: (facts["after"], facts["pool"]) for task, facts in dag["tasks"].items()} == {
        "prepare": ([], "warehouse"),
        "train": (["prepare"], "default_pool"),
    }
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    assert "0 14 1 * *" in dag["timetable"]
    assert load_profile(name).timezone in dag["timetable"]


def test_the_schedule_is_the_profiles(parsed: tuple[str, dict[str, Any]]) -> None:
    name, found = parsed
    profile = load_profile(name)
    dag = found["dags"]["nightly_tiering"]
    assert dag["catchup"] is False
    assert dag["params"] == ["as_of"]
    assert profile.schedule in dag["timetable"]
    assert profile.timezone in dag["timetable"]


def test_assets_name_the_company(parsed: tuple[str, dict[str, Any]]) -> None:
    name, found = parsed
    tasks = found["dags"]["nightly_tiering"]["tasks"]
    assert tasks["publish"]["outlets"] == [f"tiering://{name}/published"]
    for source in load_profile(name).sources:
        assert tasks[f"extract_{source}"]["outlets"] == [f"tiering://{name}/landing/{source}"]


def test_heavy_packages_wait_for_the_tasks(parsed: tuple[str, dict[str, Any]]) -> None:
    _, found = parsed
    assert not HEAVY & set(found["modules"])


def test_the_dag_file_is_read_quickly(tmp_path: Path) -> None:
    """The scheduler reads it every half minute."""
    for file in sorted(DAG_FILE.parent.glob("*.py")):
        assert any(float(airflow_python(TIME, file, tmp_path)) < PARSE_SECONDS for _ in range(3)), file.name


def test_an_unknown_profile_is_named_in_the_import_error(tmp_path: Path) -> None:
    found = json.loads(airflow_python(DESCRIBE, DAG_FILE.parent, tmp_path, TIERING_PROFILE="nobody"))
    assert found["dags"] == {}
    assert len(found["errors"]) == 2
    for problem in found["errors"].values():
        assert "unknown profile 'nobody'" in problem
        assert "sample" in problem


def executed_plugins(folder: Path, home: Path) -> list[str]:
    errors, executed = json.loads(
        airflow_python(PLUGINS, folder, home, AIRFLOW__CORE__PLUGINS_FOLDER=str(folder), PYTHONPATH=str(folder))
    )
    assert errors == {}
    return list(executed)


def test_airflow_takes_nothing_of_the_package_for_a_plugin(tmp_path: Path) -> None:
    """Airflow executes what lies in the plugins folder; the package is only there to be imported."""
    assert executed_plugins(ROOT / "plugins", tmp_path) == ["tiering_page.py"]


def test_the_page_is_imported_by_its_first_request_only(tmp_path: Path) -> None:
    """Every process of Airflow executes the plugin, and only the API server answers requests."""
    found = json.loads(airflow_python(PAGE, ROOT / "plugins", tmp_path))
    assert found["apps"] == [["/tiering", "Customer tiers"]]
    assert found["views"] == [["customer-tiers", "/tiering/"]]
    assert found["modules"] == []


def test_the_ignore_patterns_are_what_keeps_the_package_out(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    for name in ("customer_tiering", "customer_tiering/nightly", "customer_tiering.egg-info"):
        (folder / name).mkdir(parents=True)
        (folder / name / f"probe_{len(name)}.py").write_text("", encoding="utf-8")
    assert len(executed_plugins(folder, tmp_path)) == 3
    shutil.copy(ROOT / "plugins" / ".airflowignore", folder)
    (folder / "real_plugin.py").write_text("", encoding="utf-8")
    assert executed_plugins(folder, tmp_path) == ["real_plugin.py"]
