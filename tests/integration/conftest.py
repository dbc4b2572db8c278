"""Prepared companies: one undisturbed pair of nights, copied at each point where a test begins."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from killing import EXTRACTS, FIRST, GATES, SECOND, Company, Prepared, Slots, run

from sample_company import generate_company
from sharing import made_once


@pytest.fixture(scope="session")
def slots(tmp_path_factory: pytest.TempPathFactory) -> Slots:
    """Folders to work in."""
    return Slots(tmp_path_factory.mktemp("slots"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Two undisturbed nights; between them the company lives one day on and its tier bands change."""
    root = made_once(tmp_path_factory, "two_nights", _two_nights)
    return Prepared(**{field.name: Company(root / field.name) for field in fields(Prepared)})


def _two_nights(root: Path) -> None:
    company = Company.create(root / "company")

    def keep(point: str) -> None:
        company.copy(root / point)

    generate_company(company.source, customers=40, years=2, until=FIRST)
    keep("fresh")
    run(company, FIRST, "first", ["begin", *EXTRACTS])
    keep("extracted")
    run(company, FIRST, "first", GATES)
    keep("gated")
    run(company, FIRST, "first", ["build", "judge", "publish", "alert", "summarise"])
    keep("first")

    generate_company(company.source, until=SECOND)
    company.override_scheme("account_360", 'tiers:\n  standard: {when: ">= 66"}\n')
    run(company, SECOND, "second", ["begin", *EXTRACTS, *GATES, "build", "judge"])
    keep("second_built")
    run(company, SECOND, "second", ["publish"])
    keep("second_published")
    run(company, SECOND, "second", ["alert", "summarise"])
    keep("second")
