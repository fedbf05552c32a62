"""Where Stripe is, and which proxy leads there. Nothing here repeats a password of a URL."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from counterfoil.errors import SettingsError

STRIPE = "https://api.stripe.com"


@dataclass(frozen=True, slots=True)
class Address:
    """`https://host[:port]`, or plain http on this machine only."""

    base: str
    #: With the port, when it is not the scheme's own.
    host: str
    loopback: bool

    @property
    def stripe(self) -> bool:
        return self.base == STRIPE


def address_of(api_base: str) -> Address:
    """SettingsError for an address that a key must not be sent to."""
    if "://" not in api_base:
        # Not repeated: it may hold a password.
        raise SettingsError(
            "The API address has no https:// before its host.",
            hint=f"Set STRIPE_API_BASE to an address such as {STRIPE} or http://127.0.0.1:8322, or unset it.",
        )
    url, port = _split(api_base, "The API address")
    host = (url.hostname or "").lower()
    loopback = _loopback(host)
    if url.username is not None or url.password is not None:
        raise SettingsError("The API address must not hold a user name or password.", hint=f"Use {STRIPE}.")
    if url.path not in {"", "/"} or url.query or url.fragment or not host:
        raise SettingsError("The API address is more or less than a scheme and a host.", hint=f"Use {STRIPE}.")
    if url.scheme != "https" and not (url.scheme == "http" and loopback):
        raise SettingsError(
            f"The API address must be https: the key would go to {host} for all to read.",
            hint="Plain http is for this machine only: http://127.0.0.1:8322.",
        )
    shown = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return Address(f"{url.scheme}://{shown}", shown, loopback)


def _split(text: str, what: str) -> tuple[SplitResult, int | None]:
    try:
        return (url := urlsplit(text)), url.port
    except ValueError:
        raise SettingsError(f"{what} is not a URL.", hint=f"Use {STRIPE}.") from None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
    url, port = _split(found if "://" in found else f"http://{found}", "The proxy of the environment (HTTPS_PROXY)")
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise SettingsError(
            f"The proxy of the environment speaks {url.scheme}, which is not supported.",
            hint="Set HTTPS_PROXY to an http:// proxy, or NO_PROXY to the host of the API.",
        )
    host = url.hostname + (f":{port}" if port else "")
    headers = {}
    if url.username is not None:
        login = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    return Proxy(f"{url.scheme}://{host}", host, headers)
