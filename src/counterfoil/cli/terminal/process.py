"""What the command line does to its own process, and no library may do to anybody else's."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from counterfoil.cli.terminal.exit import exit_process
from counterfoil.cli.terminal.interrupts import end_at_once, interrupt_the_command
from counterfoil.cli.terminal.streams import ignore_broken_pipe, open_standard_streams, output_error


def start(words: Sequence[str] | None) -> NoReturn:
    """Runs the command and ends the process with its exit code."""
    open_standard_streams()
    sys.stdout, sys.stderr = ignore_broken_pipe(sys.stdout), ignore_broken_pipe(sys.stderr)
    tune()
    from counterfoil.cli.commands import run

    try:
        interrupt_the_command()
        code = run(words)
        end_at_once()
    except KeyboardInterrupt:  # after the command, and before its end
        end_at_once()
        code = 128 + signal.SIGINT
    error = output_error(sys.stdout)
    if error is not None:
        print(f"error: the output could not be written: {error.strerror}", file=sys.stderr)
        code = code or 1
    exit_process(code)


def tune() -> None:
    """For reading and loading many rows."""
    # Pages are trees, which counting references frees: the collector would walk millions of objects to find nothing.
    # Measured on a pull of charges: 142 us of CPU a row before, 120 after.
    gc.set_threshold(20_000, 50, 1_000)
    sys.meta_path.insert(0, _WithoutPandas)


class _WithoutPandas:
    """Where pandas is installed, pyarrow imports it with the first list, to see whether that is one of its own.

    Measured: 45 MB and 0.4 s. Nothing here uses it, and pyarrow does without where it is not installed.
    """

    @staticmethod
    def find_spec(name: str, *_place: Any) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas': not for this process", name=name)
