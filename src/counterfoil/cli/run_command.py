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
#: Errors of a run that have the exit code of AccountError.
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

    If `counterfoil serve` is running, the service runs the dataset and this command returns immediately. Otherwise
    this process runs the dataset and the datasets after it, and returns when all of them are complete. Ctrl-C cancels
    a run of this process. After SIGTERM, the run resumes when the dataset runs again or the service starts.

    Parameters
    ----------
    dataset
        The dataset's name or id.
    wait
        Wait until the run ends, including its retries, even if the service executes it.
    allow_shrink
        Load even if that deletes more than half of the table. Resumes a run that failed for this from its archive.
    as_json
        Print a JSON object for the run and for each run after it.
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
    """Starts a run, draws its progress and prints its result; returns the exit code."""
    configure_command(app.settings.log)  # log lines of runs are drawn and stored with the run
    watch = _Watch(app.runs, dataset)
    try:
        with watching(quiet=as_json) as screen, watch.drawing(screen):
            ended = start(watch.look)
    except KeyboardInterrupt as stop:
        if watch.seen is not None:
            stop.add_note(_resume_note(watch.seen, watch.dataset, served=app.runs.served()))
        raise
    finally:
        if not app.runs.ended:
            exit_without_waiting()
    code = _print_result(app.runs, ended, dataset, as_json=as_json)
    for follower in watch.others(ended):
        _print_result(app.runs, follower, app.runs.dataset_names()[follower.dataset], as_json=as_json)
    return code


class _Watch:
    """Observes a run and the runs after it while this process waits for them."""

    def __init__(self, runs: RunService, dataset: str) -> None:
        self._runs = runs
        self._screen = Screen()
        self._note, self._line, self._loading = "", 0, False
        self._interrupted, self._canceled = False, ""
        self._all: dict[str, Run] = {}
        self.dataset = dataset
        self.seen: Run | None = None

    @contextmanager
    def drawing(self, screen: Screen) -> Iterator[None]:
        """Draws on the screen. Within it, the first Ctrl-C cancels the run if this process executes it.

        A process that started with SIGINT ignored, such as by nohup, still ignores it.
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
        """Records and draws the progress of a run."""
        from counterfoil.runs.progress import Progress
        from counterfoil.state.run import LOAD_STEP

        if self.seen is not None and run.id != self.seen.id:
            self.dataset = self._runs.dataset_names()[run.dataset]
        if self.seen is None or (run.id, run.attempt) != (self.seen.id, self.seen.attempt):
            self._note, self._loading = "", False
        self.seen = self._all[run.id] = run
        for line in self._runs.lines(run.id, after=self._line):
            self._line, self._note = line.number, line.message
            self._loading = line.fields.get("step") == LOAD_STEP
        if self._interrupted and self._canceled != run.id:
            self._canceled = run.id
            self._cancel(run)
        reading = run.status == "running" and not self._loading
        self._screen.observe(
            Progress(
                self.dataset,
                "reading" if reading else "waiting",
                rows=run.counts.read,
                requests=sum(run.requests.values()),
                note=self._note or "queued",
            )
        )

    def others(self, run: Run) -> list[Run]:
        """The other runs that were observed."""
        return [one for one in self._all.values() if one.id != run.id]

    def _cancel(self, run: Run) -> None:
        tell("Canceling the run. Press Ctrl-C again to exit without canceling.")
        with suppress(RunError):  # the run has just ended
            self._runs.cancel(run.id)

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True


def _resume_note(run: Run, dataset: str, *, served: bool) -> str:
    if served:
        return f"Run {run.id} continues in the service. Cancel it with: counterfoil runs cancel {run.id}"
    return f"Resume run {run.id} with counterfoil serve, or with: counterfoil run {shlex.quote(dataset)}"


def _print_result(runs: RunService, run: Run, dataset: str, *, as_json: bool) -> int:
    """Prints the result or the status of the run; returns the exit code."""
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
                say(f"{dataset}: queued run {run.id} in the service")
                tell(f"  Follow it with: counterfoil runs logs {run.id} --follow")
            return 0
        case "canceled":
            notes = [line.fields["left"] for line in runs.lines(run.id) if "left" in line.fields]
            note = notes[-1] if notes else "it had not started."
            tell(f"{dataset}: canceled run {run.id}; {note}")
            return RunError.exit_code
    error = error_of(run)
    fail(error)
    if run.status == "waiting":
        at = shown_time(runs.next_attempt_at(run))
        tell(f"  Next attempt: {at}, by counterfoil serve. Pass --wait to wait for it here.")
    else:
        tell(f"  See the details with: counterfoil runs show {run.id}")
    return error.exit_code


def summary(run: Run) -> str:
    """The result of a successful run in one line."""
    from counterfoil.cli.output.runs import changes, took

    spent = f"{counted(sum(run.requests.values()), 'request')}, {took(run.started_at, run.finished_at)}"
    return f"{counted(run.counts.read, 'row')} read; {changes(run.counts)} ({spent}), run {run.id}"


def error_of(run: Run) -> CounterfoilError:
    """The stored error of a run, as an exception with the same exit code."""
    stored = dict(run.error or {"message": run.reason or f"run {run.id} {run.status}"})
    return (AccountError if stored.pop("kind", "") in _REFUSED else RunError)(**stored)
