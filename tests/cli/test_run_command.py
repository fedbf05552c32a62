"""`run` where it does not simply succeed: refused, waiting, left by a dead process, canceled, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from counterfoil.engine.nodes import Node
from counterfoil.errors import KeyRejected, StripeUnavailable
from counterfoil.state.datasets import Retry
from counterfoil.state.run import Run
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
    made = Center(tmp_path / "home", sandbox.url)
    yield made
    made.close()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Center]:
    """One whose pages take long."""
    with Sandbox(scale=0.1, latency_ms=250) as sandbox:
        made = Center(tmp_path / "home", sandbox.url)
        made.add("Charges", "charges")
        yield made
        made.close()


@pytest.fixture
def service(center: Center) -> Iterator[Node]:
    """What others take for a service that is alive."""
    node = Node(center.home / "nodes")
    node.join()
    yield node
    node.leave()


def _started(center: Center, *through: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*through, COUNTERFOIL, "run", "Charges"],
        env={**os.environ, "COUNTERFOIL_HOME": str(center.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _reading(center: Center, process: subprocess.Popen[str]) -> Run:
    """The run of the process, once it reads."""
    while not ended(process):
        for found in center.app.runs.list("Charges", "running"):
            if found.plan:
                return found
    raise AssertionError(process.communicate())


@pytest.mark.usefixtures("service")
def test_where_a_service_lives_run_comes_back_at_once(center: Center) -> None:
    center.add("Charges", "charges")
    done = center.do("run", "Charges")
    (found,) = center.app.runs.list()
    assert (done.code, found.status) == (0, "queued")
    assert done.out == f"Charges: the run {found.id} is in the queue of the service.\n"

    again = center.do("run", "Charges")
    assert again.code == 1
    assert f"has a run that is not over: {found.id} (queued)" in again.err

    canceled = center.do("runs", "cancel", found.id)
    assert canceled.out == f"Canceled the run {found.id}.\n"
    assert center.app.runs.get(found.id).status == "canceled"


@pytest.mark.usefixtures("service")
def test_a_run_that_waits_can_be_canceled_and_says_when_it_is_tried_again(center: Center) -> None:
    dataset = center.add("Charges", "charges", retry=Retry(every_minutes=30))
    runs = center.app.records.runs
    found = runs.create(dataset.id, "schedule")
    runs.begin_attempt(found.id, workflow=f"{found.id}-1")
    waits = runs.wait(found.id, StripeUnavailable("Stripe answers nothing", request_id="req_1"))
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


def test_a_run_that_meets_a_busy_destination_says_when_it_is_tried_again(center: Center) -> None:
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
    assert f"It is tried again at {next_at:%Y-%m-%d %H:%M}Z, by `counterfoil serve`" in done.err
    refused = center.do("run", "Charges")
    assert f"{found.id} (waiting)" in refused.err


def test_a_key_that_stripe_refuses_is_exit_code_3_with_the_error_and_the_way_to_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    center = Center(tmp_path / "home", sandbox.url, key="sk_test_wrong000000000")
    dataset = center.add("Charges", "charges")
    done = center.do("run", "Charges", "--json")
    (told,) = done.json
    assert done.code == KeyRejected.exit_code == 3
    assert told["status"] == "failed"
    assert told["error"]["kind"] == "KeyRejected"
    assert f"counterfoil runs show {told['id']}" in done.err
    assert "wrong000000000" not in done.out + done.err
    assert center.app.records.datasets.get(dataset.id).pause is not None
    assert "KeyRejected" in center.do("runs", "show", told["id"]).out
    center.close()


def test_a_run_that_a_process_left_which_is_dead_is_gone_on_with(center: Center) -> None:
    dataset = center.add("Charges", "charges")
    left = center.app.records.runs.create(dataset.id, "manual")
    done = center.do("run", "Charges")
    assert done.code == 0, done.err
    assert [(run.id, run.status) for run in center.app.runs.list()] == [(left.id, "succeeded")]
    assert center.app.runs.lines(left.id)[0].message.startswith("Taken up again")


def test_a_run_that_a_process_left_which_is_dead_can_be_canceled(center: Center) -> None:
    dataset = center.add("Charges", "charges")
    left = center.app.records.runs.create(dataset.id, "manual")
    token = center.app.records.runs.begin_attempt(left.id, workflow=f"{left.id}-1")
    assert center.do("runs", "cancel", left.id).out == f"Canceled the run {left.id}.\n"
    assert not center.app.records.runs.owns(left.id, token)


def test_ctrl_c_cancels_the_run_of_this_process(slow: Center) -> None:
    process = _started(slow)
    found = _reading(slow, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert f"the run {found.id} was canceled; the table is as it was before." in err
    assert slow.app.runs.get(found.id).status == "canceled"
    assert "Traceback" not in err


def test_a_run_that_was_started_with_sigint_ignored_ignores_it(slow: Center) -> None:
    process = _started(slow, "sh", "-c", "trap '' INT; exec \"$@\"", "sh")
    _reading(slow, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


def test_after_sigterm_a_run_goes_on_where_it_was(slow: Center) -> None:
    process = _started(slow)
    found = _reading(slow, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert f"The run {found.id} goes on where it was with: counterfoil run Charges" in err
    assert slow.app.runs.get(found.id).status == "running"

    done = slow.do("run", "Charges")
    assert done.code == 0, done.err
    assert f"run {found.id}\n" in done.out
    assert len(slow.rows("SELECT DISTINCT id FROM charges")) == slow.app.runs.get(found.id).counts.read
