"""Three input tables from one file: an incident log as the ticketing system of a shop.

The files are not part of the project; point TIERING_SHARED_DATA to a folder that holds ``online_retail/by-day/`` and
``uci_incident_tickets/``, or keep it at ../shared/data. Without it a hand-made log with one row for each rule that
keeps rows out takes their place.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.gate.quarantine import open_by_rule
from customer_tiering.warehouse.connection import open_warehouse
from nights import mart_rows, run_night

pytestmark = [pytest.mark.slow, pytest.mark.full]
NIGHT = date(2016, 5, 31)
REAL = Path(os.environ.get("TIERING_SHARED_DATA", project_root().parent / "shared" / "data"))
INCIDENTS = Path(__file__).with_name("uci_incidents_independent.sql")
SHOP_LINES = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,HOLDER,6,2011-08-01 08:26:00,2.55,12346.0,United Kingdom
536366,22727,CLOCK,4,2011-08-01 10:00:00,3.75,12347.0,France
536367,22727,CLOCK,4,2011-08-01 10:00:00,3.75,,France
"""
HEADER = "number,incident_state,active,sys_mod_count,caller_id,opened_at,sys_updated_at,priority,resolved_at,closed_at"
# Caller 1 is customer 12346, caller 2 customer 12347, caller 9 nobody whom the shop knows.
GOOD = """
INC0000001,New,true,0,Caller 1,29/2/2016 01:00,29/2/2016 01:10,3 - Moderate,29/2/2016 11:00,5/3/2016 12:00
INC0000001,Active,true,1,Caller 1,29/2/2016 01:00,29/2/2016 03:30,3 - Moderate,29/2/2016 11:00,5/3/2016 12:00
INC0000001,Closed,false,10,Caller 2,29/2/2016 01:00,5/3/2016 12:00,3 - Moderate,29/2/2016 11:00,5/3/2016 12:00
INC0000002,New,true,0,Caller 1,1/3/2016 08:00,1/3/2016 08:00,1 - Critical,?,3/3/2016 20:00
INC0000002,Resolved,false,1,Caller 1,1/3/2016 08:00,2/3/2016 08:00,1 - Critical,?,3/3/2016 20:00
INC0000003,Active,true,0,Caller 9,30/5/2016 08:00,30/5/2016 09:00,4 - Low,2/6/2016 08:00,7/6/2016 08:00
INC0000003,Active,true,0,Caller 9,30/5/2016 08:00,30/5/2016 10:00,4 - Low,2/6/2016 08:00,7/6/2016 08:00
"""
# Of after the night: they count for nothing, and keep the share of bad rows low.
LATER = "".join(f"INC01{n:05},New,true,0,Caller 9,15/6/2016 08:00,15/6/2016 09:00,4 - Low,?,?\n" for n in range(100))
BAD = """
INC0000004,New,true
?,New,true,0,Caller 1,1/3/2016 08:00,1/3/2016 08:00,4 - Low,?,?
4,New,true,0,Caller 1,1/3/2016 08:00,1/3/2016 08:00,4 - Low,?,?
INC0000005,New,true,,Caller 1,1/3/2016 08:00,1/3/2016 08:00,4 - Low,?,?
INC0000005,New,true,-1,Caller 1,1/3/2016 08:00,1/3/2016 08:00,4 - Low,?,?
INC0000006,-100,true,0,Caller 1,1/3/2016 08:00,1/3/2016 08:00,4 - Low,?,?
INC0000007,New,true,0,?,1/3/2016 08:00,1/3/2016 08:00,4 - Low,?,?
INC0000008,New,true,0,a caller,1/3/2016 08:00,1/3/2016 08:00,4 - Low,?,?
INC0000009,New,true,0,Caller 1,1/3/2016 08:00,1/3/2016 08:00,urgent,?,?
INC0000010,New,true,0,Caller 1,?,1/3/2016 08:00,4 - Low,?,?
INC0000011,New,true,0,Caller 1,30/2/2016 08:00,1/3/2016 08:00,4 - Low,?,?
INC0000012,New,true,0,Caller 1,1/3/2016 08:00,3/13/2016 08:00,4 - Low,?,?
INC0000013,New,true,0,Caller 1,1/3/2016 08:00,1/3/2016 08:00,4 - Low,soon,?
INC0000014,New,true,0,Caller 1,1/3/2016 08:00,1/3/2016 08:00,4 - Low,?,later
INC0000015,New,true,0,Caller 1,1/3/2016 08:00,1/3/2016 07:59,4 - Low,?,?
INC0000016,New,true,0,Caller 1,10/3/2016 08:00,10/3/2016 08:00,4 - Low,9/3/2016 08:00,?
"""


