"""What the custom expectations share."""

from __future__ import annotations

from typing import TypeVar

from great_expectations.expectations.expectation import ColumnMapExpectation

T = TypeVar("T")


def as_list(value: T | list[T]) -> list[T]:
    """A single value or a list, as a list."""
    return list(value) if isinstance(value, list) else [value]


class RowExpectation(ColumnMapExpectation):
    """A yes/no question about every row, asked as a column map so that GX counts it in the common scan.

    Rules about several columns are column maps too (of the column named first): GX counts its own pair and
    multicolumn expectations in two queries each.
    """
