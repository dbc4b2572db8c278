"""Backup and restore of what cannot be computed again.

One ``tar.gz`` with a manifest first: every file's size and SHA-256, the company, its night. It may be taken while a
night runs: the ledger is copied by SQLite's own backup, decisions are read in whole lines, a published snapshot never
changes. The ledger is copied before the snapshot: the copy may know less than was told (then a message is told once
more after a restore), but no message of a night that it does not have.

A restore checks everything before it touches anything, puts what was there aside, and can be run again if it is cut
off. The warehouse is put aside, too: the next night builds it again from landing, or from the sources.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from customer_tiering import __version__
from customer_tiering.airflow.home import hold_airflow_of
from customer_tiering.company.profile import NAME, Profile, profiles_folder
from customer_tiering.company.workspace import Workspace
from customer_tiering.decisions.log import AppendOnlyLog
from customer_tiering.errors import BackupError
from customer_tiering.night.guard import night_lock
from customer_tiering.publish.snapshot import current_folder, point_current_to, read_manifest
from customer_tiering.release import holds
from customer_tiering.warehouse.connection import warehouse_lock

MANIFEST = "backup.json"
_FORMAT = 1
# Folders of the workspace, in the order of their copies; the ledger before the snapshot.
_ALWAYS = ("ledger", "decisions", "models", "rules", "private", "published")
_PROFILE = "profile"
_SQLITE = ".sqlite"
_PUT_ASIDE = "before-restore-"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class File:
    """One file of a backup; ``path`` is relative, below a folder of the workspace or ``profile``."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Backup:
    """What an archive says about itself. ``night`` and ``current`` are None before the first night."""

    profile: str
    created_at: str
    night: str | None
    current: str | None
    with_landing: bool
    version: str
    files: tuple[File, ...]
    folders: tuple[str, ...] = ()
    """Empty ones, which dlt's state needs."""
    format: int = _FORMAT


def back_up(profile: Profile, out: Path, *, with_landing: bool = False) -> Backup:
    """Write the archive ``out`` (mode 0600); it is complete or absent.

    Raises ``BackupError`` when ``out`` exists or there is nothing to back up.
    """
    workspace = profile.workspace
    if out.exists():
        raise BackupError(f"{out} exists already", "choose another name: a backup is never overwritten")
    if not out.parent.is_dir():
        raise BackupError(f"there is no folder {out.parent}", "create it, or choose another place")
    if not any((workspace.root / name).exists() for name in _ALWAYS):
        raise BackupError(f"{profile.name} has nothing to back up in {workspace.root}", "run a night first")
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=out.parent) as name:
        staging = Path(name)
        night, current = _collect(profile, staging, with_landing)
        files = tuple(_file(path, staging) for path in sorted(staging.rglob("*")) if path.is_file())
        folders = tuple(
            path.relative_to(staging).as_posix()
            for path in sorted(staging.rglob("*"))
            if path.is_dir() and not any(path.iterdir())
        )
        backup = Backup(profile.name, _now(), night, current, with_landing, __version__, files, folders)
        unfinished = staging / ".archive"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
                _add_manifest(archive, backup)
                for file in files:
                    archive.add(staging / file.path, file.path, filter=_anonymous)
            stream.flush()
            os.fsync(stream.fileno())
        _move(unfinished, out)
    return backup


def restore(company: str, archive: Path, *, force: bool = False) -> tuple[Backup, Path | None]:
    """Put a backup in place; returns it, and the folder with what was there before, if anything was.

    The company's profile need not be there: it is in the backup. Raises ``BackupError`` when the archive is damaged or
    another company's, or the company lives here and ``force`` is not given; ``NightBusy`` while a night or Airflow is
    on.
    """
    backup = _read_manifest_of(archive)
    if backup.profile != company:
        raise BackupError(
            f"{archive.name} is a backup of {backup.profile}, not of {company}",
            f"restore it with --profile {backup.profile}",
        )
    workspace = Workspace.of(company)
    workspace.root.mkdir(parents=True, exist_ok=True)
    # Beside what it replaces, so that putting it in place is a rename.
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=workspace.root) as name:
        staging = Path(name)
        _unpack(archive, staging)
        with night_lock(workspace), hold_airflow_of(workspace), warehouse_lock(workspace):
            replaced = _replaced(backup)
            _refuse_overwriting(workspace, staging, replaced, force)
            aside = workspace.root / f"{_PUT_ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
            workspace.unfinished_restore.write_text(f"{archive.resolve()}\n", encoding="utf-8")
            _put_in_place(workspace, staging, replaced, aside)
            if backup.current is not None:
                point_current_to(workspace, workspace.published / backup.current)
            holds.supersede(workspace, f"restored from {archive.name}")
            workspace.unfinished_restore.unlink()
    return backup, aside if aside.exists() else None


