"""One HTTP request and its result: a whole answer, or the reason why none came. The only module that knows aiohttp."""

from __future__ import annotations

import os
import re
import ssl
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import IO

import aiohttp

from counterfoil.errors import CounterfoilError, RunError, SettingsError, TransientError
from counterfoil.http.address import Address, Proxy, proxy_for

CONNECT_SECONDS = 10.0
TOTAL_SECONDS = 100.0
#: Gzip members of one body; servers send one, and each costs a copy of the rest.
_MOST_MEMBERS = 100

_SECONDS = re.compile(r"\d{1,9}", re.ASCII)

Pairs = Sequence[tuple[str, str]]
Query = Pairs | Mapping[str, str]
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer whose body came whole, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    #: Of the body as it was sent.
    wire_bytes: int

    @property
    def date(self) -> int | None:
        """The server's clock in Unix seconds: the `Date` header; None without a valid one."""
        return _unix_seconds(self.headers.get("Date", ""))

    @property
    def retry_after(self) -> float:
        """`Retry-After` in seconds from now; 0 without one. https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""
        said = self.headers.get("Retry-After", "").strip()
        if _SECONDS.fullmatch(said):
            return float(said)
        until, now = _unix_seconds(said), self.date
        return 0.0 if until is None or now is None else max(0.0, float(until - now))


@lru_cache(maxsize=64)
def _unix_seconds(date: str) -> int | None:
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that did not work: the error that it ends with, unless trying again is worth it."""

    error: CounterfoilError
    retry: bool
    #: Whether the server can have seen the request.
    sent: bool = True
    #: The reason that the server gives for a 429.
    limited: str | None = None
    #: When the server refused, by its clock, in Unix seconds; 0 when it did not say.
    date: int = 0
    #: Seconds to wait at least before the next try: `Retry-After`.
    retry_after: float = 0.0
    #: Whether the answer has the form of the API's, an error included; False when none came.
    from_api: bool = False


class _TooLarge(Exception):  # noqa: N818 - never leaves this module
    """The body exceeds the limit, on the wire or decompressed."""


class Transport:
    """Connections to one address, kept open and used again."""

    def __init__(
        self,
        address: Address,
        headers: Headers,
        *,
        connections: int = 1,
        most_megabytes: int,
        unavailable: type[TransientError] = TransientError,
        certificates: ssl.SSLContext | bool | None = None,
    ) -> None:
        """`unavailable` is the error of requests without a whole answer; `certificates` are loaded if not given."""
        self._address = address
        self._headers = {"Accept-Encoding": "gzip", "Accept": "application/json", **headers}
        self._connections = connections
        self._most_megabytes = most_megabytes
        self._unavailable = unavailable
        self._certificates = certificates
        self._proxy = proxy_for(address)
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def _opened(self) -> aiohttp.ClientSession:
        if self._closed:
            text = f"The connection to {self._address.host} is closed"
            raise RunError(text, hint="Read within the `with`, or connect again.")
        if self._session is None:
            if self._certificates is None:
                self._certificates = certificates(self._address)
            self._session = aiohttp.ClientSession(
                # No headers here: aiohttp would put a session's Authorization into the CONNECT, for the proxy to read.
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._certificates),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # one call for the whole body costs less than one for each chunk
                # Not `trust_env`: it reads ~/.netrc in a thread for every request, and sends what stands there.
                proxy=self._proxy.url if self._proxy else None,
            )
            # aiohttp would send a GET a second time by itself, uncounted and past the limiter. It has no public switch.
            self._session._retry_connection = False
        return self._session

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        data: Pairs | bytes | IO[bytes] | None = None,
        headers: Headers,
        seconds: float = TOTAL_SECONDS,
    ) -> Reply | Failure:
        """One try, limited to `seconds`. `data` is a form, or a body. Redirects are not followed.

        Failures are values, since aiohttp's errors hold the request with its key.
        """
        most = self._most_megabytes * 2**20
        try:
            async with self._opened().request(
                method,
                self._address.base + path,
                params=query or None,
                data=data,
                headers={**self._headers, **headers},
                allow_redirects=False,
                proxy_headers=self._proxy.headers if self._proxy else None,
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=min(CONNECT_SECONDS, seconds)),
            ) as response:
                raw = await _body(response, most)
                packed = response.headers.get("Content-Encoding", "").strip().lower() in {"gzip", "x-gzip"}
                body = _decompressed(raw, most) if packed else raw
                return Reply(response.status, response.headers, body, len(raw))
        except _TooLarge:
            text = f"The answer of {self._address.host} exceeds the limit of {self._most_megabytes} MB."
            hint = "If the answer is genuine, raise COUNTERFOIL_RESPONSE_MEGABYTES."
            return Failure(SettingsError(text, hint=hint, path=path), retry=False)
        except (aiohttp.ClientError, TimeoutError, OSError, zlib.error) as error:
            return unreachable(error, self._address, self._proxy, path, self._unavailable, seconds=seconds)


