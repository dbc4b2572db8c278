"""The tiers page, asked as Airflow serves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from customer_tiering.company.workspace import PROJECT_ROOT

# Serves the plugin's app by Airflow's own auth manager, and asks as nobody, as a reader and as someone without rights.
ASK = """
import json, sys
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.utils.db import initdb
from fastapi import FastAPI
from fastapi.testclient import TestClient

sys.path.insert(0, sys.argv[1])
import tiering_page

initdb()
manager = create_auth_manager()
manager.init()
root = FastAPI()
root.mount(tiering_page.PREFIX, tiering_page.page)
client = TestClient(root, follow_redirects=False)
answers = []
for role, path, accept in json.loads(sys.argv[2]):
    headers = {"accept": accept}
    if role != "nobody":
        token = manager.generate_jwt(SimpleAuthManagerUser(username="one", role=role if role != "none" else None))
        headers["authorization"] = f"Bearer {token}"
    answer = client.get("/tiering" + path, headers=headers)
    text = answer.text if "html" in answer.headers.get("content-type", "") else ""
    answers.append([answer.status_code, dict(answer.headers), text])
print(json.dumps(answers))
"""  # fmt: skip


def ask(home: Path, *questions: tuple[str, str, str]) -> list[tuple[int, dict[str, str], str]]:
    """Status, headers and page of each (role, path, accepted type); ``home`` is a folder for an Airflow of its own.

    The page shows the company of ``TIERING_PROFILE``.
    """
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(PROJECT_ROOT / "plugins"), json.dumps(questions)],
        env={name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
            "AIRFLOW__API_AUTH__JWT_SECRET": "only for this test, and long enough for the algorithm that is used by it",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [tuple(answer) for answer in json.loads(done.stdout.strip().splitlines()[-1])]