# --- writing ---------------------------------------------------------------------------------------------------


def _move(unfinished: Path, out: Path) -> None:
    """Give the finished archive its name, unless somebody else took that meanwhile."""
    try:
        try:
            os.link(unfinished, out)  # unlike a rename it does not overwrite
        except FileExistsError:
            raise
        except OSError:  # no hard links there (exFAT, many network shares): take the name, then put the archive there
            out.touch(mode=0o600, exist_ok=False)
            try:
                unfinished.replace(out)
            except OSError:
                out.unlink()
                raise
    except FileExistsError as error:
        raise BackupError(f"{out} exists already", "choose another name: a backup is never overwritten") from error


def _collect(profile: Profile, staging: Path, with_landing: bool) -> tuple[str | None, str | None]:
    """Copy everything into ``staging``; returns the published night and its folder's name."""
    from customer_tiering.extract.pipeline import source_lock

    workspace = profile.workspace
    for name in _ALWAYS[:-1]:
        _copy_tree(workspace.root / name, staging / name)
    current = current_folder(workspace)
    if current is not None:
        _copy_tree(current, staging / "published" / current.name)
    if with_landing:
        # No extraction: rows and the cursor behind them belong together. No gate reads, no build.
        with ExitStack() as locks:
            for source in profile.sources:
                locks.enter_context(source_lock(source, workspace.extract_state))
            locks.enter_context(warehouse_lock(workspace))
            _copy_tree(workspace.landing, staging / "landing")
    _copy_file(profiles_folder() / f"{profile.name}.yml", staging / _PROFILE / f"{profile.name}.yml")
    _copy_tree(profile.folder, staging / _PROFILE / profile.name)
    return (read_manifest(current).as_of_date, current.name) if current else (None, None)


