"""Daily ERP activity: orders, order lines, invoices and payments."""

from dataclasses import dataclass

import numpy as np

from sample_company import dirt
from sample_company.batch import Batch, Row, Scope
from sample_company.catalogue import INDUSTRIES, SIZES, Product, pick, products
from sample_company.draws import Bools, Floats, Ints, choose, exp6, slots
from sample_company.population import Customers, customer_seconds, office_seconds

WARM_UP_DAYS = 200  # an effect of an order (the latest payment) never comes later than this
TYPO_FACTOR = 10_000  # four zeros too many
TYPO_MIN_CENTS = 6_000_000  # a line this big becomes an order of more than 5e8 CNY
CHANNELS = ["direct", "distributor", "online"]
# Orders shrink around the Spring Festival and grow towards the budget deadlines of the year.
_SEASON = np.array([0.92, 0.72, 1.06, 1.0, 1.0, 1.08, 0.95, 0.96, 1.05, 0.98, 1.06, 1.20])


@dataclass(frozen=True)
class Lines:
    """Order lines; money in cents. `order` is the position in Orders; lines of an order are consecutive."""

    order: Ints
    number: Ints
    product: Ints
    quantity: Ints
    price: Ints
    net: Ints
    gross: Ints
    cost: Ints


@dataclass(frozen=True)
class Orders:
    """Orders of one chunk, including the warm-up days. `customer` is the position in Customers."""

    customer: Ints
    number: Ints  # customer number
    slot: Ints
    day: Ints
    created: Ints  # seconds
    cancelled: Bools
    dirt: Ints
    first_line: Ints
    line_count: Ints
    net: Ints
    gross: Ints
    typo_line: Ints  # position of the line with too many zeros, or -1


def master_rows(scope: Scope, customers: Customers, batch: Batch) -> None:
    """ERP customer records that appear inside the window."""
    w, cal = scope.window, scope.calendar
    keep = np.flatnonzero((customers.registered >= w.lo) & (customers.registered <= w.hi))
    texts, seconds = customers.texts, customer_seconds(scope.world, customers)[keep]
    days = customers.registered[keep]
    created = cal.stamp(seconds)
    industries = [industry.canonical for industry in INDUSTRIES]
    rows: list[Row] = []
    for position, day, stamp, industry, size in zip(
        keep.tolist(), cal.iso(days), created, pick(industries, customers.industry[keep]),
        pick(SIZES, customers.size[keep]), strict=True,
    ):  # fmt: skip
        code = customers.codes[position]
        rows.append((
            code, texts.names[position], texts.tax_ids[position], industry, size, texts.provinces[position],
            texts.phones[position], f"purchase@{texts.domains[position]}", day, "active", stamp, stamp,
        ))  # fmt: skip
        batch.identities.append((f"T{2 * int(customers.number[position]):07d}", "erp", code))
    batch.add("erp", "customers", rows, days.tolist())


def product_rows(scope: Scope, batch: Batch) -> None:
    """The product catalogue, which exists since the day before the start."""
    day = scope.world.start - 1
    if not scope.window.lo <= day <= scope.window.hi:
        return
    stamp = scope.calendar.stamp(np.array([day * 86400 + 9 * 3600], dtype=np.int64))[0]
    rows: list[Row] = [(p.code, p.name, p.category, p.price, stamp, stamp) for p in products()]
    batch.add("erp", "products", rows, [day] * len(rows))


def _price_table(catalogue: list[Product]) -> tuple[Floats, Ints]:
    """List prices and product numbers per category, padded with infinity."""
    categories = list(dict.fromkeys(p.category for p in catalogue))
    prices = np.full((len(categories), 8), np.inf)
    numbers = np.zeros((len(categories), 8), dtype=np.int64)
    filled = [0] * len(categories)
    for number, product in enumerate(catalogue):
        row = categories.index(product.category)
        prices[row, filled[row]], numbers[row, filled[row]] = product.price, number
        filled[row] += 1
    return prices, numbers


