"""Pulls and a service, killed at moments spread over reading, loading and finishing: `python -m tests.soak.kills`.

After each kill the table is what it was, or complete; then the pull is resumed, or the service started again, and the
table has to hold exactly what Stripe has, each row once. Prints what it found, as Markdown, and ends with 1 when a
table was wrong.
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
        self._words = (folder / "words").open("a+")
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

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.soak.killed", str(self._moment), *words]
        return subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL, stderr=self._words, text=True
        )

    def at(self, moment: str) -> None:
        """What the next phase of a process is to do."""
        self._moment.write_text(moment)

    def safe(self) -> None:
        """From here on nothing is killed."""
        self._moment.unlink(missing_ok=True)

    def counted(self) -> dict[str, int]:
        """The moments of each phase that the last process counted."""
        self._words.seek(0)
        lines = [line.split() for line in self._words if line.startswith("moments ")]
        return {phase: int(count) for _, phase, count in lines}

    def change(self) -> None:
        self.center.create("charge")

    def killed(self, what: str, moment: str, before: list[tuple[object, ...]]) -> None:
        """Counts a kill, and checks the table that it left."""
        phase = moment.split(maxsplit=1)[0]
        self.kills[phase] += 1
        if self.center.snapshot("charges") == before:
            return
        self.loaded[phase] += 1
        self.check(f"{what}, killed at {moment}, before it was resumed")

    def check(self, when: str) -> None:
        """The table holds each of Stripe's rows once."""
        ids, truth = self.center.ids("charges"), self.center.truth("charges")
        if ids != truth:
            lost, extra = Counter(truth) - Counter(ids), Counter(ids) - Counter(truth)
            self.wrong.append(f"{when}: {lost.total()} rows missing, {extra.total()} too many")


def spread(counted: dict[str, int], kills: int) -> Iterator[str]:
    """Moments, evenly over each phase, and as many in each; then some more, since a phase may end before one."""
    for number in [*range(kills), *range(len(PHASES))]:
        phase = PHASES[number % len(PHASES)]
        share = (number // len(PHASES) + 0.5) / -(-kills // len(PHASES))
        yield f"{phase} {max(1, int(counted[phase] * share))}"


def ended(process: subprocess.Popen[str]) -> int:
    return process.wait(MOST_SECONDS)


def pulls(kills: Kills, count: int) -> int:
    """Pulls that are killed, each resumed; how many were killed."""
    words = ("pull", "charges", "--to", f"duckdb:///{kills.center.settings.home / FILE}", "--overwrite")
    kills.at("count")
    assert ended(kills.start(*words)) == 0, "a pull in peace"
    done = 0
    for moment in spread(kills.counted(), count):
        if done == count:
            break
        kills.change()
        before = kills.center.snapshot("charges")
        kills.at(moment)
        code = ended(kills.start(*words, "--resume"))
        kills.safe()
        if code == -signal.SIGKILL:
            done += 1
            kills.killed("a pull", moment, before)
            code = ended(kills.start(*words, "--resume"))
        if code:
            kills.wrong.append(f"a pull, killed at {moment}: ended with {code}")
        kills.check(f"a pull, killed at {moment}")
    return done


def service(kills: Kills, count: int) -> int:
    """A service that is killed in runs of a dataset, and started again; how many times."""
    center = kills.center
    made = center.dataset("charges", method="replace")
    process = kills.start("serve", "--port", "0")
    done = 0
    try:
        kills.at("count")
        _over(center, _queued(center, made.id), process)
        for moment in spread(kills.counted(), count):
            if done == count:
                break
            kills.change()
            before = center.snapshot("charges")
            kills.at(moment)
            run = _queued(center, made.id)
            _over(center, run, process)
            kills.safe()
            if process.poll() is not None:
                done += 1
                kills.killed("a service", moment, before)
                process = kills.start("serve", "--port", "0")
            status = _over(center, run, process)
            if status != "succeeded":
                kills.wrong.append(f"a service, killed at {moment}: its run is {status}")
            kills.check(f"a service, killed at {moment}")
    finally:
        process.send_signal(signal.SIGTERM)
        ended(process)
    return done


def _queued(center: Center, dataset: str) -> Run:
    queue = open_queue(center.state)
    try:
        run = dispatch_of(center.state, center.records, queue, center.steps).start(dataset)
        return center.runs.get(run.id)
    finally:
        queue.close()


def _over(center: Center, run: Run, process: subprocess.Popen[str]) -> str:
    """The run's status once it is over, or its process."""
    until = time.monotonic() + MOST_SECONDS
    while (status := center.runs.get(run.id).status) in ("queued", "running") and process.poll() is None:
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    return status


def main() -> None:
    """Ends with 1 when a table was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.kills")
    parser.add_argument("--kills", type=int, default=40, help="of pulls, and as many of a service")
    parser.add_argument("--scale", type=float, default=0.1)
    given = parser.parse_args()
    wrong: list[str] = []
    for what, work in (("pulls", pulls), ("a service", service)):
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, Sandbox(scale=given.scale) as stripe:
            center = Center(Path(folder) / "home", stripe)
            center.state.now = utc_now
            kills = Kills(center, Path(folder))
            done = work(kills, given.kills)
            rows = len(center.ids("charges"))
            center.state.close()
        told = ", ".join(f"{kills.kills[phase]} in {phase}" for phase in PHASES)
        print(f"- {done} kills of {what}: {told}; {kills.loaded.total()} of them left the new table complete;")
        print(f"  {rows} rows at the end, {len(kills.wrong)} wrong. {time.monotonic() - started:.0f} s.", flush=True)
        wrong += kills.wrong
    for line in wrong:
        print(f"  - {line}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
