"""From messages to letters: one digest per recipient and night, in the company's language."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import jinja2

from customer_tiering.alerts.ledger import letter_id_of
from customer_tiering.alerts.messages import NOTICE, Letter, Message

_ORDER = ("newly_high", "down", "to_pending", "moved", "up", "from_pending", "no_longer_high")
"""Of a digest that is too long the first ones are shown."""
_LONGEST_NAME = 80


class Words(Protocol):
    """Names of tiers and risks."""

    def label(self, scheme: str, state: str) -> str: ...


class CodesOnly:
    """Where nothing is published that has names; notices need none."""

    def label(self, _scheme: str, state: str) -> str:
        return state


@dataclass(frozen=True)
class Style:
    """How a company writes."""

    company: str
    language: str
    cap: int
    words: Words


def parcels(messages: Iterable[Message], recipient_of: Mapping[str, str], *, single: bool) -> list[list[Message]]:
    """Messages that go out together.

    What may have arrived goes again as it went, so that the receiver knows it by its id. Notices go alone, and so
    does everything where programs read (``single``). ``recipient_of`` has the recipient of each message's letter.
    """

    together: dict[tuple[str, str, str], list[Message]] = {}
    for message in messages:
        again = message.letter_id if message.maybe_told else ""
        alone = message.message_id if single or message.line.subject == NOTICE else ""
        together.setdefault((again, recipient_of[message.message_id], alone), []).append(message)
    return list(together.values())


def compose(messages: list[Message], recipient: str, channel: str, room: int, style: Style, *, single: bool) -> Letter:
    """The letter for messages that go out together; a digest shows as many as the cap and the channel's room allow."""
    ranked = sorted(messages, key=lambda message: (_rank(message), message.line, message.customer_id))
    template = _template(style.language)
    letter_id = letter_id_of(messages)
    if messages[0].line.subject == NOTICE:
        kind, facts = messages[0].line.scheme, messages[0].facts
        texts = (
            template.notice_title(kind, style.company, messages[0].as_of_date),
            template.notice_body(kind, facts, letter_id),
        )
    elif single:
        view = _view(messages[0], style)
        texts = template.single_title(view), template.single_body(view)
    else:
        views = [_view(message, style) for message in ranked]
        shown = min(style.cap, len(views))
        while True:
            more = len(views) - shown
            texts = (
                template.digest_title(style.company, len(views), max(view["as_of_date"] for view in views)),
                template.digest_body(views[:shown], more, letter_id),
            )
            if shown == 1 or sum(map(len, texts)) <= room:
                break
            shown -= 1
    title, body = (str(text).strip() for text in texts)
    body = _within(room - len(title), body)
    return Letter(letter_id, channel, recipient, title, body, messages[0].line.subject == NOTICE, tuple(messages))


def test_letter(channel: str, recipient: str, company: str, language: str) -> Letter:
    """A message that says only that the channel works."""
    template, letter_id = _template(language), f"test-{uuid.uuid4().hex[:12]}"
    title = str(template.notice_title("test", company, "")).strip()
    body = str(template.notice_body("test", {"channel": channel}, letter_id)).strip()
    return Letter(letter_id, channel, recipient, title, body, False, ())


def _within(room: int, body: str) -> str:
    """The body, cut to the room before its last line, which is the message's id."""
    if len(body) <= room:
        return body
    text, _, last = body.rpartition("\n")
    return f"{text[: max(room - len(last) - 2, 0)]}…\n{last}"


def _rank(message: Message) -> int:
    return _ORDER.index(message.direction) if message.direction in _ORDER else len(_ORDER)


def _view(message: Message, style: Style) -> dict[str, Any]:
    """A message in words, as the templates take it."""
    return {
        "id": message.message_id,
        "subject": message.line.subject,
        "scheme": message.line.scheme,
        "customer_id": _short(message.customer_id),
        "customer_name": _short(message.customer_name),
        "owner": _short(message.owner),
        "before": style.words.label(message.line.scheme, message.from_state),
        "after": style.words.label(message.line.scheme, message.to_state),
        "direction": message.direction,
        "as_of_date": message.as_of_date,
        "facts": message.facts,
    }


def _short(name: str) -> str:
    """A name as it is shown: one that is no name (two rows run into one) must not take the room of all others."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


@cache
def _template(language: str) -> Any:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - plain text; no channel gets HTML
    )
    environment.filters["line"] = _one_line
    return environment.get_template(f"{language}.txt.j2").module


def _one_line(value: object) -> str:
    """Text from data on one line: names must not be able to look like lines of ours, nor call a whole chat."""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in str(value)).split())
    return text.replace("@", "＠").replace("<!", "<").replace("<at", "<")
