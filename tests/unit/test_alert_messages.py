"""Who gets which message, what it says, and what a profile may say about it."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alerting import Company, Customer, profile
from customer_tiering.alerts.channels import addresses_persons, open_channel
from customer_tiering.alerts.compose import Style, compose
from customer_tiering.alerts.ledger import open_ledger
from customer_tiering.alerts.messages import Change, Letter, Line, Message, Standing
from customer_tiering.alerts.privacy import mask_address, scrub
from customer_tiering.alerts.routing import Addresses, Routing, check_schemes
from customer_tiering.alerts.signed import SignedWebhook, sign
from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import project_root
from customer_tiering.errors import ProfileError

BRACKETS = "before-[hunter2]-after"
TWO_CHANNELS = {"chat": {"url": "json://127.0.0.1:1/"}, "mail": {"url": "json://127.0.0.1:1/{to}"}}


def change(line: Line, before: str, after: str, owner: str = "ann") -> Change:
    return Change(line, Standing("C1", "Name", after, owner), before)


def message(number: int = 1, **values: Any) -> Message:
    """A tier change of customer C<number> from A to B, or what ``values`` say."""
    given = {
        "message_id": f"id{number:04d}", "line": Line("tier_change", "value", "chat", "owner"),
        "customer_id": f"C{number}", "customer_name": f"Name {number}", "recipient": "ann", "owner": "ann",
        "from_state": "A", "to_state": "B", "direction": "down", "as_of_date": "2026-03-02", "facts": {},
        "state": "due", "attempts": 0, "last_error": "", "next_attempt_at": "", "maybe_told": False, "letter_id": "",
        "created_at": "", "sent_at": "",
    }  # fmt: skip
    return Message(**(given | values))


class Words:
    def label(self, _scheme: str, state: str) -> str:
        return {"A": "Gold", "B": "Silver"}.get(state, state)


def digest(messages: list[Message], language: str = "en", cap: int = 20, room: int = 100_000) -> Letter:
    return compose(messages, "ann", "chat", room, Style("Small 小", language, cap, Words()), single=False)


# --- routes ------------------------------------------------------------------------------------------------


def test_without_routes_every_change_goes_to_every_channel_for_the_account_manager() -> None:
    routing = Routing(profile(channels=TWO_CHANNELS))
    assert {(line.subject, line.scheme, line.channel, line.audience) for line in routing.lines()} == {
        (subject, scheme, channel, "owner")
        for subject, scheme in (("tier_change", "value"), ("churn_risk", "churn"))
        for channel in TWO_CHANNELS
    }
    for line in routing.lines():
        assert routing.recipient(change(line, "A", "B"), "down") == "ann"
        assert routing.recipient(change(line, "A", "B"), "no_longer_high") is None


def test_routes_match_on_subject_scheme_direction_tier_and_owner() -> None:
    routing = Routing(
        profile(
            channels=TWO_CHANNELS,
            alerts={
                "schemes": ["value", "abc"],
                "routes": [
                    {"match": {"direction": ["down", "to_pending"], "tier": "A"}, "channel": "mail", "to": "boss"},
                    {"match": {"owner": "bob"}, "channel": ["chat"]},
                    {
                        "match": {"subject": "churn_risk", "direction": ["newly_high", "no_longer_high"]},
                        "channel": "mail",
                    },
                    {"match": {"scheme": "abc"}, "channel": "chat", "to": "desk"},
                ],
            },
        )
    )
    boss, bob = Line("tier_change", "value", "mail", "boss"), Line("tier_change", "value", "chat", "owner")
    risk, desk = Line("churn_risk", "churn", "mail", "owner"), Line("tier_change", "abc", "chat", "desk")
    assert {boss, bob, risk, desk} <= set(routing.lines())
    assert Line("tier_change", "value", "chat", "desk") not in routing.lines()
    assert Line("churn_risk", "churn", "chat", "desk") not in routing.lines()
    assert routing.recipient(change(boss, "A", "B"), "down") == "boss"
    assert routing.recipient(change(boss, "B", "A"), "up") is None
    assert routing.recipient(change(boss, "B", "C"), "down") is None
    assert routing.recipient(change(bob, "B", "C", "bob"), "down") == "bob"
    assert routing.recipient(change(bob, "B", "C", "ann"), "down") is None
    assert routing.recipient(change(risk, "high", "not_high"), "no_longer_high") == "ann"
    assert routing.recipient(change(desk, "A", "B"), "moved") == "desk"


def test_what_a_route_leaves_out_is_noted_so_that_the_next_change_is_told(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    company = Company(
        tmp_path,
        profile(
            channels={"file": {"url": f"jsonl://localhost{path}"}},
            alerts={"routes": [{"match": {"direction": "down"}, "channel": "file"}]},
        ),
    )
    for night, tier in enumerate("BABCA", 1):
        company.night({"C1": Customer(tier)}, f"2026-03-0{night}")
    titles = [json.loads(line)["title"] for line in path.read_text("utf-8").splitlines()]
    assert titles == ["Name C1: Gold → Silver", "Name C1: Silver → Bronze"]


def test_more_schemes_are_told_when_the_profile_names_them() -> None:
    company = profile(channels=TWO_CHANNELS, alerts={"schemes": ["value", "abc"], "churn_risk": False})
    assert {line.scheme for line in Routing(company).lines()} == {"value", "abc"}
    check_schemes(company, ["value", "abc", "other"])
    with pytest.raises(ProfileError, match="alerts name schemes that there are not: abc"):
        check_schemes(company, ["value"])


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        ({"routes": [{"channel": "post"}]}, r"channels that there are not: \['post'\]"),
        ({"operators": ["post"]}, r"channels that there are not: \['post'\]"),
        ({"routes": [{"match": {"direction": "sideways"}, "channel": "chat"}]}, "Input should be 'up'"),
        ({"routes": [{"match": {"colour": "red"}, "channel": "chat"}]}, "Extra inputs"),
        ({"digest_cap": 0}, "greater than or equal to 1"),
    ],
)
def test_a_mistake_in_the_alerts_is_refused_when_the_profile_is_read(alerts: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        profile(channels=TWO_CHANNELS, alerts=alerts)


# --- addresses ---------------------------------------------------------------------------------------------


def test_addresses_come_from_the_profile_and_a_file_and_fall_back(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("﻿name,address\nbob,bob@example.com\n,nobody@example.com\n", encoding="utf-8")
    company = profile(
        alerts={"addresses": {"ann": "ann@example.com"}, "addresses_file": str(tmp_path / "a.csv"), "fallback": "ann"}
    )
    addresses = Addresses.of(company)
    assert [addresses.address(name) for name in ("ann", "bob", "unassigned")] == [
        "ann@example.com",
        "bob@example.com",
        "ann@example.com",
    ]
    assert "example.com" not in repr(company.alerts)
    with pytest.raises(ProfileError, match="no address for customers without an account manager"):
        Addresses({}, None).address("unassigned")


@pytest.mark.parametrize(("content", "expected"), [("who,where\n", "are not name,address"), (None, "cannot be read")])
def test_a_file_of_addresses_that_cannot_be_used_is_named(tmp_path: Path, content: str | None, expected: str) -> None:
    if content:
        (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ProfileError, match=expected):
        Addresses.of(profile(alerts={"addresses_file": str(tmp_path / "a.csv")}))


def test_addresses_are_masked() -> None:
    assert mask_address("wang.wei@example.com") == "w***@example.com"
    assert mask_address("13812345678") == "1***"


# --- texts -------------------------------------------------------------------------------------------------


def test_a_digest_in_english() -> None:
    risk = message(
        3,
        line=Line("churn_risk", "churn", "chat", "owner"),
        direction="newly_high",
        to_state="high",
        facts={"probability": 0.8312, "advice": "call", "cause": "model"},
    )
    letter = digest([message(1, direction="up", from_state="B", to_state="A"), message(2), risk])
    assert letter.title == "Small 小: 3 changes, night of 2026-03-02"
    assert letter.body.splitlines() == [
        "- Name 3 (C3): high churn risk, probability 83 % (after a change of the model); call · ann",
        "- Name 2 (C2): Gold → Silver, down · ann · value",
        "- Name 1 (C1): Silver → Gold, up · ann · value",
        f"Message: {letter.letter_id}",
    ]


def test_a_digest_in_chinese_with_a_cap() -> None:
    letter = digest([message(n, owner="unassigned") for n in range(1, 6)], "zh", cap=2)
    assert letter.title == "Small 小：2026-03-02 共 5 条变动"
    assert letter.body.splitlines() == [
        "- Name 1（C1）：Gold → Silver，降级 · 未分配 · value",
        "- Name 2（C2）：Gold → Silver，降级 · 未分配 · value",
        f"另有 3 条，全部内容：tiering alerts show {letter.letter_id}",
        f"编号：{letter.letter_id}",
    ]
    assert len(letter.messages) == 5


def test_a_digest_fits_the_room_of_its_channel() -> None:
    messages = [message(n, customer_name="某某工业设备有限公司") for n in range(30)]
    letter = digest(messages, "zh", room=600)
    assert len(letter.title) + len(letter.body) <= 600
    shown = sum(line.startswith("- ") for line in letter.body.splitlines())
    assert 0 < shown < 20
    assert f"另有 {30 - shown} 条" in letter.body


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_name_that_is_none_leaves_room_for_the_others(language: str) -> None:
    swallowed = "上海某某设备有限公司," * 400
    messages = [message(customer_name=swallowed, owner=swallowed, customer_id=swallowed), message(2), message(3)]
    letter = digest(messages, language, room=682)
    assert len(letter.title) + len(letter.body) <= 682
    assert all(name in letter.body for name in (swallowed[:79] + "…", "Name 2", "Name 3"))
    notice = message(line=Line("notice", "held_night", "chat", "operators"), facts={"reason": swallowed})
    letter = digest([notice], language, room=682)
    assert len(letter.title) + len(letter.body) <= 682
    assert letter.body.endswith(letter.letter_id)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_direction_and_kind_has_its_words(language: str) -> None:
    for direction in ("up", "down", "moved", "to_pending", "from_pending"):
        assert digest([message(direction=direction)], language).body
    for kind in ("held_night", "data_quality", "failed_night", "late_night", "dead_channel"):
        notice = message(line=Line("notice", kind, "chat", "operators"), facts={"step": "build", "other": "x\ny"})
        letter = digest([notice], language)
        assert letter.is_urgent and letter.title and "x y" in letter.body


def test_names_can_neither_break_lines_nor_call_a_whole_chat() -> None:
    body = digest([message(customer_name="A\n- B (C9): x\u2028@all <!channel>")]).body
    assert len(body.splitlines()) == 2
    assert "@all" not in body and "<!channel>" not in body


# --- channels ----------------------------------------------------------------------------------------------


def test_the_json_lines_channel_appends_each_message_for_programs(tmp_path: Path) -> None:
    path = tmp_path / "with blank 中文" / "Alerts.jsonl"
    channel = open_channel("local_file", f"jsonl://localhost{path}")
    for number in (1, 2):
        assert channel.send(digest([message(number)])).status == "sent"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["title"] for line in lines] == ["Small 小: 1 change, night of 2026-03-02"] * 2
    assert lines[1]["messages"][0]["customer_id"] == "C2"
    assert "小" in path.read_text(encoding="utf-8")


def test_a_channel_that_cannot_be_reached_says_so() -> None:
    for url in ("json://127.0.0.1:1/hunter2", "mailto://127.0.0.1:1?from=a@example.com&to=b@example.com",
                "hmac://:hunter2-hunter2-hunter2@127.0.0.1:1/"):  # fmt: skip
        outcome = open_channel("hook", url, timeout=1).send(digest([message()]))
        assert (outcome.status, outcome.error) == ("failed", "the server refuses connections")


@pytest.mark.parametrize(
    "url",
    [
        "nosuch://user:hunter2@host", "slack://hunter2", "https://example.com/hunter2", "hunter2", "", "jsonl://hunter2",
        "hmacs://:hunter2@host/", "hmacs://:hunter2-hunter2-hunter2@/", "hmacs://:hunter2-hunter2-hunter2@h:port/",
    ],
)  # fmt: skip
def test_a_url_that_means_nothing_is_refused_without_showing_it(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ProfileError) as caught:
        open_channel("chat", url)
    assert caught.value.problem == "channel chat: its URL is not one that Apprise understands"
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        f"json://user:{BRACKETS}@127.0.0.1:1/", f"mailto://user:{BRACKETS}@127.0.0.1:1?to=a@example.com",
        f"hmac://:{BRACKETS}@127.0.0.1:1/", f"jsonl://{BRACKETS}/alerts.jsonl",
    ],
)  # fmt: skip
def test_square_brackets_in_a_secret_concern_their_channel_only(url: str, tmp_path: Path) -> None:
    works = tmp_path / "works.jsonl"
    channels = {"bad": {"url": url, "tries": 1}, "works": {"url": f"jsonl://localhost{works}"}}
    company = Company(tmp_path, profile(channels=channels))
    company.night({"C1": Customer("A")}, "2026-03-01")
    result = company.night({"C1": Customer("B")}, "2026-03-02")
    assert (result.failed["bad"], result.sent["works"]) == (1, 2), "the change, and that a channel is dead"
    assert "hunter2" not in str(result)
    assert company.states("bad") == ["failed"]


def test_a_channel_whose_letters_cannot_be_made_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong with one channel, and whatever the failure says, the others are served."""

    def resolve(self: Profile, channel: str) -> str:
        if channel == "bad":
            raise ValueError("hunter2 is no URL")
        return str(self.channels[channel].url)

    monkeypatch.setattr(Profile, "resolve_channel", resolve)
    channels = {"bad": {"connection": "bad"}, "works": {"url": f"jsonl://localhost{tmp_path}/works.jsonl"}}
    company = Company(tmp_path, profile(channels=channels))
    company.night({"C1": Customer("A")}, "2026-03-01")
    result = company.night({"C1": Customer("B")}, "2026-03-02")
    assert (result.failed["bad"], result.sent["works"]) == (1, 2), "the change, and that a channel is dead"
    assert result.errors == {"bad": "channel bad: its messages could not be prepared (ValueError)"}
    assert company.states("bad") == ["failed"]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mailto://127.0.0.1:1?from=a@example.com&to=hunter2@example.com,gone@example.com", ""),
        ("mailto://127.0.0.1:1?from=a@example.com&to={to}", "hunter2@example.com, gone@example.com"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#hunter2/#b", ""),
    ],
)
def test_a_channel_has_one_target(url: str, address: str) -> None:
    """Apprise says that one of several failed, not which: all would be told again, night after night."""
    with pytest.raises(ProfileError) as caught:
        open_channel("chat", url, address=address)
    assert caught.value.problem.endswith("names 2 targets, one is allowed")
    assert caught.value.next_step.startswith("make one channel per target")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "dingtalk://abcdefgh/13812345678/13812345679", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#a",
        "mailto://127.0.0.1:1?from=a@example.com&to=a@example.com&cc=b@example.com,c@example.com",
    ],
)  # fmt: skip
def test_what_goes_out_at_once_is_one_target(url: str) -> None:
    assert open_channel("chat", url).room > 500


