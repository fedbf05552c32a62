"""Proofs that go on: each in a thread of its own, one of a dataset at a time, watched by whoever looks."""

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
    """The service goes down, and with it what was asked for on its page."""


@dataclass(slots=True)
class Proving:
    """A proof, how far it is, and what came of it."""

    #: By the monotonic clock.
    began: float
    progress: Progress | None = None
    error: CounterfoilError | None = None
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def seconds(self) -> int:
        """How long it has taken."""
        return int(time.monotonic() - self.began)


class ProofJobs:
    """What of an app's datasets is being proved."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._proofs: dict[str, Proving] = {}

    def begin(self, dataset: str, closing: threading.Event, **how: Any) -> None:
        """Proves a dataset, by its id, unless that goes on already; `closing` ends it. RunError when it can't be.

        `how` is what `ProofCalls.prove` takes: how many windows are read again, by which seed, how many payouts.
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
        """The proof that goes on; None when there is none."""
        with self._lock:
            found = self._proofs.get(dataset)
        return found if found is not None and not found.over.is_set() else None

    def last_problem(self, dataset: str) -> CounterfoilError | None:
        """Why the last one came to nothing, as long as `problem` has not told it."""
        with self._lock:
            found = self._proofs.get(dataset)
        return found.error if found is not None and found.over.is_set() else None

    def problem(self, dataset: str) -> CounterfoilError | None:
        """Why the last one came to nothing; told once."""
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
