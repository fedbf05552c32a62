"""A service with the routes of programs and the page of their tokens; the document that judges them; a program."""

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
    """As it is published: `test_document` holds it to the routes."""
    found: Document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(resources=RESOURCES, pages=(tokens.routes,))


@pytest.fixture
def make_program(app: App, site: Site, document: Document) -> MakeProgram:
    """A program whose token is made as given; `token` takes another one, None for none at all."""

    def make(name: str = "tests", *, address: str = "127.0.0.1", **given: object) -> Program:
        token = given.pop("token") if "token" in given else app.tokens.create(name, **given).secret  # type: ignore[arg-type]
        return Program(site.page, document, token, address)  # type: ignore[arg-type]

    return make


@pytest.fixture
def program(make_program: MakeProgram) -> Program:
    return make_program()
