"""How far a night may lie from the last accepted one before a person has to look: the profile's key ``release``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Change(BaseModel):
    """Relative limits on a figure: 0.2 is a fifth. None: that direction is not judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_decrease: float | None = Field(default=None, ge=0, le=1)
    max_increase: float | None = Field(default=None, ge=0)


class ReleaseLimits(BaseModel):
    """Limits for one night after the last accepted one, and what happens to a night that is beyond them.

    Shares are parts of 1. Growth, shares and moves may be larger after missed nights (``breaker.py``), losses not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    customers: Change = Change(max_decrease=0.2, max_increase=1)
    scheme_customers: Change = Change(max_decrease=0.3)
    spend: Change = Change(max_decrease=0.3, max_increase=1)
    """Annual spend of all customers."""
    rows: Change = Change(max_decrease=0.5, max_increase=4)
    """Rows of each mart."""
    tier_share: float = Field(default=0.15, ge=0, le=1)
    """How far the share of a tier of the headline scheme may move."""
    tier_share_others: float = Field(default=0.3, ge=0, le=1)
    moved: float = Field(default=0.25, ge=0, le=1)
    """Share of the headline scheme's customers that may change tier, changes by new rules apart."""
    moved_others: float = Field(default=0.5, ge=0, le=1)
    moved_by_rules: float = Field(default=0.6, ge=0, le=1)
    """Share of the headline scheme's customers that a change of the rules may move."""
    min_customers: int = Field(default=20, ge=1)
    """Figures that stood on fewer customers are not judged."""
    min_moved: int = Field(default=10, ge=1)
    """Fewer customers than this move a share without being noticed."""
    min_rows: int = Field(default=100, ge=1)
    """Marts that had fewer rows are not judged by their rows."""
    answer_within_hours: float = Field(default=12, gt=0)
    """A scheduled night waits so long for an answer; keep it shorter than the time between two nights."""
    unanswered: Literal["reject", "approve"] = "reject"
