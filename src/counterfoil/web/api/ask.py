"""`/ask` and `/questions`: one SELECT over the tables of datasets, and saved queries."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.app.dictionaries import plain, plain_fields
from counterfoil.app.export.files import json_value
from counterfoil.app.saved_queries import SavedQuery
from counterfoil.errors import RunError
from counterfoil.web.answers import csv_of
from counterfoil.web.api import answers, bodies
from counterfoil.web.api.problems import Refused
from counterfoil.web.api.resource import router_of
from counterfoil.web.downloads import Download

_Name = Annotated[str, Path(description="The name of the saved query.")]
_Form = Annotated[Literal["json", "csv"], Query(alias="format", description="CSV is streamed as a file.")]
_ASKED: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


def routes(app: App) -> APIRouter:
    """`/destinations`, `/ask` and `/questions`."""
    router = router_of("questions")
    _asking(app, router)
    _keeping(app, router)
    return router


def _asking(app: App, router: APIRouter) -> None:
    @router.get("/destinations")
    def list_destinations() -> answers.Destinations:
        """Lists the destinations of datasets that support queries, the most used one first."""
        found = app.tables.places().items()
        items = [
            {"id": _key(url), "name": app.tables.destination_name(url), "tables": list(names)} for url, names in found
        ]
        return answers.Destinations.model_validate({"items": items})

    @router.get("/ask", response_model=answers.Asked, responses=_ASKED)
    def ask_again(
        sql: Annotated[str | None, Query(max_length=20_000, description="One SELECT.")] = None,
        question: Annotated[str | None, Query(description="Instead of `sql`: the name of a saved query.")] = None,
        destination: Annotated[str | None, Query(description="An id of `/destinations`.")] = None,
        form: _Form = "json",
    ) -> answers.Asked | Response:
        """Runs a query like POST, for read-only tokens."""
        if (sql is None) == (question is None):
            raise Refused("invalid", "sql and question: exactly one is required", "Pass one of the two.")
        if question is not None:
            saved = _kept(app, question)
            return _answered(app, saved.sql, saved.place, form)
        return _answered(app, str(sql), _place(app, destination), form)

    @router.post("/ask", response_model=answers.Asked, responses=_ASKED)
    def ask(body: bodies.AskBody, form: _Form = "json") -> answers.Asked | Response:
        """Runs one SELECT and returns its first 10,000 rows. It times out after 30 seconds and is read-only."""
        return _answered(app, body.sql, _place(app, body.destination), form)


def _keeping(app: App, router: APIRouter) -> None:
    @router.get("/questions")
    def list_questions() -> answers.Questions:
        """Lists the saved queries by name."""
        return answers.Questions(items=[_question(one) for one in app.questions.list()])

    @router.get("/questions/{name:path}")
    def get_question(name: _Name) -> answers.Question:
        """Returns a saved query."""
        return _question(_kept(app, name))

    @router.put("/questions/{name:path}")
    def save_question(name: _Name, body: bodies.QuestionBody) -> answers.Question:
        """Saves a query. A saved query of the same name is replaced."""
        return _question(app.questions.save(name, body.sql, _place(app, body.destination)))

    @router.delete("/questions/{name:path}")
    def delete_question(name: _Name) -> answers.Question:
        """Removes a saved query."""
        found = _kept(app, name)
        app.questions.remove(found.name)
        return _question(found)


def _answered(app: App, sql: str, place: str | None, form: str) -> answers.Asked | Response:
    if not sql.strip():
        raise Refused("invalid", "the query is empty", "Send a SELECT.")
    try:
        found = app.tables.ask(sql, url=place)
    except RunError as error:
        raise Refused("invalid", error.message, error.hint) from error
    if form == "csv":
        return Download(csv_of(found), "answer", ".csv")
    columns = [plain_fields(column, "name", "type") for column in found.columns]
    warnings = [{**plain(one), "message": one.message, "hint": one.hint} for one in found.warnings]
    rows = json_value(found.rows)
    return answers.Asked.model_validate({"columns": columns, "rows": rows, "cut": found.cut, "warnings": warnings})


def _kept(app: App, name: str) -> SavedQuery:
    found = app.questions.get(name)
    if found is None:
        raise Refused("not_found", f"saved query {name!r} not found", "List them with GET /api/v1/questions.")
    return found


def _question(question: SavedQuery) -> answers.Question:
    destination = None if question.place is None else _key(question.place)
    return answers.Question(name=question.name, sql=question.sql, destination=destination)


def _place(app: App, wanted: str | None) -> str | None:
    """The URL of a dataset's destination for an id. Never any other file."""
    if wanted is None:
        return None
    found = next((url for url in app.tables.places() if _key(url) == wanted), None)
    if found is None:
        raise Refused("invalid", f"destination {wanted!r} not found", "List them with GET /api/v1/destinations.")
    return found


def _key(url: str) -> str:
    """The id of a destination: its URL may contain a password."""
    return sha256(url.encode()).hexdigest()[:12]
