"""Runs survive an outage of the state's Postgres; interrupted ones end after the outage."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from counterfoil.app.node import dispatch_of, node_of, open_queue
from counterfoil.engine.service import Service
from counterfoil.errors import StateUnavailable
from counterfoil.runs.attempt import Attempt
from counterfoil.state.database import utc_now
from tests.postgres import Server, binaries, running

from .conftest import Center, in_background, wait_until

#: Maximum time from the restart of the server to the end of the interrupted run.
BOUND_SECONDS = 30


class OutageRecorder:
    """The steps of runs; records whether one of them met the outage."""

    def __init__(self, steps: Attempt) -> None:
        self._steps = steps
        self.met = threading.Event()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        step = getattr(self._steps, name)

        def done(*words: Any) -> Any:
            try:
                return step(*words)
            except StateUnavailable:
                self.met.set()
                raise

        return done


@pytest.fixture
def server() -> Iterator[Server]:
    if binaries() is None:
        pytest.skip("Postgres is not installed: apt-get install -y --no-install-recommends postgresql")
    with running(careless=False) as started:  # committed data must survive the kill
        yield started


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("patience_seconds", "status"), [(60, "succeeded"), (0, "failed")], ids=["attempt waits", "lost attempt fails"]
)
def test_run_ends_soon_after_its_state_is_available_again(
    server: Server, make_center: Callable[..., Center], patience_seconds: float, status: str
) -> None:
    center = make_center(state_url=f"postgresql://owner@/test?host={server.folder}")
    center.state.now = utc_now
    dataset = center.dataset("charges")
    center.fault("hold", "/v1/charges", count=1, skip=1)
    queue = open_queue(center.state)
    steps = OutageRecorder(Attempt(center.records, stopping=center.stopping))
    service = Service(
        node=node_of(center.state, "serve"),
        queue=queue,
        steps=steps,
        datasets=center.datasets,
        runs=center.runs,
        partition=lambda account: account,
        transaction=center.state.begin,
        stopping=center.stopping,
        patience_seconds=patience_seconds,
    )
    with in_background(service.run):
        try:
            run = dispatch_of(center.state, center.records, queue, center.steps).start(dataset.id)
            wait_until(lambda: center.stripe.ask("requests")["endpoints"].get("GET /v1/charges"), 30)
            server.kill()
            center.healed()
            assert steps.met.wait(30)
            server.start()
            wait_until(lambda: center.runs.get(run.id).status not in ("queued", "running"), BOUND_SECONDS)
            wait_until(lambda: service.health()["ok"], BOUND_SECONDS)
        finally:
            center.stopping.set()
    queue.close()
    found = center.runs.get(run.id)
    assert (found.status, found.attempt) == (status, 1)
    if status == "succeeded":
        assert center.ids("charges") == center.truth("charges")
