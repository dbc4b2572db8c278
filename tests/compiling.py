"""Compiled schemes run on a few customers in memory, without dbt: the same queries, the same engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from customer_tiering.company.workspace import project_root
from customer_tiering.rules.compile import compile_schemes
from customer_tiering.rules.schemes import read_schemes, scheme_rows
from customer_tiering.rules.seeds import SEEDS, Rules, read_seed
from customer_tiering.rules.versions import land_rules
from customer_tiering.sql import fetch_rows, quote
from customer_tiering.yaml_text import load_yaml

NIGHT = date(2026, 3, 30)
_SETTINGS = project_root() / "dbt_project/seeds/settings.csv"
_INDICATORS = project_root() / "dbt_project/models/marts/indicators/fct_customer_indicators.yml"
# What each part makes, and what it reads.
_PARTS: dict[str, tuple[str, Mapping[str, str]]] = {
    "scores": ("scores", {"indicators": "indicators", "customers": "customers", "as_of_dates": "as_of_dates"}),
    "neutral_scores": ("neutral", {"scores": "scores"}),
    "cluster_features": ("features", {"scores": "scores", "as_of_dates": "as_of_dates", "accepted": "accepted"}),
    "tiers_wide": ("tiers_wide", {"scores": "scores", "neutral": "neutral", "clusters": "clusters"}),
    "computed_tiers": ("tiers", {"tiers": "tiers_wide"}),
    "dimension_scores": ("dimensions", {"tiers": "tiers_wide"}),
    "indicator_scores": ("explained", {"scores": "scores", "neutral": "neutral"}),
}


class Compiled:
    """A night in memory: ``tiers``, ``dimensions``, ``explained`` and ``features`` are the tables to look at."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self._versions: dict[date, str] = {}
        (model,) = load_yaml(_INDICATORS.read_text(encoding="utf-8"))["models"]
        columns = ", ".join(f"{quote(column['name'])} {column['data_type']}" for column in model["columns"])
        self.connection.execute(
            f"create schema rules; create table indicators ({columns}); "
            "create table customers (customer_id varchar, customer_kind varchar); "
            "create table as_of_dates (as_of_date date, rules_version varchar, kind varchar); "
            "create table accepted (customer_id varchar, scheme varchar, computed_tier varchar); "
            "create table clusters "
            "(customer_id varchar, scheme varchar, dimension varchar, as_of_date date, cluster_rank integer)"
        )

    def night(self, schemes: Path, night: date = NIGHT) -> Compiled:
        """A night under the scheme files of a folder."""
        problems: list[str] = []
        rows = scheme_rows(read_schemes([schemes], problems), problems)
        rows["settings"] = read_seed(_SETTINGS, "settings", problems)
        assert problems == []
        version = land_rules(self.connection, Rules({seed: rows.get(seed, []) for seed in SEEDS}), night)
        self.connection.execute("insert into as_of_dates values (?, ?, 'run')", [night, version])
        self._versions[night] = version
        return self

    def customers(self, customers: Iterable[Mapping[str, Any]], night: date = NIGHT) -> Compiled:
        """Indicators by name; a customer is a business with one order unless it says otherwise."""
        for one in customers:
            values = {"order_frequency": 1, "as_of_date": night, **one}
            kind = values.pop("customer_kind", "business")
            self.connection.execute("insert into customers values (?, ?)", [values["customer_id"], kind])
            self.connection.execute(
                f"insert into indicators by name select {', '.join(f'? as {quote(name)}' for name in values)}",
                list(values.values()),
            )
        return self

    def run(self) -> Compiled:
        """Make every part anew."""
        statements = compile_schemes(self.connection, sorted(set(self._versions.values())))
        for part, (table, relations) in _PARTS.items():
            query = statements[part]
            for name, relation in relations.items():
                query = query.replace(f"{{{name}}}", relation)
            self.connection.execute(f"create or replace table {table} as {query}")
        return self

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        return fetch_rows(self.connection, query, list(parameters))
