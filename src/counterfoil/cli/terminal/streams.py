"""stdout and stderr that outlive their reader, or a full disk: a command continues and stops printing."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


class _Lasting(io.TextIOWrapper):
    #: Why output was lost, unless its reader left.
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
        # What is left in the buffers goes nowhere, also at the end of the process.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def open_standard_streams() -> None:
    """Opens those that the process was started without (`>&-`), to nowhere.

    A database would be opened under their numbers otherwise, and what a library prints be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            stream = open(number, "w", closefd=False)  # noqa: SIM115 - until the process ends
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def output_error(stream: TextIO) -> OSError | None:
    """Why not all of the output was written; None when it was, or when its reader left."""
    stream.flush()
    return stream.error if isinstance(stream, _Lasting) else None


def ignore_broken_pipe(stream: TextIO) -> TextIO:
    """The same stream; it swallows what its reader no longer takes, and escapes what its encoding can't say."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return _Lasting(
        stream.buffer, encoding=stream.encoding, errors="backslashreplace", line_buffering=stream.line_buffering
    )