def build_orders(scope: Scope, customers: Customers) -> tuple[Orders, Lines]:
    """All orders whose effects may fall into the window, with their lines."""
    world, w, draws = scope.world, scope.window, scope.world.draws
    lo = max(world.start, w.lo - WARM_UP_DAYS)
    position, slot, day = slots(
        draws,
        "order.day",
        customers.number,
        customers.period,
        world.start,
        lo=lo - 8,
        hi=w.hi,
        phase=customers.phase,
        spread=0.7,
    )
    ids = customers.number[position]
    # Most orders of a weekend are placed on a working day of the following week instead.
    weekday = (day + 6) % 7
    next_week = day + 7 - weekday + draws.below("order.weekday", 5, ids, slot)
    day = np.where((weekday >= 5) & draws.flag("order.weekend", 0.92, ids, slot), next_week, day)
    keep = (day >= lo) & (day <= w.hi)
    keep &= (day >= customers.first_order[position]) & (day < customers.churned[position])
    position, slot, day, ids = position[keep], slot[keep], day[keep], ids[keep]
    years = np.minimum((day - world.start) / 365.0, 5.0)
    value = customers.spend[position] * customers.period[position] / 365.0
    value = value * exp6(customers.growth[position] * years) * _SEASON[scope.calendar.month(day) - 1]
    value = value * exp6(0.30 * draws.normal("order.value", ids, slot))
    count = 1 + choose(draws.uniform("order.lines", ids, slot), [0.35, 0.30, 0.20, 0.10, 0.05])
    lines = _build_lines(scope, customers, position=position, ids=ids, slot=slot, value=value, count=count)
    first = np.cumsum(count) - count
    cancelled = draws.flag("order.cancelled", 0.04, ids, slot)
    kinds = dirt.assign(dirt.ORDER_RATES, world.dirt, draws.uniform("order.dirt", ids, slot))
    kinds[cancelled] = 0
    if len(ids):
        biggest = np.maximum.reduceat(lines.net, first)
        net, gross = np.add.reduceat(lines.net, first), np.add.reduceat(lines.gross, first)
    else:
        biggest = net = gross = np.zeros(0, dtype=np.int64)
    typo_line = np.full(len(ids), -1, dtype=np.int64)
    for order in dirt.cases(dirt.ORDER_RATES, kinds, dirt.AMOUNT_TYPO):
        if biggest[order] < TYPO_MIN_CENTS:
            kinds[order] = 0
            continue
        own = slice(first[order], first[order] + count[order])
        line = int(first[order] + np.argmax(lines.net[own]))
        typo_line[order] = line
        for column in (lines.quantity, lines.net, lines.gross, lines.cost):
            column[line] *= TYPO_FACTOR
        net[order], gross[order] = lines.net[own].sum(), lines.gross[own].sum()
    created = day * 86400 + office_seconds(draws, "order.time", ids, slot)
    orders = Orders(position, ids, slot, day, created, cancelled, kinds, first, count, net, gross, typo_line)
    return orders, lines


def _build_lines(
    scope: Scope, customers: Customers, *, position: Ints, ids: Ints, slot: Ints, value: Floats, count: Ints
) -> Lines:
    draws = scope.world.draws
    order = np.repeat(np.arange(len(ids), dtype=np.int64), count)
    first = np.cumsum(count) - count
    number = np.arange(len(order), dtype=np.int64) - first[order] + 1
    who, counter = ids[order], slot[order] * 8 + number
    customer = position[order]
    weight = 20 + draws.below("line.weight", 80, who, counter)
    total = np.add.reduceat(weight, first) if len(ids) else weight
    wanted = value[order] * weight / total[order]
    # A product category out of the customer's own breadth, its first categories more often than its last.
    reach = (customers.breadth[customer] * draws.uniform("line.category", who, counter) ** 1.5).astype(np.int64)
    category = (customers.category[customer] + customers.stride[customer] * reach) % 8
    prices, numbers = _price_table(products())
    affordable = np.maximum((prices[category] <= wanted[:, None]).sum(axis=1), 1)
    step = affordable - 1 - draws.below("line.product", 3, who, counter)
    step = np.maximum(step, 0)
    price = np.rint(prices[category, step] * customers.discount[customer] * 100).astype(np.int64)
    quantity = np.maximum(1, np.rint(wanted * 100 / price)).astype(np.int64)
    net = quantity * price
    margin = customers.margin[customer] + 0.02 * (draws.uniform("line.margin", who, counter) - 0.5)
    return Lines(
        order=order,
        number=number,
        product=numbers[category, step],
        quantity=quantity,
        price=price,
        net=net,
        gross=net + (net * 13 + 50) // 100,
        cost=np.rint(net * (1.0 - margin)).astype(np.int64),
    )


