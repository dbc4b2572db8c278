"""Probabilistic matching of what keys left open, with Splink and parameters that are frozen in ``model.json``.

The file is Splink's own settings with the m and u probability of every level, and a version that each decision
names. Nothing is trained at night; ``estimate`` writes a new file from labelled records, which then is a change of
code like any other.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.company.profile import Profile
from customer_tiering.errors import TieringError
from customer_tiering.warehouse.connection import open_warehouse

MODEL_FILE = Path(__file__).with_name("model.json")
_KEYS = "intermediate.int_identity_keys"
_FEWEST_LABELS = 50
# DuckDB measures the distance of texts in bytes, of which a Chinese character has three: one ASCII sign for each
# character makes a typing error count once. Two characters may share a sign; equality is told by the name itself.
_SKETCH = (
    "list_aggregate(list_transform(string_split(k.name_key, ''), lambda c: chr(33 + ord(c) % 93)), 'string_agg', '')"
)
_SMOOTHING = 0.5  # added to every level's count: what was not seen is rare, not impossible
# Two records of a source that keeps accounts are two customers unless a tax id says no, and so are two records with
# different tax ids; there is no need to compare them.
_COMPARED = "not (l.is_registry and r.is_registry and l.source = r.source) and coalesce(l.tax_key = r.tax_key, true)"


@dataclass(frozen=True)
class Model:
    """Frozen parameters of the match weight."""

    version: str
    estimated_from: str
    settings: dict[str, Any]

    @property
    def comparisons(self) -> dict[str, dict[int, str]]:
        """Per compared property: the labels of its levels by the number that Splink gives them."""
        found = {}
        for comparison in self.settings["comparisons"]:
            levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
            found[str(comparison["output_column_name"])] = {
                len(levels) - 1 - position: str(level["label_for_charts"]) for position, level in enumerate(levels)
            }
        return found


def load_model(path: Path = MODEL_FILE) -> Model:
    """Read the frozen parameters. Raises ``TieringError`` when the file is not sound."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        model = Model(str(content["version"]), str(content["estimated_from"]), dict(content["settings"]))
        for comparison in model.settings["comparisons"]:
            for level in comparison["comparison_levels"]:
                if not level.get("is_null_level") and not (
                    0 < level["m_probability"] <= 1 and 0 < level["u_probability"] <= 1
                ):
                    raise ValueError(f"{comparison['output_column_name']}: m and u lie between 0 and 1")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TieringError(
            f"the match model {path} cannot be used: {error}", "take it from the repository, or estimate it again"
        ) from error
    return model


@dataclass(frozen=True)
class Likeness:
    """Two records and the log2 odds that they are one company; what agrees, in words."""

    left: str
    right: str
    weight: Decimal
    agreed: str
    is_same_source: bool


def likenesses(
    connection: duckdb.DuckDBPyConnection, model: Model, open_records: set[str], least_weight: Decimal
) -> list[Likeness]:
    """Pairs with at least one open record whose match weight is ``least_weight`` or more."""
    if not open_records:
        return []
    with _linker(connection, model.settings, open_records, any_open=True) as linker:
        if linker is None:
            return []
        predicted = linker.inference.predict(
            threshold_match_weight=float(least_weight) - 0.01, warning_mode="never"
        ).as_duckdbpyrelation()
        gammas = list(model.comparisons)
        selected = ", ".join(f'"gamma_{name}"' for name in gammas)
        rows = predicted.select(
            f"least(record_id_l, record_id_r), greatest(record_id_l, record_id_r), match_weight, "
            f"source_l = source_r, {selected}"
        ).fetchall()
    found = []
    for left, right, weight, same, *levels in rows:
        rounded = Decimal(repr(weight)).quantize(Decimal("0.01"))  # the last digits depend on the machine
        if rounded >= least_weight:
            found.append(Likeness(left, right, rounded, _agreed(model, dict(zip(gammas, levels, strict=True))), same))
    return sorted(found, key=lambda likeness: (-likeness.weight, likeness.left, likeness.right))


def _agreed(model: Model, levels: Mapping[str, int]) -> str:
    """``phone, nearly name``: what is equal, and what is nearly so."""
    words = []
    for name, labels in model.comparisons.items():
        label = labels.get(levels[name], "unknown")
        if label == "equal":
            words.append(name)
        elif label not in ("different", "unknown"):
            words.append(f"{label} {name}")
    return ", ".join(words)


@contextmanager
def _linker(
    connection: duckdb.DuckDBPyConnection, settings: dict[str, Any], open_records: set[str], *, any_open: bool
) -> Iterator[Any]:
    """A Splink linker on a copy of the keys in memory, so that its tables never stand in the warehouse; None when
    there is nothing to compare with."""
    keys = connection.execute(f"select * from {_KEYS} order by record_id").to_arrow_table()
    with duckdb.connect() as memory:
        import pyarrow as pa

        memory.register("warehouse_keys", keys)
        memory.register("open_ids", pa.table({"record_id": sorted(open_records)}))
        memory.execute(
            f"create table identity_keys as select k.*, {_SKETCH} as name_sketch, o.record_id is not null as is_open "
            "from warehouse_keys k left join open_ids o using (record_id)"
        )
        if any_open and not _is_comparable(memory):
            yield None
            return
        from splink import DuckDBAPI, Linker

        yield Linker(DuckDBAPI(memory).register("identity_keys"), settings, log_level=None)


