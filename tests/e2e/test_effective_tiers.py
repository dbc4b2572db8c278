"""Effective tiers over nights: missed nights, corrections, changed rules, manual tiers, a replay and its promotion."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_tiering.company.profile import load_profile
from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import GateBlocked, OrderError, PublishError
from customer_tiering.explain.explanation import explain
from customer_tiering.operate.replay import Replay, promote, replay
from customer_tiering.publish.snapshot import checksums, current_folder, folder_of
from nights import ErpDatabase, mart_rows, run_night, write_profile

pytestmark = pytest.mark.slow

D1 = date(2026, 3, 2)
D2, D3, D4, D5 = (D1 + timedelta(days=number) for number in range(1, 5))
SCHEME = "spend_abc"
# Margins of 2 000, a dwell of a day, and no review: tiers move by spend alone.
STABILITY = """\
stability: {enter_margin: 2000, exit_margin: 2000, min_dwell_days: 1, idle_months:, review: none}
"""
BANDS = f"{STABILITY}tiers:\n  A: {{when: '> 110000'}}\n"
MANUAL = (
    "customer_id,scheme,tier,owner,reason,valid_from,expires_on\n"
    f"erp-MANUAL,{SCHEME},A,Sales,pilot project,{D4},{D4}\n"
    f"erp-NOBODY,{SCHEME},A,Sales,typing error,{D4},{D4}\n"
)


def build_erp(path: Path) -> ErpDatabase:
    """Spend before the nights, and orders on one of them; bands are A above 100 000, B from 50 000."""
    erp = ErpDatabase(path)
    erp.products(1)
    for code, before, day, amount in (
        ("UP", "90000.00", D2, "30000.00"),  # + 33 %: a trigger, on a night that one company misses
        ("HOLD", "95000.00", D2, "20000.00"),  # + 21 %: none
        ("NEAR", "70000.00", D2, "31000.00"),  # + 44 %, but within 2 000 of the edge
        ("EDGE", "105000.00", None, ""),  # A until the rules ask for more than 110 000
        ("LATE", "40000.00", None, ""),  # an order of D3 that arrives on D5
        ("MANUAL", "1000.00", None, ""),
    ):
        erp.customer(code)
        erp.order(f"{code}-0", code, "2025-06-01", [("P1", before, "1.00")])
        erp.order(f"{code}-old", code, "2024-12-01", [("P1", "1.00", "1.00")])
        if day is not None:
            erp.order(f"{code}-1", code, str(day), [("P1", amount, "1.00")])
    return erp


@dataclass
class Company:
    """A company of one test, with its nights."""

    name: str
    root: Path
    var: Path
    erp: ErpDatabase

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.var / self.name)

    def run(self, *nights: date) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TIERING_VAR", str(self.var))
            for night in nights:
                run_night(self.name, night, f"run-{night}")

    def write(self, name: str, text: str) -> None:
        path = self.root / "profiles" / self.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def changes(self) -> dict[str, list[tuple[Any, ...]]]:
        """Moves by customer: night, tiers, reason, cause."""
        result: dict[str, list[tuple[Any, ...]]] = {}
        for row in mart_rows(
            self.workspace,
            "select * from fct_tier_changes where scheme = ? and from_tier is not null order by as_of_date",
            [SCHEME],
        ):
            move = (row["as_of_date"], row["from_tier"], row["to_tier"], row["reason"], row["cause"])
            result.setdefault(row["customer_id"].removeprefix("erp-"), []).append(move)
        return result

    def tiers(self) -> dict[str, tuple[str, str, str]]:
        """Computed tier, effective tier and reason by customer."""
        rows = mart_rows(self.workspace, "select * from fct_customer_tiers where scheme = ?", [SCHEME])
        return {
            row["customer_id"].removeprefix("erp-"): (row["computed_tier"], row["effective_tier"], row["reason"])
            for row in rows
        }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("effective")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_VAR", str(root / "var"))
        patch.setenv("TIERING_PROFILES", str(root / "profiles"))
        yield root


def company(root: Path, name: str) -> Company:
    erp = build_erp(root / f"{name}.sqlite")
    write_profile(root / "profiles", name, sources={"erp": {"url": erp.url}}, headline_scheme=SCHEME)
    made = Company(name, root, root / "var", erp)
    made.write("schemes/spend_abc.yml", STABILITY)
    return made


@pytest.fixture(scope="module")
def first(root: Path) -> Company:
    """After its first night."""
    made = company(root, "company")
    made.run(D1)
    return made


@pytest.fixture(scope="module")
def missing(first: Company) -> Company:
    """D2 was missed: a copy of the company goes from the first night to the third."""
    made = replace(first, var=first.root / "missing")
    shutil.copytree(first.var, made.var, symlinks=True)
    made.run(D3)
    return made


@pytest.fixture(scope="module")
def unbroken(first: Company, missing: Company) -> Company:
    """Every night run, up to D3."""
    first.run(D2, D3)
    return first


@pytest.fixture(scope="module")
def later(unbroken: Company) -> Company:
    """Changed rules and a manual tier on D4; on D5 an order of D3 comes late and the manual tier has expired."""
    unbroken.write("schemes/spend_abc.yml", BANDS)
    unbroken.write("overrides.csv", MANUAL)
    unbroken.run(D4)
    unbroken.erp.order("LATE-1", "LATE", str(D3), [("P1", "15000.00", "1.00")], updated_at=f"{D5} 08:00:00")
    unbroken.run(D5)
    return unbroken


def test_missed_nights_give_the_history_of_an_unbroken_row(missing: Company, unbroken: Company) -> None:
    """The nights' own figures decide: UP moves on the night that was missed, the others stay for their reasons."""
    assert missing.changes() == unbroken.changes() == {"UP": [(D2, "B", "A", "spend_change", "data")]}
    assert missing.tiers() == unbroken.tiers()
    assert unbroken.tiers() == {
        "UP": ("A", "A", "unchanged"),
        "HOLD": ("A", "B", "no_trigger"),
        "NEAR": ("A", "B", "within_margin"),
        "EDGE": ("A", "A", "unchanged"),
        "LATE": ("C", "C", "unchanged"),
        "MANUAL": ("C", "C", "unchanged"),
    }
    kinds = "select as_of_date, kind from fct_nights order by 1"
    assert [row["kind"] for row in mart_rows(missing.workspace, kinds)] == ["run", "caught_up", "run"]
    assert [row["kind"] for row in mart_rows(unbroken.workspace, kinds)] == ["run", "run", "run"]
    history = "select * from fct_tier_history order by all"
    assert mart_rows(missing.workspace, history) == mart_rows(unbroken.workspace, history)


def test_each_change_has_its_cause(later: Company) -> None:
    assert later.changes() == {
        "UP": [(D2, "B", "A", "spend_change", "data")],
        "EDGE": [(D4, "A", "B", "rules_changed", "rule_change")],
        "LATE": [(D5, "C", "B", "spend_change", "correction")],
        "MANUAL": [(D4, "C", "A", "override", "override"), (D5, "A", "C", "override_ended", "override")],
    }
    (late,) = mart_rows(later.workspace, "select * from fct_tier_changes where customer_id = 'erp-LATE' and scheme = ? "
                        "and from_tier = 'C'", [SCHEME])  # fmt: skip
    assert (late["from_score"], late["to_score"]) == (40_000, 55_000)
    assert (late["data_points"], late["correction_points"], late["rule_points"]) == (0, 15_000, 0)
    overrides = {
        row["customer_id"]: row["status"] for row in mart_rows(later.workspace, "select * from fct_tier_overrides")
    }
    assert overrides == {"erp-MANUAL": "expired", "erp-NOBODY": "expired"}
    (folder,) = (folder_of(later.workspace, D4),)
    explained = explain(folder, "MANUAL", SCHEME)
    assert (explained.tier["computed_tier"], explained.tier["effective_tier"]) == ("C", "A")


def test_an_earlier_night_can_be_explained_while_it_is_kept(later: Company) -> None:
    folder = folder_of(later.workspace, D2)
    assert explain(folder, "UP", SCHEME).tier["effective_tier"] == "A"
    assert explain(folder, "EDGE", SCHEME).tier["effective_tier"] == "A"
    with pytest.raises(PublishError, match=f"no snapshot of the night 2026-01-01 is kept; there are {D1}"):
        folder_of(later.workspace, date(2026, 1, 1))


