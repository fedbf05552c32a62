"""A report as a stream of Arrow batches, without an archive or a destination."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any, NoReturn, Self

import pyarrow as pa

from counterfoil.archive import checked_keys
from counterfoil.columns.flatten import Flattener
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.system import DELETED, SYSTEM_COLUMNS
from counterfoil.errors import RunError
from counterfoil.extract import Warnings
from counterfoil.extract import read as read_pages
from counterfoil.http.async_bridge import run as wait_for
from counterfoil.logging import get_logger
from counterfoil.runs.pipeline import batches, new_run_id, stamp_of, warnings_of
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.settings import Settings
from counterfoil.stripe.client import Client

_log = get_logger("counterfoil.runs")

_AGAIN = "Call read() for another reader; to use rows twice, store them with: table = reader.read_all()"


class Reader:
    """A report's rows as Arrow record batches, read from Stripe once and on demand.

    It has the methods of a pyarrow.RecordBatchReader and Arrow's C stream interface, so that DuckDB, polars and pyarrow
    can scan it. Where a RecordBatchReader returns no rows, this raises RunError with a `code`: after the end
    (`reader_exhausted`), after `close` (`reader_closed`), after an error (`reader_failed`), and after another program
    took the stream (`reader_taken`).
    """

    def __init__(self, schema: pa.Schema, batches: Generator[pa.RecordBatch, None, None], name: str) -> None:
        #: Available before the first row.
        self.schema = schema
        self._batches = batches
        self._name = name
        self._ended: tuple[str, str] | None = None
        self._failure: BaseException | None = None
        #: DuckDB reads a stream in its own threads.
        self._reading = threading.Lock()

    def __repr__(self) -> str:
        return f"Reader({self._name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        self._check()
        return self

    def __next__(self) -> pa.RecordBatch:
        self._check()
        return self._read()

    def read_next_batch(self) -> pa.RecordBatch:
        """The next batch; raises StopIteration at the end, and RunError after it."""
        return next(self)

    def read_all(self) -> pa.Table:
        """The remaining rows as a pyarrow.Table."""
        return pa.Table.from_batches(list(self), self.schema)

    def read_pandas(self, **options: Any) -> Any:
        """The remaining rows as a pandas.DataFrame; `options` are those of pyarrow.Table.to_pandas."""
        return self.read_all().to_pandas(**options)

    def close(self) -> None:
        """Stops reading. Does nothing if the reader has ended or another program took its stream."""
        with self._reading:
            if self._ended is None:
                self._end("reader_closed", "the reader is closed")

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        self._check()
        self._ended = ("reader_taken", "another program took the stream of this reader")
        return pa.RecordBatchReader.from_batches(self.schema, self._rest()).__arrow_c_stream__(requested_schema)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a reader can't be pickled or copied, since its rows can be read once; copy read_all() instead")

    def _rest(self) -> Iterator[pa.RecordBatch]:
        while True:
            try:
                batch = self._read()
            except StopIteration:
                return
            yield batch

    def _read(self) -> pa.RecordBatch:
        with self._reading:
            try:
                return next(self._batches)
            except StopIteration:
                self._end("reader_exhausted", "the reader has no more rows")
                raise
            except BaseException as error:
                # Python treats a generator that raised as exhausted, which would look like the last row.
                self._failure = error
                self._end("reader_failed", f"reading {self._name} failed before its end: {_told(error)}")
                raise

    def _end(self, code: str, why: str) -> None:
        self._ended = (code, why)
        self._batches.close()

    def _check(self) -> None:
        if self._ended is not None:
            code, why = self._ended
            raise RunError(why, hint=_AGAIN, code=code) from self._failure


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__


def read(client: Client, plan: Plan, *, settings: Settings, check: Callable[[], None]) -> Reader:
    """The plan's rows. The first request is made for the first batch; `check` is called before each batch."""
    schema = arrow_schema((*plan.report.columns, *SYSTEM_COLUMNS))
    return Reader(schema, _batches(client, plan, settings, check), plan.report.key)


def _batches(
    client: Client, plan: Plan, settings: Settings, check: Callable[[], None]
) -> Generator[pa.RecordBatch, None, None]:
    check()
    identity = wait_for(client.account())
    stamp = stamp_of(plan.report, run=new_run_id(), account=identity.id)
    flattener = Flattener((*plan.report.columns, DELETED), digits=settings.currency_digits)
    notices = Warnings()
    pages = read_pages(client, plan.report, plan.window, notices=notices, params=plan.params, limit=plan.limit)
    with closing(pages):
        checked = checked_keys(batches(pages, flattener, stamp), plan.report.primary_key, report=plan.report.title)
        for batch in checked:
            yield batch
            check()
    for sentence in warnings_of(notices, flattener):
        _log.warning(sentence, report=plan.report.key)
