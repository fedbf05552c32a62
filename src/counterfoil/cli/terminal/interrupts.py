"""Handling of Ctrl-C and SIGTERM, from the first import to the end of the process."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM; handled like Ctrl-C."""


def end_at_once() -> None:
    """Makes a signal end the process immediately and silently, with its exit code; there is nothing to clean up."""
    _handle(_end, _end)


def interrupt_the_command() -> None:
    """Makes a signal raise KeyboardInterrupt."""
    _handle(signal.default_int_handler, _terminate)


def _handle(interrupt: object, terminate: object) -> None:
    # A background process of a shell script starts with SIGINT ignored, and keeps ignoring it.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)  # type: ignore[arg-type]
    signal.signal(signal.SIGTERM, terminate)  # type: ignore[arg-type]


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated
