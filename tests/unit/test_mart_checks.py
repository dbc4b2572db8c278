"""Mart checks: an empty or contradictory mart is not published; a strange one is, with a warning."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import GateBlocked, TieringError
from customer_tiering.publish import snapshot
from customer_tiering.release.mart_checks import check_marts, mart_suites

FIRST, SECOND = date(2024, 3, 30), date(2024, 3, 31)
# Half of the customers in each tier, spends around 10 000.
USUAL: dict[str, Any] = {"customers": 100, "strategic": 50, "spend": 10_000}


class Company:
    """A warehouse whose marts are made by hand, and its published snapshots."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root / "acme")
        self.workspace.make()
        self.connection = duckdb.connect(str(self.workspace.warehouse))
        self.connection.execute("create schema marts")

    def build(self, night: date, *, customers: int, strategic: int, spend: int, zero: int = 0) -> None:
        """``strategic`` of the customers are strategic, the others key; the last ``zero`` spent nothing."""
        people = f"(select 'c' || range as customer_id, range as number from range({customers}))"
        amount = f"case when number >= {customers - zero} then 0 else {spend} * (1 + number % 7 / 10) end"
        for name, columns in {
            "dim_customers": "customer_id",
            "fct_customer_tiers": "customer_id, 's' as scheme, date '{night}' as as_of_date, "
            f"case when number < {strategic} then 'strategic' else 'key' end as effective_tier",
            "fct_customer_indicators": "customer_id, date '{night}' as as_of_date, "
            f"cast({amount} as decimal(18, 2)) as annual_spend, 'measured' as annual_spend_status",
            "fct_audit_sample": "customer_id, 's' as scheme, date '{night}' as as_of_date, 'score' as item, "
            "cast(95.5 as decimal(30, 12)) as published_value, cast(90 as decimal(30, 12)) as recomputed_value, "
            "cast(null as varchar) as published_level, cast(null as varchar) as recomputed_level, "
            "'agrees' as status",
        }.items():
            self.connection.execute(
                f"create or replace table marts.{name} as select {columns.format(night=night)} from {people}"
            )

    def audit(self, night: date = SECOND) -> list[str]:
        return check_marts(
            self.connection,
            self.workspace,
            night,
            results_dir=self.workspace.reports / "data_docs",
            run_time=datetime(2024, 4, 1, tzinfo=UTC),
        )

    def publish(self, night: date) -> None:
        manifest = snapshot.Manifest("acme", str(night), "r", "", "", "", "s", "CNY", {})
        snapshot.publish(self.connection, self.workspace, manifest, keep=3)

    def blocked(self) -> GateBlocked:
        with pytest.raises(GateBlocked) as held:
            self.audit()
        return held.value


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """The first night is published."""
    made = Company(tmp_path)
    made.build(FIRST, **USUAL)
    assert made.audit(FIRST) == []
    made.publish(FIRST)
    yield made
    made.connection.close()


def test_a_usual_night_passes_without_a_word_and_leaves_data_docs(company: Company) -> None:
    company.build(SECOND, **USUAL)
    assert company.audit() == []
    assert (company.workspace.reports / "data_docs" / "marts" / "docs" / "index.html").is_file()


def test_an_absurd_spend_names_its_customer(company: Company) -> None:
    company.build(SECOND, **USUAL)
    company.connection.execute(
        "update marts.fct_customer_indicators set annual_spend = annual_spend * 1000000 where customer_id = 'c17'"
    )
    absurd = [warning for warning in company.audit() if "spend_absurd" in warning]
    assert len(absurd) == 1
    assert absurd[0].endswith("1 of 100 rows (c17)")


@pytest.mark.parametrize(("spend", "status"), [("0", "missing"), ("null", "measured")])
def test_a_zero_that_could_stand_for_unknown_is_not_published(spend: str, status: str, company: Company) -> None:
    company.build(SECOND, **USUAL)
    company.connection.execute(
        f"update marts.fct_customer_indicators set annual_spend = {spend}, annual_spend_status = '{status}' "
        "where customer_id in ('c1', 'c2')"
    )
    held = company.blocked()
    assert "spend_never_silently_zero" in held.problem
    assert "2 of 100 rows (c1, c2)" in held.problem
    assert "waive marts.fct_customer_indicators.spend_never_silently_zero" not in held.next_step


def test_a_figure_that_was_computed_otherwise_names_customer_and_item(company: Company) -> None:
    company.build(SECOND, **USUAL)
    company.connection.execute("update marts.fct_audit_sample set status = 'differs' where customer_id = 'c17'")
    held = company.blocked()
    assert "rule marts.fct_audit_sample.figures_agree" in held.problem
    assert "c17: score of s is 95.5, computed again 90" in held.problem
    assert "fct_audit_sample where status = 'differs'" in held.next_step and "quarantine" not in held.next_step

    company.build(SECOND, **USUAL)
    company.connection.execute("delete from marts.fct_audit_sample")
    (warning,) = company.audit()
    assert "nobody has a tier" in warning, "a company without tiers has nothing to compute again"


@pytest.mark.parametrize("mart", ["dim_customers", "fct_customer_tiers", "fct_customer_indicators"])
def test_an_empty_mart_is_never_published(mart: str, tmp_path: Path) -> None:
    first = Company(tmp_path)
    first.build(FIRST, **USUAL)
    first.connection.execute(f"delete from marts.{mart}")
    held = first.blocked()
    assert f"rule marts.{mart}.not_empty" in held.problem
    assert "not_empty" not in held.next_step
    first.connection.close()


def test_a_missing_mart_is_an_error(company: Company) -> None:
    company.connection.execute("drop table marts.dim_customers")
    with pytest.raises(TieringError, match=r"mart dim_customers: rule marts\.dim_customers\.not_empty could not be"):
        company.audit()


def test_every_published_mart_that_is_judged_must_not_be_empty() -> None:
    for suite in mart_suites():
        assert f"marts.{suite.entity}.not_empty" in {rule.rule for rule in suite.expectations}
        assert {rule.meta.on_failure for rule in suite.expectations} <= {"block", "warn"}
