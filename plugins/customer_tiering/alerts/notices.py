"""Notices to operators: the night is held, failed or late, or its data are bad."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal

from customer_tiering.alerts.compose import CodesOnly
from customer_tiering.alerts.ledger import open_ledger, read_ledger
from customer_tiering.alerts.tell import Sender, add_notices
from customer_tiering.company.profile import Profile

_LOG = logging.getLogger(__name__)
_LOCK_SECONDS = 90.0


def notify_operators(
    profile: Profile,
    kind: Literal["held_night", "data_quality", "failed_night", "late_night"],
    key: str,
    facts: Mapping[str, object],
) -> bool:
    """Tell the operators' channels once per kind and key; what cannot be delivered stays due in the ledger.

    ``facts`` are shown as lines ``name: value``; ``as_of_date`` among them goes into the title. Never raises: whoever
    calls has a failure of its own to report. Returns whether the notice is in the ledger, which needs no lock: a dead
    channel may keep another process sending for minutes.
    """
    try:
        with read_ledger(profile.workspace.ledger) as ledger:
            ids = add_notices(profile, ledger, kind, key, facts)
    except Exception as error:  # its text may hold what must not be logged
        _LOG.warning("the notice %s %s was not noted (%s)", kind, key, type(error).__name__)
        return False
    try:
        with open_ledger(profile.workspace.ledger, wait_seconds=_LOCK_SECONDS) as ledger:
            Sender(profile, ledger, CodesOnly()).send(wanted=lambda message: message.message_id in ids)
    except Exception as error:
        _LOG.warning("the notice %s %s was not sent and stays due (%s)", kind, key, type(error).__name__)
    return True