def order_rows(scope: Scope, customers: Customers, orders: Orders, lines: Lines, batch: Batch) -> None:
    """Order and line rows of the window with their dirt."""
    cal, draws = scope.calendar, scope.world.draws
    keep = np.flatnonzero(orders.day >= scope.window.lo)
    days = orders.day[keep]
    ids, slot = orders.number[keep], orders.slot[keep]
    numbers = [f"SO{ym}-{i:05d}-{k:03d}" for ym, i, k in zip(cal.yymm(days), ids.tolist(), slot.tolist(), strict=True)]
    created = cal.stamp(orders.created[keep])
    # A cancellation is entered some time later on the same day, other orders are saved once.
    delay = np.where(orders.cancelled[keep], 600 + draws.below("order.cancel.time", 7200, ids, slot), 0)
    updated = cal.stamp(orders.created[keep] + delay)
    other = draws.flag("order.channel.other", 0.2, ids, slot)
    channel = np.where(other, draws.below("order.channel", 3, ids, slot), customers.channel[orders.customer[keep]])
    net, gross = orders.net[keep], orders.gross[keep]
    rows: list[Row] = list(zip(
        numbers, pick(customers.codes, orders.customer[keep]), cal.iso(days),
        pick(["confirmed", "cancelled"], orders.cancelled[keep].astype(np.int64)), ["CNY"] * len(keep),
        pick(CHANNELS, channel), (net / 100).tolist(), ((gross - net) / 100).tolist(), (gross / 100).tolist(),
        created, updated, strict=True,
    ))  # fmt: skip

    place = np.full(len(orders.day), -1, dtype=np.int64)
    place[keep] = np.arange(len(keep))
    of_order = place[lines.order]
    wanted = of_order >= 0
    of_order = of_order[wanted]
    line_rows: list[Row] = list(zip(
        pick(numbers, of_order), lines.number[wanted].tolist(),
        pick([p.code for p in products()], lines.product[wanted]), lines.quantity[wanted].tolist(),
        (lines.price[wanted] / 100).tolist(), (lines.net[wanted] / 100).tolist(),
        (lines.gross[wanted] / 100).tolist(), (lines.cost[wanted] / 100).tolist(),
        pick(created, of_order), pick(updated, of_order), strict=True,
    ))  # fmt: skip
    first = np.cumsum(orders.line_count[keep]) - orders.line_count[keep]
    typo = orders.typo_line[keep] - orders.first_line[keep]
    dirty = _OrderDirt(
        scope, batch, rows, line_rows, first=first, count=orders.line_count[keep], days=days, ids=ids,
        slot=slot, typo=typo,
    )  # fmt: skip
    dirty.apply(orders.dirt[keep])
    batch.add("erp", "orders", rows, [*days.tolist(), *dirty.order_days])
    batch.add("erp", "order_lines", line_rows, [*days[of_order].tolist(), *dirty.line_days])


