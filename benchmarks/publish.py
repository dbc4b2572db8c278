"""What publishing does to readers: nights are published one after another while BI clients read through ``current``.

Every reader is a process of its own. A read resolves the pointer, opens the snapshot, and asks three marts, the
manifest and one Parquet file which night they are of and whether they agree; an error counts as failed, anything that
does not belong together as mixed. The run ends with code 1 unless all reads were whole.

    python benchmarks/publish.py --publishes 100 --readers 20 --customers 5000
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from customer_tiering.company.workspace import Workspace
from customer_tiering.publish.snapshot import DATABASE, Manifest, current_folder, publish, read_manifest

FIRST_NIGHT = date(2026, 1, 1)
KEEP = 7
SETTLE_SECONDS = 1.0
Publisher = Callable[[duckdb.DuckDBPyConnection, Workspace, Manifest], object]

BUILD = """
create schema if not exists marts;
create or replace table marts.fct_customer_tiers as
    select 'C' || i as customer_id, s.scheme, date '{night}' as as_of_date,
        ['strategic', 'key', 'standard', 'potential'][1 + (i * 7 + {number}) % 4] as effective_tier,
        ((i * 31 + {number}) % 10000 / 100)::decimal(7, 2) as score
    from range({customers}) t(i) cross join (select unnest(['account_360', 'spend_abc', 'pyramid']) as scheme) s;
create or replace table marts.fct_customer_indicators as
    select 'C' || i as customer_id, date '{night}' as as_of_date, (i * 13 + {number})::decimal(18, 2) as annual_spend,
        columns(*)::decimal(18, 6)
    from (select i, {indicators} from range({customers}) t(i));
create or replace table marts.agg_tier_summary as
    select scheme, effective_tier as tier, as_of_date, count(*)::integer as customers
    from marts.fct_customer_tiers group by all;
