"""Drift: differences between Stripe's objects and the declared columns, each reported once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

DriftKind = Literal["undeclared", "wrong type", "unknown currency", "escaped"]

#: Maximum number of differences, for example if Stripe sends a map with ids as keys.
MOST = 1_000

_JSON_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


@dataclass(slots=True)
class Drift:
    """One difference and its number of occurrences."""

    #: Keys from the top of the object, joined by dots.
    path: str
    kind: DriftKind
    #: The JSON type of a value, or the code of the unknown currency; never a value itself.
    example: str
    count: int

    @property
    def message(self) -> str:
        """A sentence for the log."""
        if self.kind == "unknown currency":
            return (
                f"unknown currency {self.example!r} in {self.path}: amounts in major units are null; "
                f"if it has two decimal digits, set COUNTERFOIL_CURRENCY_DIGITS={self.example}=2"
            )
        if self.kind == "escaped":
            return f"{self.path} has text that is not valid UTF-8, or a number that is not finite: stored escaped"
        what = "has no column" if self.kind == "undeclared" else "does not match the type of its column"
        where = "null so far" if self.example == "null" else f"{self.example}, stored in _extra"
        return f"{self.path} {what}: {where}"


class Drifts(dict[tuple[str, DriftKind, str], Drift]):
    """Differences by path, kind and, for currencies, code."""

    def note(self, path: tuple[str, ...], kind: DriftKind, value: Any, count: int = 1) -> None:
        """Counts a value, or a currency's code, at a path."""
        where = ".".join(path)
        code = value if kind == "unknown currency" else ""
        drift = self.get((where, kind, code))
        if drift is not None:
            drift.count += count
            if drift.example == "null":
                drift.example = _JSON_TYPES.get(type(value), "null")
        elif len(self) < MOST:
            example = code or _JSON_TYPES.get(type(value), "null")
            self[where, kind, code] = Drift(where, kind, example, count)
