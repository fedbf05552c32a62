"""The service as a separate process: killed in each step, stopped, restarted, and asked for its health."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from counterfoil.engine.queue import Queue, engine_url
from counterfoil.engine.steps import ORDER, job

ROOT = Path(__file__).resolve().parents[2]


class Toy:
    """A toy service; tests wait for its lines on stdout."""

    def __init__(self, home: Path, hang: str | None = None) -> None:
        command = [sys.executable, "-m", "tests.engine.toy_service", str(home), *([hang] if hang else [])]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._passed: list[str] = []
        self.url = ""

    def started(self) -> Toy:
        self.url = self.hear(lambda line: line.startswith("http://"))
        return self

    def until(self, wanted: str) -> None:
        self.hear(lambda line: line == wanted)

    def hear(self, wanted: Callable[[str], bool]) -> str:
        """The next matching line; the lines before it remain available to later calls."""
        for line in self._passed:
            if wanted(line):
                self._passed.remove(line)
                return line
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if wanted(line.strip()):
                return line.strip()
            self._passed.append(line.strip())
        raise AssertionError(f"the service ended after the lines {self._passed}")

    def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        self.process.send_signal(how)
        code = self.process.wait(30)
        self.close()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Callable[..., Toy]]:
    started: list[Toy] = []

    def start(hang: str | None = None) -> Toy:
        started.append(Toy(tmp_path, hang))
        return started[-1].started()

    yield start
    for each in started:
        each.close()


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    opened = Queue(engine_url(tmp_path))
    opened.enqueue(job("R1", 1, "acct_1"))
    yield opened
    opened.close()


def steps_done(home: Path) -> list[str]:
    return [line.split()[0] for line in (home / "steps.log").read_text().splitlines()]


@pytest.mark.usefixtures("queue")
def test_service_killed_in_each_step_resumes_at_that_step(toy: Callable[..., Toy], tmp_path: Path) -> None:
    for step in ORDER:
        killed = toy(hang=step)
        killed.until(f"{step} R1 1")
        killed.kill()

    toy().until("finish R1 1")

    assert steps_done(tmp_path) == [
        "plan",
        "plan",
        "extract",
        "extract",
        "load",
        "load",
        "prove",
        "prove",
        "finish",
        "finish",
    ]


def test_terminated_service_stops_in_seconds_and_resumes_after_the_restart(
    queue: Queue, toy: Callable[..., Toy], tmp_path: Path
) -> None:
    first = toy(hang="load")
    first.until("load R1 1")
    began = time.monotonic()
    assert first.kill(signal.SIGTERM) == 0
    assert time.monotonic() - began < 8
    assert queue.statuses(["R1-1"]) == {"R1-1": "running"}

    second = toy()
    second.until("after R1")
    assert second.kill(signal.SIGTERM) == 0

    assert steps_done(tmp_path) == ["plan", "extract", "load", "load", "prove", "finish"]
    assert queue.statuses(["R1-1"]) == {"R1-1": "ended"}


def test_second_service_takes_over_only_the_attempts_of_a_dead_one(
    queue: Queue, toy: Callable[..., Toy], tmp_path: Path
) -> None:
    first = toy(hang="extract")
    first.until("extract R1 1")

    second = toy()
    queue.enqueue(job("R2", 1, "acct_1"))
    second.until("turn")
    assert health_after_a_turn(second.url)["nodes"] == 2
    assert (tmp_path / "steps.log").read_text().count("extract R1 1") == 1
    first.kill()
    second.kill(signal.SIGTERM)

    third = toy()
    third.until("finish R1 1")
    assert (tmp_path / "steps.log").read_text().count("extract R1 1") == 2


@pytest.mark.usefixtures("queue")
def test_running_service_reports_its_health_and_listens_on_one_port(toy: Callable[..., Toy]) -> None:
    service = toy(hang="plan")
    service.until("turn")
    service.until("plan R1 1")

    health = health_after_a_turn(service.url)

    assert health["ok"]
    assert health["nodes"] == 1
    assert health["queue"] == {"queued": 0, "delayed": 0, "running": 1}
    port = int(service.url.split(":")[2].split("/")[0])
    assert listening(service.process.pid) == {("127.0.0.1", port)}


def answer(url: str) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def health_after_a_turn(url: str) -> dict[str, object]:
    """The health of the service after its first turn, polled, because the turn itself does not report it."""
    while True:
        status, health = answer(url)
        if health["last_due_at"] is not None:
            assert status == 200
            return health
        assert status == 503


def listening(pid: int) -> set[tuple[str, int]]:
    """The address and port of each TCP socket that the process listens on, from /proc."""
    inodes = {
        link.readlink().name.removeprefix("socket:[").rstrip("]")
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:")
    }
    found = set()
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = row.split()
            if state == "0A" and rest[5] in inodes:
                address, port = local.split(":")
                found.add((".".join(str(byte) for byte in reversed(bytes.fromhex(address))), int(port, 16)))
    return found
