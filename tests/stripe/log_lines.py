"""The output of our loggers as values."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

from counterfoil import logging as log


@contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    """The log lines of the block, including debug, available after its end."""
    lines: list[dict[str, Any]] = []
    written = io.StringIO()
    log.configure("json", level=logging.DEBUG)
    try:
        with redirect_stderr(written):
            yield lines
    finally:
        log.configure("text", level=logging.WARNING)
        lines += [json.loads(line) for line in written.getvalue().splitlines()]
