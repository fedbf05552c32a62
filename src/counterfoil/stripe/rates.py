"""The request rate of one Stripe account: tokens, slots for requests in flight, and the effect of a 429 on both.

Pure arithmetic: every instant is an argument, in seconds of one monotonic clock. `limiter.py` does the waiting.
Limits and reasons: https://docs.stripe.com/rate-limits
"""

from __future__ import annotations

import math

from counterfoil.settings import Settings

LIVE_RATE = 100.0
TEST_RATE = 25.0
FIRST_SLOTS = 4
#: Slots added per unused token. Adding one at a time would use as many tokens as the requests themselves.
MORE_SLOTS = 4
#: Maximum burst of tokens, in seconds of flow, for example when a timer is late. Small, to keep the rate even.
BURST_SECONDS = 0.1
#: A halved rate recovers by this share of the full rate per interval.
RATE_STEP, RATE_STEP_SECONDS = 0.05, 1.0
#: The minimum share of the full rate, however often it is halved.
RATE_FLOOR = 1 / 32
#: After a 429 for concurrency, one slot is added per interval.
SLOT_STEP_SECONDS = 5.0
#: Polling interval when all slots are taken and the next one is due.
MOMENT = 0.001
#: Tolerance for rounding errors, in tokens.
EPSILON = 1e-6


class Bucket:
    """Tokens that flow in at a rate, one for each request."""

    def __init__(self, full_rate: float, now: float) -> None:
        self.full_rate = full_rate
        self._share = 1.0
        self._halved_at = -math.inf
        self._tokens = 1.0
        self._filled_at = now

    def rate(self, now: float) -> float:
        return self.full_rate * self._share_at(now)

    def _share_at(self, now: float) -> float:
        if self._share == 1.0:
            return 1.0
        steps = (now - self._halved_at) // RATE_STEP_SECONDS
        return min(1.0, self._share + RATE_STEP * steps)

    def fill(self, now: float) -> float:
        """Adds the tokens up to now; returns the overflow."""
        rate = self.rate(now)
        tokens = self._tokens + max(0.0, now - self._filled_at) * rate
        self._filled_at = now
        self._tokens = min(tokens, _capacity(rate))
        return tokens - self._tokens

    def take(self) -> None:
        self._tokens -= 1

    def give_back(self) -> None:
        self._tokens += 1

    def wait(self, now: float) -> float:
        """Seconds until a token is available; call `fill` first."""
        return _wait(1 - self._tokens, self.rate(now))

    def wait_unused(self, now: float, already: float) -> float:
        """Seconds until a whole token has overflowed; `already` is the part that has."""
        rate = self.rate(now)
        return _wait(_capacity(rate) + 1 - already - self._tokens, rate)

    def halve(self, started_at: float, now: float) -> None:
        """Halves the rate after a 429. Requests started before the last halving are ignored."""
        if started_at >= self._halved_at:
            self._share = max(RATE_FLOOR, self._share_at(now) / 2)
            self._halved_at = now


def _capacity(rate: float) -> float:
    return 1 + rate * BURST_SECONDS


def _wait(missing: float, rate: float) -> float:
    return missing / rate if missing > EPSILON else 0.0


