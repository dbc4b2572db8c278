"""Nightly customer tiering: extract, check, model, publish, tell."""

__version__ = "0.1.0"
