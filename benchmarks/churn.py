"""Figures of docs/churn.md that no command of the product prints.

    python benchmarks/churn.py telco <Telco-Customer-Churn.csv>
    python benchmarks/churn.py saas <folder of ravenstack_*.csv>
    python benchmarks/churn.py lifetime <warehouse.duckdb of a company> <last day to fit on>
    python benchmarks/churn.py scoring [customers]

Run it from a checkout with its environment (``PYTHONPATH=plugins``).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path

import duckdb
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from customer_tiering.churn.card import results_table  # noqa: E402
from customer_tiering.churn.lifetime import (  # noqa: E402
    expected_purchases,
    expected_value,
    fit_purchases,
    fit_spending,
)
from customer_tiering.churn.models import as_numbers, fit_logistic  # noqa: E402
from customer_tiering.churn.table import Feature, TrainingTable  # noqa: E402
from customer_tiering.churn.training import Limits, Training, train  # noqa: E402
from customer_tiering.rules.seeds import churn_feature_names  # noqa: E402
from customer_tiering.warehouse.connection import warehouse_schema  # noqa: E402
from rendering import render_model  # noqa: E402


def telco(path: Path) -> None:
    """7 043 customers of one moment: a quarter of them, by a hash of their id, judges."""
    flags = ("Partner", "Dependents", "PhoneService", "PaperlessBilling")
    kinds = {
        "InternetService": ("DSL", "Fiber optic"),
        "Contract": ("Month-to-month", "Two year"),
        "PaymentMethod": ("Electronic check",),
        "OnlineSecurity": ("Yes",),
        "TechSupport": ("Yes",),
    }
    columns = {
        "tenure": "tenure",
        "monthly": "MonthlyCharges",
        "total": "try_cast(TotalCharges as double)",
        "senior": "SeniorCitizen",
        **{name.lower(): f"({name} = 'Yes')::int" for name in flags},
        **{
            f"{name}_{n}".lower(): f"({name} = '{k}')::int"
            for name, group in kinds.items()
            for n, k in enumerate(group)
        },
    }
    values = ", ".join(f"{sql} as {name}" for name, sql in columns.items())
    texts = ", ".join(f"'{name}': 'varchar'" for name in (*flags, "TotalCharges", "Churn"))
    rows = duckdb.sql(
        f"select customerID as id, Churn = 'Yes' as churned, {values}, md5(customerID) < '4' as judged "
        f"from read_csv('{path}', types={{{texts}}}) order by id"
    ).fetchnumpy()
    logs = {"tenure", "total"}
    table = TrainingTable(
        tuple(Feature(name, "log" if name in logs else "none") for name in columns),
        np.asarray(rows["id"], dtype=str),
        np.full(len(rows["id"]), np.datetime64("2020-01-01")),
        np.column_stack([np.ma.filled(np.ma.asarray(rows[name], dtype=float), np.nan) for name in columns]),
        np.asarray(rows["churned"], dtype=bool),
    )
    judged = np.asarray(rows["judged"], dtype=bool)
    show(
        train(
            table,
            Limits(90, 100, 30),
            baselines={"tenure only": "tenure"},
            split=(table.rows(~judged), table.rows(judged)),
        )
    )


def saas(folder: Path) -> None:
    """500 accounts of a synthetic SaaS company: a churn event in the next 90 days, at month ends of two years."""
    connection = duckdb.connect()
    for name in ("accounts", "churn_events", "subscriptions", "support_tickets", "feature_usage"):
        connection.execute(f"create table {name} as from read_csv('{folder}/ravenstack_{name}.csv*')")
    columns = {
        "age_days": ("log", "date_diff('day', a.signup_date, d)"),
        "seats": ("log", "a.seats"),
        "subscriptions": (
            "log",
            "(select count(*) from subscriptions s where s.account_id = a.account_id and s.start_date <= d "
            "and (s.end_date is null or s.end_date > d))",
        ),
        "mrr": (
            "log",
            "(select sum(mrr_amount) from subscriptions s where s.account_id = a.account_id and s.start_date <= d "
            "and (s.end_date is null or s.end_date > d))",
        ),
        "ended_180d": (
            "log",
            "(select count(*) from subscriptions s where s.account_id = a.account_id and s.end_date <= d "
            "and s.end_date > d - 180)",
        ),
        "usage_30d": ("log", usage("> d - 30")),
        "usage_before_30d": ("log", usage("between d - 59 and d - 30")),
        "usage_90d": ("log", usage("> d - 90")),
        "days_since_usage": (
            "log",
            "(select date_diff('day', max(u.usage_date), d) from usage u where u.account_id = a.account_id "
            "and u.usage_date <= d)",
        ),
        "tickets_90d": (
            "log",
            "(select count(*) from support_tickets t where t.account_id = a.account_id and t.submitted_at::date <= d "
            "and t.submitted_at::date > d - 90)",
        ),
        "satisfaction": (
            "none",
            "(select avg(satisfaction_score) from support_tickets t where t.account_id = a.account_id "
            "and t.closed_at::date <= d and t.closed_at::date > d - 365)",
        ),
        "churned_before": (
            "log",
            "(select count(*) from churn_events c where c.account_id = a.account_id and c.churn_date <= d)",
        ),
    }
    connection.execute(
        "create table usage as select s.account_id, u.usage_date, u.usage_count from feature_usage u "
        "join (select distinct subscription_id, account_id from subscriptions) s using (subscription_id)"
    )
    rows = connection.execute(
        "with cutoffs as (select (date '2023-06-30' + to_months(n))::date as d from range(16) t(n)) "
        f"select a.account_id as id, d, exists (from churn_events c where c.account_id = a.account_id "
        "and c.churn_date > d and c.churn_date <= d + 90) as churned, "
        f"{', '.join(f'{sql} as {name}' for name, (_, sql) in columns.items())} "
        "from accounts a join cutoffs on a.signup_date <= d order by d, id"
    ).fetchnumpy()
    table = TrainingTable(
        tuple(Feature(name, transform) for name, (transform, _) in columns.items()),
        np.asarray(rows["id"], dtype=str),
        np.asarray(rows["d"], dtype="datetime64[D]"),
        np.column_stack([np.ma.filled(np.ma.asarray(rows[name], dtype=float), np.nan) for name in columns]),
        np.asarray(rows["churned"], dtype=bool),
    )
    baselines = {"days since usage only": "days_since_usage", "age only": "age_days"}
    show(train(table, Limits(90, 100, 30), baselines=baselines))


def usage(days: str) -> str:
    return (
        "(select coalesce(sum(u.usage_count), 0) from usage u where u.account_id = a.account_id and u.usage_date <= d "
        f"and u.usage_date {days})"
    )


def show(training: Training) -> None:
    trained, judged = training.trained, training.judged
    print(f"trained on {len(trained):,} rows, {trained.churned.mean():.1%} churned; ", end="")
    print(f"judged on {len(judged):,}, {judged.churned.mean():.1%}; {training.reason}")
    print("\n".join(results_table(training.results)))
    for group in training.results["logistic regression"].groups:
        print(f"  {group.rows:5,d} rows: predicted {group.predicted:.3f}, observed {group.observed:.3f}, "
              f"lift {group.lift:.2f}")  # fmt: skip


def lifetime(warehouse: Path, until: date) -> None:
    """Fit on what was known on a day, predict the rest of the data, compare with simple guesses."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        rows = connection.execute(
            """
            with days as (from intermediate.int_customer_days where order_count > 0),
            ends as (select max(ordered_on) as last_day from days)
            select count(*) filter (where ordered_on <= $until) - 1 as x,
                   date_diff('day', min(ordered_on), max(ordered_on) filter (where ordered_on <= $until)) / 7 as t_x,
                   date_diff('day', min(ordered_on), $until) / 7 as age,
                   avg(net_amount::double) filter (where ordered_on <= $until) as value,
                   count(*) filter (where ordered_on > $until) as bought,
                   coalesce(sum(net_amount::double) filter (where ordered_on > $until), 0) as spent,
                   any_value(date_diff('day', $until, last_day)) / 7 as horizon
            from days cross join ends group by customer_id having min(ordered_on) <= $until order by customer_id
            """,
            {"until": until},
        ).fetchnumpy()
    x, t_x, age, value, bought, spent = (
        np.asarray(rows[name], dtype=float) for name in ("x", "t_x", "age", "value", "bought", "spent")
    )
    horizon = float(rows["horizon"][0])
    begun = time.perf_counter()
    purchases = fit_purchases(x, t_x, age)
    usable = (x > 0) & (value > 0)
    spending = fit_spending(x[usable], value[usable])
    print(f"{len(x):,} customers, horizon {horizon:.1f} weeks, fitted in {time.perf_counter() - begun:.2f} s")
    print({name: round(number, 4) for name, number in asdict(purchases).items()})
    print({name: round(number, 4) for name, number in asdict(spending).items()})
    expected = expected_purchases(purchases, x, t_x, age, horizon)
    worth = expected * expected_value(spending, x, value)
    rate = (x + 1) / np.maximum(age, 1) * horizon
    for name, guess in (
        ("BG/NBD", expected),
        ("own rate so far", rate),
        ("mean of all", np.full(len(x), bought.mean())),
    ):
        error = np.abs(guess - bought).mean()
        correlation = np.corrcoef(guess, bought)[0, 1] if np.ptp(guess) > 0 else float("nan")
        print(f"  {name}: {guess.sum():,.0f} order days predicted, {bought.sum():,.0f} came; mean absolute error "
              f"{error:.3f}, correlation {correlation:.3f}")  # fmt: skip
    print(f"  value: {worth.sum():,.0f} predicted, {spent.sum():,.0f} came; correlation "
          f"{np.corrcoef(worth, spent)[0, 1]:.3f}")  # fmt: skip
    for low, high in ((0, 0), (1, 1), (2, 3), (4, 6), (7, 10**6)):
        group = (x >= low) & (x <= high)
        print(f"  repeat days {low}-{high if high < 10**6 else '…'}: {group.sum():,} customers, predicted "
              f"{expected[group].mean():.2f}, came {bought[group].mean():.2f}")  # fmt: skip


