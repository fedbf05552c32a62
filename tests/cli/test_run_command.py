"""`run` with a service, a busy destination, a rejected key, a dead process, a cancellation and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from counterfoil.cli.run_command import _Watch
from counterfoil.cli.terminal.screen import Screen
from counterfoil.engine.nodes import Node
from counterfoil.errors import KeyRejected, StripeUnavailable
from counterfoil.runs.progress import Progress
from counterfoil.state.datasets import Retry
from counterfoil.state.run import LOAD_STEP, Run
from stripe_sandbox import Sandbox
from tests.cli.center import PATIENT, Center, ended

COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))

HOLDER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1) as serving:
        yield serving


@pytest.fixture
def center(sandbox: Sandbox, tmp_path: Path) -> Iterator[Center]:
    opened = Center(tmp_path / "home", sandbox.url)
    yield opened
    opened.close()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Center]:
    """An account whose pages take long."""
    with Sandbox(scale=0.1, latency_ms=250) as sandbox:
        opened = Center(tmp_path / "home", sandbox.url)
        opened.add("Charges", "charges")
        yield opened
        opened.close()


@pytest.fixture
def service(center: Center) -> Iterator[Node]:
    """The record of an active service, without a service."""
    node = Node(center.home / "nodes")
    node.join()
    yield node
    node.leave()


def _start(center: Center, *wrapper: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*wrapper, COUNTERFOIL, "run", "Charges"],
        env={**os.environ, "COUNTERFOIL_HOME": str(center.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_until_reading(center: Center, process: subprocess.Popen[str]) -> Run:
    """The run of the process, after it has started to read."""
    while not ended(process):
        for found in center.app.runs.list("Charges", "running"):
            if found.plan:
                return found
    raise AssertionError(process.communicate())


@pytest.mark.usefixtures("service")
def test_run_with_active_service_queues_and_returns(center: Center) -> None:
    center.add("Charges", "charges")
    done = center.do("run", "Charges")
    (found,) = center.app.runs.list()
    assert (done.code, found.status) == (0, "queued")
    assert done.out.startswith(f"Charges: queued run {found.id}")

    second = center.do("run", "Charges")
    assert second.code == 1
    assert f"active run: {found.id} (queued)" in second.err

    canceled = center.do("runs", "cancel", found.id)
    assert canceled.out == f"Canceled run {found.id}\n"
    assert center.app.runs.get(found.id).status == "canceled"


@pytest.mark.usefixtures("service")
def test_waiting_run_shows_next_attempt_and_can_be_canceled(center: Center) -> None:
    dataset = center.add("Charges", "charges", retry=Retry(every_minutes=30))
    runs = center.app.records.runs
    found = runs.create(dataset.id, "schedule")
    runs.begin_attempt(found.id, workflow=f"{found.id}-1")
    waits = runs.wait(found.id, StripeUnavailable("Stripe is down", request_id="req_1"))
    (attempt,) = runs.attempts(found.id)
    assert attempt.finished_at is not None

    next_at = center.app.runs.next_attempt_at(waits)
    assert next_at is not None
    assert (next_at - attempt.finished_at).total_seconds() == 1800
    shown = center.do("runs", "show", found.id).out
    assert f"{next_at:%Y-%m-%d %H:%M:%S}Z" in shown
    assert "req_1" in shown
    assert center.do("runs", "cancel", found.id).code == 0
    assert center.app.runs.get(found.id).status == "canceled"


def test_run_with_busy_destination_prints_next_attempt(center: Center) -> None:
    center.add("Charges", "charges", retry=PATIENT)
    file = str(center.home / "acme.duckdb")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder, holder.stdin, holder.stdout:
        assert holder.stdout.readline() == "held\n"
        done = center.do("run", "Charges", COUNTERFOIL_BUSY_SECONDS="0")
    (found,) = center.app.runs.list()
    next_at = center.app.runs.next_attempt_at(found)
    assert next_at is not None
    assert (done.code, found.status) == (1, "waiting")
    assert f"Next attempt: {next_at:%Y-%m-%d %H:%M}Z, " in done.err
    second = center.do("run", "Charges")
    assert f"{found.id} (waiting)" in second.err


def test_rejected_key_exits_with_three_and_pauses_dataset(sandbox: Sandbox, tmp_path: Path) -> None:
    center = Center(tmp_path / "home", sandbox.url, key="sk_test_wrong000000000")
    dataset = center.add("Charges", "charges")
    done = center.do("run", "Charges", "--json")
    (failed,) = done.json
    assert done.code == KeyRejected.exit_code == 3
    assert failed["status"] == "failed"
    assert failed["error"]["kind"] == "KeyRejected"
    assert f"counterfoil runs show {failed['id']}" in done.err
    assert "wrong000000000" not in done.out + done.err
    assert center.app.records.datasets.get(dataset.id).pause is not None
    assert "KeyRejected" in center.do("runs", "show", failed["id"]).out
    center.close()


def test_run_resumes_run_of_dead_process(center: Center) -> None:
    dataset = center.add("Charges", "charges")
    abandoned = center.app.records.runs.create(dataset.id, "manual")
    done = center.do("run", "Charges")
    assert done.code == 0, done.err
    assert [(run.id, run.status) for run in center.app.runs.list()] == [(abandoned.id, "succeeded")]
    assert center.app.runs.lines(abandoned.id)[0].message.startswith("Resumed")


def test_run_of_dead_process_can_be_canceled(center: Center) -> None:
    dataset = center.add("Charges", "charges")
    abandoned = center.app.records.runs.create(dataset.id, "manual")
    token = center.app.records.runs.begin_attempt(abandoned.id, workflow=f"{abandoned.id}-1")
    assert center.do("runs", "cancel", abandoned.id).out == f"Canceled run {abandoned.id}\n"
    assert not center.app.records.runs.owns(abandoned.id, token)


def test_ctrl_c_cancels_run_of_this_process(slow: Center) -> None:
    process = _start(slow)
    found = _wait_until_reading(slow, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert f"Charges: canceled run {found.id}; " in err
    assert "table is unchanged" in err
    assert slow.app.runs.get(found.id).status == "canceled"
    assert "Traceback" not in err


def test_run_started_with_sigint_ignored_ignores_it(slow: Center) -> None:
    process = _start(slow, "sh", "-c", "trap '' INT; exec \"$@\"", "sh")
    _wait_until_reading(slow, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


def test_run_resumes_after_sigterm(slow: Center) -> None:
    process = _start(slow)
    found = _wait_until_reading(slow, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert f"Resume run {found.id} " in err
    assert err.endswith(": counterfoil run Charges\n")
    assert slow.app.runs.get(found.id).status == "running"

    done = slow.do("run", "Charges")
    assert done.code == 0, done.err
    assert f"run {found.id}\n" in done.out
    assert len(slow.rows("SELECT DISTINCT id FROM charges")) == slow.app.runs.get(found.id).counts.read


class _Recorder(Screen):
    """A screen that stores the progress."""

    def __init__(self) -> None:
        super().__init__()
        self.progress: list[Progress] = []

    def observe(self, progress: Progress) -> None:
        self.progress.append(progress)


def test_load_is_recognized_by_step_of_log_line(center: Center) -> None:
    dataset = center.add("Charges", "charges")
    runs = center.app.records.runs
    found = runs.create(dataset.id, "manual")
    runs.begin_attempt(found.id, workflow=f"{found.id}-1")
    watch, screen = _Watch(center.app.runs, "Charges"), _Recorder()
    with watch.drawing(screen):
        for message, fields in (("Loading soon", {}), ("Writing rows", {"step": LOAD_STEP}), ("Done", {})):
            runs.log(found.id, "info", message, **fields)
            watch.look(runs.get(found.id))
    assert [(one.stage, one.note) for one in screen.progress] == [
        ("reading", "Loading soon"),
        ("waiting", "Writing rows"),
        ("reading", "Done"),
    ]
