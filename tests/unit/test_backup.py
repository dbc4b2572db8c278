"""A backup holds what cannot be computed again, and a restore takes only a whole one."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest
from typer.testing import CliRunner

from customer_tiering.alerts.ledger import open_ledger
from customer_tiering.alerts.messages import Line, Standing
from customer_tiering.cli.main import app
from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.decisions import release
from customer_tiering.decisions.quarantine import decide, read_decisions
from customer_tiering.errors import BackupError, NightBusy
from customer_tiering.night.guard import check_restored, night_lock
from customer_tiering.operate import backup
from customer_tiering.operate.backup import back_up, restore
from customer_tiering.publish.snapshot import MANIFEST, current_folder, point_current_to
from customer_tiering.release import holds
from nights import write_profile


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Profile]:
    """A company with a ledger, decisions, rules, a published snapshot and overrides."""
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("TIERING_PROFILES", str(tmp_path / "profiles"))
    write_profile(tmp_path / "profiles", "acme", sources={"crm": {"path": "crm"}})
    overrides = tmp_path / "profiles" / "acme" / "overrides.csv"
    overrides.parent.mkdir()
    overrides.write_text("customer_id\n", encoding="utf-8")
    made = load_profile("acme")
    workspace = made.workspace
    workspace.make()
    tell(made, "c1")
    decide(workspace.decisions, "waive", owner="Wu", reason="known", rule="crm.accounts.x", until="2026-03-01")
    workspace.rules.mkdir()
    (workspace.rules / "abc.json").write_text("{}", encoding="utf-8")
    snapshot = workspace.published / "2026-03-01_r"
    snapshot.mkdir()
    (snapshot / MANIFEST).write_text(
        json.dumps(
            dict.fromkeys(
                ("run_id", "rules_version", "config_hash", "code_version", "headline_scheme", "currency"), "r"
            )
            | {"profile": "acme", "as_of_date": "2026-03-01", "rows": {}}
        ),
        encoding="utf-8",
    )
    point_current_to(workspace, snapshot)
    (workspace.landing / "rows.parquet").write_bytes(b"rows")
    (workspace.landing / "state.jsonl").write_bytes(b'{"no": "end of line"}')
    (workspace.landing / ".dlt" / "normalized").mkdir(parents=True)
    workspace.warehouse.write_bytes(b"computed")
    yield made


def tell(profile: Profile, customer: str) -> None:
    with open_ledger(profile.workspace.ledger) as ledger:
        standing = Standing(customer, "公司", "key", "Li")
        ledger.compare(Line("tier_change", "s", "mail", "owner"), [standing], "2026-03-01", lambda _: ("moved", "Li"))


def lose_everything(profile: Profile, tmp_path: Path) -> None:
    profile.workspace.root.rename(tmp_path / "lost")
    (tmp_path / "profiles" / "acme" / "overrides.csv").unlink()


def told(profile: Profile) -> list[str]:
    with sqlite3.connect(profile.workspace.ledger / "alerts.sqlite") as connection:
        return [name for (name,) in connection.execute("select customer_id from told order by 1")]


def test_everything_comes_back(profile: Profile, tmp_path: Path) -> None:
    archive = tmp_path / "b.tar.gz"
    made = back_up(profile, archive)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert (made.night, made.current) == ("2026-03-01", "2026-03-01_r")
    assert [file.path for file in made.files if file.path.startswith("landing")] == []
    lose_everything(profile, tmp_path)
    restored, aside = restore("acme", archive)
    assert (restored, aside) == (made, None)
    workspace = profile.workspace
    assert current_folder(workspace) == (workspace.published / "2026-03-01_r").resolve()
    assert told(profile) == ["c1"]
    assert len(read_decisions(workspace.decisions).all) == 1
    assert (workspace.rules / "abc.json").is_file()
    assert (tmp_path / "profiles" / "acme" / "overrides.csv").is_file()
    assert stat.S_IMODE(workspace.ledger.stat().st_mode) == 0o700
    assert stat.S_IMODE((workspace.published / "2026-03-01_r" / MANIFEST).stat().st_mode) == 0o644
    assert [path.name for path in workspace.root.iterdir() if path.name.startswith((".restore", "restore"))] == []


def test_a_company_comes_back_to_a_machine_that_never_saw_it(profile: Profile, tmp_path: Path) -> None:
    back_up(profile, tmp_path / "b.tar.gz")
    lose_everything(profile, tmp_path)
    shutil.rmtree(tmp_path / "profiles")
    restored = CliRunner().invoke(app, ["restore", str(tmp_path / "b.tar.gz"), "--profile", "acme"])
    assert restored.exit_code == 0, restored.output
    assert load_profile("acme") == profile
    assert (tmp_path / "profiles" / "acme" / "overrides.csv").is_file()
    mistyped = CliRunner().invoke(app, ["restore", str(tmp_path / "b.tar.gz"), "--profile", "acne"])
    assert (mistyped.exit_code, "restore it with --profile acme" in mistyped.output) == (1, True), mistyped.output
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["acme"]


def test_landing_comes_on_request(profile: Profile, tmp_path: Path) -> None:
    back_up(profile, tmp_path / "b.tar.gz", with_landing=True)
    lose_everything(profile, tmp_path)
    restore("acme", tmp_path / "b.tar.gz")
    assert (profile.workspace.landing / "rows.parquet").read_bytes() == b"rows"
    assert (profile.workspace.landing / "state.jsonl").read_bytes() == b'{"no": "end of line"}'
    assert (profile.workspace.landing / ".dlt" / "normalized").is_dir(), "dlt misses it otherwise"


def test_addresses_come_back_and_stay_where_the_backup_has_none(profile: Profile, tmp_path: Path) -> None:
    addresses = profile.workspace.root / "private" / "addresses.csv"
    back_up(profile, tmp_path / "without.tar.gz")
    addresses.parent.mkdir(mode=0o700)
    addresses.write_text("name,address\n", encoding="utf-8")
    back_up(profile, tmp_path / "with.tar.gz")
    restore("acme", tmp_path / "without.tar.gz", force=True)
    assert addresses.is_file()
    lose_everything(profile, tmp_path)
    restore("acme", tmp_path / "with.tar.gz")
    assert addresses.read_text("utf-8") == "name,address\n"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (addresses.parent, addresses)] == [0o700, 0o600]


def test_landing_is_copied_between_two_extractions(profile: Profile, tmp_path: Path) -> None:
    """Rows that came after the listing and the cursor behind them would be rows that no one reads again."""
    workspace = profile.workspace
    copying = threading.Thread(target=back_up, args=(profile, tmp_path / "b.tar.gz"), kwargs={"with_landing": True})
    with filelock.FileLock(workspace.extract_state / "crm.lock"):
        copying.start()
        copying.join(1)
        assert copying.is_alive()
        (workspace.landing / "more.parquet").write_bytes(b"more")
        (workspace.extract_state / "state.json").write_text("behind more", encoding="utf-8")
    copying.join(60)
    lose_everything(profile, tmp_path)
    restore("acme", tmp_path / "b.tar.gz")
    assert (workspace.landing / "more.parquet").is_file()
    assert (workspace.extract_state / "state.json").is_file()


def test_a_disk_without_hard_links_takes_a_backup(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "b.tar.gz"

    def no_links(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    back_up(profile, archive)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    content = archive.read_bytes()

    def taken_meanwhile(*_: Any) -> None:
        (tmp_path / "other.tar.gz").write_bytes(b"somebody's")
        no_links()

    monkeypatch.setattr(os, "link", taken_meanwhile)
    with pytest.raises(BackupError, match="exists already"):
        back_up(profile, tmp_path / "other.tar.gz")
    assert (tmp_path / "other.tar.gz").read_bytes() == b"somebody's"
    lose_everything(profile, tmp_path)
    restore("acme", archive)
    assert archive.read_bytes() == content


@pytest.mark.parametrize(
    ("number", "words", "next_step"),
    [
        (errno.ENOSPC, "there is no room to unpack b.tar.gz", "make room"),
        (errno.EACCES, "b.tar.gz cannot be unpacked", "give this user the right"),
        (errno.EIO, "b.tar.gz cannot be read whole", "choose another archive"),
    ],
)
def test_a_full_disk_is_no_bad_archive(
    number: int, words: str, next_step: str, profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(profile, tmp_path / "b.tar.gz")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extract", fail)
        with pytest.raises(BackupError, match=words) as caught:
            restore("acme", tmp_path / "b.tar.gz", force=True)
    assert caught.value.next_step.startswith(next_step)


def test_a_living_company_is_replaced_only_by_force_and_put_aside(profile: Profile, tmp_path: Path) -> None:
    back_up(profile, tmp_path / "b.tar.gz")
    tell(profile, "c2")
    with pytest.raises(BackupError, match="acme lives here already: ledger, decisions, rules, published"):
        restore("acme", tmp_path / "b.tar.gz")
    assert told(profile) == ["c1", "c2"]
    _, aside = restore("acme", tmp_path / "b.tar.gz", force=True)
    assert told(profile) == ["c1"]
    assert aside is not None
    assert sorted(path.name for path in aside.iterdir()) == [
        "decisions", "ledger", "published", "rules", "warehouse",
    ]  # fmt: skip
    assert (profile.workspace.landing / "rows.parquet").is_file(), "landing is not in the backup, so it stays"


def test_a_changed_profile_is_not_overwritten_silently(profile: Profile, tmp_path: Path) -> None:
    back_up(profile, tmp_path / "b.tar.gz")
    profile.workspace.root.rename(tmp_path / "lost")
    path = tmp_path / "profiles" / "acme" / "overrides.csv"
    path.write_text("customer_id\nc9\n", encoding="utf-8")
    with pytest.raises(BackupError, match=r"profiles/acme/overrides\.csv"):
        restore("acme", tmp_path / "b.tar.gz")
    _, aside = restore("acme", tmp_path / "b.tar.gz", force=True)
    assert path.read_text("utf-8") == "customer_id\n"
    assert aside is not None
    assert (aside / "profile" / "acme" / "overrides.csv").read_text("utf-8") == "customer_id\nc9\n"


def test_a_backup_taken_while_alerts_go_out_is_whole(profile: Profile, tmp_path: Path) -> None:
    stop = threading.Event()

    def keep_telling() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            tell(profile, f"d{number:05}")

    writer = threading.Thread(target=keep_telling)
    writer.start()
    try:
        for number in range(5):
            back_up(profile, tmp_path / f"b{number}.tar.gz")
    finally:
        stop.set()
        writer.join()
    known = told(profile)
    for number in range(5):
        restore("acme", tmp_path / f"b{number}.tar.gz", force=True)
        assert told(profile) == ["c1", *known[1 : len(told(profile))]], "what was told first, without a gap"


def test_an_approved_night_that_the_backup_does_not_hold_is_closed(profile: Profile, tmp_path: Path) -> None:
    """The backup was taken between the approval and the publication."""
    lines = [
        {
            "kind": "hold",
            "night": "2026-03-02_r",
            "owner": "circuit breaker",
            "answer_until": "2026-03-03T00:00:00+00:00",
        },
        {"kind": "approve", "night": "2026-03-02_r", "owner": "Wu", "reason": "branch sold"},
    ]
    text = "".join(json.dumps(line | {"decided_at": "2026-03-02T20:00:00+00:00"}) + "\n" for line in lines)
    (profile.workspace.decisions / release.FILE).write_text(text, encoding="utf-8")
    back_up(profile, tmp_path / "b.tar.gz")
    lose_everything(profile, tmp_path)
    restore("acme", tmp_path / "b.tar.gz")
    check_restored(profile.workspace)
    assert holds.find(profile.workspace, "2026-03-02_r").state() == "superseded"


def rewritten(archive: Path, target: Path, change: Any) -> Path:
    """The archive with each entry passed through ``change(name, content)``: a list of (TarInfo, bytes)."""
    with tarfile.open(archive) as source, tarfile.open(target, "w:gz") as result:
        for entry in source:
            stream = source.extractfile(entry)
            assert stream is not None
            for made, content in change(entry, stream.read()):
                result.addfile(made, io.BytesIO(content))
    return target


def flip_a_byte(entry: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    changed = entry.name == "ledger/alerts.sqlite"
    return [(entry, content[:-1] + bytes([content[-1] ^ 1]) if changed else content)]


def leave_out(entry: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [] if entry.name == "rules/abc.json" else [(entry, content)]


def add(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", announced: bool = True) -> Any:
    """Bring in one more entry, which the manifest announces, too."""

    def change(entry: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        if entry.name != backup.MANIFEST:
            return [(entry, content)]
        raw = json.loads(content)
        if announced:
            raw["files"].append({"path": name, "size": 0, "sha256": ""})
        content = json.dumps(raw).encode()
        entry.size = len(content)
        extra = tarfile.TarInfo(name)
        extra.type, extra.linkname = kind, link
        return [(entry, content), (extra, b"")]

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (flip_a_byte, "ledger/alerts.sqlite is not what it was"),
        (leave_out, "rules/abc.json is not what it was"),
        (add("../outside"), "'../outside' does not belong"),
        (add("ledger/../../outside"), "does not belong"),
        (add("/outside"), "'/outside' does not belong"),
        (add("ledger/link", tarfile.SYMTYPE, "/etc"), "does not belong"),
        (add("airflow/secrets.json"), "does not belong"),
        (add("profile/other.yml"), "does not belong"),
        (add("ledger/more", announced=False), "does not belong"),
    ],
)
def test_a_changed_archive_is_refused_and_touches_nothing(
    change: Any, words: str, profile: Profile, tmp_path: Path
) -> None:
    back_up(profile, tmp_path / "b.tar.gz")
    bad = rewritten(tmp_path / "b.tar.gz", tmp_path / "bad.tar.gz", change)
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(BackupError, match=words):
        restore("acme", bad, force=True)
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_half_an_archive_is_refused(profile: Profile, tmp_path: Path) -> None:
    archive = tmp_path / "b.tar.gz"
    back_up(profile, archive)
    content = archive.read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 9):
        (tmp_path / "half.tar.gz").write_bytes(content[:size])
        with pytest.raises(BackupError, match=r"cannot be read whole|is damaged|is no backup"):
            restore("acme", tmp_path / "half.tar.gz", force=True)
    (tmp_path / "text.tar.gz").write_bytes(gzip.compress(b"no archive"))
    with pytest.raises(BackupError):
        restore("acme", tmp_path / "text.tar.gz", force=True)
    assert told(profile) == ["c1"]


def test_another_company_and_a_running_night_are_refused(profile: Profile, tmp_path: Path) -> None:
    back_up(profile, tmp_path / "b.tar.gz")
    write_profile(tmp_path / "profiles", "other", sources={"crm": {"path": "crm"}})
    with pytest.raises(BackupError, match="is a backup of acme, not of other"):
        restore("other", tmp_path / "b.tar.gz")
    with night_lock(profile.workspace), pytest.raises(NightBusy):
        restore("acme", tmp_path / "b.tar.gz", force=True)
    with pytest.raises(BackupError, match="exists already"):
        back_up(profile, tmp_path / "b.tar.gz")


def test_a_restore_that_was_cut_off_stops_the_night_and_is_finished_by_the_next(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(profile, tmp_path / "b.tar.gz")

    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(backup, "point_current_to", die)
        with pytest.raises(Killed):
            restore("acme", tmp_path / "b.tar.gz", force=True)
    with pytest.raises(BackupError, match="was cut off") as caught:
        check_restored(profile.workspace)
    assert f"tiering restore {tmp_path / 'b.tar.gz'} --force" in caught.value.next_step
    restore("acme", tmp_path / "b.tar.gz", force=True)
    check_restored(profile.workspace)
    assert told(profile) == ["c1"]
    assert current_folder(profile.workspace) is not None
