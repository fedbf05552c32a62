"""A company that lives: run after run is proved, and no check fails for nothing."""

from __future__ import annotations

from counterfoil.state.datasets import Proof
from stripe_sandbox import Sandbox

from .conftest import Center, failures, named, proved

#: What refers to others before them.
REPORTS = ("charges", "balance_transactions")
HAPPENINGS_A_DAY = 600


def test_no_check_fails_while_a_company_lives(center: Center, stripe: Sandbox) -> None:
    for report in REPORTS:
        center.run(center.dataset(report, method="merge", proof=Proof()))
    stripe.control("life", per_day=HAPPENINGS_A_DAY)
    center.later(hours=10)
    for report in REPORTS:
        run = center.run(report)
        assert run.status == "succeeded", run.error
        assert failures(named(list(center.checks.of_run(run.id)))) == []
    center.later(hours=3)
    for report in REPORTS:
        assert failures(proved(center, report)) == []
    assert sum(stripe.ask("life")["changes"].values()) > 200
