"""Rules of tiering are data: the project's schemes and seeds merged with the company's, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import project_root
from customer_tiering.errors import RulesError
from customer_tiering.rules.checks import contradictions, rate_problems
from customer_tiering.rules.schemes import SCHEME_SEEDS, Scheme, read_schemes, scheme_rows
from customer_tiering.rules.seeds import (
    SEEDS,
    Row,
    Rules,
    check_rows,
    override_rows,
    read_seed,
    shown_path,
)

_FIRST_DAY = "0001-01-01"
_CSV_SEEDS = tuple(seed for seed in SEEDS if seed not in SCHEME_SEEDS)


@dataclass(frozen=True)
class RuleFolders:
    """Where rules lie: scheme files, and CSV files for all else."""

    schemes: Path
    seeds: Path


def project_rules() -> RuleFolders:
    return RuleFolders(project_root() / "schemes", project_root() / "dbt_project" / "seeds")


def rules_in(folder: Path) -> RuleFolders:
    """A folder laid out like a company's: ``schemes/`` and ``seeds/``."""
    return RuleFolders(folder / "schemes", folder / "seeds")


def rule_folders(profile: Profile) -> list[RuleFolders]:
    return [project_rules(), rules_in(profile.folder)]


def load_schemes(folders: Sequence[RuleFolders], problems: list[str]) -> list[Scheme]:
    return read_schemes([folder.schemes for folder in folders], problems)


def load_rules(profile: Profile, folders: Sequence[RuleFolders] | None = None, instead: Scheme | None = None) -> Rules:
    """Merge and check the rules. Raises ``RulesError`` listing every problem with file and line.

    ``instead`` is a scheme that counts in place of the one of its name.
    """
    folders = folders or rule_folders(profile)
    problems: list[str] = []
    schemes = load_schemes(folders, problems)
    if instead:
        schemes = [scheme for scheme in schemes if scheme.name != instead.name] + [instead]
    rows = scheme_rows(schemes, problems) | _read_seeds(profile, folders, problems)
    for seed in SCHEME_SEEDS:
        problems += check_rows(rows[seed], SEEDS[seed])
    _refuse(profile, problems)
    rules = Rules({seed: rows[seed] for seed in SEEDS})
    check_rules(profile, rules)
    # The reporting currency is a currency like the others, so that gate and models ask one table only.
    always_one = Row({"currency": profile.currency, "valid_from": _FIRST_DAY, "rate": "1"}, Path("profile"), 0)
    others = [row for row in rows["exchange_rates"] if row["currency"] != profile.currency]
    return Rules(rules.rows | {"exchange_rates": [*others, always_one]})


def _read_seeds(profile: Profile, folders: Sequence[RuleFolders], problems: list[str]) -> dict[str, list[Row]]:
    base, *overrides = folders
    merged = {seed: read_seed(base.seeds / f"{seed}.csv", seed, problems) for seed in _CSV_SEEDS}
    for folder in overrides:
        for path in sorted(folder.seeds.glob("*.csv")):
            seed = path.stem
            if seed in SCHEME_SEEDS:
                problems.append(
                    f"{shown_path(path)}: schemes are YAML files now; carry this file over with "
                    f"tiering scheme migrate --profile {profile.name}"
                )
            elif seed not in _CSV_SEEDS:
                problems.append(f"{shown_path(path)}: there is no seed {seed!r}; there are {', '.join(_CSV_SEEDS)}")
            else:
                merged[seed] = override_rows(merged[seed], read_seed(path, seed, problems), seed)
    return merged


def check_rules(profile: Profile, rules: Rules) -> None:
    """Raise ``RulesError`` listing every contradiction in rules whose lines could be read."""
    problems = contradictions(rules.rows, profile.headline_scheme)
    _refuse(profile, problems + rate_problems(rules.rows["exchange_rates"], profile.currency))


def _refuse(profile: Profile, problems: list[str]) -> None:
    if problems:
        listed = "\n  - ".join(problems)
        raise RulesError(
            f"profile {profile.name}: the tiering rules have {len(problems)} problem(s):\n  - {listed}",
            "fix the lines named above; nothing was run",
        )
