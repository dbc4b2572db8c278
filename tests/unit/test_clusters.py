"""Clusters: separated groups are found and ranked by mean, the order of customers never matters, odd input is safe."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from customer_tiering.company.workspace import PROJECT_ROOT
from customer_tiering.rules.clusters import Floats, rank_clusters

NAN = float("nan")
RFM = np.array([0.3, 0.3, 0.4])
MODEL = PROJECT_ROOT / "dbt_project/models/intermediate/scoring/int_dimension_clusters.py"

# Recency in days, orders, spend: two giants, then groups a power of ten apart.
GIANTS = [[1.0, 40, 60_000_000], [3, 35, 9_000_000]]
STRONG = [[10.0, 12, 90_000], [12, 15, 110_000], [9, 14, 70_000], [11, 13, 100_000]]
WEAK = [[90.0, 3, 3_000], [100, 4, 4_000], [110, 3, 2_500], [95, 4, 3_500], [105, 3, 2_800]]
GONE = [[900.0, 1, 100], [800, 1, 120], [850, 1, 80]]
GROUPS = np.array(GIANTS + STRONG + WEAK + GONE)
EXPECTED = [1] * 2 + [2] * 4 + [3] * 5 + [4] * 3


def test_separated_groups_are_found_and_ranked_by_mean_spend() -> None:
    """The best group has the highest spend, although its recency, where little is good, has the lowest mean."""
    assert rank_clusters(GROUPS, RFM, 4, logarithmic=True).tolist() == EXPECTED


def test_without_logs_a_giant_hides_the_other_groups() -> None:
    """Why the shipped scheme measures by log: raw, the largest customer is a group of its own."""
    raw = rank_clusters(GROUPS, np.array([0.01, 0.01, 0.98]), 4, logarithmic=False)
    assert np.flatnonzero(raw == 1).tolist() == [0]
    assert raw.tolist() != EXPECTED
    assert rank_clusters(GROUPS, np.array([0.01, 0.01, 0.98]), 4, logarithmic=True).tolist() == EXPECTED


def test_the_heaviest_indicator_ranks_and_weights_decide_the_groups() -> None:
    """Two indicators split the customers differently; the heavier one decides, and its mean ranks."""
    values = np.array([[0.0, 0], [0, 10], [10, 0], [10, 10]])
    assert rank_clusters(values, np.array([0.8, 0.2]), 2, logarithmic=False).tolist() == [2, 2, 1, 1]
    assert rank_clusters(values, np.array([0.2, 0.8]), 2, logarithmic=False).tolist() == [2, 1, 2, 1]


def test_negative_amounts_keep_their_side_on_the_log_scale() -> None:
    values = np.array([[-5000.0], [-4000], [0], [1], [4000], [5000]])
    assert rank_clusters(values, np.array([1.0]), 3, logarithmic=True).tolist() == [3, 3, 2, 2, 1, 1]


def test_a_customer_with_a_part_joins_the_nearest_group_by_that_part() -> None:
    """Its left-out indicators count nothing; the groups are those of the complete customers."""
    parts = np.array([[2.0, NAN, 20_000_000], [NAN, NAN, 95_000], [100, 3, NAN], [NAN, 1, NAN], [NAN, NAN, NAN]])
    ranks = rank_clusters(np.vstack([GROUPS, parts]), RFM, 4, logarithmic=True)
    assert ranks.tolist() == [*EXPECTED, 1, 2, 3, 4, 0]


def test_an_indicator_that_nobody_has_is_no_indicator() -> None:
    """The others carry on; without the one that ranks there are no ranks."""
    empty = np.full(len(GROUPS), NAN)
    without_orders = np.column_stack([GROUPS[:, 0], empty, GROUPS[:, 2]])
    assert rank_clusters(without_orders, RFM, 4, logarithmic=True).tolist() == EXPECTED
    without_spend = np.column_stack([GROUPS[:, 0], GROUPS[:, 1], empty])
    assert not rank_clusters(without_spend, RFM, 4, logarithmic=True).any()


@pytest.mark.parametrize("value", [0.0, 0.1, 1234.567])
def test_an_indicator_with_one_value_says_nothing(value: float) -> None:
    """Not even about an incomplete customer that differs, which a rounding error of the mean would blow up."""
    constant = np.column_stack([np.full(len(GROUPS), value), GROUPS[:, 1], GROUPS[:, 2]])
    different = np.array([[7.0, NAN, 95_000]])
    ranks = rank_clusters(np.vstack([constant, different]), RFM, 4, logarithmic=True)
    assert ranks.tolist() == [*EXPECTED, 2]


@pytest.mark.parametrize(
    "values",
    [
        np.empty((0, 3)),
        GROUPS[:1],
        GROUPS[:3],
        np.repeat(GROUPS[[0, 5, 9]], 20, axis=0),
        np.vstack([GROUPS[:3], np.full((5, 3), NAN)]),
    ],
    ids=["nobody", "one", "fewer than clusters", "three points many times", "too few complete"],
)
def test_too_few_different_customers_have_no_group(values: Floats) -> None:
    assert rank_clusters(values, RFM, 4, logarithmic=True).tolist() == [0] * len(values)


def test_as_many_different_customers_as_clusters_are_one_each() -> None:
    values = np.repeat(GROUPS[[13, 0, 5, 9]], 3, axis=0)
    assert rank_clusters(values, RFM, 4, logarithmic=True).tolist() == [4] * 3 + [1] * 3 + [2] * 3 + [3] * 3


def test_groups_that_blur_do_not_hang_on_the_order_of_the_customers() -> None:
    """Without gaps between groups k-means has many resting places; where it starts must not follow the row order."""
    draws = np.random.default_rng(7)
    values = draws.uniform(0, 1000, (400, 3)).round(2)
    ranks = rank_clusters(values, RFM, 7, logarithmic=False)
    for _ in range(10):
        order = draws.permutation(len(values))
        assert rank_clusters(values[order], RFM, 7, logarithmic=False).tolist() == ranks[order].tolist()


values_of_companies = st.lists(
    st.tuples(
        st.integers(0, 2000).map(float),
        st.one_of(st.just(NAN), st.integers(1, 200).map(float)),
        st.decimals(-(10**6), 10**9, places=2).map(float),
    ),
    min_size=1,
    max_size=30,
).map(np.array)


@given(values_of_companies, st.integers(2, 5), st.booleans(), st.data())
@settings(max_examples=80, deadline=None)
def test_ranks_hang_on_the_customers_alone(values: Floats, clusters: int, log: bool, data: st.DataObject) -> None:
    """In any order, and again, the same customers get the same ranks; better groups have higher means; no group is
    empty, and either everybody has one or nobody.
    """
    ranks = rank_clusters(values, RFM, clusters, log)
    order = data.draw(st.permutations(range(len(values))))
    assert rank_clusters(values[order], RFM, clusters, log).tolist() == ranks[order].tolist()
    assert set(ranks) in ({0}, set(range(1, clusters + 1)))
    means = [values[ranks == rank, 2].mean() for rank in range(1, clusters + 1) if (ranks == rank).any()]
    assert all(better >= worse or np.isclose(better, worse) for better, worse in pairwise(means))
    # Equal customers are never separated.
    for row in np.unique(values, axis=0):
        same = (values == row) | (np.isnan(values) & np.isnan(row))
        assert len(set(ranks[same.all(axis=1)])) == 1


def shares(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.bincount(ranks, minlength=5) / len(ranks)


def cloud(nights: int) -> Iterator[Floats]:
    """Five blurred groups where four are asked for, so k-means has several answers; every night a few customers buy."""
    chance = np.random.default_rng(7)
    middle = np.log([[10, 20, 60_000], [30, 12, 20_000], [60, 6, 7_000], [120, 3, 2_500], [300, 1.5, 900]])
    values = np.exp(middle[np.arange(500) % 5] + chance.normal(0, 0.5, (500, 3)))
    for _ in range(nights):
        yield values.copy()
        bought = chance.random(500) < 1 / (2 * values[:, 0])
        values[~bought, 0] += 1
        values[bought] = np.column_stack([np.ones(bought.sum()), values[bought, 1] + 1, values[bought, 2] * 1.05])


def test_groups_of_twenty_nights_move_with_the_customers_only() -> None:
    """Started from the night before, no share jumps, with new data or without."""
    ranks, jumps, afresh = None, [], []
    before = None
    for values in cloud(20):
        again = rank_clusters(values, RFM, 4, logarithmic=True)
        found = again if ranks is None else rank_clusters(values, RFM, 4, True, ranks)
        if ranks is not None and before is not None:
            jumps.append(np.abs(shares(found) - shares(ranks)).max())
            afresh.append(np.abs(shares(again) - shares(before)).max())
        assert np.abs(shares(rank_clusters(values, RFM, 4, True, found)) - shares(found)).max() < 0.02
        ranks, before = found, again
    assert max(jumps) < 0.02
    assert max(afresh) > 0.1, "found afresh every night, groups jump"


def test_groups_of_which_one_has_nobody_left_are_found_afresh() -> None:
    fresh = rank_clusters(GROUPS, RFM, 4, logarithmic=True)
    lost = np.where(np.array(EXPECTED) == 4, 3, EXPECTED)
    assert np.array_equal(rank_clusters(GROUPS, RFM, 4, True, lost), fresh)
    assert np.array_equal(rank_clusters(GROUPS, RFM, 4, True, np.zeros(len(GROUPS), dtype=np.int64)), fresh)


# --- the dbt model around it ----------------------------------------------------------------------------------

FEATURES = "customer_id varchar, scheme varchar, dimension varchar, as_of_date date, indicator varchar, value double, "
FEATURES += "weight double, measure varchar, clusters integer, accepted_rank integer, is_baseline boolean"


class Dbt:
    """What dbt hands to a Python model, on a plain connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def config(self, **settings: Any) -> None:
        assert settings == {"materialized": "table"}

    def ref(self, name: str) -> duckdb.DuckDBPyRelation:
        return self.connection.query(f"select * from {name}")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as memory:
        memory.execute(f"create table int_cluster_features ({FEATURES})")
        yield memory


