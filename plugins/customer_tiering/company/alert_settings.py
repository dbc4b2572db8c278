"""Who is told what, as data in the profile: routes, recipients' addresses, digests, operators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

OWNER = "owner"
"""Recipient of a route: the customer's account manager."""
UNASSIGNED = "unassigned"
"""Stands for the account manager of a customer that has none."""

Subject = Literal["tier_change", "churn_risk"]
Direction = Literal["up", "down", "moved", "to_pending", "from_pending", "newly_high", "no_longer_high"]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


T = TypeVar("T")
Several = Annotated[list[T] | None, BeforeValidator(_listed)]
"""One value or a list of them; None stands for all."""


class Match(BaseModel):
    """Which changes a route takes. A key that is left out matches everything, but see ``Direction`` below.

    ``tier`` matches the tier before or after the change (for churn risk: the class). ``no_longer_high`` is taken
    only by routes that name it: that a risk is over is noted silently otherwise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: Several[Subject] = None
    scheme: Several[str] = None
    direction: Several[Direction] = None
    tier: Several[str] = None
    owner: Several[str] = None

    def could_take(self, subject: str, scheme: str) -> bool:
        """Whether any change of this subject and scheme may match."""
        return _in(subject, self.subject) and _in(scheme, self.scheme)

    def takes(self, subject: str, scheme: str, direction: str, tiers: Iterable[str], owner: str) -> bool:
        """Whether one change matches."""
        return (
            self.could_take(subject, scheme)
            and (direction in self.direction if self.direction else direction != "no_longer_high")
            and (self.tier is None or not set(self.tier).isdisjoint(tiers))
            and _in(owner, self.owner)
        )


def _in(value: str, allowed: Sequence[str] | None) -> bool:
    return allowed is None or value in allowed


class Route(BaseModel):
    """Changes that match go to the channels; ``to`` is the account manager or a name that has an address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: Match = Match()
    channel: Annotated[list[str], BeforeValidator(_listed)]
    to: str = OWNER


class AlertSettings(BaseModel):
    """The key ``alerts`` of a profile. Without it every change goes to every channel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schemes: list[str] | None = None
    """Schemes whose tier changes are told; default: the headline scheme."""
    churn_risk: bool = True
    routes: list[Route] = Field(default_factory=list)
    fallback: str | None = None
    """Recipient in place of an account manager who is missing or has no address."""
    addresses: dict[str, str] = Field(default_factory=dict, repr=False)
    addresses_file: str | None = None
    """CSV with the columns name,address; ``{workspace}`` and ``{data}`` are filled in."""
    operators: list[str] | None = None
    """Channels for notices to operators; default: every channel."""
    digest_cap: int = Field(default=20, ge=1)
    quarantined_share: float = Field(default=0.05, gt=0, le=1)
    """Operators are told when a larger share of an entity's rows of the night was kept out."""
    give_up_days: int = Field(default=14, ge=1)
    """A message that could not be delivered for so long waits for a person."""

    def channel_names(self) -> set[str]:
        """Every channel that is named here."""
        return {name for route in self.routes for name in route.channel} | set(self.operators or [])
