"""The unit tests that stand beside the models, and the rules of style that a linter cannot know."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from customer_tiering.company.profile import Profile, load_profile, profile_names
from customer_tiering.company.workspace import project_root
from customer_tiering.gate.gate import ensure_tables
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.versions import land_rules
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
        for source in profile.all_sources():
            ensure_tables(connection, source)
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


def test_no_source_is_named_in_a_model() -> None:
    """Models know input tables, not systems."""
    sources = {source.name for name in profile_names() for source in load_profile(name).all_sources()}
    names = re.compile(rf"\b({'|'.join(sorted(sources))})\b")
    for path in MODELS.rglob("*.sql"):
        code = "\n".join(
            line for line in path.read_text(encoding="utf-8").splitlines() if not line.strip().startswith("--")
        )
        assert not names.search(code), path.name
