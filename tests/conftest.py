"""What every test shares: nothing calls home, nothing is written into the checkout."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")


@pytest.fixture(scope="session", autouse=True)
def parsed_project(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Companies with the same sources share what dbt parsed: that takes longer than the models of a small company."""
    os.environ["TIERING_DBT_CACHE"] = str(tmp_path_factory.mktemp("dbt"))
