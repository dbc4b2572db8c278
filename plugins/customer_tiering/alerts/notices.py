"""Notices to operators: the night is held, failed or late, or its data are bad."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Literal

from customer_tiering.alerts.ledger import open_ledger
from customer_tiering.alerts.tell import Sender, add_notices
from customer_tiering.profile import Profile

_LOCK_SECONDS = 90.0
_LONGEST = 600
_URL = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)://\S+")
_SECRET = re.compile(r"(?i)\b(token|secret|password|passwd|pwd|api_?key)(\s*[=:]\s*)\S+")


def notify_operators(
    profile: Profile,
    kind: Literal["held_night", "data_quality", "failed_night", "late_night"],
    key: str,
    facts: Mapping[str, object],
) -> None:
    """Tell the operators' channels once per kind and key; what cannot be delivered stays due in the ledger.

    ``facts`` are shown as lines ``name: value``; ``as_of_date`` among them goes into the title. Never raises: whoever
    calls has a failure of its own to report.
    """
    try:
        with open_ledger(profile.workspace.ledger, wait_seconds=_LOCK_SECONDS) as ledger:
            ids = add_notices(profile, ledger, kind, key, {name: scrub(value) for name, value in facts.items()})
            Sender(profile, ledger, _NoWords()).send(wanted=lambda message: message.message_id in ids)
    except Exception as error:  # its text may hold what must not be logged
        logging.getLogger(__name__).warning("the notice %s %s was not sent (%s)", kind, key, type(error).__name__)


def scrub(value: object) -> str:
    """A fact as text without URLs, which hold logins and tokens, and without anything that is called a secret."""
    text = _SECRET.sub(r"\1\2***", _URL.sub(r"\1://***", str(value)))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


class _NoWords:
    """Notices name no tiers."""

    def label(self, _scheme: str, state: str) -> str:
        return state
