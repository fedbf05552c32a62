"""Retries of one request: bounded by elapsed time, with full jitter, honouring `Retry-After`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import tenacity

from counterfoil.http.transport import TOTAL_SECONDS, Failure
from counterfoil.stripe.responses import Answer

#: How long a host that has never answered like Stripe is asked: a wrong address is reported soon.
FIRST_CONTACT_SECONDS = 30.0
#: The shortest timeout of a try that begins late in the budget; the longest overrun of the budget.
LEAST_TIMEOUT_SECONDS = 5.0

Outcome = Answer | Failure


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a request is retried, and the waits in between.

    The wait before retry n is drawn from zero to `base * 2^(n - 1)`, at most `cap`. A `Retry-After` is added to it.
    """

    #: From the first try on. A client takes no more than the setting COUNTERFOIL_RETRY_SECONDS.
    budget_seconds: float = math.inf
    base_seconds: float = 0.5
    cap_seconds: float = 16.0
    #: Stops earlier, after this many tries; None leaves the time as the only bound.
    tries: int | None = None


#: For a request whose answer a person waits for.
INTERACTIVE = Backoff(budget_seconds=10, tries=3)
#: For a request of a check after a load: an outage must not hold up the run, which has succeeded.
PROOF = Backoff(budget_seconds=30)


class Budget:
    """The time left for one request, from the moment of its first try; the wait for its turn before that is free."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._clock = asyncio.get_running_loop().time
        self._started_at: float | None = None

    def start(self) -> None:
        """Starts the clock at the first try; later calls change nothing."""
        if self._started_at is None:
            self._started_at = self._clock()

    @property
    def spent(self) -> float:
        """Seconds since the first try."""
        return 0.0 if self._started_at is None else self._clock() - self._started_at

    @property
    def timeout(self) -> float:
        """Seconds after which a try that begins now is given up."""
        least = min(LEAST_TIMEOUT_SECONDS, self.seconds)
        return min(TOTAL_SECONDS, max(self.seconds - self.spent, least))


async def retried(
    attempt: Callable[[Budget], Awaitable[Outcome]],
    backoff: Backoff,
    *,
    known: Callable[[], bool],
    note: Callable[[tenacity.RetryCallState], None],
) -> Outcome:
    """The first outcome that is not worth a retry, or the last one before the budget ends.

    `attempt` starts the budget. `known` says whether the host has answered like Stripe before. `note` is called before
    each wait.
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
        # The last try comes at the end of the time, not a wait before it.
        return max(least, min(least + jitter(state), left(state)))

    def is_over(state: tenacity.RetryCallState) -> bool:
        return left(state) <= _retry_after(state)

    most = () if backoff.tries is None else (tenacity.stop_after_attempt(backoff.tries),)
    retrying = tenacity.AsyncRetrying(
        stop=tenacity.stop_any(is_over, *most),  # type: ignore[arg-type]  # a function is a condition, too
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
