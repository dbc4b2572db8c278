"""``tiering``: run a night, look at what is published. ``make help`` shows the short ways."""

from __future__ import annotations

from typing import Annotated

import typer

from customer_tiering import __version__
from customer_tiering.cli import data, look, night, onboard, operate, people, rules
from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, RootGroup

app = typer.Typer(
    cls=RootGroup,
    help="Nightly customer tiering: extract, check, model, publish, tell.",
    epilog="--profile may stand before or after the command.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _add_panel(name: str, commands: typer.Typer) -> None:
    for command in commands.registered_commands:
        command.rich_help_panel = name
    for group in commands.registered_groups:
        group.rich_help_panel = name
    app.add_typer(commands)


_add_panel("Start", onboard.app)
_add_panel("Night", night.app)
_add_panel("Look", look.app)
_add_panel("Rules and models", rules.app)
_add_panel("Data", data.app)
_add_panel("People", people.app)
_add_panel("Operate", operate.app)


def _print_version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def tiering(
    profile: ProfileOption = DEFAULT_PROFILE,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options that may stand before any command; their callbacks do the work."""
