"""All kinds of destinations, and the kind that a URL names. Pure, so that the state can use it too."""

from __future__ import annotations

import difflib
from pathlib import Path

from counterfoil.destinations.delta.kind import DELTA, DELTA_BUCKET
from counterfoil.destinations.domo.kind import DOMO
from counterfoil.destinations.duckdb.kind import DUCKDB
from counterfoil.destinations.kind import DestinationKind
from counterfoil.destinations.object_store.kind import OBJECT_STORE
from counterfoil.destinations.parquet.kind import PARQUET
from counterfoil.destinations.postgres.kind import POSTGRES
from counterfoil.destinations.warehouse.kind import KINDS as WAREHOUSES
from counterfoil.destinations.warehouse.url import PREFIX
from counterfoil.errors import SettingsError
from counterfoil.logging import redacted
from counterfoil.table_names import check_name

KINDS = (DUCKDB, PARQUET, OBJECT_STORE, DELTA, DELTA_BUCKET, POSTGRES, *WAREHOUSES.values(), DOMO)
_BY_SCHEME = {scheme: kind for kind in KINDS for scheme in kind.schemes}


def kind_of(url: str) -> DestinationKind:
    """The kind that the scheme of a URL names. SettingsError if it is unknown."""
    scheme, colon, _ = url.partition(":")
    if not colon or "/" in scheme or not scheme:
        raise SettingsError(f"invalid destination: {redacted(url)!r}", hint=f"Did you mean {redacted(_meant(url))}?")
    if kind := _BY_SCHEME.get(scheme.lower()):
        return kind
    through_dlt = f"{PREFIX}{scheme.lower()}"
    family = [each for each in _BY_SCHEME if each.startswith(PREFIX) == scheme.lower().startswith(PREFIX)]
    near = [through_dlt] if through_dlt in _BY_SCHEME else difflib.get_close_matches(scheme.lower(), family, n=1)
    known = f"Use one of: {', '.join(_BY_SCHEME)}."
    hint = f"Did you mean {_BY_SCHEME[near[0]].schemes[near[0]]}?" if near else known
    raise SettingsError(f"unknown type of destination: {scheme}", hint=hint)


def target_key(url: str, table: str, *, home: Path) -> str:
    """Identifies the table that a URL and a name refer to, whatever their spelling: two datasets can't share a table.

    The state stores the key. It never contains a password. Table names are case-insensitive, as in DuckDB.
    """
    place, before = kind_of(url).identity(url, home)
    return f"{place} {before}{table.casefold()}"


def check_table_name(name: str, url: str) -> None:
    """SettingsError with the value and the broken rule, by the naming rules of the URL's destination."""
    check_name(name, kind_of(url).names, url.partition(":")[0].lower())


def _meant(path: str) -> str:
    folder = path.endswith("/") or Path(path).suffix == ""
    return f"{'parquet' if folder else 'duckdb'}:///{path.rstrip('/')}" if path.strip("/") else DUCKDB.example
