"""The alert step: compare what is published with what was told, and send what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from customer_tiering.alerts.channels import Channel, addresses_persons, is_for_programs, open_channel
from customer_tiering.alerts.compose import Style, Words, compose, parcels, test_letter
from customer_tiering.alerts.deliver import Delivered, Outbox, Patience, deliver
from customer_tiering.alerts.ledger import Ledger
from customer_tiering.alerts.messages import Change, Letter, Message
from customer_tiering.alerts.outcome import Outcome
from customer_tiering.alerts.privacy import mask_address, scrub
from customer_tiering.alerts.published import HIGH, NOT_HIGH, Published, open_published
from customer_tiering.alerts.routing import CHURN_RISK, Addresses, Routing
from customer_tiering.company.profile import Profile
from customer_tiering.errors import ProfileError, TieringError
from customer_tiering.publish.snapshot import Manifest

OPERATORS = "operators"
"""Recipient of notices; where persons are addressed it needs an address, or ``alerts.fallback`` stands in."""

_ROOM = 1_000_000  # of a channel that cannot be opened; its letters are composed all the same
_FEWEST_ROWS = 50


@dataclass
class AlertResult:
    """Messages per channel that went out and that failed, with the first error; changes that nobody had to be told."""

    sent: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    given_up: dict[str, int] = field(default_factory=dict)
    superseded: int = 0
    unrouted: int = 0

    def add(self, other: AlertResult) -> None:
        """Count a second round in."""
        for mine, theirs in ((self.sent, other.sent), (self.failed, other.failed)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        self.errors |= other.errors


def tell_changes(
    profile: Profile,
    ledger: Ledger,
    snapshot: Path,
    manifest: Manifest,
    *,
    ripe_only: bool = False,
    warnings: list[str] | None = None,
) -> AlertResult:
    """Tell tier changes, churn risks and, with ``warnings``, operators about the quality of the night's data.

    A failure of a channel never fails the step: its messages stay due, the result and a notice over the other channels
    say so. ``ripe_only`` leaves messages alone whose next try is not due yet.
    """
    result = AlertResult()
    with open_published(snapshot, profile.language) as published:
        compare(profile, ledger, published, manifest.as_of_date, result)
        if warnings is not None and (facts := _quality_facts(profile, published, manifest.as_of_date, warnings)):
            add_notices(profile, ledger, "data_quality", manifest.as_of_date, facts)
        sender = Sender(profile, ledger, published)
        result.add(sender.send(ripe_only=ripe_only))
        result.add(_tell_of_dead_channels(profile, ledger, sender, result))
    waiting = Counter(message.line.channel for message in ledger.messages(states=["given_up"]))
    result.given_up = dict(sorted(waiting.items()))
    return result


class Sender:
    """Sends what is due in a company's ledger."""

    def __init__(self, profile: Profile, ledger: Ledger, words: Words) -> None:
        self._profile = profile
        self._ledger = ledger
        label = profile.label_zh if profile.language == "zh" else profile.label_en
        self._style = Style(label, profile.language, profile.alerts.digest_cap, words)
        self._addresses: Addresses | TieringError
        try:
            self._addresses = Addresses.of(profile)
        except TieringError as error:  # it concerns the channels that address persons only
            self._addresses = error

    def send(
        self, *, ripe_only: bool = False, wanted: Callable[[Message], bool] = lambda _message: True
    ) -> AlertResult:
        """Send the messages that are due and ``wanted``; channels work at the same time."""
        return self._send(
            {
                name: [message for message in self._ledger.deliverable(name, ripe_only=ripe_only) if wanted(message)]
                for name in self._profile.channels
            }
        )

    def send_again(self, message: Message) -> AlertResult:
        """Send one message once more, whatever its state."""
        return self._send({message.line.channel: [message]})

    def _send(self, messages: Mapping[str, list[Message]]) -> AlertResult:
        outboxes: dict[str, Outbox] = {}
        unprepared: dict[str, Delivered] = {}
        give_up_days = self._profile.alerts.give_up_days
        for name, waiting in messages.items():
            try:
                outboxes[name] = self._outbox(name, waiting)
            except Exception as error:  # it is the channel's own; the text may hold its URL
                problem = f"channel {name}: its messages could not be prepared ({type(error).__name__})"
                self._ledger.fail(waiting, problem, give_up_days)
                unprepared[name] = Delivered(failed=len(waiting), error=problem)
        done = deliver(self._ledger, outboxes, give_up_days) | unprepared
        return AlertResult(
            sent={name: one.sent for name, one in done.items()},
            failed={name: one.failed for name, one in done.items()},
            errors={name: one.error for name, one in done.items() if one.error},
        )

    def _outbox(self, name: str, messages: list[Message]) -> Outbox:
        configured = self._profile.channels[name]
        patience = Patience(timeout=configured.timeout, tries=configured.tries)
        url, problem = "", None
        if messages:  # Airflow is asked for a connection only when there is something to send
            try:
                url = self._profile.resolve_channel(name)
            except TieringError as error:
                problem = error

        def open_for(letter: Letter) -> Channel:
            if problem is not None:
                raise problem
            return open_channel(name, url, patience.timeout, self._address(url, letter.messages[0].recipient))

        single = is_for_programs(url) if configured.digest is None else not configured.digest
        recipient_of = {message.message_id: self._reader(url, message.recipient) for message in messages}
        letters, room = [], self._room(name, url) if messages else _ROOM
        for together in parcels(messages, recipient_of, single=single):
            recipient = recipient_of[together[0].message_id]
            letters.append(compose(together, recipient, name, room, self._style, single=single))
        return Outbox(letters, open_for, patience)

    def _reader(self, url: str, recipient: str) -> str:
        """Who reads the letter: the recipient where persons are addressed, else whoever follows the channel."""
        if not addresses_persons(url) or isinstance(self._addresses, TieringError):
            return ""
        return self._addresses.holder(recipient)

    def _address(self, url: str, recipient: str) -> str:
        if not addresses_persons(url):
            return ""
        if isinstance(self._addresses, TieringError):
            raise self._addresses
        return self._addresses.address(recipient)

    def _room(self, name: str, url: str) -> int:
        try:
            return open_channel(name, url, address="x@localhost").room
        except ProfileError:
            return _ROOM


