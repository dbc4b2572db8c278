"""Where the data begins: a night before it would tier no customer."""

from __future__ import annotations

from datetime import date

import duckdb

from customer_tiering.errors import OrderError


def check_data_begins(connection: duckdb.DuckDBPyConnection, as_of: date) -> None:
    """Raise ``OrderError`` when no order lies on or before ``as_of``."""
    row = connection.execute("select min(ordered_on) from intermediate.int_orders").fetchone()
    begins = row[0] if row else None
    if begins is None:
        raise OrderError(
            f"not one order was accepted, so no customer can be tiered on {as_of}",
            "look at the quarantine counts in the run's journal: a rule may be keeping everything out",
        )
    if begins > as_of:
        raise OrderError(
            f"the night {as_of} is before the data begins: the first order is of {begins}",
            f"choose a night from {begins} on: make run AS_OF={begins}",
        )
