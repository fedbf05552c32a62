"""All routes of `/api/v1`, and their OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter

from counterfoil.app.app import App
from counterfoil.web.api import accounts, alerts, ask, checks, config, datasets, metrics, reports, rows, runs
from counterfoil.web.api.document import document
from counterfoil.web.api.resource import router_of

RESOURCES: tuple[Callable[[App], APIRouter], ...] = (
    accounts.routes,
    reports.routes,
    datasets.routes,
    rows.routes,
    checks.routes,
    runs.routes,
    ask.routes,
    alerts.routes,
    config.routes,
    metrics.routes,
)


def api(app: App, resources: Sequence[Callable[[App], APIRouter]] = RESOURCES) -> APIRouter:
    """The routes of the resources and their document. The guard requires a token for all of them."""
    router = router_of("document")
    for resource in resources:
        # Not `include_router`, which would create each route a second time.
        router.routes.extend(resource(app).routes)
    made: list[Mapping[str, Any]] = []

    @router.get("/openapi.json")
    def get_document() -> Mapping[str, Any]:
        """Returns this document."""
        if not made:  # cached: generating it is slow
            made.append(document(router.routes))
        return made[0]

    return router
