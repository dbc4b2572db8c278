"""Files of JSON lines that are only ever appended to: what people decided, and what became of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock


def append_line(path: Path, make: Callable[[list[str]], dict[str, Any] | None]) -> None:
    """Append what ``make`` returns for the lines so far, or nothing if that is None; it is on disk when this returns.

    One writer at a time: what ``make`` checks still holds when its line is written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(path.with_suffix(".lock")):
        content = path.read_bytes() if path.exists() else b""
        made = make(complete_lines(content))
        if made is None:
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            # A last line without its end was cut off by a crash and never acknowledged.
            os.ftruncate(descriptor, content.rfind(b"\n") + 1)
            os.lseek(descriptor, 0, os.SEEK_END)
            os.write(descriptor, (json.dumps(made, ensure_ascii=False) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def complete_lines(content: bytes) -> list[str]:
    """The lines that have their end."""
    # Not splitlines(): a value may hold one of the other characters that it takes for an end of line.
    return content.decode("utf-8", errors="replace").split("\n")[:-1]
