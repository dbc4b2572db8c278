"""``tiering release``: look at a held night and answer it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, console, guarded
from customer_tiering.company.profile import load_profile
from customer_tiering.release.holds import Hold

app = typer.Typer(help="Held nights: show, approve, reject.", pretty_exceptions_enable=False, no_args_is_help=True)

NightArgument = Annotated[
    str, typer.Argument(help="Folder of the held night, or its date; default: the one that waits.")
]
OwnerOption = Annotated[str, typer.Option("--owner", help="Who decides (a person who can be asked).")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]


def command(function: Any) -> Any:
    """Register a subcommand."""
    return app.command()(guarded(function))


@command
def show(
    night: NightArgument = "",
    profile: ProfileOption = DEFAULT_PROFILE,
    every: Annotated[bool, typer.Option("--all", help="List all held nights and what became of them.")] = False,
    figures: Annotated[bool, typer.Option("--figures", help="Every figure, also those within their limits.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """Show what was held: which limit, before, after, the largest customers that moved, what was decided."""
    from customer_tiering.release import holds

    workspace = load_profile(profile).workspace
    if every:
        found = holds.holds(workspace)
        if as_json:
            _print_json([_as_dict(held) for held in found])
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
        _print_json(_as_dict(held) | held.facts)
        return
    _say(f"{held.name}: {held.state()}")
    _say(holds.text(held))
    for event in held.events[1:]:
        _say(f"{event.decided_at} {event.kind} {event.owner}: {event.reason}")
    folder = workspace.held / held.name
    if folder.exists():
        _say(f"files 文件: {folder} (tiers.duckdb and Parquet, as they would be published)")
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
        _say(f"Warning 警告: {warning}")
    if held.state() in ("open", "approved"):
        _say(f"Next step: {holds.how_to_answer(held, profile)}")


@command
def approve(
    night: NightArgument = "",
    profile: ProfileOption = DEFAULT_PROFILE,
    owner: OwnerOption = "",
    reason: ReasonOption = "",
) -> None:
    """Publish the held night as it was looked at, and tell what changed, at once."""
    from customer_tiering.airflow.home import reach_connections
    from customer_tiering.cli.bi import copy_to_postgres
    from customer_tiering.night.answers import approve as approve_night
    from customer_tiering.report.summary import SUMMARY, print_summary

    company = load_profile(profile)
    reach_connections(company)
    done = approve_night(company, night, owner, reason)
    print_summary(console, json.loads((done.folder / SUMMARY).read_text(encoding="utf-8")))
    copy_to_postgres(company)


@command
def reject(
    night: NightArgument = "",
    profile: ProfileOption = DEFAULT_PROFILE,
    owner: OwnerOption = "",
    reason: ReasonOption = "",
) -> None:
    """Drop the held night, also an approved one that was not published; the next goes on from the last published."""
    from customer_tiering.night.answers import reject as reject_night

    held = reject_night(load_profile(profile), night, owner, reason)
    _say(f"{held.name} is rejected; what was published stays")
    _say("mend the source and run the night again, or wait for the next one")


def _as_dict(held: Hold) -> dict[str, Any]:
    return {"name": held.name, "state": held.state(), "events": [asdict(event) for event in held.events]}


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:.1%}" if unit == "share" else f"{value:,.0f}"


def _say(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _print_json(content: Any) -> None:
    print(json.dumps(content, ensure_ascii=False, indent=1))
