"""What the commands share: consoles, the profile option, and how an error is shown."""

from __future__ import annotations

import sys
from functools import wraps
from typing import Annotated, Any

import typer
from rich.console import Console

from customer_tiering.errors import TieringError

# Names and messages come from sources and may hold square brackets: what is markup says so where it is printed.
console = Console(width=None if sys.stdout.isatty() else 110, markup=False)
errors = Console(stderr=True, markup=False)

ProfileOption = Annotated[str, typer.Option("--profile", "-p", envvar="TIERING_PROFILE", help="Company to work on.")]
DEFAULT_PROFILE = "sample"


def show_error(error: TieringError) -> None:
    """Problem and next step on the error stream."""
    errors.print("Error: ", style="red bold", end="")
    errors.print(error.problem, highlight=False)
    if error.next_step:
        errors.print(f"Next step: {error.next_step}", highlight=False)


def guarded(function: Any) -> Any:
    """A command whose ``TieringError`` is shown as problem and next step, with exit code 1."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TieringError as error:
            show_error(error)
            raise typer.Exit(1) from error

    return run