class Slots:
    """The number of requests that may be in flight. It grows with the tokens unused while all slots are taken."""

    def __init__(self, limit: int, most: int) -> None:
        self.limit = limit
        self.in_flight = 0
        self.unused = 0.0
        self._most = most
        self._halved_at = -math.inf
        self._stepped_at = -math.inf

    @property
    def free(self) -> bool:
        return self.in_flight < self.limit

    def grow(self, unused: float, now: float) -> None:
        """`unused` tokens overflowed until now while all slots were taken."""
        self.unused += unused
        if self.unused < 1 - EPSILON:
            return
        if self._halved_at == -math.inf:
            tokens = int(self.unused + EPSILON)
            self.limit = min(self._most, self.limit + MORE_SLOTS * tokens)
            self.unused = max(0.0, self.unused - tokens)
        else:
            # Stripe's limit is known after a 429, so grow slowly.
            self.unused = 1.0
            if now - self._stepped_at >= SLOT_STEP_SECONDS - EPSILON:
                self.limit = min(self._most, self.limit + 1)
                self._stepped_at = now
                self.unused = 0.0

    def wait_growth(self, now: float) -> float:
        if self.limit >= self._most:
            return math.inf
        return max(0.0, self._stepped_at + SLOT_STEP_SECONDS - now)

    def halve(self, started_at: float, now: float) -> None:
        if started_at >= self._halved_at:
            self.limit = max(1, min(self.limit, self.in_flight) // 2)
            self._halved_at = self._stepped_at = now
            self.unused = 0.0


class _Gate:
    """The rate and the slots of one endpoint or of the account."""

    def __init__(self, rate: float, slots: int, most: int, now: float) -> None:
        self.bucket = Bucket(rate, now)
        self.slots = Slots(slots, most)


class Limits:
    """The account's gate and one for each endpoint."""

    def __init__(self, *, live: bool, settings: Settings, now: float) -> None:
        self._rate_global = (settings.rate_global or (LIVE_RATE if live else TEST_RATE)) * settings.rate_share
        self._rate_endpoint = settings.rate_endpoint * settings.rate_share
        self._most = settings.in_flight
        self._nodes = 1
        self._account = _Gate(self._rate_global, self._most, self._most, now)
        self._endpoints: dict[str, _Gate] = {}

    @property
    def nodes(self) -> int:
        """The number of nodes that share the account's rates."""
        return self._nodes

    @nodes.setter
    def nodes(self, nodes: int) -> None:
        self._nodes = max(1, nodes)
        self._account.bucket.full_rate = self._rate_global / self._nodes
        for gate in self._endpoints.values():
            gate.bucket.full_rate = self._rate_endpoint / self._nodes

    def _gate(self, endpoint: str, now: float) -> _Gate:
        if endpoint not in self._endpoints:
            rate = self._rate_endpoint / self._nodes
            self._endpoints[endpoint] = _Gate(rate, min(FIRST_SLOTS, self._most), self._most, now)
        return self._endpoints[endpoint]

    def _settle(self, now: float) -> None:
        account = self._account
        spare = account.bucket.fill(now)
        if not account.slots.free:
            account.slots.grow(spare, now)
        for gate in self._endpoints.values():
            unused = min(gate.bucket.fill(now), spare)
            if account.slots.free and not gate.slots.free:
                gate.slots.grow(unused, now)

    def slots(self, endpoint: str, now: float) -> int:
        """The number of requests to this endpoint that may be in flight."""
        gate = self._gate(endpoint, now)
        self._settle(now)
        return min(gate.slots.limit, self._account.slots.limit)

    def wait(self, endpoint: str, now: float) -> float:
        """Seconds until a request may start. 0 means now; infinite means that another request must end first."""
        gate, account = self._gate(endpoint, now), self._account
        self._settle(now)
        if not account.slots.free:
            return math.inf
        if gate.slots.free:
            return max(gate.bucket.wait(now), account.bucket.wait(now))
        return max(
            MOMENT,
            gate.bucket.wait_unused(now, gate.slots.unused),
            account.bucket.wait_unused(now, gate.slots.unused),
            gate.slots.wait_growth(now),
        )

    def start(self, endpoint: str, now: float) -> None:
        """Takes a token and a slot, after `wait` returned 0."""
        for gate in (self._gate(endpoint, now), self._account):
            gate.bucket.take()
            gate.slots.in_flight += 1

    def withdraw(self, endpoint: str, now: float) -> None:
        """Returns the token and the slot of a request that is not sent."""
        self._settle(now)
        for gate in (self._gate(endpoint, now), self._account):
            gate.bucket.give_back()
            gate.slots.in_flight -= 1

    def finish(self, endpoint: str, started_at: float, now: float, reason: str | None = None) -> None:
        """Ends a request. `reason` is Stripe's reason for a 429, if any; a 429 without one has no effect here."""
        self._settle(now)
        gate = self._gate(endpoint, now)
        if reason is not None:
            scope, _, kind = reason.partition("-")
            limited = {"global": self._account, "endpoint": gate}.get(scope)
            if limited and kind == "rate":
                limited.bucket.halve(started_at, now)
            elif limited and kind == "concurrency":
                limited.slots.halve(started_at, now)
        gate.slots.in_flight -= 1
        self._account.slots.in_flight -= 1
