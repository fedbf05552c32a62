"""No check fails while objects change at Stripe between and during runs."""

from __future__ import annotations

from counterfoil.state.datasets import Proof
from stripe_sandbox import Sandbox

from .conftest import Center, failures, named, thorough

#: The first report references the second.
REPORTS = ("charges", "balance_transactions")
ACTIVITIES_PER_DAY = 600


def test_no_check_fails_during_simulated_activity(center: Center, stripe: Sandbox) -> None:
    for report in REPORTS:
        center.run(center.dataset(report, method="merge", proof=Proof()))
    stripe.control("life", per_day=ACTIVITIES_PER_DAY)
    center.later(hours=10)
    for report in REPORTS:
        run = center.run(report)
        assert run.status == "succeeded", run.error
        assert failures(named(list(center.checks.of_run(run.id)))) == []
    center.later(hours=3)
    for report in REPORTS:
        assert failures(thorough(center, report)) == []
    assert sum(stripe.ask("life")["changes"].values()) > 200
