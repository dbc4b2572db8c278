"""Every scheme computed again from scheme files and indicators, customer by customer, sharing nothing with the engine.

Only clusters are left out. Numbers are exact decimals, but for means and percent ranks, which are doubles everywhere.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

Customer = Mapping[str, Any]
"""``customer_id``, ``customer_kind`` and the value of every indicator; None where it is not known."""
FEW, NEUTRAL = 20, Decimal(60)


def read_schemes(folder: Path) -> dict[str, Any]:
    """Scheme files as they stand, numbers as texts."""
    return {
        path.stem: yaml.load(path.read_text("utf-8"), yaml.BaseLoader)  # noqa: S506 - texts only, no objects
        for path in sorted(folder.glob("*.yml"))
    }


def recompute(
    scheme: Mapping[str, Any], customers: Sequence[Customer]
) -> dict[str, tuple[Decimal | None, Decimal, str]]:
    """Score, coverage and tier of each customer in the scheme's population."""
    return _Scheme(scheme, customers).results()


def _number(text: str) -> Decimal:
    text = text.replace(",", "").strip()
    unit = {"%": Decimal("0.01"), "万": Decimal(10_000), "亿": Decimal(10**8)}.get(text[-1], Decimal(1))
    return Decimal(text.rstrip("%万亿 ")) * unit


def _meets(text: str, value: Decimal) -> bool:
    if text == "others":
        return True
    match = re.fullmatch(r"(>=|<=|>|<)(.+)", text)
    assert match is not None, text
    bound = _number(match[2])
    return {">=": value >= bound, "<=": value <= bound, ">": value > bound, "<": value < bound}[match[1]]


def _first(texts: Mapping[str, str], value: Decimal) -> str:
    """The first key whose edge holds."""
    return next(key for key, text in texts.items() if _meets(text, value))


def _rounded(value: float) -> Decimal:
    return Decimal(math.floor(value * 100 + 0.5)) / 100


