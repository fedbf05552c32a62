"""An execution: parts are uploaded in parallel, and their rows become visible on commit.

Sources: Stream-API.yaml (see `api.py`): parts have increasing numbers, can be uploaded in parallel, and must all be
uploaded before the commit, which is allowed every 15 minutes by default. One execution of a Stream at a time:
StreamClient.py of domoinc/domo-python-sdk.
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

#: Parts to upload in parallel; at most as many wait on disk.
_SIDE_BY_SIDE = 3
#: How long the rows of a committed execution may take to become visible.
_COMMIT_SECONDS = 1_800.0
#: The same if the commit may not have arrived.
_LOST_SECONDS = 30.0
_COMMITS = 3
_FIRST_PAUSE, _LAST_PAUSE = 0.1, 5.0


class Upload:
    """One open execution."""

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
        """Sends the rows and returns their number. Memory and disk hold only a few parts of them."""
        free = threading.Semaphore(_SIDE_BY_SIDE + 1)
        sent: list[Future[None]] = []
        reported = 0
        with TemporaryDirectory(prefix="domo-", dir=spool) as folder, ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:

            def check() -> None:
                nonlocal reported
                self._api.client.check()
                there = [done.result() for done in sent if done.done()]
                if progress and len(there) > reported:
                    reported = len(there)
                    progress(f"{reported} parts sent to {self._place}")

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
        """Commits. Returns None if the rows are in the DataSet, or the reason why they never will be.

        Raises only if the result is unknown. A commit without a response may have succeeded: the state shows that, and
        otherwise the commit is repeated.
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
                refused.hint = refused.hint or "Try again later: by default, a Stream can commit every 15 minutes."
                refusal = refusal or refused
                break
        patience = _LOST_SECONDS if isinstance(refusal, TransientError) else 0 if refusal else _COMMIT_SECONDS
        if ended_well(self._api, self._stream, self.execution, patience=patience):
            return None
        return refusal or RunError(
            f"{self._place}: Domo did not accept the rows of execution {self.execution}",
            hint="Check the history of the DataSet in Domo.",
            code="rows_rejected",
        )

    def abort(self) -> None:
        self._api.abort(self._stream, self.execution)


def ended_well(api: DomoApi, stream: Stream, execution: int, *, patience: float = 0) -> bool:
    """Whether an execution succeeded. One that is open after `patience` seconds is aborted and checked again.

    TransientError if it is still open then.
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
            f"execution {execution} of Domo's stream {stream.id} has not ended",
            hint="Try again later.",
            code="execution_open",
        )
    return state == SUCCESS


@contextmanager
def giving_up(api: DomoApi, stop: Stop | None) -> Iterator[None]:
    """Ends the block soon after a stop is requested. Code after the block can send requests again."""
    try:
        with stoppable(api.client.interrupt, stop):
            yield
    finally:
        api.client.resume()
