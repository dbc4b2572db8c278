"""Alerts and what can go wrong, over a real mail server and a real webhook on 127.0.0.1.

Run with ``-s`` to see the table of docs/alerts.md.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alerting import SCHEME, Company, Customer, Mailbox, Receiver, ids_in, profile
from customer_tiering.alerts.ledger import FILE, open_ledger, read_ledger
from customer_tiering.alerts.notices import notify_operators
from customer_tiering.alerts.signed import sign

pytestmark = pytest.mark.slow

SECRET = "a-secret-of-the-webhook"
TIMEOUT = 0.4  # seconds; a slow receiver takes longer
NIGHTS = ("2026-03-01", "2026-03-02", "2026-03-03")
BEFORE = {"C1": Customer("A", "ann"), "C2": Customer("B", "ann"), "C3": Customer("B", "bob")}
AFTER = BEFORE | {"C1": Customer("B", "ann"), "C3": Customer("A", "bob")}


@dataclass
class World:
    """A company that tells its people by mail and a program by webhook."""

    company: Company
    mailbox: Mailbox
    receiver: Receiver

    def read_by_mail(self) -> dict[str, str]:
        """The last tier of each customer that its account manager's mails named."""
        last: dict[str, str] = {}
        labels = {"Gold": "A", "Silver": "B", "Bronze": "C"}
        for _, _, text in self.mailbox.mails:
            for line in text.splitlines():
                if line.startswith("- "):
                    customer, after = line.split("(")[1].split(")")[0], line.split("→ ")[1].split(",")[0]
                    last[customer] = labels[after]
        return last

    def read_by_hook(self) -> dict[str, str]:
        """The last tier of each customer that the program was sent."""
        return {
            message["customer_id"]: message["to_state"]
            for request in self.receiver.requests
            for message in request.content["messages"]
            if message["subject"] == "tier_change"
        }

    def deliveries(self) -> Counter[str]:
        """How often each message came in at the webhook."""
        return Counter(
            message["message_id"] for request in self.receiver.requests for message in request.content["messages"]
        )

    def agrees(self, read: dict[str, str]) -> bool:
        """Whether who read this knows what is published; what nobody had to be told stands as on the first night."""
        return all(
            read.get(key, BEFORE[key].tier if key in BEFORE else customer.tier) == customer.tier
            for key, customer in self.company.customers.items()
        )

    def ledger_agrees(self) -> bool:
        """Whether the ledger says of every channel that what is published was told."""
        with read_ledger(self.company.ledger_folder) as ledger:
            return all(
                {row["channel"]: row["state"] for row in ledger.told(key)}
                == {"mail": customer.tier, "hook": customer.tier}
                for key, customer in self.company.customers.items()
            )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    mailbox, receiver = Mailbox(), Receiver()
    settings = profile(
        channels={
            "mail": {
                "url": f"mailto://127.0.0.1:{mailbox.port}?from=tiers@example.com&to={{to}}",
                "timeout": TIMEOUT,
                "tries": 1,
            },
            "hook": {"url": f"hmac://:{SECRET}@127.0.0.1:{receiver.port}/hook", "timeout": TIMEOUT, "tries": 1},
        },
        alerts={
            "addresses": {"ann": "ann@example.com", "bob": "bob@example.com", "ops": "ops@example.com"},
            "fallback": "ops",
            "operators": [],
        },
    )
    company = Company(tmp_path, settings)
    company.night(BEFORE, NIGHTS[0])
    world = World(company, mailbox, receiver)
    yield world
    world.mailbox.stop()
    world.receiver.stop()


# --- the faults of the table -------------------------------------------------------------------------------


def no_fault(world: World) -> str:
    world.company.night(AFTER, NIGHTS[1])
    return states(world)


def receiver_down_for_a_night(world: World) -> str:
    port = world.receiver.port
    world.receiver.stop()
    world.company.night(AFTER, NIGHTS[1])
    after = states(world)
    world.receiver = _restart(world, port)
    world.company.night(AFTER, NIGHTS[2])
    return after


def receiver_slow(world: World) -> str:
    """It takes the message and answers after the sender has stopped waiting: the message comes twice, with its id."""
    world.receiver.script = [3 * TIMEOUT]
    world.company.night(AFTER, NIGHTS[1])
    after = states(world)
    world.company.night(AFTER, NIGHTS[2])
    assert set(world.deliveries().values()) == {2}
    return after


