"""The pages of runs: active and finished runs, and the details of a run with live progress."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.responses import StreamingResponse

from counterfoil.app.app import App
from counterfoil.app.datasets.columns import dataset_columns
from counterfoil.app.dictionaries import run_dict
from counterfoil.app.export.amounts import currencies_of
from counterfoil.app.export.files import file_chunks, first
from counterfoil.app.values import Line, Run, Status
from counterfoil.errors import CounterfoilError
from counterfoil.state.run import LOAD_STEP
from counterfoil.web.cells import cells_of, is_number, money_of
from counterfoil.web.downloads import Download
from counterfoil.web.events import Seen, stream
from counterfoil.web.rendering import address, fragment, render

PAGE_SIZE = 50
#: The maximum numbers of rows and log lines shown of a run.
SHOWN_ROWS, SHOWN_LINES = 50, 500
ACTIVE: tuple[Status, ...] = ("running", "queued", "waiting")
_ENDED: dict[Status, str] = {"failed": "Failed", "succeeded": "Succeeded", "canceled": "Canceled", "skipped": "Skipped"}
#: The time over which the speed is averaged, and the polling interval of the list of active runs.
_PACE_SECONDS, _LOOK_SECONDS = 15, 1.0
_MOST_ENDED = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """An active run with its progress."""

    run: Run
    dataset: str
    #: The current activity.
    doing: str
    #: Rows of the last full refresh, if this run is a full refresh too.
    about: int | None
    rows_a_second: float | None
    requests_a_second: float | None
    requests: int
    elapsed: timedelta | None
    next_attempt_at: datetime | None


class Pace:
    """The speed of runs, averaged over the last seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int, int]]] = {}

    def of(self, run: Run) -> tuple[float, float] | None:
        """Rows and requests per second; None at first, before there are two measurements."""
        now, seen = self._clock(), self._seen.setdefault(run.id, deque())
        newest = (run.counts.read, requests_of(run))
        if not seen or seen[-1][1:] != newest:
            seen.append((now, *newest))
        while len(seen) > 2 and seen[0][0] < now - _PACE_SECONDS:
            seen.popleft()
        (_, rows, requests), seconds = seen[0], now - seen[0][0]
        if len(seen) < 2 or seconds <= 0:
            return None
        return (newest[0] - rows) / seconds, (newest[1] - requests) / seconds


