"""What is not known of a customer neither flatters nor harms it: the worked examples, from raw rows to marts."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.explain.explanation import explain
from customer_tiering.gate.quarantine import open_by_rule
from customer_tiering.publish.snapshot import DATABASE, current_folder
from customer_tiering.report.assessment import render_assessment
from customer_tiering.warehouse.connection import open_warehouse
from hand_made import CrmExport, bought_last_year, buys, indicator_scores, pays, published_night, tiers
from nights import ErpDatabase, mart_rows
from recomputing import read_schemes, recompute

pytestmark = pytest.mark.slow
RANKS = {100: "Top 10", 82: "前20名", 67: 50, 40: "新兴"}
MATCHES = {100: "0.9", 82: "0.7", 67: "0.5", 40: "0.4"}
LEVELS = {100: "国家重点行业", 82: "区域龙头企业", 67: "ordinary", 40: "非核心行业"}
PAID = {82: (19, 1), 67: (9, 1)}
# Scores of twenty others. With those of UNPAID (and PROMPT where risk is known) the means are 55, 61, 52, 70 and 70.
OTHERS = list(
    zip(
        [100] + [82] * 4 + [67] + [40] * 14,
        [82] * 2 + [67] * 11 + [40] * 7,
        [82] * 2 + [67] * 4 + [40] * 14,
        [82] * 4 + [67] * 16,
        strict=True,
    )
)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Twenty customers of whom all is known; three that bought 12 million each; one with a level that nobody knows."""
    root = tmp_path_factory.mktemp("evidence")
    erp, crm = ErpDatabase(root / "erp.sqlite"), CrmExport(root / "crm")
    erp.products(5)
    for number, (rank, match, level, paid) in enumerate(OTHERS):
        code = f"O{number:02}"
        erp.customer(code)
        pays(erp, code, buys(erp, code, "1000.00", "0.01"), *PAID[paid])
        bought_last_year(erp, code, "88000.00", "12000.00")
        crm.account(code, industry_rank=RANKS[rank], demand_match=MATCHES[match], strategic_level=LEVELS[level])
    for code, in_time, late in (("PROMPT", 20, 0), ("UNPAID", 0, 20), ("SILENT", 0, 0)):
        erp.customer(code)
        order = buys(erp, code, "12000000.00", "0.15")
        if code != "SILENT":
            pays(erp, code, order, in_time, late)
            bought_last_year(erp, code, "100000.00", "0.00")
    crm.account("UNPAID", industry_rank="Top 10", demand_match="0.9", strategic_level="国家重点行业")
    erp.customer("ODD")
    buys(erp, "ODD", "1000.00", "0.01")
    crm.account("ODD", industry_rank=1, strategic_level="神秘行业")
    crm.write()
    yield from published_night(root, "evidence", erp={"url": erp.url}, crm={"path": str(crm.folder)})


def test_a_dimension_without_evidence_counts_as_neutral(company: Workspace) -> None:
    """40 + 0.3 x (55 + 61) / 2 + 20 + 0.1 x 52 = 82.60, between 76 and 100, 60 % known: key, not strategic."""
    row = tiers(company, "account_360")["PROMPT"]
    assert (row["score"], row["score_low"], row["score_high"]) == (Decimal("82.60"), Decimal(76), Decimal(100))
    assert (row["coverage"], row["effective_tier"], row["limited_by"]) == (Decimal("0.6"), "key", None)
    scores = indicator_scores(company, "account_360", "PROMPT")
    unknown = {name: (line["score"], line["averaged_over"]) for name, line in scores.items() if line["averaged_over"]}
    assert unknown == {
        "industry_rank": (Decimal(55), 21),
        "demand_match": (Decimal(61), 21),
        "strategic_level": (Decimal(52), 21),
    }


def test_where_less_is_known_than_a_tier_needs_the_next_one_below_counts(company: Workspace) -> None:
    """Risk unknown too (average 70): 76.60 would be key, but only 40 % is known."""
    row = tiers(company, "account_360")["SILENT"]
    assert (row["score"], row["coverage"]) == (Decimal("76.60"), Decimal("0.4"))
    assert (row["effective_tier"], row["limited_by"]) == ("standard", "too_little_known")


def test_who_bought_ten_million_and_paid_nothing_on_time_is_not_strategic(company: Workspace) -> None:
    row = tiers(company, "account_360")["UNPAID"]
    assert (row["score"], row["coverage"]) == (Decimal(94), Decimal(1))
    assert (row["effective_tier"], row["limited_by"]) == ("standard", "needs_unmet")


def test_words_for_ranks_and_levels_are_read_and_an_unknown_level_breaks_a_rule(company: Workspace) -> None:
    """新兴 stands behind every rank; 神秘行业 is no level: its row waits, and what it said counts as unknown."""
    emerging = indicator_scores(company, "account_360", "O19")["industry_rank"]
    assert (emerging["raw_value"], emerging["score"]) == (Decimal(999_999), Decimal(40))
    top = indicator_scores(company, "account_360", "O00")["industry_rank"]
    assert (top["raw_value"], top["score"]) == (Decimal(10), Decimal(100))
    with open_warehouse(company) as connection:
        (waiting,) = open_by_rule(connection)
    assert (waiting["rows"], "strategic_level" in waiting["rule"]) == (1, True)
    odd = indicator_scores(company, "account_360", "ODD")
    assert {name: odd[name]["status"] for name in ("industry_rank", "strategic_level")} == {
        "industry_rank": "neutral",
        "strategic_level": "neutral",
    }