class _OrderDirt:
    """Injects the order dirt of one chunk: patches rows in place and appends extra ones."""

    def __init__(
        self, scope: Scope, batch: Batch, rows: list[Row], lines: list[Row], *, first: Ints, count: Ints,
        days: Ints, ids: Ints, slot: Ints, typo: Ints,
    ) -> None:  # fmt: skip
        self.scope, self.batch = scope, batch
        self.rows, self.lines = rows, lines
        self.first, self.count, self.days, self.typo = first, count, days, typo
        self.ids, self.slot = ids, slot
        self.order_days: list[int] = []
        self.line_days: list[int] = []

    def _variant(self, position: int, n: int) -> int:
        at = slice(position, position + 1)
        return int(self.scope.world.draws.below("order.dirt.variant", n, self.ids[at], self.slot[at])[0])

    def _lines_of(self, position: int) -> list[Row]:
        start = int(self.first[position])
        return self.lines[start : start + int(self.count[position])]

    def _day(self, position: int) -> str:
        return str(self.rows[position][9])[:10]

    def apply(self, kinds: Ints) -> None:
        """Work through every kind; `kinds` numbers them as in ORDER_RATES."""
        handlers = {
            dirt.DUPLICATE_ORDER: self._duplicate,
            dirt.AMOUNT_TYPO: self._typo,
            dirt.DATE_FORMAT: self._date_format,
            dirt.NEGATIVE_QUANTITY: self._negative,
            dirt.ORPHAN_LINE: self._orphan_line,
            dirt.MISSING_ORDER_KEY: self._missing_key,
            dirt.UNKNOWN_CUSTOMER: self._unknown_customer,
            dirt.BAD_DATE: self._bad_date,
            dirt.UNKNOWN_STATUS: self._unknown_status,
        }
        for kind, handler in handlers.items():
            for position in dirt.cases(dirt.ORDER_RATES, kinds, kind):
                handler(position)

    def _add_order(self, position: int, row: Row) -> None:
        self.rows.append(row)
        self.order_days.append(int(self.days[position]))

    def _add_line(self, position: int, row: Row) -> None:
        self.lines.append(row)
        self.line_days.append(int(self.days[position]))

    def _duplicate(self, position: int) -> None:
        row, day = self.rows[position], self._day(position)
        later = _one_minute_later(row[10])
        self._add_order(position, (*row[:10], later))
        self.batch.mark(dirt.DUPLICATE_ORDER, {"order_no": row[0]}, day)
        for line in self._lines_of(position):
            self._add_line(position, (*line[:9], later))
            self.batch.mark(dirt.DUPLICATE_ORDER_LINE, {"order_no": line[0], "line_no": line[1]}, day)

    def _typo(self, position: int) -> None:
        day = self._day(position)
        self.batch.mark(dirt.AMOUNT_TYPO, {"order_no": self.rows[position][0]}, day)
        for offset, line in enumerate(self._lines_of(position)):
            kind = dirt.AMOUNT_TYPO_LINE if offset == self.typo[position] else dirt.LINE_OF_QUARANTINED
            self.batch.mark(kind, {"order_no": line[0], "line_no": line[1]}, day)

    def _date_format(self, position: int) -> None:
        row = self.rows[position]
        self.rows[position] = (*row[:2], dirt.odd_date(row[2], self._variant(position, 2)), *row[3:])
        self.batch.mark(dirt.DATE_FORMAT, {"order_no": row[0]}, self._day(position))

    def _negative(self, position: int) -> None:
        line = self._lines_of(position)[-1]
        number = line[1] + 1
        amounts = (-line[3], line[4], -line[5], -line[6], -line[7])
        self._add_line(position, (line[0], number, line[2], *amounts, *line[8:]))
        key = {"order_no": line[0], "line_no": number}
        self.batch.mark(dirt.NEGATIVE_QUANTITY, key, self._day(position))

    def _extra_number(self, position: int, letter: str) -> str:
        """A document number outside the namespace of clean orders."""
        return "SX" + str(self.rows[position][0])[2:] + letter

    def _orphan_line(self, position: int) -> None:
        number = self._extra_number(position, "L")
        line = self._lines_of(position)[0]
        self._add_line(position, (number, 1, *line[2:]))
        self.batch.mark(dirt.ORPHAN_LINE, {"order_no": number, "line_no": 1}, self._day(position))

    def _missing_key(self, position: int) -> None:
        row = self.rows[position]
        self._add_order(position, ("", *row[1:]))
        key = {"order_no": "", "customer_code": row[1], "order_date": row[2]}
        self.batch.mark(dirt.MISSING_ORDER_KEY, key, self._day(position))

    def _extra_order(self, position: int, kind: dirt.Kind, letter: str, changes: dict[int, str]) -> None:
        """A whole extra order, a copy of the host with some columns changed, and its lines."""
        day, number = self._day(position), self._extra_number(position, letter)
        row = list(self.rows[position])
        row[0] = number
        for column, value in changes.items():
            row[column] = value
        self._add_order(position, tuple(row))
        self.batch.mark(kind, {"order_no": number}, day)
        for line in self._lines_of(position):
            self._add_line(position, (number, *line[1:]))
            self.batch.mark(dirt.LINE_OF_QUARANTINED, {"order_no": number, "line_no": line[1]}, day)

    def _unknown_customer(self, position: int) -> None:
        code = "C9999" + str(self.rows[position][1])[5:]  # nobody registers in the year 9999
        self._extra_order(position, dirt.UNKNOWN_CUSTOMER, "C", {1: code})

    def _bad_date(self, position: int) -> None:
        text = ("N/A", "2026-13-45")[self._variant(position, 2)]
        self._extra_order(position, dirt.BAD_DATE, "D", {2: text})

    def _unknown_status(self, position: int) -> None:
        self._extra_order(position, dirt.UNKNOWN_STATUS, "S", {3: "confirmd"})