def routes(app: App) -> APIRouter:
    """`/runs` and the routes below it."""
    router = APIRouter()

    @router.get("/runs")
    def runs(request: Request, status: str = "", page: Annotated[int, Query(ge=1, le=10_000)] = 1) -> HTMLResponse:
        pace = Pace()
        names = app.runs.dataset_names()
        ended = app.runs.list(status=tuple(_ENDED), limit=_MOST_ENDED)
        found = [run for run in ended if status in ("", run.status)]
        page = max(1, min(page, -(-len(found) // PAGE_SIZE)))
        return render(
            request,
            "runs.html",
            now=app.state.now(),
            lives=lives(app, pace),
            runs=found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE],
            names=names,
            found=len(found),
            page=page,
            page_size=PAGE_SIZE,
            status=status,
            served=app.runs.served(),
            has_datasets=bool(names),
            chips=_chips(request, ended, status),
        )

    _live(app, router)
    _one(app, router)
    return router


def _live(app: App, router: APIRouter) -> None:
    """Live progress. Registered before `/runs/{run}`, which would match `/runs/live`."""

    @router.get("/runs/live")
    def live(request: Request) -> StreamingResponse:
        pace = Pace()

        def look() -> Seen:
            found = lives(app, pace)
            return Seen(fragment("parts/lives.html", lives=found), last=not found)

        return stream(request, look, every_seconds=_LOOK_SECONDS)

    @router.get("/runs/{run}/live")
    def progress(request: Request, run: str) -> StreamingResponse:
        name, pace = app.runs.show(run).dataset, Pace()
        lines: list[Line] = []

        def look() -> Seen:
            found = app.runs.get(run)
            lines.extend(app.runs.lines(run, after=lines[-1].number if lines else 0))
            del lines[:-SHOWN_LINES]
            html = fragment("parts/run_live.html", live=live_of(app, found, name, pace, lines), lines=lines)
            return Seen(html, last=found.status not in ACTIVE)

        return stream(request, look)


def _one(app: App, router: APIRouter) -> None:
    """A run, its rows, and its cancellation."""

    @router.get("/runs/{run}")
    def one(request: Request, run: str) -> HTMLResponse:
        found = app.runs.show(run)
        lines = app.runs.lines(run)
        return render(
            request,
            "run.html",
            now=app.state.now(),
            detail=found,
            run=found.run,
            plain=run_dict(found.run, found.dataset),
            live=live_of(app, found.run, found.dataset, Pace()) if found.run.status in ACTIVE else None,
            lines=lines[-SHOWN_LINES:],
            left_out=max(0, len(lines) - SHOWN_LINES),
            back_to=found.run.plan.get("back_to"),
        )

    @router.get("/runs/{run}/rows")
    def rows(request: Request, run: str) -> HTMLResponse:
        found = app.runs.show(run)
        names, numbers, shown, problem = [], [], [], None
        try:
            reader = app.runs.rows(run)
        except CounterfoilError as error:
            problem = error
        else:
            names = reader.schema.names
            numbers = [is_number(str(field.type)) for field in reader.schema]
            in_json = {one.name for one in reader.schema if (one.metadata or {}).get(b"counterfoil") == b"json"}
            values = [tuple(row.values()) for batch in first(reader, SHOWN_ROWS) for row in batch.to_pylist()]
            money = money_of(dataset_columns(app.datasets.get(found.run.dataset)))
            shown = cells_of(names, values, json_columns=in_json, money=money)
            reader.close()
        return render(
            request,
            "run_rows.html",
            detail=found,
            run=found.run,
            names=names,
            numbers=numbers,
            rows=shown,
            problem=problem,
            most=SHOWN_ROWS,
        )

    @router.get("/runs/{run}/rows.csv")
    def csv(run: str) -> Response:
        return _file(app, run, ".csv")

    @router.get("/runs/{run}/rows.parquet")
    def parquet(run: str) -> Response:
        return _file(app, run, ".parquet")

    @router.post("/runs/{run}/cancel")
    def cancel(run: str, next: Annotated[str, Form()] = "") -> Response:  # noqa: A002 - the name of the form's field
        app.runs.cancel(run)
        return RedirectResponse("/runs" if next == "/runs" else f"/runs/{run}", status_code=303)


def lives(app: App, pace: Pace) -> list[Live]:
    """Active runs: first running, then queued, then waiting ones, each by creation."""
    names = app.runs.dataset_names()
    found = sorted(app.runs.list(status=ACTIVE, limit=500), key=lambda run: (ACTIVE.index(run.status), run.created_at))
    return [live_of(app, run, names.get(run.dataset, run.dataset), pace) for run in found]


def live_of(app: App, run: Run, dataset: str, pace: Pace, lines: Sequence[Line] | None = None) -> Live:
    """An active run with its progress."""
    speed = pace.of(run)
    elapsed = None if run.started_at is None else (run.finished_at or app.state.now()) - run.started_at
    if speed is None and run.status == "running" and elapsed is not None and elapsed.total_seconds() > 1:
        speed = run.counts.read / elapsed.total_seconds(), requests_of(run) / elapsed.total_seconds()
    return Live(
        run=run,
        dataset=dataset,
        doing=_doing(run, app.runs.lines(run.id) if lines is None else lines),
        about=_about(app, run),
        rows_a_second=speed and speed[0],
        requests_a_second=speed and speed[1],
        requests=requests_of(run),
        elapsed=elapsed and timedelta(seconds=int(elapsed.total_seconds())),
        next_attempt_at=app.runs.next_attempt_at(run),
    )


def requests_of(run: Run) -> int:
    """The number of API requests of a run."""
    return sum(run.requests.values())


def reads(run: Run) -> int:
    """The number of GET requests, which count towards Stripe's allowance."""
    return sum(count for endpoint, count in run.requests.items() if endpoint.startswith("GET "))


def seconds_of(run: Run) -> float | None:
    """The duration of a run; None unless it has started and finished."""
    if run.started_at is None or run.finished_at is None:
        return None
    return (run.finished_at - run.started_at).total_seconds()


def _doing(run: Run, lines: Sequence[Line]) -> str:
    if run.cancel_requested:
        return "Canceling"
    if run.status == "queued":
        return "Queued"
    if run.status == "waiting":
        return "Waiting to retry"
    if run.plan.get("back_to"):
        return "Rolling back to an earlier run"
    if any(line.fields.get("step") == LOAD_STEP for line in islice(reversed(lines), 5)):
        return "Loading into the table"
    return "Reading from Stripe" if run.plan else "Starting"


def _about(app: App, run: Run) -> int | None:
    """The expected number of rows: those of the last full refresh; None if unknown."""
    if run.status != "running" or not run.plan.get("whole"):
        return None
    full = (one for one in app.runs.list(run.dataset, "succeeded", limit=10) if one.plan.get("whole"))
    before = next(full, None)
    return before.counts.read if before is not None and before.counts.read else None


def _file(app: App, run: str, suffix: str) -> Download:
    found = app.runs.show(run)
    rows = app.runs.rows(run)
    chunks = file_chunks(rows, suffix, currencies=currencies_of(found.run.plan["report"]))
    return Download(chunks, f"{found.dataset} {run}", suffix)


def _chips(request: Request, ended: Sequence[Run], chosen: str) -> list[dict[str, Any]]:
    counts = [("", "All", len(ended))]
    counts += [(key, label, sum(run.status == key for run in ended)) for key, label in _ENDED.items()]
    return [
        {"label": label, "count": count, "href": address(request, status=key, page=None), "current": key == chosen}
        for key, label, count in counts
        if count or key in ("", chosen)
    ]
