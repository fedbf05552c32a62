"""One HTTP request and its result: a complete response, or the reason of its failure. The only user of aiohttp."""

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
#: Maximum number of gzip members in a body. Servers send one; each additional member costs a copy of the rest.
_MOST_MEMBERS = 100

_SECONDS = re.compile(r"\d{1,9}", re.ASCII)

Pairs = Sequence[tuple[str, str]]
Query = Pairs | Mapping[str, str]
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP response with its decompressed body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    #: Size of the body as transferred.
    wire_bytes: int

    @property
    def date(self) -> int | None:
        """The server's clock in Unix seconds: the `Date` header; None without a valid one."""
        return _unix_seconds(self.headers.get("Date", ""))

    @property
    def retry_after(self) -> float:
        """`Retry-After` in seconds from now; 0 without one. https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""
        value = self.headers.get("Retry-After", "").strip()
        if _SECONDS.fullmatch(value):
            return float(value)
        until, now = _unix_seconds(value), self.date
        return 0.0 if until is None or now is None else max(0.0, float(until - now))


@lru_cache(maxsize=64)
def _unix_seconds(date: str) -> int | None:
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed request: its error, and whether to retry it."""

    error: CounterfoilError
    retry: bool
    #: Whether the request may have reached the server.
    sent: bool = True
    #: The server's reason for a 429.
    limited: str | None = None
    #: The time of the response, by the server's clock, in Unix seconds; 0 if unknown.
    date: int = 0
    #: Minimum number of seconds before the next try: `Retry-After`.
    retry_after: float = 0.0
    #: Whether the response, which may be an error, has the form of the API; False without a response.
    from_api: bool = False


class _TooLarge(Exception):  # noqa: N818 - never leaves this module
    """The body exceeds the limit, as transferred or decompressed."""


class Transport:
    """Connections to one address, kept open and reused."""

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
        """`unavailable` is the exception for requests without a complete response; `certificates` None loads them."""
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
            text = f"the connection to {self._address.host} is closed"
            raise RunError(text, hint="Read inside the `with` block, or connect again.")
        if self._session is None:
            if self._certificates is None:
                self._certificates = certificates(self._address)
            self._session = aiohttp.ClientSession(
                # No headers here: aiohttp would add a session's Authorization to the CONNECT request to the proxy.
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._certificates),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # one call for the whole body is faster than one per chunk
                # Not `trust_env`: it would read ~/.netrc in a thread for every request, and send its credentials.
                proxy=self._proxy.url if self._proxy else None,
            )
            # aiohttp would retry a GET itself, uncounted and bypassing the limiter. There is no public option for that.
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
        """Sends one request with a timeout of `seconds`. `data` is a form or a body. Redirects are not followed.

        Failures are returned, not raised, because aiohttp's exceptions contain the request with its key.
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
            text = f"the response of {self._address.host} exceeds the limit of {self._most_megabytes} MB"
            hint = "If the response is genuine, increase COUNTERFOIL_RESPONSE_MEGABYTES."
            return Failure(SettingsError(text, hint=hint, path=path, code="response_too_large"), retry=False)
        except (aiohttp.ClientError, TimeoutError, OSError, zlib.error) as error:
            return unreachable(error, self._address, self._proxy, path, self._unavailable, seconds=seconds)


async def _body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body as transferred; raises _TooLarge beyond `most` bytes without reading the rest."""
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
    """The content of all gzip members; zlib.error if the data is damaged or incomplete."""
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
    """The failure of a request without a complete response.

    The message contains hosts, but never the URL of the proxy, which may contain a password.
    """
    host, by = address.host, proxy.host if proxy else ""
    hint = f"Check the network, and whether {host} can be reached from this machine."
    retry, sent = True, False
    match error:
        case aiohttp.ClientHttpProxyError(status=407):
            text, hint = f"the proxy {by} requires a login", "Add the user name and password to HTTPS_PROXY."
            return Failure(SettingsError(text, hint=hint, code="proxy_login_required"), retry=False, sent=False)
        case aiohttp.ClientHttpProxyError():
            code = "proxy_error"
            text, hint = f"the proxy {by} answered {error.status}", f"Ask its administrator to allow {host}."
        case aiohttp.ClientProxyConnectionError():
            code = "proxy_unreachable"
            text, hint = f"the proxy {by} cannot be reached: {_reason(error)}", "Check HTTPS_PROXY."
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            code = "untrusted_certificate"
            text, retry = f"the connection to {host} is not trusted: {_reason(error)}", False
            hint = "If a proxy decrypts TLS, set SSL_CERT_FILE to its certificates; for plain http, use http://."
        case aiohttp.ClientConnectorDNSError():
            code, text = "host_not_found", f"the host name {host} cannot be resolved: {_reason(error)}"
        case aiohttp.ClientConnectorError():
            code, text = "host_unreachable", f"{host} cannot be reached: {_reason(error)}"
        case aiohttp.ConnectionTimeoutError():
            code = "connect_timeout"
            text = f"connecting to {host} timed out after {min(CONNECT_SECONDS, seconds):.0f} seconds"
        case TimeoutError():
            code, sent = "request_timeout", True
            text = f"the request to {host} timed out after {seconds:.0f} seconds"
        case _:
            code, sent = "response_interrupted", True
            text = f"the response of {host} was interrupted ({type(error).__name__})"
            hint = "Run it again later."
    return Failure(unavailable(text, hint=hint, path=path, code=code), retry=retry, sent=sent)


def _reason(error: Exception) -> str:
    """The operating system's message. The exception's own message can contain the proxy's address and password."""
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    if isinstance(cause, ConnectionError) and cause.errno:
        return os.strerror(cause.errno)  # asyncio's text repeats the address
    return getattr(cause, "strerror", None) or type(cause).__name__


def certificates(address: Address) -> ssl.SSLContext | bool:
    """The system's certificates, or those of SSL_CERT_FILE and SSL_CERT_DIR; also those of REQUESTS_CA_BUNDLE."""
    if not address.base.startswith("https:"):
        return True
    context = ssl.create_default_context()
    if bundle := os.environ.get("REQUESTS_CA_BUNDLE"):
        try:
            context.load_verify_locations(**{"capath" if Path(bundle).is_dir() else "cafile": bundle})
        except OSError as error:
            hint = "Set REQUESTS_CA_BUNDLE to a file of certificates, or unset it."
            raise SettingsError("the certificates in REQUESTS_CA_BUNDLE cannot be read", hint=hint) from error
    return context
