"""The result of a query for the page: rows, charts, a CSV file, or the error and its position."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from counterfoil.app.export.amounts import amount_text
from counterfoil.app.export.formulas import escape_formula
from counterfoil.app.tables import Answer
from counterfoil.errors import CounterfoilError, QueryFailed
from counterfoil.web import charts, formatting
from counterfoil.web.cells import cells_of, is_number

#: Rows of a result that the page shows; the CSV file has all.
SHOWN_ROWS = 500
#: Limits: bars of a bar chart, points of a line chart, charts per result.
_BARS, _POINTS, _CHARTS = 40, 400, 4
_MONTH = re.compile(r"\d{4}(-\d{2}){0,2}")
_PLACE = re.compile(r"\n+LINE (\d+): (.*)\n( *)\^", re.DOTALL)
_NAME = re.compile(r'(?:column|Table) "([^"]+)"|[Nn]ame "?([^\s"]+)"? does not exist')
#: Titles for the kinds of DuckDB errors.
_KINDS = {
    "Parser": "Invalid SQL",
    "Syntax": "Invalid SQL",
    "Binder": "Invalid name",
    "Catalog": "Table or function not found",
}
_OTHER = "DuckDB could not run the query"


@dataclass(frozen=True, slots=True)
class ErrorPosition:
    """The position of an error in a query: line and column, both from 1, and the text of the line."""

    line: int
    column: int
    text: str
    indent: str


def shown_of(found: Answer, seconds: float) -> dict[str, Any]:
    names = [column.name for column in found.columns]
    rows = found.rows[:SHOWN_ROWS]
    return {
        "names": names,
        "numbers": [is_number(column.type) for column in found.columns],
        "rows": cells_of(names, rows),
        "count": len(found.rows),
        "cut": found.cut,
        "seconds": seconds,
        "charts": list(_charts(found)),
        "warnings": found.warnings,
    }


def _charts(found: Answer) -> Iterator[dict[str, Any]]:
    """One chart per numeric column, if the first column labels each row uniquely and the rows fit into a chart."""
    if found.cut or not 2 <= len(found.rows) <= _POINTS or len(found.columns) < 2:
        return
    first, *others = found.columns
    labels = [row[0] for row in found.rows]
    if is_number(first.type) and not first.type.startswith("int"):
        return
    if len({str(label) for label in labels}) < len(labels):
        return  # rows with the same label would be several series
    in_time = isinstance(labels[0], date) or all(_MONTH.fullmatch(str(label)) for label in labels)
    if not in_time and len(labels) > _BARS:
        return
    measures = [(index, one) for index, one in enumerate(others, 1) if is_number(one.type)][:_CHARTS]
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


def _tell(value: float) -> str:
    return formatting.number(int(value)) if value == int(value) else formatting.number(round(value, 3))


def _label(value: Any) -> str:
    if value is None:
        return "null"
    text = f"{value:%Y-%m-%d}" if isinstance(value, datetime) else str(value)
    return text if len(text) <= 24 else text[:23] + "…"


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def csv_of(found: Answer) -> Generator[bytes]:
    """CSV with instants in ISO 8601, exact decimals, empty nulls, and text escaped against spreadsheet formulas."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([escape_formula(column.name) for column in found.columns])
    names = [column.name for column in found.columns]
    currency = names.index("currency") if "currency" in names else None
    for row in found.rows:
        code = None if currency is None else str(row[currency])
        writer.writerow([_plain(value, code) for value in row])
        if buffer.tell() > 64_000:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _plain(value: Any, currency: str | None) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        return escape_formula(value)
    return amount_text(value, currency) if isinstance(value, Decimal) else value


def problem_of(error: CounterfoilError, sql: str) -> dict[str, Any]:
    """The title, text, hint and position of an error, for the template; the position is None if it is unknown."""
    text = error.reason if isinstance(error, QueryFailed) else error.message
    found = _PLACE.search(text)
    place = None
    if found is not None:
        text = text[: found.start()]
        place = _place(int(found[1]), found[2], len(found[3]), sql)
    place = place or _named(text, sql)
    # Some messages of DuckDB end with an exclamation mark.
    text = re.sub(r"!(?=\s|$)", ".", text)
    kind, _, detail = text.partition(" Error: ")
    title = _KINDS.get(kind, _OTHER) if detail and " " not in kind else None
    if kind == "Binder" and place is None:
        title = _OTHER
    hint = None if error.hint == "Check the query." else error.hint
    return {"title": title or text, "text": detail if title else "", "hint": hint, "place": place}


def _place(line: int, shown: str, caret: int, sql: str) -> ErrorPosition:
    """The position from a message of DuckDB, which shortens long lines with dots."""
    indent = caret - len(f"LINE {line}: ")
    cut = shown.startswith("...")
    part = shown.removeprefix("...").removesuffix("...")
    lines = sql.splitlines()
    start = lines[line - 1].find(part) if line <= len(lines) else -1
    column = max(start, 0) + indent - (3 if cut else 0)
    return ErrorPosition(line=line, column=max(1, column + 1), text=shown, indent=" " * max(0, indent))


def _named(text: str, sql: str) -> ErrorPosition | None:
    """The position of the name that an error mentions without a position."""
    found = _NAME.search(text)
    name = found and (found[1] or found[2])
    where = name and re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", sql, re.IGNORECASE)
    if not where:
        return None
    before, line = sql[: where.start()], sql[: where.start()].count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1)
    return ErrorPosition(line=line, column=column + 1, text=sql.splitlines()[line - 1], indent=" " * column)
