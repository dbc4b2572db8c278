"""How a company stands: what is published, what waits, what failed. Reads files only, so it may run at any time."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.airflow.home import hold_airflow
from customer_tiering.alerts.ledger import FILE as LEDGER
from customer_tiering.alerts.ledger import read_ledger
from customer_tiering.alerts.messages import OPEN
from customer_tiering.company.journal import JOURNAL, read_journal
from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import Workspace
from customer_tiering.decisions.log import damaged_files
from customer_tiering.errors import NightBusy, TieringError
from customer_tiering.night.guard import check_restored, night_lock
from customer_tiering.publish.snapshot import DATABASE, current_folder, read_manifest
from customer_tiering.release.holds import TIME_LIMIT, Hold, find, holds, how_to_answer
from customer_tiering.report.summary import SUMMARY
from customer_tiering.sql import fetch_rows

_GRACE = timedelta(hours=6)  # how long a scheduled night may take
_LEAST_FREE_BYTES = 1 << 30
_SILENT_NIGHTS = 7
_LAST_STEP = "summarise"
_DEPLOYED = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"  # set in the containers of docker-compose.yml


@dataclass
class Status:
    """The facts; ``attention`` says what a person should look at, each with its next step."""

    profile: str
    published: dict[str, Any] | None = None
    held: list[dict[str, Any]] = field(default_factory=list)
    last_run: dict[str, Any] | None = None
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    alerts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Messages of each channel that have not arrived, by state."""
    disk: dict[str, int] = field(default_factory=dict)
    night_runs: bool = False
    """Whether a ``make run`` is on."""
    airflow_runs: bool = False
    attention: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def status(profile: Profile, now: datetime | None = None) -> Status:
    """Collect the status of a company. A damaged part is named in ``attention`` and does not hide the others."""
    now = now or datetime.now(UTC)
    found = Status(profile.name)
    workspace = profile.workspace
    for part in (_restored, _decisions, _running, _published, _held, _last_run, _alerts, _disk):
        try:
            part(found, profile, workspace, now)
        except TieringError as error:
            found.attention.append(f"{error.problem}; {error.next_step}")
        except (OSError, ValueError, KeyError, duckdb.Error) as error:
            name = part.__name__.strip("_")
            found.attention.append(f"{name} cannot be read: {type(error).__name__}: {str(error).splitlines()[0]}")
    return found


def _restored(_found: Status, _profile: Profile, workspace: Workspace, _now: datetime) -> None:
    check_restored(workspace)


def _decisions(found: Status, _profile: Profile, workspace: Workspace, _now: datetime) -> None:
    for path in damaged_files(workspace.decisions):
        found.attention.append(
            f"a line of {path.name.removesuffix('.damaged')} was cut off by a crash and not recorded; look at {path}, "
            "decide again if needed, then delete that file"
        )


def _running(found: Status, profile: Profile, workspace: Workspace, _now: datetime) -> None:
    if not workspace.root.exists():
        return
    try:
        with night_lock(workspace):
            pass
    except NightBusy:
        found.night_runs = True
    if workspace.airflow_home.exists():
        try:
            with hold_airflow(profile):
                pass
        except NightBusy:
            found.airflow_runs = True
    found.airflow_runs |= _DEPLOYED in os.environ


def _published(found: Status, profile: Profile, workspace: Workspace, now: datetime) -> None:
    folder = current_folder(workspace)
    if folder is None:
        found.attention.append(f"nothing is published yet; run a night: make run PROFILE={profile.name}")
        return
    manifest = read_manifest(folder)
    expected = _expected_night(profile, now)
    scheduled = (workspace.airflow_home / "schedule.json").exists() or _DEPLOYED in os.environ
    behind = (expected - manifest.night).days
    found.published = {
        "night": manifest.as_of_date,
        "run_id": manifest.run_id,
        "folder": folder.name,
        "rules_version": manifest.rules_version,
        "code_version": manifest.code_version,
        "scheduled": scheduled,
        "expected_night": str(expected),
        "nights_behind": max(0, behind),
    }
    if scheduled and behind > 0:
        found.attention.append(
            f"the published night {manifest.as_of_date} is {behind} day(s) behind the schedule, which should have "
            f"published {expected}; see the last run below, and whether Airflow runs: make up PROFILE={profile.name}"
        )
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        rows = fetch_rows(
            connection,
            "select source, max(as_of_date) filter (where rows_in > 0) as last_rows from marts.fct_data_quality "
            "group by source order by source",
        )
    for row in rows:
        silent = (manifest.night - row["last_rows"]).days if row["last_rows"] else None
        found.sources[row["source"]] = {"last_night_with_rows": str(row["last_rows"] or ""), "silent_nights": silent}
        if silent is None or silent >= _SILENT_NIGHTS:
            since = f"since {row['last_rows']}" if row["last_rows"] else "at all"
            found.attention.append(f"source {row['source']} has brought no row {since}; ask its owner")


def _expected_night(profile: Profile, now: datetime) -> date:
    """The night of the last tick of the schedule that has had time to be published."""
    from croniter import croniter

    tick: datetime = croniter(profile.schedule, (now - _GRACE).astimezone(profile.zone)).get_prev(datetime)
    return tick.date() - timedelta(days=1)


