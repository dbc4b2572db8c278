"""``tiering churn``: train the churn model of a company, and read its card."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from customer_tiering.cli.common import (
    DEFAULT_PROFILE,
    JsonOption,
    ProfileOption,
    command_group,
    console,
    errors,
    load_company,
    parse_day,
    print_json,
    say,
)

app = command_group("Churn models: train on past cutoffs, judge on the latest, read the card.")


@app.command()
def train(
    profile: ProfileOption = DEFAULT_PROFILE,
    train_until: Annotated[
        str, typer.Option("--train-until", help="Last cutoff to train on (YYYY-MM-DD); later ones judge.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Train on past cutoffs; if the model is better on the latest window, the next night uses it."""
    from rich.markdown import Markdown

    from customer_tiering.churn.steps import new_training, prepare, train_and_judge
    from customer_tiering.churn.store import CARD, CARD_TEXT

    company = load_company(profile)
    until = parse_day("--train-until", train_until) if train_until else None
    folder = prepare(company, new_training(company), lambda text: errors.print(text, highlight=False))
    train_and_judge(company, folder, until)
    if as_json:
        print((folder / CARD).read_text(encoding="utf-8"))
    else:
        console.print(Markdown((folder / CARD_TEXT).read_text(encoding="utf-8")))
        say(f"card: {folder / CARD_TEXT}")


@app.command()
def card(profile: ProfileOption = DEFAULT_PROFILE, as_json: JsonOption = False) -> None:
    """Show the card of the latest training."""
    from rich.markdown import Markdown

    from customer_tiering.churn.store import CARD, latest_card

    path = latest_card(load_company(profile).workspace)
    if as_json:
        print_json(json.loads(path.with_name(CARD).read_text(encoding="utf-8")))
    else:
        console.print(Markdown(path.read_text(encoding="utf-8")))
