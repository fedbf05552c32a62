"""The URL of Domo: the address of its API, the client, and a prefix of DataSets. It never contains the secret."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from counterfoil.errors import SettingsError
from counterfoil.http.address import Address, address, is_loopback
from counterfoil.secret_references import is_reference, resolve

EXAMPLE = "domo://CLIENT_ID@api.domo.com?secret=env:DOMO_CLIENT_SECRET"
_CLIENT, _SECRET = "DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET"


@dataclass(frozen=True, slots=True)
class DomoAddress:
    """One client of Domo's API."""

    #: The normalized URL.
    name: str
    #: The address of the API; plain HTTP only on this machine.
    address: Address
    #: The prefix of the table name in the name of a DataSet.
    prefix: str
    _client: str | None = field(repr=False)
    _secret: str = field(repr=False)

    def credentials(self) -> tuple[str, str]:
        """Client id and secret, read from their current source."""
        client = self._client or os.environ.get(_CLIENT)
        if not client:
            raise SettingsError(f"{self.name} names no client", hint=f"Set {_CLIENT}, or use a URL such as {EXAMPLE}")
        return client, resolve(self._secret, f"the secret of {self.name}")


def domo_address(url: str) -> DomoAddress:
    """SettingsError if the URL names no host, or contains a secret, which the message never repeats."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise SettingsError("invalid Domo URL", hint=f"Use a URL such as {EXAMPLE}") from None
    behind = dict(parse_qsl(parts.query, keep_blank_values=True))
    secret = behind.pop("secret", f"env:{_SECRET}")
    prefix = behind.pop("prefix", "")
    if parts.password is not None or not is_reference(secret):
        raise SettingsError(
            "the Domo URL contains the client's secret",
            hint="Use ?secret=env:NAME or ?secret=file:/path instead.",
        )
    if not host:
        raise SettingsError("the Domo URL names no host", hint=f"Use a URL such as {EXAMPLE}")
    if behind or parts.path.strip("/") or parts.fragment:
        wrong = next(iter(behind), parts.path.strip("/") or parts.fragment)
        raise SettingsError(
            f"unexpected {wrong!r} after the host of the Domo URL",
            hint="Use only ?secret=… and ?prefix=…, without a path.",
        )
    if not prefix.isprintable():
        raise SettingsError(f"invalid prefix: {prefix!r}", hint="Use printable characters.")
    client = unquote(parts.username) if parts.username else None
    parameters = {"prefix": prefix} if prefix else {}
    parameters |= {"secret": secret} if secret != f"env:{_SECRET}" else {}
    query = "&".join(f"{name}={quote(value, safe='/:')}" for name, value in parameters.items())
    there = address("http" if is_loopback(host) else "https", host, port)
    name = f"domo://{quote(client, safe='') + '@' if client else ''}{there.host}{'?' if query else ''}{query}"
    return DomoAddress(name, there, prefix, client, secret)
