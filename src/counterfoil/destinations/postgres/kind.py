"""The capabilities of a Postgres schema as a destination."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from counterfoil.destinations.kind import DestinationKind, last_of
from counterfoil.table_names import NameRules

#: The default schema of tables.
SCHEMA = "public"
EXAMPLE = "postgresql://user@host/database"


def _identity(url: str, _home: Path) -> tuple[str, str]:
    """The location includes the schema, but not the user or the password."""
    parts = urlsplit(url)
    host = (parts.netloc.rpartition("@")[2].lower() or last_of(parts.query, "host")).removesuffix(":5432")
    return f"postgresql://{host}{parts.path.rstrip('/')}", f"{last_of(parts.query, 'schema', SCHEMA)}."


POSTGRES = DestinationKind(
    schemes=MappingProxyType({"postgresql": EXAMPLE, "postgres": EXAMPLE}),
    methods=frozenset({"replace", "append", "merge", "partition"}),
    guarantees=frozenset({"atomic", "idempotent", "merge", "history", "latest", "query"}),
    dialect="postgresql",
    package="postgres",
    library="psycopg",
    extra="postgres",
    identity=_identity,
    names=NameRules(),
)
