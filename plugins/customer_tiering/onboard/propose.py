"""Which input table each found table is, and which column is what: by names in two languages, by what the texts can be
read as, by uniqueness, and by values that tables share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from customer_tiering.inputs.tables import Column, InputTable, input_tables
from customer_tiering.inputs.types import EXCEL_SERIAL, Form, half_width, pick
from customer_tiering.onboard.probe import Found
from customer_tiering.sql import literal

NO_VALUE = ("-", "--", "N/A", "n/a", "NA", "NULL", "null", "None", "无", "暂无", "未知", "?", "/")
_DATE_FORMATS = (
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%b %d, %Y",
    "%d %b %Y",
)
# Readings of one column that differ; what the column itself says decides, else a person.
_EITHER = {"%d/%m/%Y": "%m/%d/%Y", "%d-%m-%Y": "%m-%d-%Y", "%d/%m/%y": "%m/%d/%y"}
# Words of column names that mean the same: doc_no is the order_id of a list of documents.
_MEANING = {
    word: meaning
    for meaning, words in {
        "amount": "amt total value",
        "customer": "account acct buyer client cust debtor",
        "id": "code key no nr num number",
        "name": "nm",
        "on": "at date day dt time",
        "order": "doc document sale transaction voucher",
        "phone": "cell mobile tel telephone",
        "product": "article item material sku",
        "quantity": "pcs qty",
        "status": "state",
        "updated": "changed modified",
    }.items()
    for word in words.split()
}
_NO_WORDS = frozenset({"dim", "fct", "of", "t", "tbl", "the", "v", "vw"})
_SAME_WORDS = 0.9
_ENOUGH = 0.9
_SURE = 8.0


@dataclass
class Proposal:
    """A found table as an input table: its column mappings, as a profile says them, and what is open."""

    found: Found
    table: str | None
    columns: dict[str, Any] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    sure: bool = True
    missing: tuple[str, ...] = ()

    @property
    def declared(self) -> InputTable:
        return input_tables()[self.table or ""]

    def native(self, name: str) -> str | None:
        """The one native column that an input column is, if it is one."""
        said = self.columns.get(name)
        return said if isinstance(said, str) else said.get("column") if isinstance(said, dict) else None


@dataclass(frozen=True)
class Question:
    """Something that the data leaves open: what is asked, the flag that answers it, and what is proposed."""

    text: str
    flag: str
    proposal: str


class Sample:
    """The sample rows of a found table, to be asked in SQL."""

    def __init__(self, found: Found) -> None:
        self.connection = duckdb.connect()
        # A native name may hold anything, so columns are asked by their position.
        self.names = {native: f"c{position}" for position, native in enumerate(found.columns)}
        columns = {self.names[name]: pa.array([row[name] for row in found.rows], pa.string()) for name in found.columns}
        self.connection.register("rows", pa.table(columns))
        self.rows = len(found.rows)

    def readable(self, native: str, column: Column, form: Form) -> float:
        """Share of the texts of a native column that an input column would read; 0 when there is no text."""
        text = self._text(native)
        row = self.connection.execute(
            f"select count(t), count({column.read('t', form)}) from (select {text} as t from rows)"
        ).fetchone()
        filled, read = row or (0, 0)
        return read / filled if filled else 0.0

    def unreadable(self, native: str, column: Column, form: Form) -> list[str]:
        """Texts that it would not read, the most frequent first."""
        return [
            value
            for (value,) in self.connection.execute(
                # A condition would be evaluated over the picked text once per place where it stands.
                f"with picked as materialized (select {self._text(native)} as t, count(*) as n from rows group by 1), "
                f"judged as materialized (select t, n, ({column.read('t', form)}) is null as is_unread from picked) "
                "select t from judged where t is not null and is_unread order by n desc, t limit 20"
            ).fetchall()
        ]

    def filled(self, native: str) -> float:
        row = self.connection.execute(f"select count({self._text(native)}) from rows").fetchone()
        return row[0] / self.rows if row and self.rows else 0.0

    def repeats(self, native: str) -> float:
        """Share of the filled rows whose text came before, rows that are wholly alike counting once."""
        row = self.connection.execute(
            f"select count(t), count(distinct t) from (select distinct *, {self._text(native)} as t from rows)"
        ).fetchone()
        filled, distinct = row or (0, 0)
        return 1 - distinct / filled if filled else 0.0

    def values(self, native: str) -> set[str]:
        text = half_width(self._text(native))
        return {value for (value,) in self.connection.execute(f"select distinct {text} from rows").fetchall() if value}

    def words_without_value(self, native: str) -> list[str]:
        """Its texts that mean no value."""
        text = pick(self.names[native])
        known = ", ".join(map(literal, NO_VALUE))
        return [
            word
            for (word,) in self.connection.execute(
                f"select distinct {text} from rows where {text} in ({known}) order by 1"
            ).fetchall()
        ]

    def _text(self, native: str) -> str:
        text = pick(self.names[native])
        return f"case when {text} not in ({', '.join(map(literal, NO_VALUE))}) then {text} end"


def propose(found: list[Found], chosen: Mapping[str, str], day_first: bool) -> list[Proposal]:
    """A proposal per found table. ``chosen`` names the input table of some (``skip`` for none), by their name."""
    samples = {item.name: Sample(item) for item in found}
    proposals = [_best(item, samples[item.name], chosen.get(item.name)) for item in found]
    _keep_best_of_each_table(proposals, chosen)
    _agree_on_customers(proposals, samples)
    for proposal in proposals:
        if proposal.table:
            _settle_forms(proposal, samples[proposal.found.name], day_first)
    return proposals


# --- which table -------------------------------------------------------------------------------------------


def _best(found: Found, sample: Sample, wanted: str | None) -> Proposal:
    if wanted == "skip" or not found.rows:
        return Proposal(found, None)
    candidates = [wanted] if wanted else list(input_tables())
    scored = sorted(
        ((*_fit(found, sample, input_tables()[name]), name) for name in candidates), key=lambda item: -item[0]
    )
    score, columns, name = scored[0]
    if score <= 0 and not wanted:
        return Proposal(found, None)
    runner_up = scored[1][0] if len(scored) > 1 else 0.0
    if name == "orders" and not wanted and _is_lines(columns, sample):
        lines = next((item for item in scored if item[2] == "order_lines" and item[0] > 0), None)
        if lines:
            return Proposal(found, "order_lines", lines[1], sure=True)
    return Proposal(found, name, columns, sure=bool(wanted) or (score >= _SURE and score > 1.2 * runner_up))


def _is_lines(columns: dict[str, Any], sample: Sample) -> bool:
    order = columns.get("order_id")
    return isinstance(order, str) and sample.repeats(order) > 0.05


def _fit(found: Found, sample: Sample, table: InputTable) -> tuple[float, dict[str, Any]]:
    """How well a found table is an input table (0: not at all), and the columns that make it so."""
    pairs = []
    for column in table.columns:
        for native in found.columns:
            likeness = _likeness(native, column, table)
            if likeness and (column.type == "text" or (likely := sample.readable(native, column, Form())) > 0.5):
                pairs.append((likeness + (0.0 if column.type == "text" else 0.2 * likely), column.name, native))
            elif likeness and (column.is_time or column.type in ("money", "quantity", "number") or column.levels):
                # The name says it, the texts need a format or words that are still to be settled.
                if column.is_time and not _looks_like_dates(found, native):
                    continue
                pairs.append((likeness - 0.3, column.name, native))
    columns: dict[str, Any] = {}
    taken: set[str] = set()
    for _, name, native in sorted(pairs, key=lambda pair: (-pair[0], table.names.index(pair[1]))):
        if name not in columns and native not in taken:
            columns[name] = native
            taken.add(native)
    _fill_gaps(columns, found, table)
    needed = {column.name for column in table.columns if column.required and column.default is None}
    if table.name == "order_lines":
        needed = needed - {"line_id"} | {"customer_id", "ordered_on"} - (set() if "order_id" in columns else {"x"})
    columns = {name: columns[name] for name in table.names if name in columns}
    if needed - set(columns) or not _names_rows(columns, sample, table):
        return 0.0, columns
    score = sum(3.0 if name in table.key else 2.0 if name in needed else 1.0 for name in columns)
    score += 4.0 * max(
        _same(_stem(found), word) for word in (table.name, table.label_en, table.label_zh, *table.synonyms)
    )
    return score, columns


def _names_rows(columns: dict[str, Any], sample: Sample, table: InputTable) -> bool:
    """Whether the key can be one: it is filled, and where a row is a thing of its own, it hardly repeats."""
    natives = [said for name in table.key if isinstance(said := columns.get(name), str)]
    if any(sample.filled(native) < 0.5 for native in natives):
        return False
    return len(table.key) > 1 or not natives or table.name == "orders" or sample.repeats(natives[0]) < 0.5


def _fill_gaps(columns: dict[str, Any], found: Found, table: InputTable) -> None:
    """What stands in for a key that is not there: a name for an id, customer and day for an order number."""
    if "customer_id" in table.names and "customer_id" not in columns and isinstance(columns.get("customer_name"), str):
        columns["customer_id"] = columns["customer_name"]
    if table.name == "order_lines":
        if "net_amount" not in columns and {"quantity", "unit_price"} <= set(columns):
            columns["net_amount"] = {"product": [columns["quantity"], columns["unit_price"]]}
        if "order_id" not in columns and {"customer_id", "ordered_on", "net_amount"} <= set(columns):
            columns["order_id"] = {"join": [columns["customer_id"], columns["ordered_on"]]}
    if len(table.key) == 1 and table.key[0] not in columns and table.name in ("interactions", "surveys"):
        columns[table.key[0]] = {"join": list(found.columns)}


def _stem(found: Found) -> str:
    """What a found table is called, without folder, day and extension."""
    label = found.name.split(" › ")[-1]
    return re.sub(r"\.[A-Za-z]+(\.gz)?$|[-_ ]*\d[\d-]*$", "", re.sub(r"\.[A-Za-z]+(\.gz)?$", "", label))


def _likeness(native: str, column: Column, table: InputTable) -> float:
    words = (column.name, column.label_en, column.label_zh, *column.synonyms)
    best = 0.0
    for rank, word in enumerate(words):
        same = _same(native, word)
        # The table's own name in front of a column says nothing new: order_status is the status of an order.
        same = max(
            same,
            0.95 * _same(native, f"{table.name.rstrip('s')}_{word}"),
            0.95 * _same(native, f"{table.label_zh}{word}"),
        )
        best = max(best, same - 0.004 * rank)
    return best


def _same(left: str, right: str) -> float:
    """1 for the same name, less for one that only holds the other, 0 for another one."""
    one, other = _plain(left), _plain(right)
    if not one or not other:
        return 0.0
    if one == other:
        return 1.0
    chinese = bool(re.search(r"[\u4e00-\u9fff]", other))
    if len(other) >= (2 if chinese else 5) and (one.endswith(other) or one.startswith(other)):
        return 0.55 + 0.3 * len(other) / len(one)
    return _SAME_WORDS if len(words := _words(left)) > 1 and words == _words(right) else 0.0


@cache
def _words(name: str) -> frozenset[str]:
    """The words of an English name, whatever their order, with one word for all that mean the same."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    words = (part.lower() for part in parts)
    return frozenset(_MEANING.get(word, _MEANING.get(word.removesuffix("s"), word)) for word in words) - _NO_WORDS


