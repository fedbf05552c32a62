"""`/ask` and `/questions`: one SELECT over the tables of datasets, and those that are kept."""

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

_Name = Annotated[str, Path(description="The question's name.")]
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
        """Where datasets go, the one that most go to first."""
        found = app.tables.places().items()
        items = [
            {"id": _key(url), "name": app.tables.destination_name(url), "tables": list(names)} for url, names in found
        ]
        return answers.Destinations.model_validate({"items": items})

    @router.get("/ask", response_model=answers.Asked, responses=_ASKED)
    def ask_again(
        sql: Annotated[str | None, Query(max_length=20_000, description="One SELECT.")] = None,
        question: Annotated[str | None, Query(description="Instead: the name of one that is kept.")] = None,
        destination: Annotated[str | None, Query(description="An id of `/destinations`.")] = None,
        form: _Form = "json",
    ) -> answers.Asked | Response:
        """The same as by POST, for tokens that may only read."""
        if (sql is None) == (question is None):
            raise Refused("invalid", "Neither sql nor question is given, or both", "Give one of the two.")
        if question is not None:
            kept = _kept(app, question)
            return _answered(app, kept.sql, kept.place, form)
        return _answered(app, str(sql), _place(app, destination), form)

    @router.post("/ask", response_model=answers.Asked, responses=_ASKED)
    def ask(body: bodies.AskBody, form: _Form = "json") -> answers.Asked | Response:
        """The answer to one SELECT: its first 10,000 rows, within 30 seconds. Nothing can be changed by it."""
        return _answered(app, body.sql, _place(app, body.destination), form)


def _keeping(app: App, router: APIRouter) -> None:
    @router.get("/questions")
    def list_questions() -> answers.Questions:
        """Those that are kept, by name."""
        return answers.Questions(items=[_question(one) for one in app.questions.list()])

    @router.get("/questions/{name:path}")
    def get_question(name: _Name) -> answers.Question:
        """One of them."""
        return _question(_kept(app, name))

    @router.put("/questions/{name:path}")
    def save_question(name: _Name, body: bodies.QuestionBody) -> answers.Question:
        """Keeps it; one of the same name is replaced."""
        return _question(app.questions.save(name, body.sql, _place(app, body.destination)))

    @router.delete("/questions/{name:path}")
    def delete_question(name: _Name) -> answers.Question:
        """Forgets it."""
        found = _kept(app, name)
        app.questions.remove(found.name)
        return _question(found)


def _answered(app: App, sql: str, place: str | None, form: str) -> answers.Asked | Response:
    if not sql.strip():
        raise Refused("invalid", "There is no question", "Write a SELECT.")
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
        raise Refused("not_found", f"There is no question {name!r}", "/api/v1/questions lists them.")
    return found


def _question(question: SavedQuery) -> answers.Question:
    destination = None if question.place is None else _key(question.place)
    return answers.Question(name=question.name, sql=question.sql, destination=destination)


def _place(app: App, wanted: str | None) -> str | None:
    """The URL of a destination of ours: no request opens another file."""
    if wanted is None:
        return None
    found = next((url for url in app.tables.places() if _key(url) == wanted), None)
    if found is None:
        raise Refused("invalid", f"There is no destination {wanted!r}", "/api/v1/destinations lists them.")
    return found


def _key(url: str) -> str:
    """How a destination is called: its URL can hold a password."""
    return sha256(url.encode()).hexdigest()[:12]
