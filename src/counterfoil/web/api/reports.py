"""`/reports`: the reports that datasets can load."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from counterfoil.app.app import App
from counterfoil.app.connection import describe_reports
from counterfoil.web.api import answers
from counterfoil.web.api.problems import Refused
from counterfoil.web.api.resource import router_of


def routes(_app: App) -> APIRouter:
    """`/reports`."""
    router = router_of("reports")

    @router.get("/reports")
    def list_reports() -> answers.Reports:
        """Lists all reports with columns, options and permissions, in the same order as the UI."""
        return answers.Reports.model_validate({"items": describe_reports()})

    @router.get("/reports/{report}")
    def get_report(report: Annotated[str, Path(description="The report's key.")]) -> answers.Report:
        """Returns a report."""
        found = next((one for one in describe_reports() if one["key"] == report), None)
        if found is None:
            raise Refused("not_found", f"report {report!r} not found", "List them with GET /api/v1/reports.")
        return answers.Report.model_validate(found)

    return router
