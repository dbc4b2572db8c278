"""A scheme file: what it may say, as typed models (docs/add-a-scheme.md).

The models judge one file by itself; what needs the dictionary of indicators or another file is judged in ``checks``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from customer_tiering.rules import edges

Kind = Literal["weighted", "bands", "quadrant", "rank", "axes", "rules", "cluster"]
Population = Literal["buyers", "repeat_buyers", "businesses", "consumers", "prospects", "all"]
Review = Literal["none", "nightly", "monthly", "quarterly", "half_yearly", "yearly"]


def _number(value: Any) -> Any:
    return edges.number(value) if isinstance(value, str) else value


Number = Annotated[Decimal, BeforeValidator(_number)]
Weight = Annotated[Decimal, BeforeValidator(_number), Field(gt=0, le=1)]
Name = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IndicatorUse(_Part):
    """An indicator in a dimension. Without ``scores`` its value counts as it is."""

    weight: Weight | None = None
    missing: Literal["pending", "neutral", "renormalise", "impute"] = "pending"
    missing_score: Number | None = None
    scores: dict[str, Number] | None = None


class Choice(_Part):
    """The level that a customer gets who meets all conditions; without conditions everybody who is left."""

    tier: Name
    conditions: list[str] = Field(default_factory=list, alias="if")


class Dimension(_Part):
    """Indicators that are judged together. ``value`` names one that counts as it is."""

    label_en: Name
    label_zh: Name
    weight: Weight | None = None
    value: str | None = None
    indicators: dict[str, IndicatorUse] = Field(default_factory=dict)
    compare: Literal["score", "raw", "log"] | None = None
    levels: dict[str, str] | None = None
    conditions: list[Choice] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.value) == bool(self.indicators):
            raise ValueError("give either value (one indicator as it is) or indicators")
        if self.levels and self.conditions:
            raise ValueError("give either levels or conditions")
        return self

    def uses(self) -> dict[str, IndicatorUse]:
        return {self.value: IndicatorUse()} if self.value else self.indicators

    def measure(self) -> str:
        if self.compare:
            return self.compare
        return "score" if any(use.scores for use in self.uses().values()) else "raw"


class Tier(_Part):
    """A tier, best first. ``when`` is an edge of the score, a rank, or in a quadrant the level of each dimension.

    ``needs`` says what an indicator, or the coverage, has to be at least; who has less gets the best tier below whose
    needs it meets. A strategy of its own may be for those of its customers whose potential is high.
    """

    label_en: Name
    label_zh: Name
    strategy_en: Name
    strategy_zh: Name
    strategy_high_potential_en: Name | None = None
    strategy_high_potential_zh: Name | None = None
    when: str | dict[str, str] | None = None
    needs: dict[str, str] = Field(default_factory=dict)
    rank: Annotated[int, Field(ge=1)] | None = None


class Stability(_Part):
    """What a tier needs to move (docs/effective-tiers.md)."""

    enter_margin: Annotated[Number, Field(ge=0)] = Decimal(0)
    exit_margin: Annotated[Number, Field(ge=0)] = Decimal(0)
    min_dwell_days: Annotated[int, Field(ge=0)] = 0
    spend_change: Annotated[Number, Field(ge=0)] | None = None
    idle_months: Annotated[int, Field(ge=0)] | None = None
    review: Review = "none"


class SchemeFile(_Part):
    """One way of tiering: who it is for, what is weighed, and which tier follows."""

    label_en: Name
    label_zh: Name
    description: Name
    kind: Kind
    population: Population
    dimensions: Annotated[dict[str, Dimension], Field(min_length=1)]
    tiers: dict[str, Tier] = Field(default_factory=dict)
    conditions: list[Choice] | None = None
    least_coverage: Weight | None = None
    stability: Stability | None = None

    @model_validator(mode="after")
    def _has_tiers(self) -> Self:
        if not self.tiers and self.kind != "axes":
            raise ValueError("the scheme has no tiers")
        return self
