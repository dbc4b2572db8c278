"""A manual tier from the command line: in force from the next night on, over the score, until it is ended."""

from __future__ import annotations

from datetime import timedelta

import pytest
from typer.testing import CliRunner

from customer_tiering.cli.main import app
from customer_tiering.company.profile import Profile
from customer_tiering.publish.snapshot import published_folder, read_manifest
from nights import mart_rows, run_night
from sample_company import generate_company

pytestmark = pytest.mark.slow
WHO = ("--owner", "Sales", "--reason", "flagship customer")


def invoke(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result.output


def test_a_manual_tier_counts_from_the_next_night_until_it_is_ended(sample: Profile) -> None:
    night = read_manifest(published_folder(sample.workspace)).night
    (row, *_) = mart_rows(
        sample.workspace,
        "select customer_id, source_customer_id from fct_customer_tiers join bridge_customer_ids using (customer_id) "
        "where scheme = 'account_360' and effective_tier = 'standard' and source = 'erp' order by 1",
    )
    customer, own_id = row["customer_id"], row["source_customer_id"]
    until = str(night + timedelta(days=30))

    assert "unknown tier 'gold'" in invoke("override", "set", own_id, "gold", "--until", until, *WHO, code=1)
    assert "no customer 'nobody'" in invoke("override", "set", "nobody", "key", "--until", until, *WHO, code=1)
    assert "no manual tiers" in invoke("override", "list")
    said = invoke("override", "set", own_id, "strategic", "--until", until, *WHO)
    assert (
        f"O-0001: {customer} has the tier strategic of account_360 from {night + timedelta(days=1)} to {until}" in said
    )
    assert "said before" in invoke("override", "set", own_id, "strategic", "--until", until, *WHO)

    generate_company(sample.workspace.root / "source", until=night + timedelta(days=1))
    run_night("sample", night + timedelta(days=1), "manual")
    (after,) = mart_rows(
        sample.workspace,
        "select t.effective_tier, t.computed_tier, o.status, o.owner from fct_customer_tiers t "
        "join fct_tier_overrides o using (customer_id, scheme) where customer_id = ? and scheme = 'account_360'",
        [customer],
    )
    assert after == {
        "effective_tier": "strategic", "computed_tier": "standard", "status": "in_force", "owner": "Sales",
    }  # fmt: skip

    ended = invoke("override", "end", "O-0001", "--owner", "Li", "--reason", "contract lost")
    assert f"holds up to and including {night + timedelta(days=1)}" in ended
    assert str(night + timedelta(days=1)) in invoke("override", "list")
