"""The host names that the page accepts, as a protection against DNS rebinding."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from counterfoil.http.address import is_loopback

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::\d{1,5})?", re.IGNORECASE)


class Hosts:
    """Accepts loopback names, the listening address, and the host of `COUNTERFOIL_URL`."""

    def __init__(self, host: str, url: str | None) -> None:
        self._own = host.lower()
        #: Whether the page listens on all addresses of the machine: any IP address is accepted then.
        self._anywhere = self._own in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
        self._public = None if url is None else urlsplit(url.lower())

    def allows(self, request: Request) -> bool:
        """Whether the `Host` header of the request is accepted."""
        given = request.headers.getlist("host")
        if len(given) != 1 or (match := _HOST.fullmatch(given[0])) is None:
            return False
        name = match["name"].lower().strip("[]")
        address = _address(name)
        return (
            is_loopback(name)
            or name == self._own
            or (self._public is not None and name == self._public.hostname)
            or (self._anywhere and address is not None)
        )

    def is_https(self, request: Request) -> bool:
        """Whether the request came through the public URL and that URL uses HTTPS."""
        public = self._public
        return public is not None and public.scheme == "https" and _same(request.headers.get("host", ""), public.netloc)

    def origin(self, request: Request) -> str:
        """The origin of the page: scheme, host and port."""
        return f"{'https' if self.is_https(request) else 'http'}://{request.headers.get('host', '').lower()}"


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _same(host: str, netloc: str) -> bool:
    return host.lower().removesuffix(":443") == netloc.removesuffix(":443")
