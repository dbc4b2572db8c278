"""What a mart is, said once: exposures and docs/marts.md follow from the marts' YAML."""

from __future__ import annotations

from dataclasses import replace

import pytest

from customer_tiering.errors import ContractError
from customer_tiering.publish import catalog
from customer_tiering.publish.contract import marts_of_models


def test_exposures_and_the_page_of_marts_are_what_the_yaml_says() -> None:
    assert catalog.outdated() == [], "run: tiering marts --write"


def test_every_mart_is_on_the_page_in_its_topic_with_its_grain() -> None:
    page = next(text for path, text in catalog.generated().items() if path.name == "marts.md")
    for mart in marts_of_models().values():
        (line,) = [line for line in page.split("\n") if line.startswith(f"| `{mart.name}` |")]
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert cells[1] == ", ".join(f"`{column}`" for column in mart.grain)
        assert len(cells[2]) > 8, "the content is said"


def test_a_change_of_the_yaml_makes_the_files_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    marts = marts_of_models()
    planted = marts | {"dim_tiers": replace(marts["dim_tiers"], readers=("alerts",))}
    monkeypatch.setattr(catalog, "marts_of_models", lambda: planted)
    assert [path.name for path in catalog.outdated()] == ["exposures.yml", "marts.md"]
    planted["dim_tiers"] = replace(marts["dim_tiers"], readers=("somebody",))
    with pytest.raises(ContractError, match="mart dim_tiers: unknown readers somebody"):
        catalog.generated()


def test_histories_are_those_marts_that_keep_every_night() -> None:
    assert {"fct_nights", "fct_tier_changes"} <= catalog.history_marts()
    assert not {"fct_customer_tiers", "dim_customers"} & catalog.history_marts()
    assert "fct_audit_sample" in catalog.marts_whose_rows_vary()
