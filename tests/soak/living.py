"""An hour of simulated activity with a run every minute, for each report that merges: `python -m tests.soak.living`.

Requests fail, the process that executes the runs is killed, and forty days pass without a run. Each table must then
equal a full refresh, row by row, except for system columns and deleted rows. No check after a run may fail. Prints the
results as Markdown.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from counterfoil.reports.catalogue import REPORTS
from counterfoil.state.dataset import Proof
from stripe_sandbox import Sandbox
from tests.runs.conftest import Center
from tests.runs.test_changes import ASIDE, MERGED

MINUTE, DAY = 60, 86_400
PAUSE_DAYS = 40
ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """The process that executes runs and is killed at random moments."""

    def __init__(self, home: Path, chance: random.Random, kill_rate: float) -> None:
        self._home, self._chance, self._kill_rate = home, chance, kill_rate
        self._process: subprocess.Popen[str] | None = None
        self._output = (home.parent / "output").open("a")
        self.kills = 0

    def execute(self, run: str, attempt: int, at: datetime) -> str:
        """The run's status after its attempt. The process may be killed several times during the attempt."""
        while True:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            print(run, attempt, int(at.timestamp()), file=process.stdin, flush=True)
            if self._chance.random() < self._kill_rate:
                seconds = self._chance.uniform(0, 0.3)
                try:
                    process.wait(seconds)
                except subprocess.TimeoutExpired:
                    process.kill()
                process.communicate()
                self._process = None
                self.kills += 1
                continue
            if status := process.stdout.readline().strip():
                return status
            raise SystemExit(f"the worker ended: {process.wait()}")

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            environment = os.environ | {"COUNTERFOIL_HOME": str(self._home)}
            command = [sys.executable, "-m", "tests.soak.steps"]
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._output,
                text=True,
            )
        return self._process

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()
        self._output.close()


class Soak:
    """One company, its datasets, and the results of their runs."""

    def __init__(
        self, center: Center, worker: Worker, *, fault_rate: float, per_day: int, reports: Sequence[str]
    ) -> None:
        self.center, self._worker, self._fault_rate, self._reports = center, worker, fault_rate, reports
        self._per_day = per_day
        self.runs: Counter[str] = Counter()
        self.full_refreshes: Counter[str] = Counter()
        self.requests = 0
        self.checks: Counter[str] = Counter()
        self.differences: list[str] = []
        self.compared = 0

    def create(self) -> None:
        for report in self._reports:
            self.center.dataset(report, method="merge", proof=Proof())
            self.center.dataset(report, f"full_{report}", method="replace")

    def run(self, name: str) -> bool:
        """Runs a dataset with up to three attempts; returns whether it succeeded."""
        self.center.clock.at = datetime.fromtimestamp(self.center.now(), UTC)
        run = self.center.runs.create(self.center.datasets.get(name).id, "manual")
        for attempt in (1, 2, 3):
            status = self._worker.execute(run.id, attempt, self.center.clock.at)
            if status in ("succeeded", "failed", "canceled"):
                break
        found = self.center.runs.get(run.id)
        self.runs[found.status] += 1
        self.requests += sum(found.requests.values())
        for check in self.center.records.checks.of_run(run.id):
            self.checks[check.result] += 1
            if check.result == "FAIL":
                self.differences.append(f"{name}: {check.family}: {check.name} failed: {check.reason}")
        if found.status == "succeeded" and found.plan.get("whole") and not name.startswith("full_"):
            self.full_refreshes[(found.reason or "replace").removeprefix("Full refresh: ").rstrip(".")] += 1
        return found.status == "succeeded"

    def minute(self) -> None:
        """Advances the time by a minute, and runs each dataset."""
        self.center.stripe.control("advance", seconds=MINUTE)
        self.center.stripe.control("faults", rate=self._fault_rate)
        for report in self._reports:
            self.run(report)

    def compare(self, at: str) -> None:
        """Compares each table with a full refresh, while there is no activity."""
        self.center.stripe.control("faults", clear=True)
        # A run ignores the latest minute, since events may be listed late. Without activity, it sees everything.
        self.center.stripe.control("life", per_day=0)
        self.center.stripe.control("advance", seconds=11 * MINUTE)
        for report in self._reports:
            assert self.run(report), f"{report} failed without faults"
            assert self.run(f"full_{report}"), f"the full refresh of {report} failed"
            merged, full = (
                f'(SELECT * EXCLUDE ({ASIDE}) FROM "{name}" WHERE NOT _deleted)' for name in (report, f"full_{report}")
            )
            # The table intentionally retains events that Stripe no longer lists.
            for one, other in ((full, merged),) if report == "events" else ((merged, full), (full, merged)):
                found = self.center.rows(f"SELECT differing::VARCHAR FROM ({one} EXCEPT ALL {other}) AS differing")
                self.compared += 1
                if found:
                    side = "merged table" if one == merged else "full refresh"
                    self.differences.append(f"{at}: {report}: {len(found)} rows of the {side} differ: {found[:2]}")
        self.center.stripe.control("life", per_day=self._per_day)


def main() -> None:
    """Exits with 1 if a table differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.living")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--per-day", type=int, default=20_000, help="simulated activities per day")
    parser.add_argument("--kill-rate", type=float, default=0.05, help="share of runs in which the process is killed")
    parser.add_argument("--fault-rate", type=float, default=0.02, help="share of requests that fail")
    parser.add_argument("--reports", nargs="+", choices=MERGED, default=MERGED)
    options = parser.parse_args()
    started, chance = time.monotonic(), random.Random(options.seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        Sandbox(scale=options.scale, seed=options.seed, life=options.per_day) as stripe,
    ):
        center = Center(Path(folder) / "home", stripe)
        worker = Worker(Path(folder) / "home", chance, options.kill_rate)
        soak = Soak(center, worker, fault_rate=options.fault_rate, per_day=options.per_day, reports=options.reports)
        soak.create()
        for minute in range(options.minutes):
            soak.minute()
            if minute % 20 == 19:
                soak.compare(f"minute {minute + 1}")
        stripe.control("life", per_day=options.per_day // 50)
        stripe.control("advance", seconds=PAUSE_DAYS * DAY)
        soak.minute()
        soak.compare(f"after {PAUSE_DAYS} days without a run")
        changes = stripe.ask("life")["changes"]
        worker.close()
        center.state.close()
    print(f"- {options.minutes} minutes, {len(options.reports)} of {len(REPORTS)} reports,")
    print(f"  seed {options.seed}, scale {options.scale}.")
    print(f"- {sum(changes.values()):,} events of {len(changes)} types at Stripe.")
    print(f"- Runs: {', '.join(f'{count:,} {status}' for status, count in soak.runs.items())}; {worker.kills} kills,")
    print(f"  {options.fault_rate:.0%} of requests failed; {soak.requests:,} requests. Full refreshes by reason:")
    for reason, count in soak.full_refreshes.most_common():
        print(f"  - {count}: {reason}")
    print(f"- Checks after the runs: {', '.join(f'{count:,} {result}' for result, count in soak.checks.items())}.")
    print(
        f"- {soak.compared} comparisons, {len(soak.differences)} with a difference. {time.monotonic() - started:.0f} s."
    )
    for line in soak.differences:
        print(f"  - {line}")
    sys.exit(1 if soak.differences else 0)


if __name__ == "__main__":
    main()
