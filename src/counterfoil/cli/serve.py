"""`counterfoil serve`."""

from __future__ import annotations

from contextlib import suppress

from counterfoil.cli.leaving import hurry
from counterfoil.cli.opening import opened
from counterfoil.cli.sandbox import checked_port
from counterfoil.cli.screen import say


def serve(*, port: int = 8321) -> None:
    """Run datasets when they are due, and those that are run by hand, until stopped.

    Ctrl-C or SIGTERM stop it within seconds: runs that are under way go on where they were after the next start.
    Log lines go to stderr; COUNTERFOIL_LOG=json makes each a JSON object.

    Parameters
    ----------
    port
        Where it answers on 127.0.0.1 how it fares, at /health; 0 picks a free one.
    """
    checked_port(port)
    with suppress(KeyboardInterrupt), opened() as app:
        from counterfoil.app.node import serve

        if not serve(app.state, app.records, port=port, ready=lambda url: say(f"Counterfoil ready at {url}")):
            hurry()
