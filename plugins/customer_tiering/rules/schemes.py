"""Scheme files: read, merged with those of a company, and turned into the rows that the models join.

A company's file of the same name says what differs from the project's: mappings are merged key by key, an empty value
takes a key away; scores, levels and conditions are replaced as a whole, because their entries are read in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from customer_tiering.company import mistakes
from customer_tiering.errors import RulesError
from customer_tiering.rules import edges
from customer_tiering.rules.edges import plain
from customer_tiering.rules.scheme_file import Choice, Dimension, IndicatorUse, SchemeFile
from customer_tiering.rules.seeds import Row, shown_path
from customer_tiering.yaml_text import compose_yaml

Where = tuple[str | int, ...]
SCHEME_SEEDS = (
    "schemes",
    "scheme_dimensions",
    "scheme_indicators",
    "score_bands",
    "level_scores",
    "tier_bands",
    "tier_caps",
    "stability",
    "quadrants",
    "ranks",
    "rules",
    "tiers",
)
"""The tables of rules that scheme files fill."""

TIER_TEXTS = (
    *("label_en", "label_zh", "strategy_en", "strategy_zh"),
    *("strategy_high_potential_en", "strategy_high_potential_zh"),
)
"""What people read of a tier; the last two are for its customers of high potential."""

_REPLACED = ("scores", "levels", "conditions", "when")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ONE_LEVEL = ("bands", "rank", "rules", "cluster")


@dataclass
class Text:
    """What one file says, and where: the line of every key, or the cell of a workbook."""

    path: Path
    content: dict[str, Any] = field(default_factory=dict)
    lines: dict[Where, int | str] = field(default_factory=dict)


@dataclass
class Scheme:
    """A scheme as its files say it, the project's first; ``content`` is what they say together."""

    name: str
    texts: list[Text]
    content: dict[str, Any]
    file: SchemeFile | None = None

    def said(self) -> SchemeFile:
        """What the files say, typed. Raises ``RulesError`` where they make no sense."""
        if self.file is None:
            raise RulesError(f"scheme {self.name} makes no sense", "see tiering scheme check")
        return self.file

    def place(self, where: Sequence[str | int]) -> tuple[Path, int | str]:
        """File and line of a key, or of the innermost one above it that a file has; the company's file first."""
        for length in range(len(where), -1, -1):
            for text in reversed(self.texts):
                if (line := text.lines.get(tuple(where[:length]))) is not None:
                    return text.path, line
        return self.texts[-1].path, 1


