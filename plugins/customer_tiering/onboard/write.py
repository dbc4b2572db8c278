"""The profile that ``tiering init`` writes: one YAML with comments, and the cuts of its tiers where it has spend."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import make_url

from customer_tiering.inputs.tables import input_tables
from customer_tiering.onboard.propose import Proposal
from customer_tiering.rules import scheme_text

Content = dict[str, Any]


def sources_of(company: str, proposals: list[Proposal]) -> tuple[Content, dict[str, str]]:
    """The ``sources`` of a profile, one per folder or database, and the environment variables that they read.

    A URL with a password goes into a variable, because a profile is a file that is shown and shared.
    """
    homes: dict[tuple[str, str], list[Proposal]] = defaultdict(list)
    for proposal in proposals:
        if proposal.table:
            homes[proposal.found.home].append(proposal)
    sources: Content = {}
    variables: dict[str, str] = {}
    for (kind, place), items in homes.items():
        name = "database" if kind == "url" else "files"
        name = name if name not in sources else f"{name}_{len(sources) + 1}"
        home = {kind: place}
        if kind == "url" and make_url(place).password:
            home = {"url_from": f"{company}_{name}_url".upper()}
            variables[home["url_from"]] = place
        missing = list(dict.fromkeys(word for item in items for word in item.missing))
        sources[name] = {
            "label_en": name.capitalize(),
            "label_zh": "文件" if kind == "path" else "数据库",
            **home,
            **({"missing": missing} if missing else {}),
            "tables": {item.table: item.found.place | {"columns": item.columns} for item in _parents_first(items)},
        }
    return sources, variables


def _parents_first(proposals: list[Proposal]) -> list[Proposal]:
    order = list(input_tables())
    return sorted(proposals, key=lambda item: order.index(item.table or ""))


def headline_of(proposals: list[Proposal]) -> str:
    """The scheme that the mapped tables can carry."""
    mapped = {item.table: item.columns for item in proposals if item.table}
    has_cost = "cost_amount" in mapped.get("order_lines", {})
    if has_cost and {"orders", "tickets", "invoices", "strategic_attributes"} <= set(mapped):
        return "account_360"
    if has_cost and "orders" in mapped:
        return "account_value"
    return "spend_abc"


def profile_yaml(content: Content, gaps: list[str]) -> str:
    """The profile as text. ``gaps`` says what stays unknown."""
    head = [
        f"# {content['label_en']}: written by `tiering init`; every line may be changed (docs/profiles.md).",
        "# A column is a name of the source's, or what docs/add-a-source.md lists: values, formats, join, product.",
        *(f"# Not there: {gap}" for gap in gaps),
    ]
    lines = []
    for key, value in content.items():
        if key == "sources":
            lines.append(_sources(value))
        else:
            lines.append(_dump({key: value}).rstrip())
    lines.append('channels:\n  local_file: {url: "jsonl://localhost{workspace}/reports/alerts.jsonl"}')
    return "\n".join([*head, *lines]) + "\n"


def _sources(sources: Content) -> str:
    lines = ["sources:"]
    for name, source in sources.items():
        lines.append(f"  {name}:")
        for key, value in source.items():
            if key != "tables":
                lines.append(f"    {_flow(key, value)}")
        lines.append("    tables:")
        for table, said in source["tables"].items():
            declared = input_tables()[table]
            lines.append(f"      {table}:  # {declared.label_zh}: {declared.grain_en}")
            lines += [f"        {_flow(key, value)}" for key, value in said.items() if key != "columns"]
            lines.append("        columns:")
            lines += [f"          {_flow(key, value)}" for key, value in said["columns"].items()]
    return "\n".join(lines)


def _flow(key: str, value: Any) -> str:
    text = _dump({key: value}, flow=True).strip()
    return text[1:-1] if text.startswith("{") else text


def _dump(value: Any, flow: bool = False) -> str:
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=1_000, default_flow_style=flow)


def write_cuts(folder: Path, high: float, low: float) -> Path:
    """Cuts of the scheme spend_abc for the company's own size of spend, with margins of a fiftieth; their file."""
    margin = round(low / 50, 2)
    changes = {
        "tiers": {"A": {"when": f"> {high:,.2f}"}, "B": {"when": f">= {low:,.2f}"}},
        "stability": {"enter_margin": margin, "exit_margin": margin},
    }
    cuts = folder / "schemes" / "spend_abc.yml"
    scheme_text.write(cuts, scheme_text.dumped(changes, "What differs from schemes/spend_abc.yml."))
    seeds = folder / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    (seeds / "settings.csv").write_text(
        "setting,value,meaning\n"
        'uncovered_window,observed,"where the records do not reach back 12 months: annual spend is what they show"\n',
        encoding="utf-8",
    )
    return cuts
