"""Suites of rules: what the files under ``expectations/`` hold, checked before they are used.

One suite per entity of a source; one rule per Great Expectations expectation. Rule ids are unique in the
project: quarantined rows, reports and overrides name them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from customer_tiering.errors import TieringError
from customer_tiering.sources.base import MALFORMED_COLUMN
from customer_tiering.yaml_text import load_yaml

OnFailure = Literal["quarantine", "repair", "block", "warn"]
Severity = Literal["critical", "warning", "info"]

# A suite may name GX's own rule; ours counts in the database instead of reading rows.
_ALIASES = {"unexpected_rows_expectation": "expect_no_rows_from_query"}
# What the models cannot do without: a reference that leads somewhere, a value that is there and can be read.
_NEVER_WAIVED = {
    "expect_column_values_to_reference",
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_date",
    "expect_column_values_to_be_timely_iso_date",
    "expect_column_values_to_be_readable",
    "expect_column_values_to_be_plausible",
}
# Fields of GX expectations that are not arguments of the rule: this project sets them itself.
_NOT_KWARGS = {
    "id",
    "meta",
    "notes",
    "result_format",
    "description",
    "catch_exceptions",
    "rendered_content",
    "severity",
    "windows",
    "batch_id",
}


class SuiteError(TieringError):
    """A suite file does not make sense; carries every problem found."""


class RuleMeta(BaseModel):
    """What happens to rows that fail, and how it is explained; ``{value}`` in a reason stands for the row's value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on_failure: OnFailure
    reason_en: str = Field(min_length=1)
    reason_zh: str = Field(min_length=1)
    # Share of the batch's rows (0 to 1) above which the rule blocks the night.
    max_quarantined_share: Annotated[float, Field(ge=0, le=1)] | None = None
    # Whether a person may let rows in that break the rule; by default as Rule.can_be_waived says.
    can_be_waived: bool | None = None
    # What to do when a rule about marts blocks, where it is not the usual (a source delivered too little).
    next_step: str | None = None


class Rule(BaseModel):
    """One expectation of a suite."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: str = Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)+$")
    type: str
    kwargs: dict[str, Any] = Field(default_factory=dict)
    # Columns, and tables (``table.<name>``), that a source must map for the rule to count, beside those it names.
    needs: tuple[str, ...] = ()
    severity: Severity
    meta: RuleMeta

    @field_validator("type")
    @classmethod
    def _own_type(cls, value: str) -> str:
        return _ALIASES.get(value, value)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns the rule names in the order of its arguments; empty for rules about a table or a query."""
        names: list[str] = []
        for key in (
            "column",
            "column_list",
            "earlier_column",
            "later_column",
            "column_A",
            "column_B",
            "column_set",
        ):
            value = self.kwargs.get(key, [])
            names.extend(name for name in ([value] if isinstance(value, str) else value) if name not in names)
        return tuple(names)

    @property
    def column(self) -> str | None:
        """The columns joined by commas, None when the rule names none."""
        return ",".join(self.columns) or None

    @property
    def can_be_waived(self) -> bool:
        """Whether a person may let rows in that break this rule.

        Unless the suite says otherwise: yes for rules of judgement (outliers, ranges, allowed values, order of
        dates), no where the row could not be used: an unreadable line, a missing key, a reference to nothing.
        """
        if self.meta.can_be_waived is not None:
            return self.meta.can_be_waived
        return self.type not in _NEVER_WAIVED and MALFORMED_COLUMN not in self.columns

    @property
    def parameters(self) -> frozenset[str]:
        """Parameter expressions (``{$PARAMETER: name}``) the rule needs at validation time."""
        return frozenset(_parameters(self.kwargs))


