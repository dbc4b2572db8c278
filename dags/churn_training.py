"""Training of one company's churn model: wiring only; the steps live in ``customer_tiering.churn.steps``.

Monthly, and on demand from Airflow's UI or with ``tiering churn train``. A model that is promoted is used from the next
night on. Too little data is no failure: the training is skipped, and the reason stands in its log and card.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

import pendulum
from airflow.sdk import CronDataIntervalTimetable, dag, task

from customer_tiering.airflow.training_tasks import prepare_training, train_model
from customer_tiering.company.profile import load_profile

profile = load_profile(os.environ.get("TIERING_PROFILE", "sample"))

WAREHOUSE = "warehouse"  # pool of one slot: the copy is taken while no other task writes


@dag(
    dag_id="churn_training",
    description=f"{profile.label_en} / {profile.label_zh}: train, judge and promote the churn model",
    # In the afternoon of the 1st, away from the nights.
    schedule=CronDataIntervalTimetable("0 14 1 * *", timezone=profile.timezone),
    start_date=pendulum.instance(
        datetime.fromisoformat(os.environ.get("TIERING_SCHEDULE_FROM", "2024-01-01T00:00:00+00:00"))
    ),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": int(os.environ.get("TIERING_TASK_RETRIES", "2")),
        "retry_delay": timedelta(minutes=2),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
    },
    tags=["customer-tiering"],
)
def churn_training() -> None:
    @task(pool=WAREHOUSE)
    def prepare() -> str:
        return prepare_training(profile.name)

    @task
    def train(folder: str) -> dict[str, Any]:
        return train_model(profile.name, folder)

    train(prepare())


churn_training()
