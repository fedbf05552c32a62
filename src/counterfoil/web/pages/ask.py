"""The page Ask: one SELECT over the datasets, its result as table and charts, and saved queries."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from counterfoil.app.app import App
from counterfoil.app.tables import ASK_ROWS
from counterfoil.errors import CounterfoilError, SettingsError
from counterfoil.web.answers import SHOWN_ROWS, csv_of, problem_of, shown_of
from counterfoil.web.downloads import Download
from counterfoil.web.examples import EXAMPLES
from counterfoil.web.problems import is_htmx
from counterfoil.web.rendering import render

_Field = Annotated[str, Form()]
_Page = Callable[..., HTMLResponse]
_MOST_EXAMPLES = 6


def routes(app: App) -> APIRouter:
    """`/ask` and the routes below it."""
    router = APIRouter()

    def page(request: Request, sql: str, place: str, name: str = "", **more: Any) -> HTMLResponse:
        """The full page; `more` has the answer or the problem."""
        places = app.tables.places()
        chosen = _known(app, place) or ""
        known: dict[str, Any] = {
            "answer": None,
            "problem": None,
            "save_problem": None,
            "kept": app.questions.list(),
            "places": [(_key(url), app.tables.destination_name(url)) for url in places],
            "place": _key(chosen),
            "sql": sql,
            "named": name,
            "examples": _examples(app, chosen),
            "most": ASK_ROWS,
            "shown_rows": SHOWN_ROWS,
        }
        return render(request, "ask.html", **{**known, **more})

    _asking(app, router, page)
    _keeping(app, router, page)
    return router


def _asking(app: App, router: APIRouter, page: _Page) -> None:
    """The query, its result, and the tables for completion."""

    @router.get("/ask")
    def ask(
        request: Request, question: str = "", sql: str = "", place: str = "", saved: str = "", table: str = ""
    ) -> HTMLResponse:
        found = app.questions.get(question) if question else None
        if question and found is None:
            raise SettingsError(f"saved query {question!r} not found", hint="It may have been removed.")
        if found is not None:
            return page(request, found.sql, _key(found.place or ""), found.name, saved=saved)
        place = place or next((_key(url) for url, names in app.tables.places().items() if table in names), "")
        return page(request, sql or (f"SELECT *\nFROM {_quoted(table)}\nLIMIT 100" if table else ""), place, saved="")

    @router.post("/ask")
    def answer(request: Request, sql: _Field = "", place: _Field = "", name: _Field = "") -> HTMLResponse:
        values = _answered(app, sql, place)
        status = 422 if values["problem"] else 200
        if is_htmx(request):
            return render(request, "parts/answer.html", status_code=status, **values)
        return page(request, sql, place, name, saved="", status_code=status, **values)

    @router.post("/ask/answer.csv")
    def export(request: Request, sql: _Field = "", place: _Field = "", name: _Field = "") -> Response:
        try:
            found = app.tables.ask(sql, url=_known(app, place))
        except CounterfoilError as error:
            return page(request, sql, place, name, saved="", status_code=422, problem=problem_of(error, sql))
        return Download(csv_of(found), name or "answer", ".csv")

    @router.get("/ask/tables")
    def tables(request: Request, place: str = "") -> HTMLResponse:
        url = _known(app, place)
        try:
            names, problem = app.tables.names(url) if url else {}, None
        except CounterfoilError as error:
            names, problem = {}, error
        return render(request, "parts/ask_tables.html", names=names, problem=problem)


def _answered(app: App, sql: str, place: str) -> dict[str, Any]:
    """The values for the template: the answer, or the problem."""
    values: dict[str, Any] = {"answer": None, "problem": None, "shown_rows": SHOWN_ROWS, "most": ASK_ROWS}
    began = time.monotonic()
    try:
        if not sql.strip():
            raise SettingsError("the query is empty", hint="Enter a SELECT, or use one of the examples.")
        found = app.tables.ask(sql, url=_known(app, place))
    except CounterfoilError as error:
        return {**values, "problem": problem_of(error, sql)}
    return {**values, "answer": shown_of(found, time.monotonic() - began)}


def _keeping(app: App, router: APIRouter, page: _Page) -> None:
    """Routes of saved queries."""

    @router.post("/ask/questions")
    def save(request: Request, sql: _Field = "", place: _Field = "", name: _Field = "") -> Response:
        try:
            query = app.questions.save(name, sql, _known(app, place))
        except SettingsError as error:
            return page(request, sql, place, name, saved="", status_code=422, save_problem=error)
        return RedirectResponse(f"/ask?{urlencode({'question': query.name, 'saved': 'yes'})}", status_code=303)

    @router.post("/ask/questions/remove")
    def remove(name: _Field = "") -> Response:
        app.questions.remove(name)
        return RedirectResponse("/ask", status_code=303)


def _known(app: App, place: str) -> str | None:
    """The URL of a dataset's destination for a key; the first destination for unknown keys. Never any other file."""
    places = tuple(app.tables.places())
    return next((url for url in places if _key(url) == place), next(iter(places), None))


def _key(url: str) -> str:
    """The key of a destination in forms and URLs: its own URL may contain a password."""
    return sha256(url.encode()).hexdigest()[:12]


def _examples(app: App, place: str) -> list[tuple[str, str]]:
    """Titles and links of example queries for the tables of a destination."""
    made = []
    for shown in app.datasets.list():
        for target in shown.dataset.targets:
            if target.url == place and shown.last_run is not None:
                source = app.tables.current(shown.dataset, target)
                made += [
                    (title, f"/ask?sql={quote(sql.format(_quoted(source)))}&place={_key(place)}")
                    for title, sql in EXAMPLES.get(shown.dataset.report, ())
                    if source is not None
                ]
    return made[:_MOST_EXAMPLES]


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
