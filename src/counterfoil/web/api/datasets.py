"""`/datasets` and `/preview`: create, list, change, preview, pause, resume, reload, run and remove datasets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.app.datasets.columns import dataset_columns
from counterfoil.app.datasets.dictionaries import dataset_dict, planned_dict, summary_dict
from counterfoil.app.datasets.input import read_changes
from counterfoil.app.dictionaries import plain, run_dict
from counterfoil.app.export.files import json_row
from counterfoil.app.values import Dataset, Preview
from counterfoil.web.api import bodies
from counterfoil.web.api import dataset_answers as answers
from counterfoil.web.api.answers import RedactedJson
from counterfoil.web.api.resource import DatasetWord, DryRun, Overwrite, address_of, dataset_of, router_of
from counterfoil.web.api.run_answers import Run

_TRIED: dict[int | str, dict[str, Any]] = {200: {"model": answers.DatasetPlanned, "description": "The dry-run result."}}
_FILLING: dict[int | str, dict[str, Any]] = {
    202: {"model": Run, "description": "The run that rebuilds the table. Poll it until it has finished."}
}


def routes(app: App) -> APIRouter:
    """`/datasets` and `/preview`."""
    router = router_of("datasets")
    _all(app, router)
    _one(app, router)
    _doing(app, router)
    return router


def _all(app: App, router: APIRouter) -> None:
    @router.get("/datasets")
    def list_datasets() -> answers.Datasets:
        """Lists all datasets by name, with their newest runs."""
        return answers.Datasets.model_validate({"items": [summary_dict(one) for one in app.datasets.list()]})

    @router.post("/datasets", status_code=201, responses=_TRIED)
    def create_dataset(
        response: Response, body: bodies.DatasetBody, dry_run: DryRun = False, overwrite: Overwrite = False
    ) -> answers.DatasetPlanned:
        """Creates a dataset after checking all fields and the destination."""
        planned = app.datasets.create(
            body.name,
            account=body.account,
            report=body.report,
            overwrite=overwrite,
            dry_run=dry_run,
            **read_changes(body.said()),
        )
        if dry_run:
            response.status_code = 200
        else:
            response.headers["Location"] = address_of(f"/datasets/{planned.dataset.id}")
        return answers.DatasetPlanned.model_validate(planned_dict(planned))

    @router.post("/preview")
    def preview_report(body: bodies.PreviewBody) -> answers.Preview:
        """Returns the first rows of a report as a dataset with these options would load them. Nothing is stored."""
        choice = read_changes(body.said())["choice"]
        return _preview(app.datasets.preview_report(body.account, body.report, choice=choice, rows=body.rows))


def _one(app: App, router: APIRouter) -> None:
    @router.get("/datasets/{dataset}")
    def get_dataset(dataset: DatasetWord) -> answers.DatasetDetail:
        """Returns a dataset with its newest run, its next five runs, and its forecast of API requests per month."""
        found = dataset_of(app, dataset)
        outlook = app.datasets.outlook(found.id).as_dict()
        return answers.DatasetDetail.model_validate({**summary_dict(app.datasets.show(found.id)), "outlook": outlook})

    @router.patch("/datasets/{dataset}")
    def change_dataset(
        dataset: DatasetWord, body: bodies.DatasetChanges, dry_run: DryRun = False, overwrite: Overwrite = False
    ) -> answers.DatasetPlanned:
        """Changes the given fields, all or none. A new table, account or method makes the next run a full refresh."""
        found, fields = dataset_of(app, dataset), body.said()
        changes = read_changes(fields, found)
        changes |= {name: fields[name] for name in ("name", "account") if fields.get(name) is not None}
        planned = app.datasets.edit(found.id, overwrite=overwrite, dry_run=dry_run, **changes)
        return answers.DatasetPlanned.model_validate(planned_dict(planned))

    @router.delete("/datasets/{dataset}")
    def delete_dataset(
        dataset: DatasetWord, drop_table: Annotated[bool, Query(description="Drop its table too.")] = False
    ) -> answers.Dataset:
        """Removes a dataset with its runs and their archives."""
        return _dataset(app.datasets.remove(dataset_of(app, dataset).id, drop_table=drop_table))

    @router.get("/datasets/{dataset}/columns")
    def list_columns(dataset: DatasetWord) -> answers.DatasetColumns:
        """Lists the columns that the next run fills, in the order of the table."""
        return answers.DatasetColumns.model_validate({"items": plain(dataset_columns(dataset_of(app, dataset)))})

    @router.get("/datasets/{dataset}/preview")
    def preview_dataset(dataset: DatasetWord, rows: Annotated[int, Query(ge=1, le=100)] = 20) -> answers.Preview:
        """Returns the first rows at Stripe for a dataset. Nothing is stored."""
        return _preview(app.datasets.preview(dataset_of(app, dataset).id, rows=rows))


def _doing(app: App, router: APIRouter) -> None:
    @router.post("/datasets/{dataset}/pause")
    def pause_dataset(dataset: DatasetWord, body: bodies.PauseBody | None = None) -> answers.Dataset:
        """Pauses scheduled runs. A run in progress continues."""
        reason = (body or bodies.PauseBody()).reason
        return _dataset(app.datasets.pause(dataset_of(app, dataset).id, reason))

    @router.post("/datasets/{dataset}/resume")
    def resume_dataset(dataset: DatasetWord) -> answers.Dataset:
        """Resumes scheduled runs."""
        return _dataset(app.datasets.resume(dataset_of(app, dataset).id))

    @router.post("/datasets/{dataset}/reload", response_model=answers.Dataset, responses=_FILLING)
    def reload_dataset(dataset: DatasetWord, body: bodies.ReloadBody | None = None) -> answers.Dataset | Response:
        """Makes the next run a full refresh; with `to`, rebuilds one table from the archive without API requests."""
        found = dataset_of(app, dataset)
        if body is not None and body.to is not None:
            run = app.fill(found.id, body.to, wait=False)
            filling = Run.model_validate(run_dict(run, found.name))
            return RedactedJson(filling.model_dump(), 202, {"Location": address_of(f"/runs/{run.id}")})
        return _dataset(app.datasets.reload(found.id))

    @router.post("/datasets/{dataset}/runs", status_code=202)
    def start_run(response: Response, dataset: DatasetWord, body: bodies.RunBody | None = None) -> Run:
        """Starts a run and responds at once. Poll the URL in `Location` until the run has finished."""
        found = dataset_of(app, dataset)
        run = app.runs.start(found.id, wait=False, allow_shrink=(body or bodies.RunBody()).allow_shrink)
        response.headers["Location"] = address_of(f"/runs/{run.id}")
        return Run.model_validate(run_dict(run, found.name))


def _dataset(dataset: Dataset) -> answers.Dataset:
    return answers.Dataset.model_validate(dataset_dict(dataset))


def _preview(found: Preview) -> answers.Preview:
    return answers.Preview(
        report=found.report,
        columns=[answers.NamedColumn(name=name, type=kind) for name, kind in found.columns],
        rows=[json_row(row) for row in found.rows],
        requests=found.requests,
        warnings=list(found.warnings),
    )
