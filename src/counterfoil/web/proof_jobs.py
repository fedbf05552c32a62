"""Background proofs: one thread per proof, at most one proof per dataset, with progress for the page and the API."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from counterfoil.app.app import App
from counterfoil.app.values import Progress
from counterfoil.errors import CounterfoilError
from counterfoil.logging import get_logger

_log = get_logger("web")


class _PageCloses(Exception):  # noqa: N818 - the name says what happens
    """The service stops, which ends its background proofs."""


@dataclass(slots=True)
class Proving:
    """A proof with its progress and its error, if any."""

    #: A time of the monotonic clock.
    began: float
    progress: Progress | None = None
    error: CounterfoilError | None = None
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def seconds(self) -> int:
        """Seconds since the proof started."""
        return int(time.monotonic() - self.began)


class ProofJobs:
    """The running and the last proofs of an app's datasets."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._proofs: dict[str, Proving] = {}

    def begin(self, dataset: str, closing: threading.Event, **how: Any) -> None:
        """Starts a proof of a dataset (by id) unless one is running. `closing` ends it. RunError if it is impossible.

        `how` are arguments of `ProofService.prove`: the number of windows to recount, the seed, the number of payouts.
        """
        self._app.proofs.check_provable(dataset)
        with self._lock:
            found = self._proofs.get(dataset)
            if found is not None and not found.over.is_set():
                return
            proving = self._proofs[dataset] = Proving(time.monotonic())
        thread = threading.Thread(target=self._prove, args=(dataset, proving, closing, how), name=f"prove {dataset}")
        thread.daemon = True
        thread.start()

    def of(self, dataset: str) -> Proving | None:
        """The running proof of a dataset, or None."""
        with self._lock:
            found = self._proofs.get(dataset)
        return found if found is not None and not found.over.is_set() else None

    def last_problem(self, dataset: str) -> CounterfoilError | None:
        """The error of the last proof, until `problem` has returned it; None if it succeeded."""
        with self._lock:
            found = self._proofs.get(dataset)
        return found.error if found is not None and found.over.is_set() else None

    def problem(self, dataset: str) -> CounterfoilError | None:
        """The error of the last proof, returned once; None if it succeeded."""
        with self._lock:
            found = self._proofs.get(dataset)
            if found is None or not found.over.is_set():
                return None
            del self._proofs[dataset]
        return found.error

    def _prove(self, dataset: str, proving: Proving, closing: threading.Event, how: Mapping[str, Any]) -> None:
        def check() -> None:
            if closing.is_set():
                raise _PageCloses

        def observe(progress: Progress) -> None:
            proving.progress = progress

        try:
            self._app.proofs.prove(dataset, observe=observe, check=check, **how)
        except CounterfoilError as error:
            proving.error = error
        except _PageCloses:
            _log.info("a proof ends with the service", dataset=dataset)
        finally:
            proving.over.set()
