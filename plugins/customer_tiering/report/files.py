"""Report and workbook as files: ``reports/<night>_<run>/``, and the pointer ``reports/latest`` to the newest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.company.journal import JOURNAL
from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import TieringError
from customer_tiering.publish.snapshot import DATABASE, Manifest, published_folder, read_manifest
from customer_tiering.report.words import Words

REPORT = "report.html"
WORKBOOK = "tiers.xlsx"
QUARANTINE = "quarantine.json"
"""What waited in quarantine on the night, by rule; the snapshot does not hold it."""
LATEST = "latest"


@dataclass(frozen=True)
class ReportFiles:
    """Where report and workbook were written."""

    report: Path
    workbook: Path


def latest_folder(workspace: Workspace) -> Path | None:
    """The folder with the newest report, or None before the first."""
    pointer = workspace.reports / LATEST
    return pointer.resolve() if (pointer / REPORT).is_file() else None


def build_reports(profile: Profile, out: Path | None = None) -> ReportFiles:
    """Write report and workbook of the published night, by default into its run's folder, which becomes ``latest``.

    Raises ``TieringError`` when nothing is published, or when ``out`` cannot be written.
    """
    workspace = profile.workspace
    snapshot = published_folder(workspace)
    manifest = read_manifest(snapshot)
    own = workspace.run_folder(f"{manifest.as_of_date}_{manifest.run_id}")
    try:
        files = _write(profile, snapshot, manifest, own / QUARANTINE, out or own)
        if out is None:
            _point_latest_to(workspace, own)
    except OSError as error:
        raise TieringError(
            f"the report cannot be written: {error.strerror}: {error.filename2 or error.filename}",
            f"make room or a writable folder, then: tiering report --profile {profile.name}",
        ) from error
    return files


def keep_quarantine(folder: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Note in the run's folder what waits in quarantine, by rule: counts and reasons, no values."""
    text = json.dumps(list(rows), ensure_ascii=False, indent=2, default=str)
    _replace(folder / QUARANTINE, lambda path: path.write_text(text, encoding="utf-8"))


def prune_reports(workspace: Workspace, keep: int) -> int:
    """Remove all run folders but the ``keep`` that ran last and ``latest``; returns how many went."""
    runs = sorted(
        (path.parent for path in workspace.reports.glob(f"[0-9]*_*/{JOURNAL}")),
        key=lambda folder: (folder / JOURNAL).stat().st_mtime_ns,
        reverse=True,
    )
    gone = [folder for folder in runs[keep:] if folder.resolve() != latest_folder(workspace)]
    for folder in gone:
        shutil.rmtree(folder)
    return len(gone)


def _write(profile: Profile, snapshot: Path, manifest: Manifest, quarantine: Path, folder: Path) -> ReportFiles:
    from customer_tiering.report.page import quarantine_table, render_report
    from customer_tiering.report.workbook import write_workbook

    folder.mkdir(parents=True, exist_ok=True)
    company = Words(profile.label_zh, profile.label_en)
    waiting = quarantine_table(json.loads(quarantine.read_text(encoding="utf-8"))) if quarantine.is_file() else None
    before = snapshot.parent / manifest.previous if manifest.previous else None
    html = render_report(
        snapshot, before if before and (before / DATABASE).is_file() else None, company, waiting, profile.language
    )
    _replace(folder / REPORT, lambda path: path.write_text(html, encoding="utf-8"))
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        _replace(folder / WORKBOOK, lambda path: write_workbook(path, connection, manifest, company, waiting))
    return ReportFiles(folder / REPORT, folder / WORKBOOK)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside, then put it in place: whoever has the old one open keeps it whole."""
    fresh = path.with_name(f".{path.name}.new")
    write(fresh)
    fresh.replace(path)


def _point_latest_to(workspace: Workspace, folder: Path) -> None:
    fresh = workspace.reports / f".{LATEST}-new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(workspace.reports / LATEST)