@pytest.mark.parametrize(
    "url",
    [
        "wecombot://0123-4567-89ab", "dingtalk://abcdefgh/13812345678", "dingtalk://secret@abcdefgh",
        "feishu://0123456789abcdef", "lark://0123456789abcdef", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "mailtos://user:pass@example.com?smtp=smtp.example.com&to={to}", "jsons://example.com/hook", "json://localhost/hook",
    ],
)  # fmt: skip
def test_the_channels_of_the_manual_are_understood(url: str) -> None:
    assert open_channel("chat", url, address="ann@example.com").room > 500
    assert addresses_persons(url) == ("{to}" in url)


def test_a_signed_webhook_takes_its_url_apart() -> None:
    hook = SignedWebhook.of("hmacs://:s%2Fecret-s%2Fecret-1@example.com:8443/a/b?c=d", 1.0)
    assert hook is not None
    assert (hook.url, hook.secret) == ("https://example.com:8443/a/b?c=d", b"s/ecret-s/ecret-1")
    assert "ecret" not in repr(hook)


def test_the_receiver_of_the_manual_takes_what_is_signed_and_nothing_else() -> None:
    """The Python of docs/alerts.md, executed."""
    text = (project_root() / "docs" / "alerts.md").read_text(encoding="utf-8")
    (snippet,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "def is_genuine" in block]
    names: dict[str, Any] = {}
    exec(snippet, names)  # noqa: S102 - our own manual
    secret, body = b"a-secret-of-the-webhook", b'{"id": "1"}'
    headers = {"X-Tiering-Timestamp": "1000", "X-Tiering-Signature": "sha256=" + sign(secret, "1000", body)}
    assert names["is_genuine"](secret, headers, body, now=1100)
    assert not names["is_genuine"](secret, headers, body, now=1400), "too old"
    assert not names["is_genuine"](secret, headers, body + b" ", now=1100)
    assert not names["is_genuine"](b"another", headers, body, now=1100)
    assert not names["is_genuine"](secret, headers | {"X-Tiering-Timestamp": "1001"}, body, now=1100)


def test_facts_of_notices_are_scrubbed() -> None:
    text = scrub(
        "postgresql://reader:hunter2@db/erp and wecombot://hunter2 failed; token: hunter2 API_KEY=hunter2\n" + "x" * 999
    )
    assert "hunter2" not in text
    assert text.startswith("postgresql://*** and wecombot://*** failed; token: *** API_KEY=***")
    assert len(text) < 620


def test_a_channel_may_ask_for_single_messages(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for digest_wanted, letters in ((True, 1), (False, 2), (None, 2)):
        path.unlink(missing_ok=True)
        folder = tmp_path / str(digest_wanted)
        company = Company(folder, profile(channels={"f": {"url": f"jsonl://localhost{path}", "digest": digest_wanted}}))
        company.night({"C1": Customer("A"), "C2": Customer("A")}, "2026-03-01")
        company.night({"C1": Customer("B"), "C2": Customer("B")}, "2026-03-02")
        assert len(path.read_text().splitlines()) == letters
        with open_ledger(company.ledger_folder) as ledger:
            assert [found.state for found in ledger.messages()] == ["sent", "sent"]
