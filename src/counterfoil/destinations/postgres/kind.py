"""What a schema of a Postgres database can do as a destination."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from counterfoil.destinations.kind import DestinationKind, last_of
from counterfoil.table_names import NameRules

#: Where tables go unless the URL says so.
SCHEMA = "public"
EXAMPLE = "postgresql://user@host/database"


def _identity(url: str, _home: Path) -> tuple[str, str]:
    """A user or a password makes no other place, another schema does."""
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