def run_model(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    spec = importlib.util.spec_from_file_location("int_dimension_clusters", MODEL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    relation = module.model(Dbt(connection), connection)
    assert relation.columns == ["customer_id", "scheme", "dimension", "as_of_date", "cluster_rank"]
    assert [str(kind) for kind in relation.types] == ["VARCHAR", "VARCHAR", "VARCHAR", "DATE", "INTEGER"]
    rows: list[tuple[Any, ...]] = relation.fetchall()
    return sorted(rows)


def add(
    connection: duckdb.DuckDBPyConnection,
    values: Floats,
    day: str,
    scheme: str = "rfm",
    measure: str = "log",
    k: int = 4,
) -> None:
    names = ("recency_days", "order_frequency", "cumulative_spend")
    connection.executemany(
        "insert into int_cluster_features values (?, ?, 'd', ?, ?, ?, ?, ?, ?, null, false)",
        [
            (f"c{number:02}", scheme, day, name, None if np.isnan(value) else float(value), weight, measure, k)
            for number, row in enumerate(values)
            for name, value, weight in zip(names, row, RFM.tolist(), strict=True)
        ],
    )


def test_no_features_give_an_empty_table_and_import_nothing_heavy() -> None:
    code = f"""
import importlib.util, sys, duckdb
spec = importlib.util.spec_from_file_location("m", {str(MODEL)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
connection = duckdb.connect()
connection.execute("create table int_cluster_features ({FEATURES})")
class Dbt:
    config = staticmethod(lambda **_: None)
    ref = staticmethod(lambda name: connection.query("select * from " + name))
relation = module.model(Dbt, connection)
print(relation.columns, [str(kind) for kind in relation.types], relation.fetchall())
print(sorted({{"scipy", "numpy", "pandas"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    table, heavy = done.stdout.splitlines()
    assert table == (
        "['customer_id', 'scheme', 'dimension', 'as_of_date', 'cluster_rank'] "
        "['VARCHAR', 'VARCHAR', 'VARCHAR', 'DATE', 'INTEGER'] []"
    )
    assert heavy == "[]"


def test_each_night_and_scheme_has_a_fit_of_its_own(connection: duckdb.DuckDBPyConnection) -> None:
    """Many nights at once give what each night alone gives; an odd scheme name is only a value."""
    cases = [
        (GROUPS, "2026-03-30", "rfm", "log", 4),
        (GROUPS[::-1] * [1, 1, 2], "2026-03-31", "rfm", "log", 4),
        (np.vstack([GROUPS, [[NAN, 3, 3_100]]]), "2026-03-31", 'it\'s "odd"', "raw", 2),
        (GROUPS[:3], "2026-04-01", "rfm", "log", 4),
    ]
    alone = []
    for case in cases:
        add(connection, *case)
        alone += run_model(connection)
        connection.execute("delete from int_cluster_features")
    for case in reversed(cases):
        add(connection, *case)
    together = run_model(connection)
    assert together == sorted(alone)
    assert [row[4] for row in together if (row[1], str(row[3])) == ("rfm", "2026-03-30")] == EXPECTED
    assert [row[4] for row in together if (row[1], str(row[3])) == ("rfm", "2026-03-31")] == EXPECTED[::-1]
    assert len([row for row in together if row[1] == 'it\'s "odd"']) == len(GROUPS) + 1
    assert not [row for row in together if str(row[3]) == "2026-04-01"], "three customers make no four groups"


def test_a_night_starts_from_the_groups_of_the_night_before(connection: duckdb.DuckDBPyConnection) -> None:
    """The first night from the accepted one, the next ones from each other; who is new joins the nearest."""
    values = next(cloud(1))[:60]
    for day in ("2026-03-30", "2026-03-31"):
        add(connection, values, day)
    afresh = [row[4] for row in run_model(connection) if str(row[3]) == "2026-03-30"]
    # Other groups were accepted: those that the heaviest indicator alone makes.
    accepted = rank_clusters(values[:, 2:], np.array([1.0]), 4, logarithmic=True)
    for number, rank in enumerate(accepted.tolist()[1:], start=1):
        connection.execute(
            "update int_cluster_features set accepted_rank = ? where customer_id = ?", [rank, f"c{number:02}"]
        )
    rows = run_model(connection)
    first, second = ([row[4] for row in rows if str(row[3]) == day] for day in ("2026-03-30", "2026-03-31"))
    assert first == rank_clusters(values, RFM, 4, True, np.array([0, *accepted.tolist()[1:]])).tolist()
    assert second == rank_clusters(values, RFM, 4, True, np.array(first)).tolist()
    assert first != afresh
    connection.execute("update int_cluster_features set is_baseline = true where as_of_date = '2026-03-30'")
    kept = [row[4] for row in run_model(connection) if str(row[3]) == "2026-03-30"]
    assert kept[1:] == accepted.tolist()[1:], "the accepted night keeps its groups"
