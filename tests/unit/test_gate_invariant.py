"""The gate accounts for every landed row, whatever the dirt, however loads fall into nights, however often it runs.

Generated loads go through the real gate (Great Expectations on DuckDB) and through a small model in Python;
both must agree to the row. Many loads share a run of the gate, because a validation costs a tenth of a second.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from customer_tiering.company.workspace import PROJECT_ROOT
from customer_tiering.errors import GateBlocked
from customer_tiering.gate.gate import EntityAccount, Gate
from customer_tiering.gate.validation import Validator
from customer_tiering.inputs.mapping import MappedEntity, MappedSource, TableMapping, mapped_source
from customer_tiering.sources.base import FILE_COLUMN, LOAD_COLUMN, MALFORMED_COLUMN, ROW_COLUMN

MAPPINGS = {
    "customers": TableMapping.model_validate(
        {
            "files": "c*",
            "hold_above": 1,
            "columns": {"customer_id": "customer_id", "contact_name": "name", "updated_at": "updated_at"},
        }
    ),
    "orders": TableMapping.model_validate(
        {
            "files": "o*",
            "hold_above": 1,
            "columns": {
                "order_id": "order_no",
                "customer_id": "customer_id",
                "ordered_on": "ordered_on",
                "net_amount": {"value": "1"},
                "updated_at": "updated_at",
            },
        }
    ),
}
SHOP = mapped_source("shop", MAPPINGS, label_en="Shop", label_zh="商店")
CUSTOMERS, ORDERS = SHOP.entities
COLUMNS = {
    "customers": ("customer_id", "contact_name", "updated_at"),
    "orders": ("order_id", "customer_id", "ordered_on", "updated_at"),
}

LANDED = {
    "customers": ("customer_id", "name", "updated_at"),
    "orders": ("order_no", "customer_id", "ordered_on", "updated_at"),
}

NULL, NUMBER = "expect_column_values_to_be_null", "expect_column_values_to_be_number"
FIRST_NIGHT = date(2024, 1, 1)
GOOD_DATES, BAD_DATES = ("2023-12-05", "2023-12-06 08:00:00"), ("2023-02-30", "soon")
LOADS_PER_EXAMPLE, EXAMPLES = 130, 8


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project folder for rules of the shop's own."""
    root = tmp_path_factory.mktemp("project")
    (root / "expectations" / "shop").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_HOME", str(root))
        yield root


def write_suite(root: Path, entity: str, rules: str) -> None:
    for on_failure in ("quarantine", "repair", "block", "warn"):
        meta = f"severity: critical, meta: {{on_failure: {on_failure}, reason_en: reason, reason_zh: 原因}}"
        rules = rules.replace(f"ON: {on_failure}", meta)
    (root / "expectations" / "shop" / f"{entity}.yml").write_text(
        f"source: shop\nentity: {entity}\nexpectations:{rules}", encoding="utf-8"
    )


def remove_suite(root: Path, entity: str) -> None:
    (root / "expectations" / "shop" / f"{entity}.yml").unlink()


# --- landing ------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """A landed row, and what the model decided about it."""

    load_id: str
    number: int
    values: tuple[str | None, ...]
    malformed: str | None = None
    file: str = "file"
    first_seen: date | None = None
    last_seen: date | None = None

    @property
    def row_id(self) -> str:
        return f"{self.load_id}:{self.number}"

    @property
    def content(self) -> tuple[str | None, ...]:
        return tuple(value or None for value in self.values)

    @property
    def typed(self) -> tuple[str | None, ...]:
        """As it is kept once it is accepted: days without a time of day."""
        return tuple(value and value.removesuffix(" 08:00:00") for value in self.content)


@dataclass
class Load:
    load_id: str
    rows: dict[str, list[Row]]


def land(landing: Path, load: Load) -> None:
    """Write the Parquet of a load; it stays invisible until ``complete``."""
    for entity in SHOP.entities:
        rows = load.rows[entity.name]
        if not rows:
            continue
        columns: dict[str, pa.Array] = {
            name: pa.array([row.values[index] for row in rows], pa.string())
            for index, name in enumerate(LANDED[entity.name])
        }
        columns[FILE_COLUMN] = pa.array([row.file for row in rows], pa.string())
        columns[ROW_COLUMN] = pa.array([row.number for row in rows], pa.int64())
        columns[MALFORMED_COLUMN] = pa.array([row.malformed for row in rows], pa.string())
        columns[LOAD_COLUMN] = pa.array([load.load_id] * len(rows), pa.string())
        folder = landing / "shop" / entity.name
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / f"{load.load_id}.0.parquet")


