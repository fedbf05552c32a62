"""A command line that kills itself at a chosen moment: `python -m tests.soak.killed FILE ARGUMENT…`.

A moment is a profiler event in Counterfoil's code: a call or return of one of its functions, or of a C function that it
calls. Moments are counted in each phase of a run or a pull. At the start of a phase, the file is read: `PHASE N` kills
the process at the N-th moment of the phase; `count` prints the number of moments when the phase ends. Without the file,
the process is not killed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import counterfoil
from counterfoil.cli import main

PHASES = ("extract", "load", "finish")
_PACKAGE = f"{Path(counterfoil.__file__).parent}{os.sep}"
_PROCESS = os.getpid()


class Moments:
    """Counts the moments of the current phase."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._phase: str | None = None
        self._count = 0
        self._kill: int | None = None

    def enter(self, phase: str | None) -> None:
        if phase == self._phase:
            return
        command = self._file.read_text().split() if self._file.exists() else []
        if self._phase is not None and command == ["count"]:
            os.write(2, f"moments {self._phase} {self._count}\n".encode())
        self._phase, self._count = phase, 0
        self._kill = int(command[1]) if command[:1] == [phase] else None

    def see(self, frame: FrameType, event: str, _argument: Any) -> None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE):
            return
        if event in ("call", "return"):
            self._change_phase(Path(file.removeprefix(_PACKAGE)).as_posix(), frame.f_code.co_name, event)
        self._count += 1
        if self._phase is not None and self._count == self._kill:
            os.kill(_PROCESS, signal.SIGKILL)

    def _change_phase(self, file: str, name: str, event: str) -> None:
        match file, name, event:
            case ("runs/attempt.py", "extract", "call") | ("runs/pull.py", "pull", "call"):
                self.enter("extract")
            case ("runs/attempt.py", "load", "call"):
                self.enter("load")
            case ("destinations/duckdb/destination.py", "load", "call") if self._is_pull:
                self.enter("load")
            case ("runs/attempt.py", "finish", "call"):
                self.enter("finish")
            case ("destinations/duckdb/destination.py", "load", "return") if self._is_pull:
                self.enter("finish")
            case ("runs/attempt.py", "finish", "return") | ("runs/pull.py", "pull", "return"):
                self.enter(None)

    @property
    def _is_pull(self) -> bool:
        return "pull" in sys.argv


def run(file: Path, arguments: list[str]) -> None:
    moments = Moments(file)
    threading.setprofile(moments.see)
    sys.setprofile(moments.see)
    main(arguments)


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
