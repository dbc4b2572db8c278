"""The ledger of alerts: everyone is told the published tier once, whatever reruns and crashes lie between."""

from __future__ import annotations

import json
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_tiering.alerts.channels import open_channel
from customer_tiering.alerts.ledger import Ledger, Message, Standing, open_ledger
from customer_tiering.errors import ProfileError

DAY = "2024-01-01"
Night = dict[str, tuple[str, str]]  # customer -> tier and owner


class Crashed(Exception):
    """The process was killed."""


def standings(night: Night, scheme: str = "value") -> list[Standing]:
    return [
        Standing(customer, f"Name {customer}", scheme, tier, owner) for customer, (tier, owner) in sorted(night.items())
    ]


def tell(
    ledger: Ledger, night: Night, day: str, sent: list[Message], crash_at: int | None = None, channel: str = "mail"
) -> list[Message]:
    """One alert step as tell.py does it. A crash comes after message ``crash_at`` went out, before its record."""
    told = []
    for number, message in enumerate(ledger.pending(channel, standings(night), day)):
        sent.append(message)
        told.append(message)
        if number == crash_at:
            raise Crashed
        ledger.record(message)
    return told


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "ledger") as opened:
        yield opened


def test_the_first_night_is_silent(ledger: Ledger) -> None:
    assert tell(ledger, {"C1": ("A", "ann"), "C2": ("B", "bob")}, DAY, []) == []
    assert tell(ledger, {"C1": ("A", "ann"), "C2": ("B", "bob")}, DAY, []) == []


def test_a_new_customer_is_silent_and_its_next_change_is_told(ledger: Ledger) -> None:
    tell(ledger, {"C1": ("A", "ann")}, DAY, [])
    assert tell(ledger, {"C1": ("A", "ann"), "C2": ("B", "bob")}, "2024-01-02", []) == []
    (message,) = tell(ledger, {"C1": ("A", "ann"), "C2": ("C", "bob")}, "2024-01-03", [])
    assert (message.standing.customer_id, message.from_tier, message.standing.tier) == ("C2", "B", "C")


def test_a_change_is_told_once_to_the_present_owner(ledger: Ledger) -> None:
    tell(ledger, {"C1": ("A", "ann")}, DAY, [])
    (message,) = tell(ledger, {"C1": ("B", "bob")}, "2024-01-02", [])
    assert message.standing.recipient == "bob"
    assert tell(ledger, {"C1": ("B", "bob")}, "2024-01-02", []) == []
    assert tell(ledger, {"C1": ("B", "ann")}, "2024-01-03", []) == [], "a new owner alone is no change of tier"


def test_each_scheme_and_channel_has_its_own_silent_first_night(ledger: Ledger) -> None:
    tell(ledger, {"C1": ("A", "ann")}, DAY, [])
    assert tell(ledger, {"C1": ("B", "ann")}, "2024-01-02", [], channel="chat") == []
    assert len(tell(ledger, {"C1": ("B", "ann")}, "2024-01-02", [])) == 1
    assert list(ledger.pending("mail", standings({"C1": ("X", "ann")}, "abc"), "2024-01-02")) == []
    assert len(list(ledger.pending("mail", standings({"C1": ("Y", "ann")}, "abc"), "2024-01-03"))) == 1


def test_a_crash_repeats_one_message_with_the_same_id(ledger: Ledger) -> None:
    before = {f"C{n}": ("A", "ann") for n in range(5)}
    after = dict.fromkeys(before, ("B", "ann"))
    tell(ledger, before, DAY, [])
    sent: list[Message] = []
    with pytest.raises(Crashed):
        tell(ledger, after, "2024-01-02", sent, crash_at=2)
    tell(ledger, after, "2024-01-02", sent)
    assert Counter(message.standing.customer_id for message in sent) == {"C0": 1, "C1": 1, "C2": 2, "C3": 1, "C4": 1}
    assert len({message.message_id for message in sent}) == 5


def test_a_message_that_was_not_recorded_is_due_the_next_night(ledger: Ledger) -> None:
    """A channel that is down: nothing is recorded, and the change is told when it is up again."""
    tell(ledger, {"C1": ("A", "ann")}, DAY, [])
    assert len(list(ledger.pending("mail", standings({"C1": ("B", "ann")}), "2024-01-02"))) == 1
    (message,) = tell(ledger, {"C1": ("B", "ann")}, "2024-01-03", [])
    assert (message.from_tier, message.standing.tier) == ("A", "B")


def test_a_change_that_is_gone_before_it_was_told_is_never_told(ledger: Ledger) -> None:
    tell(ledger, {"C1": ("A", "ann")}, DAY, [])
    list(ledger.pending("mail", standings({"C1": ("B", "ann")}), "2024-01-02"))
    assert tell(ledger, {"C1": ("A", "ann")}, "2024-01-03", []) == []


