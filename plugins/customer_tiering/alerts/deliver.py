"""Delivering letters: each channel in a thread of its own, with few tries and a limit of time.

A channel that is dead or slow costs its own letters, never those of another channel, and the step at most the longest
limit. What may have arrived is not tried again at once: the next night or ``tiering alerts retry`` does that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from customer_tiering.alerts.channels import Channel
from customer_tiering.alerts.ledger import Ledger
from customer_tiering.alerts.messages import Letter
from customer_tiering.alerts.outcome import NO_ANSWER, Outcome
from customer_tiering.errors import TieringError


@dataclass(frozen=True)
class Patience:
    """Seconds and tries of one channel in one step. The pause doubles after each try."""

    timeout: float = 10.0
    tries: int = 3
    pause: float = 1.0
    budget: float = 60.0


@dataclass
class Delivered:
    """Messages (not letters) of one channel, and what went wrong first."""

    sent: int = 0
    failed: int = 0
    error: str = ""


@dataclass(frozen=True)
class Outbox:
    """The letters of one channel; ``open_for`` gives the channel for a letter's recipient, or raises."""

    letters: Sequence[Letter]
    open_for: Callable[[Letter], Channel]
    patience: Patience = field(default_factory=Patience)


def deliver(ledger: Ledger, outboxes: Mapping[str, Outbox], give_up_days: int) -> dict[str, Delivered]:
    """Send the letters of all channels at the same time; every outcome is in the ledger when this returns."""
    if not outboxes:
        return {}
    with ThreadPoolExecutor(max_workers=len(outboxes)) as threads:
        running = {
            name: threads.submit(_deliver_channel, ledger, outbox, give_up_days) for name, outbox in outboxes.items()
        }
    return {name: future.result() for name, future in running.items()}


def _deliver_channel(ledger: Ledger, outbox: Outbox, give_up_days: int) -> Delivered:
    patience, result = outbox.patience, Delivered()
    end = time.monotonic() + patience.budget
    tries = patience.tries
    for number, letter in enumerate(outbox.letters):
        if time.monotonic() > end:
            late = [message for rest in outbox.letters[number:] for message in rest.messages]
            ledger.fail(late, f"not tried: the channel took more than {patience.budget:.0f} s", give_up_days)
            result.failed += len(late)
            break
        ledger.begin(letter)
        outcome = _try(outbox, letter, tries)
        if outcome.status == "sent":
            ledger.record(letter)
            result.sent += len(letter.messages)
            tries = patience.tries
        else:
            ledger.fail(letter.messages, outcome.error, give_up_days, unanswered=outcome.status == "unanswered")
            result.failed += len(letter.messages)
            result.error = result.error or outcome.error
            tries = 1  # what fails for one will most likely fail for the next
    return result


def _try(outbox: Outbox, letter: Letter, tries: int) -> Outcome:
    """Try a letter a few times; after an unanswered try no more, or the recipient might read it again and again."""
    patience = outbox.patience
    try:
        channel = outbox.open_for(letter)
    except TieringError as error:  # another try would meet it again
        return Outcome("failed", error.problem)
    for number in range(tries):
        if number:
            time.sleep(patience.pause * 2 ** (number - 1))
        outcome = _within(2 * patience.timeout, lambda: channel.send(letter))
        if outcome.status != "failed":
            break
    return outcome


def _within(seconds: float, send: Callable[[], Outcome]) -> Outcome:
    """The outcome, or ``NO_ANSWER`` after so many seconds: a server that sends a byte now and then evades timeouts."""
    outcomes: list[Outcome] = []

    def run() -> None:
        try:
            outcomes.append(send())
        except Exception as error:  # a channel's failure is its own; the text may hold its URL
            outcomes.append(Outcome("failed", f"it failed ({type(error).__name__})"))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcomes[0] if outcomes else NO_ANSWER
