"""Ids that look like Stripe's and encode an index, so that no table of ids is needed.

The index comes first, in digits that sort like ASCII: within a family, ids sort like their indexes.
"""

from __future__ import annotations

from stripe_sandbox.chance import mix

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [a + b for a in _DIGITS for b in _DIGITS]
_VALUE = {digit: value for value, digit in enumerate(_DIGITS)}
_TAIL = (1 << 48) - 1

#: Index of the first added object. Ids of added objects sort after all generated ids.
FIRST_ADDED = 35 * 62**5


class Ids:
    """The ids of one family."""

    __slots__ = ("_salt", "prefix")

    def __init__(self, prefix: str, seed: int) -> None:
        self.prefix = prefix
        self._salt = mix(seed ^ int.from_bytes(prefix.encode()[-7:], "big"))

    def of(self, n: int) -> str:
        tail = ((n + 1) * 0x9E3779B97F4B ^ self._salt) & _TAIL
        return f"{self.prefix}{_PAIRS[n // 14776336]}{_PAIRS[n // 3844 % 3844]}{_PAIRS[n % 3844]}{tail:012x}"

    def index(self, text: str) -> int | None:
        """The index of a generated object's id; None if the id is not of this family."""
        start = len(self.prefix)
        if len(text) != start + 18 or not text.startswith(self.prefix):
            return None
        n = 0
        for digit in text[start : start + 6]:
            n = n * 62 + _VALUE.get(digit, 0)
        return n if n < FIRST_ADDED and self.of(n) == text else None
