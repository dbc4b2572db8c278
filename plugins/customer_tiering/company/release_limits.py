"""How far a night may lie from the last accepted one: the profile's key ``release``.

One list for all comparisons. A figure beyond its ``warn`` limit is published and named in the run's summary; beyond its
``hold`` limit the night waits for a person. Limits are the reason why figures are compared, so they are in one place.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Change(BaseModel):
    """Relative limits on a figure: 0.2 is a fifth. None: that direction is not judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_decrease: float | None = Field(default=None, ge=0, le=1)
    max_increase: float | None = Field(default=None, ge=0)


class ChangeLimits(BaseModel):
    """Limits on how a figure changes. A plain ``{max_decrease, max_increase}`` is the hold limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warn: Change = Change()
    hold: Change = Change()


class ShareLimits(BaseModel):
    """Limits on a share of customers, or on how far it moves: 0.1 are ten points. A plain number is the hold limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warn: float | None = Field(default=None, ge=0, le=1)
    hold: float | None = Field(default=None, ge=0, le=1)


class ReleaseLimits(BaseModel):
    """Limits for one night after the last accepted one, and what happens to a night beyond its hold limits.

    Shares are parts of 1. Growth, shares and moves may be larger after missed nights, losses not
    (``release/comparison.py``). A profile that gives one limit of a figure keeps the other one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    customers: ChangeLimits = ChangeLimits(warn=Change(max_increase=0.3), hold=Change(max_decrease=0.2, max_increase=1))
    scheme_customers: ChangeLimits = ChangeLimits(hold=Change(max_decrease=0.3))
    spend: ChangeLimits = ChangeLimits(
        warn=Change(max_decrease=0.2, max_increase=0.3), hold=Change(max_decrease=0.3, max_increase=1)
    )
    """Annual spend of all customers."""
    zero_spend: ShareLimits = ShareLimits(warn=0.1)
    """How far the share of customers with an annual spend of 0 may move."""
    rows: ChangeLimits = ChangeLimits(hold=Change(max_decrease=0.5, max_increase=4))
    """Rows of each mart."""
    tier_share: ShareLimits = ShareLimits(warn=0.1, hold=0.15)
    """How far the share of a tier of the headline scheme may move."""
    tier_share_others: ShareLimits = ShareLimits(warn=0.1, hold=0.3)
    moved: ShareLimits = ShareLimits(hold=0.25)
    """Share of the headline scheme's customers that may change tier, changes by new rules apart."""
    moved_others: ShareLimits = ShareLimits(hold=0.5)
    moved_by_rules: ShareLimits = ShareLimits(hold=0.6)
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

    @model_validator(mode="before")
    @classmethod
    def _keep_the_other_limit(cls, given: Any) -> Any:
        """What the profile says of a figure replaces that limit only; a limit without a name is the hold limit."""
        if not isinstance(given, dict):
            return given
        merged = dict(given)
        for name, field in cls.model_fields.items():
            if name not in given or not isinstance(field.default, ChangeLimits | ShareLimits):
                continue
            value = given[name]
            if isinstance(value, BaseModel):
                continue
            named = isinstance(value, dict) and not value.keys() & Change.model_fields.keys()
            merged[name] = field.default.model_dump() | (value if named else {"hold": value})
        return merged
