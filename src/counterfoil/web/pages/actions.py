"""Actions on several datasets at once. A failure of one does not affect the others and is reported by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from counterfoil.app.app import App
from counterfoil.errors import CounterfoilError, SettingsError
from counterfoil.web.access.login import within
from counterfoil.web.problems import problem
from counterfoil.web.rendering import render

TITLES = {"run": "Run now", "allow-shrink": "Accept and load", "pause": "Pause", "resume": "Resume", "delete": "Delete"}


@dataclass(frozen=True, slots=True)
class Failed:
    """A dataset for which an action failed, and the error."""

    name: str
    #: None when the dataset no longer exists.
    id: str | None
    error: CounterfoilError


def routes(app: App) -> APIRouter:
    """`/datasets/actions`."""
    router = APIRouter()

    @router.post("/datasets/actions")
    def act(
        request: Request,
        dataset: Annotated[Sequence[str], Form()] = (),
        action: Annotated[str, Form()] = "",
        next: Annotated[str, Form()] = "/",  # noqa: A002 - in forms
        drop_table: Annotated[str, Form()] = "",
    ) -> Response:
        calls: dict[str, Callable[[str], object]] = {
            "run": lambda one: app.runs.start(one, wait=False),
            "allow-shrink": lambda one: app.runs.start(one, wait=False, allow_shrink=True),
            "pause": app.datasets.pause,
            "resume": app.datasets.resume,
            "delete": lambda one: app.datasets.remove(one, drop_table=bool(drop_table)),
        }
        if action not in calls:
            return problem(request, 400, "Unknown action", "Use run, pause, resume or delete.")
        if not dataset:
            return problem(request, 400, "No dataset selected", "Select one or more datasets.")
        done, failed = each(app, dataset, calls[action])
        place = within(next)
        if failed:
            return failures_page(request, TITLES[action], done, failed, place)
        return RedirectResponse(place, status_code=303)

    return router


def each(app: App, datasets: Sequence[str], call: Callable[[str], object]) -> tuple[list[str], list[Failed]]:
    """Calls `call` for each dataset (by id); the names of the successful ones, and the failures."""
    names = {one.dataset.id: one.dataset.name for one in app.datasets.list()}
    done, failed = [], []
    for one in dict.fromkeys(datasets):
        try:
            if one not in names:
                raise SettingsError("dataset not found", hint="It may have been deleted.", code="dataset_not_found")
            call(one)
            done.append(names[one])
        except CounterfoilError as error:
            failed.append(Failed(names.get(one, "A dataset"), one if one in names else None, error))
    return done, failed


def failures_page(request: Request, title: str, done: Sequence[str], failed: Sequence[Failed], place: str) -> Response:
    """The page with successes, failures and a link back."""
    return render(request, "actions.html", status_code=409, title=title, done=done, failed=failed, back=place)
