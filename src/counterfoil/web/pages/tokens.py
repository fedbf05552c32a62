"""Tokens for other programs: those that there are, a new one, which is shown once, and their end."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from counterfoil.app.app import App
from counterfoil.app.tokens import NewToken
from counterfoil.errors import SettingsError
from counterfoil.web.forms.dataset import field_messages
from counterfoil.web.rendering import render

#: How long a token may last, and how that is called.
PERIODS = (("30d", "30 days"), ("90d", "90 days"), ("365d", "A year"), ("", "Until it is revoked"))
SCOPES = (("read", "May look at everything"), ("full", "May do what this page does"))


def routes(app: App) -> APIRouter:
    """`/tokens`."""
    router = APIRouter()

    def page(request: Request, status_code: int = 200, **more: Any) -> Response:
        found = [(token, app.tokens.status(token)) for token in app.tokens.list()]
        values: dict[str, Any] = {"made": None, "errors": {}, "typed": "", "scope": "read", "expires": "90d"}
        known = {"tokens": found, "periods": PERIODS, "scopes": SCOPES}
        return render(request, "tokens.html", status_code=status_code, **{**values, **known, **more})

    @router.get("/tokens")
    def show(request: Request) -> Response:
        return page(request)

    @router.post("/tokens")
    def create(
        request: Request,
        name: Annotated[str, Form()] = "",
        scope: Annotated[str, Form()] = "read",
        expires: Annotated[str, Form()] = "",
    ) -> Response:
        """The one answer that holds the token: it is never kept, not by the browser either."""
        try:
            made: NewToken = app.tokens.create(name, read_only=scope != "full", expires=expires)
        except SettingsError as error:
            return page(request, 422, errors=field_messages({"name": error}), typed=name, scope=scope, expires=expires)
        return page(request, made=made)

    @router.post("/tokens/{token}/revoke")
    def revoke(token: str) -> Response:
        app.tokens.revoke(token)
        return RedirectResponse("/tokens", status_code=303)

    return router
