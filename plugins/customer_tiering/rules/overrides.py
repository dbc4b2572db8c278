"""Manual tiers against the rules: which schemes and tiers there are. A table of them can be read in.

The decisions are in ``decisions/overrides.jsonl``. Setting one makes no new version of the rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

import duckdb

from customer_tiering.company.profile import Profile
from customer_tiering.decisions.overrides import Override, read_overrides, set_overrides
from customer_tiering.errors import RulesError
from customer_tiering.rules.seeds import ColumnType, Row, Rules, SeedSpec, read_rows, shown_path

TABLE = "overrides.csv"
"""In the profile's folder. Version 0.1 kept the manual tiers there; they are taken over once."""
_TEXT, _DAY = ColumnType("varchar"), ColumnType("date")
SPEC = SeedSpec(
    {
        "customer_id": _TEXT,
        "scheme": _TEXT,
        "tier": _TEXT,
        "owner": _TEXT,
        "reason": _TEXT,
        "valid_from": _DAY,
        "expires_on": _DAY,
    },
    ("customer_id", "scheme", "valid_from"),
    ("customer_id",),
)


def load_overrides(profile: Profile, rules: Rules) -> list[Override]:
    """The manual tiers of a company, checked against its schemes and tiers.

    Raises ``RulesError`` listing every one that does not fit.
    """
    overrides = read_overrides(profile.workspace.decisions)
    if problems := check_overrides(overrides, rules):
        listed = "\n  - ".join(problems)
        raise RulesError(
            f"profile {profile.name}: {len(problems)} manual tier(s) do not fit the rules:\n  - {listed}",
            "end them: tiering override end <id> --owner <who> --reason <why>; nothing was run",
        )
    return overrides


def read_table(path: Path, rules: Rules, warnings: list[str]) -> list[Row]:
    """Manual tiers from a CSV file with the columns of ``SPEC``.

    A last line that was cut off while the file was written is left out and named in ``warnings``. Raises ``RulesError``
    listing every other problem with file and line.
    """
    problems: list[str] = []
    rows = read_rows(path, SPEC, problems)
    if not problems:
        problems = _check_rows(rows, rules)
    if problems and (cut := _line_without_end(path)):
        here = f"{shown_path(path)}:{cut}: "
        if any(problem.startswith(here) for problem in problems):
            warnings.append(f"{here}the last line of the manual tiers was cut off and is left out; complete it")
            rows = [row for row in rows if row.line != cut]
            problems = [problem for problem in problems if not problem.startswith(here)] or _check_rows(rows, rules)
    if problems:
        listed = "\n  - ".join(problems)
        raise RulesError(
            f"the manual tiers in {path.name} have {len(problems)} problem(s):\n  - {listed}",
            "correct the lines named above; nothing was taken over",
        )
    return rows


def take_over(profile: Profile, path: Path, rules: Rules, warnings: list[str]) -> list[Override]:
    """Put the manual tiers of a table into the decision log; returns those that were not there. Again: none.

    Raises ``RulesError`` or ``DecisionError`` when one of them does not fit.
    """
    rows = read_table(path, rules, warnings)
    return set_overrides(
        profile.workspace.decisions,
        [
            {name: date.fromisoformat(row[name]) if kind == _DAY else row[name] for name, kind in SPEC.columns.items()}
            for row in rows
        ],
        lambda overrides: check_overrides(overrides, rules),
        once=True,
    )


def take_over_profile_table(profile: Profile, rules: Rules, warnings: list[str]) -> None:
    """Take over ``overrides.csv`` in the profile's folder, where version 0.1 kept the manual tiers."""
    path = profile.folder / TABLE
    if not path.exists():
        return
    added = take_over(profile, path, rules, warnings)
    warnings.append(
        f"{shown_path(path)}: manual tiers are kept in the decision log now"
        + (f", {len(added)} were taken over" if added else "")
        + "; delete that file, and use tiering override set, end and list"
    )


def check_overrides(overrides: Iterable[Override], rules: Rules) -> list[str]:
    """Unknown schemes and tiers, days in the wrong order, and two tiers at the same time."""
    return _check(
        [
            _Spell(
                f"{override.override_id} ({override.customer_id})", override.override_id, override.customer_id,
                override.scheme, override.tier, override.valid_from, override.expires_on,
            )
            for override in overrides
        ],
        rules,
    )  # fmt: skip


def _check_rows(rows: list[Row], rules: Rules) -> list[str]:
    return _check(
        [
            _Spell(
                row.where(), f"line {row.line}", row["customer_id"], row["scheme"], row["tier"],
                date.fromisoformat(row["valid_from"]), date.fromisoformat(row["expires_on"]),
            )
            for row in rows
        ],
        rules,
    )  # fmt: skip


@dataclass(frozen=True)
class _Spell:
    """A manual tier, wherever it was written: ``where`` begins a message about it, ``name`` is how others name it."""

    where: str
    name: str
    customer: str
    scheme: str
    tier: str
    first: date
    last: date


def _check(spells: list[_Spell], rules: Rules) -> list[str]:
    tiers: dict[str, set[str]] = defaultdict(set)
    for row in rules.rows["tiers"]:
        tiers[row["scheme"]].add(row["tier"])
    kinds = {row["scheme"]: row["kind"] for row in rules.rows["schemes"]}
    problems = []
    by_customer: dict[tuple[str, str], list[_Spell]] = defaultdict(list)
    for spell in spells:
        if spell.scheme not in kinds:
            problems.append(f"{spell.where}: unknown scheme {spell.scheme!r}; there are {', '.join(sorted(kinds))}")
        # The tiers of axes are combinations of their levels, which tiers.csv does not list.
        elif kinds[spell.scheme] != "axes" and spell.tier not in tiers[spell.scheme]:
            problems.append(
                f"{spell.where}: unknown tier {spell.tier!r} of scheme {spell.scheme}; "
                f"there are {', '.join(sorted(tiers[spell.scheme]))}"
            )
        if spell.last < spell.first:
            problems.append(f"{spell.where}: expires_on {spell.last} is before valid_from {spell.first}")
        by_customer[spell.customer, spell.scheme].append(spell)
    for (customer, scheme), group in by_customer.items():
        for earlier, later in pairwise(sorted(group, key=lambda spell: spell.first)):
            if later.first <= earlier.last:
                problems.append(
                    f"{later.where}: customer {customer} has another tier of {scheme} by hand until "
                    f"{earlier.last} ({earlier.name})"
                )
    return problems


def _line_without_end(path: Path) -> int | None:
    """Number of the last line, if nothing ends it: then writing it may have been interrupted."""
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        lines = stream.readlines()
    return len(lines) if lines and not lines[-1].endswith(("\n", "\r")) else None


def land_overrides(connection: duckdb.DuckDBPyConnection, overrides: Iterable[Override]) -> None:
    """Put the manual tiers where the models read them."""
    connection.execute("delete from meta.tier_overrides")
    for override in overrides:
        connection.execute(
            "insert into meta.tier_overrides values (?, ?, ?, ?, ?, ?, ?)",
            [getattr(override, column) for column in SPEC.columns],
        )
