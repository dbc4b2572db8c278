"""``tiering scheme``: the schemes of a company: look, check, add, calibrate, fill in as an Excel table."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, command_group, console, load_company, say
from customer_tiering.errors import RulesError, TieringError, nearest

if TYPE_CHECKING:
    from customer_tiering.company.profile import Profile
    from customer_tiering.rules.schemes import Scheme

app = command_group("Schemes of tiers: look, check, add, calibrate, fill in as an Excel table.")

SchemeArgument = Annotated[str, typer.Argument(help="Name of the scheme.")]
WriteOption = Annotated[bool, typer.Option("--write", help="Write it into profiles/<company>/schemes/.")]


@app.command("list")
def list_schemes(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """List the schemes of a company, the headline first."""
    company = load_company(profile)
    table = Table("scheme 方案", "name 名称", "kind 类型", "for 适用于", "tiers 级别", "from 来自")
    schemes = _schemes(company)
    for name in sorted(schemes, key=lambda one: (one != company.headline_scheme, one)):
        said = schemes[name].said()
        mark = " ★" if name == company.headline_scheme else ""
        places = "project + company" if len(schemes[name].texts) > 1 else _owner(company, schemes[name])
        table.add_row(
            name + mark, f"{said.label_en} {said.label_zh}", said.kind, said.population, ", ".join(said.tiers), places
        )
    console.print(table)
    say("★ is the headline scheme: its changes are sent to people")


@app.command()
def show(scheme: SchemeArgument, profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Draw a scheme as its criteria table: what is weighed, how it is scored, which tier follows."""
    from customer_tiering.report.scheme_table import render_scheme
    from customer_tiering.rules.seeds import shown_path

    company = load_company(profile)
    found = _scheme(company, scheme)
    files = [shown_path(text.path) for text in found.texts]
    console.print(render_scheme(scheme, found.said(), _labels(company, "label_zh"), files))


