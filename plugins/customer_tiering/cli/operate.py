"""``tiering status``, ``rollback``, ``replay``, ``backup``, ``restore``, …: keeping a company's nights safe."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from customer_tiering import __version__
from customer_tiering.cli.common import (
    DEFAULT_PROFILE,
    JsonOption,
    OwnerOption,
    ProfileOption,
    ReasonOption,
    console,
    errors,
    load_company,
    print_json,
    say,
)
from customer_tiering.cli.publication import show_publication
from customer_tiering.errors import TieringError

if TYPE_CHECKING:
    from rich.console import Group

    from customer_tiering.operate.replay import Replay
    from customer_tiering.operate.status import Status

app = typer.Typer()


@app.command()
def status(
    profile: ProfileOption = DEFAULT_PROFILE,
    as_json: JsonOption = False,
) -> None:
    """Say what is published, held, failed and waiting; exit code 1 when a person should look at something."""
    from customer_tiering.operate.status import status as collect

    found = collect(load_company(profile))
    if as_json:
        print_json(found.as_dict())
    else:
        _print_status(found)
    if found.attention:
        raise typer.Exit(1)


def _print_status(found: Status) -> None:
    published = found.published
    if published:
        behind = f", {published['nights_behind']} night(s) behind" if published["nights_behind"] else ""
        plan = f"schedule expects {published['expected_night']}{behind}" if published["scheduled"] else "no schedule on"
        say(f"published 已发布   night {published['night']}, run {published['run_id']} ({plan})")
    else:
        say("published 已发布   nothing yet")
    for held in found.held:
        say(f"held 待审批        {held['name']} ({held['state']}), answer until {held['answer_until']}")
        for line in held["why"]:
            say(f"                   {line}")
    if found.last_run:
        say(f"last run 最近运行  {found.last_run['run']}: {found.last_run['state']}, step {found.last_run['step']}")
    for name, facts in found.sources.items():
        shown = [f"last rows {facts['last_night_with_rows']}"] if facts.get("last_night_with_rows") else []
        shown += [f"FAILED: {facts['failed']}"] if facts.get("failed") else []
        shown += [f"warning: {warning}" for warning in facts.get("warnings", [])]
        say(f"source 数据源      {name}: {'; '.join(shown)}")
    waiting = sum(row["rows"] for row in found.quarantine)
    say(f"quarantine 隔离    {waiting:,} rows under {len(found.quarantine)} rules, at the last summary")
    due = "; ".join(
        f"{name} {', '.join(f'{count} {state}' for state, count in states.items())}"
        for name, states in found.alerts.items()
    )
    say(f"alerts due 待发送  {due or 'none'}")
    if found.disk:
        disk = {name: f"{size / 1e9:.1f} GB" for name, size in found.disk.items()}
        say(f"disk 磁盘          {disk['used']} used here, {disk['free']} free")
    for line in found.attention:
        console.print("! ", style="yellow", end="")
        say(line)
    if not found.attention:
        console.print("all is well 一切正常", style="green")


@app.command()
def rollback(
    profile: ProfileOption = DEFAULT_PROFILE,
    to: Annotated[
        str, typer.Option("--to", help="Night (YYYY-MM-DD) or folder to go back to; default: the one before.")
    ] = "",
    owner: OwnerOption = "",
    reason: ReasonOption = "",
) -> None:
    """Take a publication back: make an older snapshot current again; the next night continues from it."""
    from customer_tiering.operate.rollback import rollback as roll_back

    company = load_company(profile)
    done = roll_back(company, to, owner, reason)
    say(f"current is {done.target.name} again")
    for name in done.withdrawn:
        say(f"  set aside: held/{name}")
    say("the next night continues from it and computes the nights in between again; it tells people where that differs")
    say("from what they were told, corrections included. To fix a night now: correct its source, run it again.")
    show_publication(company)


@app.command()
def replay(
    first: Annotated[str, typer.Option("--from", help="First night to recompute (YYYY-MM-DD).")] = "",
    last: Annotated[str, typer.Option("--to", help="Last night to recompute; default: the published one.")] = "",
    profile: ProfileOption = DEFAULT_PROFILE,
    promote: Annotated[
        bool, typer.Option("--promote", help="Publish the replay; without --from: the last finished one.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute past nights beside the warehouse and compare them with what was published."""
    from customer_tiering.airflow.runner import parse_as_of
    from customer_tiering.operate import replay as replays

    company = load_company(profile)
    begin = parse_as_of(first)
    if begin is None and not promote:
        raise TieringError("no night to begin with", "give --from YYYY-MM-DD; see tiering replay --help")
    if begin is not None:
        result = replays.replay(company, begin, parse_as_of(last), lambda text: errors.print(text, highlight=False))
        if as_json:
            print(replays.as_json(result))
        else:
            console.print(_render_replay(result))
    if promote:
        say(f"published as {replays.promote(company).name}; the next night continues from it")
        show_publication(company)
    elif not as_json:
        say("what is published stays as it was; to publish the replay: tiering replay --promote")


