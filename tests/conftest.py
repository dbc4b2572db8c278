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


# Begun first, so that the test processes end at about the same time (make test keeps this order).
_LONGEST = (
    "test_effective_tiers",
    "test_identity",
    "test_kill_recovery",
    "test_churn",
    "test_run_command",
    "test_quarantine_release",
    "test_held_nights",
    "test_sample_company_night",
    "test_report",
    "test_schemes",
    "test_currencies",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules of many nights first; the others stay as they are."""
    items.sort(key=lambda item: _LONGEST.index(item.path.stem) if item.path.stem in _LONGEST else len(_LONGEST))
