"""The copy of the marts in a real Postgres: faithful, swapped as a whole, never at the expense of the publication."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import duckdb
import psycopg2
import pytest

from customer_tiering.company.journal import read_journal
from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.errors import ProfileError, PublishError, TargetError
from customer_tiering.night import steps
from customer_tiering.night.guard import begin_run
from customer_tiering.publish import snapshot
from customer_tiering.publish.contract import marts_of_models
from customer_tiering.publish.postgres import publish_to_postgres
from nights import write_profile
from postgres import Postgres, running_postgres

pytestmark = pytest.mark.slow

NAME = "small"
SCHEMA = "small_marts"
DAY = date(2026, 3, 1)
READERS = 2
LOADS = 4

ODD = r"""
create or replace table marts.odd as select * from (values
    (1, 'plain', 1.5::decimal(18,2), true, date '2026-03-01', timestamp '2026-03-01 02:03:04.123456',
     timestamptz '2026-03-01 02:03:04+08', 0.1::double, 9223372036854775807::bigint, 1::utinyint, ['a', '中']),
    (2, '\N', -0.01, false, date '1999-12-31', timestamp '1999-12-31 23:59:59', null, 'nan'::double, -1, 255, []),
    (3, '', 9999999999999999.99, null, null, null, timestamptz '2026-03-01 00:00:00Z', 'inf'::double, null, 0, null),
    (4, 'two' || chr(10) || '\.' || chr(10) || '"quoted" 中文;''x''', null, true, null, null, null, null, 0, 0, null),
    (5, '\.', null, true, null, null, null, -1e-300, 0, 0, null),
    (6, null, null, true, null, null, null, 1e300, 0, 0, null),
    (7, 'null' || chr(13) || chr(9) || '\', null, true, null, null, null, null, 0, 0, ['"', null])
) t(n, words, money, flag, day, moment, instant, ratio, big, tiny, list)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running_postgres() as postgres:
        yield postgres


@pytest.fixture
def bi(server: Postgres) -> Iterator[Postgres]:
    """The server with an empty database."""
    yield server
    schemas = server.query("select nspname from pg_namespace where nspname !~ '^(pg_|information_schema|public)'")
    for (name,) in schemas:
        server.query(f'drop schema "{name}" cascade')


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bi: Postgres) -> Profile:
    monkeypatch.setenv("TIERING_PROFILES", str(tmp_path / "profiles"))
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("BI_URL", bi.url)
    write_profile(
        tmp_path / "profiles",
        NAME,
        sources={"erp": {"url": "sqlite:///x"}},
        postgres_target={"url_from": "BI_URL", "read_role": "analyst"},
    )
    return load_profile(NAME)


