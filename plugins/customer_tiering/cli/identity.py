"""``tiering identity``: who is behind a customer id, what waits for a person, and what a person decides."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from customer_tiering.cli.common import (
    DEFAULT_PROFILE,
    OwnerOption,
    ProfileOption,
    ReasonOption,
    command_group,
    console,
    load_company,
    say,
)

if TYPE_CHECKING:
    from customer_tiering.identity.decisions import ManualDecision
    from customer_tiering.identity.manual import Entry

_METHODS = {
    "own_id": "a customer of its own 独立客户",
    "crosswalk": "carries the other's id 系统间对照",
    "tax_id": "same tax id 税号一致",
    "phone": "same name and phone 名称和电话一致",
    "email": "same name and e-mail 名称和邮箱一致",
    "name": "same name in two systems 名称一致",
    "fuzzy": "looks alike 相似匹配",
    "manual": "decided by a person 人工决定",
}


def _may_be_command(word: str, commands: Collection[str]) -> bool:
    # Ids have digits or capitals: a plain word that looks like a command is a mistyped one, and is reported as such.
    return word in commands or (word.isalpha() and word.islower() and bool(get_close_matches(word, commands)))


class _CustomerByDefault(TyperGroup):
    """``tiering identity erp-C1`` means ``tiering identity show erp-C1``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and not _may_be_command(args[0], self.commands):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


app = command_group("Which records are one customer; tiering identity CUSTOMER explains one.", _CustomerByDefault)
CustomerArgument = Annotated[str, typer.Argument(help="customer_id, a former one, or the id in a source.")]


@app.command()
def show(customer: CustomerArgument, profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Explain a customer: its records, since when and why they belong to it, and which others may belong to it."""
    from customer_tiering.identity.manual import explain_identity

    loaded = load_company(profile)
    found = explain_identity(loaded, customer)
    say(f"{found.customer_id}: {len(found.members)} record(s)")
    if found.customer_id != customer and customer in {row.record_id for row in found.members}:
        say(f"{customer} is one of its records")
    table = Table("record", "since", "why", "agreed", "with", "weight")
    for row in found.members:
        weight = "" if row.weight is None else f"{row.weight} ({row.model_version})"
        table.add_row(row.record_id, str(row.night), _METHODS[row.method], row.agreed, row.via or "", weight)
    console.print(table)
    if moves := [row for row in found.history if row.previous_customer_id not in (None, row.customer_id)]:
        table = Table("night", "record", "from", "to", "why")
        for row in moves:
            table.add_row(
                str(row.night), row.record_id, row.previous_customer_id, row.customer_id, _METHODS[row.method]
            )
        console.print(table)
    if found.manual:
        console.print(_manual_table(found.manual))
    near = [row for row in _review(loaded) if found.customer_id in (row["left_customer_id"], row["right_customer_id"])]
    if near:
        say("may also belong to it 可能属于同一客户:")
        console.print(_review_table(near))


@app.command()
def review(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """List pairs of customers that may be one and wait for a decision, the likeliest first."""

    rows = _review(load_company(profile))
    if not rows:
        say("nothing waits for a decision")
        return
    console.print(_review_table(rows))
    say("decide with: tiering identity merge <customer> <customer>, or: tiering identity apart <customer> <customer>")


@app.command()
def merge(
    customer: CustomerArgument, other: CustomerArgument, owner: OwnerOption, reason: ReasonOption,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:  # fmt: skip
    """Decide that two customers are one, from the next night on; the id that was seen first stays."""
    from customer_tiering.identity.manual import merge as decide_merge

    _confirm(decide_merge(load_company(profile), customer, other, owner, reason))


@app.command()
def apart(
    customer: CustomerArgument, other: CustomerArgument, owner: OwnerOption, reason: ReasonOption,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:  # fmt: skip
    """Decide that two customers are two, whatever agrees; the pair leaves the review list for good."""
    from customer_tiering.identity.manual import keep_apart

    _confirm(keep_apart(load_company(profile), customer, other, owner, reason))


@app.command()
def split(
    source: Annotated[str, typer.Argument(help="Source system of the record.")],
    key: Annotated[str, typer.Argument(help="The record's id in that system.")],
    owner: OwnerOption,
    reason: ReasonOption,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Take a record out of its customer, from the next night on."""
    from customer_tiering.identity.manual import split as decide_split

    _confirm(decide_split(load_company(profile), source, key, owner, reason))


@app.command()
def estimate(
    labels: Annotated[Path, typer.Option("--labels", help="CSV with true_company, source, source_key.")],
    out: Annotated[Path, typer.Option("--out", help="File to write the parameters to.")],
    version: Annotated[str, typer.Option("--version", help="Version of the model, which decisions will name.")],
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Estimate the match model from labelled records of a company; it is not used until it is put in place."""
    from customer_tiering.identity.matching import estimate_from_file

    estimate_from_file(load_company(profile), labels, out, version)
    say(f"wrote {out}; compare it with the model in use before it takes its place (docs/identity.md)")


def _review(profile: Any) -> list[dict[str, Any]]:
    """The review list of the published night; empty before the first."""
    import duckdb

    from customer_tiering.publish.snapshot import DATABASE, current_folder
    from customer_tiering.sql import fetch_rows

    folder = current_folder(profile.workspace)
    if folder is None:
        return []
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        return fetch_rows(connection, "select * from marts.fct_identity_review order by review_rank")


def _review_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("customer", "name", "customer", "name", "agreed", "weight", "why not decided")
    for row in rows:
        table.add_row(
            row["left_customer_id"],
            row["left_name"],
            row["right_customer_id"],
            row["right_name"],
            row["agreed_keys"] or "",
            "" if row["match_weight"] is None else str(row["match_weight"]),
            f"{row['reason_en']} {row['reason_zh']}",
        )
    return table


def _manual_table(decisions: list[ManualDecision]) -> Table:
    table = Table("decided", "after the night", "what", "records", "who", "why")
    for decision in decisions:
        table.add_row(
            decision.entered_on[:10],
            str(decision.after_night or ""),
            "one customer 合并" if decision.action == "merge" else "two customers 分开",
            f"{', '.join(decision.left)} | {', '.join(decision.right)}",
            decision.owner,
            decision.reason,
        )
    return table


def _confirm(entry: Entry) -> None:
    console.print(_manual_table([entry.decision]))
    say("from the next night on" if entry.is_new else "this was decided before; nothing was added")