def complete(landing: Path, load: Load) -> None:
    folder = landing / "shop" / "_dlt_loads"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{load.load_id}.jsonl").write_text(f'{{"load_id": "{load.load_id}", "status": 0}}\n')


def dirty_loads(chance: random.Random, count: int) -> list[Load]:
    """Few keys, so that loads are full of repeated keys, corrections, orphans and rows that come twice."""

    def pick(prefix: str, size: int) -> str | None:
        return chance.choice([None, ""]) if chance.random() < 0.06 else f"{prefix}{chance.randrange(size)}"

    def version() -> str | None:
        return None if chance.random() < 0.1 else f"2023-12-0{chance.randrange(1, 6)}"

    def customer() -> tuple[str | None, ...]:
        known = 3 + 24 * number // count  # new customers come by and by, so that orphans wait for them
        return pick("C", known), chance.choice(["Ann", "Bob", None]), version()

    def order() -> tuple[str | None, ...]:
        dates = (*GOOD_DATES, *GOOD_DATES, *BAD_DATES, None)
        return pick("O", 80), pick("C", 30), chance.choice(dates), version()

    number, loads, earlier = 0, [], defaultdict[str, list[tuple[str | None, ...]]](list)
    for number in range(count):
        load = Load(f"{1_700_000_000 + number}.{chance.randrange(10**6):06}", {"customers": [], "orders": []})
        file = f"file-{chance.randrange(count // 3)}"  # now and then a file comes again
        for entity, make, most in (("customers", customer, 3), ("orders", order, 8)):
            for position in range(1, chance.randrange(most + 1) + 1):
                row = Row(load.load_id, position, make(), file=file)
                if chance.random() < 0.05:
                    row.values, row.malformed = (None,) * len(row.values), "a,b,c,d,e,f"
                elif earlier[entity] and chance.random() < 0.2:
                    row.values = chance.choice(earlier[entity])  # delivered again
                earlier[entity].append(row.values)
                load.rows[entity].append(row)
        loads.append(load)
    return loads


# --- the model ----------------------------------------------------------------------------------------------


