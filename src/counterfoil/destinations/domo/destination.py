"""The Domo destination: a table is a DataSet, and a load is one execution of its Stream.

Rows become visible when their execution is committed. Columns are set before, in a separate step: see
`docs/destinations.md`.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Unpack

import pyarrow as pa

from counterfoil.destinations.cancellation import check_stop
from counterfoil.destinations.domo.api import SUCCESS, DataSet, DomoApi, Stream, UpdateMethod
from counterfoil.destinations.domo.client import WAIT_SECONDS, DomoClient, DomoTokens
from counterfoil.destinations.domo.csv import PART_BYTES, batches_of, widened
from counterfoil.destinations.domo.kind import DOMO
from counterfoil.destinations.domo.tables import Record, record_in
from counterfoil.destinations.domo.upload import Upload, ended_well, giving_up
from counterfoil.destinations.domo.url import domo_address
from counterfoil.destinations.lock_wait import file_locked
from counterfoil.destinations.protocol import (
    REPLAY,
    Guard,
    LoadHooks,
    Progress,
    Stop,
    check_load,
    check_rows,
    files_of,
    no_query,
    not_ours,
    rebuilt,
)
from counterfoil.destinations.sql.errors import mapped
from counterfoil.destinations.sql.query import schema_of
from counterfoil.destinations.sql.text import quoted
from counterfoil.errors import CounterfoilError, DestinationBusy, DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Part

#: How long a load waits for an execution that a killed load may have committed, before it aborts that.
_LEFT_OVER_SECONDS = 60.0
#: Attempts per request to undo a failed load; the next load undoes it too.
_UNDO_TRIES = 2

Columns = list[tuple[str, str]]
#: Takes the present columns; returns the columns after the load, and its rows.
Content = Callable[[Columns, Path], AbstractContextManager[tuple[Columns, Iterable[pa.RecordBatch] | None]]]


@dataclass(frozen=True, slots=True)
class _Table:
    """A DataSet as found. Without a record, Counterfoil did not create it."""

    dataset: DataSet
    record: Record | None

    @property
    def loaded(self) -> bool:
        """False for a DataSet that was created by a load that failed."""
        return self.record is None or bool(self.record.notes)


class DomoDestination:
    """The DataSets of one Domo instance."""

    kind = DOMO

    def __init__(
        self, url: str, settings: Settings, *, part_bytes: int = PART_BYTES, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self._place = domo_address(url)
        self._tokens = DomoTokens()
        self._settings = settings
        self._part_bytes = part_bytes
        self._wait_seconds = wait_seconds
        self._archive = settings.archive.resolve()
        self.name = self._place.name

    def load(self, load: Load, schema: pa.Schema, parts: Sequence[Part], **hooks: Unpack[LoadHooks]) -> Loaded:
        check_load(load, schema, self.kind)
        files = files_of(parts, self._archive)

        @contextmanager
        def content(present: Columns, _spool: Path) -> Iterator[tuple[Columns, Iterable[pa.RecordBatch] | None]]:
            columns = widened([] if load.method == "replace" else present, load.table, schema)
            yield columns, batches_of(files, schema) if files else None

        return self._apply(load, load.method, content, parts, **hooks)

    def replay(
        self, loads: Sequence[tuple[Load, Sequence[Part]]], schema: pa.Schema, *, run: str, **hooks: Unpack[LoadHooks]
    ) -> Loaded:
        from counterfoil.destinations.duckdb.destination import DuckDBDestination

        whole = rebuilt(loads, run)

        @contextmanager
        def content(_present: Columns, spool: Path) -> Iterator[tuple[Columns, Iterable[pa.RecordBatch] | None]]:
            columns: Columns = []
            for load, parts in loads:
                files = files_of(parts, self._archive)
                own = schema_of(files[0]) if files else schema
                check_load(load, own, self.kind)
                columns = widened([] if load.method == "replace" else columns, load.table, own)
            columns = widened(columns, whole.table, schema)
            with TemporaryDirectory(dir=spool) as folder:
                scratch = DuckDBDestination(Path(folder, "scratch.duckdb"), self._settings)
                rows = scratch.replay(loads, schema, run=run, stop=hooks.get("stop")).rows
                with scratch.holding():
                    table = f"SELECT * FROM {quoted(whole.table)}"  # noqa: S608 - quoted
                    yield columns, scratch.query(table) if rows else None

        return self._apply(whole, REPLAY, content, None, **hooks)

    def check(self) -> None:
        self._api().check()

    def drop(self, table: str) -> bool:
        api = self._api()
        if self._found(api, table) is None:
            return False
        with self._held(table, None, None):
            found = self._found(api, table)
            if found is None:
                return False
            if found.record is None:
                raise not_ours(table, self.name)
            api.delete(found.dataset)
            return found.loaded

    def has_load(self, load: Load) -> bool:
        found = self._seen(load.table)
        return found is not None and found.record is not None and found.record.loaded(load.run) is not None

    def columns(self, table: str) -> tuple[tuple[str, str], ...] | None:
        found = self._seen(table)
        return found.dataset.columns if found else None

    def rows(self, table: str) -> int | None:
        found = self._seen(table)
        return found.dataset.rows if found else None

    def scopes(self, table: str) -> tuple[Mapping[str, Any], ...] | None:
        found = self._seen(table)
        return found.record.scopes() if found and found.record else None

    def query(self, sql: str, *, seconds: float | None = None) -> pa.RecordBatchReader:  # noqa: ARG002
        raise no_query(self.name)

    def adds_up(self, sql: str) -> frozenset[str]:  # noqa: ARG002
        raise no_query(self.name)

    def holding(self, *_: object) -> AbstractContextManager[object]:
        return nullcontext()

    def close(self) -> None:
        """Nothing is held between calls."""

    def _api(self) -> DomoApi:
        most = self._settings.response_megabytes
        return DomoApi(DomoClient(self._place, self._tokens, most_megabytes=most, wait_seconds=self._wait_seconds))

    def _apply(
        self,
        load: Load,
        method: str,
        content: Content,
        parts: Sequence[Part] | None,
        progress: Progress | None = None,
        guard: Guard | None = None,
        stop: Stop | None = None,
    ) -> Loaded:
        """Runs one execution. `method` is for the record; `parts` define the expected number of rows."""
        check_stop(stop)
        api = self._api()
        with self._held(load.table, progress, stop) as spool, mapped(self.name):
            found = self._settled(api, load.table)
            if found and found.record and (before := found.record.loaded(load.run)):
                return before
            if found and found.record is None and not load.overwrite:
                raise not_ours(load.table, self.name)
            present = list(found.dataset.columns) if found and found.loaded else []
            update: UpdateMethod = "APPEND" if method == "append" else "REPLACE"
            with ExitStack() as undo:
                with giving_up(api, stop), content(present, spool) as (columns, batches):
                    change = _Change(api, self.name, load, self._opened(api, found, load, columns, update))
                    undo.callback(change.undo)
                    change.shape(columns, update)
                    rows = change.send(columns, batches, spool, self._part_bytes, progress=progress)
                if parts is not None:
                    check_rows(load, parts, rows)
                deleted_count = found.dataset.rows if found and update == "REPLACE" else 0
                done = Loaded(rows=rows, added=rows, deleted=deleted_count)
                change.note(done, method, guard)
                undo.pop_all()
            change.commit()
            return done

    def _opened(
        self, api: DomoApi, found: _Table | None, load: Load, columns: Columns, update: UpdateMethod
    ) -> tuple[DataSet, Stream, Record, bool]:
        """The DataSet, its Stream, its record so far, and whether this load created it."""
        name = self._place.prefix + load.table
        if found is None:
            record = Record(report=load.report, account=load.account, comment=load.comment)
            made, stream = api.create(name, record.text(), columns, update)
            return api.dataset(made.id), stream, record, True
        stream_found = api.stream(found.dataset)
        if stream_found is None:
            raise DestinationRejected(
                f"the DataSet {name} accepts no loads: Domo's Stream API did not create it, or its Stream was deleted",
                hint="Choose another table, or remove the DataSet in Domo.",
                code="stream_missing",
            )
        return found.dataset, stream_found, found.record or Record(), False

    def _settled(self, api: DomoApi, table: str) -> _Table | None:
        """The table without open executions. One of a killed load is aborted unless it was committed."""
        found = self._found(api, table)
        if found is None or found.record is None:
            return found
        stream = api.stream(found.dataset)
        if stream is None:
            return found
        record, last = found.record, found.record.unsettled()
        if last is not None and last.execution is not None:
            patience = min(self._settings.busy_seconds, _LEFT_OVER_SECONDS)
            record = record.settled(well=ended_well(api, stream, last.execution, patience=patience))
        for execution in api.active(stream):
            api.abort(stream, execution)
        if record.columns:
            columns, record = record.columns, replace(record, columns=())
            api.reshape(found.dataset, columns, record.text())
        # Its rows and columns may have changed.
        return _Table(api.dataset(found.dataset.id), record) if record is not found.record else found

    def _seen(self, table: str) -> _Table | None:
        """The table as others see it, for reading only; None also if its first load failed."""
        api = self._api()
        found = self._found(api, table)
        if found and found.record and (last := found.record.unsettled()):
            stream = api.stream(found.dataset)
            state = api.state(stream, last.execution) if stream and last.execution is not None else ""
            found = _Table(found.dataset, found.record.settled(well=state == SUCCESS))
        return found if found and found.loaded else None

    def _found(self, api: DomoApi, table: str) -> _Table | None:
        name = self._place.prefix + table
        all_found = [_Table(each, record_in(each.description, name)) for each in api.datasets(name)]
        ours = [each for each in all_found if each.record is not None]
        if len(ours) > 1:
            raise DestinationRejected(
                f"{len(ours)} DataSets that Counterfoil created have the name {name}",
                hint=f"Remove all but one in Domo; their ids are {', '.join(each.dataset.id for each in ours)}.",
            )
        return ours[0] if ours else all_found[0] if all_found else None

    @contextmanager
    def _held(self, table: str, progress: Progress | None, stop: Stop | None) -> Iterator[Path]:
        """A folder for uploads, locked against other loads of the table on this machine."""
        place = f"{self.name} {self._place.prefix}{table}"
        folder = self._settings.home.resolve() / "domo" / hashlib.sha256(place.encode()).hexdigest()[:20]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_locked(folder / "lock", place, self._settings.busy_seconds, progress, stop):
            for left in folder.iterdir():
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
            yield folder


class _Change:
    """The steps of one load into a DataSet, which can be undone until the commit."""

    def __init__(self, api: DomoApi, place: str, load: Load, opened: tuple[DataSet, Stream, Record, bool]) -> None:
        self._api = api
        self._place = place
        self._load = load
        self._dataset, self._stream, self._record, self._made = opened
        self._upload: Upload | None = None
        #: As Domo returns it; Domo may trim it.
        self._description = self._dataset.description
        self._changed = self._needless = False

    def shape(self, columns: Columns, update: UpdateMethod) -> None:
        """Sets the columns, by whose positions Domo identifies the fields, and the update method."""
        if tuple(columns) != self._dataset.columns:
            self._changed = True
            self._record = replace(self._record, columns=self._dataset.columns)
            self._api.reshape(self._dataset, columns, self._record.text())
            self._description = self._api.dataset(self._dataset.id).description
        self._api.use(self._stream, update)
        # A load without rows needs no execution if it appends, or replaces no rows.
        self._needless = update == "APPEND" or not self._dataset.rows

    def send(
        self,
        columns: Columns,
        batches: Iterable[pa.RecordBatch] | None,
        spool: Path,
        part_bytes: int,
        *,
        progress: Progress | None,
    ) -> int:
        if batches is None and self._needless:
            return 0
        self._upload = Upload(self._api, self._stream, self._place)
        return self._upload.send(batches or (), columns, spool, part_bytes, progress=progress)

    def note(self, done: Loaded, method: str, guard: Guard | None) -> None:
        """Records the load before its commit. The guard is called last."""
        if self._api.dataset(self._dataset.id).description != self._description:
            raise DestinationBusy(
                f"{self._place}: another program changed {self._dataset.name} during the load",
                hint="Try again when that program has finished.",
                code="concurrent_load",
            )
        execution = self._upload.execution if self._upload else None
        self._record = self._record.with_load(self._load, done, method, execution)
        if execution is None and guard is not None:
            guard()
        self._changed = True
        self._api.describe(self._dataset, self._record.text())
        if execution is not None and guard is not None:
            guard()

    def commit(self) -> None:
        if self._upload is None:
            return
        refusal = self._upload.commit()
        if refusal is not None:
            self.undo()
            raise refusal
        # If this fails, the next load asks Domo for the state of the execution.
        with suppress(CounterfoilError):
            self._api.describe(self._dataset, self._record.settled(well=True).text())

    def undo(self) -> None:
        """Undoes the load as far as possible. The rest is invisible, and the next load undoes it."""
        self._api.client.tries = _UNDO_TRIES
        with suppress(CounterfoilError):
            if self._upload is not None:
                self._upload.abort()
            if self._made:
                self._api.delete(self._dataset)
                return
            if self._changed:
                self._api.reshape(self._dataset, self._dataset.columns, self._dataset.description)


def open_url(url: str, _relative_to: Path, settings: Settings) -> DomoDestination:
    """The destination of a URL `domo://…`."""
    return DomoDestination(url, settings)
