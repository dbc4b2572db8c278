"""Decisions are appended, survive a crash and the loss of the warehouse, end by themselves and can be taken back."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from customer_tiering.decisions.quarantine import FILE, decide, read_decisions
from customer_tiering.errors import DecisionError

NIGHT = date(2026, 3, 10)


def waive(folder: Path, until: str, **what: object) -> str:
    what = {"source": "erp", "entity": "orders", "rule": "erp.orders.status_readable"} | what
    return decide(folder, "waive", owner="Li", reason="known", until=until, **what).decision_id


def test_decisions_are_numbered_and_come_back_as_they_were(tmp_path: Path) -> None:
    assert read_decisions(tmp_path).all == ()
    first = decide(
        tmp_path, "release", owner=" 李雷 ", reason="checked\nby  phone", source="erp", entity="orders",
        rows=(("1.0:5", "erp.orders.net_amount_outlier"),),
    )  # fmt: skip
    second = decide(tmp_path, "reject_load", owner="Wu", reason="half", source="erp", entity="orders", loads=("2.0",))
    assert (first.decision_id, second.decision_id) == ("D-0001", "D-0002")
    assert (first.owner, first.reason) == ("李雷", "checked by phone")
    assert read_decisions(tmp_path).all == (first, second)


@pytest.mark.parametrize(("owner", "reason"), [("", "why"), ("who", " \n"), (" ", "")])
def test_owner_and_reason_must_be_given(owner: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DecisionError, match="owner and a reason"):
        decide(tmp_path, "waive", owner=owner, reason=reason)
    assert not (tmp_path / FILE).exists()


def test_a_waiver_holds_up_to_its_last_night(tmp_path: Path) -> None:
    waive(tmp_path, "2026-03-10")
    decisions = read_decisions(tmp_path)
    rule = "erp.orders.status_readable"
    assert [len(decisions.waivers(rule, date(2026, 3, day))) for day in (9, 10, 11)] == [1, 1, 0]
    assert decisions.waivers("erp.orders.other", NIGHT) == []


def test_only_a_waiver_without_a_key_is_for_the_whole_rule(tmp_path: Path) -> None:
    rule = "erp.orders.status_readable"
    waive(tmp_path, "2026-03-31", key={"order_no": "SO1"})
    assert read_decisions(tmp_path).whole_rule_waived(rule, NIGHT) is None
    whole = waive(tmp_path, "2026-03-31")
    found = read_decisions(tmp_path).whole_rule_waived(rule, NIGHT)
    assert found is not None
    assert found.decision_id == whole


def test_a_decision_that_was_taken_back_counts_no_more(tmp_path: Path) -> None:
    taken_back, kept = waive(tmp_path, "2026-03-31"), waive(tmp_path, "2026-03-31")
    decide(tmp_path, "revoke", owner="Li", reason="mistake", revokes=taken_back)
    decisions = read_decisions(tmp_path)
    assert [decision.decision_id for decision in decisions.standing("waive")] == [kept]
    assert len(decisions.all) == 3, "nothing is removed"


def test_the_last_word_on_a_load_counts(tmp_path: Path) -> None:
    of = {"owner": "Li", "reason": "r", "source": "erp", "entity": "orders"}
    decide(tmp_path, "accept_load", loads=("1.0", "2.0"), **of)
    last = decide(tmp_path, "reject_load", loads=("2.0",), **of)
    decisions = read_decisions(tmp_path)
    assert set(decisions.loads("accept_load", "erp", "orders")) == {"1.0"}
    assert set(decisions.loads("reject_load", "erp", "orders")) == {"2.0"}
    assert decisions.loads("reject_load", "erp", "order_lines") == {}
    decide(tmp_path, "revoke", owner="Li", reason="r", revokes=last.decision_id)
    assert set(read_decisions(tmp_path).loads("accept_load", "erp", "orders")) == {"1.0", "2.0"}


def test_a_line_that_a_crash_cut_off_is_as_if_never_written(tmp_path: Path) -> None:
    first = waive(tmp_path, "2026-03-31")
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + whole[:37])
    assert [decision.decision_id for decision in read_decisions(tmp_path).all] == [first]
    second = waive(tmp_path, "2026-04-30")
    assert (
        [decision.decision_id for decision in read_decisions(tmp_path).all] == [first, second] == ["D-0001", "D-0002"]
    )
    assert (tmp_path / FILE).read_bytes().startswith(whole)


def test_a_strange_line_end_in_a_value_does_not_split_it(tmp_path: Path) -> None:
    waive(tmp_path, "2026-03-31", key={"order_no": "a\u2028b\x85c"})
    (decision,) = read_decisions(tmp_path).all
    assert decision.key == {"order_no": "a\u2028b\x85c"}


@pytest.mark.parametrize("broken", ["{", "[]", '{"kind": "waive"}', '{"unknown": 1}', "until"])
def test_a_broken_line_is_named(broken: str, tmp_path: Path) -> None:
    waive(tmp_path, "2026-03-31")
    path = tmp_path / FILE
    if broken == "until":
        broken = json.dumps(json.loads(path.read_text()) | {"until": "soon"})
    path.write_text(path.read_text() + broken + "\n")
    with pytest.raises(DecisionError, match=r"quarantine\.jsonl, line 2 cannot be read"):
        read_decisions(tmp_path)


def test_the_file_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "decisions"
    waive(folder, "2026-03-31")
    assert (folder / FILE).stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0
