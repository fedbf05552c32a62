"""`/alerts`: recipients of notifications about failures and recoveries."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from counterfoil.app.alerts import KINDS
from counterfoil.app.app import App
from counterfoil.app.dictionaries import plain
from counterfoil.app.values import Alert
from counterfoil.web.api import answers, bodies
from counterfoil.web.api.problems import looked_up
from counterfoil.web.api.resource import address_of, router_of

_Word = Annotated[str, Path(alias="alert", description="The alert's name or id.")]


def routes(app: App) -> APIRouter:
    """`/alerts` and the routes below it."""
    router = router_of("alerts")

    @router.get("/alerts")
    def list_alerts() -> answers.Alerts:
        """Lists all alerts by name."""
        return answers.Alerts(items=[_answer(one) for one in app.alerts.list()])

    @router.post("/alerts", status_code=201)
    def create_alert(response: Response, body: bodies.AlertBody) -> answers.Alert:
        """Creates an alert. Its URL is stored encrypted."""
        made = app.alerts.add(body.name, body.url.get_secret_value(), kinds=KINDS if body.on is None else body.on)
        response.headers["Location"] = address_of(f"/alerts/{made.id}")
        return _answer(made)

    @router.get("/alerts/{alert}")
    def get_alert(alert: _Word) -> answers.Alert:
        """Returns an alert."""
        return _answer(_alert(app, alert))

    @router.patch("/alerts/{alert}")
    def change_alert(alert: _Word, body: bodies.AlertChanges) -> answers.Alert:
        """Changes the given fields of an alert."""
        url = None if body.url is None else body.url.get_secret_value()
        return _answer(app.alerts.edit(_alert(app, alert).id, name=body.name, url=url, kinds=body.on))

    @router.post("/alerts/{alert}/test")
    def test_alert(alert: _Word) -> answers.Alert:
        """Sends a test message now."""
        return _answer(app.alerts.test(_alert(app, alert).id))

    @router.delete("/alerts/{alert}")
    def delete_alert(alert: _Word) -> answers.Alert:
        """Removes an alert."""
        return _answer(app.alerts.remove(_alert(app, alert).id))

    return router


def _alert(app: App, word: str) -> Alert:
    with looked_up():
        return app.alerts.get(word)


def _answer(alert: Alert) -> answers.Alert:
    return answers.Alert.model_validate(plain(alert))
