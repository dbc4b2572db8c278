"""Who exists: ERP customers, CRM accounts and what is constant about them."""

from dataclasses import dataclass

import numpy as np

from sample_company import dirt
from sample_company.catalogue import (
    INDUSTRIES,
    N_CATEGORIES,
    Calendar,
    Identities,
    identities,
    phones,
)
from sample_company.draws import Bools, Draws, Floats, Ints, choose, exp6

NEVER = 10_000_000  # an ordinal far behind every date
YEAR = 365
GROWTH_PER_YEAR = 0.03  # new customers per year after the first, as a share of the nominal number

MAIN, DUPLICATE, PROSPECT = 0, 1, 2


@dataclass(frozen=True)
class World:
    """The fixed parameters every value is derived from; days are date ordinals."""

    draws: Draws
    customers: int
    start: int
    dirt: float

    def hosts_until(self, day: int) -> int:
        """How many customer numbers may matter up to `day` (registered then or not)."""
        later = day - self.start - YEAR
        growth = 0 if later < 0 else int(later * self.customers * GROWTH_PER_YEAR / YEAR) + 1
        return self.customers + growth


@dataclass(frozen=True)
class Customers:
    """ERP customers of one chunk, one array entry each. Money in CNY, days as ordinals."""

    number: Ints
    registered: Ints
    first_order: Ints
    churned: Ints
    spend: Floats
    period: Floats
    phase: Floats
    growth: Floats
    margin: Floats
    discount: Floats
    breadth: Ints
    category: Ints
    stride: Ints
    industry: Ints
    size: Ints
    punctuality: Ints
    terms: Ints
    channel: Ints
    satisfaction: Floats
    texts: Identities
    codes: list[str]


def build_customers(world: World, number: Ints, calendar: Calendar) -> Customers:
    """Everything constant about the customers `number`.

    70 % are registered up to eight years before the start, the rest of the nominal number joins during the
    first year; numbers beyond it join evenly afterwards (3 % a year).
    """
    draws, n = world.draws, number
    u = draws.uniform("cust.registered", n)
    early = draws.flag("cust.early", 0.70, n)
    beyond = (n - world.customers + u) * YEAR / (world.customers * GROWTH_PER_YEAR)
    offset = np.where(early, -1 - u * 8 * YEAR, u * YEAR)
    offset = np.where(n >= world.customers, YEAR + beyond, offset)
    registered = world.start + np.floor(offset).astype(np.int64)
    active_from = np.maximum(registered + 5 + draws.below("cust.lead", 36, n), world.start)
    # A constant hazard from the first day on: about 8 % of the customers stop within three years.
    hazard_days = -np.log(1.0 - draws.uniform("cust.churn", n)) * YEAR / 0.03
    churned = np.minimum(active_from + 150 + hazard_days, NEVER).astype(np.int64)
    never_orders = draws.flag("cust.silent", 0.02, n)
    z = draws.normal("cust.spend", n)
    key_account = draws.flag("cust.key", 0.045, n)
    # The few key accounts give the distribution its heavy tail.
    tail = np.where(key_account, 1.2 + 0.7 * draws.normal("cust.tail", n), 0.0)
    spend = np.clip(2_350_000 * exp6(0.68 * z + tail), 120_000, 120_000_000)
    frequency = np.clip(11.0 * exp6(0.25 * z + 0.40 * draws.normal("cust.frequency", n)), 4.0, 40.0)
    size_score = z + 0.6 * draws.normal("cust.size", n)
    industry = draws.below("cust.industry", len(INDUSTRIES), n)
    return Customers(
        number=n,
        registered=registered,
        first_order=np.where(never_orders, NEVER, active_from),
        churned=churned,
        spend=spend,
        period=YEAR / frequency,
        phase=0.3 * draws.uniform("cust.phase", n),
        growth=np.clip(0.03 + 0.14 * draws.normal("cust.growth", n), -0.40, 0.45),
        margin=0.04 + 0.20 * draws.uniform("cust.margin", n),
        discount=0.84 + 0.16 * draws.uniform("cust.discount", n),
        breadth=1 + draws.below("cust.breadth", N_CATEGORIES, n),
        category=draws.below("cust.category", N_CATEGORIES, n),
        stride=1 + 2 * draws.below("cust.stride", 4, n),  # odd, so it walks through all eight categories
        industry=industry,
        size=np.digitize(-size_score, [-1.1, 0.2, 1.2]).astype(np.int64),
        punctuality=choose(draws.uniform("cust.punctuality", n), [0.75, 0.17, 0.08]),
        terms=np.array([30, 45, 60], dtype=np.int64)[draws.below("cust.terms", 3, n)],
        channel=choose(draws.uniform("cust.channel", n), [0.6, 0.25, 0.15]),
        satisfaction=draws.normal("cust.satisfaction", n),
        texts=identities(draws, 2 * n, industry),
        codes=[f"C{y}{i:05d}" for y, i in zip(calendar.year(registered).tolist(), n.tolist(), strict=True)],
    )


