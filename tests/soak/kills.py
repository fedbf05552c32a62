"""Kills pulls and a service while they extract, load and finish: `python -m tests.soak.kills`.

After each kill, the table must be unchanged or complete. Then the pull is resumed or the service is restarted, and the
table must contain each of Stripe's rows exactly once. Prints the results as Markdown, and exits with 1 if a table was
wrong.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from counterfoil.app.node import dispatch_of, open_queue
from counterfoil.state.database import utc_now
from counterfoil.state.run import Run
from stripe_sandbox import Sandbox
from tests.runs.conftest import FILE, KEY, Center
from tests.soak.killed import PHASES

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 300


class Kills:
    """One company, one table, and a process that is killed."""

    def __init__(self, center: Center, folder: Path) -> None:
        self.center = center
        self._moment = folder / "moment"
        self._output = (folder / "output").open("a+")
        self._environment = os.environ | {
            "COUNTERFOIL_HOME": str(center.settings.home),
            "STRIPE_API_KEY": KEY,
            "STRIPE_API_BASE": center.stripe.url,
            "COUNTERFOIL_RATE_GLOBAL": "100000",
            "COUNTERFOIL_RATE_ENDPOINT": "100000",
        }
        self.kills: Counter[str] = Counter()
        self.loaded: Counter[str] = Counter()
        self.wrong: list[str] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.soak.killed", str(self._moment), *arguments]
        return subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL, stderr=self._output, text=True
        )

    def set_moment(self, moment: str) -> None:
        """Sets the moment at which the next phase is killed, or `count`."""
        self._moment.write_text(moment)

    def disable(self) -> None:
        """Disables kills."""
        self._moment.unlink(missing_ok=True)

    def counted(self) -> dict[str, int]:
        """The number of moments in each phase, as counted by the last process."""
        self._output.seek(0)
        lines = [line.split() for line in self._output if line.startswith("moments ")]
        return {phase: int(count) for _, phase, count in lines}

    def change(self) -> None:
        self.center.create("charge")

    def record_kill(self, process: str, moment: str, before: list[tuple[object, ...]]) -> None:
        """Counts a kill, and checks the resulting table."""
        phase = moment.split(maxsplit=1)[0]
        self.kills[phase] += 1
        if self.center.snapshot("charges") == before:
            return
        self.loaded[phase] += 1
        self.check(f"{process}, killed at {moment}, before it was resumed")

    def check(self, when: str) -> None:
        """Checks that the table contains each of Stripe's rows once."""
        ids, truth = self.center.ids("charges"), self.center.truth("charges")
        if ids != truth:
            lost, extra = Counter(truth) - Counter(ids), Counter(ids) - Counter(truth)
            self.wrong.append(f"{when}: {lost.total()} rows missing, {extra.total()} too many")


def spread_moments(counted: dict[str, int], kills: int) -> Iterator[str]:
    """Moments distributed evenly over each phase, the same number in each, and spares in case a phase ends early."""
    for number in [*range(kills), *range(len(PHASES))]:
        phase = PHASES[number % len(PHASES)]
        share = (number // len(PHASES) + 0.5) / -(-kills // len(PHASES))
        yield f"{phase} {max(1, int(counted[phase] * share))}"


def wait(process: subprocess.Popen[str]) -> int:
    return process.wait(MOST_SECONDS)


def pulls(kills: Kills, count: int) -> int:
    """Kills and resumes pulls; returns the number of kills."""
    command = ("pull", "charges", "--to", f"duckdb:///{kills.center.settings.home / FILE}", "--overwrite")
    kills.set_moment("count")
    assert wait(kills.start(*command)) == 0, "the pull failed without kills"
    done = 0
    for moment in spread_moments(kills.counted(), count):
        if done == count:
            break
        kills.change()
        before = kills.center.snapshot("charges")
        kills.set_moment(moment)
        code = wait(kills.start(*command, "--resume"))
        kills.disable()
        if code == -signal.SIGKILL:
            done += 1
            kills.record_kill("a pull", moment, before)
            code = wait(kills.start(*command, "--resume"))
        if code:
            kills.wrong.append(f"a pull, killed at {moment}: ended with {code}")
        kills.check(f"a pull, killed at {moment}")
    return done


def service(kills: Kills, count: int) -> int:
    """Kills and restarts a service during runs of a dataset; returns the number of kills."""
    center = kills.center
    dataset = center.dataset("charges", method="replace")
    process = kills.start("serve", "--port", "0")
    done = 0
    try:
        kills.set_moment("count")
        _finished(center, _queued(center, dataset.id), process)
        for moment in spread_moments(kills.counted(), count):
            if done == count:
                break
            kills.change()
            before = center.snapshot("charges")
            kills.set_moment(moment)
            run = _queued(center, dataset.id)
            _finished(center, run, process)
            kills.disable()
            if process.poll() is not None:
                done += 1
                kills.record_kill("a service", moment, before)
                process = kills.start("serve", "--port", "0")
            status = _finished(center, run, process)
            if status != "succeeded":
                kills.wrong.append(f"a service, killed at {moment}: its run is {status}")
            kills.check(f"a service, killed at {moment}")
    finally:
        process.send_signal(signal.SIGTERM)
        wait(process)
    return done


def _queued(center: Center, dataset: str) -> Run:
    queue = open_queue(center.state)
    try:
        run = dispatch_of(center.state, center.records, queue, center.steps).start(dataset)
        return center.runs.get(run.id)
    finally:
        queue.close()


def _finished(center: Center, run: Run, process: subprocess.Popen[str]) -> str:
    """The run's status after the run or its process has ended."""
    until = time.monotonic() + MOST_SECONDS
    while (status := center.runs.get(run.id).status) in ("queued", "running") and process.poll() is None:
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    return status


def main() -> None:
    """Exits with 1 if a table was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.kills")
    parser.add_argument("--kills", type=int, default=40, help="number of kills of pulls, and of a service")
    parser.add_argument("--scale", type=float, default=0.1)
    options = parser.parse_args()
    wrong: list[str] = []
    for killed, work in (("pulls", pulls), ("a service", service)):
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, Sandbox(scale=options.scale) as stripe:
            center = Center(Path(folder) / "home", stripe)
            center.state.now = utc_now
            kills = Kills(center, Path(folder))
            done = work(kills, options.kills)
            rows = len(center.ids("charges"))
            center.state.close()
        phases = ", ".join(f"{kills.kills[phase]} in {phase}" for phase in PHASES)
        print(f"- {done} kills of {killed}: {phases}; {kills.loaded.total()} of them left the new table complete;")
        print(f"  {rows} rows at the end, {len(kills.wrong)} wrong. {time.monotonic() - started:.0f} s.", flush=True)
        wrong += kills.wrong
    for line in wrong:
        print(f"  - {line}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
