"""docs/input-layer.md and the JSON schema of profiles say what the code declares."""

from __future__ import annotations

import json

from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import PROJECT_ROOT
from customer_tiering.inputs.catalog import page
from customer_tiering.inputs.tables import input_tables

WRITE = "run: tiering input-tables --write"


def test_the_page_of_the_input_tables_is_up_to_date() -> None:
    assert (PROJECT_ROOT / "docs" / "input-layer.md").read_text(encoding="utf-8") == page(), WRITE


def test_the_schema_of_profiles_is_up_to_date() -> None:
    written = json.loads((PROJECT_ROOT / "docs" / "profile.schema.json").read_text(encoding="utf-8"))
    assert written == Profile.model_json_schema(), WRITE


def test_every_input_table_has_a_staging_model_with_its_columns() -> None:
    models = PROJECT_ROOT / "dbt_project" / "models" / "staging"
    assert {path.stem.removeprefix("stg_") for path in models.glob("stg_*.sql")} == set(input_tables())
    for table in input_tables().values():
        text = (models / f"stg_{table.name}.sql").read_text(encoding="utf-8")
        missing = [name for name in table.names if name not in text and name != "is_deleted"]
        assert missing == [], table.name
