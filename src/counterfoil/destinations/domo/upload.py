"""An execution: rows go up in parts, side by side, and count when it is committed.

Facts: Stream-API.yaml (see domo_api): parts are numbered upwards and may go up at the same time, all must be there
before the commit, which by default may come every 15 minutes. One execution of a Stream at a time: StreamClient.py of
domoinc/domo-python-sdk.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from counterfoil.destinations.cancellation import stoppable
from counterfoil.destinations.domo.api import ACTIVE, SUCCESS, DomoApi, Stream
from counterfoil.destinations.domo.csv import write_parts
from counterfoil.destinations.protocol import Progress, Stop
from counterfoil.errors import CounterfoilError, DestinationRejected, RunError, TransientError

#: Parts that go up at the same time; as many wait on the disk at most.
_SIDE_BY_SIDE = 3
#: How long an execution that was committed may take to become rows.
_COMMIT_SECONDS = 1_800.0
#: The same when it may not have been committed.
_LOST_SECONDS = 30.0
_COMMITS = 3
_FIRST_PAUSE, _LAST_PAUSE = 0.1, 5.0


class Upload:
    """One execution that is open."""

    def __init__(self, api: DomoApi, stream: Stream, place: str) -> None:
        self._api = api
        self._stream = stream
        self._place = place
        self.execution = api.begin(stream)

    def send(
        self,
        batches: Iterable[pa.RecordBatch],
        columns: Sequence[tuple[str, str]],
        spool: Path,
        part_bytes: int,
        *,
        progress: Progress | None,
    ) -> int:
        """Sends the rows and says how many; memory and disk hold a few parts of them."""
        free = threading.Semaphore(_SIDE_BY_SIDE + 1)
        sent: list[Future[None]] = []
        told = 0
        with TemporaryDirectory(prefix="domo-", dir=spool) as folder, ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:

            def check() -> None:
                nonlocal told
                self._api.client.check()
                there = [done.result() for done in sent if done.done()]
                if progress and len(there) > told:
                    told = len(there)
                    progress(f"{told} parts sent to {self._place}")

            def put(number: int, path: Path) -> None:
                try:
                    self._api.upload(self._stream, self.execution, number, path)
                finally:
                    path.unlink()
                    free.release()

            def written(path: Path) -> None:
                while not free.acquire(timeout=0.25):
                    check()
                sent.append(threads.submit(put, len(sent) + 1, path))

            rows = write_parts(batches, columns, Path(folder), part_bytes, written, check)
            for done in sent:
                done.result()
        return rows

    def commit(self) -> CounterfoilError | None:
        """Commits, and returns None when the rows are in the DataSet, or why they are not and will not be.

        Raises only when nobody can tell. A commit whose answer is lost may have worked: the state tells, and where it
        does not, it is committed again.
        """
        refusal: CounterfoilError | None = None
        for _ in range(_COMMITS):
            try:
                self._api.commit(self._stream, self.execution)
                refusal = None
                break
            except TransientError as lost:
                refusal = lost
                if self._api.state(self._stream, self.execution) != ACTIVE:
                    break
                self._api.client.pause(_FIRST_PAUSE)
            except DestinationRejected as refused:
                refused.hint = refused.hint or "By default Domo lets a Stream commit every 15 minutes: try again later."
                refusal = refusal or refused
                break
        patience = _LOST_SECONDS if isinstance(refusal, TransientError) else 0 if refusal else _COMMIT_SECONDS
        if ended_well(self._api, self._stream, self.execution, patience=patience):
            return None
        return refusal or RunError(
            f"{self._place}: Domo did not take the rows of execution {self.execution}",
            hint="Look at the history of the DataSet in Domo.",
        )

    def abort(self) -> None:
        self._api.abort(self._stream, self.execution)


def ended_well(api: DomoApi, stream: Stream, execution: int, *, patience: float = 0) -> bool:
    """Whether the rows of an execution are in. One that is open after so many seconds is aborted, and asked again.

    TransientError when it is open even then.
    """
    state = api.state(stream, execution)
    pause, waited = _FIRST_PAUSE, 0.0
    while state == ACTIVE and waited < patience:
        api.client.pause(pause)
        waited += pause
        pause = min(pause * 1.5, _LAST_PAUSE)
        state = api.state(stream, execution)
    if state == ACTIVE:
        api.abort(stream, execution)
        state = api.state(stream, execution)
    if state == ACTIVE:
        raise TransientError(
            f"execution {execution} of Domo's stream {stream.id} does not end", hint="Try again later."
        )
    return state == SUCCESS


@contextmanager
def giving_up(api: DomoApi, stop: Stop | None) -> Iterator[None]:
    """The block ends soon after `stop` says so; what comes behind it can ask Domo again."""
    try:
        with stoppable(api.client.interrupt, stop):
            yield
    finally:
        api.client.resume()
