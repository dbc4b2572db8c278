"""The embedded sample company: a deterministic, dirty B2B equipment maker with the truth about its dirt."""

from sample_company.catalogue import INDUSTRIES, UNMAPPED_INDUSTRIES, industry_mapping_rows
from sample_company.company import (
    DEFAULT_CUSTOMERS,
    DEFAULT_DIRT,
    DEFAULT_SEED,
    DEFAULT_UNTIL,
    DEFAULT_YEARS,
    CompanyState,
    CompanySummary,
    SampleMismatch,
    company_state,
    generate_company,
)
from sample_company.dirt import KINDS, Kind

__all__ = [
    "DEFAULT_CUSTOMERS",
    "DEFAULT_DIRT",
    "DEFAULT_SEED",
    "DEFAULT_UNTIL",
    "DEFAULT_YEARS",
    "INDUSTRIES",
    "KINDS",
    "UNMAPPED_INDUSTRIES",
    "CompanyState",
    "CompanySummary",
    "Kind",
    "SampleMismatch",
    "company_state",
    "generate_company",
    "industry_mapping_rows",
]
