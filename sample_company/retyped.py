"""CRM accounts that nothing links to the ERP: known companies typed in once more, and others that look like them.

They have random streams and numbers of their own, so that the rest of the company stays as it is.
"""

import numpy as np

from sample_company import dirt
from sample_company.batch import Batch, Row, Scope
from sample_company.catalogue import (
    CITIES,
    INDUSTRIES,
    MAX_CUSTOMERS,
    SECOND,
    SIZES,
    identities,
    owners,
    phones,
    pick,
)
from sample_company.population import Customers, office_seconds

_OTHERS = 2 * MAX_CUSTOMERS  # company numbers from here on belong to companies that only look like a customer
_ID_PREFIX = {dirt.RETYPED_CUSTOMER: "A7", dirt.SHARED_PHONE: "A6", dirt.LOOKALIKE: "A5"}
_FREE_MAIL = "mail.example"  # a mailbox provider: its domain says nothing about a company


def retyped_accounts(scope: Scope, customers: Customers, batch: Batch) -> None:
    """Add the accounts of one chunk of customers whose day lies in the window, with their truth."""
    draws, w, n = scope.world.draws, scope.window, customers.number
    kinds = dirt.assign(dirt.RETYPED_RATES, scope.world.dirt, draws.uniform("idn.kind", n))
    day = customers.registered + 40 + draws.below("idn.lag", 600, n)
    inside = (day >= w.lo) & (day <= w.hi)
    stamps = scope.calendar.stamp(np.where(inside, day, w.hi) * 86400 + office_seconds(draws, "idn.time", n))
    others = identities(draws, _OTHERS + n, customers.industry)
    own_phones = phones(draws, _OTHERS + n, (4,))
    manager = pick([o.owner_id for o in owners(draws)], draws.below("idn.owner", 12, n))
    industry = pick([i.canonical for i in INDUSTRIES], customers.industry)
    size = pick(SIZES, customers.size)
    form, place = draws.below("idn.form", 4, n).tolist(), draws.uniform("idn.place", n).tolist()
    variant, suffix = draws.below("idn.variant", 5, n).tolist(), draws.below("idn.suffix", 4, n).tolist()
    taxed = draws.flag("idn.taxed", 0.5, n).tolist()
    rows: list[Row] = []
    days: list[int] = []
    for kind in dirt.RETYPED_RATES:
        for p in dirt.cases(dirt.RETYPED_RATES, np.where(inside, kinds, 0), kind):
            texts, number = customers.texts, int(n[p])
            account = f"{_ID_PREFIX[kind]}{number:08d}"
            tax_id, mail = "", ""
            if kind is dirt.RETYPED_CUSTOMER:
                name, tax_id, phone, mail = _retyped(
                    texts.names[p], texts.tax_ids[p], texts.phones[p], texts.domains[p],
                    own_phone=own_phones[p], number=number, variant=variant[p], form=form[p], place=place[p],
                    suffix=suffix[p],
                )  # fmt: skip
            elif kind is dirt.SHARED_PHONE:  # an agent who handles the purchases of a customer, too
                name, phone, mail = others.names[p], texts.phones[p], f"info@{others.domains[p]}"
            else:
                name, phone, mail = _lookalike(texts.names[p]), own_phones[p], f"info@{others.domains[p]}"
            if kind is not dirt.RETYPED_CUSTOMER and taxed[p]:
                tax_id = others.tax_ids[p]
            stamp = stamps[p]
            rows.append((
                account, name, "", tax_id, industry[p], size[p], 60, texts.provinces[p], manager[p], phone, mail,
                stamp, stamp, "0", "",
            ))  # fmt: skip
            days.append(int(day[p]))
            company = f"T{2 * number:07d}" if kind is dirt.RETYPED_CUSTOMER else f"U{number:07d}"
            batch.identities.append((company, "crm", account))
            batch.mark(kind, {"account_id": account}, stamp[:10])
            if phone and not (phone.isascii() and phone.isdigit() and len(phone) == len(own_phones[p])):
                batch.mark(dirt.PHONE_FORMAT, {"account_id": account}, stamp[:10])
    batch.add("crm", "accounts", rows, days)


def _retyped(
    name: str, tax_id: str, phone: str, domain: str, *, own_phone: str, number: int, variant: int, form: int,
    place: float, suffix: int,
) -> tuple[str, str, str, str]:  # fmt: skip
    """Name, tax id, phone and e-mail of a known company as somebody typed them who did not look it up."""
    elsewhere = f"buyer{number:07d}@{_FREE_MAIL}"
    wrong = dirt.misspelt(dirt.other_suffix(name, suffix).strip(), place, form)
    if variant == 0:
        return dirt.other_suffix(name, suffix), "", dirt.messy_phone(phone, form), ""
    if variant == 1:
        return wrong, "", dirt.messy_phone(phone, form), ""
    if variant == 2:
        return wrong, "", "", f" INFO@{domain.upper()}" if form % 2 else f"info＠{domain}"
    if variant == 3:
        return dirt.other_suffix(name, suffix), "", own_phone, elsewhere
    return wrong, dirt.messy_tax_id(tax_id, form % 3), own_phone, elsewhere


def _lookalike(name: str) -> str:
    """Another company of the same town and trade whose name differs in one character."""
    at = len(next(city for city, _, _ in CITIES if name.startswith(city))) + 1
    following = [character for character, _ in SECOND]
    other = following[(following.index(name[at]) + 7) % len(following)]
    return name[:at] + (other if other != name[at] else following[0]) + name[at + 1 :]
