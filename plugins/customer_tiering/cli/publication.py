"""What commands do after they made another snapshot current."""

from __future__ import annotations

from typing import TYPE_CHECKING

from customer_tiering.cli.common import say, show_error
from customer_tiering.errors import TieringError

if TYPE_CHECKING:
    from customer_tiering.company.profile import Profile


def load_postgres(company: Profile, *, again: bool = False) -> None:
    """Load the published marts into the Postgres of a profile, and say what was done."""
    from customer_tiering.airflow.home import reach_connections
    from customer_tiering.publish.postgres import publish_to_postgres

    reach_connections(company)
    result = publish_to_postgres(company, again=again)
    done = f"{len(result.rows)} marts, {sum(result.rows.values()):,} rows loaded" if result.rows else "already there"
    say(f"Postgres schema {result.schema} shows {result.snapshot}: {done}")
    for warning in result.warnings:
        say(f"Warning: {warning}")


def copy_to_postgres(company: Profile) -> None:
    """The same where the profile names a target."""
    if company.postgres_target:
        load_postgres(company)


def show_publication(company: Profile) -> None:
    """Write report and workbook of the snapshot that is current now, and load it into Postgres."""
    from customer_tiering.report.files import build_reports

    try:
        build_reports(company)
    except TieringError as error:  # what is published stays published
        show_error(error)
    copy_to_postgres(company)
