"""Pulls, merges and resumed pulls through a lying proxy: each must end with the true rows or with an error.

`python -m tests.lies.trials --trials 2000` prints the counts as Markdown, and exits with 1 if a trial went wrong.
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

#: Columns that record when and by which run a row was read.
EXCLUDED = "_run, _synced_at, _api_version"
PULLED = [one.key for one in REPORTS if one.key != "recipients"]
#: Reports that can be limited to their newest rows.
LISTED = [one.key for one in REPORTS if isinstance(one.source, Listing | Union) and one.key in PULLED]
#: Maximum duration of a trial, in addition to the time for which a request is retried.
MOST_SECONDS = 60.0
HONEST = Liar(0)
RATES = (0.02, 0.05, 0.2, 0.6)


@dataclass
class Result:
    """The combined results of trials."""

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
    """A digest of the rows of a table, independent of their order; None if the table does not exist."""
    if not file.exists():
        return None
    with duckdb.connect(str(file), read_only=True) as connection:
        if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [table]).fetchall():
            return None
        row = connection.execute(
            f'SELECT count(*), sum(hash(one)::HUGEINT) FROM (SELECT * EXCLUDE ({EXCLUDED}) FROM "{table}") AS one'
            f" WHERE {where}"
        ).fetchone()
    assert row is not None
    return tuple(row)


class Trials:
    """A simulated Stripe, its true contents, and pulls from it through a proxy."""

    def __init__(self, seed: int, scale: float, folder: Path, retry_seconds: float) -> None:
        self.chance = random.Random(seed)
        self.seed, self.folder, self.retry_seconds = seed, folder, retry_seconds
        self.result = Result()
        self.sandbox = Sandbox(scale=scale, seed=seed)
        #: For pulls without lies; a busy machine may need more time.
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
            if report in LISTED and report != "transfers":  # the truth about transfers excludes payouts
                ids = self.sandbox.ask(f"truth/{report}")["ids"]
                with duckdb.connect(str(file), read_only=True) as connection:
                    found = connection.execute(f'SELECT count(*), count(DISTINCT id) FROM "{report}"').fetchone()
                assert found == (len(ids), len(ids)), (report, found, len(ids))
        return self.truth[report]

    def _liar(self, trial: int, report: str) -> Liar:
        rate, stubborn = self.chance.choice(RATES), self.chance.random() < 0.3
        # Merges rely on the type and data of an event. In the report of events, these are ordinary values.
        without = frozenset({"odd event"} if report == "events" else ())
        return Liar(self.seed * 1_000_003 + trial, rate, stubborn=stubborn, without=without)

    def pull(self, trial: int) -> None:
        """Pulls through the proxy into a new or an existing table."""
        report = self.chance.choice(PULLED)
        truth, file = self._truth_of(report), self.folder / f"pulled-{trial}.duckdb"
        if self.chance.random() < 0.5 and report in LISTED:
            with counterfoil.connect(KEY, api_base=self.sandbox.url, settings=self.patient) as stripe:
                stripe.pull(report, to=f"duckdb:///{file}", limit=self.chance.randrange(1, 50))
        self._pull(trial, "pull", report, file, truth, self._liar(trial, report))
        file.unlink(missing_ok=True)

    def resume(self, trial: int) -> None:
        """Interrupts a pull, then resumes it through the proxy."""
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
        except Exception as error:  # noqa: BLE001 - trials look for unexpected errors
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
        except Exception as error:  # noqa: BLE001 - trials look for unexpected errors
            outcome, detail = "TRACEBACK", f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        else:
            detail = f"{digest(file, report)} where {truth} is true"
        self._record(trial, kind, report, outcome, detail, started, liar)

    def merge(self, trial: int) -> None:
        """Updates a dataset through the proxy after the company has changed.

        The table must equal a full refresh or, since Stripe sends no event for some changes, the same update without
        lies.
        """
        report = self.chance.choice([one for one in MERGED if one != "events"])
        center, liar = self.center, self._liar(trial, report)
        self.proxy.liar = HONEST
        name, full, honest = (f"{prefix}{report}_{trial}" for prefix in ("", "full_", "honest_"))
        for dataset, method in ((name, "merge"), (full, "replace"), (honest, "merge")):
            center.dataset(report, dataset, method=method)
        self._run_without_lies(name)
        self._run_without_lies(honest)
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
            self._run_without_lies(full)
            alive = "NOT _deleted"
            merged, true = digest(file, name, where=alive), digest(file, full, where=alive)
            if merged != true:
                self._run_without_lies(honest)
                true = digest(file, honest, where=alive)
            outcome = "right" if merged == true else "WRONG"
            detail = f"{merged} where {true} is true"
        else:
            outcome = "error" if digest(file, name) == before else "CHANGED"
        self.truth.clear()
        self._record(trial, "merge", report, outcome, detail, started, liar)

    def _record(
        self, trial: int, kind: str, report: str, outcome: str, detail: str, started: float, liar: Liar
    ) -> None:
        seconds = time.monotonic() - started
        self.result.slowest = max(self.result.slowest, seconds)
        self.result.lies += liar.counts
        if seconds > self.retry_seconds + MOST_SECONDS:
            outcome = "TOO LONG"
        self.result.outcomes[f"{kind}: {outcome}"] += 1
        if outcome not in ("right", "error"):
            self._wrong(trial, kind, report, f"{outcome} after {dict(liar.counts)}: {detail}")

    def _run_without_lies(self, dataset: str) -> None:
        """Runs a dataset without lies, and with enough time for a busy machine."""
        center = self.center
        steps = Attempt(replace(center.records, settings=center.settings.model_copy(update={"retry_seconds": 300.0})))
        center.clock.advance(minutes=1)
        run = center.runs.create(center.datasets.get(dataset).id, "manual")
        center.attempt(run, steps=steps)
        done = center.runs.get(run.id)
        assert done.status == "succeeded", f"{dataset} failed without lies: {done.error}"

    def _wrong(self, trial: int, kind: str, report: str, detail: str) -> None:
        self.result.wrong.append(f"seed {self.seed}, trial {trial}, {kind} of {report}: {detail}")


def trials(seed: int, count: int, scale: float, retry_seconds: float) -> Result:
    """Runs trials in this process."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        environment.setenv("COUNTERFOIL_HOME", str(Path(folder) / "home"))
        environment.setenv("COUNTERFOIL_RETRY_SECONDS", str(retry_seconds))
        # The simulated Stripe has no rate limit.
        environment.setenv("COUNTERFOIL_RATE_GLOBAL", "2000")
        environment.setenv("COUNTERFOIL_RATE_ENDPOINT", "2000")
        return Trials(seed, scale, Path(folder), retry_seconds).run(count)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 if a trial went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.lies.trials")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=2_000)
    parser.add_argument("--real", type=int, default=20, help="number of these trials with the default retry time")
    parser.add_argument("--scale", type=float, default=0.05)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    started, total = time.monotonic(), Result()
    # Trials with the default retry time mostly wait, so they start first, in parallel with the others.
    shares = [(options.seed + 901, options.real, 300.0)] if options.real else []
    shares += [(options.seed + n, 50, 3.0) for n in range((options.trials - options.real) // 50)]
    if rest := (options.trials - options.real) % 50:
        shares.append((options.seed + 900, rest, 3.0))
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        futures = [pool.submit(trials, seed, count, options.scale, seconds) for seed, count, seconds in shares]
        for number, future in enumerate(as_completed(futures), 1):
            result = future.result()
            total.add(result)
            for line in result.wrong:
                print(line, file=sys.stderr, flush=True)
            print(f"{number} of {len(futures)} groups, {len(total.wrong)} wrong", file=sys.stderr, flush=True)
    lies = ", ".join(f"{count:,} {name}" for name, count in total.lies.most_common())
    print(f"- {options.trials:,} trials, seed {options.seed}, {time.monotonic() - started:.0f} s; {lies}.")
    for name, count in sorted(total.outcomes.items()):
        print(f"  - {name}: {count:,}")
    print(f"- Slowest trial: {total.slowest:.1f} s. Wrong: {len(total.wrong)}.")
    for line in total.wrong:
        print(f"  - {line}")
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
