"""Alerts in tests: small snapshots made by hand, and real receivers on 127.0.0.1."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default as mail_policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
from aiosmtpd.controller import Controller

from customer_tiering.alerts.ledger import open_ledger
from customer_tiering.alerts.tell import AlertResult, tell_changes
from customer_tiering.company.profile import Profile
from customer_tiering.publish.snapshot import DATABASE, Manifest
from nights import shipped_sources

SCHEME = "value"
TIERS = {"A": (1, "Gold", "金"), "B": (2, "Silver", "银"), "C": (3, "Bronze", "铜")}


@dataclass(frozen=True)
class Customer:
    """A customer as a snapshot has it; ``churn`` is its probability when a model scores."""

    tier: str
    owner: str | None = "ann"
    churn: float | None = None
    name: str = ""


def profile(name: str = "small", **settings: Any) -> Profile:
    """A profile that needs no file."""
    return Profile.model_validate(
        {
            "name": name,
            "label_en": "Small",
            "label_zh": "小公司",
            "timezone": "Asia/Shanghai",
            "currency": "CNY",
            "headline_scheme": SCHEME,
            "sources": {"erp": shipped_sources()["erp"]},
        }
        | settings
    )


def write_snapshot(folder: Path, customers: Mapping[str, Customer], night: str, scheme: str = SCHEME) -> Manifest:
    """A snapshot with the marts that alerts read, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with duckdb.connect(str(folder / DATABASE)) as db:
        db.execute("create schema marts; use marts")
        db.execute(
            "create table dim_tiers (scheme varchar, tier varchar, tier_rank int, label_en varchar, label_zh varchar)"
        )
        db.executemany(
            "insert into dim_tiers values (?, ?, ?, ?, ?)", [(scheme, tier, *of) for tier, of in TIERS.items()]
        )
        db.execute("create table dim_schemes (scheme varchar, placed_customers int)")
        db.execute("insert into dim_schemes values (?, ?)", [scheme, len(customers)])
        db.execute("create table dim_customers (customer_id varchar, customer_name varchar, owner varchar)")
        db.execute("create table fct_customer_tiers (customer_id varchar, scheme varchar, effective_tier varchar)")
        db.execute(
            "create table fct_churn_risks (customer_id varchar, risk_class varchar, probability decimal(12,10), "
            "advice_en varchar, advice_zh varchar, reasons_en varchar, reasons_zh varchar, "
            "signals_en varchar, signals_zh varchar)"
        )
        db.execute("create table fct_churn_risk_changes (customer_id varchar, cause varchar)")
        db.execute(
            "create table fct_data_quality (as_of_date date, source varchar, entity varchar, rows_in int, "
            "rows_quarantined int)"
        )
        for key, customer in customers.items():
            db.execute(
                "insert into dim_customers values (?, ?, ?)", [key, customer.name or f"Name {key}", customer.owner]
            )
            db.execute("insert into fct_customer_tiers values (?, ?, ?)", [key, scheme, customer.tier])
            if customer.churn is not None and customer.churn >= 0.4:
                risk = "high" if customer.churn >= 0.7 else "medium"
                db.execute(
                    "insert into fct_churn_risks values (?, ?, ?, 'call', '致电', 'late', '延迟', null, null)",
                    [key, risk, customer.churn],
                )
    return Manifest("small", night, "r", "v", "c", "c", scheme, "CNY", {})


class Company:
    """A company that has nights: its snapshot, its ledger and its profile."""

    def __init__(self, folder: Path, profile: Profile) -> None:
        self.folder = folder
        self.profile = profile
        self.snapshot = folder / "snapshot"
        self.ledger_folder = folder / "ledger"
        self.customers: dict[str, Customer] = {}

    def publish(self, customers: Mapping[str, Customer], night: str) -> None:
        self.customers = dict(customers)
        self.manifest = write_snapshot(self.snapshot, customers, night)

    def tell(self, *, ripe_only: bool = False, warnings: list[str] | None = None) -> AlertResult:
        """The alert step on what is published."""
        with open_ledger(self.ledger_folder) as ledger:
            return tell_changes(
                self.profile, ledger, self.snapshot, self.manifest, ripe_only=ripe_only, warnings=warnings
            )

    def night(self, customers: Mapping[str, Customer], night: str) -> AlertResult:
        self.publish(customers, night)
        return self.tell()

    def states(self, channel: str = "") -> list[str]:
        """States of all messages, in the order in which they came up."""
        with open_ledger(self.ledger_folder) as ledger:
            return [message.state for message in ledger.messages(channel=channel)]


@dataclass(frozen=True)
class Request:
    """What a webhook received."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class Receiver:
    """A webhook on 127.0.0.1. ``script`` has what it does with the next requests: a status, or seconds to wait."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.script: list[int | float] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                act = receiver.script.pop(0) if receiver.script else 200
                if act == 200 or isinstance(act, float):
                    receiver.requests.append(Request(dict(self.headers), body))
                if isinstance(act, float):
                    time.sleep(act)
                    act = 200
                with contextlib.suppress(OSError):  # the sender did not wait
                    self.send_response(act)
                    if act in (301, 302, 307):
                        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Close the port: connections are refused from now on."""
        self._server.shutdown()
        self._server.server_close()


class Mailbox:
    """An SMTP server on 127.0.0.1 that keeps what it takes."""

    def __init__(self, port: int = 0) -> None:
        self.mails: list[tuple[str, str, str]] = []  # recipient, subject, text
        self.port = port or _free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=mail_policy)
        part = mail.get_body(("plain",))
        assert part is not None
        for recipient in envelope.rcpt_tos:
            self.mails.append((recipient, str(mail["Subject"]), part.get_content()))
        return "250 taken"

    def stop(self) -> None:
        self._controller.stop(no_assert=True)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ids_in(text: str) -> list[str]:
    """Ids at the end of letters."""
    return re.findall(r"^(?:Message: |编号：)(\w+)$", text, re.MULTILINE)
