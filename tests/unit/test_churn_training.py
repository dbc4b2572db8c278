"""Training of churn models: split by time, calibration, champion and challenger, refusals, the card."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from customer_tiering.churn.logistic import LogisticModel
from customer_tiering.churn.metrics import measure
from customer_tiering.churn.steps import train_and_judge
from customer_tiering.churn.store import CARD, CARD_TEXT, NUMBERS, champion, land_churn_model, latest_card, promote
from customer_tiering.churn.table import Feature, TrainingTable, split_by_time
from customer_tiering.churn.training import Limits, Training, train
from customer_tiering.churn.training_set import ABOUT, TABLE, past_cutoffs
from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.errors import TieringError, TrainingRefused
from customer_tiering.warehouse.connection import warehouse_schema

LIMITS = Limits(horizon_days=90, min_customers=50, min_events=10)
FEATURES = (
    Feature("recency_days", "log", "days since the last order", "距最近下单天数"),
    Feature("rhythm_ratio", "log", "rhythm", "节奏"),
    Feature("complaints_90d", "none", "complaints", "投诉"),
    Feature("tickets_90d", "none", "tickets", "工单"),  # always missing
    Feature("open_tickets", "none", "open tickets", "未解决"),  # always the same
)
FIRST = date(2025, 1, 31)


def table(customers: int = 400, cutoffs: int = 8, seed: int = 1, noise: bool = False) -> TrainingTable:
    """Customers whose churn depends on recency, complaints and rhythm; with ``noise`` on nothing."""
    draws = np.random.default_rng(seed)
    n = customers * cutoffs
    recency, rhythm = draws.exponential(40, n), draws.exponential(1, n)
    complaints = draws.poisson(0.5, n).astype(float)
    odds = -4 + 0.8 * np.log(1 + recency) + 1.2 * complaints + 0.8 * np.log(1 + rhythm)
    if noise:
        odds = np.full(n, -0.5)
    values = np.column_stack([recency, rhythm, complaints, np.full(n, np.nan), np.ones(n)])
    values[draws.random((n, 5)) < 0.1] = np.nan
    values[:, 4] = 1
    days = np.repeat(
        np.array([FIRST + timedelta(days=30 * number) for number in range(cutoffs)], dtype="datetime64[D]"), customers
    )
    names = np.tile(np.array([f"c{number:04d}" for number in range(customers)]), cutoffs)
    return TrainingTable(FEATURES, names, days, values, draws.random(n) < 1 / (1 + np.exp(-odds)))


@pytest.fixture(scope="module")
def training() -> Training:
    return train(table(), LIMITS)


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    return load_profile("sample")


def prepared(profile: Profile, rows: TrainingTable, name: str, **settings: str) -> Path:
    """A folder as ``prepare`` leaves it."""
    folder = profile.workspace.models / name
    folder.mkdir(parents=True)
    limits = {"churn_horizon_days": "90", "churn_min_customers": "50", "churn_min_events": "10"}
    about = {"profile": profile.name, "night": "2026-03-30", "label": "no order", "settings": limits | settings}
    (folder / ABOUT).write_text(json.dumps(about | {"features": [vars(feature) for feature in FEATURES]}), "utf-8")
    columns = {"customer_id": rows.customers, "as_of_date": rows.cutoffs, "churned": rows.churned}
    columns |= {feature.name: rows.values[:, index] for index, feature in enumerate(FEATURES)}
    with duckdb.connect() as connection:
        import pandas

        frame = pandas.DataFrame(columns)
        connection.register("frame", frame)
        connection.execute(f"copy (select * from frame) to '{folder / TABLE}' (format parquet)")
    return folder


# --- cutoffs and windows ---------------------------------------------------------------------------------------


def test_a_cutoffs_outcome_is_known_on_the_night() -> None:
    days = past_cutoffs(date(2025, 1, 1), date(2025, 12, 31), 90, 30, 12)
    assert days[-1] == date(2025, 10, 2)
    assert days[0] >= date(2025, 1, 31)
    assert {(later - earlier).days for earlier, later in pairwise(days)} == {30}
    assert past_cutoffs(date(2025, 11, 1), date(2025, 12, 31), 90, 30, 12) == []


def test_no_outcome_of_the_training_reaches_into_the_latest_window() -> None:
    trained, judged = split_by_time(table(cutoffs=10), 90)
    assert trained.days()[-1] + timedelta(days=90) <= judged.days()[0]
    assert [len(trained.days()), len(judged.days())] == [6, 2]  # two cutoffs between them are left out
    trained, judged = split_by_time(table(cutoffs=10), 90, train_until=FIRST + timedelta(days=60))
    assert (trained.days()[-1], judged.days()[0]) == (FIRST + timedelta(days=60), FIRST + timedelta(days=150))


def test_a_short_history_is_judged_on_its_last_cutoff_and_a_shorter_one_is_refused() -> None:
    trained, judged = split_by_time(table(cutoffs=6), 90)
    assert [len(trained.days()), len(judged.days())] == [3, 1]
    with pytest.raises(TrainingRefused, match="too little history for a churn model: 3 cutoff"):
        split_by_time(table(cutoffs=3), 90)


# --- the model -------------------------------------------------------------------------------------------------


def test_the_numbers_say_what_scikit_learn_says(training: Training) -> None:
    """The model as numbers, written to JSON and back, gives the library's probabilities."""
    again = LogisticModel.from_json(json.loads(json.dumps(_as_json(training.model))))
    assert again == training.model
    expected = training.fitted.probabilities(training.judged.values)
    assert np.abs(again.probabilities(training.judged) - expected).max() < 1e-12
    assert np.ptp(expected) > 0.5


