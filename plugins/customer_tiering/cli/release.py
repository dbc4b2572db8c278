"""``tiering release``: look at a held night and answer it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from customer_tiering.cli.common import (
    DEFAULT_PROFILE,
    JsonOption,
    OwnerOption,
    ProfileOption,
    ReasonOption,
    command_group,
    console,
    load_company,
    print_json,
    reach_company,
    say,
)
from customer_tiering.cli.publication import copy_to_postgres

if TYPE_CHECKING:
    from customer_tiering.release.holds import Hold

app = command_group("Held nights: show, approve, reject.")

NightArgument = Annotated[
    str, typer.Argument(help="Folder of the held night, or its date; default: the one that waits.")
]


@app.command()
def show(
    night: NightArgument = "",
    profile: ProfileOption = DEFAULT_PROFILE,
    every: Annotated[bool, typer.Option("--all", help="List all held nights and how each one ended.")] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Show every figure, also those within their limits.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what was held: limits, figures before and after, the largest customers that moved, what was decided."""
    from customer_tiering.release import holds

    workspace = load_company(profile).workspace
    if every:
        found = holds.holds(workspace)
        if as_json:
            print_json([_as_dict(held) for held in found])
            return
        table = Table("held night", "state", "why", "by", "reason")
        for held in found:
            answered = next((event for event in reversed(held.events[1:]) if event.kind != "publish"), None)
            table.add_row(
                held.name,
                held.state(),
                held.events[0].reason,
                answered.owner if answered else "",
                answered.reason if answered else "",
            )
        console.print(table)
        return
    held = holds.find(workspace, night)
    if as_json:
        print_json(_as_dict(held) | held.facts)
        return
    say(f"{held.name}: {held.state()}")
    say(holds.text(held))
    for event in held.events[1:]:
        say(f"{event.decided_at} {event.kind} {event.owner}: {event.reason}")
    folder = workspace.held / held.name
    if folder.exists():
        say(f"files 文件: {folder} (tiers.duckdb and Parquet, as they would be published)")
    if figures:
        table = Table("figure", "of", "before", "after", "limit", "beyond")
        for figure in held.facts.get("figures", []):
            written = [_number(figure[side], figure["unit"]) for side in ("before", "after")]
            table.add_row(
                figure["name"],
                figure["group"],
                *written,
                figure["limit"] or "",
                "" if figure["level"] == "ok" else figure["level"],
            )
        console.print(table)
    if movers := held.facts.get("movers"):
        table = Table("customer 客户", "name 名称", "before 之前", "after 之后", "spend before", "spend after")
        for row in movers:
            spends = [_number(row[side], "money") for side in ("spend_before", "spend_after")]
            table.add_row(row["customer_id"], row["customer_name"], row["before"] or "", row["after"] or "", *spends)
        console.print(table)
    for warning in held.facts.get("warnings", []):
        say(f"Warning 警告: {warning}")
    if held.state() in ("open", "approved"):
        say(f"Next step: {holds.how_to_answer(held, profile)}")


@app.command()
def approve(
    night: NightArgument = "",
    profile: ProfileOption = DEFAULT_PROFILE,
    owner: OwnerOption = "",
    reason: ReasonOption = "",
) -> None:
    """Publish the held night exactly as shown, and tell people at once what changed."""
    from customer_tiering.night.answers import approve as approve_night
    from customer_tiering.report.summary import SUMMARY, print_summary

    company = reach_company(profile)
    done = approve_night(company, night, owner, reason)
    print_summary(console, json.loads((done.folder / SUMMARY).read_text(encoding="utf-8")))
    copy_to_postgres(company)


@app.command()
def reject(
    night: NightArgument = "",
    profile: ProfileOption = DEFAULT_PROFILE,
    owner: OwnerOption = "",
    reason: ReasonOption = "",
) -> None:
    """Drop the held night, also an approved one not yet published; the next continues from the last published one."""
    from customer_tiering.night.answers import reject as reject_night

    held = reject_night(load_company(profile), night, owner, reason)
    say(f"{held.name} is rejected; what was published stays")
    say("fix the source and run the night again, or wait for the next one")


def _as_dict(held: Hold) -> dict[str, Any]:
    return {"name": held.name, "state": held.state(), "events": [asdict(event) for event in held.events]}


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:.1%}" if unit == "share" else f"{value:,.0f}"
