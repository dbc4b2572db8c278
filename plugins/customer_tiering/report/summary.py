"""The summary of a run: rows per source and entity, customers per tier, changes, alerts, files, seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from customer_tiering.company.journal import read_journal
from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import Workspace
from customer_tiering.publish.snapshot import DATABASE, current_folder, read_manifest
from customer_tiering.report.words import DIRECTIONS, words_of
from customer_tiering.sql import fetch_rows

SUMMARY = "summary.json"
_CHANGES_SHOWN = 20
_COUNTS = ("rows_in", "rows_kept", "rows_merged", "rows_quarantined", "rows_released")


def write_summary(profile: Profile, workspace: Workspace, folder: Path) -> Path:
    """Collect the run's facts into ``summary.json`` and ``summary.txt``; returns the text file."""
    facts = collect(profile, workspace, folder)
    (folder / SUMMARY).write_text(json.dumps(facts, ensure_ascii=False, indent=2, default=str), encoding="utf-8")
    path = folder / "summary.txt"
    with path.open("w", encoding="utf-8") as stream:
        print_summary(Console(file=stream, width=110, no_color=True, markup=False), facts)
    return path


def run_warnings(folder: Path) -> list[str]:
    """What the steps of the run in ``folder`` warned of, in their order."""
    finished = {event["step"]: event["facts"] for event in read_journal(folder) if event["event"] == "finished"}
    extracts = [facts for name, facts in finished.items() if name.startswith("extract ")]
    accounts = [
        account for name, facts in finished.items() if name.startswith("gate ") for account in facts["accounts"]
    ]
    warned = [finished.get("begin", {}), *extracts, *accounts, finished.get("judge", {})]
    return [warning for facts in warned for warning in facts.get("warnings", [])]


def collect(profile: Profile, workspace: Workspace, folder: Path) -> dict[str, Any]:
    """The facts of the run in ``folder`` and of the snapshot it published."""
    finished = {event["step"]: event for event in read_journal(folder) if event["event"] == "finished"}
    accounts = [
        account
        for name, event in finished.items()
        if name.startswith("gate ")
        for account in event["facts"]["accounts"]
    ]
    snapshot = current_folder(workspace)
    if snapshot is None:
        raise RuntimeError("nothing is published")
    manifest = read_manifest(snapshot)
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        tiers = fetch_rows(
            connection,
            "select t.scheme, t.effective_tier as tier, any_value(d.label_zh) as label_zh, count(*) as customers, "
            "cast(sum(i.annual_spend) as double) as annual_spend "
            "from marts.fct_customer_tiers t "
            "left join marts.dim_tiers d on t.scheme = d.scheme and t.effective_tier = d.tier "
            "join marts.fct_customer_indicators i using (customer_id, as_of_date) "
            "group by t.scheme, t.effective_tier order by t.scheme, min(coalesce(d.tier_rank, 99))",
        )
        schemes = fetch_rows(connection, "select * from marts.dim_schemes order by scheme")
        idle = {row["scheme"] for row in schemes if row["customers"] and not row["placed_customers"]}
        changes = fetch_rows(
            connection,
            "select scheme, direction, count(*) as customers from marts.fct_tier_changes "
            "where as_of_date = ? group by all order by all",
            [manifest.night],
        )
        moved = fetch_rows(
            connection,
            "select c.customer_id, d.customer_name, c.from_tier, c.to_tier, d.owner from marts.fct_tier_changes c "
            "left join marts.dim_customers d using (customer_id) where c.as_of_date = ? and c.scheme = ? "
            "and c.direction in ('up', 'down') order by c.customer_id",
            [manifest.night, manifest.headline_scheme],
        )
        quality = {
            (row["source"], row["entity"]): row
            for row in fetch_rows(
                connection, "select * from marts.fct_data_quality where as_of_date = ?", [manifest.night]
            )
        }
    return {
        "profile": profile.name,
        "label": f"{profile.label_en} / {profile.label_zh}",
        "as_of_date": manifest.as_of_date,
        "run_id": manifest.run_id,
        "currency": manifest.currency,
        "headline_scheme": manifest.headline_scheme,
        "last_accepted": finished.get("begin", {}).get("facts", {}).get("last_accepted"),
        "rows": [_night_account(account, quality) for account in accounts],
        "warnings": run_warnings(folder),
        "tiers": [row for row in tiers if row["scheme"] not in idle or row["scheme"] == manifest.headline_scheme],
        "idle_schemes": {row["scheme"]: row["unknown_indicators"] for row in schemes if row["scheme"] in idle},
        "changes": [row for row in changes if row["scheme"] not in idle],
        "moved": moved,
        "alerts": finished.get("alert", {}).get("facts", {}),
        "files": finished.get("report", {}).get("facts", {}),
        "quarantine": _quarantine_by_rule(workspace),
        "build": finished.get("build", {}).get("facts", {}),
        "published": str(snapshot),
        "report_folder": str(folder),
        "data_docs": [str(path) for path in sorted(folder.glob("data_docs/*/docs/index.html"))],
        "seconds": {name: event["seconds"] for name, event in finished.items() if name != "summarise"},
    }


