"""The steps of a night, as plain functions; ``dags/nightly_tiering.py`` only wires them.

Every step can be run again: it finds what an earlier try has done and goes on from there.
"""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customer_tiering import __version__
from customer_tiering.company.journal import journaled, read_journal
from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.decisions.log import set_aside_damage
from customer_tiering.errors import BuildFailed, PublishError
from customer_tiering.night.guard import begin_run, check_restored, check_run

if TYPE_CHECKING:
    import duckdb

    from customer_tiering.publish.snapshot import Manifest

# A publication needs a judgement of what the last build made.
_BEFORE = ("build", "judge")


@dataclass(frozen=True)
class Night:
    """One run of one night of one company; travels between the tasks."""

    profile_name: str
    as_of_date: str
    run_id: str

    @property
    def as_of(self) -> date:
        return date.fromisoformat(self.as_of_date)

    @property
    def profile(self) -> Profile:
        return load_profile(self.profile_name)

    @property
    def workspace(self) -> Workspace:
        return Workspace.of(self.profile_name)

    @property
    def folder(self) -> Path:
        """The run's folder under reports/."""
        return self.workspace.run_folder(f"{self.as_of_date}_{self.run_id}")

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def interval_as_of(data_interval_end: datetime, profile: Profile) -> date:
    """The last fully included business day of a data interval: the day before the local date of its end.

    An interval that ends at 02:00 on the 21st has seen all of the 20th and two hours of the 21st.
    """
    return data_interval_end.astimezone(profile.zone).date() - timedelta(days=1)


def begin(night: Night) -> dict[str, Any]:
    """Take the night: check order and rules, note run, rules and as-of date in the warehouse."""
    from customer_tiering.alerts.routing import check_schemes
    from customer_tiering.night.sources import prepare_sources
    from customer_tiering.publish.snapshot import check_order
    from customer_tiering.rules.load import load_rules
    from customer_tiering.rules.overrides import load_overrides, take_over_profile_table
    from customer_tiering.rules.versions import archive_rules, land_rules
    from customer_tiering.warehouse.connection import open_warehouse
    from customer_tiering.warehouse.nights import PlannedNight, land_as_of_dates, make_build_inputs

    with journaled(night.folder, "begin") as step:
        workspace = night.workspace
        workspace.make()
        check_restored(workspace)
        warnings = set_aside_damage(workspace.decisions)
        accepted = check_order(workspace, night.as_of)
        rules = load_rules(night.profile)
        check_schemes(night.profile, rules.schemes())
        take_over_profile_table(night.profile, rules, warnings)
        load_overrides(night.profile, rules)
        begin_run(workspace, night.run_id)
        prepare_sources(night.profile, night.as_of)
        with open_warehouse(workspace) as connection:
            version = land_rules(connection, rules, night.as_of)
            make_build_inputs(connection)
            land_as_of_dates(connection, [PlannedNight(night.as_of, version, "run")])
            connection.execute(
                "insert or replace into meta.runs values (?, ?, ?)", [night.run_id, night.as_of, version]
            )
        archive_rules(workspace.rules, rules)
        step.facts = {
            "as_of_date": night.as_of_date,
            "last_accepted": accepted.as_of_date if accepted else None,
            "rules_version": version,
            "warnings": warnings,
        }
    return step.facts


def extract(night: Night, source_name: str) -> dict[str, Any]:
    """Land the new rows of one source."""
    from customer_tiering.extract.pipeline import extract_source

    with journaled(night.folder, f"extract {source_name}") as step:
        check_run(night.workspace, night.run_id)
        result = extract_source(
            night.profile.source(source_name),
            night.profile.resolve_location(source_name),
            night.workspace.landing,
            night.workspace.extract_state,
            night.as_of,
        )
        step.facts = asdict(result)
    return step.facts


def gate(night: Night, source_name: str) -> dict[str, Any]:
    """Let the clean rows of one source in and keep the others out."""
    from customer_tiering.gate.freshness import record_freshness
    from customer_tiering.gate.gate import Gate
    from customer_tiering.warehouse.connection import open_warehouse

    with journaled(night.folder, f"gate {source_name}") as step:
        check_run(night.workspace, night.run_id)
        with open_warehouse(night.workspace) as connection:
            accounts = Gate(
                connection,
                night.profile.source(source_name),
                landing=night.workspace.landing,
                decisions=night.workspace.decisions,
                as_of=night.as_of,
                currency=night.profile.currency,
                results_dir=night.folder / "data_docs",
                run_time=datetime.now(UTC),
            ).run()
            record_freshness(connection, night.profile.source(source_name), night.as_of)
            connection.execute(
                "insert or ignore into meta.run_loads select distinct ?, ?::date, source, load_id "
                "from meta.gated_loads where source = ?",
                [night.run_id, night.as_of, source_name],
            )
        step.facts = {"accounts": [asdict(account) for account in accounts]}
    return step.facts


