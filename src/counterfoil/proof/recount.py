"""Reads windows of a list again, and compares what Stripe lists with the table, field by field."""

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

#: Windows that are read again unless told otherwise, and rows of the table that one spans.
WINDOWS = 3
WINDOW_ROWS = 200
#: Stripe keeps events for 30 days (https://docs.stripe.com/api/events/list); one is left for what is under way.
_EVENT_SECONDS = 29 * 86_400
#: Before the run's instant: what was listed late, and events that came late.
_OVERLAP_SECONDS = 600
_BATCH_ROWS = 2_000
RUN = next(column for column in SYSTEM_COLUMNS if column.name == "_run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recount:
    """What is to be read again: so many windows, or everything (None); which windows the seed says."""

    windows: int | None = WINDOWS
    seed: int = 0


class Copy:
    """The table's rows beside what they are compared with: all of them once, or each time those that are wanted."""

    def __init__(self, subject: Subject, tables: PartsTables, *, whole: bool) -> None:
        self.subject = subject
        self.tables = tables
        #: Those that the table and its report both have.
        self.columns = _columns(subject)
        self._whole = whole
        self._written = False

    def rows(self, where: str) -> str:
        """Rows for which the condition holds, as stands between FROM and AS."""
        if not self._written:
            batches = _held(self.subject, self.columns, "true" if self._whole else where)
            self.put("h", written(batches, (*self.columns, RUN), self.subject.scratch / "held"))
            self._written = self._whole
        return f"(SELECT * FROM h WHERE {where})"  # noqa: S608 - ours

    def put(self, name: str, parts: Sequence[Part]) -> None:
        """Gives the rows of parts a name."""
        self.tables.put(name, _schema((*self.columns, RUN)), [part.path for part in parts if part.rows])


def recount(subject: Subject, inquiry: StripeRequests, asked: Recount, copy: Copy) -> Check:
    """Reads again and compares, of the rows that were created before the run's instant."""
    figures: dict[str, Any] = {"seed": asked.seed, "before": subject.as_of}
    told = _why_not(subject, asked)
    if told is not None:
        return not_applicable("recount", "rows", told, figures)
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
    return _judged(subject, found, figures, told=changed is not None)


def _why_not(subject: Subject, asked: Recount) -> str | None:
    """Why the rows can't be read again; None when they can."""
    if isinstance(subject.report.source, Preview | Singleton):
        return "Each run's rows are those of a moment, which can't be read again."
    if asked.windows is not None and subject.report.created is None:
        return "The rows have no time of creation to choose some by; all of them can be read again (--recount all)."
    if subject.api_version != API_VERSION:
        return f"The run read version {subject.api_version} of Stripe's API, and {API_VERSION} is read now."
    return None


def contents(subject: Subject, copy: Copy) -> Check:
    """The table against what the run read, which is `parts` beside it: nothing is asked of Stripe.

    Of a merge those rows that the run brought, which is what their `_run` says.
    """
    if subject.ledger is None:
        return not_applicable("coverage", "contents", "What the run read is kept no longer.")
    if not subject.ledger.is_there:
        return inconclusive("coverage", "contents", "A part of what the run read is missing.")
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
    what = "Rows that the run brought are" if merged else "The table is"
    if found.faults:
        told = f"{what} not what the run read: something else has changed the table."
        return failed("coverage", "contents", told, figures, found.differences, different=found.faults.total())
    return passed("coverage", "contents", f"{what} what the run read, in {counted(found.held, 'row')}.", figures)


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
    """The batches as parts in a folder of their own."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    writer = PartWriter(folder, _schema(columns))
    for batch in batches:
        writer.write(batch)
    writer.cut()
    return tuple(writer.parts)


def _rewrites(subject: Subject) -> bool:
    """Whether the destination keeps what JSON says and not how it was written, as Postgres' jsonb does."""
    return subject.destination.kind.dialect == "postgresql"


def _is_told(report: Report) -> bool:
    """Whether events tell of every change of the report's rows."""
    silent = report.parents is not None and bool(report.parents.silent)
    return not silent and report.changes not in ("reread", "immutable")


def _judged(subject: Subject, found: Comparison, figures: Mapping[str, Any], *, told: bool) -> Check:
    total = found.faults.total()
    if not total:
        gone = f"; {counted(found.excused, 'row')} that changed after the run left out" if found.excused else ""
        well = f"The table is what Stripe lists, field by field, in {counted(found.listed, 'row')}{gone}."
        return passed("recount", "rows", well, figures)
    words = ", ".join(f"{counted(count, 'row')} {kind}" for kind, count in found.faults.items())
    ill = f"The table is not what Stripe lists: {words}."
    only_values = set(found.faults) == {"different"}
    if only_values and not (told and _is_told(subject.report)):
        ill = f"{ill} Nothing tells whether that changed after the run: run the dataset and prove it again."
        return inconclusive("recount", "rows", ill, figures, found.differences, different=total)
    return failed("recount", "rows", ill, figures, found.differences, different=total)


def _columns(subject: Subject) -> tuple[Column, ...]:
    """Those that both sides have."""
    there = {name for name, _ in subject.destination.columns(subject.table) or ()}
    return tuple(column for column in (*subject.report.columns, EXTRA) if column.name in there)


def _schema(columns: Sequence[Column]) -> pa.Schema:
    """JSON is text here: it is compared as such first."""
    return pa.schema([pa.field(field.name, field.type) for field in arrow_schema(columns)])


def _windows(subject: Subject, inquiry: StripeRequests, asked: Recount) -> list[Window]:
    """What is listed again, in the dataset's own window and before the run's instant."""
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
    """The range from one row of the table to another; the first and the last piece reach to the ends."""
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
    """Neighbours as one; an empty one, as of rows in one second, is left out."""
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
    """Whether a row was created in one of them; without a time of creation every row was."""
    if report.created is None or list(windows) == [Window()]:
        return "true"
    return f"({' OR '.join(_condition(report.created, window) for window in windows)})"


def _listed(
    subject: Subject, inquiry: StripeRequests, windows: Sequence[Window], columns: Sequence[Column]
) -> Iterator[pa.RecordBatch]:
    """What Stripe lists now, as the dataset would keep it."""
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
    """The table's rows for which the condition holds."""
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
            raise SchemaConflict(f"The table {subject.table} has other types than its report: {error}") from error


def _none_excused(*_: object) -> bool:
    return False


def _plain(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    chosen = batch.select(list(names))
    return pa.RecordBatch.from_arrays(chosen.columns, names=list(names))


def _changed_since(subject: Subject, inquiry: StripeRequests) -> frozenset[str] | None:
    """Ids, of rows or of their parents, that events name since the run; None where nothing tells."""
    report = subject.report
    if not report.events:
        return frozenset() if report.changes in ("pending", "immutable") else None
    types = {column.name: column.type for column in report.columns}
    if report.parents is not None and types.get(report.parents.column) != "id":
        return None  # left out or hashed: no row tells whose it is
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
    """What may differ: rows that changed after the run, and a status that changes by itself when its time comes."""
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
