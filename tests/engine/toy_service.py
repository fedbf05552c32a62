"""A service of toy steps, for tests that kill it: `python -m tests.engine.toy_service FOLDER [STEP]`.

Each step writes a line to a file and to stdout; the named step then waits until the service shuts down. The service
also prints the URL of its health check, each turn of the due loop, and each run that succeeded.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from counterfoil.engine.health import Health
from counterfoil.engine.nodes import Node
from counterfoil.engine.queue import Queue, engine_url
from counterfoil.engine.service import Service
from counterfoil.engine.shutdown import Shutdown
from counterfoil.web.listener import Listener
from tests.engine.fakes import FakeDatasets, FakeRun, FakeRuns, FakeState


def say(line: str) -> None:
    """Writes the line at once, because several threads write: `print` writes the line break separately."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class ToySteps:
    def __init__(self, log: Path, hang: str | None, stopping: threading.Event) -> None:
        self._log, self._hang, self._stopping = log, hang, stopping

    def _do(self, name: str, run: str, attempt: int) -> str:
        with self._log.open("a") as log:
            log.write(f"{name} {run} {attempt}\n")
        say(f"{name} {run} {attempt}")
        if name == self._hang:
            self._stopping.wait()
            raise RuntimeError("stopped after a page")
        return name

    def plan(self, run: str, attempt: int) -> str:
        return self._do("plan", run, attempt)

    def extract(self, run: str, attempt: int) -> str:
        return self._do("extract", run, attempt)

    def load(self, run: str, attempt: int) -> str:
        return self._do("load", run, attempt)

    def prove(self, run: str, attempt: int) -> str:
        return self._do("prove", run, attempt)

    def finish(self, run: str, attempt: int) -> str:
        return self._do("finish", run, attempt)

    def failed(self, run: str, attempt: int, error: Exception) -> float | None:
        self._do("failed", run, attempt)
        return None


class ToyDatasets(FakeDatasets):
    def next_due_at(self) -> datetime | None:
        say("turn")
        return super().next_due_at()


class ToyRuns(FakeRuns):
    """The run that a test enqueues belongs to a dataset without followers."""

    def get(self, run: str) -> FakeRun:
        say(f"after {run}")
        return FakeRun(id=run, dataset="ds_1", trigger="manual")


class ToyFront:
    """Serves the health of the service without a login."""

    def __init__(self, health: Callable[[], Health]) -> None:
        self._health = health
        self._listener = Listener("127.0.0.1", 0)

    def link(self) -> str:
        return f"{self._listener.url}/health"

    def start(self) -> None:
        self._listener.start(self._answer)

    def stop(self) -> None:
        self._listener.stop()

    async def _answer(self, _scope: Any, _receive: Any, send: Any) -> None:
        found = await asyncio.to_thread(self._health)
        status = 200 if found["ok"] else 503
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(found).encode()})


def main(home: Path, hang: str | None) -> int:
    with Shutdown() as shutdown, shutdown.working() as stopping:
        return served(home, hang, stopping)


def served(home: Path, hang: str | None, stopping: threading.Event) -> int:
    state = FakeState()
    service = Service(
        node=Node(home / "nodes"),
        queue=Queue(engine_url(home)),
        steps=ToySteps(home / "steps.log", hang, stopping),
        datasets=ToyDatasets(state),
        runs=ToyRuns(state),
        partition=lambda account: account,
        transaction=state.begin,
        stopping=stopping,
    )
    return 0 if service.run(make_front=ToyFront, ready=say) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), (sys.argv[2:] or [None])[0]))
