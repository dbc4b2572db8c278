"""Scheme files as text: written from rows, compared, and edited without losing their comments."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from customer_tiering.errors import TieringError
from customer_tiering.rules import edges
from customer_tiering.rules.edges import percent, shown
from customer_tiering.rules.schemes import TIER_TEXTS, merged
from customer_tiering.rules.seeds import COVERAGE, Row

Content = dict[str, Any]
_WIDTH = 116


def content_of(rows: Mapping[str, Iterable[Row]], scheme: str) -> Content:
    """What a scheme file says, from the rows of a scheme: the reverse of ``schemes.scheme_rows``."""
    of = {seed: [row for row in found if row.values.get("scheme") == scheme] for seed, found in rows.items()}
    shares = {row["indicator"] for row in rows.get("indicators", []) if row["unit"].startswith("share")} | {COVERAGE}
    (head,) = of["schemes"]
    kind = head["kind"]
    content: Content = {key: head[key] for key in ("label_en", "label_zh", "description", "kind", "population")}
    content["dimensions"] = {row["dimension"]: _dimension(of, row, kind, shares) for row in of["scheme_dimensions"]}
    if len(content["dimensions"]) == 1 or kind == "axes":
        for dimension in content["dimensions"].values():
            dimension.pop("weight")
    if kind == "rules":
        content["conditions"] = _choices(of["rules"])
    if head["least_coverage"]:
        content["least_coverage"] = percent(Decimal(head["least_coverage"]))
    when = _when(of, kind, shares)
    content["tiers"] = {}
    for place, row in enumerate(sorted(of["tiers"], key=lambda one: int(Decimal(one["tier_rank"]))), start=1):
        tier: Content = {"when": when[row["tier"]]} if row["tier"] in when else {}
        caps = [cap for cap in of["tier_caps"] if cap["tier"] == row["tier"]]
        if caps:
            tier["needs"] = {
                name: f">= {shown(Decimal(cap['lower_bound']), name in shares)}"
                for cap in caps
                if (name := cap["indicator"])
            }
        tier |= {key: row[key] for key in TIER_TEXTS if row[key]}
        if kind == "axes" or int(Decimal(row["tier_rank"])) != place:
            tier["rank"] = int(Decimal(row["tier_rank"]))
        content["tiers"][row["tier"]] = tier
    for row in of["stability"]:
        content["stability"] = {
            key: value if key == "review" else _number(value)
            for key, value in row.values.items()
            if key != "scheme" and value and (key == "review" or Decimal(value))
        }
    return content


def _dimension(of: Mapping[str, list[Row]], row: Row, kind: str, shares: set[str]) -> Content:
    name, measure, method = row["dimension"], row["measure"], row["level_by"]
    said: Content = {
        "label_en": row["label_en"],
        "label_zh": row["label_zh"],
        "weight": percent(Decimal(row["weight"])),
    }
    uses = [use for use in of["scheme_indicators"] if use["dimension"] == name]
    if measure == "raw" and len(uses) == 1 and uses[0]["missing"] == "pending":
        said["value"] = uses[0]["indicator"]
    else:
        if kind == "cluster":
            said["compare"] = measure
        said["indicators"] = {use["indicator"]: _use(of, use, len(uses) == 1, measure, shares) for use in uses}
    if kind in ("quadrant", "axes"):
        if method == "bands":
            bands = [band for band in of["tier_bands"] if band["dimension"] == name]
            said["levels"] = _banded(bands, "tier", measure == "raw" and uses[0]["indicator"] in shares)
        elif method == "rank":
            said["levels"] = _ranked([rank for rank in of["ranks"] if rank["dimension"] == name])
        elif method == "rules":
            said["conditions"] = _choices([rule for rule in of["rules"] if rule["dimension"] == name])
    return said


def _use(of: Mapping[str, list[Row]], use: Row, alone: bool, measure: str, shares: set[str]) -> Content:
    said: Content = {} if alone else {"weight": percent(Decimal(use["weight"]))}
    if use["missing"] != "pending":
        said["missing"] = use["missing"]
    if use["missing_score"]:
        said["missing_score"] = _number(use["missing_score"])
    if measure == "score":
        bands = [band for band in of["score_bands"] if band["indicator"] == use["indicator"]]
        levels = [level for level in of["level_scores"] if level["indicator"] == use["indicator"]]
        if bands:
            texts = _texts(bands, use["indicator"] in shares)
            said["scores"] = dict(zip(texts, [_number(band["score"]) for band in _ordered(bands)], strict=True))
        else:
            said["scores"] = {level["level"]: _number(level["score"]) for level in levels}
    return said


def _number(text: str) -> int | float:
    value = Decimal(text)
    return int(value) if value == value.to_integral_value() else float(value)


def _band(row: Row) -> edges.Band:
    lower, upper = (Decimal(row[side]) if row[side] else None for side in ("lower_bound", "upper_bound"))
    return edges.Band(lower, upper, row["lower_included"] == "true", row["upper_included"] == "true")


def _ordered(rows: list[Row]) -> list[Row]:
    """From the best end of the axis on: downwards, unless the first row written is the lowest band."""
    upwards = bool(rows) and not rows[0]["lower_bound"] and bool(rows[0]["upper_bound"])
    return sorted(rows, key=lambda row: Decimal(row["lower_bound"] or "-Infinity"), reverse=not upwards)


def _texts(rows: list[Row], is_share: bool) -> list[str]:
    return edges.texts_of([_band(row) for row in _ordered(rows)], is_share)


def _banded(rows: list[Row], column: str, is_share: bool) -> dict[str, str]:
    return {row[column]: text for row, text in zip(_ordered(rows), _texts(rows, is_share), strict=True)}


def _ranked(rows: list[Row]) -> dict[str, str]:
    ordered = sorted(rows, key=lambda row: Decimal(row["cumulative_share"]))
    return {
        row["tier"]: edges.OTHERS
        if Decimal(row["cumulative_share"]) == 1
        else f"top {percent(Decimal(row['cumulative_share']))}"
        for row in ordered
    }


def _choices(rows: list[Row]) -> list[Content]:
    grouped: dict[int, list[Row]] = {}
    for row in rows:
        grouped.setdefault(int(Decimal(row["rule_order"])), []).append(row)
    choices = []
    for order in sorted(grouped):
        conditions = [_condition(row) for row in grouped[order] if row["operator"] != "always"]
        choices.append({"tier": grouped[order][0]["tier"]} | ({"if": conditions} if conditions else {}))
    return choices


def _condition(row: Row) -> str:
    if row["operator"] == "missing":
        return f"{row['indicator']} missing"
    return f"{row['indicator']} {row['operator']} {', '.join(row['value'].split('|'))}"


def _when(of: Mapping[str, list[Row]], kind: str, shares: set[str]) -> dict[str, Any]:
    if kind in ("weighted", "bands"):
        bands = [band for band in of["tier_bands"] if bool(band["dimension"]) == (kind == "bands")]
        return _banded(bands, "tier", kind == "bands" and of["scheme_indicators"][0]["indicator"] in shares)
    if kind == "rank":
        return _ranked(of["ranks"])
    if kind == "quadrant":
        return {
            row["tier"]: {row["first_dimension"]: row["first_level"], row["second_dimension"]: row["second_level"]}
            for row in of["quadrants"]
        }
    return {}


def difference(base: Content, own: Content) -> Content:
    """The least that a company's file has to say so that ``merged(base, it)`` is ``own``."""
    said: Content = {}
    for key, value in own.items():
        if key not in base:
            said[key] = value
        elif base[key] != value:
            both = isinstance(value, dict) and isinstance(base[key], dict)
            inner = difference(base[key], value) if both else value
            said[key] = inner if both and merged(base[key], inner, key) == value else value
    return said | {key: None for key in base if key not in own}


