"""Channels: Apprise's, a signed webhook, and JSON lines in a local file. What went wrong is told in plain words.

Neither a URL nor anything a server answered is ever logged or kept: both may hold secrets. Apprise logs both, so its
log goes nowhere but here, where the kind of the failure is read from it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from customer_tiering.alerts.messages import Letter, as_json
from customer_tiering.alerts.outcome import NO_ANSWER, SENT, Outcome
from customer_tiering.alerts.signed import SignedWebhook
from customer_tiering.errors import ProfileError

TO = "{to}"
"""Stands for the recipient's address in the URL of a channel that can address persons."""
_SIGNED = ("hmac", "hmacs")
_JSON_LINES = "jsonl"
_AT_ONCE = ("dingtalk",)
"""Services that reach all their targets with one request: there they are mentions in one message."""


class Channel(Protocol):
    """Where letters go. ``room`` is the number of characters that a letter may have, title included."""

    @property
    def room(self) -> int: ...

    def send(self, letter: Letter) -> Outcome: ...


def addresses_persons(url: str) -> bool:
    """Whether the URL has a place for the recipient's address."""
    return TO in url or quote(TO) in url


def is_for_programs(url: str) -> bool:
    """Whether programs read the channel: each message is a letter of its own there."""
    return _scheme(url) == _JSON_LINES


def _scheme(url: str) -> str:
    """The scheme, of any text: ``urlsplit`` refuses square brackets and shows what is around them."""
    return url.partition("://")[0].lower()


def open_channel(name: str, url: str, timeout: float = 10.0, address: str = "") -> Channel:
    """The channel behind a URL; ``timeout`` in seconds, for connecting and for each wait for an answer.

    Raises ``ProfileError`` when the URL means nothing or names several targets (the URL itself is never shown).
    """
    for place in (TO, quote(TO)):
        url = url.replace(place, quote(address, safe=""))
    try:
        scheme = _scheme(url)
        channel: Channel | None
        if scheme in _SIGNED:
            channel = SignedWebhook.of(url, timeout)
        elif scheme == _JSON_LINES:
            path = Path(unquote(urlsplit(url).path))
            channel = JsonLines(path) if path.name else None
        else:
            channel = _AppriseChannel.of(url, timeout)
    except Exception:  # whatever takes a URL apart may fail in any way, with the URL in its text
        channel = None
    if channel is None:
        raise ProfileError(
            f"channel {name}: its URL is not one that Apprise understands",
            f"check the channel in the profile or the Airflow connection it names, then: tiering alerts test {name}",
        ) from None
    if isinstance(channel, _AppriseChannel) and channel.targets > 1 and scheme not in _AT_ONCE:
        raise ProfileError(
            f"channel {name}: its URL with the recipient's address names {channel.targets} targets, one is allowed",
            "make one channel per target, and give each name one address: Apprise does not say which target failed, "
            "so all would be told again",
        )
    return channel


@dataclass(frozen=True)
class JsonLines:
    """Appends each letter to a file, one JSON object a line."""

    path: Path
    room: int = 1_000_000

    def send(self, letter: Letter) -> Outcome:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(as_json(letter), ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        return SENT


class _AppriseChannel:
    """One Apprise URL."""

    def __init__(self, plugin: Any, timeout: float) -> None:
        self._plugin = plugin
        self.targets = len(plugin)
        # Apprise's own defaults differ from service to service; both waits are the profile's.
        plugin.socket_connect_timeout = plugin.socket_read_timeout = timeout
        # Some services count bytes where Apprise counts characters, and a Chinese character has three.
        self.room = int(plugin.body_maxlen) // 3 if plugin.body_maxlen < 10_000 else int(plugin.body_maxlen)

    @classmethod
    def of(cls, url: str, timeout: float) -> _AppriseChannel | None:
        import apprise

        with _OwnLog():
            plugin = apprise.Apprise.instantiate(url)
        return cls(plugin, timeout) if plugin else None

    def send(self, letter: Letter) -> Outcome:
        import apprise

        kind = apprise.NotifyType.WARNING if letter.is_urgent else apprise.NotifyType.INFO
        with _OwnLog() as lines:
            sent = self._plugin.notify(
                title=letter.title, body=letter.body, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
            )
        return SENT if sent else _failure("\n".join(lines))


_KINDS = (
    (r"ConnectTimeout|connect timeout", "the server cannot be reached (time ran out)"),
    (r"[Rr]ead timed out|ReadTimeout|timed out", ""),
    (r"Connection refused|Errno 111", "the server refuses connections"),
    (r"Name or service not known|NameResolution|getaddrinfo", "the server's name is not known"),
    (r"CERTIFICATE|certificate|SSL", "no secure connection: check the certificate"),
    (r"SMTPAuthentication|535[, ]", "the mail server refused the login"),
    (r"Recipient|550[, ]", "the mail server refused the recipient"),
)


def _failure(log: str) -> Outcome:
    """The kind of a failure, without the words of the log: they hold URLs and answers."""
    if status := re.search(r"error=(\d{3})\b", log):
        return Outcome("failed", f"the server answered {status[1]}")
    for pattern, words in _KINDS:
        if re.search(pattern, log):
            return Outcome("failed", words) if words else NO_ANSWER
    return Outcome("failed", "the service did not take the message")


class _Collector(logging.Filter):
    """Takes the lines that a thread logs off Apprise's log, before any handler sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.by_thread: dict[int, list[str]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        self.by_thread.get(threading.get_ident(), []).append(record.getMessage())
        return False


_COLLECTOR = _Collector()


class _OwnLog:
    """Collect what Apprise logs in this thread, and keep it to ourselves."""

    def __enter__(self) -> list[str]:
        logger = logging.getLogger("apprise")
        logger.addFilter(_COLLECTOR)
        logger.setLevel(logging.DEBUG)
        return _COLLECTOR.by_thread.setdefault(threading.get_ident(), [])

    def __exit__(self, *_error: object) -> None:
        _COLLECTOR.by_thread.pop(threading.get_ident(), None)