@dataclass
class Model:
    """What the gate promises, in Python: rows by row id and entity."""

    raw: dict[str, dict[str, tuple[Row, bool, date]]] = field(default_factory=lambda: defaultdict(dict))
    kept_out: dict[str, dict[str, tuple[Row, str, date | None]]] = field(default_factory=lambda: defaultdict(dict))
    accounts: dict[tuple[str, str], tuple[date, int, int, int, int]] = field(default_factory=dict)
    released: Counter[tuple[str, date]] = field(default_factory=Counter)
    failures: dict[tuple[str, str, str], tuple[date, date]] = field(default_factory=dict)
    flags: set[tuple[str, str, str]] = field(default_factory=set)

    def broken_rules(self, entity: MappedEntity, row: Row) -> set[str]:
        key, second, third = row.content[:3]
        broken = set()
        if row.malformed is not None:
            broken.add("row_well_formed")
        if key is None:
            broken.add(f"{entity.key[0]}_present")
        if entity is ORDERS:
            known = {parent.content[0] for parent, _, _ in self.raw["customers"].values()}
            if second is None:
                broken.add("customer_id_present")
            elif second not in known:
                broken.add("customer_id_exists")
            if third is None:
                broken.add("ordered_on_present")
            elif third in BAD_DATES:
                broken.add("ordered_on_readable")
        return {f"shop.{entity.name}.{rule}" for rule in broken}

    def gate(self, loads: list[Load], as_of: date) -> None:
        for entity in SHOP.entities:
            self._gate_entity(
                entity, [load for load in loads if (entity.name, load.load_id) not in self.accounts], as_of
            )

    def _gate_entity(self, entity: MappedEntity, loads: list[Load], as_of: date) -> None:
        raw, kept_out = self.raw[entity.name], self.kept_out[entity.name]
        reopened = [row for row, status, _ in kept_out.values() if status == "open"]
        new = [row for load in loads for row in load.rows[entity.name]]
        broken = {row.row_id: self.broken_rules(entity, row) for row in [*reopened, *new]}
        versions = Counter((row.content[0], row.content[-1]) for row in [*reopened, *new])
        # What a later load corrects is closed, whether the correction was accepted before or comes now.
        accepted = [row for row, _, _ in raw.values()]
        newer = [*accepted, *(row for row in [*reopened, *new] if not broken[row.row_id])]
        everything = [*accepted, *(row for row, _, _ in kept_out.values()), *new]
        for row in self._superseded(reopened, newer, everything):
            kept_out[row.row_id] = (row, "superseded", as_of)
        unmerged = [row for row, merged, _ in raw.values() if not merged]
        reopened = [row for row in reopened if kept_out[row.row_id][1] == "open"]
        # Rows released in a night are compared with each other, not with the new rows of another load.
        newest = self._newest_of_each_key(new) | self._newest_of_each_key(reopened)
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for row in [*reopened, *new]:
            is_new = row.row_id not in kept_out
            for rule in broken[row.row_id]:
                first, _ = self.failures.get((entity.name, row.row_id, rule), (as_of, as_of))
                self.failures[entity.name, row.row_id, rule] = (first, as_of)
            if broken[row.row_id]:
                row.first_seen, row.last_seen = row.first_seen or as_of, as_of
                kept_out[row.row_id] = (row, "open", None)
                for key in [key for key in self.failures if key[:2] == (entity.name, row.row_id)]:
                    if key[2] not in broken[row.row_id]:
                        del self.failures[key]
                counts[row.load_id]["quarantined"] += is_new
                continue
            merged = self._repeated(row, accepted, unmerged) or newest[row.load_id, row.content[0]] is not row
            raw[row.row_id] = (row, merged, as_of)
            counts[row.load_id]["merged" if merged else "kept"] += is_new
            if row.content[-1] and versions[row.content[0], row.content[-1]] > 1:
                self.flags.add((entity.name, row.row_id, f"shop.{entity.name}.key_unique"))
            if not is_new:
                kept_out[row.row_id] = (row, "released", as_of)
                self.released[entity.name, as_of] += 1
        still_open = [row for row, status, _ in kept_out.values() if status == "open"]
        let_in = [row for row, _, _ in raw.values()]
        for row in self._superseded(still_open, let_in, [*let_in, *(row for row, _, _ in kept_out.values())]):
            kept_out[row.row_id] = (row, "superseded", as_of)
        # Delivered again and bad again: the newest waits for everybody.
        newest_open = defaultdict[str | None, str](str)
        for row in still_open:
            newest_open[row.content[0]] = max(newest_open[row.content[0]], row.load_id)
        for row in still_open:
            if row.content[0] and newest_open[row.content[0]] > row.load_id:
                kept_out[row.row_id] = (row, "superseded", as_of)
        for load in loads:
            of_load = counts[load.load_id]
            self.accounts[entity.name, load.load_id] = (
                as_of, len(load.rows[entity.name]), of_load["kept"], of_load["merged"], of_load["quarantined"],
            )  # fmt: skip

    @staticmethod
    def _superseded(waiting: list[Row], accepted: list[Row], everything: list[Row]) -> list[Row]:
        latest = defaultdict[str | None, str](str)  # the latest load that an accepted row of a key came with
        for row in accepted:
            latest[row.content[0]] = max(latest[row.content[0]], row.load_id)
        landed = defaultdict[str, str](str)  # the latest load that a file came with
        for row in everything:
            landed[row.file] = max(landed[row.file], row.load_id)
        return [
            row for row in waiting if (latest[row.content[0]] if row.content[0] else landed[row.file]) > row.load_id
        ]

    @staticmethod
    def _repeated(row: Row, accepted: list[Row], unmerged: list[Row]) -> bool:
        """Delivered before in these words, and not changed back since under the same version."""
        before = [other for other in accepted if other.content == row.content]
        if not before:
            return False
        of_key = [other for other in unmerged if other.content[0] == row.content[0]]
        newest = max(of_key, key=lambda other: (other.content[-1] or "", other.load_id, other.number), default=None)
        if newest is None or newest.content == row.content or newest.content[-1] != row.content[-1]:
            return True
        old_file_again = newest.file != row.file and row.file in {other.file for other in before}
        return newest.load_id >= row.load_id or old_file_again

    def _newest_of_each_key(self, rows: list[Row]) -> dict[tuple[str, str | None], Row]:
        """Among the accepted rows of a load, the last one of the greatest version of each key."""
        entity = CUSTOMERS if rows and len(rows[0].values) == len(COLUMNS["customers"]) else ORDERS
        newest: dict[tuple[str, str | None], Row] = {}
        for row in rows:
            if self.broken_rules(entity, row):
                continue
            key = (row.load_id, row.content[0])
            if key not in newest or (row.content[-1] or "", row.number) > (
                newest[key].content[-1] or "",
                newest[key].number,
            ):
                newest[key] = row
        return newest


