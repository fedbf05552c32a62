"""Pulls, merges and resumed pulls through a proxy that lies: each ends in the truth or in an error.

`python -m tests.lies.trials --trials 2000` prints the counts, as Markdown, and ends with 1 when a trial went wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import duckdb
import pytest

import counterfoil
from counterfoil.errors import CounterfoilError
from counterfoil.reports.catalogue import REPORTS
from counterfoil.reports.report import Listing, Union
from counterfoil.runs.attempt import Attempt
from counterfoil.settings import load_settings
from stripe_sandbox import Sandbox
from tests.lies.proxy import Liar, Proxy
from tests.runs.conftest import FILE, KEY, Center
from tests.runs.test_changes import MERGED

#: Columns that say when and by what a row was read.
ASIDE = "_run, _synced_at, _api_version"
PULLED = [one.key for one in REPORTS if one.key != "recipients"]
#: Those of which the newest can be read alone.
LISTED = [one.key for one in REPORTS if isinstance(one.source, Listing | Union) and one.key in PULLED]
#: A trial may take this long beyond the time for which a request is retried.
MOST_SECONDS = 60.0
HONEST = Liar(0)
RATES = (0.02, 0.05, 0.2, 0.6)


@dataclass
class Result:
    """What came of some trials."""

    outcomes: Counter[str] = field(default_factory=Counter)
    lies: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def add(self, other: Result) -> None:
        self.outcomes += other.outcomes
        self.lies += other.lies
        self.wrong += other.wrong
        self.slowest = max(self.slowest, other.slowest)


def digest(file: Path, table: str, *, where: str = "true") -> tuple[object, ...] | None:
    """Tells tables apart by their rows, wherever these lie; None for a table that is not there."""
    if not file.exists():
        return None
    with duckdb.connect(str(file), read_only=True) as connection:
        if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [table]).fetchall():
            return None
        row = connection.execute(
            f'SELECT count(*), sum(hash(one)::HUGEINT) FROM (SELECT * EXCLUDE ({ASIDE}) FROM "{table}") AS one'
            f" WHERE {where}"
        ).fetchone()
    assert row is not None
    return tuple(row)


class Trials:
    """One simulated Stripe, what it truly holds, and pulls of it through a proxy."""

    def __init__(self, seed: int, scale: float, folder: Path, retry_seconds: float) -> None:
        self.chance = random.Random(seed)
        self.seed, self.folder, self.retry_seconds = seed, folder, retry_seconds
        self.result = Result()
        self.sandbox = Sandbox(scale=scale, seed=seed)
        #: For what is read without lies: a busy machine may need its time.
        self.patient = load_settings().model_copy(update={"retry_seconds": 300.0})
        self.truth: dict[str, tuple[object, ...] | None] = {}

    def run(self, trials: int) -> Result:
        kinds: list[Callable[[int], None]] = [self.pull, self.pull, self.pull, self.resume, self.merge]
        with self.sandbox, Proxy(self.sandbox.url, HONEST) as self.proxy:
            self.center = Center(self.folder / "center", self.sandbox, retry_seconds=self.retry_seconds)
            self.center.accounts.add(
                "Shop", key=KEY, shown="sk_test_…4242", fingerprint="Shop", api_base=self.proxy.url
            )
            try:
                for trial in range(trials):
                    kinds[trial % len(kinds)](trial)
            finally:
                self.center.state.close()
        return self.result

    def _truth_of(self, report: str) -> tuple[object, ...] | None:
        if report not in self.truth:
            file = self.folder / "truth.duckdb"
            with counterfoil.connect(KEY, api_base=self.sandbox.url, settings=self.patient) as stripe:
                stripe.pull(report, to=f"duckdb:///{file}")
            self.truth[report] = digest(file, report)
            if report in LISTED and report != "transfers":  # of which the truth leaves out payouts
                ids = self.sandbox.ask(f"truth/{report}")["ids"]
                with duckdb.connect(str(file), read_only=True) as connection:
                    found = connection.execute(f'SELECT count(*), count(DISTINCT id) FROM "{report}"').fetchone()
                assert found == (len(ids), len(ids)), (report, found, len(ids))
        return self.truth[report]

    def _liar(self, trial: int, report: str) -> Liar:
        rate, stubborn = self.chance.choice(RATES), self.chance.random() < 0.3
        # Merges act on the type and data of an event. In the report of events they are values like others.
        without = frozenset({"odd event"} if report == "events" else ())
        return Liar(self.seed * 1_000_003 + trial, rate, stubborn=stubborn, without=without)

    def pull(self, trial: int) -> None:
        """A pull through the proxy, into a table that is there or not."""
        report = self.chance.choice(PULLED)
        truth, file = self._truth_of(report), self.folder / f"pulled-{trial}.duckdb"
        if self.chance.random() < 0.5 and report in LISTED:
            with counterfoil.connect(KEY, api_base=self.sandbox.url, settings=self.patient) as stripe:
                stripe.pull(report, to=f"duckdb:///{file}", limit=self.chance.randrange(1, 50))
        self._pull(trial, "pull", report, file, truth, self._liar(trial, report))
        file.unlink(missing_ok=True)

    def resume(self, trial: int) -> None:
        """A pull that breaks off, and is resumed through the proxy."""
        report = self.chance.choice(["charges", "customers", "invoices", "balance_transactions", "invoice_line_items"])
        truth, file = self._truth_of(report), self.folder / f"resumed-{trial}.duckdb"
        liar = self._liar(trial, report)
        self.sandbox.control("faults", fault="should_not_retry", skip=self.chance.randrange(2, 9))
        self.proxy.liar = liar
        try:
            with counterfoil.connect(KEY, api_base=self.proxy.url) as stripe:
                stripe.pull(report, to=f"duckdb:///{file}")
        except CounterfoilError:
            pass
        except Exception as error:  # noqa: BLE001 - what a trial is to find
            self._wrong(trial, "resume", report, f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
        self.sandbox.control("faults", clear=True)
        self._pull(trial, "resume", report, file, truth, liar, resume=True)
        file.unlink(missing_ok=True)

    def _pull(
        self,
        trial: int,
        kind: str,
        report: str,
        file: Path,
        truth: tuple[object, ...] | None,
        liar: Liar,
        *,
        resume: bool = False,
    ) -> None:
        self.proxy.liar = liar
        before, started = digest(file, report), time.monotonic()
        try:
            with counterfoil.connect(KEY, api_base=self.proxy.url) as stripe:
                stripe.pull(report, to=f"duckdb:///{file}", overwrite=True, resume=resume)
            outcome = "right" if digest(file, report) == truth else "WRONG"
        except CounterfoilError as error:
            outcome = "error" if digest(file, report) == before else "CHANGED"
            detail = str(error)
        except Exception as error:  # noqa: BLE001 - what a trial is to find
            outcome, detail = "TRACEBACK", f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        else:
            detail = f"{digest(file, report)} where {truth} is true"
        self._ended(trial, kind, report, outcome, detail, started, liar)

    def merge(self, trial: int) -> None:
        """A dataset is updated through the proxy after its company has changed.

        It is to hold what reading everything gives; or, since Stripe tells nothing of some changes, what the same
        update without lies gives.
        """
        report = self.chance.choice([one for one in MERGED if one != "events"])
        center, liar = self.center, self._liar(trial, report)
        self.proxy.liar = HONEST
        name, whole, honest = (f"{prefix}{report}_{trial}" for prefix in ("", "whole_", "honest_"))
        for dataset, method in ((name, "merge"), (whole, "replace"), (honest, "merge")):
            center.dataset(report, dataset, method=method)
        self._run_in_peace(name)
        self._run_in_peace(honest)
        self.sandbox.control("life", per_day=2_000)
        center.later(minutes=self.chance.choice([20, 120]))
        self.sandbox.control("life", per_day=0)
        center.later(minutes=11)
        file = center.settings.home / FILE
        before, started = digest(file, name), time.monotonic()
        self.proxy.liar = liar
        run = center.run(name)
        self.proxy.liar = HONEST
        detail = str(run.error)
        if run.status == "succeeded":
            self._run_in_peace(whole)
            alive = "NOT _deleted"
            ours, true = digest(file, name, where=alive), digest(file, whole, where=alive)
            if ours != true:
                self._run_in_peace(honest)
                true = digest(file, honest, where=alive)
            outcome = "right" if ours == true else "WRONG"
            detail = f"{ours} where {true} is true"
        else:
            outcome = "error" if digest(file, name) == before else "CHANGED"
        self.truth.clear()
        self._ended(trial, "merge", report, outcome, detail, started, liar)

    def _ended(self, trial: int, kind: str, report: str, outcome: str, detail: str, started: float, liar: Liar) -> None:
        seconds = time.monotonic() - started
        self.result.slowest = max(self.result.slowest, seconds)
        self.result.lies += liar.told
        if seconds > self.retry_seconds + MOST_SECONDS:
            outcome = "TOO LONG"
        self.result.outcomes[f"{kind}: {outcome}"] += 1
        if outcome not in ("right", "error"):
            self._wrong(trial, kind, report, f"{outcome} after {dict(liar.told)}: {detail}")

    def _run_in_peace(self, dataset: str) -> None:
        """A run with nobody who lies, and with all the time that a busy machine may need."""
        center = self.center
        steps = Attempt(replace(center.records, settings=center.settings.model_copy(update={"retry_seconds": 300.0})))
        center.clock.advance(minutes=1)
        run = center.runs.create(center.datasets.get(dataset).id, "manual")
        center.attempt(run, steps=steps)
        done = center.runs.get(run.id)
        assert done.status == "succeeded", f"{dataset} does not run in peace: {done.error}"

    def _wrong(self, trial: int, kind: str, report: str, detail: str) -> None:
        self.result.wrong.append(f"seed {self.seed}, trial {trial}, {kind} of {report}: {detail}")


def trials(seed: int, count: int, scale: float, retry_seconds: float) -> Result:
    """Some trials in this process."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        environment.setenv("COUNTERFOIL_HOME", str(Path(folder) / "home"))
        environment.setenv("COUNTERFOIL_RETRY_SECONDS", str(retry_seconds))
        # The simulated Stripe answers as fast as it can be asked.
        environment.setenv("COUNTERFOIL_RATE_GLOBAL", "2000")
        environment.setenv("COUNTERFOIL_RATE_ENDPOINT", "2000")
        return Trials(seed, scale, Path(folder), retry_seconds).run(count)