def _held(found: Status, profile: Profile, workspace: Workspace, _now: datetime) -> None:
    known = holds(workspace)
    for held in known:
        state = held.state()
        if state not in ("open", "approved"):
            continue
        found.held.append(
            {
                "name": held.name,
                "state": state,
                "why": held.facts.get("beyond", [held.events[0].reason]),
                "answer_until": held.events[0].answer_until,
            }
        )
        if state == "open":
            found.attention.append(f"the night {held.name} is held; {how_to_answer(held, profile.name)}")
        else:
            found.attention.append(
                f"the held night {held.name} was approved and is not published; finish it: tiering release approve "
                f"{held.name} --profile {profile.name} --owner <who> --reason <why>; or drop it: … reject …"
            )
    published = found.published["folder"] if found.published else ""  # like a hold's name: night and run
    if known and known[-1].name > published and _was_unanswered(known[-1]):
        held = known[-1]
        found.attention.append(
            f"the held night {held.name} was not answered by {held.answer_until:%Y-%m-%d %H:%M} UTC and counts as "
            f"rejected; to have it judged again: make run PROFILE={profile.name} AS_OF={held.name[:10]}; otherwise the "
            "next night that is published brings its data"
        )


def _was_unanswered(held: Hold) -> bool:
    """Whether the time limit has rejected it; Airflow writes that down, ``make run`` leaves the hold without answer."""
    return held.state() == "rejected" and (held.last.kind == "hold" or held.last.owner == TIME_LIMIT)


def _last_run(found: Status, profile: Profile, workspace: Workspace, _now: datetime) -> None:
    journals = sorted(workspace.reports.glob(f"*/{JOURNAL}"), key=lambda path: path.stat().st_mtime_ns)
    if not journals:
        return
    folder = journals[-1].parent
    events = read_journal(folder)
    if not events:
        return
    last = events[-1]
    found.last_run = {
        "run": folder.name,
        "step": last["step"],
        "state": _state(found, workspace, events),
        "folder": str(folder),
    }
    failed = _open_failures(events)
    for event in failed:
        where = event["step"].partition(" ")[2]
        if where:
            found.sources.setdefault(where, {})["failed"] = event["problem"]
        found.attention.append(f"run {folder.name} failed in {event['step']}: {event['problem']}; {event['next_step']}")
    if found.last_run["state"] == "cut off":
        found.attention.append(
            f"run {folder.name} ended in the middle of {last['step']}; run the night again: make run "
            f"PROFILE={profile.name} AS_OF={folder.name[:10]} (Airflow tries it again by itself)"
        )
    for event in events:
        if event["event"] == "finished" and event["step"].startswith(("extract ", "gate ")):
            accounts = event["facts"].get("accounts", [])
            warnings = [*event["facts"].get("warnings", []), *(w for account in accounts for w in account["warnings"])]
            if warnings:
                source = event["step"].partition(" ")[2]
                found.sources.setdefault(source, {}).setdefault("warnings", []).extend(warnings)
    summaries = sorted(workspace.reports.glob(f"*/{SUMMARY}"), key=lambda path: path.stat().st_mtime_ns)
    if summaries:
        facts = json.loads(summaries[-1].read_text(encoding="utf-8"))
        found.quarantine = facts["quarantine"]


def _alerts(found: Status, profile: Profile, workspace: Workspace, _now: datetime) -> None:
    if not (workspace.ledger / LEDGER).exists():
        return
    with read_ledger(workspace.ledger) as ledger:
        waiting = Counter((message.line.channel, message.state) for message in ledger.messages(states=OPEN))
    for (channel, state), count in sorted(waiting.items()):
        found.alerts.setdefault(channel, {})[state] = count
        if state == "failed":
            found.attention.append(
                f"channel {channel}: {count} messages failed; they are due again the next night, or now: "
                f"tiering alerts retry --now --profile {profile.name}"
            )
        elif state == "given_up":
            found.attention.append(
                f"channel {channel}: {count} messages were given up; see tiering alerts list --state given_up, then: "
                f"tiering alerts resend --failed --profile {profile.name}"
            )


def _open_failures(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each step that failed last time it was tried, the failure; a busy warehouse is none."""
    newest = {event["step"]: event for event in events}
    return [event for event in newest.values() if event["event"] == "failed"]


def _state(found: Status, workspace: Workspace, events: list[dict[str, Any]]) -> str:
    last = events[-1]
    if last["event"] == "failed" or _open_failures(events):
        return "failed"
    if last["event"] == "finished" and last["step"] == _LAST_STEP:
        return "published"
    if last["step"] == "judge" and last["event"] == "finished" and last["facts"].get("held"):
        state = find(workspace, last["facts"]["held"]).state()
        return "held" if state == "open" else f"held, {state}"
    return "running" if found.night_runs or found.airflow_runs else "cut off"


def _disk(found: Status, _profile: Profile, workspace: Workspace, _now: datetime) -> None:
    place = workspace.root if workspace.root.exists() else Path(workspace.root.anchor)
    used = sum(path.stat().st_size for path in workspace.root.rglob("*") if path.is_file() and not path.is_symlink())
    warehouse = workspace.warehouse.stat().st_size if workspace.warehouse.exists() else 0
    needed = max(_LEAST_FREE_BYTES, 3 * warehouse)
    found.disk = {"free": shutil.disk_usage(place).free, "used": used, "needed": needed}
    if found.disk["free"] < needed:
        found.attention.append(
            f"only {found.disk['free'] / 1e9:.1f} GB are free in {place}, a night may need {needed / 1e9:.1f} GB; make "
            "room: replay/, before-restore-* and older folders in reports/ may go; of held/ what waits for no answer"
        )
