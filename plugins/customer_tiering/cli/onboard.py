"""``tiering init`` and ``tiering source check``: from files or a database to a company's profile."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from customer_tiering.cli.common import DEFAULT_PROFILE, ProfileOption, command_group, console, load_company, say
from customer_tiering.errors import TieringError

if TYPE_CHECKING:
    from customer_tiering.onboard.preview import Preview
    from customer_tiering.onboard.probe import Found
    from customer_tiering.onboard.propose import Proposal, Question

app = typer.Typer()
source = command_group("Sources of a company: check one.")
app.add_typer(source, name="source")

_HAN = re.compile(r"[\u4e00-\u9fff]")
_OLD = timedelta(days=60)
# Shares of rows kept out: up to the one a night goes on, from the other on the mapping must be wrong.
_USUAL_SHARE, _HOPELESS_SHARE = 0.2, 0.8
_EXAMPLE = "tiering init acme --from customers.xlsx --from orders.xlsx"


@dataclass(frozen=True)
class _Answers:
    """What the flags answer, so that nobody has to be asked."""

    tables: list[str]
    columns: list[str]
    formats: list[str]
    values: list[str]
    yes: bool

    @property
    def asks(self) -> bool:
        return not self.yes and sys.stdin.isatty()


@app.command(name="init")
def init(
    name: Annotated[str, typer.Argument(help="Name of the company: small letters, digits, _.")] = "",
    sources: Annotated[
        list[str] | None, typer.Option("--from", help="A file, a folder or a database URL; repeatable.")
    ] = None,
    tables: Annotated[
        list[str] | None, typer.Option("--table", help="NAME=INPUT_TABLE: what a sheet, file or table is, or skip.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--column", help="TABLE.COLUMN=NATIVE: which column it is; empty for none.")
    ] = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="TABLE.COLUMN=%d/%m/%Y: how its dates are written.")
    ] = None,
    values: Annotated[
        list[str] | None, typer.Option("--value", help="TABLE.COLUMN.WORD=OURS: what a word of the source means.")
    ] = None,
    currency: Annotated[str, typer.Option("--currency", help="Reporting currency; default: what the data says.")] = "",
    timezone: Annotated[str, typer.Option("--timezone", help="Time zone, such as Asia/Shanghai.")] = "",
    headline: Annotated[str, typer.Option("--headline", help="Scheme of the main tier; default: by the data.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take every proposal without asking.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a profile of that name.")] = False,
    templates: Annotated[
        Path | None, typer.Option("--templates", help="Only write Excel templates of the input tables to this folder.")
    ] = None,
) -> None:
    """Set up a company: look at its files or database, propose a mapping, show what becomes of the rows."""
    from customer_tiering.onboard.probe import probe
    from customer_tiering.onboard.propose import propose

    if templates is not None:
        _write_templates(templates)
        return
    path = _new_profile(name, force)
    if not sources:
        raise TieringError("say where the data is", f"{_EXAMPLE} (or a folder, or a database URL)")
    answers = _Answers(tables or [], columns or [], formats or [], values or [], yes)
    found = [item for what in sources for item in probe(what)]
    chinese = any(_HAN.search(column) for item in found for column in item.columns)
    zone = _zone(timezone or _ask("Time zone", "Asia/Shanghai" if chinese else "UTC", "--timezone", answers))
    proposals = propose(found, _chosen_tables(answers.tables, found), not zone.startswith("America/"))
    for proposal in proposals:
        _settle(proposal, answers)
    _refuse_nothing_to_tier(proposals)
    _refuse_gaps(proposals)
    money = (currency or _ask("Currency", _currency(proposals, chinese), "--currency", answers)).upper()
    _write_and_try(name, path, zone, money, headline, proposals)


def _write_templates(folder: Path) -> None:
    from customer_tiering.onboard.templates import write_templates

    for path in write_templates(folder):
        say(f"wrote {path}")
    say(f"Next step 下一步: fill in those that you have, then tiering init <name> --from {folder}")


def _new_profile(name: str, force: bool) -> Path:
    """Where the profile will be. Raises ``TieringError`` when it cannot be called so, or is there."""
    from customer_tiering.company.profile import NAME, profiles_folder

    if not re.fullmatch(NAME, name):
        problem = f"{name!r} is no name of a company" if name else "say what the company is to be called"
        raise TieringError(problem, f"small letters, digits and _, a letter first: {_EXAMPLE}")
    path = profiles_folder() / f"{name}.yml"
    if path.exists() and not force:
        raise TieringError(f"there is a profile {path}", "take another name, or --force to write over it")
    return path


def _zone(name: str) -> str:
    from customer_tiering.company.profile import known_timezone

    try:
        return known_timezone(name)
    except ValueError as error:
        raise TieringError(str(error), "say --timezone Europe/Berlin, for instance") from error


def _refuse_nothing_to_tier(proposals: list[Proposal]) -> None:
    if not {"customers", "orders", "order_lines"} & {proposal.table for proposal in proposals}:
        known = ", ".join(f"--table '{proposal.found.name}=orders'" for proposal in proposals[:3])
        raise TieringError("none of this is a list of customers or of orders", f"say what it is: {known}")


def _refuse_gaps(proposals: list[Proposal]) -> None:
    """A column that the table cannot do without has to be named."""
    from customer_tiering.inputs.mapping import TableMapping, check_columns

    for proposal in proposals:
        if proposal.table:
            mapping = TableMapping.model_validate(proposal.found.place | {"columns": proposal.columns})
            if problems := check_columns(proposal.table, mapping):
                wrong = "; ".join(f"{'.'.join(where)}: {message}" for where, message in problems)
                raise TieringError(
                    f"{proposal.found.name} as {proposal.table}: {wrong}",
                    f"say which with --column {proposal.table}.<column>=<yours>; "
                    f"yours are: {', '.join(proposal.found.columns)}",
                )


def _write_and_try(name: str, path: Path, zone: str, currency: str, headline: str, proposals: list[Proposal]) -> None:
    """Write the profile, try it on the real rows, and say what is next; a profile that fails is not left behind."""
    from customer_tiering.company.profile import load_profile
    from customer_tiering.onboard.gaps import gaps
    from customer_tiering.onboard.preview import preview
    from customer_tiering.onboard.write import headline_of, profile_yaml, sources_of, write_cuts

    scheme = headline or headline_of(proposals)
    sources, variables = sources_of(name, proposals)
    os.environ.update(variables)
    content: dict[str, Any] = {
        "label_en": name.replace("_", " ").capitalize(),
        "label_zh": name,
        "timezone": zone,
        "currency": currency,
        "headline_scheme": scheme,
        "sources": sources,
    }
    mapped = {proposal.table: proposal.columns for proposal in proposals if proposal.table}
    missing = gaps(set(mapped), has_cost="cost_amount" in mapped.get("order_lines", {}))
    before = path.read_bytes() if path.exists() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(profile_yaml(content, [english for english, _ in missing]), encoding="utf-8")
    try:
        with console.status("trying the mapping …"):
            profile = load_profile(name)
            tried = preview(profile, _yesterday(ZoneInfo(zone)))
    except BaseException:
        path.unlink() if before is None else path.write_bytes(before)
        raise
    _show_preview(tried)
    if loosened := _allow_what_is_kept_out(content, tried):
        path.write_text(profile_yaml(content, [english for english, _ in missing]), encoding="utf-8")
        say(f"Such deliveries would hold the night: hold_above is raised for {', '.join(loosened)}. Is that right?")
    for english, chinese in missing:
        say(f"· {english} · {chinese}")
    say(f"\nwrote {path}")
    if scheme == "spend_abc" and tried.spend_cuts:
        high, low = tried.spend_cuts
        cuts = write_cuts(profile.folder, high, low)
        say(f"wrote {cuts}: tier A above {high:,.0f}, C below {low:,.0f} {currency} a year")
    old = tried.newest_order is not None and _yesterday(ZoneInfo(zone)) - tried.newest_order > _OLD
    as_of = f" AS_OF={tried.newest_order}   (the day of the last order)" if old else ""
    for variable in variables:
        say(f"The database URL holds a password, so the profile does not: export {variable}='…' where the nights run")
    say(f"Next step 下一步: make run PROFILE={name}{as_of}")


def _allow_what_is_kept_out(content: dict[str, Any], tried: Preview) -> list[str]:
    """Raise ``hold_above`` of tables of which more rows are kept out than usual, but not nearly all; their names."""
    loosened = []
    for table in tried.tables:
        share = table.rows_kept_out / table.rows_in if table.rows_in else 0.0
        mapping = content["sources"][table.source]["tables"][table.table]
        if _USUAL_SHARE < share < _HOPELESS_SHARE:
            mapping["hold_above"] = round(share + 0.1, 1)
            loosened.append(f"{table.table} ({share:.0%} kept out)")
    return loosened


def _yesterday(zone: ZoneInfo) -> date:
    return datetime.now(zone).date() - timedelta(days=1)


# --- questions and answers ---------------------------------------------------------------------------------


def _settle(proposal: Proposal, answers: _Answers) -> None:
    """Show a proposal with what the flags say, and ask what is open."""
    for note in proposal.found.notes:
        say(f"{proposal.found.name}: {note}")
    if proposal.table is None:
        say(f"{proposal.found.name}: no input table fits, left out (--table '{proposal.found.name}=…' to say which)")
        return
    _apply(proposal, answers.columns, answers.formats, answers.values)
    _show_proposal(proposal)
    for question in proposal.questions:
        target = question.flag.split(" ", 1)[1]
        if not any(said.startswith(target) for said in (*answers.formats, *answers.values)):
            _put(proposal, question, answers)


def _put(proposal: Proposal, question: Question, answers: _Answers) -> None:
    """Ask, where there is somebody to ask; else take the proposal and say so."""
    flag, _, target = question.flag.partition(" ")
    if not answers.asks:
        taken = f"taken: {question.proposal}" if question.proposal else "left as it is: such rows are kept out"
        say(f"? {question.text} ({taken}; {question.flag}… for another)")
        return
    answer = typer.prompt(question.text, default=question.proposal, show_default=bool(question.proposal))
    if answer:
        said = [f"{target}{answer}"]
        _apply(proposal, [], said if flag == "--format" else [], said if flag == "--value" else [])


def _ask(what: str, proposal: str, flag: str, answers: _Answers) -> str:
    if not answers.asks:
        say(f"{what}: {proposal} ({flag} for another)")
        return proposal
    return str(typer.prompt(what, default=proposal))


def _chosen_tables(said: list[str], found: list[Found]) -> dict[str, str]:
    from customer_tiering.inputs.tables import input_tables

    names = [item.name for item in found]
    chosen = {}
    for item in said:
        left, equals, table = item.rpartition("=")
        meant = [name for name in names if name == left or name.startswith(f"{left}.") or name.endswith(f"› {left}")]
        if not equals or not meant:
            raise TieringError(f"--table {item}: there is no {left or item}", f"there are: {', '.join(names)}")
        if table not in {*input_tables(), "skip"}:
            raise TieringError(f"--table {item}: no input table {table!r}", f"one of {', '.join(input_tables())}, skip")
        chosen[meant[0]] = table
    return chosen


def _apply(proposal: Proposal, columns: list[str], formats: list[str], values: list[str]) -> None:
    """Put what was said in place of what was proposed."""
    for flag, said in (("--column", columns), ("--format", formats), ("--value", values)):
        for item in said:
            left, equals, right = item.partition("=")
            table, _, rest = left.partition(".")
            column, _, word = rest.partition(".")
            if not equals or not column:
                raise TieringError(f"{flag} {item} is not of the form TABLE.COLUMN=…", "see tiering init --help")
            if table != proposal.table:
                continue
            if column not in proposal.declared.names:
                raise TieringError(f"{flag} {item}: {table} has no column {column}", "see docs/input-layer.md")
            if flag == "--column":
                _choose(proposal, column, right)
            else:
                _add(proposal, column, {"formats": [right]} if flag == "--format" else {"values": {word: right}})


def _choose(proposal: Proposal, column: str, native: str) -> None:
    if native and native not in proposal.found.columns:
        raise TieringError(
            f"--column {proposal.table}.{column}: {proposal.found.name} has no column {native}",
            f"it has: {', '.join(proposal.found.columns)}",
        )
    proposal.columns.pop(column, None)
    if native:
        proposal.columns[column] = native


def _add(proposal: Proposal, column: str, more: dict[str, Any]) -> None:
    native = proposal.native(column)
    if native is None:
        raise TieringError(
            f"{proposal.table}.{column} is not mapped to one column", f"say --column {proposal.table}.{column}=… too"
        )
    old = proposal.columns[column]
    whole: dict[str, Any] = {"column": native} if isinstance(old, str) else dict(old)
    if "values" in more:
        more = {"values": {**whole.get("values", {}), **more["values"]}}
    proposal.columns[column] = whole | more


def _currency(proposals: list[Proposal], chinese: bool) -> str:
    """What most orders say, else the currency of the language."""
    from customer_tiering.inputs.types import CURRENCY_NAMES

    seen: Counter[str] = Counter()
    for proposal in proposals:
        native = proposal.native("currency") if proposal.table in ("orders", "order_lines") else None
        for row in proposal.found.rows if native else ():
            word = (row[native or ""] or "").strip().upper()
            code = CURRENCY_NAMES.get(word, word)
            if re.fullmatch("[A-Z]{3}", code):
                seen[code] += 1
    return seen.most_common(1)[0][0] if seen else "CNY" if chinese else "USD"


# --- pages -------------------------------------------------------------------------------------------------


def _show_proposal(proposal: Proposal) -> None:
    declared = proposal.declared
    unsure = "" if proposal.sure else f"  (not sure: --table '{proposal.found.name}=…' for another)"
    say(f"\n{proposal.found.name} → {proposal.table} {declared.label_zh}{unsure}")
    table = Table(box=None, padding=(0, 2, 0, 2))
    for title in ("input column", "", "your column", "example"):
        table.add_column(title)
    first = proposal.found.rows[0]
    for name, said in proposal.columns.items():
        column, native = declared.column(name), proposal.native(name)
        example = (first.get(native) if native else None) or ""
        shown = said if isinstance(said, str) else ", ".join(f"{key}: {value}" for key, value in said.items())
        table.add_row(name, column.label_zh, shown, f"{example[:1]}***" if column.private and example else example[:30])
    console.print(table)
    if unused := [name for name in proposal.found.columns if name not in str(proposal.columns)]:
        say(f"  not used: {', '.join(unused)}")


def _show_preview(tried: Preview) -> None:
    say("\nWhat becomes of the rows 预览")
    for table in tried.tables:
        say(
            f"{table.source}.{table.table}: {table.rows_in} rows, {table.rows_kept} kept, "
            f"{table.rows_merged} merged (came twice), {table.rows_kept_out} kept out"
        )
        for row in table.shown[:2]:
            say("    " + ", ".join(f"{name}={value}" for name, value in row.items())[:150])
        for broken in table.broken:
            examples = f" ({', '.join(broken.examples)})" if broken.examples else ""
            mark = "✗ kept out" if broken.kept_out else "· repaired"
            say(f"  {mark} {broken.rows}: {broken.reason_en}{examples} · {broken.reason_zh}")


@source.command(name="check")
def check(
    name: Annotated[str, typer.Argument(help="Source of the profile; default: all of them.")] = "",
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Connect, read, and show columns, keys, mapped rows and what the rules would keep out; nothing is kept."""
    from customer_tiering.onboard.preview import preview
    from customer_tiering.onboard.probe import probe
    from customer_tiering.onboard.profiling import describe

    company = load_company(profile)
    if name and name not in company.sources:
        raise TieringError(f"{profile} has no source {name!r}", f"it has: {', '.join(company.sources)}")
    wanted = [name] if name else list(company.sources)
    for source_name in wanted:
        entities = {entity.table or entity.files: entity for entity in company.source(source_name).entities}
        for found in probe(company.resolve_location(source_name)):
            if entity := entities.get(found.place.get("table") or found.place.get("files")):
                say(f"\n{source_name} › {found.name} → {entity.name}")
                console.print(describe(found, entity))
    narrowed = company.model_copy(update={"sources": {key: company.sources[key] for key in wanted}})
    with console.status("trying the rules …"):
        tried = preview(narrowed, _yesterday(company.zone))
    _show_preview(tried)
