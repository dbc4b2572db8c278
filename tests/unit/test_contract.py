"""The contract of the marts: the models keep it, and nothing is taken away without a new major version."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from customer_tiering.company.workspace import project_root
from customer_tiering.errors import ContractError
from customer_tiering.publish.contract import (
    CHANGELOG,
    FILE,
    Column,
    Mart,
    changes,
    contract_folder,
    contract_version,
    marts_of_models,
    problems,
    read_contract,
    require_kept,
    write_contract,
)

Marts = dict[str, Mart]


@pytest.fixture(scope="module")
def marts() -> Marts:
    return marts_of_models()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the committed contract."""
    for name in (FILE, CHANGELOG):
        (tmp_path / name).write_bytes((contract_folder() / name).read_bytes())
    return tmp_path


def without_column(marts: Marts) -> Marts:
    mart = marts["fct_customer_tiers"]
    return marts | {"fct_customer_tiers": replace(mart, columns=tuple(c for c in mart.columns if c.name != "score"))}


def other_type(marts: Marts) -> Marts:
    mart = marts["dim_customers"]
    columns = (replace(c, type="double") if c.name == "cumulative_spend" else c for c in mart.columns)
    return marts | {"dim_customers": replace(mart, columns=tuple(columns))}


def other_grain(marts: Marts) -> Marts:
    return marts | {"fct_customer_tiers": replace(marts["fct_customer_tiers"], grain=("customer_id", "as_of_date"))}


def without_mart(marts: Marts) -> Marts:
    return {name: mart for name, mart in marts.items() if name != "agg_tier_summary"}


def more_column(marts: Marts) -> Marts:
    mart = marts["dim_customers"]
    return marts | {"dim_customers": replace(mart, columns=(*mart.columns, Column("vip", "boolean", "More")))}


def more_mart(marts: Marts) -> Marts:
    return marts | {
        "fct_new": Mart("fct_new", "New", ("id",), (Column("id", "varchar", "Id"),), "tiers", "one_night", (), False)
    }


BREAKING = {
    without_column: "mart fct_customer_tiers: column score was removed",
    other_type: "mart dim_customers: column cumulative_spend changed from decimal(18,2) to double",
    other_grain: "one row per (customer_id, scheme, as_of_date) became (customer_id, as_of_date)",
    without_mart: "mart agg_tier_summary was removed",
}
ADDITIVE = {more_column: "mart dim_customers: column vip (boolean) is new", more_mart: "mart fct_new is new"}


def test_the_models_keep_the_committed_contract(marts: Marts) -> None:
    """Fails on any change of a published column, type or grain; `tiering contract` says what to do."""
    assert problems(contract_folder(), marts) == []
    contract = require_kept(contract_folder(), marts)
    assert contract.version == contract_version()
    assert set(contract.marts) == {path.stem for path in (project_root() / "dbt_project/models/marts").rglob("*.sql")}


@pytest.mark.parametrize(("plant", "text"), BREAKING.items(), ids=[plant.__name__ for plant in BREAKING])
def test_what_takes_something_away_is_refused(
    plant: Callable[[Marts], Marts], text: str, folder: Path, marts: Marts
) -> None:
    planted = plant(marts)
    with pytest.raises(ContractError) as caught:
        require_kept(folder, planted)
    assert "**breaking** mart " in caught.value.problem and text in caught.value.problem
    assert "tiering contract --write" in caught.value.next_step
    before = (folder / FILE).read_text(encoding="utf-8")
    with pytest.raises(ContractError, match=re.escape(text)):
        write_contract(folder, planted, "a minor thing")
    assert (folder / FILE).read_text(encoding="utf-8") == before

    old = read_contract(folder)
    new = write_contract(folder, planted, "Nobody read it.", allow_breaking=True)
    assert (new.major, new.minor) == (old.major + 1, 0)
    assert problems(folder, planted) == []
    log = (folder / CHANGELOG).read_text(encoding="utf-8")
    entry = rf"## {new.version} `{new.fingerprint}`\n\nNobody read it\.\n\n- \*\*breaking\*\* .*{re.escape(text)}\n\n"
    assert re.search(rf"{entry}## {old.version} ", log)


