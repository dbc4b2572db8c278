"""Rows kept out of one night come in on a later one, and every row is accounted for on every night."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from killing import FIRST, NIGHT, SECOND, THIRD, Company, Slots, landed_rows, run

from customer_tiering.publish import snapshot
from sample_company import generate_company

pytestmark = pytest.mark.slow


@dataclass
class Story:
    """Three nights: the row ``late`` of orders arrives on the third only, ``wrong`` is corrected on the second."""

    late: str
    late_customer: str
    late_lines: int
    late_amount: Any
    wrong: str
    wrong_lines: int
    nights: dict[date, Company] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story(slots: Slots, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The three nights of a company without any other dirt; a copy of the company is kept after each."""
    kept = tmp_path_factory.mktemp("story")
    template = Company.create(kept / "template")
    generate_company(template.source, customers=20, years=2, until=FIRST, dirt=0)
    with slots.copy_of(template) as company:
        story, late_row = _spoil(company)
        run(company, FIRST, "first", NIGHT)
        story.nights[FIRST] = company.copy(kept / "first")

        generate_company(company.source, until=SECOND)
        with company.erp() as erp:
            erp.execute(
                "update orders set status = 'confirmed', updated_at = ? where order_no = ?",
                [f"{SECOND} 12:00:00", story.wrong],
            )
        run(company, SECOND, "second", NIGHT)
        story.nights[SECOND] = company.copy(kept / "second")

        generate_company(company.source, until=THIRD)
        late_row["updated_at"] = f"{THIRD} 12:00:00"
        with company.erp() as erp:
            erp.execute(
                f"insert into orders ({', '.join(late_row)}) values ({', '.join('?' for _ in late_row)})",
                list(late_row.values()),
            )
        run(company, THIRD, "third", NIGHT)
        story.nights[THIRD] = company.copy(kept / "third")
        yield story


def _spoil(company: Company) -> tuple[Story, dict[str, Any]]:
    """Take one order out of the ERP, its lines staying, and give another one a status that does not exist."""
    with company.erp() as erp:
        chosen = erp.execute(
            "select o.order_no, o.customer_code, count(*), sum(l.net_amount) from orders o "
            "join order_lines l using (order_no) where o.status = 'confirmed' and o.net_amount > 0 "
            "and o.order_date between '2025-06-01' and '2026-01-31' "
            "group by o.order_no, o.customer_code having count(*) > 1 order by o.order_no limit 2"
        ).fetchall()
        (late, late_customer, late_lines, late_amount), (wrong, _customer, wrong_lines, _amount) = chosen
        cursor = erp.execute("select * from orders where order_no = ?", [late])
        names = [column[0] for column in cursor.description]
        (values,) = cursor.fetchall()
        erp.execute("delete from orders where order_no = ?", [late])
        erp.execute("update orders set status = 'nonsense' where order_no = ?", [wrong])
    story = Story(late, late_customer, late_lines, late_amount, wrong, wrong_lines)
    return story, dict(zip(names, values, strict=True))


def test_lines_wait_for_their_order(story: Story) -> None:
    """Lines without their order are kept out, stay so while it is missing, and come in the night it arrives."""
    for night in (FIRST, SECOND):
        assert _statuses(story.nights[night], "order_lines", story.late) == {"open": story.late_lines}
        assert _accepted(story.nights[night], "order_lines", story.late) == 0
    third = story.nights[THIRD]
    assert _statuses(third, "order_lines", story.late) == {"released": story.late_lines}
    assert _accepted(third, "order_lines", story.late) == story.late_lines
    with third.warehouse() as connection:
        closed = connection.execute(
            "select distinct _first_seen, _closed_on from quarantine.erp__order_lines where order_id = ?",
            [story.late],
        ).fetchall()
    assert closed == [(FIRST, THIRD)]


def test_releases_are_counted_on_their_night(story: Story) -> None:
    """``fct_data_quality`` counts the released lines on the night they came in, apart from the rows of its loads."""
    released = _mart(
        story.nights[THIRD],
        "select as_of_date, rows_released from fct_data_quality where entity = 'order_lines' order by 1",
    )
    assert released == [(FIRST, 0), (SECOND, story.wrong_lines), (THIRD, story.late_lines)]


