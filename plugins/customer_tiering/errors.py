"""Errors a person reads: what is wrong, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TieringError(Exception):
    """A failure the operator can act on.

    ``problem`` says what is wrong and names source, entity, row or rule; ``next_step`` says what to do.
    """

    def __init__(self, problem: str, next_step: str = "") -> None:
        self.problem = problem
        self.next_step = next_step
        super().__init__(problem if not next_step else f"{problem}\n  Next step: {next_step}")


class ProfileError(TieringError):
    """The profile does not exist or does not make sense."""


class RulesError(TieringError):
    """The tiering rules (schemes, seeds) contradict themselves; carries every problem found."""


class SourceError(TieringError):
    """A source cannot be read: missing file, missing column, unreachable system."""


class GateBlocked(TieringError):
    """A blocking cleaning rule failed; nothing of this night is published."""


class DecisionError(TieringError):
    """A decision about rows or loads in quarantine names something that cannot be decided so."""


class OrderError(TieringError):
    """The as-of date is out of order: older than the last accepted night, or before the data begins."""


class NightBusy(TieringError):
    """Another night of the same company is running."""


class BuildFailed(TieringError):
    """A model or a test of a model failed."""


class PublishError(TieringError):
    """The snapshot could not be published or read."""


class NightHeld(TieringError):
    """The night lies beyond the limits of its release and waits for a person."""


class BackupError(TieringError):
    """A backup cannot be written, or what is to be restored is no whole backup of the company."""


class ContractError(TieringError):
    """The marts and their contract disagree."""


class TargetError(PublishError):
    """A copy of the marts (Postgres) could not be brought up to date; the snapshot is published all the same."""


class TrainingRefused(TieringError):
    """There is too little data for a churn model worth the name; the rule signals stand alone."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the one that was probably meant, else all there are."""
    names = list(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}"
