"""`counterfoil serve`."""

from __future__ import annotations

from contextlib import closing, suppress
from functools import partial

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.demo.embedded_sandbox import SandboxAtHand
from counterfoil.cli.sandbox import checked_port
from counterfoil.cli.terminal.exit import exit_without_waiting
from counterfoil.cli.terminal.screen import say
from counterfoil.engine.shutdown import Shutdown
from counterfoil.errors import SettingsError


def serve(*, host: str | None = None, port: int | None = None) -> None:
    """Start the service: the scheduler, a worker, the web UI and the API.

    Open the printed link to sign in: it works once and expires after ten minutes. With COUNTERFOIL_PASSWORD set, the
    UI asks for the password instead. See: counterfoil docs serve

    Ctrl-C or SIGTERM stops the service within seconds. Runs in progress resume after the next start.
    Log lines go to stderr; COUNTERFOIL_LOG=json prints them as JSON objects.

    Parameters
    ----------
    host
        Address to listen on; COUNTERFOIL_HOST or 127.0.0.1 by default. Other addresses require a password.
    port
        Port to listen on; COUNTERFOIL_PORT or 8321 by default; 0 picks a free port.
    """
    if port is not None:
        checked_port(port)
    exit_without_waiting()
    with (
        Shutdown() as shutdown,
        suppress(KeyboardInterrupt),
        open_command_app(service=True) as app,
        closing(SandboxAtHand()) as sandbox,
    ):
        from counterfoil.app.node import serve
        from counterfoil.web.server import PageServer

        # Only with a local state: nodes on other machines cannot reach the sandbox.
        offered = sandbox if app.settings.state_url is None else None
        with suppress(SettingsError):  # another sandbox may use the port; otherwise, runs report the error
            sandbox.resume(app.accounts.list())

        def announce(link: str) -> None:
            say(f"New sign-in link: {link}")

        def ready(link: str) -> None:
            say(f"Counterfoil ready at {link}")

        make_front = partial(PageServer, app, announce=announce, host=host, port=port, sandbox=offered)
        with shutdown.working() as stopping:
            serve(app.state, app.records, make_front=make_front, ready=ready, stopping=stopping)
