"""Requests to Domo's API, retried where that helps.

Sources: portal/API-Reference/Domo-APIs and portal/1845fc11bbe5d-api-authentication of DomoApps/domo-documentation-hub
on GitHub, published as developer.domo.com; the format of an error is `ErrorResponse` of domoinc/domo-java-sdk.
"""

from __future__ import annotations

import base64
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import orjson
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exception, wait_random_exponential

from counterfoil.destinations.domo.url import DomoAddress
from counterfoil.errors import CounterfoilError, DestinationRejected, RunError, TransientError
from counterfoil.http.async_bridge import run
from counterfoil.http.transport import Failure, Headers, Query, Reply, Transport, certificates
from counterfoil.logging import redacted
from counterfoil.version import __version__

#: Timeout of a request: the response to a large part takes long.
_REQUEST_SECONDS = 120.0
#: Slowest expected upload, which extends the timeout for a part.
_LEAST_BYTES_PER_SECOND = 8 << 10
_TRIES = 6
#: Maximum wait before the second attempt, and before any attempt. Waits grow from attempt to attempt.
WAIT_SECONDS, _MOST_SECONDS = 0.25, 30.0
#: A token is renewed this long before it expires, so that it lasts for a request.
_EARLY_SECONDS = 60
_MESSAGE_LETTERS = 300
_Body = bytes | Path | None
_HEADERS = {"User-Agent": f"counterfoil/{__version__}"}


class _Again(Exception):  # noqa: N818 - never leaves this module
    """A request to retry, with the error to raise in the end, and the wait that Domo asks for."""

    def __init__(self, error: CounterfoilError, *, seconds: float = 0) -> None:
        super().__init__(error.message)
        self.error = error
        self.seconds = min(seconds, _MOST_SECONDS)


