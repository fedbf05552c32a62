"""The command line: a thin layer over `counterfoil.app`.

The command starts here, before anything is imported: Ctrl-C during the imports ends it without a traceback.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from counterfoil.cli.commands import app as app


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Runs the command and ends the process with its exit code."""
    try:
        from counterfoil.cli.terminal import interrupts

        interrupts.end_at_once()
    except KeyboardInterrupt:
        os._exit(130)
    from counterfoil.cli.terminal.process import start

    start(words)


def run(words: Sequence[str] | None = None) -> int:
    """Runs the command in the calling process; returns its exit code. Prints every error on stderr."""
    from counterfoil.cli.commands import run

    return run(words)


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'counterfoil.cli' has no attribute {name!r}")
    from counterfoil.cli.commands import app

    return app