def test_marts_include_what_was_released(story: Story) -> None:
    """The customer's order count and spend grow by the late order on the night it came in, and not before."""
    facts = {
        night: _mart(
            company,
            "select order_frequency, cumulative_spend from fct_customer_indicators i "
            "join bridge_customer_ids b using (customer_id) where b.source = 'erp' and b.source_customer_id = ?",
            [story.late_customer],
        )[0]
        for night, company in story.nights.items()
    }
    assert float(facts[THIRD][1] - facts[SECOND][1]) == pytest.approx(float(story.late_amount))
    assert facts[THIRD][0] - facts[SECOND][0] == 1


def test_correction_comes_in_and_closes_the_wrong_row(story: Story) -> None:
    """The corrected order is accepted on the second night; the wrong one is history, never accepted."""
    assert _statuses(story.nights[FIRST], "orders", story.wrong) == {"open": 1}
    assert _statuses(story.nights[FIRST], "order_lines", story.wrong) == {"open": story.wrong_lines}
    second = story.nights[SECOND]
    assert _accepted(second, "orders", story.wrong) == 1
    assert _accepted(second, "order_lines", story.wrong) == story.wrong_lines
    with second.warehouse() as connection:
        accepted = connection.execute("select status from raw.erp__orders where order_id = ?", [story.wrong]).fetchall()
    assert accepted == [("confirmed",)]
    assert _statuses(second, "orders", story.wrong) == {"superseded": 1}
    assert _statuses(second, "order_lines", story.wrong) == {"released": story.wrong_lines}
    assert _accepted(story.nights[THIRD], "orders", story.wrong) == 1


@pytest.mark.parametrize("night", [FIRST, SECOND, THIRD], ids=str)
def test_every_row_is_accounted_for(story: Story, night: date) -> None:
    """Rows in = kept + merged + quarantined for each entity and night; over the nights they are all rows landed."""
    company = story.nights[night]
    accounts = _mart(
        company,
        "select as_of_date, source, entity, rows_in, rows_kept, rows_merged, rows_quarantined from fct_data_quality",
    )
    assert all(rows_in == sum(rest) for _night, _source, _entity, rows_in, *rest in accounts)
    assert {as_of for as_of, *_rest in accounts} == {day for day in (FIRST, SECOND, THIRD) if day <= night}
    total: Counter[str] = Counter()
    for _night, source, entity, rows_in, *_rest in accounts:
        total[f"{source}.{entity}"] += rows_in
    assert total == landed_rows(company)

    # What is in the warehouse agrees with the account: released rows are in raw and, closed, in quarantine.
    with company.warehouse() as connection:
        for name, rows_in in total.items():
            table = name.replace(".", "__")
            (accepted,) = connection.execute(f"select count(*) from raw.{table}").fetchone() or (0,)
            (kept_out,) = connection.execute(
                f"select count(*) from quarantine.{table} where _status <> 'released'"
            ).fetchone() or (0,)
            assert accepted + kept_out == rows_in, name


def _statuses(company: Company, entity: str, order_no: str) -> dict[str, int]:
    """Rows of an order in quarantine, by status."""
    with company.warehouse() as connection:
        rows = connection.execute(
            f"select _status, count(*) from quarantine.erp__{entity} where order_id = ? group by 1", [order_no]
        ).fetchall()
    return dict(rows)


def _accepted(company: Company, entity: str, order_no: str) -> int:
    """Rows of an order that were let in."""
    with company.warehouse() as connection:
        row = connection.execute(f"select count(*) from raw.erp__{entity} where order_id = ?", [order_no]).fetchone()
    return int(row[0]) if row else 0


def _mart(company: Company, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """Rows of a query on the published snapshot."""
    folder = snapshot.current_folder(company.workspace)
    assert folder is not None
    database: Path = folder / snapshot.DATABASE
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("use marts")
        return connection.execute(sql, parameters or []).fetchall()
