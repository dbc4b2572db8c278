"""The scoring benchmark runs, and its hand-written query still says what the engine says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from customer_tiering.company.workspace import project_root

pytestmark = pytest.mark.slow
SCRIPT = project_root() / "benchmarks" / "scoring.py"


def run_benchmark(*arguments: str, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    folders = [str(project_root() / "plugins"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    return subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False, env=environment
    )


def test_engine_and_hand_written_query_agree_on_every_score_and_tier() -> None:
    result = run_benchmark("--customers", "2000", "--repeats", "1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2,000 customers, 12 schemes" in result.stdout
    assert "verified: both give every customer the same score and tier in every scheme" in result.stdout
    assert "int_indicator_scores" in result.stdout


@pytest.mark.full
def test_a_query_with_another_edge_is_told_apart(tmp_path: Path) -> None:
    """The comparison can fail: the edge of one band given to the other side."""
    for name in ("scoring.py", "synthetic_indicators.sql"):
        (tmp_path / name).write_bytes((SCRIPT.parent / name).read_bytes())
    query = (SCRIPT.parent / "scoring_by_hand.sql").read_text(encoding="utf-8")
    moved = query.replace(
        "when on_time_payment_rate >= 0.95 then 'good'", "when on_time_payment_rate > 0.95 then 'good'"
    )
    assert moved != query
    (tmp_path / "scoring_by_hand.sql").write_text(moved, encoding="utf-8")
    result = run_benchmark("--customers", "2000", "--repeats", "1", script=tmp_path / "scoring.py")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "disagree" in result.stdout
    assert ", credit, 0.950000000000, 0.950000000000, good, watch" in result.stdout
