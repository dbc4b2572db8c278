"""The declared sources: one module each, discovered, holding a ``SOURCE``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from customer_tiering.sources.base import Entity, Source

__all__ = ["Entity", "Source", "get_source", "source_names"]


def source_names() -> list[str]:
    """Names of the declared sources (one module of this package each)."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


@cache
def get_source(name: str) -> Source:
    """The declaration of a source. Raises ``ModuleNotFoundError`` when there is none of that name."""
    source: Source = importlib.import_module(f"{__name__}.{name}").SOURCE
    if source.name != name:
        raise ValueError(f"module {name} declares a source named {source.name!r}; the two must agree")
    return source
