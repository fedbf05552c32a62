"""Which destination a URL names. Adapters are imported when they are chosen."""

from __future__ import annotations

import difflib
from pathlib import Path

from counterfoil.destinations.destination import Destination
from counterfoil.destinations.warehouse_url import KINDS
from counterfoil.errors import SettingsError
from counterfoil.log import redacted
from counterfoil.settings import Settings

_EXAMPLES = {
    "duckdb": "duckdb:///stripe.duckdb",
    "parquet": "parquet:///stripe",
    "postgresql": "postgresql://user@host/database",
}


def open_destination(url: str, *, relative_to: Path, settings: Settings) -> Destination:
    """The destination of `duckdb:///file`, `parquet:///folder`, `postgresql://user@host/database?schema=…` or
    `dlt+<warehouse>://…?dataset=…`.

    The first two are below `relative_to`; with four slashes from the root.

    Nothing is opened or made yet. SettingsError when the URL names no destination; it never repeats a password.
    """
    if url[:4].lower() == "dlt+":
        return _warehouse(url, relative_to, settings)
    scheme, path = _parsed(url)
    if scheme == "postgresql":
        from counterfoil.destinations.postgres import PostgresDestination

        return PostgresDestination(url, settings)
    place = Path(relative_to, Path(path).expanduser())
    if scheme == "duckdb":
        from counterfoil.destinations.duckdb import DuckDBDestination

        return DuckDBDestination(place, settings)
    from counterfoil.destinations.parquet import ParquetDestination

    return ParquetDestination(place, settings)


def _warehouse(url: str, relative_to: Path, settings: Settings) -> Destination:
    try:
        import dlt  # noqa: F401 - what comes with Counterfoil can be imported, and this alone may be missing
    except ImportError as error:
        raise SettingsError(
            "warehouses are loaded by dlt, which is not installed", hint="pip install 'counterfoil[dlt]'"
        ) from error
    from counterfoil.destinations.warehouse import WarehouseDestination

    return WarehouseDestination(url, relative_to, settings)


def _parsed(url: str) -> tuple[str, str]:
    scheme, colon, rest = url.partition(":")
    if not colon or "/" in scheme or not scheme:
        raise SettingsError(f"{redacted(url)!r} is not a destination", hint=f"Did you mean {redacted(_meant(url))}?")
    scheme = {"postgres": "postgresql"}.get(scheme.lower(), scheme.lower())
    if scheme not in _EXAMPLES:
        if scheme in KINDS:
            raise SettingsError(f"{scheme} is loaded through dlt", hint=f"Did you mean {KINDS[scheme].example}?")
        near = difflib.get_close_matches(scheme, _EXAMPLES, n=1)
        *first, last = _EXAMPLES.values()
        known = f"{', '.join(first)} or {last}"
        raise SettingsError(
            f"there is no destination called {scheme}",
            hint=f"Did you mean {_EXAMPLES[near[0]]}?" if near else f"Give a URL such as {known}.",
        )
    if scheme == "postgresql":
        return scheme, rest
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
    if "?" in path:
        raise SettingsError(f"a {scheme} destination takes no parameters", hint="Remove the question mark.")
    return scheme, path


def _meant(path: str) -> str:
    folder = path.endswith("/") or Path(path).suffix == ""
    return f"{'parquet' if folder else 'duckdb'}:///{path.rstrip('/')}" if path.strip("/") else _EXAMPLES["duckdb"]
