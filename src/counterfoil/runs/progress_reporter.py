"""How far the reading of a run is: counted page by page, and told to its record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from counterfoil.runs.cancellation import Cancellation
from counterfoil.runs.run_context import RunContext
from counterfoil.state.run import Counts, Run
from counterfoil.stripe.client import Client
from counterfoil.values import Page

#: How often a run is told how far it is.
_TOLD_EVERY = timedelta(seconds=1)


class ProgressReporter:
    """Counts what an attempt reads, and tells the run, not too often."""

    def __init__(self, records: RunContext, run: Run, owner: str, client: Client) -> None:
        self._records = records
        self._run = run
        self._owner = owner
        self._client = client
        self._told_at = records.now()
        self.rows = 0

    def counting(self, pages: Iterable[Page], cancellation: Cancellation) -> Iterator[Page]:
        """Passes the pages on until a signal ends that."""
        for page in pages:
            cancellation.check()
            self.rows += len(page.objects)
            if self._records.now() - self._told_at >= _TOLD_EVERY:
                self._tell()
            yield page

    def _tell(self) -> None:
        self._told_at = self._records.now()
        self._records.runs.update(
            self._run.id, owner=self._owner, counts=Counts(read=self.rows), requests=spent(self._run, self._client)
        )


def spent(found: Run, client: Client) -> Mapping[str, int]:
    """Requests of all attempts, by endpoint."""
    return dict(Counter(found.requests) + client.requests)
