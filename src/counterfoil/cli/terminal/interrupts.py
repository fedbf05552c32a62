"""What Ctrl-C and SIGTERM do to the command's process, from its first import to its end."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM: the same as Ctrl-C from whoever runs the process."""


def end_at_once() -> None:
    """From here on a signal ends the process with its exit code, without a word: there is nothing to clean up."""
    _handle(_end, _end)


def interrupt_the_command() -> None:
    """From here on a signal raises KeyboardInterrupt."""
    _handle(signal.default_int_handler, _terminate)


def _handle(interrupt: object, terminate: object) -> None:
    # A process that was started in the background of a script ignores Ctrl-C, and goes on doing so.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)  # type: ignore[arg-type]
    signal.signal(signal.SIGTERM, terminate)  # type: ignore[arg-type]


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated
