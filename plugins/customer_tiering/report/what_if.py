"""What-ifs as people read them: in the terminal, as HTML, as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from decimal import Decimal
from pathlib import Path

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from customer_tiering.explain.what_if import Mover, WhatIf
from customer_tiering.report.assessment import number
from customer_tiering.report.spreadsheets import harmless

_MOVERS_SHOWN = 20


def render_what_if(result: WhatIf, shown: int = _MOVERS_SHOWN) -> Group:
    """Customers per tier before and after, then the ``shown`` movers with most spend."""
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
    for mover in result.movers[:shown]:
        movers.add_row(
            mover.customer_id,
            mover.customer_name,
            mover.from_tier,
            mover.to_tier,
            number(mover.annual_spend),
            mover.reason,
        )
    more = len(result.movers) - shown
    return Group(
        tiers, words, *([movers] if result.movers else []), *([Text(f"and {more:,} more")] if more > 0 else [])
    )


def write_html(result: WhatIf, path: Path) -> None:
    """The whole comparison as one self-contained HTML page."""
    with io.StringIO() as nowhere:
        console = Console(record=True, width=140, file=nowhere, markup=False)
        console.print(render_what_if(result, shown=len(result.movers)))
        path.write_text(console.export_html(inline_styles=True), encoding="utf-8")


def write_movers(result: WhatIf, path: Path) -> None:
    """All movers as CSV; texts that a spreadsheet would take for a formula are quoted."""
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(field.name for field in fields(Mover))
        for mover in result.movers:
            writer.writerow(harmless(value) if isinstance(value, str) else value for value in asdict(mover).values())


def _spend(movers: list[Mover]) -> Decimal:
    return sum((mover.annual_spend or Decimal(0) for mover in movers), Decimal(0))
