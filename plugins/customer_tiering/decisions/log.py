"""The append-only log: JSON lines for all that people and nights decide, and for the journal of a run.

One writer at a time, one way to read. A line ends with a line feed and with nothing else: values may hold any of the
other characters that Unicode takes for the end of a line. What a crash cut off was never acknowledged: readers do not
see it, and :func:`set_aside_damage` (or the next append) moves it to ``<log>.damaged``, so that it stops nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from customer_tiering.errors import DecisionError

Entry = dict[str, Any]
_BATCH = "batch"
"""Key in the first line of several that belong together: how many they are, itself included."""
_CHUNK = 1 << 20


@dataclass(frozen=True)
class AppendOnlyLog:
    """One file of JSON lines."""

    path: Path

    def read(self) -> list[Entry]:
        """Every entry, oldest first. Raises ``DecisionError`` naming a complete line that is not a JSON object."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        return self._parse(content)[0]

    def append(self, make: Callable[[list[Entry]], Iterable[Entry]]) -> list[Entry]:
        """Append what ``make`` returns for the entries so far: all of it or, after a crash, nothing.

        What ``make`` checks still holds when its entries are written. They are on disk when this returns.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            content = _content(descriptor)
            before, whole = self._parse(content)
            entries = list(make(before))
            if not entries:
                return []
            if whole < len(content):
                self._set_aside(descriptor, content[whole:], whole)
            lines = [dict(entry) for entry in entries]
            if len(lines) > 1:
                lines[0] = {_BATCH: len(lines)} | lines[0]
            os.lseek(descriptor, whole, os.SEEK_SET)
            _write(descriptor, b"".join(_encode(line) for line in lines))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            _flush_folder(self.path.parent)
        return entries

    def damage(self) -> int:
        """Bytes at the end that were cut off by a crash, or are being written at this moment."""
        content = self.path.read_bytes() if self.path.exists() else b""
        return len(content) - self._parse(content)[1]

    def set_aside_damage(self) -> str | None:
        """Move what a crash cut off to ``<log>.damaged``; says so, or None when the log is whole."""
        if not self.damage():
            return None
        descriptor = os.open(self.path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            content = _content(descriptor)
            whole = self._parse(content)[1]
            if whole == len(content):  # it was being written
                return None
            return self._set_aside(descriptor, content[whole:], whole)
        finally:
            os.close(descriptor)

    def whole_part(self, content: bytes) -> bytes:
        """Of the file's content, what was acknowledged."""
        return content[: self._parse(content)[1]]

    @property
    def damaged_file(self) -> Path:
        """Where cut-off lines are kept."""
        return self.path.with_name(f"{self.path.name}.damaged")

    def _set_aside(self, descriptor: int, tail: bytes, whole: int) -> str:
        keeper = os.open(self.damaged_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _write(keeper, tail.rstrip(b"\n") + b"\n")
            os.fsync(keeper)
        finally:
            os.close(keeper)
        os.ftruncate(descriptor, whole)
        os.fsync(descriptor)
        return (
            f"{self.path.name}: the last line was cut off by a crash and is set aside in {self.damaged_file}; "
            "what it said was not recorded: look at it, decide again if needed, then delete that file"
        )

    def _parse(self, content: bytes) -> tuple[list[Entry], int]:
        """The acknowledged entries, and how many bytes they take."""
        entries: list[Entry] = []
        whole = position = 0
        batch_left = kept = 0
        lines = content.split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):
            position += len(line) + 1
            try:
                entry = json.loads(line)
                if not isinstance(entry, dict):
                    raise ValueError("it is not an object")
                size = int(entry.pop(_BATCH, 1))
            except (ValueError, TypeError) as error:
                raise DecisionError(
                    f"{self.path.name}, line {number} cannot be read: {error}",
                    f"restore {self.path} from the backup, or correct that line; this file is only ever appended to",
                ) from error
            if batch_left == 0:
                batch_left = size
            entries.append(entry)
            batch_left -= 1
            if batch_left == 0:
                whole, kept = position, len(entries)
        return entries[:kept], whole


def set_aside_damage(folder: Path) -> list[str]:
    """Set aside what crashes cut off in the logs of a folder; says what, log by log."""
    found = (AppendOnlyLog(path).set_aside_damage() for path in sorted(folder.glob("*.jsonl")))
    return [message for message in found if message]


def damaged_files(folder: Path) -> list[Path]:
    """What was set aside in a folder and nobody has looked at yet."""
    return sorted(folder.glob("*.jsonl.damaged"))


def _encode(entry: Entry) -> bytes:
    # A text from the command line may hold bytes that are not UTF-8; JSON has escapes for them.
    return (json.dumps(entry, ensure_ascii=False, default=str) + "\n").encode("utf-8", "backslashreplace")


def _content(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return b"".join(iter(lambda: os.read(descriptor, _CHUNK), b""))


def _write(descriptor: int, content: bytes) -> None:
    """All of it: one call may write less."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
