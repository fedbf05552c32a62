"""A question over the datasets: one SELECT, its answer as a table and a chart, and questions that are kept."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from counterfoil.app import App
from counterfoil.app.tables import ASK_ROWS, Answer
from counterfoil.errors import CounterfoilError, SettingsError
from counterfoil.web import charts, words
from counterfoil.web.cells import plain_rows
from counterfoil.web.downloads import Download
from counterfoil.web.problems import is_htmx
from counterfoil.web.rendering import render

#: Rows of an answer that the page shows; the file has all.
SHOWN_ROWS = 500
#: Points that a chart can tell apart, and how many measures get one.
_BARS, _POINTS, _CHARTS = 40, 400, 4
_PLACE = re.compile(r"\n+LINE (\d+): (.*)\n( *)\^", re.DOTALL)
_NAME = re.compile(r'(?:column|Table) "([^"]+)"|[Nn]ame "?([^\s"]+)"? does not exist')
_EXAMPLES = {
    "charges": (
        (
            "Revenue by month",
            "SELECT strftime(created, '%Y-%m') AS month,\n       sum(amount_captured_major - amount_refunded_major) AS"
            " net\nFROM {}\nWHERE status = 'succeeded' AND currency = 'usd'\nGROUP BY month\nORDER BY month",
        ),
        (
            "What fails, and why",
            "SELECT failure_code, count(*) AS charges\nFROM {}\nWHERE status = 'failed'\nGROUP BY ALL\nORDER BY charges DESC",
        ),
    ),
    "customers": (
        (
            "New customers by month",
            "SELECT strftime(created, '%Y-%m') AS month, count(*) AS customers\nFROM {}\nGROUP BY month\nORDER BY month",
        ),
    ),
    "balance_transactions": (
        ("Fees by type", "SELECT type, currency, sum(fee_major) AS fees\nFROM {}\nGROUP BY ALL\nORDER BY fees DESC"),
    ),
    "subscriptions": (
        ("Subscriptions by status", "SELECT status, count(*) AS subscriptions\nFROM {}\nGROUP BY ALL\nORDER BY 2 DESC"),
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question went wrong: its line and its column, both from 1, and the words around it."""

    line: int
    column: int
    text: str
    indent: str


def routes(app: App) -> APIRouter:
    """`/ask`, and what can be done with a question."""
    router = APIRouter()

    def page(request: Request, sql: str, place: str, name: str = "", **more: Any) -> HTMLResponse:
        """The whole page; `more` has the answer, or what is wrong."""
        places = app.tables.places()
        chosen = _known(app, place) or ""
        known: dict[str, Any] = {
            "answer": None,
            "problem": None,
            "save_problem": None,
            "kept": app.questions.list(),
            "places": [(_key(url), app.tables.place_name(url)) for url in places],
            "place": _key(chosen),
            "sql": sql,
            "named": name,
            "examples": _examples(app, chosen),
            "most": ASK_ROWS,
            "shown_rows": SHOWN_ROWS,
        }
        return render(request, "ask.html", **{**known, **more})

    @router.get("/ask")
    def ask(request: Request, question: str = "", sql: str = "", place: str = "", saved: str = "", table: str = "") -> HTMLResponse:
        found = app.questions.get(question) if question else None
        if question and found is None:
            raise SettingsError(f"There is no question {question!r}", hint="It may have been removed.")
        if found is not None:
            return page(request, found.sql, _key(found.place or ""), found.name, saved=saved)
        return page(request, sql or (f"SELECT *\nFROM {_quoted(table)}\nLIMIT 100" if table else ""), place, saved="")

    @router.post("/ask")
    def answer(
        request: Request,
        sql: Annotated[str, Form()] = "",
        place: Annotated[str, Form()] = "",
        name: Annotated[str, Form()] = "",
    ) -> HTMLResponse:
        began = time.monotonic()
        told: dict[str, Any] = {"answer": None, "problem": None, "shown_rows": SHOWN_ROWS, "most": ASK_ROWS}
        try:
            if not sql.strip():
                raise SettingsError("There is no question yet", hint="Write a SELECT, or take one of the examples.")
            found = app.tables.ask(sql, place=_known(app, place))
        except CounterfoilError as error:
            told["problem"] = _problem(error, sql)
        else:
            told["answer"] = _shown(found, time.monotonic() - began)
        status = 422 if told["problem"] else 200
        if is_htmx(request):
            return render(request, "parts/answer.html", status_code=status, **told)
        return page(request, sql, place, name, saved="", status_code=status, **told)

    @router.post("/ask/answer.csv")
    def export(
        request: Request,
        sql: Annotated[str, Form()] = "",
        place: Annotated[str, Form()] = "",
        name: Annotated[str, Form()] = "",
    ) -> Response:
        try:
            found = app.tables.ask(sql, place=_known(app, place))
        except CounterfoilError as error:
            return page(request, sql, place, name, saved="", status_code=422, problem=_problem(error, sql))
        return Download(_lines(found), name or "answer", ".csv")

    @router.post("/ask/questions")
    def save(
        request: Request,
        sql: Annotated[str, Form()] = "",
        place: Annotated[str, Form()] = "",
        name: Annotated[str, Form()] = "",
    ) -> Response:
        try:
            kept = app.questions.save(name, sql, _known(app, place))
        except SettingsError as error:
            return page(request, sql, place, name, saved="", status_code=422, save_problem=error)
        return RedirectResponse(f"/ask?{urlencode({'question': kept.name, 'saved': 'yes'})}", status_code=303)

    @router.post("/ask/questions/remove")
    def remove(name: Annotated[str, Form()] = "") -> Response:
        app.questions.remove(name)
        return RedirectResponse("/ask", status_code=303)

    @router.get("/ask/tables")
    def tables(request: Request, place: str = "") -> HTMLResponse:
        url, problem, names = _known(app, place), None, {}
        try:
            names = app.tables.names(url) if url else {}
        except CounterfoilError as error:
            problem = error
        return render(request, "parts/ask_tables.html", names=names, problem=problem)

    return router


