"""A company's schemes in CSV seeds, as the first version had them, carried over into scheme files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from customer_tiering.errors import RulesError
from customer_tiering.rules import scheme_text
from customer_tiering.rules.schemes import SCHEME_SEEDS, read_schemes, scheme_rows
from customer_tiering.rules.seeds import (
    COVERAGE,
    SEEDS,
    ColumnType,
    Row,
    SeedSpec,
    override_rows,
    read_rows,
    read_seed,
)

_NEW_NAMES = {"gates": "tier_caps"}
_OLD_SEEDS = tuple({new: old for old, new in _NEW_NAMES.items()}.get(seed, seed) for seed in SCHEME_SEEDS)
_GATES = SeedSpec(SEEDS["tier_caps"].columns | {"cap_tier": ColumnType("varchar")}, SEEDS["tier_caps"].key, ("scheme",))
_SCHEMES = SeedSpec(
    {name: kind for name, kind in SEEDS["schemes"].columns.items() if name != "least_coverage"},
    ("scheme",),
    ("scheme",),
)


def _read(path: Path, base: dict[str, list[Row]], problems: list[str]) -> list[Row]:
    """The rows of an old seed. Gates named the tier below; now it is the best one whose needs are met.

    They knew nothing of coverage: what the project's scheme of that name asks for stays.
    """
    if path.stem == "schemes":
        least = {row["scheme"]: row["least_coverage"] for row in base["schemes"]}
        return [
            replace(row, values=row.values | {"least_coverage": least.get(row["scheme"], "")})
            for row in read_rows(path, _SCHEMES, problems)
        ]
    if path.stem == "gates":
        rows = read_rows(path, _GATES, problems)
        schemes = {row["scheme"] for row in rows}
        return [row for row in base["tier_caps"] if row["scheme"] in schemes and row["indicator"] == COVERAGE] + [
            replace(row, values={name: row[name] for name in SEEDS["tier_caps"].columns}) for row in rows
        ]
    return read_seed(path, path.stem, problems)


def migrate_seeds(project_schemes: Path, dictionary: Path, folder: Path) -> list[Path]:
    """Write the schemes that the CSV files of ``folder/seeds`` change into ``folder/schemes``, and remove those files.

    A file says only what differs from the project's scheme. ``dictionary`` is indicators.csv: shares are written as
    percentages. Returns the scheme files, none when there is nothing to carry over. Raises ``RulesError`` and leaves
    everything as it is when a seed cannot be read.
    """
    old = [path for seed in _OLD_SEEDS if (path := folder / "seeds" / f"{seed}.csv").exists()]
    problems: list[str] = []
    schemes = {scheme.name: scheme for scheme in read_schemes([project_schemes], problems)}
    base = scheme_rows(list(schemes.values()), problems)
    changed = {seed: _read(path, base, problems) for path in old for seed in [_NEW_NAMES.get(path.stem, path.stem)]}
    if problems:
        listed = "\n  - ".join(problems)
        raise RulesError(
            f"{len(problems)} problem(s):\n  - {listed}", "correct the lines named above; nothing was changed"
        )
    rows = {seed: override_rows(base[seed], changed.get(seed, []), seed) for seed in SCHEME_SEEDS}
    rows["indicators"] = read_seed(dictionary, "indicators", problems)
    names = dict.fromkeys(row["scheme"] for found in changed.values() for row in found)
    texts = {}
    for name in names:
        path = folder / "schemes" / f"{name}.yml"
        if path.exists():
            raise RulesError(f"{path} is already there", "carry its seeds over by hand, or move the file away")
        own = scheme_text.content_of(rows, name)
        if name in schemes:
            there = scheme_text.content_of(base | {"indicators": rows["indicators"]}, name)
            own = scheme_text.difference(there, own)
        if own:
            texts[path] = scheme_text.dumped(own)
    for path, text in texts.items():
        scheme_text.write(path, text)
    for path in old:
        path.unlink()
    return list(texts)
