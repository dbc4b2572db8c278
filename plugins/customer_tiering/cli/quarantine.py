"""``tiering quarantine``: what is kept out and why, and what a person decides about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from customer_tiering.cli.common import (
    DEFAULT_PROFILE,
    JsonOption,
    OwnerOption,
    ProfileOption,
    ReasonOption,
    command_group,
    console,
    load_company,
    parse_day,
    print_json,
    say,
)
from customer_tiering.errors import DecisionError

if TYPE_CHECKING:
    import duckdb

    from customer_tiering.company.profile import Profile

app = command_group("Rows kept out and loads held: list, show, and decide; without a command: list.")

EntityArgument = Annotated[str, typer.Argument(help="Entity of a source, for example erp.orders.")]
LoadsArgument = Annotated[list[str], typer.Argument(help="Load ids, as the error of the held night shows them.")]


@app.callback(invoke_without_command=True, no_args_is_help=False)
def quarantine(context: typer.Context, profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Without a command: list."""
    if context.invoked_subcommand is None:
        list_rules(profile)


@app.command("list")
def list_rules(profile: ProfileOption = DEFAULT_PROFILE, as_json: JsonOption = False) -> None:
    """Count the rows in quarantine by source, entity and rule; a row counts under each rule that it breaks."""
    from customer_tiering.gate.quarantine import count_by_status, last_night, open_by_rule

    with _warehouse(load_company(profile)) as connection:
        rules, statuses, night = open_by_rule(connection), count_by_status(connection), last_night(connection)
    for rule in rules:
        rule["oldest_days"] = (night - rule["oldest"]).days if night else 0
    if as_json:
        print_json({"night": night, "rules": rules, "rows": statuses})
        return
    table = Table("rule", "reason", "rows", "oldest")
    for rule in rules:
        reasons = f"{rule['reason_en']} {rule['reason_zh']}"
        table.add_row(rule["rule"], reasons, f"{rule['rows']:,}", f"{rule['oldest_days']} days")
    console.print(table)
    for counts in statuses:
        shown = ", ".join(f"{rows:,} {status}" for status, rows in counts.items() if isinstance(rows, int))
        console.print(f"{counts['source']}.{counts['entity']}: {shown}", highlight=False)


