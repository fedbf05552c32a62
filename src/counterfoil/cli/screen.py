"""How the command line speaks: results on stdout, everything else on stderr, progress on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from counterfoil.errors import CounterfoilError
from counterfoil.log import redacted

if TYPE_CHECKING:
    from cyclopts import CycloptsError

    from counterfoil.runs.progress import Observe, Progress


def plain_error(error: CycloptsError) -> str:
    """Wrong usage as one line, in the form of our own errors."""
    return redacted(f"error: {error}\n  Try --help after the command.")


def fail(error: CounterfoilError) -> None:
    """What happened, then what to do."""
    print(redacted(f"error: {error}"), file=sys.stderr)
    if error.hint:
        print(redacted(f"  {error.hint}"), file=sys.stderr)


def tell(text: str) -> None:
    """A line for the person, not for the pipe."""
    print(redacted(text), file=sys.stderr)


@contextmanager
def watching(*, quiet: bool = False) -> Iterator[Observe]:
    """An observer that draws rows, requests and rate on a terminal, and says nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda _progress: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.fields[status]}"))
    with Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", status="", total=None)
        started: dict[str, float] = {}

        def observe(progress: Progress) -> None:
            begun = started.setdefault(progress.report, time.monotonic())
            bar.update(task, description=progress.report, status=_status(progress, time.monotonic() - begun))

        yield observe


def _status(progress: Progress, seconds: float) -> str:
    if progress.stage != "reading":
        return progress.note or f"{progress.stage} {progress.rows:,} rows"
    rate = progress.rows / seconds if seconds > 0.5 else 0
    status = f"{progress.rows:,} rows  {progress.requests:,} requests  {rate:,.0f} rows/s"
    return f"{status}  {progress.retries} tried again" if progress.retries else status


def can_ask() -> bool:
    """A person is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> bool:
    """Yes only when the person says so."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
