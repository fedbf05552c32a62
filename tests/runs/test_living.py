"""A company that lives: tables that are brought up to date by changes stay what reading everything would give."""

from __future__ import annotations

import random

import pytest

from stripe_sandbox import Sandbox

from .conftest import Center
from .test_changes import merged, same_as_whole

REPORTS = ("charges", "invoices", "subscriptions", "invoice_line_items")
RUNS = 5
HAPPENINGS_A_DAY = 300


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stripe", [0.05], indirect=True)
def test_runs_of_four_reports_hold_what_reading_everything_would(center: Center, stripe: Sandbox) -> None:
    chance = random.Random(7)
    for report in REPORTS:
        merged(center, report)
    stripe.control("life", per_day=HAPPENINGS_A_DAY)
    for run in range(RUNS):
        center.later(minutes=chance.choice([5, 30, 600, 1_200]))
        # What happens while a list is read is there in this run or in the next one.
        for report in REPORTS:
            read = center.run(report)
            assert (read.status, read.plan["whole"]) == ("succeeded", False), read.error
            if run == RUNS - 1:
                same_as_whole(center, report, report)
    assert sum(stripe.ask("life")["changes"].values()) > 200
    assert center.ids("subscriptions", "_deleted"), "some were canceled"
