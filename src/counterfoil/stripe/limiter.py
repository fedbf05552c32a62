"""Queues the requests to one Stripe account, first come, first served, within the limits of `rates.py`."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from counterfoil.settings import Settings
from counterfoil.stripe.rates import Limits


@dataclass(frozen=True, slots=True)
class Permit:
    """The permission for one request to be in flight."""

    endpoint: str
    started_at: float


@dataclass(frozen=True, slots=True)
class _Waiter:
    turn: int
    permit: asyncio.Future[Permit]


class Limiter:
    """One per Stripe account and process, on one event loop. Only `nodes` can be used from other threads."""

    def __init__(self, *, live: bool, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits = Limits(live=live, settings=settings, now=clock())
        self._queues: defaultdict[str, deque[_Waiter]] = defaultdict(deque)
        self._turns = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def nodes(self) -> int:
        """The number of nodes with a run of this account. They share its rates evenly."""
        return self._limits.nodes

    @nodes.setter
    def nodes(self, nodes: int) -> None:
        self._limits.nodes = nodes

    def slots(self, endpoint: str) -> int:
        """The number of requests to this endpoint that may be in flight now."""
        return self._limits.slots(endpoint, self._clock())

    async def acquire(self, endpoint: str) -> Permit:
        """Waits for the request's turn. The caller must release the permit."""
        waiter = _Waiter(next(self._turns), asyncio.get_running_loop().create_future())
        self._queues[endpoint].append(waiter)
        self._admit()
        try:
            return await waiter.permit
        except asyncio.CancelledError:
            if not waiter.permit.cancelled():
                # The permit was granted just before the cancellation.
                self._limits.withdraw(endpoint, self._clock())
            self._admit()
            raise

    def release(self, permit: Permit, reason: str | None = None) -> None:
        """`reason` is the `Stripe-Rate-Limited-Reason` of a 429."""
        self._limits.finish(permit.endpoint, permit.started_at, self._clock(), reason)
        self._admit()

    def _admit(self) -> None:
        """Grants permits to all requests that may start now, then sets the timer for the next one."""
        while True:
            now = self._clock()
            waits = {endpoint: self._limits.wait(endpoint, now) for endpoint, queue in self._queues.items() if queue}
            ready = [endpoint for endpoint, wait in waits.items() if wait <= 0]
            if not ready:
                break
            endpoint = min(ready, key=lambda endpoint: self._queues[endpoint][0].turn)
            waiter = self._queues[endpoint].popleft()
            if not waiter.permit.cancelled():
                self._limits.start(endpoint, now)
                waiter.permit.set_result(Permit(endpoint, now))
        self._set_timer(min(waits.values(), default=math.inf))

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds < math.inf:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._admit)


_limiters: dict[tuple[str, str, bool, tuple[object, ...]], Limiter] = {}
#: Number of processes that share each account's rates, including this one. `_nodes` applies to all other accounts.
_sharing: dict[str, int] = {}
_nodes = 1


def share_rates(nodes: int, sharing: Mapping[str, int]) -> None:
    """Sets how many processes have runs of each account (`sharing`). Each process takes an equal share of its rates.

    For any other account, `nodes` applies, because each node may start a run of it.
    """
    global _nodes  # noqa: PLW0603 - of the process, like the limiters
    _nodes = nodes
    _sharing.clear()
    _sharing.update(sharing)
    for (_, account, *_), limiter in list(_limiters.items()):
        limiter.nodes = _sharing.get(account, nodes)


def limiter_for(
    account: str, *, live: bool, settings: Settings, api_base: str = "", known: Limiter | None = None
) -> Limiter:
    """The limiter that all clients of an account share; `account` is its id or the fingerprint of a key.

    If there is none yet, `known` is shared under that name.
    """
    rates = (settings.rate_global, settings.rate_endpoint, settings.rate_share, settings.in_flight)
    name = (api_base, account, live, rates)
    if name not in _limiters:
        _limiters[name] = known or Limiter(live=live, settings=settings)
        _limiters[name].nodes = _sharing.get(account, _nodes)
    return _limiters[name]


if hasattr(os, "register_at_fork"):
    # A child process would wait for permits of its parent's requests, which are never released in the child.
    os.register_at_fork(after_in_child=_limiters.clear)
