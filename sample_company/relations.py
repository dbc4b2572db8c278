"""CRM and ticketing: accounts, contacts, recurring events, tickets and the strategic sheet."""

import numpy as np

from sample_company import dirt
from sample_company.batch import Batch, Row, Scope
from sample_company.catalogue import (
    GIVEN,
    INDUSTRIES,
    SIZES,
    SURNAMES,
    TITLES,
    UNMAPPED_INDUSTRIES,
    owners,
    phones,
    pick,
)
from sample_company.draws import Bools, Draws, Floats, Ints, choose, exp6, slots
from sample_company.population import (
    DUPLICATE,
    MAIN,
    NEVER,
    PROSPECT,
    Accounts,
    Customers,
    World,
    build_accounts,
    office_seconds,
)

LONGEST_EFFECT_DAYS = 190  # closing of an opportunity; every other later effect comes sooner
_ACCOUNT_TYPES = ["企业", "企业客户", "公司", ""]  # as typed, or not at all
_SHEET_ROWS = 10_000  # nobody maintains a longer spreadsheet by hand
_INTERACTIONS = ["login", "page_view", "email", "call", "campaign", "social", "event"]
_INTERACTION_WEIGHTS = [0.34, 0.26, 0.14, 0.11, 0.08, 0.04, 0.03]
_LOGIN_FADE_DAYS = 150  # logins thin out this long before a customer stops ordering
_SUBJECTS = {
    "complaint": ["到货外观损伤", "交期延误", "开机精度不达标", "发票信息有误"],
    "question": ["参数设置咨询", "备件型号确认", "保养周期咨询", "软件版本咨询"],
    "incident": ["主轴异响报警", "液压站漏油", "机器人停机", "输送线卡料"],
    "request": ["上门安装", "操作培训", "年度保养预约", "备件报价"],
}
_TICKET_TYPES = list(_SUBJECTS)
_PRIORITIES = ["low", "normal", "high", "urgent"]


