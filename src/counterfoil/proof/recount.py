"""Reads windows of a list again, and compares Stripe's objects with the table, field by field."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from counterfoil.archive import PartWriter
from counterfoil.columns.column import Column
from counterfoil.columns.flatten import Flattener
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.system import DELETED, EXTRA, SYSTEM_COLUMNS
from counterfoil.destinations.sql.parts_tables import PartsTables
from counterfoil.destinations.sql.text import literal, quoted
from counterfoil.errors import PermissionMissing, SchemaConflict
from counterfoil.extract import Warnings, read
from counterfoil.extract.changes import listings_of
from counterfoil.extract.event_ids import named_since
from counterfoil.proof.check import Check, counted, failed, inconclusive, not_applicable, passed
from counterfoil.proof.compare import Comparison, Excuse, compare
from counterfoil.proof.stripe_requests import StripeRequests
from counterfoil.proof.subject import Subject
from counterfoil.proof.table_queries import one
from counterfoil.reports.report import Preview, Report, Singleton
from counterfoil.stripe.client import API_VERSION
from counterfoil.values import Page, Part, Window

#: Default number of windows to read again, and the number of the table's rows in each.
WINDOWS = 3
WINDOW_ROWS = 200
#: Stripe keeps events for 30 days (https://docs.stripe.com/api/events/list); one day is a margin.
_EVENT_SECONDS = 29 * 86_400
#: Overlap before the run's instant, for objects and events that Stripe listed late.
_OVERLAP_SECONDS = 600
_BATCH_ROWS = 2_000
RUN = next(column for column in SYSTEM_COLUMNS if column.name == "_run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recount:
    """The number of windows to read again, or None for everything. The seed determines the windows."""

    windows: int | None = WINDOWS
    seed: int = 0


class Copy:
    """A copy of the table's rows for comparisons: all rows at once, or only the requested rows each time."""

    def __init__(self, subject: Subject, tables: PartsTables, *, whole: bool) -> None:
        self.subject = subject
        self.tables = tables
        #: The columns of both the table and its report.
        self.columns = _columns(subject)
        self._whole = whole
        self._written = False

    def rows(self, where: str) -> str:
        """The rows that match the condition, as an SQL expression for FROM."""
        if not self._written:
            batches = _held(self.subject, self.columns, "true" if self._whole else where)
            self.put("h", written(batches, (*self.columns, RUN), self.subject.scratch / "held"))
            self._written = self._whole
        return f"(SELECT * FROM h WHERE {where})"  # noqa: S608 - ours

    def put(self, name: str, parts: Sequence[Part]) -> None:
        """Creates a named table with the rows of the parts."""
        self.tables.put(name, _schema((*self.columns, RUN)), [part.path for part in parts if part.rows])


def recount(subject: Subject, inquiry: StripeRequests, asked: Recount, copy: Copy) -> Check:
    """Reads objects created before the run's instant again, and compares them with the table."""
    figures: dict[str, Any] = {"seed": asked.seed, "before": subject.as_of}
    obstacle = _why_not(subject, asked)
    if obstacle is not None:
        return not_applicable("recount", "rows", obstacle, figures)
    windows = _windows(subject, inquiry, asked)
    if not windows:
        return not_applicable("recount", "rows", "The table has no rows that Stripe still lists.", figures)
    changed = _changed_since(subject, inquiry)
    copy.put("l", written(_listed(subject, inquiry, windows, copy.columns), copy.columns, subject.scratch / "listed"))
    until, within = inquiry.date, _within(subject.report, windows)
    found = compare(
        copy.tables,
        copy.rows(within),
        f"(SELECT * FROM l WHERE {within})",  # noqa: S608 - ours
        copy.columns,
        subject.key,
        excuse=_excuse(subject, changed, until),
        rewritten=_rewrites(subject),
    )
    figures |= {
        "windows": "all" if asked.windows is None else [[window.since, window.until] for window in windows],
        "at": until,
        "columns": len(copy.columns),
        **figures_of(found),
    }
    return _judged(subject, found, figures, all_reported=changed is not None)


def _why_not(subject: Subject, asked: Recount) -> str | None:
    """The reason why the rows can't be read again; None if they can."""
    if isinstance(subject.report.source, Preview | Singleton):
        return "The rows are a snapshot, which can't be read again."
    if asked.windows is not None and subject.report.created is None:
        return "The rows have no creation time to select windows by; --recount all reads all of them again."
    if subject.api_version != API_VERSION:
        return f"The run used version {subject.api_version} of the Stripe API, but the current one is {API_VERSION}."
    return None


