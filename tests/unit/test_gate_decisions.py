"""What a person decides about rows and loads happens in the next run of the gate, once, and stays visible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from test_gate_invariant import (  # the fixture is used by name
    MAPPINGS,
    Load,
    Row,
    Shop,
    complete,
    land,
    open_shop,
    project,  # noqa: F401
    remove_suite,
    write_suite,
)

from customer_tiering.decisions.quarantine import FILE, decide
from customer_tiering.errors import GateBlocked
from customer_tiering.gate.gate import EntityAccount
from customer_tiering.inputs.mapping import mapped_source

FIRST, SECOND, THIRD = date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3)
STATUS = "expect_column_values_to_be_in_set"
RULE, HARD = "shop.orders.known_day", "shop.orders.order_id_present"
GOOD, ODD = "2023-12-05", "1999-12-31"
ORDERS = f"""
  - {{rule: {RULE}, type: {STATUS}, kwargs: {{column: _text_ordered_on, value_set: ["{GOOD}"]}}, ON: quarantine}}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop that has orders only, so that no customer has to come first."""
    with open_shop(tmp_path) as opened:
        opened.source = mapped_source("shop", {"orders": MAPPINGS["orders"]}, label_en="Shop", label_zh="商店")
        yield opened


@pytest.fixture
def rules(project: Path) -> Iterator[Callable[..., None]]:  # noqa: F811
    """Write the rules of orders; ``share`` limits RULE, ``blocking`` makes it block."""

    def write(share: float | None = None, blocking: bool = False, more: str = "") -> None:
        write_suite(project, "orders", ORDERS.replace("ON: quarantine", "ON: block") if blocking else ORDERS + more)
        path = project / "expectations" / "shop" / "orders.yml"
        if share is not None:
            head, tail = path.read_text().split(RULE)
            tail = tail.replace("on_failure: quarantine", f"on_failure: quarantine, max_quarantined_share: {share}", 1)
            path.write_text(head + RULE + tail)

    write()
    yield write
    remove_suite(project, "orders")


def order(number: str | None, day: str = GOOD, version: str = "2023-12-01") -> tuple[str | None, ...]:
    return (number, "C1", day, version)


def say(shop: Shop, kind: Any, **what: Any) -> str:
    of = {"owner": "Li Lei", "reason": "checked by phone", "source": "shop", "entity": "orders"}
    return decide(shop.root / "decisions", kind, **(of | what)).decision_id


def orders(shop: Shop) -> list[tuple[Any, ...]]:
    return shop.query(
        "select order_id, cast(ordered_on as varchar), _accepted_on from raw.shop__orders "
        "where not _is_merged order by all"
    )


def kept_out(shop: Shop) -> list[tuple[Any, ...]]:
    return shop.query("select _row_id, _status, _closed_on, _decision_id from quarantine.shop__orders order by _row_id")


def counts(account: EntityAccount) -> tuple[int, int, int, int, int]:
    return (account.rows_in, account.rows_kept, account.rows_merged, account.rows_quarantined, account.rows_released)


def test_a_released_row_comes_in_once_and_says_who_let_it_in(rules: Any, shop: Shop) -> None:
    shop.land("1.0", orders=[order("O1", ODD), order("O2", ODD), order("O3")])
    assert counts(shop.gate(FIRST)["orders"]) == (3, 1, 0, 2, 0)
    decided = say(shop, "release", rows=(("1.0:1", RULE),))
    account = shop.gate(SECOND)["orders"]
    assert counts(account) == (0, 0, 0, 0, 1)
    assert account.warnings == [
        f"source shop, entity orders: 1 rows were let in by decision {decided} Li Lei: checked by phone"
    ]
    assert orders(shop) == [("O1", ODD, SECOND), ("O3", GOOD, FIRST)]
    assert kept_out(shop) == [("1.0:1", "released", SECOND, decided), ("1.0:2", "open", None, None)]
    assert shop.query("select * exclude (source, entity) from meta.decided_releases") == [
        (SECOND, decided, "Li Lei", "checked by phone", 1)
    ]
    assert shop.query("select row_id, rule, first_seen, last_seen from quarantine.failures order by 1") == [
        ("1.0:1", RULE, FIRST, SECOND),
        ("1.0:2", RULE, FIRST, SECOND),
    ], "the reason stays visible"
    shop.land("2.0", orders=[order("O1", "1998-12-31", "2023-12-02")])
    assert counts(shop.gate(THIRD)["orders"]) == (1, 0, 0, 1, 0), "once: a later row of the key is another row"


def test_a_release_overlooks_only_the_rules_it_names(rules: Any, shop: Shop) -> None:
    meta = "severity: critical, meta: {on_failure: quarantine, reason_en: r, reason_zh: 原因}"
    kwargs = "kwargs: {column: _text_updated_at, value_set: ['2023-12-01']}"
    rules(more=f"  - {{rule: shop.orders.version_usual, type: {STATUS}, {kwargs}, {meta}}}\n")
    shop.land("1.0", orders=[order("O1", ODD, "2023-12-07")])
    shop.gate(FIRST)
    say(shop, "release", rows=(("1.0:1", RULE),))
    assert shop.gate(SECOND)["orders"].rows_released == 0
    say(shop, "release", rows=(("1.0:1", "shop.orders.version_usual"),))
    assert shop.gate(THIRD)["orders"].rows_released == 1


def test_rows_that_cannot_be_used_are_never_let_in(rules: Any, shop: Shop) -> None:
    shop.land("1.0", orders=[order(None, ODD)])
    shop.gate(FIRST)
    say(shop, "release", rows=(("1.0:1", RULE), ("1.0:1", HARD)))
    say(shop, "waive", rule=HARD, until="2024-12-31")
    assert shop.gate(SECOND)["orders"].rows_released == 0
    assert orders(shop) == []


def test_a_waiver_lets_rows_in_until_it_ends(rules: Any, shop: Shop) -> None:
    decided = say(shop, "waive", rule=RULE, until=str(SECOND))
    shop.land("1.0", orders=[order("O1", ODD), order("O2")])
    account = shop.gate(FIRST)["orders"]
    assert counts(account) == (2, 1, 0, 1, 1), "let in at once: quarantined and released"
    assert kept_out(shop) == [("1.0:1", "released", FIRST, decided)]
    shop.land("2.0", orders=[order("O3", ODD)])
    assert shop.gate(SECOND)["orders"].rows_released == 1
    shop.land("3.0", orders=[order("O4", ODD)])
    assert counts(shop.gate(THIRD)["orders"]) == (1, 0, 0, 1, 0), "ended by itself"
    assert [row[0] for row in orders(shop)] == ["O1", "O2", "O3"], "what it let in stays in"
    assert shop.query("select count(*) from raw.shop__orders")[0][0] + 1 == 4, "every row lies in one place"


def test_a_waiver_for_a_key_is_for_that_key_only(rules: Any, shop: Shop) -> None:
    say(shop, "waive", rule=RULE, until=str(THIRD), key={"order_id": "O'1"})
    shop.land("1.0", orders=[order("O'1", ODD), order("O2", ODD)])
    shop.gate(FIRST)
    assert [row[0] for row in orders(shop)] == ["O'1"]


def test_a_waiver_that_was_taken_back_lets_nothing_more_in(rules: Any, shop: Shop) -> None:
    decided = say(shop, "waive", rule=RULE, until=str(THIRD))
    shop.land("1.0", orders=[order("O1", ODD)])
    shop.gate(FIRST)
    say(shop, "revoke", revokes=decided)
    shop.land("2.0", orders=[order("O2", ODD)])
    shop.gate(SECOND)
    assert [row[0] for row in orders(shop)] == ["O1"]


def test_decisions_outlive_the_warehouse(rules: Any, shop: Shop) -> None:
    shop.land("1.0", orders=[order("O1", ODD), order("O2", ODD)])
    shop.gate(FIRST)
    say(shop, "release", rows=(("1.0:2", RULE),))
    for schema, table in shop.query(
        "select schema_name, table_name from duckdb_tables() where schema_name in ('input_layer', 'quarantine', 'meta')"
    ):
        shop.connection.execute(f"delete from {schema}.{table}")
    shop.gate(SECOND)
    assert orders(shop) == [("O2", ODD, SECOND)]


@pytest.mark.parametrize("blocking", [False, True], ids=["share", "block"])
def test_a_held_load_names_its_ways_out(blocking: bool, rules: Any, shop: Shop) -> None:
    rules(blocking=True) if blocking else rules(share=0.3)
    shop.land("1.0", orders=[order("O1"), order("O2"), order("O3")])
    shop.land("2.0", orders=[order("O4", ODD), order("O5", ODD), order("O6")])
    with pytest.raises(GateBlocked) as held:
        shop.gate(FIRST)
    assert "rule shop.orders.known_day fails for 2 of 6 rows" in held.value.problem
    assert "(load 2.0: 2 rows)" in held.value.problem
    company = shop.root.name
    for command in ("reject-load shop.orders 2.0", "accept-load shop.orders 2.0", f"waive {RULE} --until <day>"):
        assert (
            f"`tiering quarantine {command} --profile {company} --owner <who> --reason <why>`" in held.value.next_step
        )
    assert orders(shop) == kept_out(shop) == []


@pytest.mark.parametrize("blocking", [False, True], ids=["share", "block"])
def test_an_accepted_load_comes_in_and_its_bad_rows_wait(blocking: bool, rules: Any, shop: Shop) -> None:
    rules(blocking=True) if blocking else rules(share=0.3)
    shop.land("1.0", orders=[order("O1", ODD), order("O2")])
    with pytest.raises(GateBlocked):
        shop.gate(FIRST)
    say(shop, "accept_load", loads=("1.0",))
    assert counts(shop.gate(FIRST)["orders"]) == (2, 1, 0, 1, 0)
    assert counts(shop.gate(SECOND)["orders"]) == (0, 0, 0, 0, 0), "waiting rows hold no later night"
    assert kept_out(shop) == [("1.0:1", "open", None, None)]
    shop.land("2.0", orders=[order("O3", ODD)])
    with pytest.raises(GateBlocked, match=r"load 2\.0: 1 rows"):
        shop.gate(THIRD)


def test_accepting_one_load_says_nothing_about_another(rules: Any, shop: Shop) -> None:
    rules(share=0.5)
    shop.land("1.0", orders=[order("O1", ODD), order("O2", ODD)])
    shop.land("2.0", orders=[order("O3", ODD), order("O4", ODD)])
    say(shop, "accept_load", loads=("1.0",))
    with pytest.raises(GateBlocked, match=r"\(load 2\.0: 2 rows\)"):
        shop.gate(FIRST)


def test_waived_rows_do_not_count_for_the_share(rules: Any, shop: Shop) -> None:
    rules(share=0.3)
    shop.land("1.0", orders=[order("O1", ODD), order("O2")])
    say(shop, "waive", rule=RULE, until=str(FIRST))
    assert counts(shop.gate(FIRST)["orders"]) == (2, 1, 0, 1, 1)


def test_a_rejected_load_is_set_aside_as_a_whole(rules: Any, shop: Shop) -> None:
    rules(share=0.3)
    shop.land("1.0", orders=[order("O1")])
    shop.land("2.0", orders=[order("O1", ODD, "2023-12-02"), order("O2")])
    decided = say(shop, "reject_load", loads=("2.0",))
    account = shop.gate(FIRST)["orders"]
    assert counts(account) == (3, 1, 0, 2, 0)
    assert [row[0] for row in orders(shop)] == ["O1"]
    assert kept_out(shop) == [("2.0:1", "rejected", FIRST, decided), ("2.0:2", "rejected", FIRST, decided)]
    reasons = shop.query("select distinct rule, reason_en, reason_zh from quarantine.failures")
    assert reasons == [
        (
            "shop.orders.load_rejected",
            "the load was rejected by Li Lei: checked by phone",
            "该批次被 Li Lei 拒收:checked by phone",
        )
    ]
    before = shop.dump()
    assert counts(shop.gate(SECOND)["orders"]) == (0, 0, 0, 0, 0)
    assert shop.query("select count(*) from meta.gated_loads where entity = 'orders'") == [(2,)]
    assert before["quarantine.shop__orders"] == shop.dump()["quarantine.shop__orders"], "rejected rows are never opened"


def test_a_rejection_that_was_taken_back_lets_the_rows_meet_the_rules(rules: Any, shop: Shop) -> None:
    shop.land("1.0", orders=[order("O1", ODD), order("O2")])
    decided = say(shop, "reject_load", loads=("1.0",))
    shop.gate(FIRST)
    say(shop, "revoke", revokes=decided)
    assert counts(shop.gate(SECOND)["orders"]) == (0, 0, 0, 0, 1)
    assert kept_out(shop) == [("1.0:1", "open", None, None), ("1.0:2", "released", SECOND, None)]
    assert shop.query("select row_id, rule from quarantine.failures") == [("1.0:1", RULE)]
    assert shop.query("select rows_in, rows_quarantined from meta.gated_loads where entity = 'orders'") == [(2, 2)]


def test_every_row_is_in_one_place_whatever_was_decided(rules: Any, shop: Shop) -> None:
    say(shop, "waive", rule=RULE, until=str(FIRST), key={"order_id": "O1"})
    say(shop, "reject_load", loads=("2.0",))
    shop.land("1.0", orders=[order("O1", ODD), order("O1", ODD), order("O2", ODD), order("O3")])
    shop.land("2.0", orders=[order("O4"), order("O5")])
    account = shop.gate(FIRST)["orders"]
    assert account.rows_in == account.rows_kept + account.rows_merged + account.rows_quarantined == 6
    ((in_raw,), (in_quarantine,)) = (
        shop.query("select count(*) from raw.shop__orders")[0],
        shop.query("select count(*) from quarantine.shop__orders where _status <> 'released'")[0],
    )
    assert in_raw + in_quarantine == 6
    assert account.rows_released == 2, "both copies; the models see one"
    assert [row[0] for row in orders(shop)] == ["O1", "O3"]


# --- rules about the whole table ----------------------------------------------------------------------------


def fresh(on_failure: str) -> str:
    return (
        "  - {rule: shop.orders.fresh, type: expect_newest_value_to_be_recent, kwargs: {column: updated_at, "
        "as_of_date: {$PARAMETER: as_of_date}, max_age_days: 3}, severity: warning, meta: {on_failure: "
        f"{on_failure}, reason_en: nothing new, reason_zh: 原因}}}}\n"
    )


def test_a_source_that_went_silent_is_noticed_without_a_row(rules: Any, shop: Shop) -> None:
    rules(more=fresh("warn"))
    shop.land("1.0", orders=[order("O1", GOOD, "2024-01-01")])
    assert shop.gate(FIRST)["orders"].warnings == []
    assert shop.gate(date(2024, 1, 4))["orders"].warnings == []
    assert shop.gate(date(2024, 1, 5))["orders"].warnings == [
        "source shop, entity orders: rule shop.orders.fresh: nothing new: the newest updated_at is of 2024-01-01, "
        "4 days before 2024-01-05"
    ]


def test_a_blocking_rule_about_the_table_can_be_waived(rules: Any, shop: Shop) -> None:
    rules(more=fresh("block"))
    shop.land("1.0", orders=[order("O1", GOOD, "2023-12-01")])
    with pytest.raises(GateBlocked, match="31 days before 2024-01-01"):
        shop.gate(FIRST)
    decided = say(shop, "waive", rule="shop.orders.fresh", until=str(FIRST))
    (warning,) = shop.gate(FIRST)["orders"].warnings
    assert warning.endswith(f"({decided} Li Lei: checked by phone)")
    with pytest.raises(GateBlocked) as held:  # nothing came, so there is no load to decide about
        shop.gate(SECOND)
    assert "-load" not in held.value.next_step
    assert "waive shop.orders.fresh" in held.value.next_step


# --- values changed back, lines of corrected files ----------------------------------------------------------


def land_file(shop: Shop, load_id: str, file: str, *rows: tuple[str | None, ...], malformed: str | None = None) -> None:
    landed = [Row(load_id, number, values, file=file) for number, values in enumerate(rows, 1)]
    if malformed:
        landed.append(Row(load_id, len(rows) + 1, (None,) * 4, malformed, file))
    land(shop.landing, Load(load_id, {"customers": [], "orders": landed}))
    complete(shop.landing, Load(load_id, {"customers": [], "orders": landed}))


def newest(shop: Shop, number: str) -> Any:
    """As staging chooses: the greatest version, then the later load."""
    return shop.query(
        f"select customer_id from raw.shop__orders where not _is_merged and order_id = '{number}' "
        "order by updated_at desc, _load_id desc, _row_number desc limit 1"
    )[0][0]


def version(customer: str, moved: str = "2024-01-01") -> tuple[str | None, ...]:
    return ("O1", customer, GOOD, moved)


@pytest.mark.parametrize("files", [("a", "a", "a"), ("a", "b", "c")], ids=["one file written again", "a file a load"])
def test_a_value_changed_back_under_the_same_version_counts(files: Any, rules: Any, shop: Shop) -> None:
    for night, (file, value) in enumerate(zip(files, ("C9", "C2", "C9"), strict=True), 1):
        land_file(shop, f"{night}.0", file, version(value))
        account = shop.gate(date(2024, 1, night))["orders"]
        assert counts(account) == (1, 1, 0, 0, 0)
        assert newest(shop, "O1") == value
    land_file(shop, "4.0", "d", version("C9"))
    assert counts(shop.gate(date(2024, 1, 4))["orders"]) == (1, 0, 1, 0, 0), "the same words once more"


def test_an_older_file_delivered_again_changes_nothing_back(rules: Any, shop: Shop) -> None:
    land_file(shop, "1.0", "monday", version("C9"))
    shop.gate(FIRST)
    land_file(shop, "2.0", "tuesday", version("C2"))
    shop.gate(SECOND)
    land_file(shop, "3.0", "monday", version("C9"), order("O2"))
    assert counts(shop.gate(THIRD)["orders"]) == (2, 1, 1, 0, 0)
    assert newest(shop, "O1") == "C2"


def test_an_older_version_delivered_again_is_merged(rules: Any, shop: Shop) -> None:
    land_file(shop, "1.0", "a", version("C9", "2024-01-01"))
    land_file(shop, "2.0", "b", version("C2", "2024-01-02"))
    shop.gate(FIRST)
    land_file(shop, "3.0", "c", version("C9", "2024-01-01"))
    assert counts(shop.gate(SECOND)["orders"]) == (1, 0, 1, 0, 0)
    assert newest(shop, "O1") == "C2"


def test_an_unreadable_line_is_closed_when_its_file_comes_again(rules: Any, shop: Shop) -> None:
    land_file(shop, "1.0", "monday", order("O1"), malformed="O2,C1,2024")
    land_file(shop, "2.0", "tuesday", order("O3"), malformed="x,y")
    shop.gate(FIRST)
    assert [row[1] for row in kept_out(shop)] == ["open", "open"]
    land_file(shop, "3.0", "monday", order("O1"), order("O2"))
    account = shop.gate(SECOND)["orders"]
    assert counts(account) == (2, 1, 1, 0, 0)
    assert kept_out(shop) == [("1.0:2", "superseded", SECOND, None), ("2.0:2", "open", None, None)]
    land_file(shop, "4.0", "tuesday", order("O3"), malformed="x,y")
    shop.gate(THIRD)
    assert [row[1] for row in kept_out(shop)] == ["superseded", "superseded", "open"], "still wrong: the new one waits"


def test_a_line_is_closed_also_when_the_correction_comes_the_same_night(rules: Any, shop: Shop) -> None:
    land_file(shop, "1.0", "monday", malformed="O2,C1,2024")
    land_file(shop, "2.0", "monday", order("O2"))
    shop.gate(FIRST)
    before = shop.dump()
    assert [row[1] for row in kept_out(shop)] == ["superseded"]
    shop.gate(FIRST)
    assert shop.dump() == before


def test_the_decisions_file_is_only_read(rules: Any, shop: Shop) -> None:
    say(shop, "waive", rule=RULE, until=str(THIRD))
    before = (shop.root / "decisions" / FILE).read_bytes()
    shop.land("1.0", orders=[order("O1", ODD)])
    shop.gate(FIRST)
    assert (shop.root / "decisions" / FILE).read_bytes() == before


def test_a_corrected_row_meets_the_rules_again_and_says_who_corrected_it(rules: Any, shop: Shop) -> None:
    shop.land("1.0", orders=[order("O1", "soon"), order("O2", "soon"), order("O3", "soon")])
    assert shop.gate(FIRST)["orders"].rows_quarantined == 3
    decided = say(shop, "correct", rows=(("1.0:1", "ordered_on"),), values={"ordered_on": GOOD})
    say(shop, "correct", rows=(("1.0:2", "ordered_on"),), values={"ordered_on": "still not"})
    account = shop.gate(SECOND)["orders"]
    assert account.rows_released == 1
    assert orders(shop) == [("O1", GOOD, SECOND)]
    assert kept_out(shop) == [
        ("1.0:1", "released", SECOND, decided), ("1.0:2", "open", None, None), ("1.0:3", "open", None, None),
    ]  # fmt: skip
    again = say(shop, "correct", rows=(("1.0:2", "ordered_on"),), values={"ordered_on": GOOD})
    shop.gate(THIRD)
    assert orders(shop) == [("O1", GOOD, SECOND), ("O2", GOOD, THIRD)], "the last word counts"
    assert {row[0]: row[3] for row in kept_out(shop)}["1.0:2"] == again
    shop.land("2.0", orders=[order("O1", "soon", "2023-12-02")])
    assert shop.gate(THIRD)["orders"].rows_quarantined == 1, "what comes later is another row"