def build(night: Night) -> dict[str, Any]:
    """Build and test the models on top of what the last accepted night decided."""
    from customer_tiering.churn.store import land_churn_model
    from customer_tiering.gate.gate import ensure_tables
    from customer_tiering.identity.night import decide_identities
    from customer_tiering.release import holds
    from customer_tiering.rules.load import load_rules
    from customer_tiering.rules.overrides import land_overrides, load_overrides
    from customer_tiering.warehouse.compute import compute_nights
    from customer_tiering.warehouse.connection import open_warehouse
    from customer_tiering.warehouse.coverage import check_data_begins
    from customer_tiering.warehouse.nights import PlannedNight, land_as_of_dates, make_build_inputs, plan_nights
    from customer_tiering.warehouse.state import land_accepted_state

    with journaled(night.folder, "build") as step:
        check_run(night.workspace, night.run_id)
        profile = night.profile
        overrides = load_overrides(profile, load_rules(profile))
        with open_warehouse(night.workspace) as connection:
            version = _begun_rules(connection, night)
            for source in profile.all_sources():
                ensure_tables(connection, source)
            make_build_inputs(connection)
            land_as_of_dates(connection, [PlannedNight(night.as_of, version, "run")])  # identity's settings
            land_overrides(connection, overrides)
            # What was held before goes on from a state that this night goes on from, too: only one can be published.
            holds.supersede(night.workspace, f"the night {night.as_of} was built (run {night.run_id})")
            accepted = land_accepted_state(connection, night.workspace, night.as_of)
            land_churn_model(connection, night.workspace)
        identities = decide_identities(profile, night.as_of, night.folder)
        nights = plan_nights(accepted, night.as_of, version, profile.catch_up_nights)
        result = compute_nights(profile, nights, night.folder, baseline=accepted)
        with open_warehouse(night.workspace) as connection:
            check_data_begins(connection, night.as_of)
        step.facts = asdict(result) | {"identities": asdict(identities), "caught_up": len(nights) - 1}
    return step.facts


def _begun_rules(connection: duckdb.DuckDBPyConnection, night: Night) -> str:
    row = connection.execute(
        "select rules_version from meta.runs where run_id = ? and as_of_date = ?", [night.run_id, night.as_of]
    ).fetchone()
    if row is None:
        raise BuildFailed(f"the warehouse does not know run {night.run_id}", "run the night again from its start")
    return str(row[0])


def judge(night: Night) -> dict[str, Any]:
    """Judge the marts before anybody sees them: contract, mart checks, then the comparison, which may hold it."""
    from customer_tiering.alerts.notices import notify_operators
    from customer_tiering.publish.contract import contract_folder, marts_of_models, require_kept
    from customer_tiering.release import comparison, holds
    from customer_tiering.release.mart_checks import check_marts
    from customer_tiering.warehouse.connection import open_warehouse
    from customer_tiering.warehouse.nights import built_rules
    from customer_tiering.warehouse.state import check_accepted

    with journaled(night.folder, "judge") as step:
        check_run(night.workspace, night.run_id)
        profile = night.profile
        require_kept(contract_folder(), marts_of_models())
        with open_warehouse(night.workspace) as connection:
            check_run(night.workspace, night.run_id)  # again: it may have waited for the warehouse
            check_accepted(connection, night.workspace, night.as_of)
            rules = built_rules(connection, night.as_of)
            warnings = check_marts(
                connection,
                night.workspace,
                night.as_of,
                results_dir=night.folder / "data_docs",
                run_time=datetime.now(UTC),
            )
            verdict = comparison.compare(
                connection,
                night.workspace,
                night.as_of,
                limits=profile.release,
                headline=profile.headline_scheme,
                rules_version=rules,
            )
            warnings += verdict.warnings
            held = None
            if verdict.beyond:
                manifest = manifest_of(profile, night.as_of, night.run_id, rules)
                held = holds.hold(
                    connection, night.workspace, manifest, verdict, profile.release, profile.keep_snapshots, warnings
                )
        step.facts = {
            "warnings": warnings,
            "compared_with": verdict.base,
            "rules_changed": verdict.rules_changed,
            "held": held.name if held else None,
        }
    if held:
        notify_operators(profile, "held_night", held.name, holds.notice(held, profile.name))
    return step.facts


