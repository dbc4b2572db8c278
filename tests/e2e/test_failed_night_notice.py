"""A night that fails under Airflow tells operators which step failed and what to do, once a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nights import write_profile

pytestmark = [pytest.mark.slow, pytest.mark.full]


def test_a_failed_night_is_told_over_the_channels_that_work(tmp_path: Path) -> None:
    write_profile(
        tmp_path / "profiles",
        "shop",
        sources={"online_retail": {"path": str(tmp_path / "nowhere")}, "crm": {"path": str(tmp_path / "neither")}},
        channels={
            "file": {"url": "jsonl://localhost{workspace}/reports/alerts.jsonl"},
            "chat": {"connection": "sales_chat", "tries": 1},
        },
    )
    secret = "hunter2-hunter2-hunter2"
    environment = dict(os.environ) | {
        "TIERING_PROFILES": str(tmp_path / "profiles"),
        "TIERING_VAR": str(tmp_path / "var"),
        "AIRFLOW_CONN_SALES_CHAT": json.dumps(
            {"conn_type": "generic", "extra": {"url": f"hmac://:{secret}@127.0.0.1:1/"}}
        ),
    }
    command = [str(Path(sys.executable).with_name("tiering"))]

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments, "--profile", "shop"], env=environment, capture_output=True, text=True, check=False
        )

    assert call("run", "--as-of", "2011-01-05").returncode == 1
    lines = (tmp_path / "var" / "shop" / "reports" / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    (notice,) = map(json.loads, lines)  # two steps fail; the run is told once
    assert notice["title"] == "Night failed: shop, night of 2011-01-05"
    assert "does not exist" in notice["body"]
    assert "next step: check the path in the profile" in notice["body"]
    listed = json.loads(call("alerts", "list", "--json").stdout)
    assert {(row["channel"], row["state"], row["last_error"]) for row in listed} == {
        ("file", "sent", ""),
        ("chat", "failed", "the server refuses connections"),
    }
    written = [
        path for path in (tmp_path / "var").rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
    ]
    assert written == []
