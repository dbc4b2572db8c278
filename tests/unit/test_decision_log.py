"""Every kind of decision file: no character of a value ends its line, and a line that a crash cut off stops nothing."""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_tiering.company.journal import JOURNAL, journaled, read_journal
from customer_tiering.company.profile import load_profile
from customer_tiering.decisions import overrides, quarantine, release
from customer_tiering.decisions.log import AppendOnlyLog, damaged_files, set_aside_damage
from customer_tiering.errors import DecisionError, TieringError
from customer_tiering.identity import store as identity
from customer_tiering.identity.decisions import ManualDecision, RecordRow
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.overrides import read_table

LINE_ENDS = [c for c in map(chr, range(sys.maxunicode + 1)) if len(f"a{c}b".splitlines()) == 2]
NIGHT = date(2026, 3, 31)


@dataclass(frozen=True)
class Kind:
    """One kind of decision file: its name, how a text gets into it, and how the texts come out again."""

    file: str
    write: Callable[[Path, int, str], None]
    read: Callable[[Path], list[str]]


def _identity_row(folder: Path, number: int, text: str) -> None:
    row = RecordRow(number, NIGHT, f"erp-{text}", "erp", text, f"erp-{text}", None, "own", None, "", None, None)
    identity.DecisionStore(folder).append([row])


def _identity_manual(folder: Path, number: int, text: str) -> None:
    decision = ManualDecision(number, "merge", (f"erp-{text}",), ("crm-X",), "Li", "same", NIGHT, "2026-03-31T00:00:00")
    identity.DecisionStore(folder).add_manual(decision)


def _journal(folder: Path, _number: int, text: str) -> None:
    with journaled(folder, "gate erp") as step:
        step.facts = {"customer": text}


KINDS = {
    "quarantine": Kind(
        quarantine.FILE,
        lambda folder, _, text: void(
            quarantine.decide(folder, "waive", owner="Li", reason="known", until="2026-12-31", key={"code": text})
        ),
        lambda folder: [decision.key["code"] for decision in quarantine.read_decisions(folder).all],
    ),
    "release": Kind(
        release.FILE,
        lambda folder, _, text: release.append_event(folder, "reject", "2026-03-31_x", owner=text, reason="no"),
        lambda folder: [event.owner for event in release.read_events(folder)],
    ),
    "identity": Kind(
        identity.FILE,
        _identity_row,
        lambda folder: [row.key for row in identity.DecisionStore(folder).rows() if isinstance(row, RecordRow)],
    ),
    "identity by hand": Kind(
        identity.MANUAL_FILE,
        _identity_manual,
        lambda folder: [decision.left[0][4:] for decision in identity.DecisionStore(folder).manual()],
    ),
    "manual tiers": Kind(
        overrides.FILE,
        lambda folder, _, text: void(
            overrides.set_overrides(
                folder,
                [
                    {
                        "customer_id": text,
                        "scheme": "account_360",
                        "tier": "key",
                        "owner": "Li",
                        "reason": "because",
                        "valid_from": NIGHT,
                        "expires_on": NIGHT,
                    }
                ],
                lambda _all: [],
            )
        ),
        lambda folder: [override.customer_id for override in overrides.read_overrides(folder)],
    ),
    "journal": Kind(
        JOURNAL,
        _journal,
        lambda folder: [event["facts"]["customer"] for event in read_journal(folder) if "facts" in event],
    ),
}


