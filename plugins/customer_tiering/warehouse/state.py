"""What earlier nights decided, put in front of the state machine of the models.

State comes from the published snapshot of the last accepted night before the ones being computed. Where that snapshot
is gone (a rerun of a promoted night, a replay of nights long past) it is put together from the published history,
which knows every tier and since when; only the split of a score's change into its causes starts over then.
"""

from __future__ import annotations

from datetime import date

import duckdb

from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import OrderError
from customer_tiering.publish.snapshot import DATABASE, current_folder, predecessor, read_manifest
from customer_tiering.sql import literal, quote
from customer_tiering.warehouse.nights import PlannedNight

_HISTORIES = {
    "nights": "fct_nights",
    "tier_changes": "fct_tier_changes",
    "churn_risk_changes": "fct_churn_risk_changes",
}
_OF_ONE_NIGHT = {"customer_tiers": "fct_customer_tiers", "churn_risks": "fct_churn_scores"}
_TABLES = _HISTORIES | _OF_ONE_NIGHT


def land_accepted_state(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, first_night: date, *, from_history: bool = False
) -> PlannedNight | None:
    """Fill schema ``state`` with what was accepted before ``first_night``; returns that night, to be the baseline.

    Returns None when nothing was published before it, or (no baseline) when state had to come from the history.
    """
    _clear(connection)
    connection.execute("delete from meta.accepted")
    current = current_folder(workspace)
    if current is None:
        return None
    folder = None if from_history else predecessor(workspace, first_night)
    if folder is not None:
        connection.execute("insert into meta.accepted values (?)", [folder.name])
    source = folder or current
    connection.execute(f"attach {literal(str(source / DATABASE))} as accepted (read_only)")
    try:
        for target, mart in (_HISTORIES if folder is None else _TABLES).items():
            _copy(connection, target, "accepted", mart, first_night)
        if folder is None:
            _tiers_from_history(connection)
            _risks_from_history(connection)
            return None
    finally:
        connection.execute("detach accepted")
    manifest = read_manifest(folder)
    connection.execute(
        "insert into state.nights select $1, $2, 'run' where not exists (from state.nights where as_of_date = $1)",
        [manifest.night, manifest.rules_version],
    )
    return PlannedNight(manifest.night, manifest.rules_version, "baseline")


def check_accepted(connection: duckdb.DuckDBPyConnection, workspace: Workspace, night: date) -> None:
    """Raise ``OrderError`` when another night was accepted, or taken back, since the marts of ``night`` were built."""
    row = connection.execute("select snapshot from meta.accepted").fetchone()
    built_on, folder = row[0] if row else None, predecessor(workspace, night)
    if built_on != (folder.name if folder else None):
        raise OrderError(
            f"the night {night} was built on {built_on or 'no night'}, and {folder.name if folder else 'no night'} is "
            "the last accepted one before it now",
            "run the night again",
        )


def carry_state(connection: duckdb.DuckDBPyConnection, night: date) -> None:
    """Make the marts just built the state of the nights that follow ``night``."""
    _clear(connection)
    for target, mart in _TABLES.items():
        _copy(connection, target, None, mart, night + date.resolution)
    for target in _OF_ONE_NIGHT:
        connection.execute(f"delete from {quote('state', target)} where as_of_date <> ?", [night])


def land_published_state(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    """Fill schema ``state`` with the published night itself, its tiers also as those under the old rules."""
    _clear(connection)
    folder = current_folder(workspace)
    if folder is None:
        return
    connection.execute(f"attach {literal(str(folder / DATABASE))} as accepted (read_only)")
    try:
        for target, mart in _TABLES.items():
            _copy(connection, target, "accepted", mart, date.max)
        connection.execute(
            "insert into state.tiers_under_old_rules "
            "select customer_id, scheme, as_of_date, computed_tier, score from state.customer_tiers"
        )
    finally:
        connection.execute("detach accepted")


def newest_rules(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The rules in force on the last night that the state knows."""
    row = connection.execute("select max_by(rules_version, as_of_date) from state.nights").fetchone()
    return row[0] if row else None


def _clear(connection: duckdb.DuckDBPyConnection) -> None:
    for table in (*_TABLES, "tiers_under_old_rules"):
        connection.execute(f"delete from {quote('state', table)}")


def _copy(connection: duckdb.DuckDBPyConnection, target: str, database: str | None, mart: str, before: date) -> None:
    """The mart's rows of nights before a day; a snapshot of an older package lacks some marts and columns."""
    sides = []
    for catalog, schema, table in ((database, "marts", mart), (None, "state", target)):
        sides.append(
            [
                name
                for (name,) in connection.execute(
                    "select column_name from duckdb_columns() where schema_name = ? and table_name = ? "
                    "and database_name = coalesce(?, current_database())",
                    [schema, table, catalog],
                ).fetchall()
            ]
        )
    common = ", ".join(quote(name) for name in sides[1] if name in sides[0])
    if common:
        source = quote(*([database] if database else []), "marts", mart)
        connection.execute(
            f"insert into {quote('state', target)} ({common}) select {common} from {source} where as_of_date < ?",
            [before],
        )


def _tiers_from_history(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """
        insert into state.customer_tiers
        select customer_id, scheme, (select max(as_of_date) from state.nights), to_tier, as_of_date, reason, to_score,
               to_tier, case when cause in ('data', 'correction', 'rule_change') then cause else 'data' end,
               annual_spend, to_score, 0, 0
        from (select *, row_number() over (partition by customer_id, scheme order by as_of_date desc) as newest
              from state.tier_changes) as changes
        where newest = 1 and to_tier is not null
        """
    )


def _risks_from_history(connection: duckdb.DuckDBPyConnection) -> None:
    """The customers at high risk; the history knows no other class, and no model."""
    connection.execute(
        """
        insert into state.churn_risks
        select customer_id, (select max(as_of_date) from state.nights), null, risk_class
        from (select *, row_number() over (partition by customer_id order by as_of_date desc) as newest
              from state.churn_risk_changes) as changes
        where newest = 1 and change = 'newly_high'
        """
    )