# --- the gate -----------------------------------------------------------------------------------------------


@dataclass
class Shop:
    """A landing and a warehouse."""

    root: Path
    connection: duckdb.DuckDBPyConnection
    source: MappedSource = SHOP

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    def gate(self, as_of: date = FIRST_NIGHT) -> dict[str, EntityAccount]:
        accounts = Gate(
            self.connection,
            self.source,
            landing=self.landing,
            decisions=self.root / "decisions",
            as_of=as_of,
            currency="CNY",
            results_dir=self.root / "results",
            run_time=datetime(2024, 1, 1, tzinfo=UTC),
        ).run()
        return {account.entity: account for account in accounts}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    def land(self, load_id: str, customers: list[tuple[Any, ...]] = (), orders: list[tuple[Any, ...]] = ()) -> None:  # type: ignore[assignment]
        rows = {
            name: [Row(load_id, number, values) for number, values in enumerate(of_entity, 1)]
            for name, of_entity in (("customers", customers), ("orders", orders))
        }
        land(self.landing, Load(load_id, rows))
        complete(self.landing, Load(load_id, rows))

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every table the gate keeps (its transient batch apart)."""
        tables = self.query(
            "select schema_name, table_name from duckdb_tables() "
            "where schema_name in ('input_layer', 'quarantine', 'meta') order by all"
        )
        return {f"{schema}.{name}": self.query(f"from {schema}.{name} order by all") for schema, name in tables}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with open_shop(tmp_path) as opened:
        yield opened


class open_shop:
    def __init__(self, root: Path) -> None:
        self.connection = duckdb.connect()
        self.connection.execute((PROJECT_ROOT / "plugins/customer_tiering/warehouse/schema.sql").read_text("utf-8"))
        self.shop = Shop(root, self.connection)

    def __enter__(self) -> Shop:
        return self.shop

    def __exit__(self, *_error: object) -> None:
        self.connection.close()


def assert_accounted_for(shop: Shop, gated: list[Load]) -> None:
    """rows in = kept + merged + quarantined per load, and every landed row lies in exactly one place."""
    for entity in SHOP.entities:
        table = f"shop__{entity.name}"
        landed = {row.row_id for load in gated for row in load.rows[entity.name]}
        places = Counter(
            row_id
            for (row_id,) in shop.query(
                f"select _row_id from raw.{table} union all "
                f"select _row_id from quarantine.{table} where _status <> 'released'"
            )
        )
        assert set(places) == landed
        assert set(places.values()) <= {1}
        released = shop.query(f"select _row_id from quarantine.{table} where _status = 'released'")
        accepted = {row_id for (row_id,) in shop.query(f"select _row_id from raw.{table}")}
        assert {row_id for (row_id,) in released} <= accepted
    sizes = {(entity.name, load.load_id): len(load.rows[entity.name]) for load in gated for entity in SHOP.entities}
    for entity_name, load_id, rows_in, kept, merged, quarantined in shop.query(
        "select entity, load_id, rows_in, rows_kept, rows_merged, rows_quarantined from meta.gated_loads"
    ):
        assert rows_in == sizes.pop((entity_name, load_id)) == kept + merged + quarantined
    assert sizes == {}, "a load was not accounted for"


def assert_agrees(shop: Shop, model: Model) -> None:
    for entity in SHOP.entities:
        name, columns = entity.name, ", ".join(COLUMNS[entity.name])
        days = "replace (cast(ordered_on as varchar) as ordered_on)" if entity is ORDERS else ""
        raw = shop.query(
            f"select _row_id, _is_merged, _accepted_on, {columns} from (select * exclude (updated_at) {days}, "
            f"cast(cast(updated_at as date) as varchar) as updated_at from raw.shop__{name})"
        )
        assert {row[0]: row[1:] for row in raw} == {
            row_id: (merged, accepted_on, *row.typed) for row_id, (row, merged, accepted_on) in model.raw[name].items()
        }
        kept_out = shop.query(
            "select _row_id, _status, _closed_on, _first_seen, _last_seen, _malformed, "
            f"{columns} from quarantine.shop__{name}"
        )
        assert {row[0]: row[1:] for row in kept_out} == {
            row_id: (status, closed_on, row.first_seen, row.last_seen, row.malformed, *row.content)
            for row_id, (row, status, closed_on) in model.kept_out[name].items()
        }
    accounts = shop.query("select * exclude (source) from meta.gated_loads")
    assert {row[:2]: row[2:] for row in accounts} == model.accounts
    releases = shop.query("select entity, as_of_date, rows_released from meta.releases where rows_released > 0")
    assert {row[:2]: row[2] for row in releases} == dict(model.released)
    failures = shop.query("select entity, row_id, rule, first_seen, last_seen from quarantine.failures")
    assert {row[:3]: row[3:] for row in failures} == model.failures
    assert set(shop.query("select entity, row_id, rule from meta.row_flags")) == model.flags


GENERATED = Counter[str]()


@pytest.fixture
def no_docs() -> Iterator[None]:
    """Leave out the HTML pages about a validation: half of the time, and no row depends on them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validator, "build_docs", lambda _self: None)
        yield