def flattened(content: Content, above: str = "") -> dict[str, Any]:
    """Every value with the keys that lead to it; what is read in order counts as one value."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and key not in ("scores", "levels", "when"):
            flat |= flattened(value, f"{name}.")
        elif isinstance(value, dict):
            flat[name] = "  ".join(f"{one} → {other}" for one, other in value.items())
        else:
            flat[name] = value
    return flat


# --- text -----------------------------------------------------------------------------------------------------


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.preserve_quotes = True
    return yaml


def dumped(content: Content, comment: str = "") -> str:
    """A scheme file: small mappings on one line."""
    stream = io.StringIO()
    _yaml().dump(_styled(content, 0), stream)
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    return head + stream.getvalue()


def _styled(value: Any, depth: int) -> Any:
    if isinstance(value, list):
        return [_styled(item, depth + 1) for item in value]
    if isinstance(value, str) and value[:1] in ("<", ">"):
        return DoubleQuotedScalarString(value)
    if not isinstance(value, dict):
        return value
    styled = CommentedMap({_styled(key, depth): _styled(item, depth + 1) for key, item in value.items()})
    nested = any(isinstance(item, dict) and item for item in value.values())
    if depth and not nested and len(str(value)) + 2 * depth < _WIDTH:
        styled.fa.set_flow_style()
    return styled


def edited(text: str, changes: Content) -> str:
    """The text of a scheme file with ``changes`` merged in; comments and all else stay."""
    yaml = _yaml()
    document = yaml.load(text) if text.strip() else None
    document = CommentedMap() if document is None else document
    _merge_into(document, changes, 0)
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _merge_into(document: CommentedMap, changes: Content, depth: int) -> None:
    for key, value in changes.items():
        there = document.get(key)
        if isinstance(value, dict) and isinstance(there, CommentedMap) and key not in ("scores", "levels", "when"):
            _merge_into(there, value, depth + 1)
        else:
            document[key] = _styled(value, depth + 1)


def write(path: Path, text: str) -> None:
    """All or nothing: a reader sees the old file or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise TieringError(
            f"{path}: the file cannot be written ({error.strerror})", "check folder and rights"
        ) from error
