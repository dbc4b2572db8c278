"""Airflow's door to the tiers page: an app beside Airflow's own, and a place for it in the navigation.

Airflow executes this file at the start of every process, so the page itself is imported with its first request.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/tiering"


async def page(scope: Any, receive: Any, send: Any) -> None:
    """The page as an ASGI app."""
    from customer_tiering.airflow.page.app import app

    await app(scope, receive, send)


class TieringPage(AirflowPlugin):
    """Registers the page; the app checks by itself who may see it."""

    name = "tiering_page"
    fastapi_apps = [  # noqa: RUF012 - as Airflow declares it
        {"app": page, "url_prefix": PREFIX, "name": "Customer tiers"}
    ]
    external_views = [  # noqa: RUF012 - as Airflow declares it
        {
            "name": "Customer tiers 客户分级",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "customer-tiers",
        }
    ]
