"""The address of the Stripe API."""

from __future__ import annotations

from counterfoil.errors import SettingsError
from counterfoil.http.address import Address, address, split

STRIPE = "https://api.stripe.com"


def address_of(api_base: str) -> Address:
    """The parsed address; SettingsError if it is not safe to send a key there."""
    if "://" not in api_base:
        # The message omits the value, which may contain a password.
        raise SettingsError(
            "the API address does not begin with https://",
            hint=f"Set STRIPE_API_BASE to an address such as {STRIPE} or http://127.0.0.1:8322, or unset it.",
        )
    url, port = split(api_base, "the API address", f"Use {STRIPE}")
    host = (url.hostname or "").lower()
    if url.username is not None or url.password is not None:
        raise SettingsError("the API address must not contain a user name or password", hint=f"Use {STRIPE}")
    if url.path not in {"", "/"} or url.query or url.fragment or not host:
        raise SettingsError("the API address must consist of a scheme and a host only", hint=f"Use {STRIPE}")
    found = address(url.scheme, host, port)
    if url.scheme != "https" and not (url.scheme == "http" and found.loopback):
        raise SettingsError(
            f"the API address must use https: plain http would send the key to {host} unencrypted",
            hint="Use https, or for a server on this machine an address such as http://127.0.0.1:8322",
        )
    return found
