"""What scoring costs: schemes from files, compiled into SQL, against one query written by hand.

Both score the same made-up customers on the same warehouse in the same run, each in a process of its own, in turns;
the medians are compared. The run fails unless both give every customer the same score and tier in every scheme.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import yaml

from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.company.workspace import project_root
from customer_tiering.errors import TieringError

HERE = Path(__file__).parent
MODELS = project_root() / "dbt_project" / "models"
AS_OF = date(2026, 3, 30)
PROFILE = "sample"  # a profile without seeds of its own: the default rules
# Whatever lies between the indicators and the computed tiers, whichever models that is.
SCORING_MODELS = [
    "--select",
    "int_as_of_dates",
    *(f"int_customer_indicators+,+{model}" for model in ("int_computed_tiers", "int_indicator_scores")),
]
EXPLANATION = "intermediate.int_indicator_scores"  # a view
TIERS = "select customer_id, scheme, score, computed_tier from intermediate.int_computed_tiers"  # as the query by hand
GIVEN_MODELS = ["--exclude", "int_customer_indicators", "int_customers"]
NOT_BY_HAND = "rfm_clusters"  # k-means is no query; what it costs is timed beside the comparison
MIB = 2**20
LIMIT = "TIERING_BENCH_MEMORY_LIMIT"  # given to the processes that measure

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """What one run took: ``startup`` seconds passed before its first query.

    ``cpu`` counts the seconds of all cores, which other programs disturb less; ``peak_bytes`` is resident memory.
    """

    seconds: float
    startup: float
    cpu: float
    peak_bytes: int
    models: dict[str, float] = field(default_factory=dict)


def prepare(customers: int) -> int:
    """Land the default rules, write the indicators of ``customers`` customers; returns the number of schemes scored."""
    from customer_tiering.rules.load import load_rules
    from customer_tiering.rules.versions import land_rules
    from customer_tiering.warehouse.connection import open_warehouse
    from customer_tiering.warehouse.nights import PlannedNight, land_as_of_dates, make_build_inputs

    profile = load_profile(PROFILE)
    rules = load_rules(profile)
    contract = yaml.safe_load((MODELS / "marts/indicators/fct_customer_indicators.yml").read_text(encoding="utf-8"))
    columns = ", ".join(f"{column['name']} {column['data_type']}" for column in contract["models"][0]["columns"])
    with open_warehouse(profile.workspace) as connection:
        _use_settings_of_the_project(connection)
        version = land_rules(connection, rules, AS_OF)
        # Every buyer is scored, so that sizes are equal.
        connection.execute("update rules.schemes set population = 'buyers' where population = 'businesses'")
        make_build_inputs(connection)
        connection.execute("create schema intermediate; create schema benchmark")
        connection.execute(
            "create table benchmark.clusters as select * from rules.schemes where scheme = ?", [NOT_BY_HAND]
        )
        connection.execute("delete from rules.schemes where scheme = ?", [NOT_BY_HAND])
        land_as_of_dates(connection, [PlannedNight(AS_OF, version, "run")])
        connection.execute(f"create table intermediate.int_customer_indicators ({columns})")
        query = (HERE / "synthetic_indicators.sql").read_text(encoding="utf-8")
        connection.execute(
            f"insert into intermediate.int_customer_indicators by name {query}",
            {"customers": customers, "as_of": AS_OF},
        )
        connection.execute(
            "create table intermediate.int_customers as select customer_id, "
            "case when interaction_rate is null then 'business' else 'consumer' end as customer_kind "
            "from intermediate.int_customer_indicators"
        )
    return len(rules.schemes()) - 1


def score_with_engine() -> Cost:
    """The scoring models, by dbt, as a night runs them."""
    started = time.time()
    from customer_tiering.warehouse.build import run_dbt

    profile = load_profile(PROFILE)
    results = list(run_dbt(profile, ["run", *SCORING_MODELS, *GIVEN_MODELS], _logs(profile)))
    ended = time.time()
    first_query = min(timing.started_at for node in results for timing in node.timing if timing.name == "execute")
    return Cost(
        seconds=ended - started,
        startup=_seconds(first_query) - started,
        cpu=time.process_time(),
        peak_bytes=_peak_bytes(),
        models={node.node.name: node.execution_time for node in results},
    )


def write_out(table: str, query: str) -> Cost:
    """What is a view written as rows."""
    started = time.time()
    import duckdb

    with duckdb.connect(str(load_profile(PROFILE).workspace.warehouse)) as connection:
        _use_settings_of_the_project(connection)
        first_query = time.time()
        connection.execute(f"create or replace table benchmark.{table} as {query}")
    return Cost(time.time() - started, first_query - started, time.process_time(), _peak_bytes())


def explain_one() -> float:
    """Seconds to explain one customer in every scheme, read from the view; the median of five customers."""
    import duckdb

    with duckdb.connect(str(load_profile(PROFILE).workspace.warehouse), read_only=True) as connection:
        customers = connection.execute(
            "select customer_id from intermediate.int_customers order by hash(customer_id) limit 5"
        ).fetchall()
        seconds = []
        for (customer,) in customers:
            begun = time.perf_counter()
            rows = connection.execute(f"select * from {EXPLANATION} where customer_id = ?", [customer]).fetchall()
            seconds.append(time.perf_counter() - begun)
            assert rows
    return statistics.median(seconds)


def add_clusters() -> None:
    """Put the scheme back that the comparison leaves out."""
    import duckdb

    from customer_tiering.warehouse.nights import PlannedNight, land_as_of_dates

    with duckdb.connect(str(load_profile(PROFILE).workspace.warehouse)) as connection:
        connection.execute("insert into rules.schemes select * from benchmark.clusters")
        ((version,),) = connection.execute("select distinct rules_version from meta.as_of_dates").fetchall()
        land_as_of_dates(connection, [PlannedNight(AS_OF, version, "run")])


def score_by_hand() -> Cost:
    """The hand-written query, its result stored in the same warehouse."""
    started = time.time()
    import duckdb

    query = (HERE / "scoring_by_hand.sql").read_text(encoding="utf-8")
    with duckdb.connect(str(load_profile(PROFILE).workspace.warehouse)) as connection:
        _use_settings_of_the_project(connection)
        first_query = time.time()
        connection.execute(f"create or replace table benchmark.by_hand as {query}")
    return Cost(time.time() - started, first_query - started, time.process_time(), _peak_bytes())


def compare() -> tuple[int, int, list[tuple[Any, ...]]]:
    """Scores given by the engine, schemes among them, and rows (up to 10) on which the two disagree."""
    import duckdb

    with duckdb.connect(str(load_profile(PROFILE).workspace.warehouse)) as connection:
        counted = connection.execute(
            "select count(*), count(distinct scheme) from intermediate.int_computed_tiers"
        ).fetchone()
        differing = connection.execute(
            """
            select coalesce(engine.customer_id, hand.customer_id), coalesce(engine.scheme, hand.scheme),
                   engine.score, hand.score, engine.computed_tier, hand.computed_tier
            from intermediate.int_computed_tiers as engine
            full join benchmark.by_hand as hand
                on engine.customer_id = hand.customer_id and engine.scheme = hand.scheme
            where engine.score is distinct from hand.score
                or engine.computed_tier is distinct from hand.computed_tier
            order by all limit 10
            """
        ).fetchall()
    assert counted is not None
    return counted[0], counted[1], differing


def _use_settings_of_the_project(connection: Any) -> None:
    """What dbt sets on its connections, so that both run under the same conditions."""
    from customer_tiering.sql import literal, quote

    profiles = yaml.safe_load((project_root() / "dbt_project" / "profiles.yml").read_text(encoding="utf-8"))
    output = profiles["customer_tiering"]["outputs"]["warehouse"]
    for name, value in {"threads": output["threads"], **output["settings"]}.items():
        connection.execute(f"set {quote(name)} = {literal(str(value))}")


def _logs(profile: Profile) -> Path:
    folder = profile.workspace.root / "logs"
    folder.mkdir(exist_ok=True)
    return folder


def _seconds(moment: datetime) -> float:
    """Seconds since 1970; dbt's moments are UTC, some without saying so."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _peak_bytes() -> int:
    """Largest resident memory of this process so far (macOS counts bytes, others KiB)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def limit_memory() -> None:
    """Every connection of this process, dbt's too, keeps the limit that was asked for."""
    limit = os.environ.get(LIMIT)
    if not limit:
        return
    import duckdb

    connect = duckdb.connect

    def limited(*args: Any, **kwargs: Any) -> Any:
        connection = connect(*args, **kwargs)
        connection.execute("set memory_limit = ?", [limit])
        return connection

    duckdb.connect = limited


