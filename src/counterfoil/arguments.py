"""Arguments that programs pass: values of any type. Pure."""

from __future__ import annotations

from operator import index

from counterfoil.errors import SettingsError


def whole_number(given: object, name: str) -> int:
    """A whole number, 1 or more; SettingsError names the argument and the value."""
    try:
        number = None if isinstance(given, bool) else index(given)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number < 1:
        raise SettingsError(f"Invalid {name}: {given!r}", hint="Give a whole number, 1 or more.")
    return number