def _copy_tree(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        # Locks and unfinished files are of the moment.
        hidden = any(part.startswith((".unfinished", ".backup")) for part in path.relative_to(source).parts)
        if hidden or path.is_symlink() or path.suffix == ".lock":
            continue
        if path.is_dir():
            (target / path.relative_to(source)).mkdir(parents=True, exist_ok=True, mode=0o700)
        elif path.is_file():
            _copy_file(path, target / path.relative_to(source))


def _copy_file(source: Path, target: Path) -> None:
    """A copy that is consistent though the pipeline goes on writing."""
    if source.name.endswith((f"{_SQLITE}-wal", f"{_SQLITE}-shm")):
        return
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if source.suffix == _SQLITE:
        with (
            closing(sqlite3.connect(source)) as origin,
            closing(sqlite3.connect(target)) as copy,
        ):
            origin.backup(copy)
            copy.execute("pragma journal_mode = delete")  # one file, nothing beside it
    elif source.suffix == ".jsonl" and source.parent.name == "decisions":  # a line may be on its way
        target.write_bytes(AppendOnlyLog(source).whole_part(source.read_bytes()))
    else:
        shutil.copyfile(source, target)


def _file(path: Path, staging: Path) -> File:
    return File(path.relative_to(staging).as_posix(), path.stat().st_size, _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _add_manifest(archive: tarfile.TarFile, backup: Backup) -> None:
    content = json.dumps(asdict(backup), ensure_ascii=False, indent=1).encode()
    entry = tarfile.TarInfo(MANIFEST)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the owner's name; readable by whoever restores it alone."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry


# --- reading ---------------------------------------------------------------------------------------------------


def _read_manifest_of(archive: Path) -> Backup:
    """What the archive says about itself, before the rest of it is read."""
    if not archive.is_file():
        raise BackupError(f"there is no file {archive}", "give the archive that tiering backup wrote")
    with _readable(archive), tarfile.open(archive, "r:gz") as tar:
        return _next_manifest(archive, tar)


def _next_manifest(archive: Path, tar: tarfile.TarFile) -> Backup:
    first = tar.next()
    stream = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
    if stream is None:
        raise BackupError(f"{archive.name} is no backup: it has no {MANIFEST}", "choose another archive")
    return _parse(archive, stream.read())


def _unpack(archive: Path, staging: Path) -> None:
    """Unpack and check an archive. Raises ``BackupError`` unless every file is there and is what it was."""
    with _readable(archive), tarfile.open(archive, "r:gz") as tar:
        backup = _next_manifest(archive, tar)
        expected = {file.path: file for file in backup.files}
        while (entry := tar.next()) is not None:
            if entry.name not in expected or not entry.isreg() or not _belongs(entry.name, backup.profile):
                raise BackupError(
                    f"{archive.name} was changed: {entry.name!r} does not belong into it", "choose another archive"
                )
            tar.extract(entry, staging, filter="data")
        while tar.fileobj is not None and tar.fileobj.read(1 << 20):  # to the end, where gzip's own checksum is
            pass
    for name in backup.folders:
        if not _belongs(name, backup.profile):
            raise BackupError(f"{archive.name} was changed: {name!r} does not belong into it", "choose another archive")
        (staging / name).mkdir(parents=True, exist_ok=True)
    for name, file in expected.items():
        path = staging / name
        if not path.is_file() or path.stat().st_size != file.size or _sha256(path) != file.sha256:
            raise BackupError(f"{archive.name} is damaged: {name} is not what it was", "choose another archive")


@contextmanager
def _readable(archive: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise BackupError(
                f"there is no room to unpack {archive.name}: {error.strerror}", "make room, then restore it again"
            ) from error
        if error.errno in _NO_RIGHT:
            place = error.filename or archive
            raise BackupError(
                f"{archive.name} cannot be unpacked: {place}: {error.strerror}",
                "give this user the right to read the archive and to write below var/, then restore it again",
            ) from error
        raise BackupError(f"{archive.name} cannot be read whole: {error}", "choose another archive") from error
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise BackupError(f"{archive.name} cannot be read whole: {error}", "choose another archive") from error


def _parse(archive: Path, content: bytes) -> Backup:
    try:
        raw: dict[str, Any] = json.loads(content)
        if raw.get("format") != _FORMAT:
            raise BackupError(
                f"{archive.name} has format {raw.get('format')}, this version reads {_FORMAT}",
                "restore it with the version that wrote it",
            )
        files = tuple(File(**file) for file in raw["files"])
        backup = Backup(**raw | {"files": files, "folders": tuple(raw["folders"])})
        if not re.fullmatch(NAME, backup.profile):
            raise ValueError(f"{backup.profile!r} is no name of a company")
    except (TypeError, KeyError, ValueError) as error:
        raise BackupError(
            f"{archive.name}: its {MANIFEST} cannot be read: {error}", "choose another archive"
        ) from error
    return backup


def _belongs(name: str, profile: str) -> bool:
    """Whether a path lies in a folder of the company, or is its profile."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return False
    if path.parts[0] == _PROFILE:
        return path.parts[1:2] in ((profile,), (f"{profile}.yml",))
    return path.parts[0] in {*_ALWAYS, "landing"}


# --- putting in place ------------------------------------------------------------------------------------------


def _replaced(backup: Backup) -> list[str]:
    """Folders that give way: those of the backup, and what was computed from others of their kind."""
    computed = ("warehouse", "held", "replay")
    private = any(file.path.startswith("private/") for file in backup.files)
    always = [name for name in _ALWAYS if name != "private" or private]  # addresses are the company's, not of a night
    return [*always, *(["landing"] if backup.with_landing else []), *computed]


def _refuse_overwriting(workspace: Workspace, staging: Path, replaced: list[str], force: bool) -> None:
    if force:
        return
    root = workspace.root
    living = [name for name in replaced if any(path.is_file() for path in (root / name).rglob("*"))]
    differing = [
        f"profiles/{path.relative_to(staging / _PROFILE)}"
        for path in sorted((staging / _PROFILE).rglob("*"))
        if path.is_file() and _differs(path, profiles_folder() / path.relative_to(staging / _PROFILE))
    ]
    if living or differing:
        raise BackupError(
            f"{root.name} lives here already: {', '.join([*living, *differing])}",
            "restore into an empty place, or say --force: what is there is put aside, nothing is deleted",
        )


def _differs(path: Path, other: Path) -> bool:
    return other.exists() and path.read_bytes() != other.read_bytes()


def _put_in_place(workspace: Workspace, staging: Path, replaced: list[str], aside: Path) -> None:
    """Each folder by two renames; ``published`` comes late, its pointer last."""
    root = workspace.root
    for name in replaced:
        if any(path.is_file() for path in (root / name).rglob("*")):
            aside.mkdir(mode=0o700, exist_ok=True)
            (root / name).rename(aside / name)
        elif (root / name).exists():
            shutil.rmtree(root / name)
        if (staging / name).exists():
            (staging / name).rename(root / name)
    workspace.make()
    for name in ("ledger", "decisions", "landing", "private"):
        if (root / name).exists():
            (root / name).chmod(0o700)
    for path in (root / "published").rglob("*"):  # BI may be another user
        path.chmod(0o755 if path.is_dir() else 0o644)
    for path in sorted((staging / _PROFILE).rglob("*")):
        target = profiles_folder() / path.relative_to(staging / _PROFILE)
        if not path.is_file() or (target.exists() and not _differs(path, target)):
            continue
        if target.exists():
            kept = aside / _PROFILE / path.relative_to(staging / _PROFILE)
            kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copy2(target, kept)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.new")
        shutil.copyfile(path, fresh)
        fresh.replace(target)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
