"""The capabilities of a DuckDB file as a destination."""

from __future__ import annotations

from types import MappingProxyType

from counterfoil.destinations.kind import DestinationKind, PathUrl, path_identity
from counterfoil.table_names import NameRules

URL = PathUrl("file", "duckdb:///stripe.duckdb", MappingProxyType({"publish": "/srv/read/stripe.duckdb"}))


DUCKDB = DestinationKind(
    schemes=MappingProxyType({"duckdb": URL.example}),
    methods=frozenset({"replace", "append", "merge", "partition"}),
    guarantees=frozenset({"atomic", "idempotent", "merge", "history", "latest", "query"}),
    package="duckdb",
    identity=path_identity,
    names=NameRules(),
    path=URL,
    local=True,
    ordered=True,
)
