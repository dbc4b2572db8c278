"""What the ledger works on: lines, standings, messages, letters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["due", "sending", "sent", "failed", "given_up", "superseded"]
STATES: tuple[State, ...] = ("due", "sending", "sent", "failed", "given_up", "superseded")
OPEN: tuple[State, ...] = ("due", "sending", "failed", "given_up")
"""States of messages that have not arrived, or not for certain; those given up wait for a person."""

NOTICE = "notice"
"""Subject of what operators are told; the kind of the notice stands in ``scheme``."""


@dataclass(frozen=True, order=True)
class Line:
    """One stream of news: a subject and scheme, told over a channel to an audience (``owner``, or a name)."""

    subject: str
    scheme: str
    channel: str
    audience: str


@dataclass(frozen=True)
class Standing:
    """A customer's published state: its effective tier, or its churn-risk class."""

    customer_id: str
    customer_name: str
    state: str
    owner: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """What a line was told last, and what is published now."""

    line: Line
    standing: Standing
    from_state: str


@dataclass(frozen=True)
class Message:
    """One change or notice for one recipient. ``message_id`` stays the same however often it is sent."""

    message_id: str
    line: Line
    customer_id: str
    customer_name: str
    recipient: str
    owner: str
    from_state: str
    to_state: str
    direction: str
    as_of_date: str
    facts: Mapping[str, Any]
    state: State
    attempts: int
    last_error: str
    next_attempt_at: str
    maybe_told: bool
    letter_id: str
    created_at: str
    sent_at: str


@dataclass(frozen=True)
class Letter:
    """What goes out at once: a digest, or a single message. Equal messages make an equal id."""

    letter_id: str
    channel: str
    recipient: str
    title: str
    body: str
    is_urgent: bool
    messages: tuple[Message, ...]


def as_json(letter: Letter) -> dict[str, Any]:
    """A letter for programs: its text, and its messages as fields."""
    return {
        "id": letter.letter_id,
        "title": letter.title,
        "body": letter.body,
        "type": "warning" if letter.is_urgent else "info",
        "messages": [_fields(message) for message in letter.messages],
    }


def _fields(message: Message) -> dict[str, Any]:
    named = ("message_id", "customer_id", "customer_name", "owner", "from_state", "to_state", "direction", "as_of_date")
    return {
        "subject": message.line.subject,
        "scheme": message.line.scheme,
        **{name: getattr(message, name) for name in named},
        "facts": dict(message.facts),
    }
