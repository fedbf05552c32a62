"""`/config`: accounts and datasets as a configuration file (`docs/configuration.md`)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.app.dictionaries import plain
from counterfoil.logging import redacted
from counterfoil.web.api import answers
from counterfoil.web.api.problems import Refused
from counterfoil.web.api.resource import Overwrite, router_of

_TOML = "application/toml"
_TEXT: dict[str, Any] = {"content": {_TOML: {"schema": {"type": "string"}}}}


def routes(app: App) -> APIRouter:
    """`/config`."""
    router = router_of("configuration")

    @router.get("/config", response_class=Response, responses={200: {"description": "TOML.", **_TEXT}})
    def export_config() -> Response:
        """Exports all accounts and datasets as TOML, without stored keys."""
        return Response(redacted(app.config.export()), media_type=_TOML)

    @router.put("/config", openapi_extra={"requestBody": {"required": True, **_TEXT}})
    async def apply_config(
        request: Request,
        diff: Annotated[bool, Query(description="Dry run: check everything and return the changes.")] = False,
        overwrite: Overwrite = False,
    ) -> answers.Applied:
        """Applies a configuration file, all of it or nothing. Accounts and datasets not in the file stay unchanged."""
        from starlette.concurrency import run_in_threadpool

        try:
            text = (await request.body()).decode()
        except UnicodeDecodeError:
            raise Refused("malformed", "the file is not UTF-8", "Send TOML in UTF-8.") from None
        applied = await run_in_threadpool(app.config.apply, text, dry_run=diff, overwrite=overwrite)
        return answers.Applied.model_validate(plain(applied))

    return router
