"""What the cleaning gate costs: Great Expectations on order lines, beside the same checks written as one scan.

    python benchmarks/gate.py --rows 10000000

Order lines are generated into Parquet like a load in landing. Each measurement runs in a process of its own, so that
peak memory is its own: the hand-written scan, GX's validation with the shipped suite of order lines, the whole gate
(stage, validate, move, account), the hand-written gate, and the whole gate on an increment of one percent.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "plugins"))

NIGHT = date(2024, 3, 31)
FIRST_LOAD, INCREMENT = "1711800000.1", "1711890000.1"
# Of 1 000 rows: two of an unknown order, two without a positive quantity, one that is no number.
_LINES = """
    select
        'SO' || case when n % 500 = 7 then {orders} + n else (n + {start}) // 3 end as order_no,
        cast((n + {start}) % 3 + 1 as varchar) as line_no,
        'P' || n % 400 as product_code,
        case when n % 500 = 11 then '-1' else cast(n % 20 + 1 as varchar) end as quantity,
        cast(10 + n % 90 as varchar) as unit_price,
        case when n % 1000 = 13 then 'n/a' else printf('%.2f', 50 + hash(n) % 100000 / 10.0) end as net_amount,
        printf('%.2f', 60 + hash(n) % 100000 / 10.0) as gross_amount,
        printf('%.2f', 30 + hash(n) % 60000 / 10.0) as cost_amount,
        '2024-03-01 08:00:00' as created_at,
        strftime(timestamp '2024-03-01 08:00:00' + interval (n % 2000000) second, '%Y-%m-%d %H:%M:%S') as updated_at,
        'order_lines' as _source_file,
        n + 1 as _row_number,
        cast(null as varchar) as _malformed,
        '{load}' as _dlt_load_id
    from (select unnest(range({rows})) as n)
"""
# The rules of the order lines as a person would write them over the typed batch: one scan, one count per rule.
_HAND_WRITTEN = """
    select
        count(*),
        count(*) filter (order_id is not null and order_id not in (
            select order_id from input_layer.orders where source = 'erp')),
        count(*) filter (_text_order_id is null),
        count(*) filter (_text_line_id is null),
        count(*) filter (_text_net_amount is null),
        count(*) filter ((order_id, line_id, updated_at) in (
            select (order_id, line_id, updated_at) from gate.erp__order_lines group by all having count(*) > 1)),
        count(*) filter (quantity <= 0),
        count(*) filter (_text_order_id is not null and order_id is null),
        count(*) filter (_text_product_id is not null and product_id is null),
        count(*) filter (_text_quantity is not null and quantity is null),
        count(*) filter (_text_unit_price is not null and unit_price is null),
        count(*) filter (_text_net_amount is not null and net_amount is null),
        count(*) filter (_text_cost_amount is not null and cost_amount is null),
        count(*) filter (abs(ln(abs(nullif(net_amount, 0))::double) - centre) > 6 * 1.4826 * spread),
        count(*) filter (updated_at < date '1980-01-01' or updated_at >= date '2024-04-02'),
        max(updated_at)
    from gate.erp__order_lines, statistics
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=1, help="Runs of each measurement; the fastest counts.")
    parser.add_argument("--folder", type=Path, help="Where to put the data; default: a temporary folder.")
    parser.add_argument("--measure", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.folder), default=str))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        generate(folder, arguments.rows)
        results: dict[str, dict[str, Any]] = {}
        for name in MEASUREMENTS:
            for _ in range(arguments.repeat):
                result = in_own_process(name, folder)
                if name not in results or result["cpu"] < results[name]["cpu"]:
                    results[name] = result
            best = results[name]
            print(
                f"{name:<24} {best['seconds']:>8.2f} s {best['cpu']:>8.2f} s of CPU {best['peak_mb']:>7,.0f} MB",
                flush=True,
            )
        by_hand, by_gx = results["hand_written_scan"], results["gx_validation"]
        assert sorted(filter(None, by_hand["found"][1:-1])) == sorted(by_gx["found"].values()), "they must agree"
        print(
            f"\nGX validation / hand-written scan: {by_gx['seconds'] / by_hand['seconds']:.2f} by the clock, ", end=""
        )
        print(f"{by_gx['cpu'] / by_hand['cpu']:.2f} in CPU")


