"""Running the steps of a night in processes of their own, and killing them at a named place.

Nothing of the pipeline is replaced: a place only sends SIGKILL to its own process, at the moment its name says.
Processes are forked from a server that has the heavy packages imported, so each is fresh and still starts fast.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import queue
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
from python_calamine import CalamineWorkbook

from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.extract.landing import completed_loads
from customer_tiering.publish import snapshot
from nights import shipped_source

FIRST, SECOND, THIRD = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
SOURCES = ("erp", "crm", "ticketing")
EXTRACTS = tuple(f"extract {source}" for source in SOURCES)
GATES = tuple(f"gate {source}" for source in SOURCES)
NIGHT = ("begin", *EXTRACTS, *GATES, "build", "judge", "publish", "alert", "summarise")

# Names the file that a process makes while it waits; it goes on when the file is gone.
WAITING_FLAG = "TIERING_TEST_WAITING"

_PRELOAD = [
    "customer_tiering.extract.pipeline",  # before dlt: it sets what dlt reads at import
    "customer_tiering.extract.sql",
    "dlt.destinations.impl.filesystem.filesystem",
    "customer_tiering.gate.gate",
    "customer_tiering.gate.engine",
    "dbt.cli.main",
    "dbt.adapters.duckdb.connections",
    "dbt.task.build",
    "customer_tiering.alerts.tell",
    "customer_tiering.warehouse.build",
    "customer_tiering.report.summary",
]


# --- a company in a temporary folder -----------------------------------------------------------------------


@dataclass(frozen=True)
class Company:
    """A company's profile and workspace under one folder, so that copying the folder copies the company."""

    folder: Path
    name: str = "sample"

    @property
    def profiles(self) -> Path:
        return self.folder / "profiles"

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / "var" / self.name)

    @property
    def source(self) -> Path:
        return self.workspace.root / "source"

    @property
    def environment(self) -> dict[str, str]:
        return {"TIERING_VAR": str(self.folder / "var"), "TIERING_PROFILES": str(self.profiles)}

    @classmethod
    def create(cls, folder: Path, name: str = "sample") -> Company:
        """A company with the sample profile and no data yet."""
        company = cls(folder, name)
        company.profiles.mkdir(parents=True, exist_ok=True)
        profile = (project_root() / "profiles" / "sample.yml").read_text(encoding="utf-8")
        # Notices to operators, and risks that stand from the first night on, would be counted with changed tiers.
        alerts = "alerts: {operators: [], churn_risk: false}\n"
        (company.profiles / f"{name}.yml").write_text(f"{profile}{alerts}", encoding="utf-8")
        return company

    def copy(self, folder: Path) -> Company:
        """The same company, at the same point of the same night, somewhere else."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Company(folder, self.name)

    def override_scheme(self, name: str, content: str) -> None:
        """Say what differs in a scheme of the company."""
        path = self.profiles / self.name / "schemes" / f"{name}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")

    def erp(self) -> sqlite3.Connection:
        return sqlite3.connect(self.source / "erp" / "erp.sqlite", isolation_level=None)

    def warehouse(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.workspace.warehouse), read_only=True)


@dataclass(frozen=True)
class Prepared:
    """One company at several points of two undisturbed nights. Tests work on copies."""

    fresh: Company
    extracted: Company
    gated: Company
    first: Company
    second_built: Company
    second_published: Company
    second: Company


# --- processes ---------------------------------------------------------------------------------------------


# multiprocessing reads a child's exit code once; two threads that ask at the same time would get it wrong.
_CHILDREN = threading.Lock()


@dataclass
class Run:
    """A started process that runs steps of a night."""

    process: BaseProcess
    log: Path

    def join(self, seconds: float = 400) -> Run:
        """Wait for the end of the process."""
        ended = bool(wait([self.process.sentinel], seconds))
        if not ended:
            self.process.kill()
        with _CHILDREN:
            self.process.join()
        assert ended, f"the process hangs; its log: {self.text()}"
        return self

    def is_running(self) -> bool:
        return not wait([self.process.sentinel], 0)

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def assert_killed(self) -> None:
        self.join()
        assert self.process.exitcode == -signal.SIGKILL, (self.process.exitcode, self.text()[-3000:])

    def assert_done(self) -> None:
        self.join()
        assert self.process.exitcode == 0, (self.process.exitcode, self.text()[-3000:])

    def assert_failed_with(self, error: str, words: str) -> None:
        """The process stopped with this exception, and its message has these words."""
        self.join()
        assert self.process.exitcode == 1, (self.process.exitcode, self.text()[-3000:])
        last = [line for line in self.text().splitlines() if line.startswith("stopped by ")][-1]
        assert last.startswith(f"stopped by {error}: "), last
        assert words in last, last


def start(
    company: Company,
    as_of: date,
    run_id: str,
    steps: Sequence[str] = NIGHT,
    *,
    place: str | None = None,
    environment: dict[str, str] | None = None,
) -> Run:
    """Start a process that runs ``steps``, and is killed at ``place`` (a name in ``PLACES``)."""
    log = company.folder / f"{as_of}_{run_id}_{time.monotonic_ns()}.log"
    environment = company.environment | (environment or {})
    return fork(_run_steps, environment, str(log), company.name, str(as_of), run_id, steps, place, log=log)


def fork(function: Callable[..., None], *arguments: Any, log: Path) -> Run:
    """Start a process that calls ``function``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    process = context.Process(target=function, args=arguments)
    with _CHILDREN:
        process.start()
    return Run(process, log)


