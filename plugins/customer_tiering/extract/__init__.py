"""Extraction: dlt lands new rows of a source as append-only Parquet."""
