"""`serve` as a process: it runs due datasets, reports its health and stops within seconds."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from counterfoil.cli import run
from counterfoil.schedules import parse
from counterfoil.state.tables import datasets
from stripe_sandbox import Sandbox
from tests.cli.center import Center, ended

COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))


@pytest.fixture
def center(tmp_path: Path) -> Iterator[Center]:
    with Sandbox(scale=0.1) as sandbox:
        opened = Center(tmp_path / "home", sandbox.url)
        yield opened
        opened.close()


def test_serve_runs_due_datasets_and_stops_on_sigterm(center: Center) -> None:
    dataset = center.add("Charges", "charges", schedule=parse("daily at 06:00", "UTC"))
    due_at = center.app.state.now().replace(microsecond=0) - timedelta(minutes=1)
    with center.app.state.begin() as connection:
        connection.execute(sa.update(datasets).where(datasets.c.id == dataset.id).values(next_due_at=due_at))
    process = subprocess.Popen(
        [COUNTERFOIL, "serve", "--port", "0"],
        env={**os.environ, "COUNTERFOIL_HOME": str(center.home), "COUNTERFOIL_LOG": "json"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Counterfoil ready at http://127.0.0.1:")
    while not (ended_runs := center.app.runs.list(status=("succeeded", "failed"))):
        assert not ended(process)
    health = _health(line.split()[-1].split("/login?")[0] + "/health")
    process.send_signal(signal.SIGTERM)
    rest, log = process.communicate(timeout=15)

    assert (process.returncode, rest) == (0, "")
    assert [(one.status, one.trigger, one.due_at) for one in ended_runs] == [("succeeded", "schedule", due_at)]
    assert center.rows("SELECT count(*) FROM charges") == [(ended_runs[0].counts.read,)]
    assert center.app.records.datasets.get(dataset.id).next_due_at > center.app.state.now()
    assert health["ok"]
    events = [json.loads(each)["event"] for each in log.splitlines()]
    assert events == ["service started", "run succeeded", "service stops"]


def test_serve_reports_port_in_use_and_invalid_port(
    center: Center, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERFOIL_HOME", str(center.home))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        assert run(["serve", "--port", str(port)]) == 2
    assert f"port {port} on 127.0.0.1" in capsys.readouterr().err
    assert run(["serve", "--port", "70000"]) == 2


def _health(url: str) -> dict[str, object]:
    """The health of the service after its first cycle."""
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                health: dict[str, object] = json.load(answer)
                return health
        except urllib.error.HTTPError as error:
            error.close()
