"""The ledger: what each line was last told about each customer, and every message with its state.

It lies outside the snapshots, in SQLite, and is never rebuilt. A message is due when the published state differs from
what was told; comparing states rather than replaying events makes reruns and replays silent.

    due ──▶ sending ──▶ sent                     due, failed ──▶ superseded: published again as it was told
               └──────▶ failed ──▶ given_up      failed keeps the message due; given up waits for a person

A process that dies between sending and recording leaves ``sending``. The next one finds it and sends the same letter
with the same id, unless the change is no longer published: then what the recipient may have read is set right. Until a
later message is taken, it stays uncertain what the recipient knows, and the ledger says so (``told.is_certain``).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from customer_tiering.alerts.messages import NOTICE, OPEN, Change, Letter, Line, Message, Standing, State
from customer_tiering.company.alert_settings import OWNER
from customer_tiering.errors import NightBusy, TieringError

FILE = "alerts.sqlite"
_SCHEMA = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
_VERSION = 2
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=12)
_LOCK_SECONDS = 300.0
_LOST = "the process ended while the message was on its way; it may have arrived"


@dataclass
class Compared:
    """What comparing one line made: messages newly due, superseded ones, changes that no route takes."""

    due: int = 0
    superseded: int = 0
    unrouted: int = 0


@dataclass(frozen=True)
class _Known:
    """What a line last said about a customer, by which message; not certain when nobody knows whether it arrived."""

    state: str
    message_id: str
    is_certain: bool


def utc_now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """The ledger file of one company. What a method has written is on disk when it returns; threads may share it."""

    def __init__(self, path: Path, now: Callable[[], datetime] = utc_now) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        self._now = now
        self._mutex = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = full")
        self._prepare(path)

    def close(self) -> None:
        with self._mutex:
            self._connection.close()

    # --- comparing ---------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Turn what a dead process left on its way into messages that may have arrived. For the holder of the lock."""
        with self._transaction():
            self._connection.execute(
                "update messages set state = 'failed', maybe_told = 1, attempts = attempts + 1, last_error = ? "
                "where state = 'sending'",
                (_LOST,),
            )

    def compare(
        self,
        line: Line,
        standings: Iterable[Standing],
        as_of_date: str,
        direct: Callable[[Change], tuple[str, str] | None],
        unremarkable: str | None = None,
    ) -> Compared:
        """Bring the messages of a line in agreement with what is published.

        ``direct`` gives direction and recipient of a change, or None when no route takes it over this line; such a
        change is noted silently, and so are a line's first night and a customer's first state. What waits is kept
        while it still holds, and superseded when it does not. Where one state is ``unremarkable``, a customer found in
        another one for the first time is told (who stands at high risk now).
        """
        standings = list(standings)
        compared = Compared()
        with self._transaction():
            known = self._known(line)
            waiting = {message.customer_id: message for message in self._waiting(line)}
            seeded = self._is_seeded(line)
            if standings and not seeded:
                self._connection.execute("insert into seeded values (?, ?, ?, ?, ?)", (*_key(line), as_of_date))
            for standing in standings:
                last = known.get(standing.customer_id)
                open_one = waiting.pop(standing.customer_id, None)
                if not seeded or last is None:
                    if unremarkable is None or (standing.state == unremarkable and open_one is None):
                        self._remember(line, standing.customer_id, standing.state, standing.owner, None, as_of_date)
                        continue
                    last = last or _Known(unremarkable, "", True)
                if open_one is not None:
                    if open_one.to_state == standing.state and open_one.from_state == last.state:
                        self._refresh(open_one, standing)
                        continue
                    last = self._supersede(open_one) or last
                    compared.superseded += 1
                if last.state != standing.state:
                    self._add(Change(line, standing, last.state), as_of_date, direct, compared)
                elif not last.is_certain:  # it may never have arrived, and is true again
                    self._connection.execute(
                        "update messages set state = 'due' where message_id = ?", (last.message_id,)
                    )
                    compared.due += 1
            for left in waiting.values():  # customers that are no longer published
                self._supersede(left)
                compared.superseded += 1
        return compared

    def drop_other_lines(self, lines: Collection[Line], channels: Collection[str]) -> int:
        """Supersede what waits on lines and channels that the profile no longer has; returns how many."""
        with self._transaction():
            gone = [
                message
                for message in self.messages(states=OPEN)
                if (
                    message.line.channel not in channels
                    if message.line.subject == NOTICE
                    else message.line not in lines
                )
            ]
            for message in gone:
                self._supersede(message)
        return len(gone)

    def add_notice(
        self, kind: str, key: str, channel: str, recipient: str, as_of: str, facts: Mapping[str, Any]
    ) -> str:
        """Note what operators are to be told, once per kind, key and channel; returns the message's id."""
        line = Line(NOTICE, kind, channel, recipient)
        message_id = _hash(*_key(line), key)
        with self._transaction():
            self._insert(message_id, line, "", "", recipient, "", "", key, kind, as_of, facts)
        return message_id

    # --- delivering --------------------------------------------------------------------------------------------

    def deliverable(self, channel: str, *, ripe_only: bool = False) -> list[Message]:
        """Messages due on a channel, those tried least first; ``ripe_only`` leaves out those that are to rest still."""
        rows = self._connection.execute(
            "select * from messages where channel = ? and state in ('due', 'failed') and (? or next_attempt_at <= ?) "
            "order by attempts, created_at, rowid",
            (channel, not ripe_only, _stamp(self._now())),
        )
        return [_message(row) for row in rows]

    def begin(self, letter: Letter) -> None:
        """Note that a letter is on its way."""
        with self._transaction():
            self._connection.execute(
                "insert or replace into letters values (?, ?, ?, ?, ?, ?, '')",
                (letter.letter_id, letter.channel, letter.recipient, letter.title, letter.body, _stamp(self._now())),
            )
            self._connection.executemany(
                "update messages set state = 'sending', letter_id = ? where message_id = ?",
                [(letter.letter_id, message.message_id) for message in letter.messages],
            )

    def record(self, letter: Letter) -> None:
        """Remember that a letter went out: its messages are sent, their changes told."""
        now = _stamp(self._now())
        with self._transaction():
            self._connection.execute("update letters set sent_at = ? where letter_id = ?", (now, letter.letter_id))
            for message in letter.messages:
                self._connection.execute(
                    "update messages set state = 'sent', attempts = attempts + 1, last_error = '', "
                    "next_attempt_at = '', sent_at = ? where message_id = ?",
                    (now, message.message_id),
                )
                if message.line.subject != NOTICE and message.state != "sent":  # not when it is sent once more
                    self._remember(
                        message.line, message.customer_id, message.to_state, message.recipient, message.message_id,
                        message.as_of_date,
                    )  # fmt: skip

    def fail(self, messages: Iterable[Message], error: str, give_up_days: int, *, unanswered: bool = False) -> None:
        """Note a failed attempt. ``unanswered``: it may have arrived all the same."""
        now = self._now()
        with self._transaction():
            for message in messages:
                if message.state == "sent":  # it was sent once more; that it was told before stays true
                    state: State = "sent"
                elif datetime.fromisoformat(message.created_at) <= now - timedelta(days=give_up_days):
                    state = "given_up"
                else:
                    state = "failed"
                rest = min(_FIRST_PAUSE * 2 ** min(message.attempts, 10), _LONGEST_PAUSE)
                self._connection.execute(
                    "update messages set state = ?, attempts = attempts + 1, last_error = ?, next_attempt_at = ?, "
                    "maybe_told = maybe_told or ? where message_id = ?",
                    (state, error, _stamp(now + rest) if state == "failed" else "", unanswered, message.message_id),
                )

    def revive(self, message_ids: Iterable[str]) -> None:
        """Make messages that were given up due again."""
        with self._transaction():
            self._connection.executemany(
                "update messages set state = 'due', next_attempt_at = '', created_at = ? "
                "where message_id = ? and state in ('failed', 'given_up')",
                [(_stamp(self._now()), message_id) for message_id in message_ids],
            )

    # --- looking -----------------------------------------------------------------------------------------------

    def messages(self, *, states: Collection[str] = (), channel: str = "", customer_id: str = "") -> list[Message]:
        """Messages, the newest last; without arguments all of them."""
        marks = ", ".join("?" for _ in states)
        with self._mutex:
            rows = self._connection.execute(
                f"select * from messages where ({'1' if not states else f'state in ({marks})'}) "
                "and ? in ('', channel) and ? in ('', customer_id) order by created_at, rowid",
                (*states, channel, customer_id),
            ).fetchall()
        return [_message(row) for row in rows]

    def find(self, beginning: str) -> Message:
        """The message whose id begins so, or the first one of such a letter. Raises ``TieringError``."""
        rows = self._connection.execute(
            "select * from messages where substr(message_id, 1, ?) = ? or letter_id = ? order by letter_id <> ?, rowid",
            (len(beginning), beginning, beginning, beginning),
        ).fetchall()
        if not beginning or not rows:
            raise TieringError(f"no message has the id {beginning!r}", "tiering alerts list shows ids")
        if len(rows) > 1 and rows[0]["letter_id"] != beginning:
            raise TieringError(f"{len(rows)} messages have ids that begin with {beginning!r}", "give more of the id")
        return _message(rows[0])

    def letter_text(self, letter_id: str) -> tuple[str, str] | None:
        """Title and body of a letter as it last went out."""
        row = self._connection.execute("select title, body from letters where letter_id = ?", (letter_id,)).fetchone()
        return (row["title"], row["body"]) if row else None

    def told(self, customer_id: str) -> list[dict[str, Any]]:
        """What each line was last told about a customer: the columns of the table ``told``."""
        rows = self._connection.execute(
            "select * from told where customer_id = ? order by subject, scheme, channel, audience", (customer_id,)
        )
        return [dict(row) for row in rows]

    # --- inside ------------------------------------------------------------------------------------------------

    def _add(
        self, change: Change, as_of_date: str, direct: Callable[[Change], tuple[str, str] | None], compared: Compared
    ) -> None:
        line, standing = change.line, change.standing
        directed = direct(change)
        if directed is None:
            self._remember(line, standing.customer_id, standing.state, standing.owner, None, as_of_date)
            compared.unrouted += 1
            return
        direction, recipient = directed
        # How many times the line has spoken about the customer, not the night, makes the id: a replay or a restored
        # ledger that finds the same change on another day gives it the same id.
        spoken = self._connection.execute(
            "select count(*) from messages where subject = ? and scheme = ? and channel = ? and audience = ? "
            "and customer_id = ? and (state = 'sent' or maybe_told)",
            (*_key(line), standing.customer_id),
        ).fetchone()[0]
        message_id = _hash(*_key(line), standing.customer_id, change.from_state, standing.state, str(spoken))
        self._connection.execute("delete from messages where message_id = ? and state = 'superseded'", (message_id,))
        self._insert(
            message_id, line, standing.customer_id, standing.customer_name, recipient, standing.owner,
            change.from_state, standing.state, direction, as_of_date, standing.facts,
        )  # fmt: skip
        compared.due += 1

    def _insert(
        self, message_id: str, line: Line, customer_id: str, customer_name: str, recipient: str, owner: str,
        from_state: str, to_state: str, direction: str, as_of_date: str, facts: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self._connection.execute(
            "insert or ignore into messages (message_id, subject, scheme, channel, audience, customer_id, "
            "customer_name, recipient, owner, from_state, to_state, direction, as_of_date, facts, state, created_at) "
            "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'due', ?)",
            (
                message_id, *_key(line), customer_id, customer_name, recipient, owner, from_state, to_state, direction,
                as_of_date, json.dumps(dict(facts), ensure_ascii=False, default=str), _stamp(self._now()),
            ),
        )  # fmt: skip

    def _refresh(self, message: Message, standing: Standing) -> None:
        """A message that waits follows its customer's name and account manager, unless it may have been read."""
        if message.maybe_told or (message.customer_name, message.owner) == (standing.customer_name, standing.owner):
            return
        recipient = standing.owner if message.line.audience == OWNER else message.recipient
        self._connection.execute(
            "update messages set customer_name = ?, owner = ?, recipient = ? where message_id = ?",
            (standing.customer_name, standing.owner, recipient, message.message_id),
        )

    def _supersede(self, message: Message) -> _Known | None:
        """Cancel a message. One that may have arrived counts as told, if not for certain: returns that, else None."""
        self._connection.execute(
            "update messages set state = 'superseded', next_attempt_at = '' where message_id = ?", (message.message_id,)
        )
        if not message.maybe_told or message.line.subject == NOTICE:
            return None
        self._remember(
            message.line,
            message.customer_id,
            message.to_state,
            message.recipient,
            message.message_id,
            message.as_of_date,
            is_certain=False,
        )
        return _Known(message.to_state, message.message_id, False)

    def _waiting(self, line: Line) -> list[Message]:
        rows = self._connection.execute(
            "select * from messages where subject = ? and scheme = ? and channel = ? and audience = ? "
            "and state in ('due', 'sending', 'failed', 'given_up')",
            _key(line),
        )
        return [_message(row) for row in rows]

    def _is_seeded(self, line: Line) -> bool:
        return bool(
            self._connection.execute(
                "select 1 from seeded where subject = ? and scheme = ? and channel = ? and audience = ?", _key(line)
            ).fetchone()
        )

    def _known(self, line: Line) -> dict[str, _Known]:
        rows = self._connection.execute(
            "select customer_id, state, message_id, is_certain from told "
            "where subject = ? and scheme = ? and channel = ? and audience = ?",
            _key(line),
        )
        return {
            row["customer_id"]: _Known(row["state"], row["message_id"] or "", bool(row["is_certain"])) for row in rows
        }

    def _remember(
        self, line: Line, customer_id: str, state: str, recipient: str, message_id: str | None, as_of_date: str,
        *, is_certain: bool = True,
    ) -> None:  # fmt: skip
        self._connection.execute(
            "insert or replace into told values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*_key(line), customer_id, state, recipient, message_id, as_of_date, is_certain),
        )

    def _prepare(self, path: Path) -> None:
        """Make the tables, or bring those of an older version up to date."""
        with self._transaction():
            version = self._connection.execute("pragma user_version").fetchone()[0]
            if version > _VERSION:
                raise TieringError(f"{path} was written by a newer version", "update the installation")
            if version == _VERSION:
                return
            tables = {row[0] for row in self._connection.execute("select name from sqlite_master where type = 'table'")}
            old = tables & {"told", "seeded"}
            for table in old:
                self._connection.execute(f"alter table {table} rename to old_{table}")
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)
            if old:
                self._take_over_first_version()
            self._connection.execute(f"pragma user_version = {_VERSION}")

    def _take_over_first_version(self) -> None:
        """The first ledger knew tiers only, one row per recipient; what was told last, to whomever, is what counts."""
        self._connection.execute(
            "insert or replace into told select 'tier_change', scheme, channel, ?, customer_id, tier, recipient, "
            "message_id, as_of_date, 1 from old_told order by as_of_date, rowid",
            (OWNER,),
        )
        self._connection.execute(
            "insert into seeded select 'tier_change', scheme, channel, ?, as_of_date from old_seeded", (OWNER,)
        )
        self._connection.execute(
            "insert or ignore into messages (message_id, subject, scheme, channel, audience, customer_id, "
            "customer_name, recipient, owner, from_state, to_state, direction, as_of_date, facts, state, attempts, "
            "letter_id, created_at, sent_at) "
            "select message_id, 'tier_change', scheme, channel, ?, customer_id, '', recipient, recipient, '', "
            "tier, '', as_of_date, '{}', 'sent', 1, message_id, as_of_date, as_of_date "
            "from old_told where message_id is not null order by as_of_date, rowid",
            (OWNER,),
        )
        self._connection.execute("drop table old_told")
        self._connection.execute("drop table old_seeded")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._mutex:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")


