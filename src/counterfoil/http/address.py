"""The address of an API and the proxy for it. Messages never include passwords from URLs."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from counterfoil.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Address:
    """The origin of an API."""

    #: `https://host[:port]`, or `http://` for an address on this machine.
    base: str
    #: With the port, unless it is the scheme's default.
    host: str
    loopback: bool


def address(scheme: str, host: str, port: int | None) -> Address:
    """The address of a host, by name or IP address; None is the scheme's default port."""
    shown = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return Address(f"{scheme}://{shown}", shown, is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether the host is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def split(text: str, what: str, hint: str) -> tuple[SplitResult, int | None]:
    """The parts of a URL and its port; if it is not a URL, SettingsError with `what` as its name."""
    try:
        return (url := urlsplit(text)), url.port
    except ValueError:
        raise SettingsError(f"{what} is not a URL", hint=hint) from None


@dataclass(frozen=True, slots=True, repr=False)
class Proxy:
    """The proxy from the environment. Only the header contains its password."""

    url: str
    host: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Proxy({self.host})"


def proxy_for(address: Address) -> Proxy | None:
    """The proxy set by HTTPS_PROXY, ALL_PROXY and NO_PROXY; None for addresses on this machine."""
    proxies = getproxies()
    found = proxies.get("https") or proxies.get("all")
    if not found or address.loopback or proxy_bypass(address.host):
        return None
    hint = "Set HTTPS_PROXY to an http:// proxy, or NO_PROXY to the host of the API."
    found = found if "://" in found else f"http://{found}"
    url, port = split(found, "the proxy in the environment (HTTPS_PROXY)", hint)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise SettingsError(f"unsupported proxy in the environment: {url.scheme}", hint=hint)
    host = url.hostname + (f":{port}" if port else "")
    headers = {}
    if url.username is not None:
        login = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    return Proxy(f"{url.scheme}://{host}", host, headers)
