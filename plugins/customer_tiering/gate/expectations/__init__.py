"""Cleaning rules Great Expectations does not bring along, usable in any suite by their type name.

``library`` imports (and so registers) all of them; ``gate.sql`` holds the SQL they share.
"""
