"""`/datasets/{dataset}/rows`: the rows of its table, sorted, filtered, paged and exported by the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, cast, get_args

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.app.dictionaries import plain
from counterfoil.app.export.amounts import currencies_of
from counterfoil.app.export.files import file_chunks, json_value
from counterfoil.app.tables import Filter, Test, View
from counterfoil.errors import QueryFailed
from counterfoil.logging import redacted
from counterfoil.web.api import dataset_answers
from counterfoil.web.api.answers import ReportColumn
from counterfoil.web.api.problems import Refused
from counterfoil.web.api.resource import FILES, AsIs, DatasetWord, Form, dataset_of, router_of
from counterfoil.web.downloads import Download

_MOST_ROWS, _FARTHEST = 1000, 10**12
_TESTS = get_args(Test)

_Filters = Annotated[
    list[str] | None,
    Query(
        alias="filter",
        max_length=20,
        description=f"`COLUMN~TEST~VALUE` with one of the tests {', '.join(_TESTS)}. Rows must match all filters.",
    ),
]
_Sort = Annotated[str | None, Query(description="A column to sort by; the prefix `-` sorts in descending order.")]


def routes(app: App) -> APIRouter:
    """Rows, files and profiles of a dataset's table."""
    router = router_of("rows")

    @router.get("/datasets/{dataset}/rows")
    def list_rows(
        dataset: DatasetWord,
        filters: _Filters = None,
        sort: _Sort = None,
        columns: Annotated[list[str] | None, Query(alias="column", description="Return only these columns.")] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 50,
        offset: Annotated[int, Query(ge=0, le=_FARTHEST)] = 0,
    ) -> dataset_answers.Rows:
        """Returns a page of the table. Default order: the order of the report."""
        found = dataset_of(app, dataset)
        only = None if columns is None else _known(app, found.id, columns)
        with _asked():
            page = app.tables.page(found.id, _view(filters, sort), limit=limit, offset=offset, only=only)
        names = [column.name for column in page.columns]
        rows = [dict(zip(names, map(json_value, row), strict=True)) for row in page.rows]
        end = offset + len(rows)
        return dataset_answers.Rows(
            columns=[ReportColumn.model_validate(plain(one)) for one in page.columns],
            rows=rows,
            total=page.total,
            offset=offset,
            next=end if rows and end < page.total else None,
        )

    @router.get("/datasets/{dataset}/rows.{form}", response_class=Response, responses=FILES)
    def export_rows(
        dataset: DatasetWord, form: Form, filters: _Filters = None, sort: _Sort = None, as_is: AsIs = False
    ) -> Response:
        """Exports all rows as a file. More than 50,000 rows are not sorted."""
        found = dataset_of(app, dataset)
        with _asked():
            rows = app.tables.export(found.id, _view(filters, sort))
        chunks = file_chunks(rows, f".{form}", currencies=currencies_of(found.report), as_is=as_is)
        return Download(chunks, found.name, f".{form}")

    @router.get("/datasets/{dataset}/columns/{column}/profile")
    def profile_column(
        dataset: DatasetWord,
        column: Annotated[str, Path(description="A column of the table.")],
        filters: _Filters = None,
    ) -> dataset_answers.Profile:
        """Returns statistics of a column: nulls, distinct values, minimum, maximum, most frequent values."""
        known = dataset_of(app, dataset).id
        with _asked():
            found = app.tables.profile(known, column, _view(filters, None))
        top = [{"value": value, "rows": rows} for value, rows in found.top]
        return dataset_answers.Profile.model_validate({**plain(found), "top": top})

    return router


@contextmanager
def _asked() -> Iterator[None]:
    """Reports a failed query as an invalid request: a filter value does not match the type of its column."""
    try:
        yield
    except QueryFailed as error:
        raise Refused("invalid", error.first_line, "Use a value of the column's type.") from error


def _view(filters: Sequence[str] | None, sort: str | None) -> View:
    return View(filters=tuple(map(_filter, filters or ())), sort=(sort,) if sort else ())


def _filter(words: str) -> Filter:
    column, _, rest = words.partition("~")
    test, _, value = rest.partition("~")
    if not column or test not in _TESTS:
        raise Refused(
            "invalid",
            f"invalid filter: {redacted(words)!r}",
            f"Use COLUMN~TEST~VALUE, such as filter=currency~is~usd. TEST is one of {', '.join(_TESTS)}.",
        )
    return Filter(column=column, test=cast("Test", test), value=value)


def _known(app: App, dataset: str, wanted: Sequence[str]) -> frozenset[str]:
    known = {column.name for column in app.tables.columns(dataset)}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise Refused("invalid", f"the table has no column {redacted(unknown[0])!r}", "Omit column to get all columns.")
    return frozenset(wanted)
