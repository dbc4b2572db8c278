"""Which change goes over which channel to whom, as the profile's routes say."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from customer_tiering.alerts.messages import Change, Line
from customer_tiering.company.alert_settings import OWNER, UNASSIGNED, Route
from customer_tiering.errors import ProfileError

if TYPE_CHECKING:
    from customer_tiering.company.profile import Profile

TIER_CHANGE, CHURN_RISK = "tier_change", "churn_risk"
CHURN_SCHEME = "churn"
"""Stands for a scheme where churn risks are told; they have none."""


class Routing:
    """The routes of a profile; without any, every change goes to every channel for the account manager."""

    def __init__(self, profile: Profile) -> None:
        settings = profile.alerts
        self._routes = settings.routes or [Route(channel=list(profile.channels))]
        self._schemes = settings.schemes or [profile.headline_scheme]
        self._churn = settings.churn_risk

    def lines(self) -> list[Line]:
        """Every line that some change may take."""
        topics = [(TIER_CHANGE, scheme) for scheme in self._schemes]
        if self._churn:
            topics.append((CHURN_RISK, CHURN_SCHEME))
        return sorted(
            {
                Line(subject, scheme, channel, route.to)
                for subject, scheme in topics
                for route in self._routes
                if route.match.could_take(subject, scheme)
                for channel in route.channel
            }
        )

    def recipient(self, change: Change, direction: str) -> str | None:
        """Who is told of a change over its line; None when no route takes it there."""
        line, owner = change.line, change.standing.owner
        tiers = (change.from_state, change.standing.state)
        taken = any(
            route.to == line.audience
            and line.channel in route.channel
            and route.match.takes(line.subject, line.scheme, direction, tiers, owner)
            for route in self._routes
        )
        if not taken:
            return None
        return owner if line.audience == OWNER else line.audience


def check_schemes(profile: Profile, known: Iterable[str]) -> None:
    """Raise ``ProfileError`` when the alerts name a scheme that the rules do not have: it would never be told."""
    settings = profile.alerts
    named = set(settings.schemes or ()) | {name for route in settings.routes for name in route.match.scheme or ()}
    if unknown := sorted(named - set(known) - {CHURN_SCHEME}):
        raise ProfileError(
            f"profile {profile.name}: alerts name schemes that there are not: {', '.join(unknown)}",
            f"fix the profile; there are {', '.join(sorted(known))}",
        )


class Addresses:
    """Addresses of recipients. They are private: nothing here is logged or published."""

    def __init__(self, known: dict[str, str], fallback: str | None) -> None:
        self._known = known
        self._fallback = fallback

    @classmethod
    def of(cls, profile: Profile) -> Addresses:
        """Those of the profile and of its file. Raises ``ProfileError`` when the file cannot be read."""
        settings = profile.alerts
        known = dict(settings.addresses)
        if settings.addresses_file:
            path = Path(profile.fill_placeholders(settings.addresses_file, what="alerts.addresses_file"))
            known |= _read(path if path.is_absolute() else profile.folder / path)
        return cls(known, settings.fallback)

    def holder(self, recipient: str) -> str:
        """The recipient, or who stands in for one that has no address."""
        return recipient if recipient in self._known or not self._fallback else self._fallback

    def address(self, recipient: str) -> str:
        """Raises ``ProfileError`` when neither the recipient nor its stand-in has one."""
        address = self._known.get(self.holder(recipient))
        if not address:
            whom = "customers without an account manager" if recipient == UNASSIGNED else recipient
            raise ProfileError(f"no address for {whom}", "add it to alerts.addresses, or name alerts.fallback")
        return address


def _read(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            if not {"name", "address"} <= set(rows.fieldnames or ()):
                raise ProfileError(f"{path}: its columns are not name,address", "correct the file")
            return {row["name"].strip(): row["address"].strip() for row in rows if row["name"] and row["address"]}
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(
            f"{path}: the addresses cannot be read ({type(error).__name__})", "see alerts.addresses_file in the profile"
        ) from error
