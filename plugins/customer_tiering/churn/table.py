"""A feature table to train on: one row per customer and cutoff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from customer_tiering.errors import TrainingRefused
from customer_tiering.sql import literal, quote

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Feature:
    """A column of the table; ``log`` features enter a model as ln(1 + value)."""

    name: str
    transform: str = "none"
    label_en: str = ""
    label_zh: str = ""


@dataclass(frozen=True)
class TrainingTable:
    """Rows of customers at past cutoffs. ``values`` is rows x features, NaN where missing; ``churned`` the label."""

    features: tuple[Feature, ...]
    customers: NDArray[np.str_]
    cutoffs: NDArray[np.datetime64]
    values: Floats
    churned: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.churned)

    def rows(self, chosen: NDArray[np.bool_]) -> TrainingTable:
        return TrainingTable(
            self.features, self.customers[chosen], self.cutoffs[chosen], self.values[chosen], self.churned[chosen]
        )

    def days(self) -> list[date]:
        """Its cutoffs, ascending."""
        return [day.astype(object) for day in np.unique(self.cutoffs)]


def read_table(path: Path, features: Sequence[Feature]) -> TrainingTable:
    """A Parquet file with customer_id, as_of_date, churned and a column per feature."""
    names = ", ".join(f"cast({quote(feature.name)} as double) as {quote(feature.name)}" for feature in features)
    with duckdb.connect() as connection:
        columns = connection.execute(
            f"select customer_id, as_of_date, churned, {names} from read_parquet({literal(str(path))}) order by 2, 1"
        ).fetchnumpy()
    values: Floats = np.column_stack(
        [np.ma.filled(np.ma.asarray(columns[feature.name], dtype=float), np.nan) for feature in features]
    )
    return TrainingTable(
        tuple(features),
        np.asarray(columns["customer_id"], dtype=str),
        np.asarray(columns["as_of_date"], dtype="datetime64[D]"),
        values,
        np.asarray(columns["churned"], dtype=bool),
    )


def split_by_time(
    table: TrainingTable, horizon_days: int, train_until: date | None = None
) -> tuple[TrainingTable, TrainingTable]:
    """Earlier cutoffs to train on, the latest window to judge on; no label of the former reaches into the latter.

    The latest window holds the cutoffs within one horizon of the last one, fewer where less than twice as many would
    be left to train on; with ``train_until`` all that begin after the labels of that cutoff end. Raises
    ``TrainingRefused`` when nothing is left to train on.
    """
    days = table.days()
    horizon = timedelta(days=horizon_days)
    trained: list[date] = []
    judged: list[date] = []
    if train_until is None:
        for most in range(sum(day > days[-1] - horizon for day in days), 0, -1):
            judged = days[-most:]
            trained = [day for day in days if day + horizon <= judged[0]]
            if len(trained) >= 2 * most:
                break
    else:
        trained = [day for day in days if day <= train_until]
        judged = [day for day in days if trained and day >= trained[-1] + horizon]
    if not trained or not judged:
        raise TrainingRefused(
            f"too little history for a churn model: {len(days)} cutoff(s) with a known outcome"
            + (f" from {days[0]} to {days[-1]}" if days else "")
            + f"; the outcome of a cutoff takes {horizon_days} days, and training and judging need one each",
            "the rule signals (fct_churn_signals) stand alone; train again when more history has passed",
        )
    cutoffs = table.cutoffs.astype("datetime64[D]")
    return (
        table.rows(np.isin(cutoffs, np.array(trained, dtype="datetime64[D]"))),
        table.rows(np.isin(cutoffs, np.array(judged, dtype="datetime64[D]"))),
    )


def require_enough(trained: TrainingTable, judged: TrainingTable, min_customers: int, min_events: int) -> None:
    """Raise ``TrainingRefused`` naming what is too few, with the figures."""
    problems = []
    customers = len(np.unique(trained.customers))
    if customers < min_customers:
        problems.append(f"{customers} customers in the training window, {min_customers} are needed")
    for name, table in (("training", trained), ("latest", judged)):
        for what, flags in (("churned", table.churned), ("stayed", ~table.churned)):
            count = len(np.unique(table.customers[flags]))
            if count < min_events:
                problems.append(f"{count} customers that {what} in the {name} window, {min_events} are needed")
    if problems:
        raise TrainingRefused(
            "too little data for a churn model: " + "; ".join(problems),
            "the rule signals (fct_churn_signals) stand alone; the limits are settings churn_min_customers and "
            "churn_min_events",
        )