@cache
def _plain(name: str) -> str:
    return re.sub(r"[\s_\-.#()（）:：/*]+|（.*?）|\(.*?\)", "", name).lower()


def _looks_like_dates(found: Found, native: str) -> bool:
    texts = [text for row in found.rows[:200] if (text := row[native])]
    return bool(texts) and sum(bool(re.search(r"\d", text)) for text in texts) > 0.5 * len(texts)


def _keep_best_of_each_table(proposals: list[Proposal], chosen: Mapping[str, str]) -> None:
    """A source says an input table once: of two found tables the one with more columns is it, the other is left."""
    best: dict[tuple[tuple[str, str], str], Proposal] = {}
    for proposal in proposals:
        if not proposal.table:
            continue
        place = (proposal.found.home, proposal.table)
        other = best.get(place)
        if other is None or _size(proposal) > _size(other):
            best[place] = proposal
    for proposal in proposals:
        if proposal.table and best[proposal.found.home, proposal.table] is not proposal:
            if proposal.found.name in chosen:
                continue
            proposal.table, proposal.columns, proposal.sure = None, {}, False


def _size(proposal: Proposal) -> int:
    """Cells that it would bring, in the sample."""
    return len(proposal.columns) * len(proposal.found.rows)


# --- which customer ----------------------------------------------------------------------------------------


