"""Prepared companies: one undisturbed pair of nights, copied at each point where a test begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from killing import EXTRACTS, FIRST, GATES, SECOND, Company, Prepared, Slots, run

from customer_tiering.sample import generate_company
from customer_tiering.workspace import project_root


@pytest.fixture(scope="session")
def slots(tmp_path_factory: pytest.TempPathFactory) -> Slots:
    """Folders to work in."""
    return Slots(tmp_path_factory.mktemp("slots"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Two undisturbed nights; between them the company lives one day on and its tier bands change."""
    root: Path = tmp_path_factory.mktemp("prepared")
    company = Company.create(root / "company")
    generate_company(company.source, customers=40, years=2, until=FIRST)
    fresh = company.copy(root / "fresh")
    run(company, FIRST, "first", ["begin", *EXTRACTS])
    extracted = company.copy(root / "extracted")
    run(company, FIRST, "first", GATES)
    gated = company.copy(root / "gated")
    run(company, FIRST, "first", ["build", "judge", "publish", "alert", "summarise"])
    first = company.copy(root / "first")

    generate_company(company.source, until=SECOND)
    bands = (project_root() / "dbt_project" / "seeds" / "tier_bands.csv").read_text(encoding="utf-8")
    moved = bands.replace("account_360,,standard,60,75", "account_360,,standard,66,75")
    moved = moved.replace("account_360,,potential,,60", "account_360,,potential,,66")
    assert moved != bands
    company.override_seed("tier_bands.csv", moved)
    run(company, SECOND, "second", ["begin", *EXTRACTS, *GATES, "build", "judge"])
    second_built = company.copy(root / "second_built")
    run(company, SECOND, "second", ["publish"])
    second_published = company.copy(root / "second_published")
    run(company, SECOND, "second", ["alert", "summarise"])
    return Prepared(fresh, extracted, gated, first, second_built, second_published, company)
