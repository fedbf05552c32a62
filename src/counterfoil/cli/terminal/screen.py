"""Output of the command line: results on stdout, everything else on stderr, progress only on a terminal."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from counterfoil.errors import CounterfoilError
from counterfoil.logging import redacted

if TYPE_CHECKING:
    from cyclopts import CycloptsError
    from rich.progress import Progress as Bar

    from counterfoil.runs.progress import Progress

#: Control characters except the newline, and characters that change the direction of text.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def plain_error(error: CycloptsError) -> str:
    """A usage error in the format of the other errors."""
    return printable(redacted(f"error: {error}\n  Pass --help to see the usage of the command."))


def fail(error: CounterfoilError) -> None:
    """Prints an error and its hint on stderr."""
    tell(f"error: {error}")
    if error.hint:
        tell(f"  {error.hint}")


def tell(text: str) -> None:
    """Prints a message on stderr."""
    print(printable(redacted(text)), file=sys.stderr)


def say(text: str) -> None:
    """Prints a line of the result on stdout."""
    print(printable(redacted(text)), flush=True)


def printable(text: str) -> str:
    """Escapes control characters: a name could otherwise move the cursor or change colors."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def counted(number: int, noun: str) -> str:
    """`1 row`, `1,234 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class Screen:
    """Draws the progress of a run; stops drawing for messages and questions."""

    def __init__(self, bar: Bar | None = None) -> None:
        self._bar = bar
        self._task = bar.add_task("", status="", total=None) if bar else None
        self._started = time.monotonic()

    def observe(self, progress: Progress) -> None:
        """Draws the current progress."""
        if self._bar is not None and self._task is not None:
            status = printable(_status(progress, time.monotonic() - self._started))
            self._bar.update(self._task, description=progress.report, status=status)

    def tell(self, lines: Iterable[str]) -> None:
        """Prints messages above the progress."""
        if self._bar is not None:
            self._bar.stop()
        for line in lines:
            tell(line)
        if self._bar is not None:
            self._bar.start()

    def ask(self, question: str) -> bool:
        """Asks the user; True only for an explicit yes."""
        if self._bar is None:
            return ask(question)
        self._bar.stop()
        agreed = ask(question)
        if agreed:
            self._bar.start()
        return agreed


@contextmanager
def watching(*, quiet: bool = False) -> Iterator[Screen]:
    """A screen that draws rows, requests and rate on a terminal, and nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield Screen()
        return
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    texts = (TextColumn("{task.description}", markup=False), TextColumn("{task.fields[status]}", markup=False))
    console = Console(stderr=True)
    with Bar(SpinnerColumn(), *texts, TimeElapsedColumn(), console=console, transient=True) as bar:
        yield Screen(bar)


def _status(progress: Progress, seconds: float) -> str:
    if progress.stage == "proving":
        return f"{progress.note}  {counted(progress.requests, 'request')}"
    if progress.stage != "reading":
        return progress.note or f"{progress.stage} {progress.rows:,} rows"
    rate = progress.rows / seconds if seconds > 0.5 else 0
    status = f"{progress.rows:,} rows  {counted(progress.requests, 'request')}  {rate:,.0f} rows/s"
    return f"{status}  {progress.retries} retried" if progress.retries else status


def can_ask() -> bool:
    """Whether a terminal is available for questions."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> bool:
    """Asks the user; True only for an explicit yes, False at the end of the input."""
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print(file=sys.stderr)
    return answer.strip().lower() in {"y", "yes"}