def scoring(customers: int) -> None:
    """Score made-up customers in SQL by the models of the project, and by scikit-learn on the same matrix."""
    names = churn_feature_names()
    features = tuple(Feature(name, "log" if number % 2 else "none") for number, name in enumerate(names))
    draws = np.random.default_rng(1)

    def matrix(rows: int) -> np.ndarray:
        values = draws.exponential(20, (rows, len(names)))
        values[draws.random((rows, len(names))) < 0.1] = np.nan
        return np.round(values, 2)

    sample = matrix(4000)
    odds = np.nan_to_num(np.log(1 + sample[:, :8])).sum(axis=1) / 3 - 6
    table = TrainingTable(
        features,
        np.array([f"c{n}" for n in range(len(sample))]),
        np.full(len(sample), np.datetime64("2026-01-01")),
        sample,
        draws.random(len(sample)) < 1 / (1 + np.exp(-odds)),
    )
    fitted = fit_logistic(table)
    model = as_numbers(fitted, 90, date(2026, 1, 1))
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(f"{folder}/scoring.duckdb") as connection:
        connection.execute(warehouse_schema())
        connection.execute("set memory_limit = '8GB'")
        noise = ", ".join(
            f"case when random() < 0.1 then null else (-20 * ln(random() + 1e-9))::decimal(18, 2) end as {name}"
            for name in names
        )
        connection.execute(
            f"create table features as select 'c' || n as customer_id, date '2026-03-30' as as_of_date, "
            f"true as is_active_buyer, {noise} from range({customers}) t(n)"
        )
        connection.execute(
            "create table settings as select date '2026-03-30' as as_of_date, 'v' as rules_version, "
            "3 as churn_reasons, 0.7 as churn_high_probability, 0.4 as churn_medium_probability"
        )
        connection.execute("create table labels as select 'v' as rules_version, f as feature, f as label_en, "
                           f"f as label_zh from (select unnest({names}) as f)")  # fmt: skip
        connection.execute("insert into meta.churn_model values ('m', 90, '2026-01-01', ?, ?, ?)",
                           [model.intercept, model.slope, model.calibration_offset])  # fmt: skip
        connection.executemany(
            "insert into meta.churn_model_features values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [["m", *asdict(weight).values()] for weight in model.weights],
        )
        tables = {
            "fct_churn_features": "features",
            "int_churn_settings": "settings",
            "rules.churn_features": "labels",
            "pipeline.churn_model": "meta.churn_model",
            "pipeline.churn_model_features": "meta.churn_model_features",
        }
        for name in ("int_churn_contributions", "fct_churn_reasons", "fct_churn_scores"):
            seconds = timed(
                lambda name=name: connection.execute(f"create table {name} as {render_model(name, tables)}")
            )
            tables[name] = name
            print(f"SQL {name}: {seconds:.2f} s")
        # Only the probability, as scikit-learn gives it: contributions are not kept, reasons not looked for.
        bare = render_model("fct_churn_scores", tables | {
            "fct_churn_reasons": "(select * from fct_churn_reasons where 1 = 0)",
            "int_churn_contributions": f"({render_model('int_churn_contributions', tables)})",
        })  # fmt: skip
        print(f"SQL probabilities alone: {timed(lambda: connection.execute(f'create table bare as {bare}')):.2f} s")
        listed = ", ".join(f"{name}::double as {name}" for name in names)
        begun = time.perf_counter()
        columns = connection.execute(f"select {listed} from features order by customer_id").fetchnumpy()
        values = np.column_stack([np.ma.filled(columns[name], np.nan) for name in names])
        print(f"rows to numpy: {time.perf_counter() - begun:.2f} s")
        begun = time.perf_counter()
        expected = fitted.probabilities(values)
        print(f"scikit-learn predict_proba with calibration: {time.perf_counter() - begun:.2f} s")
        for name in ("fct_churn_scores", "bare"):
            found = connection.execute(f"select probability::double from {name} order by customer_id").fetchnumpy()
            print(f"greatest difference, {name}: {np.abs(found[next(iter(found))] - expected).max():.1e}")


def timed(step: Callable[[], object]) -> float:
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def main() -> None:
    what, *arguments = sys.argv[1:] or ["help"]
    if what == "telco":
        telco(Path(arguments[0]))
    elif what == "saas":
        saas(Path(arguments[0]))
    elif what == "lifetime":
        lifetime(Path(arguments[0]), date.fromisoformat(arguments[1]))
    elif what == "scoring":
        scoring(int(arguments[0]) if arguments else 1_000_000)
    else:
        print(__doc__)


if __name__ == "__main__":
    main()
