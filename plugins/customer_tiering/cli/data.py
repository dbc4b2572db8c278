"""``tiering quarantine``, ``contract``, ``marts``, ``publish-postgres``, …: data that comes in and goes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from customer_tiering.cli import quarantine
from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, console, load_company
from customer_tiering.cli.publication import load_postgres
from customer_tiering.errors import ContractError, TieringError

app = typer.Typer()
app.add_typer(quarantine.app, name="quarantine")


@app.command()
def contract(
    profile: ProfileOption = DEFAULT_PROFILE,
    write: Annotated[
        bool, typer.Option("--write", help="Write a new version of the contract, as the models are now.")
    ] = False,
    note: Annotated[str, typer.Option("--note", help="What changed and why, for its changelog; needs --write.")] = "",
    breaking: Annotated[
        bool, typer.Option("--breaking", help="Allow changes that break readers; needs --write.")
    ] = False,
) -> None:
    """Compare the marts with their contract (columns, types, grain), or raise its version."""
    from customer_tiering.publish.contract import contract_folder, marts_of_manifest, require_kept, write_contract
    from customer_tiering.warehouse.build import run_dbt

    if (note or breaking) and not write:
        raise ContractError("nothing is written without --write", "add it, or leave --note and --breaking out")
    company = load_company(profile)
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


@app.command()
def marts(
    write: Annotated[bool, typer.Option("--write", help="Write dbt's exposures and docs/marts.md from it.")] = False,
) -> None:
    """Show what each mart is: one row per what, which nights it keeps, and who reads it."""
    from customer_tiering.publish import catalog
    from customer_tiering.publish.contract import marts_of_models

    if write:
        written = catalog.write()
        console.print("\n".join(f"wrote {path}" for path in written) or "everything is up to date")
        return
    table = Table("mart", "one row per", "nights", "read by, besides BI")
    for mart in marts_of_models().values():
        table.add_row(mart.name, ", ".join(mart.grain), mart.keeps.replace("_", " "), ", ".join(mart.readers))
    console.print(table)


@app.command()
def input_tables(
    write: Annotated[
        bool, typer.Option("--write", help="Write docs/input-layer.md and the JSON schema of profiles from them.")
    ] = False,
) -> None:
    """Show the input tables that sources are mapped onto."""
    from customer_tiering.company.profile import Profile
    from customer_tiering.company.workspace import project_root
    from customer_tiering.inputs import catalog, tables

    if not write:
        shown = Table("input table", "", "one row per", "needed columns")
        for item in tables.input_tables().values():
            needed = [column.name for column in item.columns if column.required and column.default is None]
            shown.add_row(item.name, item.label_zh, item.grain_en, ", ".join(needed))
        console.print(shown)
        return
    schema = json.dumps(Profile.model_json_schema(), ensure_ascii=False, indent=1) + "\n"
    for name, text in (("input-layer.md", catalog.page()), ("profile.schema.json", schema)):
        path = project_root() / "docs" / name
        path.write_text(text, encoding="utf-8")
        console.print(f"wrote {path}")


@app.command()
def publish_postgres(
    profile: ProfileOption = DEFAULT_PROFILE,
    again: Annotated[
        bool, typer.Option("--again", help="Load it even if Postgres already shows this snapshot.")
    ] = False,
) -> None:
    """Load the published marts into the Postgres of a profile, unless it already shows them."""
    load_postgres(load_company(profile), again=again)


@app.command()
def sample(
    out: Annotated[Path, typer.Option(help="Folder to write the systems of the company to.")],
    customers: Annotated[int | None, typer.Option(min=1, help="Number of customers in the ERP.")] = None,
    years: Annotated[int | None, typer.Option(min=1, help="Years of history before the first --until.")] = None,
    until: Annotated[str, typer.Option(help="Last full day (YYYY-MM-DD); a later day appends.")] = "",
    seed: Annotated[int | None, typer.Option(help="Seed; equal seeds give equal companies.")] = None,
    dirt: Annotated[float | None, typer.Option(min=0, help="Factor on the rates of injected dirt.")] = None,
) -> None:
    """Generate the sample company, or continue it up to a later day."""
    from customer_tiering.airflow.runner import parse_as_of
    from customer_tiering.company.sample import sample_module

    generator = sample_module()

    options: dict[str, Any] = {
        name: value
        for name, value in {
            "customers": customers,
            "years": years,
            "until": parse_as_of(until),
            "seed": seed,
            "dirt": dirt,
        }.items()
        if value is not None
    }
    try:
        console.print(generator.generate_company(out, **options, progress=lambda text: console.print(f"  {text}")))
    except generator.SampleMismatch as error:
        raise TieringError(str(error), "leave the option out, or choose another folder") from error


@app.command()
def truth(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Compare what the gate and the customer ids found with the truth about the sample company."""
    from customer_tiering.company.sample import sample_module
    from customer_tiering.warehouse.connection import open_warehouse

    evaluation = sample_module("sample_company.evaluation")
    workspace = load_company(profile).workspace
    with open_warehouse(workspace) as connection:
        scores = evaluation.evaluate(connection, workspace.root / "source" / "truth.jsonl")
        identities = evaluation.evaluate_identities(connection, workspace.root / "source" / "truth_identity.csv")
    table = Table("rule", "action", "injected", "found", "recall", "precision")
    for score in scores:
        table.add_row(
            score.rule,
            score.action,
            str(score.injected),
            str(score.found),
            f"{score.recall:.3f}",
            f"{score.precision:.3f}",
        )
    console.print(table)
    table = Table("pairs of records of one company", "true", "found", "recall", "precision")
    for pairs in identities:
        table.add_row(pairs.pairs, str(pairs.true), str(pairs.found), f"{pairs.recall:.3f}", f"{pairs.precision:.3f}")
    console.print(table)
