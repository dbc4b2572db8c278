"""The real wholesaler's files: one load, then nights as increments, against a query written independently.

The files are not part of the project; point TIERING_ONLINE_RETAIL to their folder (it holds ``by-day/``), or
keep them at ../shared/data/online_retail. Without them a few hand-made days of the same shape take their place.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.gate.quarantine import open_by_rule
from customer_tiering.publish.snapshot import checksums, current_folder
from customer_tiering.warehouse.connection import open_warehouse
from nights import mart_rows, run_night

pytestmark = pytest.mark.slow
INDEPENDENT = Path(__file__).with_name("online_retail_independent.sql")
REAL = Path(os.environ.get("TIERING_ONLINE_RETAIL", project_root().parent / "shared" / "data" / "online_retail"))
REAL_NIGHTS = (date(2011, 8, 26), date(2011, 8, 28), date(2011, 8, 31))
HANDMADE_NIGHTS = (date(2011, 8, 26), date(2011, 8, 28))
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
HANDMADE = {
    "2011-08-01": """536365,85123A,HOLDER,6,2011-08-01 08:26:00,2.55,17850.0,United Kingdom
536365,85123A,HOLDER,6,2011-08-01 08:26:00,2.55,17850.0,United Kingdom
536365,POST,POSTAGE,1,2011-08-01 08:26:00,18.00,17850.0,United Kingdom
536366,71053,"LANTERN, WHITE",10,2011-08-01 09:00:00,3.39,,United Kingdom
536367,22727,CLOCK,4,2011-08-01 10:00:00,0.00,12583.0,France
""",
    "2011-08-26": """536400,22727,CLOCK,80995,2011-08-26 10:00:00,2.08,12583.0,France
536401,22727,CLOCK,24,2011-08-26 10:00:00,3.75,12583.0,France
C536402,85123A,HOLDER,-2,2011-08-26 11:00:00,2.55,17850.0,United Kingdom
536403,TEST001,TEST,1,2011-08-26 11:00:00,1.00,12583.0,France
""",
    "2011-08-28": """536500,22728,CLOCK PINK,500,2011-08-28 10:00:00,3.75,17850.0,United Kingdom
