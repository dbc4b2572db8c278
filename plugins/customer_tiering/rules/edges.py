"""How a scheme file says where a band, a tier or a condition begins: ``>= 90``, ``top 20 %``, ``company_size in …``.

Bands are read from the first to the last, and the first that holds counts; ``others`` takes what remains. So there is
no gap and no overlap, and an edge belongs to the band that names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

OTHERS = "others"
_NUMBER = r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?\s*[%万亿]?"
_UNITS = {"%": Decimal("0.01"), "万": Decimal(10_000), "亿": Decimal(100_000_000)}
_OPERATORS = {"≥": ">=", "≤": "<=", "≠": "<>", "!=": "<>", "==": "="}
_EDGE = re.compile(rf"(>=|<=|>|<|≥|≤)\s*({_NUMBER})", re.ASCII)
_TOP = re.compile(rf"top\s+({_NUMBER})", re.ASCII)
_CONDITION = re.compile(r"(\w+)\s+(?:(missing)|(in)\s+(.+)|(>=|<=|<>|>|<|=|≥|≤|≠|!=|==)\s*(.+))")


@dataclass(frozen=True)
class Edge:
    """A side of an axis: ``operator`` is >=, >, <= or <; nothing at all takes the rest."""

    operator: str
    bound: Decimal


@dataclass(frozen=True)
class Band:
    """An interval; a side without a bound is open."""

    lower: Decimal | None
    upper: Decimal | None
    lower_included: bool
    upper_included: bool

    def holds(self, value: Decimal) -> bool:
        above = self.lower is None or value > self.lower or (self.lower_included and value == self.lower)
        return above and (self.upper is None or value < self.upper or (self.upper_included and value == self.upper))


def number(text: str) -> Decimal:
    """A number as people write it: 0.4, 40 %, 1,000, 500万. Raises ``ValueError``."""
    if not re.fullmatch(_NUMBER, text.strip(), re.ASCII):
        raise ValueError(f"{text!r} is no number; write one such as 0.4, 40 %, 1000 or 500万")
    digits = text.strip()
    unit = _UNITS.get(digits[-1], Decimal(1))
    return Decimal(digits.rstrip("%万亿 ").replace(",", "")) * unit


def plain(value: Decimal) -> str:
    """A number without a needless zero: 0.4, 10000000."""
    return f"{value.normalize():f}"


def percent(share: Decimal) -> str:
    return f"{plain(share * 100)} %"


def shown(bound: Decimal, is_share: bool) -> str:
    """A bound as a scheme file writes it: 15 %, 500, 10,000."""
    return percent(bound) if is_share else plain(bound) if abs(bound) < 10_000 else f"{bound.normalize():,f}"


def edge(text: str) -> Edge:
    """``>= 90``, ``< 5 %``. Raises ``ValueError``."""
    match = _EDGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no edge; write >=, >, <= or < and a number, or {OTHERS}")
    return Edge(_OPERATORS.get(match[1], match[1]), number(match[2]))


def bands(texts: Sequence[str]) -> list[Band]:
    """The bands that the edges make, in their order. Raises ``ValueError``, naming the text that is wrong."""
    if not texts or texts[-1].strip() != OTHERS:
        raise ValueError(f"the last of the bands is {OTHERS}: what no band above takes")
    edges = [edge(text) for text in texts[:-1]]
    if len({one.operator[0] for one in edges}) > 1:
        raise ValueError(f"{', '.join(texts[:-1])}: the edges of one axis are all from below (>=, >) or all from above")
    found = []
    for place, one in enumerate(edges):
        before = edges[place - 1] if place else None
        from_below = one.operator[0] == ">"
        if before and (before.bound <= one.bound if from_below else before.bound >= one.bound):
            raise ValueError(
                f"{texts[place]} comes after {texts[place - 1]}, so it takes nobody: bands are read from the first on"
            )
        included, rest = one.operator.endswith("="), before is not None and not before.operator.endswith("=")
        limit = before.bound if before else None
        found.append(Band(one.bound, limit, included, rest) if from_below else Band(limit, one.bound, rest, included))
    if not edges:
        return [Band(None, None, False, False)]
    last = edges[-1]
    rest = not last.operator.endswith("=")
    found.append(
        Band(None, last.bound, False, rest) if last.operator[0] == ">" else Band(last.bound, None, rest, False)
    )
    return found


def texts_of(rows: Sequence[Band], is_share: bool = False) -> list[str]:
    """The edges of bands that cover an axis in the order given: the reverse of ``bands``."""
    if len(rows) == 1:
        return [OTHERS]
    from_below = rows[0].upper is None
    edges = []
    for band in rows[:-1]:
        bound, included = (band.lower, band.lower_included) if from_below else (band.upper, band.upper_included)
        if bound is None:
            raise ValueError("the bands are not in the order of their axis")
        edges.append(f"{'>' if from_below else '<'}{'=' if included else ''} {shown(bound, is_share)}")
    return [*edges, OTHERS]


def shares(texts: Sequence[str]) -> list[Decimal]:
    """The cumulative shares that ``top 1 %``, ``top 20 %``, ``others`` mean. Raises ``ValueError``."""
    if not texts or texts[-1].strip() != OTHERS:
        raise ValueError(f"the last of the ranks is {OTHERS}: who comes after all others")
    found: list[Decimal] = []
    for text in texts[:-1]:
        match = _TOP.fullmatch(text.strip())
        if match is None:
            raise ValueError(
                f"{text!r} is no rank; write top and a share of the customers such as top 20 %, or {OTHERS}"
            )
        share = number(match[1])
        if not (found[-1] if found else 0) < share < 1:
            raise ValueError(
                f"{text}: the shares count from the best customer on, each more than the one before, less than 100 %"
            )
        found.append(share)
    return [*found, Decimal(1)]


@dataclass(frozen=True)
class Condition:
    """What an indicator has to be: ``operator`` with a number or a name, ``in`` with names, or ``missing``."""

    indicator: str
    operator: str
    values: tuple[str, ...] = ()


def condition(text: str) -> Condition:
    """``recency_days <= 90``, ``company_size in 大型, 中型``, ``csat missing``. Raises ``ValueError``."""
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is no condition; write an indicator and then >=, >, <=, <, =, <> with a value, in with names, "
            "or missing"
        )
    indicator, missing, within, names, operator, value = match.groups()
    if missing:
        return Condition(indicator, "missing")
    if within:
        listed = tuple(name.strip() for name in re.split(r"[,，、|]", names))
        if not all(listed):
            raise ValueError(f"{text!r}: a name is empty; write in and names with a comma between them")
        return Condition(indicator, "in", listed)
    try:
        value = plain(number(value))
    except ValueError:
        value = value.strip()
    return Condition(indicator, _OPERATORS.get(operator, operator), (value,))
