"""Process exit: normal, or immediate without waiting for threads."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

_hurries = False


def exit_without_waiting() -> None:
    """Makes the process exit without waiting for threads: their work is durable and resumes elsewhere.

    It also skips the shutdown of the interpreter, which takes seconds in a large process and has no deadline.
    """
    global _hurries  # noqa: PLW0603 - one flag per process
    _hurries = True


def exit_process(code: int) -> NoReturn:
    """Flushes the output and ends the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    if _hurries:
        os._exit(code)
    sys.exit(code)
