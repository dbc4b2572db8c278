"""``tiering alerts``: what people were told, what still waits, and sending it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from customer_tiering.cli.common import (
    DEFAULT_PROFILE,
    JsonOption,
    ProfileOption,
    command_group,
    console,
    print_json,
    reach_company,
    say,
)
from customer_tiering.errors import TieringError

if TYPE_CHECKING:
    from customer_tiering.alerts.ledger import Ledger
    from customer_tiering.alerts.messages import Message
    from customer_tiering.alerts.tell import AlertResult, Sender
    from customer_tiering.company.profile import Profile

app = command_group("What people were told, what still waits, and sending it.")


@app.command("list")
def list_messages(
    profile: ProfileOption = DEFAULT_PROFILE,
    state: Annotated[
        str,
        typer.Option(
            "--state", help="Only messages in this state: due, sending, sent, failed, given_up or superseded."
        ),
    ] = "",
    channel: Annotated[str, typer.Option("--channel", help="Only messages of this channel.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most this many, the newest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List messages, newest last: id, state, channel, recipient, what they say, tries and last error."""
    from customer_tiering.alerts.messages import STATES

    if state and state not in STATES:
        raise TieringError(f"there is no state {state!r}", f"use one of {', '.join(STATES)}")
    with _looking(reach_company(profile)) as ledger:
        messages = ledger.messages(states=[state] if state else (), channel=channel)
    shown = messages[-limit:]
    if as_json:
        print_json([_plain(message) for message in shown])
        return
    if not shown:
        say("there is no such message")
        return
    table = Table("id", "night", "state", "channel", "for", "message", "tries", "last error")
    for message in shown:
        table.add_row(
            message.message_id[:8],
            message.as_of_date,
            message.state,
            message.line.channel,
            message.recipient,
            _gist(message),
            str(message.attempts),
            message.last_error,
        )
    console.print(table)
    if len(messages) > len(shown):
        say(f"{len(messages) - len(shown):,} older ones are not shown; to see them: --limit {len(messages)}")


