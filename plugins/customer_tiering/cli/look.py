"""``tiering explain``, ``report``, ``docs``, ``checksum``: what is published, and why it is so."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, console, load_company, published_of, say

app = typer.Typer()


@app.command()
def explain(
    customer: Annotated[str, typer.Argument(help="customer_id, or the id of the customer in a source.")],
    profile: ProfileOption = DEFAULT_PROFILE,
    scheme: Annotated[str, typer.Option("--scheme", "-s", help="Scheme; default: the headline scheme.")] = "",
    as_of: Annotated[
        str, typer.Option("--as-of", help="An earlier night whose snapshot is still kept (YYYY-MM-DD).")
    ] = "",
) -> None:
    """Explain a customer's tier: values, scores, weights, points, the way to the next tier, past changes."""
    from customer_tiering.airflow.runner import parse_as_of
    from customer_tiering.explain.explanation import explain as explain_customer
    from customer_tiering.publish.snapshot import folder_of
    from customer_tiering.report.assessment import render_assessment

    company, night = load_company(profile), parse_as_of(as_of)
    snapshot = folder_of(company.workspace, night) if night else published_of(profile)
    console.print(render_assessment(explain_customer(snapshot, customer, scheme or None), company.language))


@app.command()
def report(
    profile: ProfileOption = DEFAULT_PROFILE,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to; default: the folder of the night in reports/.")
    ] = None,
) -> None:
    """Write the report (HTML) and the workbook (Excel) of the published night again."""
    from customer_tiering.report.files import build_reports

    files = build_reports(load_company(profile), out)
    for path in (files.report, files.workbook):
        say(f"{path}  ({path.stat().st_size / 1024:,.0f} KB)")


@app.command()
def docs(
    profile: ProfileOption = DEFAULT_PROFILE,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; default: var/<profile>/reports/dbt_docs.html.")
    ] = None,
) -> None:
    """Write dbt's documentation (models, columns, lineage, exposures, metrics) as one HTML file."""
    from customer_tiering.warehouse.build import run_dbt
    from customer_tiering.warehouse.connection import warehouse_lock

    company = load_company(profile)
    workspace = company.workspace
    # Before the first night there is nothing to look into, and dbt would make an empty warehouse by looking.
    generate = ["docs", "generate", "--static"]
    steps = [generate] if workspace.warehouse.exists() else [["parse"], [*generate, "--empty-catalog", "--no-compile"]]
    with warehouse_lock(workspace):
        for step in steps:
            run_dbt(company, step, workspace.dbt_target)
    path = out or workspace.reports / "dbt_docs.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(workspace.dbt_target / "static_index.html", path)
    say(f"wrote {path}")


@app.command()
def checksum(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Print one checksum per published mart; equal contents give equal checksums."""
    from customer_tiering.publish.snapshot import checksums

    for name, value in checksums(published_of(profile)).items():
        print(f"{value}  {name}")
