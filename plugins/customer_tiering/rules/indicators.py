"""What an indicator consists of, and what a new one still lacks.

An indicator is a column of a model ``int_indicators_<topic>`` (or of the attributes of a customer), and a row of the
dictionary. From there it goes through the wide model into the mart, whose columns are documented and promised.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from customer_tiering.company.workspace import project_root
from customer_tiering.yaml_text import load_yaml

_PROJECT = Path("dbt_project")
_DICTIONARY = _PROJECT / "seeds/indicators.csv"
_TOPICS = _PROJECT / "models/intermediate/indicators"
_WIDE = _TOPICS / "int_customer_indicators.sql"
_MART = _PROJECT / "models/marts/indicators/fct_customer_indicators.sql"
_CONTRACT = _PROJECT / "contract/marts.yml"
_HOW_TO_DOCUMENT = (
    "add the column with description and data_type (a name that is scored: config: {meta: {level: true}})"
)
_KEYS = {"customer_id", "as_of_date"}
_NOT_INDICATORS = {"annual_spend_status", "is_repeat_buyer", "preferred_category"}
"""Columns of the mart that say something about an indicator or a customer and are not scored."""


@dataclass(frozen=True)
class Missing:
    """One thing that an indicator still lacks; ``path`` is relative to the project's root."""

    indicator: str
    path: Path
    what: str


def missing_pieces(root: Path | None = None) -> list[Missing]:
    """Everything that the indicators of the project still lack, all at once; empty when they are complete."""
    root = root or project_root()
    dictionary = _dictionary(root)
    wide = (root / _WIDE).read_text(encoding="utf-8")
    (model,) = load_yaml((root / _MART).with_suffix(".yml").read_text(encoding="utf-8"))["models"]
    documented = {column["name"] for column in model["columns"]} - _KEYS - _NOT_INDICATORS
    promised = load_yaml((root / _CONTRACT).read_text(encoding="utf-8"))["marts"][model["name"]]["columns"]
    made = dict(_made(root))
    found = []
    for name in sorted({*dictionary, *documented, *made} - _NOT_INDICATORS):
        lacks = {
            _DICTIONARY: (
                name in dictionary,
                "add a row: labels, unit, definition, formula, source, time window",
            ),
            _WIDE: (_names(wide, name), _how_to_select(name, made.get(name), wide)),
            _MART.with_suffix(".yml"): (
                name in documented,
                _HOW_TO_DOCUMENT,
            ),
            _CONTRACT: (name in promised, 'raise the version, last of all: tiering contract --write --note "<why>"'),
        }
        found += [Missing(name, path, what) for path, (there, what) in lacks.items() if not there]
    return found


def _dictionary(root: Path) -> set[str]:
    with (root / _DICTIONARY).open(encoding="utf-8", newline="") as stream:
        return {row["indicator"] for row in csv.DictReader(stream)}


def _made(root: Path) -> Iterator[tuple[str, str]]:
    """Columns that the models of the topics make, each with its model; not those that serve other models only."""
    texts = {path: path.read_text(encoding="utf-8") for path in (root / _PROJECT / "models").rglob("*.sql")}
    for path in sorted((root / _TOPICS).glob("int_indicators_*.sql")):
        others = [text for other, text in texts.items() if other not in (path, root / _WIDE, root / _MART)]
        for name in set(_columns(texts[path])) - _KEYS:
            if _names(texts[root / _WIDE], name) or not any(_names(text, name) for text in others):
                yield name, path.stem


def _columns(sql: str) -> list[str]:
    """Names of the columns of a model's last select."""
    text = re.sub(r"--[^\n]*", "", sql).rsplit("\nselect\n", 1)[-1].split("\nfrom ", 1)[0]
    depth, parts = 0, [""]
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [match[0] for part in parts if (match := re.search(r"\w+$", part.strip()))]


def _how_to_select(name: str, model: str | None, wide: str) -> str:
    if model is None:
        return f"select {name} from the model that computes it"
    return f"select {name}" if f"'{model}'" in wide else f"join {model} and select {name}"


def _names(sql: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", re.sub(r"--[^\n]*", "", sql)) is not None
