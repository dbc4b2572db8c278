"""The contract of the marts: which columns, types and grain people may build on, under a version.

``dbt_project/contract/marts.yml`` is the promise, ``CHANGELOG.md`` beside it says what each version brought. Models
that take something away need a new major version, models that add something a minor one; a test compares them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import yaml

from customer_tiering.company.workspace import project_root
from customer_tiering.errors import ContractError
from customer_tiering.yaml_text import load_yaml

FILE = "marts.yml"
CHANGELOG = "CHANGELOG.md"
_HEADER = "# What published marts promise. Written by `tiering contract --write`; see CHANGELOG.md beside it.\n"
_ENTRY = re.compile(r"^## (\d+)\.(\d+) `([0-9a-f]{12})`$", re.MULTILINE)
_GRAIN_TEST = "unique_combination"
_BREAKING = "**breaking**"
_MARTS = ("models", "marts")


@dataclass(frozen=True)
class Column:
    """A published column; ``type`` in lower case without blanks, as ``decimal(18,2)``."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Mart:
    """A published mart; no two rows share the values of ``grain``, some of which may be missing."""

    name: str
    description: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    topic: str
    """The folder of the model."""
    keeps: Literal["one_night", "every_night"]
    """Which nights a snapshot holds of it."""
    readers: tuple[str, ...]
    """Who reads it besides those that read every mart."""
    rows_vary: bool
    """Whether its number of rows says nothing about the night before."""

    def promise(self) -> dict[str, Any]:
        return {"grain": list(self.grain), "columns": {column.name: column.type for column in self.columns}}


