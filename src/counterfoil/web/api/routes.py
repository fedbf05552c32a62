"""The routes of `/api/v1`, put together, with the document that describes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.web.api import accounts, alerts, ask, checks, config, datasets, metrics, reports, rows, runs
from counterfoil.web.api.document import document
from counterfoil.web.api.json_response import V1, json_response

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
    """The routes of the resources, and their document. Each takes a token, by the guard."""
    router = APIRouter(prefix=V1)
    for resource in resources:
        # Not by `include_router`, which would make each route anew.
        router.routes.extend(resource(app).routes)
    made: list[Mapping[str, Any]] = []

    @router.get("/openapi.json", tags=["document"], response_model=dict[str, Any])
    def get_document() -> Response:
        """This document."""
        if not made:  # it takes longer than all the rest
            made.append(document(router.routes))
        return json_response(made[0])

    return router