def main(words: Sequence[str] | None = None) -> int:
    """1 when a trial went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.lies.trials")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=2_000)
    parser.add_argument("--real", type=int, default=20, help="of them with the default time for retries")
    parser.add_argument("--scale", type=float, default=0.05)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args(words)
    started, total = time.monotonic(), Result()
    # Those with all the time wait most of it: they come first, beside others that work.
    shares = [(given.seed + 901, given.real, 300.0)] if given.real else []
    shares += [(given.seed + n, 50, 3.0) for n in range((given.trials - given.real) // 50)]
    if rest := (given.trials - given.real) % 50:
        shares.append((given.seed + 900, rest, 3.0))
    with ProcessPoolExecutor(given.processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        futures = [pool.submit(trials, seed, count, given.scale, seconds) for seed, count, seconds in shares]
        for number, future in enumerate(as_completed(futures), 1):
            result = future.result()
            total.add(result)
            for line in result.wrong:
                print(line, file=sys.stderr, flush=True)
            print(f"{number} of {len(futures)} groups, {len(total.wrong)} wrong", file=sys.stderr, flush=True)
    told = ", ".join(f"{count:,} {name}" for name, count in total.lies.most_common())
    print(f"- {given.trials:,} trials, seed {given.seed}, {time.monotonic() - started:.0f} s; {told}.")
    for name, count in sorted(total.outcomes.items()):
        print(f"  - {name}: {count:,}")
    print(f"- Slowest trial: {total.slowest:.1f} s. Wrong: {len(total.wrong)}.")
    for line in total.wrong:
        print(f"  - {line}")
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
