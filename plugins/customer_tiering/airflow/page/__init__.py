"""The tiers page inside Airflow's UI."""
