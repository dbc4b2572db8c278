"""A source of a test's own, extracted and gated as a night does it, without models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.company.profile import SourceLocation, load_profile
from customer_tiering.company.workspace import PROJECT_ROOT
from customer_tiering.extract.pipeline import ExtractionResult, extract_source
from customer_tiering.gate.gate import EntityAccount, Gate
from customer_tiering.inputs.mapping import mapped_source
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.versions import land_rules
from customer_tiering.warehouse.nights import PlannedNight, land_as_of_dates, make_build_inputs

AS_OF = date(2026, 3, 30)


class Gated:
    """A mapped source with its landing and warehouse. ``said`` is what a profile says of the source."""

    def __init__(
        self,
        root: Path,
        connection: duckdb.DuckDBPyConnection,
        name: str,
        said: Mapping[str, Any],
        data_begins: str | None = None,
    ) -> None:
        self.root, self.connection = root, connection
        location = SourceLocation.model_validate({"url": "sqlite:///x"} | dict(said) if "path" not in said else said)
        self.source = mapped_source(
            name,
            location.tables,
            label_en=name,
            label_zh=name,
            missing=location.missing,
            zone=location.zone or "Asia/Shanghai",
            business_zone="Asia/Shanghai",
            data_begins=data_begins,
        )
        self.location = location.path or location.url or ""

    def extract(self, as_of: date = AS_OF) -> ExtractionResult:
        return extract_source(self.source, self.location, self.root / "landing", self.root / "state", as_of)

    def gate(self, as_of: date = AS_OF) -> dict[str, EntityAccount]:
        accounts = Gate(
            self.connection,
            self.source,
            landing=self.root / "landing",
            decisions=self.root / "decisions",
            as_of=as_of,
            currency="CNY",
            results_dir=self.root / "results",
            run_time=datetime(2026, 3, 31, tzinfo=UTC),
        ).run()
        return {account.entity: account for account in accounts}

    def night(self, as_of: date = AS_OF) -> dict[str, EntityAccount]:
        self.extract(as_of)
        return self.gate(as_of)

    def accepted(self, table: str, columns: str, order: str = "all") -> list[tuple[Any, ...]]:
        """Accepted rows of an input table that are not merged copies."""
        return self.connection.execute(
            f"select {columns} from input_layer.{table} where not _is_merged order by {order}"
        ).fetchall()

    def broken(self) -> set[tuple[str, str]]:
        """Rules that rows broke, each with the status of the row: kept out or repaired."""
        return {
            *self.connection.execute("select distinct rule, 'kept out' from quarantine.failures").fetchall(),
            *self.connection.execute("select distinct rule, 'repaired' from meta.row_flags").fetchall(),
        }


@contextmanager
def gated(root: Path, name: str, said: Mapping[str, Any], data_begins: str | None = None) -> Iterator[Gated]:
    schema = PROJECT_ROOT / "plugins/customer_tiering/warehouse/schema.sql"
    with duckdb.connect() as connection:
        connection.execute(schema.read_text("utf-8"))
        make_build_inputs(connection)
        version = land_rules(connection, load_rules(load_profile("sample")), AS_OF)
        land_as_of_dates(connection, [PlannedNight(AS_OF, version, "run")])
        yield Gated(root, connection, name, said, data_begins)
