"""One customer over all sources: decisions that last over nights."""

from __future__ import annotations

import re
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from customer_tiering.cli.main import app
from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import TieringError
from customer_tiering.identity.night import decide_identities
from customer_tiering.identity.store import DecisionStore
from customer_tiering.publish.snapshot import checksums, current_folder
from nights import mart_rows, run_night
from sample_company import company_state, generate_company

pytestmark = pytest.mark.slow


class Sample:
    """A generated company and its nights."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        state = company_state(self.root)
        assert state is not None
        self.first = state.until

    @property
    def root(self) -> Path:
        return self.workspace.root / "source"

    def bridge(self) -> dict[str, str]:
        """Customer by record."""
        return {
            row["own_id"]: row["customer_id"] for row in mart_rows(self.workspace, "select * from bridge_customer_ids")
        }


def invoke(*arguments: str) -> str:
    """Output of a command that succeeds."""
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def story(sample: Profile) -> dict[str, Any]:
    """Four nights of a company: decisions after the first, a reversal after the second, a lost warehouse before the
    fourth. What is known of each night."""
    made, told = Sample(sample.workspace), {}
    nights = [made.bridge()]

    def night(number: int) -> None:
        day: date = made.first + timedelta(days=number)
        generate_company(made.root, until=day)
        run_night("sample", day, f"n{number}")
        nights.append(made.bridge())

    (doubt, *_) = mart_rows(made.workspace, "select * from fct_identity_review order by review_rank")
    duplicate = next(
        row
        for row in mart_rows(made.workspace, "select * from bridge_customer_ids where method = 'fuzzy' order by own_id")
    )
    told |= {"doubt": doubt, "duplicate": duplicate, "made": made, "nights": nights}
    who = ("--owner", "test", "--reason", "known")
    told["merge"] = invoke("identity", "merge", doubt["right_customer_id"], doubt["left_customer_id"], *who)
    told["merge again"] = invoke("identity", "merge", doubt["left_customer_id"], doubt["right_customer_id"], *who)
    told["split"] = invoke("identity", "split", "crm", duplicate["source_customer_id"], *who)
    files = len(list(made.workspace.decisions.iterdir()))
    told["rerun"] = decide_identities(load_profile("sample"), made.first, made.workspace.root)
    told["files of the rerun"] = len(list(made.workspace.decisions.iterdir())) - files
    night(1)
    told["shown"] = invoke("identity", doubt["left_customer_id"])
    told["review"] = invoke("identity", "review")
    told["merge back"] = invoke("identity", "merge", duplicate["own_id"], duplicate["customer_id"], *who)
    loser = next(c for c in (doubt["left_customer_id"], doubt["right_customer_id"]) if nights[1][c] != c)
    told["loser"] = loser
    told["split back"] = invoke("identity", "split", *loser.split("-", 1), *who)
    night(2)
    return told


def test_a_merge_lasts_is_explained_and_can_be_taken_back(story: dict[str, Any]) -> None:
    doubt, nights, loser = story["doubt"], story["nights"], story["loser"]
    left, right = doubt["left_customer_id"], doubt["right_customer_id"]
    winner = right if loser == left else left
    assert (nights[0][left], nights[0][right]) == (left, right)
    assert (nights[1][left], nights[1][right]) == (winner, winner)
    assert (nights[2][left], nights[2][right]) == (left, right), "its former id came back"
    assert "from the next night on" in story["merge"]
    assert "decided before" in story["merge again"]
    assert "decided by a person" in story["shown"]
    assert "known" in story["shown"]
    assert not re.search(rf"{re.escape(left)}\b.*{re.escape(right)}\b", story["review"])


def test_a_split_wins_over_the_match_and_can_be_taken_back(story: dict[str, Any]) -> None:
    name, customer, nights = story["duplicate"]["own_id"], story["duplicate"]["customer_id"], story["nights"]
    assert [night[name] for night in nights] == [customer, name, customer]
    changed = {record for record, held in nights[0].items() if nights[1].get(record) != held}
    doubted = {story["doubt"]["left_customer_id"], story["doubt"]["right_customer_id"]}
    assert changed - {name} <= {record for record, held in nights[0].items() if held in doubted}


def test_a_decision_does_not_change_the_night_it_was_entered_after(story: dict[str, Any]) -> None:
    assert (story["rerun"].new, story["rerun"].moved) == (0, 0)
    assert story["files of the rerun"] == 0


def test_missing_decisions_stop_the_night(story: dict[str, Any], tmp_path: Path) -> None:
    """The warehouse remembers that there were decisions; giving ids again would hand them to others."""
    workspace: Workspace = story["made"].workspace
    away = tmp_path / "decisions"
    shutil.move(workspace.decisions, away)
    try:
        with pytest.raises(TieringError, match=r"decisions are missing.*the log 0"):
            decide_identities(load_profile("sample"), story["made"].first + timedelta(days=3), tmp_path)
    finally:
        shutil.rmtree(workspace.decisions, ignore_errors=True)
        shutil.move(away, workspace.decisions)


@pytest.mark.full
def test_a_lost_warehouse_changes_no_id(story: dict[str, Any]) -> None:
    """Everything is read again from the sources; the decisions come from their log."""
    made: Sample = story["made"]
    folder = current_folder(made.workspace)
    assert folder is not None
    before = checksums(folder)
    shutil.rmtree(made.workspace.warehouse.parent)
    shutil.rmtree(made.workspace.landing)
    run_night("sample", made.first + timedelta(days=2), "rebuilt")
    assert made.bridge() == story["nights"][2]
    folder = current_folder(made.workspace)
    assert folder is not None
    now = checksums(folder)
    for mart in ("bridge_customer_ids", "fct_identity_decisions", "fct_identity_review", "dim_customers"):
        assert now[mart] == before[mart], mart
    rows = DecisionStore(made.workspace.decisions).rows()
    published = mart_rows(made.workspace, "select decision_number from fct_identity_decisions")
    assert len(published) == sum(hasattr(row, "record_id") for row in rows)
