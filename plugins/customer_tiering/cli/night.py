"""``tiering run`` and ``up``: one night now, or Airflow for every night."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, console, load_company
from customer_tiering.errors import ProfileError

app = typer.Typer()


@app.command()
def run(
    profile: ProfileOption = DEFAULT_PROFILE,
    as_of: Annotated[
        str, typer.Option("--as-of", help="Last day to include (YYYY-MM-DD); default: the last full day.")
    ] = "",
    data: Annotated[str, typer.Option("--data", help="Folder that {data} in the profile stands for.")] = "",
) -> None:
    """Run one night through the Airflow DAG and print its summary."""
    from customer_tiering.airflow.runner import parse_as_of, run_night

    if data:
        if not Path(data).is_dir():
            raise ProfileError(f"DATA={data}: there is no such folder", "give the folder that holds the files")
        os.environ["TIERING_DATA"] = str(Path(data).resolve())
    company = load_company(profile)
    if data and not any("{data}" in (said.path or said.url or "") for said in company.sources.values()):
        raise ProfileError(
            f"DATA={data} means nothing to the profile {profile}: none of its sources lies under {{data}}",
            f"for a company of your own: tiering init <name> --from {data}; it says the next command",
        )
    raise typer.Exit(run_night(company, parse_as_of(as_of), console))


@app.command()
def up(
    profile: ProfileOption = DEFAULT_PROFILE,
    port: Annotated[int, typer.Option(help="Port of Airflow's UI on 127.0.0.1.")] = 8080,
) -> None:
    """Start Airflow for a company (UI, scheduler, DAG processor) and keep it running until Ctrl-C."""
    from customer_tiering.airflow.deployment import serve

    raise typer.Exit(serve(load_company(profile), port, console))
