"""Run suites with Great Expectations over batches in DuckDB: what failed, how often, and where.

Rows never travel into Python: GX counts in the database (all plain rules of a suite in one scan), and failing
rows are handed on as a SELECT. What is kept of a run are validation results (JSON per suite) and, on demand,
Data Docs.
"""

from __future__ import annotations

import logging
import re
import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from customer_tiering.gate import sql
from customer_tiering.gate.engine import (  # first: switches GX's telemetry off before GX is imported
    DuckDBDatasource,
    DuckDBExecutionEngine,
    hold,
    release,
)
from customer_tiering.gate.expectations import library
from customer_tiering.gate.expectations.tables import TableExpectation
from customer_tiering.gate.suites import Rule, Suite, is_row_level

# isort: split
import great_expectations as gx
from great_expectations.core import (
    ExpectationSuite,
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.core.suite_parameters import parse_suite_parameter
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.expectations.registry import get_expectation_impl

logger = logging.getLogger(__name__)

# Sample values of a failed rule in results and docs; none at all for personal data.
MAX_SAMPLES = 5
_DOCS = "docs"
# What a result may say about a column of personal data: how many, never what.
_COUNTS = {
    "element_count",
    "missing_count",
    "missing_percent",
    "unexpected_count",
    "unexpected_percent",
    "unexpected_percent_nonmissing",
    "unexpected_percent_total",
    "unexpected_index_column_names",
    "unexpected_index_query",
}


@dataclass(frozen=True)
class RuleOutcome:
    """What one rule found in one batch.

    ``evaluated`` is the number of rows of the batch the rule looked at (after its row_condition, empty values
    included), ``unexpected`` how many of them fail; ``unexpected_share`` is their quotient (0 to 1, 0 for an
    empty batch). ``failing_rows_sql`` selects exactly one column, the row id, of every failing row; it is
    None when no row fails, for rules about the whole table and for rules that could not be evaluated
    (``error``). An outcome with an error never has ``success``. ``findings`` are what a rule about the whole
    table has to say, in words.
    """

    rule: str
    source: str
    entity: str
    column: str | None
    expectation_type: str
    severity: str
    on_failure: str
    success: bool
    evaluated: int
    unexpected: int
    unexpected_share: float
    failing_rows_sql: str | None
    error: str | None
    findings: tuple[str, ...] = ()


class Validator:
    """One Great Expectations context for one run of the gate.

    ``connection`` stays the caller's; batches must be committed tables or views (see engine.py).
    ``results_dir`` receives ``validations/`` (JSON) and ``docs/`` (Data Docs); ``run_name`` and ``run_time``
    name the run in both. Close it (or use it in a ``with`` statement) when the run is over.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        results_dir: Path,
        run_name: str,
        run_time: datetime,
    ) -> None:
        self._results_dir = results_dir.resolve()
        self._run_id = RunIdentifier(run_name=run_name, run_time=run_time)
        self._connection_string = hold(connection)
        self._finalizer = weakref.finalize(self, release, self._connection_string)
        self._context = gx.get_context(project_config=self._configuration(run_name), mode="ephemeral")
        self._datasources: dict[str, DuckDBDatasource] = {}
        self._results: list[ValidationResultIdentifier] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up the cursor on the caller's connection; results and docs stay."""
        for datasource in self._datasources.values():
            datasource.get_execution_engine().close()
        self._datasources.clear()
        self._finalizer()

    def validate(
        self,
        suite: Suite,
        *,
        table: str,
        schema: str,
        row_id_column: str = "_row_id",
        parameters: Mapping[str, object] | None = None,
        pii_columns: Collection[str] = (),
    ) -> list[RuleOutcome]:
        """Evaluate a suite on ``schema.table``; one outcome per rule, in the order of the suite.

        ``row_id_column`` must be non-null and unique in the table. ``parameters`` are the values of
        ``{$PARAMETER: name}``. Rules that name a column of ``pii_columns`` leave counts only in results and
        docs; other rules up to five sample values. A rule that cannot be evaluated (missing column or
        parameter, SQL error) has an outcome with ``error``; only a broken installation raises.
        """
        pii = {name.lower() for name in pii_columns}
        failed: dict[str, ExpectationValidationResult] = {}
        expectations = []
        for rule in suite.expectations:
            try:
                expectations.append(_expectation(rule, parameters or {}, row_id_column))
            except Exception as error:
                failed[rule.rule] = _not_evaluated(rule, str(error))
        try:
            batch = self._batch(schema, table)
        except Exception as error:
            message = f"cannot read {schema}.{table}: {_first_line(str(error))}"
            return [_outcome(suite, rule, _not_evaluated(rule, message), None, False) for rule in suite.expectations]
        engine = self._datasources[schema].get_execution_engine()
        gx_suite = ExpectationSuite(name=suite.name, expectations=expectations)
        result = batch.validate(
            gx_suite,
            # Counts and the query of failing rows. Values are not fetched here: with LIMIT n GX would scan
            # the table once more for every rule that passes.
            result_format={
                "result_format": "BASIC",
                "partial_unexpected_count": 0,
                "include_unexpected_rows": False,
                "unexpected_index_column_names": [row_id_column],
                "return_unexpected_index_query": True,
            },
        )
        by_rule = {str(item.expectation_config.meta["rule"]): item for item in result.results} | failed
        outcomes = []
        for rule in suite.expectations:
            item = by_rule.setdefault(rule.rule, _not_evaluated(rule, "GX returned no result for this rule"))
            private = bool(pii & {name.lower() for name in rule.columns})
            failing = _failing_rows(item, engine, row_id_column)
            outcome = _outcome(suite, rule, item, failing, private or not rule.columns)
            _clean(item, outcome, private)
            if failing is not None and rule.columns and not private:
                item.result["partial_unexpected_list"] = self._samples(
                    engine, sql.table_name(table, schema), rule, row_id_column, failing
                )
            outcomes.append(outcome)
        self._store(result, [by_rule[rule.rule] for rule in suite.expectations], gx_suite)
        return outcomes

    def build_docs(self) -> Path:
        """Write GX's Data Docs of the suites validated in this run; returns ``docs/index.html``."""
        identifiers: list[Any] = [*self._results]  # only this run, also when the folder holds earlier ones
        identifiers += {result.expectation_suite_identifier for result in self._results}
        self._context.build_data_docs(resource_identifiers=identifiers)
        return self._results_dir / _DOCS / "index.html"

    # --- internals ------------------------------------------------------------------------------------------

    def _configuration(self, run_name: str) -> DataContextConfig:
        stores = InMemoryStoreBackendDefaults()
        stores.stores[stores.validation_results_store_name]["store_backend"] = {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(self._results_dir / "validations"),
        }
        stores.data_docs_sites = {
            _DOCS: {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": {
                    "class_name": "TupleFilesystemStoreBackend",
                    "base_directory": str(self._results_dir / _DOCS),
                },
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                # A folder that also holds earlier runs must not make the docs of this one slower.
                "site_section_builders": {
                    "expectations": {
                        "class_name": "DefaultSiteSectionBuilder",
                        "source_store_name": stores.expectations_store_name,
                        "renderer": {"class_name": "ExpectationSuitePageRenderer"},
                    },
                    "validations": {
                        "class_name": "DefaultSiteSectionBuilder",
                        "source_store_name": stores.validation_results_store_name,
                        "renderer": {"class_name": "ValidationResultsPageRenderer"},
                        "run_name_filter": {"equals": run_name},
                    },
                    "profiling": "None",
                },
            }
        }
        return DataContextConfig(
            store_backend_defaults=stores,
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        )

    def _batch(self, schema: str, table: str) -> Any:
        if schema not in self._datasources:
            datasource: Any = self._context.data_sources.add_duckdb(
                f"warehouse_{schema}", connection_string=self._connection_string, schema_name=schema
            )
            self._datasources[schema] = datasource
        datasource = self._datasources[schema]
        try:
            asset = datasource.get_asset(table)
        except LookupError:
            asset = datasource.add_table_asset(name=table, table_name=table)
            asset.add_batch_definition_whole_table("all")
        return asset.get_batch_definition("all").get_batch()

    @staticmethod
    def _samples(engine: DuckDBExecutionEngine, table: str, rule: Rule, row_id_column: str, failing: str) -> list[Any]:
        columns = ", ".join(sql.quote(name) for name in rule.columns)
        row_id = sql.quote(row_id_column)
        rows = engine.fetch(f"SELECT {columns} FROM {table} WHERE {row_id} IN (FROM ({failing}) LIMIT {MAX_SAMPLES})")
        if len(rule.columns) == 1:
            return [_plain(value) for (value,) in rows]
        return [", ".join(str(_plain(value)) for value in row) for row in rows]

    def _store(
        self,
        result: ExpectationSuiteValidationResult,
        items: list[ExpectationValidationResult],
        suite: ExpectationSuite,
    ) -> None:
        passed = sum(bool(item.success) for item in items)
        stored = ExpectationSuiteValidationResult(
            success=passed == len(items),
            results=items,
            suite_name=suite.name,
            batch_id=result.batch_id,
            statistics={
                "evaluated_expectations": len(items),
                "successful_expectations": passed,
                "unsuccessful_expectations": len(items) - passed,
                "success_percent": 100 * passed / len(items) if items else None,
            },
            meta=dict(result.meta)
            | {
                "run_id": self._run_id,
                "validation_time": self._run_id.run_time,
                "validation_id": None,
                "checkpoint_id": None,
                "batch_parameters": None,
            },
        )
        suite_key = ExpectationSuiteIdentifier(name=suite.name)
        key = ValidationResultIdentifier(
            expectation_suite_identifier=suite_key, run_id=self._run_id, batch_identifier=result.batch_id
        )
        self._context.suites.add_or_update(suite)
        self._context.validation_results_store.store_validation_results(
            suite_validation_result=stored,
            suite_validation_result_identifier=key,
            expectation_suite_identifier=suite_key,
        )
        if key not in self._results:
            self._results.append(key)


