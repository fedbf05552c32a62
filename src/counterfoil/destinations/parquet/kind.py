"""The capabilities of a folder of Parquet files as a destination."""

from __future__ import annotations

from types import MappingProxyType

from counterfoil.destinations.kind import DestinationKind, PathUrl, path_identity

URL = PathUrl("folder", "parquet:///stripe", MappingProxyType({"partition": "month"}), fixed=frozenset({"partition"}))


PARQUET = DestinationKind(
    schemes=MappingProxyType({"parquet": URL.example}),
    methods=frozenset({"replace", "append", "partition"}),
    guarantees=frozenset({"atomic", "idempotent", "query"}),
    package="parquet",
    identity=path_identity,
    path=URL,
    local=True,
    caches=True,
)
