"""Which table a destination's URL and a table's name mean, in one spelling, so that two datasets can't share one."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

#: Destinations whose URL is a path: below the home with three slashes, from the root with four.
_FILES = frozenset({"duckdb", "parquet", "delta"})

#: Object stores, by each of their schemes.
_STORES = {"s3": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az"}


def target_key(url: str, table: str, *, home: Path) -> str:
    """The same for every spelling of the same table. Never holds a password.

    Names of tables are compared without case, as DuckDB does; a user or a password makes no other place, another schema
    of a database does. In Domo the client does too, since its instances share an address.
    """
    scheme, _, rest = url.partition(":")
    if scheme in _FILES:
        # How files lie in a folder, and who else gets a copy, makes it no other place.
        path = Path(rest.partition("?")[0].removeprefix("//").removeprefix("/")).expanduser()
        return f"{scheme}:{Path(home.absolute(), path).resolve()} {table.casefold()}"
    if scheme == "dlt+duckdb":
        below, _, query = rest.removeprefix("//").removeprefix("/").partition("?")
        file = Path(home.absolute(), Path(below).expanduser()).resolve()
        return f"{scheme}:{file} {_dataset(query)}.{table.casefold()}"
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    scheme = "postgresql" if scheme.startswith("postgres") else scheme
    if scheme == "postgresql":
        behind = parse_qs(parts.query)
        host = (host or behind.get("host", [""])[-1]).removesuffix(":5432")
        return f"{scheme}://{host}{parts.path.rstrip('/')} {behind.get('schema', ['public'])[-1]}.{table.casefold()}"
    if scheme.startswith("dlt+"):
        host = host or parse_qs(parts.query).get("host", [""])[-1]
        return f"{scheme}://{host}{parts.path.rstrip('/')} {_dataset(parts.query)}.{table.casefold()}"
    if scheme == "domo":
        # All of Domo has one host: whose instance it is, the client says.
        prefix = parse_qs(parts.query).get("prefix", [""])[-1]
        return f"{scheme}://{parts.username or ''}@{host} {(prefix + table).casefold()}"
    if scheme in _STORES:
        # How it is reached, and how files lie in it, makes it no other place; another service does.
        endpoint = parse_qs(parts.query).get("endpoint", [""])[-1].rstrip("/").lower()
        return f"{_STORES[scheme]}://{parts.netloc}{parts.path.rstrip('/')} {endpoint} {table.casefold()}"
    return f"{scheme}://{host}{parts.path.rstrip('/')} {table.casefold()}"


def _dataset(query: str) -> str:
    """What dlt calls a schema."""
    return parse_qs(query).get("dataset", ["stripe"])[-1].casefold()
