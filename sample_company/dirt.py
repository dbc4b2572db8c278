"""What goes wrong in the sample company's data, how often, and the truth line that records each case."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sample_company.draws import Floats, Ints

MAX_DIRT = 4.0
LEGAL_SUFFIXES = ("股份有限公司", "有限责任公司", "有限公司")


@dataclass(frozen=True)
class Kind:
    """One kind of dirt: where it sits and what a correct pipeline does with it."""

    name: str
    source: str
    entity: str
    action: str
    rule: str
    column: str


def _kind(name: str, action: str, rule: str, column: str) -> Kind:
    source, entity, _ = rule.split(".")
    return Kind(name, source, entity, action, rule, column)


DUPLICATE_ORDER = _kind("duplicate_order", "merge", "erp.orders.synchronised_once", "order_no")
DUPLICATE_ORDER_LINE = _kind("duplicate_order", "merge", "erp.order_lines.synchronised_once", "order_no")
AMOUNT_TYPO = _kind("order_amount_typo", "quarantine", "erp.orders.net_amount_outlier", "net_amount")
AMOUNT_TYPO_LINE = _kind("order_amount_typo", "quarantine", "erp.order_lines.net_amount_outlier", "net_amount")
LINE_OF_QUARANTINED = _kind("line_of_quarantined_order", "quarantine", "erp.order_lines.order_id_exists", "order_no")
ORPHAN_LINE = _kind("orphan_order_line", "quarantine", "erp.order_lines.order_id_exists", "order_no")
NEGATIVE_QUANTITY = _kind("negative_quantity", "quarantine", "erp.order_lines.quantity_positive", "quantity")
MISSING_ORDER_KEY = _kind("missing_order_key", "quarantine", "erp.orders.order_id_present", "order_no")
UNKNOWN_CUSTOMER = _kind("unknown_customer", "quarantine", "erp.orders.customer_id_exists", "customer_code")
BAD_DATE = _kind("bad_date", "quarantine", "erp.orders.ordered_on_readable", "order_date")
DATE_FORMAT = _kind("date_format", "repair", "erp.orders.ordered_on_iso", "order_date")
PAID_BEFORE_INVOICED = _kind("paid_before_invoiced", "quarantine", "erp.payments.paid_after_invoiced", "paid_date")
UNKNOWN_STATUS = _kind("unknown_status", "quarantine", "erp.orders.status_readable", "status")
DUPLICATE_ACCOUNT_ROW = _kind("duplicate_account_row", "merge", "crm.customers.key_unique", "account_id")
DUPLICATE_CUSTOMER = _kind("duplicate_customer", "identity", "crm.customers.identity", "account_name")
RETYPED_CUSTOMER = _kind("retyped_customer", "identity", "crm.customers.identity", "account_name")
SHARED_PHONE = _kind("shared_phone", "distinct", "crm.customers.identity", "phone")
LOOKALIKE = _kind("lookalike", "distinct", "crm.customers.identity", "account_name")
MISSING_CONTACT = _kind("missing_contact", "repair", "crm.customers.contact_present", "phone")
PHONE_FORMAT = _kind("phone_format", "repair", "crm.customers.phone_format", "phone")
INDUSTRY_VARIANT = _kind("industry_variant", "repair", "crm.customers.industry_canonical", "industry")
INDUSTRY_UNMAPPED = _kind("industry_variant", "repair", "crm.customers.industry_mapped", "industry")
MISSING_ACCOUNT_ID = _kind("missing_account_id", "quarantine", "crm.customers.customer_id_present", "account_id")
ORPHAN_INTERACTION = _kind("orphan_interaction", "quarantine", "crm.interactions.customer_id_exists", "account_id")
SURVEY_OUT_OF_RANGE = _kind("survey_out_of_range", "quarantine", "crm.surveys.score_range", "score")
RESOLVED_BEFORE_OPENED = _kind(
    "resolved_before_opened", "quarantine", "ticketing.tickets.resolved_after_opened", "resolved_at"
)
RATING_OUT_OF_RANGE = _kind("rating_out_of_range", "quarantine", "ticketing.ticket_ratings.score_range", "score")
DUPLICATE_TICKET = _kind("duplicate_ticket", "merge", "ticketing.tickets.key_unique", "ticket_id")
ORPHAN_COMMENT = _kind("orphan_comment", "quarantine", "ticketing.ticket_events.ticket_id_exists", "ticket_id")

KINDS: tuple[Kind, ...] = (
    DUPLICATE_ORDER, DUPLICATE_ORDER_LINE, AMOUNT_TYPO, AMOUNT_TYPO_LINE, LINE_OF_QUARANTINED, ORPHAN_LINE,
    NEGATIVE_QUANTITY, MISSING_ORDER_KEY, UNKNOWN_CUSTOMER, BAD_DATE, DATE_FORMAT, PAID_BEFORE_INVOICED,
    UNKNOWN_STATUS, DUPLICATE_ACCOUNT_ROW, DUPLICATE_CUSTOMER, RETYPED_CUSTOMER, SHARED_PHONE, LOOKALIKE,
    MISSING_CONTACT, PHONE_FORMAT, INDUSTRY_VARIANT, INDUSTRY_UNMAPPED, MISSING_ACCOUNT_ID, ORPHAN_INTERACTION,
    SURVEY_OUT_OF_RANGE, RESOLVED_BEFORE_OPENED, RATING_OUT_OF_RANGE, DUPLICATE_TICKET, ORPHAN_COMMENT,
)  # fmt: skip

# Share of the rows of the host entity that get the kind when dirt is 1. One draw per host row decides between
# the kinds of a table, so a row never gets two.
ORDER_RATES: dict[Kind, float] = {
    DUPLICATE_ORDER: 0.010,
    AMOUNT_TYPO: 0.0022,  # of the orders with a line big enough; about 0.15 % of all
    DATE_FORMAT: 0.004,
    NEGATIVE_QUANTITY: 0.0015,
    ORPHAN_LINE: 0.001,
    MISSING_ORDER_KEY: 0.001,
    UNKNOWN_CUSTOMER: 0.001,
    BAD_DATE: 0.001,
    UNKNOWN_STATUS: 0.001,
}
INVOICE_RATES: dict[Kind, float] = {PAID_BEFORE_INVOICED: 0.0015}
ACCOUNT_RATES: dict[Kind, float] = {
    DUPLICATE_ACCOUNT_ROW: 0.025,
    MISSING_CONTACT: 0.03,
    PHONE_FORMAT: 0.04,
    INDUSTRY_VARIANT: 0.05,
    INDUSTRY_UNMAPPED: 0.025,
    MISSING_ACCOUNT_ID: 0.02,
    DUPLICATE_CUSTOMER: 0.05,
}
# Further accounts per ERP customer, whose ERP code is not known: the same company typed in once more with errors, and
# other companies that look like it.
RETYPED_RATES: dict[Kind, float] = {RETYPED_CUSTOMER: 0.05, SHARED_PHONE: 0.02, LOOKALIKE: 0.02}
INTERACTION_RATES: dict[Kind, float] = {ORPHAN_INTERACTION: 0.0008}
SURVEY_RATES: dict[Kind, float] = {SURVEY_OUT_OF_RANGE: 0.012}
TICKET_RATES: dict[Kind, float] = {RESOLVED_BEFORE_OPENED: 0.006, DUPLICATE_TICKET: 0.008}
COMMENT_RATES: dict[Kind, float] = {ORPHAN_COMMENT: 0.004}
RATING_RATES: dict[Kind, float] = {RATING_OUT_OF_RANGE: 0.01}


def assign(rates: Mapping[Kind, float], scale: float, u: Floats) -> Ints:
    """Number of the kind (1-based, in the order of `rates`) that each row gets; 0 for a clean row."""
    edges = np.cumsum([rate * scale for rate in rates.values()])
    found = np.searchsorted(edges, u, side="right") + 1
    return np.where(found > len(edges), 0, found).astype(np.int64)


def cases(rates: Mapping[Kind, float], assigned: Ints, kind: Kind) -> list[int]:
    """Positions of the rows that `assign` gave `kind`."""
    positions: list[int] = np.flatnonzero(assigned == list(rates).index(kind) + 1).tolist()
    return positions


def truth_line(kind: Kind, key: Mapping[str, object], day: str) -> str:
    """The JSON truth line of one affected row; `key` holds its natural key as written in the source."""
    return json.dumps(
        {
            "source": kind.source,
            "entity": kind.entity,
            "key": dict(key),
            "kind": kind.name,
            "action": kind.action,
            "rule": kind.rule,
            "column": kind.column,
            "day": day,
        },
        ensure_ascii=False,
    )


def messy_phone(phone: str, variant: int) -> str:
    """A mobile number the way people type it; every form still contains the 11 digits."""
    parts = (phone[:3], phone[3:7], phone[7:])
    if variant == 0:
        return "+86 " + "-".join(parts)
    if variant == 1:
        return phone.translate({ord("0") + d: ord("０") + d for d in range(10)})
    if variant == 2:
        return "0086" + phone
    return " ".join(parts)


def other_suffix(name: str, variant: int) -> str:
    """The same company with another legal suffix, or full-width brackets and blanks around it."""
    core = next((name.removesuffix(s) for s in LEGAL_SUFFIXES if name.endswith(s)), name)
    suffix = (name[len(core) :], "有限责任公司", "股份有限公司", "")[variant]
    return f"\u3000{core}{suffix} ".replace("(", "（").replace(")", "）")


def misspelt(name: str, position: float, variant: int) -> str:
    """One character of the name (behind the city, before the suffix) is wrong, missing, doubled or swapped."""
    core = next((name.removesuffix(s) for s in LEGAL_SUFFIXES if name.endswith(s)), name)
    core = core.removesuffix("(集团)").removesuffix("（集团）")
    at = 2 + int(position * (len(core) - 3))
    before, here, following, rest = name[:at], name[at], name[at + 1], name[at + 2 :]
    wrong = "佳" if here != "佳" else "加"
    return before + (wrong + following, following, here + here + following, following + here)[variant] + rest


def messy_tax_id(tax_id: str, variant: int) -> str:
    """A tax id the way people type it: in groups, small letters, or full-width."""
    if variant == 0:
        return " ".join((tax_id[:2], tax_id[2:8], tax_id[8:]))
    if variant == 1:
        return tax_id.lower()
    return "".join(chr(ord(character) + 0xFEE0) for character in tax_id)


def name_variant(name: str, variant: int) -> str:
    """The same company name typed differently: full-width brackets, no legal suffix, or blanks."""
    if variant == 0 and "(" in name:
        return name.replace("(", "（").replace(")", "）")
    if variant <= 1:
        for suffix in LEGAL_SUFFIXES:
            if name.endswith(suffix):
                return name.removesuffix(suffix)
    if variant == 2:
        return f"{name[:2]} {name[2:-4]} {name[-4:]}"
    return f"{name[:2]}\u3000{name[2:]} "


def odd_date(iso: str, variant: int) -> str:
    """An ISO date as 'YYYY/M/D' (no padding) or 'YYYYMMDD'."""
    year, month, day = iso.split("-")
    return f"{year}/{int(month)}/{int(day)}" if variant == 0 else year + month + day
