"""The progress of a run: rows and requests, counted page by page and reported to an observer."""

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
    """A moment of a run."""

    report: str
    stage: Stage
    rows: int = 0
    #: Requests so far, those of this run alone.
    requests: int = 0
    #: Requests that were tried again.
    retries: int = 0
    #: What is waited for, in words.
    note: str = ""


Observe = Callable[[Progress], None]


def unobserved(_progress: Progress) -> None:
    """For runs that nobody watches."""


class ProgressReporter:
    """Counts what a run reads and spends, and reports it, not too often."""

    def __init__(
        self,
        client: Client,
        report: str,
        observe: Observe,
        *,
        every_seconds: float = 0.1,
        check: Callable[[], None] | None = None,
    ) -> None:
        """At most one report in `every_seconds`, but for a new stage. What `check` raises ends the reading."""
        self._client = client
        self._report = report
        self._observe = observe
        self._every_seconds = every_seconds
        self.check = check
        self._started = self._reported_at = time.monotonic()
        self._before, self._retries_before = sum(client.requests.values()), client.retries
        self._stage: Stage = "reading"
        #: Read so far.
        self.rows = 0

    def counting(self, pages: Iterable[Page]) -> Iterator[Page]:
        """Passes the pages on, and reports how many rows they are."""
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
        """Since the run began."""
        return time.monotonic() - self._started

    def tell(self, stage: Stage, *, note: str = "") -> None:
        """Reports a moment."""
        now = time.monotonic()
        if stage == self._stage and now - self._reported_at < self._every_seconds:
            return
        self._stage, self._reported_at = stage, now
        retries = self._client.retries - self._retries_before
        self._observe(Progress(self._report, stage, self.rows, self.requests, retries, note))