def in_own_process(function: Callable[..., T], *args: Any) -> T:
    """Run in a fresh process, so that the memory of one run is not counted with another's."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=limit_memory) as pool:
        return pool.submit(function, *args).result()


def report(
    customers: int,
    scores: int,
    schemes: int,
    engine: list[Cost],
    tiers: list[Cost],
    written: list[Cost],
    hand: list[Cost],
    with_clusters: Cost,
    explained: float,
) -> None:
    """Print the medians, the ratio and where the engine's time goes."""
    print(f"{customers:,} customers, {schemes} schemes, {scores:,} scores; medians of {len(engine)} run(s)\n")
    print(f"{'':26}{'seconds':>10}{'of it start-up':>16}{'CPU seconds':>13}{'peak memory':>14}")
    lines = (
        ("engine (dbt)", engine),
        ("its tiers as rows", tiers),
        ("its explanation as rows", written),
        ("one query by hand", hand),
        ("engine with clusters", [with_clusters]),
    )
    for label, costs in lines:
        print(
            f"{label:26}{_median(costs, 'seconds'):10.2f}{_median(costs, 'startup'):16.2f}"
            f"{_median(costs, 'cpu'):13.2f}{_median(costs, 'peak_bytes') / MIB:10,.0f} MiB"
        )
    scoring, as_rows, points, by_hand = (
        statistics.median(cost.seconds - cost.startup for cost in costs) for costs in (engine, tiers, written, hand)
    )
    print(f"\nratio of seconds: {(scoring + as_rows) / by_hand:.1f}  (engine / by hand, both with tiers as rows)")
    print(
        f"                  {(scoring + as_rows + points) / by_hand:.1f}  (and the explanation of every point as rows)"
    )
    cpu = _median(engine, "cpu") + _median(tiers, "cpu")
    print(f"ratio of CPU:     {cpu / _median(hand, 'cpu'):.1f}  (start-up included)")
    print(f"ratio of memory:  {_median(engine, 'peak_bytes') / _median(hand, 'peak_bytes'):.1f}")
    print(f"one customer explained in {explained:.2f} s, read from the view")
    print(f"\nseconds per model (two models run at a time){'with clusters':>19}")
    seconds = {name: statistics.median(cost.models[name] for cost in engine) for name in engine[0].models}
    for name in sorted(seconds, key=lambda name: -seconds[name]):
        print(f"  {name:32}{seconds[name]:10.2f}{with_clusters.models[name]:19.2f}")


