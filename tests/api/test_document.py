"""The OpenAPI document is what the routes are, says what things mean, and is the one that is published."""

from __future__ import annotations

from typing import Any, get_type_hints

from fastapi.routing import APIRoute
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.web.api.answers import RedactedJson
from counterfoil.web.api.document import document as made_of
from counterfoil.web.api.routes import api
from tests.api.program import Document, Program


def test_the_document_that_is_published_is_the_one_of_the_routes(app: App, document: Document) -> None:
    assert made_of(api(app).routes) == document, "make docs"


def test_the_document_is_served_to_whoever_has_a_token(program: Program, document: Document) -> None:
    assert program.get("/openapi.json") == document


def test_every_operation_has_a_name_of_its_own_a_description_and_the_token(document: Document) -> None:
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names) > 40
    assert all(one["description"] and one["tags"] for one in operations)
    assert document["openapi"].startswith("3.1")
    assert document["security"] == [{"token": []}]


def test_routes_with_json_return_models_that_are_sent_redacted(app: App) -> None:
    routes = [one for one in api(app).routes if isinstance(one, APIRoute) and one.response_class is not Response]
    assert len(routes) > 40
    for route in routes:
        assert route.response_class is RedactedJson, route.path
        assert get_type_hints(route.endpoint)["return"] is not Response, route.path


def test_every_reference_leads_somewhere_and_bodies_refuse_what_they_do_not_know(document: Document) -> None:
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