@given(seed=st.integers(0, 2**32 - 1), nights=st.integers(1, 3))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking a seed is vain
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_every_row_of_dirty_loads_is_accounted_for(no_docs: None, seed: int, nights: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - test data
    loads = dirty_loads(chance, LOADS_PER_EXAMPLE)
    night_of = sorted(chance.choices(range(nights), k=len(loads)))
    with TemporaryDirectory() as folder, open_shop(Path(folder)) as shop:
        model = Model()
        for load in loads:
            land(shop.landing, load)  # what is not completed yet must stay invisible
        for night in range(nights):
            as_of = FIRST_NIGHT + timedelta(days=night)
            for load, due in zip(loads, night_of, strict=True):
                if due == night:
                    complete(shop.landing, load)
            visible = [load for load, due in zip(loads, night_of, strict=True) if due <= night]
            released_before = sum(model.released.values())
            accounts = shop.gate(as_of)
            model.gate(visible, as_of)

            assert_accounted_for(shop, visible)
            assert_agrees(shop, model)
            tonight = [load for load, due in zip(loads, night_of, strict=True) if due == night]
            for entity in SHOP.entities:
                account = accounts[entity.name]
                assert account.rows_in == sum(len(load.rows[entity.name]) for load in tonight), "releases are no input"
                assert account.rows_in == account.rows_kept + account.rows_merged + account.rows_quarantined
            assert sum(account.rows_released for account in accounts.values()) == (
                sum(model.released.values()) - released_before
            )
            if night == nights - 1 or chance.random() < 0.3:
                before = shop.dump()
                again = shop.gate(as_of)
                assert shop.dump() == before, "gating the same loads again changes nothing"
                assert {(account.rows_in, account.rows_released) for account in again.values()} == {(0, 0)}
    GENERATED["loads"] += len(loads)
    GENERATED["merged"] += sum(account[3] for account in model.accounts.values())
    GENERATED["quarantined"] += sum(account[4] for account in model.accounts.values())
    GENERATED["released"] += sum(model.released.values())
    GENERATED["superseded"] += sum(
        status == "superseded" for rows in model.kept_out.values() for _, status, _ in rows.values()
    )
    GENERATED["flags"] += len(model.flags)


def test_the_generated_loads_were_many_and_dirty() -> None:
    """Else the test above would show little."""
    if not GENERATED:
        pytest.skip("the test above did not run")
    assert GENERATED["loads"] >= 1000
    for kind in ("merged", "quarantined", "released", "superseded", "flags"):
        assert GENERATED[kind] >= 20, kind


# --- single promises ----------------------------------------------------------------------------------------


def test_a_night_leaves_data_docs(shop: Shop) -> None:
    shop.land("1.0", customers=[("C1", "Ann", "2023-12-01")])
    shop.gate()
    assert (shop.root / "results" / "shop" / "docs" / "index.html").is_file()


def test_a_load_without_rows_is_accounted_for_once(shop: Shop) -> None:
    shop.land("1.0")
    for _ in range(2):
        assert set(shop.gate()) == {"customers", "orders"}
        assert shop.query("select entity, rows_in from meta.gated_loads order by 1") == [
            ("customers", 0),
            ("orders", 0),
        ]


def test_an_orphan_is_released_when_its_parent_comes(shop: Shop) -> None:
    shop.land("1.0", orders=[("O1", "C1", "2023-12-05", "2023-12-01")])
    assert shop.gate()["orders"].rows_quarantined == 1
    shop.land("2.0", customers=[("C1", "Ann", "2023-12-01")])
    account = shop.gate(date(2024, 1, 2))["orders"]
    assert (account.rows_in, account.rows_released) == (0, 1)
    assert shop.query("select _load_id, _accepted_on from raw.shop__orders") == [("1.0", date(2024, 1, 2))]
    assert shop.query("select _status, _first_seen, _closed_on from quarantine.shop__orders") == [
        ("released", date(2024, 1, 1), date(2024, 1, 2))
    ]


def test_a_correction_closes_what_it_corrects(shop: Shop) -> None:
    shop.land("1.0", customers=[("C1", "Ann", "2023-12-01")], orders=[("O1", "C1", "soon", "2023-12-01")])
    shop.gate()
    shop.land("2.0", orders=[("O1", "C1", "2023-12-05", "2023-12-02")])
    account = shop.gate(date(2024, 1, 2))["orders"]
    assert (account.rows_in, account.rows_kept, account.rows_released) == (1, 1, 0)
    assert shop.query("select _status, _closed_on from quarantine.shop__orders") == [("superseded", date(2024, 1, 2))]


def test_a_correction_in_the_same_night_closes_what_it_corrects(shop: Shop) -> None:
    shop.land("1.0", customers=[("C1", "Ann", "2023-12-01")], orders=[("O1", "C1", "soon", "2023-12-01")])
    shop.land("2.0", orders=[("O1", "C1", "2023-12-05", "2023-12-02")])
    assert shop.gate()["orders"].rows_quarantined == 1
    before = shop.dump()
    assert shop.query("select _status from quarantine.shop__orders") == [("superseded",)]
    shop.gate()
    assert shop.dump() == before


def test_an_orphan_that_was_corrected_meanwhile_is_not_released(shop: Shop) -> None:
    shop.land("1.0", orders=[("O1", "C1", "2023-12-05", "2023-12-01")])
    shop.gate()
    shop.land("2.0", customers=[("C1", "Ann", "2023-12-01")], orders=[("O1", "C1", "2023-12-05", "2023-12-02")])
    account = shop.gate(date(2024, 1, 2))["orders"]
    assert (account.rows_kept, account.rows_released) == (1, 0)
    assert shop.query("select _load_id from raw.shop__orders") == [("2.0",)]


def test_an_earlier_load_does_not_close_a_later_mistake(shop: Shop) -> None:
    shop.land("1.0", customers=[("C1", "Ann", "2023-12-01")], orders=[("O1", "C1", "2023-12-05", "2023-12-01")])
    shop.land("2.0", orders=[("O1", "C1", "soon", "2023-12-02")])
    shop.gate()
    shop.gate(date(2024, 1, 2))
    assert shop.query("select _status from quarantine.shop__orders") == [("open",)]


def test_empty_text_counts_as_missing(shop: Shop) -> None:
    shop.land("1.0", customers=[("", "Ann", "2023-12-01"), ("C1", "", "2023-12-01")])
    shop.gate()
    assert shop.query("select customer_id, contact_name from raw.shop__customers") == [("C1", None)]
    assert shop.query("select rule from quarantine.failures") == [("shop.customers.customer_id_present",)]


def test_a_value_that_looks_like_sql_is_a_value(shop: Shop) -> None:
    nasty = "x'; drop table raw.shop__customers; --"
    shop.land("1.0", customers=[(nasty, 'a"b\\c', "2023-12-01")], orders=[(nasty, nasty, "soon'", "2023-12-01")])
    shop.gate()
    assert shop.query("select customer_id, contact_name from raw.shop__customers") == [(nasty, 'a"b\\c')]
    assert shop.query("select offending_value from quarantine.failures") == [("soon'",)]


def test_private_values_are_masked_in_quarantine_failures(shop: Shop, project: Path) -> None:
    private = (
        f"\n  - {{rule: shop.customers.number, type: {NUMBER}, kwargs: {{column: contact_name}}, ON: quarantine}}\n"
    )
    write_suite(project, "customers", private)
    try:
        shop.land("1.0", customers=[("C1", "Ann", "2023-12-01")])
        shop.gate()
    finally:
        remove_suite(project, "customers")
    assert shop.query("select offending_value from quarantine.failures") == [("A***",)]


@pytest.mark.parametrize("rule", ["block", "share"])
def test_a_blocked_gate_takes_nothing_in_and_counts_nothing(rule: str, shop: Shop, project: Path) -> None:
    named = "type: expect_column_values_to_match_regex, kwargs: {column: order_id, regex: '^O1$'}"
    write_suite(
        project,
        "orders",
        f"\n  - {{rule: shop.orders.named, {named}, ON: {'block' if rule == 'block' else 'quarantine'}}}\n",
    )
    path = project / "expectations" / "shop" / "orders.yml"
    if rule == "share":
        path.write_text(
            path.read_text().replace("on_failure: quarantine", "on_failure: quarantine, max_quarantined_share: 0.3")
        )
    orders = [("O1", "C1", "2023-12-05", "2023-12-01"), ("X2", "C1", "2023-12-05", "2023-12-01")]
    try:
        shop.land("1.0", customers=[("C1", "Ann", "2023-12-01")], orders=orders)
        with pytest.raises(GateBlocked, match=r"shop\.orders\.named fails for 1 of 2 rows"):
            shop.gate()
    finally:
        remove_suite(project, "orders")
    assert shop.query("from raw.shop__orders") == shop.query("from quarantine.shop__orders") == []
    assert shop.query("select entity from meta.gated_loads") == [("customers",)]
    account = shop.gate()["orders"]
    assert (account.rows_in, account.rows_kept, account.rows_quarantined) == (2, 2, 0), "once the rule is fixed"


def test_a_delivery_that_is_bad_as_a_whole_holds_the_night(shop: Shop) -> None:
    mapping = ORDERS.mapped.mapping.model_copy(update={"hold_above": 0.2})
    shop.source = replace(SHOP, entities=(CUSTOMERS, replace(ORDERS, mapped=replace(ORDERS.mapped, mapping=mapping))))
    orders = [(f"O{n}", "C1", "soon" if n < 8 else "2023-12-05", "2023-12-01") for n in range(40)]
    shop.land("1.0", customers=[("C1", "Ann", "2023-12-01")], orders=orders)
    shop.gate()  # 8 of 40 are a fifth, no more
    again = [(None if n < 5 else f"P{n}", "C1", "soon" if n < 10 else "2023-12-05", "2023-12-01") for n in range(40)]
    shop.land("2.0", orders=again)
    with pytest.raises(GateBlocked, match=r"10 of 40 rows delivered break rules.*ordered_on_readable \(10\)") as held:
        shop.gate()
    assert "accept-load shop.orders 2.0" in held.value.next_step


def test_what_is_bad_again_waits_once(shop: Shop) -> None:
    for night in range(1, 4):
        shop.land(f"{night}.0", orders=[("O1", "C1", "2023-12-05", f"2023-12-0{night}")])
        shop.gate(date(2024, 1, night))
    assert shop.query("select _load_id, _status from quarantine.shop__orders order by 1") == [
        ("1.0", "superseded"), ("2.0", "superseded"), ("3.0", "open"),
    ]  # fmt: skip
