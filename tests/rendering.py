"""A model's SQL without dbt: rendered with the project's own macros, references replaced by tables of the test."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
import yaml

from customer_tiering.company.workspace import PROJECT_ROOT

_PROJECT = PROJECT_ROOT / "dbt_project"


class _Adapter:
    """``adapter.dispatch`` as on DuckDB: the default version of a macro."""

    def __init__(self, macros: dict[str, Any]) -> None:
        self._macros = macros

    def dispatch(self, name: str, _package: str) -> Callable[..., Any]:
        macro: Callable[..., Any] = self._macros[f"default__{name}"]
        return macro


class _Package:
    def __init__(self, macros: dict[str, Any]) -> None:
        self._macros = macros

    def __getattr__(self, name: str) -> Any:
        return self._macros[name]


def _variables() -> dict[str, Any]:
    variables: dict[str, Any] = yaml.safe_load((_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    return variables


def render_model(name: str, tables: Mapping[str, str]) -> str:
    """The SQL of a model; ``tables`` says what stands for each ``ref`` (its name) and ``source`` (``source.table``)."""
    (path,) = (_PROJECT / "models").rglob(f"{name}.sql")
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted((_PROJECT / "macros").glob("*.sql")))
    text = re.sub(r"\{\{\s*return\((.*)\)\s*\}\}", r"{{ \1 }}", text)
    macros: dict[str, Any] = {}
    environment = jinja2.Environment(autoescape=False, extensions=["jinja2.ext.do"])  # noqa: S701 - SQL, not HTML
    environment.globals |= {
        "adapter": _Adapter(macros),
        "customer_tiering": _Package(macros),
        "var": _variables().__getitem__,
        "ref": lambda model: tables[model],
        "source": lambda source, table: tables[f"{source}.{table}"],
    }
    module = environment.from_string(text).module
    macros.update({key: value for key, value in vars(module).items() if not key.startswith("_")})
    environment.globals |= macros
    return environment.from_string(path.read_text(encoding="utf-8")).render()
