"""Calls are repeated while the state is unavailable, and for no longer than they may be."""

from __future__ import annotations

import pytest

from counterfoil.engine.state_wait import patiently
from counterfoil.errors import StateUnavailable, TransientError


class Away:
    """A state that is away for the first calls."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise StateUnavailable("The state is away")
        return "there"


def test_a_call_is_repeated_until_the_state_is_back() -> None:
    state, waits = Away(3), []

    assert patiently(state, 60, lambda seconds: bool(waits.append(seconds))) == "there"

    assert (state.calls, len(waits)) == (4, 3)


def test_a_call_is_given_up_after_its_seconds() -> None:
    state = Away(1)

    with pytest.raises(StateUnavailable):
        patiently(state, 0, lambda _: False)

    assert state.calls == 1


def test_the_waiting_ends_when_the_process_does() -> None:
    state = Away(9)

    with pytest.raises(StateUnavailable):
        patiently(state, 60, lambda _: state.calls == 2)

    assert state.calls == 2


def test_another_error_is_raised_at_once() -> None:
    def busy() -> None:
        raise TransientError("The state is in use")

    with pytest.raises(TransientError, match="in use"):
        patiently(busy, 60, lambda _: False)
