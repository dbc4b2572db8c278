"""The alert step: compare what is published with what was told, and send what differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from customer_tiering.alerts.channels import open_channel
from customer_tiering.alerts.ledger import Ledger, Message, Standing
from customer_tiering.profile import Profile
from customer_tiering.publish.snapshot import DATABASE, Manifest

NO_OWNER = "unassigned"


@dataclass
class AlertResult:
    """How many messages went out and failed, per channel."""

    sent: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)


def tell_changes(profile: Profile, ledger: Ledger, snapshot: Path, manifest: Manifest) -> AlertResult:
    """Send one message per changed tier of the headline scheme to each channel.

    A message is recorded after it was sent: a crash in between repeats one message with the same id. A
    channel that fails does not keep the others from being told; its messages are due again the next night.
    """
    standings = _standings(snapshot, profile.headline_scheme)
    labels = _labels(snapshot, profile)
    result = AlertResult()
    for name in profile.channels:
        channel = open_channel(name, profile.resolve_channel(name))
        result.sent[name] = result.failed[name] = 0
        for message in ledger.pending(name, standings, manifest.as_of_date):
            if channel.notify(title=_title(message, labels), body=_body(message, labels, profile)):
                ledger.record(message)
                result.sent[name] += 1
            else:
                result.failed[name] += 1
    return result


def _standings(snapshot: Path, scheme: str) -> list[Standing]:
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        return [
            Standing(*row)
            for row in connection.execute(
                "select t.customer_id, c.customer_name, t.scheme, t.effective_tier, coalesce(c.owner, ?) "
                "from marts.fct_customer_tiers t join marts.dim_customers c using (customer_id) "
                "where t.scheme = ? order by t.customer_id",
                [NO_OWNER, scheme],
            ).fetchall()
        ]


def _labels(snapshot: Path, profile: Profile) -> dict[str, str]:
    column = "label_zh" if profile.language == "zh" else "label_en"
    with duckdb.connect(str(snapshot / DATABASE), read_only=True) as connection:
        labels = dict(
            connection.execute(
                f"select tier, {column} from marts.dim_tiers where scheme = ?", [profile.headline_scheme]
            ).fetchall()
        )
    return {"pending": "待评估" if profile.language == "zh" else "pending"} | labels


def _title(message: Message, labels: dict[str, str]) -> str:
    before, after = (labels.get(tier, tier) for tier in (message.from_tier, message.standing.tier))
    return f"{message.standing.customer_name}: {before} → {after}"


def _body(message: Message, labels: dict[str, str], profile: Profile) -> str:
    standing = message.standing
    before, after = (labels.get(tier, tier) for tier in (message.from_tier, standing.tier))
    if profile.language == "zh":
        text = f"客户 {standing.customer_id} 的等级由 {before} 变为 {after}({message.as_of_date},{standing.scheme})"
        return f"{text}\n客户经理:{standing.recipient}\n编号:{message.message_id}"
    return (
        f"Customer {standing.customer_id} moved from {before} to {after} on {message.as_of_date} ({standing.scheme}).\n"
        f"Account manager: {standing.recipient}\nMessage: {message.message_id}"
    )
