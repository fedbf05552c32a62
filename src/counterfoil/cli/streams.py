"""stdout and stderr that outlive their reader: `pull all | head -1` goes on loading and stops printing."""

from __future__ import annotations

import io
import os
from typing import TextIO


class _Lasting(io.TextIOWrapper):
    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            self._let_go()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            self._let_go()

    def _let_go(self) -> None:
        # What is left in the buffers goes nowhere, also at the end of the process.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def lasting(stream: TextIO) -> TextIO:
    """The same stream; it swallows what its reader no longer takes, and escapes what its encoding can't say."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return _Lasting(
        stream.buffer, encoding=stream.encoding, errors="backslashreplace", line_buffering=stream.line_buffering
    )
