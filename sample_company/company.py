"""Orchestration of the sample company: what exists, what is missing, and writing the difference."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from sample_company import writers
from sample_company.activity import build_orders, finance_rows, master_rows, order_rows, product_rows
from sample_company.batch import Batch, Row, Scope, Window
from sample_company.catalogue import MAX_CUSTOMERS, Calendar
from sample_company.dirt import MAX_DIRT
from sample_company.draws import Draws, Ints
from sample_company.individuals import individual_rows, individuals_count
from sample_company.population import GROWTH_PER_YEAR, YEAR, World, build_customers
from sample_company.relations import (
    STRATEGIC_COLUMNS,
    Relations,
    owner_rows,
    strategic_listed,
    strategic_rows,
)
from sample_company.retyped import retyped_accounts

DEFAULT_CUSTOMERS = 400
DEFAULT_YEARS = 3
DEFAULT_SEED = 20260102
DEFAULT_DIRT = 1.0
DEFAULT_UNTIL = date(2026, 3, 30)

_CUSTOMER_DAYS = 2_000_000  # customers * days computed at a time; bounds the memory
_ERP_FILE = Path("erp") / "erp.sqlite"
_STATE_FILE = "company.json"
_TRUTH_FILE = "truth.jsonl"
_IDENTITY_FILE = "truth_identity.csv"
_IDENTITY_HEADER = "true_company,source,source_key\n"
_SHEET_FILE = Path("crm") / "strategic_attributes.xlsx"

Progress = Callable[[str], None]


class SampleMismatch(ValueError):
    """The arguments contradict the company that is already stored under the root."""


@dataclass(frozen=True)
class CompanyState:
    """What is stored under a root. `first_until` names the first export; `until` is the last day present."""

    seed: int
    customers: int
    years: int
    start: date
    until: date
    dirt: float
    first_until: date

    def as_json(self) -> dict[str, Any]:
        """The state with ISO dates."""
        return {k: v.isoformat() if isinstance(v, date) else v for k, v in asdict(self).items()}

    @staticmethod
    def from_json(stored: dict[str, Any]) -> "CompanyState":
        """The inverse of `as_json`; further keys are ignored."""
        return CompanyState(
            seed=int(stored["seed"]),
            customers=int(stored["customers"]),
            years=int(stored["years"]),
            start=date.fromisoformat(stored["start"]),
            until=date.fromisoformat(stored["until"]),
            dirt=float(stored["dirt"]),
            first_until=date.fromisoformat(stored["first_until"]),
        )

    def reaching(self, until: date) -> "CompanyState":
        """The same company, known up to `until`."""
        return CompanyState(**{**asdict(self), "until": until})


@dataclass(frozen=True)
class CompanySummary:
    """What one call wrote. `rows` counts written rows per 'source.entity', without the state table."""

    state: CompanyState
    previous_until: date | None
    changed: bool
    rows: dict[str, int] = field(default_factory=dict)
    truth_lines: int = 0
    files: tuple[str, ...] = ()


def company_state(root: Path) -> CompanyState | None:
    """State of the company under `root`; None if none was completed there."""
    stored = _read_json(root / _STATE_FILE)
    return None if stored is None else CompanyState.from_json(stored)


def generate_company(
    root: Path,
    *,
    customers: int | None = None,
    years: int | None = None,
    until: date = DEFAULT_UNTIL,
    seed: int | None = None,
    dirt: float | None = None,
    start: date | None = None,
    progress: Progress | None = None,
) -> CompanySummary:
    """Generate the sample company under `root`, or append the days after the stored ones up to `until`.

    `customers` is the number of companies in the ERP one year after the start (about 3 % a year join later);
    12 % as many individuals buy beside them. The first call starts the company at `start`, or `years` before
    `until`. Omitted arguments are taken from the stored company, for a new one from the defaults (400 customers,
    3 years, seed 20260102, dirt 1).

    Raises SampleMismatch if an explicit argument contradicts the stored company and ValueError for values
    out of range.
    """
    say: Progress = progress or (lambda _message: None)
    erp_stored = writers.read_erp_state(root / _ERP_FILE)
    files_stored = _read_json(root / _STATE_FILE)
    if erp_stored is None and files_stored is not None:
        raise SampleMismatch(f"{root} has {_STATE_FILE} but no {_ERP_FILE}; remove {root} and generate again")
    if erp_stored is None:
        state = _new_state(customers=customers, years=years, until=until, seed=seed, dirt=dirt, start=start)
    else:
        state = CompanyState.from_json(erp_stored)
        _check(state, customers=customers, years=years, seed=seed, dirt=dirt, start=start)
    # After a crash between the database and the files, the database is ahead: the files catch up with it.
    erp_until = None if erp_stored is None else state.until
    target = state.reaching(max(until, state.until))
    files_until = None if files_stored is None else CompanyState.from_json(files_stored).until
    if files_until == target.until and erp_until == target.until:
        return CompanySummary(state=target, previous_until=files_until, changed=False)
    return _Generation(
        root, target, erp_until=erp_until, files_until=files_until, files_stored=files_stored or {}, say=say
    ).run()


def _new_state(
    *,
    customers: int | None,
    years: int | None,
    until: date,
    seed: int | None,
    dirt: float | None,
    start: date | None,
) -> CompanyState:
    customers = DEFAULT_CUSTOMERS if customers is None else customers
    dirt = DEFAULT_DIRT if dirt is None else float(dirt)
    seed = DEFAULT_SEED if seed is None else seed
    if start is None:
        years = DEFAULT_YEARS if years is None else years
        if years < 1:
            raise ValueError("years must be at least 1")
        leap_day = until.month == 2 and until.day == 29
        start = until.replace(year=until.year - years, day=28 if leap_day else until.day)
    elif years is None:
        years = max(1, round((until - start).days / 365.25))
    if not 1 <= customers <= MAX_CUSTOMERS:
        raise ValueError(f"customers must be between 1 and {MAX_CUSTOMERS}")
    if not 0 <= dirt <= MAX_DIRT:
        raise ValueError(f"dirt must be between 0 and {MAX_DIRT}")
    if seed < 0:
        raise ValueError("seed must not be negative")
    if start > until:
        raise ValueError(f"the company starts on {start}, after the last day {until}")
    return CompanyState(seed, customers, years, start, until, dirt, first_until=until)


def _check(state: CompanyState, **explicit: Any) -> None:
    for name, value in explicit.items():
        stored = getattr(state, name)
        if value is not None and value != stored:
            raise SampleMismatch(
                f"the stored company has {name}={stored}, not {value}; omit {name} or use another directory"
            )


class _Generation:
    """One run: the ERP window in one transaction, then the files of their window, company.json last."""

    def __init__(
        self, root: Path, target: CompanyState, *, erp_until: date | None, files_until: date | None,
        files_stored: dict[str, Any], say: Progress,
    ) -> None:  # fmt: skip
        self.root, self.target, self.say = root, target, say
        self.erp_until, self.files_until, self.files_stored = erp_until, files_until, files_stored
        start, until = target.start.toordinal(), target.until.toordinal()
        self.world = World(Draws(target.seed), target.customers, start, target.dirt)
        # From the oldest registration to the latest date that is looked up and then cut off by the window: in a
        # small company years pass between two new customers.
        between_customers = int(YEAR / (target.customers * GROWTH_PER_YEAR))
        self.calendar = Calendar(start - 9 * YEAR, max(until, start + YEAR) + 2 * YEAR + between_customers)
        self.rows: Counter[str] = Counter()
        self.truth_lines = 0

    def _window(self, after: date | None) -> Window:
        return Window(0 if after is None else after.toordinal() + 1, self.target.until.toordinal())

    def run(self) -> CompanySummary:
        root, target = self.root, self.target
        root.mkdir(parents=True, exist_ok=True)
        staging = root / ".staging"
        exports = writers.ExportWriter(root, staging)
        truth = writers.GrowingFile(
            root / _TRUTH_FILE, staging / _TRUTH_FILE, int(self.files_stored.get("truth_bytes", 0))
        )
        identity = writers.GrowingFile(
            root / _IDENTITY_FILE,
            staging / _IDENTITY_FILE,
            int(self.files_stored.get("identity_bytes", 0)),
            _IDENTITY_HEADER,
        )
        together = self.erp_until == self.files_until
        if self.erp_until != target.until:
            erp = writers.ErpWriter(root / _ERP_FILE)
            try:
                for batch in self._batches(self._window(self.erp_until)):
                    self._to_erp(erp, batch)
                    if together:
                        self._to_files(exports, truth, identity, batch)
                    del batch  # or two chunks would be in memory while the next one is built
                erp.commit(target.as_json())
            except BaseException:
                erp.abort()
                raise
        if not together:
            for batch in self._batches(self._window(self.files_until)):
                self._to_files(exports, truth, identity, batch)
                del batch
        self.say("publishing the export files")
        files = [name.as_posix() for name in exports.publish()]
        sheet = writers.strategic_sheet(STRATEGIC_COLUMNS, self._strategic())
        if writers.write_if_changed(root / _SHEET_FILE, staging / _SHEET_FILE.name, sheet):
            files.append(_SHEET_FILE.as_posix())
        sizes = {"truth_bytes": truth.publish(), "identity_bytes": identity.publish()}
        content = json.dumps({**target.as_json(), **sizes}, indent=2, sort_keys=True) + "\n"
        writers.write_if_changed(root / _STATE_FILE, staging / _STATE_FILE, content.encode())
        shutil.rmtree(staging, ignore_errors=True)
        return CompanySummary(
            target, self.files_until, True, dict(sorted(self.rows.items())), self.truth_lines, tuple(files)
        )

    def _batches(self, window: Window) -> Iterator[Batch]:
        """Generate the window chunk by chunk of customers."""
        scope = Scope(self.world, window, self.calendar)
        first = Batch()
        product_rows(scope, first)
        owner_rows(scope, first)
        yield first
        total = self.world.hosts_until(window.hi)
        days = window.hi - max(window.lo - 200, self.world.start) + 1
        size = max(256, min(50_000, _CUSTOMER_DAYS // days))
        for low in range(0, total, size):
            numbers: Ints = np.arange(low, min(low + size, total), dtype=np.int64)
            customers = build_customers(self.world, numbers, self.calendar)
            batch = Batch()
            master_rows(scope, customers, batch)
            orders, lines = build_orders(scope, customers)
            order_rows(scope, customers, orders, lines, batch)
            finance_rows(scope, customers, orders, batch)
            del orders, lines
            Relations(scope, customers, batch).build()
            retyped_accounts(scope, customers, batch)
            del customers
            yield batch
            del batch
            self.say(f"{min(low + size, total)} of {total} customers")
        people = individuals_count(self.world)
        for low in range(0, people, size):
            batch = Batch()
            individual_rows(scope, np.arange(low, min(low + size, people), dtype=np.int64), batch)
            yield batch
            del batch

    def _to_erp(self, erp: writers.ErpWriter, batch: Batch) -> None:
        for (source, entity), rows in batch.rows.items():
            if source == "erp":
                erp.write(entity, rows)
                self.rows[f"erp.{entity}"] += len(rows)

    def _to_files(
        self,
        exports: writers.ExportWriter,
        truth: writers.GrowingFile,
        identity: writers.GrowingFile,
        batch: Batch,
    ) -> None:
        first = self.target.first_until.toordinal()
        for (source, entity), rows in batch.rows.items():
            if source == "erp":
                continue
            self.rows[f"{source}.{entity}"] += len(rows)
            by_day: dict[int, list[Row]] = {}
            if self.target.until == self.target.first_until:
                by_day[first] = rows
            else:
                for row, day in zip(rows, batch.days[source, entity], strict=True):
                    by_day.setdefault(max(day, first), []).append(row)
            for day, group in by_day.items():
                exports.write(source, entity, date.fromordinal(day).strftime("%Y%m%d"), group)
        truth.write(batch.truth)
        identity.write(",".join(row) for row in batch.identities)
        self.truth_lines += len(batch.truth)

    def _strategic(self) -> list[Row]:
        """All rows of the strategic sheet as of the last day."""
        scope = Scope(self.world, self._window(None), self.calendar)
        numbers = strategic_listed(self.world, np.arange(self.world.hosts_until(scope.window.hi), dtype=np.int64))
        return strategic_rows(scope, build_customers(self.world, numbers, self.calendar))


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return stored