def customer_seconds(world: World, customers: Customers) -> Ints:
    """Moment each ERP customer record was created, in seconds since ordinal 0."""
    return customers.registered * 86400 + office_seconds(world.draws, "cust.time", customers.number)


def office_seconds(draws: Draws, stream: str, ids: Ints, counters: Ints | None = None) -> Ints:
    """A second of the day between 08:00 and 17:59."""
    return 8 * 3600 + draws.below(stream, 10 * 3600, ids, counters)


@dataclass(frozen=True)
class Accounts:
    """CRM accounts of one chunk: main accounts of customers, their duplicates, and prospects.

    `host` is the position of the customer in the chunk (for a prospect: of the customer number it borrows its
    random streams from). `dirt` holds the dirt kind of the account row, numbered as in ACCOUNT_RATES.
    """

    number: Ints
    kind: Ints
    host: Ints
    created: Ints  # seconds
    dirt: Ints
    coded: Bools
    taxed: Bools
    same_tax: Bools
    industry: Ints
    size: Ints
    contacts: Ints
    churned: Ints
    satisfaction: Floats
    prospects: Identities  # of the prospects only, in the order of their appearance
    prospect_at: Ints  # position in `prospects`, or -1
    own_phone: list[str]

    def day(self) -> Ints:
        """Ordinal of the creation day."""
        return self.created // 86400


def build_accounts(world: World, customers: Customers) -> Accounts:
    """The CRM accounts that belong to a chunk of customer numbers, without regard to any date limit."""
    draws, n = world.draws, customers.number
    at = np.arange(len(n), dtype=np.int64)
    has_main = ~draws.flag("acc.none", 0.05, n)
    decided = dirt.assign(dirt.ACCOUNT_RATES, world.dirt, draws.uniform("acc.dirt", n))
    doubled = np.zeros(len(n), dtype=np.bool_)
    doubled[dirt.cases(dirt.ACCOUNT_RATES, decided, dirt.DUPLICATE_CUSTOMER)] = True
    doubled &= has_main
    is_prospect = draws.flag("acc.prospect", 0.15, n)

    host = np.concatenate([at[has_main], at[doubled], at[is_prospect]])
    kind = np.repeat([MAIN, DUPLICATE, PROSPECT], [has_main.sum(), doubled.sum(), is_prospect.sum()])
    ids = n[host]
    number = 3 * ids + kind
    main_day = customers.registered[host] + draws.below("acc.lag", 4, ids)
    dup_day = main_day + 20 + draws.below("acc.dup.lag", 480, ids)
    prospect_day = customers.registered[host] + draws.below("acc.pro.lag", 300, ids)
    day = np.choose(kind, [main_day, dup_day, prospect_day])
    # The only dirt a prospect gets is decided by a draw of its own; a duplicate is itself the dirt.
    prospect_dirt = dirt.assign(dirt.ACCOUNT_RATES, world.dirt, draws.uniform("acc.pro.dirt", ids))
    no_duplicate = list(dirt.ACCOUNT_RATES).index(dirt.DUPLICATE_CUSTOMER) + 1
    row_dirt = np.where(kind == MAIN, decided[host], np.where(kind == PROSPECT, prospect_dirt, 0))
    row_dirt = np.where(row_dirt == no_duplicate, 0, row_dirt)
    coded = (kind == MAIN) & draws.flag("acc.coded", 0.90, ids)
    missing = list(dirt.ACCOUNT_RATES).index(dirt.MISSING_CONTACT) + 1
    # An account that lost phone and mail keeps a tax id, or nothing but the name would say whose it is.
    taxed = draws.uniform("acc.taxed", ids) < np.where(coded, 0.92, 0.70)
    taxed = np.where(kind == DUPLICATE, False, taxed | (row_dirt == missing))
    prospect_numbers = 2 * ids[kind == PROSPECT] + 1
    prospect_industry = draws.below("pro.industry", len(INDUSTRIES), prospect_numbers)
    prospect_at = np.full(len(ids), -1, dtype=np.int64)
    prospect_at[kind == PROSPECT] = np.arange(len(prospect_numbers))
    industry = customers.industry[host]
    industry[kind == PROSPECT] = prospect_industry
    size = customers.size[host]
    size[kind == PROSPECT] = 1 + draws.below("pro.size", 3, prospect_numbers)
    return Accounts(
        number=number,
        kind=kind,
        host=host,
        created=day * 86400 + office_seconds(draws, "acc.time", number),
        dirt=row_dirt,
        coded=coded,
        taxed=taxed,
        same_tax=(kind == DUPLICATE) & draws.flag("acc.same_tax", 0.5, ids),
        industry=industry,
        size=size,
        contacts=np.where(kind == DUPLICATE, 0, 1 + draws.below("acc.contacts", 3, number)),
        churned=np.where(kind == PROSPECT, NEVER, customers.churned[host]),
        satisfaction=np.where(kind == PROSPECT, 0.0, customers.satisfaction[host]),
        prospects=identities(draws, prospect_numbers, prospect_industry),
        prospect_at=prospect_at,
        own_phone=phones(draws, number, (6,)),
    )