async def _body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body as it was sent, of at most so many bytes; the rest of a larger one is not read."""
    if (response.content_length or 0) > most:
        raise _TooLarge
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most:
            raise _TooLarge
        chunks.append(chunk)
    return b"".join(chunks)


def _decompressed(raw: bytes, most: int) -> bytes:
    """All members of the gzip file, in one call each; zlib.error when it is damaged or incomplete."""
    whole, rest = b"", raw
    for _ in range(_MOST_MEMBERS):
        member = zlib.decompressobj(wbits=31)
        body = member.decompress(rest, most - len(whole) + 1)
        whole = whole + body if whole else body
        if len(whole) > most:
            raise _TooLarge
        if not member.eof:
            raise zlib.error("incomplete")
        rest = member.unused_data.lstrip(b"\0")  # padding
        if not rest:
            return whole
    raise zlib.error("too many members")


def unreachable(
    error: Exception,
    address: Address,
    proxy: Proxy | None,
    path: str,
    unavailable: type[TransientError],
    *,
    seconds: float = TOTAL_SECONDS,
) -> Failure:
    """No whole answer came. The message names the host, never the URL of the proxy: it may hold a password."""
    host, by = address.host, proxy.host if proxy else ""
    hint = f"Check the network, and that {host} can be reached from here."
    retry, sent = True, False
    match error:
        case aiohttp.ClientHttpProxyError(status=407):
            hint = "Put its user name and password into HTTPS_PROXY."
            return Failure(SettingsError(f"The proxy {by} wants a login.", hint=hint), retry=False, sent=False)
        case aiohttp.ClientHttpProxyError():
            text, hint = f"The proxy {by} answers {error.status}.", f"Ask who runs it to let {host} pass."
        case aiohttp.ClientProxyConnectionError():
            text, hint = f"The proxy {by} cannot be reached: {_reason(error)}.", "Check HTTPS_PROXY."
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            text, retry = f"The connection to {host} is not trusted: {_reason(error)}.", False
            hint = "Where a proxy opens TLS, set SSL_CERT_FILE to its certificates; a plain http address needs http://."
        case aiohttp.ClientConnectorDNSError():
            text = f"The name {host} cannot be resolved: {_reason(error)}."
        case aiohttp.ClientConnectorError():
            text = f"{host} cannot be reached: {_reason(error)}."
        case aiohttp.ConnectionTimeoutError():
            text = f"{host} does not take a connection within {min(CONNECT_SECONDS, seconds):.0f} seconds."
        case TimeoutError():
            text, sent = f"{host} does not answer within {seconds:.0f} seconds.", True
        case _:
            text, sent = f"The answer of {host} broke off ({type(error).__name__}).", True
            hint = "Run it again later."
    return Failure(unavailable(text, hint=hint, path=path), retry=retry, sent=sent)


def _reason(error: Exception) -> str:
    """The system's words. Never the error's own: it knows the proxy's address, password included."""
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    if isinstance(cause, ConnectionError) and cause.errno:
        return os.strerror(cause.errno)  # asyncio puts the address there, which the message has already
    return getattr(cause, "strerror", None) or type(cause).__name__


def certificates(address: Address) -> ssl.SSLContext | bool:
    """The system's, or those of SSL_CERT_FILE and SSL_CERT_DIR, which OpenSSL reads; and of REQUESTS_CA_BUNDLE."""
    if not address.base.startswith("https:"):
        return True
    context = ssl.create_default_context()
    if bundle := os.environ.get("REQUESTS_CA_BUNDLE"):
        try:
            context.load_verify_locations(**{"capath" if Path(bundle).is_dir() else "cafile": bundle})
        except OSError as error:
            hint = "Set REQUESTS_CA_BUNDLE to a file of certificates, or unset it."
            raise SettingsError("The certificates of REQUESTS_CA_BUNDLE cannot be read.", hint=hint) from error
    return context