def contents(subject: Subject, copy: Copy) -> Check:
    """Compares the table with the run's archive, which is the table `parts`, without API requests.

    For a merge, only the rows that the run loaded, by their `_run`.
    """
    if subject.ledger is None:
        return not_applicable("coverage", "contents", "The archive of the run was deleted.")
    if not subject.ledger.is_there:
        return inconclusive("coverage", "contents", "A part of the run's archive is missing.")
    merged = subject.method == "merge"
    window = subject.window if subject.method == "partition" else Window()
    where = f"_run = {literal(subject.run)}" if merged else _within(subject.report, [window])
    found = compare(
        copy.tables,
        copy.rows(where),
        "parts",
        copy.columns,
        subject.key,
        excuse=_none_excused,
        brought=merged,
        rewritten=_rewrites(subject),
    )
    figures = figures_of(found)
    what = "The rows that the run loaded are" if merged else "The table is"
    if found.faults:
        reason = f"{what} not identical to the archive: another program changed the table."
        return failed("coverage", "contents", reason, figures, found.differences, different=found.faults.total())
    return passed("coverage", "contents", f"{what} identical to the archive ({counted(found.held, 'row')}).", figures)


def figures_of(found: Comparison) -> dict[str, Any]:
    """A comparison's figures."""
    return {
        "rows_in_the_table": found.held,
        "rows_expected": found.listed,
        "faults": dict(found.faults),
        "fields": dict(found.fields),
        "changed_since": found.excused,
        "all_looked_at": not found.cut,
    }


def written(batches: Iterable[pa.RecordBatch], columns: Sequence[Column], folder: Path) -> tuple[Part, ...]:
    """Writes the batches as parts to a new folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    writer = PartWriter(folder, _schema(columns))
    for batch in batches:
        writer.write(batch)
    writer.cut()
    return tuple(writer.parts)


def _rewrites(subject: Subject) -> bool:
    """Whether the destination stores JSON reformatted, like jsonb in Postgres."""
    return subject.destination.kind.dialect == "postgresql"


def _is_told(report: Report) -> bool:
    """Whether events report every change of the report's rows."""
    silent = report.parents is not None and bool(report.parents.silent)
    return not silent and report.changes not in ("reread", "immutable")


def _judged(subject: Subject, found: Comparison, figures: Mapping[str, Any], *, all_reported: bool) -> Check:
    total = found.faults.total()
    if not total:
        gone = f"; not compared: {counted(found.excused, 'row')} changed after the run" if found.excused else ""
        well = f"The table matches Stripe's list field by field in {counted(found.listed, 'row')}{gone}."
        return passed("recount", "rows", well, figures)
    words = ", ".join(f"{counted(count, 'row')} {kind}" for kind, count in found.faults.items())
    ill = f"The table differs from Stripe's list: {words}."
    only_values = set(found.faults) == {"different"}
    if only_values and not (all_reported and _is_told(subject.report)):
        ill = f"{ill} These values may have changed after the run. Run the dataset and check it again."
        return inconclusive("recount", "rows", ill, figures, found.differences, different=total)
    return failed("recount", "rows", ill, figures, found.differences, different=total)


def _columns(subject: Subject) -> tuple[Column, ...]:
    """The columns that both sides have."""
    existing = {name for name, _ in subject.destination.columns(subject.table) or ()}
    return tuple(column for column in (*subject.report.columns, EXTRA) if column.name in existing)


def _schema(columns: Sequence[Column]) -> pa.Schema:
    """The schema for comparisons. JSON is text, because it is compared as text first."""
    return pa.schema([pa.field(field.name, field.type) for field in arrow_schema(columns)])