class DomoTokens:
    """The access token of one client, shared by all requests. It is valid for an hour (`expires_in`)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def token(self, client: DomoClient, *, not_this: str = "") -> str:
        """A valid token; a new one if the current one was rejected."""
        with self._lock:
            if not self._token or self._token == not_this or time.monotonic() > self._until:
                answer = client.new_token()
                self._token = str(answer["access_token"])
                self._until = time.monotonic() + float(answer.get("expires_in", 0)) - _EARLY_SECONDS
            return self._token


class DomoClient:
    """The client of one load or one read. Safe to share between its threads."""

    def __init__(
        self, place: DomoAddress, tokens: DomoTokens, *, most_megabytes: int, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        #: Attempts per request.
        self.tries = _TRIES
        jitter = wait_random_exponential(multiplier=wait_seconds, max=_MOST_SECONDS)
        self._wait = jitter + wait_exception(lambda error: getattr(error, "seconds", 0.0))
        self._place = place
        self._host = place.address.host
        self._tokens = tokens
        self._most_megabytes = most_megabytes
        self._certificates = certificates(place.address)
        self._given_up = threading.Event()

    def interrupt(self) -> None:
        """Ends requests in progress within half a second, and rejects others until `resume`."""
        self._given_up.set()

    def resume(self) -> None:
        self._given_up.clear()

    def check(self) -> None:
        """Raises RunError after an interrupt."""
        if self._given_up.is_set():
            raise RunError("the load was canceled", hint="The table is unchanged.", code="load_canceled")

    def pause(self, seconds: float) -> None:
        """Waits, and raises RunError after an interrupt."""
        self._given_up.wait(seconds)
        self.check()

    def ask(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        json: Any = None,
        part: Path | None = None,
        twice: bool = True,
    ) -> Any:
        """The decoded response, None for an empty one; `part` is a file of gzipped CSV to send.

        Without `twice`, a request that Domo may have executed is not repeated. TransientError if no attempt succeeded;
        DestinationRejected, with Domo's `status`, if Domo rejects the request.
        """
        headers = {"Content-Type": "application/json"} if json is not None else {}
        if part is not None:
            headers = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}
        body = None if json is None else orjson.dumps(json)
        refused = ""

        def once() -> Any:
            nonlocal refused
            token = self._tokens.token(self, not_this=refused)
            bearer = {**headers, "Authorization": f"Bearer {token}"}
            reply = self._sent(method, path, query or {}, bearer, part or body, twice=twice)
            if reply.status == 401 and token != refused and not refused:
                refused = token
                return once()
            return self._judged(reply, path, quiet=part is not None)

        return self._again(once)

    def new_token(self) -> Any:
        """A token for client credentials with the scope `data`: https://developer.domo.com/portal/1845fc11bbe5d."""
        client, secret = self._place.credentials()
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        query = {"grant_type": "client_credentials", "scope": "data"}
        reply = self._sent("GET", "/oauth/token", query, {"Authorization": f"Basic {basic}"})
        if reply.status in (400, 401, 403):
            raise DestinationRejected(
                f"{self._host} rejected the client id and secret ({reply.status})",
                hint="Check both, and that the client has the scope data (in Domo: Admin, API Clients).",
                status=reply.status,
            )
        body = self._judged(reply, "/oauth/token", quiet=True)
        if not isinstance(body, dict) or "access_token" not in body:
            raise TransientError(f"{self._host} returned no token")
        return body

    def _again(self, once: Any) -> Any:
        retrying = Retrying(
            retry=retry_if_exception_type(_Again),
            stop=stop_after_attempt(self.tries),
            wait=self._wait,
            sleep=self.pause,
            reraise=True,
        )
        try:
            return retrying(once)
        except _Again as again:
            raise again.error from again

    def _sent(
        self, method: str, path: str, query: Query, headers: Headers, body: _Body = None, *, twice: bool = True
    ) -> Reply:
        async def exchange(data: bytes | IO[bytes] | None) -> Reply | Failure:
            # A new connection each time: a request that must not be repeated could be lost on one that Domo has closed.
            transport = Transport(
                self._place.address, _HEADERS, most_megabytes=self._most_megabytes, certificates=self._certificates
            )
            try:
                return await transport.send(method, path, query=query, data=data, headers=headers, seconds=seconds)
            finally:
                await transport.close()

        self.check()
        seconds = _REQUEST_SECONDS
        if isinstance(body, Path):
            seconds += body.stat().st_size / _LEAST_BYTES_PER_SECOND
        with body.open("rb") if isinstance(body, Path) else nullcontext(body) as data:
            outcome = run(exchange(data), check=self.check)
        if isinstance(outcome, Failure):
            error = outcome.error
            if outcome.retry and (twice or not outcome.sent):
                raise _Again(error)
            if not outcome.retry and isinstance(error, TransientError):  # the certificate is not trusted
                error = DestinationRejected(error.message, hint=error.hint, code=error.code)
            raise error
        if outcome.status == 429 or outcome.status >= 500:
            error = TransientError(f"{self._host} returned status {outcome.status}", hint="Try again later.", path=path)
            error.status = outcome.status
            if outcome.status != 429 and not twice:
                raise error
            raise _Again(error, seconds=outcome.retry_after)
        return outcome

    def _judged(self, reply: Reply, path: str, *, quiet: bool) -> Any:
        """The decoded response. `quiet` omits Domo's message from errors, since it may repeat values of rows."""
        try:
            body = orjson.loads(reply.body) if reply.body else None
        except ValueError:
            body = None
            if reply.status < 300:
                raise TransientError(f"{self._host} returned a response that is not JSON", path=path) from None
        if 200 <= reply.status < 300:
            return body
        details = body if isinstance(body, dict) else {}
        reason = str(details.get("statusReason") or "") if quiet else str(details.get("message") or "")
        text = f": {redacted(reason)[:_MESSAGE_LETTERS]}" if reason else ""
        hint = None
        if reply.status in (401, 403):
            hint = "Give the client the scope data, and its user the grant Manage DataSet."
        raise DestinationRejected(
            f"{self._host} rejected the request ({reply.status}){text}",
            hint=hint,
            request_id=str(details["toe"]) if details.get("toe") else None,
            path=path,
            status=reply.status,
        )
