"""The audit sample: figures computed again from raw rows agree, and one that was made wrong keeps the night back."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_tiering.company.profile import Profile
from customer_tiering.errors import GateBlocked
from customer_tiering.publish.snapshot import DATABASE, current_folder
from customer_tiering.release.mart_checks import check_marts
from customer_tiering.report.page import render_report
from customer_tiering.report.tables import AUDIT, fill
from customer_tiering.report.words import Words
from customer_tiering.warehouse.build import run_dbt
from nights import mart_rows

pytestmark = pytest.mark.slow
SCHEME = "account_360"
RUN = ["run", "--select", "audit", "fct_audit_sample"]


@pytest.fixture
def side_copy(sample: Profile, tmp_path: Path) -> Path:
    """A copy of the warehouse whose figures a test may make wrong."""
    return Path(shutil.copy(sample.workspace.warehouse, tmp_path / "warehouse.duckdb"))


def gate(sample: Profile, warehouse: Path, results: Path) -> list[str]:
    """What the gate on the marts says of a warehouse."""
    with duckdb.connect(str(warehouse)) as connection:
        (night,) = one(connection, "select max(as_of_date) from marts.fct_audit_sample")
        return check_marts(
            connection, sample.workspace, night, results_dir=results, run_time=datetime(2026, 4, 1, tzinfo=UTC)
        )


def one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row


def test_every_figure_that_is_computed_again_agrees(sample: Profile) -> None:
    rows = mart_rows(sample.workspace, "select scheme, item, status, customer_id from fct_audit_sample")
    assert {row["status"] for row in rows} == {"agrees", "not_recomputed"}
    assert {row["item"] for row in rows if row["scheme"] == SCHEME and row["status"] == "agrees"} == {
        *("annual_spend", "profit_margin", "industry_rank", "demand_match", "churn_rate", "on_time_payment_rate"),
        *("strategic_level", "score", "tier"),
    }
    tiers = mart_rows(
        sample.workspace,
        "select t.scheme, d.tier_rank, count(*) as customers from fct_customer_tiers t "
        "join dim_tiers d on t.scheme = d.scheme and t.effective_tier = d.tier group by all",
    )
    best: dict[str, tuple[int, int]] = {}
    for tier in tiers:
        best[tier["scheme"]] = min(best.get(tier["scheme"], (99, 0)), (tier["tier_rank"], tier["customers"]))
    sampled = {
        scheme: len({row["customer_id"] for row in rows if row["scheme"] == scheme})
        for scheme in {row["scheme"] for row in rows}
    }
    assert sampled == {scheme: -(-customers // 10) for scheme, (_, customers) in best.items()}


def test_everybody_agrees_when_everybody_is_sampled(sample: Profile, side_copy: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(side_copy)) as connection:
        connection.execute("update rules.settings set value = '1' where setting = 'audit_share'")
        connection.execute("update rules.settings set value = '10000' where setting = 'audit_max_customers'")
        # The sample is of the best tier: while it is drawn, all are.
        connection.execute("create table ranks_aside as from rules.tiers")
        connection.execute("update rules.tiers set tier_rank = 1")
    run_dbt(sample, ["run", "--select", "audit_customers"], tmp_path, warehouse=side_copy)
    with duckdb.connect(str(side_copy)) as connection:
        connection.execute("create or replace table rules.tiers as from ranks_aside")
    run_dbt(sample, [*RUN, "--exclude", "audit_customers"], tmp_path, warehouse=side_copy)
    with duckdb.connect(str(side_copy)) as connection:
        found = connection.execute("select * from marts.fct_audit_sample where status = 'differs'").fetchall()
        assert found == []
        (customers,) = one(
            connection, f"select count(distinct customer_id) from marts.fct_audit_sample where scheme = '{SCHEME}'"
        )
    assert customers > 80


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        ("update marts.fct_customer_tiers set score = score + 1 where scheme = '{scheme}'", "score of"),
        (
            "update intermediate.int_scores_wide set annual_spend = annual_spend + 0.01 where true",
            "annual_spend of",
        ),
        ("update marts.fct_customer_tiers set computed_tier = 'potential' where scheme = '{scheme}'", "tier of"),
        # An order that the models overlooked: it lies in the raw rows only.
        (
            "insert into input_layer.orders by name select * replace ('planted' as order_id, 1 as net_amount) from "
            "input_layer.orders where status = 'confirmed' and customer_id in (select source_customer_id "
            "from marts.bridge_customer_ids where customer_id = '{customer}') "
            "and ordered_on between '2025-06-01' and '2026-01-31' limit 1",
            "annual_spend of",
        ),
    ],
    ids=["score", "indicator", "tier", "overlooked order"],
)
def test_a_planted_wrong_figure_keeps_the_night_back(
    plant: str, said: str, sample: Profile, side_copy: Path, tmp_path: Path
) -> None:
    with duckdb.connect(str(side_copy)) as connection:
        (customer,) = one(connection, f"select min(customer_id) from marts.fct_audit_sample where scheme = '{SCHEME}'")
        before = current_folder(sample.workspace)
        done = plant.format(scheme=SCHEME, customer=customer)
        if done.startswith("update"):
            done += f" and customer_id = '{customer}'"
        assert one(connection, done) == (1,), "nothing was planted"
    run_dbt(sample, RUN, tmp_path, warehouse=side_copy)
    with pytest.raises(GateBlocked) as held:
        gate(sample, side_copy, tmp_path)
    assert "rule marts.fct_audit_sample.figures_agree" in held.value.problem
    assert f"{customer}: {said} {SCHEME} is " in held.value.problem
    assert ", computed again " in held.value.problem
    assert "waive" not in held.value.next_step
    assert current_folder(sample.workspace) == before


def test_page_and_workbook_tell_the_sample(sample: Profile) -> None:
    folder = current_folder(sample.workspace)
    assert folder is not None
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        (night,) = one(connection, "select max(as_of_date) from fct_audit_sample")
        filled = fill(connection, AUDIT, SCHEME, night)
        counted = one(
            connection,
            "select count(distinct customer_id), count(*), 0, 0 from fct_audit_sample "
            f"where scheme = '{SCHEME}' and status = 'agrees'",
        )
    assert filled is not None
    assert filled.rows[0][1:] == counted, "the headline scheme comes first"
    page = render_report(folder, None, Words("公司", "Company"), None)
    assert "Audit sample" in page and "抽样复算" in page