def test_every_total_follows_from_its_dimensions(company: Workspace) -> None:
    wrong = mart_rows(
        company,
        "select t.customer_id, t.scheme from fct_customer_tiers t join dim_schemes s using (scheme) "
        "join fct_dimension_scores d using (customer_id, scheme) where s.kind = 'weighted' and t.score is not null "
        "group by t.customer_id, t.scheme, t.score having sum(d.score * d.weight) <> t.score",
    )
    assert wrong == []


def told(company: Workspace, code: str) -> str:
    folder = current_folder(company)
    assert folder is not None
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(render_assessment(explain(folder, f"erp-{code}", "account_360"), "en"))
    return " ".join(console.export_text().split())


def test_an_explanation_says_what_is_unknown_and_what_it_could_change(company: Workspace) -> None:
    prompt = told(company, "PROMPT")
    assert "unknown, counted with the average 55.00 of 21 customers" in prompt
    assert "the score lies between 76 and 100" in prompt
    silent = told(company, "SILENT")
    assert "limited: too little is known" in silent
    assert "key needs coverage Coverage of at least 60.00%, it is 40.00%: standard" in silent
    assert "strategic needs on_time_payment_rate On-time payment rate of at least 95.00%, it is 0.00%" in told(
        company, "UNPAID"
    )
    assert "emerging 新兴" in told(company, "O19")


def test_the_strategy_of_the_potential_tier_depends_on_the_potential(company: Workspace, tmp_path: Path) -> None:
    """O19 is served at low cost; with its potential flagged as high it is cultivated."""
    row = tiers(company, "account_360")["O19"]
    assert (row["effective_tier"], row["is_high_potential"]) == ("potential", False)
    folder = current_folder(company)
    assert folder is not None
    assert explain(folder, "O19", "account_360").tier["strategy_en"].startswith("serve at low cost")
    flagged = shutil.copytree(folder, tmp_path / "flagged")
    with duckdb.connect(str(flagged / DATABASE)) as connection:
        connection.execute("update marts.fct_customer_tiers set is_high_potential = true")
    assert explain(flagged, "O19", "account_360").tier["strategy_zh"].startswith("重点培育")
    assert tiers(company, "account_360")["O00"]["is_high_potential"], "91 points for potential"


# --- every scheme, computed again by other code ---------------------------------------------------------------


def recomputed_wrongly(workspace: Workspace) -> tuple[list[Any], int]:
    """Customers whose score, coverage or tier differs from what scheme files and indicators give; and all compared."""
    with open_warehouse(workspace) as connection:
        kinds = dict(connection.execute("select customer_id, customer_kind from intermediate.int_customers").fetchall())
    customers = [
        row | {"customer_kind": kinds[row["customer_id"]]}
        for row in mart_rows(workspace, "select * from fct_customer_indicators")
    ]
    wrong: list[Any] = []
    compared = 0
    for name, said in read_schemes(project_root() / "schemes").items():
        if said["kind"] == "cluster":
            continue
        rows = mart_rows(workspace, "select * from fct_customer_tiers where scheme = ?", [name])
        found = {row["customer_id"]: row for row in rows}
        expected = recompute(said, customers)
        wrong += [(name, who) for who in found.keys() ^ expected.keys()]
        for who in found.keys() & expected.keys():
            score, coverage, tier = expected[who]
            row = found[who]
            same = row["score"] is None if score is None else abs((row["score"] or 0) - score) < Decimal("0.0000011")
            if not same or row["computed_tier"] != tier or abs(row["coverage"] - coverage) > Decimal("0.000001"):
                wrong.append((name, who, row["score"], score, row["computed_tier"], tier))
            compared += 1
    return wrong, compared


def test_every_scheme_of_a_company_with_gaps_agrees_with_an_independent_computation(company: Workspace) -> None:
    wrong, compared = recomputed_wrongly(company)
    assert wrong == []
    assert compared > 200


def test_every_scheme_of_the_sample_agrees_with_an_independent_computation(sample: Profile) -> None:
    wrong, compared = recomputed_wrongly(sample.workspace)
    assert wrong == []
    assert compared > 2000


def test_the_least_known_are_not_better_placed_than_the_best_known(sample: Profile) -> None:
    """Share of key and strategic in account_360, by how much of the weight is known."""
    rows = mart_rows(
        sample.workspace,
        "select case when coverage < 0.65 then 'little' when coverage <= 0.9 then 'part' else 'all' end as known, "
        "count(*) as customers, count(*) filter (where effective_tier in ('strategic', 'key')) as placed_high "
        "from fct_customer_tiers where scheme = 'account_360' and score is not null group by 1",
    )
    shares = {row["known"]: row["placed_high"] / row["customers"] for row in rows}
    assert shares["little"] <= shares["part"] <= shares["all"]
