"""Validation of arguments that programs pass, which can be of any type. Pure functions."""

from __future__ import annotations

from operator import index

from counterfoil.errors import SettingsError


def whole_number(given: object, name: str) -> int:
    """The value as a whole number of 1 or more; SettingsError names the argument and the value."""
    try:
        number = None if isinstance(given, bool) else index(given)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number < 1:
        raise SettingsError(f"invalid {name}: {given!r}", hint="Use a whole number of 1 or more.")
    return number
