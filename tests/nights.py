"""Running whole nights in tests: the DAG's steps in their order, without Airflow, in a workspace of the test's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import yaml

from customer_tiering.company.profile import SourceLocation
from customer_tiering.company.workspace import PROJECT_ROOT, Workspace
from customer_tiering.inputs.mapping import MappedSource, mapped_source
from customer_tiering.night import steps
from customer_tiering.publish.snapshot import DATABASE, current_folder


def run_night(profile_name: str, as_of: date, run_id: str = "test", *, with_report: bool = False) -> steps.Night:
    """One night, step by step as the DAG wires them; reports, which nothing else waits for, on request."""
    night = steps.Night(profile_name, as_of.isoformat(), run_id)
    steps.begin(night)
    sources = list(night.profile.sources)
    for name in sources:
        steps.extract(night, name)
    for name in sources:
        steps.gate(night, name)
    steps.build(night)
    steps.judge(night)
    steps.publish(night)
    if night.profile.postgres_target:
        steps.publish_postgres(night)
    steps.alert(night)
    if with_report:
        steps.report(night)
    steps.summarise(night)
    return night


def mart_rows(workspace: Workspace, sql: str, parameters: Iterable[Any] = ()) -> list[dict[str, Any]]:
    """Rows of a query on the published snapshot."""
    folder = current_folder(workspace)
    assert folder is not None
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        connection.execute("use marts")
        cursor = connection.execute(sql, list(parameters))
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def shipped_sources(profile: str = "sample") -> dict[str, dict[str, Any]]:
    """The sources of a shipped profile, as its YAML says them."""
    content = yaml.safe_load((PROJECT_ROOT / "profiles" / f"{profile}.yml").read_bytes())
    sources: dict[str, dict[str, Any]] = content["sources"]
    return sources


def shipped_source(name: str) -> MappedSource:
    """A source of the sample company."""
    said = SourceLocation.model_validate(shipped_sources()[name])
    return mapped_source(name, said.tables, label_en=said.label_en or "", label_zh=said.label_zh or "")


def native_columns(source: str) -> dict[str, list[str]]:
    """Columns of the tables, exports or sheets of a source of the sample company, by the name that these have."""
    return {
        entity.table or str(entity.files).split("-*")[0].split(".")[0]: list(entity.headers.values())
        for entity in shipped_source(source).entities
    }


def input_table_of(export: Path) -> str:
    """The input table that an export of the sample company's becomes, by the name in front of its day."""
    name = export.name.rsplit("-", 1)[0]
    return {"accounts": "customers", "comments": "ticket_events", "ratings": "ticket_ratings"}.get(name, name)


def write_profile(folder: Path, name: str, **settings: Any) -> None:
    """A profile YAML with sensible defaults; a source of the sample company's that only has a place is mapped as
    there."""
    known = shipped_sources() | shipped_sources("online_retail")
    if "sources" in settings:
        settings["sources"] = {
            source: said if "tables" in said else {"tables": known[source]["tables"]} | said
            for source, said in settings["sources"].items()
        }
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "label_en": name,
        "label_zh": name,
        "timezone": "Asia/Shanghai",
        "currency": "CNY",
        "headline_scheme": "account_value",
        "channels": {"file": {"url": "jsonl://localhost{workspace}/reports/alerts.jsonl"}},
    } | settings
    (folder / f"{name}.yml").write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")


class ErpDatabase:
    """A hand-made ERP in SQLite, with the tables of the sample company's."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.connection = sqlite3.connect(path)
        for table, columns in native_columns("erp").items():
            self.connection.execute(f"create table if not exists {table} ({', '.join(columns)})")
        self.connection.commit()

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def add(self, table: str, *rows: Mapping[str, Any]) -> None:
        """Insert rows; columns that are left out are null, ``updated_at`` defaults to a fixed time."""
        for row in rows:
            values = {"updated_at": "2026-01-01 00:00:00"} | dict(row)
            marks = ", ".join("?" for _ in values)
            self.connection.execute(
                f"insert into {table} ({', '.join(values)}) values ({marks})", list(values.values())
            )
        self.connection.commit()

    def customer(self, code: str, registered_on: str = "2015-01-01", **values: Any) -> None:
        self.add(
            "customers",
            {"customer_code": code, "customer_name": f"公司 {code}", "registered_on": registered_on} | values,
        )

    def products(self, categories: int) -> None:
        """One product per category: P1 of 类别1, and so on."""
        self.add(
            "products",
            *(
                {"product_code": f"P{n}", "product_name": f"产品{n}", "category": f"类别{n}", "list_price": 1}
                for n in range(1, categories + 1)
            ),
        )

    def order(
        self,
        number: str,
        customer: str,
        day: str,
        lines: Iterable[tuple[str, str, str]],
        status: str = "confirmed",
        **values: Any,
    ) -> None:
        """An order with lines (product, net amount, cost), amounts as text so that they stay exact."""
        from decimal import Decimal

        lines = list(lines)
        net = sum(Decimal(amount) for _, amount, _ in lines)
        gross = (net * Decimal("1.13")).quantize(Decimal("0.01"))
        self.add(
            "orders",
            {
                "order_no": number,
                "customer_code": customer,
                "order_date": day,
                "status": status,
                "currency": "CNY",
                "net_amount": str(net),
                "gross_amount": str(gross),
            }
            | values,
        )
        self.add(
            "order_lines",
            *(
                {
                    "order_no": number,
                    "line_no": index,
                    "product_code": product,
                    "quantity": 1,
                    "net_amount": amount,
                    "cost_amount": cost,
                }
                | values
                for index, (product, amount, cost) in enumerate(lines, start=1)
            ),
        )

    def invoice(self, number: str, order: str, customer: str, day: str, due: str, amount: str) -> None:
        self.add(
            "invoices",
            {
                "invoice_no": number,
                "order_no": order,
                "customer_code": customer,
                "invoice_date": day,
                "due_date": due,
                "gross_amount": amount,
            },
        )

    def payment(self, number: str, invoice: str, day: str, amount: str) -> None:
        self.add("payments", {"payment_no": number, "invoice_no": invoice, "paid_date": day, "amount": amount})


def write_schemes(folder: Path, **texts: str) -> None:
    """Scheme files of a company: ``profiles/<company>/schemes/``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
