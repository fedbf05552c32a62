"""The capabilities of the warehouses that dlt loads, as destinations."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from counterfoil.destinations.kind import DestinationKind, last_of
from counterfoil.destinations.warehouse.url import DATASET, PREFIX, WAREHOUSES, Warehouse
from counterfoil.table_names import RESERVED, NameRules

#: Warehouses with guarantees that our tests prove.
_PROVED = frozenset({"duckdb", "postgres"})


def _identity(url: str, home: Path, *, local: bool) -> tuple[str, str]:
    parts = urlsplit(url)
    dataset = f"{last_of(parts.query, 'dataset', DATASET).casefold()}."
    if local:
        rest = url.partition(":")[2].removeprefix("//").removeprefix("/").partition("?")[0]
        return f"{parts.scheme}:{Path(home.absolute(), Path(rest).expanduser()).resolve()}", dataset
    host = parts.netloc.rpartition("@")[2].lower() or last_of(parts.query, "host")
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}", dataset


def _kind(name: str, warehouse: Warehouse) -> DestinationKind:
    local = name == "duckdb"
    return DestinationKind(
        schemes=MappingProxyType({f"{PREFIX}{each}": warehouse.example for each in (name, *warehouse.aliases)}),
        methods=frozenset({"replace", "append", "merge", "partition"} if warehouse.transactions else {"replace"}),
        guarantees=frozenset({"atomic", "idempotent", "merge"} if name in _PROVED else ()),
        dialect="duckdb" if name in ("duckdb", "motherduck") else "postgresql",
        package="warehouse",
        library="dlt",
        extra="dlt",
        identity=partial(_identity, local=local),
        names=NameRules(lower_ascii=True, reserved=(RESERVED, "_dlt")),
        local=local,
    )


#: By dlt's names of the warehouses.
KINDS = MappingProxyType({name: _kind(name, warehouse) for name, warehouse in WAREHOUSES.items()})