def error_500_then_200(world: World) -> str:
    world.receiver.script = [500]
    world.company.night(AFTER, NIGHTS[1])
    after = states(world)
    world.company.tell()
    return after


def one_channel_down_the_other_works(world: World) -> str:
    world.mailbox.stop()
    world.company.night(AFTER, NIGHTS[1])
    after = states(world)
    assert world.agrees(world.read_by_hook())
    assert world.read_by_mail() == {}
    mails = world.mailbox.mails
    world.mailbox = Mailbox(world.mailbox.port)
    world.mailbox.mails = mails
    world.company.night(AFTER, NIGHTS[2])
    return after


def killed_between_send_and_record(world: World) -> str:
    world.company.publish(AFTER, NIGHTS[1])
    _kill_when_sent(world)
    after = states(world)
    world.company.tell()
    assert max(world.deliveries().values()) == 2
    return after


def killed_and_reverted_before_the_rerun(world: World) -> str:
    """The first message arrived, the process died, and a corrected rerun takes the change back."""
    world.company.publish(AFTER, NIGHTS[1])
    _kill_when_sent(world)
    after = states(world)
    world.company.night(BEFORE, NIGHTS[1])
    return after


def rerun(world: World) -> str:
    world.company.night(AFTER, NIGHTS[1])
    after = states(world)
    world.company.night(AFTER, NIGHTS[1])
    assert set(world.deliveries().values()) == {1}
    return after


def replay_moves_a_change_by_a_day(world: World) -> str:
    """Told on the second night; a promoted replay dates the change to the third."""
    world.company.night(AFTER, NIGHTS[1])
    after = states(world)
    world.company.night(AFTER, NIGHTS[2])
    assert set(world.deliveries().values()) == {1}
    assert len(world.mailbox.mails) == 2
    return after


def replay_moves_a_change_that_still_waits(world: World) -> str:
    world.receiver.script = [500]
    world.company.night(AFTER, NIGHTS[1])
    after = states(world)
    with read_ledger(world.company.ledger_folder) as ledger:
        waiting = {message.message_id for message in ledger.messages(states=["failed"])}
    world.company.night(AFTER, NIGHTS[2])
    assert set(world.deliveries()) == waiting
    return after


def reverted_before_it_was_told(world: World) -> str:
    world.receiver.script = [500]
    world.mailbox.stop()
    world.company.night(AFTER, NIGHTS[1])
    after = states(world)
    world.mailbox = Mailbox(world.mailbox.port)
    world.company.night(BEFORE, NIGHTS[1])
    assert world.deliveries() == {} and world.mailbox.mails == []
    return after


def many_changes_and_a_cap(world: World) -> str:
    many = {f"N{n:02d}": Customer("A", "ann") for n in range(30)}
    world.company.night(BEFORE | many, NIGHTS[1])
    world.company.night(BEFORE | {key: Customer("C", "ann") for key in many}, NIGHTS[2])
    ((_, subject, text),) = world.mailbox.mails
    assert subject == "Small: 30 changes, night of 2026-03-03"
    assert sum(line.startswith("- ") for line in text.splitlines()) == 20
    assert "and 10 more" in text
    return states(world)