@pytest.mark.parametrize(("plant", "text"), ADDITIVE.items(), ids=[plant.__name__ for plant in ADDITIVE])
def test_what_adds_something_needs_a_minor_version(
    plant: Callable[[Marts], Marts], text: str, folder: Path, marts: Marts
) -> None:
    planted, old = plant(marts), read_contract(folder)
    with pytest.raises(ContractError, match=re.escape(text)):
        require_kept(folder, planted)
    with pytest.raises(ContractError, match="needs a reason"):
        write_contract(folder, planted, " ")
    new = write_contract(folder, planted, "More to see.")
    assert (new.major, new.minor) == (old.major, old.minor + 1)
    assert problems(folder, planted) == []
    assert write_contract(folder, planted, "again") == read_contract(folder), "nothing changed, nothing is written"


def test_a_planted_change_in_a_model_s_yaml_is_found(tmp_path: Path) -> None:
    """From the files themselves: the type of one column is changed in a copy of the models."""
    for path in (project_root() / "dbt_project/models/marts").rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(project_root() / "dbt_project")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    assert problems(contract_folder(), marts_of_models(tmp_path)) == []
    path = tmp_path / "models/marts/tiers/agg_tier_summary.yml"
    text = path.read_text(encoding="utf-8")
    planted = text.replace('annual_spend, description: Their annual spend, data_type: "decimal(18,2)"',
                           "annual_spend, description: Their annual spend, data_type: double")  # fmt: skip
    assert planted != text
    path.write_text(planted, encoding="utf-8")
    assert problems(contract_folder(), marts_of_models(tmp_path)) == [
        "**breaking** mart agg_tier_summary: column annual_spend changed from decimal(18,2) to double"
    ]


def test_order_of_columns_and_blanks_in_types_promise_nothing(marts: Marts) -> None:
    promised = {name: mart.promise() for name, mart in marts.items()}
    turned = {name: replace(mart, columns=mart.columns[::-1], grain=mart.grain[::-1]) for name, mart in marts.items()}
    assert changes(promised, turned) == []


def test_a_contract_edited_by_hand_is_found(folder: Path, marts: Marts) -> None:
    planted = without_column(marts)
    path = folder / FILE
    lines = path.read_text(encoding="utf-8").split("  fct_customer_tiers:\n")
    head, tail = lines[1].split("      score: ", 1)
    path.write_text(lines[0] + "  fct_customer_tiers:\n" + head + tail.split("\n", 1)[1], encoding="utf-8")
    (problem,) = problems(folder, planted)
    assert "is not what the newest entry of CHANGELOG.md says: it was edited by hand" in problem


def test_a_breaking_entry_under_a_minor_version_is_found(folder: Path, marts: Marts) -> None:
    old = read_contract(folder)
    new = write_contract(folder, without_mart(marts), "Gone.", allow_breaking=True)
    for name in (FILE, CHANGELOG):
        path = folder / name
        minor = f"{old.major}.{old.minor + 1}"
        path.write_text(path.read_text(encoding="utf-8").replace(new.version, minor), encoding="utf-8")
    (problem,) = problems(folder, without_mart(marts))
    assert problem == f"{CHANGELOG}: {minor} follows {old.version} and ought to be {new.version}"


def test_a_mart_without_grain_and_a_lost_contract_are_told(tmp_path: Path) -> None:
    models = tmp_path / "models" / "marts"
    models.mkdir(parents=True)
    (models / "fct_x.sql").write_text("select 1", encoding="utf-8")
    (models / "fct_x.yml").write_text(
        "models: [{name: fct_x, description: X, columns: [{name: a, description: A, data_type: date}]}]",
        encoding="utf-8",
    )
    with pytest.raises(ContractError, match="mart fct_x: nothing says what one row is"):
        marts_of_models(tmp_path)
    with pytest.raises(ContractError, match="cannot be read"):
        read_contract(tmp_path)
