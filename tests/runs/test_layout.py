"""A table with the columns or key of an earlier version gets one full refresh, then incremental runs again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from counterfoil.runs.plans.dataset_plan import as_json, from_json, plan_run
from counterfoil.state.datasets import Partition
from counterfoil.stripe.client import AccountIdentity

from .conftest import Center
from .test_changes import first_merge, incremental_run

#: The digests that version 0.1 stored in bookmarks.
EARLIER = {"transfers": "d73360ee74e06bdf", "invoice_line_items": "577d471823b075d4", "refunds": "93e1467e57f251fa"}


@pytest.mark.parametrize("stripe", [0.05], indirect=True)
@pytest.mark.parametrize("report", ["transfers", "invoice_line_items"])
def test_earlier_table_layout_causes_one_full_refresh(center: Center, report: str) -> None:
    first_merge(center, report)
    bookmark = center.datasets.get(report).bookmark or {}
    center.datasets.set_bookmark(report, {**bookmark, "columns": EARLIER[report]})
    run = center.run(report)
    assert (run.status, run.plan["whole"]) == ("succeeded", True)
    assert "different columns" in (run.reason or "")
    incremental_run(center, report)


@pytest.mark.parametrize("stripe", [0.05], indirect=True)
def test_unchanged_layout_needs_no_refresh(center: Center) -> None:
    first_merge(center, "customers")
    before = center.datasets.get("customers").bookmark or {}
    incremental_run(center, "customers")
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
def test_only_reports_with_a_changed_layout_are_refreshed(center: Center, report: str, method: str) -> None:
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


def test_run_planned_by_an_earlier_version_is_followed_by_a_full_refresh(center: Center) -> None:
    dataset = center.dataset("transfers", method="merge")
    planned, _ = plan_run(dataset, AccountIdentity("acct_1", livemode=False), date=1_790_000_000)
    stored = as_json(planned)
    del stored["layout"]
    bookmark = from_json(stored).bookmark("r1")
    assert bookmark["columns"] != planned.layout
    assert from_json(as_json(planned)).bookmark("r1")["columns"] == planned.layout