@pytest.fixture(scope="module", params=["handmade", "real"])
def night(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Workspace, bool]]:
    """The data folder, the workspace after one night, and whether the files are the real ones."""
    root = tmp_path_factory.mktemp(f"incidents_{request.param}")
    data, is_real = root / "data", request.param == "real"
    if is_real:
        days = sorted((REAL / "online_retail" / "by-day").glob("2011-08-*.csv.gz"))  # one month keeps the test short
        log = sorted((REAL / "uci_incident_tickets").glob("*.csv.gz"))
        if not days or not log:
            pytest.skip("the data sets are not on this machine")
        for folder, files in (("online_retail/by-day", days), ("uci_incident_tickets", log)):
            (data / folder).mkdir(parents=True)
            for file in files:
                (data / folder / file.name).symlink_to(file)
    else:
        for name, text in (
            ("online_retail/by-day/2011-08-01", SHOP_LINES),
            ("uci_incident_tickets/log", HEADER + GOOD + LATER + BAD.lstrip()),
        ):
            path = data / f"{name}.csv.gz"
            path.parent.mkdir(parents=True)
            path.write_bytes(gzip.compress(text.encode()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_VAR", str(root / "var"))
        patch.setenv("TIERING_DATA", str(data))
        yield data, run_night("uci_incidents", NIGHT).workspace, is_real


def independent(data: Path, part: str) -> list[tuple[Any, ...]]:
    """Rows of one of the queries that were written on the raw files without looking at rules and models."""
    views, *queries = INCIDENTS.read_text(encoding="utf-8").split("-- query: ")
    with duckdb.connect() as connection:
        for table, files in (("log", "uci_incident_tickets/*.csv.gz"), ("shop", "online_retail/by-day/*.csv.gz")):
            connection.execute(
                f"create table {table} as select * from read_csv(?, all_varchar = true, header = true, "
                "null_padding = true)",
                [f"{data}/{files}"],
            )
        connection.execute(views)
        return connection.execute(
            next(query for query in queries if query.startswith(part)).removeprefix(part)
        ).fetchall()


def test_quarantine_per_rule_agrees_with_an_independent_query(night: tuple[Path, Workspace, bool]) -> None:
    data, workspace, _ = night
    with open_warehouse(workspace) as connection:
        kept_out = {row["rule"]: row["rows"] for row in open_by_rule(connection)}
    counted = {f"uci_incident_tickets.{rule}": rows for rule, rows in independent(data, "incidents")}
    counted |= {f"online_retail.order_lines.{rule}": rows for rule, rows in independent(data, "shop")}
    assert kept_out == {rule: rows for rule, rows in counted.items() if rows}
    for row in mart_rows(workspace, "select * from fct_data_quality"):
        assert row["rows_in"] == row["rows_kept"] + row["rows_merged"] + row["rows_quarantined"]


def test_tickets_reach_the_customers_of_the_invented_crosswalk(night: tuple[Path, Workspace, bool]) -> None:
    data, workspace, is_real = night
    published = mart_rows(
        workspace,
        "select customer_id, first_response_hours, resolution_hours, complaints from fct_customer_indicators "
        "where complaints is not null",
    )
    expected = {customer: facts for customer, *facts in independent(data, "tickets")}
    assert {
        row["customer_id"]: [row["first_response_hours"], row["resolution_hours"], row["complaints"]]
        for row in published
    } == expected
    shared = {customer for customer in expected if customer.startswith("online_retail-")}
    assert shared
    assert set(expected) - shared, "some callers are nobody whom the shop knows"
    if not is_real:
        assert expected == {
            "online_retail-12346": [Decimal("24.00"), Decimal("60.00"), 0],
            "online_retail-12347": [Decimal("2.50"), Decimal("10.00"), 0],
            "uci_incident_tickets-9": [Decimal("2.00"), None, 0],
        }


def test_who_called_is_private(night: tuple[Path, Workspace, bool]) -> None:
    _, workspace, _ = night
    with open_warehouse(workspace) as connection:
        shown = connection.execute(
            "select distinct offending_value from quarantine.failures where column_name = 'customer_id' "
            "and source = 'uci_incident_tickets'"
        ).fetchall()
    assert {value for (value,) in shown} <= {"", "a***", None}
    contacts = mart_rows(workspace, "select distinct contact_masked from dim_customers")
    assert {row["contact_masked"] for row in contacts} <= {None, "C**"}
