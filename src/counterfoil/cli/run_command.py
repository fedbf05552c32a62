"""`counterfoil run`."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.output.lists import print_json, shown_time
from counterfoil.cli.terminal.exit import exit_without_waiting
from counterfoil.cli.terminal.screen import Screen, counted, fail, say, tell, watching
from counterfoil.errors import AccountError, CounterfoilError, KeyRejected, PermissionMissing, RunError
from counterfoil.logging import configure_command

if TYPE_CHECKING:
    from types import FrameType

    from counterfoil.app.app import App
    from counterfoil.app.runs import Look, RunService
    from counterfoil.state.run import Run

_FLAG = Parameter(negative=(), show_default=False)
#: Errors of a run that are the account's.
_REFUSED = frozenset(kind.__name__ for kind in (AccountError, KeyRejected, PermissionMissing))
_JSON = Parameter(name="--json", negative=(), show_default=False)


def run(
    dataset: str,
    /,
    *,
    wait: Annotated[bool, _FLAG] = False,
    allow_shrink: Annotated[bool, _FLAG] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Run a dataset now.

    Where `counterfoil serve` is alive, it does the work, and this comes back at once. Else this process does it, with
    the datasets that run after it, and comes back when all are over. Ctrl-C cancels a run of this process; after
    SIGTERM it goes on where it was when the dataset is run again, or with the service.

    Parameters
    ----------
    dataset
        The dataset's name or id.
    wait
        Come back when the run is over: also one that the service does, and one that waits for its next attempt.
    allow_shrink
        Load even if that removes more than half of the table. A run that stopped for that continues from its archive.
    as_json
        One JSON object for the run, and for each that followed.
    """
    with open_command_app() as app:
        name = app.datasets.get(dataset).name
        return work(
            app,
            name,
            lambda look: app.runs.start(dataset, wait=wait, look=look, allow_shrink=allow_shrink),
            as_json=as_json,
        )


def work(app: App, dataset: str, start: Callable[[Look], Run], *, as_json: bool) -> int:
    """Starts a run, shows how far it is, and tells how it ended; the exit code."""
    configure_command(app.settings.log)  # what runs say is drawn, and kept with them
    watch = _Watch(app.runs, dataset)
    try:
        with watching(quiet=as_json) as screen, watch.drawing(screen):
            found = start(watch.look)
    except KeyboardInterrupt as stop:
        if watch.seen is not None:
            stop.add_note(_how_to_go_on(watch.seen, watch.dataset, served=app.runs.served()))
        raise
    finally:
        if not app.runs.ended:
            exit_without_waiting()
    code = _told(app.runs, found, dataset, as_json=as_json)
    for follower in watch.others(found):
        _told(app.runs, follower, app.runs.dataset_names()[follower.dataset], as_json=as_json)
    return code


class _Watch:
    """Follows a run, and those that follow it, while they are waited for."""

    def __init__(self, runs: RunService, dataset: str) -> None:
        self._runs = runs
        self._screen = Screen()
        self._note, self._line = "", 0
        self._interrupted, self._canceled = False, ""
        self._all: dict[str, Run] = {}
        self.dataset = dataset
        self.seen: Run | None = None

    @contextmanager
    def drawing(self, screen: Screen) -> Iterator[None]:
        """Draws on the screen; meanwhile the first Ctrl-C cancels the run, where this process works on it.

        A process that nohup started with SIGINT ignored still ignores it.
        """
        self._screen = screen
        earlier = signal.getsignal(signal.SIGINT)
        if earlier is not signal.SIG_IGN and not self._runs.served():
            signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, earlier)

    def look(self, run: Run) -> None:
        """Sees how far it is."""
        from counterfoil.runs.progress import Progress

        if self.seen is not None and run.id != self.seen.id:
            self.dataset = self._runs.dataset_names()[run.dataset]
        if self.seen is None or (run.id, run.attempt) != (self.seen.id, self.seen.attempt):
            self._note = ""
        self.seen = self._all[run.id] = run
        for line in self._runs.lines(run.id, after=self._line):
            self._line, self._note = line.number, line.message
        if self._interrupted and self._canceled != run.id:
            self._canceled = run.id
            self._cancel(run)
        reading = run.status == "running" and not self._note.startswith("Loading")
        self._screen.observe(
            Progress(
                self.dataset,
                "reading" if reading else "waiting",
                rows=run.counts.read,
                requests=sum(run.requests.values()),
                note=self._note or "waiting for its turn",
            )
        )

    def others(self, run: Run) -> list[Run]:
        """What else was seen."""
        return [one for one in self._all.values() if one.id != run.id]

    def _cancel(self, run: Run) -> None:
        tell("Canceling; Ctrl-C again leaves it as it is.")
        with suppress(RunError):  # it ended in this moment
            self._runs.cancel(run.id)

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True


def _how_to_go_on(run: Run, dataset: str, *, served: bool) -> str:
    if served:
        return f"The run {run.id} goes on in the service. To end it: counterfoil runs cancel {run.id}"
    return f"The run {run.id} goes on where it was with: counterfoil run {shlex.quote(dataset)}, or counterfoil serve"


def _told(runs: RunService, run: Run, dataset: str, *, as_json: bool) -> int:
    """Tells how the run ended, or how it stands; the exit code."""
    if as_json:
        from counterfoil.app.dictionaries import detail_dict

        print_json(detail_dict(runs.show(run.id)))
    for warning in run.warnings:
        tell(f"{dataset}: {warning}")
    match run.status:
        case "succeeded":
            if not as_json:
                say(f"{dataset}: {summary(run)}")
            return 0
        case "queued" | "running":
            if not as_json:
                say(f"{dataset}: the run {run.id} is in the queue of the service.")
                tell(f"  How it goes: counterfoil runs logs {run.id} --follow")
            return 0
        case "canceled":
            lefts = [line.fields["left"] for line in runs.lines(run.id) if "left" in line.fields]
            left = lefts[-1] if lefts else "it had not begun."
            tell(f"{dataset}: the run {run.id} was canceled; {left}")
            return RunError.exit_code
    error = error_of(run)
    fail(error)
    if run.status == "waiting":
        at = shown_time(runs.next_attempt_at(run))
        tell(f"  It is tried again at {at}, by `counterfoil serve`; or add --wait to wait for that here.")
    else:
        tell(f"  More about it: counterfoil runs show {run.id}")
    return error.exit_code


def summary(run: Run) -> str:
    """What a run that succeeded did, in one line."""
    from counterfoil.cli.output.runs import changes, took

    spent = f"{counted(sum(run.requests.values()), 'request')}, {took(run.started_at, run.finished_at)}"
    return f"{counted(run.counts.read, 'row')} read; {changes(run.counts)} ({spent}), run {run.id}"


def error_of(run: Run) -> CounterfoilError:
    """The error that a run keeps, as it was raised as far as its exit code goes."""
    kept = dict(run.error or {"message": run.reason or f"The run {run.id} {run.status}"})
    return (AccountError if kept.pop("kind", "") in _REFUSED else RunError)(**kept)
