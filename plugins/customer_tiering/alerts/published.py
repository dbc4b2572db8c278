"""What a snapshot says that people are told about: tiers and churn risks, with the words for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.alerts.messages import Standing
from customer_tiering.company.alert_settings import UNASSIGNED
from customer_tiering.publish.snapshot import DATABASE
from customer_tiering.sql import fetch_rows

PENDING = "pending"
HIGH, NOT_HIGH = "high", "not_high"
_WORDS = {
    "en": {PENDING: "pending", HIGH: "high", NOT_HIGH: "not high"},
    "zh": {PENDING: "待评估", HIGH: "高", NOT_HIGH: "非高"},
}


@dataclass(frozen=True)
class Tier:
    """A tier of a scheme; rank 1 is the best."""

    rank: int
    label: str


class Published:
    """Reads one snapshot."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, language: str) -> None:
        self._connection = connection
        self._language = language
        self.tiers: dict[str, dict[str, Tier]] = {}
        for row in fetch_rows(connection, f"select scheme, tier, tier_rank, label_{language} from marts.dim_tiers"):
            self.tiers.setdefault(row["scheme"], {})[row["tier"]] = Tier(row["tier_rank"], row[f"label_{language}"])

    def standings(self, scheme: str) -> list[Standing]:
        """Each customer's effective tier in a scheme; nothing while it can place nobody."""
        placed = self._connection.execute(
            "select placed_customers from marts.dim_schemes where scheme = ?", [scheme]
        ).fetchone()
        if not placed or not placed[0]:
            return []
        rows = self._connection.execute(
            "select t.customer_id, c.customer_name, t.effective_tier, coalesce(c.owner, ?) "
            "from marts.fct_customer_tiers t join marts.dim_customers c using (customer_id) "
            "where t.scheme = ? order by t.customer_id",
            [UNASSIGNED, scheme],
        ).fetchall()
        return [Standing(customer, name or "", tier, owner) for customer, name, tier, owner in rows]

    def churn_standings(self) -> list[Standing]:
        """Each customer's churn risk, high or not, by the model or by rule signals."""
        rows = fetch_rows(
            self._connection,
            f"select c.customer_id, c.customer_name, coalesce(c.owner, ?) as owner, r.risk_class, "
            f"round(cast(r.probability as double), 4) as probability, r.advice_{self._language} as advice, "
            f"coalesce(r.reasons_{self._language}, replace(r.signals_{self._language}, '/', ', ')) as reasons, "
            "ch.cause "
            "from marts.dim_customers c left join marts.fct_churn_risks r using (customer_id) "
            "left join marts.fct_churn_risk_changes ch using (customer_id) order by c.customer_id",
            [UNASSIGNED],
        )
        return [
            Standing(
                row["customer_id"],
                row["customer_name"] or "",
                HIGH if row["risk_class"] == HIGH else NOT_HIGH,
                row["owner"],
                {name: row[name] for name in ("probability", "advice", "reasons", "cause") if row[name] is not None},
            )
            for row in rows
        ]

    def data_quality(self, night: str) -> list[dict[str, Any]]:
        """Rows that came in and that were kept out on a night, per source and entity."""
        return fetch_rows(
            self._connection,
            "select source, entity, rows_in, rows_quarantined from marts.fct_data_quality where as_of_date = ? "
            "order by source, entity",
            [night],
        )

    def direction(self, scheme: str, before: str, after: str) -> str:
        """Where a tier change leads, in the words of ``fct_tier_changes``."""
        if after == PENDING:
            return "to_pending"
        if before == PENDING:
            return "from_pending"
        ranks = self.tiers.get(scheme, {})
        if before not in ranks or after not in ranks or ranks[before].rank == ranks[after].rank:
            return "moved"
        return "up" if ranks[after].rank < ranks[before].rank else "down"

    def label(self, scheme: str, state: str) -> str:
        """A tier or risk in the company's language."""
        tier = self.tiers.get(scheme, {}).get(state)
        return tier.label if tier else _WORDS[self._language].get(state, state)


@contextmanager
def open_published(snapshot: Path, language: str) -> Iterator[Published]:
    """A snapshot, open for reading."""
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        yield Published(connection, language)
