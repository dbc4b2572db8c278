"""The ledger: what each recipient was last told about each customer.

It lies outside the snapshots, in SQLite, and is never rebuilt. A message goes out when the published effective
tier differs from what was told; comparing states rather than replaying events makes reruns silent.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
create table if not exists told (
    customer_id text, scheme text, channel text, recipient text,
    tier text not null, message_id text, as_of_date text not null,
    primary key (customer_id, scheme, channel, recipient)
);
create table if not exists seeded (
    scheme text, channel text, as_of_date text not null,
    primary key (scheme, channel)
);
"""


@dataclass(frozen=True)
class Standing:
    """A customer's published tier, and who is to know it."""

    customer_id: str
    customer_name: str
    scheme: str
    tier: str
    recipient: str


@dataclass(frozen=True)
class Message:
    """One tier change to tell. The id is the same whenever the same change is told again."""

    standing: Standing
    channel: str
    from_tier: str
    as_of_date: str

    @property
    def message_id(self) -> str:
        parts = (
            self.standing.customer_id,
            self.standing.scheme,
            self.channel,
            self.standing.recipient,
            self.from_tier,
            self.standing.tier,
            self.as_of_date,
        )
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:20]


class Ledger:
    """The ledger file of one company. Every ``record`` is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = full")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        self._connection.close()

    def pending(self, channel: str, standings: Iterable[Standing], as_of_date: str) -> Iterator[Message]:
        """Messages that are due: known customers whose tier differs from what was told.

        The first night of a scheme and channel is recorded silently, and so is a customer's first tier.
        """
        standings = list(standings)
        for scheme in sorted({standing.scheme for standing in standings}):
            of_scheme = [standing for standing in standings if standing.scheme == scheme]
            if not self._is_seeded(scheme, channel):
                self._seed(scheme, channel, of_scheme, as_of_date)
                continue
            told = self._told(scheme, channel)
            for standing in of_scheme:
                known = told.get(standing.customer_id)
                if known is None:
                    self._remember(standing, channel, None, as_of_date)
                elif known != standing.tier:
                    yield Message(standing, channel, known, as_of_date)

    def record(self, message: Message) -> None:
        """Remember that a message went out."""
        self._remember(message.standing, message.channel, message.message_id, message.as_of_date)

    def _is_seeded(self, scheme: str, channel: str) -> bool:
        return bool(
            self._connection.execute(
                "select 1 from seeded where scheme = ? and channel = ?", (scheme, channel)
            ).fetchone()
        )

    def _seed(self, scheme: str, channel: str, standings: list[Standing], as_of_date: str) -> None:
        with self._transaction():
            for standing in standings:
                self._remember(standing, channel, None, as_of_date)
            self._connection.execute("insert into seeded values (?, ?, ?)", (scheme, channel, as_of_date))

    def _told(self, scheme: str, channel: str) -> dict[str, str]:
        """The tier last told per customer, to whichever recipient it was last told."""
        return dict(
            self._connection.execute(
                "select customer_id, tier from told where scheme = ? and channel = ? order by as_of_date, rowid",
                (scheme, channel),
            ).fetchall()
        )

    def _remember(self, standing: Standing, channel: str, message_id: str | None, as_of_date: str) -> None:
        # Replacing gives a new rowid, which orders what was told to several recipients in one night.
        self._connection.execute(
            "insert or replace into told values (?, ?, ?, ?, ?, ?, ?)",
            (
                standing.customer_id,
                standing.scheme,
                channel,
                standing.recipient,
                standing.tier,
                message_id,
                as_of_date,
            ),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")


@contextmanager
def open_ledger(folder: Path) -> Iterator[Ledger]:
    """The company's ledger, closed afterwards."""
    with closing(Ledger(folder / "alerts.sqlite")) as ledger:
        yield ledger
