"""What a URL says of a warehouse that dlt loads. Secrets are taken from where it points, or where dlt looks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from counterfoil.errors import SettingsError
from counterfoil.secret_references import is_reference, resolve

PREFIX = "dlt+"
#: Where tables go unless the URL says so: dlt's dataset, which is a schema in most databases.
DATASET = "stripe"
#: What settings that are secret are called, whatever the warehouse.
_SECRET = re.compile(
    r"password|passwd|pwd|token|secret|private_key(?!_path)|passphrase|api_?key|access_?key", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Warehouse:
    """What dlt calls the parts of the address, and what the warehouse does at once."""

    example: str
    host: str | None = None
    path: str = "database"
    #: Whether several statements count together or not at all.
    transactions: bool = True
    #: Whether tables can be made and changed among them.
    tables_too: bool = True
    #: Whether JSON gets the warehouse's type for it: what dlt makes of it in files differs among the others.
    json: bool = False
    #: Other names that a URL may give it.
    aliases: tuple[str, ...] = ()


#: By the vendors' documentation; DuckDB and Postgres by our tests.
WAREHOUSES: Mapping[str, Warehouse] = {
    "duckdb": Warehouse("dlt+duckdb:///books.duckdb", json=True),
    "postgres": Warehouse("dlt+postgres://user@host/database", "host", json=True, aliases=("postgresql",)),
    "motherduck": Warehouse("dlt+motherduck:///database", json=True, aliases=("md",)),
    "redshift": Warehouse("dlt+redshift://user@host/database", "host"),
    "mssql": Warehouse("dlt+mssql://user@host/database", "host", aliases=("sqlserver",)),
    "snowflake": Warehouse("dlt+snowflake://user@account/database?warehouse=name", "host", tables_too=False),
    "bigquery": Warehouse("dlt+bigquery://project?location=EU", "project_id", tables_too=False),
    "databricks": Warehouse("dlt+databricks://host/sql/1.0/warehouses/id?catalog=name", "server_hostname", "http_path",
                       transactions=False, tables_too=False),
    "clickhouse": Warehouse("dlt+clickhouse://user@host/database", "host", transactions=False, tables_too=False),
}  # fmt: skip
_NAMES = {name: each for each, warehouse in WAREHOUSES.items() for name in (each, *warehouse.aliases)}


@dataclass(frozen=True, slots=True)
class WarehouseAddress:
    """One dataset of a warehouse, and how to get there."""

    kind: Warehouse
    #: The URL without anything secret, which opens the same place where the secrets are found elsewhere.
    name: str
    warehouse: str
    dataset: str
    #: dlt's destination that takes files on their way, such as `filesystem`; None when there is none.
    staging: str | None
    #: The address, by dlt's names, and what stands behind the question mark.
    address: Mapping[str, str | int]
    parameters: Mapping[str, str] = field(repr=False)

    def secrets(self) -> dict[str, str]:
        """The values that `?password=env:NAME` and the like point to."""
        return {name: resolve(value, f"the {name}") for name, value in self.parameters.items() if is_secret(name)}


def is_secret(name: str) -> bool:
    """Whether a setting of this name holds a secret."""
    return _SECRET.search(name) is not None


def warehouse_address(url: str, relative_to: Path) -> WarehouseAddress:
    """SettingsError when the URL names no dataset of a warehouse; it never repeats a secret."""
    scheme, _, behind = url.partition(":")
    warehouse = _NAMES[scheme.lower().removeprefix(PREFIX)]
    kind = WAREHOUSES[warehouse]
    try:
        parts = urlsplit(f"{warehouse}:{behind}")
        port = parts.port
    except ValueError:
        raise SettingsError(f"the URL of {warehouse} can't be read", hint=f"Such as {kind.example}.") from None
    user, host, path = unquote(parts.username or ""), unquote(parts.hostname or ""), unquote(parts.path)
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
    given = {name: unquote(value) for name, _, value in pairs}
    if not behind.startswith("//") or parts.fragment or (host and not kind.host) or (user and kind.host != "host"):
        raise SettingsError(f"the URL names no place of {warehouse}", hint=f"Such as {kind.example}.")
    if warehouse == "duckdb" and path.strip("/"):
        path = str(Path(relative_to, Path(path[1:]).expanduser()).resolve())
    elif kind.path == "database":
        path = path.removeprefix("/")
    needs_path = kind.host == "host" or kind.host is None
    if (needs_path and not path) or "\0" in unquote(behind):
        raise SettingsError(f"the URL names no database of {warehouse}", hint=f"Such as {kind.example}.")
    if parts.password is not None:
        given["password"] = unquote(parts.password)
    _check_secrets(given, warehouse)
    dataset, staging = given.pop("dataset", DATASET), given.pop("staging", None)
    _check_dataset(dataset)
    if kind.host is None and Path(path).stem == dataset:
        raise SettingsError(
            f"in {warehouse} a dataset can't be called {dataset} as its database is",
            hint="Give it another name: ?dataset=name.",
        )
    address: dict[str, str | int] = {kind.host or "host": host} if host else {}
    address |= {"username": user} if user else {}
    address |= {kind.path: path} if path else {}
    address |= {"port": port} if port else {}
    shown = {"dataset": dataset} | ({"staging": staging} if staging else {}) | given
    at = f"{quote(user, safe='')}@" if user else ""
    below = quote(path if path.startswith("/") and kind.path != "database" else f"/{path}" if path else "", safe="/:")
    behind = "&".join(f"{name}={quote(value, safe='/:,')}" for name, value in sorted(shown.items()))
    name = f"{PREFIX}{warehouse}://{at}{host}{f':{port}' if port else ''}{below}?{behind}"
    return WarehouseAddress(kind, name, warehouse, dataset, staging, address, given)


def _check_dataset(dataset: str) -> None:
    plain = re.sub(r"[^a-z0-9]+", "_", dataset.lower()).strip("_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", dataset):
        raise SettingsError(
            f"{dataset!r} can't be a dataset",
            hint=f"Its name has small letters, digits and single underscores: {plain or DATASET}.",
        )


def _check_secrets(given: Mapping[str, str], warehouse: str) -> None:
    for name, value in given.items():
        if is_secret(name) and not is_reference(value):
            raise SettingsError(
                f"the URL of {warehouse} holds a {name.replace('_', ' ')}, and URLs are shown and kept",
                hint=f"Say where it is: ?{name}=env:NAME or ?{name}=file:/path, or leave it to dlt: "
                f"DESTINATION__{warehouse.upper()}__CREDENTIALS__{name.upper()}.",
            )
