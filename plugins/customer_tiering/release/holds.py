"""Held nights: a snapshot beside the published ones, and what people decide about it.

A held night lies in ``held/<night>_<run>/``, complete as if it were published, with ``hold.json`` that says why. What
became of it is lines of ``decisions/release.jsonl``, only ever appended; the first answer to a hold counts, wherever it
was given. Publishing moves that very folder, so what was looked at is what is published.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb

from customer_tiering.company.release_limits import ReleaseLimits
from customer_tiering.company.workspace import Workspace
from customer_tiering.decisions.release import STATES, Event, State, append_event, read_events
from customer_tiering.errors import DecisionError, NightBusy, OrderError, PublishError
from customer_tiering.publish.snapshot import (
    MANIFEST,
    UNFINISHED,
    Manifest,
    accept,
    check_order,
    current_folder,
    flush_folder,
    predecessor,
    read_manifest,
    write_snapshot,
)
from customer_tiering.release.comparison import Verdict

NOTE = "hold.json"
TIME_LIMIT = "time limit"
"""Who decides when nobody answers."""
_COMPARISON = "comparison"


@dataclass(frozen=True)
class Hold:
    """A held night; ``name`` is its folder. ``facts`` is what ``hold.json`` says, empty when the folder is gone."""

    name: str
    events: tuple[Event, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def last(self) -> Event:
        return self.events[-1]

    @property
    def answer_until(self) -> datetime:
        return datetime.fromisoformat(self.events[0].answer_until)

    def state(self, now: datetime | None = None) -> State:
        """Where it stands; a hold past its time limit is rejected, unless the profile approves unanswered ones."""
        state = STATES[self.last.kind]
        overdue = (now or datetime.now(UTC)) > self.answer_until
        if state == "open" and overdue and self.facts.get("unanswered", "reject") == "reject":
            return "rejected"
        return state


def holds(workspace: Workspace) -> list[Hold]:
    """All held nights, oldest first."""
    by_night: dict[str, list[Event]] = {}
    for event in read_events(workspace.decisions):
        if event.kind == "hold":
            by_night[event.night] = [event]
        elif event.night in by_night:
            by_night[event.night].append(event)
    return [Hold(name, tuple(events), _facts(workspace, name, events)) for name, events in by_night.items()]


def waiting(workspace: Workspace) -> list[Hold]:
    """Holds that nobody has answered, and approved ones that are not published yet."""
    return [hold for hold in holds(workspace) if hold.state() in ("open", "approved")]


def find(workspace: Workspace, name: str = "") -> Hold:
    """A hold by its folder or night; without a name the newest one that waits.

    Raises ``DecisionError`` when there is none.
    """
    known = holds(workspace)
    fitting = [hold for hold in known if name in (hold.name, hold.name[:10])] if name else waiting(workspace)
    if not fitting:
        last = f"; the last one was {known[-1].name}: {known[-1].state()}" if known else ""
        raise DecisionError(
            f"there is no held night {name}{last}" if name else f"no night waits for an answer{last}",
            "see tiering release show --all",
        )
    return fitting[-1]


def hold(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    manifest: Manifest,
    verdict: Verdict,
    limits: ReleaseLimits,
    keep: int,
    warnings: Iterable[str] = (),
) -> Hold:
    """Set the marts aside as a held night, which waits for an answer from now on, in place of any that waited.

    Raises ``NightBusy`` when an earlier one was approved and can still be published.
    """
    supersede(workspace, f"the night {manifest.as_of_date} was judged (run {manifest.run_id})")
    known = {event.night for event in read_events(workspace.decisions)}
    name = base = f"{manifest.as_of_date}_{manifest.run_id}"
    attempt = 1
    while name in known:
        attempt += 1
        name = f"{base}-{attempt}"
    unfinished = write_snapshot(connection, workspace, manifest, workspace.held)
    until = datetime.now(UTC) + timedelta(hours=limits.answer_within_hours)
    facts: dict[str, Any] = {
        "name": name,
        "night": manifest.as_of_date,
        "run_id": manifest.run_id,
        "compared_with": verdict.base,
        "compared_with_night": str(verdict.base_night),
        "rules": [verdict.rules_before, verdict.rules_after],
        "beyond": [str(figure) for figure in verdict.beyond],
        "figures": [asdict(figure) for figure in verdict.figures],
        "movers": verdict.movers,
        "warnings": list(warnings),
        "answer_until": until.isoformat(timespec="seconds"),
        "unanswered": limits.unanswered,
    }
    (unfinished / NOTE).write_text(json.dumps(facts, ensure_ascii=False, indent=1, default=str), encoding="utf-8")
    flush_folder(unfinished)
    folder = workspace.held / name
    if folder.exists():  # a crash came between folder and line
        shutil.rmtree(folder)
    unfinished.rename(folder)
    reason = "; ".join(facts["beyond"])
    append_event(
        workspace.decisions, "hold", name, owner=_COMPARISON, reason=reason, answer_until=facts["answer_until"]
    )
    _prune(workspace, keep)
    return find(workspace, name)


def answer(workspace: Workspace, name: str, kind: Literal["approve", "reject"], owner: str, reason: str) -> Hold:
    """Approve or reject a held night; the first answer counts, and the same answer again changes nothing.

    Raises ``DecisionError`` without owner or reason, or when the night was answered otherwise or superseded;
    ``OrderError`` or ``PublishError`` when it cannot be published (any longer).
    """
    owner, reason = _signed(owner, reason)
    held = find(workspace, name)
    if kind == "approve" and held.state() in ("open", "approved"):
        _check_publishable(workspace, held)
    wanted = STATES[kind]

    def still_open(events: list[Event]) -> bool:
        mine = [event for event in events if event.night == held.name]
        state = Hold(held.name, tuple(mine), held.facts).state()
        overdue = state == "rejected" and mine[-1].kind == "hold"
        if overdue and kind == "reject":
            return True
        if overdue:
            raise unanswered(workspace, held)
        if state == wanted or (state, kind) == ("published", "approve"):
            return False
        if state != "open":
            raise DecisionError(
                f"the held night {held.name} is {state} already ({mine[-1].owner}: {mine[-1].reason})",
                f"take it back with tiering rollback --profile {workspace.root.name}"
                if state == "published"
                else "run the night again to have it judged again",
            )
        return True

    append_event(workspace.decisions, kind, held.name, owner=owner, reason=reason, only_if=still_open)
    return find(workspace, held.name)


def unanswered(workspace: Workspace, held: Hold) -> DecisionError:
    """What to say of a hold whose time limit has passed."""
    return DecisionError(
        f"the held night {held.name} was not answered by {held.answer_until:%Y-%m-%d %H:%M} UTC and counts as rejected",
        f"look: tiering release show {held.name} --profile {workspace.root.name}; run the night again to have it "
        "judged again, or wait for the next one, which goes on from the last published night",
    )


def reject_approved(workspace: Workspace, name: str, owner: str, reason: str) -> Hold:
    """Reject a held night that was approved and is not published, for whatever reason it cannot be.

    The caller holds the warehouse, so nobody is publishing it. Raises ``DecisionError`` without owner or reason, or
    when it stands otherwise.
    """
    owner, reason = _signed(owner, reason)
    held = find(workspace, name)
    if held.state() == "approved" and not _finish_published(workspace, held):
        append_event(workspace.decisions, "reject", held.name, owner=owner, reason=reason, only_if=_still(held))
        return find(workspace, held.name)
    return answer(workspace, held.name, "reject", owner, reason)


def supersede(workspace: Workspace, reason: str) -> list[str]:
    """Close every hold that waits, because the state moves on; returns their names.

    The caller holds the warehouse, so none of them is being published. Raises ``NightBusy`` when an approved one can
    still be published; after a restore none can, because ``held/`` gave way.
    """
    closed = []
    while still := waiting(workspace):  # read again: one may have been answered meanwhile
        held = still[0]
        if held.state() == "approved":
            if _finish_published(workspace, held):
                continue
            if _is_publishable(workspace, held):
                who = f"{held.name} --profile {workspace.root.name} --owner <who> --reason <why>"
                raise NightBusy(
                    f"the held night {held.name} was approved and is not published yet",
                    f"wait a minute; if that stays, finish it: tiering release approve {who}; "
                    f"or drop it: tiering release reject {who}; then do this again",
                )
        append_event(
            workspace.decisions, "supersede", held.name, owner=_COMPARISON, reason=reason, only_if=_still(held)
        )
        closed.append(held.name)
    return closed


def publish_held(workspace: Workspace, name: str, keep: int) -> Path:
    """Publish an approved night: its folder becomes ``current``. Again: returns where it went.

    Raises ``PublishError`` when it was not approved, ``OrderError`` when the state moved on since it was built.
    """
    held = find(workspace, name)
    state = held.state()
    if state == "published":
        return workspace.published / held.last.folder
    if state != "approved":
        raise PublishError(f"the held night {name} is {state}, not approved", f"see tiering release show {name}")
    if folder := _finish_published(workspace, held):
        return folder
    _check_publishable(workspace, held)
    workspace.published.mkdir(parents=True, exist_ok=True)
    copy = workspace.published / f"{UNFINISHED}{name}"
    if copy.exists():
        shutil.rmtree(copy)
    shutil.copytree(workspace.held / name, copy, copy_function=_link)
    flush_folder(copy)
    return _note_published(workspace, name, accept(workspace, copy, keep))


def withdraw(workspace: Workspace, name: str, *, back_to: str, owner: str, reason: str) -> None:
    """Note that a published night was taken back, and set its folder aside."""
    source, target = workspace.published / name, workspace.held / name
    append_event(workspace.decisions, "rollback", name, owner=owner, reason=reason, folder=back_to)
    if source.exists():
        workspace.held.mkdir(exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        shutil.move(source, target)


def text(held: Hold) -> str:
    """What was held and why, how to look and how to answer."""
    facts = held.facts
    rules = "\n  the rules changed since then 规则已变更" if len(set(facts.get("rules", [""]))) > 1 else ""
    beyond = "".join(f"\n  - {line}" for line in facts.get("beyond", []))
    return (
        f"the night {facts.get('night', held.name[:10])} is held 待审批: it lies too far from the last accepted night "
        f"{facts.get('compared_with_night', '')}; yesterday's snapshot stays, nobody is told.{beyond}{rules}\n"
        f"  answer until {held.answer_until:%Y-%m-%d %H:%M} UTC, else it is "
        f"{'approved where Airflow waits' if facts.get('unanswered') == 'approve' else 'rejected'}"
    )


def notice(held: Hold, profile_name: str) -> dict[str, object]:
    """What operators are told when a night is held."""
    return {
        "as_of_date": held.facts["night"],
        "held": held.name,
        "beyond its limits": "; ".join(held.facts["beyond"]),
        "answer until": f"{held.answer_until:%Y-%m-%d %H:%M} UTC, else {held.facts['unanswered']}",
        "next step": how_to_answer(held, profile_name),
    }


def how_to_answer(held: Hold, profile_name: str) -> str:
    """The commands for a held night."""
    who = f"{held.name} --profile {profile_name} --owner <who> --reason <why>"
    return (
        f"look: tiering release show {held.name} --profile {profile_name}; publish and tell: "
        f"tiering release approve {who}; drop it: tiering release reject {who}; "
        "or fix the source and run the night again"
    )


def _check_publishable(workspace: Workspace, held: Hold) -> None:
    folder = workspace.held / held.name
    if not (folder / MANIFEST).is_file():
        raise PublishError(
            f"the folder of the held night {held.name} is gone, so it cannot be published", "run the night again"
        )
    manifest = read_manifest(folder)
    check_order(workspace, manifest.night)
    before = predecessor(workspace, manifest.night)
    if manifest.previous != (before.name if before else None):
        raise OrderError(
            f"the held night {held.name} goes on from {manifest.previous or 'nothing'}, and "
            f"{before.name if before else 'nothing'} is the last accepted night before it now",
            "run the night again",
        )


def _is_publishable(workspace: Workspace, held: Hold) -> bool:
    try:
        _check_publishable(workspace, held)
    except (PublishError, OrderError):
        return False
    return True


def _finish_published(workspace: Workspace, held: Hold) -> Path | None:
    """Note that a night was published, if a crash came between the switch of the pointer and that line."""
    current = current_folder(workspace)
    if current is None or _note(current).get("name") != held.name:
        return None
    return _note_published(workspace, held.name, current)


def _signed(owner: str, reason: str) -> tuple[str, str]:
    owner, reason = owner.strip(), " ".join(reason.split())
    if not owner or not reason:
        raise DecisionError("an answer needs an owner and a reason", "give --owner and --reason")
    return owner, reason


def _still(held: Hold) -> Callable[[list[Event]], bool]:
    """Whether nothing was decided about a hold since it was read."""
    return lambda events: [event for event in events if event.night == held.name][-1] == held.last


def _note_published(workspace: Workspace, name: str, folder: Path) -> Path:
    append_event(workspace.decisions, "publish", name, owner="pipeline", reason="approved", folder=folder.name)
    shutil.rmtree(workspace.held / name, ignore_errors=True)
    return folder


def _link(source: str, target: str) -> None:
    """The same file under a second name; a copy where that is not possible."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _facts(workspace: Workspace, name: str, events: Iterable[Event]) -> dict[str, Any]:
    """What ``hold.json`` of a hold says, wherever its folder is now."""
    went_to = [workspace.published / event.folder for event in events if event.kind == "publish"]
    for folder in (*went_to, workspace.held / name):
        if (facts := _note(folder)).get("name") == name:
            return facts
    return {}


def _note(folder: Path) -> dict[str, Any]:
    path = folder / NOTE
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _prune(workspace: Workspace, keep: int) -> None:
    """Keep the ``keep`` newest folders; those that wait stay whatever their age."""
    needed = {hold.name for hold in waiting(workspace)}
    folders = sorted(
        (path for path in workspace.held.iterdir() if (path / MANIFEST).is_file()),
        key=lambda path: path.stat().st_mtime_ns,
        reverse=True,
    )
    for path in folders[keep:]:
        if path.name not in needed:
            shutil.rmtree(path)
