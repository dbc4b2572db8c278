"""Churn and opportunities from raw source rows to published marts: three nights and a training of one small company."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from customer_tiering.churn.logistic import LogisticModel, Weight
from customer_tiering.churn.steps import new_training, prepare, train_and_judge
from customer_tiering.churn.store import champion, promote
from customer_tiering.churn.table import Feature, read_table
from customer_tiering.churn.training import Limits, Training, train
from customer_tiering.churn.training_set import TABLE, build_training_set
from customer_tiering.company.profile import load_profile
from customer_tiering.company.workspace import Workspace
from customer_tiering.publish.snapshot import DATABASE, folder_of
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.seeds import churn_feature_names
from customer_tiering.warehouse import compute
from nights import ErpDatabase, mart_rows, native_columns, run_night, write_profile

D1 = date(2026, 3, 29)
D2, D3 = D1 + timedelta(days=1), D1 + timedelta(days=2)
BEGINS = date(2024, 6, 1)
CUSTOMERS = 260
pytestmark = pytest.mark.slow

# Bands by which the worked examples come out: 100, 80, 79.9, 50 and 49.9.
BANDS = """\
component,level,lower_bound,upper_bound,lower_included,upper_included,points
company_size,大型,,,false,false,20
company_size,中型,,,false,false,19.9
industry_fit,,80,,true,false,25
industry_fit,,,80,false,false,0
budget,,1000,,true,false,30
budget,,500,1000,true,false,10
budget,,,500,false,false,9.9
decision_maker,yes,,,false,false,25
decision_maker,no,,,false,false,0
"""
OPPORTUNITIES = {
    "all": ("大型", 90, 5000, 1),
    "edge-80": ("大型", 80, 500, 1),
    "below-80": ("大型", 80, 499, 1),
    "edge-50": ("大型", 79, 1000, 0),
    "below-50": ("中型", 79, 1000, 0),
}


def add_orders(erp: ErpDatabase) -> None:
    """Customers order by their own rhythm; some stop for good. Two ordered 10 and 11 days ago for the last time."""
    draws = np.random.default_rng(11)
    orders: list[tuple[str, str, date]] = []
    for number in range(CUSTOMERS):
        code = f"C{number:03d}"
        gap = draws.uniform(8, 45)
        stops = BEGINS + timedelta(days=int(draws.uniform(150, 1100)))
        day = BEGINS + timedelta(days=int(draws.uniform(0, 120)))
        while day <= min(stops, D1):
            orders.append((f"{code}-{day}", code, day))
            day += timedelta(days=max(1, int(draws.normal(gap, gap / 4))))
    for code, recency in (("EDGE70", 10), ("EDGE69", 11)):
        orders += [(f"{code}-{n}", code, D3 - timedelta(days=recency + 20 * n)) for n in range(5)]
    # Buyers of one day have no rhythm: features that are missing, at every cutoff.
    orders += [(f"ONCE{n}-0", f"ONCE{n:02d}", D1 - timedelta(days=10 * n)) for n in range(60)]
    stamp = "2026-01-01 00:00:00"
    codes = sorted({code for _, code, _ in orders})
    with erp.connection as database:
        database.executemany(
            "insert into customers (customer_code, customer_name, registered_on, updated_at) values (?, ?, ?, ?)",
            [(code, f"公司 {code}", "2024-06-01", stamp) for code in codes],
        )
        database.executemany(
            "insert into orders (order_no, customer_code, order_date, status, currency, net_amount, gross_amount, "
            "updated_at) values (?, ?, ?, 'confirmed', 'CNY', '1000.00', '1130.00', ?)",
            [(number, code, str(day), stamp) for number, code, day in orders],
        )
        database.executemany(
            "insert into order_lines (order_no, line_no, product_code, quantity, net_amount, cost_amount, updated_at) "
            "values (?, 1, ?, 1, '1000.00', '800.00', ?)",
            [(number, f"P{1 + index % 3}", stamp) for index, (number, _, _) in enumerate(orders)],
        )


def write_crm(folder: Path) -> None:
    folder.mkdir(parents=True)
    columns = native_columns("crm")
    stamps = {"created_at": "2024-06-01", "modified_at": "2026-01-01 00:00:00"}
    rows: dict[str, list[dict[str, Any]]] = {
        "owners": [{"owner_id": "O1", "owner_name": "王经理", "modified_at": stamps["modified_at"]}],
        "accounts": [
            {"account_id": f"A{number:03d}", "account_name": f"公司 C{number:03d}", "owner_id": "O1"}
            | {"erp_customer_code": f"C{number:03d}", "is_deleted": "0"}
            | stamps
            for number in range(CUSTOMERS)
        ],
        "opportunities": [
            {"opportunity_id": name, "account_id": "A001", "name": name, "stage": "proposal", "company_size": size}
            | {"industry_fit": fit, "budget": budget, "has_decision_maker": decider}
            | stamps
            for name, (size, fit, budget, decider) in OPPORTUNITIES.items()
        ],
    }
    for entity, content in rows.items():
        with (folder / f"{entity}-2026-03-28.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns[entity])
            writer.writeheader()
            writer.writerows(content)


@dataclass
class Company:
    workspace: Workspace
    training: Training
    training_folder: Path

    def rows(self, night: date, sql: str) -> list[dict[str, Any]]:
        """Rows of a query on a night's snapshot."""
        with duckdb.connect(str(folder_of(self.workspace, night) / DATABASE), read_only=True) as connection:
            connection.execute("use marts")
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def edge_model() -> LogisticModel:
    """By recency alone: 0.70 at 10 days, 0.6999 at 11."""
    high, below = (float(np.log(p / (1 - p))) for p in (0.7, 0.6999))
    weight = Weight("recency_days", "none", 0.0, 5000.0, 0.0, 10.0, 1.0, below - high)
    return LogisticModel(high, 1.0, 0.0, 90, D1, (weight,))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A night without a model, a training, a night with its model, a night with the model of the worked examples."""
    root = tmp_path_factory.mktemp("churn")
    erp = ErpDatabase(root / "erp.sqlite")
    erp.products(3)
    add_orders(erp)
    write_crm(root / "crm")
    (root / "profiles" / "churny" / "seeds").mkdir(parents=True)
    (root / "profiles" / "churny" / "seeds" / "opportunity_bands.csv").write_text(BANDS, encoding="utf-8")
    sources = {"erp": {"url": erp.url}, "crm": {"path": str(root / "crm")}}
    # The third night is scored by a model made up for the worked example, which changes every figure of churn.
    release = {"min_customers": 100_000, "min_rows": 1_000_000}
    write_profile(root / "profiles", "churny", sources=sources, headline_scheme="spend_abc", release=release)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_VAR", str(root / "var"))
        patch.setenv("TIERING_PROFILES", str(root / "profiles"))
        workspace = run_night("churny", D1, "first").workspace
        profile = load_profile("churny")
        folder = prepare(profile, new_training(profile))
        train_and_judge(profile, folder)
        # The next day brings orders, which are the future of the night before.
        for number in (0, 7, 42):
            erp.order(f"new-{number}", f"C{number:03d}", str(D2), [("P2", "500.00", "300.00")], updated_at=f"{D2}")
        run_night("churny", D2, "second")
        features = [
            Feature(row["feature"], row["transform"], row["label_en"], row["label_zh"])
            for row in sorted(load_rules(profile).rows["churn_features"], key=_position)
        ]
        training = train(read_table(folder / TABLE, features), Limits(90, 100, 30))
        build_training_set(profile, root / "again", cutoffs=[D1])
        promote(workspace, "worked examples", edge_model())
        run_night("churny", D3, "third")
        yield Company(workspace, training, root / "again")


def _position(row: Any) -> int:
    return churn_feature_names().index(row["feature"])


# --- opportunities: worked example 10 -------------------------------------------------------------------------


def test_example_10_priorities_at_their_edges(company: Company) -> None:
    rows = {
        row["opportunity_name"]: row for row in mart_rows(company.workspace, "select * from fct_opportunity_scores")
    }
    assert {name: (row["score"], row["label_zh"]) for name, row in rows.items()} == {
        "all": (Decimal(100), "优先跟进"),
        "edge-80": (Decimal(80), "优先跟进"),
        "below-80": (Decimal("79.9"), "重点培育"),
        "edge-50": (Decimal(50), "重点培育"),
        "below-50": (Decimal("49.9"), "长期观察"),
    }
    points = ("company_size_points", "industry_fit_points", "budget_points", "decision_maker_points")
    assert [rows["all"][name] for name in points] == [20, 25, 30, 25]
    assert {row["owner"] for row in rows.values()} == {"王经理"}
    assert all(row["advice_zh"] and row["advice_en"] for row in rows.values())


# --- without a model ------------------------------------------------------------------------------------------


def test_without_a_model_the_rule_signals_stand_alone(company: Company) -> None:
    assert company.rows(D1, "from fct_churn_scores") == []
    listed = company.rows(D1, "from fct_churn_risks")
    assert len(listed) > 10
    assert {row["basis"] for row in listed} == {"signals"}
    assert {row["probability"] for row in listed} == {None}
    assert all(row["signals"] and row["advice_zh"] for row in listed)
    signals = company.rows(D1, "from fct_churn_signals where signal = 'no_orders'")
    assert all((row["observed_to"] - row["observed_from"]).days + 1 == row["value"] for row in signals)


# --- the trained model ----------------------------------------------------------------------------------------


def test_sql_gives_the_probabilities_of_scikit_learn(company: Company) -> None:
    """The pipeline and calibration as fitted, on the published features, against the published probabilities."""
    scores = company.rows(D2, "from fct_churn_scores order by customer_id")
    assert {row["model_version"] for row in scores} == {company.training.model.version}
    names = ", ".join(f"{name}::double as {name}" for name in churn_feature_names())
    features = company.rows(
        D2, f"select customer_id, {names} from fct_churn_features where is_active_buyer order by customer_id"
    )
    assert [row["customer_id"] for row in features] == [row["customer_id"] for row in scores]
    values = np.array(
        [[np.nan if row[name] is None else row[name] for name in churn_feature_names()] for row in features]
    )
    expected = company.training.fitted.probabilities(values)
    published = np.array([float(row["probability"]) for row in scores])
    assert np.abs(published - expected).max() < 1e-9
    assert np.ptp(published) > 0.5
    missing = {name for index, name in enumerate(churn_feature_names()) if np.isnan(values[:, index]).any()}
    for transform in ("log", "none"):
        assert [w for w in company.training.model.weights if w.transform == transform and w.feature in missing]
    assert len({weight.feature for weight in company.training.model.weights}) > 15


def test_the_model_learns_what_the_company_does(company: Company) -> None:
    logistic = company.training.results["logistic regression"]
    assert logistic.auc > company.training.results["recency only"].auc
    assert logistic.groups[0].lift > 2


def test_reasons_are_the_greatest_contributions(company: Company) -> None:
    reasons = company.rows(D2, "from fct_churn_reasons order by customer_id, reason_rank")
    assert {row["reason_rank"] for row in reasons} == {1, 2, 3}
    by_customer: dict[str, list[dict[str, Any]]] = {}
    for row in reasons:
        by_customer.setdefault(row["customer_id"], []).append(row)
    weights = {weight.feature: weight for weight in company.training.model.weights}
    features = {row["customer_id"]: row for row in company.rows(D2, "from fct_churn_features")}
    for customer, rows in by_customer.items():
        assert [row["contribution"] for row in rows] == sorted((row["contribution"] for row in rows), reverse=True)
        weight = weights[rows[0]["feature"]]
        value = features[customer][weight.feature]
        shaped = weight.imputation if value is None else float(value)
        if value is not None and weight.transform == "log":
            shaped = float(np.log(1 + max(shaped, 0)))
        held = min(max(shaped, weight.lower_bound), weight.upper_bound)
        expected = company.training.model.slope * weight.coefficient * (held - weight.mean) / weight.scale
        assert float(rows[0]["contribution"]) == pytest.approx(expected, abs=1e-6)
        assert rows[0]["value"] == value
    scored = {row["customer_id"]: row for row in company.rows(D2, "from fct_churn_scores")}
    some = next(iter(by_customer))
    assert scored[some]["reasons_zh"] == "/".join(row["label_zh"] for row in by_customer[some])


def test_the_first_scores_are_changes_by_the_model(company: Company) -> None:
    changes = company.rows(D2, "from fct_churn_risk_changes")  # nothing before: without a model there are no scores
    high = company.rows(D2, "from fct_churn_scores where risk_class = 'high'")
    assert {row["customer_id"] for row in changes} == {row["customer_id"] for row in high} != set()
    assert {(row["change"], row["cause"]) for row in changes} == {("newly_high", "model")}


def test_features_of_a_past_cutoff_are_those_of_its_night(company: Company) -> None:
    """The training set at D1, computed after D2 brought more orders, against what the night of D1 published."""
    names = ", ".join(churn_feature_names())
    with duckdb.connect() as connection:
        recomputed = connection.execute(
            f"select customer_id, {names} from '{company.training_folder / TABLE}' order by 1"
        ).fetchall()
    published = company.rows(
        D1, f"select customer_id, {names} from fct_churn_features where is_active_buyer order by customer_id"
    )
    assert len(recomputed) > 200
    assert recomputed == [tuple(row.values()) for row in published]
    assert company.rows(D2, "select count(*) n from fct_churn_features where recency_days = 0") != [{"n": 0}]


# --- worked example 11 ----------------------------------------------------------------------------------------


def test_example_11_070_is_high_and_06999_is_not(company: Company) -> None:
    scores = {row["customer_id"]: row for row in mart_rows(company.workspace, "select * from fct_churn_scores")}
    high, below = scores["erp-EDGE70"], scores["erp-EDGE69"]
    assert (high["probability"], high["risk_class"], high["label_zh"]) == (Decimal("0.7"), "high", "高风险")
    assert (below["probability"], below["risk_class"], below["label_zh"]) == (Decimal("0.6999"), "medium", "中风险")


def test_changes_against_the_night_before_say_that_another_model_made_them(company: Company) -> None:
    assert champion(company.workspace) == edge_model()
    assert {row["as_of_date"] for row in mart_rows(company.workspace, "from fct_churn_risk_changes")} == {D2, D3}
    changes = mart_rows(company.workspace, "from fct_churn_risk_changes where as_of_date = ?", [D3])
    before = {row["customer_id"]: row["risk_class"] for row in company.rows(D2, "from fct_churn_scores")}
    after = {
        row["customer_id"]: row["risk_class"] for row in mart_rows(company.workspace, "select * from fct_churn_scores")
    }
    expected = {customer for customer in after if (before.get(customer) == "high") != (after[customer] == "high")}
    assert {row["customer_id"] for row in changes} == expected != set()
    assert {row["cause"] for row in changes if row["previous_class"]} == {"model"}


def test_the_list_carries_owner_and_advice(company: Company) -> None:
    rows = mart_rows(company.workspace, "select * from fct_churn_risks where customer_id like 'erp-C%'")
    assert rows
    assert {row["owner"] for row in rows} == {"王经理"}
    assert all(row["advice_en"] and row["advice_zh"] for row in rows)
    for row in rows:
        assert float(row["spend_at_risk"]) == pytest.approx(float(row["probability"] * row["spend_365d"]), abs=0.005)


@pytest.mark.full
def test_missed_nights_in_several_builds_change_the_same_risks(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three missed nights in two builds, then the last night again in one: each is compared with the night before."""
    promote(company.workspace, "back", company.training.model)
    monkeypatch.setattr(compute, "_NIGHTS_PER_BATCH", 2)
    run_night("churny", D3 + timedelta(days=3), "missed")
    changes = "from fct_churn_risk_changes order by all"
    in_two = mart_rows(company.workspace, changes)
    assert {row["as_of_date"] for row in in_two if row["cause"] == "model"} == {D2, D3, D3 + timedelta(days=1)}
    monkeypatch.undo()
    run_night("churny", D3 + timedelta(days=3), "again")
    assert mart_rows(company.workspace, changes) == in_two
