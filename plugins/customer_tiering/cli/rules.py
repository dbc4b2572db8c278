"""``tiering seeds``, ``what-if``, ``ahp``, ``churn``: the rules and models that tiers follow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from customer_tiering.cli import churn
from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, console, load_company, say
from customer_tiering.errors import TieringError

app = typer.Typer()
app.add_typer(churn.app, name="churn")


@app.command()
def seeds(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Check the tiering rules of a profile and print their version."""
    from customer_tiering.rules.load import load_rules

    rules = load_rules(load_company(profile))
    console.print(f"the rules of {profile} are sound; version {rules.version}, schemes {', '.join(rules.schemes())}")


@app.command()
def what_if(
    profile: ProfileOption = DEFAULT_PROFILE,
    scheme: Annotated[str, typer.Option("--scheme", "-s", help="Scheme; default: the headline scheme.")] = "",
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="weights.<scheme>.<indicator>=<weight> or settings.<name>=<value>; repeatable."),
    ] = None,
    seeds: Annotated[Path | None, typer.Option("--seeds", help="Folder of seed files to use instead.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Also write the customers that move to this file.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write the comparison to this file.")] = None,
) -> None:
    """Compare the tiers that other rules would give with the published ones; nothing is changed."""
    from customer_tiering.explain.what_if import what_if as compare
    from customer_tiering.report.what_if import render_what_if, write_html, write_movers

    if not change and seeds is None:
        raise TieringError("nothing would be different", "give --set or --seeds; see tiering what-if --help")
    result = compare(load_company(profile), scheme or None, change or [], seeds)
    console.print(render_what_if(result))
    if csv is not None:
        write_movers(result, csv)
    if html is not None:
        write_html(result, html)


@app.command()
def ahp(
    matrix: Annotated[Path, typer.Argument(help="CSV: names in the first row and column, comparisons 1/9 to 9.")],
    scheme: Annotated[str, typer.Option("--scheme", help="Scheme that gets the weights; needs --write.")] = "",
    dimension: Annotated[str, typer.Option("--dimension", help="Dimension of the scheme, if it has several.")] = "",
    write: Annotated[
        Path | None, typer.Option("--write", help="scheme_indicators.csv to update or create; needs --scheme.")
    ] = None,
) -> None:
    """Derive weights from pairwise comparisons (AHP); refuse comparisons that contradict each other."""
    from customer_tiering.rules.ahp import CR_LIMIT, read_matrix, require_consistent, weigh, write_scheme

    if bool(scheme) != (write is not None):
        raise TieringError("--scheme and --write belong together", "give both to write the weights, neither to look")
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
    done = write_scheme(write, scheme, weighing.weights, dimension) if write else None
    console.print(table)
    if done is None:
        return
    say(f"wrote scheme {scheme} to {write}; check the rules with: tiering seeds --profile <name>")
    if done.dropped:
        say(f"no longer in the scheme: {', '.join(done.dropped)}")
    if done.incomplete:
        say(f"fill in {', '.join(done.empty_columns)} of the new rows: {', '.join(done.incomplete)}")
