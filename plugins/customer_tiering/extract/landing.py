"""Reading the landing: only loads that dlt marked as completed exist."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

from customer_tiering.sources.base import Entity


@dataclass(frozen=True)
class Load:
    """A finished load of one source."""

    source: str
    load_id: str


def completed_loads(landing: Path, source: str) -> list[Load]:
    """The source's finished loads, oldest first. A load that did not finish is invisible."""
    loads: dict[str, Load] = {}
    for path in (landing / source / "_dlt_loads").glob("*.jsonl*"):
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
        for line in text.split("\n"):
            if not line.strip():
                continue
            row = json.loads(line)
            if row.get("status") == 0:
                loads[row["load_id"]] = Load(source, row["load_id"])
    return sorted(loads.values(), key=lambda load: float(load.load_id))


def load_files(landing: Path, entity: Entity, load: Load) -> list[Path]:
    """Parquet files of one entity in one load (none when the load brought no row of it)."""
    return sorted((landing / load.source / entity.name).glob(f"{load.load_id}.*.parquet"))
