"""What the commands share: consoles, the profile option, and how an error is shown."""

from __future__ import annotations

import sys
from functools import wraps
from typing import Annotated, Any

import typer
from rich.console import Console

from customer_tiering.errors import TieringError

console = Console(width=None if sys.stdout.isatty() else 110)
errors = Console(stderr=True)

ProfileOption = Annotated[str, typer.Option("--profile", "-p", envvar="TIERING_PROFILE", help="Company to work on.")]
DEFAULT_PROFILE = "sample"


def guarded(function: Any) -> Any:
    """A command whose ``TieringError`` is shown as problem and next step, with exit code 1."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TieringError as error:
            errors.print("[red bold]Error:[/] ", end="")
            errors.print(error.problem, markup=False, highlight=False)
            if error.next_step:
                errors.print(f"Next step: {error.next_step}", markup=False, highlight=False)
            raise typer.Exit(1) from error

    return run
