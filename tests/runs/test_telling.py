"""Notifications about runs: sent once, with the reason and the next step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from counterfoil.runs import notifications
from counterfoil.schedules import Manual, parse
from counterfoil.state.alert import Kind, Notice
from counterfoil.state.datasets import Proof

from .conftest import Center

BAD = {"status": 400, "error": {"message": "No such thing"}, "count": 1000}


@pytest.fixture
def center(center: Center) -> Center:
    center.alerts.add("Ops", url="json://localhost", shown="json://localhost")
    return center


def notices(center: Center) -> list[Notice]:
    """The notifications to send; each is returned once."""
    return list(center.alerts.claim())


def titles(center: Center) -> list[str]:
    return [notice.title for notice in notices(center)]


def test_only_the_first_of_several_failures_is_notified(center: Center) -> None:
    center.dataset("coupons")
    center.fault("status", "/v1/coupons", **BAD)
    run = center.run("coupons")
    (notice,) = notices(center)
    assert notice.title == "coupons failed"
    assert "No such thing" in notice.body
    assert f"Run {run.id}." in notice.body
    center.run("coupons")
    assert notices(center) == []
    center.healed()
    center.run("coupons")
    (again,) = notices(center)
    assert again.title == "coupons works again"
    assert "2 failed runs" in again.body
    center.run("coupons")
    assert notices(center) == []


def test_retried_attempt_is_not_notified(center: Center) -> None:
    dataset = center.dataset("coupons")
    center.fault("should_not_retry", "/v1/coupons", count=1000)
    run = center.runs.create(dataset.id, "schedule", due_at=center.clock())
    assert center.attempt(run) is not None
    assert notices(center) == []


def test_pause_is_notified_with_its_reason_and_action(center: Center) -> None:
    center.stripe.control("keys", key="sk_test_expires", refused=True, code="api_key_expired")
    account = center.account("Old", key="sk_test_expires")
    center.run(center.dataset("coupons", account="Old"))
    (notice,) = notices(center)
    assert notice.title.startswith("coupons failed")
    assert "paused" in notice.title
    pause = center.datasets.get("coupons").pause
    assert pause is not None
    assert pause.code == "key_rejected"
    assert pause.reason in notice.body
    assert f"resume it: counterfoil accounts key {account.id}" in notice.body
    assert "All other datasets" in notice.body
    assert "sk_test_expires" not in notice.title + notice.body


@pytest.mark.parametrize(("kinds", "count"), [(("paused",), 0), (("failed",), 1), (("failed", "paused"), 1)])
def test_failure_without_a_pause_goes_to_alerts_for_failures(
    center: Center, kinds: tuple[Kind, ...], count: int
) -> None:
    center.alerts.edit("Ops", kinds=kinds)
    center.dataset("coupons")
    center.fault("status", "/v1/coupons", **BAD)
    center.run("coupons")
    assert len(notices(center)) == count


def test_failed_check_is_notified_once(center: Center) -> None:
    center.dataset("balance_transactions", method="replace", proof=Proof())
    center.fault("lost_object", "/v1/balance_transactions")
    run = center.run("balance_transactions")
    assert run.status == "succeeded", run.error
    (notice,) = notices(center)
    assert notice.title == "balance_transactions: 1 check failed"
    assert "balance: payments: " in notice.body
    assert f"Run {run.id}." in notice.body
    center.fault("lost_object", "/v1/balance_transactions")
    center.run("balance_transactions")
    assert notices(center) == []


NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "updated_at", "now", "late"),
    [
        ("daily at 06:00", NOON, NOON + timedelta(hours=42), False),
        ("daily at 06:00", NOON, NOON + timedelta(hours=42, minutes=5), True),
        ("daily at 06:00", None, NOON + timedelta(hours=43), True),
        ("manual", NOON, NOON + timedelta(days=100), False),
        ("weekly on mon at 09:00", NOON, NOON + timedelta(days=7), False),
        ("weekly on mon at 09:00", NOON, NOON + timedelta(days=9), True),
    ],
)
def test_dataset_is_late_after_a_missed_interval_of_its_schedule(
    center: Center, schedule: str, updated_at: datetime | None, now: datetime, late: bool
) -> None:
    parsed = Manual() if schedule == "manual" else parse(schedule)
    dataset = center.dataset("coupons", schedule=parsed)
    for _ in range(2):
        assert notifications.late(center.alerts, dataset, updated_at, now) is late
    assert titles(center) == (["coupons is late"] if late else [])


def test_paused_dataset_is_not_late(center: Center) -> None:
    dataset = center.dataset("coupons", schedule=parse("daily at 06:00"))
    center.datasets.pause(dataset.id, "Paused manually.")
    assert not notifications.late(center.alerts, center.datasets.get(dataset.id), NOON, NOON + timedelta(days=9))
