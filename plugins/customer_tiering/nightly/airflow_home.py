"""The Airflow of a company on one machine: its settings and its metadata database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from customer_tiering.errors import TieringError
from customer_tiering.profile import Profile
from customer_tiering.workspace import project_root


def airflow_environment(profile: Profile) -> dict[str, str]:
    """Environment for Airflow's commands: everything under ``var/<profile>/airflow``, nothing calls home."""
    home = profile.workspace.airflow_home
    root = project_root()
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": os.environ.get("AIRFLOW__CORE__EXECUTOR", "LocalExecutor"),
        "AIRFLOW__CORE__PARALLELISM": os.environ.get("AIRFLOW__CORE__PARALLELISM", "4"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": os.environ.get(
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{home / 'airflow.db'}"
        ),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "TIERING_PROFILE": profile.name,
        # Steps take their profile, data folder and workspace from here too.
        "TIERING_HOME": str(root),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def airflow_command() -> str:
    return str(Path(sys.executable).with_name("airflow"))


def prepare_airflow(profile: Profile, log: Path) -> None:
    """Create or upgrade the metadata database and the warehouse pool, once per Airflow version.

    Raises ``TieringError`` with the log's place when Airflow refuses.
    """
    import importlib.metadata

    home = profile.workspace.airflow_home
    home.mkdir(parents=True, exist_ok=True)
    stamp = home / ".prepared"
    version = importlib.metadata.version("apache-airflow")
    if stamp.exists() and stamp.read_text() == version:
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    for arguments in (["db", "migrate"], ["pools", "set", "warehouse", "1", "one writer to the warehouse"]):
        with log.open("a", encoding="utf-8") as stream:
            done = subprocess.run(
                [airflow_command(), *arguments],
                env=airflow_environment(profile),
                stdout=stream,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise TieringError(f"airflow {' '.join(arguments)} failed with exit code {done.returncode}", f"see {log}")
    stamp.write_text(version)
