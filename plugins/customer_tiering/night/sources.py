"""What a night needs of its sources before it starts: the day to run, and a sample company that lives that long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from customer_tiering.company.profile import Profile
from customer_tiering.company.sample import sample_module
from customer_tiering.errors import OrderError, TieringError


def prepare_sources(profile: Profile, as_of: date | None, say: Callable[[str], None] = lambda _text: None) -> date:
    """The night to run: ``as_of``, or the last full day that the sources know.

    A profile that asks for the sample company gets it made on the first call, and living on to a later night.
    """
    if profile.sample_company is None:
        return _no_later_than_yesterday(profile, as_of or _last_day(profile))
    sample = sample_module()
    root = profile.workspace.root / "source"
    state = sample.company_state(root)
    wish = profile.sample_company
    if as_of is not None and state is not None and as_of <= state.until:
        return as_of
    if as_of is None and state is not None:
        return state.until
    say("making the sample company …" if state is None else f"the sample company lives on to {as_of} …")
    options: dict[str, Any] = {}
    if state is None:
        options = {"customers": wish.customers, "years": wish.years, "dirt": wish.dirt}
        if wish.seed is not None:
            options["seed"] = wish.seed
    if until := as_of or wish.until:
        options["until"] = until
    sample.generate_company(root, **options)
    made = sample.company_state(root)
    if made is None:
        raise TieringError("the sample company was not generated", f"remove {root} and run again")
    return as_of or made.until


def _no_later_than_yesterday(profile: Profile, as_of: date) -> date:
    """A night of the future would lock the company: nights move forward only."""
    yesterday = datetime.now(profile.zone).date() - timedelta(days=1)
    if as_of > yesterday:
        raise OrderError(
            f"the night {as_of} is not over yet: the last full day in {profile.timezone} is {yesterday}",
            f"run {yesterday} or an earlier night",
        )
    return as_of


def _last_day(profile: Profile) -> date:
    """The last day that the file sources know; for databases the day before today in the business time zone."""
    from customer_tiering.extract.files import entity_files, file_day
    from customer_tiering.extract.pipeline import is_database

    days = []
    for name in profile.sources:
        location = profile.resolve_location(name)
        if is_database(location):
            continue
        for entity in profile.source(name).entities:
            if entity.files is not None:
                days += [file_day(path) for path in entity_files(profile.source(name), entity, Path(location))]
    known = [day for day in days if day is not None]
    return max(known) if known else datetime.now(profile.zone).date() - timedelta(days=1)
