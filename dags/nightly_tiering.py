"""The nightly run of one company: wiring only; the steps live in ``customer_tiering.night.steps``.

The company is the profile named by TIERING_PROFILE; its sources make the extract and gate tasks. Heavy packages
are imported inside the tasks, so the scheduler parses this file quickly.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

import pendulum
from airflow.sdk import Asset, CronDataIntervalTimetable, Param, dag, task, teardown

from customer_tiering.airflow.approval import HeldNight
from customer_tiering.airflow.lateness import deadline_alert
from customer_tiering.airflow.tasks import (
    begin_night,
    judge_night,
    run_step,
    summarise_published,
    tell_of_failure,
)
from customer_tiering.company.profile import load_profile

profile = load_profile(os.environ.get("TIERING_PROFILE", "sample"))

WAREHOUSE = "warehouse"  # pool of one slot: DuckDB has one writer
PUBLISHED = Asset(name=f"{profile.name}_published", uri=f"tiering://{profile.name}/published")


def landing_asset(source: str) -> Asset:
    return Asset(name=f"{profile.name}_landing_{source}", uri=f"tiering://{profile.name}/landing/{source}")


@dag(
    dag_id="nightly_tiering",
    description=f"{profile.label_en} / {profile.label_zh}: extract, check, model, publish, tell",
    schedule=CronDataIntervalTimetable(profile.schedule, timezone=profile.timezone),
    # `make up` notes when the schedule begins; without that, Airflow would run the last complete night at once.
    start_date=pendulum.instance(
        datetime.fromisoformat(os.environ.get("TIERING_SCHEDULE_FROM", "2024-01-01T00:00:00+00:00"))
    ),
    catchup=False,
    max_active_runs=1,
    deadline=deadline_alert(profile),
    params={
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            description="Last fully included business day; empty: the day before the run's data interval ends",
        )
    },
    default_args={
        "retries": int(os.environ.get("TIERING_TASK_RETRIES", "2")),
        "retry_delay": timedelta(minutes=2),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
        "on_failure_callback": tell_of_failure,
    },
    tags=["customer-tiering"],
)
def nightly_tiering() -> None:
    @task(pool=WAREHOUSE)
    def begin(**context: Any) -> dict[str, str]:
        return begin_night(profile.name, context)

    @task
    def extract(night: dict[str, str], source: str) -> None:
        run_step("extract", night, source)

    @task(pool=WAREHOUSE)
    def gate(night: dict[str, str], source: str) -> None:
        run_step("gate", night, source)

    @task(pool=WAREHOUSE)
    def build(night: dict[str, str]) -> None:
        run_step("build", night)

    @task.branch(pool=WAREHOUSE)
    def judge(night: dict[str, str]) -> str:
        return judge_night(night)

    @task(pool=WAREHOUSE, outlets=[PUBLISHED], trigger_rule="none_failed_min_one_success")
    def publish(night: dict[str, str]) -> None:
        run_step("publish", night)

    @task
    def publish_postgres(night: dict[str, str]) -> None:
        run_step("publish_postgres", night)

    @task(pool=WAREHOUSE)
    def alert(night: dict[str, str]) -> None:
        run_step("alert", night)

    # Alerts go first when both wait for the warehouse.
    @task(pool=WAREHOUSE, priority_weight=0, execution_timeout=timedelta(minutes=30))
    def report(night: dict[str, str]) -> None:
        run_step("report", night)

    # As a teardown it runs whatever became of alert and report, and these two decide the state of the run.
    @teardown
    @task
    def summarise(night: dict[str, str] | None) -> None:
        summarise_published(night)

    night = begin()
    built = build(night)
    for source in profile.sources:
        extracted = extract.override(task_id=f"extract_{source}", outlets=[landing_asset(source)])(night, source)
        extracted >> gate.override(task_id=f"gate_{source}")(night, source) >> built
    judged, published = judge(night), publish(night)
    # Only a held night comes to `approve`, which waits for a person.
    built >> judged >> HeldNight(task_id="approve", night=night) >> published
    judged >> published >> [alert(night), report(night)] >> summarise(night)
    if profile.postgres_target:  # a copy: nothing waits for it
        published >> publish_postgres(night)


nightly_tiering()
