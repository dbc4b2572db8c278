"""UCI incident log: one gzip CSV with every state that each ticket of a ServiceNow desk went through.

A row is an event; ``sys_mod_count`` counts the changes of its ticket. Nothing orders events as text (days stand in
front of months), so of two rows of one event the later one in the file wins.
"""

from customer_tiering.sources.base import Entity, Source

SOURCE = Source(
    name="uci_incident_tickets",
    label_en="Incident log",
    label_zh="事件工单日志",
    entities=(
        Entity(
            name="events",
            files="*.csv.gz",
            missing=("?",),
            key=("number", "sys_mod_count"),
            columns=(
                "number",
                "incident_state",
                "active",
                "sys_mod_count",
                "caller_id",
                "opened_at",
                "sys_updated_at",
                "priority",
                "resolved_at",
                "closed_at",
            ),
            pii={"caller_id": "name"},
        ),
    ),
)
