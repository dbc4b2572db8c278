"""Customer lifetime value by probability: BG/NBD for how often, Gamma-Gamma for how much.

BG/NBD: Fader, Hardie and Lee, "Counting your customers the easy way", Marketing Science 24 (2005). Gamma-Gamma: Fader
and Hardie, "The Gamma-Gamma model of monetary value" (2013). The fits are checked against the parameters that these
papers publish for the CDNOW data. Times are in weeks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaincinv, betaln, gammaln, hyp2f1

Floats = NDArray[np.float64]
_MOST_FITTED = 20_000  # more customers do not move the parameters
# A penalty on extreme parameters: without churners or repeaters the likelihood has no maximum.
_PENALTY = 1e-3
_CLOSE = 1e-6
_NODES = 96


@dataclass(frozen=True)
class Purchases:
    """BG/NBD: purchase rates are gamma(r, alpha), the chance of leaving after a purchase is beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float


@dataclass(frozen=True)
class Spending:
    """Gamma-Gamma: a purchase's value is gamma(p, nu), nu is gamma(q, v); q is above 1, so that the mean exists."""

    p: float
    q: float
    v: float
    log_likelihood: float


def fit_purchases(repeats: Floats, last: Floats, age: Floats, penalty: float = _PENALTY) -> Purchases:
    """From repeat purchases, time of the last one and age, both since the first purchase. Equal rows are counted."""
    rows, counts = np.unique(np.column_stack([repeats, last, age]), axis=0, return_counts=True)
    x, t_x, t = rows.T
    scale = max(float(age.max()), 1e-9) / 10  # keeps alpha near the other parameters
    t_x, t = t_x / scale, t / scale
    total = counts.sum()

    def loss(logs: Floats) -> float:
        r, alpha, a, b = np.exp(logs)
        return float(
            -(counts * _purchase_likelihood(r, alpha, a, b, x, t_x, t)).sum() / total
            + penalty * (np.exp(2 * np.clip(logs, -10, 10)).sum()) / total
        )

    best = min(
        (minimize(loss, start, method="L-BFGS-B", bounds=[(-8, 8)] * 4) for start in (np.zeros(4), np.full(4, 0.7))),
        key=lambda found: found.fun,
    )
    r, alpha, a, b = np.exp(best.x)
    likelihood = float(
        (counts * _purchase_likelihood(r, alpha, a, b, x, t_x, t)).sum() - (x * counts).sum() * np.log(scale)
    )
    return Purchases(float(r), float(alpha * scale), float(a), float(b), likelihood)


def _purchase_likelihood(r: float, alpha: float, a: float, b: float, x: Floats, t_x: Floats, t: Floats) -> Floats:
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    alive = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + t)
    with np.errstate(divide="ignore"):
        left = np.where(
            x > 0,
            betaln(a + 1, b + np.maximum(x, 1) - 1) - betaln(a, b) - (r + x) * np.log(alpha + t_x),
            -np.inf,
        )
    return np.asarray(common + np.logaddexp(alive, left))


def expected_purchases(model: Purchases, repeats: Floats, last: Floats, age: Floats, horizon: float) -> Floats:
    """Purchases expected in the next ``horizon`` weeks; never negative, never NaN.

    The paper's formula after Euler's transformation of 2F1, which does not overflow for frequent buyers.
    """
    r, alpha, b = model.r, model.alpha, model.b
    a = model.a if abs(model.a - 1) > 1e-6 else 1 + 1e-6  # the formula divides by a - 1; its limit is finite
    x = repeats
    ratio = (alpha + age) / (alpha + age + horizon)
    z = horizon / (alpha + age + horizon)
    with np.errstate(all="ignore"):
        series = hyp2f1(a + b - 1 - r, a - 1, a + b + x - 1, z)
        growth = (a + b + x - 1) / (a - 1) * (1 - ratio ** (a - 1) * series)
    # The library's 2F1 fails for some arguments (frequent buyers, long horizons): there the integral itself.
    least, most = _bounds(model, x, age, horizon)
    failed = ~((growth >= least * (1 - _CLOSE)) & (growth <= most * (1 + _CLOSE)))
    if failed.any():
        growth[failed] = _growth_by_integral(model, x[failed], age[failed], horizon)
    return np.asarray(growth * alive_probability(model, repeats, last, age))


