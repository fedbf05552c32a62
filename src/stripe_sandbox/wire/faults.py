"""Injected faults: at random with a given rate, or planned for the next N requests to a path."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stripe_sandbox.wire.errors import StripeError, lock_timeout, rate_limited

_API_ERROR = "An unknown error occurred"
_STATUSES = {"500": 500, "502": 502, "503": 503, "504": 504}
_RATES = {
    "global-rate": "global-rate", "endpoint-rate": "endpoint-rate",
    "global-concurrency": "global-concurrency", "endpoint-concurrency": "endpoint-concurrency",
    "resource-specific": "resource-specific",
}  # fmt: skip
#: Faults of the transport or of the body; the others are error responses.
MANGLING = ("cut", "half", "garbage", "stuck_cursor", "hold", "status", "cut_list", "lost_object", "other_amount")
NAMES = (*_STATUSES, *_RATES, "lock_timeout", "409", "424", "should_retry", "should_not_retry", *MANGLING)
#: The faults of a rate without kinds: those that a client should survive by retrying.
BY_CHANCE = ("500", "503", "global-rate", "endpoint-concurrency", "lock_timeout", "cut", "half")


@dataclass(slots=True)
class Fault:
    """`seconds` is the duration of a hold (None: until released); `status`, `error` and `headers` are for `status`."""

    fault: str
    path: str | None = None
    count: int | None = 1
    #: Number of requests to skip first.
    skip: int = 0
    seconds: float | None = None
    status: int = 500
    error: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.fault not in NAMES:
            raise ValueError(f"unknown fault: {self.fault!r}; expected one of {', '.join(NAMES)}")


class Faults:
    def __init__(self, seed: int, rate: float = 0.0) -> None:
        self.rate = rate
        self.kinds: Sequence[str] = BY_CHANCE
        self.planned: list[Fault] = []
        self._chance = random.Random(seed)
        self._released = asyncio.Event()

    def set(self, rate: float, kinds: Sequence[str] | None) -> None:
        for kind in kinds or ():
            Fault(kind)
        self.rate, self.kinds = rate, tuple(kinds or BY_CHANCE)

    def clear(self) -> None:
        self.rate = 0.0
        self.planned.clear()
        self.release()

    def release(self) -> None:
        """Releases all held requests."""
        self._released.set()
        self._released = asyncio.Event()

    async def hold(self, fault: Fault) -> None:
        if fault.seconds is not None:
            await asyncio.sleep(fault.seconds)
        else:
            await self._released.wait()

    def next(self, path: str) -> Fault | None:
        """The fault of this request; None if it has none."""
        for fault in self.planned:
            if fault.path not in (None, path):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    self.planned.remove(fault)
            return fault
        if self.rate and self._chance.random() < self.rate:
            return Fault(self._chance.choice(self.kinds))
        return None


def told_wrongly(fault: Fault, answer: dict[str, Any], following: dict[str, Any] | None) -> None:
    """Changes a response undetectably: ends a list early, omits an object, or changes an amount.

    `following` is the next page, with one object; None if nothing follows.
    """
    data = answer.get("data") or [{}]
    if fault.fault == "cut_list":
        # After a full page, a client would request the next page.
        answer.update(data=data[: (len(data) + 1) // 2], has_more=False)
    elif fault.fault == "lost_object":
        answer["data"] = data[:1] + data[2:]
        if following is not None:
            answer["data"] += following["data"]
            answer["has_more"] = following["has_more"]
    elif fault.fault == "other_amount":
        answer["data"] = [data[0] | {"amount": data[0]["amount"] + 1}, *data[1:]]


def raised(fault: Fault) -> None:
    """Raises the error response of a fault, if it has one."""
    name = fault.fault
    if name in _STATUSES:
        raise StripeError(_STATUSES[name], _API_ERROR, kind="api_error")
    if name in _RATES:
        raise rate_limited(_RATES[name])
    if name == "lock_timeout":
        raise lock_timeout()
    if name == "409":
        raise StripeError(
            409,
            "There is currently another in-progress request using this Stripe-Idempotent-Key.",
            kind="idempotency_error",
            code="idempotency_key_in_use",
        )
    if name == "424":
        raise StripeError(424, "A dependency of this request failed.", kind="api_error")
    if name == "should_retry":
        raise StripeError(400, "Try again.", headers={"Stripe-Should-Retry": "true"})
    if name == "should_not_retry":
        raise StripeError(500, _API_ERROR, kind="api_error", headers={"Stripe-Should-Retry": "false"})
    if name == "status":
        error = StripeError(fault.status, str(fault.error.get("message", _API_ERROR)), headers=fault.headers)
        error.body |= fault.error
        raise error
