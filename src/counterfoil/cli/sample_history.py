"""Three months of a data center on the sandbox: real runs, at instants that are past, by a clock that is wound back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from counterfoil.state.dataset import Choice
from counterfoil.state.schedules import parse

if TYPE_CHECKING:
    from counterfoil.app import App
    from counterfoil.sandbox import Sandbox
    from counterfoil.state.run import Run

ACCOUNT = "Paper & Ink (sandbox)"
#: May read everything until a permission is taken from it.
KEY = "rk_test_paper_and_ink"
DAYS = 92
#: How long before the end somebody paused refunds, and somebody took the permission to read transfers away.
_PAUSED, _REFUSED = timedelta(days=24), timedelta(days=10)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A dataset, in the words of `datasets create`."""

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
        description="Each attempt to take a payment, for the weekly sales meeting.",
    ),
    Sample(
        name="Balance History",
        report="balance_transactions",
        schedule="weekly on mon at 06:30",
        description="What the bookkeeping reconciles payouts with.",
        more={"method": "append"},
    ),
    Sample(name="All Invoices", report="invoices", schedule="monthly on 1,15 at 05:00", more={"method": "merge"}),
    Sample(
        name="Customers, without names",
        report="customers",
        schedule="monthly on 1,15 at 05:30",
        description="The email is hashed, and names and addresses are left out, before anything is kept.",
        more={"method": "merge", "choice": Choice(hashed=("email",), left_out=("name", "phone"))},
    ),
    Sample(name="Subscriptions", report="subscriptions", after="Customers, without names"),
    Sample(name="Refunds", report="refunds", schedule="weekly on fri at 17:00"),
    Sample(name="Transfers", report="transfers", schedule="weekly on thu at 09:00"),
    Sample(name="Coupons", report="coupons", description="Read when the price list changes."),
)


class WoundClock:
    """The state's clock: it runs, from an instant that it was wound to, until it shows the time of day again."""

    def __init__(self) -> None:
        self._behind = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) - self._behind

    def wind(self, at: datetime) -> None:
        """Goes on from an instant."""
        self._behind = datetime.now(UTC) - at

    def let_go(self) -> None:
        """Shows the time of day."""
        self._behind = timedelta()


def live_through(app: App, sandbox: Sandbox, clock: WoundClock) -> None:
    """Connects the account, makes the datasets, and runs each whenever it was due, as a service would have."""
    end = datetime.now(UTC)
    at = end - timedelta(days=DAYS)
    _Life(app, sandbox, clock, end).begin(at)
    clock.let_go()
    sandbox.clock.look_back(None)
