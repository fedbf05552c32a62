"""Opens the destinations of a dataset's tables; skips unavailable ones if the dataset has several tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import TypeVar

from counterfoil.archive import check_place
from counterfoil.destinations import Destination, check_destination, open_destination
from counterfoil.errors import CounterfoilError, DestinationBusy, TransientError
from counterfoil.runs.cancellation import Cancellation
from counterfoil.runs.run_context import RunContext
from counterfoil.state.dataset import Dataset, Target

#: How long an inspection waits for a locked file before it checks for a cancellation.
_LOOK_SECONDS = 1.0

_Seen = TypeVar("_Seen")


class TargetDestinations:
    """Opens destinations according to the settings."""

    def __init__(self, records: RunContext) -> None:
        self._records = records

    def open(self, target: Target, *, busy_seconds: float | None = None) -> Destination:
        """Opens the target's destination; `busy_seconds` can shorten the wait for a lock that the settings allow."""
        settings = self._records.settings
        if busy_seconds is not None:
            settings = settings.model_copy(update={"busy_seconds": min(busy_seconds, settings.busy_seconds)})
        return open_destination(target.url, relative_to=settings.home, settings=settings)

    def each(self, dataset: Dataset, *, busy_seconds: float | None = None) -> Iterator[tuple[Target, Destination]]:
        """Opens the destinations one after the other, and closes each after use."""
        for target in dataset.targets:
            with closing(self.open(target, busy_seconds=busy_seconds)) as destination:
                yield target, destination

    def check(self, dataset: Dataset) -> None:
        """Raises the first error, before anything is read, if none of the dataset's tables can be loaded."""
        settings = self._records.settings
        check_place(settings.archive, settings.free_megabytes)
        failed: list[CounterfoilError] = []
        for target, destination in self.each(dataset, busy_seconds=_LOOK_SECONDS):
            try:
                check_destination(destination, target.url, target.table, relative_to=settings.home, settings=settings)
            except CounterfoilError as error:
                failed.append(error)
        if len(failed) == len(dataset.targets):
            raise failed[0]

    def looked(
        self, dataset: Dataset, run: str, cancellation: Cancellation, look: Callable[[Target, Destination], _Seen]
    ) -> Mapping[Target, _Seen]:
        """The results of `look` for the dataset's tables; if it has several, for those that are available.

        A cancellation ends the wait for a locked file. Raises the first error if no table is available.
        """
        seen: dict[Target, _Seen] = {}
        down: list[TransientError] = []
        alone = len(dataset.targets) == 1
        for target, destination in self.each(dataset, busy_seconds=_LOOK_SECONDS):
            try:
                seen[target] = self._patiently(target, destination, run, cancellation, look, waits=alone)
            except TransientError as error:
                down.append(error)
                if not alone:
                    self._records.runs.log(run, "warning", f"{destination.name} is skipped for now: {error}")
        if not seen and down:
            raise down[0]
        return seen

    def _patiently(
        self,
        target: Target,
        destination: Destination,
        run: str,
        cancellation: Cancellation,
        look: Callable[[Target, Destination], _Seen],
        *,
        waits: bool,
    ) -> _Seen:
        patience = self._records.settings.busy_seconds
        until, logged = time.monotonic() + patience, False
        while True:
            cancellation.check()
            try:
                with destination.holding():
                    return look(target, destination)
            except DestinationBusy as busy:
                if not waits:
                    raise
                reason = busy.reason
                if time.monotonic() >= until:
                    raise DestinationBusy(reason, waited_seconds=patience, hint=busy.hint) from busy
                if not logged:
                    self._records.runs.log(run, "info", f"{reason}; waiting for it.")
                    logged = True
