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
    """Run datasets when they are due, and those that are run by hand, until stopped; and serve the page.

    Open the link that is printed: it works once, within ten minutes. With COUNTERFOIL_PASSWORD set, the page asks for
    that instead. See docs/serve.md.

    Ctrl-C or SIGTERM stop it within seconds: runs that are under way go on where they were after the next start.
    Log lines go to stderr; COUNTERFOIL_LOG=json makes each a JSON object.

    Parameters
    ----------
    host
        Address that the page listens on, COUNTERFOIL_HOST or 127.0.0.1 unless given; another needs a password.
    port
        Port that the page listens on, COUNTERFOIL_PORT or 8321 unless given; 0 picks a free one.
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

        # On one machine alone: another node could not reach it.
        offered = sandbox if app.settings.state_url is None else None
        with suppress(SettingsError):  # whoever has the port may be a sandbox too; if not, runs tell
            sandbox.resume(app.accounts.list())

        def announce(link: str) -> None:
            say(f"Counterfoil's new link: {link}")

        def ready(link: str) -> None:
            say(f"Counterfoil ready at {link}")

        make_front = partial(PageServer, app, announce=announce, host=host, port=port, sandbox=offered)
        with shutdown.working() as stopping:
            serve(app.state, app.records, make_front=make_front, ready=ready, stopping=stopping)
