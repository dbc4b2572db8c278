"""Layers go one way: staging, then intermediate, then marts. Read from dbt's own manifest."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from customer_tiering.company.workspace import project_root

# Which layers a model may read. The audit computes published figures again, so it starts from the marts that it checks,
# and one mart reports what it found.
MAY_READ = {
    "staging": {"staging"},
    "intermediate": {"staging", "intermediate"},
    "audit": {"staging", "intermediate", "audit", "marts"},
    "marts": {"intermediate", "marts"},
}
READS_THE_AUDIT = "fct_audit_sample"
TOPICS = {"nights", "canonical", "identity", "indicators", "scoring", "tiers", "churn"}

Model = tuple[str, str, list[str]]
"""Name, folders below ``models/``, names of the models it reads."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    """Every model of the project."""
    from dbt.cli.main import dbtRunner

    project = str(project_root() / "dbt_project")
    target = str(tmp_path_factory.mktemp("parsed"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_WAREHOUSE", os.devnull)
        parsed = dbtRunner().invoke(
            [
                "parse",
                "--project-dir",
                project,
                "--profiles-dir",
                project,
                "--target-path",
                target,
                "--log-path",
                target,
            ]
        )
    assert parsed.success, parsed.exception
    nodes = {name: node for name, node in parsed.result.nodes.items() if node.resource_type == "model"}
    return [
        (
            node.name,
            "/".join(node.fqn[1:-1]),
            [nodes[parent].name for parent in node.depends_on.nodes if parent in nodes],
        )
        for node in nodes.values()
    ]


def upward_reads(models: Iterable[Model]) -> list[str]:
    """Models that read a layer above their own."""
    layers = {name: folder.split("/")[0] for name, folder, _ in models}
    return sorted(
        f"{name} reads {parent}"
        for name, _, parents in models
        for parent in parents
        if layers[parent] not in MAY_READ[layers[name]] and not (name == READS_THE_AUDIT and layers[parent] == "audit")
    )


def test_no_model_reads_a_layer_above_its_own(models: list[Model]) -> None:
    assert len(models) > 100
    assert upward_reads(models) == []


def test_a_planted_read_of_a_mart_is_found(models: list[Model]) -> None:
    planted = ("int_planted", "intermediate/tiers", ["fct_customer_tiers", "int_tier_states"])
    assert upward_reads([*models, planted]) == ["int_planted reads fct_customer_tiers"]


def test_intermediate_models_lie_in_the_folder_of_their_topic(models: list[Model]) -> None:
    folders = {folder for _, folder, _ in models if folder.startswith("intermediate")}
    assert folders == {f"intermediate/{topic}" for topic in TOPICS}
