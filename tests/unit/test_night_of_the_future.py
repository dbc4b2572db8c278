"""Which night may run: a day of the future would lock a company, for nights move forward only."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from customer_tiering.company.profile import load_profile
from customer_tiering.errors import OrderError
from customer_tiering.night.sources import prepare_sources
from customer_tiering.night.steps import interval_as_of


def test_a_day_that_is_not_over_is_refused_and_yesterday_runs() -> None:
    profile = load_profile("online_retail")
    today = datetime.now(profile.zone).date()
    with pytest.raises(OrderError, match="is not over yet"):
        prepare_sources(profile, today + timedelta(days=1))
    yesterday = today - timedelta(days=1)
    assert prepare_sources(profile, yesterday) == yesterday


@pytest.mark.parametrize(("end", "night"), [("2026-11-21T02:00:00+08:00", 20), ("2026-11-20T16:00:00+00:00", 20)])
def test_a_scheduled_night_is_the_last_full_day_in_the_business_time_zone(end: str, night: int) -> None:
    """At 02:00 and at midnight in Shanghai the last full day is the 20th."""
    assert interval_as_of(datetime.fromisoformat(end), load_profile("sample")) == date(2026, 11, night)
