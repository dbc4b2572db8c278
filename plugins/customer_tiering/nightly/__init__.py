"""The steps of a night, and the runner behind ``make run``."""