def _agree_on_customers(proposals: list[Proposal], samples: Mapping[str, Sample]) -> None:
    """The columns by which tables name customers are those that share values: ids, or names where there are no ids."""
    customers = next((item for item in proposals if item.table == "customers"), None)
    if customers is None:
        return
    own = samples[customers.found.name]
    candidates = dict.fromkeys(filter(None, (customers.native("customer_id"), customers.native("customer_name"))))
    best: tuple[float, str] | None = None
    for proposal in proposals:
        if not proposal.table or proposal is customers or "customer_id" not in proposal.columns:
            continue
        sample = samples[proposal.found.name]
        natives = dict.fromkeys(filter(None, (proposal.native("customer_id"), proposal.native("customer_name"))))
        pairs = [
            (_overlap(sample.values(native), own.values(key)), key, native) for key in candidates for native in natives
        ]
        if not pairs:
            continue
        shared, key, native = max(pairs, key=lambda pair: pair[0])
        if shared > 0.3:
            proposal.columns["customer_id"] = native
            if best is None or shared > best[0]:
                best = (shared, key)
    if best:
        customers.columns["customer_id"] = best[1]


def _overlap(values: set[str], known: set[str]) -> float:
    return len(values & known) / len(values) if values else 0.0


# --- forms -------------------------------------------------------------------------------------------------


