"""Opens the app for a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from counterfoil.app.app import App


def open_command_app(*, service: bool = False) -> App:
    """The app with the settings of the environment. A service uses their log format; a command logs only warnings."""
    from counterfoil.app.app import open_app
    from counterfoil.logging import configure, configure_command
    from counterfoil.settings import load_settings

    settings = load_settings()
    if service:
        configure(settings.log)
    else:
        configure_command(settings.log)
    return open_app(settings)
