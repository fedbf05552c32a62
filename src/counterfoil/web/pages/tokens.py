"""The page of API tokens: list, create and revoke. A new token is shown once."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from counterfoil.app.app import App
from counterfoil.app.tokens import NewToken
from counterfoil.errors import SettingsError
from counterfoil.web.rendering import render

#: Lifetimes of a token, with labels.
PERIODS = (("30d", "30 days"), ("90d", "90 days"), ("365d", "1 year"), ("", "No expiration"))
SCOPES = (("read", "Read-only"), ("full", "Full access"))


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
        """The only response with the token, which is never stored or cached."""
        try:
            made: NewToken = app.tokens.create(name, read_only=scope != "full", expires=expires)
        except SettingsError as error:
            return page(request, 422, errors={"name": error}, typed=name, scope=scope, expires=expires)
        return page(request, made=made)

    @router.post("/tokens/{token}/revoke")
    def revoke(token: str) -> Response:
        app.tokens.revoke(token)
        return RedirectResponse("/tokens", status_code=303)

    return router
