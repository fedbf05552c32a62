"""Which destination a URL names. Adapters are imported when they are chosen."""

from __future__ import annotations

import difflib
from pathlib import Path

from counterfoil.destinations.destination import Destination
from counterfoil.destinations.object_url import KINDS
from counterfoil.errors import SettingsError
from counterfoil.log import redacted
from counterfoil.settings import Settings

#: How the URL of Parquet files ends that lie in a folder for each month.
MONTHLY = "?partition=month"

_EXAMPLES = {
    "duckdb": "duckdb:///stripe.duckdb",
    "parquet": "parquet:///stripe",
    "postgresql": "postgresql://user@host/database",
    **{scheme: kind.example for scheme, kind in KINDS.items()},
}


def open_destination(url: str, *, relative_to: Path, settings: Settings) -> Destination:
    """The destination of a URL such as `duckdb:///file`, `parquet:///folder`, `s3://bucket/prefix` or `postgresql://…`.

    Files and folders are below `relative_to`; with four slashes from the root.

    Nothing is opened or made yet. SettingsError when the URL names no destination; it never repeats a password.
    """
    scheme, path = _parsed(url)
    if scheme in KINDS:
        from counterfoil.destinations.object_parquet import ObjectParquetDestination

        return ObjectParquetDestination(url, settings)
    if scheme == "postgresql":
        from counterfoil.destinations.postgres import PostgresDestination

        return PostgresDestination(url, settings)
    place = Path(relative_to, Path(path).expanduser())
    if scheme == "duckdb":
        from counterfoil.destinations.duckdb import DuckDBDestination

        return DuckDBDestination(place, settings)
    from counterfoil.destinations.parquet import ParquetDestination

    return ParquetDestination(place, settings, monthly=url.endswith(MONTHLY))


def _parsed(url: str) -> tuple[str, str]:
    scheme, colon, rest = url.partition(":")
    if not colon or "/" in scheme or not scheme:
        raise SettingsError(f"{redacted(url)!r} is not a destination", hint=f"Did you mean {redacted(_meant(url))}?")
    scheme = {"postgres": "postgresql"}.get(scheme.lower(), scheme.lower())
    if scheme not in _EXAMPLES:
        near = difflib.get_close_matches(scheme, _EXAMPLES, n=1)
        *first, last = dict.fromkeys(_EXAMPLES.values())
        known = f"{', '.join(first)} or {last}"
        raise SettingsError(
            f"there is no destination called {scheme}",
            hint=f"Did you mean {_EXAMPLES[near[0]]}?" if near else f"Give a URL such as {known}.",
        )
    if scheme == "postgresql" or (scheme in KINDS and rest.startswith("//")):
        return scheme, rest
    if scheme in KINDS:
        raise SettingsError(f"{scheme}: is followed by two slashes and a bucket", hint=f"Such as {_EXAMPLES[scheme]}.")
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
    if scheme == "parquet":
        path = path.removesuffix(MONTHLY)
    if "?" in path:
        known = " but ?partition=month" if scheme == "parquet" else ""
        raise SettingsError(f"a {scheme} destination takes no parameters{known}", hint="Remove the question mark.")
    return scheme, path


def _meant(path: str) -> str:
    folder = path.endswith("/") or Path(path).suffix == ""
    return f"{'parquet' if folder else 'duckdb'}:///{path.rstrip('/')}" if path.strip("/") else _EXAMPLES["duckdb"]