def run(company: Company, as_of: date, run_id: str, steps: Sequence[str] = NIGHT) -> None:
    """Run ``steps`` undisturbed."""
    start(company, as_of, run_id, steps).assert_done()


def _run_steps(
    environment: dict[str, str], log: str, name: str, as_of: str, run_id: str, steps: Sequence[str], place: str | None
) -> None:
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from customer_tiering.night import steps as night_steps
    from customer_tiering.night.steps import Night

    if place:
        PLACES[place]()
    night = Night(name, as_of, run_id)
    try:
        for step in steps:
            function, *arguments = step.split()
            begun = time.monotonic()
            getattr(night_steps, function)(night, *arguments)
            os.write(1, f"{step}: {time.monotonic() - begun:.2f} s\n".encode())
    except BaseException as error:
        traceback.print_exc()
        message = str(error).replace("\n", " ")
        os.write(1, f"stopped by {type(error).__name__}: {message}\n".encode())
        raise SystemExit(1) from None


def hold_night(environment: dict[str, str], name: str, pids: str) -> None:
    """Hold a company's night as ``make run`` does, with a child that inherits it; never returns.

    ``pids`` is the file for the ids of this process and its child.
    """
    os.environ.update(environment)
    from customer_tiering.night.guard import inherited_environment, night_lock

    with night_lock(Workspace.of(name)) as descriptor:
        child = subprocess.Popen(
            ["sleep", "600"], env=os.environ | inherited_environment(descriptor), pass_fds=(descriptor,)
        )
        fresh = Path(pids).with_suffix(".new")
        fresh.write_text(json.dumps([os.getpid(), child.pid]), encoding="utf-8")
        fresh.replace(pids)
        child.wait()


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait until ``condition`` holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


# --- places ------------------------------------------------------------------------------------------------


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str, when: Callable[..., bool] = lambda *_args, **_named: True) -> None:
    """Die when ``owner.name`` is called with arguments that ``when`` accepts, before it does anything."""
    original = getattr(owner, name)

    def dying(*args: Any, **named: Any) -> Any:
        if when(*args, **named):
            die()
        return original(*args, **named)

    setattr(owner, name, dying)


def _after(owner: Any, name: str, when: Callable[..., bool] = lambda *_args, **_named: True) -> None:
    """Die when ``owner.name`` has done its work for arguments that ``when`` accepts."""
    original = getattr(owner, name)

    def dying(*args: Any, **named: Any) -> Any:
        result = original(*args, **named)
        if when(*args, **named):
            die()
        return result

    setattr(owner, name, dying)


def _nth(number: int) -> Callable[..., bool]:
    """True for the ``number``-th call; threads may call."""
    calls = 0
    lock = threading.Lock()

    def is_nth(*_args: Any, **_named: Any) -> bool:
        nonlocal calls
        with lock:
            calls += 1
            return calls == number

    return is_nth


def _while_reading_second_table() -> None:
    from customer_tiering.extract import sql

    original = sql.table_resource
    second = shipped_source("erp").entities[1].name

    def resource(entity: Any, *given: Any, **named: Any) -> Any:
        made = original(entity, *given, **named)
        return made.add_map(lambda _rows: die()) if entity.name == second else made

    sql.table_resource = resource


def _while_reading_second_file_entity() -> None:
    from customer_tiering.extract import files

    original = files.read_rows
    second = shipped_source("crm").entities[1].name

    def read_rows(source: Any, entity: Any, path: Path) -> Any:
        for rows in original(source, entity, path):
            yield rows
            if entity.name == second:
                die()

    files.read_rows = read_rows


