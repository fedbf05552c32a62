"""Processes that are measured, and the one that plays Stripe for them. Imports nothing large: on Linux a child's peak
of memory counts from its parent's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PYTHON = sys.executable
COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))
KEY = "sk_test_demo"
#: Far above what a machine can do: the limits that Stripe sets are then no limits.
UNLIMITED = {"COUNTERFOIL_RATE_GLOBAL": "100000", "COUNTERFOIL_RATE_ENDPOINT": "100000"}


class MeasureError(Exception):
    """A process that is measured ended with an error, or gave other rows than there are."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process printed, and what it took from its start to its end."""

    printed: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int

    def json(self) -> Any:
        """Its last line."""
        return json.loads(self.printed.splitlines()[-1])


def run(command: Sequence[str], environment: Mapping[str, str], *, folder: Path) -> Spent:
    """Runs to its end; MeasureError with its words when it fails."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COUNTERFOIL_", "STRIPE_"))}
    with tempfile.TemporaryFile() as words:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            env={**kept, "COUNTERFOIL_HOME": str(folder / "home"), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
        )
        assert process.stdout is not None
        with process.stdout:
            printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            words.seek(0)
            raise MeasureError(
                f"{Path(command[0]).name} ended with {process.returncode}: {words.read().decode()[-2_000:]}"
            )
    unit = 1 if sys.platform == "darwin" else 1024
    return Spent(printed, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


@dataclass(frozen=True, slots=True)
class Cut:
    """A report narrowed to so many rows, and even ranges of `created` that cover them."""

    since: int
    rows: int
    ranges: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Reading:
    """The lists that were asked for since the last look."""

    #: Seconds from the first request to the last one, and to the last answer.
    asking_seconds: float
    seconds: float
    requests: int
    limited: int
    #: Share of a core that the sandbox used meanwhile.
    sandbox_load: float


class Stripe:
    """The sandbox in its own process."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid

    def set(self, *, latency_ms: float = 0, **limits: float | None) -> None:
        """Latency, and limits by the names that docs/sandbox.md gives them; those that are not named are lifted."""
        self._call("_sandbox/latency", {"ms": latency_ms})
        names = ("rps", "endpoint_rps", "concurrency", "endpoint_concurrency")
        self._call("_sandbox/limits", {name: limits.get(name) for name in names})
        self._call("_bench/times")

    def cut(self, report: str, rows: int, chains: int = 1) -> Cut:
        """The newest `rows` of the report, and those of the same second."""
        told = self._call(f"_bench/cuts?report={report}&rows={rows}&chains={chains}")
        return Cut(told["since"], told["rows"], told["ranges"])

    def reading(self) -> Reading:
        """What was asked since `set`, or since the last look."""
        told = self._call("_bench/times")
        requests = told["requests"]
        first = min(came_at for _, _, came_at, _ in requests)
        seconds = max(went_at for *_, went_at in requests) - first
        return Reading(
            asking_seconds=max(came_at for _, _, came_at, _ in requests) - first,
            seconds=seconds,
            requests=len(requests),
            limited=sum(status == 429 for _, status, _, _ in requests),
            sandbox_load=told["cpu"] / seconds,
        )

    def _call(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/{path}", data=data), timeout=60) as answer:
            return json.load(answer)


class Others:
    """How many cores other programs use; None where the system does not tell."""

    def __init__(self, stripe: Stripe) -> None:
        self._sandbox = Path(f"/proc/{stripe.pid}/stat")
        self._at = time.perf_counter()
        self._busy = self._seconds()

    def cores(self) -> float | None:
        """Since this was asked last."""
        at, busy = time.perf_counter(), self._seconds()
        used = None if busy is None or self._busy is None else max(0.0, (busy - self._busy) / (at - self._at))
        self._at, self._busy = at, busy
        return used

    def _seconds(self) -> float | None:
        """CPU seconds that the machine has spent, less ours, our children's and the sandbox's."""
        try:
            user, nice, system, _, _, irq, softirq, *_ = Path("/proc/stat").read_text().split()[1:9]
            sandbox = self._sandbox.read_text().rpartition(")")[2].split()[11:13]
        except (OSError, ValueError):
            return None
        tick = os.sysconf("SC_CLK_TCK")
        times = os.times()
        ours = times.user + times.system + times.children_user + times.children_system
        return (sum(map(int, (user, nice, system, irq, softirq))) - sum(map(int, sandbox))) / tick - ours


@contextmanager
def stripe(scale: float) -> Iterator[Stripe]:
    """A company of this size, until the block ends."""
    command = [PYTHON, "-m", "bench.server", str(scale)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the sandbox did not start")
        yield Stripe(url, process.pid)
        process.communicate()
