"""Importing this module registers every custom expectation (and the DuckDB metrics) with GX."""

from __future__ import annotations

from customer_tiering.quality.expectations.rows import (
    ExpectColumnPairDatesInOrder,
    ExpectColumnsToBeUniqueWithAccepted,
    ExpectColumnValuesToHaveARate,
    ExpectColumnValuesToMatchAMapping,
    ExpectColumnValuesToReference,
    ExpectNoRowsFromQuery,
)
from customer_tiering.quality.expectations.values import (
    ExpectColumnValuesToBeDate,
    ExpectColumnValuesToBeIsoDate,
    ExpectColumnValuesToBeNumber,
    ExpectColumnValuesToBeWithinRobustZScore,
)

__all__ = [
    "ExpectColumnPairDatesInOrder",
    "ExpectColumnValuesToBeDate",
    "ExpectColumnValuesToBeIsoDate",
    "ExpectColumnValuesToBeNumber",
    "ExpectColumnValuesToBeWithinRobustZScore",
    "ExpectColumnValuesToHaveARate",
    "ExpectColumnValuesToMatchAMapping",
    "ExpectColumnValuesToReference",
    "ExpectColumnsToBeUniqueWithAccepted",
    "ExpectNoRowsFromQuery",
]