def _windows(subject: Subject, inquiry: StripeRequests, asked: Recount) -> list[Window]:
    """The windows to read again, within the dataset's window and before the run's instant."""
    since, created = subject.window.since, subject.report.created
    if subject.report.changes == "immutable":
        inquiry.get("/v1/events", {"limit": 1})  # for Stripe's clock
        since = max(since or 0, inquiry.date - _EVENT_SECONDS)
    if created is None:
        return [Window()]
    until = min(subject.as_of, subject.window.until or subject.as_of)
    whole = Window(since, max(until, since or until))
    if asked.windows is None:
        return [whole]
    where = _condition(created, whole)
    total = one(subject.destination.query, f"SELECT count(*) AS n FROM {subject.source} AS held WHERE {where}")["n"]  # noqa: S608 - quoted
    if total <= asked.windows * WINDOW_ROWS:
        return [whole]
    pieces = sorted(random.Random(asked.seed).sample(range(-(-total // WINDOW_ROWS)), asked.windows))
    return _joined([_piece(subject, created, whole, where, piece, total) for piece in pieces])


def _piece(subject: Subject, created: str, whole: Window, where: str, piece: int, total: int) -> Window:
    """The window of one piece of the table's rows. The first and the last piece extend to the ends of the range."""
    first, behind = piece * WINDOW_ROWS, (piece + 1) * WINDOW_ROWS
    return Window(
        whole.since if first == 0 else _instant(subject, created, where, first),
        whole.until if behind >= total else _instant(subject, created, where, behind),
    )


def _instant(subject: Subject, created: str, where: str, number: int) -> int:
    name = quoted(created)
    sql = f"SELECT {name} AS at FROM {subject.source} AS held WHERE {where} ORDER BY {name} LIMIT 1 OFFSET {number}"  # noqa: S608 - quoted
    at: datetime = one(subject.destination.query, sql)["at"]
    return int(at.timestamp())


def _joined(windows: Sequence[Window]) -> list[Window]:
    """The windows with adjacent ones joined, without empty ones, which occur if many rows have the same second."""
    joined: list[Window] = []
    for window in windows:
        if joined and joined[-1].until == window.since:
            joined[-1] = Window(joined[-1].since, window.until)
        else:
            joined.append(window)
    return [window for window in joined if window.since is None or window.since != window.until]


def _condition(created: str, window: Window) -> str:
    bounds = [f"{quoted(created)} >= to_timestamp({window.since})"] if window.since is not None else []
    bounds += [f"{quoted(created)} < to_timestamp({window.until})"] if window.until is not None else []
    return f"({' AND '.join(bounds) or 'true'})"


def _within(report: Report, windows: Sequence[Window]) -> str:
    """The SQL condition for rows created in one of the windows; without a creation time, it matches every row."""
    if report.created is None or list(windows) == [Window()]:
        return "true"
    return f"({' OR '.join(_condition(report.created, window) for window in windows)})"


def _listed(
    subject: Subject, inquiry: StripeRequests, windows: Sequence[Window], columns: Sequence[Column]
) -> Iterator[pa.RecordBatch]:
    """The objects that Stripe lists now, converted like the dataset's rows."""
    flattener = Flattener((*subject.report.columns, DELETED), digits=subject.digits)
    names, redact = [column.name for column in columns], subject.redact
    for window in windows:
        with closing(_pages(subject, inquiry, window)) as pages:
            for page in pages:
                flattener.add(page.objects if redact is None else [redact(each) for each in page.objects])
                if flattener.rows >= _BATCH_ROWS:
                    yield _plain(flattener.flush(), names)
    if flattener.rows:
        yield _plain(flattener.flush(), names)


def _pages(subject: Subject, inquiry: StripeRequests, window: Window) -> Generator[Page, None, None]:
    return read(inquiry.client, subject.report, window, notices=Warnings(), params=subject.params, check=inquiry.check)


def _held(subject: Subject, columns: Sequence[Column], where: str) -> Iterator[pa.RecordBatch]:
    """The table's rows that match the condition."""
    chosen = ", ".join(
        f"CAST({quoted(column.name)} AS VARCHAR) AS {quoted(column.name)}"
        if column.type == "json"
        else quoted(column.name)
        for column in (*columns, RUN)
    )
    schema = _schema((*columns, RUN))
    for batch in subject.destination.query(f"SELECT {chosen} FROM {subject.source} AS held WHERE {where}"):  # noqa: S608 - quoted
        try:
            yield batch.cast(schema)
        except pa.ArrowException as error:
            raise SchemaConflict(f"the types of table {subject.table} differ from its report: {error}") from error


def _none_excused(*_: object) -> bool:
    return False


def _plain(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    chosen = batch.select(list(names))
    return pa.RecordBatch.from_arrays(chosen.columns, names=list(names))


def _changed_since(subject: Subject, inquiry: StripeRequests) -> frozenset[str] | None:
    """Ids of rows, or of their parents, in events since the run; None if events do not show all changes."""
    report = subject.report
    if not report.events:
        return frozenset() if report.changes in ("pending", "immutable") else None
    types = {column.name: column.type for column in report.columns}
    if report.parents is not None and types.get(report.parents.column) != "id":
        return None  # left out or hashed: rows cannot be assigned to parents
    fields = {kind: listing.created for kind, listing in listings_of(report).items()}
    since = subject.as_of - _OVERLAP_SECONDS
    if inquiry.date and inquiry.date - since > _EVENT_SECONDS:
        return None
    try:
        named = inquiry.wait(lambda: named_since(inquiry.client, report, fields, since, notices=Warnings()))
    except PermissionMissing:
        return None
    return None if named is None else frozenset(id_ for wanted in named.values() for id_ in wanted)


def _excuse(subject: Subject, changed: frozenset[str] | None, now: int) -> Excuse:
    """Accepts differences in rows that changed after the run, and in a status that changes without an event."""
    report = subject.report
    names = [*subject.key, *([report.parents.column] if report.parents else [])]
    rule = report.pending

    def excused(held: Mapping[str, Any] | None, listed: Mapping[str, Any] | None, differing: Sequence[str]) -> bool:
        row = held or listed or {}
        if changed and any(row.get(name) in changed for name in names):
            return True
        if rule is None or held is None or listed is None or list(differing) != [rule.column]:
            return False
        due = held.get(rule.due)
        return held[rule.column] == rule.value and due is not None and subject.as_of <= due.timestamp() <= now

    return excused
