"""The history of a dataset: its runs, rollback to a run, and backfill of a table from the archive."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from counterfoil.app.app import App
from counterfoil.app.values import Run
from counterfoil.errors import CounterfoilError
from counterfoil.web.pages.dataset import frame
from counterfoil.web.pages.runs import requests_of, seconds_of
from counterfoil.web.rendering import render

PAGE_SIZE = 30
_MOST = 3000


def routes(app: App) -> APIRouter:
    """`/datasets/{dataset}/history`, `/datasets/{dataset}/fill` and `/runs/{run}/revert`."""
    router = APIRouter()

    @router.get("/datasets/{dataset}/history")
    def history(
        request: Request, dataset: str, page: Annotated[int, Query(ge=1, le=10_000)] = 1, status: str = ""
    ) -> HTMLResponse:
        values = frame(app, dataset, "History")
        every = app.runs.list(values["dataset"].id, limit=_MOST)
        found = [run for run in every if status in ("", run.status)]
        page = max(1, min(page, -(-len(found) // PAGE_SIZE)))
        shown = found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
        return render(
            request,
            "history.html",
            **values,
            runs=[app.runs.show(run.id) for run in shown],
            seconds={run.id: seconds_of(run) for run in shown},
            requests={run.id: requests_of(run) for run in shown},
            newest=next((run.id for run in every if run.status == "succeeded"), None),
            found=len(found),
            count=len(every),
            page=page,
            page_size=PAGE_SIZE,
            status=status,
        )

    @router.get("/runs/{run}/revert")
    def ask_revert(request: Request, run: str) -> HTMLResponse:
        return _confirm(app, request, app.runs.get(run), None)

    @router.post("/runs/{run}/revert")
    def revert(request: Request, run: str) -> Response:
        try:
            made = app.runs.revert(run, wait=False)
        except CounterfoilError as error:
            return _confirm(app, request, app.runs.get(run), error)
        return RedirectResponse(f"/runs/{made.id}", status_code=303)

    @router.post("/datasets/{dataset}/fill")
    def fill(dataset: str, to: Annotated[str, Form()]) -> Response:
        return RedirectResponse(f"/runs/{app.runs.fill(dataset, to, wait=False).id}", status_code=303)

    return router


def _confirm(app: App, request: Request, run: Run, problem: CounterfoilError | None) -> HTMLResponse:
    """The confirmation page of a rollback."""
    found = app.runs.show(run.id)
    dataset = app.datasets.get(run.dataset)
    since = [one for one in app.runs.list(run.dataset, "succeeded", limit=_MOST) if one.created_at > run.created_at]
    return render(
        request,
        "revert.html",
        status_code=200 if problem is None else 409,
        detail=found,
        run=run,
        dataset=dataset,
        since=since,
        problem=problem,
        can=run.status == "succeeded",
    )
