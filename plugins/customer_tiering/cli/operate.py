"""``tiering status``, ``rollback``, ``backup`` and ``restore``: keeping a company's nights safe."""

from __future__ import annotations

from typing import Annotated

import typer

from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, console, guarded
from customer_tiering.profile import load_profile


def register(app: typer.Typer) -> None:
    """Add the commands to ``tiering``."""
    for function in (rollback,):
        app.command()(guarded(function))


def rollback(
    profile: ProfileOption = DEFAULT_PROFILE,
    to: Annotated[
        str, typer.Option("--to", help="Night (YYYY-MM-DD) or folder to go back to; default: the one before.")
    ] = "",
    owner: Annotated[str, typer.Option("--owner", help="Who decides (a person who can be asked).")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")] = "",
) -> None:
    """Take a publication back: an older kept snapshot is current again; the next night goes on from it."""
    from customer_tiering.nightly.rollback import rollback as roll_back

    done = roll_back(load_profile(profile), to, owner, reason)
    _say(f"current is {done.target.name} again")
    for name in done.withdrawn:
        _say(f"  set aside: held/{name}")
    _say("the next night goes on from it and computes the nights between again; it tells whatever differs from what")
    _say("people were told, corrections included. To mend a night now: correct the source and run that night again.")


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