def _settle_forms(proposal: Proposal, sample: Sample, day_first: bool) -> None:
    """Formats of dates, decimal signs and words for levels, as far as the column itself says them."""
    said_missing = []
    for name in list(proposal.columns):
        native = proposal.native(name)
        if native is None:
            continue
        column = proposal.declared.column(name)
        said_missing += sample.words_without_value(native)
        if column.is_time:
            formats = _date_formats(proposal, sample, native, column, day_first)
            if formats:
                proposal.columns[name] = {"column": native, "formats": formats}
        elif column.type in ("money", "quantity", "number", "share"):
            plain, comma = (sample.readable(native, column, Form(decimal=sign)) for sign in ".,")
            if comma > plain:
                proposal.columns[name] = {"column": native, "decimal": ","}
        elif column.levels:
            unknown = sample.unreadable(native, column, Form())
            for word in unknown[:10]:
                proposal.questions.append(
                    Question(
                        f"{proposal.found.name}, {native}: what is {word!r}? ({', '.join(column.levels)})",
                        f"--value {proposal.table}.{name}.{word}=",
                        "",
                    )
                )
    proposal.missing = tuple(dict.fromkeys(said_missing))


def _date_formats(proposal: Proposal, sample: Sample, native: str, column: Column, day_first: bool) -> list[str]:
    """Formats that read what the plain forms do not."""
    plain = sample.readable(native, column, Form())
    if plain > 0.995:
        return []
    gains = {
        name: sample.readable(native, column, Form(formats=(name,))) - plain for name in (*_DATE_FORMATS, EXCEL_SERIAL)
    }
    best = max(gains, key=lambda name: gains[name])
    if gains[best] < 0.005:
        return []
    other = _EITHER.get(best) or next((key for key, value in _EITHER.items() if value == best), None)
    if other and abs(gains[other] - gains[best]) < 1e-9:
        best = min(best, other, key=lambda name: name.startswith("%d") != day_first)
        texts = ", ".join(sample.unreadable(native, column, Form())[:3])
        proposal.questions.append(
            Question(
                f"{proposal.found.name}, {native}: do {texts} begin with the day or with the month? "
                "The column itself does not say",
                f"--format {proposal.table}.{column.name}=",
                best,
            )
        )
    return [best]
