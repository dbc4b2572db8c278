"""``tiering identity``: who is behind a customer id, what waits for a person, and what a person decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, console, show_error
from customer_tiering.errors import TieringError

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


class _CustomerByDefault(TyperGroup):
    """``tiering identity erp-C1`` means ``tiering identity show erp-C1``. Errors are shown as everywhere else."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            args = ["show", *args]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TieringError as error:
            show_error(error)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_CustomerByDefault,
    help="Which records are one customer; tiering identity CUSTOMER explains one.",
    no_args_is_help=True,
)
OwnerOption = Annotated[str, typer.Option("--owner", help="Who decides.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]
CustomerArgument = Annotated[str, typer.Argument(help="customer_id, a former one, or a source's id.")]


@app.command()
def show(customer: CustomerArgument, profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Explain a customer: its records, since when and why they belong to it, and what may belong to it, too."""
    from customer_tiering.company.profile import load_profile
    from customer_tiering.identity.manual import explain_identity

    loaded = load_profile(profile)
    found = explain_identity(loaded, customer)
    _say(f"{found.customer_id}: {len(found.members)} record(s)")
    if found.customer_id != customer and customer in {row.record_id for row in found.members}:
        _say(f"{customer} is an alias of it")
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
        _say("may belong to it, too 可能属于同一客户:")
        console.print(_review_table(near))


@app.command()
def review(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """List the pairs of customers that may be one and wait for a person, the likeliest first."""
    from customer_tiering.company.profile import load_profile

    rows = _review(load_profile(profile))
    if not rows:
        _say("nothing waits for a decision")
        return
    console.print(_review_table(rows))
    _say("decide with: tiering identity merge <customer> <customer>, or: tiering identity apart <customer> <customer>")


@app.command()
def merge(
    customer: CustomerArgument, other: CustomerArgument, owner: OwnerOption, reason: ReasonOption,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:  # fmt: skip
    """Two customers are one, from the next night on; the id that was seen first stays."""
    from customer_tiering.company.profile import load_profile
    from customer_tiering.identity.manual import merge as decide_merge

    _confirm(decide_merge(load_profile(profile), customer, other, owner, reason))


@app.command()
def apart(
    customer: CustomerArgument, other: CustomerArgument, owner: OwnerOption, reason: ReasonOption,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:  # fmt: skip
    """Two customers are two, whatever agrees; the pair leaves the review list for good."""
    from customer_tiering.company.profile import load_profile
    from customer_tiering.identity.manual import keep_apart

    _confirm(keep_apart(load_profile(profile), customer, other, owner, reason))


@app.command()
def split(
    source: Annotated[str, typer.Argument(help="Source system of the record.")],
    key: Annotated[str, typer.Argument(help="The record's id in that system.")],
    owner: OwnerOption,
    reason: ReasonOption,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """A record leaves its customer, from the next night on."""
    from customer_tiering.company.profile import load_profile
    from customer_tiering.identity.manual import split as decide_split

    _confirm(decide_split(load_profile(profile), source, key, owner, reason))


@app.command()
def estimate(
    labels: Annotated[Path, typer.Option("--labels", help="CSV with true_company, source, source_key.")],
    out: Annotated[Path, typer.Option("--out", help="File to write the parameters to.")],
    version: Annotated[str, typer.Option("--version", help="Version that decisions will name.")],
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Estimate the match model from labelled records of a company; nothing uses it until it is put in place."""
    from customer_tiering.company.profile import load_profile
    from customer_tiering.identity.matching import estimate_from_file

    estimate_from_file(load_profile(profile), labels, out, version)
    _say(f"wrote {out}; compare it with the model in use before it takes its place (docs/identity.md)")


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
    _say("from the next night on" if entry.is_new else "this was decided before; nothing is added")


def _say(text: str) -> None:
    console.print(text, highlight=False)