def _median(costs: list[Cost], what: str) -> float:
    return statistics.median(getattr(cost, what) for cost in costs)


def run(customers: int, repeats: int, keep: Path | None) -> int:
    """Prepare, measure in turns, compare; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="tiering-bench-") as temporary:
        os.environ["TIERING_VAR"] = str(keep.resolve() if keep else temporary)
        schemes_wanted = in_own_process(prepare, customers)
        engine: list[Cost] = []
        tiers: list[Cost] = []
        written: list[Cost] = []
        hand: list[Cost] = []
        for _ in range(repeats):
            engine.append(in_own_process(score_with_engine))
            tiers.append(in_own_process(write_out, "tiers", TIERS))
            written.append(in_own_process(write_out, "explained", f"select * from {EXPLANATION}"))
            hand.append(in_own_process(score_by_hand))
        scores, schemes, differing = in_own_process(compare)
        explained = in_own_process(explain_one)
        in_own_process(add_clusters)
        with_clusters = in_own_process(score_with_engine)
    if differing or schemes != schemes_wanted:
        print(f"The engine and the hand-written query disagree ({schemes} of {schemes_wanted} schemes scored).")
        print("customer, scheme, score by the engine, by hand, tier by the engine, by hand:")
        for row in differing:
            print("  " + ", ".join(str(value) for value in row))
        print("When the scheme files changed on purpose, change scoring_by_hand.sql with them.")
        return 1
    report(customers, scores, schemes, engine, tiers, written, hand, with_clusters, explained)
    print("\nverified: both give every customer the same score and tier in every scheme")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=_positive, default=1_000_000, help="how many (default: 1 000 000)")
    parser.add_argument("--repeats", type=_positive, default=3, help="runs of each; medians are reported (default: 3)")
    parser.add_argument("--keep", type=Path, help="empty folder to leave the warehouse in (default: removed)")
    parser.add_argument("--memory-limit", help="of DuckDB, such as 1GiB (default: DuckDB's own, 80 %% of the machine)")
    given = parser.parse_args()
    if given.memory_limit:
        os.environ[LIMIT] = given.memory_limit
    if given.keep and given.keep.exists() and any(given.keep.iterdir()):
        parser.error(f"{given.keep} is not empty; name another folder")
    try:
        return run(given.customers, given.repeats, given.keep)
    except TieringError as error:
        print(error, file=sys.stderr)
        return 1


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
