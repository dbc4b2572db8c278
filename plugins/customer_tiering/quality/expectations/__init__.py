"""Cleaning rules Great Expectations does not bring along, usable in any suite by their type name.

``library`` imports (and so registers) all of them; ``sql`` holds the SQL they share. This package imports
nothing by itself so that ``sql`` can be used without loading GX.
"""
