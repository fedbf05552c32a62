"""Parses the URL of a Postgres database. Passwords come from the URL or its references, and are never displayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from counterfoil.destinations.postgres.kind import EXAMPLE, SCHEMA
from counterfoil.errors import SettingsError
from counterfoil.secret_references import is_reference, resolve

_SECRETS = frozenset({"password", "sslpassword"})


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """A schema of a database, and how to connect to it."""

    #: The URL without secrets. It opens the same database if the password is available elsewhere.
    name: str
    schema: str
    #: The parameters of libpq.
    parameters: Mapping[str, str] = field(repr=False)

    def connection(self) -> dict[str, str]:
        """The parameters, with the password that `password=env:NAME` or `password=file:/path` refers to."""
        found = dict(self.parameters)
        for name in _SECRETS & found.keys():
            found[name] = resolve(found[name], f"the {name}") if is_reference(found[name]) else found[name]
        return found


def postgres_address(url: str) -> PostgresAddress:
    """SettingsError if the URL names no database. The message never contains a password."""
    front, _, query = url.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    schemas = [unquote(pair.partition("=")[2]) for pair in pairs if pair.partition("=")[0] == "schema"]
    rest = "&".join(pair for pair in pairs if pair.partition("=")[0] != "schema")
    _, _, behind = front.partition("://")
    try:
        parsed = conninfo_to_dict(f"postgresql://{behind}{'?' if rest else ''}{rest}")
    except psycopg.Error:
        # libpq's message may repeat any part of the URL.
        raise SettingsError(
            "invalid URL of a Postgres database",
            hint=f"Use a URL such as {EXAMPLE}?schema=stripe; write @, / and % in a password as %40, %2F and %25.",
        ) from None
    parameters = {name: str(value) for name, value in parsed.items() if value is not None}
    if not parameters.get("dbname"):
        raise SettingsError("the URL names no database", hint=f"Use a URL such as {EXAMPLE}")
    if any("\0" in value for value in (*parameters.values(), *schemas)):
        raise SettingsError(
            "the URL of the Postgres database contains a NUL character", hint=f"Use a URL such as {EXAMPLE}"
        )
    schema = schemas[-1] if schemas else SCHEMA
    if not schema or len(schema.encode()) > 63 or schema.startswith("pg_") or schema == "information_schema":
        raise SettingsError(
            f"invalid schema: {schema!r}", hint="Use a name of 1 to 63 bytes that does not begin with pg_."
        )
    return PostgresAddress(_name(parameters, schema), schema, parameters)


def _name(parameters: Mapping[str, str], schema: str) -> str:
    """The URL to display. A host that is the folder of a socket is a parameter."""
    host = parameters.get("host", "")
    is_address = bool(host) and "/" not in host and "," not in host
    user = f"{quote(parameters['user'], safe='')}@" if "user" in parameters else ""
    address = (f"[{host}]" if ":" in host else host) if is_address else ""
    port = f":{parameters['port']}" if "port" in parameters and is_address else ""
    behind = {} if schema == SCHEMA else {"schema": schema}
    shown_above = {"user", "dbname", *(("host", "port") if is_address else ())}
    behind |= {
        name: value
        for name, value in parameters.items()
        if name not in shown_above and (name not in _SECRETS or is_reference(value))
    }
    query = "&".join(f"{name}={quote(value, safe='/:,')}" for name, value in sorted(behind.items()))
    return f"postgresql://{user}{address}{port}/{quote(parameters['dbname'], safe='')}{'?' if query else ''}{query}"