def _as_json(model: LogisticModel) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(model) | {"trained_until": str(model.trained_until)}


def test_what_is_always_missing_or_always_the_same_is_left_out(training: Training) -> None:
    assert [weight.feature for weight in training.model.weights] == ["recency_days", "rhythm_ratio", "complaints_90d"]
    assert all(weight.coefficient > 0 for weight in training.model.weights)


def test_probabilities_are_calibrated_and_beat_the_baselines(training: Training) -> None:
    logistic = training.results["logistic regression"]
    assert logistic.calibration_error < 0.04
    for name in ("recency only", "own rhythm"):
        assert logistic.auc > training.results[name].auc + 0.02
        assert logistic.brier < training.results[name].brier
    assert logistic.groups[0].lift > 1.6
    assert logistic.groups[-1].lift < 0.6
    assert sum(group.rows for group in logistic.groups) == logistic.rows
    assert training.promoted


def test_metrics_by_hand() -> None:
    """Four rows, two of them with equal probabilities."""
    result = measure(np.array([True, False, True, False]), np.array([0.9, 0.6, 0.6, 0.2]))
    assert result.auc == pytest.approx(0.875)  # one pair of four is a tie
    assert result.brier == pytest.approx((0.01 + 0.36 + 0.16 + 0.04) / 4)
    assert [group.observed for group in result.groups] == [1, 0, 1, 0]
    assert result.groups[0].lift == 2


def test_equal_data_give_an_equal_model(training: Training) -> None:
    assert train(table(), LIMITS).model.version == training.model.version
    assert replace(training.model, intercept=0.1).version != training.model.version


# --- champion and challenger -----------------------------------------------------------------------------------


def test_a_worse_challenger_is_refused_and_the_old_model_stays(profile: Profile) -> None:
    """The challenger has learnt from a year in which complaints meant nothing and recency little."""
    good = train(table(customers=800, seed=5), LIMITS)
    promote(profile.workspace, "first", good.model)
    rows = table(customers=150, seed=7)
    poor = rows.values.copy()
    early = rows.cutoffs < np.datetime64(rows.days()[4])
    poor[early, 2] = np.random.default_rng(3).permutation(poor[early, 2])
    folder = prepared(profile, replace(rows, values=poor), "second")
    result = train_and_judge(profile, folder)
    assert result["promoted"] is False
    assert "no better than those of the model in use" in result["reason"] or "baseline" in result["reason"]
    assert champion(profile.workspace) == good.model
    card = json.loads((folder / CARD).read_text("utf-8"))
    assert card["results"]["champion"]["brier"] < card["results"]["logistic regression"]["brier"]
    assert (folder / NUMBERS).exists()  # it is kept to look at