def _known(app: App, place: str) -> str | None:
    """A destination of ours: no form opens another file."""
    places = tuple(app.tables.places())
    return next((url for url in places if _key(url) == place), next(iter(places), None))


def _key(url: str) -> str:
    """How a destination is called in forms and addresses: its URL can hold a password."""
    return sha256(url.encode()).hexdigest()[:12]


def _problem(error: CounterfoilError, sql: str) -> dict[str, Any]:
    """What went wrong, in a sentence, and where, when DuckDB says so."""
    text = error.message.removeprefix("the query failed: ")
    found = _PLACE.search(text)
    place = None
    if found is not None:
        text = text[: found.start()]
        place = _place(int(found[1]), found[2], len(found[3]), sql)
    place = place or _named(text, sql)
    # DuckDB raises its voice now and then.
    text = re.sub(r"!(?=\s|$)", ".", text)
    kind, _, said = text.partition(" Error: ")
    title, text = ("That is not SQL that DuckDB understands", said) if kind in ("Parser", "Syntax") else (None, text)
    if title is None and said and " " not in kind:
        title, text = (
            {"Binder": "A name does not fit", "Catalog": "There is no such table or function"}.get(
                kind, "DuckDB could not answer"
            ),
            said,
        )
    hint = None if error.hint == "Check the query." else error.hint
    return {"title": title or text, "text": text if title else "", "hint": hint, "place": place}


def _place(line: int, told: str, caret: int, sql: str) -> Place:
    """DuckDB shows a part of a long line, with dots where it is cut."""
    indent = caret - len(f"LINE {line}: ")
    cut = told.startswith("...")
    part = told.removeprefix("...").removesuffix("...")
    lines = sql.splitlines()
    start = lines[line - 1].find(part) if line <= len(lines) else -1
    column = max(start, 0) + indent - (3 if cut else 0)
    return Place(line=line, column=max(1, column + 1), text=told, indent=" " * max(0, indent))


def _named(text: str, sql: str) -> Place | None:
    """Where the name stands that an error names without saying where."""
    found = _NAME.search(text)
    name = found and (found[1] or found[2])
    where = name and re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", sql, re.IGNORECASE)
    if not where:
        return None
    before, line = sql[: where.start()], sql[: where.start()].count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1)
    return Place(line=line, column=column + 1, text=sql.splitlines()[line - 1], indent=" " * column)


def _shown(found: Answer, seconds: float) -> dict[str, Any]:
    names = [column.name for column in found.columns]
    rows = found.rows[:SHOWN_ROWS]
    return {
        "names": names,
        "numbers": [_is_number(column.type) for column in found.columns],
        "rows": plain_rows(names, rows, dict.fromkeys(names, False)),
        "count": len(found.rows),
        "cut": found.cut,
        "seconds": seconds,
        "charts": list(_charts(found)),
    }


def _charts(found: Answer) -> Iterator[dict[str, Any]]:
    """A chart for each measure, when the first column labels rows that few enough charts can tell apart."""
    if found.cut or not 2 <= len(found.rows) <= _POINTS or len(found.columns) < 2:
        return
    first, *others = found.columns
    labels = [row[0] for row in found.rows]
    if _is_number(first.type) and not first.type.startswith("int"):
        return
    if len({str(label) for label in labels}) < len(labels):
        return  # several rows for one label are several courses
    in_time = isinstance(labels[0], date) or all(_MONTH.fullmatch(str(label)) for label in labels)
    if not in_time and len(labels) > _BARS:
        return
    measures = [(index, one) for index, one in enumerate(others, 1) if _is_number(one.type)][:_CHARTS]
    width = 900 if len(measures) == 1 else 460
    for index, measure in measures:
        points = [(_label(row[0]), _float(row[index])) for row in found.rows]
        if any(value is not None and value < 0 for _, value in points):
            continue
        draw = charts.line if in_time and len(points) > 2 else charts.bars
        yield {
            "name": measure.name,
            "svg": draw(points, title=f"{measure.name} by {first.name}", height=220, tell=_tell, width=width),
        }


_MONTH = re.compile(r"\d{4}(-\d{2}){0,2}")


def _tell(value: float) -> str:
    return words.number(int(value)) if value == int(value) else words.number(round(value, 3))


def _label(value: Any) -> str:
    if value is None:
        return "null"
    text = f"{value:%Y-%m-%d}" if isinstance(value, datetime) else str(value)
    return text if len(text) <= 24 else text[:23] + "…"


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _is_number(kind: str) -> bool:
    return kind.startswith(("int", "uint", "float", "double", "decimal", "halffloat"))


def _lines(found: Answer) -> Generator[bytes]:
    """As CSV: instants in ISO 8601, decimals exact, null empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([column.name for column in found.columns])
    for row in found.rows:
        writer.writerow([_plain(value) for value in row])
        if buffer.tell() > 64_000:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _examples(app: App, place: str) -> list[tuple[str, str]]:
    """Questions that the tables can answer, as links."""
    made = []
    for shown in app.datasets.list():
        for target in shown.dataset.targets:
            if target.url == place and shown.last_run is not None:
                made += [
                    (title, f"/ask?sql={quote(sql.format(_quoted(target.table)))}&place={_key(place)}")
                    for title, sql in _EXAMPLES.get(shown.dataset.report, ())
                ]
    return made[:6]


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
