"""The URL of a Domo: the address of its API, the client, and the names of DataSets. It never holds the secret."""

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

    #: The URL, in one spelling.
    name: str
    #: Of the API; plain HTTP on this machine only.
    address: Address
    #: What stands before the name of each table in the name of its DataSet.
    prefix: str
    _client: str | None = field(repr=False)
    _secret: str = field(repr=False)

    def credentials(self) -> tuple[str, str]:
        """Client id and secret, as they are now where they are kept."""
        client = self._client or os.environ.get(_CLIENT)
        if not client:
            raise SettingsError(
                f"{self.name} names no client of Domo's", hint=f"Write it as {EXAMPLE}, or set {_CLIENT}."
            )
        return client, resolve(self._secret, f"the secret of {self.name}")


def domo_address(url: str) -> DomoAddress:
    """SettingsError when the URL names no host, or holds a secret, which it never repeats."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise SettingsError("the URL of Domo can't be read", hint=f"Such as {EXAMPLE}.") from None
    behind = dict(parse_qsl(parts.query, keep_blank_values=True))
    secret = behind.pop("secret", f"env:{_SECRET}")
    prefix = behind.pop("prefix", "")
    if parts.password is not None or not is_reference(secret):
        raise SettingsError(
            "the URL of Domo holds the client's secret",
            hint="Say where it is instead: ?secret=env:NAME or ?secret=file:/path.",
        )
    if not host:
        raise SettingsError("the URL of Domo names no host", hint=f"Such as {EXAMPLE}.")
    if behind or parts.path.strip("/") or parts.fragment:
        wrong = next(iter(behind), parts.path.strip("/") or parts.fragment)
        raise SettingsError(
            f"the URL of Domo has {wrong!r} behind its host", hint="It takes ?secret=… and ?prefix=…, and no path."
        )
    if not prefix.isprintable():
        raise SettingsError(f"{prefix!r} can't begin the names of DataSets", hint="Give printable characters.")
    client = unquote(parts.username) if parts.username else None
    told = {"prefix": prefix} if prefix else {}
    told |= {"secret": secret} if secret != f"env:{_SECRET}" else {}
    query = "&".join(f"{name}={quote(value, safe='/:')}" for name, value in told.items())
    there = address("http" if is_loopback(host) else "https", host, port)
    name = f"domo://{quote(client, safe='') + '@' if client else ''}{there.host}{'?' if query else ''}{query}"
    return DomoAddress(name, there, prefix, client, secret)
