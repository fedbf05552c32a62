"""A simulated company with constant changes: tables with incremental updates equal full refreshes."""

from __future__ import annotations

import random

import pytest

from stripe_sandbox import Sandbox

from .conftest import Center
from .test_changes import assert_equals_full_refresh, first_merge

REPORTS = ("charges", "invoices", "subscriptions", "invoice_line_items")
RUNS = 5
CHANGES_A_DAY = 300


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stripe", [0.05], indirect=True)
def test_incremental_runs_of_four_reports_equal_full_refreshes(center: Center, stripe: Sandbox) -> None:
    chance = random.Random(7)
    for report in REPORTS:
        first_merge(center, report)
    stripe.control("life", per_day=CHANGES_A_DAY)
    for run in range(RUNS):
        center.later(minutes=chance.choice([5, 30, 600, 1_200]))
        # A change during the reading of a list appears in this run or in the next one.
        for report in REPORTS:
            read = center.run(report)
            assert (read.status, read.plan["whole"]) == ("succeeded", False), read.error
            if run == RUNS - 1:
                assert_equals_full_refresh(center, report, report)
    assert sum(stripe.ask("life")["changes"].values()) > 200
    assert center.ids("subscriptions", "_deleted"), "some subscriptions were canceled"