def scheme_files(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """The files of each scheme, in the order of the folders."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yml")):
            found.setdefault(path.stem, []).append(path)
    return found


def read_schemes(folders: Sequence[Path], problems: list[str]) -> list[Scheme]:
    """Every scheme of the folders; what is wrong with a file is added to ``problems``, with file and line."""
    schemes = []
    for name, paths in scheme_files(folders).items():
        count = len(problems)
        texts = [text for path in paths if (text := read_text(path, problems)) is not None]
        if not _NAME.fullmatch(name):
            problems.append(f"{shown_path(paths[-1])}: a scheme is named by letters a-z, digits and _, not {name!r}")
        if len(problems) > count or not texts:
            continue
        schemes.append(scheme_of(name, texts, problems))
    return schemes


def scheme_of(name: str, texts: list[Text], problems: list[str]) -> Scheme:
    """The scheme that the texts give together; what its models refuse is added to ``problems``."""
    content: dict[str, Any] = {}
    for text in texts:
        content = merged(content, text.content)
    scheme = Scheme(name, texts, content)
    try:
        scheme.file = SchemeFile.model_validate(scheme.content)
    except ValidationError as error:
        for where, message in mistakes.of_validation(error, SchemeFile.model_json_schema()):
            problems.append(_told(scheme, where, message))
    return scheme


def _told(scheme: Scheme, where: Sequence[str | int], message: str) -> str:
    path, line = scheme.place(where)
    return f"{shown_path(path)}:{line}: {'.'.join(map(str, where))}: {message}"


def read_text(path: Path, problems: list[str]) -> Text | None:
    """Content and lines of a YAML file; None, and a problem, when it is none."""
    try:
        root = compose_yaml(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        problems.append(f"{shown_path(path)}: the file is not UTF-8; save it as UTF-8")
        return None
    except OSError as error:
        problems.append(f"{shown_path(path)}: the file cannot be read ({error.strerror})")
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problems.append(f"{shown_path(path)}{line}: this is not YAML ({getattr(error, 'problem', None) or error})")
        return None
    text = Text(path)
    if not isinstance(root, yaml.MappingNode):
        problems.append(f"{shown_path(path)}: the file is empty or holds no keys; see docs/add-a-scheme.md")
        return None
    text.content = _content(root, (), text, problems)
    return text


def _content(node: yaml.Node, where: Where, text: Text, problems: list[str]) -> Any:
    """Keys and numbers stay texts, exactly as they stand: 1,000 or 40 % are read by the models."""
    text.lines.setdefault(where, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in found:
                problems.append(
                    f"{shown_path(text.path)}:{line}: {key.value} is already in line {text.lines[(*where, key.value)]}"
                )
            text.lines[(*where, key.value)] = line
            found[key.value] = _content(value, (*where, key.value), text, problems)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_content(item, (*where, place), text, problems) for place, item in enumerate(node.value)]
    if node.tag == "tag:yaml.org,2002:null":
        return None
    return node.value


def merged(base: Any, own: Any, key: str = "") -> Any:
    """What two files say together; where both speak, the second one counts."""
    if key in _REPLACED or not isinstance(base, dict) or not isinstance(own, dict):
        return own if not isinstance(own, dict) else {name: value for name, value in own.items() if value is not None}
    content = {name: merged(base.get(name), own[name], name) if name in own else value for name, value in base.items()}
    content |= {name: merged(None, value, name) for name, value in own.items() if name not in base}
    return {name: value for name, value in content.items() if value is not None}


# --- rows -----------------------------------------------------------------------------------------------------


def scheme_rows(schemes: Sequence[Scheme], problems: list[str]) -> dict[str, list[Row]]:
    """The rows of all schemes by table, each with the file and line that says it."""
    rows: dict[str, list[Row]] = {seed: [] for seed in SCHEME_SEEDS}
    for scheme in schemes:
        if scheme.file is None:
            continue
        for seed, where, values in _rows(scheme, scheme.file, problems):
            path, line = scheme.place(where)
            rows[seed].append(Row({name: _field(value) for name, value in values.items()}, path, line))
    return rows


def _field(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return value if isinstance(value, str) else plain(value) if hasattr(value, "normalize") else str(value)


_Found = tuple[str, Where, dict[str, Any]]


def _rows(scheme: Scheme, said: SchemeFile, problems: list[str]) -> Iterator[_Found]:
    name = scheme.name
    yield (
        "schemes",
        (),
        {"scheme": name, "kind": said.kind, "population": said.population, "label_en": said.label_en}
        | {"label_zh": said.label_zh, "description": said.description, "least_coverage": said.least_coverage},
    )
    for key, dimension in said.dimensions.items():
        yield from _dimension_rows(scheme, said, key, dimension, problems)
    yield from _tier_rows(scheme, said, problems)
    if said.stability:
        values = {"scheme": name} | {
            column: getattr(said.stability, column) for column in type(said.stability).model_fields
        }
        yield "stability", ("stability",), values


def _dimension_rows(
    scheme: Scheme, said: SchemeFile, key: str, dimension: Dimension, problems: list[str]
) -> Iterator[_Found]:
    where: Where = ("dimensions", key)
    base = {"scheme": scheme.name, "dimension": key}
    conditions, place = dimension.conditions, (*where, "conditions")
    if said.kind == "rules":
        conditions, place = said.conditions, ("conditions",)
    weight = dimension.weight
    if weight is None:
        if len(said.dimensions) > 1 and said.kind != "axes":
            problems.append(_told(scheme, where, "weight is missing; the weights of the dimensions sum to 100 %"))
        weight = edges.number("1")
    yield (
        "scheme_dimensions",
        (*where, "weight"),
        base
        | {"weight": weight, "measure": dimension.measure(), "level_by": _level_by(said, dimension)}
        | {"label_en": dimension.label_en, "label_zh": dimension.label_zh},
    )
    for name, use in dimension.uses().items():
        at: Where = (*where, "value") if dimension.value else (*where, "indicators", name)
        yield from _use_rows(scheme, base, dimension, name, use, at, problems)
    if dimension.levels:
        yield from _level_rows(scheme, base, dimension.levels, (*where, "levels"), problems)
    if conditions:
        yield from _choice_rows(scheme, base, conditions, place, problems)


def _level_by(said: SchemeFile, dimension: Dimension) -> str:
    if said.kind in _ONE_LEVEL:
        return said.kind
    if dimension.conditions:
        return "rules"
    if dimension.levels:
        return "rank" if _is_ranked(dimension.levels.values()) else "bands"
    return "none"


def _is_ranked(texts: Any) -> bool:
    return any(text.strip().startswith("top") for text in texts)


def _use_rows(
    scheme: Scheme,
    base: dict[str, Any],
    dimension: Dimension,
    name: str,
    use: IndicatorUse,
    where: Where,
    problems: list[str],
) -> Iterator[_Found]:
    weight = use.weight
    if weight is None:
        if len(dimension.uses()) > 1:
            problems.append(
                _told(scheme, where, "weight is missing; the weights of a dimension's indicators sum to 100 %")
            )
        weight = edges.number("1")
    yield (
        "scheme_indicators",
        where,
        base | {"indicator": name, "weight": weight, "missing": use.missing, "missing_score": use.missing_score},
    )
    if not use.scores:
        return
    at = (*where, "scores")
    of_scheme = {"scheme": base["scheme"], "indicator": name}
    if edges.OTHERS not in use.scores and not any(text[:1] in "<>≥≤" for text in use.scores):
        for level, score in use.scores.items():
            yield "level_scores", (*at, level), of_scheme | {"level": level, "score": score}
        return
    for text, score, band in _banded(scheme, use.scores, at, problems):
        yield "score_bands", (*at, text), of_scheme | _bounds(band) | {"score": score}


def _banded(
    scheme: Scheme, said: dict[str, Any], where: Where, problems: list[str]
) -> Iterator[tuple[str, Any, edges.Band]]:
    try:
        found = edges.bands(list(said))
    except ValueError as error:
        problems.append(_told(scheme, where, str(error)))
        return
    yield from zip(said, said.values(), found, strict=True)


def _bounds(band: edges.Band) -> dict[str, Any]:
    return {
        "lower_bound": band.lower,
        "upper_bound": band.upper,
        "lower_included": band.lower_included,
        "upper_included": band.upper_included,
    }


def _level_rows(
    scheme: Scheme, base: dict[str, Any], said: dict[str, str], where: Where, problems: list[str]
) -> Iterator[_Found]:
    """Levels by the edges of a score or value, or by rank."""
    try:
        if _is_ranked(said.values()):
            for level, share in zip(said, edges.shares(list(said.values())), strict=True):
                yield "ranks", (*where, level), base | {"tier": level, "cumulative_share": share}
            return
        for level, band in zip(said, edges.bands(list(said.values())), strict=True):
            yield "tier_bands", (*where, level), base | {"tier": level} | _bounds(band)
    except ValueError as error:
        problems.append(_told(scheme, where, str(error)))


def _choice_rows(
    scheme: Scheme, base: dict[str, Any], choices: Sequence[Choice], where: Where, problems: list[str]
) -> Iterator[_Found]:
    for place, choice in enumerate(choices):
        values = base | {"rule_order": place + 1, "tier": choice.tier}
        if not choice.conditions:
            if place != len(choices) - 1:
                message = "takes everybody, so the conditions after it are never asked; put it last"
                problems.append(_told(scheme, (*where, place), message))
            yield "rules", (*where, place), values | {"indicator": "", "operator": "always", "value": ""}
        for number, text in enumerate(choice.conditions):
            at = (*where, place, "if", number)
            try:
                one = edges.condition(text)
            except ValueError as error:
                problems.append(_told(scheme, at, str(error)))
                continue
            yield (
                "rules",
                at,
                values | {"indicator": one.indicator, "operator": one.operator, "value": "|".join(one.values)},
            )


def _tier_rows(scheme: Scheme, said: SchemeFile, problems: list[str]) -> Iterator[_Found]:
    names = list(said.tiers)
    for place, (key, tier) in enumerate(said.tiers.items()):
        where: Where = ("tiers", key)
        yield (
            "tiers",
            where,
            {"scheme": scheme.name, "tier": key, "tier_rank": tier.rank or _rank(said, key, place)}
            | {column: getattr(tier, column) for column in TIER_TEXTS},
        )
        for indicator, text in tier.needs.items():
            at = (*where, "needs", indicator)
            try:
                edge = edges.edge(text)
            except ValueError as error:
                problems.append(_told(scheme, at, str(error)))
                continue
            if edge.operator != ">=":
                problems.append(_told(scheme, at, f"{text}: a tier needs at least a value; write >= and a number"))
            elif key == names[-1]:
                problems.append(_told(scheme, at, "there is no tier below; the lowest tier needs nothing"))
            else:
                values = {"scheme": scheme.name, "tier": key, "indicator": indicator, "lower_bound": edge.bound}
                yield "tier_caps", at, values
    yield from _when_rows(scheme, said, problems)


def _rank(said: SchemeFile, key: str, place: int) -> int:
    """Tiers are written best first; the levels of axes are ranked each in its own dimension."""
    for dimension in said.dimensions.values() if said.kind == "axes" else ():
        levels = list(dimension.levels or dict.fromkeys(choice.tier for choice in dimension.conditions or ()))
        if key in levels:
            return levels.index(key) + 1
    return place + 1


def _when_rows(scheme: Scheme, said: SchemeFile, problems: list[str]) -> Iterator[_Found]:
    """Which tier a score, a rank or a pair of levels leads to."""
    asked = {"weighted": str, "bands": str, "rank": str, "quadrant": dict}.get(said.kind)
    for key, tier in said.tiers.items():
        if asked is None and tier.when is not None:
            problems.append(_told(scheme, ("tiers", key, "when"), f"a scheme of kind {said.kind} needs no when"))
        elif asked is not None and not isinstance(tier.when, asked):
            form = "an edge such as >= 75, or others" if asked is str else "the level of each dimension"
            if said.kind == "rank":
                form = "a rank such as top 20 %, or others"
            problems.append(_told(scheme, ("tiers", key), f"when is missing or of another kind; write {form}"))
            return
    texts = {key: tier.when for key, tier in said.tiers.items() if isinstance(tier.when, str)}
    first = next(iter(said.dimensions))
    if said.kind in ("weighted", "bands", "rank"):
        if (said.kind == "rank") != _is_ranked(texts.values()) and len(texts) > 1:
            form = "ranks such as top 20 %" if said.kind == "rank" else "edges such as >= 75"
            problems.append(_told(scheme, ("tiers",), f"the tiers of a scheme of kind {said.kind} have {form}"))
            return
        dimension = "" if said.kind == "weighted" else first
        for seed, (*_, level), values in _level_rows(
            scheme, {"scheme": scheme.name, "dimension": dimension}, texts, ("tiers",), problems
        ):
            yield seed, ("tiers", level, "when"), values
    if said.kind == "quadrant" and len(said.dimensions) == 2:
        one, two = said.dimensions
        for key, tier in said.tiers.items():
            pair = tier.when if isinstance(tier.when, dict) else {}
            if set(pair) != {one, two}:
                problems.append(_told(scheme, ("tiers", key, "when"), f"name a level of {one} and one of {two}"))
                continue
            yield (
                "quadrants",
                ("tiers", key, "when"),
                {"scheme": scheme.name, "first_dimension": one, "first_level": pair[one]}
                | {"second_dimension": two, "second_level": pair[two], "tier": key},
            )
