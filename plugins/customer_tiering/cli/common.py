"""What the commands share: the groups, the profile option, how results are printed and how an error is shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from customer_tiering.errors import TieringError

if TYPE_CHECKING:
    from pathlib import Path

    from customer_tiering.company.profile import Profile

# Names and messages come from sources and may hold square brackets: what is markup says so where it is printed.
console = Console(width=None if sys.stdout.isatty() else 110, markup=False)
errors = Console(stderr=True, markup=False)

DEFAULT_PROFILE = "sample"
_GIVEN = "customer_tiering.profile"


def _hand_down(context: typer.Context, param: typer.CallbackParam, value: str) -> str:
    """A profile named before the command counts for the command, more than the environment and the default do."""
    if getattr(context.get_parameter_source(param.name), "name", "") == "COMMANDLINE":
        context.meta[_GIVEN] = value  # the commands below share it
    return str(context.meta.get(_GIVEN, value))


ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile", "-p", envvar="TIERING_PROFILE", help="Company to work on.", show_default=True, callback=_hand_down
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
OwnerOption = Annotated[str, typer.Option("--owner", help="Who decides: a person who can be asked.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]


class RootGroup(TyperGroup):
    """``tiering`` itself: shows a ``TieringError`` as problem and next step, and lets only one profile be named."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except TieringError as error:
            show_error(error)
            sys.exit(1)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # Each option is parsed where it stands and the last one wins; only here are all of them in sight.
        named = list(dict.fromkeys(_named_profiles(args)))
        if len(named) > 1:
            raise TieringError(
                f"--profile is given more than once, with different values: {', '.join(named)}",
                "give it once, before or after the command",
            )
        return super().parse_args(ctx, args)


def _named_profiles(args: list[str]) -> Iterator[str]:
    for word, following in zip(args, [*args[1:], None], strict=True):
        if word == "--":
            return
        if word in ("--profile", "-p"):
            if following is not None:
                yield following
        elif word.startswith("--profile="):
            yield word.removeprefix("--profile=")
        elif word.startswith("-p"):
            yield word.removeprefix("-p")


def _with_profile(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """An option before the command of a group; its callback does the work."""


def command_group(text: str, cls: type[TyperGroup] = TyperGroup) -> typer.Typer:
    """A group of commands that takes ``--profile`` for the command that follows."""
    return typer.Typer(cls=cls, help=text, callback=_with_profile, no_args_is_help=True, pretty_exceptions_enable=False)


def show_error(error: TieringError) -> None:
    """Problem and next step on the error stream."""
    errors.print("Error: ", style="red bold", end="")
    errors.print(error.problem, highlight=False)
    if error.next_step:
        errors.print(f"Next step: {error.next_step}", highlight=False)


def say(text: str) -> None:
    """A line as it is: no colours, no breaks, so that paths and commands can be copied."""
    console.print(text, highlight=False, soft_wrap=True)


def print_json(content: Any) -> None:
    """The same for other programs."""
    print(json.dumps(content, ensure_ascii=False, indent=2, default=str))


def parse_day(option: str, text: str) -> date:
    """The day that an option gives."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise TieringError(f"{option} {text} is not a date", "write it as YYYY-MM-DD") from error


def load_company(name: str) -> Profile:
    """The profile of this name. Only here, because loading its modules takes longer than showing the help."""
    from customer_tiering.company.profile import load_profile

    return load_profile(name)


def reach_company(name: str) -> Profile:
    """The same for commands that use connections which only Airflow knows."""
    from customer_tiering.airflow.home import reach_connections

    company = load_company(name)
    reach_connections(company)
    return company


def published_of(name: str) -> Path:
    """The folder of the published night."""
    from customer_tiering.publish.snapshot import published_folder

    return published_folder(load_company(name).workspace)
