"""Runs a command that signals itself at a given moment: `python -m tests.cli.signaled MOMENT SIGNALS ARGUMENTS…`.

The moment is `ready`, while the first line is written to stdout, or the number of an audit event of the interpreter
(imports, opened files and sockets …) in the main thread, counted from the start of the command. The signals are
comma-separated. After sending them, the process writes the line `signaled` to stderr.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from counterfoil.cli import main


class _Signaling(io.BufferedWriter):
    """Sends the signals after its first line."""

    def __init__(self, raw: io.RawIOBase, send: Callable[[], None]) -> None:
        super().__init__(raw)
        self._waiting = [send]
        self._written = False

    def write(self, data: Any, /) -> int:
        self._written = True
        return super().write(data)

    def flush(self) -> None:
        super().flush()
        if self._written and self._waiting:
            self._waiting.pop()()


def run(moment: str, numbers: list[signal.Signals], arguments: list[str]) -> None:
    """Runs the command with the audit hook or the signaling stdout."""
    count = 0

    def send() -> None:
        os.write(2, b"signaled\n")
        for number in numbers:
            os.kill(os.getpid(), number)

    def hook(event: str, _details: tuple[Any, ...]) -> None:
        nonlocal count
        if threading.current_thread() is threading.main_thread() and not event.startswith("object."):
            count += 1
            if str(count) == moment:
                send()

    if moment == "ready":
        sys.stdout = sys.__stdout__ = io.TextIOWrapper(
            _Signaling(io.FileIO(1, "wb", closefd=False), send), line_buffering=True
        )
    sys.addaudithook(hook)
    main(arguments)


if __name__ == "__main__":
    run(sys.argv[1], [signal.Signals[one] for one in sys.argv[2].split(",")], sys.argv[3:])
