"""Runs the measured processes and the sandbox.

This module has no large imports: on Linux the peak memory of a child process includes that of its parent at the fork.
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
#: Rates far above the speed of a machine, so that rate limits have no effect.
UNLIMITED = {"COUNTERFOIL_RATE_GLOBAL": "100000", "COUNTERFOIL_RATE_ENDPOINT": "100000"}


class MeasureError(Exception):
    """A measured process failed, or returned the wrong number of rows."""


@dataclass(frozen=True, slots=True)
class Spent:
    """The output of a process, and its resource use from start to end."""

    printed: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int

    def json(self) -> Any:
        """The last line of the output, decoded."""
        return json.loads(self.printed.splitlines()[-1])


def run(command: Sequence[str], environment: Mapping[str, str], *, folder: Path) -> Spent:
    """Runs a process to its end; MeasureError with its output if it fails."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COUNTERFOIL_", "STRIPE_"))}
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            env={**inherited, "COUNTERFOIL_HOME": str(folder / "home"), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdout is not None
        with process.stdout:
            printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise MeasureError(
                f"{Path(command[0]).name} ended with exit code {process.returncode}: {errors.read().decode()[-2_000:]}"
            )
    unit = 1 if sys.platform == "darwin" else 1024
    return Spent(printed, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


@dataclass(frozen=True, slots=True)
class Cut:
    """The newest `rows` rows of a report, and ranges of `created` that divide them evenly."""

    since: int
    rows: int
    ranges: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Reading:
    """The list requests since the last reading."""

    #: Seconds from the first request to the last request, and to the last response.
    asking_seconds: float
    seconds: float
    requests: int
    limited: int
    #: Share of a core that the sandbox used.
    sandbox_load: float


class Stripe:
    """A client of the sandbox, which runs in its own process."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid

    def set(self, *, latency_ms: float = 0, **limits: float | None) -> None:
        """Sets the latency and the limits (names as in docs/sandbox.md); removes all other limits."""
        self._call("_sandbox/latency", {"ms": latency_ms})
        names = ("rps", "endpoint_rps", "concurrency", "endpoint_concurrency")
        self._call("_sandbox/limits", {name: limits.get(name) for name in names})
        self._call("_bench/times")

    def cut(self, report: str, rows: int, chains: int = 1) -> Cut:
        """The newest `rows` rows of the report, plus rows of the same second."""
        cut = self._call(f"_bench/cuts?report={report}&rows={rows}&chains={chains}")
        return Cut(cut["since"], cut["rows"], cut["ranges"])

    def reading(self) -> Reading:
        """The list requests since `set`, or since the last reading."""
        times = self._call("_bench/times")
        requests = times["requests"]
        first = min(came_at for _, _, came_at, _ in requests)
        seconds = max(went_at for *_, went_at in requests) - first
        return Reading(
            asking_seconds=max(came_at for _, _, came_at, _ in requests) - first,
            seconds=seconds,
            requests=len(requests),
            limited=sum(status == 429 for _, status, _, _ in requests),
            sandbox_load=times["cpu"] / seconds,
        )

    def _call(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/{path}", data=data), timeout=60) as answer:
            return json.load(answer)


class Others:
    """Measures the CPU use of other programs."""

    def __init__(self, stripe: Stripe) -> None:
        self._sandbox = Path(f"/proc/{stripe.pid}/stat")
        self._at = time.perf_counter()
        self._busy = self._seconds()

    def cores(self) -> float | None:
        """Cores used by other programs since the last call; None if the system does not report it."""
        at, busy = time.perf_counter(), self._seconds()
        used = None if busy is None or self._busy is None else max(0.0, (busy - self._busy) / (at - self._at))
        self._at, self._busy = at, busy
        return used

    def _seconds(self) -> float | None:
        """CPU seconds of the machine, without this process, its children and the sandbox."""
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
    """A sandbox of this scale that runs until the block ends."""
    command = [PYTHON, "-m", "bench.server", str(scale)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the sandbox did not start")
        yield Stripe(url, process.pid)
        process.communicate()
