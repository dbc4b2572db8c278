"""Manual tiers are checked against the profile's schemes, decided by command or taken over from a table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from customer_tiering.company.profile import load_profile
from customer_tiering.company.workspace import project_root
from customer_tiering.decisions.overrides import Override, end_override, read_overrides, set_overrides
from customer_tiering.errors import DecisionError, RulesError
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.overrides import check_overrides, load_overrides, read_table, take_over_profile_table
from customer_tiering.rules.seeds import Row

HEADER = "customer_id,scheme,tier,owner,reason,valid_from,expires_on\n"
Load = Callable[[str], list[Row]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Reads a table of overrides from the sample profile's folder."""
    profiles = tmp_path / "profiles"
    (profiles / "sample").mkdir(parents=True)
    (profiles / "sample.yml").write_text((project_root() / "profiles" / "sample.yml").read_text("utf-8"), "utf-8")
    monkeypatch.setenv("TIERING_PROFILES", str(profiles))
    profile = load_profile("sample")
    rules = load_rules(profile)

    def load(text: str) -> list[Row]:
        path = profiles / "sample" / "overrides.csv"
        path.write_text(text, encoding="utf-8")
        return read_table(path, rules, [])

    return load


def test_good_overrides_load(load: Load) -> None:
    rows = load(
        HEADER
        + "erp-1,account_360,key,Sales,flagship customer,2026-01-01,2026-06-30\n"
        + "erp-1,account_360,strategic,Sales,new contract,2026-07-01,2026-07-01\n"
        + "erp-1,profit_potential_loyalty,high/important/loyal,Sales,pilot,2026-01-01,2026-06-30\n"
    )
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("erp-1,account,key,S,r,2026-01-01,2026-06-30", "overrides.csv:2: unknown scheme 'account'; there are "),
        (
            "erp-1,account_360,gold,S,r,2026-01-01,2026-06-30",
            "overrides.csv:2: unknown tier 'gold' of scheme account_360",
        ),
        ("erp-1,account_360,pending,S,r,2026-01-01,2026-06-30", "overrides.csv:2: unknown tier 'pending'"),
        ("erp-1,account_360,key,,r,2026-01-01,2026-06-30", "overrides.csv:2: owner is empty"),
        ("erp-1,account_360,key,S,,2026-01-01,2026-06-30", "overrides.csv:2: reason is empty"),
        ("erp-1,account_360,key,S,r,2026-01-01,", "overrides.csv:2: expires_on is empty"),
        ("erp-1,account_360,key,S,r,01/01/2026,2026-06-30", "overrides.csv:2: valid_from is '01/01/2026'; write a day"),
        ("erp-1,account_360,key,S,r,2026-06-30,2026-02-30", "overrides.csv:2: expires_on is '2026-02-30'; write a day"),
        ("erp-1,account_360,key,S,r,2026-06-30,2026-06-29", "overrides.csv:2: expires_on 2026-06-29 is before "),
        (
            "erp-1,account_360,key,S,r,2026-01-01,2026-06-30\nerp-1,account_360,standard,S,r,2026-06-30,2026-07-30",
            "overrides.csv:3: customer erp-1 has another tier of account_360 by hand until 2026-06-30 (line 2)",
        ),
    ],
)
def test_each_mistake_has_its_message(load: Load, lines: str, problem: str) -> None:
    with pytest.raises(RulesError) as caught:
        load(HEADER + lines + "\n")
    assert problem in caught.value.problem
    assert "nothing was taken over" in caught.value.next_step


def test_another_header_is_refused(load: Load) -> None:
    with pytest.raises(RulesError, match="the header is customer,tier; expected customer_id,scheme,tier"):
        load("customer,tier\nerp-1,key\n")


# --- decided by command -----------------------------------------------------------------------------------------------


def row(
    customer: str = "erp-1", tier: str = "key", first: str = "2026-01-01", last: str = "2026-06-30"
) -> dict[str, Any]:
    return {
        "customer_id": customer, "scheme": "account_360", "tier": tier, "owner": "Sales", "reason": "flagship",
        "valid_from": date.fromisoformat(first), "expires_on": date.fromisoformat(last),
    }  # fmt: skip


