"""Opens the data center for a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from counterfoil.app import App


def opened() -> App:
    """The data center of the environment's settings, with log lines as they ask for."""
    from counterfoil.app import open_app
    from counterfoil.log import configure
    from counterfoil.settings import load_settings

    settings = load_settings()
    configure(settings.log)
    return open_app(settings)
