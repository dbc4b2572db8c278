"""Where a company's files lie: everything a run makes is under ``var/<profile>/``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[3]


def project_root() -> Path:
    """The checkout; ``TIERING_HOME`` overrides it for deployments that mount the project elsewhere."""
    return Path(os.environ.get("TIERING_HOME", PROJECT_ROOT)).resolve()


def var_root() -> Path:
    """Parent of every company's folder; ``TIERING_VAR`` overrides it (tests, mounted volumes)."""
    return Path(os.environ.get("TIERING_VAR", project_root() / "var")).resolve()


@dataclass(frozen=True)
class Workspace:
    """The folders of one profile."""

    root: Path

    @classmethod
    def of(cls, profile_name: str) -> Workspace:
        return cls(var_root() / profile_name)

    @property
    def landing(self) -> Path:
        """Append-only Parquet, one dataset per source."""
        return self.root / "landing"

    @property
    def extract_state(self) -> Path:
        """dlt's working folder: pending packages and cursors."""
        return self.root / "landing" / ".dlt"

    @property
    def warehouse(self) -> Path:
        """The private DuckDB file; BI never opens it."""
        return self.root / "warehouse" / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """Versioned snapshots and the pointer ``current``."""
        return self.root / "published"

    @property
    def held(self) -> Path:
        """Snapshots that are not published: held, rejected, rolled back. Like ``published`` without the pointer."""
        return self.root / "held"

    @property
    def ledger(self) -> Path:
        """What cannot be rebuilt: what was told to whom."""
        return self.root / "ledger"

    @property
    def rules(self) -> Path:
        """Every version of the tiering rules that was in force, one file each."""
        return self.root / "rules"

    @property
    def unfinished_restore(self) -> Path:
        """Says which archive a restore was cut off from; absent otherwise."""
        return self.root / "restore.unfinished"

    @property
    def replay(self) -> Path:
        """The side warehouse of the last replay."""
        return self.root / "replay"

    @property
    def decisions(self) -> Path:
        """What cannot be computed again: decisions about quarantined rows, loads and identities."""
        return self.root / "decisions"

    @property
    def models(self) -> Path:
        """Churn models: one folder per training with its card, and the promoted one."""
        return self.root / "models"

    @property
    def reports(self) -> Path:
        """One folder per run: summary, step times, logs, Data Docs."""
        return self.root / "reports"

    @property
    def night_lock(self) -> Path:
        return self.root / "night.lock"

    @property
    def warehouse_lock(self) -> Path:
        return self.root / "warehouse.lock"

    @property
    def airflow_home(self) -> Path:
        return self.root / "airflow"

    @property
    def dbt_target(self) -> Path:
        """dbt's compiled artefacts; one folder per profile keeps partial parsing warm."""
        return self.root / "warehouse" / "dbt"

    def make(self) -> None:
        """Create the folders that a night writes into."""
        self.root.mkdir(parents=True, exist_ok=True)
        for private in (self.landing, self.warehouse.parent, self.ledger, self.decisions):
            private.mkdir(exist_ok=True, mode=0o700)  # they hold what is masked elsewhere
        for shared in (self.published, self.reports):
            shared.mkdir(exist_ok=True)

    def run_folder(self, run_id: str) -> Path:
        return self.reports / run_id
