"""Reading the quarantine."""

from __future__ import annotations

from typing import Any

import duckdb

from customer_tiering.warehouse.identifiers import literal, quote


def open_by_rule(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Rows still in quarantine per rule: source, entity, rule, reasons and count. A row counts under each rule
    that it breaks."""
    tables = [
        name
        for (name,) in connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'quarantine' and table_name <> 'failures' "
            "order by table_name"
        ).fetchall()
    ]
    if not tables:
        return []
    kept_out = " union all ".join(
        f"select {literal(name.split('__')[0])} as source, {literal(name.split('__', 1)[1])} as entity, "
        f"_row_id as row_id from {quote('quarantine', name)} where _status = 'open'"
        for name in tables
    )
    rows = connection.execute(
        f"select f.source, f.entity, f.rule, string_agg(distinct f.reason_en, '; ' order by f.reason_en), "
        "string_agg(distinct f.reason_zh, ';' order by f.reason_zh), count(*) "
        f"from quarantine.failures f join ({kept_out}) o using (source, entity, row_id) "
        "group by f.source, f.entity, f.rule order by f.source, f.entity, f.rule"
    ).fetchall()
    names = ("source", "entity", "rule", "reason_en", "reason_zh", "rows")
    return [dict(zip(names, row, strict=True)) for row in rows]
