"""Fixtures: an installation in a temporary home, the sandbox as Stripe, and attempts that run step by step."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from counterfoil.engine.steps import ORDER
from counterfoil.runs.attempt import Attempt
from counterfoil.runs.run_context import RunContext, archive_of
from counterfoil.settings import Settings
from counterfoil.state import open_state
from counterfoil.state.accounts import Account, Accounts
from counterfoil.state.alerts import Alerts
from counterfoil.state.checks import Checks
from counterfoil.state.datasets import Dataset, Datasets, Proof, Target
from counterfoil.state.hash_keys import HashKeys
from counterfoil.state.run import Run
from counterfoil.state.runs import Runs
from counterfoil.state.vault import Vault
from stripe_sandbox import Sandbox

KEY = "sk_test_demo" + "Counterfoil4242"
FILE = "stripe.duckdb"


@dataclass
class StandingClock:
    at: datetime = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **units: float) -> datetime:
        self.at += timedelta(**units)
        return self.at


def _target(table: str) -> Target:
    return Target(url=f"duckdb:///{FILE}", table=table)


class Center:
    """An installation: its state, the steps of its runs, and its tables."""

    def __init__(self, home: Path, stripe: Sandbox, **settings: Any) -> None:
        self.stripe = stripe
        self.settings = Settings(home=home, **settings)
        self.clock = StandingClock()
        self.state = open_state(self.settings, clock=self.clock)
        self.vault = Vault(self.settings)
        self.accounts = Accounts(self.state, self.vault)
        self.alerts = Alerts(self.state, self.vault)
        self.datasets = Datasets(self.state)
        self.runs = Runs(self.state)
        self.checks = Checks(self.state)
        self.hash_keys = HashKeys(self.state, self.vault)
        self.records = RunContext(
            accounts=self.accounts,
            alerts=self.alerts,
            datasets=self.datasets,
            runs=self.runs,
            checks=self.checks,
            hash_keys=self.hash_keys,
            settings=self.settings,
            now=self.clock,
        )
        self.stopping = threading.Event()
        self.steps = Attempt(self.records, stopping=self.stopping)

    def account(self, name: str = "Shop", key: str = KEY) -> Account:
        return self.accounts.add(name, key=key, shown="sk_test_…4242", fingerprint=name, api_base=self.stripe.url)

    def dataset(self, report: str, name: str | None = None, **options: Any) -> Dataset:
        """A dataset with its own table, named after its report by default; without checks unless `proof` is given."""
        name = name or report
        if not self.accounts.list():
            self.account()
        options = {"proof": Proof(after="none"), "account": "Shop", "targets": (_target(name),)} | options
        return self.datasets.add(name, report=report, **options)

    def attempt(self, run: Run, number: int = 1, steps: Attempt | None = None) -> float | None:
        """Makes one attempt as the engine does. Returns the seconds until the next attempt, None without one."""
        steps = steps or self.steps
        for name in ORDER:
            try:
                getattr(steps, name)(run.id, number)
            except Exception as error:  # noqa: BLE001 - as the engine does
                return steps.failed(run.id, number, error)
        return None

    def run(self, dataset: Dataset | str, trigger: str = "manual", **options: Any) -> Run:
        """Runs the dataset until the end of the first attempt, after the clock has advanced by a minute."""
        self.clock.advance(minutes=1)
        name = dataset if isinstance(dataset, str) else dataset.id
        created = self.runs.create(self.datasets.get(name).id, trigger, **options)  # type: ignore[arg-type]
        self.attempt(created)
        return self.runs.get(created.id)

    def later(self, **units: float) -> None:
        """Advances this machine's clock and Stripe's."""
        self.clock.advance(**units)
        self.stripe.control("advance", seconds=int(timedelta(**units).total_seconds()))

    def catch_up(self) -> None:
        """Sets Stripe's clock to this machine's, which each run advances."""
        self.stripe.control("advance", seconds=int(self.clock.at.timestamp()) - self.now())

    def create(self, kind: str, **options: Any) -> dict[str, Any]:
        """Creates an object at Stripe, then advances both clocks by five minutes."""
        created: dict[str, Any] = self.stripe.control("objects", kind=kind, **options)
        self.later(minutes=5)
        return created

    def now(self) -> int:
        """Stripe's clock, in Unix seconds."""
        seconds: int = self.stripe.ask("state")["now"]
        return seconds

    def truth(self, report: str) -> list[str]:
        """The ids that Stripe lists for the report, sorted."""
        return sorted(self.stripe.ask(f"truth/{report}")["ids"])

    def asked(self) -> dict[str, int]:
        """The requests to Stripe since the last call, by endpoint."""
        found = self.stripe.ask("requests?reset=true")["endpoints"]
        return {endpoint: sum(by_status.values()) for endpoint, by_status in found.items()}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.home / FILE), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def ids(self, table: str, where: str = "true") -> list[str]:
        """The ids in the table, sorted, with duplicates."""
        return [row for (row,) in self.rows(f'SELECT id FROM "{table}" WHERE {where} ORDER BY id')]

    def snapshot(self, table: str) -> list[tuple[Any, ...]]:
        """All rows of the table as text, sorted."""
        return self.rows(f'SELECT whole::VARCHAR FROM "{table}" AS whole ORDER BY 1')

    def lines(self, run: Run) -> list[str]:
        return [line.message for line in self.runs.lines(run.id)]

    def archive(self, run: Run) -> Path:
        return archive_of(self.settings, run.id)

    def fault(self, fault: str, path: str | None = None, **options: Any) -> None:
        self.stripe.control("faults", fault=fault, path=path, **options)

    def healed(self) -> None:
        self.stripe.control("faults", clear=True)


_HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print(1, flush=True); sys.stdin.read()"


@contextmanager
def held(center: Center, file: str = FILE) -> Iterator[int]:
    """Another process holds the file open during the block; yields the id of that process."""
    command = [sys.executable, "-c", _HOLD, str(center.settings.home / file)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "1\n"
        yield holder.pid
    finally:
        holder.communicate("")


@contextmanager
def in_background(work: Callable[[], Any]) -> Iterator[threading.Thread]:
    """Runs `work` in a thread, which must end with the block."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(20)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Waits until the condition holds; checks it every 50 ms."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError(f"the condition did not hold within {seconds:g} s")


@pytest.fixture
def stripe(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(scale=getattr(request, "param", 0.2)) as sandbox:
        yield sandbox


@pytest.fixture
def make_center(tmp_path: Path, stripe: Sandbox) -> Iterator[Callable[..., Center]]:
    centers: list[Center] = []

    def make(**settings: Any) -> Center:
        centers.append(Center(tmp_path / "home", stripe, **settings))
        return centers[-1]

    yield make
    for center in centers:
        center.state.close()


@pytest.fixture
def center(make_center: Callable[..., Center]) -> Center:
    return make_center()