class Relations:
    """Builds the CRM and ticketing rows of one chunk of customers."""

    def __init__(self, scope: Scope, customers: Customers, batch: Batch) -> None:
        self.scope, self.customers, self.batch = scope, customers, batch
        self.draws, self.window, self.calendar = scope.world.draws, scope.window, scope.calendar
        self.accounts: Accounts = build_accounts(scope.world, customers)
        a = self.accounts
        self.ids = [f"A{n:06d}" for n in a.number.tolist()]
        self.domains = [
            a.prospects.domains[p] if p >= 0 else customers.texts.domains[h]
            for h, p in zip(a.host.tolist(), a.prospect_at.tolist(), strict=True)
        ]
        # Contacts of a duplicate are those of the main account: the same people, only typed in twice.
        self.people = np.where(a.kind == DUPLICATE, a.number - 1, a.number)
        people_count = 1 + self.draws.below("acc.contacts", 3, self.people)
        self.people_count = people_count

    def build(self) -> None:
        """Add every CRM and ticketing row whose day lies in the window."""
        self._accounts()
        self._contacts()
        self._interactions()
        self._surveys()
        self._opportunities()
        self._tickets()

    # --- people -------------------------------------------------------------------------------------------

    def _person(self, account: Ints, which: Ints) -> tuple[list[str], list[str], list[str]]:
        """Names, phones and e-mails of contact number `which` of the accounts at these positions."""
        people = self.people[account]
        surname = (self.draws.below("con.surname", len(SURNAMES), people) + which * 7) % len(SURNAMES)
        given = self.draws.below("con.given", len(GIVEN), people, which)
        names, mails = [], []
        for s, g, p in zip(surname.tolist(), given.tolist(), account.tolist(), strict=True):
            names.append(SURNAMES[s][0] + GIVEN[g][0])
            mails.append(f"{SURNAMES[s][1]}.{GIVEN[g][1]}@{self.domains[p]}")
        return names, phones(self.draws, people * 4 + which, (7, 9)), mails

    def _some_contact(self, stream: str, account: Ints, k: Ints) -> Ints:
        u = self.draws.uniform(stream, self.people[account], k)
        return (u * self.people_count[account]).astype(np.int64)

    # --- accounts and contacts ----------------------------------------------------------------------------

    def _accounts(self) -> None:
        a, w = self.accounts, self.window
        day = a.day()
        keep = np.flatnonzero((day >= w.lo) & (day <= w.hi))
        created = self.calendar.stamp(a.created[keep])
        staff = np.array([2400, 420, 90, 16])[a.size[keep]] * exp6(
            0.35 * self.draws.normal("acc.staff", a.number[keep])
        )
        owner = pick([o.owner_id for o in owners(self.draws)], self.draws.below("acc.owner", 12, a.number[keep]))
        typed = pick(_ACCOUNT_TYPES, choose(self.draws.uniform("acc.type", a.number[keep]), [0.75, 0.12, 0.08, 0.05]))
        industries = [industry.canonical for industry in INDUSTRIES]
        rows: list[Row] = []
        for p, stamp, industry, size, employees, manager, kind in zip(
            keep.tolist(), created, pick(industries, a.industry[keep]), pick(SIZES, a.size[keep]),
            np.maximum(3, staff).astype(np.int64).tolist(), owner, typed, strict=True,
        ):  # fmt: skip
            name, code, tax_id, province, phone = self._identity(p)
            rows.append((
                self.ids[p], name, code, tax_id, industry, size, employees, province, manager, phone,
                f"info@{self.domains[p]}", stamp, stamp, "0", kind,
            ))  # fmt: skip
            self.batch.identities.append((self._company(p), "crm", self.ids[p]))
            if a.kind[p] == DUPLICATE:
                self.batch.mark(dirt.DUPLICATE_CUSTOMER, {"account_id": self.ids[p]}, stamp[:10])
        days = day[keep].tolist()
        extra_days = self._account_dirt(rows, a.dirt[keep], a.number[keep], days)
        self.batch.add("crm", "accounts", rows, [*days, *extra_days])

    def _company(self, p: int) -> str:
        """Number of the real company behind an account."""
        number = 2 * int(self.customers.number[self.accounts.host[p]])
        return f"T{number + int(self.accounts.kind[p] == PROSPECT):07d}"

    def _identity(self, p: int) -> tuple[str, str, str, str, str]:
        """Name, ERP code, tax id, province and phone of the account at position `p`."""
        a = self.accounts
        if a.kind[p] == PROSPECT:
            texts, at, code = a.prospects, int(a.prospect_at[p]), ""
        else:
            texts, at = self.customers.texts, int(a.host[p])
            code = self.customers.codes[at] if a.coded[p] else ""
        name, phone, tax_id = texts.names[at], texts.phones[at], texts.tax_ids[at] if a.taxed[p] else ""
        if a.kind[p] == DUPLICATE:
            variant = int(self.draws.below("acc.variant", 4, a.number[p : p + 1])[0])
            name = dirt.name_variant(name, variant)
            # A duplicate shares exactly one hard key with the company: the tax id or the phone.
            tax_id, phone = (texts.tax_ids[at], a.own_phone[p]) if a.same_tax[p] else ("", phone)
        return name, code, tax_id, texts.provinces[at], phone

    def _account_dirt(self, rows: list[Row], kinds: Ints, numbers: Ints, days: list[int]) -> list[int]:
        """Patch account rows, append extra ones; returns the days of the extra rows."""
        extra: list[int] = []
        variant = self.draws.below("acc.dirt.variant", 12, numbers).tolist()
        rates = dirt.ACCOUNT_RATES
        for p in dirt.cases(rates, kinds, dirt.DUPLICATE_ACCOUNT_ROW):
            rows.append(rows[p])
            extra.append(days[p])
            self.batch.mark(dirt.DUPLICATE_ACCOUNT_ROW, {"account_id": rows[p][0]}, rows[p][11][:10])
        for p in dirt.cases(rates, kinds, dirt.MISSING_ACCOUNT_ID):
            row = rows[p]
            rows.append(("", *row[1:]))
            extra.append(days[p])
            key = {"account_id": "", "account_name": row[1], "created_at": row[11]}
            self.batch.mark(dirt.MISSING_ACCOUNT_ID, key, row[11][:10])
        for kind in (dirt.MISSING_CONTACT, dirt.PHONE_FORMAT, dirt.INDUSTRY_VARIANT, dirt.INDUSTRY_UNMAPPED):
            for p in dirt.cases(rates, kinds, kind):
                cells = list(rows[p])
                if kind is dirt.MISSING_CONTACT:
                    cells[9] = cells[10] = ""
                elif kind is dirt.PHONE_FORMAT:
                    cells[9] = dirt.messy_phone(cells[9], variant[p] % 4)
                elif kind is dirt.INDUSTRY_VARIANT:
                    industry = next(i for i in INDUSTRIES if i.canonical == cells[4])
                    cells[4] = industry.variants[variant[p] % 3]
                else:
                    cells[4] = UNMAPPED_INDUSTRIES[variant[p] % len(UNMAPPED_INDUSTRIES)]
                rows[p] = tuple(cells)
                self.batch.mark(kind, {"account_id": cells[0]}, cells[11][:10])
        return extra

    def _contacts(self) -> None:
        a, w = self.accounts, self.window
        day = a.day()
        keep = np.flatnonzero((day >= w.lo) & (day <= w.hi) & (a.contacts > 0))
        account = np.repeat(keep, a.contacts[keep])
        which = np.arange(len(account), dtype=np.int64)
        which -= np.repeat(np.cumsum(a.contacts[keep]) - a.contacts[keep], a.contacts[keep])
        names, mobiles, mails = self._person(account, which)
        title = pick(TITLES, self.draws.below("con.title", len(TITLES), a.number[account], which))
        stamps = self.calendar.stamp(a.created[account])
        ids = [f"P{n:06d}{k + 1}" for n, k in zip(a.number[account].tolist(), which.tolist(), strict=True)]
        primary = (which == 0).astype(np.int64).tolist()
        rows = zip(ids, pick(self.ids, account), names, title, mobiles, mails, primary, stamps, stamps, strict=True)
        self.batch.add("crm", "contacts", rows, day[account].tolist())

    # --- recurring events ---------------------------------------------------------------------------------

    def _events(self, stream: str, period: Floats, back: int = 0) -> tuple[Ints, Ints, Ints]:
        """(account position, counter, moment in seconds) of recurring events; `back` days of warm-up."""
        a, world = self.accounts, self.scope.world
        lo = max(world.start, self.window.lo - back)
        account, k, day = slots(self.draws, stream, a.number, period, world.start, lo=lo, hi=self.window.hi)
        keep = day > a.day()[account]  # nothing happens before the account exists
        account, k, day = account[keep], k[keep], day[keep]
        seconds = day * 86400 + office_seconds(self.draws, stream + ".time", a.number[account], k)
        return account, k, seconds

    def _interactions(self) -> None:
        a, draws = self.accounts, self.draws
        usual = np.clip(18.0 * exp6(0.6 * draws.normal("int.rate", a.number)), 3.0, 70.0)
        rate = np.where(a.kind == MAIN, usual, np.where(a.kind == PROSPECT, usual * 0.4, 4.0))
        account, k, seconds = self._events("int.day", 365.0 / rate)
        ids = a.number[account]
        kind = choose(draws.uniform("int.kind", ids, k), _INTERACTION_WEIGHTS)
        left = a.churned[account] - seconds // 86400
        share = np.where(kind <= 1, np.clip(left / _LOGIN_FADE_DAYS, 0.03, 1.0), np.where(left > 0, 1.0, 0.3))
        keep = draws.uniform("int.keep", ids, k) < share
        account, k, seconds, kind, ids = account[keep], k[keep], seconds[keep], kind[keep], ids[keep]
        joined = draws.uniform("int.joined", ids, k) < np.array([1.0, 1.0, 0.7, 0.9, 0.35, 0.6, 0.5])[kind]
        _, mobiles, _ = self._person(account, self._some_contact("int.contact", account, k))
        numbers = [f"I{n:06d}-{c:05d}" for n, c in zip(ids.tolist(), k.tolist(), strict=True)]
        stamps = self.calendar.stamp(seconds)
        days = (seconds // 86400).tolist()
        rows: list[Row] = list(zip(
            numbers, pick(self.ids, account), pick(_INTERACTIONS, kind), joined.astype(np.int64).tolist(),
            mobiles, stamps, strict=True,
        ))  # fmt: skip
        kinds = dirt.assign(dirt.INTERACTION_RATES, self.scope.world.dirt, draws.uniform("int.dirt", ids, k))
        for p in dirt.cases(dirt.INTERACTION_RATES, kinds, dirt.ORPHAN_INTERACTION):
            row = rows[p]
            number = "IX" + row[0][1:]
            rows.append((number, "A9" + row[1][1:].zfill(8), *row[2:]))
            days.append(days[p])
            self.batch.mark(dirt.ORPHAN_INTERACTION, {"interaction_id": number}, row[5][:10])
        self.batch.add("crm", "interactions", rows, days)

    def _surveys(self) -> None:
        a, draws = self.accounts, self.draws
        period = np.where(a.kind == MAIN, 140.0, 50_000.0) + 60.0 * draws.uniform("svy.period", a.number)
        account, k, seconds = self._events("svy.day", period)
        main = a.kind[account] == MAIN
        account, k, seconds = account[main], k[main], seconds[main]
        ids = a.number[account]
        is_nps = draws.flag("svy.kind", 0.55, ids, k)
        mood = a.satisfaction[account] + 0.7 * draws.normal("svy.mood", ids, k)
        nps = np.clip(np.rint(7.4 + 1.7 * mood), 0, 10)
        csat = np.clip(np.rint(3.8 + 0.8 * mood), 1, 5)
        score = np.where(is_nps, nps, csat).astype(np.int64)
        kinds = dirt.assign(dirt.SURVEY_RATES, self.scope.world.dirt, draws.uniform("svy.dirt", ids, k))
        stamps = self.calendar.stamp(seconds)
        numbers = [f"S{n:06d}-{c:04d}" for n, c in zip(ids.tolist(), k.tolist(), strict=True)]
        high = draws.flag("svy.dirt.high", 0.5, ids, k)
        for p in dirt.cases(dirt.SURVEY_RATES, kinds, dirt.SURVEY_OUT_OF_RANGE):
            score[p] = (11 if high[p] else -1) if is_nps[p] else (6 if high[p] else 0)
            self.batch.mark(dirt.SURVEY_OUT_OF_RANGE, {"survey_id": numbers[p]}, stamps[p][:10])
        rows = zip(
            numbers, pick(self.ids, account), pick(["CSAT", "NPS"], is_nps.astype(np.int64)), score.tolist(),
            stamps, strict=True,
        )  # fmt: skip
        self.batch.add("crm", "surveys", rows, (seconds // 86400).tolist())

    def _opportunities(self) -> None:
        a, draws, w = self.accounts, self.draws, self.window
        base = np.choose(a.kind, [330.0, 50_000.0, 280.0])
        period = base * (0.6 + 0.8 * draws.uniform("opp.period", a.number))
        account, k, opened = self._events("opp.day", period, LONGEST_EFFECT_DAYS)
        real = (a.kind[account] != DUPLICATE) & (opened // 86400 < a.churned[account])
        account, k, opened = account[real], k[real], opened[real]
        ids = a.number[account]
        closed = opened + 86400 * (20 + draws.below("opp.length", 160, ids, k)) + 600
        stage = choose(draws.uniform("opp.stage", ids, k), [0.4, 0.35, 0.25])
        won = draws.uniform("opp.won", ids, k) < np.where(a.kind[account] == PROSPECT, 0.12, 0.45)
        spend = np.where(a.kind[account] == PROSPECT, 900_000.0, self.customers.spend[a.host[account]])
        budget = np.rint(spend * 0.25 * exp6(0.7 * draws.normal("opp.budget", ids, k)) / 1000).astype(np.int64) * 1000
        fit = np.clip(np.rint(62 + 16 * draws.normal("opp.fit", ids, k)), 0, 100).astype(np.int64)
        depth = draws.below("opp.depth", 4, ids, k)
        decider = draws.flag("opp.decider", 0.55, ids, k).astype(np.int64)
        numbers = [f"O{n:06d}-{c:03d}" for n, c in zip(ids.tolist(), k.tolist(), strict=True)]
        openings, closings = self.calendar.stamp(opened), self.calendar.stamp(closed)
        names = [f"{s[:4]}年设备采购项目{c + 1}" for s, c in zip(openings, k.tolist(), strict=True)]
        depths = pick(["none", "pilot", "regular", "deep"], depth)
        common = list(zip(
            numbers, pick(self.ids, account), names, budget.tolist(), fit.tolist(),
            pick(SIZES, a.size[account]), decider.tolist(), depths, openings, strict=True,
        ))  # fmt: skip
        stages = pick(["qualification", "proposal", "negotiation"], stage)
        results = pick(["lost", "won"], won.astype(np.int64))
        versions = ((opened // 86400, stages, None), (closed // 86400, results, closings))
        for day, shown, ends in versions:
            at = np.flatnonzero((day >= w.lo) & (day <= w.hi)).tolist()
            rows = []
            for p in at:
                c, end = common[p], ends[p] if ends else ""
                rows.append((c[0], c[1], c[2], shown[p], *c[3:9], end, end or c[8]))
            self.batch.add("crm", "opportunities", rows, day[at].tolist())

    # --- ticketing ----------------------------------------------------------------------------------------

    def _tickets(self) -> None:
        a, draws, w = self.accounts, self.draws, self.window
        usual = np.clip(2.2 * exp6(0.5 * draws.normal("tic.rate", a.number) - 0.25 * a.satisfaction), 0.4, 12.0)
        rate = np.where(a.kind == MAIN, usual, 0.005)
        account, k, opened = self._events("tic.day", 365.0 / rate, 60)
        real = (a.kind[account] == MAIN) & (opened // 86400 < a.churned[account] + 60)
        account, k, opened = account[real], k[real], opened[real]
        ids = a.number[account]
        kind = choose(draws.uniform("tic.type", ids, k), [0.18, 0.32, 0.28, 0.22])
        priority = choose(draws.uniform("tic.priority", ids, k), [0.2, 0.5, 0.22, 0.08])
        # Responses come on the day of opening at the latest: tickets open before 18:00, five hours at most.
        response = np.clip(
            np.array([150.0, 80.0, 40.0, 15.0])[priority] * exp6(0.8 * draws.normal("tic.response", ids, k)),
            2,
            300,
        ).astype(np.int64)
        responded = opened + 60 * response
        hours = np.array([60.0, 40.0, 22.0, 9.0])[priority] * exp6(0.9 * draws.normal("tic.resolve", ids, k))
        resolved = responded + 60 + (np.clip(hours, 0.3, 720.0) * 3600).astype(np.int64)
        open_forever = draws.flag("tic.open", 0.03, ids, k)
        numbers = [f"T{n:06d}-{c:04d}" for n, c in zip(ids.tolist(), k.tolist(), strict=True)]
        resolved_day = np.where(open_forever, NEVER, resolved // 86400)
        _, _, mails = self._person(account, self._some_contact("tic.contact", account, k))
        words = draws.below("tic.subject", 4, ids, k).tolist()
        types = pick(_TICKET_TYPES, kind)
        subjects = [_SUBJECTS[t][s] for t, s in zip(types, words, strict=True)]
        common = list(zip(
            numbers, pick(self.ids, account), mails, subjects, types, pick(_PRIORITIES, priority), strict=True
        ))  # fmt: skip
        opened_at, responded_at = self.calendar.stamp(opened), self.calendar.stamp(responded)
        resolved_at = self.calendar.stamp(resolved)
        kinds = dirt.assign(dirt.TICKET_RATES, self.scope.world.dirt, draws.uniform("tic.dirt", ids, k))
        rows: list[Row] = []
        days: list[int] = []
        opened_day = opened // 86400
        for p in np.flatnonzero((opened_day >= w.lo) & (resolved_day != opened_day)).tolist():
            rows.append((*common[p], "open", opened_at[p], responded_at[p], None, responded_at[p]))
            days.append(int(opened_day[p]))
        for p in np.flatnonzero((resolved_day >= w.lo) & (resolved_day <= w.hi)).tolist():
            done = resolved_at[p]
            rows.append((*common[p], "resolved", opened_at[p], responded_at[p], done, done))
            days.append(int(resolved_day[p]))
        self._ticket_dirt(kinds, opened, rows, days, common=common, responded_at=responded_at)
        self.batch.add("ticketing", "tickets", rows, days)
        self._comments(numbers, ids, k, opened, np.where(open_forever, opened + 5 * 86400, resolved))
        self._ratings(numbers, ids, k, account=account, resolved=resolved, done=~open_forever)

    def _ticket_dirt(
        self, kinds: Ints, opened: Ints, rows: list[Row], days: list[int], *, common: list[Row],
        responded_at: list[str],
    ) -> None:  # fmt: skip
        opened_day = opened // 86400
        inside = opened_day >= self.window.lo
        first_version = {(row[0], day): row for row, day in zip(rows, days, strict=True)}
        for p in dirt.cases(dirt.TICKET_RATES, kinds, dirt.DUPLICATE_TICKET):
            if inside[p]:
                row = first_version[common[p][0], int(opened_day[p])]
                rows.append(row)
                days.append(int(opened_day[p]))
                self.batch.mark(dirt.DUPLICATE_TICKET, {"ticket_id": row[0]}, row[7][:10])
        for p in dirt.cases(dirt.TICKET_RATES, kinds, dirt.RESOLVED_BEFORE_OPENED):
            if inside[p]:
                number = "TX" + common[p][0][1:]
                stamps = self.calendar.stamp(np.array([opened[p], opened[p] - 7200 - opened[p] % 140_000]))
                rows.append((number, *common[p][1:], "resolved", stamps[0], responded_at[p], stamps[1],
                             responded_at[p]))  # fmt: skip
                days.append(int(opened_day[p]))
                self.batch.mark(dirt.RESOLVED_BEFORE_OPENED, {"ticket_id": number}, stamps[0][:10])

    def _comments(self, tickets: list[str], ids: Ints, k: Ints, opened: Ints, until: Ints) -> None:
        draws, w = self.draws, self.window
        count = draws.below("com.count", 4, ids, k)
        ticket = np.repeat(np.arange(len(ids), dtype=np.int64), count)
        which = np.arange(len(ticket), dtype=np.int64) - np.repeat(np.cumsum(count) - count, count)
        share = (which + draws.uniform("com.when", ids[ticket], k[ticket] * 4 + which)) / count[ticket]
        seconds = opened[ticket] + 60 + np.floor((until - opened - 120)[ticket] * share).astype(np.int64)
        days = seconds // 86400
        at = np.flatnonzero((days >= w.lo) & (days <= w.hi))
        agent = draws.flag("com.role", 0.55, ids[ticket], k[ticket] * 4 + which).astype(np.int64)
        own = pick(tickets, ticket[at])
        numbers = [f"C{t[1:]}-{c + 1}" for t, c in zip(own, which[at].tolist(), strict=True)]
        rows: list[Row] = list(zip(
            numbers, own, pick(["customer", "agent"], agent[at]), self.calendar.stamp(seconds[at]),
            strict=True,
        ))  # fmt: skip
        row_days = days[at].tolist()
        u = draws.uniform("com.dirt", ids[ticket], k[ticket] * 4 + which)[at]
        kinds = dirt.assign(dirt.COMMENT_RATES, self.scope.world.dirt, u)
        for p in dirt.cases(dirt.COMMENT_RATES, kinds, dirt.ORPHAN_COMMENT):
            row = rows[p]
            number = "CX" + row[0][1:]
            rows.append((number, "T9" + row[1][1:], *row[2:]))
            row_days.append(row_days[p])
            self.batch.mark(dirt.ORPHAN_COMMENT, {"comment_id": number}, row[3][:10])
        self.batch.add("ticketing", "comments", rows, row_days)

    def _ratings(self, tickets: list[str], ids: Ints, k: Ints, *, account: Ints, resolved: Ints, done: Bools) -> None:
        draws, w = self.draws, self.window
        rated = resolved + 1800 + draws.below("rat.delay", 3 * 86400, ids, k)
        days = rated // 86400
        given = done & draws.flag("rat.given", 0.6, ids, k) & (days >= w.lo) & (days <= w.hi)
        at = np.flatnonzero(given)
        mood = self.accounts.satisfaction[account] + 0.7 * draws.normal("rat.mood", ids, k)
        score = np.clip(np.rint(3.9 + 0.8 * mood), 1, 5).astype(np.int64)[at]
        stamps, own = self.calendar.stamp(rated[at]), pick(tickets, at)
        kinds = dirt.assign(dirt.RATING_RATES, self.scope.world.dirt, draws.uniform("rat.dirt", ids, k)[at])
        high = draws.flag("rat.dirt.high", 0.5, ids, k)[at]
        numbers = ["R" + t[1:] for t in own]
        for p in dirt.cases(dirt.RATING_RATES, kinds, dirt.RATING_OUT_OF_RANGE):
            score[p] = 6 if high[p] else 0
            self.batch.mark(dirt.RATING_OUT_OF_RANGE, {"rating_id": numbers[p]}, stamps[p][:10])
        rows = zip(numbers, own, score.tolist(), stamps, strict=True)
        self.batch.add("ticketing", "ratings", rows, days[at].tolist())


def owner_rows(scope: Scope, batch: Batch) -> None:
    """The account managers, known since the day before the start."""
    day = scope.world.start - 1
    if not scope.window.lo <= day <= scope.window.hi:
        return
    stamp = scope.calendar.stamp(np.array([day * 86400 + 9 * 3600], dtype=np.int64))[0]
    rows: list[Row] = [(o.owner_id, o.name, o.email, o.team, stamp) for o in owners(scope.world.draws)]
    batch.add("crm", "owners", rows, [day] * len(rows))


STRATEGIC_COLUMNS = (
    "account_id", "industry_rank", "industry_growth", "size_growth", "demand_match", "brand_synergy",
    "policy_support", "key_industry", "strategic_level", "benchmark", "competitor_share", "assets",
    "industry_fit", "digital_demand", "updated_on",
)  # fmt: skip


def strategic_listed(world: World, numbers: Ints) -> Ints:
    """The customer numbers that may be on the strategic sheet: 85 % of them, but never too many."""
    share = min(0.85, _SHEET_ROWS / world.customers)
    return numbers[world.draws.flag("str.listed", share, numbers)]


def strategic_rows(scope: Scope, customers: Customers) -> list[Row]:
    """Rows of the strategic sheet for these customers, as known at the end of the window."""
    draws = scope.world.draws
    a = build_accounts(scope.world, customers)
    at = np.flatnonzero((a.kind == MAIN) & (a.day() <= scope.window.hi))
    ids, spend = a.number[at], customers.spend[a.host[at]]
    weight = np.clip(np.log(spend / 2_350_000), -2.0, 3.0)
    level = np.digitize(weight + 0.7 * draws.normal("str.level", ids), [-1.0, 1.0, 1.9])
    ranked = draws.uniform("str.ranked", ids) < np.clip(0.35 + 0.2 * weight, 0.05, 0.95)
    rank = 1 + draws.below("str.rank", 200, ids)
    l2_growth = np.round(-0.02 + 0.2 * draws.uniform("str.industry", a.industry[at]), 3)
    columns = [
        pick([f"A{n:06d}" for n in a.number.tolist()], at),
        [r if shown else None for r, shown in zip(rank.tolist(), ranked.tolist(), strict=True)],
        l2_growth.tolist(),
        np.round(customers.growth[a.host[at]] + 0.03 * draws.normal("str.growth", ids), 3).tolist(),
        np.round(draws.uniform("str.match", ids), 2).tolist(),
        pick(["strong", "medium", "weak"], choose(draws.uniform("str.brand", ids), [0.25, 0.45, 0.3])),
        draws.flag("str.policy", 0.3, ids).astype(int).tolist(),
        draws.flag("str.key", 0.4, a.industry[at]).astype(int).tolist(),
        pick(["non_core", "ordinary", "regional_leader", "national_key"], level),
        (draws.flag("str.benchmark", 0.12, ids) & (level >= 2)).astype(int).tolist(),
        np.round(draws.uniform("str.competitor", ids) ** 1.5, 2).tolist(),
        _assets(draws, ids, spend),
        *_fit(draws, ids, a.industry[at]),
        scope.calendar.iso(np.maximum(a.day()[at], scope.world.start)),
    ]
    return [*zip(*columns, strict=True), *_prospect_rows(scope, a)]


def _prospect_rows(scope: Scope, a: Accounts) -> list[Row]:
    """What sales wrote down about prospects; what only a customer shows stays empty."""
    draws = scope.world.draws
    at = np.flatnonzero((a.kind == PROSPECT) & (a.day() <= scope.window.hi))
    ids, nothing = a.number[at], [None] * len(at)
    columns = [
        pick([f"A{n:06d}" for n in a.number.tolist()], at),
        nothing,
        np.round(-0.02 + 0.2 * draws.uniform("str.industry", a.industry[at]), 3).tolist(),
        *[nothing] * 4,
        draws.flag("str.key", 0.4, a.industry[at]).astype(int).tolist(),
        *[nothing] * 3,
        _assets(draws, ids, np.array([9e6, 2.2e6, 5e5, 1.2e5])[a.size[at]]),
        *_fit(draws, ids, a.industry[at]),
        scope.calendar.iso(np.maximum(a.day()[at], scope.world.start)),
    ]
    return list(zip(*columns, strict=True))


def _assets(draws: Draws, ids: Ints, spend: Floats) -> list[int | None]:
    """Assets in CNY, some ten times what a company spends on equipment; sales does not know every tenth."""
    assets = np.rint(spend * 9 * exp6(0.6 * draws.normal("str.assets", ids)) / 10_000).astype(np.int64) * 10_000
    return [None if n else a for a, n in zip(assets.tolist(), draws.flag("str.assets.none", 0.1, ids), strict=True)]


def _fit(draws: Draws, ids: Ints, industry: Ints) -> tuple[list[float], list[float | None]]:
    """Industry fit, alike inside an industry, and digital demand, which is not always asked."""
    fit = 0.35 + 0.5 * draws.uniform("str.fit.industry", industry) + 0.1 * draws.normal("str.fit", ids)
    demand = np.round(draws.uniform("str.digital", ids) ** 0.8, 2).tolist()
    unasked = draws.flag("str.digital.none", 0.05, ids)
    return (
        np.round(np.clip(fit, 0.0, 1.0), 2).tolist(),
        [None if n else d for d, n in zip(demand, unasked, strict=True)],
    )