def _night_account(account: dict[str, Any], quality: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    """An entity's account of the whole night, which an earlier run may have begun; and what this run added."""
    of_night = quality.get((account["source"], account["entity"]), account)
    return account | {"rows_of_run": account["rows_in"]} | {name: of_night[name] for name in _COUNTS}


def _quarantine_by_rule(workspace: Workspace) -> list[dict[str, Any]]:
    from customer_tiering.gate.quarantine import open_by_rule
    from customer_tiering.warehouse.connection import open_warehouse

    with open_warehouse(workspace) as connection:
        return open_by_rule(connection)


def print_summary(console: Console, facts: dict[str, Any]) -> None:
    """Print the facts; paths are never cropped, so that they can be copied."""
    console.print(_tables(facts))
    console.print(_files_text(facts), soft_wrap=True)


def _tables(facts: dict[str, Any]) -> Group:
    parts: list[Any] = [
        Text(f"\n{facts['label']}  ·  night of {facts['as_of_date']}  ·  run {facts['run_id']}", style="bold")
    ]
    parts += [_rows_table(facts), _tiers_table(facts), _changes_text(facts)]
    if facts["quarantine"]:
        parts.append(_quarantine_table(facts))
    parts.append(_seconds_table(facts))
    return Group(*parts)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < 2 else "right")
    return table


def _rows_table(facts: dict[str, Any]) -> Table:
    table = _table(
        "Rows of the night 当晚数据量",
        "source",
        "entity",
        "in",
        "kept",
        "merged",
        "quarantined",
        "released",
        "by this run",
    )
    for row in facts["rows"]:
        table.add_row(row["source"], row["entity"], *(f"{row[name]:,}" for name in _COUNTS), f"{row['rows_of_run']:,}")
    return table


def _tiers_table(facts: dict[str, Any]) -> Group:
    """The headline scheme as a table, the others in a line each."""
    by_scheme: dict[str, list[dict[str, Any]]] = {}
    for row in facts["tiers"]:
        by_scheme.setdefault(row["scheme"], []).append(row)
    headline = by_scheme.pop(facts["headline_scheme"], [])
    table = _table(
        f"Customers per tier 客户分级 · {facts['headline_scheme']} (headline scheme 主方案)",
        "tier",
        "label",
        "customers",
        "share",
        f"spend ({facts['currency']})",
    )
    total = sum(row["customers"] for row in headline)
    for row in headline:
        table.add_row(
            row["tier"],
            "待评估" if row["tier"] == "pending" else row["label_zh"],
            f"{row['customers']:,}",
            f"{row['customers'] / total:.1%}",
            f"{row['annual_spend']:,.0f}" if row["annual_spend"] is not None else "unknown",
        )
    others = [
        Text(f"  {scheme}: " + " · ".join(f"{row['tier']} {row['customers']:,}" for row in rows))
        for scheme, rows in by_scheme.items()
    ]
    parts: list[Any] = [table, *([Text("Other schemes 其他方案"), *others] if others else [])]
    parts += [
        Text(f"  {scheme}: places nobody 暂无法分级{f', unknown 未知: {unknown}' if unknown else ''}")
        for scheme, unknown in facts["idle_schemes"].items()
    ]
    return Group(*parts)


def _changes_text(facts: dict[str, Any]) -> Text:
    text = Text("Tier changes 等级变动\n", style="")
    if not any(row["scheme"] == facts["headline_scheme"] for row in facts["changes"]):
        text.append("  none 无\n")
    for row in [row for row in facts["changes"] if row["scheme"] == facts["headline_scheme"]]:
        direction = words_of(row["direction"], DIRECTIONS)
        text.append(f"  {row['scheme']}: {row['customers']:,} {direction}\n")
    for row in facts["moved"][:_CHANGES_SHOWN]:
        text.append(
            f"    {row['customer_id']}  {row['customer_name']}: {row['from_tier']} → {row['to_tier']}"
            f"  ({row['owner'] or 'no account manager'})\n"
        )
    others = [row for row in facts["changes"] if row["scheme"] != facts["headline_scheme"]]
    if others:
        shown = ", ".join(f"{row['scheme']} {row['customers']:,} {row['direction']}" for row in others)
        text.append(f"  other schemes: {shown}\n")
    if len(facts["moved"]) > _CHANGES_SHOWN:
        text.append(f"    and {len(facts['moved']) - _CHANGES_SHOWN} more in fct_tier_changes\n")
    sent, failed = facts["alerts"].get("sent", {}), facts["alerts"].get("failed", {})
    text.append("Alerts sent 已发送通知: ")
    text.append(", ".join(f"{channel} {count}" for channel, count in sent.items()) or "no channel")
    for channel, count in failed.items():
        if count:
            why = facts["alerts"].get("errors", {}).get(channel, "")
            text.append(f"\n  channel {channel}: {count} messages failed ({why}); they stay due: tiering alerts retry")
    for channel, count in facts["alerts"].get("given_up", {}).items():
        text.append(f"\n  channel {channel}: {count} messages were given up: tiering alerts resend --failed")
    for warning in facts["warnings"]:
        text.append(f"\nWarning 警告: {warning}")
    return text


def _quarantine_table(facts: dict[str, Any]) -> Table:
    table = _table("Open quarantine 隔离中", "rule", "reason", "rows")
    for row in facts["quarantine"]:
        table.add_row(row["rule"], f"{row['reason_en']} {row['reason_zh']}", f"{row['rows']:,}")
    return table


def _seconds_table(facts: dict[str, Any]) -> Table:
    table = Table(title="Seconds per step 各步用时", title_justify="left", title_style="bold", header_style="")
    for name in facts["seconds"]:
        table.add_column(name, justify="right")
    table.add_row(*(f"{seconds:.1f}" for seconds in facts["seconds"].values()))
    return table


def _files_text(facts: dict[str, Any]) -> Text:
    files = facts["files"]
    missing = f"not written; to write it: tiering report --profile {facts['profile']}"
    lines = [
        f"Published 已发布   {facts['published']}  (pointer: {Path(facts['published']).parent / 'current'})",
        f"Report 报告        {files.get('report', missing)}",
        f"Workbook 工作簿    {files.get('workbook', missing)}",
        f"Run folder 运行记录 {facts['report_folder']}",
        *(f"Data Docs 质量报告 {path}" for path in facts["data_docs"]),
    ]
    return Text("\n".join(lines))
