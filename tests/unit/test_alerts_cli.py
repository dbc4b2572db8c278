"""``tiering alerts``: what an operator sees and does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from alerting import Company, Customer, Receiver, write_snapshot
from customer_tiering.cli.main import app
from customer_tiering.company.profile import load_profile
from customer_tiering.publish.snapshot import point_current_to
from nights import write_profile

BEFORE = {"C1": Customer("A"), "C2": Customer("B")}
AFTER = {"C1": Customer("B"), "C2": Customer("A")}
SECRET = "a-secret-of-the-webhook"
ADDRESSES = {"ann": "ann@example.com", "two": "bob@example.com, eve@example.com"}


class Shop(Company):
    """A company on disk, as the commands find it."""

    def __init__(self, receiver: Receiver) -> None:
        loaded = load_profile("shop")
        self.workspace = loaded.workspace
        self.workspace.make()
        super().__init__(self.workspace.root, loaded)
        self.receiver = receiver
        self.number = 0

    def publish(self, customers: Any, night: str) -> None:
        self.number += 1
        self.snapshot = self.workspace.published / f"{night}_{self.number}"
        self.manifest = write_snapshot(self.snapshot, customers, night)
        (self.snapshot / "manifest.json").write_text(json.dumps(asdict(self.manifest)), encoding="utf-8")
        point_current_to(self.workspace, self.snapshot)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Told by a webhook that fails on the second night: two messages wait."""
    receiver = Receiver()
    monkeypatch.setenv("TIERING_PROFILES", str(tmp_path / "profiles"))
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("TIERING_PROFILE", "shop")
    write_profile(
        tmp_path / "profiles",
        "shop",
        headline_scheme="value",
        sources={"erp": {"url": "sqlite:///x"}},
        channels={
            "hook": {"url": f"hmac://:{SECRET}@127.0.0.1:{receiver.port}/", "tries": 1, "timeout": 1},
            "gone": {"url": "json://127.0.0.1:1/hunter2", "tries": 1},
            "mail": {"url": "mailto://127.0.0.1:1?from=a@example.com&to={to}", "tries": 1},
        },
        alerts={"routes": [{"channel": "hook"}], "addresses": ADDRESSES, "operators": []},
    )
    made = Shop(receiver)
    made.night(BEFORE, "2026-03-01")
    receiver.script = [503]
    made.night(AFTER, "2026-03-02")
    yield made
    receiver.stop()


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["alerts", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refusal(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 1
    text = " ".join(result.stderr.split())
    assert text.startswith("Error: ") and " Next step: " in text
    return text


def listed(*arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(call("list", "--json", *arguments).stdout))


def test_list_filters_and_says_what_went_wrong(shop: Shop) -> None:
    text = call("list").stdout
    assert "Name C1: A → B" in text and "the server answered 503" in " ".join(text.split())
    assert [row["state"] for row in listed("--state", "failed")] == ["failed", "failed"]
    assert listed("--state", "sent") == listed("--channel", "gone") == []
    assert "there is no such message" in call("list", "--state", "sent").stdout
    assert "1 older ones are not shown" in call("list", "--limit", "1").stdout
    assert "use one of due, sending, sent" in refusal("list", "--state", "lost")
    assert SECRET not in text


def test_show_and_told(shop: Shop) -> None:
    first = listed()[0]["message_id"]
    text = call("show", first[:8]).stdout
    assert f"message id: {first}" in text
    assert "last error: the server answered 503" in text
    assert "- Name C1 (C1): Gold → Silver, down · ann · value" in text
    assert "no message has the id 'zzz'" in refusal("show", "zzz")
    assert "recorded without a message" in call("told", "C1").stdout
    assert "no message was ever sent about C9" in refusal("told", "C9")
    call("retry", "--now")
    assert first[:8] in call("told", "C1").stdout


def test_retry_rests_unless_it_is_told_now(shop: Shop) -> None:
    result = call("retry")
    assert result.exit_code == 0
    assert "2 message(s) rest until" in result.stdout and "retry --now" in result.stdout
    assert shop.receiver.requests == []
    shop.receiver.script = [500]
    assert "hook: 2 failed (the server answered 500)" in refusal("retry", "--now")
    assert "sent: hook 2, gone 0, mail 0" in call("retry", "--now").stdout
    assert "sent: hook 0, gone 0, mail 0" in call("retry").stdout
    assert len(shop.receiver.requests) == 1


def test_retry_compares_first(shop: Shop) -> None:
    """A promoted replay has taken a change back: it is not told any more."""
    shop.publish(BEFORE | {"C2": AFTER["C2"]}, "2026-03-02")
    result = call("retry", "--now")
    assert "1 cancelled" in result.stdout
    (request,) = shop.receiver.requests
    assert [message["customer_id"] for message in request.content["messages"]] == ["C2"]


def test_resend_repeats_with_the_same_id_but_never_what_is_no_longer_so(shop: Shop) -> None:
    assert "which messages?" in refusal("resend")
    assert "which messages?" in refusal("resend", "abc", "--failed")
    assert "hook 2" in call("resend", "--failed").stdout
    first = shop.receiver.requests[0].content["messages"][0]["message_id"]
    assert "hook 1" in call("resend", first).stdout
    assert shop.receiver.requests[1].content["id"] == first
    assert [row["state"] for row in listed()] == ["sent", "sent"]
    shop.night(BEFORE, "2026-03-03")
    assert "says what is no longer true" in refusal("resend", first)
    assert len(shop.receiver.requests) == 3


def test_resend_sends_nothing_that_a_rollback_has_withdrawn(shop: Shop) -> None:
    """The alert step has not compared yet: what failed for the withdrawn night, and what was told of it, is not so."""
    assert "hook 1" in call("resend", next(row["message_id"] for row in listed() if row["customer_id"] == "C1")).stdout
    told, waiting = (row["message_id"] for row in sorted(listed(), key=lambda row: str(row["customer_id"])))
    shop.publish(BEFORE, "2026-03-01")
    assert "says what is no longer true" in refusal("resend", waiting)
    assert "says what is no longer true" in refusal("resend", told)
    assert len(shop.receiver.requests) == 1
    assert [row["state"] for row in listed() if row["message_id"] == waiting] == ["superseded"]


def test_resend_of_all_that_failed_compares_first(shop: Shop) -> None:
    shop.publish(BEFORE, "2026-03-01")
    result = call("resend", "--failed")
    assert "sent: hook 0, gone 0, mail 0" in result.stdout
    assert "2 cancelled" in result.stdout
    assert shop.receiver.requests == []


def test_a_test_message_goes_out_and_is_not_noted(shop: Shop) -> None:
    assert "the test message was accepted" in call("test", "hook").stdout
    assert shop.receiver.requests[0].content["title"] == "Test message: shop"
    assert len(listed()) == 2
    problem = refusal("test", "gone")
    assert "channel gone: the server refuses connections" in problem
    assert "hunter2" not in problem
    assert "channel mail to a***@example.com: the server refuses connections" in refusal("test", "mail", "--to", "ann")
    assert "names 2 targets, one is allowed Next step: make one channel per target" in refusal(
        "test", "mail", "--to", "two"
    )
    assert "no address for eve" in refusal("test", "mail", "--to", "eve")
    assert "has no channel 'chat'" in refusal("test", "chat")
    assert "use one of hook, gone, mail" in refusal("test", "chat")


def test_before_any_night_there_is_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "empty"))
    for arguments in (["list"], ["show", "x"], ["told", "x"], ["retry"], ["resend", "--failed"]):
        assert "shop has not told anybody anything yet" in refusal(*arguments)
    assert not (tmp_path / "empty").exists()
