"""The arithmetic of the rate limits and the queue of waiting requests, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.settings import Settings
from counterfoil.stripe.limiter import Limiter, limiter_for, share_rates
from counterfoil.stripe.rates import FIRST_SLOTS, MORE_SLOTS, Limits

CHARGES, REFUNDS = "GET /v1/charges", "GET /v1/refunds"
#: Stripe's limits, independent of the environment.
STRIPE_LIMITS: dict[str, Any] = {"rate_global": None, "rate_endpoint": 25.0, "rate_share": 1.0, "in_flight": 64}
Run = Callable[[Coroutine[Any, Any, Any]], Any]


def limits(*, live: bool = True, **options: Any) -> Limits:
    return Limits(live=live, settings=Settings(**(STRIPE_LIMITS | options)), now=0.0)


def limiter(*, live: bool = True, **options: Any) -> Limiter:
    """A limiter with the clock of the running loop."""
    settings = Settings(**(STRIPE_LIMITS | options))
    return Limiter(live=live, settings=settings, clock=asyncio.get_running_loop().time)


def starts(limits: Limits, endpoint: str, since: float, seconds: float) -> int:
    """The number of instantaneous requests that may start in this time."""
    now, count = since, 0
    while (now := now + limits.wait(endpoint, now)) < since + seconds:
        limits.start(endpoint, now)
        limits.finish(endpoint, now, now)
        count += 1
    return count


async def ask(limiter: Limiter, endpoint: str, latency_seconds: float, reason: str | None = None) -> float:
    permit = await limiter.acquire(endpoint)
    await asyncio.sleep(latency_seconds)
    limiter.release(permit, reason)
    return permit.started_at


async def seconds_for(limiter: Limiter, requests: int, latency_seconds: float) -> float:
    """From the first request to the last, with one worker per slot of the limiter, like a reader."""
    started, remaining, working = list[float](), requests, set[asyncio.Task[float]]()
    while remaining or working:
        while remaining and len(working) < limiter.slots(CHARGES):
            working.add(asyncio.create_task(ask(limiter, CHARGES, latency_seconds)))
            remaining -= 1
        done, working = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
        started.extend(task.result() for task in done)
    return max(started) - min(started)


@pytest.mark.parametrize(
    ("live", "options", "rate"),
    [
        (True, {}, 25),
        (True, {"rate_share": 0.8}, 20),
        (True, {"rate_endpoint": 200}, 100),
        (False, {"rate_endpoint": 200}, 25),
        (False, {"rate_endpoint": 200, "rate_share": 0.8}, 20),
        (False, {"rate_endpoint": 200, "rate_global": 60}, 60),
        (True, {"rate_endpoint": 0.5}, 0.5),
    ],
)
def test_rate_is_the_lower_one_of_account_and_endpoint(live: bool, options: dict[str, float], rate: float) -> None:
    assert starts(limits(live=live, **options), CHARGES, 0.0, 100.0) == pytest.approx(rate * 100, rel=0.01, abs=1)


def test_the_nodes_of_an_account_share_its_rate_evenly() -> None:
    shared = limits()
    shared.nodes = 5
    assert starts(shared, CHARGES, 0.0, 100.0) == pytest.approx(500, rel=0.01)
    assert starts(shared, REFUNDS, 100.0, 100.0) == pytest.approx(500, rel=0.01)


def test_two_endpoints_share_the_rate_of_the_account() -> None:
    shared = limits(live=False)
    shared.start(REFUNDS, 0.0)
    assert shared.wait(CHARGES, 0.0) == pytest.approx(1 / 25)


def test_pause_allows_a_burst_of_a_tenth_of_a_second() -> None:
    rested = limits()
    rested.wait(CHARGES, 0.0)
    count = 0
    while rested.wait(CHARGES, 3600.0) == 0:
        rested.start(CHARGES, 3600.0)
        count += 1
    assert count == 1 + 2  # 2.5 tokens beyond the one


@pytest.mark.parametrize(
    ("reason", "charges", "refunds"),
    [
        ("endpoint-rate", 12.5, 25),
        ("global-rate", 25, 25),  # half of the account's 100 is still more than the endpoint's 25
        ("endpoint-concurrency", 25, 25),
        ("resource-specific", 25, 25),
        ("lock_timeout", 25, 25),
        ("", 25, 25),
        (None, 25, 25),
    ],
)
def test_only_a_429_for_a_rate_halves_that_rate(reason: str | None, charges: float, refunds: float) -> None:
    hit = limits()
    hit.start(CHARGES, 1.0)
    hit.finish(CHARGES, 1.0, 1.1, reason)
    assert starts(hit, CHARGES, 1.1, 0.9) == pytest.approx(charges * 0.9, abs=3.5)
    assert starts(hit, REFUNDS, 1.1, 0.9) == pytest.approx(refunds * 0.9, abs=3.5)


def test_global_429_halves_the_rate_of_the_account() -> None:
    hit = limits(rate_endpoint=1000, live=False)
    hit.start(CHARGES, 1.0)
    hit.finish(CHARGES, 1.0, 1.1, "global-rate")
    assert starts(hit, REFUNDS, 1.1, 0.9) == pytest.approx(12.5 * 0.9, abs=2.5)


def test_429s_of_earlier_requests_do_not_halve_again() -> None:
    hit = limits()
    for _ in range(3):
        hit.start(CHARGES, 1.0)
    for late in range(3):
        hit.finish(CHARGES, 1.0, 1.1 + late / 100, "endpoint-rate")
    assert starts(hit, CHARGES, 1.15, 0.8) == pytest.approx(12.5 * 0.8, abs=3.5)


def test_halved_rate_recovers_step_by_step() -> None:
    hit = limits()
    hit.start(CHARGES, 0.0)
    hit.finish(CHARGES, 0.0, 0.0, "endpoint-rate")
    by_second = [starts(hit, CHARGES, float(second), 1.0) for second in range(14)]
    assert by_second[0] == pytest.approx(12.5, abs=3)
    assert by_second[5] == pytest.approx(12.5 + 5 * 1.25, abs=1.5)
    assert by_second[13] == pytest.approx(25, abs=1)


def test_repeatedly_halved_rate_has_a_minimum() -> None:
    hit = limits()
    for hundredth in range(100):
        hit.start(CHARGES, hundredth / 100)
        hit.finish(CHARGES, hundredth / 100, hundredth / 100, "endpoint-rate")
    debt = 100 - 25 * 1.0
    assert debt < hit.wait(CHARGES, 1.0) < 2 * debt


@pytest.mark.parametrize(("reason", "refunds"), [("endpoint-concurrency", FIRST_SLOTS), ("global-concurrency", 2)])
def test_a_429_for_concurrency_halves_the_slots_of_its_scope(reason: str, refunds: int) -> None:
    hit = limits()
    for _ in range(4):
        hit.start(CHARGES, 0.0)
    hit.finish(CHARGES, 0.0, 0.1, reason)
    assert hit.slots(CHARGES, 0.1) == 2
    assert hit.slots(REFUNDS, 0.1) == refunds


def test_halved_slots_recover_one_by_one_while_tokens_are_unused() -> None:
    hit = limits()
    for _ in range(4):
        hit.start(CHARGES, 0.0)
    hit.finish(CHARGES, 0.0, 0.1, "endpoint-concurrency")
    assert [hit.slots(CHARGES, 0.1 + second) for second in (1, 4, 6, 9, 12)] == [2, 2, 3, 3, 4]


def test_slots_do_not_grow_while_some_are_free() -> None:
    idle = limits()
    idle.start(CHARGES, 0.0)
    assert idle.slots(CHARGES, 3600.0) == FIRST_SLOTS


def test_slots_grow_with_unused_tokens_up_to_the_cap() -> None:
    busy = limits(in_flight=40)
    grown = []
    for tenth in range(25):
        while busy.wait(CHARGES, tenth / 10) <= 0:
            busy.start(CHARGES, tenth / 10)
        grown.append(busy.slots(CHARGES, tenth / 10))
    assert grown[0] == FIRST_SLOTS
    assert grown[-1] == 40
    assert grown == sorted(grown)
    assert max(after - before for before, after in pairwise(grown)) <= 3 * MORE_SLOTS


def test_an_endpoint_never_has_more_slots_than_the_account() -> None:
    assert limits(in_flight=2).slots(CHARGES, 0.0) == 2


@pytest.mark.parametrize(("latency_seconds", "least_share"), [(0.15, 0.99), (1.0, 0.95), (2.7, 0.85)])
def test_long_listing_uses_the_full_rate_at_any_latency(
    in_virtual_time: Run, latency_seconds: float, least_share: float
) -> None:
    async def main() -> float:
        return await seconds_for(limiter(), 1000, latency_seconds)

    assert 1000 / float(in_virtual_time(main())) >= least_share * 25


def test_four_parallel_listings_use_the_full_rate_of_the_account(in_virtual_time: Run) -> None:
    async def main() -> float:
        asks = limiter()
        endpoints = (CHARGES, REFUNDS, "GET /v1/customers", "GET /v1/balance_transactions")
        started = await asyncio.gather(*(ask(asks, endpoint, 0.15) for _ in range(500) for endpoint in endpoints))
        return 2000 / (max(started) - min(started))

    assert in_virtual_time(main()) >= 0.98 * 100


def test_strict_server_with_the_same_rate_rarely_answers_429(in_virtual_time: Run) -> None:
    async def main() -> float:
        clock, rng = asyncio.get_running_loop().time, random.Random(1)
        asks, tokens, filled_at, refused = limiter(), 5.0, 0.0, 0

        async def one() -> None:
            nonlocal tokens, filled_at, refused
            permit = await asks.acquire(CHARGES)
            await asyncio.sleep(rng.uniform(0.005, 0.06))  # the latency of the request
            tokens, filled_at = min(5.0, tokens + (clock() - filled_at) * 25), clock()
            late = tokens < 1
            refused, tokens = refused + late, tokens - (not late)
            await asyncio.sleep(rng.uniform(0.1, 0.3))
            asks.release(permit, "endpoint-rate" if late else None)

        await asyncio.gather(*(one() for _ in range(2000)))
        return refused / 2000

    assert in_virtual_time(main()) < 0.01


def test_limiter_adapts_to_a_server_with_half_the_rate(in_virtual_time: Run) -> None:
    async def main() -> tuple[int, int]:
        clock = asyncio.get_running_loop().time
        asks, tokens, filled_at, served, refused = limiter(), 12.0, 0.0, 0, 0
        while clock() < 120:
            permit = await asks.acquire(CHARGES)
            tokens, filled_at = min(12.0, tokens + (clock() - filled_at) * 12.5), clock()
            late = tokens < 1
            served, refused, tokens = served + (not late), refused + late, tokens - (not late)
            asks.release(permit, "endpoint-rate" if late else None)
        return served, refused

    served, refused = in_virtual_time(main())
    assert served >= 0.85 * 12.5 * 120
    assert refused <= 0.05 * served


def test_waiters_are_served_in_order(in_virtual_time: Run) -> None:
    async def main() -> list[int]:
        asks, order = limiter(), list[int]()

        async def started(number: int) -> None:
            permit = await asks.acquire(CHARGES)
            order.append(number)
            await asyncio.sleep(0.01 * (50 - number))
            asks.release(permit)

        await asyncio.gather(*(started(number) for number in range(50)))
        return order

    assert in_virtual_time(main()) == list(range(50))


def test_endpoints_alternate_at_the_rate_of_the_account(in_virtual_time: Run) -> None:
    async def main() -> list[str]:
        asks, order = limiter(live=False), list[str]()

        async def one(endpoint: str) -> None:
            permit = await asks.acquire(endpoint)
            order.append(endpoint)
            asks.release(permit)

        await asyncio.gather(*(one(endpoint) for _ in range(20) for endpoint in (CHARGES, REFUNDS)))
        return order

    assert in_virtual_time(main()) == [CHARGES, REFUNDS] * 20


def test_slow_endpoint_does_not_block_another(in_virtual_time: Run) -> None:
    async def main() -> float:
        asks = limiter(in_flight=64)
        slow = [asyncio.create_task(ask(asks, CHARGES, 1000.0)) for _ in range(5)]
        await asyncio.sleep(0)
        started_at = await ask(asks, REFUNDS, 0.1)
        for task in slow:
            task.cancel()
        await asyncio.wait(slow)
        return started_at

    assert in_virtual_time(main()) < 0.1


def test_cancelled_waiter_is_skipped(in_virtual_time: Run) -> None:
    async def main() -> list[float]:
        asks = limiter()
        tasks = [asyncio.create_task(ask(asks, CHARGES, 0.0)) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        tasks[2].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        return [started for started in done if isinstance(started, float)]

    assert in_virtual_time(main()) == pytest.approx([0.0, 0.04])


def test_waiter_cancelled_at_admission_returns_slot_and_token(in_virtual_time: Run) -> None:
    async def main() -> tuple[float, int]:
        asks = limiter(in_flight=1)
        first = await asks.acquire(CHARGES)
        await asyncio.sleep(1)
        waiting = asyncio.create_task(asks.acquire(CHARGES))
        await asyncio.sleep(0)
        asks.release(first)  # admits it ...
        waiting.cancel()  # ... and it never runs
        with pytest.raises(asyncio.CancelledError):
            await waiting
        permits = [await asks.acquire(CHARGES)]
        return permits[0].started_at, asks.slots(CHARGES)

    assert in_virtual_time(main()) == (pytest.approx(1.0), 1)


def test_withdrawn_request_returns_slot_and_token() -> None:
    single = limits(in_flight=1)
    single.start(CHARGES, 0.0)
    assert single.wait(CHARGES, 0.0) > 0
    single.withdraw(CHARGES, 0.0)
    assert single.wait(CHARGES, 0.0) == 0


def test_the_account_never_has_more_in_flight_than_the_cap(in_virtual_time: Run) -> None:
    async def main() -> int:
        asks, in_flight, most = limiter(in_flight=6), 0, 0

        async def one(endpoint: str) -> None:
            nonlocal in_flight, most
            permit = await asks.acquire(endpoint)
            in_flight += 1
            most = max(most, in_flight)
            await asyncio.sleep(2.7)
            in_flight -= 1
            asks.release(permit)

        await asyncio.gather(*(one(endpoint) for _ in range(40) for endpoint in (CHARGES, REFUNDS)))
        return most

    assert in_virtual_time(main()) == 6


def test_limiter_works_after_its_loop_has_ended(in_virtual_time: Run) -> None:
    reused = Limiter(live=True, settings=Settings(**STRIPE_LIMITS))

    async def leave_waiters() -> None:
        waiting = [asyncio.create_task(reused.acquire(CHARGES)) for _ in range(9)]
        await asyncio.sleep(0)
        assert not all(task.done() for task in waiting)

    async def one() -> str:
        return (await reused.acquire(REFUNDS)).endpoint

    in_virtual_time(leave_waiters())
    assert in_virtual_time(one()) == REFUNDS


@given(
    data=st.data(),
    rate=st.sampled_from([0.7, 5.0, 25.0]),
    slots=st.integers(1, 20),
)
def test_rate_and_cap_are_never_exceeded(data: st.DataObject, rate: float, slots: int) -> None:
    held = limits(rate_endpoint=rate, in_flight=slots)
    now, running, begun = 0.0, list[float](), list[float]()
    reasons = st.sampled_from([None, None, None, "endpoint-rate", "endpoint-concurrency", "global-rate", "other"])
    for _ in range(data.draw(st.integers(1, 60))):
        now += data.draw(st.floats(0, 2))
        if held.wait(CHARGES, now) <= 0:
            held.start(CHARGES, now)
            running.append(now)
            begun.append(now)
        elif running:
            held.finish(CHARGES, running.pop(), now, data.draw(reasons))
        assert len(running) <= min(slots, max(held.slots(CHARGES, now), len(running)))
    for first, since in enumerate(begun):
        for last, until in enumerate(begun[first:], first):
            assert last - first + 1 <= 1 + 0.1 * rate + (until - since) * rate + 1e-3


def test_clients_of_one_account_share_a_limiter_and_others_do_not() -> None:
    one, settings = "acct_shared", Settings()
    first = limiter_for(one, live=True, settings=settings)
    assert limiter_for(one, live=True, settings=settings) is first
    assert limiter_for(one, live=False, settings=settings) is not first
    assert limiter_for("acct_other", live=True, settings=settings) is not first
    assert limiter_for(one, live=True, settings=settings, api_base="http://127.0.0.1:1") is not first
    assert limiter_for("acct_alias", live=True, settings=settings, known=first) is first
    assert limiter_for("acct_alias", live=True, settings=settings) is first


def test_processes_with_runs_of_an_account_share_its_rates() -> None:
    settings = Settings()
    known = limiter_for("acct_of_two", live=True, settings=settings)
    try:
        share_rates(3, {"acct_of_two": 2, "acct_of_one": 1})
        assert known.nodes == 2
        assert limiter_for("acct_of_one", live=True, settings=settings).nodes == 1
        assert limiter_for("acct_without_runs", live=True, settings=settings).nodes == 3
        share_rates(3, {})
        assert known.nodes == 3
    finally:
        share_rates(1, {})
    assert known.nodes == 1