@contextmanager
def open_ledger(folder: Path, *, wait_seconds: float = _LOCK_SECONDS) -> Iterator[Ledger]:
    """The company's ledger, held alone: only one process sends. Raises ``NightBusy`` when another one does for long."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(folder / "alerts.lock")
    try:
        lock.acquire(timeout=wait_seconds)
    except Timeout as error:
        raise NightBusy(
            "another process is sending messages for this company", "wait until it ends, then try again"
        ) from error
    try:
        with read_ledger(folder) as ledger:
            ledger.recover()
            yield ledger
    finally:
        lock.release()


@contextmanager
def read_ledger(folder: Path) -> Iterator[Ledger]:
    """The company's ledger, to look or to add notices; another process may be sending. Raises ``TieringError``."""
    try:
        ledger = Ledger(folder / FILE)
    except (sqlite3.OperationalError, OSError) as error:  # the surroundings; what was told is all there
        raise TieringError(
            f"the ledger {folder / FILE} cannot be opened: {error}",
            "make room on the disk, check who may write there, or wait until nobody locks it, then try again; "
            "what was told is not lost: leave the file in its place",
        ) from error
    except sqlite3.DatabaseError as error:
        raise TieringError(
            f"the ledger {folder / FILE} cannot be read: {error}",
            "put the newest backup in its place; without one, move it away: the next night is silent and starts over",
        ) from error
    try:
        yield ledger
    finally:
        ledger.close()


def letter_id_of(messages: Iterable[Message]) -> str:
    """The id of a letter: of a single message its own, of several one made of theirs."""
    ids = sorted(message.message_id for message in messages)
    return ids[0] if len(ids) == 1 else _hash(*ids)


def _key(line: Line) -> tuple[str, str, str, str]:
    return (line.subject, line.scheme, line.channel, line.audience)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:20]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _message(row: sqlite3.Row) -> Message:
    return Message(
        message_id=row["message_id"],
        line=Line(row["subject"], row["scheme"], row["channel"], row["audience"]),
        facts=json.loads(row["facts"]),
        maybe_told=bool(row["maybe_told"]),
        **{
            name: row[name]
            for name in (
                "customer_id", "customer_name", "recipient", "owner", "from_state", "to_state", "direction",
                "as_of_date", "state", "attempts", "last_error", "next_attempt_at", "letter_id", "created_at",
                "sent_at",
            )
        },
    )  # fmt: skip
