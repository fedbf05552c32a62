"""References to secrets, so that none need be stored: `env:NAME` and `file:/path`."""

from __future__ import annotations

import os
from pathlib import Path

from counterfoil.errors import SettingsError
from counterfoil.logging import redacted


def is_reference(value: str) -> bool:
    """Whether a value says where a secret is, and is none itself."""
    return value.startswith(("env:", "file:"))


def checked_reference(reference: str) -> str:
    """`env:NAME`, or `file:` and a path from the root; SettingsError for anything else."""
    kind, _, place = reference.partition(":")
    if kind == "env" and place.isidentifier():
        return reference
    if kind == "file" and Path(place).expanduser().is_absolute():
        return reference
    raise SettingsError(
        f"{redacted(reference)!r} does not say where a key is kept", hint="Give env:NAME, or file:/path from the root."
    )


def resolve(reference: str, what: str = "the account's key") -> str:
    """The secret, as it is now; `what` names it in the SettingsError when it is not there, or empty."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        if not (secret := os.environ.get(place, "").strip()):
            raise SettingsError(f"{place} is not set, and {what} is kept there", hint=f"Set {place}.")
        return secret
    try:
        secret = Path(place).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(
            f"{place} can't be read, and {what} is kept there: {reason}", hint="Give this user the right to."
        ) from error
    if not secret:
        raise SettingsError(f"{place} is empty, and {what} is kept there", hint=f"Write {what} into it.")
    return secret