def fits(overrides: list[Override]) -> list[str]:
    return check_overrides(overrides, load_rules(load_profile("sample")))


def test_overrides_are_numbered_kept_and_said_once(tmp_path: Path) -> None:
    first, second = set_overrides(tmp_path, [row(), row("erp-2", "strategic")], fits)
    assert (first.override_id, second.override_id) == ("O-0001", "O-0002")
    assert set_overrides(tmp_path, [row()], fits) == [], "said before"
    (third,) = set_overrides(tmp_path, [row("erp-3")], fits)
    assert third.override_id == "O-0003"
    assert read_overrides(tmp_path) == [first, second, third]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (row(tier="gold"), r"O-0003 \(erp-1\): unknown tier 'gold'"),
        (
            row(first="2026-06-30", last="2026-07-30"),
            r"another tier of account_360 by hand until 2026-06-30 \(O-0001\)",
        ),
        (row("erp-2", last="2025-12-31"), "is before valid_from"),
        (row("erp-2") | {"owner": " "}, "needs an owner and a reason"),
    ],
)
def test_what_does_not_fit_is_not_added(given: dict[str, Any], problem: str, tmp_path: Path) -> None:
    before = set_overrides(tmp_path, [row()], fits)
    with pytest.raises(DecisionError, match=problem):
        set_overrides(tmp_path, [row("erp-9"), given], fits)
    assert read_overrides(tmp_path) == before, "all of a batch or nothing"


def test_an_override_ends_by_another_line(tmp_path: Path) -> None:
    set_overrides(tmp_path, [row(), row("erp-2")], fits)
    end_override(tmp_path, "O-0001", last_day=date(2026, 3, 31), owner="Li", reason="lost")
    end_override(tmp_path, "O-0001", last_day=date(2026, 5, 31), owner="Li", reason="later is no longer possible")
    end_override(tmp_path, "O-0002", last_day=date(2025, 12, 31), owner="Li", reason="mistake")
    (left,) = read_overrides(tmp_path)
    assert (left.customer_id, left.expires_on) == ("erp-1", date(2026, 3, 31))
    set_overrides(tmp_path, [row("erp-1", "strategic", first="2026-04-01")], fits)
    assert len(set_overrides(tmp_path, [row("erp-2")], fits)) == 1, "what was ended can be set again"
    with pytest.raises(DecisionError, match="no manual tier O-0009"):
        end_override(tmp_path, "O-0009", last_day=date(2026, 3, 31), owner="Li", reason="x")


def test_the_table_of_version_0_1_is_taken_over_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told until the file is deleted; what was ended since is not set again."""
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("TIERING_PROFILES", str(tmp_path / "profiles"))
    (tmp_path / "profiles" / "sample").mkdir(parents=True)
    (tmp_path / "profiles/sample.yml").write_bytes((project_root() / "profiles/sample.yml").read_bytes())
    table = tmp_path / "profiles/sample/overrides.csv"
    table.write_text(HEADER + "erp-1,account_360,key,Sales,flagship,2026-01-01,2026-06-30\n", encoding="utf-8")
    profile = load_profile("sample")
    rules = load_rules(profile)
    for expected in (", 1 were taken over", "decision log now; delete that file"):
        warnings: list[str] = []
        take_over_profile_table(profile, rules, warnings)
        (warning,) = warnings
        assert expected in warning
        assert [override.override_id for override in load_overrides(profile, rules)] == ["O-0001"]
    end_override(profile.workspace.decisions, "O-0001", last_day=date(2025, 12, 31), owner="Li", reason="mistake")
    take_over_profile_table(profile, rules, [])
    assert load_overrides(profile, rules) == []


def test_an_override_whose_tier_is_gone_stops_the_night_with_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    profile = load_profile("sample")
    set_overrides(profile.workspace.decisions, [row(tier="gone")], lambda _all: [])
    with pytest.raises(RulesError, match=r"O-0001 \(erp-1\): unknown tier 'gone'"):
        load_overrides(profile, load_rules(profile))