def generate(folder: Path, rows: int) -> None:
    """Two loads of order lines in landing: all rows, and an increment of one percent that continues them."""
    lines = folder / "landing" / "erp" / "order_lines"
    loads = folder / "landing" / "erp" / "_dlt_loads"
    lines.mkdir(parents=True, exist_ok=True)
    loads.mkdir(exist_ok=True)
    orders = (rows + rows // 100) // 3 + 2
    with duckdb.connect() as connection:
        for load, start, count in ((FIRST_LOAD, 0, rows), (INCREMENT, rows, rows // 100)):
            query = _LINES.format(orders=orders, rows=count, start=start, load=load)
            connection.execute(f"copy ({query}) to '{lines / f'{load}.0.parquet'}' (format parquet)")
            (loads / f"{load}.jsonl").write_text(json.dumps({"load_id": load, "status": 0}) + "\n")
        connection.execute(
            f"copy (select 'SO' || range as order_no from range({orders})) to '{folder / 'orders.parquet'}'"
        )


def in_own_process(name: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", name, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Seconds of a measurement, by the clock and of all cores, imports and preparation apart; peak memory."""
    prepare, body = MEASUREMENTS[name]
    prepared = prepare(folder)
    started, cpu = time.perf_counter(), time.process_time()
    found = body(prepared)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    prepared.connection.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(seconds, 3), "cpu": round(cpu, 3), "peak_mb": round(peak), "found": found}


class Prepared:
    """A warehouse with accepted orders; GX is imported already."""

    def __init__(self, folder: Path, *, name: str = "scratch", again: bool = True) -> None:
        from customer_tiering.company.profile import load_profile
        from customer_tiering.gate import gate

        self.folder = folder
        self.source = load_profile("sample").source("erp")
        self.entity = self.source.entity("order_lines")
        path = folder / f"{name}.duckdb"
        self.fresh = again or not path.exists()
        if self.fresh:
            path.unlink(missing_ok=True)
        self.connection = duckdb.connect(str(path))
        if not self.fresh:
            return
        schema = PROJECT / "plugins" / "customer_tiering" / "warehouse" / "schema.sql"
        self.connection.execute(schema.read_text(encoding="utf-8"))
        gate.ensure_tables(self.connection, self.source)
        self.connection.execute(
            "insert into input_layer.orders by name select 'erp' as source, order_no as order_id, order_no as _row_id, "
            f"false as _is_merged, md5(order_no) as _content_hash from read_parquet('{folder / 'orders.parquet'}')"
        )

    def gate(self) -> Any:
        from customer_tiering.gate.gate import Gate

        return Gate(
            self.connection,
            self.source,
            landing=self.folder / "landing",
            decisions=self.folder / "decisions",
            as_of=NIGHT,
            currency="CNY",
            results_dir=self.folder / "results",
            run_time=datetime(2024, 4, 1, tzinfo=UTC),
        )

    def loads(self, *names: str) -> list[Any]:
        from customer_tiering.extract.landing import Load

        return [Load("erp", name) for name in names]


def staged(folder: Path) -> Prepared:
    """The batch stands in the warehouse, with the statistics of its outlier rule."""
    prepared = Prepared(folder)
    gate = prepared.gate()
    gate._stage_batch(prepared.entity, prepared.loads(FIRST_LOAD))
    gate._parameters(prepared.entity, _suite(prepared))
    prepared.connection.execute(
        "create table statistics as select median_log as centre, mad_log as spread from meta.outlier_statistics"
    )
    return prepared


def after_first_load(folder: Path) -> Prepared:
    """A copy of the warehouse that the measurement of the whole gate left behind, so that it can be repeated."""
    if not (folder / "first.duckdb").exists():
        prepared = Prepared(folder, name="first")
        gate_load(prepared, FIRST_LOAD)
        prepared.connection.close()
    shutil.copyfile(folder / "first.duckdb", folder / "second.duckdb")
    return Prepared(folder, name="second", again=False)


def _suite(prepared: Prepared) -> Any:
    from customer_tiering.gate.gate import suite_of

    return suite_of(prepared.source, prepared.entity)


def hand_written_scan(prepared: Prepared) -> Any:
    return prepared.connection.execute(_HAND_WRITTEN).fetchone()


def gx_validation(prepared: Prepared) -> Any:
    outcomes = prepared.gate()._validate(prepared.entity, _suite(prepared))
    assert not [outcome.error for outcome in outcomes if outcome.error]
    return {outcome.rule: outcome.unexpected for outcome in outcomes if outcome.unexpected}


def gate_load(prepared: Prepared, load: str) -> Any:
    """The whole gate of one load: stage, validate, keep out, move, account."""
    gate = prepared.gate()
    gate._new_loads = lambda _entity: prepared.loads(load)
    account = gate._gate_entity(prepared.entity)
    return {"in": account.rows_in, "kept": account.rows_kept, "quarantined": account.rows_quarantined}


MEASUREMENTS: dict[str, tuple[Callable[[Path], Prepared], Callable[[Prepared], Any]]] = {
    "hand_written_scan": (staged, hand_written_scan),
    "gx_validation": (staged, gx_validation),
    "whole_gate": (lambda folder: Prepared(folder, name="first"), lambda prepared: gate_load(prepared, FIRST_LOAD)),
    "whole_gate_increment": (after_first_load, lambda prepared: gate_load(prepared, INCREMENT)),
}


if __name__ == "__main__":
    main()