@app.command("show")
def show(
    rows: Annotated[
        list[str] | None, typer.Argument(help="Only these rows, by the names that this command prints.")
    ] = None,
    profile: ProfileOption = DEFAULT_PROFILE,
    rule: Annotated[str, typer.Option("--rule", help="Only rows that break this rule.")] = "",
    entity: Annotated[str, typer.Option("--entity", help="Only rows of this entity, for example erp.orders.")] = "",
    closed: Annotated[
        bool, typer.Option("--all", help="Also show rows that left quarantine, and rejected ones.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most this many rows.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show rows in quarantine, longest waiting first: reasons, values (private ones masked), who let them in."""
    from customer_tiering.decisions.quarantine import read_decisions, shown
    from customer_tiering.gate.quarantine import RowName, quarantined_rows

    loaded = load_company(profile)
    names = [RowName.parse(text) for text in rows or []]
    entities = {(name.source, name.entity) for name in names} | ({_entity(loaded, entity)} if entity else set())
    with _warehouse(loaded) as connection:
        found = quarantined_rows(
            connection,
            loaded,
            entities=entities,
            rule=rule,
            row_ids=[name.row_id for name in names],
            statuses=() if closed or names else ("open",),
            limit=limit + 1,
        )
    found, more = found[:limit], len(found) > limit
    decisions = {decision.decision_id: decision for decision in read_decisions(loaded.workspace.decisions).all}
    if as_json:
        print_json([row.as_dict() for row in found])
        return
    for row in found:
        where = f"{row.file or 'row'} {row.row_number}"
        say(f"{row.name}  {row.status}  {where}")
        console.print(f"  seen {row.first_seen} to {row.last_seen}, load {row.load_id}", highlight=False)
        for failure in row.failures:
            value = f" [{failure.column}: {failure.value}]" if failure.column else ""
            text = f"  {failure.rule}: {failure.reason_en} {failure.reason_zh}{value}"
            say(text)
        if row.decision_id in decisions:
            text = f"  {row.status} on {row.closed_on} by {shown([decisions[row.decision_id]])}"
            say(text)
        values = ", ".join(f"{column}={value}" for column, value in row.values.items())
        say(f"  {values}\n")
    console.print(f"{len(found)} rows" + (", there are more: --limit" if more else ""), highlight=False)


@app.command("release")
def release(
    rows: Annotated[
        list[str] | None, typer.Argument(help="Names of rows, as tiering quarantine show prints them.")
    ] = None,
    profile: ProfileOption = DEFAULT_PROFILE,
    rule: Annotated[str, typer.Option("--rule", help="All rows that wait now and break no other rule.")] = "",
    owner: OwnerOption = "",
    reason: ReasonOption = "",
) -> None:
    """Let single rows in once, in spite of the rules they break now; they come in with the next run."""
    from customer_tiering.decisions.quarantine import decide
    from customer_tiering.gate.quarantine import RowName, quarantined_rows

    if bool(rows) == bool(rule):
        raise DecisionError("say which rows: their names, or --rule", "see tiering quarantine show")
    loaded = load_company(profile)
    names = [RowName.parse(text) for text in rows or []]
    with _warehouse(loaded) as connection:
        waiting = quarantined_rows(
            connection,
            loaded,
            entities={(name.source, name.entity) for name in names},
            rule=rule,
            row_ids=[name.row_id for name in names],
        )
    if rule:
        waiting = [row for row in waiting if {failure.rule for failure in row.failures} == {rule}]
        if not waiting:
            raise DecisionError(f"no row waits because of {rule} alone", "see tiering quarantine show --rule " + rule)
    missing = [str(name) for name in names if name not in {row.name for row in waiting}]
    if missing:
        raise DecisionError(
            f"not waiting in quarantine: {', '.join(missing)}",
            "see tiering quarantine show; if their load was rejected, take that back with tiering quarantine revoke",
        )
    chosen = [row for row in waiting if not names or row.name in names]
    for row in chosen:
        for failure in row.failures:
            _waivable_rule(loaded, failure.rule, str(row.name))
    for entity in sorted({(row.name.source, row.name.entity) for row in chosen}):
        broken = tuple(
            (row.name.row_id, failure.rule)
            for row in chosen
            if (row.name.source, row.name.entity) == entity
            for failure in row.failures
        )
        decision = decide(
            loaded.workspace.decisions,
            "release",
            owner=owner,
            reason=reason,
            source=entity[0],
            entity=entity[1],
            rows=broken,
        )
        count = len({row_id for row_id, _ in broken})
        console.print(f"{decision.decision_id}: {count} rows of {'.'.join(entity)} come in with the next run")


@app.command("correct")
def correct(
    row: Annotated[str, typer.Argument(help="Name of a row, as tiering quarantine show prints it.")],
    values: Annotated[list[str], typer.Option("--set", help="COLUMN=VALUE: what the row should say; repeatable.")],
    profile: ProfileOption = DEFAULT_PROFILE,
    owner: OwnerOption = "",
    reason: ReasonOption = "",
) -> None:
    """Put right what a waiting row says; it meets the rules again with the next run."""
    from customer_tiering.decisions.quarantine import decide
    from customer_tiering.gate.quarantine import RowName, quarantined_rows

    loaded = load_company(profile)
    name = RowName.parse(row)
    with _warehouse(loaded) as connection:
        waiting = quarantined_rows(connection, loaded, entities={(name.source, name.entity)}, row_ids=[name.row_id])
    if not waiting:
        raise DecisionError(f"not waiting in quarantine: {name}", "see tiering quarantine show")
    entity = loaded.source(name.source).entity(name.entity)
    said = dict(_key_value(text) for text in values)
    for column, value in said.items():
        if column not in entity.fields:
            raise DecisionError(f"{column} is no column of {entity.name} here", f"it has {', '.join(entity.fields)}")
        if not _is_readable(entity.mapped.read(column, "t"), value):
            kind = entity.mapped.declared.column(column)
            known = ", ".join(kind.levels) or kind.kind.meaning
            raise DecisionError(f"{column}={value} cannot be read as {kind.type}", f"write {known}")
    decision = decide(
        loaded.workspace.decisions,
        "correct",
        owner=owner,
        reason=reason,
        source=name.source,
        entity=name.entity,
        rows=tuple((name.row_id, column) for column in said),
        values=said,
    )
    say(f"{decision.decision_id}: {name} meets the rules again with the next run, with {', '.join(said)} corrected")


def _is_readable(sql: str, value: str) -> bool:
    import duckdb

    return duckdb.execute(f"select ({sql}) is not null from (select ? as t)", [value]).fetchone() == (True,)


@app.command("waive")
def waive(
    rule: Annotated[str, typer.Argument(help="Rule to waive, for example erp.orders.net_amount_outlier.")],
    until: Annotated[str, typer.Option("--until", help="Last night of the waiver (YYYY-MM-DD).")],
    profile: ProfileOption = DEFAULT_PROFILE,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="Only rows with this key, as column=value; repeatable. Default: every row."),
    ] = None,
    owner: OwnerOption = "",
    reason: ReasonOption = "",
) -> None:
    """Waive a rule up to a night, for a key or for every row: rows that break it come in."""
    from customer_tiering.decisions.quarantine import decide
    from customer_tiering.gate.suites import is_row_level_type
    from customer_tiering.release.mart_checks import MARTS

    loaded = load_company(profile)
    found = _waivable_rule(loaded, rule, "the waiver")
    source, entity, _ = rule.split(".")
    if source != MARTS:
        _entity(loaded, f"{source}.{entity}")
    if found.meta.on_failure in ("warn", "repair"):
        raise DecisionError(f"rule {rule} keeps nothing out: its on_failure is {found.meta.on_failure}", "")
    last = parse_day("--until", until)
    if loaded.workspace.warehouse.exists():
        from customer_tiering.gate.quarantine import last_night

        with _warehouse(loaded) as connection:
            night = last_night(connection)
        if night is not None and last < night:
            raise DecisionError(f"--until {last} is before the last night {night}", "give a later day")
    values = dict(_key_value(text) for text in key or [])
    if values:
        if source == MARTS or not is_row_level_type(found.type):
            raise DecisionError(f"rule {rule} is about the whole table and has no keys", "leave --key out")
        known = loaded.source(source).entity(entity).key
        if unknown := sorted(set(values) - set(known)):
            raise DecisionError(f"{', '.join(unknown)}: not part of the key", f"the key is {', '.join(known)}")
    decision = decide(
        loaded.workspace.decisions,
        "waive",
        owner=owner,
        reason=reason,
        source=source,
        entity=entity,
        rule=rule,
        key=values,
        until=last.isoformat(),
    )
    console.print(f"{decision.decision_id}: {rule} is waived for {_shown_key(values)} up to the night of {last}")


@app.command("waivers")
def waivers(
    profile: ProfileOption = DEFAULT_PROFILE,
    everything: Annotated[
        bool, typer.Option("--all", help="Every decision: also waivers that are over, releases and loads.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the waivers in force and how many rows they let in; with --all every decision."""
    from dataclasses import asdict

    from customer_tiering.decisions.quarantine import read_decisions
    from customer_tiering.gate.quarantine import last_night

    loaded = load_company(profile)
    decisions = read_decisions(loaded.workspace.decisions)
    night, let_in = None, dict[str, int]()
    if loaded.workspace.warehouse.exists():
        with _warehouse(loaded) as connection:
            night = last_night(connection)
            let_in = dict(
                connection.execute(
                    "select decision_id, sum(rows_released)::bigint from meta.decided_releases group by 1"
                ).fetchall()
            )
    listed = []
    for decision in decisions.all:
        # A waiver that ends with the last night holds no more: the next night is a later one.
        over = decision.kind == "waive" and night is not None and decision.last_night <= night
        state = "revoked" if decision.decision_id in decisions.revoked else "over" if over else "in force"
        if everything or (decision.kind == "waive" and state == "in force"):
            listed.append(asdict(decision) | {"state": state, "rows_let_in": let_in.get(decision.decision_id, 0)})
    if as_json:
        print_json(listed)
        return
    table = Table("id", "decision", "about", "until", "state", "let in", "owner", "reason")
    for item in listed:
        name = f"{item['source']}.{item['entity']}"
        about = {
            "waive": f"{item['rule']} ({_shown_key(item['key'])})",
            "release": f"{len({row for row, _ in item['rows']})} rows of {name}",
            "revoke": item["revokes"],
        }.get(item["kind"], f"{name} {' '.join(item['loads'])}")
        table.add_row(
            item["decision_id"],
            item["kind"],
            about,
            item["until"],
            item["state"],
            f"{item['rows_let_in']:,}",
            item["owner"],
            item["reason"],
        )
    console.print(table)


@app.command("revoke")
def revoke(
    decision_id: Annotated[str, typer.Argument(help="Id of a decision, for example D-0003.")],
    profile: ProfileOption = DEFAULT_PROFILE,
    owner: OwnerOption = "",
    reason: ReasonOption = "",
) -> None:
    """Take a decision back. What it let in stays in; the next run checks the rows of a rejected load again."""
    from customer_tiering.decisions.quarantine import decide, read_decisions

    folder = load_company(profile).workspace.decisions
    decisions = read_decisions(folder)
    found = next((decision for decision in decisions.all if decision.decision_id == decision_id), None)
    if found is None or found.kind == "revoke":
        raise DecisionError(f"there is no decision {decision_id} to take back", "see tiering quarantine waivers --all")
    if decision_id in decisions.revoked:
        raise DecisionError(f"{decision_id} was taken back already", "see tiering quarantine waivers --all")
    decision = decide(folder, "revoke", owner=owner, reason=reason, revokes=decision_id)
    console.print(f"{decision.decision_id}: {decision_id} is taken back")


@app.command("accept-load")
def accept_load(
    entity: EntityArgument,
    loads: LoadsArgument,
    profile: ProfileOption = DEFAULT_PROFILE,
    owner: OwnerOption = "",
    reason: ReasonOption = "",
) -> None:
    """Accept a held load: rows that break rules go to quarantine, the others come in with the next run."""
    _decide_load("accept_load", entity, loads, profile, owner, reason)


@app.command("reject-load")
def reject_load(
    entity: EntityArgument,
    loads: LoadsArgument,
    profile: ProfileOption = DEFAULT_PROFILE,
    owner: OwnerOption = "",
    reason: ReasonOption = "",
) -> None:
    """Set all rows of a held load aside; the next run continues without them."""
    _decide_load("reject_load", entity, loads, profile, owner, reason)


# --- what the commands share --------------------------------------------------------------------------------


def _decide_load(kind: Any, entity: str, loads: list[str], profile: str, owner: str, reason: str) -> None:
    from customer_tiering.decisions.quarantine import decide
    from customer_tiering.extract.landing import completed_loads

    loaded = load_company(profile)
    source, name = _entity(loaded, entity)
    known = {load.load_id for load in completed_loads(loaded.workspace.landing, source)}
    if unknown := sorted(set(loads) - known):
        raise DecisionError(
            f"{source} has no load {', '.join(unknown)}", "take the id of the load from the error of the held night"
        )
    with _warehouse(loaded) as connection:
        gated = connection.execute(
            "select load_id, as_of_date from meta.gated_loads where source = ? and entity = ? "
            "and list_contains(?::varchar[], load_id)",
            [source, name, loads],
        ).fetchall()
    if gated:
        passed = ", ".join(f"load {load} of {entity} on {night}" for load, night in gated)
        raise DecisionError(
            f"already through the gate: {passed}", "single rows can be released: tiering quarantine show"
        )
    decision = decide(
        loaded.workspace.decisions,
        kind,
        owner=owner,
        reason=reason,
        source=source,
        entity=name,
        loads=tuple(dict.fromkeys(loads)),
    )
    done = "accepted, its bad rows go to quarantine" if kind == "accept_load" else "set aside"
    console.print(f"{decision.decision_id}: {entity}, load {' '.join(loads)}: {done} in the next run", highlight=False)


@contextmanager
def _warehouse(profile: Profile) -> Iterator[duckdb.DuckDBPyConnection]:
    from customer_tiering.gate.gate import ensure_tables
    from customer_tiering.warehouse.connection import check_warehouse, open_warehouse

    check_warehouse(profile.workspace)
    with open_warehouse(profile.workspace) as connection:
        for source in profile.all_sources():
            ensure_tables(connection, source)
        yield connection


def _entity(profile: Profile, text: str) -> tuple[str, str]:
    """Source and entity of "erp.orders", declared and used by the profile."""

    source, _, entity = text.partition(".")
    known = [f"{source.name}.{item.name}" for source in profile.all_sources() for item in source.entities]
    if text not in known:
        raise DecisionError(f"{profile.name} has no entity {text!r}", f"it has: {', '.join(known)}")
    return source, entity


def _waivable_rule(profile: Profile, name: str, what: str) -> Any:
    """The rule of this name. Raises ``DecisionError`` when there is none or rows that break it cannot be used."""
    from customer_tiering.gate.gate import suite_of
    from customer_tiering.release.mart_checks import mart_suites

    suites = [suite_of(source, entity) for source in profile.all_sources() for entity in source.entities]
    rules = {rule.rule: rule for suite in [*suites, *mart_suites()] for rule in suite.expectations}
    if name not in rules:
        raise DecisionError(
            f"{what}: there is no rule {name}",
            "see tiering quarantine list; to bring back rows of a rejected load: tiering quarantine revoke",
        )
    if not rules[name].can_be_waived:
        raise DecisionError(
            f"{what}: rule {name} cannot be waived: {rules[name].meta.reason_en}; the models could not use the row",
            "have it corrected at its source: a corrected row comes in by itself",
        )
    return rules[name]


def _key_value(text: str) -> tuple[str, str]:
    column, separator, value = text.partition("=")
    if not separator or not column or not value:
        raise DecisionError(f"--key {text}: not of the form column=value", "for example --key order_no=SO-1001")
    return column, value


def _shown_key(key: dict[str, str]) -> str:
    return ", ".join(f"{column}={value}" for column, value in key.items()) or "every row"
