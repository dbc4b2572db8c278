"""Columns of a found table for people: how filled and how unique they are, and what could be key or cursor."""

from __future__ import annotations

from rich.table import Table

from customer_tiering.inputs.mapping import MappedEntity
from customer_tiering.inputs.tables import Column
from customer_tiering.inputs.types import Form
from customer_tiering.onboard.probe import Found
from customer_tiering.onboard.propose import Sample

_MOMENT = Column(name="moment", type="instant", label_en="", label_zh="")


def describe(found: Found, entity: MappedEntity) -> Table:
    """One row per native column of the sample, with the input columns that it is mapped to."""
    sample = Sample(found)
    mapped: dict[str, list[str]] = {}
    for name in entity.fields:
        for native in entity.mapped.column_mapping(name).native:
            mapped.setdefault(native, []).append(name)
    table = Table(box=None, padding=(0, 2, 0, 2))
    for title in ("column", "filled", "repeated", "could be", "mapped to"):
        table.add_column(title)
    for native in found.columns:
        filled, repeats = sample.filled(native), sample.repeats(native)
        could_be = "key" if filled == 1 and repeats == 0 and sample.rows > 1 else ""
        if filled > 0.9 and sample.readable(native, _MOMENT, Form()) > 0.95:
            could_be = f"{could_be} cursor".strip()
        shown = ", ".join(mapped.get(native, [])) or "-"
        table.add_row(native, f"{filled:.0%}", f"{repeats:.0%}", could_be, shown)
    return table
