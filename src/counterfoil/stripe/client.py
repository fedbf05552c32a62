"""The client of one Stripe account: respects its rate limits, retries transient errors and counts requests.

The client only reads. Its only POST is the preview of an invoice, which creates nothing.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median_low
from typing import Any, NoReturn, Self
from urllib.parse import parse_qsl

import tenacity

from counterfoil.errors import AccountError, KeyRejected, RunError, StripeUnavailable
from counterfoil.http.transport import Failure, Pairs, Transport
from counterfoil.logging import get_logger
from counterfoil.settings import Settings
from counterfoil.stripe.address import STRIPE, address_of
from counterfoil.stripe.endpoints import endpoint
from counterfoil.stripe.key import Key, account_header
from counterfoil.stripe.limiter import Limiter, limiter_for
from counterfoil.stripe.responses import Answer, Question, read
from counterfoil.stripe.retries import Backoff, Budget, Outcome, retried
from counterfoil.version import __version__

#: The API version of `columns/stripe_columns.json`. Every request is pinned to it.
API_VERSION = "2026-05-27.dahlia"
PREVIEW_PATH = "/v1/invoices/create_preview"

Params = Mapping[str, str | int | Sequence[str]]

_PATH = re.compile(r"(/[A-Za-z0-9_.~%:@!$&'()*+,;=-]+)+")
_ACCOUNT_ID = re.compile(r"\bacct_[A-Za-z0-9]+")
_log = get_logger("counterfoil.stripe")
#: Number of tries, and their duration, before a retry is logged as a warning.
_QUIET_TRIES = 3
_QUIET_SECONDS = 10.0
#: Minimum interval between two such warnings of one client.
_WARN_SECONDS = 10.0
_REASON_LETTERS = 50
#: Number of recent responses from which Stripe's clock is derived.
_DATES = 5


@dataclass(frozen=True, slots=True)
class AccountIdentity:
    """The account that a key can read."""

    #: `acct_…`, or `key_<fingerprint>` if Stripe does not return the id.
    id: str
    livemode: bool
    name: str | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    query: Pairs
    form: Pairs | None
    headers: Mapping[str, str]
    question: Question
    endpoint: str


class Client:
    """Belongs to one event loop. The counters can be read from any thread."""

    def __init__(
        self,
        key: str,
        *,
        api_base: str = STRIPE,
        stripe_account: str | None = None,
        settings: Settings,
        limiter: Limiter | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._key = Key(key.strip())
        self._address = address_of(api_base)
        self._stripe_account = stripe_account
        self._settings = settings
        self._own_limiter = limiter is None
        # Requests for a connected account use the platform's key and count towards the limits of that key.
        self._limiter = limiter or self._shared_limiter(self.fingerprint)
        backoff = backoff or Backoff()
        self._backoff = replace(backoff, budget_seconds=min(backoff.budget_seconds, settings.retry_seconds))
        self._identity: AccountIdentity | None = None
        #: Whether the host has answered like the Stripe API.
        self._known = False
        self._warned_at = -math.inf
        self._dates: deque[int] = deque(maxlen=_DATES)
        headers = {
            "Authorization": f"Bearer {self._key.secret}",
            "Stripe-Version": API_VERSION,
            "User-Agent": f"counterfoil/{__version__}",
            **account_header(self._key, stripe_account),
        }
        self._transport = Transport(
            self._address,
            headers,
            connections=settings.in_flight,
            most_megabytes=settings.response_megabytes,
            unavailable=StripeUnavailable,
        )
        #: Requests that may have reached Stripe, by endpoint. Retries are included because Stripe counts them.
        self.requests: Counter[str] = Counter()
        #: Number of retries.
        self.retries = 0
        #: Size of the response bodies as transferred.
        self.bytes = 0

    def __repr__(self) -> str:
        return f"Client({self._key!r}, {self._address.host})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Stripe client can't be pickled or copied: it holds the key")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    @property
    def fingerprint(self) -> str:
        """Identifies the key without revealing it."""
        return self._key.fingerprint

    @property
    def livemode(self) -> bool:
        return self._key.live

    @property
    def restricted(self) -> bool:
        """Whether the key is a restricted key, with only the permissions granted to it."""
        return self._key.restricted

    @property
    def limiter(self) -> Limiter:
        """Shared by all clients of the same key or account in this process."""
        return self._limiter

    @property
    def date(self) -> int:
        """Stripe's clock, in Unix seconds; 0 before the first response.

        The low median of the `Date` headers of the last responses, so a single wrong `Date` has no effect.
        """
        dates = tuple(self._dates)
        return median_low(dates) if dates else 0

    def slots(self, path: str) -> int:
        """The number of requests to the path's endpoint that may be in flight now."""
        return self._limiter.slots(endpoint("POST" if path == PREVIEW_PATH else "GET", path))

    async def get(self, path: str, params: Params | None = None, *, version: str | None = None) -> Answer:
        """`path` can contain a query, like the URLs of Stripe's embedded lists; ids in it must be percent-encoded."""
        path, _, query = path.partition("?")
        pairs = [*parse_qsl(query, keep_blank_values=True), *_pairs(params or {})]
        return await self._answer("GET", path, pairs, None, version)

    async def post(self, path: str, params: Params | None = None, *, version: str | None = None) -> Answer:
        """ValueError for any path except the preview of an invoice, because the client never changes data."""
        if path != PREVIEW_PATH:
            raise ValueError(f"POST {path} is not allowed: the client only reads")
        return await self._answer("POST", path, (), _pairs(params or {}), version)

    async def account(self) -> AccountIdentity:
        """The key's account, requested once. Raises only KeyRejected, and TransientError while Stripe is unavailable.

        A key without the permission to read the account still works for other requests.
        """
        if self._identity is None:
            self._identity = await self._ask_account()
            if self._own_limiter and self._stripe_account is None:
                self._limiter = self._shared_limiter(self._identity.id, known=self._limiter)
        return self._identity

    async def _ask_account(self) -> AccountIdentity:
        try:
            body = (await self._answer("GET", "/v1/account", (), None, None, wanted="account")).body
        except KeyRejected:
            raise
        except (AccountError, RunError) as error:
            named = _ACCOUNT_ID.search(error.message)
            found = self._stripe_account or (named.group() if named else f"key_{self.fingerprint}")
            return AccountIdentity(found, self._key.live)
        name = _name(body, "settings", "dashboard", "display_name") or _name(body, "business_profile", "name")
        return AccountIdentity(body["id"], self._key.live, name)

    def _shared_limiter(self, account: str, *, known: Limiter | None = None) -> Limiter:
        return limiter_for(
            account, live=self._key.live, settings=self._settings, api_base=self._address.base, known=known
        )

    async def _answer(
        self, method: str, path: str, query: Pairs, form: Pairs | None, version: str | None, wanted: str | None = None
    ) -> Answer:
        if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
            raise ValueError(f"not a path of the Stripe API: {path}")
        headers = {"Stripe-Version": version} if version else {}
        question = Question(self._address, self._key, path, wanted)
        request = _Request(method, path, query, form, headers, question, endpoint(method, path))
        outcome = await retried(
            partial(self._try, request), self._backoff, known=lambda: self._known, note=self._note_retry
        )
        if isinstance(outcome, Failure):
            raise outcome.error
        return outcome

    async def _try(self, request: _Request, budget: Budget) -> Outcome:
        limiter = self._limiter
        permit = await limiter.acquire(request.endpoint)
        budget.start()
        limited: str | None = None
        try:
            try:
                reply = await self._transport.send(
                    request.method,
                    request.path,
                    query=request.query,
                    data=request.form,
                    headers=request.headers,
                    seconds=budget.timeout,
                )
            except asyncio.CancelledError:
                self.requests[request.endpoint] += 1  # it may have reached Stripe
                raise
            outcome: Outcome
            if isinstance(reply, Failure):
                outcome = reply
            else:
                self.bytes += reply.wire_bytes
                outcome = read(request.question, reply)
            if outcome.date:
                self._dates.append(outcome.date)
            self._known = self._known or not isinstance(outcome, Failure) or outcome.from_api
            if isinstance(outcome, Failure):
                limited = outcome.limited
            if not isinstance(outcome, Failure) or outcome.sent:
                self.requests[request.endpoint] += 1
            return outcome
        finally:
            limiter.release(permit, limited)

    def _note_retry(self, state: tenacity.RetryCallState) -> None:
        self.retries += 1
        failure = state.outcome.result() if state.outcome else None
        if isinstance(failure, Failure):
            error = failure.error
            # Rate limiting and the first retries are normal operation; only longer trouble is logged as a warning.
            long = state.attempt_number >= _QUIET_TRIES or (state.seconds_since_start or 0) > _QUIET_SECONDS
            now = asyncio.get_running_loop().time()
            write = _log.debug
            if long and error.status != 429 and now - self._warned_at >= _WARN_SECONDS:
                write, self._warned_at = _log.warning, now
            write(
                "retrying request",
                endpoint=error.path,
                attempt=state.attempt_number,
                wait_seconds=round(state.upcoming_sleep, 3),
                reason=error.message
                if len(error.message) <= _REASON_LETTERS
                else f"{error.message[:_REASON_LETTERS]}…",
                request_id=error.request_id,
            )


def _pairs(params: Params) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        if isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif isinstance(value, str | int):
            pairs.append((name, str(value)))
        else:
            pairs.extend((f"{name}[]", item) for item in value)
    return pairs


def _name(body: Any, *path: str) -> str | None:
    for key in path:
        body = body.get(key) if isinstance(body, dict) else None
    return body if isinstance(body, str) and body else None
