"""A pseudo-random sequence that its start value determines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from stripe_sandbox.chance import mix

T = TypeVar("T")


class Dice:
    __slots__ = ("_state",)

    def __init__(self, start: int) -> None:
        self._state = start

    def bits(self) -> int:
        """The next 64 bits."""
        self._state = mix(self._state)
        return self._state

    def below(self, count: int) -> int:
        return (self.bits() >> 8) % count

    def chance(self, share: float) -> bool:
        """True with probability `share`."""
        return (self.bits() >> 11) < share * (1 << 53)

    def pick(self, some: Sequence[T]) -> T:
        return some[self.below(len(some))]
