"""The table of a dataset: sorted, filtered, paged and profiled by the database, and exported as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from counterfoil.app.app import App
from counterfoil.app.datasets.columns import DatasetColumn, dataset_columns
from counterfoil.app.export.amounts import currencies_of
from counterfoil.app.export.files import file_chunks
from counterfoil.app.tables import SORTED_ROWS, Column, Filter, Page, Test, View
from counterfoil.app.values import Dataset
from counterfoil.errors import CounterfoilError, RunError, SettingsError
from counterfoil.web.cells import Cell, cells_of, money_of, whole
from counterfoil.web.downloads import Download
from counterfoil.web.pages.dataset import frame
from counterfoil.web.problems import is_htmx
from counterfoil.web.rendering import render

SIZES = (50, 100, 250)
#: The maximum number of columns shown by default; users can select more.
SHOWN_COLUMNS = 40
TESTS = {
    "is": "is",
    "is_not": "is not",
    "contains": "contains",
    "over": "is greater than",
    "under": "is less than",
    "empty": "is null",
    "filled": "is not null",
}
_ALONE = ("empty", "filled")
_MOST_PAGES, _MOST_FILTERS = 1_000_000_000, 20

Conditions = Annotated[list[str], Query()]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataQuery:
    """Filters and sort order in a URL."""

    filters: tuple[Filter, ...]
    sort: str

    @property
    def view(self) -> View:
        """The view of the table."""
        return View(filters=self.filters, sort=(self.sort,) if self.sort else ())

    def query(self, *, without: Filter | None = None, added: Filter | None = None, **more: object) -> str:
        """The query string of this view, without one filter or with an additional one; `more` are other parameters."""
        kept = [one for one in self.filters if one != without]
        filters = [*kept, *([added] if added is not None and added not in kept else [])]
        pairs = [("f", f"{one.column}~{one.test}~{one.value}") for one in filters]
        if self.sort and "sort" not in more:
            pairs.append(("sort", self.sort))
        pairs += [(name, str(value)) for name, value in more.items() if value not in (None, "")]
        return urlencode(pairs)


def data_query(conditions: Sequence[str], sort: str) -> DataQuery:
    """Parses conditions of the form `column~test~value`; ignores invalid ones."""
    filters = []
    for condition in conditions[:_MOST_FILTERS]:
        column, _, rest = condition.partition("~")
        test, _, value = rest.partition("~")
        if column and test in get_args(Test):
            filters.append(Filter(column=column, test=cast("Test", test), value=value))
    return DataQuery(filters=tuple(filters), sort=sort)


def routes(app: App) -> APIRouter:
    """`/datasets/{dataset}/data` and the routes below it."""
    router = APIRouter()

    @router.get("/datasets/{dataset}/data")
    def data(
        request: Request,
        dataset: str,
        f: Conditions = [],  # noqa: B006 - copied by the framework
        sort: str = "",
        page: int = 1,
        size: int = SIZES[0],
        column: str = "",
        test: str = "is",
        value: str = "",
    ) -> Response:
        wanted = data_query(f, sort)
        if column:
            added = data_query([f"{column}~{test}~{'' if test in _ALONE else value}"], "").filters
            query = wanted.query(added=added[0] if added else None, size=size if size != SIZES[0] else None)
            return RedirectResponse(f"{request.url.path}?{query}", status_code=303)
        values = frame(app, dataset, "Data")
        found: Dataset = values["dataset"]
        size = size if size in SIZES else SIZES[0]
        shown = _shown(app, found, wanted, page, size)
        return render(
            request,
            "data.html",
            status_code=422 if shown["problem"] else 200,
            **values,
            **shown,
            asked=wanted,
            column_options=[("", "Filter by…"), *((one.name, one.name) for one in shown["columns"])],
            sort=sort,
            size=size,
            sizes=SIZES,
            tests=TESTS,
            sorted_rows=SORTED_ROWS,
        )

    @router.get("/datasets/{dataset}/data/profile")
    def profile(
        request: Request,
        dataset: str,
        column: str,
        f: Conditions = [],  # noqa: B006
        sort: str = "",
    ) -> HTMLResponse:
        found, wanted = app.datasets.get(dataset), data_query(f, sort)
        result = app.tables.profile(dataset, column, wanted.view)
        name = result.column.name
        return render(
            request,
            "profile.html",
            part=is_htmx(request),
            dataset=found,
            declared=_declared(found).get(name),
            profile=result,
            unique=result.distinct >= 0.97 * max(1, result.rows - result.nulls),
            asked=wanted,
            back=f"/datasets/{found.id}/data?{wanted.query()}",
            narrowed=lambda value: wanted.query(
                added=Filter(column=name, test="empty" if value is None else "is", value=value or "")
            ),
        )

    @router.get("/datasets/{dataset}/data/row")
    def row(request: Request, dataset: str, f: Conditions = [], column: str = "") -> HTMLResponse:  # noqa: B006
        found = app.datasets.get(dataset)
        page = app.tables.page(dataset, data_query(f, "").view, limit=1)
        if not page.rows:
            raise SettingsError(
                "the row is no longer in the table", hint="A newer run may have replaced it.", code="row_not_found"
            )
        declared = _declared(found)
        cells = _cells(page, declared)[0]
        return render(
            request,
            "row.html",
            part=is_htmx(request),
            dataset=found,
            fields=[
                {"column": known, "declared": declared.get(known.name), "cell": shown, "whole": whole(value)}
                for known, shown, value in zip(page.columns, cells, page.rows[0], strict=True)
                if column in ("", known.name)
            ],
            column=column,
            every=f"/datasets/{found.id}/data/row?{data_query(f, '').query()}",
        )

    @router.post("/datasets/{dataset}/data/columns")
    def columns(
        dataset: str,
        show: Annotated[list[str], Form()] = [],  # noqa: B006
        query: Annotated[str, Form()] = "",
        reset: Annotated[str, Form()] = "",
    ) -> Response:
        found = app.datasets.get(dataset)
        names = [one.name for one in app.tables.columns(found.id)]
        chosen = [name for name in names if name in set(show)]
        app.questions.keep_columns(found.id, None if reset or not chosen else chosen)
        return RedirectResponse(f"/datasets/{found.id}/data" + (f"?{query}" if query else ""), status_code=303)

    @router.get("/datasets/{dataset}/data.csv")
    def csv(dataset: str, f: Conditions = [], sort: str = "") -> Response:  # noqa: B006
        return _file(app, dataset, data_query(f, sort), ".csv")

    @router.get("/datasets/{dataset}/data.xlsx")
    def xlsx(dataset: str, f: Conditions = [], sort: str = "") -> Response:  # noqa: B006
        return _file(app, dataset, data_query(f, sort), ".xlsx")

    @router.get("/datasets/{dataset}/data.parquet")
    def parquet(dataset: str, f: Conditions = [], sort: str = "") -> Response:  # noqa: B006
        return _file(app, dataset, data_query(f, sort), ".parquet")

    return router


def _file(app: App, dataset: str, wanted: DataQuery, suffix: str) -> Download:
    found = app.datasets.get(dataset)
    rows = app.tables.export(found.id, wanted.view)
    return Download(file_chunks(rows, suffix, currencies=currencies_of(found.report)), found.name, suffix)


def _shown(app: App, dataset: Dataset, wanted: DataQuery, number: int, size: int) -> dict[str, Any]:
    """The values for the template: the requested page or the last one, or the problem."""
    none: dict[str, Any] = {"page": None, "number": 1, "rows": [], "columns": (), "visible": (), "has_table": True}
    try:
        known = app.tables.columns(dataset.id)
    except CounterfoilError as error:
        missing = type(error) is RunError
        return {**none, "has_table": not missing, "problem": None if missing else error}
    declared = _declared(dataset)
    chosen = app.questions.columns(dataset.id)
    visible = _visible(known, declared, chosen)
    none |= {"columns": known, "visible": visible, "declared": declared, "is_chosen": chosen is not None}
    number = min(max(1, number), _MOST_PAGES)
    only = _needed(known, visible, declared)
    try:
        page = app.tables.page(dataset.id, wanted.view, limit=size, offset=(number - 1) * size, only=only)
        if not page.rows and page.total:
            number = -(-page.total // size)
            page = app.tables.page(dataset.id, wanted.view, limit=size, offset=(number - 1) * size, only=only)
    except (RunError, SettingsError) as error:
        return {**none, "problem": error}
    places = [index for index, column in enumerate(page.columns) if column.name in visible]
    keys = [index for index, column in enumerate(page.columns) if _is_key(declared, column.name)]
    rows = [
        {"cells": [cells[index] for index in places], "query": _row_query(page.columns, keys, values)}
        for cells, values in zip(_cells(page, declared), page.rows, strict=True)
    ]
    return {**none, "page": page, "number": number, "rows": rows, "problem": None}


def _declared(dataset: Dataset) -> Mapping[str, DatasetColumn]:
    return {column.name: column for column in dataset_columns(dataset)}


def _visible(
    known: Sequence[Column], declared: Mapping[str, DatasetColumn], chosen: Sequence[str] | None
) -> tuple[str, ...]:
    """The selected columns; by default the first ones, with amounts in major units only."""
    names = [column.name for column in known]
    if chosen is not None and (kept := [name for name in names if name in chosen]):
        return tuple(kept)
    majors = {name for name in names if name in declared and declared[name].major}
    hidden = {name.removesuffix("_major") for name in majors}
    plain = [name for name in names if name not in hidden and not name.startswith("_")]
    return tuple(plain[:SHOWN_COLUMNS] or names)


def _needed(known: Sequence[Column], visible: Sequence[str], declared: Mapping[str, DatasetColumn]) -> frozenset[str]:
    """The visible columns, the currencies of their amounts, and the columns that identify a row."""
    currencies = {declared[name].currency or name for name in visible if name in declared}
    keys = {column.name for column in known if _is_key(declared, column.name)}
    return frozenset({*visible, *currencies, *keys})


def _is_key(declared: Mapping[str, DatasetColumn], name: str) -> bool:
    return name == "_run" or (name in declared and declared[name].is_key)


def _row_query(columns: Sequence[Column], keys: Sequence[int], values: Sequence[Any]) -> str:
    """The query string that identifies a row: its key, and its run."""
    filters = tuple(
        Filter(column=columns[index].name, test="empty" if values[index] is None else "is", value=_text(values[index]))
        for index in keys
    )
    return DataQuery(filters=filters, sort="").query()


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _cells(page: Page, declared: Mapping[str, DatasetColumn]) -> list[list[Cell]]:
    json_columns = {column.name for column in page.columns if column.type in ("JSON", "jsonb")}
    names = [column.name for column in page.columns]
    return cells_of(names, page.rows, json_columns=json_columns, money=money_of(declared.values()))