536501,22728,CLOCK PINK,-5,2011-08-28 10:00:00,3.75,12583.0,Norway
""",
}


@pytest.fixture(scope="module", params=["handmade", pytest.param("real", marks=pytest.mark.full)])
def files(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, tuple[date, ...]]]:
    root = tmp_path_factory.mktemp(f"shop_{request.param}")
    if request.param == "real":
        if not (REAL / "by-day").is_dir():
            pytest.skip("the wholesaler's files are not on this machine")
        data, nights = REAL, REAL_NIGHTS
    else:
        data, nights = root / "data", HANDMADE_NIGHTS
        (data / "by-day").mkdir(parents=True)
        for day, lines in HANDMADE.items():
            with gzip.open(data / "by-day" / f"{day}.csv.gz", "wt", encoding="utf-8") as stream:
                stream.write(HEADER + lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_VAR", str(root / "var"))
        patch.setenv("TIERING_DATA", str(data))
        yield data, nights


def independent(data: Path, as_of: date) -> dict[str, tuple[object, ...]]:
    rows = duckdb.execute(
        INDEPENDENT.read_text(encoding="utf-8"), {"files": f"{data}/by-day/*.csv.gz", "as_of": as_of}
    ).fetchall()
    return {customer: facts for customer, *facts in rows}


def published(workspace: Workspace) -> dict[str, list[object]]:
    return {
        row["source_customer_id"]: [row["last_order_on"], row["order_frequency"], row["cumulative_spend"]]
        for row in mart_rows(
            workspace,
            "select b.source_customer_id, d.last_order_on, i.order_frequency, i.cumulative_spend "
            "from dim_customers d join bridge_customer_ids b using (customer_id) "
            "join fct_customer_indicators i using (customer_id)",
        )
    }


def raw_counts(data: Path, as_of: date) -> dict[str, int]:
    """Lines that break each quarantine rule, counted on the raw files."""
    (row,) = duckdb.execute(
        """
        select count(*) filter (coalesce(CustomerID, '') = ''),
               count(*) filter (cast(UnitPrice as double) <= 0),
               count(*) filter (abs(cast(Quantity as double)) > 50000),
               count(*) filter (starts_with(InvoiceNo, 'C') <> (cast(Quantity as double) < 0)),
               count(*) filter (starts_with(StockCode, 'TEST'))
        from read_csv($files, all_varchar = true, header = true)
        where cast(left(InvoiceDate, 10) as date) <= $as_of
        """,
        {"files": f"{data}/by-day/*.csv.gz", "as_of": as_of},
    ).fetchall()
    names = ("customer_id_present", "unit_price_positive", "quantity_absurd", "quantity_sign", "product_not_test")
    return {f"online_retail.order_lines.{name}": count for name, count in zip(names, row, strict=True) if count}


@dataclass
class Night:
    """What was published on a night, and what an independent query says of it."""

    as_of: date
    published: dict[str, list[object]]
    independent: dict[str, tuple[object, ...]]
    quality: dict[str, Any]
    audited: list[dict[str, Any]]


@dataclass
class Shop:
    """The shop after its nights, each an increment."""

    data: Path
    workspace: Workspace
    nights: list[Night]


@pytest.fixture(scope="module")
def shop(files: tuple[Path, tuple[date, ...]]) -> Shop:
    data, days = files
    nights = []
    for as_of in days:
        workspace = run_night("online_retail", as_of, f"r{as_of:%m%d}").workspace
        (quality,) = mart_rows(workspace, "select * from fct_data_quality where as_of_date = ?", [as_of])
        audited = mart_rows(workspace, "select * from fct_audit_sample where status <> 'not_recomputed'")
        nights.append(Night(as_of, published(workspace), independent(data, as_of), quality, audited))
    return Shop(data, workspace, nights)


def test_nights_as_increments_agree_with_an_independent_query(shop: Shop) -> None:
    for night in shop.nights:
        assert night.published == night.independent
        quality = night.quality
        assert quality["rows_in"] == quality["rows_kept"] + quality["rows_merged"] + quality["rows_quarantined"]
        assert {(row["scheme"], row["item"]) for row in night.audited} >= {
            ("spend_abc", "annual_spend"),
            ("spend_abc", "tier"),
        }
        assert {row["status"] for row in night.audited} == {"agrees"}
    last = shop.nights[-1].as_of
    in_files = duckdb.execute(
        "select count(*) from read_csv($files, all_varchar = true, header = true) "
        "where cast(left(InvoiceDate, 10) as date) <= $as_of",
        {"files": f"{shop.data}/by-day/*.csv.gz", "as_of": last},
    ).fetchone()
    assert in_files == (sum(night.quality["rows_in"] for night in shop.nights),)
    with open_warehouse(shop.workspace) as connection:
        by_rule = {row["rule"]: row["rows"] for row in open_by_rule(connection)}
    assert by_rule == raw_counts(shop.data, last)


def test_what_the_shop_cannot_know_is_pending_not_zero(shop: Shop) -> None:
    workspace = shop.workspace
    assert mart_rows(
        workspace, "select distinct profit_margin, profit_contribution, csat, nps from fct_customer_indicators"
    ) == [{"profit_margin": None, "profit_contribution": None, "csat": None, "nps": None}]
    assert mart_rows(
        workspace, "select distinct effective_tier, score from fct_customer_tiers where scheme = 'account_value'"
    ) == [{"effective_tier": "pending", "score": None}]
    assert mart_rows(workspace, "select distinct annual_spend_status as status from fct_customer_indicators") == [
        {"status": "partial"}
    ]


@pytest.mark.full
def test_the_same_night_again_changes_nothing(shop: Shop) -> None:
    def state() -> tuple[dict[str, str], str]:
        folder, alerts = current_folder(shop.workspace), shop.workspace.reports / "alerts.jsonl"
        assert folder is not None
        return checksums(folder), alerts.read_text() if alerts.exists() else ""

    before = state()
    run_night("online_retail", shop.nights[-1].as_of, "again")
    assert state() == before
