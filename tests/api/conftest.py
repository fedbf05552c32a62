"""A service with the API and the page of tokens, the published OpenAPI document, and an API client."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from counterfoil.app.app import App
from counterfoil.web.api.routes import RESOURCES
from counterfoil.web.pages import tokens
from tests.api.program import Document, Program
from tests.web.conftest import MakeSite, Site, app, clock, made_state, make_site, sandbox

__all__ = ["app", "clock", "made_state", "make_site", "sandbox"]

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"

MakeProgram = Callable[..., Program]


@pytest.fixture(scope="session")
def document() -> Document:
    """The published OpenAPI document; `test_document` compares it with the routes."""
    found: Document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(resources=RESOURCES, pages=(tokens.routes,))


@pytest.fixture
def make_program(app: App, site: Site, document: Document) -> MakeProgram:
    """Creates API clients with a new token; `token` sets another one, or None."""

    def make(name: str = "tests", *, address: str = "127.0.0.1", **options: object) -> Program:
        token = options.pop("token") if "token" in options else app.tokens.create(name, **options).secret  # type: ignore[arg-type]
        return Program(site.page, document, token, address)  # type: ignore[arg-type]

    return make


@pytest.fixture
def program(make_program: MakeProgram) -> Program:
    return make_program()