def _resolve(value: Any, parameters: Mapping[str, object]) -> Any:
    """A kwarg with GX's ``{$PARAMETER: expression}`` replaced by values, also inside lists."""
    if isinstance(value, Mapping):
        if "$PARAMETER" in value:
            expression = str(value["$PARAMETER"])
            if expression in parameters:
                return parameters[expression]
            return parse_suite_parameter(expression, dict(parameters))
        return {name: _resolve(item, parameters) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, parameters) for item in value]
    return value


def _meta(rule: Rule) -> dict[str, Any]:
    return {"rule": rule.rule, **rule.meta.model_dump(exclude_none=True)}


def _description(rule: Rule) -> str:
    """The line of the Data Docs."""
    reasons = f"{rule.meta.reason_en} / {rule.meta.reason_zh}"
    return f"{rule.rule}: {reasons} (on failure: {rule.meta.on_failure}) [{rule.type}]"


def _expectation(rule: Rule, parameters: Mapping[str, object], row_id_column: str) -> Any:
    implementation: Any = get_expectation_impl(rule.type)
    kwargs = {name: _resolve(value, parameters) for name, value in rule.kwargs.items()}
    if implementation is library.ExpectNoRowsFromQuery:
        kwargs.setdefault("row_id_column", row_id_column)
    return implementation(**kwargs, severity=rule.severity, meta=_meta(rule), description=_description(rule))


