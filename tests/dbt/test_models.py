"""The unit tests that stand beside the models, and the rules of style that a linter cannot know."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.company.workspace import project_root
from customer_tiering.gate.gate import ensure_tables
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.versions import land_rules
from customer_tiering.sources import get_source, source_names
from customer_tiering.warehouse.build import run_dbt
from customer_tiering.warehouse.connection import open_warehouse
from customer_tiering.warehouse.nights import PlannedNight, land_as_of_dates, make_build_inputs

MODELS = project_root() / "dbt_project" / "models"
CLOCKS = re.compile(r"current_date|current_timestamp|\bnow\(\)|\bqualify\b", re.IGNORECASE)


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("TIERING_VAR", str(tmp_path))
    return load_profile("sample")


@pytest.mark.slow
def test_models_stand_on_empty_sources_and_pass_their_unit_tests(profile: Profile, tmp_path: Path) -> None:
    """An empty company builds without error; then every dbt unit test passes."""
    with open_warehouse(profile.workspace) as connection:
        version = land_rules(connection, load_rules(profile), date(2026, 3, 30))
        make_build_inputs(connection)
        land_as_of_dates(connection, [PlannedNight(date(2026, 3, 30), version, "run")])
        for name in profile.sources:
            ensure_tables(connection, get_source(name))
    built = run_dbt(profile, ["build", "--exclude-resource-type", "unit_test"], tmp_path)
    assert {node.status for node in built} <= {"success", "pass", "no-op"}  # an exposure is nothing to run
    assert (tmp_path / "dbt.log").stat().st_size > 0, "errors send people to this log"
    tested = run_dbt(profile, ["test", "--select", "test_type:unit"], tmp_path)
    assert len(tested) >= 4
    assert {node.status for node in tested} == {"pass"}


def test_no_model_reads_the_clock() -> None:
    """The same loads and the same as-of date give the same marts, whenever they are built."""
    models = list(MODELS.rglob("*.sql"))
    assert len(models) > 30
    assert [path.name for path in models if CLOCKS.search(path.read_text(encoding="utf-8"))] == []


def test_every_mart_has_a_yaml_of_its_name_with_a_contract_and_every_column_described() -> None:
    marts = list((MODELS / "marts").rglob("*.sql"))
    assert len(marts) >= 9
    for path in marts:
        (model,) = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))["models"]
        assert model["name"] == path.stem
        assert model["description"]
        assert model["config"]["contract"]["enforced"] is True
        assert all(column.get("description") and column.get("data_type") for column in model["columns"]), path.stem


def test_every_model_has_a_yaml_of_its_name_that_says_its_grain() -> None:
    for path in sorted({*MODELS.rglob("*.sql"), *MODELS.rglob("*.py")}):
        (model,) = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))["models"]
        assert model["name"] == path.stem
        assert "one row per" in " ".join(model["description"].lower().split()), path.stem


def test_every_model_says_its_rule_in_its_header() -> None:
    for path in MODELS.rglob("*.sql"):
        first_lines = path.read_text(encoding="utf-8").splitlines()[:2]
        assert any(line.startswith("-- ") for line in first_lines), path.name


def test_no_source_is_named_downstream_of_staging() -> None:
    """Canonical models and marts know entities, not systems."""
    names = re.compile(rf"\b({'|'.join(source_names())})\b")
    for folder in ("intermediate", "marts"):
        for path in (MODELS / folder).rglob("*.sql"):
            code = "\n".join(
                line for line in path.read_text(encoding="utf-8").splitlines() if not line.strip().startswith("--")
            )
            assert not names.search(code), path.name


TEXTS = [
    "2026-03-31",
    " 2026-03-31 ",
    "2026-03-31 08:15",
    "2026-03-31T08:15Z",
    "2026-03-31 08:15:30,123",
    "2026-03-31 08:15:30.5",
    "2026-03-31 08:15:30 +08:00",
    "2026/3/5",
    "2026/03/31 10:00:00",
    "20260331",
    "2026.03.31",
    "2026-13-45",
    "31-03-2026",
    "29/2/2024 01:16",
    "31/12/2026",
    "05/03/2026 10:00:59",
    "30/2/2026",
    "3/31/2026",
    "N/A",
    "",
]


YEAR_FIRST = ["%Y/%m/%d", "%Y%m%d", "%Y.%m.%d", "%Y/%m/%d %H:%M:%S"]
DAY_FIRST = ["%d/%m/%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S"]


@pytest.mark.parametrize(
    ("macro", "formats", "readable"),
    [("parse_timestamp", YEAR_FIRST, 11), ("parse_day_first_timestamp", DAY_FIRST, 10)],
)
def test_the_gate_and_the_models_read_the_same_dates(macro: str, formats: list[str], readable: int) -> None:
    """What a date rule lets through, the models can read, and the other way round."""
    import duckdb

    from customer_tiering.gate import sql

    macros = (project_root() / "dbt_project" / "macros" / "parsing.sql").read_text(encoding="utf-8")
    body = macros.split(f"macro default__{macro}(column) -%}}")[1].split("{%- endmacro")[0]
    with duckdb.connect() as connection:
        connection.execute("create table t as select unnest(?) as value", [TEXTS])
        rows = connection.execute(
            f"select value, {sql.timestamp('trim(value)', formats)}::date, "
            f"({body.replace('{{ column }}', 'value')})::date from t"
        ).fetchall()
    assert {value: read for value, _, read in rows} == {value: judged for value, judged, _ in rows}
    assert sum(read is not None for _, _, read in rows) == readable


@pytest.mark.parametrize("name", source_names())
def test_a_source_is_judged_by_the_formats_that_its_models_read(name: str) -> None:
    """Its rules on dates name no formats, year first or day first; its staging models use the macro of the same."""
    given = [
        rule["kwargs"].get("formats")
        for path in (project_root() / "expectations" / name).glob("*.yml")
        for rule in yaml.safe_load(path.read_text(encoding="utf-8"))["expectations"]
        if rule["type"] == "expect_column_values_to_be_date"
    ]
    staging = " ".join(path.read_text(encoding="utf-8") for path in (MODELS / "staging" / name).glob("*.sql"))
    reads_day_first = "parse_day_first" in staging
    assert not (reads_day_first and re.search(r"parse_(date|timestamp)\(", staging)), "dates are read in two ways"
    assert given
    assert all(formats in (None, DAY_FIRST if reads_day_first else YEAR_FIRST) for formats in given)