def test_a_better_challenger_replaces_the_old_model(profile: Profile) -> None:
    weak = replace(train(table(), LIMITS).model, slope=0.2)  # probabilities all near the mean
    promote(profile.workspace, "first", weak)
    result = train_and_judge(profile, prepared(profile, table(seed=2), "second"))
    assert result["promoted"] and "better than the model in use" in result["reason"]
    assert champion(profile.workspace) != weak
    # The same training again is no better than itself.
    again = train_and_judge(profile, prepared(profile, table(seed=2), "third"))
    assert not again["promoted"]


def test_a_model_no_better_than_a_baseline_is_not_promoted(profile: Profile) -> None:
    result = train_and_judge(profile, prepared(profile, table(noise=True), "first"))
    assert not result["promoted"]
    assert "no better than the baseline" in result["reason"]
    assert champion(profile.workspace) is None


# --- refusals and cards ----------------------------------------------------------------------------------------


def test_thirty_customers_are_refused_clearly(profile: Profile) -> None:
    folder = prepared(profile, table(customers=30), "first")
    with pytest.raises(TrainingRefused) as caught:
        train_and_judge(profile, folder)
    assert "too little data for a churn model: 30 customers in the training window, 50 are needed" in str(caught.value)
    assert "rule signals" in caught.value.next_step
    assert champion(profile.workspace) is None
    assert "规则信号" in latest_card(profile.workspace).read_text("utf-8")


def all_stay(rows: TrainingTable) -> TrainingTable:
    return replace(rows, churned=np.zeros(len(rows), dtype=bool))


def all_churn(rows: TrainingTable) -> TrainingTable:
    return replace(rows, churned=np.ones(len(rows), dtype=bool))


@pytest.mark.parametrize(("change", "what"), [(all_stay, "0 customers that churned"), (all_churn, "0 customers that")])
def test_one_outcome_only_is_refused(change: Callable[[TrainingTable], TrainingTable], what: str) -> None:
    with pytest.raises(TrainingRefused, match=what):
        train(change(table()), LIMITS)


def test_the_card_says_what_people_ask(profile: Profile) -> None:
    folder = prepared(profile, table(), "first")
    train_and_judge(profile, folder)
    text = (folder / CARD_TEXT).read_text("utf-8")
    for part in ("AUC", "PR-AUC", "Brier", "lift", "recency only", "own rhythm", "距最近下单天数", "raises the risk"):
        assert part in text
    card = json.loads((folder / CARD).read_text("utf-8"))
    assert card["training_window"]["cutoffs"] == 4
    assert len(card["results"]["logistic regression"]["groups"]) == 10


def test_a_damaged_champion_is_named(profile: Profile) -> None:
    path = profile.workspace.models / "champion.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}", "utf-8")
    with pytest.raises(TieringError, match=r"champion\.json cannot be read"):
        champion(profile.workspace)


def test_landing_replaces_the_model_in_front_of_the_models(profile: Profile, training: Training) -> None:
    with duckdb.connect() as connection:
        connection.execute(warehouse_schema())
        land_churn_model(connection, profile.workspace)
        assert connection.execute("select count(*) from meta.churn_model").fetchone() == (0,)
        for model in (training.model, replace(training.model, slope=0.5)):
            promote(profile.workspace, "any", model)
            land_churn_model(connection, profile.workspace)
            rows = connection.execute("select slope, count(*) from meta.churn_model join meta.churn_model_features "
                                      "using (model_version) group by 1").fetchall()  # fmt: skip
            assert rows == [(model.slope, 3)]
