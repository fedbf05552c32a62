"""What Parquet files in an object store can do as a destination."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from counterfoil.destinations.kind import DestinationKind, last_of
from counterfoil.destinations.object_store.url import STORES


def _identity(url: str, _home: Path) -> tuple[str, str]:
    """How it is reached, and how files lie in it, makes it no other place; another service does."""
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