"""
# Each query: rows, first and last night, and a figure that the others must agree with.
TIERS = "select count(*), min(as_of_date), max(as_of_date), count(*) filter (effective_tier = 'key') from {}"
SUMMARY = "select sum(customers), min(as_of_date), max(as_of_date), sum(customers) filter (tier = 'key') from {}"
SPEND = "select count(*), min(as_of_date), max(as_of_date), sum(annual_spend) from {}"


@dataclass(frozen=True)
class Figures:
    """Latencies are milliseconds of one whole read: pointer, manifest, open, four queries."""

    publishes: int
    readers: int
    reads: int
    reads_while_publishing: int
    failed: int
    mixed: int
    nights_seen: int
    idle_p50: float
    idle_p95: float
    publishing_p50: float
    publishing_p95: float
    publish_p50_seconds: float
    errors: list[str]

    @property
    def sound(self) -> bool:
        return self.failed == self.mixed == 0 and self.reads_while_publishing > 0 and self.nights_seen > 1


def build(connection: duckdb.DuckDBPyConnection, number: int, customers: int) -> date:
    night = FIRST_NIGHT + timedelta(days=number)
    indicators = ", ".join(f"((i * {prime} + {number}) % 1000) / 7 as x{prime}" for prime in range(1, 31))
    connection.execute(BUILD.format(night=night, number=number, customers=customers, indicators=indicators))
    return night


def manifest_of(night: date, number: int) -> Manifest:
    return Manifest("bench", str(night), f"run{number}", "rules", "config", "code", "account_360", "CNY", rows={})


def publish_folder(connection: duckdb.DuckDBPyConnection, workspace: Workspace, manifest: Manifest) -> None:
    publish(connection, workspace, manifest, KEEP)


def read_once(workspace: Workspace) -> tuple[str, str]:
    """The night that a read saw, and what did not belong together ("" when all did)."""
    folder = current_folder(workspace)
    if folder is None:
        raise FileNotFoundError("no pointer")
    manifest = read_manifest(folder)
    with duckdb.connect(str(folder / DATABASE), read_only=True, config={"threads": 1}) as connection:
        tiers, summary, spend, parquet = (
            connection.execute(query.format(table)).fetchone()
            for query, table in (
                (TIERS, "marts.fct_customer_tiers"),
                (SUMMARY, "marts.agg_tier_summary"),
                (SPEND, "marts.fct_customer_indicators"),
                (TIERS, f"read_parquet('{folder / 'fct_customer_tiers.parquet'}')"),
            )
        )
    nights = {night for row in (tiers, summary, spend, parquet) for night in row[1:3]} | {manifest.night}
    rows = manifest.rows["fct_customer_tiers"], manifest.rows["fct_customer_indicators"]
    if len(nights) > 1 or tiers != parquet or tiers != summary or rows != (tiers[0], spend[0]):
        return manifest.as_of_date, f"{folder.name}: {tiers} {summary} {spend} {parquet} {rows}"
    return manifest.as_of_date, ""


def read_until_stopped(root: Path, out: Path, pause: float) -> None:
    """A reader: one line per read with its start, its seconds, its night, and what was wrong."""
    workspace, stop = Workspace(root), out.with_name("stop")
    with out.open("w", encoding="utf-8", buffering=1) as stream:
        while not stop.exists():
            begun = time.monotonic()
            try:
                night, mixed = read_once(workspace)
                line = {"night": night, "mixed": mixed, "failed": ""}
            except Exception as error:
                line = {"night": "", "mixed": "", "failed": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
            stream.write(json.dumps({"begun": begun, "seconds": time.monotonic() - begun} | line) + "\n")
            time.sleep(pause)


def measure(
    *,
    publishes: int,
    readers: int,
    customers: int,
    idle_seconds: float,
    pause: float,
    publisher: Publisher = publish_folder,
) -> Figures:
    """Publish nights under the eyes of ``readers`` processes, after ``idle_seconds`` without publishing."""
    folder = Path(tempfile.mkdtemp(prefix="tiering-publish-"))
    workspace = Workspace(folder / "var" / "bench")
    processes: list[subprocess.Popen[bytes]] = []
    try:
        with duckdb.connect(str(folder / "warehouse.duckdb"), config={"threads": 1}) as connection:
            publisher(connection, workspace, manifest_of(build(connection, 0, customers), 0))
            for number in range(readers):
                arguments = [
                    "--read",
                    str(workspace.root),
                    "--out",
                    str(folder / f"reader{number}"),
                    "--pause",
                    str(pause),
                ]
                processes.append(subprocess.Popen([sys.executable, __file__, *arguments]))
            while sum(path.stat().st_size > 0 for path in folder.glob("reader*")) < readers:
                if any(process.poll() is not None for process in processes):
                    raise RuntimeError("a reader ended by itself")
                time.sleep(0.05)
            time.sleep(SETTLE_SECONDS)
            idle_from = time.monotonic()
            time.sleep(idle_seconds)
            publishing_from = time.monotonic()
            seconds = []
            for number in range(1, publishes + 1):
                night = build(connection, number, customers)
                begun = time.monotonic()
                publisher(connection, workspace, manifest_of(night, number))
                seconds.append(time.monotonic() - begun)
            publishing_to = time.monotonic()
        (folder / "stop").touch()
        for process in processes:
            process.wait(60)
        reads = [json.loads(line) for path in folder.glob("reader*") for line in path.read_text().splitlines()]
    finally:
        (folder / "stop").touch()
        for process in processes:
            if process.poll() is None:
                process.terminate()
                process.wait()
        shutil.rmtree(folder)
    idle = [read for read in reads if idle_from <= read["begun"] < publishing_from]
    during = [read for read in reads if publishing_from <= read["begun"] < publishing_to]
    errors = [read["failed"] or read["mixed"] for read in reads if read["failed"] or read["mixed"]]
    return Figures(
        publishes=publishes,
        readers=readers,
        reads=len(reads),
        reads_while_publishing=len(during),
        failed=sum(bool(read["failed"]) for read in reads),
        mixed=sum(bool(read["mixed"]) for read in reads),
        nights_seen=len({read["night"] for read in reads if read["night"]}),
        idle_p50=percentile(idle, 0.5),
        idle_p95=percentile(idle, 0.95),
        publishing_p50=percentile(during, 0.5),
        publishing_p95=percentile(during, 0.95),
        publish_p50_seconds=sorted(seconds)[len(seconds) // 2],
        errors=sorted(set(errors))[:5],
    )


def percentile(reads: list[dict[str, float]], share: float) -> float:
    """Milliseconds that ``share`` of the reads stayed within; 0 when there were none."""
    ordered = sorted(read["seconds"] for read in reads)
    return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publishes", type=int, default=100)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--customers", type=int, default=5000, help="rows of the marts: 3 × and 1 × as many")
    parser.add_argument("--idle-seconds", type=float, default=20, help="reading without publishing, to compare with")
    parser.add_argument("--pause", type=float, default=0.25, help="seconds between two reads of a reader")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read_until_stopped(options.read, options.out, options.pause)
        return 0
    figures = measure(
        publishes=options.publishes,
        readers=options.readers,
        customers=options.customers,
        idle_seconds=options.idle_seconds,
        pause=options.pause,
    )
    if options.json:
        print(json.dumps(asdict(figures), indent=2))
    else:
        print(
            f"{figures.publishes} publishes, {figures.readers} readers, {options.customers:,} customers: "
            f"{figures.reads:,} reads, {figures.reads_while_publishing:,} of them while publishing\n"
            f"failed reads {figures.failed}, mixed versions {figures.mixed}, nights seen {figures.nights_seen}\n"
            f"a read, idle:             p50 {figures.idle_p50:.0f} ms, p95 {figures.idle_p95:.0f} ms\n"
            f"a read, while publishing: p50 {figures.publishing_p50:.0f} ms, p95 {figures.publishing_p95:.0f} ms\n"
            f"a publish: p50 {figures.publish_p50_seconds:.2f} s"
        )
        for error in figures.errors:
            print(f"  {error}")
    return 0 if figures.sound else 1


if __name__ == "__main__":
    raise SystemExit(main())
