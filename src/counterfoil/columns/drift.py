"""What Stripe sends beside what is declared, named once each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

DriftKind = Literal["undeclared", "wrong type", "unknown currency", "escaped"]

#: A map with ids for keys, sent where none was, must not fill the memory.
MOST = 1_000

_JSON_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


@dataclass(slots=True)
class Drift:
    """One difference, with how often it was met."""

    #: Keys from the top of the object, joined by points.
    path: str
    kind: DriftKind
    #: The JSON type of a value that was met, or the code of the unknown currency; never a value.
    example: str
    count: int

    @property
    def message(self) -> str:
        """A sentence for the log."""
        if self.kind == "unknown currency":
            return (
                f"unknown currency {self.example!r} in {self.path}: amounts in major units are null; "
                f"COUNTERFOIL_CURRENCY_DIGITS={self.example}=2 says that it has two digits"
            )
        if self.kind == "escaped":
            return f"{self.path} has text that UTF-8 cannot hold, or a number that is not finite: kept escaped"
        what = "is not declared" if self.kind == "undeclared" else "does not fit its column"
        where = "null so far" if self.example == "null" else f"{self.example}, kept in _extra"
        return f"{self.path} {what}: {where}"


class Drifts(dict[tuple[str, DriftKind, str], Drift]):
    """By path, kind and, for currencies, code."""

    def note(self, path: tuple[str, ...], kind: DriftKind, value: Any, count: int = 1) -> None:
        """Counts a value, or a currency's code, met at a path."""
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