def void(_value: object) -> None:
    """For lambdas that return nothing."""


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_character_of_a_value_ends_its_line(kind: Kind, tmp_path: Path) -> None:
    assert {"\u2028", "\u2029", "\x85", "\r", "\n"} <= set(LINE_ENDS)
    texts = [f"C{number}{character}1" for number, character in enumerate(LINE_ENDS)]
    for number, text in enumerate(texts, start=1):
        kind.write(tmp_path, number, text)
    assert kind.read(tmp_path) == texts


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_cut_last_line_is_set_aside_told_and_stops_nothing(kind: Kind, tmp_path: Path) -> None:
    kind.write(tmp_path, 1, "first")
    path = tmp_path / kind.file
    whole = path.read_bytes()
    kind.write(tmp_path, 2, "second")
    added = path.read_bytes()[len(whole) :]
    for length in (1, len(added) // 2, len(added) - 1):
        path.write_bytes(whole + added[:length])
        assert kind.read(tmp_path) == ["first"]
        (told,) = set_aside_damage(tmp_path)
        assert kind.file in told
        assert "cut off by a crash" in told
        assert set_aside_damage(tmp_path) == []
        (kept,) = damaged_files(tmp_path)
        assert kept.read_bytes().rstrip(b"\n") != b""
        kept.unlink()
    kind.write(tmp_path, 2, "second")
    assert kind.read(tmp_path) == ["first", "second"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_next_append_sets_a_cut_line_aside_by_itself(kind: Kind, tmp_path: Path) -> None:
    kind.write(tmp_path, 1, "first")
    with (tmp_path / kind.file).open("ab") as stream:
        stream.write(b'{"number": 2, "ow')
    kind.write(tmp_path, 2, "second")
    assert kind.read(tmp_path) == ["first", "second"]
    (kept,) = damaged_files(tmp_path)
    assert kept.read_bytes() == b'{"number": 2, "ow\n'


def test_a_table_of_manual_tiers_takes_every_character_and_a_cut_last_line(
    tmp_path: Path,
) -> None:
    rules = load_rules(load_profile("sample"))
    lines = ["customer_id,scheme,tier,owner,reason,valid_from,expires_on"] + [
        f'"C{number}{character}1",account_360,key,Li,"a{character}b",2026-01-01,2026-12-31'
        for number, character in enumerate(LINE_ENDS)
    ]
    content = "\n".join(lines) + "\n"
    path = tmp_path / "overrides.csv"
    path.write_text(content, encoding="utf-8", newline="")
    assert [row["customer_id"] for row in read_table(path, rules, [])] == [
        f"C{number}{character}1" for number, character in enumerate(LINE_ENDS)
    ]
    last = "C9,account_360,key,Li,because,2026-01-01,2026-12-31"
    for length in (4, 14, 30, len(last) - 1):
        path.write_text(content + last[:length], encoding="utf-8", newline="")
        warnings: list[str] = []
        assert len(read_table(path, rules, warnings)) == len(LINE_ENDS)
        (warning,) = warnings
        assert "was cut off" in warning
    path.write_text(content + last, encoding="utf-8", newline="")
    assert len(read_table(path, rules, [])) == len(LINE_ENDS) + 1
    path.write_text(content + last[:30] + "\n", encoding="utf-8", newline="")
    with pytest.raises(TieringError, match="fields expected"):
        read_table(path, rules, [])


@given(
    batches=st.lists(st.lists(st.text(min_size=1), min_size=1, max_size=4), min_size=1, max_size=5),
    cut=st.integers(min_value=0, max_value=400),
)
@settings(deadline=None)
def test_a_batch_is_there_as_a_whole_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[str]], cut: int
) -> None:
    """Wherever a crash cuts the file off, the log is some first batches, and goes on from there."""
    log = AppendOnlyLog(tmp_path_factory.mktemp("log") / "x.jsonl")
    for batch in batches:
        log.append(lambda _before, batch=batch: [{"text": text} for text in batch])
    content = log.path.read_bytes()
    log.path.write_bytes(content[: max(0, len(content) - cut)])
    found = [entry["text"] for entry in log.read()]
    prefixes = [[text for batch in batches[:count] for text in batch] for count in range(len(batches) + 1)]
    assert found in prefixes
    log.append(lambda _before: [{"text": "later"}])
    assert [entry["text"] for entry in log.read()] == [*found, "later"]


def _add_hundred(path: Path) -> None:
    for _ in range(100):
        AppendOnlyLog(path).append(lambda before: [{"number": len(before) + 1}])


def test_writers_at_the_same_time_lose_and_repeat_no_number(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(_add_hundred, [path] * 4)
    assert [entry["number"] for entry in AppendOnlyLog(path).read()] == list(range(1, 401))


def test_a_broken_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\nnonsense\n{"a": 2}\n', encoding="utf-8")
    with pytest.raises(DecisionError, match=r"x\.jsonl, line 2 cannot be read"):
        AppendOnlyLog(path).read()


def test_decisions_of_version_0_1_are_taken_over_once(tmp_path: Path) -> None:
    """It wrote one file per night and one per manual decision; a crash amid the move loses and repeats nothing."""

    def old(number: int, key: str) -> dict[str, Any]:
        row = RecordRow(number, NIGHT, f"erp-{key}", "erp", key, f"erp-{key}", None, "own", None, "", None, None)
        return identity._as_json(row)

    first = tmp_path / "decided_000000000001_2026-03-30.jsonl"
    second = tmp_path / "decided_000000000003_2026-03-31.jsonl"
    keys = [(1, "A"), (2, "B\u2028"), (3, "C")]
    lines = [json.dumps(old(number, key), ensure_ascii=False) + "\n" for number, key in keys]
    first.write_text("".join(lines[:2]), encoding="utf-8")
    second.write_text(lines[2], encoding="utf-8")
    rows = identity.DecisionStore(tmp_path).rows()
    assert [(row.number, row.key) for row in rows if isinstance(row, RecordRow)] == keys
    assert [path.name for path in tmp_path.iterdir()] == [identity.FILE]
    second.write_text(lines[2], encoding="utf-8")  # the crash came before this one was removed
    assert identity.DecisionStore(tmp_path).rows() == rows
    assert [path.name for path in tmp_path.iterdir()] == [identity.FILE]


def test_texts_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    release.append_event(tmp_path, "reject", "2026-03-31_x", owner="Li\udcff", reason="no")
    (event,) = release.read_events(tmp_path)
    assert event == replace(event, owner="Li\udcff")