def _not_evaluated(rule: Rule, message: str) -> ExpectationValidationResult:
    return ExpectationValidationResult(
        success=False,
        result={},
        exception_info={
            "raised_exception": True,
            "exception_message": message,
            "exception_traceback": "",
        },
        expectation_config=ExpectationConfiguration(
            type=rule.type,
            kwargs=rule.kwargs,
            meta=_meta(rule),
            severity=FailureSeverity(rule.severity),
            description=_description(rule),
        ),
    )


def _failing_rows(item: ExpectationValidationResult, engine: DuckDBExecutionEngine, row_id_column: str) -> str | None:
    """The SELECT of failing row ids, from GX's own query of unexpected rows."""
    configuration = item.expectation_config
    if _exception_message(item) is not None or configuration is None or not item.result.get("unexpected_count"):
        return None
    expectation: Any = configuration.to_domain_obj()
    batch_id = configuration.kwargs.get("batch_id")
    if isinstance(expectation, library.ExpectNoRowsFromQuery):
        own_query = str(expectation.unexpected_rows_query)
        return sql.row_ids(own_query, engine.batch_table(batch_id), expectation.row_id_column)
    query = item.result.get("unexpected_index_query")
    if not is_row_level(type(expectation)) or not query:
        return None
    row_id = sql.quote(row_id_column)
    failing = f"SELECT {row_id} FROM ({query.strip().rstrip(';')})"
    if configuration.kwargs.get("row_condition") or "ignore_row_if" in type(expectation).__fields__:
        # GX counts within the rule's domain but writes its query over the whole table.
        domain = engine.get_domain_records({**expectation._get_domain_kwargs(), "batch_id": batch_id})
        domain_rows = sql.selectable(domain, engine.engine)
        failing += f" WHERE {row_id} IN (SELECT {row_id} FROM {domain_rows})"
    return failing