@pytest.mark.full
def test_the_same_night_again_changes_nothing(later: Company) -> None:
    before = current_folder(later.workspace)
    assert before is not None
    expected = checksums(before)
    later.run(D5)
    after = current_folder(later.workspace)
    assert after is not None
    assert after != before
    assert checksums(after) == expected


@pytest.fixture(scope="module")
def replayed(later: Company) -> Replay:
    published = current_folder(later.workspace)
    result = replay(load_profile(later.name), D1)
    assert current_folder(later.workspace) == published
    return result


def test_a_replay_differs_only_where_the_past_was_corrected(replayed: Replay) -> None:
    """What was known in time is the same; the late order counts from its own day. Every change has a cause."""
    (scheme,) = (row for row in replayed.schemes if row.scheme == SCHEME)
    assert (scheme.only_published, scheme.only_replayed, scheme.tiers_differ) == (1, 1, 0)
    assert replayed.nights == 5
    assert sum(replayed.causes.values()) == sum(row.effective_moves for row in replayed.schemes)
    assert scheme.computed_moves > scheme.effective_moves - 2, "the two by hand are no moves of the score"
    others = [row for row in replayed.schemes if row.scheme != SCHEME]
    assert all(row.tiers_differ == 0 for row in others)


def test_a_promoted_replay_is_the_new_history(later: Company, replayed: Replay) -> None:
    base = current_folder(later.workspace)
    assert base is not None
    assert base.name == replayed.base
    with duckdb.connect(str(replayed.warehouse)) as side:
        kept = side.execute("select * from marts.fct_audit_sample").fetchall()
        side.execute("update marts.fct_audit_sample set status = 'differs' where as_of_date = ?", [replayed.last])
        assert side.execute("select count(*) from marts.fct_audit_sample where status = 'differs'").fetchone() != (0,)
    with pytest.raises(GateBlocked, match="figures_agree"):
        promote(load_profile(later.name))
    assert current_folder(later.workspace) == base
    with duckdb.connect(str(replayed.warehouse)) as side:
        side.execute("delete from marts.fct_audit_sample")
        side.executemany(f"insert into marts.fct_audit_sample values ({', '.join('?' * len(kept[0]))})", kept)
    snapshot = promote(load_profile(later.name))
    assert current_folder(later.workspace) == snapshot.resolve()
    moved = later.changes()
    assert moved["LATE"] == [(D3, "C", "B", "spend_change", "data")]
    assert moved["EDGE"] == [(D4, "A", "B", "rules_changed", "rule_change")]
    with pytest.raises(OrderError, match="no finished replay"):
        promote(load_profile(later.name))
    with pytest.raises(OrderError, match="is not before the published night"):
        replay(load_profile(later.name), D1, D5 + timedelta(days=1))


@pytest.mark.full
def test_a_night_goes_on_from_a_promoted_replay(later: Company, replayed: Replay) -> None:
    """The last night once more: its state comes from the replayed history."""
    published = current_folder(later.workspace)
    if published is not None and published.name == replayed.base:  # where this test runs alone
        promote(load_profile(later.name))
    moved = later.changes()
    later.run(D5)
    assert later.changes() == moved
