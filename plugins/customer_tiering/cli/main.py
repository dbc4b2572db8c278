"""``tiering``: run a night, look at what is published. ``make help`` shows the short ways."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from customer_tiering import __version__
from customer_tiering.cli import bi, identity
from customer_tiering.cli.alerts import app as alerts_app
from customer_tiering.cli.churn import app as churn_app
from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, console, errors, guarded
from customer_tiering.cli.operate import register
from customer_tiering.cli.quarantine import app as quarantine_app
from customer_tiering.cli.release import app as release_app
from customer_tiering.errors import TieringError

app = typer.Typer(
    help="Nightly customer tiering: extract, check, model, publish, tell.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(identity.app, name="identity")
app.add_typer(churn_app, name="churn")
app.add_typer(release_app, name="release")
register(app)
app.add_typer(alerts_app, name="alerts")
bi.register(app)


def command(function: Any) -> Any:
    """Register a command."""
    return app.command()(guarded(function))


@command
def run(
    profile: ProfileOption = DEFAULT_PROFILE,
    as_of: Annotated[
        str, typer.Option("--as-of", help="Last fully included business day (YYYY-MM-DD); default: the last full day.")
    ] = "",
    data: Annotated[str, typer.Option("--data", help="Folder that {data} in the profile stands for.")] = "",
) -> None:
    """Run one night through the Airflow DAG and print its summary."""
    import os

    from customer_tiering.airflow.runner import parse_as_of, run_night
    from customer_tiering.company.profile import load_profile
    from customer_tiering.errors import ProfileError

    if data:
        if not Path(data).is_dir():
            raise ProfileError(f"DATA={data}: there is no such folder", "give the folder that holds the files")
        os.environ["TIERING_DATA"] = str(Path(data).resolve())
    raise typer.Exit(run_night(load_profile(profile), parse_as_of(as_of), console))


@command
def checksum(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Print one checksum per published mart; equal contents give equal checksums."""
    from customer_tiering.publish.snapshot import checksums

    for name, value in checksums(_published(profile)).items():
        print(f"{value}  {name}")


@command
def sample(
    out: Annotated[Path, typer.Option(help="Folder to write the company's systems into.")],
    customers: Annotated[int | None, typer.Option(min=1, help="Customers in the ERP.")] = None,
    years: Annotated[int | None, typer.Option(min=1, help="Years of history before the first --until.")] = None,
    until: Annotated[str, typer.Option(help="Last full day (YYYY-MM-DD); a later day appends.")] = "",
    seed: Annotated[int | None, typer.Option(help="Seed; equal seeds give equal companies.")] = None,
    dirt: Annotated[float | None, typer.Option(min=0, help="Factor on the rates of injected dirt.")] = None,
) -> None:
    """Generate the sample company, or let it live on to a later day."""
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


