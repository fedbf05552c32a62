"""An hour of a company's life with a run each minute, for every report that merges: `python -m tests.soak.living`.

Requests fail, the process that makes the runs is killed, forty days pass without a run. Then each table is compared
with a fresh full reading, row for row, system columns and deleted rows aside; no check that follows a run may fail. It
prints what it found, as Markdown.
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
    """The process that makes runs, and dies at times."""

    def __init__(self, home: Path, chance: random.Random, kill_rate: float) -> None:
        self._home, self._chance, self._kill_rate = home, chance, kill_rate
        self._process: subprocess.Popen[str] | None = None
        self._words = (home.parent / "words").open("a")
        self.kills = 0

    def make(self, run: str, attempt: int, at: datetime) -> str:
        """The run's status when its attempt ended, however often the process was killed meanwhile."""
        while True:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            print(run, attempt, int(at.timestamp()), file=process.stdin, flush=True)
            if self._chance.random() < self._kill_rate:
                with_time = self._chance.uniform(0, 0.3)
                try:
                    process.wait(with_time)
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
                stderr=self._words,
                text=True,
            )
        return self._process

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()
        self._words.close()


class Soak:
    """One company, its datasets, and what came of them."""

    def __init__(
        self, center: Center, worker: Worker, *, fault_rate: float, per_day: int, reports: Sequence[str]
    ) -> None:
        self.center, self._worker, self._fault_rate, self._reports = center, worker, fault_rate, reports
        self._per_day = per_day
        self.runs: Counter[str] = Counter()
        self.whole: Counter[str] = Counter()
        self.requests = 0
        self.checks: Counter[str] = Counter()
        self.different: list[str] = []
        self.compared = 0

    def create(self) -> None:
        for report in self._reports:
            self.center.dataset(report, method="merge", proof=Proof())
            self.center.dataset(report, f"whole_{report}", method="replace")

    def run(self, name: str) -> bool:
        """Whether it succeeded; it has three attempts."""
        self.center.clock.at = datetime.fromtimestamp(self.center.now(), UTC)
        made = self.center.runs.create(self.center.datasets.get(name).id, "manual")
        for attempt in (1, 2, 3):
            status = self._worker.make(made.id, attempt, self.center.clock.at)
            if status in ("succeeded", "failed", "canceled"):
                break
        found = self.center.runs.get(made.id)
        self.runs[found.status] += 1
        self.requests += sum(found.requests.values())
        for check in self.center.records.checks.of_run(made.id):
            self.checks[check.result] += 1
            if check.result == "FAIL":
                self.different.append(f"{name}: {check.family}: {check.name} failed: {check.reason}")
        if found.status == "succeeded" and found.plan.get("whole") and not name.startswith("whole_"):
            self.whole[found.reason or "replace"] += 1
        return found.status == "succeeded"

    def minute(self) -> None:
        """Time passes, and each dataset runs."""
        self.center.stripe.control("advance", seconds=MINUTE)
        self.center.stripe.control("faults", rate=self._fault_rate)
        for report in self._reports:
            self.run(report)

    def compare(self, at: str) -> None:
        """Each table beside a fresh full reading; nothing happens meanwhile."""
        self.center.stripe.control("faults", clear=True)
        # A run looks at what is a minute old: events may come late. So that it sees all, nothing more happens.
        self.center.stripe.control("life", per_day=0)
        self.center.stripe.control("advance", seconds=11 * MINUTE)
        for report in self._reports:
            assert self.run(report), f"{report} does not run in peace"
            assert self.run(f"whole_{report}")
            ours, theirs = (
                f'(SELECT * EXCLUDE ({ASIDE}) FROM "{name}" WHERE NOT _deleted)' for name in (report, f"whole_{report}")
            )
            # Events that Stripe lists no longer are kept on purpose.
            for one, other in ((theirs, ours),) if report == "events" else ((ours, theirs), (theirs, ours)):
                found = self.center.rows(f"SELECT differing::VARCHAR FROM ({one} EXCEPT ALL {other}) AS differing")
                self.compared += 1
                if found:
                    side = "merged" if one == ours else "read whole"
                    self.different.append(f"{at}: {report} differs in {len(found)} rows, {side}: {found[:2]}")
        self.center.stripe.control("life", per_day=self._per_day)


def main() -> None:
    """Ends with 1 when a table differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.living")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--per-day", type=int, default=20_000, help="happenings in a simulated day")
    parser.add_argument("--kill-rate", type=float, default=0.05, help="share of runs in which the process is killed")
    parser.add_argument("--fault-rate", type=float, default=0.02, help="share of requests that fail")
    parser.add_argument("--reports", nargs="+", choices=MERGED, default=MERGED)
    given = parser.parse_args()
    started, chance = time.monotonic(), random.Random(given.seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        Sandbox(scale=given.scale, seed=given.seed, life=given.per_day) as stripe,
    ):
        center = Center(Path(folder) / "home", stripe)
        worker = Worker(Path(folder) / "home", chance, given.kill_rate)
        soak = Soak(center, worker, fault_rate=given.fault_rate, per_day=given.per_day, reports=given.reports)
        soak.create()
        for minute in range(given.minutes):
            soak.minute()
            if minute % 20 == 19:
                soak.compare(f"minute {minute + 1}")
        stripe.control("life", per_day=given.per_day // 50)
        stripe.control("advance", seconds=PAUSE_DAYS * DAY)
        soak.minute()
        soak.compare(f"after {PAUSE_DAYS} days without a run")
        changes = stripe.ask("life")["changes"]
        worker.close()
        center.state.close()
    print(f"- {given.minutes} minutes, {len(given.reports)} of {len(REPORTS)} reports,")
    print(f"  seed {given.seed}, scale {given.scale}.")
    print(f"- {sum(changes.values()):,} events of {len(changes)} types at Stripe.")
    print(f"- Runs: {', '.join(f'{count:,} {status}' for status, count in soak.runs.items())}; {worker.kills} kills,")
    print(f"  {given.fault_rate:.0%} of requests failed; {soak.requests:,} requests. Everything was read:")
    for reason, count in soak.whole.most_common():
        print(f"  - {count}: {reason}")
    print(f"- Checks after the runs: {', '.join(f'{count:,} {result}' for result, count in soak.checks.items())}.")
    print(
        f"- {soak.compared} comparisons, {len(soak.different)} with a difference. {time.monotonic() - started:.0f} s."
    )
    for line in soak.different:
        print(f"  - {line}")
    sys.exit(1 if soak.different else 0)


if __name__ == "__main__":
    main()
