"""``tiering override``: tiers that people set by hand, until a day."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    parse_day,
    print_json,
    say,
)
from customer_tiering.errors import DecisionError

if TYPE_CHECKING:
    from customer_tiering.company.profile import Profile

app = command_group("Manual tiers: set, end, list, import a table.")


@app.command("set")
def set_tier(
    customer: Annotated[str, typer.Argument(help="customer_id, or an id of the customer in one of the sources.")],
    tier: Annotated[str, typer.Argument(help="Tier of the scheme, as tiers.csv names it.")],
    until: Annotated[str, typer.Option("--until", help="Last night on which it holds (YYYY-MM-DD).")],
    owner: OwnerOption,
    reason: ReasonOption,
    scheme: Annotated[str, typer.Option("--scheme", "-s", help="Scheme; default: the headline scheme.")] = "",
    first: Annotated[str, typer.Option("--from", help="First night; default: the one after the published night.")] = "",
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Set a customer's tier by hand, from the next night on; the score decides again after the last day."""
    from customer_tiering.decisions.overrides import set_overrides
    from customer_tiering.explain.explanation import find_customer
    from customer_tiering.publish.snapshot import published_folder
    from customer_tiering.rules.load import load_rules
    from customer_tiering.rules.overrides import check_overrides

    company = load_company(profile)
    rules = load_rules(company)
    row = {
        "customer_id": find_customer(published_folder(company.workspace), customer),
        "scheme": scheme or company.headline_scheme,
        "tier": tier,
        "owner": owner,
        "reason": reason,
        "valid_from": parse_day("--from", first) if first else _next_night(company),
        "expires_on": parse_day("--until", until),
    }
    made = set_overrides(company.workspace.decisions, [row], lambda overrides: check_overrides(overrides, rules))
    said = (
        f"{row['customer_id']} has the tier {tier} of {row['scheme']} from {row['valid_from']} to {row['expires_on']}"
    )
    say(f"{made[0].override_id}: {said}" if made else f"said before: {said}")


@app.command()
def end(
    override_id: Annotated[str, typer.Argument(help="Its number, such as O-0001; see tiering override list.")],
    owner: OwnerOption,
    reason: ReasonOption,
    last: Annotated[str, typer.Option("--last", help="Last night it holds; default: the published night.")] = "",
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """End a manual tier: the score decides again from the next night on."""
    from customer_tiering.decisions.overrides import end_override

    company = load_company(profile)
    last_day = parse_day("--last", last) if last else _next_night(company) - date.resolution
    ended = end_override(company.workspace.decisions, override_id, last_day=last_day, owner=owner, reason=reason)
    if ended.expires_on < ended.valid_from:
        say(f"{override_id} never comes into force")
    else:
        say(f"{override_id} holds up to and including {ended.expires_on}")


@app.command("list")
def list_overrides(profile: ProfileOption = DEFAULT_PROFILE, as_json: JsonOption = False) -> None:
    """List the manual tiers; fct_tier_overrides says what became of each on the published night."""
    from customer_tiering.decisions.overrides import read_overrides

    overrides = read_overrides(load_company(profile).workspace.decisions)
    if as_json:
        print_json([asdict(override) for override in overrides])
        return
    if not overrides:
        say("there are no manual tiers; set one with: tiering override set <customer> <tier> --until <day> …")
        return
    table = Table("id", "customer 客户", "scheme 方案", "tier 等级", "from 起", "to 止", "owner 负责人", "reason 原因")
    for override in overrides:
        table.add_row(
            override.override_id, override.customer_id, override.scheme, override.tier, str(override.valid_from),
            str(override.expires_on), override.owner, override.reason,
        )  # fmt: skip
    console.print(table)


@app.command("import")
def import_table(
    table: Annotated[
        Path,
        typer.Argument(help="CSV: customer_id,scheme,tier,owner,reason,valid_from,expires_on; both days included."),
    ],
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Take over a table of manual tiers; lines that were taken over before are not added again."""
    from customer_tiering.rules.load import load_rules
    from customer_tiering.rules.overrides import take_over

    if not table.is_file():
        raise DecisionError(f"there is no file {table}", "give a CSV file with the columns that --help names")
    company = load_company(profile)
    warnings: list[str] = []
    added = take_over(company, table, load_rules(company), warnings)
    for warning in warnings:
        say(f"warning: {warning}")
    say(f"{len(added)} manual tiers were added" + (f": {added[0].override_id} …" if added else ""))


def _next_night(company: Profile) -> date:
    """The night after the published one; before the first night, the day that is today there."""
    from customer_tiering.publish.snapshot import last_accepted

    accepted = last_accepted(company.workspace)
    return accepted.night + date.resolution if accepted else datetime.now(company.zone).date()
