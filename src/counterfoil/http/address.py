"""The address of an API, and the proxy that leads there. Nothing here repeats a password of a URL."""

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

    #: `https://host[:port]`, or `http://` where only this machine is reached.
    base: str
    #: With the port, when it is not the scheme's own.
    host: str
    loopback: bool


def address(scheme: str, host: str, port: int | None) -> Address:
    """The address of a host, by name or IP address; `port` None is the scheme's own."""
    shown = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return Address(f"{scheme}://{shown}", shown, is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def split(text: str, what: str, hint: str) -> tuple[SplitResult, int | None]:
    """The parts of a URL and its port; SettingsError, which names `what`, when it is not one."""
    try:
        return (url := urlsplit(text)), url.port
    except ValueError:
        raise SettingsError(f"{what} is not a URL.", hint=hint) from None


@dataclass(frozen=True, slots=True, repr=False)
class Proxy:
    """The proxy of the environment; its password is in the header alone."""

    url: str
    host: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Proxy({self.host})"


def proxy_for(address: Address) -> Proxy | None:
    """By HTTPS_PROXY, ALL_PROXY and NO_PROXY; this machine is always reached directly."""
    proxies = getproxies()
    found = proxies.get("https") or proxies.get("all")
    if not found or address.loopback or proxy_bypass(address.host):
        return None
    hint = "Set HTTPS_PROXY to an http:// proxy, or NO_PROXY to the host of the API."
    found = found if "://" in found else f"http://{found}"
    url, port = split(found, "The proxy of the environment (HTTPS_PROXY)", hint)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise SettingsError(f"The proxy of the environment speaks {url.scheme}, which is not supported.", hint=hint)
    host = url.hostname + (f":{port}" if port else "")
    headers = {}
    if url.username is not None:
        login = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    return Proxy(f"{url.scheme}://{host}", host, headers)
