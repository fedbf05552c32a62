"""Ends a working process within seconds of SIGTERM or Ctrl-C."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

#: Counted from the first signal.
DEADLINE_SECONDS = 10.0


class Shutdown:
    """In its block, the first signal sets `stopping`, and the process ends by itself or at the deadline.

    A second signal ends it at once. Neither loses work: unfinished attempts are resumed after the next start. Outside
    of `working`, the first signal also interrupts the main thread, as Ctrl-C does. SIGINT stays ignored in a process
    that nohup started.
    """

    def __init__(self, *, seconds: float = DEADLINE_SECONDS) -> None:
        self.stopping = threading.Event()
        self._seconds = seconds
        self._signaled = False
        self._interrupts = True
        self._earlier: dict[signal.Signals, Any] = {}

    @contextmanager
    def working(self) -> Iterator[threading.Event]:
        """The block ends when the event is set; it is not interrupted, since its code may swallow an interrupt."""
        self._interrupts = False
        try:
            yield self.stopping
        finally:
            self._interrupts = True

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            if number is signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
                self._earlier[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, earlier in self._earlier.items():
            signal.signal(number, earlier)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._signaled:
            os._exit(128 + number)
        self._signaled = True
        # The main thread may hold the locks of the event and of threading: only a low-level thread is safe.
        _thread.start_new_thread(self._end, ())
        if self._interrupts:
            raise KeyboardInterrupt

    def _end(self) -> None:
        self.stopping.set()
        time.sleep(self._seconds)
        os._exit(0)
