"""stdout and stderr that survive a closed pipe or a full disk: the command continues without output."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


class _Lasting(io.TextIOWrapper):
    #: Why output was lost, unless the pipe was closed.
    error: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._let_go(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._let_go(error)

    def _let_go(self, error: OSError) -> None:
        if not isinstance(error, BrokenPipeError):
            self.error = self.error or error
        # Discards the rest of the buffers, also at the end of the process.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def open_standard_streams() -> None:
    """Opens standard streams that are closed at the start (`>&-`) as /dev/null.

    Otherwise a database file could get one of their descriptors, and output would be written to it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            stream = open(number, "w", closefd=False)  # noqa: SIM115 - until the process ends
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def output_error(stream: TextIO) -> OSError | None:
    """Why output was lost; None if all of it was written, or if the pipe was closed."""
    stream.flush()
    return stream.error if isinstance(stream, _Lasting) else None


def ignore_broken_pipe(stream: TextIO) -> TextIO:
    """A stream that discards output after the pipe is closed, and escapes characters outside its encoding."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return _Lasting(
        stream.buffer, encoding=stream.encoding, errors="backslashreplace", line_buffering=stream.line_buffering
    )
