"""A process for tests that kill it: `python -m tests.runs.worker serve` or `… run DATASET`.

It uses COUNTERFOIL_HOME. `… claim` waits for a line on stdin, enqueues the due datasets and prints their number.
"""

from __future__ import annotations

import sys

from counterfoil.app.app import App, open_app
from counterfoil.app.node import dispatch_of, open_queue, serve
from counterfoil.app.runs import RunService
from counterfoil.engine.shutdown import Shutdown
from counterfoil.runs.attempt import Attempt


def claim(app: App) -> int:
    queue = open_queue(app.state)
    dispatch = dispatch_of(app.state, app.records, queue, Attempt(app.records))
    print("ready", flush=True)
    sys.stdin.readline()
    print(dispatch.claim(app.state.now(), 100), flush=True)
    queue.close()
    return 0


def main(command: str, dataset: str | None) -> int:
    with open_app() as app:
        if command == "claim":
            return claim(app)
        if dataset is None:
            assert command == "serve"
            with Shutdown() as shutdown, shutdown.working() as stopping:
                return 0 if serve(app.state, app.records, stopping=stopping) else 1
        return 0 if RunService(app.state, app.records).start(dataset).status == "succeeded" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], (sys.argv[2:] or [None])[0]))
