"""Publishing: a new versioned folder is complete before the pointer ``current`` moves to it, in one step.

The published snapshots are also the record of accepted nights: a night counts as accepted once ``current`` has
pointed to it, and tier history is read back from there. So no crash can separate "published" from "accepted".
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import duckdb

from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import OrderError, PublishError
from customer_tiering.publish.catalog import history_marts
from customer_tiering.sql import literal, quote

SCHEMA = "marts"
NIGHT_SCHEMA = "tonight"
"""Views of the marts as they are published: one night each, histories apart."""
DATABASE = "tiers.duckdb"
MANIFEST = "manifest.json"
UNFINISHED = ".unfinished-"
_WAS_PUBLISHED = ".was-published"  # tells a lost pointer from a first night


@dataclass(frozen=True)
class Manifest:
    """What a snapshot is: its night, its run, its rules and code, and the rows of each mart."""

    profile: str
    as_of_date: str
    run_id: str
    rules_version: str
    config_hash: str
    code_version: str
    headline_scheme: str
    currency: str
    rows: dict[str, int]
    previous: str | None = None
    """Folder of the last accepted night before this one, or None."""
    contract_version: str | None = None
    """Version of the mart contract that the snapshot keeps; None before there was one."""

    @property
    def night(self) -> date:
        return date.fromisoformat(self.as_of_date)


def current_folder(workspace: Workspace) -> Path | None:
    """The folder that ``current`` points to, or None before the first night.

    Raises ``PublishError`` when the pointer leads nowhere.
    """
    pointer = workspace.published / "current"
    if not pointer.is_symlink():
        _refuse_lost_pointer(workspace, pointer)
        return None
    folder = pointer.resolve()
    if not (folder / MANIFEST).is_file():
        raise PublishError(
            f"{pointer} points to {folder.name}, which is no complete snapshot",
            f"point it to a folder that has a manifest.json: ln -sfn <folder> {pointer}",
        )
    return folder


def published_folder(workspace: Workspace) -> Path:
    """The folder that ``current`` points to. Raises ``PublishError`` before the first night."""
    folder = current_folder(workspace)
    if folder is None:
        name = workspace.root.name
        raise PublishError(f"{name} has published nothing yet", f"run a night first: make run PROFILE={name}")
    return folder


def _refuse_lost_pointer(workspace: Workspace, pointer: Path) -> None:
    """Once a night was published there is a pointer; without it tier history would start over."""
    snapshots = sorted(path.parent.name for path in workspace.published.glob(f"[0-9]*/{MANIFEST}"))
    if pointer.exists() or (snapshots and (workspace.root / _WAS_PUBLISHED).exists()):
        newest = snapshots[-1] if snapshots else "<folder>"
        raise PublishError(
            f"{pointer} is no longer a link to a snapshot, but nights were published: tier history would start over",
            f"put it back: rm -rf {pointer}; ln -s {newest} {pointer}",
        )


def folder_of(workspace: Workspace, night: date) -> Path:
    """The newest kept snapshot of a night. Raises ``PublishError`` naming the nights that are kept."""
    kept = [path.parent for path in workspace.published.glob(f"[0-9]*/{MANIFEST}")]
    folders = [folder for folder in kept if read_manifest(folder).night == night]
    if folders:
        return max(folders, key=lambda folder: folder.stat().st_mtime_ns)
    nights = sorted({str(read_manifest(folder).night) for folder in kept})
    raise PublishError(
        f"no snapshot of the night {night} is kept; there are {', '.join(nights) or 'none'}",
        "choose one of these, keep more (keep_snapshots in the profile), or recompute it: tiering replay",
    )


def read_manifest(folder: Path) -> Manifest:
    return Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def last_accepted(workspace: Workspace) -> Manifest | None:
    """The night that is published now, or None before the first."""
    folder = current_folder(workspace)
    return read_manifest(folder) if folder else None


def check_order(workspace: Workspace, as_of: date) -> Manifest | None:
    """The last accepted night. Raises ``OrderError`` when ``as_of`` lies before it: state moves forward only."""
    accepted = last_accepted(workspace)
    if accepted and as_of < accepted.night:
        raise OrderError(
            f"the night {as_of} is before the last accepted night {accepted.night}; tiers move forward only",
            f"run {accepted.night} or a later night; to recompute past nights: tiering replay --from",
        )
    return accepted


def predecessor(workspace: Workspace, as_of: date) -> Path | None:
    """The snapshot of the last accepted night before ``as_of``, or None when it is not kept (any longer)."""
    folder = current_folder(workspace)
    while folder is not None and (manifest := read_manifest(folder)).night >= as_of:
        folder = workspace.published / manifest.previous if manifest.previous else None
        if folder is not None and not (folder / MANIFEST).is_file():
            return None
    return folder


def publish(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    manifest: Manifest,
    keep: int,
    *,
    follows_predecessor: bool = True,
) -> Path:
    """Write ``published/<as_of>_<run>/`` from schema ``marts`` and switch ``current`` to it.

    ``follows_predecessor``: the marts were built on the state of the last accepted night, whose snapshot the manifest
    then names.

    Returns the new folder. ``keep`` snapshots remain. A crash before the switch leaves only a folder that the
    next publish removes; the switch itself is one rename.
    """
    check_order(workspace, manifest.night)
    unfinished = write_snapshot(
        connection, workspace, manifest, workspace.published, follows_predecessor=follows_predecessor
    )
    return accept(workspace, unfinished, keep)


def write_snapshot(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    manifest: Manifest,
    into: Path,
    *,
    follows_predecessor: bool = True,
) -> Path:
    """Write the marts and their manifest as an unfinished folder below ``into``; returns it, complete and on disk."""
    into.mkdir(parents=True, exist_ok=True)
    _remove_unfinished(into)
    unfinished = into / f"{UNFINISHED}{manifest.as_of_date}_{manifest.run_id}"
    unfinished.mkdir()
    rows = _write_marts(connection, unfinished, manifest.night)
    before = predecessor(workspace, manifest.night) if follows_predecessor else None
    _write_json(unfinished / MANIFEST, asdict(manifest) | {"rows": rows, "previous": before.name if before else None})
    flush_folder(unfinished)
    return unfinished


def accept(workspace: Workspace, unfinished: Path, keep: int) -> Path:
    """Make a complete folder (in ``published``, not yet under its name) the published night; returns its place.

    Raises ``OrderError`` when a later night was accepted meanwhile.
    """
    manifest = read_manifest(unfinished)
    check_order(workspace, manifest.night)
    name = f"{manifest.as_of_date}_{manifest.run_id}"
    folder = workspace.published / name
    # The same run again: its step was tried again, or cleared in Airflow after a rebuild. A folder that never
    # became current goes; the current one stays as it is, readers may have it open.
    attempt = 1
    while folder.exists():
        if folder.resolve() != current_folder(workspace):
            shutil.rmtree(folder)
            break
        attempt += 1
        folder = workspace.published / f"{name}-{attempt}"
    unfinished.rename(folder)
    point_current_to(workspace, folder)
    _prune(workspace, keep)
    return folder


def point_current_to(workspace: Workspace, folder: Path) -> None:
    """Switch the pointer atomically."""
    fresh = workspace.published / ".current-new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(workspace.published / "current")
    (workspace.root / _WAS_PUBLISHED).touch()
    _flush(workspace.published)


def mart_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Tables of schema ``marts``, sorted."""
    return [
        name
        for (name,) in connection.execute(
            "select table_name from information_schema.tables where table_schema = ? "
            "and table_catalog = current_database() order by table_name",
            [SCHEMA],
        ).fetchall()
    ]


