"""`/datasets`: what is read of an account, where to and when."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.app.datasets.columns import dataset_columns
from counterfoil.app.datasets.dictionaries import dataset_dict, row_dicts, summary_dict
from counterfoil.app.datasets.input import read_changes
from counterfoil.app.run_dict import run_dict
from counterfoil.app.values import PlannedDataset, Preview
from counterfoil.web.api import bodies, dataset_answers, run_answers
from counterfoil.web.api.json_response import V1, DatasetWord, DryRun, Overwrite, dataset_of, json_response

#: Words that name things, and are no choice of how.
_NAMES = ("name", "account", "report", "to", "table", "after")

_TRIED: dict[int | str, dict[str, Any]] = {
    200: {"model": dataset_answers.DatasetPlanned, "description": "What would be."}
}
_FILLING: dict[int | str, dict[str, Any]] = {
    202: {"model": run_answers.Run, "description": "The run that fills the table; ask for it until it is over."}
}


def routes(app: App) -> APIRouter:
    """`/datasets`, `/preview`, and what is done with a dataset."""
    router = APIRouter(prefix=V1, tags=["datasets"])
    _all(app, router)
    _one(app, router)
    _doing(app, router)
    return router


def _all(app: App, router: APIRouter) -> None:
    @router.get("/datasets", response_model=dataset_answers.Datasets)
    def list_datasets() -> Response:
        """All datasets by name, with their newest runs."""
        return json_response({"items": [summary_dict(one) for one in app.datasets.list()]})

    @router.post("/datasets", status_code=201, response_model=dataset_answers.DatasetPlanned, responses=_TRIED)
    def create_dataset(body: bodies.DatasetBody, dry_run: DryRun = False, overwrite: Overwrite = False) -> Response:
        """Saves a dataset. Everything is checked before, the destination too."""
        fields = {name: value for name, value in _changes(body.said()).items() if value is not None}
        planned = app.datasets.create(
            body.name,
            account=body.account,
            report=body.report,
            to=body.to,
            table=body.table,
            overwrite=overwrite,
            dry_run=dry_run,
            **fields,
        )
        place = None if dry_run else f"/datasets/{planned.dataset.id}"
        return json_response(_planned(planned), 200 if dry_run else 201, location=place)

    @router.post("/preview", response_model=dataset_answers.Preview)
    def preview_report(body: bodies.PreviewBody) -> Response:
        """The first rows of a report of an account, as a dataset would have them. Nothing is stored."""
        words = {name: value for name, value in body.said().items() if name in bodies.ChoiceWords.model_fields}
        choice = read_changes(words)["choice"]
        return json_response(
            _preview(app.datasets.preview_report(body.account, body.report, choice=choice, rows=body.rows))
        )


def _one(app: App, router: APIRouter) -> None:
    @router.get("/datasets/{dataset}", response_model=dataset_answers.DatasetDetail)
    def get_dataset(dataset: DatasetWord) -> Response:
        """A dataset, its newest run, its next five times, and the requests a month that they make."""
        found = dataset_of(app, dataset)
        return json_response(
            {**summary_dict(app.datasets.show(found.id)), "outlook": app.datasets.outlook(found.id).as_dict()}
        )

    @router.patch("/datasets/{dataset}", response_model=dataset_answers.DatasetPlanned)
    def change_dataset(
        dataset: DatasetWord, body: bodies.DatasetChanges, dry_run: DryRun = False, overwrite: Overwrite = False
    ) -> Response:
        """Changes what is given, all of it or nothing. With another table, account or method all is read anew."""
        found, said = dataset_of(app, dataset), body.said()
        changes = read_changes({name: value for name, value in said.items() if name not in _NAMES}, found)
        changes |= {name: said[name] for name in _NAMES if said.get(name) is not None}
        if "after" in said:
            changes["after"] = said["after"] or None
        return json_response(_planned(app.datasets.edit(found.id, overwrite=overwrite, dry_run=dry_run, **changes)))

    @router.delete("/datasets/{dataset}", response_model=dataset_answers.Dataset)
    def delete_dataset(
        dataset: DatasetWord, drop_table: Annotated[bool, Query(description="Remove its table as well.")] = False
    ) -> Response:
        """Forgets the dataset, its runs and what is kept of them."""
        return json_response(dataset_dict(app.datasets.remove(dataset_of(app, dataset).id, drop_table=drop_table)))

    @router.get("/datasets/{dataset}/columns", response_model=dataset_answers.DatasetColumns)
    def list_columns(dataset: DatasetWord) -> Response:
        """The columns that its next run fills, in the table's order."""
        found = dataset_columns(dataset_of(app, dataset))
        return json_response({"items": [{**asdict(one), "path": list(one.path)} for one in found]})

    @router.get("/datasets/{dataset}/preview", response_model=dataset_answers.Preview)
    def preview_dataset(dataset: DatasetWord, rows: Annotated[int, Query(ge=1, le=100)] = 20) -> Response:
        """The first rows that Stripe has for it now. Nothing is stored."""
        return json_response(_preview(app.datasets.preview(dataset_of(app, dataset).id, rows=rows)))


