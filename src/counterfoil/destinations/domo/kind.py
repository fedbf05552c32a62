"""The capabilities of Domo DataSets as a destination."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from counterfoil.destinations.kind import DestinationKind, last_of
from counterfoil.table_names import NameRules


def _identity(url: str, _home: Path) -> tuple[str, str]:
    """All Domo instances have the same host; the client identifies the instance."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    return f"domo://{parts.username or ''}@{host}", last_of(parts.query, "prefix").casefold()


DOMO = DestinationKind(
    schemes=MappingProxyType({"domo": "domo://CLIENT_ID@api.domo.com"}),
    methods=frozenset({"replace", "append"}),
    guarantees=frozenset({"atomic", "idempotent"}),
    package="domo",
    identity=_identity,
    names=NameRules(also=" -.&"),
)
