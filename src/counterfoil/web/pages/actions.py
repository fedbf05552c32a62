"""What is done to several datasets at once. One that fails keeps none of the others from it, and is told by name."""

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
    """A dataset, by name, and why it was not done."""

    name: str
    #: None when the dataset is not there any more.
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
            return problem(request, 400, "It is not said what to do", "Choose run now, pause, resume or delete.")
        if not dataset:
            return problem(request, 400, "No dataset is chosen", "Tick those that it is for.")
        done, failed = each(app, dataset, calls[action])
        place = within(next)
        if failed:
            return failures_page(request, TITLES[action], done, failed, place)
        return RedirectResponse(place, status_code=303)

    return router


def each(app: App, datasets: Sequence[str], call: Callable[[str], object]) -> tuple[list[str], list[Failed]]:
    """Calls for each dataset (by id); the names of those for which it worked, and the others."""
    names = {one.dataset.id: one.dataset.name for one in app.datasets.list()}
    done, failed = [], []
    for one in dict.fromkeys(datasets):
        try:
            if one not in names:
                raise SettingsError("It is not there any more", hint="Somebody may have deleted it.")
            call(one)
            done.append(names[one])
        except CounterfoilError as error:
            failed.append(Failed(names.get(one, "A dataset"), one if one in names else None, error))
    return done, failed


def failures_page(request: Request, title: str, done: Sequence[str], failed: Sequence[Failed], place: str) -> Response:
    """What was done, what was not and why, and the way back."""
    return render(request, "actions.html", status_code=409, title=title, done=done, failed=failed, back=place)