def _is_comparable(memory: duckdb.DuckDBPyConnection) -> bool:
    """Whether there are two records of which one is open and that may be one customer: importing Splink takes time."""
    row = memory.execute(
        "select count(distinct source) > 1 or bool_or(not is_registry) from identity_keys "
        "having bool_or(is_open) and count(*) > 1"
    ).fetchone()
    return bool(row and row[0])


def estimate(
    connection: duckdb.DuckDBPyConnection, company_of: Mapping[str, str], version: str, origin: str
) -> dict[str, Any]:
    """The content of a new ``model.json``: m from labelled pairs of one company that neither crosswalk nor tax id ties
    (what the model is for), u from pairs of two companies, the prior from how many pairs there are of each.

    ``company_of`` maps record ids to companies. Raises ``TieringError`` when there are too few labelled pairs.
    """
    frozen = json.loads(MODEL_FILE.read_text(encoding="utf-8"))
    settings = frozen["settings"]
    every_pair = settings | {
        "additional_columns_to_retain": ["source", "linked_record_id", "tax_key"],
        "blocking_rules_to_generate_predictions": [
            {"blocking_rule": f"1 = 1 and {_COMPARED}", "sql_dialect": "duckdb"}
        ],
    }
    for comparison in every_pair["comparisons"]:  # Splink wants numbers, whatever they are, before it compares
        for level in comparison["comparison_levels"]:
            if not level.get("is_null_level"):
                level.setdefault("m_probability", 0.5)
                level.setdefault("u_probability", 0.5)
    gammas = ", ".join(f'"gamma_{comparison["output_column_name"]}"' for comparison in settings["comparisons"])
    same: dict[tuple[int, ...], int] = {}
    different: dict[tuple[int, ...], int] = {}
    with _linker(connection, every_pair, set(company_of), any_open=False) as linker:
        predicted = linker.inference.predict(warning_mode="never").as_duckdbpyrelation()
        import pyarrow as pa

        labels = pa.table({"record_id": list(company_of), "company": list(company_of.values())})
        rows = predicted.query(
            "predicted",
            f"""
            select a.company = b.company, count(*), {gammas}
            from predicted p
            join labels a on p.record_id_l = a.record_id
            join labels b on p.record_id_r = b.record_id
            where
                a.company <> b.company
                or not (
                    coalesce(p.linked_record_id_l = p.record_id_r, false)
                    or coalesce(p.linked_record_id_r = p.record_id_l, false)
                    or coalesce(p.tax_key_l = p.tax_key_r, false)
                )
            group by all
            """,
        ).fetchall()
        del labels
    for is_same, count, *levels in rows:
        (same if is_same else different)[tuple(levels)] = count
    matches, others = sum(same.values()), sum(different.values())
    if matches < _FEWEST_LABELS:
        raise TieringError(
            f"only {matches} labelled pairs are tied by neither crosswalk nor tax id; {_FEWEST_LABELS} are needed",
            "label more records, or keep the frozen parameters",
        )
    for position, comparison in enumerate(settings["comparisons"]):
        levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
        for probability, counts in (("m_probability", same), ("u_probability", different)):
            by_level = [
                sum(count for gammas, count in counts.items() if gammas[position] == len(levels) - 1 - rank)
                for rank in range(len(levels))
            ]
            total = sum(by_level) + _SMOOTHING * len(levels)
            for level, count in zip(levels, by_level, strict=True):
                level[probability] = round((count + _SMOOTHING) / total, 9)
    settings["probability_two_random_records_match"] = round(matches / (matches + others), 9)
    said = f"{origin}; {matches:,} pairs of one company, {others:,} of two"
    return {"version": version, "estimated_from": said, "settings": settings}


def estimate_from_file(profile: Profile, labels: Path, out: Path, version: str) -> None:
    """Estimate from a profile's warehouse and a CSV that names the company of each record; write the parameters.

    Raises ``TieringError`` when the labels cannot be read or are too few.
    """
    try:
        with labels.open(encoding="utf-8-sig", newline="") as stream:
            company_of = {f"{row['source']}-{row['source_key']}": row["true_company"] for row in csv.DictReader(stream)}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise TieringError(
            f"{labels}: the labels cannot be read: {error!r}", "give a CSV with true_company, source, source_key"
        ) from error
    with open_warehouse(profile.workspace) as connection:
        content = estimate(connection, company_of, version, f"records of {profile.name}, labels {labels.name}")
    out.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
