"""``tiering status``, ``rollback``, ``backup``, ``restore``, ``privacy-scan``: keeping a company's nights safe."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, console, guarded
from customer_tiering.company.profile import load_profile
from customer_tiering.errors import TieringError

if TYPE_CHECKING:
    from customer_tiering.operate.status import Status


def register(app: typer.Typer) -> None:
    """Add the commands to ``tiering``."""
    for function in (status, rollback, backup, restore, privacy_scan):
        app.command()(guarded(function))


def status(
    profile: ProfileOption = DEFAULT_PROFILE,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """Say what is published, held, failed and waiting; exit code 1 when a person should look at something."""
    from customer_tiering.operate.status import status as collect

    found = collect(load_profile(profile))
    if as_json:
        print(json.dumps(found.as_dict(), ensure_ascii=False, indent=1, default=str))
    else:
        _print_status(found)
    if found.attention:
        raise typer.Exit(1)


def _print_status(found: Status) -> None:
    published = found.published
    if published:
        behind = f", {published['nights_behind']} night(s) behind" if published["nights_behind"] else ""
        plan = f"schedule expects {published['expected_night']}{behind}" if published["scheduled"] else "no schedule on"
        _say(f"published 已发布   night {published['night']}, run {published['run_id']} ({plan})")
    else:
        _say("published 已发布   nothing yet")
    for held in found.held:
        _say(f"held 待审批        {held['name']} ({held['state']}), answer until {held['answer_until']}")
        for line in held["why"]:
            _say(f"                   {line}")
    if found.last_run:
        _say(f"last run 最近运行  {found.last_run['run']}: {found.last_run['state']}, step {found.last_run['step']}")
    for name, facts in found.sources.items():
        shown = [f"last rows {facts['last_night_with_rows']}"] if facts.get("last_night_with_rows") else []
        shown += [f"FAILED: {facts['failed']}"] if facts.get("failed") else []
        shown += [f"warning: {warning}" for warning in facts.get("warnings", [])]
        _say(f"source 数据源      {name}: {'; '.join(shown)}")
    waiting = sum(row["rows"] for row in found.quarantine)
    _say(f"quarantine 隔离    {waiting:,} rows under {len(found.quarantine)} rules, at the last summary")
    due = "; ".join(
        f"{name} {', '.join(f'{count} {state}' for state, count in states.items())}"
        for name, states in found.alerts.items()
    )
    _say(f"alerts due 待发送  {due or 'none'}")
    if found.disk:
        disk = {name: f"{size / 1e9:.1f} GB" for name, size in found.disk.items()}
        _say(f"disk 磁盘          {disk['used']} used here, {disk['free']} free")
    for line in found.attention:
        console.print("! ", style="yellow", end="")
        _say(line)
    if not found.attention:
        console.print("all is well 一切正常", style="green")


def rollback(
    profile: ProfileOption = DEFAULT_PROFILE,
    to: Annotated[
        str, typer.Option("--to", help="Night (YYYY-MM-DD) or folder to go back to; default: the one before.")
    ] = "",
    owner: Annotated[str, typer.Option("--owner", help="Who decides (a person who can be asked).")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")] = "",
) -> None:
    """Take a publication back: an older kept snapshot is current again; the next night goes on from it."""
    from customer_tiering.cli.bi import show_publication
    from customer_tiering.operate.rollback import rollback as roll_back

    company = load_profile(profile)
    done = roll_back(company, to, owner, reason)
    _say(f"current is {done.target.name} again")
    for name in done.withdrawn:
        _say(f"  set aside: held/{name}")
    _say("the next night goes on from it and computes the nights between again; it tells whatever differs from what")
    _say("people were told, corrections included. To mend a night now: correct the source and run that night again.")
    show_publication(company)


def privacy_scan(
    extra: Annotated[list[Path] | None, typer.Argument(help="More files or folders to look through.")] = None,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Look for telephone numbers, e-mail addresses and identity numbers in all that was published, logged, passed on.

    Exit code 1 when there are any.
    """
    from customer_tiering.operate.privacy_scan import scan

    for path in extra or []:
        if not path.exists():
            raise TieringError(f"there is nothing at {path}", "name files or folders that exist")
    found = scan(load_profile(profile), extra or [])
    for finding in found.findings:
        _say(f"{finding.kind}: {finding.shown} in {finding.place}")
    _say(
        f"{found.places:,} places looked through for {found.known_values:,} private values of the sources and for "
        f"their shapes: {len(found.findings):,} found"
    )
    if found.findings:
        _say("Next step: mask the column (dbt_project/macros/masking.sql), or declare it private where the source is")
        raise typer.Exit(1)


def backup(
    out: Annotated[
        Path | None, typer.Option("--out", help="Archive to write; default: <profile>_<time>.tar.gz.")
    ] = None,
    profile: ProfileOption = DEFAULT_PROFILE,
    with_landing: Annotated[
        bool, typer.Option("--with-landing", help="Also the landed rows: needed when a source forgets its past.")
    ] = False,
) -> None:
    """Back up what cannot be computed again: ledger, decisions, models, rules, addresses, snapshot, profile."""
    from customer_tiering.operate.backup import back_up

    target = out or Path(f"{profile}_{datetime.now(UTC):%Y%m%dT%H%M%S}.tar.gz")
    done = back_up(load_profile(profile), target, with_landing=with_landing)
    size = target.stat().st_size / 1e6
    _say(f"{target}: {len(done.files)} files, {size:.1f} MB, night {done.night or 'none yet'}, checked by SHA-256")
    if not done.with_landing:
        _say("without landing: the next night after a restore reads the sources from their start")


def restore(
    archive: Annotated[Path, typer.Argument(help="Archive that tiering backup wrote.")],
    profile: ProfileOption = DEFAULT_PROFILE,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a company that lives here; what was there is put aside.")
    ] = False,
) -> None:
    """Check a backup and put it in place; the next night goes on from it."""
    from customer_tiering.operate.backup import restore as put_back

    done, aside = put_back(profile, archive, force=force)
    _say(f"{profile} is restored: {len(done.files)} files of {done.created_at}, night {done.night or 'none yet'}")
    if aside is not None:
        _say(f"what was there: {aside} (remove it when all is well)")
    _say(f"next: tiering status --profile {profile}, then run the night")


def _say(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
