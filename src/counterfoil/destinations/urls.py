"""Opens the destination that a URL names."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from counterfoil.destinations.kinds import check_table_name, kind_of
from counterfoil.destinations.protocol import Destination
from counterfoil.errors import DestinationRejected, SettingsError
from counterfoil.free_space import lacks_space
from counterfoil.settings import Settings


def open_destination(url: str, *, relative_to: Path, settings: Settings) -> Destination:
    """The destination of a URL, selected by its scheme: see `docs/destinations.md`.

    A path is relative to `relative_to`; with four slashes it is absolute.

    Nothing is opened or created yet. SettingsError if the URL is invalid or a required package is not installed; the
    message never contains a password.
    """
    kind = kind_of(url)
    if kind.library and find_spec(kind.library) is None:
        raise SettingsError(
            f"{kind.example.partition(':')[0]} destinations need the package {kind.library}, which is not installed",
            hint=f"Install it, then start again: pip install 'counterfoil[{kind.extra}]'",
        )
    package = import_module(f"counterfoil.destinations.{kind.package}.destination")
    destination: Destination = package.open_url(url, relative_to, settings)
    return destination


def check_destination(destination: Destination, url: str, table: str, *, relative_to: Path, settings: Settings) -> None:
    """Rejects a target that no load could write, before anything is read: its name, location, permissions and space.

    `destination` is the one of the URL. SettingsError for the name, DestinationRejected or TransientError for the rest.
    """
    check_table_name(table, url)
    destination.check()
    if (path := destination.kind.path) is not None:
        place, _ = path.parsed(url, relative_to)
        needed = settings.free_megabytes
        if (free := lacks_space(place, needed)) is not None:
            raise DestinationRejected(
                f"the disk of {destination.name} has {free} MB of free space; at least {needed} MB are needed",
                hint="Free some space there, or choose another destination.",
            )
