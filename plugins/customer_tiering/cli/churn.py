"""``tiering churn``: train the churn model of a company, and read its card."""

from __future__ import annotations

import json as jsons
from datetime import date
from typing import Annotated, Any

import typer
from rich.markdown import Markdown

from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, console, errors, guarded
from customer_tiering.company.profile import load_profile
from customer_tiering.errors import TieringError

app = typer.Typer(
    help="Churn models: train on past cutoffs, judge on the latest, read the card.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


def command(function: Any) -> Any:
    """Register a subcommand."""
    return app.command()(guarded(function))


@command
def train(
    profile: ProfileOption = DEFAULT_PROFILE,
    train_until: Annotated[
        str, typer.Option("--train-until", help="Last cutoff to train on (YYYY-MM-DD); later ones judge.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Train on past cutoffs and promote the model if it is better on the latest window; the next night uses it."""
    from customer_tiering.churn.steps import new_training, prepare, train_and_judge
    from customer_tiering.churn.store import CARD, CARD_TEXT

    company = load_profile(profile)
    until = _day(train_until)
    folder = prepare(company, new_training(company), lambda text: errors.print(text, highlight=False))
    train_and_judge(company, folder, until)
    if json:
        print((folder / CARD).read_text(encoding="utf-8"))
    else:
        console.print(Markdown((folder / CARD_TEXT).read_text(encoding="utf-8")))
        console.print(f"card: {folder / CARD_TEXT}", highlight=False, soft_wrap=True)


@command
def card(profile: ProfileOption = DEFAULT_PROFILE, json: JsonOption = False) -> None:
    """Show the card of the newest training."""
    from customer_tiering.churn.store import CARD, latest_card

    path = latest_card(load_profile(profile).workspace)
    if json:
        print(jsons.dumps(jsons.loads(path.with_name(CARD).read_text(encoding="utf-8")), ensure_ascii=False, indent=1))
    else:
        console.print(Markdown(path.read_text(encoding="utf-8")))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise TieringError(f"--train-until {text!r} is no date", "write it as YYYY-MM-DD") from error
