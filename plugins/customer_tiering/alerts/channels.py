"""Notification channels by Apprise, and one of our own: JSON lines in a local file."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import apprise

from customer_tiering.errors import ProfileError


def open_channel(name: str, url: str) -> apprise.Apprise:
    """An Apprise channel. Raises ``ProfileError`` when the URL means nothing (the URL itself is never shown)."""
    _register_json_lines()
    channel = apprise.Apprise()
    # Apprise logs a URL that it cannot load, and with it the secret it holds.
    logger = logging.getLogger("apprise")
    before, logger.disabled = logger.disabled, True
    try:
        understood = channel.add(url)
    finally:
        logger.disabled = before
    if not understood:
        raise ProfileError(
            f"channel {name}: its URL is not one that Apprise understands",
            "check the channel in the profile or the Airflow connection it names",
        )
    return channel


_REGISTERED = False


def _register_json_lines() -> None:
    """Make ``jsonl://localhost<absolute path>`` a channel that appends each message to a file."""
    global _REGISTERED  # noqa: PLW0603 - Apprise's registry is global too
    if _REGISTERED:
        return

    @apprise.decorators.notify(on="jsonl", name="JSON lines file")
    def append_line(body: str, title: str, notify_type: str, *_args: Any, meta: dict[str, Any], **_kw: Any) -> bool:
        path = Path(unquote(str(meta["fullpath"])))
        path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"title": title, "body": body, "type": str(notify_type)}, ensure_ascii=False)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        return True

    _REGISTERED = True
