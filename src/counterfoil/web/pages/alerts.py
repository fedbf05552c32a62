"""The pages of alerts: list, create, edit, test and remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from counterfoil.app.app import App
from counterfoil.app.values import Alert, Kind
from counterfoil.errors import CounterfoilError, SettingsError
from counterfoil.web.rendering import render

#: Label and help of each kind of notification.
KINDS: dict[Kind, tuple[str, str]] = {
    "failed": ("Failures", "A run failed after its last attempt. Sent once until a run succeeds."),
    "recovered": ("Recoveries", "The first successful run after a failure."),
    "paused": ("Pauses", "Counterfoil paused a dataset because of an error that requires action."),
    "late": ("Late updates", "A dataset was not updated for a whole interval of its schedule."),
    "proof": ("Failed checks", "A check failed that passed before."),
}


def routes(app: App) -> APIRouter:
    """`/alerts` and the routes below it."""
    router, pages = APIRouter(), _Pages(app)
    router.add_api_route("/alerts", pages.list, methods=["GET"])
    router.add_api_route("/alerts/new", pages.ask, methods=["GET"])
    router.add_api_route("/alerts", pages.add, methods=["POST"])
    router.add_api_route("/alerts/{alert}", pages.show, methods=["GET"])
    router.add_api_route("/alerts/{alert}", pages.edit, methods=["POST"])
    router.add_api_route("/alerts/{alert}/test", pages.test, methods=["POST"])
    router.add_api_route("/alerts/{alert}/remove", pages.remove, methods=["POST"])
    return router


class _Pages:
    """The list, and the form."""

    def __init__(self, app: App) -> None:
        self._app = app

    def list(self, request: Request, arrived: str = "") -> Response:
        return self._list(request, arrived=arrived)

    def ask(self, request: Request) -> Response:
        return self._form(request, None)

    def add(
        self,
        request: Request,
        name: Annotated[str, Form()] = "",
        url: Annotated[str, Form()] = "",
        kind: Annotated[Sequence[Kind], Form()] = (),
    ) -> Response:
        try:
            self._app.alerts.add(name, url, kinds=kind)
        except SettingsError as error:
            return self._form(request, None, error, name=name, kinds=kind)
        return RedirectResponse("/alerts", status_code=303)

    def show(self, request: Request, alert: str) -> Response:
        return self._form(request, self._app.alerts.get(alert))

    def edit(
        self,
        request: Request,
        alert: str,
        name: Annotated[str, Form()] = "",
        url: Annotated[str, Form()] = "",
        kind: Annotated[Sequence[Kind], Form()] = (),
    ) -> Response:
        found = self._app.alerts.get(alert)
        try:
            self._app.alerts.edit(found.id, name=name, url=url.strip() or None, kinds=kind)
        except SettingsError as error:
            return self._form(request, found, error, name=name, kinds=kind)
        return RedirectResponse("/alerts", status_code=303)

    def test(self, request: Request, alert: str) -> Response:
        found = self._app.alerts.get(alert)
        try:
            self._app.alerts.test(found.id)
        except CounterfoilError as error:
            return self._list(request, problem=error)
        return RedirectResponse(f"/alerts?arrived={found.id}", status_code=303)

    def remove(self, alert: str) -> Response:
        self._app.alerts.remove(alert)
        return RedirectResponse("/alerts", status_code=303)

    def _list(self, request: Request, *, problem: CounterfoilError | None = None, arrived: str = "") -> Response:
        listed = self._app.alerts.list()
        return render(
            request,
            "alerts.html",
            status_code=200 if problem is None else 409,
            listed=listed,
            kinds=KINDS,
            problem=problem,
            arrived=next((one for one in listed if one.id == arrived), None),
            now=self._app.state.now(),
        )

    @staticmethod
    def _form(
        request: Request,
        alert: Alert | None,
        problem: SettingsError | None = None,
        *,
        name: str | None = None,
        kinds: Sequence[Kind] | None = None,
    ) -> Response:
        known = tuple(KINDS) if alert is None else alert.kinds
        return render(
            request,
            "alert.html",
            status_code=200 if problem is None else 400,
            alert=alert,
            problem=problem,
            typed=name if name is not None else alert.name if alert else "",
            chosen=known if kinds is None else kinds,
            kinds=KINDS,
        )