def publish(night: Night, held: str | None = None) -> dict[str, Any]:
    """Write the snapshot and move ``current`` to it; of a held night, once it was approved, the one that was held.

    ``held`` names that night where the run's own judgement need not be asked.
    """
    from customer_tiering.publish import snapshot
    from customer_tiering.release import holds
    from customer_tiering.warehouse.connection import open_warehouse, warehouse_lock
    from customer_tiering.warehouse.nights import built_rules
    from customer_tiering.warehouse.state import check_accepted

    with journaled(night.folder, "publish") as step:
        check_run(night.workspace, night.run_id)
        profile = night.profile
        held = held or judgement(night)["held"]
        if held:
            with warehouse_lock(night.workspace):
                folder = holds.publish_held(night.workspace, held, profile.keep_snapshots)
        else:
            with open_warehouse(night.workspace) as connection:
                check_run(night.workspace, night.run_id)  # again: it may have waited for the warehouse
                check_accepted(connection, night.workspace, night.as_of)
                manifest = manifest_of(profile, night.as_of, night.run_id, built_rules(connection, night.as_of))
                folder = snapshot.publish(connection, night.workspace, manifest, profile.keep_snapshots)
        step.facts = {"folder": str(folder), "approved": held}
    return step.facts


def judgement(night: Night) -> dict[str, Any]:
    """The facts of the run's last ``judge``. Raises ``PublishError`` when the marts were not judged since the build."""
    events = [
        event for event in read_journal(night.folder) if event["event"] == "finished" and event["step"] in _BEFORE
    ]
    if not events or events[-1]["step"] != "judge":
        raise PublishError(
            f"the marts of {night.as_of} were not judged before publishing", "run the night again from its build"
        )
    return dict(events[-1]["facts"])


def publish_postgres(night: Night) -> dict[str, Any]:
    """Copy the published marts to Postgres, after the pointer moved. A failure leaves the publication as it is."""
    from customer_tiering.publish.postgres import publish_to_postgres

    with journaled(night.folder, "publish_postgres") as step:
        check_run(night.workspace, night.run_id)
        step.facts = asdict(publish_to_postgres(night.profile))
    return step.facts


def manifest_of(profile: Profile, as_of: date, run_id: str, rules_version: str) -> Manifest:
    """What a snapshot says about itself; publishing adds its rows."""
    from customer_tiering.publish.contract import contract_version
    from customer_tiering.publish.snapshot import Manifest

    return Manifest(
        profile=profile.name,
        as_of_date=as_of.isoformat(),
        run_id=run_id,
        rules_version=rules_version,
        config_hash=hashlib.sha256(profile.model_dump_json().encode()).hexdigest()[:16],
        code_version=code_version(),
        headline_scheme=profile.headline_scheme,
        currency=profile.currency,
        rows={},
        contract_version=contract_version(),
    )


def alert(night: Night) -> dict[str, Any]:
    """Tell what changed, once. A channel that does not deliver fails nothing: its messages stay due."""
    from customer_tiering.alerts.ledger import open_ledger
    from customer_tiering.alerts.tell import tell_changes
    from customer_tiering.publish.snapshot import current_folder, read_manifest
    from customer_tiering.report.summary import run_warnings

    with journaled(night.folder, "alert") as step:
        check_run(night.workspace, night.run_id)
        folder = current_folder(night.workspace)
        if folder is None:
            raise RuntimeError("nothing is published, so there is nothing to tell")
        with open_ledger(night.workspace.ledger) as ledger:
            result = tell_changes(
                night.profile, ledger, folder, read_manifest(folder), warnings=run_warnings(night.folder)
            )
            step.facts = asdict(result)
    return step.facts


def report(night: Night) -> dict[str, Any]:
    """Write report and workbook of the published night, for people to look at."""
    from customer_tiering.gate.quarantine import open_by_rule
    from customer_tiering.report.files import build_reports, keep_quarantine, prune_reports
    from customer_tiering.warehouse.connection import open_warehouse

    with journaled(night.folder, "report") as step:
        check_run(night.workspace, night.run_id)
        with open_warehouse(night.workspace) as connection:
            keep_quarantine(night.folder, open_by_rule(connection))
        files = build_reports(night.profile)
        step.facts = {
            "report": str(files.report),
            "workbook": str(files.workbook),
            "pruned": prune_reports(night.workspace, night.profile.keep_reports),
        }
    return step.facts


def summarise(night: Night) -> dict[str, Any]:
    """Write the run's summary, for people and as JSON."""
    from customer_tiering.report.summary import write_summary

    with journaled(night.folder, "summarise") as step:
        step.facts = {"summary": str(write_summary(night.profile, night.workspace, night.folder))}
    return step.facts


def code_version() -> str:
    """Package version, with the commit when the project is a checkout."""
    if not (project_root() / ".git").exists():
        return __version__
    commit = subprocess.run(
        ["git", "-C", str(project_root()), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return f"{__version__}+{commit.stdout.strip()}" if commit.returncode == 0 else __version__