def _wait_at_third_table() -> None:
    from customer_tiering.extract import sql

    original = sql.table_resource
    third = shipped_source("erp").entities[2].name
    flag = Path(os.environ[WAITING_FLAG])

    def wait_for_test(rows: Any) -> Any:
        flag.touch()
        while flag.exists():
            time.sleep(0.02)
        return rows

    def resource(entity: Any, *given: Any, **named: Any) -> Any:
        made = original(entity, *given, **named)
        return made.add_map(wait_for_test) if entity.name == third else made

    sql.table_resource = resource


def _extracted_but_state_not_saved() -> None:
    from dlt.pipeline.pipeline import Pipeline

    _before(Pipeline, "_save_state", lambda pipeline, *_: pipeline.list_extracted_load_packages())


def _before_normalize() -> None:
    from dlt.pipeline.pipeline import Pipeline

    _before(Pipeline, "normalize")


def _before_load() -> None:
    from dlt.pipeline.pipeline import Pipeline

    _before(Pipeline, "load")


def _after_two_files() -> None:
    from dlt.destinations.impl.filesystem.filesystem import FilesystemLoadJob

    _after(FilesystemLoadJob, "run", _nth(2))


def _before_load_is_marked() -> None:
    from dlt.destinations.impl.filesystem.filesystem import FilesystemClient

    _before(FilesystemClient, "complete_load")


def _after_load_is_marked() -> None:
    from dlt.destinations.impl.filesystem.filesystem import FilesystemClient

    _after(FilesystemClient, "complete_load")


def _between_gated_entities() -> None:
    from customer_tiering.gate.gate import Gate

    _before(Gate, "_gate_entity", lambda _gate, entity: entity.name == "orders")


def _before_gate_commits() -> None:
    from customer_tiering.gate.gate import Gate

    _after(Gate, "_record_loads", lambda _gate, entity, *_: entity.name == "order_lines")


def _amid_models() -> None:
    from dbt.task.run import ModelRunner

    _after(ModelRunner, "after_execute", _nth(20))


def _before_rename() -> None:
    _after(snapshot, "_flush", lambda path: path.name.startswith(snapshot.UNFINISHED))


def _before_manifest() -> None:
    _before(snapshot, "_write_json")


def _before_switch() -> None:
    _before(snapshot, "point_current_to")


def _amid_switch() -> None:
    _before(Path, "replace", lambda path, _target: path.name == ".current-new")


def _after_switch() -> None:
    _before(snapshot, "_prune")


def _sent_not_recorded() -> None:
    from customer_tiering.alerts.ledger import Ledger

    _before(Ledger, "record", _nth(2))


def _between_messages() -> None:
    from customer_tiering.alerts.ledger import Ledger

    _after(Ledger, "record", _nth(2))


PLACES: dict[str, Callable[[], None]] = {
    "while the second table is read": _while_reading_second_table,
    "while the second file entity is read": _while_reading_second_file_entity,
    "extracted, state not saved": _extracted_but_state_not_saved,
    "between extract and normalize": _before_normalize,
    "between normalize and load": _before_load,
    "after two files were loaded": _after_two_files,
    "before the load is marked complete": _before_load_is_marked,
    "after the load is marked complete": _after_load_is_marked,
    "between two gated entities": _between_gated_entities,
    "inside the gate's transaction": _before_gate_commits,
    "amid the models": _amid_models,
    "before the manifest is written": _before_manifest,
    "before the folder is renamed": _before_rename,
    "between rename and switch": _before_switch,
    "amid the switch": _amid_switch,
    "right after the switch": _after_switch,
    "sent, not recorded": _sent_not_recorded,
    "between two messages": _between_messages,
    "wait while the third table is read": _wait_at_third_table,
}


# --- slots -------------------------------------------------------------------------------------------------


class Slots:
    """A few folders in which copies of companies are worked on, one test after the other."""

    def __init__(self, root: Path, number: int = 2) -> None:
        self.number = number
        self._free: queue.Queue[Path] = queue.Queue()
        for index in range(number):
            self._free.put(root / f"slot_{index}")

    @contextmanager
    def copy_of(self, company: Company) -> Iterator[Company]:
        """A copy of ``company`` in a free slot, for as long as the block runs."""
        folder = self._free.get()
        try:
            shutil.rmtree(folder, ignore_errors=True)
            yield company.copy(folder)
        finally:
            self._free.put(folder)


# --- what is looked at afterwards --------------------------------------------------------------------------


