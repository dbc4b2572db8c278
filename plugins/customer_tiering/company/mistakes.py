"""Mistakes in a profile, told with the line that they are in and the nearest name that would be right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml
from pydantic import ValidationError

from customer_tiering.errors import nearest
from customer_tiering.yaml_text import compose_yaml

Mistake = tuple[Sequence[str | int], str]
"""Where in the file (keys from the top), and what is wrong."""


def of_validation(error: ValidationError, schema: dict[str, Any]) -> list[Mistake]:
    """What the models found. ``schema`` is their JSON schema, which knows the names there are."""
    mistakes: list[Mistake] = []
    for item in error.errors():
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            *parents, name = item["loc"]
            message = f"there is no such key{nearest(str(name), _keys(schema, parents))}"
        mistakes.append((item["loc"], message))
    return mistakes


def told(mistakes: Iterable[Mistake], text: bytes) -> str:
    """The mistakes, one per line, in the order of the file."""
    root = compose_yaml(text)
    lines = sorted((_line(root, where), ".".join(map(str, where)), message) for where, message in mistakes)
    return "\n".join(f"line {line}, {where}: {message}" for line, where, message in lines)


def _line(node: yaml.Node | None, where: Sequence[str | int]) -> int:
    """Line of the key, or of the innermost one above it that the file has."""
    line = 1
    for part in where:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part], node.value[part])
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _keys(schema: dict[str, Any], where: Sequence[str | int]) -> list[str]:
    """The keys that an object of the schema may have."""
    found = [schema]
    for part in where:
        inner = []
        for option in _options(found, schema):
            inner += [option.get("properties", {}).get(str(part)), option.get("additionalProperties")]
            inner += [option.get("items"), *option.get("patternProperties", {}).values()]
        found = [item for item in inner if isinstance(item, dict)]
    return sorted({key for option in _options(found, schema) for key in option.get("properties", {})})


def _options(found: list[dict[str, Any]], schema: dict[str, Any]) -> list[dict[str, Any]]:
    options = []
    for item in found:
        option = schema["$defs"][item["$ref"].rsplit("/", 1)[1]] if "$ref" in item else item
        options += [option, *_options(option.get("anyOf", []), schema)]
    return options