class _Scheme:
    def __init__(self, said: Mapping[str, Any], customers: Sequence[Customer]) -> None:
        self.said, self.kind = said, said["kind"]
        self.members = {one["customer_id"]: one for one in customers if self._belongs(one)}
        self.measured = {
            (key, name): {who: self._measure(use, one.get(name)) for who, one in self.members.items()}
            for key, dimension in said["dimensions"].items()
            for name, use in self._uses(dimension).items()
        }

    def _belongs(self, one: Customer) -> bool:
        orders, kind = one["order_frequency"] or 0, one["customer_kind"]
        return {
            "all": True,
            "buyers": orders > 0,
            "repeat_buyers": orders > 1,
            "prospects": orders == 0,
            "businesses": kind == "business" and orders > 0,
            "consumers": kind == "consumer" and orders > 0,
        }[self.said["population"]]

    @staticmethod
    def _uses(dimension: Mapping[str, Any]) -> dict[str, Any]:
        return {dimension["value"]: {}} if "value" in dimension else dimension["indicators"]

    @staticmethod
    def _measure(use: Mapping[str, Any], value: Any) -> Decimal | None:
        if value is None or "scores" not in use:
            return None if value is None else Decimal(value)
        scores = use["scores"]
        if isinstance(value, str):
            return Decimal(scores[value]) if value in scores else None
        return Decimal(next(score for text, score in scores.items() if _meets(text, Decimal(value))))

    def _neutral(self, key: str, name: str, use: Mapping[str, Any]) -> Decimal:
        known = [score for score in self.measured[key, name].values() if score is not None]
        if len(known) < FEW:
            return Decimal(use.get("missing_score", NEUTRAL))
        return _rounded(float(sum(known)) / len(known))

    def _weights(self, dimension: Mapping[str, Any]) -> dict[str, Decimal]:
        return {name: _number(use.get("weight", "1")) for name, use in self._uses(dimension).items()}

    def _dimension_scores(self, key: str, dimension: Mapping[str, Any]) -> dict[str, Decimal | None]:
        uses, weights = self._uses(dimension), self._weights(dimension)
        neutral = {name: self._neutral(key, name, use) for name, use in uses.items() if "scores" in use}
        found: dict[str, Decimal | None] = {}
        for who in self.members:
            counted = {name: self.measured[key, name][who] for name in uses}
            for name, use in uses.items():
                if counted[name] is None and use.get("missing") in ("impute", "neutral"):
                    counted[name] = Decimal(use["missing_score"]) if use["missing"] == "impute" else neutral[name]
            known = {name: score for name, score in counted.items() if score is not None}
            for name, use in uses.items():
                if counted[name] is None and use.get("missing") == "renormalise" and name in neutral:
                    total = sum(score * weights[other] for other, score in known.items())
                    weight = sum(weights[other] for other in known)
                    counted[name] = _rounded(float(total) / float(weight)) if known else neutral[name]
            scores = list(counted.values())
            found[who] = (
                None if None in scores else sum((score or 0) * weights[name] for name, score in counted.items())  # type: ignore[misc]
            )
        return found

    def _levels(
        self, key: str, dimension: Mapping[str, Any], scores: Mapping[str, Decimal | None]
    ) -> dict[str, str | None]:
        if choices := dimension.get("conditions"):
            return {who: self._choice(choices, one) for who, one in self.members.items()}
        texts = dimension["levels"]
        uses = self._uses(dimension)
        own = {
            who: None if all(self.measured[key, name][who] is None for name in uses) else score
            for who, score in scores.items()
        }
        if any(text.startswith("top") for text in texts.values()):
            return self._ranked(texts, own, "value" not in dimension)
        return {who: None if score is None else _first(texts, score) for who, score in own.items()}

    @staticmethod
    def _ranked(
        texts: Mapping[str, str], scores: Mapping[str, Decimal | None], shared: bool = False
    ) -> dict[str, str | None]:
        """Levels by place; where they are ``shared``, who has the same score has the same level."""
        order = sorted((-score, who) for who, score in scores.items() if score is not None)
        ends = {
            key: len(order) if text == "others" else math.ceil(len(order) * _number(text.removeprefix("top")))
            for key, text in texts.items()
        }
        levels: dict[str, str | None] = dict.fromkeys(scores)
        best: dict[Decimal, int] = {}
        for place, (score, who) in enumerate(order, start=1):
            counted = best.setdefault(score, place) if shared else place
            levels[who] = next(key for key, end in ends.items() if counted <= end)
        return levels

    @staticmethod
    def _choice(choices: Sequence[Mapping[str, Any]], one: Customer) -> str | None:
        def holds(text: str) -> bool:
            name, operator, *rest = text.split(maxsplit=2)
            value, asked = one.get(name), rest[0] if rest else ""
            if operator == "missing":
                return value is None
            if value is None:
                return False
            if operator == "in":
                return value in [part.strip() for part in asked.split(",")]
            if operator in ("=", "<>"):
                same = value == asked if isinstance(value, str) else Decimal(value) == _number(asked)
                return same if operator == "=" else not same
            return _meets(f"{operator} {asked}", Decimal(value))

        return next((choice["tier"] for choice in choices if all(map(holds, choice.get("if", [])))), None)

    def results(self) -> dict[str, tuple[Decimal | None, Decimal, str]]:
        dimensions = self.said["dimensions"]
        weights = {key: _number(dimension.get("weight", "1")) for key, dimension in dimensions.items()}
        scores = {key: self._dimension_scores(key, dimension) for key, dimension in dimensions.items()}
        tiers, totals = self._tiers(scores, weights)
        least = _number(self.said["least_coverage"]) if "least_coverage" in self.said else Decimal(0)
        found = {}
        for who in self.members:
            shares = [
                (weights[key] * weight, self.measured[key, name][who] is not None)
                for key, dimension in dimensions.items()
                for name, weight in self._weights(dimension).items()
            ]
            coverage = sum(share for share, known in shares if known) / sum(share for share, _ in shares)
            tier = tiers[who](coverage) if callable(tiers[who]) else tiers[who]
            found[who] = (totals[who], Decimal(coverage), "pending" if coverage < least or tier is None else tier)
        return found

    def _tiers(self, scores: Mapping[str, Mapping[str, Decimal | None]], weights: Mapping[str, Decimal]) -> Any:
        said, (first, *others) = self.said, self.said["dimensions"]
        nothing: dict[str, Decimal | None] = dict.fromkeys(self.members)
        if self.kind in ("weighted", "bands"):
            totals = {
                who: None
                if any(scores[key][who] is None for key in scores)
                else sum((scores[key][who] or 0) * weights[key] for key in scores)
                for who in self.members
            }
            return {who: self._of_score(total, self.members[who]) for who, total in totals.items()}, totals
        if self.kind == "rank":
            when = {key: tier["when"] for key, tier in said["tiers"].items()}
            return self._ranked(when, scores[first], "value" not in said["dimensions"][first]), scores[first]
        if self.kind == "rules":
            return {who: self._choice(said["conditions"], one) for who, one in self.members.items()}, nothing
        levels = {key: self._levels(key, said["dimensions"][key], scores[key]) for key in said["dimensions"]}
        if self.kind == "axes":
            return {
                who: "/".join(parts)  # type: ignore[arg-type]
                if None not in (parts := [levels[key][who] for key in sorted(levels)])
                else None
                for who in self.members
            }, nothing
        pairs = {(tier["when"][first], tier["when"][others[0]]): key for key, tier in said["tiers"].items()}
        tiers = {who: pairs.get((levels[first][who], levels[others[0]][who])) for who in self.members}
        places = {key: self._places(said["dimensions"][key], scores[key]) for key in scores}
        return tiers, {
            who: Decimal(str(round(sum(places[key][who] * float(weights[key]) for key in scores), 6))) if tier else None
            for who, tier in tiers.items()
        }

    def _of_score(self, total: Decimal | None, one: Customer) -> Any:
        """The tier, once the coverage is known: the best one reached whose needs are met."""
        tiers = self.said["tiers"]
        when = {key: tier["when"] for key, tier in tiers.items()}
        if total is None:
            return None
        keys = list(tiers)
        reached = keys[keys.index(_first(when, total)) :]

        def tier(coverage: Decimal) -> str:
            def met(key: str) -> bool:
                for name, text in tiers[key].get("needs", {}).items():
                    value = coverage if name == "coverage" else one.get(name)
                    if value is not None and not _meets(text, Decimal(value)):
                        return False
                return True

            return next(key for key in reached if met(key))

        return tier

    @staticmethod
    def _places(dimension: Mapping[str, Any], scores: Mapping[str, Decimal | None]) -> dict[str, float]:
        """Scores as they are, values by their percent rank."""
        if "value" not in dimension:
            return {who: float(score) if score is not None else 0.0 for who, score in scores.items()}
        counts = Counter(score for score in scores.values() if score is not None)
        below, place = 0, {}
        for value in sorted(counts):
            place[value] = 100 * (below / max(sum(counts.values()) - 1, 1))
            below += counts[value]
        return {who: place[score] if score is not None else 0.0 for who, score in scores.items()}
