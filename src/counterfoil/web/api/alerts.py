"""`/alerts`: places that are told when something goes wrong, and when it works again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from counterfoil.app.alerts import KINDS
from counterfoil.app.app import App
from counterfoil.app.dictionaries import plain
from counterfoil.app.values import Alert
from counterfoil.web.api import answers, bodies
from counterfoil.web.api.json_response import V1, json_response
from counterfoil.web.api.problems import looked_up

_Word = Annotated[str, Path(alias="alert", description="The alert's name or id.")]


def routes(app: App) -> APIRouter:
    """`/alerts`, and what is done with one."""
    router = APIRouter(prefix=V1, tags=["alerts"])

    @router.get("/alerts", response_model=answers.Alerts)
    def list_alerts() -> Response:
        """All alerts by name."""
        return json_response({"items": [plain(one) for one in app.alerts.list()]})

    @router.post("/alerts", status_code=201, response_model=answers.Alert)
    def create_alert(body: bodies.AlertBody) -> Response:
        """Saves an address that is told, encrypted."""
        made = app.alerts.add(body.name, body.url.get_secret_value(), kinds=KINDS if body.on is None else body.on)
        return json_response(plain(made), 201, location=f"/alerts/{made.id}")

    @router.get("/alerts/{alert}", response_model=answers.Alert)
    def get_alert(alert: _Word) -> Response:
        """One alert."""
        return json_response(plain(_alert(app, alert)))

    @router.patch("/alerts/{alert}", response_model=answers.Alert)
    def change_alert(alert: _Word, body: bodies.AlertChanges) -> Response:
        """Changes what is given."""
        url = None if body.url is None else body.url.get_secret_value()
        return json_response(plain(app.alerts.edit(_alert(app, alert).id, name=body.name, url=url, kinds=body.on)))

    @router.post("/alerts/{alert}/test", response_model=answers.Alert)
    def test_alert(alert: _Word) -> Response:
        """Sends a few words there now."""
        return json_response(plain(app.alerts.test(_alert(app, alert).id)))

    @router.delete("/alerts/{alert}", response_model=answers.Alert)
    def delete_alert(alert: _Word) -> Response:
        """Tells nobody there any more."""
        return json_response(plain(app.alerts.remove(_alert(app, alert).id)))

    return router


def _alert(app: App, word: str) -> Alert:
    with looked_up():
        return app.alerts.get(word)