def _outcome(
    suite: Suite, rule: Rule, item: ExpectationValidationResult, failing: str | None, private: bool
) -> RuleOutcome:
    message = _exception_message(item)
    evaluated = int(item.result.get("element_count") or 0)
    row_level = is_row_level(get_expectation_impl(rule.type))
    unexpected = int(item.result.get("unexpected_count") or 0) if row_level and message is None else 0
    return RuleOutcome(
        rule=rule.rule,
        source=suite.source,
        entity=suite.entity,
        column=rule.column,
        expectation_type=rule.type,
        severity=rule.severity,
        on_failure=rule.meta.on_failure,
        success=bool(item.success) and message is None,
        evaluated=evaluated,
        unexpected=unexpected,
        unexpected_share=unexpected / evaluated if evaluated else 0.0,
        failing_rows_sql=failing,
        error=None if message is None else _readable(message, private),
        findings=() if message or row_level else _findings(item),
    )


def _findings(item: ExpectationValidationResult) -> tuple[str, ...]:
    """What a rule about the whole table saw: our rules say it in words, of GX's only counts are safe to show."""
    observed = item.result.get("observed_value")
    if isinstance(observed, int | float):
        return (f"observed {observed:,}",)
    configuration = item.expectation_config
    ours = configuration is not None and issubclass(get_expectation_impl(configuration.type), TableExpectation)
    return tuple(observed) if ours and isinstance(observed, list) else ()


def _exception_message(item: ExpectationValidationResult) -> str | None:
    """Message of the exception behind a result; GX stores one, or one per metric."""
    information: dict[str, Any] = dict(item.exception_info or {})
    if "raised_exception" in information:
        return str(information["exception_message"]) if information["raised_exception"] else None
    for details in information.values():
        message = details["exception_message"] if hasattr(details, "keys") else details.exception_message
        return str(message)
    return None


def _first_line(message: str) -> str:
    return message.strip().split("\n", 1)[0]


def _readable(message: str, private: bool) -> str:
    """One line without values of the data: DuckDB quotes the value it could not convert."""
    line = _first_line(message)
    kind = re.search(r"(Conversion|Invalid Input|Out of Range|Constraint) Error", line)
    if kind is None:
        return line
    if private:
        return f"{kind.group(0)} (the message is withheld: it may quote a value)"
    return re.sub(r"'.*'", "'...'", line)


def _clean(item: ExpectationValidationResult, outcome: RuleOutcome, private: bool) -> None:
    """Make a result fit to be kept: no traceback, no long lists, no values of personal data."""
    if outcome.error is not None:
        item.success = False
        item.exception_info = {
            "raised_exception": True,
            "exception_message": outcome.error,
            "exception_traceback": "",
        }
        item.result = {}
        return
    row_level = is_row_level(get_expectation_impl(outcome.expectation_type))
    if private:
        allowed = _COUNTS if row_level else {"element_count"}
        item.result = {name: value for name, value in item.result.items() if name in allowed}
    else:
        item.result.pop("details", None)
        observed = item.result.get("observed_value")
        if isinstance(observed, list):
            item.result["observed_value"] = observed[:MAX_SAMPLES]
        if not row_level:
            item.result.pop("unexpected_count", None)  # of distinct values; the docs would divide it by rows


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