@app.command()
def check(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Check all tiering rules of a company, and whether its schemes separate its customers."""
    from customer_tiering.explain.separation import unreachable, weak_spots
    from customer_tiering.publish.snapshot import current_folder
    from customer_tiering.rules.load import load_rules

    company = load_company(profile)
    rules = load_rules(company)
    schemes = list(_schemes(company).values())
    say(f"the rules of {profile} are sound; version {rules.version}, schemes {', '.join(rules.schemes())}")
    snapshot = current_folder(company.workspace)
    notes = [note for one in schemes for note in unreachable(one)]
    notes += weak_spots(snapshot, schemes) if snapshot else []
    for note in notes:
        say(f"· {note}")
    if snapshot is None:
        say(f"how customers are spread over the tiers is judged after the first night: make run PROFILE={profile}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the new scheme: letters a-z, digits and _.")],
    like: Annotated[str, typer.Option("--like", help="Scheme to begin with.")] = "account_value",
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Begin a scheme of the company's own as a copy of another one, ready to be changed."""
    from customer_tiering.rules import scheme_text

    company = load_company(profile)
    schemes = _schemes(company)
    if name in schemes:
        raise TieringError(f"there is a scheme {name} already", f"look at it: tiering scheme show {name}")
    content = _content(company, _scheme(company, like).name)
    content |= {
        "label_en": name.replace("_", " ").capitalize(),
        "label_zh": name,
        "description": f"begun as a copy of {like}",
    }
    path = company.folder / "schemes" / f"{name}.yml"
    _try(company, name, content)
    scheme_text.write(path, scheme_text.dumped(content, "What each key means: docs/add-a-scheme.md."))
    say(f"wrote {path}")
    say(f"Next step: change it, then tiering scheme check --profile {profile}")


@app.command()
def calibrate(
    scheme: SchemeArgument,
    shares: Annotated[
        str, typer.Option("--shares", help="Shares of the tiers, best first, such as 5,15,30,50 (%).")
    ] = "",
    write: WriteOption = False,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Propose cuts that separate the customers of the published night, from the company's own figures."""
    from customer_tiering.explain.separation import calibrate as propose
    from customer_tiering.publish.snapshot import published_folder
    from customer_tiering.report.scheme_table import render_proposals
    from customer_tiering.rules.edges import number

    company = load_company(profile)
    found = _scheme(company, scheme)
    try:
        wanted = [number(part) / 100 for part in shares.split(",")] if shares else []
    except ValueError as error:
        raise TieringError(f"--shares {shares}: {error}", "write percentages such as 5,15,30,50") from error
    proposals = propose(published_folder(company.workspace), found, wanted)
    console.print(render_proposals(proposals))
    content = _content(company, scheme)
    for proposal in proposals:
        _apply(content, proposal.where, proposal.after)
    if not write:
        say(
            f"nothing was changed; write these cuts with: tiering scheme calibrate {scheme} --write --profile {profile}"
        )
        return
    _write(company, scheme, content)


def _apply(content: dict[str, Any], where: tuple[str, ...], edges: list[str]) -> None:
    """Put edges in the place of those that are there, in their order."""
    inner = content
    for part in where:
        inner = inner[part]
    if where[-1] == "scores":
        scores = list(inner.values())
        inner.clear()
        inner.update(zip(edges, scores, strict=True))
    elif where[-1] == "levels":
        inner.update(zip(list(inner), edges, strict=True))
    else:
        for tier, edge in zip(inner.values(), edges, strict=True):
            tier["when"] = edge


@app.command()
def export(
    scheme: SchemeArgument,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; default: <scheme>.xlsx here.")] = None,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Write a scheme as the standard table (Excel) that managers fill in; read it back with import."""
    from customer_tiering.rules.standard_table import write_standard_table

    company = load_company(profile)
    path = out or Path(f"{scheme}.xlsx")
    try:
        write_standard_table(
            path, scheme, _content(company, _scheme(company, scheme).name), _labels(company, "label_zh")
        )
    except OSError as error:
        raise TieringError(
            f"{path}: the file cannot be written ({error})", "close it in Excel, or give --out"
        ) from error
    say(f"wrote {path}; read it back with: tiering scheme import {path} --profile {profile}")


@app.command("import")
def import_table(
    path: Annotated[Path, typer.Argument(help="Workbook that export wrote and somebody filled in.")],
    write: WriteOption = False,
    what_if: Annotated[bool, typer.Option(help="Say which customers would move, on a copy of the last night.")] = True,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Read a standard table back: say what is wrong by sheet and cell, what changes, and who would move."""
    from customer_tiering.publish.snapshot import current_folder
    from customer_tiering.rules.load import load_rules, rule_folders
    from customer_tiering.rules.schemes import scheme_of
    from customer_tiering.rules.standard_table import read_standard_table

    company = load_company(profile)
    problems: list[str] = []
    name, text = read_standard_table(path, problems)
    scheme = scheme_of(name, [text], problems)
    if not problems:
        try:
            load_rules(company, rule_folders(company), scheme)
        except RulesError as error:
            raise RulesError(
                error.problem, "correct the cells named above and import again; nothing was changed"
            ) from None
    if problems:
        listed = "\n  - ".join(problems)
        raise RulesError(
            f"{path} has {len(problems)} problem(s):\n  - {listed}",
            "correct the cells named above and import again; nothing was changed",
        )
    content = _content(company, name, scheme)
    changes = _show_changes(company, name, content)
    if changes and what_if and current_folder(company.workspace):
        _show_movers(company, name, content)
    if changes and write:
        _write(company, name, content)
    elif changes:
        say(f"nothing was changed; take it over with: tiering scheme import {path} --write --profile {profile}")


def _show_changes(company: Profile, name: str, content: dict[str, Any]) -> bool:
    from customer_tiering.rules.scheme_text import flattened

    before = flattened(_content(company, name)) if name in _schemes(company) else {}
    after = flattened(content)
    table = Table("key", "now 现在", "in the table 表中")
    for key in dict.fromkeys([*after, *before]):
        if before.get(key) != after.get(key):
            table.add_row(key, str(before.get(key, "")), str(after.get(key, "")))
    if not table.row_count:
        say(f"{name}: the table says what the scheme says already")
        return False
    console.print(table)
    return True


def _show_movers(company: Profile, name: str, content: dict[str, Any]) -> None:
    import tempfile

    from customer_tiering.explain.what_if import what_if
    from customer_tiering.report.what_if import render_what_if
    from customer_tiering.rules import scheme_text

    with tempfile.TemporaryDirectory() as folder:
        scheme_text.write(Path(folder) / "schemes" / f"{name}.yml", scheme_text.dumped(content))
        console.print(render_what_if(what_if(company, name, [], Path(folder))))


@app.command()
def migrate(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Carry the scheme seeds (CSV) of a company of the first version over into scheme files."""
    from customer_tiering.rules.load import project_rules
    from customer_tiering.rules.migrate import migrate_seeds

    company = load_company(profile)
    rules = project_rules()
    written = migrate_seeds(rules.schemes, rules.seeds / "indicators.csv", company.folder)
    for path in written:
        say(f"wrote {path}")
    say(
        f"the scheme seeds are carried over and removed; check with: tiering scheme check --profile {profile}"
        if written
        else f"{profile} has no scheme seeds; nothing to do"
    )


def set_weights(company: Profile, scheme: str, weights: dict[str, Decimal], dimension: str, *, write: bool) -> None:
    """Give a scheme the weights that AHP found."""
    from customer_tiering.rules.ahp import weight_changes
    from customer_tiering.rules.schemes import merged

    changes = weight_changes(_scheme(company, scheme), weights, dimension)
    content = merged(_content(company, scheme), changes)
    if write:
        _write(company, scheme, content)
    else:
        _try(company, scheme, content)
        say(f"they fit scheme {scheme}; write them with --write")


# --- what the commands share ----------------------------------------------------------------------------------


def _schemes(company: Profile) -> dict[str, Scheme]:
    """The schemes of a company, checked. Raises ``RulesError``."""
    from customer_tiering.rules.load import load_rules, load_schemes, rule_folders

    load_rules(company)
    return {scheme.name: scheme for scheme in load_schemes(rule_folders(company), [])}


def _scheme(company: Profile, name: str) -> Scheme:
    schemes = _schemes(company)
    if name not in schemes:
        raise TieringError(f"there is no scheme {name!r}{nearest(name, schemes)}", "see tiering scheme list")
    return schemes[name]


def _owner(company: Profile, scheme: Scheme) -> str:
    return "company" if scheme.texts[0].path.is_relative_to(company.folder) else "project"


def _content(company: Profile, name: str, instead: Scheme | None = None) -> dict[str, Any]:
    """What a scheme says in all, written the same way wherever it comes from, so that two can be compared."""
    from customer_tiering.rules.load import load_rules
    from customer_tiering.rules.scheme_text import content_of

    return content_of(load_rules(company, None, instead).rows, name)


def _labels(company: Profile, column: str) -> dict[str, str]:
    from customer_tiering.rules.load import load_rules

    return {row["indicator"]: row[column] for row in load_rules(company).rows["indicators"]}


def _try(company: Profile, name: str, content: dict[str, Any]) -> None:
    """Raise ``RulesError`` if a scheme with this content would not be sound."""
    from customer_tiering.rules.load import load_rules
    from customer_tiering.rules.schemes import Text, scheme_of

    path = company.folder / "schemes" / f"{name}.yml"
    problems: list[str] = []
    scheme = scheme_of(name, [Text(path, content)], problems)
    if problems:
        raise RulesError("\n  - ".join(problems), "nothing was written")
    load_rules(company, None, scheme)


def _write(company: Profile, name: str, content: dict[str, Any]) -> None:
    """Write what differs from the scheme as it is into the company's file; the file's comments stay."""
    from customer_tiering.rules import scheme_text

    path = company.folder / "schemes" / f"{name}.yml"
    _try(company, name, content)
    base = _content(company, name) if name in _schemes(company) else {}
    changes = scheme_text.difference(base, content)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    scheme_text.write(path, scheme_text.edited(text, changes))
    say(f"wrote {path}; the next night has it. Who would move: tiering what-if shows it before a night")