FAULTS: list[Callable[[World], str]] = [
    no_fault,
    receiver_down_for_a_night,
    receiver_slow,
    error_500_then_200,
    one_channel_down_the_other_works,
    killed_between_send_and_record,
    killed_and_reverted_before_the_rerun,
    rerun,
    replay_moves_a_change_by_a_day,
    replay_moves_a_change_that_still_waits,
    reverted_before_it_was_told,
    many_changes_and_a_cap,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_in_the_end_everyone_was_told_what_is_published(fault: Callable[[World], str], world: World) -> None:
    after = fault(world)
    final, delivered = states(world), world.deliveries()
    by_mail = world.agrees(world.read_by_mail()) or fault is many_changes_and_a_cap  # its mail shows the first twenty
    agree = by_mail and world.agrees(world.read_by_hook()) and world.ledger_agrees()
    times = Counter(delivered.values())
    row = (
        fault.__name__.replace("_", " "),
        after,
        "the same" if after == final else final,
        ", ".join(f"{count} {'once' if number == 1 else 'twice'}" for number, count in times.items()) or "none",
        "yes" if agree else "NO",
    )
    sys.stdout.write(f"\n| {' | '.join(row)} |")
    assert agree
    assert max(times, default=0) <= 2
    world.company.tell()
    assert world.deliveries() == delivered, "one more run tells nothing"


def states(world: World) -> str:
    """The ledger as text: states per channel."""
    shown = []
    with read_ledger(world.company.ledger_folder) as ledger:
        for channel in ("mail", "hook"):
            counts = Counter(message.state for message in ledger.messages(channel=channel))
            shown.append(f"{channel}: {', '.join(f'{number} {state}' for state, number in counts.items()) or 'none'}")
    return "; ".join(shown)


def _restart(world: World, port: int) -> Receiver:
    """The receiver comes up again on its port and still has what it received."""
    fresh = Receiver(port)
    fresh.requests = world.receiver.requests
    return fresh


_KILLED = """
import os, signal, sys, time
from pathlib import Path
from alerting import Company
from customer_tiering.alerts.ledger import Ledger
from customer_tiering.company.profile import Profile
from customer_tiering.publish.snapshot import Manifest

def die(ledger, letter):
    if letter.channel == "hook":
        while ledger.messages(states=["due", "sending"], channel="mail"):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    record(ledger, letter)

record, Ledger.record = Ledger.record, die
company = Company(Path(sys.argv[1]), Profile.model_validate_json(sys.argv[2]))
company.manifest = Manifest("small", sys.argv[3], "r", "v", "c", "c", sys.argv[4], "CNY", {})
company.tell()
"""


def _kill_when_sent(world: World) -> None:
    """An alert step in a process of its own, which dies when the webhook has its message, before it notes that."""
    arguments = [str(world.company.folder), world.company.profile.model_dump_json(), NIGHTS[1], SCHEME]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # the helpers of the tests too
    done = subprocess.run([sys.executable, "-c", _KILLED, *arguments], env=environment, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert len(world.receiver.requests) == 1


# --- what the table does not show --------------------------------------------------------------------------


def test_a_slow_channel_does_not_hold_up_the_others_and_the_step_ends(world: World) -> None:
    world.receiver.script = [5.0]
    begun = time.monotonic()
    result = world.company.night(AFTER, NIGHTS[1])
    assert time.monotonic() - begun < 5
    assert (result.sent, result.failed) == ({"mail": 2, "hook": 0}, {"mail": 0, "hook": 2})
    assert result.errors == {"hook": "no answer in time; it may have arrived"}


def test_a_few_tries_within_one_step(world: World) -> None:
    channels = {
        name: channel.model_copy(update={"tries": 2}) for name, channel in world.company.profile.channels.items()
    }
    world.company.profile = world.company.profile.model_copy(update={"channels": channels})
    world.receiver.script = [503]
    assert world.company.night(AFTER, NIGHTS[1]).failed == {"mail": 0, "hook": 0}
    assert set(world.deliveries().values()) == {1}


def test_each_account_manager_gets_one_mail_with_its_customers_only(world: World) -> None:
    world.company.night(AFTER | {"C2": Customer("C", "ann")}, NIGHTS[1])
    mails = {recipient: (subject, text) for recipient, subject, text in world.mailbox.mails}
    assert len(world.mailbox.mails) == 2
    assert mails["ann@example.com"][0] == "Small: 2 changes, night of 2026-03-02"
    assert "Name C1 (C1): Gold → Silver, down · ann · value" in mails["ann@example.com"][1]
    assert "C3" not in mails["ann@example.com"][1]
    assert "Name C3 (C3): Silver → Gold, up" in mails["bob@example.com"][1]


def test_a_customer_without_account_manager_goes_to_the_fallback(world: World) -> None:
    world.company.night(BEFORE | {"C1": Customer("B", None), "C2": Customer("C", "eve")}, NIGHTS[1])
    assert [(recipient, subject) for recipient, subject, _ in world.mailbox.mails] == [
        ("ops@example.com", "Small: 2 changes, night of 2026-03-02")
    ]


def test_who_has_two_addresses_is_told_at_none_again_and_again(world: World) -> None:
    addresses = world.company.profile.alerts.addresses | {"ann": "ann@example.com, gone@example.com"}
    alerts = world.company.profile.alerts.model_copy(update={"addresses": addresses})
    world.company.profile = world.company.profile.model_copy(update={"alerts": alerts})
    result = world.company.night(AFTER, NIGHTS[1])
    assert result.errors == {
        "mail": "channel mail: its URL with the recipient's address names 2 targets, one is allowed"
    }
    assert [recipient for recipient, _, _ in world.mailbox.mails] == ["bob@example.com"], "others are told all the same"
    assert sorted(world.company.states("mail")) == ["failed", "sent"]


def test_without_a_fallback_the_message_waits_and_says_why(world: World) -> None:
    alerts = world.company.profile.alerts.model_copy(update={"fallback": None})
    world.company.profile = world.company.profile.model_copy(update={"alerts": alerts})
    result = world.company.night(AFTER | {"C1": Customer("B", "eve")}, NIGHTS[1])
    assert result.errors == {"mail": "no address for eve"}
    assert [recipient for recipient, _, _ in world.mailbox.mails] == ["bob@example.com"], "others are told all the same"


def test_the_webhook_is_signed_and_a_redirect_is_not_followed(world: World) -> None:
    world.receiver.script = [302]
    assert world.company.night(AFTER, NIGHTS[1]).errors == {"hook": "the server answered 302"}
    world.company.tell()
    (request,) = world.receiver.requests
    timestamp = request.headers["X-Tiering-Timestamp"]
    assert request.headers["X-Tiering-Signature"] == "sha256=" + sign(SECRET.encode(), timestamp, request.body)
    assert request.headers["X-Tiering-Message"] == request.content["id"] == ids_in(request.content["body"])[0]
    assert abs(int(timestamp) - time.time()) < 60
    assert SECRET.encode() not in request.body


def test_a_newly_high_churn_risk_is_told_once_and_its_end_only_where_a_route_asks(world: World) -> None:
    def risk(probability: float) -> dict[str, Customer]:
        return BEFORE | {"C1": Customer("A", "ann", churn=probability), "C2": Customer("B", "ann", churn=0.1)}

    world.company.night(risk(0.9), NIGHTS[1])
    assert len(world.receiver.requests) == 1, "who stands at risk when risks are first found is told"
    world.company.night(risk(0.95), NIGHTS[1])
    world.company.night(risk(0.5), NIGHTS[1])
    assert len(world.receiver.requests) == 1
    world.company.night(risk(0.85), NIGHTS[2])
    world.company.night(risk(0.9), NIGHTS[2])
    _, request = world.receiver.requests
    (message,) = request.content["messages"]
    assert (message["subject"], message["direction"], message["to_state"]) == ("churn_risk", "newly_high", "high")
    _, (_, _, text) = world.mailbox.mails
    assert "Name C1 (C1): high churn risk, probability 85 %; call" in text
    assert "probability 85 %" in request.content["body"]


def test_a_channel_that_cannot_be_opened_fails_alone(world: World) -> None:
    channels = world.company.profile.channels | {
        "mail": world.company.profile.channels["mail"].model_copy(update={"url": "nosuch://hunter2@host/{to}"})
    }
    world.company.profile = world.company.profile.model_copy(update={"channels": channels})
    result = world.company.night(AFTER, NIGHTS[1])
    assert result.sent["hook"] == 2
    assert result.errors == {"mail": "channel mail: its URL is not one that Apprise understands"}


def test_a_dead_channel_is_told_over_the_others_once_an_outage(world: World) -> None:
    alerts = world.company.profile.alerts.model_copy(update={"operators": None})
    world.company.profile = world.company.profile.model_copy(update={"alerts": alerts})
    world.mailbox.stop()
    for night in NIGHTS[1:]:
        world.company.night(AFTER, night)
    notices = [request.content for request in world.receiver.requests if request.content["type"] == "warning"]
    assert [notice["title"] for notice in notices] == ["Channel does not deliver: Small"]
    assert "error: the server refuses connections" in notices[0]["body"]
    assert "ann@example.com" not in str(notices)
    world.mailbox = Mailbox(world.mailbox.port)
    world.company.tell()
    assert world.agrees(world.read_by_mail())


def test_a_second_outage_is_told_although_the_first_left_a_message(world: World) -> None:
    alerts = world.company.profile.alerts.model_copy(update={"operators": ["hook"]})
    world.company.profile = world.company.profile.model_copy(update={"alerts": alerts})

    def notices() -> int:
        return sum(request.content["type"] == "warning" for request in world.receiver.requests)

    def age(days: int) -> None:
        with sqlite3.connect(world.company.ledger_folder / FILE) as db:
            earlier = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
            db.execute("update messages set created_at = ? where channel = 'mail' and state = 'failed'", [earlier])
        db.close()

    first, second = BEFORE | {"C1": AFTER["C1"]}, AFTER
    mails, port = world.mailbox.mails, world.mailbox.port
    world.mailbox.stop()
    world.company.night(first, NIGHTS[1])
    age(13)
    world.company.night(second, NIGHTS[1])
    with sqlite3.connect(world.company.ledger_folder / FILE) as db:  # the next night is two days later
        db.execute("update messages set created_at = datetime(created_at, '-2 days') || '+00:00'")
    db.close()
    world.company.tell()
    assert sorted(world.company.states("mail")) == ["failed", "given_up"]
    assert notices() == 1, "it is the same outage"
    world.mailbox = Mailbox(port)
    world.mailbox.mails = mails
    world.company.tell()
    assert sorted(world.company.states("mail")) == ["given_up", "sent"]
    world.mailbox.stop()
    world.company.night(second | {"C2": Customer("C", "ann")}, NIGHTS[2])
    assert notices() == 2
    world.company.tell()
    assert notices() == 2
    world.mailbox = Mailbox(port)


def test_operators_are_told_of_bad_data_once_a_night(world: World) -> None:
    import duckdb

    alerts = world.company.profile.alerts.model_copy(update={"operators": ["mail"]})
    world.company.profile = world.company.profile.model_copy(update={"alerts": alerts})
    world.company.publish(BEFORE, NIGHTS[1])
    with duckdb.connect(str(world.company.snapshot / "tiers.duckdb")) as db:
        rows = [("erp", "orders", 1000, 51), ("erp", "lines", 1000, 50), ("crm", "accounts", 49, 40)]
        db.executemany(f"insert into marts.fct_data_quality values ('{NIGHTS[1]}', ?, ?, ?, ?)", rows)
    for _ in range(2):
        world.company.tell(warnings=["erp.orders: no orders have come for long"])
    ((recipient, subject, text),) = world.mailbox.mails
    assert (recipient, subject) == ("ops@example.com", "Data quality: Small, night of 2026-03-02")
    assert "quarantined: erp.orders 51 / 1,000\n" in text.replace("\r", "")
    assert "warnings: erp.orders: no orders have come for long" in text


def test_notices_come_once_a_key_never_raise_and_hold_no_secret(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    company = world.company.profile.model_copy(
        update={"alerts": world.company.profile.alerts.model_copy(update={"operators": ["hook"]})}
    )
    facts = {
        "as_of_date": NIGHTS[1],
        "step": "extract_erp",
        "problem": "postgresql://reader:hunter2@db/erp refused; password=hunter2",
    }
    world.receiver.script = [500]
    for key in ("run 1", "run 1", "run 1", "run 2"):
        notify_operators(company, "failed_night", key, facts)
    assert len(world.receiver.requests) == 2
    first = world.receiver.requests[0].content
    assert first["title"] == "Night failed: Small, night of 2026-03-02"
    assert "step: extract_erp" in first["body"]
    assert "hunter2" not in str(first)
    with open_ledger(company.workspace.ledger) as ledger:
        assert [message.state for message in ledger.messages()] == ["sent", "sent"]
    world.receiver.stop()
    notify_operators(company, "late_night", "run 3", {})
    with open_ledger(company.workspace.ledger) as ledger:
        assert ledger.messages()[-1].state == "failed"
    (company.workspace.ledger / "alerts.sqlite").write_bytes(b"broken" * 1000)
    notify_operators(company, "held_night", "run 4", facts)
    assert "the notice held_night run 4 was not noted" in caplog.text
    assert "hunter2" not in caplog.text


def test_apprise_webhooks_work_too_and_tell_why_they_fail(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    url = f"json://127.0.0.1:{world.receiver.port}/hunter2?tags=x"
    channels: dict[str, Any] = {"hook": world.company.profile.channels["hook"].model_copy(update={"url": url})}
    world.company.profile = world.company.profile.model_copy(update={"channels": channels})
    world.receiver.script = [404, 3 * TIMEOUT]
    assert world.company.night(AFTER, NIGHTS[1]).errors == {"hook": "the server answered 404"}
    assert world.company.tell().errors == {"hook": "no answer in time; it may have arrived"}
    assert world.company.tell().failed == {"hook": 0}
    assert world.receiver.requests[-1].content["title"] == "Small: 2 changes, night of 2026-03-02"
    assert world.receiver.requests[-1].content["message"] == world.receiver.requests[-2].content["message"]
    world.receiver.stop()
    world.company.night(BEFORE, NIGHTS[2])
    assert world.company.tell().errors == {"hook": "the server refuses connections"}
    assert [record for record in caplog.records if record.name == "apprise"] == [], "its log holds URLs"
