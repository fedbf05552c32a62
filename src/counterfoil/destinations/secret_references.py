"""Where a URL says that a secret is, so that it need not hold one: `env:NAME` or `file:/path`."""

from __future__ import annotations

import os
from pathlib import Path

from counterfoil.errors import SettingsError


def is_reference(value: str) -> bool:
    """Whether it says where a secret is; anything else is one."""
    return value.startswith(("env:", "file:"))


def referred(name: str, value: str) -> str:
    """The secret that the value of the parameter `name` refers to; itself when it refers to none."""
    if value.startswith("env:"):
        variable = value.removeprefix("env:")
        if variable not in os.environ:
            raise SettingsError(
                f"{name}=env:{variable}: there is no variable {variable}", hint="Set it, and try again."
            )
        return os.environ[variable]
    if value.startswith("file:"):
        path = Path(value.removeprefix("file:")).expanduser()
        try:
            return path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SettingsError(
                f"{name}=file:{path} can't be read: {reason}", hint="Name a file that this user may read."
            ) from error
    return value