def _doing(app: App, router: APIRouter) -> None:
    @router.post("/datasets/{dataset}/pause", response_model=dataset_answers.Dataset)
    def pause_dataset(dataset: DatasetWord, body: bodies.PauseBody | None = None) -> Response:
        """Lets it not run by itself any more; a run that goes on ends."""
        reason = (body or bodies.PauseBody()).reason
        return json_response(dataset_dict(app.datasets.pause(dataset_of(app, dataset).id, reason)))

    @router.post("/datasets/{dataset}/resume", response_model=dataset_answers.Dataset)
    def resume_dataset(dataset: DatasetWord) -> Response:
        """Lets it run by itself again, from its next time on."""
        return json_response(dataset_dict(app.datasets.resume(dataset_of(app, dataset).id)))

    @router.post("/datasets/{dataset}/reload", response_model=dataset_answers.Dataset, responses=_FILLING)
    def reload_dataset(dataset: DatasetWord, body: bodies.ReloadBody | None = None) -> Response:
        """Lets its next run read everything; or makes one of its tables anew from what is kept, without Stripe."""
        found = dataset_of(app, dataset)
        if body is not None and body.to is not None:
            run = app.fill(found.id, body.to, wait=False)
            return json_response(run_dict(run, found.name), 202, location=f"/runs/{run.id}")
        return json_response(dataset_dict(app.datasets.reload(found.id)))

    @router.post("/datasets/{dataset}/runs", status_code=202, response_model=run_answers.Run)
    def start_run(dataset: DatasetWord, body: bodies.RunBody | None = None) -> Response:
        """Runs it now. The answer comes at once; ask for the run at its Location until it is over."""
        found = dataset_of(app, dataset)
        run = app.runs.start(found.id, wait=False, allow_shrink=(body or bodies.RunBody()).allow_shrink)
        return json_response(run_dict(run, found.name), 202, location=f"/runs/{run.id}")


def _changes(said: dict[str, Any]) -> dict[str, Any]:
    made = read_changes({name: value for name, value in said.items() if name not in _NAMES})
    return made if said.get("after") is None else {**made, "after": said["after"]}


def _planned(planned: PlannedDataset) -> dict[str, Any]:
    more = {"outlook": planned.outlook.as_dict(), "warnings": list(planned.warnings), "dry_run": planned.dry_run}
    return {**dataset_dict(planned.dataset), **more}


def _preview(found: Preview) -> dict[str, Any]:
    return {
        "report": found.report,
        "columns": [{"name": name, "type": kind} for name, kind in found.columns],
        "rows": list(row_dicts(found)),
        "requests": found.requests,
        "warnings": list(found.warnings),
    }
