"""Calls are repeated while the state is unavailable, until their timeout."""

from __future__ import annotations

import pytest

from counterfoil.engine.state_wait import patiently
from counterfoil.errors import StateUnavailable, TransientError


class UnavailableState:
    """A state that is unavailable for the first N calls."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise StateUnavailable("the state is unavailable")
        return "available"


def test_call_is_repeated_until_the_state_is_available() -> None:
    state, waits = UnavailableState(3), []

    assert patiently(state, 60, lambda seconds: bool(waits.append(seconds))) == "available"

    assert (state.calls, len(waits)) == (4, 3)


def test_call_fails_after_its_timeout() -> None:
    state = UnavailableState(1)

    with pytest.raises(StateUnavailable):
        patiently(state, 0, lambda _: False)

    assert state.calls == 1


def test_wait_ends_at_the_shutdown_of_the_process() -> None:
    state = UnavailableState(9)

    with pytest.raises(StateUnavailable):
        patiently(state, 60, lambda _: state.calls == 2)

    assert state.calls == 2


def test_other_errors_are_raised_at_once() -> None:
    error, calls = TransientError("the state is in use"), []

    def busy() -> None:
        calls.append(1)
        raise error

    with pytest.raises(TransientError) as caught:
        patiently(busy, 60, lambda _: False)

    assert caught.value is error
    assert len(calls) == 1
