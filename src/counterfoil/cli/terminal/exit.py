"""How the process ends: as usual, or without waiting for threads that did not come to an end in time."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

_hurries = False


def exit_without_waiting() -> None:
    """From here on the end does not wait for threads: what they do is gone on with elsewhere, and nothing is lost.

    Nor for the interpreter to take itself apart, which takes a large process seconds that no deadline ends.
    """
    global _hurries  # noqa: PLW0603 - it is the process that ends
    _hurries = True


def exit_process(code: int) -> NoReturn:
    """Ends the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    if _hurries:
        os._exit(code)
    sys.exit(code)
