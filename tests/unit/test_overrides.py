"""Manual tiers are checked against the profile's schemes before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from customer_tiering.company.profile import load_profile
from customer_tiering.company.workspace import project_root
from customer_tiering.errors import RulesError
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.overrides import load_overrides
from customer_tiering.rules.seeds import Row

HEADER = "customer_id,scheme,tier,owner,reason,valid_from,expires_on\n"
Load = Callable[[str], list[Row]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads the overrides written to the sample profile's folder."""
    profiles = tmp_path / "profiles"
    (profiles / "sample").mkdir(parents=True)
    (profiles / "sample.yml").write_text((project_root() / "profiles" / "sample.yml").read_text("utf-8"), "utf-8")
    monkeypatch.setenv("TIERING_PROFILES", str(profiles))
    profile = load_profile("sample")
    rules = load_rules(profile)

    def load(text: str) -> list[Row]:
        (profiles / "sample" / "overrides.csv").write_text(text, encoding="utf-8")
        return load_overrides(profile, rules)

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
        ("erp-1,account_360,key,S,r,2026-06-30,2026-06-29", "overrides.csv:2: expires_on 2026-06-29 lies before "),
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
    assert "nothing was run" in caught.value.next_step


def test_another_header_is_refused(load: Load) -> None:
    with pytest.raises(RulesError, match="the header is customer,tier; expected customer_id,scheme,tier"):
        load("customer,tier\nerp-1,key\n")
