"""Individual customers: persons that buy parts and services online, each known to the ERP and the CRM.

They have random streams and numbers of their own, so that the companies are the same with and without them.
"""

from dataclasses import dataclass

import numpy as np

from sample_company.batch import Batch, Row, Scope
from sample_company.catalogue import CITIES, GIVEN, SURNAMES, owners, phones, pick, products
from sample_company.draws import Floats, Ints, choose, slots
from sample_company.population import World, office_seconds

SHARE = 0.12  # individuals per company
_JOIN_DAYS = 300  # all of them join within this time from the start
_ORDERS_PER_YEAR = [2.5, 8.0, 17.0, 42.0]
_ORDERS_WEIGHTS = [0.30, 0.34, 0.21, 0.15]
# What a person buys; an order brings 3 500 to 16 000, far less than a company's, yet no typing error.
_PRICES = (250.0, 6_000.0)
_ORDER_VALUES = (3_500, 12_500)
_TYPED = ["个人", "个人客户"]


@dataclass(frozen=True)
class Individuals:
    """Individual customers of one chunk; days as ordinals."""

    number: Ints
    registered: Ints
    period: Floats
    codes: list[str]


def individuals_count(world: World) -> int:
    """How many individuals the company has."""
    return round(world.customers * SHARE)


def individual_rows(scope: Scope, numbers: Ints, batch: Batch) -> None:
    """Every row of the individuals `numbers` that becomes visible inside the window."""
    draws, start = scope.world.draws, scope.world.start
    registered = start + draws.below("ind.registered", _JOIN_DAYS, numbers)
    rate = np.array(_ORDERS_PER_YEAR)[choose(draws.uniform("ind.rate", numbers), _ORDERS_WEIGHTS)]
    years = scope.calendar.year(registered).tolist()
    codes = [f"P{y}{n:05d}" for y, n in zip(years, numbers.tolist(), strict=True)]
    people = Individuals(numbers, registered, 365.0 / rate, codes)
    _masters(scope, people, batch)
    _orders(scope, people, batch)


def _masters(scope: Scope, people: Individuals, batch: Batch) -> None:
    """ERP customer and CRM account of each person, entered on the day of the registration."""
    draws, w, cal = scope.world.draws, scope.window, scope.calendar
    keep = np.flatnonzero((people.registered >= w.lo) & (people.registered <= w.hi))
    ids, days = people.number[keep], people.registered[keep]
    surname = draws.below("ind.surname", len(SURNAMES), ids)
    given = draws.below("ind.given", len(GIVEN), ids)
    city = draws.below("ind.city", len(CITIES), ids)
    owner = pick([o.owner_id for o in owners(draws)], draws.below("ind.owner", 12, ids))
    typed = pick(_TYPED, draws.flag("ind.typed", 0.2, ids).astype(np.int64))
    stamps = cal.stamp(days * 86400 + office_seconds(draws, "ind.time", ids))
    customers: list[Row] = []
    accounts: list[Row] = []
    for position, s, g, c, manager, kind, day, stamp, phone in zip(
        keep.tolist(), surname.tolist(), given.tolist(), city.tolist(), owner, typed, cal.iso(days), stamps,
        phones(draws, ids, (4,)), strict=True,
    ):  # fmt: skip
        code, number = people.codes[position], int(people.number[position])
        account = f"AP{number:05d}"
        name, mail = SURNAMES[s][0] + GIVEN[g][0], f"{SURNAMES[s][1]}.{GIVEN[g][1]}{number}@mail.example"
        customers.append((code, name, "", "", "", CITIES[c][1], phone, mail, day, "active", stamp, stamp))
        accounts.append(
            (account, name, code, "", "", "", "", CITIES[c][1], manager, phone, mail, stamp, stamp, "0", kind)
        )
        batch.identities += [(f"P{number:07d}", "erp", code), (f"P{number:07d}", "crm", account)]
    batch.add("erp", "customers", customers, days.tolist())
    batch.add("crm", "accounts", accounts, days.tolist())


def _orders(scope: Scope, people: Individuals, batch: Batch) -> None:
    """Online orders with one to three lines; a person pays at once, so there are no invoices."""
    world, w, draws = scope.world, scope.window, scope.world.draws
    position, slot, day = slots(
        draws, "ind.order.day", people.number, people.period, world.start, lo=max(w.lo, world.start), hi=w.hi
    )
    keep = day > people.registered[position]
    position, slot, day = position[keep], slot[keep], day[keep]
    ids = people.number[position]
    count = 1 + draws.below("ind.lines", 3, ids, slot)
    value = _ORDER_VALUES[0] + draws.below("ind.value", _ORDER_VALUES[1], ids, slot)
    order = np.repeat(np.arange(len(ids), dtype=np.int64), count)
    first = np.cumsum(count) - count
    line = np.arange(len(order), dtype=np.int64) - first[order] + 1
    catalogue = [product for product in products() if _PRICES[0] <= product.price <= _PRICES[1]]
    product = draws.below("ind.product", len(catalogue), ids[order], slot[order] * 4 + line)
    price = np.array([round(p.price * 100) for p in catalogue], dtype=np.int64)[product]
    # Whole pieces that come to at least the line's part of the order.
    quantity = -(-value[order] * 100 // (count[order] * price))
    net = quantity * price
    gross, cost = net + (net * 13 + 50) // 100, (net * 70 + 50) // 100
    nets = np.add.reduceat(net, first) if len(ids) else net
    grosses = np.add.reduceat(gross, first) if len(ids) else gross
    numbers = [
        f"SP{ym}-{i:05d}-{k:03d}"
        for ym, i, k in zip(scope.calendar.yymm(day), ids.tolist(), slot.tolist(), strict=True)
    ]
    stamps = scope.calendar.stamp(day * 86400 + office_seconds(draws, "ind.order.time", ids, slot))
    status = pick(["confirmed", "cancelled"], draws.flag("ind.cancelled", 0.03, ids, slot).astype(np.int64))
    orders: list[Row] = list(zip(
        numbers, pick(people.codes, position), scope.calendar.iso(day), status, ["CNY"] * len(ids),
        ["online"] * len(ids), (nets / 100).tolist(), ((grosses - nets) / 100).tolist(), (grosses / 100).tolist(),
        stamps, stamps, strict=True,
    ))  # fmt: skip
    lines: list[Row] = list(zip(
        pick(numbers, order), line.tolist(), pick([p.code for p in catalogue], product), quantity.tolist(),
        (price / 100).tolist(), (net / 100).tolist(), (gross / 100).tolist(), (cost / 100).tolist(),
        pick(stamps, order), pick(stamps, order), strict=True,
    ))  # fmt: skip
    batch.add("erp", "orders", orders, day.tolist())
    batch.add("erp", "order_lines", lines, day[order].tolist())
