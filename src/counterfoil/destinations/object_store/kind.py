"""The capabilities of Parquet files in an object store as a destination."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from counterfoil.destinations.kind import DestinationKind, last_of
from counterfoil.destinations.object_store.url import STORES


def _identity(url: str, _home: Path) -> tuple[str, str]:
    """The location includes the endpoint, but not the other parameters, such as the file layout."""
    parts = urlsplit(url)
    endpoint = last_of(parts.query, "endpoint").rstrip("/").lower()
    return f"{STORES[parts.scheme].scheme}://{parts.netloc}{parts.path.rstrip('/')} {endpoint}", ""


OBJECT_STORE = DestinationKind(
    schemes=MappingProxyType({scheme: store.example for scheme, store in STORES.items()}),
    methods=frozenset({"replace", "append", "partition"}),
    guarantees=frozenset({"atomic", "idempotent", "query"}),
    package="object_store",
    identity=_identity,
    caches=True,
)
