"""Parses the URL of a warehouse that dlt loads. Secrets come from its references or from dlt's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from counterfoil.errors import SettingsError
from counterfoil.secret_references import is_reference, resolve

PREFIX = "dlt+"
#: The default dataset of dlt: in most databases, a schema.
DATASET = "stripe"
#: Names of secret settings, for any warehouse.
_SECRET = re.compile(
    r"password|passwd|pwd|token|secret|private_key(?!_path)|passphrase|api_?key|access_?key", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Warehouse:
    """dlt's names for the parts of the address, and the capabilities of the warehouse."""

    example: str
    host: str | None = None
    path: str = "database"
    #: Whether a transaction can have several statements.
    transactions: bool = True
    #: Whether a transaction can create and alter tables.
    tables_too: bool = True
    #: Whether JSON has the warehouse's own type. In other warehouses, dlt's files represent it in different ways.
    json: bool = False
    #: Other names of the warehouse in URLs.
    aliases: tuple[str, ...] = ()


#: From the vendors' documentation; DuckDB and Postgres from our tests.
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
    """One dataset of a warehouse, and how to connect to it."""

    kind: Warehouse
    #: The URL without secrets. It opens the same dataset if the secrets are available elsewhere.
    name: str
    warehouse: str
    dataset: str
    #: dlt's staging destination, such as `filesystem`; None if there is none.
    staging: str | None
    #: The address, by dlt's names, and the parameters of the URL.
    address: Mapping[str, str | int]
    parameters: Mapping[str, str] = field(repr=False)

    def secrets(self) -> dict[str, str]:
        """The values that parameters such as `?password=env:NAME` refer to."""
        return {name: resolve(value, f"the {name}") for name, value in self.parameters.items() if is_secret(name)}


def is_secret(name: str) -> bool:
    """Whether a setting of this name holds a secret."""
    return _SECRET.search(name) is not None


def warehouse_address(url: str, relative_to: Path) -> WarehouseAddress:
    """SettingsError if the URL names no dataset of a warehouse. The message never contains a secret."""
    scheme, _, behind = url.partition(":")
    warehouse = _NAMES[scheme.lower().removeprefix(PREFIX)]
    kind = WAREHOUSES[warehouse]
    try:
        parts = urlsplit(f"{warehouse}:{behind}")
        port = parts.port
    except ValueError:
        raise SettingsError(f"invalid {warehouse} URL", hint=f"Use a URL such as {kind.example}") from None
    user, host, path = unquote(parts.username or ""), unquote(parts.hostname or ""), unquote(parts.path)
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
    given = {name: unquote(value) for name, _, value in pairs}
    if not behind.startswith("//") or parts.fragment or (host and not kind.host) or (user and kind.host != "host"):
        raise SettingsError(f"invalid address in the {warehouse} URL", hint=f"Use a URL such as {kind.example}")
    if warehouse == "duckdb" and path.strip("/"):
        path = str(Path(relative_to, Path(path[1:]).expanduser()).resolve())
    elif kind.path == "database":
        path = path.removeprefix("/")
    needs_path = kind.host == "host" or kind.host is None
    if (needs_path and not path) or "\0" in unquote(behind):
        raise SettingsError(f"no database in the {warehouse} URL", hint=f"Use a URL such as {kind.example}")
    if parts.password is not None:
        given["password"] = unquote(parts.password)
    _check_secrets(given, warehouse)
    dataset, staging = given.pop("dataset", DATASET), given.pop("staging", None)
    _check_dataset(dataset)
    if kind.host is None and Path(path).stem == dataset:
        raise SettingsError(
            f"the {warehouse} dataset {dataset} has the same name as its database",
            hint="Choose another name with ?dataset=name.",
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
            f"invalid dataset name: {dataset!r}",
            hint=f"Use lower-case letters, digits and single underscores: {plain or DATASET}.",
        )


def _check_secrets(given: Mapping[str, str], warehouse: str) -> None:
    for name, value in given.items():
        if is_secret(name) and not is_reference(value):
            raise SettingsError(
                f"the {warehouse} URL contains a secret ({name}), and URLs are displayed and stored",
                hint=f"Use ?{name}=env:NAME or ?{name}=file:/path, or set dlt's variable "
                f"DESTINATION__{warehouse.upper()}__CREDENTIALS__{name.upper()}.",
            )
