"""BG/NBD and Gamma-Gamma against the published figures of the CDNOW data, and on the edges of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_tiering.churn.lifetime import (
    Purchases,
    Spending,
    _growth_by_integral,
    alive_probability,
    expectations,
    expected_purchases,
    expected_value,
    fit_purchases,
    fit_spending,
)

CDNOW = np.genfromtxt(Path(__file__).parents[1] / "data" / "cdnow.csv", delimiter=",", names=True, skip_header=1)
PUBLISHED = Purchases(0.243, 4.414, 0.793, 2.426, -9582.4)  # Fader, Hardie and Lee (2005), table 2


def test_the_purchase_model_finds_the_published_parameters() -> None:
    found = fit_purchases(CDNOW["x"], CDNOW["t_x"], CDNOW["T"])
    assert (found.r, found.alpha, found.a, found.b) == pytest.approx(
        (PUBLISHED.r, PUBLISHED.alpha, PUBLISHED.a, PUBLISHED.b), rel=2e-3
    )
    assert found.log_likelihood == pytest.approx(PUBLISHED.log_likelihood, abs=0.05)


def test_the_spending_model_finds_the_published_parameters() -> None:
    """Fader and Hardie (2013): p 6.25, q 3.74, v 15.44 on the 946 customers with a repeat purchase."""
    repeaters = CDNOW["x"] > 0
    assert repeaters.sum() == 946
    found = fit_spending(CDNOW["x"][repeaters], CDNOW["zbar"][repeaters])
    assert (found.p, found.q, found.v) == pytest.approx((6.25, 3.74, 15.44), rel=2e-2)


def test_the_published_expectation_of_a_customer() -> None:
    """x 2, t_x 30.43, T 38.86: 1.226 purchases in the next 39 weeks (their note on the Excel sheet)."""
    one = expected_purchases(PUBLISHED, np.array([2.0]), np.array([30.43]), np.array([38.86]), 39.0)
    assert one[0] == pytest.approx(1.226, abs=5e-4)


def test_a_purchase_value_lies_between_the_own_mean_and_that_of_all() -> None:
    model = Spending(6.25, 3.74, 15.44, 0)
    of_all = model.p * model.v / (model.q - 1)
    values = expected_value(model, np.array([0.0, 1, 100, 3]), np.array([0.0, 100, 100, -5]))
    assert values[0] == values[3] == pytest.approx(of_all)
    assert of_all < values[1] < values[2] < 100


numbers = st.floats(1e-3, 50)


@pytest.mark.parametrize("x", [0, 1, 5, 30])
def test_the_formula_and_the_integral_agree(x: int) -> None:
    arrays = (np.array([float(x)]), np.array([60.0 if x else 0.0]), np.array([70.0]))
    by_formula = expected_purchases(PUBLISHED, *arrays, 26.0)
    alive = alive_probability(PUBLISHED, *arrays)
    by_integral = alive * _growth_by_integral(PUBLISHED, arrays[0], arrays[2], 26.0)
    assert by_integral == pytest.approx(by_formula, rel=1e-4)


@settings(max_examples=300, deadline=None)
@given(
    st.builds(Purchases, numbers, numbers, numbers, numbers, st.just(0.0)),
    st.integers(0, 2000),
    st.floats(0, 1),
    st.floats(0, 600),
    st.floats(0.1, 520),
)
def test_nothing_is_negative_or_no_number(model: Purchases, x: int, part: float, age: float, horizon: float) -> None:
    arrays = (np.array([float(x)]), np.array([part * age if x else 0.0]), np.array([age]))
    expected = expected_purchases(model, *arrays, horizon)
    alive = alive_probability(model, *arrays)
    assert np.isfinite(expected).all() and (expected >= 0).all()
    assert ((alive >= 0) & (alive <= 1)).all()
    assert expected_purchases(model, *arrays, horizon + 10)[0] >= expected[0] * (1 - 1e-4)


def test_too_few_repeat_buyers_have_no_model() -> None:
    x = np.array([0.0] * 500 + [1.0] * 9)
    ages = np.full(509, 50.0)
    assert expectations(x, x * 20, ages, np.full(509, 10.0), 52, 10) is None


def test_losses_and_buyers_of_one_day_are_expected_too() -> None:
    draws = np.random.default_rng(2)
    x = draws.poisson(2, 400).astype(float)
    ages = draws.uniform(0, 80, 400)
    value = draws.normal(50, 60, 400)
    found = expectations(x, np.where(x > 0, ages * draws.random(400), 0), ages, value, 52, 50)
    assert found is not None
    for name in ("alive_probability", "expected_orders", "expected_order_value"):
        assert np.isfinite(found[name]).all() and (found[name] >= 0).all()
