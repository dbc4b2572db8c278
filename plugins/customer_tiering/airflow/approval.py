"""A held night in Airflow: a person answers in the UI, or by ``tiering release``; the first answer counts for both.

The task waits in the triggerer, which sees an answer of either kind within seconds. What was decided is a line of
``decisions/release.jsonl``; an answer given in the UI becomes one before anything is published.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.triggers.hitl import HITLTrigger
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.hitl import update_hitl_detail_response, upsert_hitl_detail
from airflow.triggers.base import TriggerEvent
from asgiref.sync import sync_to_async

from customer_tiering.company.workspace import Workspace
from customer_tiering.errors import DecisionError, TieringError

_POLL_SECONDS = 5.0


class HeldNightTrigger(HITLTrigger):
    """Waits for the answer in the UI, for one by the command, and for the time limit."""

    def __init__(self, *, profile_name: str, hold: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.profile_name, self.hold = profile_name, hold

    def serialize(self) -> tuple[str, dict[str, Any]]:
        _, arguments = super().serialize()
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        return name, arguments | {"profile_name": self.profile_name, "hold": self.hold}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        waits = aiter(super().run())
        in_ui = asyncio.ensure_future(anext(waits))
        try:
            while True:
                await asyncio.wait([in_ui], timeout=_POLL_SECONDS)
                if in_ui.done():
                    yield in_ui.result()
                    return
                if answer := await sync_to_async(self._answer_by_command)():
                    yield await self._close(answer)
                    return
        finally:
            in_ui.cancel()

    def _answer_by_command(self) -> str | None:
        from customer_tiering.release.holds import find

        state = find(Workspace.of(self.profile_name), self.hold).state()
        if state == "open":
            return None
        return ApprovalOperator.APPROVE if state in ("approved", "published") else ApprovalOperator.REJECT

    async def _close(self, answer: str) -> TriggerEvent:
        """Note in Airflow, too, what was answered, so that the UI asks no more."""
        inputs = {"reason": f"by command, see tiering release show {self.hold}"}
        noted = await sync_to_async(update_hitl_detail_response)(
            ti_id=self.ti_id, chosen_options=[answer], params_input=inputs
        )
        return TriggerEvent(
            {
                "chosen_options": [answer],
                "params_input": inputs,
                "responded_at": noted.responded_at,
                "responded_by_user": None,
                "timedout": False,
            }
        )


class HeldNight(ApprovalOperator):
    """Asks whether the held night of a run may be published. Approved: ``publish`` runs. Rejected: it is skipped, and
    what follows. Unanswered and rejected by the time limit: the task fails, because nobody has looked."""

    template_fields = (*ApprovalOperator.template_fields, "night")

    def __init__(self, *, night: Any, **kwargs: Any) -> None:
        # Airflow hands the DAG's params in, which are none of this question's.
        reason = Param("", type="string", title="Reason 理由", description="Why; kept with the decision")
        super().__init__(subject="A night is held 待审批", **kwargs | {"params": {"reason": reason}})
        self.night = night

    def execute(self, context: Any) -> None:
        from customer_tiering.night.steps import Night, judgement
        from customer_tiering.release.holds import find, text

        night = Night(**self.night)
        held = find(night.workspace, judgement(night)["held"])
        if held.state() != "open":
            self._go_on(context, held.name)
            return
        ti_id: UUID = context["task_instance"].id
        self.defaults = [self.APPROVE if held.facts.get("unanswered") == "approve" else self.REJECT]
        upsert_hitl_detail(
            ti_id=ti_id,
            options=self.options,
            subject=f"{night.profile.label_zh} {night.profile.label_en}: {night.as_of_date} is held 待审批",
            body=_markdown(text(held), held.facts),
            defaults=self.defaults,
            multiple=False,
            params=self.serialized_params,
        )
        self.defer(
            trigger=HeldNightTrigger(
                profile_name=night.profile_name,
                hold=held.name,
                ti_id=ti_id,
                options=self.options,
                params=self.serialized_params,
                defaults=self.defaults,
                multiple=False,
                timeout_datetime=held.answer_until,
                poke_interval=_POLL_SECONDS,
            ),
            method_name="execute_complete",
        )

    def execute_complete(self, context: Any, event: dict[str, Any]) -> None:
        from customer_tiering.night.steps import Night, judgement
        from customer_tiering.release.holds import TIME_LIMIT, answer

        if "error" in event:
            self.process_trigger_event_error(event)
        night = Night(**self.night)
        name = judgement(night)["held"]
        approved = event["chosen_options"] == [self.APPROVE]
        user = event["responded_by_user"]
        by_command = user is None and not event.get("timedout")
        if not by_command:
            owner = user["name"] if user else TIME_LIMIT
            reason = str((event["params_input"] or {}).get("reason") or "") or ("in Airflow" if user else "unanswered")
            try:
                answer(night.workspace, name, "approve" if approved else "reject", owner, reason)
            except DecisionError as error:  # answered by command a moment before
                self.log.warning("%s", error)
            except TieringError as error:
                raise AirflowFailException(str(error)) from error
        self._go_on(context, name)

    def _go_on(self, context: Any, name: str) -> None:
        """Do what the decisions say, wherever they were made."""
        from customer_tiering.night.steps import Night
        from customer_tiering.release.holds import TIME_LIMIT, find, unanswered

        night = Night(**self.night)
        held = find(night.workspace, name)
        state = held.state()
        if state in ("approved", "published"):
            return
        if state == "rejected" and (held.last.owner == TIME_LIMIT or held.last.kind == "hold"):
            error = unanswered(night.workspace, held)
            raise AirflowFailException(str(error)) from error  # operators are told its cause
        self.skip(ti=context["ti"], tasks=context["task"].get_direct_relatives(upstream=False))
        self.log.info("the held night %s is %s: %s", name, state, held.last.reason)


def _markdown(text: str, facts: dict[str, Any]) -> str:
    """The reasons, and the largest customers that would move."""
    rows = [
        f"| {row['customer_id']} | {row['customer_name']} | {row['before'] or ''} | {row['after'] or ''} | "
        f"{_money(row['spend_before'])} | {_money(row['spend_after'])} |"
        for row in facts.get("movers", [])
    ]
    columns = ("customer 客户", "name 名称", "before 之前", "after 之后", "spend before", "spend after")
    head = f"\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    return text + (head + "\n".join(rows) if rows else "")


def _money(amount: float | None) -> str:
    return "" if amount is None else f"{amount:,.0f}"
