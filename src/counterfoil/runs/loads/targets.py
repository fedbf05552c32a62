"""The destinations of a dataset's tables: opened, looked at, and passed over while they are down and others are not."""

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

#: How long a look at a table waits for a file that is held, before it is asked again whether to go on.
_LOOK_SECONDS = 1.0

_Seen = TypeVar("_Seen")


class TargetDestinations:
    """Opens destinations as the settings say."""

    def __init__(self, records: RunContext) -> None:
        self._records = records

    def open(self, target: Target, *, busy_seconds: float | None = None) -> Destination:
        """With less patience for one that is held than the settings have."""
        settings = self._records.settings
        if busy_seconds is not None:
            settings = settings.model_copy(update={"busy_seconds": min(busy_seconds, settings.busy_seconds)})
        return open_destination(target.url, relative_to=settings.home, settings=settings)

    def each(self, dataset: Dataset, *, busy_seconds: float | None = None) -> Iterator[tuple[Target, Destination]]:
        """One after the other, each open while it is looked at."""
        for target in dataset.targets:
            with closing(self.open(target, busy_seconds=busy_seconds)) as destination:
                yield target, destination

    def check(self, dataset: Dataset) -> None:
        """Refuses a run that no table of the dataset could take, before anything is read.

        Of several, those that can be loaded are; the error of the first is raised when none can.
        """
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
        """What is seen in each of the dataset's tables; of several, those that can be reached.

        A signal ends the wait for a file that is held. The error of the first is raised when none can be reached.
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
                    self._records.runs.log(run, "warning", f"{destination.name} is passed over for now: {error}")
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
        until, told = time.monotonic() + patience, False
        while True:
            cancellation.check()
            try:
                with destination.holding():
                    return look(target, destination)
            except DestinationBusy as busy:
                if not waits:
                    raise
                held = busy.reason
                if time.monotonic() >= until:
                    raise DestinationBusy(held, waited_seconds=patience, hint=busy.hint) from busy
                if not told:
                    self._records.runs.log(run, "info", f"{held}; waiting for it.")
                    told = True
