"""One request to Domo's API and its answer, tried again where that helps. The only module of this room with HTTP.

Facts: portal/API-Reference/Domo-APIs and portal/1845fc11bbe5d-api-authentication of DomoApps/domo-documentation-hub on
GitHub, which is developer.domo.com; the shape of an error is `ErrorResponse` of domoinc/domo-java-sdk.
"""

from __future__ import annotations

import base64
import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import orjson
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from counterfoil.destinations.domo.url import DomoAddress
from counterfoil.errors import CounterfoilError, DestinationRejected, RunError, TransientError
from counterfoil.logging import redacted
from counterfoil.version import __version__

_CONNECT_SECONDS = 10
#: For one step of a request: Domo takes its time for the answer to a large part.
_STEP_SECONDS = 120
_TRIES = 6
#: At most as long it waits before the second try, and then ever longer.
WAIT_SECONDS, _MOST_SECONDS = 0.25, 30.0
#: A token is renewed before it ends, so that it lasts for a request.
_EARLY_SECONDS = 60
_MESSAGE_LETTERS = 300
_BLOCK_BYTES = 64 << 10
_HEADERS = {"Accept": "application/json", "User-Agent": f"counterfoil/{__version__}"}


class _Again(Exception):  # noqa: N818 - never leaves this module
    """A request that may work later, the error that it ends with otherwise, and how long Domo asks to wait."""

    def __init__(self, error: CounterfoilError, *, sent: bool = True, seconds: float = 0) -> None:
        super().__init__(error.message)
        self.error = error
        self.sent = sent
        self.seconds = seconds


