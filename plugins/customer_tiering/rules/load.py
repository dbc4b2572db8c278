"""Rules of tiering are data: the project's seeds merged with the profile's, and checked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from customer_tiering.company.profile import Profile
from customer_tiering.company.workspace import project_root
from customer_tiering.errors import RulesError
from customer_tiering.rules.checks import contradictions, rate_problems
from customer_tiering.rules.seeds import SEEDS, Row, Rules, override_rows, read_seed, shown_path

_FIRST_DAY = "0001-01-01"


def seed_folders(profile: Profile) -> list[Path]:
    return [project_root() / "dbt_project" / "seeds", profile.folder / "seeds"]


def load_rules(profile: Profile, folders: Iterable[Path] | None = None) -> Rules:
    """Merge and check the seeds. Raises ``RulesError`` listing every problem with file and line."""
    project_folder, *override_folders = folders or seed_folders(profile)
    problems: list[str] = []
    merged = {seed: read_seed(project_folder / f"{seed}.csv", seed, problems) for seed in SEEDS}
    for folder in override_folders:
        for path in sorted(folder.glob("*.csv")):
            if path.stem not in SEEDS:
                problems.append(f"{shown_path(path)}: there is no seed {path.stem!r}; there are {', '.join(SEEDS)}")
                continue
            merged[path.stem] = override_rows(merged[path.stem], read_seed(path, path.stem, problems), path.stem)
    _refuse(profile, problems)
    rules = Rules(merged)
    check_rules(profile, rules)
    # The reporting currency is a currency like the others, so that gate and models ask one table only.
    always_one = Row({"currency": profile.currency, "valid_from": _FIRST_DAY, "rate": "1"}, Path("profile"), 0)
    others = [row for row in merged["exchange_rates"] if row["currency"] != profile.currency]
    return Rules(merged | {"exchange_rates": [*others, always_one]})


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
