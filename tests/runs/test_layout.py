"""A table whose columns or key are those of an earlier version is read whole once, and then by changes again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from counterfoil.runs.plans.dataset_plan import as_json, from_json, plan_run
from counterfoil.state.datasets import Partition
from counterfoil.stripe.client import AccountIdentity

from .conftest import Center
from .test_changes import changed, merged

#: As version 0.1 wrote them into bookmarks.
EARLIER = {"transfers": "d73360ee74e06bdf", "invoice_line_items": "577d471823b075d4", "refunds": "93e1467e57f251fa"}


@pytest.mark.parametrize("stripe", [0.05], indirect=True)
@pytest.mark.parametrize("report", ["transfers", "invoice_line_items"])
def test_table_of_an_earlier_layout_is_refreshed_once_with_the_reason(center: Center, report: str) -> None:
    merged(center, report)
    bookmark = center.datasets.get(report).bookmark or {}
    center.datasets.set_bookmark(report, {**bookmark, "columns": EARLIER[report]})
    run = center.run(report)
    assert (run.status, run.plan["whole"]) == ("succeeded", True)
    assert "other columns or another key" in (run.reason or "")
    changed(center, report)


@pytest.mark.parametrize("stripe", [0.05], indirect=True)
def test_layout_that_did_not_change_needs_no_refresh(center: Center) -> None:
    merged(center, "customers")
    before = center.datasets.get("customers").bookmark or {}
    changed(center, "customers")
    assert (center.datasets.get("customers").bookmark or {})["columns"] == before["columns"]


@pytest.mark.parametrize(
    ("report", "method"),
    [
        ("transfers", "merge"),
        ("transfers", "partition"),
        ("invoice_line_items", "merge"),
        ("refunds", "merge"),
        ("refunds", "partition"),
    ],
)
def test_only_the_reports_whose_layout_changed_are_refreshed(center: Center, report: str, method: str) -> None:
    partition = {"partition": Partition(unit="day", last=3)} if method == "partition" else {}
    dataset = center.dataset(report, method=method, **partition)
    date, identity = 1_790_000_000, AccountIdentity("acct_1", livemode=False)
    planned, _ = plan_run(dataset, identity, date=date)
    bookmark = planned.bookmark("r1") | {
        "standing": {"whole_at": date, "whole_requests": 3, "spread": None, "pending": [], "swept_to": None},
        "method": method,
        "columns": EARLIER[report],
    }
    planned, reason = plan_run(replace(dataset, bookmark=bookmark), identity, date=date + 60)
    assert planned.whole == (report != "refunds"), reason


def test_run_that_an_earlier_version_planned_is_followed_by_a_full_refresh(center: Center) -> None:
    dataset = center.dataset("transfers", method="merge")
    planned, _ = plan_run(dataset, AccountIdentity("acct_1", livemode=False), date=1_790_000_000)
    kept = as_json(planned)
    del kept["layout"]
    bookmark = from_json(kept).bookmark("r1")
    assert bookmark["columns"] != planned.layout
    assert from_json(as_json(planned)).bookmark("r1")["columns"] == planned.layout
