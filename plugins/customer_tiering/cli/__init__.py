"""The ``tiering`` command."""
