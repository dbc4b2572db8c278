"""YAML is read in one way: safely, and by the C parser where PyYAML has it, which is ten times faster."""

from __future__ import annotations

from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(text: str | bytes) -> Any:
    """What the text says. Raises ``yaml.YAMLError`` with the place of a mistake."""
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one


def compose_yaml(text: str | bytes) -> yaml.Node | None:
    """The nodes of the text, with their lines. Raises ``yaml.YAMLError`` with the place of a mistake."""
    root: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    return root
