"""Answering a held night from the command line: an approved one is published and told at once."""

from __future__ import annotations

from customer_tiering.company.profile import Profile
from customer_tiering.errors import PublishError
from customer_tiering.night import steps
from customer_tiering.night.guard import acting_for
from customer_tiering.release.holds import Hold, answer, find, reject_approved
from customer_tiering.warehouse.connection import warehouse_lock

_WAIT_SECONDS = 60


def approve(profile: Profile, name: str, owner: str, reason: str) -> steps.Night:
    """Approve a held night and run what follows it in the DAG. Again: finishes what was cut off.

    Raises ``DecisionError`` when it was answered otherwise, ``OrderError`` or ``PublishError`` when it cannot be
    published (any longer).
    """
    workspace = profile.workspace
    held = answer(workspace, find(workspace, name).name, "approve", owner, reason)
    if not held.facts:
        raise PublishError(f"the held night {held.name} was published long ago and is no longer kept")
    night = steps.Night(profile.name, held.facts["night"], held.facts["run_id"])
    with acting_for(night.run_id):
        steps.publish(night, held.name)  # the run's journal under reports/ may be gone
        steps.alert(night)
        steps.report(night)
        steps.summarise(night)
    return night


def reject(profile: Profile, name: str, owner: str, reason: str) -> Hold:
    """Reject a held night: it is no one's yesterday, the next night goes on from the last accepted one.

    Also one that was approved and could not be published; ``NightBusy`` when somebody is publishing it.
    """
    workspace = profile.workspace
    held = find(workspace, name)
    if held.state() != "approved":
        return answer(workspace, held.name, "reject", owner, reason)
    with warehouse_lock(workspace, wait_seconds=_WAIT_SECONDS):
        return reject_approved(workspace, held.name, owner, reason)
