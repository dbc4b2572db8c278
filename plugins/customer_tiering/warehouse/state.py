"""What earlier nights decided, read back from the published snapshot into the warehouse."""

from __future__ import annotations

from datetime import date

import duckdb

from customer_tiering.publish.snapshot import DATABASE, current_folder
from customer_tiering.warehouse.identifiers import literal
from customer_tiering.workspace import Workspace


def land_accepted_history(connection: duckdb.DuckDBPyConnection, workspace: Workspace, as_of: date) -> int:
    """Fill ``state.tier_changes`` with the published changes of nights before ``as_of``; returns their number.

    Changes of ``as_of`` itself are left out, so that a rerun of a night compares with the night before it.
    """
    folder = current_folder(workspace)
    connection.execute("delete from state.tier_changes")
    if folder is None:
        return 0
    connection.execute(f"attach {literal(str(folder / DATABASE))} as accepted (read_only)")
    try:
        connection.execute(
            "insert into state.tier_changes select customer_id, scheme, as_of_date, from_tier, to_tier, direction, "
            "cause from accepted.marts.fct_tier_changes where as_of_date < ?",
            [as_of],
        )
    finally:
        connection.execute("detach accepted")
    row = connection.execute("select count(*) from state.tier_changes").fetchone()
    return int(row[0]) if row else 0
