"""``make run``: one night from the command line, by the same DAG that the scheduler runs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from customer_tiering.airflow.home import (
    airflow_command,
    airflow_environment,
    hold_airflow,
    prepare_airflow,
)
from customer_tiering.airflow.tasks import NO_WAITING
from customer_tiering.company.journal import JOURNAL, read_journal
from customer_tiering.company.profile import Profile
from customer_tiering.errors import OrderError
from customer_tiering.night.guard import inherited_environment, night_lock
from customer_tiering.night.sources import prepare_sources
from customer_tiering.publish.snapshot import check_order
from customer_tiering.release.holds import find, how_to_answer, text
from customer_tiering.report.summary import SUMMARY, print_summary
from customer_tiering.rules.load import load_rules

HELD = 3
"""Exit code when the night waits for a person."""
_POLL_SECONDS = 0.2


def run_night(profile: Profile, as_of: date | None, console: Console) -> int:
    """Run one night with progress and print its summary; returns the exit code (0: published, 3: held)."""
    workspace = profile.workspace
    with night_lock(workspace) as descriptor:
        with hold_airflow(profile):  # refuse before anything is changed
            load_rules(profile)
        as_of = prepare_sources(profile, as_of, lambda text: console.print(f"  {text}"))
        check_order(workspace, as_of)
        console.print(f"{profile.label_en} · night of {as_of} · {workspace.root}")
        log = workspace.reports / "airflow.log"
        if not (workspace.airflow_home / ".prepared").exists():
            console.print("  setting up Airflow's metadata database …")
        prepare_airflow(profile, log)
        environment = airflow_environment(profile) | inherited_environment(descriptor)
        environment["TIERING_TASK_RETRIES"] = "0"  # a person is watching and can run it again
        environment[NO_WAITING] = "1"
        started = datetime.now(UTC)
        with log.open("w", encoding="utf-8") as stream:
            process = subprocess.Popen(
                [airflow_command(), "dags", "test", "nightly_tiering", "-c", json.dumps({"as_of": str(as_of)})],
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                pass_fds=(descriptor,),
            )
            try:
                folder = _follow(process, workspace.reports, as_of, started, console)
            except KeyboardInterrupt:
                console.print("stopping …")
                process.terminate()
                process.wait()
                console.print("Stopped. What was published stays; the same command goes on where this run stopped.")
                return 130
    return _conclude(profile, process.returncode, folder, log, console)


def _follow(
    process: subprocess.Popen[bytes], reports: Path, as_of: date, started: datetime, console: Console
) -> Path | None:
    """Print each step as it ends; returns the run's folder once it is known."""
    folder: Path | None = None
    shown = 0
    with console.status("starting Airflow …") as status:
        while True:
            ended = process.poll() is not None
            folder = folder or _find_folder(reports, as_of, started)
            if folder:
                events = read_journal(folder)
                for event in events[shown:]:
                    if event["event"] == "started":
                        status.update(f"{event['step']} …")
                    else:
                        console.print(_progress_line(event))
                shown = len(events)
            if ended:
                return folder
            time.sleep(_POLL_SECONDS)


def _find_folder(reports: Path, as_of: date, started: datetime) -> Path | None:
    for folder in sorted(reports.glob(f"{as_of}_*"), reverse=True):
        journal = folder / JOURNAL
        if journal.exists() and journal.stat().st_mtime >= started.timestamp():
            return folder
    return None


def _progress_line(event: dict[str, Any]) -> str:
    mark = "✓" if event["event"] == "finished" else "✗"
    return f"  {mark} {event['step']:<24}{event['seconds']:>7.1f} s  {'  '.join(_facts(event))}"


def _facts(event: dict[str, Any]) -> Iterator[str]:
    facts = event.get("facts", {})
    if event["step"].startswith("extract"):
        yield f"{sum(facts.get('rows', {}).values()):,} rows landed"
        if facts.get("recovered"):
            yield f"{len(facts['recovered'])} load(s) finished that an earlier run had left"
    if event["step"].startswith("gate"):
        accounts = facts.get("accounts", [])
        yield f"{sum(account['rows_kept'] for account in accounts):,} kept"
        yield f"{sum(account['rows_quarantined'] for account in accounts):,} quarantined"
    if event["step"] == "build":
        yield f"{facts.get('models', 0)} models, {facts.get('tests', 0)} tests"
    if event["step"] == "judge":
        yield "HELD" if facts.get("held") else f"{len(facts.get('warnings', []))} warnings"
    if event["step"] == "publish_postgres" and facts:
        yield f"{sum(facts.get('rows', {}).values()):,} rows loaded"
        yield from facts.get("warnings", [])
    if event["step"] == "alert":
        yield f"{sum(facts.get('sent', {}).values())} sent"
    if event["step"] == "report" and facts:
        yield Path(facts["report"]).name
        yield Path(facts["workbook"]).name


def _conclude(profile: Profile, exit_code: int, folder: Path | None, log: Path, console: Console) -> int:
    events = read_journal(folder) if folder else []
    if events and events[-1]["event"] == "finished" and (held := events[-1].get("facts", {}).get("held")):
        hold = find(profile.workspace, held)
        console.print("\nheld: ", style="yellow bold", end="")
        console.print(text(hold), highlight=False, soft_wrap=True)
        console.print(f"Next step: {how_to_answer(hold, profile.name)}", highlight=False, soft_wrap=True)
        return HELD
    failures = [event for event in events if event["event"] == "failed"]
    for event in failures:
        console.print(f"\n{event['step']} failed: ", style="red bold", end="")
        console.print(event["problem"], highlight=False)
        if event["next_step"]:
            console.print(f"Next step: {event['next_step']}", highlight=False)
    if folder is None or not (folder / SUMMARY).exists():
        if not failures:
            console.print(f"the night did not finish (Airflow's exit code {exit_code}); see {log}", style="red bold")
        console.print(f"Nothing half-done is published. Log: {log}", highlight=False)
        return 1
    print_summary(console, json.loads((folder / SUMMARY).read_text(encoding="utf-8")))
    if failures:
        failed = ", ".join(dict.fromkeys(event["step"] for event in failures))
        console.print(
            f"\nThe night is published, but {failed} failed, see above; log: {log}", style="red bold", highlight=False
        )
        return 1
    return 0


def parse_as_of(text: str | None) -> date | None:
    """An as-of date from the command line. Raises ``OrderError`` when it is no date."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise OrderError(f"AS_OF={text} is no date", "write it as YYYY-MM-DD, for example AS_OF=2026-03-31") from error
