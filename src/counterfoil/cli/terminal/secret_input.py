"""Input of secrets: from a variable, a file, a pipe or a prompt without echo; never from an argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from counterfoil.errors import SettingsError

_LONGEST = 10_000


def read_secret(prompt: str, flag: str, *, env: str | None, file: Path | None) -> str:
    """The secret; `flag` is the prefix of the options. Empty if the prompt is closed."""
    if env is not None and file is not None:
        raise SettingsError(
            f"{flag}-env and {flag}-file are mutually exclusive", hint=f"Pass only one of {flag}-env and {flag}-file."
        )
    if env is not None:
        if not os.environ.get(env, "").strip():
            raise SettingsError(f"{env} is not set", hint=f"Set and export {env}.")
        return os.environ[env]
    if file is not None:
        return _read(file)
    if sys.stdin is None:
        return ""
    if not sys.stdin.isatty():
        try:
            return sys.stdin.read(_LONGEST)
        except UnicodeDecodeError as error:
            raise SettingsError("the input from stdin is not text", hint="Pipe only the secret to stdin.") from error
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
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SettingsError(f"cannot read {file}: {reason}", hint="Use a readable file that contains it.") from error
