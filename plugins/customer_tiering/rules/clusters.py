"""Groups of similar customers by k-means, ranked by the mean of their leading indicator.

Arrays are customers x indicators, in any order of customers: the same customers always get the same groups.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import ClusterError, kmeans2

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# k-means finds the best groups near where it starts: several starts, always the same, and the tightest result.
_STARTS = 10
_ROUNDS, _ROUND_STEPS = 15, 20
_DIGITS = 6


def rank_clusters(
    values: Floats, weights: Floats, clusters: int, logarithmic: bool, before: Integers | None = None
) -> Integers:
    """The group of each customer: 1 for the group with the highest mean of the heaviest indicator, and so on.

    ``before`` are the groups of the night before (0: none): the search starts from these, so that groups move only with
    the customers. Without them, or where one has nobody left, it starts afresh.

    ``values`` has nan where an indicator is left out, ``weights`` sum to 1. Groups are found among customers that
    have every indicator which anybody has; the others join the nearest group by what they have. 0 means no group:
    the customer has nothing to compare, or fewer different customers than ``clusters`` can be told apart.
    """
    none = np.zeros(len(values), dtype=np.int64)
    leading = int(np.argmax(weights))
    present = ~np.isnan(values)
    if not present[:, leading].any():
        return none
    has_some = present.any(axis=0)
    scaled = values[:, has_some]
    if logarithmic:
        scaled = np.sign(scaled) * np.log1p(np.abs(scaled))
    points = _standardised(scaled, weights[has_some])
    whole = ~np.isnan(points).any(axis=1)
    complete = points[whole]
    if len(np.unique(complete, axis=0)) < clusters:
        return none
    centres = None if before is None else _continued(points[whole], before[whole], clusters)
    if centres is None:
        centres = _centres(complete, clusters)
    if centres is None:
        return none
    nearest = _nearest(points, centres)
    means = []
    for cluster in range(clusters):
        members = values[nearest == cluster, leading]
        members = members[~np.isnan(members)]
        means.append((-math.fsum(members) / len(members), tuple(centres[cluster])))
    ranks = np.empty(clusters, dtype=np.int64)
    ranks[sorted(range(clusters), key=means.__getitem__)] = np.arange(1, clusters + 1)
    return np.where(present.any(axis=1), ranks[nearest], none)


def _standardised(scaled: Floats, weights: Floats) -> Floats:
    """Mean 0 and deviation 1 over the complete customers, times the root of the weight: squared distances are
    weighted. Rounded, so that noise of the last digits separates nobody; an indicator with one value says nothing.
    """
    complete = scaled[~np.isnan(scaled).any(axis=1)]
    if not len(complete):
        return np.full_like(scaled, np.nan)
    ordered = complete[np.lexsort(complete.T)]
    spread = ordered.std(axis=0)
    tiny = spread <= 1e-9 * np.maximum(1.0, np.abs(ordered).max(axis=0))
    standard = np.where(tiny, 0.0, (scaled - ordered.mean(axis=0)) / np.where(tiny, 1.0, spread))
    rounded: Floats = np.round(np.where(np.isnan(scaled), np.nan, standard) * np.sqrt(weights), _DIGITS)
    return rounded + 0.0  # no negative zeros


def _centres(points: Floats, clusters: int) -> Floats | None:
    """Centres of the tightest groups over all starts; nothing when a group ran empty from every start."""
    ordered = points[np.lexsort(points.T)]
    best: tuple[float, Floats] | None = None
    for centres in _settled(ordered, clusters):
        distances = _distances(ordered, centres).min(axis=1)
        tightness = round(math.fsum(distances), _DIGITS)
        if best is None or tightness < best[0]:
            best = tightness, centres
    return best[1] if best else None


def _settled(points: Floats, clusters: int) -> Iterator[Floats]:
    """Centres that k-means settles on, from each start in turn."""
    for start in range(_STARTS):
        try:
            centres, _ = kmeans2(points, clusters, iter=_ROUND_STEPS, minit="++", missing="raise", rng=start)
        except ClusterError:
            continue
        if (settled := _settle(points, centres)) is not None:
            yield settled


def _continued(points: Floats, groups: Integers, clusters: int) -> Floats | None:
    """The means of the groups of the night before: one step of k-means a night, so centres drift and never jump."""
    if len(np.unique(groups[groups > 0])) < clusters:
        return None
    order = np.lexsort(points.T)
    points, groups = points[order], groups[order]
    means = np.array([points[groups == group].mean(axis=0) for group in range(1, clusters + 1)])
    return means if len(np.unique(_nearest(points, means))) == clusters else None


def _settle(points: Floats, centres: Floats) -> Floats | None:
    try:
        for _ in range(_ROUNDS):
            before = centres
            centres, _ = kmeans2(points, before, iter=_ROUND_STEPS, minit="matrix", missing="raise")
            if np.array_equal(centres, before):
                break
    except ClusterError:
        return None
    # A centre that rounding leaves without a customer would be a tier of nobody.
    return centres if len(np.unique(_nearest(points, centres))) == len(centres) else None


def _nearest(points: Floats, centres: Floats) -> Integers:
    return _distances(points, centres).argmin(axis=1)


def _distances(points: Floats, centres: Floats) -> Floats:
    """Squared distances by the indicators that a customer has; rounded, so that a tie is a tie everywhere."""
    squared = (points[:, None, :] - centres[None, :, :]) ** 2
    distances: Floats = np.round(np.nansum(squared, axis=2), 2 * _DIGITS)
    return distances