def send_test(profile: Profile, name: str, to: str = "") -> tuple[Outcome, str]:
    """Send a test message over a channel; gives the outcome and the masked address, if the channel has one.

    Raises ``TieringError`` when the channel cannot be opened or the recipient has no address.
    """
    configured, url = profile.channels[name], profile.resolve_channel(name)
    recipient = to or OPERATORS
    address = Addresses.of(profile).address(recipient) if addresses_persons(url) else ""
    channel = open_channel(name, url, configured.timeout, address)
    label = profile.label_zh if profile.language == "zh" else profile.label_en
    letter = test_letter(name, recipient, label, profile.language)
    return channel.send(letter), mask_address(address) if address else ""


def compare(profile: Profile, ledger: Ledger, published: Published, as_of_date: str, result: AlertResult) -> None:
    """Bring what waits in the ledger in agreement with what is published, and count that in ``result``."""
    routing = Routing(profile)
    lines = routing.lines()
    result.superseded += ledger.drop_other_lines(lines, list(profile.channels))

    def direct(change: Change) -> tuple[str, str] | None:
        line, after = change.line, change.standing.state
        if line.subject == CHURN_RISK:
            direction = "newly_high" if after == HIGH else "no_longer_high"
        else:
            direction = published.direction(line.scheme, change.from_state, after)
        recipient = routing.recipient(change, direction)
        return None if recipient is None else (direction, recipient)

    for subject, scheme in sorted({(line.subject, line.scheme) for line in lines}):
        standings = published.churn_standings() if subject == CHURN_RISK else published.standings(scheme)
        for line in lines:
            if (line.subject, line.scheme) == (subject, scheme):
                compared = ledger.compare(
                    line, standings, as_of_date, direct, NOT_HIGH if subject == CHURN_RISK else None
                )
                result.superseded += compared.superseded
                result.unrouted += compared.unrouted


def operator_channels(profile: Profile) -> list[str]:
    """The channels over which operators are told."""
    return list(profile.channels) if profile.alerts.operators is None else profile.alerts.operators


def add_notices(
    profile: Profile, ledger: Ledger, kind: str, key: str, facts: Mapping[str, Any], without: set[str] | None = None
) -> set[str]:
    """Put a notice into the ledger for every operators' channel, once per kind and key; returns the ids."""
    told = {name: scrub(value) for name, value in facts.items()}
    return {
        ledger.add_notice(kind, key, channel, OPERATORS, str(facts.get("as_of_date", "")), told)
        for channel in operator_channels(profile)
        if channel not in (without or set())
    }


def _quality_facts(profile: Profile, published: Published, night: str, warnings: list[str]) -> dict[str, Any]:
    """What operators are to know about the data of the night; empty when there is nothing."""
    limit = profile.alerts.quarantined_share
    bad = [
        f"{row['source']}.{row['entity']} {row['rows_quarantined']:,} / {row['rows_in']:,}"
        for row in published.data_quality(night)
        if row["rows_in"] >= _FEWEST_ROWS and row["rows_quarantined"] > limit * row["rows_in"]
    ]
    facts: dict[str, Any] = {"as_of_date": night}
    if bad:
        facts["quarantined"] = "; ".join(bad)
    if warnings:
        facts["warnings"] = "; ".join(warnings[: profile.alerts.digest_cap])
    return facts if len(facts) > 1 else {}


def _tell_of_dead_channels(profile: Profile, ledger: Ledger, sender: Sender, result: AlertResult) -> AlertResult:
    """Tell operators over the channels that work; once per outage: the first message that it held up names it."""
    dead = {name for name, failed in result.failed.items() if failed}
    ids: set[str] = set()
    for name in sorted(dead):
        waiting = ledger.messages(states=["failed", "given_up"], channel=name)
        if waiting:
            facts = {"channel": name, "error": result.errors.get(name, ""), "waiting": len(waiting)}
            facts["next_step"] = f"tiering alerts test {name}; tiering alerts retry --now"
            key = f"{name} {_first_of_outage(waiting, profile.alerts.give_up_days).message_id}"
            ids |= add_notices(profile, ledger, "dead_channel", key, facts, without=dead)
    return sender.send(wanted=lambda message: message.message_id in ids) if ids else AlertResult()


def _first_of_outage(waiting: list[Message], give_up_days: int) -> Message:
    """The first message that the present outage of a channel held up; ``waiting``: failed and given up, oldest first.

    What was given up belongs to it if it was still tried when the next one came up, else an earlier outage left it.
    """
    first = next((message for message in waiting if message.state == "failed"), waiting[-1])
    for earlier in reversed(waiting[: waiting.index(first)]):
        tried_until = datetime.fromisoformat(earlier.created_at) + timedelta(days=give_up_days)
        if tried_until >= datetime.fromisoformat(first.created_at):
            first = earlier
    return first
