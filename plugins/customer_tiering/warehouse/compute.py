"""Computing nights: the state machine goes from the last accepted night forward, batch by batch."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import duckdb

from customer_tiering.company.profile import Profile
from customer_tiering.rules.versions import ensure_rules
from customer_tiering.sql import literal
from customer_tiering.warehouse.build import BuildResult, build_models, run_dbt
from customer_tiering.warehouse.connection import open_warehouse
from customer_tiering.warehouse.nights import PlannedNight, land_as_of_dates
from customer_tiering.warehouse.state import carry_state, newest_rules

# A batch is one build: its cost grows with nights x customers x indicators, its memory too.
_NIGHTS_PER_BATCH = 92
_OLD_RULES = "old-rules-"


def compute_nights(
    profile: Profile,
    nights: list[PlannedNight],
    log_folder: Path,
    *,
    baseline: PlannedNight | None = None,
    warehouse: Path | None = None,
    after_batch: Callable[[duckdb.DuckDBPyConnection, list[PlannedNight]], None] | None = None,
) -> BuildResult:
    """Build and test the models for ``nights`` (ascending), on the state that was landed before.

    ``warehouse`` is a side copy instead of the company's own; ``after_batch`` sees it after each build. Rules that the
    warehouse has lost and no file keeps are replaced by those of the newest night. Raises ``BuildFailed``.
    """
    result = BuildResult(models=0, tests=0)
    for start in range(0, len(nights), _NIGHTS_PER_BATCH):
        batch = nights[start : start + _NIGHTS_PER_BATCH]
        with _opened(profile, warehouse) as connection:
            if start > 0:
                carry_state(connection, nights[start - 1].as_of)
                baseline = None
            known = {
                version
                for version in {night.rules_version for night in [*batch, *([baseline] if baseline else [])]}
                if ensure_rules(connection, version, profile.workspace.rules, batch[0].as_of)
            }
            batch = [_under_known_rules(night, known, nights[-1].rules_version) for night in batch]
            if baseline is not None:
                baseline = _under_known_rules(baseline, known, nights[-1].rules_version)
            before = newest_rules(connection)
            land_as_of_dates(connection, [*([baseline] if baseline else []), *batch])
        changed = _rule_changes(before if before in known else None, batch)
        if changed:
            _land_tiers_under_old_rules(profile, changed, log_folder, warehouse)
        result = build_models(profile, log_folder, warehouse)
        if after_batch is not None:
            with _opened(profile, warehouse) as connection:
                after_batch(connection, batch)
    return result


@contextmanager
def _opened(profile: Profile, warehouse: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    if warehouse is None:
        with open_warehouse(profile.workspace) as connection:
            yield connection
    else:
        with duckdb.connect(str(warehouse)) as connection:
            yield connection


def _under_known_rules(night: PlannedNight, known: set[str], newest: str) -> PlannedNight:
    if night.rules_version in known:
        return night
    return PlannedNight(night.as_of, newest, night.kind)


def _rule_changes(before: str | None, batch: list[PlannedNight]) -> list[PlannedNight]:
    """Nights whose rules differ from those of the night before, each with the old rules."""
    versions = [before or batch[0].rules_version, *(night.rules_version for night in batch)]
    return [
        PlannedNight(night.as_of, old, night.kind)
        for (old, new), night in zip(pairwise(versions), batch, strict=True)
        if old != new
    ]


def _land_tiers_under_old_rules(
    profile: Profile, changed: list[PlannedNight], log_folder: Path, warehouse: Path | None
) -> None:
    """Compute the nights under the rules of the night before, in a copy, so that a change's cause is known."""
    original = warehouse or profile.workspace.warehouse
    for left_over in original.parent.glob(f"{_OLD_RULES}*"):  # of a killed run
        shutil.rmtree(left_over)
    with tempfile.TemporaryDirectory(prefix=_OLD_RULES, dir=original.parent) as folder:
        copy = Path(folder) / "warehouse.duckdb"
        with _opened(profile, warehouse) as connection:
            connection.execute("checkpoint")
            shutil.copyfile(original, copy)
        with duckdb.connect(str(copy)) as connection:
            land_as_of_dates(connection, changed)
        run_dbt(profile, ["run", "--select", "+int_computed_tiers"], log_folder, warehouse=copy)
        with duckdb.connect(str(copy)) as connection:  # the tiers are a view, which knows its own warehouse only
            connection.execute(
                "create table tiers_under_old_rules as "
                "select customer_id, scheme, as_of_date, computed_tier, score from intermediate.int_computed_tiers"
            )
        with _opened(profile, warehouse) as connection:
            connection.execute(f"attach {literal(str(copy))} as old_rules (read_only)")
            try:
                connection.execute(
                    "insert into state.tiers_under_old_rules by name select * from old_rules.main.tiers_under_old_rules"
                )
            finally:
                connection.execute("detach old_rules")
