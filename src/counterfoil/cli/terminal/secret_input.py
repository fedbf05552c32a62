"""What is secret, from where the words say it is: a variable, a file, a pipe or a hidden prompt; never an argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from counterfoil.errors import SettingsError

_LONGEST = 10_000


def read_secret(prompt: str, flag: str, *, env: str | None, file: Path | None) -> str:
    """The secret; `flag` is what the flags begin with. From a prompt that is left, nothing."""
    if env is not None and file is not None:
        raise SettingsError("It is in more than one place", hint=f"Give one of {flag}-env and {flag}-file.")
    if env is not None:
        if not os.environ.get(env, "").strip():
            raise SettingsError(f"{env} is not set", hint="Put it into that variable, and export it.")
        return os.environ[env]
    if file is not None:
        return _read(file)
    if sys.stdin is None:
        return ""
    if not sys.stdin.isatty():
        try:
            return sys.stdin.read(_LONGEST)
        except UnicodeDecodeError as error:
            raise SettingsError("What came from the pipe is not text", hint="Pipe it, and nothing else.") from error
    from getpass import getpass

    try:
        return getpass(prompt)
    except EOFError:
        return ""


def _read(file: Path) -> str:
    try:
        with file.expanduser().open(encoding="utf-8") as opened_file:
            return opened_file.read(_LONGEST)
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(f"{file} can't be read: {reason}", hint="Name a file that holds it.") from error
