"""The embedded sample company: determinism, appending, crash safety, visibility, truth about its dirt."""

import csv
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from nights import input_table_of
from sample_company import (
    KINDS,
    SampleMismatch,
    company_state,
    generate_company,
    industry_mapping_rows,
    writers,
)

UNTIL = date(2026, 3, 30)
START = date(2025, 3, 30)
SMALL: dict[str, Any] = {"customers": 50, "years": 1, "dirt": 4.0}
ERP_TABLES = ("customers", "products", "orders", "order_lines", "invoices", "payments")
SEED = Path(__file__).parents[2] / "dbt_project" / "seeds" / "industry_mapping.csv"
# Planned or deliberately wrong dates are no sign of data from the future.
NOT_A_SIGHTING = {"due_date", "order_date"}

Rows = dict[str, list[dict[str, Any]]]


def read_erp(root: Path) -> Rows:
    db = sqlite3.connect(root / "erp" / "erp.sqlite")
    db.row_factory = sqlite3.Row
    try:
        return {f"erp.{t}": [dict(r) for r in db.execute(f"SELECT * FROM {t}")] for t in ERP_TABLES}
    finally:
        db.close()


def read_exports(root: Path) -> Rows:
    found: Rows = {}
    for path in sorted((root / "crm").glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as handle:
            found.setdefault(f"crm.{input_table_of(path)}", []).extend(csv.DictReader(handle))
    for path in sorted((root / "ticketing").glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()
        found.setdefault(f"ticketing.{input_table_of(path)}", []).extend(map(json.loads, lines))
    return found


def read_all(root: Path) -> Rows:
    found = {**read_erp(root), **read_exports(root), "truth": read_truth(root)}
    with (root / "truth_identity.csv").open(encoding="utf-8", newline="") as handle:
        found["truth_identity"] = list(csv.DictReader(handle))
    return found


def read_truth(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "truth.jsonl").read_text(encoding="utf-8").splitlines()]


def multisets(found: Rows) -> dict[str, Counter[str]]:
    return {
        name: Counter(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows)
        for name, rows in found.items()
    }


def file_bytes(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small")
    generate_company(root, until=UNTIL, **SMALL)
    return root


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("default")
    generate_company(root)
    return root


def test_same_seed_gives_the_same_files(small: Path, tmp_path: Path) -> None:
    generate_company(tmp_path, until=UNTIL, **SMALL)
    first, second = file_bytes(small), file_bytes(tmp_path)
    assert first.keys() == second.keys()
    for name in first:
        if not name.endswith(".sqlite"):
            assert first[name] == second[name], name
    assert multisets(read_erp(small)) == multisets(read_erp(tmp_path))


def test_another_seed_gives_another_company(small: Path, tmp_path: Path) -> None:
    generate_company(tmp_path, until=UNTIL, seed=7, **SMALL)
    assert multisets(read_erp(small))["erp.orders"] != multisets(read_erp(tmp_path))["erp.orders"]


@pytest.mark.parametrize("steps", [[1], [1, 1, 1], [3, 40], [250]])
def test_appending_equals_generating_at_once(small: Path, tmp_path: Path, steps: list[int]) -> None:
    day = UNTIL - timedelta(days=sum(steps))
    generate_company(tmp_path, customers=50, dirt=4.0, years=1, until=day, start=START)
    for step in steps:
        day += timedelta(days=step)
        assert generate_company(tmp_path, until=day).changed
    appended, at_once = multisets(read_all(tmp_path)), multisets(read_all(small))
    assert appended.keys() == at_once.keys()
    for name, expected in at_once.items():
        assert appended[name] == expected, name
    sheet = Path("crm") / "strategic_attributes.xlsx"
    assert (tmp_path / sheet).read_bytes() == (small / sheet).read_bytes()


def test_each_appended_day_has_its_own_exports(tmp_path: Path) -> None:
    generate_company(tmp_path, until=UNTIL, **SMALL)
    before = file_bytes(tmp_path)
    summary = generate_company(tmp_path, until=UNTIL + timedelta(days=3))
    new = {name for name in file_bytes(tmp_path) if name not in before}
    assert new
    assert new <= set(summary.files)
    for name in new:
        assert re.search(r"-2026(0331|0401|0402)\.(csv|jsonl)$", name), name
    for name, content in before.items():
        if re.search(r"-\d{8}\.", name):
            assert (tmp_path / name).read_bytes() == content, name
    for name in new:
        label = name.split("-")[-1][:8]
        day = f"{label[:4]}-{label[4:6]}-{label[6:]}"
        assert day in (tmp_path / name).read_text(encoding="utf-8")


def test_an_earlier_until_changes_nothing(tmp_path: Path) -> None:
    generate_company(tmp_path, until=UNTIL, **SMALL)
    before = file_bytes(tmp_path)
    for until in (UNTIL, UNTIL - timedelta(days=30)):
        assert not generate_company(tmp_path, until=until).changed
    assert file_bytes(tmp_path) == before


@pytest.mark.parametrize(
    "wrong", [{"customers": 51}, {"seed": 1}, {"dirt": 0.5}, {"years": 2}, {"start": date(2020, 1, 1)}]
)
def test_contradicting_arguments_are_refused(small: Path, wrong: dict[str, Any]) -> None:
    before = file_bytes(small)
    with pytest.raises(SampleMismatch, match=next(iter(wrong))):
        generate_company(small, until=UNTIL + timedelta(days=1), **wrong)
    assert file_bytes(small) == before


@pytest.mark.parametrize(
    "wrong", [{"customers": 0}, {"years": 0}, {"dirt": -1.0}, {"seed": -1}, {"start": date(2030, 1, 1)}]
)
def test_values_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        generate_company(tmp_path / "none", **wrong)
    assert company_state(tmp_path / "none") is None


def test_state(small: Path, tmp_path: Path) -> None:
    assert company_state(tmp_path) is None
    state = company_state(small)
    assert state is not None
    assert (state.customers, state.years, state.start, state.until) == (50, 1, START, UNTIL)


def test_without_dirt_there_is_no_truth_line(tmp_path: Path) -> None:
    generate_company(tmp_path, until=UNTIL, customers=50, years=1, dirt=0)
    assert read_truth(tmp_path) == []
    check_references(read_all(tmp_path), set())


def fail_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the `number`-th publication of a file fail, as if the process had been killed there."""
    real, calls = writers.publish, iter(range(1, 10_000))

    def publish(staged: Path, target: Path) -> None:
        if next(calls) == number:
            raise OSError("killed")
        real(staged, target)

    monkeypatch.setattr(writers, "publish", publish)


@pytest.mark.parametrize("number", [1, 2, 5, 11, 12, 13, 14])
@pytest.mark.parametrize("later", [0, 5])
def test_a_crash_during_the_first_generation_heals(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, later: int
) -> None:
    first = UNTIL - timedelta(days=later)
    arguments = {**SMALL, "start": START}
    with monkeypatch.context() as patched:
        fail_at(patched, number)
        with pytest.raises(OSError, match="killed"):
            generate_company(tmp_path, until=first, **arguments)
    assert company_state(tmp_path) is None
    generate_company(tmp_path, until=UNTIL, **arguments)
    assert multisets(read_all(tmp_path)) == multisets(read_all(small))


@pytest.mark.parametrize("number", [1, 2, 7])
@pytest.mark.parametrize("later", [0, 2])
def test_a_crash_between_database_and_files_heals(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, later: int
) -> None:
    generate_company(tmp_path, until=UNTIL - timedelta(days=6), start=START, **SMALL)
    with monkeypatch.context() as patched:
        fail_at(patched, number)
        with pytest.raises(OSError, match="killed"):
            generate_company(tmp_path, until=UNTIL - timedelta(days=later))
    state = company_state(tmp_path)
    assert state is not None
    assert state.until == UNTIL - timedelta(days=6)
    # An earlier date than the crashed run's still completes what that run had put into the database.
    generate_company(tmp_path, until=UNTIL - timedelta(days=4))
    generate_company(tmp_path, until=UNTIL)
    assert multisets(read_all(tmp_path)) == multisets(read_all(small))
    assert not (tmp_path / ".staging").exists()


def test_a_crash_inside_the_database_leaves_nothing(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_company(tmp_path, until=UNTIL - timedelta(days=6), start=START, **SMALL)
    before = multisets(read_all(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(writers.ErpWriter, "commit", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            generate_company(tmp_path, until=UNTIL)
    assert multisets(read_all(tmp_path)) == before
    generate_company(tmp_path, until=UNTIL)
    assert multisets(read_all(tmp_path)) == multisets(read_all(small))


def texts(rows: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for row in rows:
        for column, value in row.items():
            if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value):
                yield column, value


@pytest.mark.parametrize("until", [UNTIL, UNTIL - timedelta(days=77)])
def test_nothing_comes_from_the_future(tmp_path: Path, until: date) -> None:
    generate_company(tmp_path, until=until, start=START, **SMALL)
    for name, rows in read_all(tmp_path).items():
        for column, value in texts(rows):
            assert column in NOT_A_SIGHTING or value[:10] <= until.isoformat(), (name, column, value)


def test_every_kind_of_dirt_occurs_in_the_default_company(default: Path) -> None:
    counts = Counter((t["kind"], t["rule"]) for t in read_truth(default))
    assert {(k.name, k.rule) for k in KINDS} == set(counts)
    assert min(counts.values()) >= 5, counts


def test_truth_points_at_written_rows_and_at_most_once(default: Path) -> None:
    found = read_all(default)
    grouped: dict[tuple[str, bool], Counter[str]] = {}
    for line in found["truth"]:
        # Which company a record belongs to is a fact of its own; the record may have dirt besides.
        group = f"{line['source']}.{line['entity']}", line["action"] in ("identity", "distinct")
        grouped.setdefault(group, Counter())[json.dumps(line["key"])] += 1
    for (name, _about_identity), keys in grouped.items():
        columns = {tuple(json.loads(key)) for key in keys}
        for names in columns:
            present = Counter(json.dumps({c: row[c] for c in names}) for row in found[name])
            for key, count in keys.items():
                if tuple(json.loads(key)) == names:
                    assert count == 1, (name, key)
                    assert present[key] >= 1, (name, key)


def test_every_merge_has_exactly_its_extra_copies(default: Path) -> None:
    found = read_all(default)
    merged = Counter(f"{t['source']}.{t['entity']}" for t in found["truth"] if t["action"] == "merge")
    orders = Counter(r["order_no"] for r in found["erp.orders"] if r["order_no"])
    lines = Counter((r["order_no"], r["line_no"]) for r in found["erp.order_lines"])
    accounts = Counter(r["account_id"] for r in found["crm.customers"] if r["account_id"])
    tickets = Counter((r["ticket_id"], r["updated_at"]) for r in found["ticketing.tickets"])
    assert {
        "erp.orders": sum(orders.values()) - len(orders),
        "erp.order_lines": sum(lines.values()) - len(lines),
        "crm.customers": sum(accounts.values()) - len(accounts),
        "ticketing.tickets": sum(tickets.values()) - len(tickets),
    } == dict(merged)


Clean = Callable[..., list[dict[str, Any]]]


def check_references(found: Rows, dirty: set[tuple[str, str]]) -> None:
    """All rules hold for the rows that no quarantine or repair line of the truth names."""

    def clean(name: str, *columns: str) -> list[dict[str, Any]]:
        return [r for r in found[name] if (name, json.dumps({c: r[c] for c in columns})) not in dirty]

    check_orders(found, clean)
    check_finance(found, clean)
    check_crm(found, clean)
    check_ticketing(found, clean)


def check_orders(found: Rows, clean: Clean) -> None:
    customers = {r["customer_code"] for r in found["erp.customers"]}
    products = {r["product_code"] for r in found["erp.products"]}
    orders = {r["order_no"]: r for r in clean("erp.orders", "order_no") if r["order_no"]}
    for order in orders.values():
        assert order["customer_code"] in customers
        assert order["status"] in ("confirmed", "cancelled")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", order["order_date"])
        assert order["order_date"] == order["created_at"][:10]
        assert order["net_amount"] < 1e8
        assert round(order["net_amount"] + order["tax_amount"] - order["gross_amount"], 2) == 0
    lines = {(r["order_no"], r["line_no"]): r for r in clean("erp.order_lines", "order_no", "line_no")}
    sums: Counter[str] = Counter()
    for line in lines.values():
        assert line["product_code"] in products
        assert line["quantity"] > 0
        sums[line["order_no"]] += round(line["net_amount"] * 100)
    written = {r["order_no"] for r in found["erp.orders"]}
    assert set(orders) <= set(sums) <= written
    for number, order in orders.items():
        assert sums[number] == round(order["net_amount"] * 100)


def check_finance(found: Rows, clean: Clean) -> None:
    orders = {r["order_no"]: r for r in found["erp.orders"]}
    refused = set(orders) - {r["order_no"] for r in clean("erp.orders", "order_no")}
    repaired = {number for number in refused if re.match(r"20\d\d", orders[number]["order_date"])}
    invoices = {r["invoice_no"]: r for r in found["erp.invoices"]}
    assert len(invoices) == len(found["erp.invoices"])
    for invoice in invoices.values():
        order = orders[invoice["order_no"]]
        assert invoice["order_no"] not in refused - repaired
        assert order["status"] == "confirmed"
        assert order["customer_code"] == invoice["customer_code"]
        assert order["gross_amount"] == invoice["gross_amount"] < 1e8
        assert order["created_at"][:10] < invoice["invoice_date"] < invoice["due_date"]
    payments = clean("erp.payments", "payment_no")
    assert len({p["invoice_no"] for p in payments}) == len(payments)
    for payment in payments:
        assert payment["paid_date"] >= invoices[payment["invoice_no"]]["invoice_date"]


def check_crm(found: Rows, clean: Clean) -> None:
    customers = {r["customer_code"] for r in found["erp.customers"]}
    accounts = {r["account_id"]: r for r in found["crm.customers"] if r["account_id"]}
    retyped = {t["key"]["account_id"] for t in found["truth"] if t["kind"] == "retyped_customer"}
    for account in clean("crm.customers", "account_id"):
        if account["account_id"] and account["account_id"] not in retyped:
            assert account["erp_customer_code"] in customers | {""}
            assert re.fullmatch(r"1\d{10}", account["phone"])
            assert re.fullmatch(r"[a-z0-9.]+@[a-z0-9]+\.example", account["email"])
    assert {r["owner_id"] for r in found["crm.customers"]} <= {r["owner_id"] for r in found["crm.owners"]}
    for name, key, when in (
        ("contacts", "contact_id", "created_at"),
        ("interactions", "interaction_id", "occurred_at"),
        ("opportunities", "opportunity_id", "created_at"),
        ("surveys", "survey_id", "answered_at"),
    ):
        for row in clean(f"crm.{name}", key):
            assert accounts[row["account_id"]]["created_at"] <= row[when]
    assert all(re.fullmatch(r"1\d{10}", r["phone"]) for r in found["crm.contacts"])
    for survey in clean("crm.surveys", "survey_id"):
        low, high = (0, 10) if survey["kind"] == "NPS" else (1, 5)
        assert low <= int(survey["score"]) <= high


def check_ticketing(found: Rows, clean: Clean) -> None:
    accounts = {r["account_id"] for r in found["crm.customers"]}
    tickets = clean("ticketing.tickets", "ticket_id")
    resolved = {t["ticket_id"]: t["resolved_at"] for t in tickets if t["resolved_at"]}
    for ticket in tickets:
        assert ticket["account_id"] in accounts
        assert ticket["opened_at"] <= ticket["first_response_at"] <= (ticket["resolved_at"] or "9")
        assert ticket["updated_at"] == (ticket["resolved_at"] or ticket["first_response_at"])
    known = {t["ticket_id"] for t in tickets}
    assert {r["ticket_id"] for r in clean("ticketing.ticket_events", "comment_id")} <= known
    for rating in clean("ticketing.ticket_ratings", "rating_id"):
        assert rating["rated_at"] > resolved[rating["ticket_id"]]
        assert 1 <= int(rating["score"]) <= 5


def test_rows_outside_the_truth_are_spotless(default: Path) -> None:
    found = read_all(default)
    dirty = {
        (f"{t['source']}.{t['entity']}", json.dumps(t["key"]))
        for t in found["truth"]
        if t["action"] in ("quarantine", "repair")
    }
    check_references(found, dirty)


def test_identities(default: Path) -> None:
    found = read_all(default)
    company = {(r["source"], r["source_key"]): r["true_company"] for r in found["truth_identity"]}
    assert len(company) == len(found["truth_identity"])
    codes = {r["customer_code"] for r in found["erp.customers"]}
    accounts = {r["account_id"]: r for r in found["crm.customers"] if r["account_id"]}
    assert set(company) == {("erp", c) for c in codes} | {("crm", a) for a in accounts}
    by_tax = {r["tax_id"]: r["customer_code"] for r in found["erp.customers"]}
    by_phone = {r["phone"]: r["customer_code"] for r in found["erp.customers"]}
    assert len(by_phone) == len(codes)
    companies = [r for r in found["erp.customers"] if r["tax_id"]]
    assert len(by_tax) - 1 == len({r["customer_name"] for r in companies}) == len(companies)
    del by_tax[""]  # of individuals
    kinds: dict[str, set[str]] = {kind.name: set() for kind in KINDS if kind.action in ("identity", "distinct")}
    for line in found["truth"]:
        if line["kind"] in kinds:
            kinds[line["kind"]].add(line["key"]["account_id"])
    assert set(kinds) == {"duplicate_customer", "retyped_customer", "shared_phone", "lookalike"}
    for number, row in accounts.items():
        for key, known in (("tax_id", by_tax), ("phone", by_phone)):
            if row[key] in known and number not in kinds["shared_phone"]:
                assert company["erp", known[row[key]]] == company["crm", number]
    for number in set().union(*kinds.values()):
        assert accounts[number]["erp_customer_code"] == ""
    for number in kinds["duplicate_customer"]:
        assert accounts[number]["tax_id"] in by_tax or accounts[number]["phone"] in by_phone
    erp_companies = {company["erp", code] for code in codes}
    for number in kinds["retyped_customer"]:  # another customer's record, and no key is typed as the ERP has it
        assert company["crm", number] in erp_companies
        assert accounts[number]["tax_id"] not in by_tax
    names = {r["customer_name"] for r in found["erp.customers"]}
    for number in kinds["shared_phone"] | kinds["lookalike"]:  # a company of its own
        assert company["crm", number] not in erp_companies
        assert accounts[number]["account_name"] not in names
    assert all(accounts[number]["phone"] in by_phone for number in kinds["shared_phone"])


def test_retyped_accounts_leave_the_rest_of_the_company_as_it_is(
    default: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sample_company.company.retyped_accounts", lambda *_: None)
    generate_company(tmp_path)
    with_them, without = multisets(read_all(default)), multisets(read_all(tmp_path))
    assert with_them.keys() == without.keys()
    assert {name for name in without if with_them[name] != without[name]} == {
        "crm.customers",
        "truth",
        "truth_identity",
    }
    assert all(without[name] <= with_them[name] for name in without)


def test_spend_is_spread_like_a_real_company(default: Path) -> None:
    db = sqlite3.connect(default / "erp" / "erp.sqlite")
    spend = sorted(
        row[0]
        for row in db.execute(
            "SELECT SUM(net_amount) FROM orders WHERE created_at >= '2025-03-31' AND status = 'confirmed' "
            "AND order_no LIKE 'SO%' AND net_amount < 5e8 GROUP BY customer_code"
        )
    )
    db.close()
    total = len(spend)
    assert 2.0e6 < spend[total // 2] < 3.2e6
    assert 0.03 < sum(s > 10e6 for s in spend) / total < 0.08
    assert 0.08 < sum(5e6 < s <= 10e6 for s in spend) / total < 0.17


def test_the_industry_seed_knows_every_mapped_text(default: Path) -> None:
    with SEED.open(encoding="utf-8", newline="") as handle:
        seed = [tuple(row) for row in csv.reader(handle)]
    assert seed[1:] == industry_mapping_rows()
    known = {row[0] for row in seed[1:]}
    found = read_all(default)
    unmapped = {t["key"]["account_id"] for t in found["truth"] if t["rule"] == "crm.customers.industry_mapped"}
    individuals = {r["customer_code"] for r in found["erp.customers"] if not r["industry"]}
    assert {r["industry"] for r in found["erp.customers"] if r["customer_code"] not in individuals} <= known
    for row in found["crm.customers"]:
        assert (row["erp_customer_code"] in individuals) == (row["account_type"] in ("个人", "个人客户"))
        if row["erp_customer_code"] in individuals:
            assert row["industry"] == ""
            continue
        assert (row["industry"] in known) != (row["account_id"] in unmapped)


def test_individuals_buy_beside_the_companies(default: Path) -> None:
    """48 of them beside 400 companies; each has one account, pays at once, and buys for what a person spends."""
    found = read_all(default)
    typed = Counter(r["account_type"] for r in found["crm.customers"])
    assert typed["个人"] + typed["个人客户"] == 48
    assert min(typed[name] for name in ("个人客户", "企业", "企业客户", "公司", "")) > 0
    codes = {r["customer_code"] for r in found["erp.customers"] if not r["tax_id"]}
    assert len(codes) == 48
    orders = [r for r in found["erp.orders"] if r["customer_code"] in codes]
    assert {r["order_no"][:2] for r in orders} == {"SP"}
    assert all(3_500 <= r["net_amount"] < 30_000 for r in orders)
    assert {r["customer_code"] for r in orders} >= {c for c in codes if c < "P2024"}
    assert codes.isdisjoint(r["customer_code"] for r in found["erp.invoices"])


def test_strategic_sheet(default: Path) -> None:
    calamine = pytest.importorskip("python_calamine")
    book = calamine.CalamineWorkbook.from_path(str(default / "crm" / "strategic_attributes.xlsx"))
    header, *rows = book.get_sheet_by_name("strategic").to_python()
    assert header[0] == "account_id"
    accounts = {r["account_id"] for r in read_exports(default)["crm.customers"]}
    assert {row[0] for row in rows} <= accounts
    reviews = [dict(zip(header, row, strict=True)) for row in rows]
    prospects = [review for review in reviews if review["strategic_level"] == ""]
    assert {review["strategic_level"] for review in reviews if review not in prospects} == {
        "national_key", "regional_leader", "ordinary", "non_core",
    }  # fmt: skip
    assert 40 < len(prospects) < 80
    for name, low, high in (("industry_fit", 0, 1), ("digital_demand", 0, 1), ("assets", 10_000, 1e10)):
        given = [review[name] for review in reviews if review[name] != ""]
        assert all(low <= value <= high for value in given)
        assert (name == "industry_fit") == (len(given) == len(reviews)) and len(given) > 0.8 * len(reviews)


def test_progress_is_reported(tmp_path: Path) -> None:
    messages: list[str] = []
    generate_company(tmp_path, until=UNTIL, customers=5, years=1, progress=messages.append)
    assert any("of" in message for message in messages)