def checksums(folder: Path) -> dict[str, str]:
    """One checksum per mart of a snapshot; equal contents give equal checksums, whatever the row order."""
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        result = {}
        for name in mart_names(connection):
            row = connection.execute(
                f"select md5(coalesce(string_agg(line, chr(10) order by line), '')) from "
                f"(select md5(cast(t as varchar)) as line from {quote(SCHEMA, name)} t)"
            ).fetchone()
            result[name] = str(row[0]) if row else ""
        return result


def select_night(connection: duckdb.DuckDBPyConnection, night: date) -> list[str]:
    """Make the views of ``NIGHT_SCHEMA``: a build may hold several nights, a snapshot holds one. Returns the marts."""
    names = mart_names(connection)
    connection.execute(f"drop schema if exists {quote(NIGHT_SCHEMA)} cascade")
    connection.execute(f"create schema {quote(NIGHT_SCHEMA)}")
    for name in names:
        only = f" where as_of_date = '{night}'" if name not in history_marts() and _has_nights(connection, name) else ""
        connection.execute(f"create view {quote(NIGHT_SCHEMA, name)} as select * from {quote(SCHEMA, name)}{only}")
    return names


def _write_marts(connection: duckdb.DuckDBPyConnection, folder: Path, night: date) -> dict[str, int]:
    rows = {}
    names = select_night(connection, night)
    connection.execute(f"attach {literal(str(folder / DATABASE))} as snapshot")
    try:
        connection.execute(f"create schema snapshot.{quote(SCHEMA)}")
        for name in names:
            target = f"snapshot.{quote(SCHEMA, name)}"
            connection.execute(f"create table {target} as select * from {quote(NIGHT_SCHEMA, name)} order by all")
            connection.execute(
                f"copy (select * from {target}) to {literal(str(folder / f'{name}.parquet'))} (format parquet)"
            )
            count = connection.execute(f"select count(*) from {target}").fetchone()
            rows[name] = int(count[0]) if count else 0
    finally:
        connection.execute("detach snapshot")
    return rows


def _has_nights(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    return bool(
        connection.execute(
            "select 1 from information_schema.columns where table_schema = ? and table_name = ? "
            "and table_catalog = current_database() and column_name = 'as_of_date'",
            [SCHEMA, name],
        ).fetchone()
    )


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _flush(path: Path) -> None:
    """Bring a file or folder to disk, so that the pointer never leads to half of it after a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Bring a folder and its files to disk."""
    for path in folder.iterdir():
        _flush(path)
    _flush(folder)


def _remove_unfinished(parent: Path) -> None:
    for path in parent.glob(f"{UNFINISHED}*"):
        shutil.rmtree(path)


def _prune(workspace: Workspace, keep: int) -> None:
    """Keep the newest run of each of the ``keep`` newest nights, ``current`` and the snapshot it followed among them.

    The newest folder before ``current`` stays too: a reader may just have looked it up.
    """
    current = current_folder(workspace)
    folders = sorted(
        (path for path in workspace.published.iterdir() if (path / MANIFEST).is_file() and not path.is_symlink()),
        key=lambda path: (path.name[:10], path.stat().st_mtime_ns),
        reverse=True,
    )
    newest_runs = {path.name[:10]: path for path in reversed(folders)}
    kept = {newest_runs[night] for night in sorted(newest_runs, reverse=True)[:keep]} | set(folders[:2])
    if current is not None:
        kept |= {current, workspace.published / (read_manifest(current).previous or current.name)}
    for path in folders:
        if path not in kept:
            shutil.rmtree(path)
