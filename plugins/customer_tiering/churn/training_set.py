"""The training set: features at past cutoffs, computed in a side copy of the warehouse, with the outcome after each."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb

from customer_tiering.churn.table import Feature
from customer_tiering.company.profile import Profile
from customer_tiering.errors import TieringError, TrainingRefused
from customer_tiering.publish.snapshot import published_folder, read_manifest
from customer_tiering.rules.seeds import churn_feature_names
from customer_tiering.sql import literal, quote
from customer_tiering.warehouse.build import run_dbt
from customer_tiering.warehouse.connection import copy_warehouse, warehouse_schema
from customer_tiering.warehouse.nights import PlannedNight, land_as_of_dates

TABLE, ABOUT = "training.parquet", "training.json"
_COPY = "warehouse.duckdb"
# More rows teach nothing new; beyond them customers are sampled by a hash of their id.
_MAX_ROWS = 300_000
# What has to be computed for the cutoffs. The entities below and the tier history stay as the last night left them.
_MODELS = (
    "int_as_of_dates",
    "int_customer_as_of",
    "int_order_coverage",
    "int_churn_settings",
    *(f"int_churn_{topic}" for topic in ("orders", "products", "service", "engagement", "payments", "tiers")),
    "int_churn_features",
)


def past_cutoffs(first_day: date, last_day: date, horizon: int, step: int, most: int) -> list[date]:
    """Cutoffs whose outcome is known on ``last_day``, ascending: the last a horizon before it, the others a step apart.

    The first lies at least a step after the data begins.
    """
    newest = last_day - timedelta(days=horizon)
    days = [newest - timedelta(days=number * step) for number in range(most)]
    return sorted(day for day in days if day >= first_day + timedelta(days=step))


def build_training_set(
    profile: Profile,
    folder: Path,
    say: Callable[[str], None] = lambda _text: None,
    cutoffs: list[date] | None = None,
) -> Path:
    """Write ``training.parquet`` and what it is (``training.json``) into ``folder``; returns the folder.

    Raises ``TieringError`` before the first published night, ``TrainingRefused`` when no cutoff has a known outcome.
    """
    workspace = profile.workspace
    manifest = read_manifest(published_folder(workspace))
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / _COPY
    try:
        copy_warehouse(workspace, copy)
        with duckdb.connect(str(copy)) as connection:
            connection.execute(warehouse_schema())
            settings = _settings(connection, manifest.rules_version)
            row = connection.execute(
                "select min(data_begins_on), max(ordered_on) from intermediate.int_customer_days "
                "inner join intermediate.int_order_coverage on as_of_date = $night and ordered_on <= $night "
                "where order_count > 0",
                {"night": manifest.night},
            ).fetchone()
            begins, ends = row or (None, None)
            horizon = int(settings["churn_horizon_days"])
            days = cutoffs or (
                past_cutoffs(
                    begins,
                    ends,  # not the night: where orders stop coming in, everybody would seem to churn
                    horizon,
                    int(settings["churn_cutoff_days"]),
                    int(settings["churn_cutoffs"]),
                )
                if begins
                else []
            )
            if not days:
                raise TrainingRefused(
                    f"too little history for a churn model: orders are known from {begins} to {ends}, and the "
                    f"outcome of a cutoff takes {horizon} days",
                    "the rule signals (fct_churn_signals) stand alone; train again when more history has passed",
                )
            land_as_of_dates(connection, [PlannedNight(day, manifest.rules_version, "replayed") for day in days])
        say(f"computing features at {len(days)} cutoffs from {days[0]} to {days[-1]} …")
        run_dbt(profile, ["run", "--select", *_MODELS], folder, warehouse=copy)
        with duckdb.connect(str(copy)) as connection:
            features = [
                Feature(*row)
                for row in connection.execute(
                    "select feature, transform, label_en, label_zh from rules.churn_features where rules_version = ?",
                    [manifest.rules_version],
                ).fetchall()
            ]
            _write_table(connection, folder / TABLE, settings)
    finally:
        copy.unlink(missing_ok=True)
        Path(f"{copy}.wal").unlink(missing_ok=True)
    order = {name: index for index, name in enumerate(churn_feature_names())}
    about = {
        "profile": profile.name,
        "night": manifest.as_of_date,
        "label": label_text(settings),
        "settings": {name: value for name, value in settings.items() if name.startswith("churn_")},
        "features": [vars(feature) for feature in sorted(features, key=lambda feature: order[feature.name])],
    }
    (folder / ABOUT).write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")
    return folder


def label_text(settings: dict[str, str]) -> str:
    """The label in words."""
    days = settings["churn_horizon_days"]
    if settings["churn_label"] == "no_order":
        return f"no confirmed order in the {days} days after the cutoff"
    drop = float(settings["churn_label_drop"])
    return f"net spend of the {days} days after the cutoff more than {drop:.0%} below that of the {days} days before"


def _settings(connection: duckdb.DuckDBPyConnection, rules_version: str) -> dict[str, str]:
    rows = dict(
        connection.execute(
            "select setting, value from rules.settings where rules_version = ?", [rules_version]
        ).fetchall()
    )
    if "churn_horizon_days" not in rows:
        raise TieringError(
            "the published night has no churn settings: an older version made it", "run a night first, then train"
        )
    return rows


def _write_table(connection: duckdb.DuckDBPyConnection, path: Path, settings: dict[str, str]) -> None:
    """Active buyers at each cutoff with what happened in the horizon after it."""
    features = ", ".join(quote("f", name) for name in churn_feature_names())
    if settings["churn_label"] == "no_order":
        churned = "coalesce(o.orders_after, 0) = 0"
    else:
        churned = "coalesce(o.spend_after, 0) < (1 - $drop) * coalesce(o.spend_before, 0)"
    parameters = {"horizon": int(settings["churn_horizon_days"]), "most": _MAX_ROWS}
    if "$drop" in churned:
        parameters["drop"] = float(settings["churn_label_drop"])  # type: ignore[assignment]
    connection.execute(
        f"""
        create temp table training as
        with outcomes as (
            select f.customer_id, f.as_of_date,
                   sum(case when d.ordered_on > f.as_of_date then d.order_count end) as orders_after,
                   sum(case when d.ordered_on > f.as_of_date then d.net_amount end) as spend_after,
                   sum(case when d.ordered_on <= f.as_of_date then d.net_amount end) as spend_before
            from intermediate.int_churn_features f
            join intermediate.int_customer_days d
                on d.customer_id = f.customer_id
                and d.ordered_on > f.as_of_date - $horizon::integer
                and d.ordered_on <= f.as_of_date + $horizon::integer
            group by all
        ),
        customers as (
            select customer_id, row_number() over (order by md5(customer_id), customer_id) as position,
                   sum(count(*)) over (order by md5(customer_id), customer_id) as rows_so_far
            from intermediate.int_churn_features where is_active_buyer group by customer_id
        )
        select f.customer_id, f.as_of_date, {churned} as churned, {features}
        from intermediate.int_churn_features f
        join customers c using (customer_id)
        left join outcomes o using (customer_id, as_of_date)
        where f.is_active_buyer and c.rows_so_far <= $most
        """,
        parameters,
    )
    connection.execute(f"copy training to {literal(str(path))} (format parquet)")
