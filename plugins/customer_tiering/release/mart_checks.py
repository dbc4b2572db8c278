"""Mart checks: absolute rules on the marts just built, judged by Great Expectations before they are published.

The rules are in ``expectations/marts/<mart>.yml``. A rule warns, or it blocks: then ``current`` stays where it is.
Whether a night is far from the one before is another question: ``release/comparison.py``.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import duckdb

from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.decisions.quarantine import read_decisions, shown
from customer_tiering.errors import GateBlocked, TieringError
from customer_tiering.gate.suites import Rule, Suite, load_suite
from customer_tiering.gate.validation import RuleOutcome, Validator
from customer_tiering.publish.snapshot import NIGHT_SCHEMA, select_night

# Folder of suites that are about marts, where other folders are named after sources.
MARTS = "marts"
_ROW_ID = "customer_id"
_ROWS_NAMED = 5


def check_marts(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    as_of: date,
    *,
    results_dir: Path,
    run_time: datetime,
) -> list[str]:
    """Judge the marts in ``connection``; returns what the summary should warn of.

    Data Docs go to ``results_dir/marts``. Raises ``GateBlocked`` naming mart, rule, rows and what to do;
    ``TieringError`` when a rule cannot be checked.
    """
    select_night(connection, as_of)
    decisions = read_decisions(workspace.decisions)
    suites = mart_suites()
    warnings: list[str] = []
    blocks: list[tuple[Rule, str]] = []
    with Validator(connection, results_dir=results_dir / MARTS, run_name=f"{as_of}", run_time=run_time) as validator:
        for suite in suites:
            outcomes = validator.validate(
                suite, schema=NIGHT_SCHEMA, table=suite.entity, parameters={}, row_id_column=_ROW_ID
            )
            for rule, outcome in zip(suite.expectations, outcomes, strict=True):
                if outcome.error:
                    raise TieringError(
                        f"mart {suite.entity}: rule {rule.rule} could not be checked: {outcome.error}",
                        f"correct the rule in expectations/{MARTS}/{suite.entity}.yml",
                    )
                if outcome.success:
                    continue
                facts = f"mart {suite.entity}: rule {rule.rule}: {rule.meta.reason_en}: {_said(connection, outcome)}"
                waiver = decisions.whole_rule_waived(rule.rule, as_of) if rule.can_be_waived else None
                if waiver is not None:
                    warnings.append(f"{facts} ({shown([waiver])})")
                elif rule.meta.on_failure == "block":
                    blocks.append((rule, facts))
                else:
                    warnings.append(facts)
        validator.build_docs()
    if blocks:
        raise _blocked(workspace, blocks)
    return warnings


def mart_suites() -> list[Suite]:
    """The rules of the marts. Raises ``SuiteError``."""
    folder = project_root() / "expectations" / MARTS
    return [load_suite(path, MARTS, path.stem) for path in sorted(folder.glob("*.yml"))]


def _said(connection: duckdb.DuckDBPyConnection, outcome: RuleOutcome) -> str:
    """What the rule found, or the first customers that a rule about customers names."""
    if outcome.failing_rows_sql is None:
        return "; ".join(outcome.findings) or "the rule fails"
    query = f"select * from ({outcome.failing_rows_sql}) order by 1 limit {_ROWS_NAMED}"
    named = [str(customer) for (customer,) in connection.execute(query).fetchall()]
    more = ", …" if outcome.unexpected > len(named) else ""
    return f"{outcome.unexpected} of {outcome.evaluated} rows ({', '.join(named)}{more})"


def _blocked(workspace: Workspace, blocks: list[tuple[Rule, str]]) -> GateBlocked:
    waivable = [rule.rule for rule, _ in blocks if rule.can_be_waived]
    company = workspace.root.name
    usual = (
        "see with `tiering quarantine list` and the rows per entity in the run's journal whether a source delivered "
        "too little, and run the night again when it is complete"
    )
    ways = list(dict.fromkeys(rule.meta.next_step or usual for rule, _ in blocks))
    if waivable:
        ways.append(
            "if the new figures are right: "
            + ", ".join(
                f"`tiering quarantine waive {rule} --until <day> --profile {company} --owner <who> --reason <why>`"
                for rule in waivable
            )
            + "; limits for good are in expectations/marts/"
        )
    return GateBlocked(
        "the marts are not published, yesterday's snapshot stays:\n  - " + "\n  - ".join(facts for _, facts in blocks),
        "; ".join(ways),
    )
