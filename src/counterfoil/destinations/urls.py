"""Which destination a URL names. Adapters are imported when they are chosen."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from counterfoil.destinations.object_store.url import KINDS
from counterfoil.destinations.protocol import Destination
from counterfoil.destinations.warehouse.url import KINDS as WAREHOUSES
from counterfoil.errors import DestinationRejected, SettingsError
from counterfoil.free_space import lacks_space
from counterfoil.logging import redacted
from counterfoil.settings import Settings
from counterfoil.table_names import check_table_name

#: Destinations whose URL is a path, which may be followed by parameters: an example of each.
_FILES: Mapping[str, Mapping[str, str]] = {
    "duckdb": {"publish": "/srv/read/stripe.duckdb"},
    "parquet": {"partition": "month"},
    "delta": {},
}
_EXAMPLES = {
    "duckdb": "duckdb:///stripe.duckdb",
    "parquet": "parquet:///stripe",
    **{scheme: kind.example for scheme, kind in KINDS.items()},
    "delta": "delta:///stripe",
    "delta+s3": "delta+s3://bucket/prefix",
    "postgresql": "postgresql://user@host/database",
    "dlt+snowflake": "dlt+snowflake://user@account/database",
    "domo": "domo://CLIENT_ID@api.domo.com",
}
#: Those of them that have one value.
_FIXED = frozenset({"partition"})
#: Destinations that declare no `query`.
_SILENT = ("domo:", "dlt+")


def supports_query(url: str) -> bool:
    """Whether the destination answers questions; those that don't are read where they are."""
    return not url.lower().startswith(_SILENT)


def open_destination(url: str, *, relative_to: Path, settings: Settings) -> Destination:
    """The destination of a URL, by what stands before its colon: see `docs/destinations.md`.

    Files and folders are below `relative_to`; with four slashes from the root.

    Nothing is opened or made yet. SettingsError when the URL names no destination, or a package that it takes is not
    installed; it never repeats a password.
    """
    scheme, rest = _parsed(url)
    if scheme in _FILES:
        path, parameters = _path(scheme, rest)
        return _OPENERS[scheme](Path(relative_to, Path(path).expanduser()), parameters, relative_to, settings)
    if scheme.startswith("dlt+"):
        return _warehouse(url, relative_to, settings)
    if scheme in KINDS:
        if not rest.startswith("//"):
            told = f"{scheme}: is followed by two slashes and a bucket"
            raise SettingsError(told, hint=f"Such as {_EXAMPLES[scheme]}.")
        from counterfoil.destinations.object_store.destination import ObjectParquetDestination

        return ObjectParquetDestination(url, settings)
    if scheme == "delta+s3":
        from counterfoil.destinations.delta.url import delta_destination

        return delta_destination(scheme, rest, relative_to=relative_to, settings=settings)
    if scheme == "domo":
        from counterfoil.destinations.domo.destination import DomoDestination

        return DomoDestination(url, settings)
    from counterfoil.destinations.postgres.destination import PostgresDestination

    return PostgresDestination(url, settings)


def check_destination(destination: Destination, url: str, table: str, *, relative_to: Path, settings: Settings) -> None:
    """Refuses what no load could do, before anything is read: the table's name, the place, its rights, its free space.

    `destination` is the one of the URL. SettingsError for the name, DestinationRejected or TransientError for the rest.
    """
    check_table_name(table, url)
    destination.check()
    scheme, rest = _parsed(url)
    if scheme in _FILES:
        place = Path(relative_to, Path(_path(scheme, rest)[0]).expanduser())
        needed = settings.free_megabytes
        if (free := lacks_space(place, needed)) is not None:
            raise DestinationRejected(
                f"the disk of {destination.name} has {free} MB of free space; at least {needed} MB are needed",
                hint="Free some space there, or choose another destination.",
            )


def _duckdb(place: Path, parameters: Mapping[str, str], relative_to: Path, settings: Settings) -> Destination:
    from counterfoil.destinations.duckdb.destination import DuckDBDestination

    copy = parameters.get("publish")
    publish = None if copy is None else Path(relative_to, Path(copy).expanduser())
    return DuckDBDestination(place, settings, publish=publish)


