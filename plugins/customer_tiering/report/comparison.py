"""What-if comparisons for a terminal and for a spreadsheet."""

from __future__ import annotations

import csv
from dataclasses import asdict, fields
from decimal import Decimal
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from customer_tiering.report.assessment import number
from customer_tiering.scoring.what_if import Mover, WhatIf

_MOVERS_SHOWN = 20


def render_what_if(result: WhatIf) -> Group:
    """Customers per tier before and after, then the movers with most spend."""
    tiers = Table(title=f"{result.scheme} on {result.as_of_date}", title_justify="left")
    for column in ("tier 等级", "before 之前", "after 之后", "change 变化"):
        tiers.add_column(column, justify="left" if column.startswith("tier") else "right")
    for shift in result.shifts:
        tiers.add_row(shift.tier, f"{shift.before:,}", f"{shift.after:,}", f"{shift.after - shift.before:+,}")
    up = [mover for mover in result.movers if mover.direction == "up"]
    down = [mover for mover in result.movers if mover.direction == "down"]
    words = Text(
        f"{len(up):,} customers move up (spend {number(_spend(up))}), "
        f"{len(down):,} down (spend {number(_spend(down))}), "
        f"{len(result.movers) - len(up) - len(down):,} otherwise"
    )
    movers = Table("customer 客户", "name 名称", "from", "to", "spend 消费", "most changed points 主要变化")
    for mover in result.movers[:_MOVERS_SHOWN]:
        movers.add_row(
            mover.customer_id,
            mover.customer_name,
            mover.from_tier,
            mover.to_tier,
            number(mover.annual_spend),
            mover.reason,
        )
    more = len(result.movers) - _MOVERS_SHOWN
    return Group(
        tiers, words, *([movers] if result.movers else []), *([Text(f"and {more:,} more")] if more > 0 else [])
    )


def write_movers(result: WhatIf, path: Path) -> None:
    """All movers as CSV; texts that a spreadsheet would take for a formula are quoted."""
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(field.name for field in fields(Mover))
        for mover in result.movers:
            writer.writerow(_safe(value) for value in asdict(mover).values())


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") and value != "-" else value


def _spend(movers: list[Mover]) -> Decimal:
    return sum((mover.annual_spend or Decimal(0) for mover in movers), Decimal(0))
