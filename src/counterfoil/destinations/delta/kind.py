"""The capabilities of Delta tables as a destination, in a folder and in a bucket."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from counterfoil.destinations.kind import DestinationKind, PathUrl, path_identity

URL = PathUrl("folder", "delta:///stripe")


def _bucket(url: str, _home: Path) -> tuple[str, str]:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}{parts.path.rstrip('/')}", ""


DELTA = DestinationKind(
    schemes=MappingProxyType({"delta": URL.example}),
    methods=frozenset({"replace", "append", "merge", "partition"}),
    guarantees=frozenset({"atomic", "idempotent", "merge", "query"}),
    package="delta",
    library="deltalake",
    extra="delta",
    identity=path_identity,
    path=URL,
    local=True,
)
DELTA_BUCKET = DestinationKind(
    schemes=MappingProxyType({"delta+s3": "delta+s3://bucket/prefix"}),
    methods=DELTA.methods,
    guarantees=DELTA.guarantees,
    package="delta",
    library="deltalake",
    extra="delta",
    identity=_bucket,
)
