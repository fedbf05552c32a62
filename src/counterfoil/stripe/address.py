"""Where Stripe is."""

from __future__ import annotations

from counterfoil.errors import SettingsError
from counterfoil.http.address import Address, address, split

STRIPE = "https://api.stripe.com"


def address_of(api_base: str) -> Address:
    """SettingsError for an address that a key must not be sent to."""
    if "://" not in api_base:
        # Not repeated: it may hold a password.
        raise SettingsError(
            "The API address has no https:// before its host.",
            hint=f"Set STRIPE_API_BASE to an address such as {STRIPE} or http://127.0.0.1:8322, or unset it.",
        )
    url, port = split(api_base, "The API address", f"Use {STRIPE}.")
    host = (url.hostname or "").lower()
    if url.username is not None or url.password is not None:
        raise SettingsError("The API address must not hold a user name or password.", hint=f"Use {STRIPE}.")
    if url.path not in {"", "/"} or url.query or url.fragment or not host:
        raise SettingsError("The API address is more or less than a scheme and a host.", hint=f"Use {STRIPE}.")
    found = address(url.scheme, host, port)
    if url.scheme != "https" and not (url.scheme == "http" and found.loopback):
        raise SettingsError(
            f"The API address must be https: the key would go to {host} for all to read.",
            hint="Plain http is for this machine only: http://127.0.0.1:8322.",
        )
    return found