def _parquet(place: Path, parameters: Mapping[str, str], _relative_to: Path, settings: Settings) -> Destination:
    from counterfoil.destinations.parquet.destination import ParquetDestination

    return ParquetDestination(place, settings, monthly="partition" in parameters)


def _delta(place: Path, _parameters: Mapping[str, str], relative_to: Path, settings: Settings) -> Destination:
    from counterfoil.destinations.delta.url import delta_destination

    return delta_destination("delta", str(place), relative_to=relative_to, settings=settings)


_OPENERS: Mapping[str, Callable[[Path, Mapping[str, str], Path, Settings], Destination]] = {
    "duckdb": _duckdb,
    "parquet": _parquet,
    "delta": _delta,
}


def _warehouse(url: str, relative_to: Path, settings: Settings) -> Destination:
    try:
        import dlt  # noqa: F401 - what comes with Counterfoil can be imported, and this alone may be missing
    except ImportError as error:
        raise SettingsError(
            "warehouses are loaded by dlt, which is not installed", hint="pip install 'counterfoil[dlt]'"
        ) from error
    from counterfoil.destinations.warehouse.destination import WarehouseDestination

    return WarehouseDestination(url, relative_to, settings)


def _parsed(url: str) -> tuple[str, str]:
    """What stands before the colon and behind it; SettingsError for a scheme that there is not."""
    scheme, colon, rest = url.partition(":")
    if not colon or "/" in scheme or not scheme:
        raise SettingsError(f"{redacted(url)!r} is not a destination", hint=f"Did you mean {redacted(_meant(url))}?")
    scheme = {"postgres": "postgresql"}.get(scheme.lower(), scheme.lower())
    if scheme not in _EXAMPLES and not scheme.startswith("dlt+"):
        if scheme in WAREHOUSES:
            raise SettingsError(f"{scheme} is loaded through dlt", hint=f"Did you mean {WAREHOUSES[scheme].example}?")
        near = difflib.get_close_matches(scheme, _EXAMPLES, n=1)
        *first, last = dict.fromkeys(_EXAMPLES.values())
        known = f"{', '.join(first)} or {last}"
        raise SettingsError(
            f"there is no destination called {scheme}",
            hint=f"Did you mean {_EXAMPLES[near[0]]}?" if near else f"Give a URL such as {known}.",
        )
    return scheme, rest


def _path(scheme: str, rest: str) -> tuple[str, Mapping[str, str]]:
    """The path of a file or folder, and its parameters."""
    rest, _, query = rest.partition("?")
    path = rest.removeprefix("//").removeprefix("/")
    if not rest.startswith("///"):
        hint = f"Did you mean {scheme}:///{path}?" if path and "@" not in path else f"Such as {_EXAMPLES[scheme]}."
        raise SettingsError(f"a {scheme} destination has three slashes and no host", hint=hint)
    if not path.strip("/") or "\0" in path:
        raise SettingsError(
            f"{scheme}:/// names no {'file' if scheme == 'duckdb' else 'folder'}", hint=f"Such as {_EXAMPLES[scheme]}."
        )
    if path == ":memory:":
        raise SettingsError(
            "a table in memory would be gone with the command", hint=f"Name a file: {_EXAMPLES[scheme]}."
        )
    return path, _parameters(scheme, query)


def _parameters(scheme: str, query: str) -> Mapping[str, str]:
    """Nothing is percent-decoded in them either."""
    known = _FILES[scheme]
    found: dict[str, str] = {}
    for word in query.split("&") if query else ():
        name, _, value = word.partition("=")
        if name not in known or not value or (name in _FIXED and value != known[name]):
            takes = " and ".join(f"?{name}={value}" for name, value in known.items()) or "no parameters"
            raise SettingsError(f"a {scheme} destination takes {takes}", hint="Remove what else is behind the ?.")
        found[name] = value
    return found


def _meant(path: str) -> str:
    folder = path.endswith("/") or Path(path).suffix == ""
    return f"{'parquet' if folder else 'duckdb'}:///{path.rstrip('/')}" if path.strip("/") else _EXAMPLES["duckdb"]
