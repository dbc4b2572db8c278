"""Importing this module registers every custom expectation (and the DuckDB metrics) with GX."""

from __future__ import annotations

from customer_tiering.gate.expectations.rows import (
    ExpectColumnPairDatesInOrder,
    ExpectColumnsToBeUniqueWithAccepted,
    ExpectColumnValuesToHaveARate,
    ExpectColumnValuesToMatchAMapping,
    ExpectColumnValuesToReference,
    ExpectNoRowsFromQuery,
)
from customer_tiering.gate.expectations.tables import (
    ExpectNewestValueToBeRecent,
    ExpectVolumeLikeRecentNights,
)
from customer_tiering.gate.expectations.values import (
    ExpectColumnValuesToBeDate,
    ExpectColumnValuesToBeIsoDate,
    ExpectColumnValuesToBeNumber,
    ExpectColumnValuesToBePlausible,
    ExpectColumnValuesToBeReadable,
    ExpectColumnValuesToBeTimelyIsoDate,
    ExpectColumnValuesToBeWithinRobustZScore,
)

__all__ = [
    "ExpectColumnPairDatesInOrder",
    "ExpectColumnValuesToBeDate",
    "ExpectColumnValuesToBeIsoDate",
    "ExpectColumnValuesToBeNumber",
    "ExpectColumnValuesToBePlausible",
    "ExpectColumnValuesToBeReadable",
    "ExpectColumnValuesToBeTimelyIsoDate",
    "ExpectColumnValuesToBeWithinRobustZScore",
    "ExpectColumnValuesToHaveARate",
    "ExpectColumnValuesToMatchAMapping",
    "ExpectColumnValuesToReference",
    "ExpectColumnsToBeUniqueWithAccepted",
    "ExpectNewestValueToBeRecent",
    "ExpectNoRowsFromQuery",
    "ExpectVolumeLikeRecentNights",
]
