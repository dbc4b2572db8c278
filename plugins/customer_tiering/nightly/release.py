"""Answering a held night from the command line: an approved one is published and told at once."""

from __future__ import annotations

from customer_tiering.nightly import steps
from customer_tiering.nightly.guard import acting_for
from customer_tiering.profile import Profile
from customer_tiering.release.holds import Hold, answer, find


def approve(profile: Profile, name: str, owner: str, reason: str) -> steps.Night:
    """Approve a held night and run what follows it in the DAG. Again: finishes what was cut off.

    Raises ``DecisionError`` when it was answered otherwise, ``OrderError`` when it cannot be published any more.
    """
    workspace = profile.workspace
    held = answer(workspace, find(workspace, name).name, "approve", owner, reason)
    night = steps.Night(profile.name, held.facts["night"], held.facts["run_id"])
    with acting_for(night.run_id):
        for step in steps.RELEASE:
            getattr(steps, step)(night)
    return night


def reject(profile: Profile, name: str, owner: str, reason: str) -> Hold:
    """Reject a held night: it is no one's yesterday, the next night goes on from the last accepted one."""
    return answer(profile.workspace, find(profile.workspace, name).name, "reject", owner, reason)