@app.command("show")
def show(
    message_id: Annotated[str, typer.Argument(help="Id of a message or a digest, or its beginning.")],
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Show one message: what it says, its state, tries, next try, and the letter that carried it."""
    with _looking(reach_company(profile)) as ledger:
        message = ledger.find(message_id)
        together = [other for other in ledger.messages() if message.letter_id and other.letter_id == message.letter_id]
        text = ledger.letter_text(message.letter_id)
    for name, value in _plain(message).items():
        if value not in ("", {}, False):
            say(f"{name.replace('_', ' ')}: {value}")
    if text is not None:
        say(f"\nletter {message.letter_id} ({len(together)} message(s))\n{text[0]}\n\n{text[1]}")
    if len(together) > 1:
        table = Table("id", "state", "message")
        for other in together:
            table.add_row(other.message_id[:8], other.state, _gist(other))
        console.print(table)


@app.command("told")
def told(
    customer: Annotated[str, typer.Argument(help="customer_id, as tiering explain shows it.")],
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Show what people were last told about a customer, by channel and recipient, and every message about it."""
    with _looking(reach_company(profile)) as ledger:
        rows, messages = ledger.told(customer), ledger.messages(customer_id=customer)
    if not rows and not messages:
        raise TieringError(
            f"no message was ever sent about {customer}", "give a customer_id as tiering explain shows it"
        )
    table = Table("about", "channel", "for", "state", "night", "by")
    for row in rows:
        by = row["message_id"][:8] if row["message_id"] else "recorded without a message"
        table.add_row(row["scheme"], row["channel"], row["recipient"], row["state"], row["as_of_date"], by)
    console.print(table)
    for message in messages:
        say(f"{message.as_of_date}  {message.message_id[:8]}  {message.state:<10}  {_gist(message)}")


@app.command("retry")
def retry(
    profile: ProfileOption = DEFAULT_PROFILE,
    now: Annotated[bool, typer.Option("--now", help="Also messages that still rest after a failed try.")] = False,
) -> None:
    """Send what waits, after checking it against what is published; exit code 1 when something failed again."""
    from customer_tiering.alerts.tell import tell_changes
    from customer_tiering.publish.snapshot import current_folder, read_manifest

    loaded = reach_company(profile)
    with _sending(loaded) as ledger:
        folder = current_folder(loaded.workspace)
        if folder is None:  # then only notices can wait
            with _compared(loaded, ledger) as (sender, result):
                result.add(sender.send(ripe_only=not now))
        else:
            result = tell_changes(loaded, ledger, folder, read_manifest(folder), ripe_only=not now)
        resting = [message for message in ledger.messages(states=["due", "failed"]) if message.next_attempt_at]
    _conclude(result)
    if resting and not any(result.failed.values()):
        first = min(message.next_attempt_at for message in resting)
        say(
            f"{len(resting)} message(s) rest until {first} (UTC) or later; to send them now: tiering alerts retry --now"
        )


@app.command("resend")
def resend(
    message_ids: Annotated[list[str] | None, typer.Argument(help="Ids of messages, or their beginnings.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All messages that failed or were given up.")] = False,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Send messages once more under the same id, also those that were sent or given up.

    What is no longer published is cancelled or refused.
    """
    if bool(message_ids) == failed:
        raise TieringError("which messages?", "give ids (tiering alerts list), or --failed")
    loaded = reach_company(profile)
    with _sending(loaded) as ledger, _compared(loaded, ledger) as (sender, result):
        if failed:
            wanted = {message.message_id for message in ledger.messages(states=["failed", "given_up"])}
            ledger.revive(wanted)
            result.add(sender.send(wanted=lambda message: message.message_id in wanted))
        else:
            chosen = [ledger.find(message_id) for message_id in message_ids or []]
            for message in chosen:
                _refuse_stale(ledger, message)
            for message in chosen:
                result.add(sender.send_again(message))
    _conclude(result)


@app.command("test")
def test(
    channel: Annotated[str, typer.Argument(help="Name of a channel of the profile.")],
    to: Annotated[str, typer.Option("--to", help="Recipient, if the channel writes to single persons.")] = "",
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Send a test message over a channel and say what happened; the ledger does not record it."""
    from customer_tiering.alerts.tell import send_test

    loaded = reach_company(profile)
    if channel not in loaded.channels:
        raise TieringError(
            f"profile {profile} has no channel {channel!r}", f"use one of {', '.join(loaded.channels) or 'none'}"
        )
    outcome, address = send_test(loaded, channel, to)
    whom = f" to {address}" if address else ""
    if outcome.status != "sent":
        raise TieringError(
            f"channel {channel}{whom}: {outcome.error}", "check its URL or connection, its server and its secret"
        )
    say(f"channel {channel}{whom}: the test message was accepted")


@contextmanager
def _looking(profile: Profile) -> Iterator[Ledger]:
    from customer_tiering.alerts.ledger import FILE, read_ledger

    if not (profile.workspace.ledger / FILE).exists():
        raise TieringError(
            f"{profile.name} has not told anybody anything yet", f"run a night first: make run PROFILE={profile.name}"
        )
    with read_ledger(profile.workspace.ledger) as ledger:
        yield ledger


@contextmanager
def _sending(profile: Profile) -> Iterator[Ledger]:
    from customer_tiering.alerts.ledger import open_ledger

    with _looking(profile):
        pass
    with open_ledger(profile.workspace.ledger, wait_seconds=10) as ledger:
        yield ledger


@contextmanager
def _compared(profile: Profile, ledger: Ledger) -> Iterator[tuple[Sender, AlertResult]]:
    """A sender, after the ledger was compared with what is published, and what that cancelled."""
    from customer_tiering.alerts.compose import CodesOnly
    from customer_tiering.alerts.published import open_published
    from customer_tiering.alerts.tell import AlertResult, Sender, compare
    from customer_tiering.publish.snapshot import current_folder, read_manifest

    folder, result = current_folder(profile.workspace), AlertResult()
    if folder is None:
        yield Sender(profile, ledger, CodesOnly()), result
        return
    with open_published(folder, profile.language) as published:
        compare(profile, ledger, published, read_manifest(folder).as_of_date, result)
        yield Sender(profile, ledger, published), result


def _refuse_stale(ledger: Ledger, message: Message) -> None:
    """What is no longer published must not be said again; the ledger was compared with it."""
    from customer_tiering.alerts.messages import OPEN

    stale = message.state == "superseded"
    if message.state == "sent" and message.customer_id:
        last = [row for row in ledger.told(message.customer_id) if row["message_id"] == message.message_id]
        newer = ledger.messages(states=OPEN, customer_id=message.customer_id)
        stale = not last or any(other.line == message.line for other in newer)
    if stale:
        raise TieringError(
            f"message {message.message_id[:8]} says what is no longer true, or what a later one has said again",
            f"see tiering alerts told {message.customer_id}",
        )


def _conclude(result: AlertResult) -> None:
    say(f"sent: {', '.join(f'{name} {count}' for name, count in result.sent.items()) or 'nothing'}")
    if result.superseded:
        say(f"{result.superseded} cancelled: what they say is no longer true")
    broken = {name: count for name, count in result.failed.items() if count}
    if broken:
        shown = "; ".join(f"{name}: {count} failed ({result.errors.get(name, '')})" for name, count in broken.items())
        raise TieringError(shown, f"tiering alerts test {next(iter(broken))}; they stay due")


def _plain(message: Message) -> dict[str, Any]:
    fields = asdict(message)
    return {"message_id": fields.pop("message_id")} | fields.pop("line") | fields


def _gist(message: Message) -> str:
    if not message.customer_id:
        return message.line.scheme.replace("_", " ")
    return f"{message.customer_name or message.customer_id}: {message.from_state or '?'} → {message.to_state}"