class Suite(BaseModel):
    """The rules of one entity of one source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    entity: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    expectations: tuple[Rule, ...]

    @property
    def name(self) -> str:
        """Name of the suite in Great Expectations: "source.entity"."""
        return f"{self.source}.{self.entity}"

    @property
    def parameters(self) -> frozenset[str]:
        """Parameters any rule of the suite needs."""
        return frozenset().union(*(rule.parameters for rule in self.expectations))


def load_suite(path: Path, source: str, entity: str) -> Suite:
    """The rules of a file, for an entity of a source; ``{source}`` in it is the source's name.

    Raises ``SuiteError`` that names file, rule and key of every problem.
    """
    try:
        content = load_yaml(path.read_text(encoding="utf-8").replace("{source}", source))
    except yaml.YAMLError as error:
        raise SuiteError(f"{_short(path)}: not readable as YAML: {error}", "correct the file") from error
    if not isinstance(content, dict):
        raise SuiteError(f"{_short(path)}: it has to be a mapping with expectations", "correct the file")
    try:
        suite = Suite.model_validate({"source": source, "entity": entity} | content)
    except ValidationError as error:
        lines = [_line(path, content, problem["loc"], problem["msg"]) for problem in error.errors()]
        raise SuiteError("\n".join(lines), "correct the file") from error
    problems = []
    names = [rule.rule for rule in suite.expectations]
    for index, rule in enumerate(suite.expectations):
        if rule.rule in names[:index]:
            problems.append(f"{_short(path)}: rule {rule.rule}: key rule: used twice in this file")
        problems += [f"{_short(path)}: rule {rule.rule}: {problem}" for problem in check_rule(rule)]
    if problems:
        raise SuiteError("\n".join(problems), "correct the file")
    return suite


def check_rule(rule: Rule) -> list[str]:
    """Problems of type and arguments of a rule, as Great Expectations sees them ("key ...: ...")."""
    from great_expectations.compatibility import pydantic as gx_pydantic
    from great_expectations.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import get_expectation_impl

    from customer_tiering.gate.expectations import library  # noqa: F401 - registers our types

    try:
        implementation: Any = get_expectation_impl(rule.type)
    except ExpectationNotFoundError:
        return [f"key type: there is no expectation {rule.type!r}"]
    allowed = set(implementation.__fields__) - _NOT_KWARGS
    unknown = sorted(set(rule.kwargs) - allowed)
    if unknown:
        return [
            f"key kwargs.{name}: {rule.type} has no such argument ({', '.join(sorted(allowed))})" for name in unknown
        ]
    problems = []
    if not is_row_level(implementation) and rule.meta.on_failure in ("quarantine", "repair"):
        problems.append(
            f"key meta.on_failure: {rule.type} judges the whole table, so no row can be put aside: use block or warn"
        )
    # Arguments that wait for a parameter can only be checked when its value is known.
    waiting = {name for name, value in rule.kwargs.items() if _parameters(value)}
    try:
        implementation(**rule.kwargs)
    except gx_pydantic.ValidationError as error:
        problems += [
            f"key kwargs.{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
            if problem["loc"][0] not in waiting
        ]
    except Exception as error:
        problems.append(f"key kwargs: {error}")
    return problems


def is_row_level_type(name: str) -> bool:
    """Whether the expectation of this type name judges single rows."""
    from great_expectations.expectations.registry import get_expectation_impl

    from customer_tiering.gate.expectations import library  # noqa: F401 - registers our types

    return is_row_level(get_expectation_impl(name))


def is_row_level(implementation: Any) -> bool:
    """Whether an expectation class judges single rows."""
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )

    from customer_tiering.gate.expectations.rows import ExpectNoRowsFromQuery

    return issubclass(
        implementation,
        ColumnMapExpectation | ColumnPairMapExpectation | MulticolumnMapExpectation | ExpectNoRowsFromQuery,
    )


def _parameters(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        if "$PARAMETER" in value:
            return {str(value["$PARAMETER"])}
        return set().union(*(_parameters(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_parameters(item) for item in value))
    return set()


def _short(path: Path) -> str:
    return "/".join(path.parts[-3:])


def _line(path: Path, content: dict[str, Any], location: tuple[int | str, ...], message: str) -> str:
    if len(location) >= 2 and location[0] == "expectations" and isinstance(location[1], int):
        index = location[1]
        entry = content["expectations"][index]
        name = entry.get("rule") if isinstance(entry, dict) else None
        where = f"rule {name or f'number {index + 1}'}: "
        location = location[2:]
    else:
        where = ""
    key = ".".join(str(part) for part in location)
    return f"{_short(path)}: {where}{f'key {key}: ' if key else ''}{message}"
