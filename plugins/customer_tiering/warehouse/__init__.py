"""The private DuckDB warehouse: one writer at a time."""
