"""Did the pipeline find the truth about the generated company? Recall and precision: of the gate, per rule, for the
injected dirt, and of the customer ids, for the pairs of records that are one company."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import duckdb

from customer_tiering.errors import TieringError
from customer_tiering.sql import literal, quote

Key = tuple[tuple[str, str | None], ...]
# Kinds that the gate decides; `identity` is about which records are one customer.
ACTIONS = ("quarantine", "repair", "merge")
# The truth names keys as the sources do, the gate as the input tables do.
_INPUT_COLUMNS = {
    "account_id": "customer_id",
    "account_name": "customer_name",
    "comment_id": "event_id",
    "created_at": "registered_on",
    "customer_code": "customer_id",
    "invoice_no": "invoice_id",
    "line_no": "line_id",
    "order_date": "ordered_on",
    "order_no": "order_id",
    "payment_no": "payment_id",
}


@dataclass(frozen=True)
class RuleScore:
    """What a rule found against what was injected for it. Rows are counted, shares lie between 0 and 1."""

    rule: str
    action: str
    injected: int
    found: int
    hits: int
    true_flags: int

    @property
    def recall(self) -> float:
        """Share of the injected rows that the rule found."""
        return self.hits / self.injected if self.injected else 1.0

    @property
    def precision(self) -> float:
        """Share of the found rows that were injected dirt. A row may rightly break a second rule: the
        mistyped line of an order that is kept out also refers to an order that was not accepted."""
        return self.true_flags / self.found if self.found else 1.0


def evaluate(connection: duckdb.DuckDBPyConnection, truth_file: Path) -> list[RuleScore]:
    """Scores of every rule that the truth file or the gate names, for actions that the gate decides.

    Raises ``TieringError`` when there is no truth file.
    """
    if not truth_file.exists():
        raise TieringError(f"there is no truth file {truth_file}", "only a generated company has one: make run")
    injected: dict[str, Counter[Key]] = defaultdict(Counter)
    actions: dict[str, str] = {}
    key_columns: dict[str, tuple[str, ...]] = {}
    dirty_of_action: dict[tuple[str, str], set[Key]] = defaultdict(set)
    for line in truth_file.read_text(encoding="utf-8").splitlines():
        truth = json.loads(line)
        if truth["action"] not in ACTIONS:
            continue
        named = {_INPUT_COLUMNS.get(column, column): value for column, value in truth["key"].items()}
        key = tuple((column, _text(value)) for column, value in sorted(named.items()))
        rule = truth["rule"]
        injected[rule][key] += 1
        actions[rule] = truth["action"]
        key_columns[rule] = tuple(sorted(named))
        dirty_of_action[f"{truth['source']}.{truth['entity']}", truth["action"]].add(key)
    scores = []
    for rule in sorted(actions):
        action, (source, entity, _) = actions[rule], rule.split(".")
        found = _found(connection, rule, source, entity, action, key_columns[rule])
        dirty = dirty_of_action[f"{source}.{entity}", action]
        same_shape = {key for key in dirty if tuple(column for column, _ in key) == key_columns[rule]}
        scores.append(
            RuleScore(
                rule=rule,
                action=action,
                injected=injected[rule].total(),
                found=found.total(),
                hits=(injected[rule] & found).total(),
                true_flags=sum(count for key, count in found.items() if key in same_shape),
            )
        )
    return scores


@dataclass(frozen=True)
class IdentityScore:
    """Pairs of records that are one company: in truth, as found, and both. Shares lie between 0 and 1."""

    pairs: str
    true: int
    found: int
    hits: int

    @property
    def recall(self) -> float:
        """Share of the true pairs that have one customer id."""
        return self.hits / self.true if self.true else 1.0

    @property
    def precision(self) -> float:
        """Share of the pairs with one customer id that are one company."""
        return self.hits / self.found if self.found else 1.0


def evaluate_identities(connection: duckdb.DuckDBPyConnection, truth_file: Path) -> list[IdentityScore]:
    """Pairwise scores over all records, and without the pairs of which one record carries the other's id: the
    crosswalk makes those, and they are many.

    Raises ``TieringError`` when there is no truth file.
    """
    if not truth_file.exists():
        raise TieringError(f"there is no truth file {truth_file}", "only a generated company has one: make run")
    pairs = "sum(n * (n - 1) // 2)"
    row = connection.execute(
        f"""
        with truth as (
            select true_company, source || '-' || source_key as record_id
            from read_csv({literal(str(truth_file))}, all_varchar = true, header = true)
        ), decided as (
            select t.true_company, t.record_id, i.customer_id, k.linked_record_id
            from truth t
            left join intermediate.int_customer_ids i on t.record_id = i.source || '-' || i.source_customer_id
            left join intermediate.int_identity_keys k on t.record_id = k.record_id
        ), crosswalk as (
            select
                count(*) filter (d.true_company = o.true_company) as true_pairs,
                count(*) filter (d.customer_id = o.customer_id) as found,
                count(*) filter (d.true_company = o.true_company and d.customer_id = o.customer_id) as hits
            from decided d join decided o on d.linked_record_id = o.record_id
        )
        select
            (select {pairs} from (select count(*) n from decided group by true_company)),
            (select {pairs} from (
                select count(*) n from decided where customer_id is not null group by customer_id
            )),
            (select {pairs} from (
                select count(*) n from decided where customer_id is not null group by true_company, customer_id
            )),
            c.*
        from crosswalk c
        """
    ).fetchone()
    true, found, hits, linked_true, linked_found, linked_hits = (int(count or 0) for count in row or [0] * 6)
    return [
        IdentityScore("all", true, found, hits),
        IdentityScore("without crosswalk", true - linked_true, found - linked_found, hits - linked_hits),
    ]


def _found(
    connection: duckdb.DuckDBPyConnection, rule: str, source: str, entity: str, action: str, columns: tuple[str, ...]
) -> Counter[Key]:
    """Keys that the gate kept out, flagged or merged by a rule. A uniqueness rule flags every copy of a key;
    all but one of them are merged away."""
    schema, facts = ("quarantine", "quarantine.failures") if action == "quarantine" else ("raw", "meta.row_flags")
    selected = ", ".join(f"t.{quote(column)}" for column in columns)
    rows = connection.execute(
        f"select {selected} from {quote(schema, f'{source}__{entity}')} t join {facts} f on t._row_id = f.row_id "
        f"where f.source = {literal(source)} and f.entity = {literal(entity)} and f.rule = {literal(rule)}"
    ).fetchall()
    found = Counter(tuple(zip(columns, (_text(value) for value in row), strict=True)) for row in rows)
    if action == "merge":
        found = Counter({key: count - 1 for key, count in found.items() if count > 1})
    return found


def _text(value: object) -> str | None:
    return None if value in (None, "") else str(value)
