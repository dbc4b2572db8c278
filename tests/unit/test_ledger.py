"""The ledger of alerts: everyone is told the published state once, whatever reruns and crashes lie between."""

from __future__ import annotations

import resource
import sqlite3
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting import profile
from customer_tiering.alerts import tell
from customer_tiering.alerts.compose import compose, parcels
from customer_tiering.alerts.ledger import FILE, Ledger, open_ledger, read_ledger
from customer_tiering.alerts.messages import Change, Letter, Line, Message, Standing
from customer_tiering.alerts.outcome import NO_ANSWER, SENT, Outcome
from customer_tiering.alerts.tell import Sender
from customer_tiering.errors import NightBusy, TieringError

DAY = "2024-01-01"
MAIL = Line("tier_change", "value", "mail", "owner")
Night = dict[str, tuple[str, str]]  # customer -> tier and owner
GIVE_UP_DAYS = 14


class Clock:
    """Time that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2024, 1, 2, 2, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Crashed(Exception):
    """The process was killed."""


def standings(night: Night) -> list[Standing]:
    return [Standing(customer, f"Name {customer}", tier, owner) for customer, (tier, owner) in sorted(night.items())]


def to_owner(change: Change) -> tuple[str, str]:
    return "moved", change.standing.owner


def compare(
    ledger: Ledger, night: Night, day: str = DAY, line: Line = MAIL, unremarkable: str | None = None
) -> list[Message]:
    """Compare a line with what is published; gives what is due on its channel then."""
    ledger.compare(line, standings(night), day, to_owner, unremarkable)
    return ledger.deliverable(line.channel)


def letter(message: Message) -> Letter:
    return Letter(message.message_id, message.line.channel, message.recipient, "t", "b", False, (message,))


def send(ledger: Ledger, messages: list[Message]) -> None:
    for message in messages:
        ledger.begin(letter(message))
        ledger.record(letter(message))


def told(
    ledger: Ledger, night: Night, day: str = DAY, line: Line = MAIL, unremarkable: str | None = None
) -> list[tuple[str, str, str, str]]:
    """A night in which everything goes out: customer, recipient, tier before and after of each message."""
    messages = compare(ledger, night, day, line, unremarkable)
    send(ledger, messages)
    return [(m.customer_id, m.recipient, m.from_state, m.to_state) for m in messages]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger" / FILE, clock)
    yield opened
    opened.close()


def test_the_first_night_is_silent(ledger: Ledger) -> None:
    assert told(ledger, {"C1": ("A", "ann"), "C2": ("B", "bob")}) == []
    assert told(ledger, {"C1": ("A", "ann"), "C2": ("B", "bob")}) == []


def test_a_new_customer_is_silent_and_its_next_change_is_told(ledger: Ledger) -> None:
    told(ledger, {"C1": ("A", "ann")})
    assert told(ledger, {"C1": ("A", "ann"), "C2": ("B", "bob")}) == []
    assert told(ledger, {"C1": ("A", "ann"), "C2": ("C", "bob")}) == [("C2", "bob", "B", "C")]


def test_a_change_is_told_once_to_the_present_owner(ledger: Ledger) -> None:
    told(ledger, {"C1": ("A", "ann")})
    assert told(ledger, {"C1": ("B", "bob")}) == [("C1", "bob", "A", "B")]
    assert told(ledger, {"C1": ("B", "bob")}) == []
    assert told(ledger, {"C1": ("B", "ann")}) == [], "a new owner alone is no change of tier"


def test_each_line_has_its_own_silent_first_night(ledger: Ledger) -> None:
    told(ledger, {"C1": ("A", "ann")})
    for other in (
        Line("tier_change", "value", "chat", "owner"),
        Line("tier_change", "value", "mail", "boss"),
        Line("tier_change", "abc", "mail", "owner"),
        Line("churn_risk", "churn", "mail", "owner"),
    ):
        assert told(ledger, {"C1": ("B", "ann")}, line=other) == []
        assert len(told(ledger, {"C1": ("C", "ann")}, line=other)) == 1
    assert told(ledger, {"C1": ("B", "ann")}) == [("C1", "ann", "A", "B")]


def test_where_a_state_is_unremarkable_who_is_first_seen_in_another_one_is_told(ledger: Ledger) -> None:
    """High risks are told from the first night on, once; what waits and no longer holds is not."""
    night: Night = {"C1": ("high", "ann"), "C2": ("low", "bob")}
    assert told(ledger, night, unremarkable="low") == [("C1", "ann", "low", "high")]
    assert told(ledger, night, unremarkable="low") == []
    assert told(ledger, {"C1": ("low", "ann"), "C3": ("high", "bob")}, unremarkable="low") == [
        ("C1", "ann", "high", "low"),
        ("C3", "bob", "low", "high"),
    ]
    assert len(compare(ledger, {"C4": ("high", "ann")}, unremarkable="low")) == 1
    assert len(compare(ledger, {"C4": ("high", "ann")}, unremarkable="low")) == 1
    assert compare(ledger, {"C4": ("low", "ann")}, unremarkable="low") == []
    assert told(ledger, {"C4": ("high", "ann")}, unremarkable="low") == [("C4", "ann", "low", "high")]


def test_a_crash_repeats_one_message_with_the_same_id(ledger: Ledger) -> None:
    before: Night = {f"C{n}": ("A", "ann") for n in range(5)}
    told(ledger, before)
    messages = compare(ledger, dict.fromkeys(before, ("B", "ann")))
    send(ledger, messages[:2])
    ledger.begin(letter(messages[2]))  # it goes out, and the process dies
    ledger.recover()
    again = compare(ledger, dict.fromkeys(before, ("B", "ann")))
    assert sorted(message.customer_id for message in again) == ["C2", "C3", "C4"]
    (repeated,) = [message for message in again if message.maybe_told]
    assert repeated.message_id == messages[2].message_id


def test_a_change_back_after_a_crash_is_told_for_the_first_message_may_have_arrived(ledger: Ledger) -> None:
    told(ledger, {"C1": ("A", "ann")})
    (message,) = compare(ledger, {"C1": ("B", "ann")})
    ledger.begin(letter(message))
    ledger.recover()
    assert told(ledger, {"C1": ("A", "ann")}) == [("C1", "ann", "B", "A")]
    assert [found.state for found in ledger.messages()] == ["superseded", "sent"]


def test_a_message_that_may_never_have_arrived_goes_again_when_it_is_true_again(ledger: Ledger) -> None:
    """A to B without an answer, back to A and refused, then B once more: only the first message can have said so."""
    told(ledger, {"C1": ("A", "ann")})
    (first,) = compare(ledger, {"C1": ("B", "ann")})
    ledger.fail([first], "no answer", GIVE_UP_DAYS, unanswered=True)
    (back,) = compare(ledger, {"C1": ("A", "ann")})
    ledger.fail([back], "refused", GIVE_UP_DAYS)
    (again,) = compare(ledger, {"C1": ("B", "ann")})
    assert again.message_id == first.message_id
    send(ledger, [again])
    assert told(ledger, {"C1": ("B", "ann")}) == []


def test_a_failed_message_is_due_the_next_night_with_its_id(ledger: Ledger) -> None:
    """Also when a replay has moved the change by a day: the id does not name the night."""
    told(ledger, {"C1": ("A", "ann")})
    (message,) = compare(ledger, {"C1": ("B", "ann")}, "2024-01-02")
    ledger.fail([message], "down", GIVE_UP_DAYS)
    (again,) = compare(ledger, {"C1": ("B", "ann")}, "2024-01-03")
    assert (again.message_id, again.state, again.attempts) == (message.message_id, "failed", 1)


def test_a_change_that_is_gone_before_it_was_told_is_never_told(ledger: Ledger) -> None:
    told(ledger, {"C1": ("A", "ann")})
    (message,) = compare(ledger, {"C1": ("B", "ann")})
    ledger.fail([message], "refused", GIVE_UP_DAYS)
    assert told(ledger, {"C1": ("A", "ann")}) == []
    assert [found.state for found in ledger.messages()] == ["superseded"]
    (again,) = compare(ledger, {"C1": ("B", "ann")})
    assert (again.message_id, again.attempts) == (message.message_id, 0), "the same change has the same id"


def test_a_change_that_goes_on_before_it_was_told_is_told_as_one(ledger: Ledger) -> None:
    told(ledger, {"C1": ("A", "ann")})
    compare(ledger, {"C1": ("B", "ann")})
    assert told(ledger, {"C1": ("C", "ann")}) == [("C1", "ann", "A", "C")]


def test_a_message_that_waits_follows_its_account_manager(ledger: Ledger) -> None:
    told(ledger, {"C1": ("A", "ann")})
    compare(ledger, {"C1": ("B", "ann")})
    assert told(ledger, {"C1": ("B", "bob")}) == [("C1", "bob", "A", "B")]


def test_a_customer_that_is_no_longer_published_is_not_told_of(ledger: Ledger) -> None:
    told(ledger, {"C1": ("A", "ann"), "C2": ("A", "ann")})
    compare(ledger, {"C1": ("B", "ann"), "C2": ("A", "ann")})
    assert told(ledger, {"C2": ("A", "ann")}) == []


def test_a_change_that_no_route_takes_is_noted_silently(ledger: Ledger) -> None:
    told(ledger, {"C1": ("A", "ann")})
    compared = ledger.compare(MAIL, standings({"C1": ("B", "ann")}), DAY, lambda _change: None)
    assert (compared.unrouted, ledger.messages()) == (1, [])
    assert told(ledger, {"C1": ("A", "ann")}) == [("C1", "ann", "B", "A")]


def test_corrections_within_a_night_have_ids_of_their_own(ledger: Ledger) -> None:
    told(ledger, {"C1": ("A", "ann")})
    for tier in "BABAB":
        assert len(told(ledger, {"C1": (tier, "ann")})) == 1
        assert told(ledger, {"C1": (tier, "ann")}) == []
    assert len({message.message_id for message in ledger.messages()}) == 5


def test_rests_grow_and_end(ledger: Ledger, clock: Clock) -> None:
    told(ledger, {"C1": ("A", "ann")})
    rests = []
    compare(ledger, {"C1": ("B", "ann")})
    for _ in range(10):
        (message,) = ledger.deliverable("mail")
        ledger.fail([message], "down", GIVE_UP_DAYS)
        (message,) = ledger.deliverable("mail")
        rests.append((datetime.fromisoformat(message.next_attempt_at) - clock.now) / timedelta(minutes=1))
        assert ledger.deliverable("mail", ripe_only=True) == []
        clock.now = datetime.fromisoformat(message.next_attempt_at)
        assert len(ledger.deliverable("mail", ripe_only=True)) == 1
    assert rests == [5, 10, 20, 40, 80, 160, 320, 640, 720, 720]


def test_a_message_is_given_up_after_two_weeks_and_can_be_revived(ledger: Ledger, clock: Clock) -> None:
    told(ledger, {"C1": ("A", "ann")})
    (message,) = compare(ledger, {"C1": ("B", "ann")})
    clock.now += timedelta(days=GIVE_UP_DAYS)
    ledger.fail([message], "down", GIVE_UP_DAYS)
    assert compare(ledger, {"C1": ("B", "ann")}) == [], "it waits for a person"
    ledger.revive([message.message_id])
    assert told(ledger, {"C1": ("B", "ann")}) == [("C1", "ann", "A", "B")]


def test_lines_and_channels_that_the_profile_no_longer_has_are_dropped(ledger: Ledger) -> None:
    told(ledger, {"C1": ("A", "ann")})
    compare(ledger, {"C1": ("B", "ann")})
    ledger.add_notice("failed_night", "run", "mail", "operators", "", {})
    assert ledger.drop_other_lines([MAIL], ["mail"]) == 0
    assert ledger.drop_other_lines([], ["mail"]) == 1
    assert ledger.drop_other_lines([], []) == 1
    assert ledger.deliverable("mail") == []


def test_a_notice_is_noted_once_for_each_key_and_channel(ledger: Ledger) -> None:
    for key in ("run 1", "run 1", "run 2"):
        ledger.add_notice("failed_night", key, "mail", "operators", DAY, {"step": "build"})
    ledger.add_notice("held_night", "run 1", "mail", "operators", DAY, {})
    assert len(ledger.deliverable("mail")) == 3
    send(ledger, ledger.deliverable("mail"))
    ledger.add_notice("failed_night", "run 1", "mail", "operators", DAY, {"step": "build"})
    assert ledger.deliverable("mail") == []


def test_a_message_is_found_by_the_beginning_of_its_id(ledger: Ledger) -> None:
    told(ledger, {"C1": ("A", "ann"), "C2": ("A", "ann")})
    first, second = compare(ledger, {"C1": ("B", "ann"), "C2": ("B", "ann")})
    assert ledger.find(first.message_id[:8]) == first
    ledger.begin(Letter("digest", "mail", "", "t", "b", False, (first, second)))
    assert ledger.find("digest").message_id == first.message_id
    assert ledger.letter_text("digest") == ("t", "b")
    for nothing in ("", "zzz", "%"):
        with pytest.raises(TieringError, match="no message has the id"):
            ledger.find(nothing)


# --- the file ----------------------------------------------------------------------------------------------


def test_only_one_process_sends_and_the_file_is_private(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger") as first:
        told(first, {"C1": ("A", "ann")})
        with pytest.raises(NightBusy), open_ledger(tmp_path / "ledger", wait_seconds=0.1):
            pass
        with read_ledger(tmp_path / "ledger") as second:
            assert len(second.told("C1")) == 1
        files = [path for path in (tmp_path / "ledger").iterdir() if path.name.startswith(FILE)]
        assert len(files) == 3
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    with open_ledger(tmp_path / "ledger", wait_seconds=0.1) as again:
        assert told(again, {"C1": ("B", "ann")}) == [("C1", "ann", "A", "B")]


def test_a_file_that_is_no_ledger_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(TieringError, match="newest backup"), open_ledger(tmp_path):
        pass


def test_a_full_disk_is_no_reason_to_put_the_ledger_away(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        told(ledger, {"C1": ("A", "ann")})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(TieringError) as caught:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # nothing more can be written
        try:
            with open_ledger(tmp_path):
                pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be opened" in caught.value.problem
    assert caught.value.next_step.startswith("make room on the disk")
    assert "backup" not in caught.value.next_step
    with open_ledger(tmp_path) as ledger:
        assert told(ledger, {"C1": ("B", "ann")}) == [("C1", "ann", "A", "B")]


def test_the_first_version_is_taken_over_in_place(tmp_path: Path) -> None:
    """Told before stays told: rows of several recipients, the last of which counts; messages keep their ids."""
    with sqlite3.connect(tmp_path / FILE) as old:
        old.executescript(
            """
            create table told (customer_id text, scheme text, channel text, recipient text, tier text not null,
                message_id text, as_of_date text not null, primary key (customer_id, scheme, channel, recipient));
            create table seeded (scheme text, channel text, as_of_date text not null, primary key (scheme, channel));
            insert into seeded values ('value', 'mail', '2024-01-01');
            insert into told values ('C1', 'value', 'mail', 'ann', 'A', null, '2024-01-01');
            insert into told values ('C1', 'value', 'mail', 'bob', 'B', 'abc123', '2024-01-02');
            insert into told values ('C2', 'value', 'mail', 'ann', 'C', null, '2024-01-01');
            """
        )
    old.close()
    published: Night = {"C1": ("B", "ann"), "C2": ("C", "ann")}
    for _ in range(2):  # the second time there is nothing to take over
        with open_ledger(tmp_path) as ledger:
            assert told(ledger, published) == []
            assert ledger.find("abc").state == "sent"
            assert [row["state"] for row in ledger.told("C1")] == ["B"]
            assert [row["recipient"] for row in ledger.told("C1")] == ["bob"]
    with open_ledger(tmp_path) as ledger:
        assert told(ledger, published | {"C1": ("A", "ann")}) == [("C1", "ann", "B", "A")]


def test_a_migration_that_is_cut_off_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(tmp_path / FILE) as old:
        old.execute("create table told (customer_id, scheme, channel, recipient, tier, message_id, as_of_date)")
        old.execute("create table seeded (scheme, channel, as_of_date)")
        old.execute("insert into told values ('C1', 'value', 'mail', 'ann', 'A', null, '2024-01-01')")
    old.close()
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_take_over_first_version", lambda _ledger: 1 / 0)
        with pytest.raises(ZeroDivisionError), open_ledger(tmp_path):
            pass
    with open_ledger(tmp_path) as ledger:
        assert [row["state"] for row in ledger.told("C1")] == ["A"]


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as newer:
        newer.execute("pragma user_version = 99")
    newer.close()
    with pytest.raises(TieringError, match="newer version"), open_ledger(tmp_path):
        pass


# --- histories at random -----------------------------------------------------------------------------------


class Recipients:
    """A channel that does what a script says, and knows what was read: the last state of each customer."""

    room = 10_000

    def __init__(self) -> None:
        self.read: dict[str, str] = {}
        self.deliveries: Counter[str] = Counter()
        self.script: list[str] = []
        self.in_doubt: Counter[str] = Counter()

    def send(self, letter: Letter) -> Outcome:
        fault = self.script.pop(0) if self.script else ""
        if fault in ("", "arrived", "crash after"):
            for message in letter.messages:
                self.deliveries[message.message_id] += 1
                self.read[message.customer_id] = message.to_state
                self.in_doubt[message.message_id] += bool(fault)
        if fault.startswith("crash"):
            raise Crashed
        return {"": SENT, "refused": Outcome("failed", "refused")}.get(fault, NO_ANSWER)


nights = st.dictionaries(
    st.sampled_from(["C1", "C2", "C3", "C4"]), st.tuples(st.sampled_from("ABC"), st.sampled_from(["ann", "bob"]))
)
faults = st.lists(st.sampled_from(["", "refused", "lost", "arrived", "crash before", "crash after"]), max_size=4)
# What is published in turn (a night, a rerun with corrected data, a promoted replay), each with faults of its step.
histories = st.lists(st.tuples(nights, faults), min_size=1, max_size=10)


class _Labels:
    def label(self, _scheme: str, state: str) -> str:
        return state


@given(histories, st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_was_read_in_the_end_is_what_is_published(history: list[tuple[Night, list[str]]], single: bool) -> None:
    """And nothing is read twice, unless it was on its way when the process died or the answer did not come."""
    channel = Recipients()
    with tempfile.TemporaryDirectory() as folder:

        def step(night: Night) -> None:
            """One alert step; a crash ends it before the outcome is noted, as a kill would."""
            ledger = Ledger(Path(folder) / FILE)
            try:
                ledger.recover()
                ledger.compare(MAIL, standings(night), DAY, to_owner)
                waiting = ledger.deliverable("mail")
                for together in parcels(waiting, {m.message_id: m.recipient for m in waiting}, single=single):
                    out = compose(together, "", "mail", 10_000, tell.Style("Small", "en", 2, _Labels()), single=single)
                    ledger.begin(out)
                    outcome = channel.send(out)
                    if outcome.status == "sent":
                        ledger.record(out)
                    else:
                        ledger.fail(out.messages, "down", GIVE_UP_DAYS, unanswered=outcome.status == "unanswered")
            except Crashed:
                pass
            finally:
                ledger.close()

        first_states: dict[str, str] = {}  # silently noted: everybody knows a customer's first tier
        seeded = False
        for night, script in history:
            for customer, (tier, _) in night.items():
                first_states.setdefault(customer, tier)
            channel.script = list(script)
            step(night)
            seeded = seeded or bool(night)
        channel.script = []
        published = history[-1][0]
        step(published)
        for customer, (tier, _) in published.items():
            assert channel.read.get(customer, first_states[customer]) == tier
        before = dict(channel.deliveries)
        step(published)
        assert channel.deliveries == before, "a rerun sends nothing"
        for message_id, times in channel.deliveries.items():
            assert times <= 1 + channel.in_doubt[message_id]


def test_digests_keep_to_recipients_and_repeat_what_was_in_doubt_as_it_was(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        night: Night = {f"C{n}": ("A", "ann" if n % 2 else "bob") for n in range(6)}
        told(ledger, night)
        night |= {"C0": ("B", "bob"), "C1": ("B", "ann"), "C3": ("B", "ann")}
        messages = compare(ledger, night)
        of = {message.message_id: message.recipient for message in messages}
        assert sorted(sorted(m.customer_id for m in together) for together in parcels(messages, of, single=False)) == [
            ["C0"],
            ["C1", "C3"],
        ]
        style = tell.Style("Small", "en", 20, _Labels())
        (to_ann,) = [together for together in parcels(messages, of, single=False) if len(together) == 2]
        on_its_way = compose(to_ann, "ann", "mail", 10_000, style, single=False)
        ledger.begin(on_its_way)
        ledger.recover()
        night |= {"C5": ("B", "ann")}
        messages = compare(ledger, night)
        of = {message.message_id: message.recipient for message in messages}
        letters = [
            compose(together, "", "mail", 10_000, style, single=False)
            for together in parcels(messages, of, single=False)
        ]
        (again,) = [one for one in letters if one.letter_id == on_its_way.letter_id]
        assert (again.title, again.body) == (on_its_way.title, on_its_way.body)
        assert len(letters) == 3


def test_a_sender_needs_no_channel_when_nothing_is_due(tmp_path: Path) -> None:
    """A connection that Airflow does not have is no failure on a night without changes."""
    company = profile(channels={"chat": {"connection": "no_such_connection"}})
    with open_ledger(tmp_path) as ledger:
        assert Sender(company, ledger, _Labels()).send().failed == {"chat": 0}