@pytest.fixture
def publish(company: Profile, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Publishes a night: mart ``fct_nights`` and ``agg_tier_transitions`` carry its number in every row."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("set TimeZone = 'UTC'; create schema marts")

        def night(number: int, rows: int = 2000, more: str = "") -> Path:
            day = DAY + timedelta(days=number)
            connection.execute(
                "create or replace table marts.fct_nights as "
                "select (date '2000-01-01' + i::integer)::date as as_of_date, "
                f"'{number}' as rules_version, 'run' as kind from range({rows}) t(i)"
            )
            connection.execute(
                "create or replace table marts.agg_tier_transitions as select 'abc' as scheme, "
                f"date '{day}' as as_of_date, case when i > 0 then 'A' || i end as from_tier, 'B' as to_tier, "
                f"'up' as direction, {number}::integer as customers from range({rows}) t(i)"
            )
            if more:
                connection.execute(more)
            manifest = steps.manifest_of(company, day, f"r{number}", "rules")
            return snapshot.publish(connection, company.workspace, manifest, keep=3)

        yield night


def test_every_value_and_type_arrives(company: Profile, bi: Postgres, publish: Callable[..., Path]) -> None:
    folder = publish(1, more=ODD + "; update marts.odd set words = 'zero' || chr(0) || 'character' where n = 5")
    result = publish_to_postgres(company)
    assert result.rows == {"agg_tier_transitions": 2000, "fct_nights": 2000, "odd": 7}
    with duckdb.connect(str(folder / snapshot.DATABASE), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        wanted = connection.execute("select * from marts.odd order by n").fetchall()
    with closing(bi.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.execute(f"select * from {SCHEMA}.odd order by n")
        got = cursor.fetchall()
    shown = [
        str(row).replace("zero\\x00", "zero").replace("tzinfo=<UTC>", "tzinfo=datetime.timezone.utc") for row in wanted
    ]
    assert [str(row) for row in got] == shown, "as text, for nan is not equal to itself"
    assert math.isnan(got[1][7]) and got[1][1] == "\\N" and got[2][1] == "" and got[5][1] is None
    types = dict(
        bi.query(
            "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a "
            f"where attrelid = '{SCHEMA}.odd'::regclass and attnum > 0"
        )
    )
    assert types == {
        "n": "integer",
        "words": "text",
        "money": "numeric(18,2)",
        "flag": "boolean",
        "day": "date",
        "moment": "timestamp without time zone",
        "instant": "timestamp with time zone",
        "ratio": "double precision",
        "big": "bigint",
        "tiny": "smallint",
        "list": "jsonb",
    }


def test_a_type_without_counterpart_is_named(company: Profile, bi: Postgres, publish: Callable[..., Path]) -> None:
    publish(1, more="create or replace table marts.odd as select '1'::bit as flags")
    with pytest.raises(TargetError, match=r"mart column odd\.flags has type BIT"):
        publish_to_postgres(company)
    assert bi.query("select 1 from pg_namespace where nspname like 'small%'") == []


def test_keys_comments_and_the_reader_s_grant_come_with_every_night(
    company: Profile, bi: Postgres, publish: Callable[..., Path]
) -> None:
    for number in (1, 2):
        folder = publish(number)
        publish_to_postgres(company)
        read = f"select distinct rules_version from {SCHEMA}.fct_nights"
        assert bi.query(read, user="analyst") == [(str(number),)]
        shown = bi.query(
            f"select snapshot, contract_version, details ->> 'run_id' from {SCHEMA}.manifest", user="analyst"
        )
        assert shown == [(folder.name, steps.manifest_of(company, DAY, "", "").contract_version, f"r{number}")]
    indexes = dict(bi.query(f"select tablename, indexdef from pg_indexes where schemaname = '{SCHEMA}'"))
    assert "fct_nights_pkey" in indexes["fct_nights"] and "(as_of_date)" in indexes["fct_nights"]
    # A first tier comes from nowhere: part of the grain is missing, so it cannot be a primary key.
    assert indexes["agg_tier_transitions"].startswith("CREATE UNIQUE INDEX")
    mart = marts_of_models()["fct_nights"]
    assert bi.query(f"select obj_description('{SCHEMA}.fct_nights'::regclass)") == [(mart.description,)]
    told = bi.query(f"select col_description('{SCHEMA}.fct_nights'::regclass, n) from generate_series(1, 3) n")
    assert told == [(column.description,) for column in mart.columns]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        bi.query(f"delete from {SCHEMA}.fct_nights", user="analyst")


def test_the_same_snapshot_is_loaded_once_unless_asked_again(
    company: Profile, bi: Postgres, publish: Callable[..., Path]
) -> None:
    publish(1)
    assert publish_to_postgres(company).rows
    table = bi.query(f"select '{SCHEMA}.fct_nights'::regclass::oid")
    assert publish_to_postgres(company).rows == {}
    assert bi.query(f"select '{SCHEMA}.fct_nights'::regclass::oid") == table
    assert publish_to_postgres(company, again=True).rows
    assert bi.query(f"select '{SCHEMA}.fct_nights'::regclass::oid") != table
    assert schemas(bi) == [SCHEMA]


def schemas(bi: Postgres) -> list[str]:
    return [
        str(name) for (name,) in bi.query("select nspname from pg_namespace where nspname like 'small%' order by 1")
    ]


# --- readers over the swap ----------------------------------------------------------------------------------------

NIGHT_OF_ONE = f"select count(*), min(rules_version::int), max(rules_version::int) from {SCHEMA}.fct_nights"
NIGHT_OF_OTHER = f"select count(*), min(customers), max(customers) from {SCHEMA}.agg_tier_transitions"
NIGHT_OF_MANIFEST = f"select 2000, substr(run_id, 2)::int, substr(run_id, 2)::int from {SCHEMA}.manifest"


class Reader(threading.Thread):
    """Reads three tables in one transaction, again and again, and keeps what it saw."""

    def __init__(self, bi: Postgres, isolation: str, *, early: bool) -> None:
        super().__init__()
        self.connection = bi.connect("analyst", autocommit=False)
        self.connection.set_session(isolation_level=isolation)
        self.early = early
        self.stop = threading.Event()
        self.seen: set[tuple[object, ...]] = set()
        self.failures: list[str] = []
        self.reads = 0

    def run(self) -> None:
        turn = 0
        while not self.stop.is_set():
            turn += 1
            # In another order each time: the swap locks in alphabetical order.
            queries = [NIGHT_OF_ONE, NIGHT_OF_OTHER, NIGHT_OF_MANIFEST]
            queries = queries[turn % 3 :] + queries[: turn % 3]
            try:
                with self.connection.cursor() as cursor:
                    if self.early:
                        cursor.execute("select 1")  # the transaction's snapshot is taken, no mart was touched
                        time.sleep(0.05)
                    found = set()
                    for query in queries:
                        cursor.execute(query)
                        found.add(cursor.fetchone())
                self.connection.rollback()
            except psycopg2.Error as error:
                self.failures.append(str(error))
                return
            time.sleep(0.005)
            self.reads += 1
            self.seen.add(tuple(sorted(found, key=str)))
        self.connection.close()


@pytest.mark.parametrize("early", [False, True], ids=["plain", "snapshot taken early"])
@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_readers_never_see_an_empty_or_mixed_night(
    isolation: str, early: bool, company: Profile, bi: Postgres, publish: Callable[..., Path]
) -> None:
    publish(0)
    publish_to_postgres(company)
    readers = [Reader(bi, isolation, early=early) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        for number in range(1, LOADS + 1):
            publish(number)
            publish_to_postgres(company)
    finally:
        time.sleep(0.2)
        for reader in readers:
            reader.stop.set()
        for reader in readers:
            reader.join(30)
    for reader in readers:
        assert reader.failures == []
        assert reader.reads > LOADS
        # Each transaction saw one answer from all three tables: 2000 rows, all of one night.
        assert [answer for answer in reader.seen if len(answer) != 1] == []
        assert {answer[0] for answer in reader.seen} <= {(2000, n, n) for n in range(LOADS + 1)}
        assert len(reader.seen) > 2
    assert schemas(bi) == [SCHEMA]


def test_a_reader_that_never_ends_holds_the_swap_off_and_is_named(
    company: Profile, bi: Postgres, publish: Callable[..., Path]
) -> None:
    publish(0)
    publish_to_postgres(company)
    publish(1)
    with closing(bi.connect("analyst", autocommit=False)) as idle, idle.cursor() as cursor:
        cursor.execute(NIGHT_OF_ONE)
        with pytest.raises(TargetError) as caught:
            publish_to_postgres(company, swap_seconds=0.5)
        assert f"held by pid {idle.get_backend_pid()} (analyst)" in caught.value.problem
        assert "pg_terminate_backend" in caught.value.next_step
        cursor.execute(NIGHT_OF_OTHER)
        assert cursor.fetchone() == (2000, 0, 0)
    assert publish_to_postgres(company).rows
    assert bi.query(NIGHT_OF_ONE) == [(2000, 1, 1)]


# --- what goes wrong ----------------------------------------------------------------------------------------------


def test_postgres_down_leaves_the_publication_and_the_next_run_loads_it(
    company: Profile, bi: Postgres, publish: Callable[..., Path]
) -> None:
    publish(0)
    publish_to_postgres(company)
    folder = publish(1)
    night = steps.Night(NAME, str(DAY + timedelta(days=1)), "r1")
    begin_run(company.workspace, "r1")
    bi.stop()
    try:
        with pytest.raises(TargetError) as caught:
            steps.publish_postgres(night)
    finally:
        bi.start()
    assert (
        f"the night is published ({folder.name}), but Postgres could not be brought up to date" in caught.value.problem
    )
    assert f"tiering publish-postgres --profile {NAME}" in caught.value.next_step
    assert snapshot.current_folder(company.workspace) == folder.resolve()
    assert bi.query(NIGHT_OF_ONE) == [(2000, 0, 0)]
    steps.publish_postgres(night)
    assert bi.query(NIGHT_OF_ONE) == [(2000, 1, 1)]
    events = [(event["event"], event.get("next_step", "")) for event in read_journal(night.folder)]
    assert [event for event, _ in events] == ["started", "failed", "started", "finished"]
    assert "tiering publish-postgres" in events[1][1]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://tiering:hunter2%40x@127.0.0.1:{port}/bi", "password authentication failed"),
        ("postgresql://tiering:hunter2@127.0.0.1:{port}/nowhere", "password authentication failed"),
        ("postgres//tiering:hunter2@127.0.0.1/bi", "leads to no Postgres URL"),
        ("postgresql://tiering:hunter2@127.0.0.1:port/bi", "leads to no Postgres URL"),
        ("mysql://tiering:hunter2@127.0.0.1/bi", "leads to no Postgres URL"),
        ("postgresql://tiering:hunter2@127.0.0.1:{port}/bi?colour=red", "could not be brought up to date"),
        ("", "that variable is not set"),
    ],
)
def test_a_wrong_url_is_an_error_that_tells_no_password(
    url: str,
    said: str,
    company: Profile,
    bi: Postgres,
    publish: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = publish(0)
    monkeypatch.setenv("BI_URL", url.format(port=bi.port))
    begin_run(company.workspace, "r0")
    night = steps.Night(NAME, str(DAY), "r0")
    with pytest.raises((TargetError, ProfileError), match=said) as caught:
        steps.publish_postgres(night)
    chain, error = "", caught.value
    while error is not None:
        chain, error = chain + str(error), error.__cause__  # type: ignore[assignment]
    assert "hunter2" not in chain
    assert "hunter2" not in (night.folder / "steps.jsonl").read_text(encoding="utf-8")
    assert snapshot.current_folder(company.workspace) == folder.resolve()


def test_a_missing_read_role_changes_nothing(company: Profile, bi: Postgres, publish: Callable[..., Path]) -> None:
    publish(0)
    target = company.postgres_target
    assert target is not None
    other = company.model_copy(update={"postgres_target": target.model_copy(update={"read_role": "nobody_knows"})})
    with pytest.raises(TargetError, match="no role nobody_knows") as caught:
        publish_to_postgres(other)
    assert "create role nobody_knows" in caught.value.next_step
    assert schemas(bi) == []


def test_a_schema_of_others_is_never_replaced(company: Profile, bi: Postgres, publish: Callable[..., Path]) -> None:
    publish(0)
    bi.query(f"create schema {SCHEMA}")
    bi.query(f"create table {SCHEMA}.theirs as select 1 as n")
    with pytest.raises(TargetError, match="was not made by small"):
        publish_to_postgres(company)
    assert bi.query(f"select n from {SCHEMA}.theirs") == [(1,)]


def test_a_view_of_others_survives_and_is_reported(
    company: Profile, bi: Postgres, publish: Callable[..., Path]
) -> None:
    publish(0)
    publish_to_postgres(company)
    bi.query(f"create view public.theirs as select max(rules_version) as night from {SCHEMA}.fct_nights")
    try:
        for number in (1, 2):
            publish(number)
            (warning,) = publish_to_postgres(company).warnings
            assert "view theirs depends on table" in warning and f"{SCHEMA}__old_1" in warning
        assert bi.query("select night from public.theirs") == [("0",)]
        assert bi.query(NIGHT_OF_ONE) == [(2000, 2, 2)]
        assert schemas(bi) == [SCHEMA, f"{SCHEMA}__old_1"]
    finally:
        bi.query("drop view public.theirs")
    assert publish_to_postgres(company).warnings == []
    assert schemas(bi) == [SCHEMA]


_KILLED = f"""
import os, signal
from pathlib import Path
from customer_tiering.company.profile import load_profile
from customer_tiering.publish.postgres import publish_to_postgres

class Half:
    def __init__(self, stream):
        self.stream, self.left = stream, 100
    def read(self, size):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.stream.read(size)
    def __enter__(self):
        return self
    def __exit__(self, *_error):
        self.stream.close()

opened = Path.open
Path.open = lambda path, *mode, **how: (Half if path.name == "wide.csv" else lambda s: s)(opened(path, *mode, **how))
publish_to_postgres(load_profile('{NAME}'))
"""


def test_killed_amid_the_load_leaves_the_night_before_and_the_next_run_finishes(
    company: Profile, bi: Postgres, publish: Callable[..., Path]
) -> None:
    """Killed after a hundred blocks of a mart went over."""
    publish(0)
    publish_to_postgres(company)
    publish(
        1, more="create or replace table marts.wide as select i, repeat('x', 200) as filler from range(100000) t(i)"
    )
    done = subprocess.run([sys.executable, "-c", _KILLED], env=dict(os.environ), check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert bi.query(NIGHT_OF_ONE) == [(2000, 0, 0)]
    assert schemas(bi) == [SCHEMA]
    assert list(company.workspace.root.glob("postgres/*.csv"))
    assert publish_to_postgres(company).rows["wide"] == 100_000
    assert bi.query(NIGHT_OF_ONE) == [(2000, 1, 1)]
    assert bi.query(f"select count(*), max(i) from {SCHEMA}.wide") == [(100_000, 99_999)]
    assert not (company.workspace.root / "postgres").exists()
    assert schemas(bi) == [SCHEMA]


def test_a_load_that_waited_for_another_loads_what_is_current_then(
    company: Profile, bi: Postgres, publish: Callable[..., Path]
) -> None:
    publish(0)
    waiting = threading.Thread(target=publish_to_postgres, args=(company,))
    with closing(bi.connect()) as other, other.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(32274, hashtext(%s))", (SCHEMA,))
        waiting.start()
        while not bi.query("select 1 from pg_locks where locktype = 'advisory' and not granted"):
            assert waiting.is_alive()
        publish(1)
    waiting.join(60)
    assert bi.query(NIGHT_OF_ONE) == [(2000, 1, 1)]


def test_without_target_or_snapshot_the_next_step_is_told(company: Profile) -> None:
    with pytest.raises(PublishError, match="small has published nothing yet"):
        publish_to_postgres(company)
    with pytest.raises(PublishError, match="names no postgres_target"):
        publish_to_postgres(company.model_copy(update={"postgres_target": None}))


def test_the_command_loads_through_an_airflow_connection(
    company: Profile, bi: Postgres, publish: Callable[..., Path], tmp_path: Path
) -> None:
    folder = publish(0)
    write_profile(
        tmp_path / "profiles",
        NAME,
        sources={"erp": {"url": "sqlite:///x"}},
        postgres_target={"connection": "bi_postgres"},
    )
    command = [str(Path(sys.executable).with_name("tiering")), "publish-postgres", "--profile", NAME]
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path / "airflow")}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "Airflow has no connection bi_postgres" in refused.stderr and "Traceback" not in refused.stderr
    environment["AIRFLOW_CONN_BI_POSTGRES"] = bi.url.replace("postgresql", "postgres")
    loaded = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
    assert f"Postgres schema {SCHEMA} shows {folder.name}: 2 marts, 4,000 rows loaded" in loaded.stdout
    assert "ss%2F" not in loaded.stdout + loaded.stderr and "ss/w@rd" not in loaded.stdout + loaded.stderr
    assert bi.query(NIGHT_OF_ONE) == [(2000, 0, 0)]