@dataclass(frozen=True)
class Contract:
    """A version and, per mart, its grain and the types of its columns."""

    major: int
    minor: int
    marts: Mapping[str, Mapping[str, Any]]

    @property
    def version(self) -> str:
        return f"{self.major}.{self.minor}"

    @property
    def fingerprint(self) -> str:
        """Twelve digits that change with any promise; the changelog repeats them, so that no edit goes unnoticed."""
        return hashlib.sha256(_dump(self.marts).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Change:
    """One difference between two contracts, as people read it."""

    kind: Literal["breaking", "additive"]
    text: str

    def __str__(self) -> str:
        return f"{_BREAKING} {self.text}" if self.kind == "breaking" else self.text


def contract_folder() -> Path:
    return project_root() / "dbt_project" / "contract"


def contract_version() -> str:
    """The version that a snapshot is published under."""
    return read_contract(contract_folder()).version


def read_contract(folder: Path) -> Contract:
    """The committed contract. Raises ``ContractError`` when it cannot be read."""
    try:
        content = load_yaml((folder / FILE).read_text(encoding="utf-8"))
        major, minor = (int(part) for part in str(content["version"]).split("."))
        return Contract(major, minor, content["marts"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ContractError(
            f"the contract of the marts ({folder / FILE}) cannot be read: {type(error).__name__}",
            "take the committed file back: git checkout -- dbt_project/contract",
        ) from error


# --- what the models say ------------------------------------------------------------------------------------------


def marts_of_models(project: Path | None = None) -> dict[str, Mart]:
    """Marts by name, from the YAML beside each mart's SQL (dbt enforces columns and types); needs no dbt."""
    found = {}
    for path in sorted((project or project_root() / "dbt_project").joinpath(*_MARTS).rglob("*.sql")):
        (model,) = load_yaml(path.with_suffix(".yml").read_bytes())["models"]
        tests = [test for test in model.get("data_tests", []) if isinstance(test, dict)]
        combinations = [test[_GRAIN_TEST]["arguments"]["columns"] for test in tests if _GRAIN_TEST in test]
        unique = [[column["name"]] for column in model["columns"] if "unique" in column.get("data_tests", [])]
        meta = model.get("config", {}).get("meta", {})
        found[model["name"]] = _mart(
            model["name"], model["description"], combinations + unique, model["columns"], path.parent.name, meta
        )
    return found


def marts_of_manifest(manifest: Mapping[str, Any]) -> dict[str, Mart]:
    """Marts by name, from dbt's manifest (``manifest.json`` as a mapping)."""
    nodes = manifest["nodes"].values()
    models = {
        node["unique_id"]: node for node in nodes if node["resource_type"] == "model" and node["fqn"][1] == _MARTS[1]
    }
    combinations: dict[str, list[list[str]]] = {name: [] for name in models}
    unique: dict[str, list[list[str]]] = {name: [] for name in models}
    for node in nodes:
        model, test = node.get("attached_node"), node.get("test_metadata")
        if model in models and test and test["name"] == _GRAIN_TEST:
            combinations[model].append(test["kwargs"]["columns"])
        elif model in models and test and test["name"] == "unique":
            unique[model].append([node["column_name"]])
    marts = [
        _mart(
            node["name"],
            node["description"],
            combinations[key] + unique[key],
            node["columns"].values(),
            node["fqn"][2],
            node["config"]["meta"],
        )
        for key, node in models.items()
    ]
    return {mart.name: mart for mart in sorted(marts, key=lambda mart: mart.name)}


def _mart(
    name: str, description: str, grains: list[list[str]], columns: Any, topic: str, meta: Mapping[str, Any]
) -> Mart:
    if not grains:
        raise ContractError(
            f"mart {name}: nothing says what one row is",
            "give its YAML a data test: unique_combination over the columns of the grain, or unique on one column",
        )
    if meta.get("keeps") not in ("one_night", "every_night") or not isinstance(meta.get("readers"), list):
        raise ContractError(
            f"mart {name}: nothing says which nights it keeps, or who reads it",
            "give its YAML config.meta: keeps (one_night or every_night) and readers (of dbt_project/readers.yml)",
        )
    return Mart(
        name,
        description,
        tuple(grains[0]),
        tuple(Column(c["name"], re.sub(r"\s", "", c["data_type"].lower()), c["description"]) for c in columns),
        topic,
        meta["keeps"],
        tuple(meta["readers"]),
        bool(meta.get("rows_vary", False)),
    )


# --- comparing ----------------------------------------------------------------------------------------------------


def changes(promised: Mapping[str, Mapping[str, Any]], marts: Mapping[str, Mart]) -> list[Change]:
    """What the models take away from a contract, and what they add to it; breaking changes first."""
    breaking = [f"mart {name} was removed" for name in promised if name not in marts]
    additive = [f"mart {name} is new" for name in marts if name not in promised]
    for name, old in promised.items():
        if name not in marts:
            continue
        new = marts[name].promise()
        if set(old["grain"]) != set(new["grain"]):
            breaking.append(f"mart {name}: one row per {_listed(old['grain'])} became {_listed(new['grain'])}")
        for column, kind in old["columns"].items():
            if column not in new["columns"]:
                breaking.append(f"mart {name}: column {column} was removed")
            elif new["columns"][column] != kind:
                breaking.append(f"mart {name}: column {column} changed from {kind} to {new['columns'][column]}")
        additive += [
            f"mart {name}: column {column} ({kind}) is new"
            for column, kind in new["columns"].items()
            if column not in old["columns"]
        ]
    return [Change("breaking", text) for text in breaking] + [Change("additive", text) for text in additive]


def problems(folder: Path, marts: Mapping[str, Mart]) -> list[str]:
    """Why the models may not be published under the committed contract; empty when they may."""
    contract = read_contract(folder)
    found = [str(change) for change in changes(contract.marts, marts)]
    entries = _entries(folder)
    if not entries or entries[0][:3] != (contract.major, contract.minor, contract.fingerprint):
        found.append(
            f"{FILE} {contract.version} is not what the newest entry of {CHANGELOG} says: it was edited by hand"
        )
    for newer, older in pairwise(entries):
        major, minor = _next((older[0], older[1]), breaking=_BREAKING in newer[3])
        if (newer[0], newer[1]) != (major, minor):
            found.append(
                f"{CHANGELOG}: {newer[0]}.{newer[1]} follows {older[0]}.{older[1]} and ought to be {major}.{minor}"
            )
    return found


def require_kept(folder: Path, marts: Mapping[str, Mart]) -> Contract:
    """The committed contract. Raises ``ContractError`` with every difference when the models do not keep it."""
    if found := problems(folder, marts):
        raise ContractError(
            f"the marts do not keep contract {read_contract(folder).version}:\n  - " + "\n  - ".join(found),
            'raise its version: tiering contract --write --note "<why>" (--breaking where something is taken away)',
        )
    return read_contract(folder)


def write_contract(folder: Path, marts: Mapping[str, Mart], note: str, *, allow_breaking: bool = False) -> Contract:
    """Raise the version as the changes ask for, and write contract and changelog. Returns the contract in force.

    Raises ``ContractError`` when something is taken away and ``allow_breaking`` is not given, or without a note.
    """
    folder.mkdir(parents=True, exist_ok=True)
    promised = {name: mart.promise() for name, mart in sorted(marts.items())}
    if not (folder / FILE).exists():
        contract, found = Contract(1, 0, promised), [Change("additive", f"{len(marts)} marts")]
    else:
        before = read_contract(folder)
        found = changes(before.marts, marts)
        if not found:
            return before
        breaking = [change.text for change in found if change.kind == "breaking"]
        if breaking and not allow_breaking:
            raise ContractError(
                "what others build on would be taken away:\n  - " + "\n  - ".join(breaking),
                "keep it (an additional column breaks nobody), or say --breaking and tell who reads the marts",
            )
        contract = Contract(*_next((before.major, before.minor), breaking=bool(breaking)), promised)
    if not note.strip():
        raise ContractError("a new version needs a reason", 'give it: --note "<why>"')
    _write(folder, contract, found, note.strip())
    return contract


def _write(folder: Path, contract: Contract, found: list[Change], note: str) -> None:
    path = folder / CHANGELOG
    text = path.read_text(encoding="utf-8") if path.exists() else "# Versions of the mart contract\n"
    head, separator, older = text.partition("\n## ")
    entry = "\n".join(
        [f"## {contract.version} `{contract.fingerprint}`", "", note, "", *(f"- {item}" for item in found)]
    )
    path.write_text(f"{head.rstrip()}\n\n{entry}\n{separator}{older}", encoding="utf-8")
    (folder / FILE).write_text(
        f'{_HEADER}version: "{contract.version}"\nmarts:\n' + _dump(contract.marts, indent="  "), encoding="utf-8"
    )


def _dump(marts: Mapping[str, Mapping[str, Any]], indent: str = "") -> str:
    """The promises as YAML, one column a line, so that differences read well."""
    lines = []
    for name, promise in marts.items():
        lines += [f"{indent}{name}:", f"{indent}  grain: [{', '.join(promise['grain'])}]", f"{indent}  columns:"]
        lines += [f"{indent}    {column}: {kind}" for column, kind in promise["columns"].items()]
    return "\n".join(lines) + "\n"


def _entries(folder: Path) -> list[tuple[int, int, str, str]]:
    """Major, minor, fingerprint and text of each version in the changelog, newest first."""
    path = folder / CHANGELOG
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    starts = list(_ENTRY.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return [
        (int(start[1]), int(start[2]), start[3], text[start.end() : end])
        for start, end in zip(starts, ends, strict=True)
    ]


def _next(version: tuple[int, int], *, breaking: bool) -> tuple[int, int]:
    return (version[0] + 1, 0) if breaking else (version[0], version[1] + 1)


def _listed(names: list[str]) -> str:
    return "(" + ", ".join(names) + ")"
