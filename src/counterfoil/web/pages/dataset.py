"""The pages of a dataset: overview, schema and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.responses import StreamingResponse

from counterfoil.app.app import App
from counterfoil.app.datasets.columns import dataset_columns
from counterfoil.app.datasets.dictionaries import dataset_dict
from counterfoil.app.datasets.input import labeled_options
from counterfoil.app.datasets.usage_forecast import READS_A_MONTH
from counterfoil.app.values import Dataset, Run, Status
from counterfoil.errors import CounterfoilError
from counterfoil.web import charts, formatting
from counterfoil.web.events import Seen, stream
from counterfoil.web.pages.home import home_rows
from counterfoil.web.pages.runs import Pace, live_of, reads, seconds_of
from counterfoil.web.rendering import fragment, render

#: The number of runs in the charts, and of runs searched for those of the month.
COURSE, _LOOKED_AT = 30, 5000
_ACTIVE: tuple[Status, ...] = ("queued", "running", "waiting")
_METHODS = {
    "replace": "Each run replaces the whole table",
    "append": "Each run adds a full copy",
    "merge": "Incremental updates",
    "partition": "Each run replaces the last periods",
}


def frame(app: App, name_or_id: str, tab: str) -> dict[str, Any]:
    """The values for the head of the pages of a dataset."""
    shown = app.datasets.show(name_or_id)
    dataset = shown.dataset
    now = app.state.now()
    here = f"/datasets/{dataset.id}"
    names = (
        ("Overview", ""),
        ("Data", "/data"),
        ("Schema", "/schema"),
        ("History", "/history"),
        ("Proof", "/proof"),
        ("Settings", "/settings"),
    )
    return {
        "dataset": dataset,
        "shown": shown,
        "row": next(row for row in home_rows(app) if row.id == dataset.id),
        "active": shown.last_run if shown.last_run and shown.last_run.status in _ACTIVE else None,
        "tabs": [{"label": label, "href": here + path} for label, path in names],
        "tab": tab,
        "here": here,
        "now": now,
    }


def routes(app: App) -> APIRouter:
    """`/datasets/{dataset}`, `…/schema` and `…/settings`."""
    router = APIRouter()

    @router.get("/datasets/{dataset}")
    def overview(request: Request, dataset: str) -> HTMLResponse:
        values = frame(app, dataset, "Overview")
        found, now = values["dataset"], values["now"]
        runs = [run for run in app.runs.list(found.id, limit=COURSE * 3) if run.status != "skipped"]
        ended = [run for run in reversed(runs) if run.finished_at is not None][-COURSE:]
        total = _total(app, found) if any(run.status == "succeeded" for run in ended) else None
        return render(
            request,
            "dataset.html",
            **values,
            total=total,
            ended=ended,
            drawn=_charts(ended, total),
            spent=_spent(app, found, now),
            outlook=app.datasets.outlook(found.id),
            success=next((run for run in reversed(ended) if run.status == "succeeded"), None),
            facts=_facts(app, found),
            method=_METHODS[found.method],
            live=values["active"] and live_of(app, values["active"], found.name, Pace()),
        )

    @router.get("/datasets/{dataset}/live")
    def progress(request: Request, dataset: str) -> StreamingResponse:
        found, pace = app.datasets.get(dataset), Pace()

        def look() -> Seen:
            run = next(iter(app.runs.list(found.id, _ACTIVE, limit=1)), None)
            live = run and live_of(app, run, found.name, pace)
            return Seen(fragment("parts/lives_one.html", live=live), last=run is None)

        return stream(request, look)

    @router.get("/datasets/{dataset}/schema")
    def schema(request: Request, dataset: str, search: str = "") -> HTMLResponse:
        values = frame(app, dataset, "Schema")
        found: Dataset = values["dataset"]
        columns = dataset_columns(found)
        wanted = search.casefold().split()
        there, problem = _there(app, found)
        last = next(iter(app.runs.list(found.id, "succeeded", limit=1)), None)
        return render(
            request,
            "schema.html",
            **values,
            search=search,
            columns=[one for one in columns if _has(wanted, one.name, ".".join(one.path), one.description, one.type)],
            count=len(columns),
            types=there,
            older=[name for name in there if name not in {one.name for one in columns}],
            coming=[one.name for one in columns if there and one.name not in there],
            problem=problem,
            last=last,
        )

    @router.get("/datasets/{dataset}/settings")
    def settings(request: Request, dataset: str) -> HTMLResponse:
        values = frame(app, dataset, "Settings")
        found: Dataset = values["dataset"]
        return render(
            request,
            "settings.html",
            **values,
            detail=dataset_dict(found),
            labeled=[(label.capitalize(), value or "none") for label, value in labeled_options(found)],
            facts=_facts(app, found),
            method=_METHODS[found.method],
            outlook=app.datasets.outlook(found.id),
        )

    return router


def _has(wanted: Sequence[str], *texts: str) -> bool:
    text = " ".join(texts).casefold()
    return all(word in text for word in wanted)


def _there(app: App, dataset: Dataset) -> tuple[dict[str, str], CounterfoilError | None]:
    """Names and types of the table's columns, empty with the error if they can't be read."""
    try:
        return {column.name: column.type for column in app.tables.columns(dataset.id)}, None
    except CounterfoilError as error:
        return {}, error


def _total(app: App, dataset: Dataset) -> int | None:
    """The number of rows of the table; None if it can't be read."""
    try:
        return app.tables.count(dataset.id)
    except CounterfoilError:
        return None