def _render_replay(result: Replay) -> Group:
    """Moves per scheme with and without the stability rules, and how the replay differs from what was published."""
    from rich.console import Group
    from rich.text import Text

    table = Table(
        title=f"replay of {result.nights:,} nights, {result.first} to {result.last}, against {result.base}",
        title_justify="left",
    )
    columns = (
        "scheme 方案", "customers 客户", "moves of the score 得分变动", "moves of the tier 等级变动",
        "per customer 户均", "same 一致", "only published 仅已发布", "only replayed 仅重算", "tiers differ 当前不同",
    )  # fmt: skip
    for column in columns:
        table.add_column(column, justify="left" if column.startswith("scheme") else "right")
    for row in result.schemes:
        customers = max(row.customers, 1)
        table.add_row(
            row.scheme,
            *(f"{value:,}" for value in (row.customers, row.computed_moves, row.effective_moves)),
            f"{row.computed_moves / customers:.2f} → {row.effective_moves / customers:.2f}",
            *(f"{value:,}" for value in (row.same, row.only_published, row.only_replayed, row.tiers_differ)),
        )
    counted = [
        f"moves by {name}: " + (", ".join(f"{key} {count:,}" for key, count in counts.items()) or "none")
        for name, counts in (("cause 原因", result.causes), ("reason 依据", result.reasons))
    ]
    return Group(table, *(Text(line) for line in counted))


@app.command()
def backup(
    out: Annotated[
        Path | None, typer.Option("--out", help="Archive to write; default: <profile>_<time>.tar.gz.")
    ] = None,
    profile: ProfileOption = DEFAULT_PROFILE,
    with_landing: Annotated[
        bool,
        typer.Option("--with-landing", help="Also back up the landed rows: needed when a source forgets its past."),
    ] = False,
) -> None:
    """Back up what cannot be computed again: ledger, decisions, models, rules, addresses, snapshot, profile."""
    from customer_tiering.operate.backup import back_up

    target = out or Path(f"{profile}_{datetime.now(UTC):%Y%m%dT%H%M%S}.tar.gz")
    done = back_up(load_company(profile), target, with_landing=with_landing)
    size = target.stat().st_size / 1e6
    say(f"{target}: {len(done.files)} files, {size:.1f} MB, night {done.night or 'none yet'}, verified by SHA-256")
    if not done.with_landing:
        say("without landed rows: the first night after a restore reads the sources from their beginning")


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="Archive that tiering backup wrote.")],
    profile: ProfileOption = DEFAULT_PROFILE,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the company that is here; what was there is set aside.")
    ] = False,
) -> None:
    """Check a backup and put it in place; the next night continues from it."""
    from customer_tiering.operate.backup import restore as put_back

    done, aside = put_back(profile, archive, force=force)
    say(f"{profile} is restored: {len(done.files)} files from {done.created_at}, night {done.night or 'none yet'}")
    if aside is not None:
        say(f"what was there: {aside} (remove it when everything works)")
    say(f"next: tiering status --profile {profile}, then run the night")


@app.command()
def privacy_scan(
    extra: Annotated[list[Path] | None, typer.Argument(help="More files or folders to search.")] = None,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Search all that was published, logged or passed on for phone numbers, e-mail addresses and identity numbers.

    Exit code 1 when there are any.
    """
    from customer_tiering.operate.privacy_scan import scan

    for path in extra or []:
        if not path.exists():
            raise TieringError(f"there is nothing at {path}", "name files or folders that exist")
    found = scan(load_company(profile), extra or [])
    for finding in found.findings:
        say(f"{finding.kind}: {finding.shown} in {finding.place}")
    say(
        f"{found.places:,} places searched for {found.known_values:,} private values of the sources and for values "
        f"that look like them: {len(found.findings):,} found"
    )
    if found.findings:
        say("Next step: mask the column (dbt_project/macros/masking.sql), or declare it private in its source")
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)
