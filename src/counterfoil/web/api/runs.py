"""`/runs`: what came of datasets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.app.dictionaries import detail_dict, plain, run_dict
from counterfoil.app.export.files import file_chunks
from counterfoil.web.api import run_answers
from counterfoil.web.api.json_response import FILES, V1, AsIs, Form, RunWord, dataset_of, json_response, run_of
from counterfoil.web.downloads import Download

_MOST = 500


def routes(app: App) -> APIRouter:
    """`/runs`, and what is done with one."""
    router = APIRouter(prefix=V1, tags=["runs"])
    _seen(app, router)
    _doing(app, router)
    return router


def _seen(app: App, router: APIRouter) -> None:
    @router.get("/runs", response_model=run_answers.Runs)
    def list_runs(
        dataset: Annotated[str | None, Query(description="Only those of one dataset, by name or id.")] = None,
        status: Annotated[list[run_answers.Status] | None, Query(description="Only those of these statuses.")] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 50,
        cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    ) -> Response:
        """The newest first."""
        known = None if dataset is None else dataset_of(app, dataset).id
        found = app.runs.list(known, status or None, limit + 1, before=cursor)
        names = app.runs.dataset_names()
        items = [run_dict(run, names.get(run.dataset, run.dataset)) for run in found[:limit]]
        return json_response({"items": items, "next": found[limit - 1].id if len(found) > limit else None})

    @router.get("/runs/{run}", response_model=run_answers.RunDetail)
    def get_run(run: RunWord) -> Response:
        """How it went: times, attempts, rows, requests, warnings, error, checks and tables."""
        return json_response(detail_dict(app.runs.show(run_of(app, run).id)))

    @router.get("/runs/{run}/lines", response_model=run_answers.Lines)
    def list_lines(
        run: RunWord,
        after: Annotated[int, Query(ge=0, lt=2**63, description="`next` of the answer before.")] = 0,
    ) -> Response:
        """What it said. While it goes on, asking again with `after` brings the new lines; at most 10,000 at once."""
        found = app.runs.lines(run_of(app, run).id, after=after)
        return json_response({"items": plain(found), "next": found[-1].number if found else after})

    @router.get("/runs/{run}/rows.{form}", response_class=Response, responses=FILES)
    def export_run(run: RunWord, form: Form, as_is: AsIs = False) -> Response:
        """The rows that it brought, as a file."""
        found = app.runs.show(run_of(app, run).id)
        rows = app.runs.rows(found.run.id)
        return Download(file_chunks(rows, f".{form}", as_is=as_is), f"{found.dataset} {found.run.id}", f".{form}")


def _doing(app: App, router: APIRouter) -> None:
    @router.post("/runs/{run}/cancel", status_code=202, response_model=run_answers.RunDetail)
    def cancel_run(run: RunWord) -> Response:
        """Ends it; one that runs does so within about two seconds, and its tables stay as they were."""
        found = app.runs.cancel(run_of(app, run).id)
        return json_response(detail_dict(app.runs.show(found.id)), 202, location=f"/runs/{found.id}")

    @router.post("/runs/{run}/revert", status_code=202, response_model=run_answers.Run)
    def revert_run(run: RunWord) -> Response:
        """Makes its dataset's tables what they were after it, from what is kept; as a run of its own."""
        made = app.runs.revert(run_of(app, run).id, wait=False)
        return json_response(run_dict(made, app.runs.show(made.id).dataset), 202, location=f"/runs/{made.id}")
