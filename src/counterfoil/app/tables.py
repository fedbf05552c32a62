"""What is in the tables of datasets: pages, profiles and exports of one, and questions over all of them."""

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

#: Limits of a question of a person's.
ASK_SECONDS, ASK_ROWS = 30, 10_000
#: How many rows of an export are sorted.
SORTED_ROWS = 50_000
#: How long a person waits for a destination that another process holds.
_BUSY_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Column:
    """Name and type, as the destination spells it, and what the report says of it."""

    name: str
    type: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows of a table. `total` counts the rows that the filters leave."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is in one column. `distinct` is about right; the greatest and the least are as text."""

    column: Column
    rows: int
    nulls: int
    distinct: int
    least: str | None
    greatest: str | None
    #: The most frequent values with how often.
    top: tuple[tuple[str | None, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotsAdded:
    """A warning: the question adds up an append table, which holds the rows of several runs."""

    table: str
    runs: int
    #: The view of the latest run's rows, where the destination has one.
    latest: str | None
    code: Literal["snapshots_added"] = "snapshots_added"

    @property
    def message(self) -> str:
        """What is odd about the answer."""
        return f"{self.table} holds the rows of {self.runs} runs, and this question adds all of them up"

    @property
    def hint(self) -> str:
        """What to ask instead."""
        if self.latest is not None:
            return f"{self.latest} has only the rows of the latest run."
        return "Choose one run by the column _run, or group by it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a question gave: its first 10,000 rows at most, whether there were more, and what is odd about them."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut: bool
    warnings: tuple[SnapshotsAdded, ...] = ()


class TableService:
    """Tables of datasets, by the dataset's name or id; of several tables the first that can be asked."""

    def __init__(self, records: RunContext) -> None:
        self._records = records

    def columns(self, dataset: str) -> tuple[Column, ...]:
        """The columns of the table; RunError while there is none."""
        with self._opened(dataset) as (found, target, destination):
            return self._columns(found, target, destination)

    def count(self, dataset: str, view: View | None = None) -> int:
        """How many rows the view has."""
        with self._opened(dataset) as (found, target, destination):
            names = _typed(self._columns(found, target, destination))
            rows: int = self._one(destination, count_sql(target.table, names, view or View()))["rows"]
            return rows

    def page(
        self, dataset: str, view: View, *, limit: int = 50, offset: int = 0, only: Collection[str] | None = None
    ) -> Page:
        """A page of the view, in the report's own order unless it is sorted; of all columns or `only` of some."""
        with self._opened(dataset) as (found, target, destination):
            columns = self._columns(found, target, destination)
            names = _typed(columns)
            total = self._one(destination, count_sql(target.table, names, view))["rows"]
            shown = tuple(column for column in columns if only is None or column.name in only)
            read = [column.name for column in shown]
            ordered = _in_order(view, found, columns)
            stored = destination.kind.ordered
            if stored or destination.kind.dialect == "postgresql":
                # A table of DuckDB's is stored in the report's order; Postgres' are in none.
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
        """What is in a column of the view."""
        view = view or View()
        with self._opened(dataset) as (found, target, destination):
            columns = self._columns(found, target, destination)
            told = self._one(
                destination, profile_sql(target.table, _typed(columns), column, view, destination.kind.dialect)
            )
            top = destination.query(
                top_sql(target.table, _typed(columns), column, view), seconds=ASK_SECONDS
            ).read_all()
            return Profile(
                column=next(one for one in columns if one.name.lower() == column.lower()),
                rows=told["rows"],
                nulls=told["nulls"],
                distinct=told["distinct_values"],
                least=told["least"],
                greatest=told["greatest"],
                top=tuple((value, rows) for value, rows in _rows(top)),
            )

    def export(self, dataset: str, view: View | None = None) -> pa.RecordBatchReader:
        """All rows of the view as a stream; the destination is held until it is read to its end or closed.

        More than 50,000 rows come as they are stored, whatever the view is sorted by: to sort whole rows takes more
        memory the more there are.
        """
        view = view or View()
        with self._opened(dataset) as (found, target, destination):
            columns = self._columns(found, target, destination)
            names = _typed(columns)
            few = self._one(destination, count_sql(target.table, names, view))["rows"] <= SORTED_ROWS
            ordered = _in_order(view, found, columns) if few else View(filters=view.filters)
            return destination.query(rows_sql(target.table, names, ordered))

    def ask(self, question: str, *, url: str | None = None) -> Answer:
        """The answer to one SELECT over the tables of a destination; RunError says why there is none.

        The destination is that of the URL, or the one that most datasets have.
        """
        url = url or next(iter(self.places()), None)
        if url is None:
            raise SettingsError("There is no table to ask yet", hint="Create a dataset and run it first.")
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
        """Append tables of which the question adds up the rows of several runs."""
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
        """The destinations of all datasets that can be asked, with the tables that are there, the fullest first."""
        found: dict[str, list[str]] = {}
        for dataset in self._records.datasets.list():
            for target in filter(lambda one: "query" in kind_of(one.url).guarantees, dataset.targets):
                found.setdefault(target.url, []).append(target.table)
        return {url: tuple(sorted(found[url])) for url in sorted(found, key=lambda url: (-len(found[url]), url))}

    def destination_name(self, url: str) -> str:
        """Where a destination is, in full and without anything secret."""
        destination = self._open(url)
        try:
            return destination.name
        finally:
            destination.close()

    def names(self, url: str) -> dict[str, tuple[str, ...]]:
        """Tables of datasets in a destination, and views beside them, with their columns, for completion.

        Those that are not there lack.
        """
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
        """What has each row of a dataset once: its table, or the view of an append table's latest snapshot.

        None where the destination has no such view.
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
            raise RunError(f"The dataset {dataset.name!r} has no table yet", hint="Run it first.")
        told = {column.name: column.description for column in report_of(dataset.report).columns}
        return tuple(Column(name, kind, told.get(name, "")) for name, kind in known)

    @staticmethod
    def _one(destination: Destination, sql: str) -> dict[str, Any]:
        found: dict[str, Any] = destination.query(sql, seconds=ASK_SECONDS).read_all().to_pylist()[0]
        return found


def _kept(destination: Destination) -> AbstractContextManager[object]:
    """What one question fetches from a store is there for the next."""
    return destination.holding() if destination.kind.caches else nullcontext()


def _typed(columns: Sequence[Column]) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in columns]


def _in_order(view: View, dataset: Dataset, columns: Sequence[Column]) -> View:
    """The report's order behind what was chosen, so that pages never overlap."""
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
