"""What each mart is, said once in its YAML: dbt's exposures and the page docs/marts.md follow from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from customer_tiering.company.workspace import project_root
from customer_tiering.errors import ContractError
from customer_tiering.publish.contract import Mart, marts_of_models
from customer_tiering.yaml_text import load_yaml

_EXPOSURES = Path("dbt_project/models/exposures.yml")
_PAGE = Path("docs/marts.md")
_READERS = Path("dbt_project/readers.yml")
_TOPICS = {
    "tiers": "Tiers and schemes",
    "indicators": "Customers and indicators",
    "rfm": "RFM",
    "churn": "Churn, lifetime value and opportunities",
    "identity": "Identity",
    "quality": "Data quality",
}
_TABLE_HEAD = ("| mart | one row per | content | nights kept | read by |", "|---|---|---|---|---|")
_INTRODUCTION = """\
# The marts

What is published every night in `published/current/tiers.duckdb` (schema `marts`) and as Parquet files. Columns and
types are a versioned contract (`dbt_project/contract/marts.yml`); `make docs` shows every column with its meaning. This
page is written by `tiering marts --write` from the YAML beside each mart.

Every mart is read by BI and, where a company wants it, copied to Postgres; the last column names who else reads it:
"""
_KEPT = {"one_night": "the published night", "every_night": "every night"}


@dataclass(frozen=True)
class Reader:
    """Someone who reads marts: an exposure of dbt."""

    name: str
    label: str
    type: str
    maturity: str
    description: str
    owner: str
    reads_every_mart: bool = False


@cache
def history_marts() -> frozenset[str]:
    """Marts that keep every night; of the others a snapshot holds its own night only."""
    return frozenset(name for name, mart in marts_of_models().items() if mart.keeps == "every_night")


@cache
def marts_whose_rows_vary() -> frozenset[str]:
    """Marts whose number of rows says nothing about the night before: samples, lists that follow a model."""
    return frozenset(name for name, mart in marts_of_models().items() if mart.rows_vary)


def readers() -> dict[str, Reader]:
    """Readers by name."""
    content: Mapping[str, Mapping[str, Any]] = load_yaml((project_root() / _READERS).read_text(encoding="utf-8"))
    return {name: Reader(name, **facts) for name, facts in content.items()}


def generated() -> dict[Path, str]:
    """The files that follow from the marts' YAML, by path from the project's root, as they should be.

    Raises ``ContractError`` when a mart names a reader that is not in ``dbt_project/readers.yml``.
    """
    marts, known = marts_of_models(), readers()
    for mart in marts.values():
        if unknown := sorted(set(mart.readers) - set(known)):
            raise ContractError(
                f"mart {mart.name}: unknown readers {', '.join(unknown)}",
                f"use one of {', '.join(known)}, or describe the reader in {_READERS}",
            )
    return {_EXPOSURES: _exposures(marts, known), _PAGE: _page(marts, known)}


def outdated() -> list[Path]:
    """Generated files that do not say what the marts' YAML says."""
    root = project_root()
    return [
        path
        for path, text in generated().items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    ]


def write() -> list[Path]:
    """Write the generated files that are outdated; returns them."""
    texts = generated()
    paths = outdated()
    for path in paths:
        (project_root() / path).write_text(texts[path], encoding="utf-8")
    return paths


def _read_by(marts: Iterable[Mart], reader: Reader) -> list[str]:
    return sorted(mart.name for mart in marts if reader.reads_every_mart or reader.name in mart.readers)


def _exposures(marts: Mapping[str, Mart], known: Mapping[str, Reader]) -> str:
    lines = [
        "version: 2",
        "# Who reads the marts, for dbt's lineage. Written by `tiering marts --write` from the marts' YAML.",
        "exposures:",
    ]
    for reader in known.values():
        lines += [
            f"  - name: {reader.name}",
            f"    label: {reader.label}",
            f"    type: {reader.type}",
            f"    maturity: {reader.maturity}",
            f'    description: "{reader.description}"',
            "    depends_on:",
            *(f"      - ref('{name}')" for name in _read_by(marts.values(), reader)),
            f"    owner: {{name: {reader.owner}}}",
        ]
    return "\n".join(lines) + "\n"


def _page(marts: Mapping[str, Mart], known: Mapping[str, Reader]) -> str:
    named = ", ".join(f"{reader.label} (`{reader.name}`)" for reader in known.values() if not reader.reads_every_mart)
    lines = [_INTRODUCTION + f"{named}."]
    for topic, title in _TOPICS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| mart | one row per | content | nights kept | read by |",
            "|---|---|---|---|---|",
        ]
        for mart in sorted(marts.values(), key=lambda mart: mart.name):
            if mart.topic == topic:
                grain = ", ".join(f"`{column}`" for column in mart.grain)
                who = ", ".join(f"`{name}`" for name in mart.readers)
                lines.append(f"| `{mart.name}` | {grain} | {_content(mart)} | {_KEPT[mart.keeps]} | {who} |")
    return "\n".join(lines) + "\n"


def _content(mart: Mart) -> str:
    """The first sentence of the description, without the grain, which has a column of its own."""
    first = re.split(r"(?<=[.;]) ", " ".join(mart.description.split()))[0]
    text = re.sub(r"[,:;]? one row per .*", "", first).strip(" .:,;")
    return text.replace("|", "\\|")
