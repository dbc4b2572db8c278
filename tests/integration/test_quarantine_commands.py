"""``tiering quarantine``: a night with bad rows and a held load, decided from the command line, up to the marts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from customer_tiering.cli.main import app
from customer_tiering.company.workspace import Workspace
from customer_tiering.decisions.quarantine import FILE
from customer_tiering.errors import GateBlocked
from customer_tiering.night import steps
from nights import ErpDatabase, mart_rows, write_profile

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
WHO = ("--profile", "acme", "--owner", "Li Lei", "--reason", "checked by phone")


class Acme:
    """A company with an ERP of a few orders; nights up to the gate."""

    def __init__(self, root: Path) -> None:
        self.erp = ErpDatabase(root / "erp.sqlite")
        write_profile(root / "profiles", "acme", sources={"erp": {"url": self.erp.url}})
        self.erp.products(1)
        self.erp.customer("C1", phone="13812345678", email="li@example.com")
        self.erp.customer("C2", registered_on="soon", phone="13812345678", email="li@example.com", customer_name="乙")
        for number in range(1, 41):
            self.erp.order(f"SO{number}", "C1", "2026-01-10", [("P1", str(1000 + number), "600")])
        # Two orders whose sum is absurd; their lines are as usual.
        self.erp.connection.execute("update orders set net_amount = '987654321' where order_no in ('SO9', 'SO10')")
        self.erp.connection.commit()

    @property
    def workspace(self) -> Workspace:
        return Workspace.of("acme")

    def gate(self, night: date, run_id: str = "r") -> steps.Night:
        self.night = steps.Night("acme", night.isoformat(), run_id)
        steps.begin(self.night)
        steps.extract(self.night, "erp")
        steps.gate(self.night, "erp")
        return self.night


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("TIERING_PROFILES", str(tmp_path / "profiles"))
    monkeypatch.setenv("COLUMNS", "300")
    yield Acme(tmp_path)


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["quarantine", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def done(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return " ".join(result.stdout.split())


def refused(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    return " ".join(result.stderr.split())


def rows_of(rule: str) -> dict[str, dict[str, Any]]:
    """Rows that break a rule, by their key."""
    shown = json.loads(done("show", "--profile", "acme", "--rule", rule, "--all", "--json"))
    return {row["values"].get("order_id") or row["values"]["customer_id"]: row for row in shown}


def test_rows_and_loads_are_decided_from_the_command_line(acme: Acme) -> None:
    acme.gate(FIRST)
    absurd, dated = "erp.orders.net_amount_outlier", "erp.customers.registered_on_readable"
    status = "erp.orders.status_readable"

    # What there is.
    listed = json.loads(done("list", "--profile", "acme", "--json"))
    counts = {item["rule"]: (item["rows"], item["oldest"], item["oldest_days"]) for item in listed["rules"]}
    assert counts[absurd] == (2, "2026-03-01", 0)
    assert counts["erp.order_lines.order_id_exists"] == (2, "2026-03-01", 0)
    assert {"source": "erp", "entity": "orders", "open": 2} in listed["rows"]
    assert absurd in done("--profile", "acme"), "without a subcommand: list"
    assert done("-p", "acme", "list") == done("list", "-p", "acme")
    held = rows_of(absurd)
    assert set(held) == {"SO9", "SO10"}
    assert held["SO9"]["failures"][0] == {
        "rule": absurd,
        "column": "net_amount",
        "value": "987654321",
        "reason_en": "the net amount is absurdly far from usual ones, probably a typing error",
        "reason_zh": "净额异常,疑似录入错误",
    }
    customer = done("show", "--profile", "acme", "--rule", dated)
    assert "phone=138****5678, email=l***@example.com" in customer
    assert "registered_on: soon" in customer
    assert "13812345678" not in customer

    # What cannot be decided.
    name, customer_name = held["SO9"]["name"], rows_of(dated)["C2"]["name"]
    for arguments, problem in (
        (("release", name, "--profile", "acme", "--reason", "r"), "needs an owner and a reason"),
        (("release", *WHO), "say which rows"),
        (("release", "SO9", *WHO), "'SO9' is no name of a row"),
        (("release", name + "9", *WHO), "not waiting in quarantine"),
        (
            ("release", customer_name, *WHO),
            f"rule {dated} cannot be waived: the registration date cannot be read as a date",
        ),
        (("waive", "erp.orders.nothing", "--until", "2026-04-01", *WHO), "there is no rule erp.orders.nothing"),
        (("waive", dated, "--until", "2026-04-01", *WHO), "cannot be waived"),
        (("waive", status, "--until", "2026-04-01", *WHO), "cannot be waived"),
        (("waive", "erp.orders.key_unique", "--until", "2026-04-01", *WHO), "keeps nothing out"),
        (("waive", absurd, "--until", "soon", *WHO), "--until soon is not a date"),
        (("waive", absurd, "--until", "2026-02-28", *WHO), "is before the last night 2026-03-01"),
        (("waive", absurd, "--until", "2026-04-01", "--key", "status=x", *WHO), "status: not part of the key"),
        (("waive", absurd, "--until", "2026-04-01", "--key", "SO9", *WHO), "not of the form column=value"),
        (("waive", "crm.surveys.score_range", "--until", "2026-04-01", *WHO), "there is no rule crm.surveys"),
        (("accept-load", "erp.orders", "1.0", *WHO), "erp has no load 1.0"),
        (("accept-load", "erp.orders", held["SO9"]["load_id"], *WHO), "already through the gate"),
        (("accept-load", "erp.nothing", "1.0", *WHO), "has no entity 'erp.nothing'"),
        (("revoke", "D-0001", *WHO), "there is no decision D-0001"),
        (("-p", "other", "list", "--profile", "acme"), "with different values: other, acme"),
    ):
        assert problem in refused(*arguments)
    assert not (acme.workspace.decisions / FILE).exists(), "nothing was decided by mistake"

    # A row is released, a key is waived; both flow in the next run, and so do the lines that waited for them.
    assert "D-0001: 1 rows of erp.orders" in done("release", name, *WHO)
    assert "D-0002" in done("waive", absurd, "--key", "order_id=SO10", "--until", "2026-03-02", *WHO)
    assert "order_id=SO10" in done("waivers", "--profile", "acme")
    (waiver,) = json.loads(done("waivers", "--profile", "acme", "--json"))
    expected = {"decision_id": "D-0002", "rule": absurd, "key": {"order_id": "SO10"}, "state": "in force"}
    assert {name: waiver[name] for name in expected} == expected

    # The next night orders come with a status that does not exist: the delivery is held.
    again = [f"SO{number}" for number in range(20, 32)]
    acme.erp.connection.execute(
        "update orders set status = 'half', updated_at = '2026-03-02 10:00:00' where order_no in "
        f"({', '.join('?' for _ in again)})",
        again,
    )
    acme.erp.connection.commit()
    with pytest.raises(GateBlocked) as blocked:
        acme.gate(SECOND)
    assert "12 of 12 rows delivered break rules" in blocked.value.problem
    (load,) = re.findall(r"`tiering quarantine reject-load erp.orders (\S+) --profile acme", blocked.value.next_step)
    with pytest.raises(GateBlocked):
        acme.gate(SECOND, "again")
    assert "set aside" in done("reject-load", "erp.orders", load, *WHO)
    night = acme.gate(SECOND, "third")
    steps.build(night)
    steps.judge(night)
    steps.publish(night)

    quality = mart_rows(
        acme.workspace,
        "select entity, rows_in, rows_kept, rows_merged, rows_quarantined, rows_released, rows_released_by_decision, "
        "decided_by from fct_data_quality where as_of_date = '2026-03-02' and entity in ('orders', 'order_lines') "
        "order by entity",
    )
    assert [tuple(row.values()) for row in quality] == [
        ("order_lines", 0, 0, 0, 0, 2, 0, None),
        ("orders", 12, 0, 0, 12, 2, 2, "D-0001 Li Lei: checked by phone/D-0002 Li Lei: checked by phone"),
    ]
    shown = rows_of(absurd)
    assert (shown["SO9"]["status"], shown["SO9"]["decision_id"]) == ("released", "D-0001")
    assert (shown["SO10"]["status"], shown["SO10"]["decision_id"]) == ("released", "D-0002")
    assert "released on 2026-03-02 by D-0001 Li Lei: checked by phone" in done("show", name, "--profile", "acme")
    assert "12 rejected" in done("list", "--profile", "acme")
    everything = json.loads(done("waivers", "--profile", "acme", "--all", "--json"))
    assert [(item["kind"], item["state"], item["rows_let_in"]) for item in everything] == [
        ("release", "in force", 1),
        ("waive", "over", 1),
        ("reject_load", "in force", 0),
    ]
    assert "D-0003" in done("waivers", "--profile", "acme", "--all")

    # The rejection is taken back: the rows meet the rule like any others.
    assert "D-0003 is taken back" in done("revoke", "D-0003", *WHO)
    assert "was taken back already" in refused("revoke", "D-0003", *WHO)
    acme.gate(THIRD)
    assert {row["status"] for order, row in rows_of(status).items() if order in again} == {"open"}


def test_there_is_nothing_to_decide_before_the_first_night(acme: Acme) -> None:
    for arguments in (("list",), ("show",), ("release", "erp.orders/1:1"), ("accept-load", "erp.orders", "1")):
        problem = refused(*arguments, "--profile", "acme")
        assert "no warehouse yet" in problem or "erp has no load 1" in problem
    assert not (acme.workspace.root / "warehouse").exists()
