"""``tiering release``, ``identity``, ``alerts``: what people decide, and what they are told."""

from __future__ import annotations

import typer

from customer_tiering.cli import alerts, identity, release

app = typer.Typer()
app.add_typer(release.app, name="release")
app.add_typer(identity.app, name="identity")
app.add_typer(alerts.app, name="alerts")
