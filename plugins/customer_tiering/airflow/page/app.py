"""The tiers page: latest report, customer search, explanations, past nights.

Read-only, and on the published snapshot only. Every address asks Airflow who is there: whoever may read the DAG of
the nightly run may read its results, nobody else.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import jinja2
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.base import RequestResponseEndpoint

from customer_tiering.airflow.page.snapshot import find_customers, past_nights, schemes_of, tier_labels, tier_summary
from customer_tiering.company.profile import Profile, load_profile
from customer_tiering.errors import TieringError
from customer_tiering.explain.explanation import explain
from customer_tiering.publish.snapshot import published_folder, read_manifest
from customer_tiering.report.assessment import measured, number
from customer_tiering.report.files import REPORT, WORKBOOK, latest_folder
from customer_tiering.report.page import TEMPLATES, environment
from customer_tiering.report.words import CAUSES, LIMITS, REASONS, Words, status_of, words_of

DAG_ID = "nightly_tiering"
HITS = 50
_NO_SCRIPTS = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)

app = FastAPI(
    title="Customer tiers",
    dependencies=[Depends(requires_access_dag("GET", param_dag_id=DAG_ID))],
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
)


@app.middleware("http")
async def guard_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Nothing is cached, framed by others, or guessed; pages of ours run no script (the report brings its policy)."""
    response = await call_next(request)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Content-Security-Policy", _NO_SCRIPTS)
    return response


@app.exception_handler(StarletteHTTPException)
async def refuse(request: Request, error: StarletteHTTPException) -> Response:
    """A person who is not logged in goes to Airflow's login and comes back; a program gets the status code."""
    if error.status_code == 401 and "text/html" in request.headers.get("accept", ""):
        here = urlsplit(str(request.url))
        target = f"{here.path}?{here.query}" if here.query else here.path
        return RedirectResponse(get_auth_manager().get_url_login(next_url=target), status_code=303)
    return _page("message.html.j2", request, error.status_code, problem=str(error.detail), next_step="")


@app.exception_handler(TieringError)
async def explain_error(request: Request, error: TieringError) -> Response:
    """What the package refuses, in its own words."""
    return _page("message.html.j2", request, 404, problem=error.problem, next_step=error.next_step)


@app.get("/", response_class=HTMLResponse)
def home(request: Request) -> Response:
    """The tiers of the published night and where report and workbook are."""
    profile, snapshot = _company()
    manifest = read_manifest(snapshot)
    reports = latest_folder(profile.workspace)
    return _page(
        "home.html.j2",
        request,
        profile=profile,
        manifest=manifest,
        summary=tier_summary(snapshot, manifest.headline_scheme),
        tiers=tier_labels(snapshot, manifest.headline_scheme),
        report_run=reports.name if reports else None,
    )


@app.get("/report")
def report() -> FileResponse:
    """The latest report, with the policy it carries instead of the page's."""
    policy = {"Content-Security-Policy": "frame-ancestors 'self'"}
    return FileResponse(_latest(REPORT), media_type="text/html", headers=policy)


@app.get("/workbook")
def workbook() -> FileResponse:
    """The latest workbook as a download."""
    path = _latest(WORKBOOK)
    return FileResponse(path, filename=f"{path.parent.name}.xlsx")


@app.get("/customers", response_class=HTMLResponse)
def customers(request: Request, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Customers whose number, name or account manager contains the text."""
    profile, snapshot = _company()
    scheme = read_manifest(snapshot).headline_scheme
    found = find_customers(snapshot, scheme, q, HITS + 1)
    return _page(
        "customers.html.j2",
        request,
        profile=profile,
        q=q,
        customers=found[:HITS],
        more=len(found) > HITS,
        hits=HITS,
        tiers=tier_labels(snapshot, scheme),
    )


@app.get("/customer", response_class=HTMLResponse)
def customer(
    request: Request,
    id: Annotated[str, Query(min_length=1, max_length=200)],
    scheme: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Why a customer has its tier: the same as ``tiering explain``."""
    profile, snapshot = _company()
    explained = explain(snapshot, id, scheme or None)
    named = [*explained.caps, *explained.scores]
    return _page(
        "customer.html.j2",
        request,
        profile=profile,
        one=explained,
        schemes=schemes_of(snapshot, explained.customer["customer_id"]),
        tiers=tier_labels(snapshot, explained.scheme["scheme"]),
        indicators={row["indicator"]: Words(row["label_zh"], row["label_en"]) for row in named},
        units={row["indicator"]: row["unit"] for row in named},
    )


@app.get("/nights", response_class=HTMLResponse)
def nights(request: Request) -> Response:
    """The published nights with their moves."""
    profile, snapshot = _company()
    return _page("nights.html.j2", request, profile=profile, nights=past_nights(profile.workspace, snapshot))


def _company() -> tuple[Profile, Path]:
    """The profile that this Airflow serves and its published snapshot, looked up again with every request."""
    profile = load_profile(os.environ.get("TIERING_PROFILE", "sample"))
    return profile, published_folder(profile.workspace)


def _latest(name: str) -> Path:
    profile, _ = _company()
    folder = latest_folder(profile.workspace)
    if folder is None or not (folder / name).is_file():
        raise HTTPException(404, f"{name}: not written yet; tiering report --profile {profile.name} writes it")
    return folder / name


def _page(template: str, request: Request, status: int = 200, **values: Any) -> HTMLResponse:
    text = _TEMPLATES.get_template(template).render(root=request.scope.get("root_path", ""), **values)
    return HTMLResponse(text, status_code=status)


def _templates() -> jinja2.Environment:
    made = environment()
    made.loader = jinja2.FileSystemLoader([Path(__file__).with_name("templates"), TEMPLATES])
    made.filters |= {"number": number, "measured": measured, "address": lambda text: quote(str(text), safe="")}
    made.globals |= {
        "style": (TEMPLATES / "style.css").read_text(encoding="utf-8"),
        "of": words_of,
        "REASONS": REASONS,
        "CAUSES": CAUSES,
        "status_of": status_of,
        "LIMITS": LIMITS,
    }
    return made


_TEMPLATES = _templates()
