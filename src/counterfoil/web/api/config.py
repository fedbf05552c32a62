"""`/config`: accounts and datasets as the file of `docs/configuration.md`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.logging import redacted
from counterfoil.web.api import answers
from counterfoil.web.api.json_response import V1, Overwrite, json_response
from counterfoil.web.api.problems import Refused

_TOML = "application/toml"
_TEXT: dict[str, Any] = {"content": {_TOML: {"schema": {"type": "string"}}}}


def routes(app: App) -> APIRouter:
    """Export and apply."""
    router = APIRouter(prefix=V1, tags=["configuration"])

    @router.get("/config", response_class=Response, responses={200: {"description": "TOML.", **_TEXT}})
    def export_config() -> Response:
        """All accounts and datasets. Keys that are stored are not in it."""
        return Response(redacted(app.config.export()), media_type=_TOML)

    @router.put("/config", response_model=answers.Applied, openapi_extra={"requestBody": {"required": True, **_TEXT}})
    async def apply_config(
        request: Request,
        diff: Annotated[bool, Query(description="Check everything and answer what would change.")] = False,
        overwrite: Overwrite = False,
    ) -> Response:
        """Makes accounts and datasets what the file says, all of it or nothing. What it does not name stays."""
        from starlette.concurrency import run_in_threadpool

        try:
            text = (await request.body()).decode()
        except UnicodeDecodeError:
            raise Refused("malformed", "The file is not UTF-8", "Send the TOML as it is.") from None
        return json_response(asdict(await run_in_threadpool(app.config.apply, text, dry_run=diff, overwrite=overwrite)))

    return router
