"""The OpenAPI document: it matches the routes, describes them and is the published one."""

from __future__ import annotations

from typing import Any, get_type_hints

from fastapi.routing import APIRoute
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.web.api.answers import RedactedJson
from counterfoil.web.api.document import document as document_of
from counterfoil.web.api.routes import api
from tests.api.program import Document, Program


def test_published_document_matches_routes(app: App, document: Document) -> None:
    assert document_of(api(app).routes) == document, "run: make docs"


def test_document_is_served_with_token(program: Program, document: Document) -> None:
    assert program.get("/openapi.json") == document


def test_every_operation_has_unique_name_description_and_token(document: Document) -> None:
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names) > 40
    assert all(one["description"] and one["tags"] for one in operations)
    assert document["openapi"].startswith("3.1")
    assert document["security"] == [{"token": []}]


def test_json_routes_return_redacted_models(app: App) -> None:
    routes = [one for one in api(app).routes if isinstance(one, APIRoute) and one.response_class is not Response]
    assert len(routes) > 40
    for route in routes:
        assert route.response_class is RedactedJson, route.path
        assert get_type_hints(route.endpoint)["return"] is not Response, route.path


def test_references_resolve_and_bodies_reject_unknown_fields(document: Document) -> None:
    parts = document["components"]
    for reference in _references(document):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in parts[kind], reference
    bodies = {
        content["application/json"]["schema"].get("$ref", "").rpartition("/")[2]
        for methods in document["paths"].values()
        for one in methods.values()
        if "application/json" in (content := one.get("requestBody", {}).get("content", {}))
    } - {""}
    assert len(bodies) > 5
    assert all(parts["schemas"][name]["additionalProperties"] is False for name in bodies)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return [*own, *(each for one in value.values() for each in _references(one))]
    return [each for one in value for each in _references(one)] if isinstance(value, list) else []
