"""Tables of datasets: pages of rows, column profiles, exports and SQL queries."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import pyarrow as pa

from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.kinds import kind_of
from counterfoil.destinations.latest_view import latest_of
from counterfoil.destinations.sql.browsing import (
    Filter,
    Test,
    View,
    count_sql,
    page_sql,
    profile_sql,
    rows_sql,
    runs_sql,
    top_sql,
)
from counterfoil.errors import RunError, SettingsError
from counterfoil.reports.catalogue import report as report_of
from counterfoil.runs.run_context import RunContext
from counterfoil.state.dataset import Dataset, Target

__all__ = ["Answer", "Column", "Filter", "Page", "Profile", "SnapshotsAdded", "TableService", "Test", "View"]

#: Limits of a query: time and rows.
ASK_SECONDS, ASK_ROWS = 30, 10_000
#: Exports with more rows are not sorted.
SORTED_ROWS = 50_000
#: How long a user waits for a destination that another process has locked.
_BUSY_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its type in the destination, and its description in the report."""

    name: str
    type: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows of a table. `total` is the number of rows that match the filters."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The profile of a column. `distinct` is approximate; `least` and `greatest` are text."""

    column: Column
    rows: int
    nulls: int
    distinct: int
    least: str | None
    greatest: str | None
    #: The most frequent values with their counts.
    top: tuple[tuple[str | None, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotsAdded:
    """A warning: the query aggregates an append table, which contains snapshots of several runs."""

    table: str
    runs: int
    #: The view of the latest run's rows, where the destination has one.
    latest: str | None
    code: Literal["snapshots_added"] = "snapshots_added"

    @property
    def message(self) -> str:
        """The problem of the result."""
        return f"{self.table} contains snapshots of {self.runs} runs, and this query aggregates all of them"

    @property
    def hint(self) -> str:
        """The recommended query."""
        if self.latest is not None:
            return f"Query {self.latest} for only the rows of the latest run."
        return "Filter by one value of the column _run, or group by it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of a query: at most 10,000 rows, whether rows were cut, and warnings."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut: bool
    warnings: tuple[SnapshotsAdded, ...] = ()


class TableService:
    """Tables of datasets, by the dataset's name or id; of several tables, the first that supports queries."""

    def __init__(self, records: RunContext) -> None:
        self._records = records

    def columns(self, dataset: str) -> tuple[Column, ...]:
        """The columns of the table; RunError if the table does not exist yet."""
        with self._opened(dataset) as (found, target, destination):
            return self._columns(found, target, destination)

    def count(self, dataset: str, view: View | None = None) -> int:
        """The number of rows of the view."""
        with self._opened(dataset) as (found, target, destination):
            names = _typed(self._columns(found, target, destination))
            rows: int = self._one(destination, count_sql(target.table, names, view or View()))["rows"]
            return rows

    def page(
        self, dataset: str, view: View, *, limit: int = 50, offset: int = 0, only: Collection[str] | None = None
    ) -> Page:
        """A page of the view, in the report's order unless it is sorted; all columns, or `only` these."""
        with self._opened(dataset) as (found, target, destination):
            columns = self._columns(found, target, destination)
            names = _typed(columns)
            total = self._one(destination, count_sql(target.table, names, view))["rows"]
            shown = tuple(column for column in columns if only is None or column.name in only)
            read = [column.name for column in shown]
            ordered = _in_order(view, found, columns)
            stored = destination.kind.ordered
            if stored or destination.kind.dialect == "postgresql":
                # Tables in DuckDB are stored in the report's order; tables in Postgres have no order.
                ordered = view if view.sort and stored else ordered
                sql = page_sql(
                    target.table,
                    names,
                    ordered,
                    limit=limit,
                    offset=offset,
                    total=total,
                    only=read,
                    dialect=destination.kind.dialect,
                )
            else:
                sql = rows_sql(target.table, names, ordered, limit=limit, offset=offset, only=read)
            table = destination.query(sql, seconds=ASK_SECONDS).read_all()
            return Page(columns=shown, rows=_rows(table), total=total, offset=offset)

    def profile(self, dataset: str, column: str, view: View | None = None) -> Profile:
        """The profile of a column of the view."""
        view = view or View()
        with self._opened(dataset) as (found, target, destination):
            columns = self._columns(found, target, destination)
            values = self._one(
                destination, profile_sql(target.table, _typed(columns), column, view, destination.kind.dialect)
            )
            top = destination.query(
                top_sql(target.table, _typed(columns), column, view), seconds=ASK_SECONDS
            ).read_all()
            return Profile(
                column=next(one for one in columns if one.name.lower() == column.lower()),
                rows=values["rows"],
                nulls=values["nulls"],
                distinct=values["distinct_values"],
                least=values["least"],
                greatest=values["greatest"],
                top=tuple((value, rows) for value, rows in _rows(top)),
            )

    def export(self, dataset: str, view: View | None = None) -> pa.RecordBatchReader:
        """Streams all rows of the view; the destination stays open until the reader is exhausted or closed.

        More than 50,000 rows are in stored order, without sorting: the memory for a sort grows with the rows.
        """
        view = view or View()
        with self._opened(dataset) as (found, target, destination):
            columns = self._columns(found, target, destination)
            names = _typed(columns)
            few = self._one(destination, count_sql(target.table, names, view))["rows"] <= SORTED_ROWS
            ordered = _in_order(view, found, columns) if few else View(filters=view.filters)
            return destination.query(rows_sql(target.table, names, ordered))

    def ask(self, question: str, *, url: str | None = None) -> Answer:
        """Runs one SELECT over the tables of a destination; RunError if it fails.

        The destination is `url`, or by default the destination of most datasets.
        """
        url = url or next(iter(self.places()), None)
        if url is None:
            raise SettingsError("no tables to query yet", hint="Create a dataset and run it first.")
        destination = self._open(url)
        try:
            with _kept(destination):
                reader = destination.query(question, seconds=ASK_SECONDS)
                columns = tuple(Column(field.name, str(field.type)) for field in reader.schema)
                rows = list(islice(_streamed(reader), ASK_ROWS + 1))
                reader.close()
                warnings = tuple(self._warnings(destination, question, url))
        finally:
            destination.close()
        return Answer(columns=columns, rows=tuple(rows[:ASK_ROWS]), cut=len(rows) > ASK_ROWS, warnings=warnings)

    def _warnings(self, destination: Destination, question: str, url: str) -> Iterator[SnapshotsAdded]:
        """A warning for each append table whose snapshots the query aggregates."""
        datasets = (one for one in self._records.datasets.list() if one.method == "append")
        appended = {target.table for one in datasets for target in one.targets if target.url == url}
        for table in sorted(destination.adds_up(question)):
            view = latest_of(table)
            latest = view if destination.columns(view) is not None else None
            columns = destination.columns(table) if latest or table in appended else None
            if columns is None or "_run" not in dict(columns):
                continue
            runs = self._one(destination, runs_sql(table))["runs"]
            if runs > 1:
                yield SnapshotsAdded(table=table, runs=runs, latest=latest)

    def places(self) -> dict[str, tuple[str, ...]]:
        """The destinations that support queries, with the tables of datasets, those with most tables first."""
        found: dict[str, list[str]] = {}
        for dataset in self._records.datasets.list():
            for target in filter(lambda one: "query" in kind_of(one.url).guarantees, dataset.targets):
                found.setdefault(target.url, []).append(target.table)
        return {url: tuple(sorted(found[url])) for url in sorted(found, key=lambda url: (-len(found[url]), url))}

    def destination_name(self, url: str) -> str:
        """The full name of a destination, without secrets."""
        destination = self._open(url)
        try:
            return destination.name
        finally:
            destination.close()

    def names(self, url: str) -> dict[str, tuple[str, ...]]:
        """Existing tables of datasets in a destination, and their views, with their columns, for completion."""
        destination = self._open(url)
        try:
            known: list[str] = []
            for table in self.places().get(url, ()):
                known += [table, latest_of(table)] if "latest" in destination.kind.guarantees else [table]
            tables = {table: destination.columns(table) for table in known}
        finally:
            destination.close()
        return {table: tuple(name for name, _ in columns) for table, columns in tables.items() if columns}

    def current(self, dataset: Dataset, target: Target) -> str | None:
        """The relation with each row of a dataset once: the table, or the view of an append table's latest snapshot.

        None if the destination has no such view.
        """
        if dataset.method != "append":
            return target.table
        destination = self._open(target.url)
        try:
            return latest_of(target.table) if "latest" in destination.kind.guarantees else None
        finally:
            destination.close()

    @contextmanager
    def _opened(self, dataset: str) -> Iterator[tuple[Dataset, Target, Destination]]:
        found = self._records.datasets.get(dataset)
        target = next((one for one in found.targets if "query" in kind_of(one.url).guarantees), found.targets[0])
        destination = self._open(target.url)
        try:
            with _kept(destination):
                yield found, target, destination
        finally:
            destination.close()

    def _open(self, url: str) -> Destination:
        settings = self._records.settings
        quick = settings.model_copy(update={"busy_seconds": min(settings.busy_seconds, _BUSY_SECONDS)})
        return open_destination(url, relative_to=settings.home, settings=quick)

    @staticmethod
    def _columns(dataset: Dataset, target: Target, destination: Destination) -> tuple[Column, ...]:
        known = destination.columns(target.table)
        if known is None:
            raise RunError(f"dataset {dataset.name!r} has no table yet", hint="Run it first.")
        descriptions = {column.name: column.description for column in report_of(dataset.report).columns}
        return tuple(Column(name, kind, descriptions.get(name, "")) for name, kind in known)

    @staticmethod
    def _one(destination: Destination, sql: str) -> dict[str, Any]:
        found: dict[str, Any] = destination.query(sql, seconds=ASK_SECONDS).read_all().to_pylist()[0]
        return found


def _kept(destination: Destination) -> AbstractContextManager[object]:
    """Keeps data from an object store cached between queries."""
    return destination.holding() if destination.kind.caches else nullcontext()


def _typed(columns: Sequence[Column]) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in columns]


def _in_order(view: View, dataset: Dataset, columns: Sequence[Column]) -> View:
    """Appends the report's order to the sort columns, so that pages never overlap."""
    names = {column.name for column in columns}
    order = [name for name in report_of(dataset.report).order if name.removeprefix("-") in names]
    chosen = {name.removeprefix("-") for name in view.sort}
    return View(filters=view.filters, sort=(*view.sort, *(one for one in order if one.removeprefix("-") not in chosen)))


def _rows(table: pa.Table) -> tuple[tuple[Any, ...], ...]:
    columns = [column.to_pylist() for column in table.columns]
    return tuple(zip(*columns, strict=True)) if columns else ()


def _streamed(reader: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    for batch in reader:
        yield from _rows(pa.Table.from_batches([batch]))
