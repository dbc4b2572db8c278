"""Keeping addresses and secrets out of what people and logs see."""

from __future__ import annotations

import re

_LONGEST = 600
_URL = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)://\S+")
_SECRET = re.compile(r"(?i)\b(token|secret|password|passwd|pwd|api_?key)(\s*[=:]\s*)\S+")


def scrub(value: object) -> str:
    """A fact as text without URLs, which hold logins and tokens, and without anything that is called a secret."""
    text = _SECRET.sub(r"\1\2***", _URL.sub(r"\1://***", str(value)))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def mask_address(address: str) -> str:
    """``a***@example.com``; of other addresses the first character only."""
    name, at, host = address.partition("@")
    return f"{name[:1]}***{at}{host}"
