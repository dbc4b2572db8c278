"""What became of a letter that was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Outcome:
    """``unanswered``: it failed, and yet it may have arrived."""

    status: Literal["sent", "failed", "unanswered"]
    error: str = ""


SENT = Outcome("sent")
NO_ANSWER = Outcome("unanswered", "no answer in time; it may have arrived")
