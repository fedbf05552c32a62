"""A Data Center with datasets of every status, for the pages that list them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from counterfoil.app.app import App, open_app
from counterfoil.errors import CounterfoilError, DestinationBusy, DestinationRejected
from counterfoil.schedules import parse
from counterfoil.settings import Settings
from counterfoil.state.accounts import Account, Checked
from counterfoil.state.dataset import Dataset, Target
from counterfoil.state.run import Counts

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)


class Clock:
    """A clock that stands still until the test sets it."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


class Samples:
    """Fills a state. Runs end at the time of the clock."""

    def __init__(self, settings: Settings, now: datetime = NOW) -> None:
        self.now = now
        self.clock = Clock(now)
        self.app: App = open_app(settings, clock=self.clock)

    def account(self, name: str, *, live: bool = False, missing: Sequence[str] = ()) -> Account:
        """A saved account whose key can read all reports except `missing`."""
        from counterfoil.app.connection import catalogue

        word = "live" if live else "test"
        checked = Checked(
            at=self.now - timedelta(minutes=40),
            livemode=live,
            stripe_id=f"acct_1{name.replace(' ', '')[:8]}{word}",
            display_name=f"{name} Ltd",
            readable=tuple(key for key in catalogue() if key not in missing),
            missing={key: f"rak_{key}_read" for key in missing},
        )
        secret = f"sk_{word}_" + f"{name.lower():x<20}"[:20].replace(" ", "y")
        return self.app.records.accounts.add(
            name, key=secret, shown=f"sk_{word}_…{secret[-4:]}", fingerprint=f"print-{name}", checked=checked
        )

    def dataset(
        self,
        name: str,
        account: Account,
        report: str = "charges",
        schedule: str = "every 1 hours",
        after: str | None = None,
        **fields: object,
    ) -> Dataset:
        """A dataset with its own table."""
        target = Target(url="duckdb:///counterfoil.duckdb", table="t" + re.sub(r"\W+", "_", name.lower()))
        return self.app.records.datasets.add(
            name,
            account=account.id,
            report=report,
            targets=(target,),
            schedule=parse(schedule),
            after=after,
            **fields,  # type: ignore[arg-type]
        )

    def ran(self, dataset: Dataset, rows: Sequence[int], *, last_ago: timedelta = timedelta(minutes=12)) -> None:
        """Successful runs, one per hour; the last one ended `last_ago` ago."""
        for index, count in enumerate(rows):
            self.clock.at = self.now - last_ago - timedelta(hours=len(rows) - 1 - index)
            self._ended(dataset, count)
        self.clock.at = self.now

    def failed(self, dataset: Dataset, error: CounterfoilError) -> None:
        """A run that failed half an hour ago."""
        self.clock.at = self.now - timedelta(minutes=30)
        run = self.app.records.runs.create(dataset.id, "schedule").id
        owner = self.app.records.runs.begin_attempt(run)
        self.clock.at += timedelta(seconds=9)
        self.app.records.runs.finish(run, "failed", owner=owner, error=error)
        self.clock.at = self.now

    def running(self, dataset: Dataset, rows: int = 1200) -> None:
        """An active run."""
        run = self.app.records.runs.create(dataset.id, "manual").id
        owner = self.app.records.runs.begin_attempt(run)
        self.app.records.runs.update(run, owner=owner, counts=Counts(read=rows))

    def waiting(self, dataset: Dataset, error: CounterfoilError) -> None:
        """A run between two attempts."""
        run = self.app.records.runs.create(dataset.id, "schedule").id
        owner = self.app.records.runs.begin_attempt(run)
        self.app.records.runs.wait(run, error, owner=owner)

    def _ended(self, dataset: Dataset, rows: int) -> None:
        runs = self.app.records.runs
        run = runs.create(dataset.id, "schedule").id
        owner = runs.begin_attempt(run)
        self.clock.at += timedelta(seconds=4 + rows / 2500)
        runs.finish(run, "succeeded", owner=owner, counts=Counts(read=rows, added=rows))


def every_state(settings: Settings, now: datetime = NOW) -> Samples:
    """Two accounts, and datasets that are running, waiting, failed, late, paused, new and OK."""
    made = Samples(settings, now)
    live, test = made.account("Northwind Books", live=True), made.account("Sandbox", missing=["transfers"])
    charges = made.dataset("Charges, hourly", live)
    made.ran(charges, [1_204_100 + 311 * n + (n * n * 37) % 900 for n in range(14)])
    made.ran(made.dataset("Customers", live, "customers"), [84_110, 84_170, 84_202, 84_260, 84_391, 84_404])
    busy = made.dataset("Balance History", live, "balance_transactions")
    made.ran(busy, [2_400_910, 2_402_118, 2_403_551])
    made.running(busy, 1_310_400)
    refunds = made.dataset("Refunds for the finance team's monthly close in Europe", live, "refunds")
    made.ran(refunds, [9120, 9131, 9140, 9139, 9155], last_ago=timedelta(hours=2))
    made.failed(
        refunds,
        DestinationRejected(
            "table refunds has columns of another program: note, owner",
            hint="Choose another table.",
        ),
    )
    waiting = made.dataset("Transfers", live, "transfers")
    made.ran(waiting, [410, 412])
    made.waiting(waiting, DestinationBusy("counterfoil.duckdb is locked by process 4121", hint="Close it there."))
    made.clock.at = now - timedelta(hours=6)
    late = made.dataset("Subscriptions", test, "subscriptions")
    made.clock.at = now
    made.ran(late, [310, 318, 322], last_ago=timedelta(hours=5))
    quiet = made.dataset("All Invoices", test, "invoices", schedule="daily at 06:00")
    made.ran(quiet, [5120, 5120, 5120])
    made.app.datasets.pause(quiet.id)
    made.ran(made.dataset("Events", test, "events", method="append"), [18_201, 400, 1200, 800])
    made.dataset("Coupons", test, "coupons", schedule="manual")
    made.dataset("Discounts", test, "discounts", schedule="manual", after=charges.id)
    return made
