"""`/runs`: list, inspect, cancel and roll back to runs, and export their rows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.app.dictionaries import detail_dict, plain, run_dict
from counterfoil.app.export.amounts import currencies_of
from counterfoil.app.export.files import file_chunks
from counterfoil.web.api import run_answers
from counterfoil.web.api.resource import FILES, AsIs, Form, RunWord, address_of, dataset_of, router_of, run_of
from counterfoil.web.downloads import Download

_MOST = 500


def routes(app: App) -> APIRouter:
    """`/runs` and the routes below it."""
    router = router_of("runs")
    _seen(app, router)
    _doing(app, router)
    return router


def _seen(app: App, router: APIRouter) -> None:
    @router.get("/runs")
    def list_runs(
        dataset: Annotated[str | None, Query(description="Return only runs of this dataset, by name or id.")] = None,
        status: Annotated[list[run_answers.Status] | None, Query(description="Return only these statuses.")] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 50,
        cursor: Annotated[str | None, Query(description="`next` of the previous page.")] = None,
    ) -> run_answers.Runs:
        """Lists runs, newest first."""
        known = None if dataset is None else dataset_of(app, dataset).id
        found = app.runs.list(known, status or None, limit + 1, before=cursor)
        names = app.runs.dataset_names()
        items = [run_dict(run, names.get(run.dataset, run.dataset)) for run in found[:limit]]
        more = found[limit - 1].id if len(found) > limit else None
        return run_answers.Runs.model_validate({"items": items, "next": more})

    @router.get("/runs/{run}")
    def get_run(run: RunWord) -> run_answers.RunDetail:
        """Returns a run with its attempts, rows, API requests, warnings, error, checks and loads."""
        return run_answers.RunDetail.model_validate(detail_dict(app.runs.show(run_of(app, run).id)))

    @router.get("/runs/{run}/lines")
    def list_lines(
        run: RunWord, after: Annotated[int, Query(ge=0, lt=2**63, description="`next` of the previous response.")] = 0
    ) -> run_answers.Lines:
        """Lists log lines of a run, at most 10,000 per request. Pass `after` to get new lines of an active run."""
        found = app.runs.lines(run_of(app, run).id, after=after)
        last = found[-1].number if found else after
        return run_answers.Lines.model_validate({"items": plain(found), "next": last})

    @router.get("/runs/{run}/rows.{form}", response_class=Response, responses=FILES)
    def export_run(run: RunWord, form: Form, as_is: AsIs = False) -> Response:
        """Exports the rows that the run read as a file."""
        found = app.runs.show(run_of(app, run).id)
        rows = app.runs.rows(found.run.id)
        chunks = file_chunks(rows, f".{form}", currencies=currencies_of(found.run.plan["report"]), as_is=as_is)
        return Download(chunks, f"{found.dataset} {found.run.id}", f".{form}")


def _doing(app: App, router: APIRouter) -> None:
    @router.post("/runs/{run}/cancel", status_code=202)
    def cancel_run(response: Response, run: RunWord) -> run_answers.RunDetail:
        """Cancels a run. An active run ends within about two seconds; its tables stay unchanged."""
        found = app.runs.cancel(run_of(app, run).id)
        response.headers["Location"] = address_of(f"/runs/{found.id}")
        return run_answers.RunDetail.model_validate(detail_dict(app.runs.show(found.id)))

    @router.post("/runs/{run}/revert", status_code=202)
    def revert_run(response: Response, run: RunWord) -> run_answers.Run:
        """Starts a run that rolls back the dataset's tables to this run, from the archive."""
        made = app.runs.revert(run_of(app, run).id, wait=False)
        response.headers["Location"] = address_of(f"/runs/{made.id}")
        return run_answers.Run.model_validate(run_dict(made, app.runs.show(made.id).dataset))
