"""Companies made by hand for one example each: an ERP, a CRM export, and the night they give."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from customer_tiering.company.workspace import Workspace
from nights import ErpDatabase, mart_rows, native_columns, run_night, write_profile

AS_OF = date(2026, 3, 30)
PREVIOUS_YEAR, THIS_YEAR, LONG_AGO = "2025-02-01", "2025-06-01", "2023-06-01"


class CrmExport:
    """A hand-made CRM export: accounts linked to the ERP, survey answers, and the strategic review sheet."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.columns = native_columns("crm")
        self.rows: dict[str, list[Mapping[str, Any]]] = {"accounts": [], "surveys": [], "strategic_attributes": []}

    def account(self, code: str, account: Mapping[str, str] | None = None, **review: Any) -> None:
        """The CRM's side of an ERP customer; ``account`` changes its columns, ``review`` is its line of the sheet."""
        dates = {"created_at": "2015-01-01", "modified_at": "2026-01-01 00:00:00"}
        self.rows["accounts"].append(
            {"account_id": f"A-{code}", "account_name": f"公司 {code}", "erp_customer_code": code, "is_deleted": "0"}
            | dates
            | dict(account or {})
        )
        self.rows["strategic_attributes"].append({"account_id": f"A-{code}", "updated_on": "2026-01-01"} | review)

    def prospect(self, code: str, size: str | None, **review: Any) -> None:
        """An account that the ERP does not know."""
        self.account(code, {"erp_customer_code": "", "company_size": size or ""}, **review)

    def survey(self, code: str, kind: str, *scores: int) -> None:
        for score in scores:
            number = len(self.rows["surveys"])
            self.rows["surveys"].append(
                {"survey_id": f"S{number}", "account_id": f"A-{code}", "kind": kind, "score": score}
                | {"answered_at": "2026-01-15 10:00:00"}
            )

    def write(self) -> None:
        for entity in ("accounts", "surveys"):
            with (self.folder / f"{entity}-2026-03-30.csv").open("w", encoding="utf-8", newline="") as stream:
                writer = csv.DictWriter(stream, self.columns[entity])
                writer.writeheader()
                writer.writerows(self.rows[entity])
        columns = self.columns["strategic_attributes"]
        with xlsxwriter.Workbook(self.folder / "strategic_attributes.xlsx") as book:
            sheet = book.add_worksheet("strategic")
            sheet.write_row(0, 0, columns)
            for line, row in enumerate(self.rows["strategic_attributes"], start=1):
                sheet.write_row(line, 0, [row.get(column) for column in columns])


def buys(erp: ErpDatabase, code: str, spend: str, margin: str, day: str = THIS_YEAR, product: str = "P1") -> str:
    """One order whose cost leaves exactly the margin; returns its number."""
    number = f"{code}-{day}-{product}"
    cost = (Decimal(spend) * (1 - Decimal(margin))).quantize(Decimal("0.01"))
    erp.order(number, code, day, [(product, spend, str(cost))])
    return number


def bought_last_year(erp: ErpDatabase, code: str, kept: str, lost: str) -> None:
    """Spend of the previous 12 months: in the category still bought, and in one no longer bought."""
    buys(erp, code, kept, "0.1", PREVIOUS_YEAR, "P1")
    buys(erp, code, lost, "0.1", PREVIOUS_YEAR, "P2")


def pays(erp: ErpDatabase, code: str, order: str, in_time: int, late: int, amount: str = "100.00") -> None:
    """Invoices that fell due on 1 August 2025; late ones are paid half a year after that."""
    for index in range(in_time + late):
        number = f"{code}-I{index}"
        erp.invoice(number, order, code, "2025-07-01", "2025-08-01", amount)
        erp.payment(f"{number}-P", number, "2025-08-01" if index < in_time else "2026-02-01", amount)


def published_night(root: Path, profile: str, **sources: Any) -> Iterator[Workspace]:
    write_profile(root / "profiles", profile, sources=sources)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_VAR", str(root / "var"))
        patch.setenv("TIERING_PROFILES", str(root / "profiles"))
        yield run_night(profile, AS_OF).workspace


def tiers(workspace: Workspace, scheme: str) -> dict[str, dict[str, Any]]:
    """Rows of a scheme by ERP code."""
    rows = mart_rows(workspace, "select * from fct_customer_tiers where scheme = ?", [scheme])
    return {row["customer_id"].removeprefix("erp-"): row for row in rows}


def indicator_scores(workspace: Workspace, scheme: str, code: str) -> dict[str, dict[str, Any]]:
    rows = mart_rows(
        workspace, "select * from fct_indicator_scores where scheme = ? and customer_id = ?", [scheme, f"erp-{code}"]
    )
    return {row["indicator"]: row for row in rows}
