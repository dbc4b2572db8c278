"""Ticketing: JSON lines, one file per entity and export day."""

from customer_tiering.sources.base import Entity, Source

SOURCE = Source(
    name="ticketing",
    label_en="Ticketing",
    label_zh="客服工单系统",
    entities=(
        Entity(
            name="tickets",
            files="tickets-*.jsonl",
            format="jsonl",
            key=("ticket_id",),
            version="updated_at",
            columns=(
                "ticket_id",
                "account_id",
                "requester_email",
                "subject",
                "type",
                "priority",
                "status",
                "opened_at",
                "first_response_at",
                "resolved_at",
                "updated_at",
            ),
            pii={"requester_email": "email"},
        ),
        Entity(
            name="comments",
            required=False,
            files="comments-*.jsonl",
            format="jsonl",
            key=("comment_id",),
            version="created_at",
            columns=("comment_id", "ticket_id", "author_role", "created_at"),
        ),
        Entity(
            name="ratings",
            required=False,
            files="ratings-*.jsonl",
            format="jsonl",
            key=("rating_id",),
            version="rated_at",
            columns=("rating_id", "ticket_id", "score", "rated_at"),
        ),
    ),
)