def source_rows(company: Company) -> Counter[str]:
    """Rows of each entity, counted in the source itself, without the pipeline's readers."""
    rows: Counter[str] = Counter()
    with company.erp() as connection:
        for entity in shipped_source("erp").entities:
            rows[f"erp.{entity.name}"] = connection.execute(f"select count(*) from {entity.table}").fetchone()[0]
    for source in ("crm", "ticketing"):
        for entity in shipped_source(source).entities:
            name = f"{source}.{entity.name}"
            rows[name] = 0
            for path in (company.source / source).glob(entity.files or ""):
                if entity.format == "excel":
                    rows[name] += len(CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()) - 1
                elif entity.format == "jsonl":
                    rows[name] += sum(1 for line in path.read_text("utf-8").splitlines() if line.strip())
                else:
                    with path.open(encoding="utf-8-sig", newline="") as stream:
                        rows[name] += sum(1 for _row in csv.DictReader(stream))
    return rows


def landed_rows(company: Company) -> Counter[str]:
    """Rows of each entity in all Parquet files of the landing, of finished loads or not."""
    return Counter(
        {
            f"{source}.{entity.name}": sum(
                pq.ParquetFile(path).metadata.num_rows
                for path in (company.workspace.landing / source / entity.name).glob("*.parquet")
            )
            for source in SOURCES
            for entity in shipped_source(source).entities
        }
    )


def unfinished_files(company: Company) -> list[Path]:
    """Parquet files of entities that belong to no finished load."""
    found = []
    for source in SOURCES:
        finished = {load.load_id for load in completed_loads(company.workspace.landing, source)}
        for entity in shipped_source(source).entities:
            for path in (company.workspace.landing / source / entity.name).glob("*.parquet"):
                if ".".join(path.name.split(".")[:2]) not in finished:
                    found.append(path)
    return found


def warehouse_rows(company: Company) -> dict[str, tuple[int, str]]:
    """Row count and checksum of all raw and quarantine tables, without the names that dlt gave to loads."""
    with company.warehouse() as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where schema_name in ('raw', 'quarantine')"
        ).fetchall()
        return {
            f"{schema}.{table}": connection.execute(
                "select count(*), md5(coalesce(string_agg(line, chr(10) order by line), '')) from (select "
                f"cast(t as varchar) as line from (select columns(c -> c not in ('_load_id', '_row_id', "
                f"'load_id', 'row_id')) from {schema}.{table}) t)"
            ).fetchone()
            for schema, table in sorted(tables)
        }


def rows_after_crash(company: Company, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query on a copy of the warehouse as a killed process left it."""
    with tempfile.TemporaryDirectory() as folder:
        left = Path(folder) / "left"
        shutil.copytree(company.workspace.warehouse.parent, left)
        with duckdb.connect(str(left / company.workspace.warehouse.name)) as connection:
            return connection.execute(sql).fetchall()


def check_current(company: Company) -> date | None:
    """The night that ``current`` shows, or None; fails unless it is whole and of one night."""
    folder = snapshot.current_folder(company.workspace)
    if folder is None:
        assert not (company.workspace.published / "current").is_symlink()
        return None
    manifest = snapshot.read_manifest(folder)
    with duckdb.connect(str(folder / snapshot.DATABASE), read_only=True) as connection:
        nights = connection.execute("select distinct as_of_date from marts.fct_customer_tiers").fetchall()
        assert nights == [(manifest.night,)]
        for mart, rows in manifest.rows.items():
            for table in (f"marts.{mart}", f"read_parquet('{folder / mart}.parquet')"):
                assert connection.execute(f"select count(*) from {table}").fetchone() == (rows,), (mart, table)
    return manifest.night


def current_checksums(company: Company) -> dict[str, str]:
    folder = snapshot.current_folder(company.workspace)
    assert folder is not None
    # fct_publication names loads, and dlt names them after the moment.
    return {mart: value for mart, value in snapshot.checksums(folder).items() if mart != "fct_publication"}


def told(company: Company) -> list[str]:
    """Ids of the messages in the local file, in the order in which they were sent."""
    path = company.workspace.reports / "alerts.jsonl"
    if not path.exists():
        return []
    bodies = [json.loads(line)["body"] for line in path.read_text(encoding="utf-8").splitlines()]
    return [re.findall(r"^Message: (\w+)$", body, re.MULTILINE)[0] for body in bodies]


class Watcher:
    """Opens ``current`` again and again while others work, as a dashboard would."""

    def __init__(self, company: Company) -> None:
        self.nights: list[date | None] = []
        self.failure: BaseException | None = None
        self._company = company
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def check(self, expected: list[date]) -> None:
        """``current`` opened every time, and showed these nights in this order."""
        if self.failure is not None:
            raise self.failure
        assert list(dict.fromkeys(self.nights)) == expected
        assert self.nights == sorted(night for night in self.nights if night)

    def _watch(self) -> None:
        try:
            while not self._stop.is_set():
                self.nights.append(check_current(self._company))
                self._stop.wait(0.05)
        except BaseException as failure:  # told to the test's own thread
            self.failure = failure