def test_what_was_told_outlives_the_process(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as first:
        tell(first, {"C1": ("A", "ann")}, DAY, [])
        (message,) = first.pending("mail", standings({"C1": ("B", "ann")}), "2024-01-02")
        first.record(message)
    with open_ledger(tmp_path) as second:
        assert tell(second, {"C1": ("B", "ann")}, "2024-01-02", []) == []
        assert len(tell(second, {"C1": ("A", "ann")}, "2024-01-03", [])) == 1


def test_corrections_within_a_night_and_changing_owners_do_not_repeat_what_was_told(ledger: Ledger) -> None:
    tell(ledger, {"C1": ("A", "ann")}, DAY, [])
    assert len(tell(ledger, {"C1": ("B", "bob")}, DAY, [])) == 1
    assert len(tell(ledger, {"C1": ("A", "ann")}, DAY, [])) == 1
    assert tell(ledger, {"C1": ("A", "ann")}, DAY, []) == []


def test_the_id_tells_changes_apart() -> None:
    standing = Standing("C1", "Name", "value", "B", "ann")
    message = Message(standing, "mail", "A", DAY)
    others = [
        replace(message, channel="chat"),
        replace(message, from_tier="C"),
        replace(message, as_of_date="2024-01-02"),
        *(
            replace(message, standing=replace(standing, **{field: "other"}))
            for field in ("customer_id", "scheme", "tier", "recipient")
        ),
    ]
    assert len({message.message_id, *(other.message_id for other in others)}) == len(others) + 1
    assert replace(message, standing=replace(standing, customer_name="Renamed")).message_id == message.message_id


nights = st.dictionaries(
    st.sampled_from(["C1", "C2", "C3", "C4"]), st.tuples(st.sampled_from("ABC"), st.sampled_from(["ann", "bob"]))
)
# A night: its versions (each later one is a rerun after a correction of the data), each with crashes before it ends.
histories = st.lists(
    st.lists(st.tuples(nights, st.lists(st.integers(0, 3), max_size=2)), min_size=1, max_size=3), min_size=1, max_size=6
)


@given(histories)
@settings(max_examples=60, deadline=None)
def test_after_every_night_all_were_told_what_is_published(history: list[list[tuple[Night, list[int]]]]) -> None:
    told: dict[str, str] = {}  # what each customer's owner was last told, silently noted first tiers included
    seeded = False
    with tempfile.TemporaryDirectory() as folder, open_ledger(Path(folder)) as ledger:
        for number, versions in enumerate(history, 1):
            day = f"2024-01-{number:02d}"
            for night, crashes in versions:
                sent: list[Message] = []
                crashed = 0
                for crash_at in crashes:
                    try:
                        tell(ledger, night, day, sent, crash_at)
                    except Crashed:
                        crashed += 1
                tell(ledger, night, day, sent)

                changed = {
                    customer: (told[customer], tier)
                    for customer, (tier, _) in night.items()
                    if seeded and customer in told and told[customer] != tier
                }
                # Each change once, and each crash repeats at most one message, with its id.
                by_id = {message.message_id: message for message in sent}
                assert {
                    message.standing.customer_id: (message.from_tier, message.standing.tier)
                    for message in by_id.values()
                } == changed
                assert len(by_id) == len(changed)
                assert len(sent) <= len(changed) + crashed
                assert all(message.standing.recipient == night[message.standing.customer_id][1] for message in sent)

                told |= {customer: tier for customer, (tier, _) in night.items()}
                seeded = seeded or bool(night)
                assert tell(ledger, night, day, []) == [], "a rerun sends nothing"


# --- channels -----------------------------------------------------------------------------------------------


def test_the_json_lines_channel_appends_each_message(tmp_path: Path) -> None:
    path = tmp_path / "with blank 中文" / "Alerts.jsonl"
    channel = open_channel("local_file", f"jsonl://localhost{path}")
    assert channel.notify(title="示例公司: Key → Strategic", body="line 1\nline 2")
    assert channel.notify(title="second", body="x")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(line["title"], line["body"]) for line in lines] == [
        ("示例公司: Key → Strategic", "line 1\nline 2"),
        ("second", "x"),
    ]
    assert "示例公司" in path.read_text(encoding="utf-8")


def test_a_channel_that_cannot_be_reached_says_so() -> None:
    assert not open_channel("hook", "json://127.0.0.1:1/").notify(title="t", body="b")


@pytest.mark.parametrize(
    "url", ["nosuch://user:hunter2@host", "slack://hunter2", "https://example.com/hunter2", "hunter2", ""]
)
def test_a_url_that_means_nothing_is_refused_without_showing_it(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ProfileError) as caught:
        open_channel("chat", url)
    assert caught.value.problem == "channel chat: its URL is not one that Apprise understands"
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in caplog.text