def _bounds(model: Purchases, x: Floats, age: Floats, horizon: float) -> tuple[Floats, Floats]:
    """Purchases expected of a living customer: fewer than if nobody left, more than if the chance were its mean."""
    rate = (model.r + x) / (model.alpha + age)
    leaving = model.a / (model.a + model.b + x)
    least = (1 - (1 + leaving * horizon / (model.alpha + age)) ** -(model.r + x)) / leaving
    return np.asarray(least), np.asarray(rate * horizon)


def _growth_by_integral(model: Purchases, x: Floats, age: Floats, horizon: float) -> Floats:
    """Mean of (1 - (1 + p t / (alpha + T)) ** -(r + x)) / p over p, which is beta(a, b + x); by Gauss-Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    leaving = betaincinv(model.a, (model.b + x)[:, None], (nodes + 1) / 2)
    leaving = np.maximum(leaving, 1e-12)
    shrinks = leaving * horizon / (model.alpha + age)[:, None]
    values = -np.expm1(-(model.r + x)[:, None] * np.log1p(shrinks)) / leaving
    return np.asarray((values * weights).sum(axis=1) / 2)


def alive_probability(model: Purchases, repeats: Floats, last: Floats, age: Floats) -> Floats:
    """Chance that the customer has not left; 1 without a repeat purchase, after which alone a customer can leave."""
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    x = np.maximum(repeats, 1)
    with np.errstate(over="ignore"):
        odds = a / (b + x - 1) * np.exp((r + x) * (np.log(alpha + age) - np.log(alpha + last)))
    return np.asarray(np.where(repeats > 0, 1 / (1 + odds), 1.0))


def fit_spending(repeats: Floats, mean_value: Floats, penalty: float = _PENALTY) -> Spending:
    """From customers with repeat purchases and a positive mean value of a purchase."""
    scale = float(mean_value.mean())
    x, m = repeats, mean_value / scale

    def likelihood(p: float, q: float, v: float) -> float:
        return float(
            (
                gammaln(p * x + q)
                - gammaln(p * x)
                - gammaln(q)
                + q * np.log(v)
                + (p * x - 1) * np.log(m)
                + p * x * np.log(x)
                - (p * x + q) * np.log(x * m + v)
            ).sum()
        )

    def loss(logs: Floats) -> float:
        p, q, v = np.exp(logs[0]), 1 + np.exp(logs[1]), np.exp(logs[2])
        return -likelihood(p, q, v) / len(x) + penalty * float(np.exp(2 * np.clip(logs, -10, 10)).sum()) / len(x)

    best = min(
        (minimize(loss, start, method="L-BFGS-B", bounds=[(-8, 8)] * 3) for start in (np.zeros(3), np.full(3, 1.0))),
        key=lambda found: found.fun,
    )
    p, q, v = float(np.exp(best.x[0])), float(1 + np.exp(best.x[1])), float(np.exp(best.x[2]))
    return Spending(p, q, v * scale, likelihood(p, q, v) - len(x) * float(np.log(scale)))


def expected_value(model: Spending, repeats: Floats, mean_value: Floats) -> Floats:
    """Expected value of a purchase: the own mean drawn towards that of all; without a known one, that of all."""
    own = np.where((repeats > 0) & (mean_value > 0), repeats, 0)
    value = np.where(own > 0, mean_value, 0.0)
    return np.asarray(model.p * (model.v + own * value) / (model.p * own + model.q - 1))


def expectations(
    repeats: Floats, last: Floats, age: Floats, mean_value: Floats, horizon: float, min_customers: int
) -> dict[str, Any] | None:
    """Fit both models and say what they expect of each customer; None below ``min_customers`` repeat buyers with spend.

    Weeks throughout. Very many customers are fitted on every n-th of them, in the order given.
    """
    usable = (repeats > 0) & (mean_value > 0)
    if usable.sum() < min_customers:
        return None
    step = -(-len(repeats) // _MOST_FITTED)
    some = slice(None, None, step)
    purchases = fit_purchases(repeats[some], last[some], age[some])
    valued = usable[some]
    spending = fit_spending(repeats[some][valued], mean_value[some][valued])
    return {
        "fitted_customers": len(repeats[some]),
        "alive_probability": alive_probability(purchases, repeats, last, age),
        "expected_orders": expected_purchases(purchases, repeats, last, age, horizon),
        "expected_order_value": expected_value(spending, repeats, mean_value),
        **{f"bgnbd_{name}": value for name, value in asdict(purchases).items()},
        **{f"gamma_{name}": value for name, value in asdict(spending).items()},
    }