def _charts(ended: Sequence[Run], total: int | None) -> Mapping[str, Any]:
    """Charts of the rows, durations and requests of the last runs, oldest first."""
    succeeded = [run for run in ended if run.status == "succeeded"]
    return {
        "rows": charts.line(
            list(zip(_labels(succeeded), _course(succeeded, total), strict=True)),
            title="Rows in the table after each run",
            width=420,
            height=190,
        )
        if len(succeeded) > 1
        else None,
        "durations": charts.bars(
            list(zip(_labels(ended), map(seconds_of, ended), strict=True)),
            title="Duration of each run",
            tell=formatting.duration,
            tones=[_TONES.get(run.status, "") for run in ended],
            width=420,
            height=190,
        ),
        "requests": charts.bars(
            [(label, float(reads(run))) for label, run in zip(_labels(ended), ended, strict=True)],
            title="API requests of each run",
            width=420,
            height=190,
        ),
    }


_TONES = {"failed": "bar-error", "canceled": "bar-mute"}


def _labels(runs: Sequence[Run]) -> list[str]:
    """The day of each run, or its time if all runs are on one day."""
    instants = [run.finished_at or run.created_at for run in runs]
    same = len({at.date() for at in instants}) <= 1
    return [f"{at:%H:%M}" if same else f"{at.day} {at:%b}" for at in instants]


def _course(succeeded: Sequence[Run], total: int | None) -> list[float | None]:
    """Rows in the table after each run, calculated backwards from the current number."""
    if total is None:
        return [float(run.counts.read) for run in succeeded]
    after: list[float | None] = []
    for run in reversed(succeeded):
        after.append(float(total))
        # A merge marks deleted rows; the other methods remove them.
        gone = 0 if run.plan.get("method") == "merge" else run.counts.deleted
        total = max(0, total - run.counts.added + gone)
    return after[::-1]


def _spent(app: App, dataset: Dataset, now: datetime) -> dict[str, Any]:
    """API requests (GET) of this month: of the dataset, and of all datasets of its account."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    same = {shown.dataset.id for shown in app.datasets.list() if shown.dataset.account == dataset.account}
    runs = [run for run in app.runs.list(limit=_LOOKED_AT) if run.created_at >= month and run.dataset in same]
    own = sum(reads(run) for run in runs if run.dataset == dataset.id)
    every = sum(reads(run) for run in runs)
    return {
        "own": own,
        "account": every,
        "share": every / READS_A_MONTH,
        "allotted": READS_A_MONTH,
        "month": f"{month:%B}",
    }


def _facts(app: App, dataset: Dataset) -> dict[str, Any]:
    values = dataset_dict(dataset)
    return {
        "schedule": values["schedule"],
        "zone": values["zone"],
        "targets": values["targets"],
        "places": app.datasets.places(dataset),
        "choice": values["choice"],
    }
