"""What the custom expectations share: kwargs that may be parameters, and a readable line in the Data Docs."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from great_expectations.expectations.expectation import ColumnMapExpectation, render_suite_parameter_string
from great_expectations.render import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer

T = TypeVar("T")


def sentence(text: str) -> list[RenderedStringTemplateContent]:
    """One line of plain text in the Data Docs."""
    return [
        RenderedStringTemplateContent(
            content_block_type="string_template",
            string_template={"template": text.replace("$", "$$"), "params": {}},
        )
    ]


def as_list(value: T | list[T]) -> list[T]:
    """A single value or a list, as a list."""
    return list(value) if isinstance(value, list) else [value]


class RowExpectation(ColumnMapExpectation):
    """A yes/no question about every row, asked as a column map so that GX counts it in the common scan.

    Rules about several columns are column maps too (of the column named first): GX counts its own pair and
    multicolumn expectations in two queries each. ``statement`` is the line of the Data Docs; the values of
    the expectation's kwargs are filled in.
    """

    statement: ClassVar[str] = ""

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    @render_suite_parameter_string
    def _prescriptive_renderer(
        cls,
        configuration: Any = None,
        result: Any = None,
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG003 - GX's signature
        **kwargs: Any,  # noqa: ARG003
    ) -> list[RenderedStringTemplateContent]:
        configuration = configuration or result.expectation_config
        values = {name: cls._get_default(name) for name in cls.__fields__} | configuration.kwargs
        return sentence(cls.statement.format(**values))

    @classmethod
    def _get_default(cls, name: str) -> Any:
        return cls.__fields__[name].default