@command
def truth(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Compare what the gate and the customer ids found with the truth about the sample company."""
    from customer_tiering.company.profile import load_profile
    from customer_tiering.company.sample import sample_module
    from customer_tiering.warehouse.connection import open_warehouse

    evaluation = sample_module("sample_company.evaluation")
    workspace = load_profile(profile).workspace
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


@command
def seeds(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Check the tiering rules of a profile and print their version."""
    from customer_tiering.company.profile import load_profile
    from customer_tiering.rules.load import load_rules

    rules = load_rules(load_profile(profile))
    console.print(f"the rules of {profile} are sound; version {rules.version}, schemes {', '.join(rules.schemes())}")


@command
def up(
    profile: ProfileOption = DEFAULT_PROFILE,
    port: Annotated[int, typer.Option(help="Port of Airflow's UI on 127.0.0.1.")] = 8080,
) -> None:
    """Start Airflow (UI, scheduler, DAG processor) for a company and keep it running until Ctrl-C."""
    from customer_tiering.airflow.deployment import serve
    from customer_tiering.company.profile import load_profile

    raise typer.Exit(serve(load_profile(profile), port, console))


@command
def version() -> None:
    """Print the version."""
    print(__version__)


@command
def explain(
    customer: Annotated[str, typer.Argument(help="customer_id, or a source's id of the customer.")],
    profile: ProfileOption = DEFAULT_PROFILE,
    scheme: Annotated[str, typer.Option("--scheme", "-s", help="Scheme; default: the headline scheme.")] = "",
    as_of: Annotated[str, typer.Option("--as-of", help="An earlier night whose snapshot is kept (YYYY-MM-DD).")] = "",
) -> None:
    """Explain a customer's tier: values, scores, weights, points, the next tier and the ways there, past changes."""
    from customer_tiering.airflow.runner import parse_as_of
    from customer_tiering.company.profile import load_profile
    from customer_tiering.explain.explanation import explain as explain_customer
    from customer_tiering.publish.snapshot import folder_of
    from customer_tiering.report.assessment import render_assessment

    night = parse_as_of(as_of)
    snapshot = folder_of(load_profile(profile).workspace, night) if night else _published(profile)
    console.print(render_assessment(explain_customer(snapshot, customer, scheme or None)))


@command
def what_if(
    profile: ProfileOption = DEFAULT_PROFILE,
    scheme: Annotated[str, typer.Option("--scheme", "-s", help="Scheme; default: the headline scheme.")] = "",
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="weights.<scheme>.<indicator>=<weight> or settings.<name>=<value>; repeatable."),
    ] = None,
    seeds: Annotated[Path | None, typer.Option("--seeds", help="Folder of seed files that override.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the movers to this file too.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the comparison to this file too.")] = None,
) -> None:
    """Compare tiers under other rules with the published ones; nothing is changed."""
    from customer_tiering.explain.what_if import what_if as compare
    from customer_tiering.report.what_if import render_what_if, write_html, write_movers

    if not change and seeds is None:
        raise TieringError("nothing would be different", "give --set or --seeds; see tiering what-if --help")
    from customer_tiering.company.profile import load_profile

    result = compare(load_profile(profile), scheme or None, change or [], seeds)
    console.print(render_what_if(result))
    if csv is not None:
        write_movers(result, csv)
    if html is not None:
        write_html(result, html)


@command
def report(
    profile: ProfileOption = DEFAULT_PROFILE,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write into; default: the night's folder under reports/.")
    ] = None,
) -> None:
    """Write report (HTML) and workbook (Excel) of the published night again."""
    from customer_tiering.company.profile import load_profile
    from customer_tiering.report.files import build_reports

    files = build_reports(load_profile(profile), out)
    for path in (files.report, files.workbook):
        console.print(f"{path}  ({path.stat().st_size / 1024:,.0f} KB)", soft_wrap=True, highlight=False)


@command
def replay(
    first: Annotated[str, typer.Option("--from", help="First night to recompute (YYYY-MM-DD).")] = "",
    last: Annotated[str, typer.Option("--to", help="Last night; default: the published one.")] = "",
    profile: ProfileOption = DEFAULT_PROFILE,
    promote: Annotated[
        bool, typer.Option("--promote", help="Publish the replay; without --from the last finished one.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Recompute past nights beside the warehouse and compare them with what was published."""
    from customer_tiering.airflow.runner import parse_as_of
    from customer_tiering.company.profile import load_profile
    from customer_tiering.operate import replay as replays

    company = load_profile(profile)
    begin = parse_as_of(first)
    if begin is None and not promote:
        raise TieringError("no night to begin with", "give --from YYYY-MM-DD; see tiering replay --help")
    if begin is not None:
        result = replays.replay(company, begin, parse_as_of(last), lambda text: errors.print(text, highlight=False))
        if json:
            print(replays.as_json(result))
        else:
            console.print(replays.render_replay(result))
    if promote:
        console.print(f"published as {replays.promote(company).name}; the next night goes on from it", highlight=False)
        bi.show_publication(company)
    elif not json:
        console.print("nothing published was changed; to publish it: tiering replay --promote", highlight=False)


@command
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
    lines = [f"wrote scheme {scheme} to {write}; check the rules with: tiering seeds --profile <name>"]
    if done.dropped:
        lines.append(f"no longer in the scheme: {', '.join(done.dropped)}")
    if done.incomplete:
        lines.append(f"fill in {', '.join(done.empty_columns)} of the new rows: {', '.join(done.incomplete)}")
    for line in lines:
        console.print(line, highlight=False)


def _published(profile_name: str) -> Path:
    from customer_tiering.company.profile import load_profile
    from customer_tiering.publish.snapshot import published_folder

    return published_folder(load_profile(profile_name).workspace)


def main() -> None:
    sys.exit(app())
