"""Deterministic pseudo-random numbers: each is a pure function of its arguments, so none has to be stored."""

from __future__ import annotations

_MASK = (1 << 64) - 1


def mix(value: int) -> int:
    """64 well-mixed bits of an integer (splitmix64's finalizer)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Chance:
    """Pseudo-random numbers for one family of objects: `of(n)` returns 64 bits for the n-th object."""

    __slots__ = ("_salt",)

    def __init__(self, seed: int, family: str) -> None:
        self._salt = mix(mix(seed) ^ int.from_bytes(family.encode()[-8:], "big"))

    def of(self, n: int) -> int:
        return mix(self._salt ^ (n * 0xD1342543DE82EF95))

    def share(self, n: int) -> float:
        """A number from 0 to 1."""
        return self.of(n) / (_MASK + 1)
