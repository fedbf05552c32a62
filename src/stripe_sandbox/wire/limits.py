"""Stripe's limiters (docs.stripe.com/rate-limits): request rates (token buckets) and concurrency, off by default."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from stripe_sandbox.wire.errors import rate_limited


@dataclass(slots=True)
class _Bucket:
    rate: float
    tokens: float
    at: float

    def take(self, now: float) -> bool:
        self.tokens = min(max(1.0, self.rate), self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Limits:
    """None means no limit. Rates use real time, not the sandbox's clock."""

    def __init__(self, rps: float | None = None) -> None:
        self.rps: float | None = rps
        self.endpoint_rps: float | None = None
        self.concurrency: int | None = None
        self.endpoint_concurrency: int | None = None
        self._buckets: dict[str, _Bucket] = {}
        self._in_flight: Counter[str] = Counter()

    def set(self, **values: float | None) -> None:
        for name, value in values.items():
            if name not in ("rps", "endpoint_rps", "concurrency", "endpoint_concurrency"):
                raise ValueError(f"unknown limit: {name!r}")
            setattr(self, name, value)
        self._buckets.clear()

    @contextmanager
    def entered(self, endpoint: str) -> Iterator[None]:
        """Counts a request while it is in flight; raises 429 with the reason if it exceeds a limit."""
        if self.concurrency is not None and self._in_flight[""] >= self.concurrency:
            raise rate_limited("global-concurrency")
        if self.endpoint_concurrency is not None and self._in_flight[endpoint] >= self.endpoint_concurrency:
            raise rate_limited("endpoint-concurrency")
        now = time.monotonic()
        if self.rps is not None and not self._bucket("", self.rps, now).take(now):
            raise rate_limited("global-rate")
        if self.endpoint_rps is not None and not self._bucket(endpoint, self.endpoint_rps, now).take(now):
            raise rate_limited("endpoint-rate")
        self._in_flight[""] += 1
        self._in_flight[endpoint] += 1
        try:
            yield
        finally:
            self._in_flight[""] -= 1
            self._in_flight[endpoint] -= 1

    def _bucket(self, name: str, rate: float, now: float) -> _Bucket:
        return self._buckets.setdefault(name, _Bucket(rate, max(1.0, rate), now))
