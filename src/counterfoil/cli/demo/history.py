"""Three months of sample runs on the sandbox: real runs at past times, with a clock that is set back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from counterfoil.destinations.sql.database import database_file
from counterfoil.errors import CounterfoilError
from counterfoil.reports.catalogue import REPORTS, report
from counterfoil.runs.attempt import Attempt
from counterfoil.schedules import parse
from counterfoil.state.dataset import Choice

if TYPE_CHECKING:
    from counterfoil.app.app import App
    from counterfoil.state.run import Run
    from stripe_sandbox import Sandbox

ACCOUNT = "Paper & Ink (sandbox)"
#: Can read all reports until its permission for transfers is revoked.
KEY = "rk_test_paper_and_ink"
DAYS = 92
#: Time before the end at which refunds are paused, and at which the permission to read transfers is revoked.
_PAUSED, _REFUSED = timedelta(days=24), timedelta(days=15)
#: Delay after each full minute, as in the service.
_LATE = timedelta(seconds=4)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A dataset, with the options of `datasets create`."""

    name: str
    report: str
    schedule: str = "manual"
    description: str = ""
    after: str | None = None
    more: dict[str, Any] = field(default_factory=dict)


SAMPLES = (
    Sample(
        name="Charges",
        report="charges",
        schedule="weekly on mon at 06:00",
        description="All payment attempts, for the weekly sales meeting.",
    ),
    Sample(
        name="Balance History",
        report="balance_transactions",
        schedule="monthly on 1,15 at 06:30",
        description="For the reconciliation of payouts in bookkeeping.",
        more={"method": "merge"},
    ),
    Sample(name="All Invoices", report="invoices", schedule="monthly on 2 at 05:00", more={"method": "merge"}),
    Sample(
        name="Customers, without names",
        report="customers",
        schedule="monthly on 1 at 05:30",
        description="Emails are hashed; names and phone numbers are never stored.",
        more={"method": "merge", "choice": Choice(hashed=("email",), left_out=("name", "phone"))},
    ),
    Sample(name="Subscriptions", report="subscriptions", after="Customers, without names"),
    Sample(name="Refunds", report="refunds", schedule="every 2 weeks on fri at 17:00 from 2024-01-01"),
    Sample(name="Transfers", report="transfers", schedule="every 2 weeks on thu at 09:00 from 2024-01-01"),
    Sample(name="Coupons", report="coupons", description="Updated when the price list changes."),
)


class WoundClock:
    """A clock for the state that can be set back and runs on from there."""

    def __init__(self) -> None:
        self._behind = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) - self._behind

    def wind(self, at: datetime) -> None:
        """Sets the clock; it runs on from this time."""
        self._behind = datetime.now(UTC) - at

    def let_go(self) -> None:
        """Sets the clock to the real time."""
        self._behind = timedelta()


def live_through(app: App, sandbox: Sandbox, clock: WoundClock) -> None:
    """Adds the account, creates the datasets and runs each one at its past due times, like a service."""
    end = clock()
    events: list[tuple[datetime, Callable[[], object]]] = [
        (end - _PAUSED, lambda: app.datasets.pause("Refunds")),
        (end - _REFUSED, lambda: _allow(sandbox, but="transfers")),
    ]
    life = _Life(app, sandbox, clock)
    life.go_to(end - timedelta(days=DAYS))
    _allow(sandbox)
    app.accounts.add(ACCOUNT, KEY, api_base=sandbox.url)
    for sample in SAMPLES:
        app.datasets.create(
            sample.name,
            account=ACCOUNT,
            report=sample.report,
            description=sample.description,
            schedule=parse(sample.schedule),
            after=sample.after,
            **sample.more,
        )
    # Keeps the database open for all runs: opening it for each step would take most of the time.
    with database_file(app.settings.home / "counterfoil.duckdb").held([app.settings.archive.resolve()]):
        for at, happens in events:
            life.run_until(at)
            happens()
        life.run_until(end)
    clock.let_go()
    sandbox.clock.look_back(None)
    app.accounts.check(ACCOUNT)


class _Life:
    """Advances the clocks, and claims and runs due datasets."""

    def __init__(self, app: App, sandbox: Sandbox, clock: WoundClock) -> None:
        self._records = app.records
        self._attempt = Attempt(app.records)
        self._sandbox = sandbox
        self._clock = clock

    def go_to(self, at: datetime) -> None:
        """Sets both clocks."""
        self._clock.wind(at)
        self._sandbox.clock.look_back(int(at.timestamp()))

    def run_until(self, end: datetime) -> None:
        """Runs all datasets that are due before `end`."""
        datasets, runs = self._records.datasets, self._records.runs
        while (due_at := datasets.next_due_at()) is not None and due_at < end:
            self.go_to(due_at + _LATE)
            for dataset, at in datasets.claim_due(self._clock()):
                # Invoices show their later state even while the sandbox looks back, so checks of them would fail.
                last = dataset.report != "invoices" and (dataset.next_due_at is None or dataset.next_due_at >= end)
                if self._work(runs.create(dataset.id, "schedule", at), proved=last):
                    for follower in datasets.followers(dataset.id):
                        self._work(runs.create(follower.id, "after"), proved=last)
        self.go_to(end)

    def _work(self, run: Run, *, proved: bool) -> bool:
        """Makes one attempt; the run stores its error. Checks only if `proved`, because checks take time."""
        steps = self._attempt
        prove = (steps.prove,) if proved else ()
        try:
            for step in (steps.plan, steps.extract, steps.load, *prove, steps.finish):
                step(run.id, 1)
        except CounterfoilError as error:
            steps.failed(run.id, 1, error)
            return False
        return True


def _allow(sandbox: Sandbox, *, but: str | None = None) -> None:
    """Grants the key access to every report, or to all but one."""
    missing = report(but).permissions if but else ()
    held = {name for one in REPORTS for name in one.permissions if name not in missing}
    sandbox.control("keys", key=KEY, permissions=sorted(held))
