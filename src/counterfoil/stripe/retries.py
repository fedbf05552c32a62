"""Retries of one request: bounded by elapsed time, with full jitter, respecting `Retry-After`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import tenacity

from counterfoil.http.transport import TOTAL_SECONDS, Failure
from counterfoil.stripe.responses import Answer

#: Time limit for a host that has never answered like the Stripe API, so that a wrong address is reported soon.
FIRST_CONTACT_SECONDS = 30.0
#: The shortest timeout of a try that starts late in the budget, and therefore the longest overrun of the budget.
LEAST_TIMEOUT_SECONDS = 5.0

Outcome = Answer | Failure


@dataclass(frozen=True, slots=True)
class Backoff:
    """The time limit of a request's retries, and the waits in between.

    The wait before retry n is random between zero and `base * 2^(n - 1)`, at most `cap`. A `Retry-After` is added.
    """

    #: Counted from the first try. The setting COUNTERFOIL_RETRY_SECONDS is an upper bound.
    budget_seconds: float = math.inf
    base_seconds: float = 0.5
    cap_seconds: float = 16.0
    #: Maximum number of tries; None for no maximum.
    tries: int | None = None


#: For interactive requests, where a user waits for the response.
INTERACTIVE = Backoff(budget_seconds=10, tries=3)
#: For requests of the checks after a load, where an outage must not delay a run that has succeeded.
PROOF = Backoff(budget_seconds=30)


class Budget:
    """The time left for one request, counted from its first try. The wait for a permit before that does not count."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._clock = asyncio.get_running_loop().time
        self._started_at: float | None = None

    def start(self) -> None:
        """Starts the clock at the first try; later calls have no effect."""
        if self._started_at is None:
            self._started_at = self._clock()

    @property
    def spent(self) -> float:
        """Seconds since the first try."""
        return 0.0 if self._started_at is None else self._clock() - self._started_at

    @property
    def timeout(self) -> float:
        """Timeout in seconds of a try that starts now."""
        least = min(LEAST_TIMEOUT_SECONDS, self.seconds)
        return min(TOTAL_SECONDS, max(self.seconds - self.spent, least))


async def retried(
    attempt: Callable[[Budget], Awaitable[Outcome]],
    backoff: Backoff,
    *,
    known: Callable[[], bool],
    note: Callable[[tenacity.RetryCallState], None],
) -> Outcome:
    """The first outcome that needs no retry, or the last one before the budget ends.

    `attempt` starts the budget. `known` returns whether the host has answered like the Stripe API before. `note` is
    called before each wait.
    """
    budget = Budget(backoff.budget_seconds)

    jitter = tenacity.wait_random_exponential(multiplier=backoff.base_seconds, max=backoff.cap_seconds)

    def left(state: tenacity.RetryCallState) -> float:
        failure = _failure(state)
        stranger = failure is not None and not failure.from_api and not known()
        limit = min(budget.seconds, FIRST_CONTACT_SECONDS) if stranger else budget.seconds
        return limit - budget.spent

    def wait(state: tenacity.RetryCallState) -> float:
        least = _retry_after(state)
        # The last try is made at the end of the time limit, not one wait earlier.
        return max(least, min(least + jitter(state), left(state)))

    def is_over(state: tenacity.RetryCallState) -> bool:
        return left(state) <= _retry_after(state)

    most = () if backoff.tries is None else (tenacity.stop_after_attempt(backoff.tries),)
    retrying = tenacity.AsyncRetrying(
        stop=tenacity.stop_any(is_over, *most),  # type: ignore[arg-type]  # a plain function is accepted too
        wait=wait,
        retry=tenacity.retry_if_result(lambda outcome: isinstance(outcome, Failure) and outcome.retry),
        before_sleep=note,
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    outcome: Outcome = await retrying(attempt, budget)
    return outcome


def _failure(state: tenacity.RetryCallState) -> Failure | None:
    outcome = state.outcome.result() if state.outcome else None
    return outcome if isinstance(outcome, Failure) else None


def _retry_after(state: tenacity.RetryCallState) -> float:
    failure = _failure(state)
    return 0.0 if failure is None else failure.retry_after
