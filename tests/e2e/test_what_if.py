"""What-if on a published night: other rules, other tiers, nothing touched."""

from __future__ import annotations

import csv
import hashlib
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_tiering.company.profile import Profile
from customer_tiering.errors import RulesError, TieringError
from customer_tiering.explain.what_if import RULES_OF_INDICATORS, Mover, WhatIf, _reweighted, what_if
from customer_tiering.publish.snapshot import checksums, current_folder
from customer_tiering.report.what_if import write_html, write_movers
from customer_tiering.rules.seeds import Row
from customer_tiering.warehouse.build import parsed_project
from nights import mart_rows, write_schemes

NIGHT = date(2026, 3, 30)


def fingerprint(profile: Profile) -> tuple[str, dict[str, str]]:
    folder = current_folder(profile.workspace)
    assert folder is not None
    return hashlib.sha256(profile.workspace.warehouse.read_bytes()).hexdigest(), checksums(folder)


@pytest.mark.slow
def test_the_same_rules_move_nobody(sample: Profile) -> None:
    (weight,) = mart_rows(
        sample.workspace,
        "select distinct weight_in_dimension as weight from fct_indicator_scores "
        "where scheme = 'account_value' and indicator = 'annual_spend'",
    )
    result = what_if(sample, None, [f"weights.account_value.annual_spend={weight['weight']}"], None)
    assert (result.scheme, result.as_of_date, result.movers) == ("account_value", str(NIGHT), [])
    assert all(shift.before == shift.after for shift in result.shifts)


@pytest.mark.slow
def test_other_bands_move_customers_and_touch_nothing(sample: Profile, tmp_path: Path) -> None:
    """With the edge of strategic at 0 every scored customer is strategic; warehouse and snapshot stay."""
    write_schemes(tmp_path / "schemes", account_value="tiers:\n  strategic: {when: '>= 0'}\n  key:\n  standard:\n")
    before = fingerprint(sample)
    result = what_if(sample, "account_value", [], tmp_path)
    assert fingerprint(sample) == before
    published = {
        row["tier"]: row["customers"]
        for row in mart_rows(
            sample.workspace,
            "select effective_tier as tier, count(*) as customers from fct_customer_tiers "
            "where scheme = 'account_value' group by 1",
        )
    }
    scored = sum(count for tier, count in published.items() if tier != "pending")
    assert {shift.tier: shift.before for shift in result.shifts if shift.before} == published
    pending = {tier: count for tier, count in published.items() if tier == "pending"}
    assert {shift.tier: shift.after for shift in result.shifts if shift.after} == {"strategic": scored} | pending
    assert len(result.movers) == scored - published.get("strategic", 0) > 10
    assert {mover.direction for mover in result.movers} == {"up"}
    spends = [mover.annual_spend or Decimal(0) for mover in result.movers]
    assert spends == sorted(spends, reverse=True)


@pytest.mark.slow
def test_rules_that_contradict_themselves_and_unknown_names_are_refused(sample: Profile, tmp_path: Path) -> None:
    with pytest.raises(TieringError, match="holds neither schemes/ nor seeds/"):
        what_if(sample, None, [], tmp_path)
    write_schemes(tmp_path / "schemes", account_value="tiers:\n  strategic: {when: '>= 50'}\n")
    with pytest.raises(RulesError, match=">= 75 comes after >= 50"):
        what_if(sample, None, [], tmp_path)
    with pytest.raises(RulesError, match="spend_window is 'forever'"):
        what_if(sample, None, ["settings.spend_window=forever"], None)
    for wrong, message in (
        ("weights.account_value.nps=0.5", "no single indicator"),
        ("weights.account_value.annual_spend=2", "leaves nothing"),
        ("settings.moon=full", "no setting 'moon'"),
        ("bands=5", "not understood"),
    ):
        with pytest.raises(TieringError, match=message):
            what_if(sample, None, [wrong], None)


@pytest.mark.slow
def test_a_setting_behind_the_indicators_computes_them_anew(sample: Profile) -> None:
    """Published spend is of 12 months; over the calendar year of 2025 it is another sum for most customers."""
    result = what_if(sample, "spend_abc", ["settings.spend_window=calendar_year"], None)
    assert result.movers
    assert {mover.reason.split(" ")[0] for mover in result.movers} == {"annual_spend"}


@pytest.mark.slow
def test_only_some_rules_lie_behind_the_indicators(sample: Profile) -> None:
    manifest = json.loads((parsed_project(sample) / "manifest.json").read_text(encoding="utf-8"))
    parents = {"model.customer_tiering.fct_customer_indicators", "model.customer_tiering.dim_customers"}
    while more := {name for parent in parents for name in manifest["parent_map"].get(parent, [])} - parents:
        parents |= more
    assert {name.split(".")[-1] for name in parents if ".rules." in name} == set(RULES_OF_INDICATORS)


@given(
    st.lists(st.integers(1, 1000), min_size=2, max_size=8),
    st.decimals("0.000001", "0.9", places=6, allow_nan=False),
)
def test_reweighted_dimensions_sum_to_exactly_one(parts: list[int], weight: Decimal) -> None:
    rows = [
        Row({"scheme": "s", "dimension": "d", "indicator": f"i{n}", "weight": str(part)}, Path("x.csv"), n)
        for n, part in enumerate(parts)
    ]
    changed = _reweighted(rows, "s", "i0", str(weight))
    assert sum(Decimal(row["weight"]) for row in changed) == 1
    assert Decimal(changed[0]["weight"]) == weight


def test_movers_are_written_safe_from_formulas(tmp_path: Path) -> None:
    mover = Mover("erp-1", "=cmd|' /C calc'!A0", "key", "strategic", "up", Decimal("1.5"), "annual_spend +1.00")
    write_movers(WhatIf("s", str(NIGHT), [], [mover]), tmp_path / "movers.csv")
    with (tmp_path / "movers.csv").open(encoding="utf-8-sig", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["customer_name"].startswith("'=")
    assert (row["customer_id"], row["annual_spend"]) == ("erp-1", "1.5")


def test_names_with_square_brackets_are_text(tmp_path: Path) -> None:
    """Not markup, which could fail, or become a link in the page."""
    for name in ("Acme [/x]", "[link=javascript:alert(1)]Acme[/link]"):
        mover = Mover("erp-1", name, "key", "strategic", "up", Decimal("1.5"), "annual_spend +1.00")
        write_html(WhatIf("s", str(NIGHT), [], [mover]), tmp_path / "movers.html")
        page = (tmp_path / "movers.html").read_text(encoding="utf-8")
        assert "<a " not in page
        assert name in page
