"""Commands for those who read the marts: the copy in Postgres, the contract, the documentation of the models."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, console, guarded, show_error
from customer_tiering.company.profile import Profile
from customer_tiering.errors import TieringError


def register(app: typer.Typer) -> None:
    for function in (publish_postgres, contract, docs):
        app.command()(guarded(function))


def publish_postgres(
    profile: ProfileOption = DEFAULT_PROFILE,
    again: Annotated[bool, typer.Option("--again", help="Load even if Postgres shows this snapshot already.")] = False,
) -> None:
    """Load the published marts into the profile's Postgres, if it does not show them yet."""
    from customer_tiering.airflow.home import reach_connections
    from customer_tiering.company.profile import load_profile
    from customer_tiering.publish.postgres import publish_to_postgres

    company = load_profile(profile)
    reach_connections(company)
    result = publish_to_postgres(company, again=again)
    done = (
        f"{len(result.rows)} marts, {sum(result.rows.values()):,} rows loaded" if result.rows else "was there already"
    )
    console.print(f"Postgres schema {result.schema} shows {result.snapshot}: {done}", highlight=False, soft_wrap=True)
    for warning in result.warnings:
        console.print(f"Warning: {warning}", highlight=False, soft_wrap=True)


def copy_to_postgres(company: Profile) -> None:
    """The same for commands that publish, where the profile names a target."""
    if company.postgres_target:
        publish_postgres(company.name, again=False)


def show_publication(company: Profile) -> None:
    """After a command made another snapshot current: its report and workbook, and the copy in Postgres."""
    from customer_tiering.report.files import build_reports

    try:
        build_reports(company)
    except TieringError as error:  # what is published stays published
        show_error(error)
    copy_to_postgres(company)


def contract(
    profile: ProfileOption = DEFAULT_PROFILE,
    write: Annotated[bool, typer.Option("--write", help="Raise the version to what the models say.")] = False,
    note: Annotated[str, typer.Option("--note", help="Why, for the changelog; needs --write.")] = "",
    breaking: Annotated[bool, typer.Option("--breaking", help="Take something away; needs --write.")] = False,
) -> None:
    """Compare the marts with their contract (columns, types, grain), or raise its version."""
    import json

    from customer_tiering.company.profile import load_profile
    from customer_tiering.errors import ContractError
    from customer_tiering.publish.contract import contract_folder, marts_of_manifest, require_kept, write_contract
    from customer_tiering.warehouse.build import run_dbt

    if (note or breaking) and not write:
        raise ContractError("nothing is written without --write", "add it, or leave --note and --breaking out")
    company = load_profile(profile)
    company.workspace.make()
    run_dbt(company, ["parse"], company.workspace.dbt_target)
    manifest = json.loads((company.workspace.dbt_target / "manifest.json").read_text(encoding="utf-8"))
    marts = marts_of_manifest(manifest)
    if write:
        write_contract(contract_folder(), marts, note, allow_breaking=breaking)
    kept = require_kept(contract_folder(), marts)
    columns = sum(len(mart["columns"]) for mart in kept.marts.values())
    console.print(
        f"contract {kept.version}: {len(kept.marts)} marts, {columns} columns, kept by the models", highlight=False
    )


def docs(
    profile: ProfileOption = DEFAULT_PROFILE,
    out: Annotated[
        Path | None, typer.Option("--out", help="File; default var/<profile>/reports/dbt_docs.html.")
    ] = None,
) -> None:
    """Write dbt's documentation (models, columns, lineage, exposures, metrics) as one HTML file."""
    from customer_tiering.company.profile import load_profile
    from customer_tiering.warehouse.build import run_dbt
    from customer_tiering.warehouse.connection import warehouse_lock

    company = load_profile(profile)
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
    console.print(f"wrote {path}", highlight=False, soft_wrap=True)
