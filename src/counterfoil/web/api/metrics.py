"""`/metrics`: metrics of datasets, runs and the service for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.web.api.resource import router_of


def routes(app: App) -> APIRouter:
    """`/metrics`."""
    router = router_of("metrics")

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def get_metrics(request: Request) -> Response:
        """Returns metrics of datasets, runs and the service in the Prometheus text format."""
        from counterfoil.app.metrics import MEDIA_TYPE

        return Response(app.metrics.text(request.app.state.health()), media_type=MEDIA_TYPE)

    return router
