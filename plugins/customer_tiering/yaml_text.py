"""YAML is read in one way: safely, and by the C parser where PyYAML has it, which is ten times faster.

What the C parser refuses is read again by the one in Python, which takes more of what YAML allows
(``{key:, other: 1}``) and shows the line that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(text: str | bytes) -> Any:
    """What the text says. Raises ``yaml.YAMLError`` with the place of a mistake."""
    return _read(yaml.load, text)


def compose_yaml(text: str | bytes) -> yaml.Node | None:
    """The nodes of the text, with their lines. Raises ``yaml.YAMLError`` with the place of a mistake."""
    root: yaml.Node | None = _read(yaml.compose, text)
    return root


def _read(parse: Callable[..., Any], text: str | bytes) -> Any:
    try:
        return parse(text, Loader=_FAST)
    except yaml.YAMLError:
        return parse(text, Loader=yaml.SafeLoader)
