"""The progress of a run: rows and requests, counted by page and reported to an observer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from counterfoil.stripe.client import Client
    from counterfoil.values import Page

Stage = Literal["connecting", "reading", "loading", "waiting", "proving", "done"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A run's progress at one moment."""

    report: str
    stage: Stage
    rows: int = 0
    #: Requests of this run so far.
    requests: int = 0
    #: Retried requests.
    retries: int = 0
    #: The reason for waiting, as text.
    note: str = ""


Observe = Callable[[Progress], None]


def unobserved(_progress: Progress) -> None:
    """An observer that ignores the progress."""


class ProgressReporter:
    """Counts a run's rows and requests, and reports them at intervals."""

    def __init__(
        self,
        client: Client,
        report: str,
        observe: Observe,
        *,
        every_seconds: float = 0.1,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Reports at most once in `every_seconds` and at each new stage; an exception of `check` ends the reading."""
        self._client = client
        self._report = report
        self._observe = observe
        self._every_seconds = every_seconds
        self.check = check
        self._started = self._reported_at = time.monotonic()
        self._before, self._retries_before = sum(client.requests.values()), client.retries
        self._stage: Stage = "reading"
        #: Rows read so far.
        self.rows = 0

    def counting(self, pages: Iterable[Page]) -> Iterator[Page]:
        """Yields the pages; counts and reports their rows."""
        for page in pages:
            if self.check is not None:
                self.check()
            self.rows += len(page.objects)
            self.tell("reading")
            yield page

    @property
    def requests(self) -> int:
        """Requests since the run began."""
        return sum(self._client.requests.values()) - self._before

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    def tell(self, stage: Stage, *, note: str = "") -> None:
        """Reports the progress."""
        now = time.monotonic()
        if stage == self._stage and now - self._reported_at < self._every_seconds:
            return
        self._stage, self._reported_at = stage, now
        retries = self._client.retries - self._retries_before
        self._observe(Progress(self._report, stage, self.rows, self.requests, retries, note))
