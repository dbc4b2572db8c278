"""Taking a publication back: ``current`` moves to an older snapshot, and what was newer is set aside.

The night that was taken back is no one's yesterday: the next night goes on from the snapshot that is current now and
catches up the nights between. Nobody is told by the rollback itself; the next published night tells each customer's
recipient whatever differs from what they were told, corrections included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import DecisionError, PublishError
from customer_tiering.night.guard import night_lock
from customer_tiering.publish.snapshot import MANIFEST, folder_of, point_current_to, published_folder, read_manifest
from customer_tiering.release import holds
from customer_tiering.warehouse.connection import warehouse_lock

_UNFINISHED = ".rollback-unfinished"
_NIGHT = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Rollback:
    """``target`` is current now; ``withdrawn`` are the folders that were set aside, newest first."""

    target: Path
    withdrawn: list[str]


def rollback(profile: Profile, to: str, owner: str, reason: str) -> Rollback:
    """Go back to the night ``to`` (or the folder of that name); empty: the night before the published one.

    The same call again finishes one that was cut off. Raises ``PublishError`` when there is no such snapshot,
    ``NightBusy`` while a night runs, ``DecisionError`` without owner or reason.
    """
    workspace = profile.workspace
    owner, reason = owner.strip(), " ".join(reason.split())
    if not owner or not reason:
        raise DecisionError("a rollback needs an owner and a reason", "give --owner and --reason")
    with night_lock(workspace), warehouse_lock(workspace):
        current = published_folder(workspace)
        target = _target(workspace, current, to or _cut_off(workspace, current))
        newer = _newer(workspace, target, current)
        holds.supersede(workspace, f"rolled back to {target.name}")
        note = workspace.published / _UNFINISHED
        note.write_text(target.name, encoding="utf-8")  # before the pointer moves: "the night before" moves with it
        point_current_to(workspace, target)
        for folder in newer:
            holds.withdraw(workspace, folder.name, back_to=target.name, owner=owner, reason=reason)
        note.unlink()
    return Rollback(target, [folder.name for folder in newer])


def _cut_off(workspace: Workspace, current: Path) -> str:
    """The published snapshot if a rollback to it was cut off, else nothing."""
    note = workspace.published / _UNFINISHED
    return current.name if note.exists() and note.read_text(encoding="utf-8") == current.name else ""


def _target(workspace: Workspace, current: Path, to: str) -> Path:
    if not to:
        previous = read_manifest(current).previous
        if previous is None or not (workspace.published / previous / MANIFEST).is_file():
            raise PublishError(
                f"no snapshot before {current.name} is kept ({previous or 'it was the first night'})",
                "choose one with --to (ls the folder published/), or recompute the past: tiering replay --from",
            )
        return workspace.published / previous
    if _NIGHT.fullmatch(to):
        target = folder_of(workspace, date.fromisoformat(to))
    else:
        target = workspace.published / Path(to).name
        if not (target / MANIFEST).is_file() or target.name == "current":
            raise PublishError(f"no snapshot {to} is kept", "give a night, or a folder's name from published/")
    if read_manifest(target).night > read_manifest(current).night:
        raise PublishError(
            f"{target.name} is newer than the published {current.name}; a rollback only goes back",
            "to publish a later night, run it",
        )
    return target


def _newer(workspace: Workspace, target: Path, current: Path) -> list[Path]:
    """Every snapshot after the target: of later nights, and later runs of its own night."""

    def age(folder: Path) -> tuple[date, int]:
        return read_manifest(folder).night, folder.stat().st_mtime_ns

    folders = [path.parent for path in workspace.published.glob(f"[0-9]*/{MANIFEST}")]
    newer = [folder for folder in folders if age(folder) > age(target)]
    if current.name != target.name and current.name not in {folder.name for folder in newer}:
        newer.append(workspace.published / current.name)
    return sorted(newer, key=age, reverse=True)