def _one_minute_later(stamp: str) -> str:
    # Orders are saved before 21:00, so the hour never overflows the day.
    minutes = int(stamp[11:13]) * 60 + int(stamp[14:16]) + 1
    return f"{stamp[:11]}{minutes // 60:02d}:{minutes % 60:02d}{stamp[16:]}"


def finance_rows(scope: Scope, customers: Customers, orders: Orders, batch: Batch) -> None:
    """Invoices and payments that fall into the window, whenever their orders were placed."""
    draws, w, cal = scope.world.draws, scope.window, scope.calendar
    good = np.flatnonzero(~orders.cancelled & (orders.typo_line < 0))
    ids, slot = orders.number[good], orders.slot[good]
    customer = orders.customer[good]
    invoiced = orders.day[good] + 1 + draws.below("invoice.delay", 14, ids, slot)
    due = invoiced + customers.terms[customer]
    paid = due + _payment_delay(scope, customers.punctuality[customer], ids, slot)
    unpaid_share = np.array([0.01, 0.04, 0.20])[customers.punctuality[customer]]
    unpaid = draws.uniform("payment.never", ids, slot) < unpaid_share
    suffixes = [
        f"{ym}-{i:05d}-{k:03d}"
        for ym, i, k in zip(cal.yymm(orders.day[good]), ids.tolist(), slot.tolist(), strict=True)
    ]
    gross = orders.gross[good] / 100

    at = np.flatnonzero((invoiced >= w.lo) & (invoiced <= w.hi))
    seconds = invoiced[at] * 86400 + office_seconds(draws, "invoice.time", ids[at], slot[at])
    stamps, own = cal.stamp(seconds), pick(suffixes, at)
    codes = pick(customers.codes, customer[at])
    rows: list[Row] = list(zip(
        ["INV" + s for s in own], ["SO" + s for s in own], codes, cal.iso(invoiced[at]), cal.iso(due[at]),
        gross[at].tolist(), stamps, stamps, strict=True,
    ))  # fmt: skip
    batch.add("erp", "invoices", rows, invoiced[at].tolist())
    _early_payments(scope, batch, rows, day=invoiced[at], ids=ids[at], slot=slot[at])

    at = np.flatnonzero((paid >= w.lo) & (paid <= w.hi) & ~unpaid)
    stamps = cal.stamp(paid[at] * 86400 + office_seconds(draws, "payment.time", ids[at], slot[at]))
    own = pick(suffixes, at)
    payments: list[Row] = list(zip(
        ["PAY" + s for s in own], ["INV" + s for s in own], pick(customers.codes, customer[at]),
        cal.iso(paid[at]), gross[at].tolist(), stamps, stamps, strict=True,
    ))  # fmt: skip
    batch.add("erp", "payments", payments, paid[at].tolist())


def _payment_delay(scope: Scope, punctuality: Ints, ids: Ints, slot: Ints) -> Ints:
    """Days between due date and payment: -10..0 on time, up to 45 now and then, 20..120 chronically late."""
    draws = scope.world.draws
    u = draws.uniform("payment.delay", ids, slot)
    chance = draws.uniform("payment.late", ids, slot)
    late = chance < np.array([0.04, 0.45, 0.90])[punctuality]
    longest = np.array([12, 45, 100])[punctuality]
    earliest = np.array([1, 1, 20])[punctuality]
    return np.where(late, earliest + (u * longest).astype(np.int64), -(u * 11).astype(np.int64))


def _early_payments(scope: Scope, batch: Batch, invoices: list[Row], *, day: Ints, ids: Ints, slot: Ints) -> None:
    """Extra payments entered together with an invoice but dated before it."""
    draws = scope.world.draws
    kinds = dirt.assign(dirt.INVOICE_RATES, scope.world.dirt, draws.uniform("invoice.dirt", ids, slot))
    found = dirt.cases(dirt.INVOICE_RATES, kinds, dirt.PAID_BEFORE_INVOICED)
    back = 1 + draws.below("invoice.dirt.back", 10, ids, slot)
    for position in found:
        invoice = invoices[position]
        number = "PAX" + invoice[0][3:]
        paid = scope.calendar.iso(day[position : position + 1] - back[position])[0]
        row = (number, invoice[0], invoice[2], paid, invoice[5], invoice[6], invoice[7])
        batch.add("erp", "payments", [row], [int(day[position])])
        batch.mark(dirt.PAID_BEFORE_INVOICED, {"payment_no": number}, invoice[3])
