"""Airflow's side: tasks, approvals, deadlines, the deployment and the runner behind ``make run``."""
