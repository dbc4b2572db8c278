"""What the tiers page reads of the published snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.company.workspace import Workspace
from customer_tiering.publish.snapshot import DATABASE, MANIFEST, read_manifest
from customer_tiering.report.words import PENDING, Words
from customer_tiering.sql import fetch_rows

_NIGHTS = 400


def tier_summary(snapshot: Path, scheme: str) -> list[dict[str, Any]]:
    """Tiers of a scheme, best first, pending last."""
    return _read(
        snapshot,
        "select * from agg_tier_summary where scheme = $scheme order by (tier = 'pending'), tier_rank, tier",
        {"scheme": scheme},
    )


def find_customers(snapshot: Path, scheme: str, text: str, limit: int) -> list[dict[str, Any]]:
    """Customers by spend whose number, name, account manager or id in a source contains the text, at most ``limit``."""
    return _read(
        snapshot,
        "select c.customer_id, c.customer_name, c.industry_l1, c.owner, t.effective_tier as tier, t.score, "
        "d.label_zh, d.label_en, i.annual_spend from dim_customers c "
        "left join fct_customer_tiers t on c.customer_id = t.customer_id and t.scheme = $scheme "
        "left join dim_tiers d on t.scheme = d.scheme and t.effective_tier = d.tier "
        "left join fct_customer_indicators i on c.customer_id = i.customer_id "
        "where contains(lower(concat_ws(' ', c.customer_id, c.customer_name, c.owner)), lower($text)) "
        "or c.customer_id in (select b.customer_id from bridge_customer_ids b "
        "where lower(b.source_customer_id) = lower($text) or lower(b.own_id) = lower($text)) "
        "order by i.annual_spend desc nulls last, c.customer_id limit $limit",
        {"scheme": scheme, "text": text.strip(), "limit": limit},
    )


def schemes_of(snapshot: Path, customer_id: str) -> list[dict[str, Any]]:
    """The schemes that a customer is in."""
    return _read(
        snapshot,
        "select s.* from dim_schemes s join fct_customer_tiers t using (scheme) where t.customer_id = $id "
        "order by s.scheme",
        {"id": customer_id},
    )


def tier_labels(snapshot: Path, scheme: str) -> dict[str, Words]:
    """Labels of a scheme's tiers by code, pending among them."""
    rows = _read(snapshot, "select * from dim_tiers where scheme = $scheme", {"scheme": scheme})
    return {row["tier"]: Words(row["label_zh"], row["label_en"]) for row in rows} | {"pending": PENDING}


def past_nights(workspace: Workspace, snapshot: Path) -> list[dict[str, Any]]:
    """Published nights, newest first: how each came about, the moves of the headline scheme, and the kept snapshot.

    ``status`` is current, kept, gone (the snapshot was pruned; its moves stay in the history) or none (the night was
    computed with a later one and had no snapshot of its own).
    """
    scheme = read_manifest(snapshot).headline_scheme
    rows = _read(
        snapshot,
        "select n.as_of_date, n.kind, n.rules_version, "
        "count(*) filter (h.direction = 'up') as up, count(*) filter (h.direction = 'down') as down, "
        "count(*) filter (h.direction = 'entered') as entered, "
        "count(*) filter (h.direction not in ('up', 'down', 'entered')) as other "
        "from fct_nights n left join fct_tier_changes h on n.as_of_date = h.as_of_date and h.scheme = $scheme "
        "group by all order by n.as_of_date desc limit $limit",
        {"scheme": scheme, "limit": _NIGHTS},
    )
    kept = {}
    for path in sorted(workspace.published.glob(f"[0-9]*/{MANIFEST}")):
        manifest = read_manifest(path.parent)
        kept[manifest.night] = manifest
    current = read_manifest(snapshot)
    kept[current.night] = current
    return [
        row
        | {
            "run_id": kept[row["as_of_date"]].run_id if row["as_of_date"] in kept else "",
            "status": "current"
            if row["as_of_date"] == current.night
            else "kept"
            if row["as_of_date"] in kept
            else "gone"
            if row["kind"] == "run"
            else "none",
        }
        for row in rows
    ]


def _read(snapshot: Path, sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        return fetch_rows(connection, sql, parameters)