class DomoTokens:
    """The access token of one client, for all who ask; it lasts for an hour (`expires_in`)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def token(self, client: DomoClient, *, not_this: str = "") -> str:
        """One that still holds; a new one where the present one was refused."""
        with self._lock:
            if not self._token or self._token == not_this or time.monotonic() > self._until:
                answer = client.new_token()
                self._token = str(answer["access_token"])
                self._until = time.monotonic() + float(answer.get("expires_in", 0)) - _EARLY_SECONDS
            return self._token


class DomoClient:
    """What one load, or one look, asks of Domo; safe to share between its threads."""

    def __init__(self, place: DomoAddress, tokens: DomoTokens, *, wait_seconds: float = WAIT_SECONDS) -> None:
        #: How often one request is tried.
        self.tries = _TRIES
        self._wait = wait_random_exponential(multiplier=wait_seconds, max=_MOST_SECONDS)
        self._place = place
        self._tokens = tokens
        self._given_up = threading.Event()
        self._open: set[http.client.HTTPConnection] = set()

    def interrupt(self) -> None:
        """Ends the requests that are under way, and refuses others until `resume`."""
        self._given_up.set()
        for connection in tuple(self._open):
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def resume(self) -> None:
        self._given_up.clear()

    def check(self) -> None:
        """Raises once it was interrupted."""
        if self._given_up.is_set():
            raise RunError("the load was stopped", hint="The table is as it was.")

    def pause(self, seconds: float) -> None:
        """Waits, unless it is interrupted."""
        self._given_up.wait(seconds)
        self.check()

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        json: Any = None,
        part: Path | None = None,
        twice: bool = True,
    ) -> Any:
        """The decoded answer, None for an empty one; `part` is a file of gzip'd CSV to send.

        Where `twice` would do it twice, it is tried again only when Domo did nothing. TransientError when no try
        worked; DestinationRejected, with Domo's `status`, when Domo refuses.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {"Content-Type": "application/json"} if json is not None else {}
        if part is not None:
            headers = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}
        refused = ""

        def once() -> Any:
            nonlocal refused
            token = self._tokens.token(self, not_this=refused)
            told = {**headers, "Authorization": f"Bearer {token}"}
            status, answer = self._sent(method, target, told, json, part, twice=twice)
            if status == 401 and token != refused and not refused:
                refused = token
                return once()
            return self._judged(status, answer, path, quiet=part is not None)

        return self._again(once)

    def new_token(self) -> Any:
        """Client credentials with the scope `data`: https://developer.domo.com/portal/1845fc11bbe5d."""
        client, secret = self._place.credentials()
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        target = "/oauth/token?" + urlencode({"grant_type": "client_credentials", "scope": "data"})
        status, answer = self._sent("GET", target, {"Authorization": f"Basic {basic}"}, None, None)
        if status in (400, 401, 403):
            raise DestinationRejected(
                f"{self._place.host} does not take the client id and secret ({status})",
                hint="Check both, and that the client has the scope data: Admin, API Clients.",
                status=status,
            )
        told = self._judged(status, answer, "/oauth/token", quiet=True)
        if not isinstance(told, dict) or "access_token" not in told:
            raise TransientError(f"{self._place.host} answered without a token")
        return told

    def _again(self, once: Any) -> Any:
        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.seconds if isinstance(error, _Again) else 0
            return max(self._wait(state), min(asked, _MOST_SECONDS))

        retrying = Retrying(
            retry=retry_if_exception_type(_Again),
            stop=stop_after_attempt(self.tries),
            wait=wait,
            sleep=self.pause,
            reraise=True,
        )
        try:
            return retrying(once)
        except _Again as again:
            raise again.error from again

    def _sent(
        self, method: str, target: str, headers: dict[str, str], json: Any, part: Path | None, *, twice: bool = True
    ) -> tuple[int, bytes]:
        self.check()
        body = None if json is None else orjson.dumps(json)
        try:
            with part.open("rb") if part else nullcontext(body) as content:
                status, told, answer = self._exchange(method, target, headers, content)
        except _Again as again:
            if twice or not again.sent:
                raise
            raise again.error from again
        if status == 429 or status >= 500:
            error = TransientError(
                f"{self._place.host} answers {status}", hint="Try again later.", path=target.partition("?")[0]
            )
            error.status = status
            if status != 429 and not twice:
                raise error
            after = told.get("Retry-After", "")
            raise _Again(error, seconds=float(after) if after.isdigit() else 0)
        return status, answer

    def _exchange(
        self, method: str, target: str, headers: dict[str, str], body: bytes | IO[bytes] | None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = self._connection()
        sent = False
        self._open.add(connection)
        try:
            connection.connect()
            connection.sock.settimeout(_STEP_SECONDS)
            sent = True
            length = {} if body is None or isinstance(body, bytes) else {"Content-Length": str(_bytes_of(body))}
            # Who refuses does so without reading the whole of a part: the answer is there all the same.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body, {**_HEADERS, **headers, **length})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        except ssl.SSLCertVerificationError as error:
            raise DestinationRejected(
                f"the connection to {self._place.host} is not trusted: {error.verify_message}",
                hint="Where a proxy opens TLS, set SSL_CERT_FILE to its certificates.",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            self.check()
            reason = getattr(error, "strerror", None) or type(error).__name__
            said = "broke off" if sent else "can't be reached"
            failure = TransientError(
                f"{self._place.host} {said}: {reason}", hint="Check the network.", path=target.partition("?")[0]
            )
            raise _Again(failure, sent=sent) from error
        finally:
            self._open.discard(connection)
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._place.host, self._place.port
        if self._place.plain:
            return http.client.HTTPConnection(host, port, timeout=_CONNECT_SECONDS, blocksize=_BLOCK_BYTES)
        proxies = getproxies()
        proxy = proxies.get("https") or proxies.get("all")
        if not proxy or proxy_bypass(host):
            return http.client.HTTPSConnection(host, port, timeout=_CONNECT_SECONDS, blocksize=_BLOCK_BYTES)
        by = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        connection = http.client.HTTPSConnection(
            by.hostname or "", by.port or 80, timeout=_CONNECT_SECONDS, blocksize=_BLOCK_BYTES
        )
        login = f"{unquote(by.username or '')}:{unquote(by.password or '')}"
        basic = {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if by.username else {}
        connection.set_tunnel(host, port, basic)
        return connection

    def _judged(self, status: int, answer: bytes, path: str, *, quiet: bool) -> Any:
        """`quiet` leaves out Domo's words, which may repeat values of rows."""
        try:
            told = orjson.loads(answer) if answer else None
        except ValueError:
            told = None
            if status < 300:
                raise TransientError(f"{self._place.host} answered something else than JSON", path=path) from None
        if 200 <= status < 300:
            return told
        said = told if isinstance(told, dict) else {}
        reason = str(said.get("statusReason") or "") if quiet else str(said.get("message") or "")
        text = f": {redacted(reason)[:_MESSAGE_LETTERS]}" if reason else ""
        hint = None
        if status in (401, 403):
            hint = "The client needs the scope data, and its user the grant Manage DataSet."
        raise DestinationRejected(
            f"{self._place.host} refuses ({status}){text}",
            hint=hint,
            request_id=str(said["toe"]) if said.get("toe") else None,
            path=path,
            status=status,
        )


def _bytes_of(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size
