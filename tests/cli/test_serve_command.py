"""`serve` as a process: it runs what is due, answers how it fares, and goes down in seconds."""

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
        made = Center(tmp_path / "home", sandbox.url)
        yield made
        made.close()


def test_serve_runs_what_is_due_and_goes_down_when_it_is_told_to(center: Center) -> None:
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
    while not (over := center.app.runs.list(status=("succeeded", "failed"))):
        assert not ended(process)
    health = _health(line.split()[-1].split("/login?")[0] + "/health")
    process.send_signal(signal.SIGTERM)
    rest, said = process.communicate(timeout=15)

    assert (process.returncode, rest) == (0, "")
    assert [(one.status, one.trigger, one.due_at) for one in over] == [("succeeded", "schedule", due_at)]
    assert center.rows("SELECT count(*) FROM charges") == [(over[0].counts.read,)]
    assert center.app.records.datasets.get(dataset.id).next_due_at > center.app.state.now()
    assert health["ok"]
    events = [json.loads(each)["event"] for each in said.splitlines()]
    assert events == ["service started", "run succeeded", "service stops"]


def test_serve_names_a_port_that_is_taken_or_none(
    center: Center, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERFOIL_HOME", str(center.home))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(["serve", "--port", str(port)]) == 2
    assert f"Port {port} of 127.0.0.1 can't be used: Address already in use" in capsys.readouterr().err
    assert run(["serve", "--port", "70000"]) == 2


def _health(url: str) -> dict[str, object]:
    """What the service says after its first turn."""
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                told: dict[str, object] = json.load(answer)
                return told
        except urllib.error.HTTPError as error:
            error.close()
