"""The routes of `/api/v1`, put together, with the document that describes them."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import Response

from counterfoil.app import App
from counterfoil.web.api import accounts, ask, checks, config, datasets, reports, rows, runs
from counterfoil.web.api.document import document
from counterfoil.web.api.told import V1, told

RESOURCES: tuple[Callable[[App], APIRouter], ...] = (
    accounts.routes,
    reports.routes,
    datasets.routes,
    rows.routes,
    checks.routes,
    runs.routes,
    ask.routes,
    config.routes,
)


def api(app: App) -> APIRouter:
    """All of them. Each takes a token, by the guard."""
    router = APIRouter(prefix=V1)
    for resource in RESOURCES:
        router.include_router(resource(app))
    made = document(router.routes)

    @router.get("/openapi.json", include_in_schema=False)
    def get_document() -> Response:
        return told(made)

    return router
