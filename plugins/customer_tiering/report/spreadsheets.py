"""Values for spreadsheets: a text that looks like a formula stays a text, also after an export to CSV."""

from __future__ import annotations

# Full-width forms too: some input methods and imports turn them into plain ones.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def harmless(text: str) -> str:
    """The text, with an apostrophe before it when it begins like a formula (a lone dash does not)."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and text != "-" else text
