"""`/reports`: what can be read."""

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
        """All reports in the menu's order, with columns, options and permissions."""
        return answers.Reports.model_validate({"items": describe_reports()})

    @router.get("/reports/{report}")
    def get_report(report: Annotated[str, Path(description="The report's key.")]) -> answers.Report:
        """One report."""
        found = next((one for one in describe_reports() if one["key"] == report), None)
        if found is None:
            raise Refused("not_found", f"There is no report {report!r}", "/api/v1/reports lists them.")
        return answers.Report.model_validate(found)

    return router
