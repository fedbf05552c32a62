"""The OpenAPI document: FastAPI's description of the routes, with authentication and error responses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from counterfoil.version import __version__
from counterfoil.web.api.answers import Problem
from counterfoil.web.api.problems import CODES, MEDIA_TYPE

_ABOUT = (
    "All functions of the Counterfoil web interface. Create a token with `counterfoil tokens create` and send it as "
    "a bearer token. Identify datasets and accounts by name or id. Errors are problem details (RFC 9457) with a "
    "stable `code`. Examples: `counterfoil docs api`."
)
#: Error statuses of every route.
_ALWAYS = (401, 403, 421, 429, 500, 503)
_METHODS = ("get", "put", "post", "patch", "delete")


def document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the routes below `/api/v1`."""
    made = get_openapi(
        title="Counterfoil", version=__version__, openapi_version="3.1.0", description=_ABOUT, routes=routes
    )
    parts = made.setdefault("components", {})
    schemas = {name: kind for name, kind in parts.get("schemas", {}).items() if "ValidationError" not in name}
    schemas["Problem"] = Problem.model_json_schema()
    parts["schemas"] = dict(sorted(schemas.items()))
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "description": "`cf_…`"}}
    parts["responses"] = {f"Problem{status}": _problem(status) for status in sorted({one for one, _ in CODES.values()})}
    made["security"] = [{"token": []}]
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            if method in _METHODS:
                operation["operationId"] = operation["summary"].lower().replace(" ", "_")
                operation["responses"].pop("422", None)
                for status in _statuses(path, method):
                    operation["responses"][str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    return made


def _statuses(path: str, method: str) -> Iterator[int]:
    yield 400
    yield from _ALWAYS
    yield 422
    if "{" in path or method == "get":
        yield 404
    yield 409
    if method in ("put", "post", "patch"):
        yield 413


def _problem(status: int) -> dict[str, Any]:
    codes = [code for code, (known, _) in CODES.items() if known == status]
    return {
        "description": " or ".join(f"`{code}`: {CODES[code][1]}" for code in codes),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
