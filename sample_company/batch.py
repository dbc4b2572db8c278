"""Tables of the sample company and the container the generators fill."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sample_company.catalogue import Calendar
from sample_company.dirt import Kind, truth_line
from sample_company.population import World

Row = tuple[Any, ...]

ERP_COLUMNS: dict[str, tuple[str, ...]] = {
    "customers": (
        "customer_code", "customer_name", "tax_id", "industry", "company_size", "region", "phone", "email",
        "registered_on", "status", "created_at", "updated_at",
    ),
    "products": ("product_code", "product_name", "category", "list_price", "created_at", "updated_at"),
    "orders": (
        "order_no", "customer_code", "order_date", "status", "currency", "channel", "net_amount",
        "tax_amount", "gross_amount", "created_at", "updated_at",
    ),
    "order_lines": (
        "order_no", "line_no", "product_code", "quantity", "unit_price", "net_amount", "gross_amount",
        "cost_amount", "created_at", "updated_at",
    ),
    "invoices": (
        "invoice_no", "order_no", "customer_code", "invoice_date", "due_date", "gross_amount", "created_at",
        "updated_at",
    ),
    "payments": (
        "payment_no", "invoice_no", "customer_code", "paid_date", "amount", "created_at", "updated_at",
    ),
}  # fmt: skip
CRM_COLUMNS: dict[str, tuple[str, ...]] = {
    "accounts": (
        "account_id", "account_name", "erp_customer_code", "tax_id", "industry", "company_size", "employees",
        "region", "owner_id", "phone", "email", "created_at", "modified_at", "is_deleted", "account_type",
    ),
    "contacts": (
        "contact_id", "account_id", "contact_name", "title", "phone", "email", "is_primary", "created_at",
        "modified_at",
    ),
    "owners": ("owner_id", "owner_name", "email", "team", "modified_at"),
    "opportunities": (
        "opportunity_id", "account_id", "name", "stage", "budget", "industry_fit", "company_size",
        "has_decision_maker", "cooperation_depth", "created_at", "closed_at", "modified_at",
    ),
    "interactions": ("interaction_id", "account_id", "kind", "participated", "contact_phone", "occurred_at"),
    "surveys": ("survey_id", "account_id", "kind", "score", "answered_at"),
}  # fmt: skip
TICKETING_COLUMNS: dict[str, tuple[str, ...]] = {
    "tickets": (
        "ticket_id", "account_id", "requester_email", "subject", "type", "priority", "status", "opened_at",
        "first_response_at", "resolved_at", "updated_at",
    ),
    "comments": ("comment_id", "ticket_id", "author_role", "created_at"),
    "ratings": ("rating_id", "ticket_id", "score", "rated_at"),
}  # fmt: skip
COLUMNS: dict[str, dict[str, tuple[str, ...]]] = {
    "erp": ERP_COLUMNS,
    "crm": CRM_COLUMNS,
    "ticketing": TICKETING_COLUMNS,
}


class Window(NamedTuple):
    """Days whose rows are wanted, as ordinals, both included. A first generation starts at 0."""

    lo: int
    hi: int


@dataclass(frozen=True)
class Scope:
    """What every generator needs: the world, the wanted days and the date texts."""

    world: World
    window: Window
    calendar: Calendar


@dataclass
class Batch:
    """Rows of one chunk of customers, grouped by (source, entity), each with its visibility day."""

    rows: dict[tuple[str, str], list[Row]] = field(default_factory=lambda: defaultdict(list))
    days: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    truth: list[str] = field(default_factory=list)
    identities: list[Row] = field(default_factory=list)

    def add(self, source: str, entity: str, rows: Iterable[Row], days: Sequence[int]) -> None:
        """Append rows; `days` are the ordinals of the days on which they become visible."""
        self.rows[source, entity].extend(rows)
        self.days[source, entity].extend(days)

    def mark(self, kind: Kind, key: Mapping[str, object], day: str) -> None:
        """Record the truth about one dirty row."""
        self.truth.append(truth_line(kind, key, day))
