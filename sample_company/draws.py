"""Counter-based random numbers: every value is a pure function of (seed, stream, entity, counter).

A stateful generator would have to be replayed in the same order to give the same company. Hashing the
coordinates of a value instead lets any range of days, cut into any chunks, be computed on its own and still
agree with a run that computed everything at once.
"""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_COUNTER = 0xD1342543DE82EF95
_M1 = 0xBF58476D1CE4E5B9
_M2 = 0x94D049BB133111EB


def _mix_scalar(x: int) -> int:
    x ^= x >> 30
    x = (x * _M1) & _MASK
    x ^= x >> 27
    x = (x * _M2) & _MASK
    return x ^ (x >> 31)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x ^ (x >> np.uint64(30))
    x *= np.uint64(_M1)
    x ^= x >> np.uint64(27)
    x *= np.uint64(_M2)
    x ^= x >> np.uint64(31)
    return x


class Draws:
    """Random values addressed by a stream name, entity numbers and optional counters of the same length."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._bases: dict[str, int] = {}

    def _base(self, stream: str) -> int:
        base = self._bases.get(stream)
        if base is None:
            base = _mix_scalar((_mix_scalar(self.seed & _MASK) + zlib.crc32(stream.encode()) * _GOLDEN) & _MASK)
            self._bases[stream] = base
        return base

    def uniform(self, stream: str, ids: NDArray[Any], counters: NDArray[Any] | None = None) -> Floats:
        """Uniform values in [0, 1), one per id (and counter)."""
        x = np.asarray(ids).astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(self._base(stream))
        x = _mix(x)
        if counters is not None:
            x = _mix(x + np.asarray(counters).astype(np.uint64) * np.uint64(_COUNTER))
        return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def below(self, stream: str, n: int, ids: NDArray[Any], counters: NDArray[Any] | None = None) -> Ints:
        """Whole numbers in 0..n-1."""
        return (self.uniform(stream, ids, counters) * n).astype(np.int64)

    def normal(self, stream: str, ids: NDArray[Any], counters: NDArray[Any] | None = None) -> Floats:
        """Standard normal values, rounded so that a last-bit difference of log/cos cannot change a cent."""
        u1 = self.uniform(stream + ".r", ids, counters)
        u2 = self.uniform(stream + ".a", ids, counters)
        return np.round(np.sqrt(-2.0 * np.log(1.0 - u1)) * np.cos(2.0 * np.pi * u2), 6)

    def flag(self, stream: str, share: float, ids: NDArray[Any], counters: NDArray[Any] | None = None) -> Bools:
        """True for about `share` of the ids."""
        return self.uniform(stream, ids, counters) < share


def exp6(x: Floats) -> Floats:
    """exp(x) rounded to 6 decimals, for the same reason as in `Draws.normal`."""
    return np.exp(x).round(6)


def pick(table: list[str], index: Ints) -> list[str]:
    """The table entries at `index`, as a list."""
    picked: list[str] = np.array(table, dtype=object)[index].tolist()
    return picked


def choose(u: Floats, weights: list[float]) -> Ints:
    """Turn uniform values into category numbers with the given weights (which sum to about 1)."""
    edges = np.cumsum(weights)[:-1]
    return np.searchsorted(edges, u, side="right").astype(np.int64)


def slots(
    draws: Draws,
    stream: str,
    ids: Ints,
    period: Floats,
    origin: int,
    *,
    lo: int,
    hi: int,
    phase: Floats | None = None,
    spread: float = 1.0,
) -> tuple[Ints, Ints, Ints]:
    """Events that recur about every `period` days, restricted to the days lo..hi (ordinals, inclusive).

    Event k of an entity falls at (k + phase + spread * u) periods after `origin`, so no earlier event has to
    be known. Returns (position in ids, k, day ordinal).
    """
    if hi < lo or len(ids) == 0:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, empty
    first = np.maximum(0, np.floor((lo - origin) / period).astype(np.int64) - 2)
    last = np.floor((hi + 1 - origin) / period).astype(np.int64)
    counts = np.maximum(0, last - first + 1)
    position = np.repeat(np.arange(len(ids), dtype=np.int64), counts)
    starts = np.cumsum(counts) - counts
    k = np.arange(len(position), dtype=np.int64) - np.repeat(starts, counts) + np.repeat(first, counts)
    where = draws.uniform(stream, ids[position], k) * spread
    if phase is not None:
        where = where + phase[position]
    day = origin + np.floor((k + where) * period[position]).astype(np.int64)
    keep = (day >= lo) & (day <= hi)
    return position[keep], k[keep], day[keep]
