"""`/reports`: what can be read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.app.connection import describe_reports
from counterfoil.web.api import answers
from counterfoil.web.api.json_response import V1, json_response
from counterfoil.web.api.problems import Refused


def routes(_app: App) -> APIRouter:
    """`/reports`."""
    router = APIRouter(prefix=V1, tags=["reports"])

    @router.get("/reports", response_model=answers.Reports)
    def list_reports() -> Response:
        """All reports in the menu's order, with columns, options and permissions."""
        return json_response({"items": describe_reports()})

    @router.get("/reports/{report}", response_model=answers.Report)
    def get_report(report: Annotated[str, Path(description="The report's key.")]) -> Response:
        """One report."""
        found = next((one for one in describe_reports() if one["key"] == report), None)
        if found is None:
            raise Refused("not_found", f"There is no report {report!r}", "/api/v1/reports lists them.")
        return json_response(found)

    return router
