"""Publishing under the eyes of readers: every read is whole and of one night. The heavy variant is a benchmark."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import asdict, replace
from types import ModuleType
from typing import Any

import duckdb
import pytest

from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.publish.snapshot import MANIFEST, Manifest, current_folder, publish

pytestmark = pytest.mark.slow

SMALL = {"publishes": 12, "readers": 3, "customers": 500, "idle_seconds": 0.0, "pause": 0.0}


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("publish_benchmark", project_root() / "benchmarks" / "publish.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def test_no_read_fails_and_no_read_mixes_nights(bench: ModuleType) -> None:
    figures = bench.measure(**SMALL)
    assert figures.errors == []
    assert (figures.failed, figures.mixed) == (0, 0)
    assert figures.reads_while_publishing > figures.readers
    assert figures.nights_seen > 2
    assert figures.sound


def test_a_publisher_that_writes_in_place_is_told_apart(bench: ModuleType) -> None:
    """The check can fail: the folder that readers have open is overwritten, its manifest last."""

    def in_place(connection: duckdb.DuckDBPyConnection, workspace: Workspace, manifest: Manifest) -> None:
        folder = current_folder(workspace)
        if folder is None:
            publish(connection, workspace, manifest, 7)
            return
        rows: dict[str, Any] = {}
        for mart in ("agg_tier_summary", "fct_customer_indicators", "fct_customer_tiers"):
            connection.execute(f"copy marts.{mart} to '{folder / mart}.parquet' (format parquet)")
            rows[mart] = connection.execute(f"select count(*) from marts.{mart}").fetchone()[0]  # type: ignore[index]
        (folder / MANIFEST).write_text(json.dumps(asdict(replace(manifest, rows=rows))))

    figures = bench.measure(**SMALL, publisher=in_place)
    assert figures.failed + figures.mixed > 0
    assert not figures.sound
    assert figures.errors
