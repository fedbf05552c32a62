"""References to secrets that are stored elsewhere: `env:NAME` and `file:/path`."""

from __future__ import annotations

import os
from pathlib import Path

from counterfoil.errors import SettingsError
from counterfoil.logging import redacted


def is_reference(value: str) -> bool:
    """Whether a value is a reference to a secret, not the secret itself."""
    return value.startswith(("env:", "file:"))


def checked_reference(reference: str) -> str:
    """`env:NAME`, or `file:` and an absolute path; SettingsError for anything else."""
    kind, _, place = reference.partition(":")
    if kind == "env" and place.isidentifier():
        return reference
    if kind == "file" and Path(place).expanduser().is_absolute():
        return reference
    raise SettingsError(
        f"invalid reference to a key: {redacted(reference)!r}", hint="Use env:NAME, or file: and an absolute path."
    )


def resolve(reference: str, what: str = "the account's key") -> str:
    """The current value of the secret; a SettingsError names it as `what` if it is missing or empty."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        if not (secret := os.environ.get(place, "").strip()):
            raise SettingsError(f"{place} is not set; it holds {what}", hint=f"Set {place}.")
        return secret
    try:
        secret = Path(place).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SettingsError(
            f"cannot read {place}, which holds {what}: {reason}", hint="Allow this user to read the file."
        ) from error
    if not secret:
        raise SettingsError(f"{place} is empty; it holds {what}", hint=f"Write {what} to the file.")
    return secret
