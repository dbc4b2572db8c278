"""``tiering scheme``, ``indicators``, ``what-if``, ``ahp``, ``churn``: the rules and models that tiers follow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from customer_tiering.cli import churn
from customer_tiering.cli import scheme as schemes
from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, console, load_company, say
from customer_tiering.errors import TieringError

app = typer.Typer()
app.add_typer(schemes.app, name="scheme")
app.add_typer(churn.app, name="churn")


@app.command()
def indicators() -> None:
    """Say what the indicators still lack: after adding one, everything at once, with the place for each piece."""
    from customer_tiering.rules.indicators import missing_pieces

    pieces = missing_pieces()
    if not pieces:
        say("every indicator is complete: model, dictionary, mart, contract")
        return
    for name in dict.fromkeys(piece.indicator for piece in pieces):
        say(f"{name}:")
        for piece in pieces:
            if piece.indicator == name:
                say(f"  {piece.path}: {piece.what}")
    raise typer.Exit(1)


@app.command()
def what_if(
    profile: ProfileOption = DEFAULT_PROFILE,
    scheme: Annotated[str, typer.Option("--scheme", "-s", help="Scheme; default: the headline scheme.")] = "",
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="weights.<scheme>.<indicator>=<weight> or settings.<name>=<value>; repeatable."),
    ] = None,
    rules: Annotated[
        Path | None, typer.Option("--rules", help="Folder with schemes/ and seeds/ that override, as a company's do.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Also write the customers that move to this file.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write the comparison to this file.")] = None,
) -> None:
    """Compare the tiers that other rules would give with the published ones; nothing is changed."""
    from customer_tiering.explain.what_if import what_if as compare
    from customer_tiering.report.what_if import render_what_if, write_html, write_movers

    if not change and rules is None:
        raise TieringError("nothing would be different", "give --set or --rules; see tiering what-if --help")
    result = compare(load_company(profile), scheme or None, change or [], rules)
    console.print(render_what_if(result))
    if csv is not None:
        write_movers(result, csv)
    if html is not None:
        write_html(result, html)


@app.command()
def ahp(
    matrix: Annotated[Path, typer.Argument(help="CSV: names in the first row and column, comparisons 1/9 to 9.")],
    scheme: Annotated[str, typer.Option("--scheme", help="Scheme that gets the weights.")] = "",
    dimension: Annotated[str, typer.Option("--dimension", help="Dimension of the scheme, if it has several.")] = "",
    write: Annotated[bool, typer.Option("--write", help="Write them into profiles/<company>/schemes/.")] = False,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Derive weights from pairwise comparisons (AHP); refuse comparisons that contradict each other."""
    from customer_tiering.rules.ahp import CR_LIMIT, read_matrix, require_consistent, weigh

    if write and not scheme:
        raise TieringError("--write needs --scheme", "say which scheme gets the weights")
    comparisons = read_matrix(matrix)
    weighing = weigh(comparisons)
    require_consistent(comparisons, weighing, str(matrix))
    table = Table("criterion", "weight")
    for name, weight in weighing.weights.items():
        table.add_row(name, f"{weight:f}")
    table.add_section()
    table.add_row("lambda_max", f"{weighing.lambda_max:.4f}")
    table.add_row("CI", f"{weighing.consistency_index:.4f}")
    table.add_row("CR", f"{weighing.consistency_ratio:.4f} (below {CR_LIMIT:.2f})")
    console.print(table)
    if scheme:
        schemes.set_weights(load_company(profile), scheme, weighing.weights, dimension, write=write)
