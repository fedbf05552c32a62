"""The time limit of retries, in virtual time, and the reasons to end them early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
import tenacity

from counterfoil.errors import StripeUnavailable
from counterfoil.http.transport import Failure
from counterfoil.stripe.responses import Answer
from counterfoil.stripe.retries import FIRST_CONTACT_SECONDS, Backoff, Budget, Outcome, retried

InVirtualTime = Callable[[Coroutine[Any, Any, Any]], Any]

FIVE_MINUTES = Backoff(budget_seconds=300)
ANSWER = Answer({"object": "list"}, 1_700_000_000, "req_1", 2)


def failure(*, retry: bool = True, from_api: bool = True, retry_after: float = 0.0) -> Failure:
    return Failure(StripeUnavailable("down"), retry, from_api=from_api, retry_after=retry_after)


@dataclass
class Host:
    """Fails for `down_seconds`, then answers; each try takes `try_seconds`, or its timeout if that is shorter."""

    down_seconds: float = float("inf")
    try_seconds: float = 0.1
    fails: Failure = field(default_factory=failure)
    tried_at: list[float] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    ended_at: float = 0.0

    async def __call__(self, budget: Budget) -> Outcome:
        budget.start()
        now = asyncio.get_running_loop().time
        self.tried_at.append(now())
        self.timeouts.append(budget.timeout)
        await asyncio.sleep(min(self.try_seconds, budget.timeout))
        return ANSWER if now() >= self.down_seconds else self.fails

    def note(self, state: tenacity.RetryCallState) -> None:
        self.waits.append(state.upcoming_sleep)

    async def request(self, backoff: Backoff, *, known: bool = True) -> Outcome:
        outcome = await retried(self, backoff, known=lambda: known, note=self.note)
        self.ended_at = asyncio.get_running_loop().time()
        return outcome


@pytest.mark.parametrize("down_seconds", [10, 60, 299.9])
def test_request_survives_an_outage_shorter_than_the_budget(
    in_virtual_time: InVirtualTime, down_seconds: float
) -> None:
    host = Host(down_seconds)
    assert in_virtual_time(host.request(FIVE_MINUTES)) is ANSWER
    assert down_seconds <= host.ended_at < 305


def test_a_request_is_retried_for_five_minutes_and_no_longer(in_virtual_time: InVirtualTime) -> None:
    host = Host()
    assert in_virtual_time(host.request(FIVE_MINUTES)) is host.fails
    assert 300 <= host.ended_at <= 305
    assert len(host.tried_at) > 20


def test_silent_host_times_out_within_the_budget(in_virtual_time: InVirtualTime) -> None:
    host = Host(try_seconds=float("inf"))
    in_virtual_time(host.request(FIVE_MINUTES))
    assert host.timeouts[:2] == [100, 100]
    assert 300 <= host.ended_at <= 305


def test_late_try_has_a_timeout_of_five_seconds(in_virtual_time: InVirtualTime) -> None:
    async def timeout_after(seconds: float, budget_seconds: float) -> float:
        budget = Budget(budget_seconds)
        budget.start()
        await asyncio.sleep(seconds)
        return budget.timeout

    assert in_virtual_time(timeout_after(299, 300)) == 5
    assert in_virtual_time(timeout_after(280, 300)) == pytest.approx(20)
    assert in_virtual_time(timeout_after(0.9, 1)) == 1


def test_wait_before_the_first_try_does_not_use_the_budget(in_virtual_time: InVirtualTime) -> None:
    async def spent() -> tuple[float, float]:
        budget = Budget(300)
        await asyncio.sleep(1000)
        before = budget.spent
        budget.start()
        await asyncio.sleep(7)
        budget.start()
        return before, budget.spent

    assert in_virtual_time(spent()) == (0, pytest.approx(7))


def test_waits_are_random_in_a_growing_bounded_range(in_virtual_time: InVirtualTime) -> None:
    host = Host()
    in_virtual_time(host.request(FIVE_MINUTES))
    assert all(0 <= wait <= min(16, 0.5 * 2**number) for number, wait in enumerate(host.waits))
    assert max(host.waits) > 2
    assert len(set(host.waits)) > 10


def test_retry_after_is_the_minimum_wait(in_virtual_time: InVirtualTime) -> None:
    host = Host(40, fails=failure(retry_after=7))
    assert in_virtual_time(host.request(FIVE_MINUTES)) is ANSWER
    assert host.waits
    assert all(7 <= wait <= 7 + 16 for wait in host.waits)


def test_a_retry_after_beyond_the_budget_ends_the_retries_at_once(in_virtual_time: InVirtualTime) -> None:
    host = Host(fails=failure(retry_after=301))
    assert in_virtual_time(host.request(FIVE_MINUTES)) is host.fails
    assert len(host.tried_at) == 1
    assert host.ended_at < 1


def test_host_that_never_answered_like_stripe_fails_after_thirty_seconds(in_virtual_time: InVirtualTime) -> None:
    stranger = Host(fails=failure(from_api=False))
    in_virtual_time(stranger.request(FIVE_MINUTES, known=False))
    assert FIRST_CONTACT_SECONDS <= stranger.ended_at <= FIRST_CONTACT_SECONDS + 5
    for host, known in ((Host(fails=failure(from_api=False)), True), (Host(), False)):
        in_virtual_time(host.request(FIVE_MINUTES, known=known))
        assert host.ended_at > 280


@pytest.mark.parametrize("down_seconds", [10, 29])
def test_unknown_host_is_reached_after_a_short_outage(in_virtual_time: InVirtualTime, down_seconds: float) -> None:
    host = Host(down_seconds, fails=failure(from_api=False))
    assert in_virtual_time(host.request(FIVE_MINUTES, known=False)) is ANSWER


def test_permanent_failure_is_not_retried(in_virtual_time: InVirtualTime) -> None:
    host = Host(fails=failure(retry=False))
    assert in_virtual_time(host.request(FIVE_MINUTES)) is host.fails
    assert len(host.tried_at) == 1


def test_number_of_tries_can_be_limited(in_virtual_time: InVirtualTime) -> None:
    host = Host()
    in_virtual_time(host.request(Backoff(tries=3)))
    assert len(host.tried_at) == 3


def test_cancellation_ends_a_wait_at_once(in_virtual_time: InVirtualTime) -> None:
    async def canceled() -> float:
        host = Host(fails=failure(retry_after=200))
        task = asyncio.create_task(host.request(FIVE_MINUTES))
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert len(host.tried_at) == 1
        return asyncio.get_running_loop().time()

    assert in_virtual_time(canceled()) == pytest.approx(5)
