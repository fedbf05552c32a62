"""`counterfoil worker`."""

from __future__ import annotations

from contextlib import suppress

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.terminal.exit import exit_without_waiting
from counterfoil.cli.terminal.screen import say
from counterfoil.engine.shutdown import Shutdown


def worker() -> None:
    """Start a worker that runs datasets together with a service and other workers.

    All nodes share a state in Postgres (COUNTERFOIL_STATE_URL), an archive folder (COUNTERFOIL_ARCHIVE_PATH), master
    keys (COUNTERFOIL_SECRET_KEY) and destinations that each node can reach. See: counterfoil docs scale

    Ctrl-C or SIGTERM stops it within seconds. Runs in progress continue on another node or after the next start.
    """
    exit_without_waiting()
    with Shutdown() as shutdown, suppress(KeyboardInterrupt), open_command_app(service=True) as app:
        from counterfoil.app.cluster import check_shared
        from counterfoil.app.node import serve

        check_shared(app.state)
        with shutdown.working() as stopping:
            serve(
                app.state,
                app.records,
                ready=lambda _: None,
                started=lambda node: say(f"Worker {node} ready"),
                stopping=stopping,
            )
