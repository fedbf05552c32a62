"""Failed attempts: retries, failed runs, and pauses of datasets and accounts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from counterfoil.archive import Spool, read_spool
from counterfoil.errors import RunError, StripeUnavailable
from counterfoil.runs.attempt import Attempt
from counterfoil.runs.outcome import MOST_FAILURES
from counterfoil.schedules import parse
from counterfoil.state.datasets import Retry, Target
from counterfoil.state.run import Counts

from .conftest import FILE, Center, held, in_background, wait_until

CHARGES = "GET /v1/charges"


def break_charges(center: Center, after: int = 0) -> None:
    """Makes each request for charges fail after N pages, whatever the client's retries."""
    center.fault("should_not_retry", "/v1/charges", count=1000, skip=after)


def test_next_attempt_keeps_the_plan_and_reads_only_missing_pages(make_center: Callable[..., Center]) -> None:
    center = make_center(in_flight=1)
    charges = center.dataset("charges")
    run = center.runs.create(charges.id, "schedule", center.clock())
    break_charges(center, after=3)
    assert center.attempt(run) == 15 * 60
    waiting = center.runs.get(run.id)
    assert (waiting.status, waiting.owner, waiting.attempt) == ("waiting", None, 1)
    assert waiting.error is not None
    assert waiting.error["kind"] == "StripeUnavailable"
    first = center.asked()
    assert waiting.requests == first
    stored = len(list(read_spool(center.archive(run) / "pages.spool")))
    assert stored > 0
    center.healed()
    center.later(minutes=15)
    assert center.attempt(run, 2, Attempt(center.records)) is None
    done = center.runs.get(run.id)
    assert (done.status, done.attempt, done.error) == ("succeeded", 2, None)
    assert done.plan == waiting.plan
    second = center.asked()
    assert "GET /v1/account" not in second
    pages = len(list(read_spool(center.archive(run) / "pages.spool")))
    assert second[CHARGES] == pages - stored, "it reads only the missing pages"
    assert {name: first.get(name, 0) + second.get(name, 0) for name in {*first, *second}} == done.requests
    assert center.ids("charges") == center.truth("charges")
    assert [(one.number, one.status) for one in center.runs.attempts(run.id)] == [(1, "failed"), (2, "succeeded")]
    assert center.datasets.get("charges").failures == 0


def test_next_attempt_reads_all_pages_after_a_duplicate_page(make_center: Callable[..., Center]) -> None:
    center = make_center(in_flight=1)
    charges = center.dataset("charges")
    run = center.runs.create(charges.id, "schedule", center.clock())
    break_charges(center, after=3)
    center.attempt(run)
    center.healed()
    spool = Spool(center.archive(run) / "pages.spool")
    spool.append(list(read_spool(spool.path))[-1])
    spool.close()
    assert center.attempt(run, 2) is None
    done = center.runs.get(run.id)
    assert done.status == "succeeded"
    assert center.ids("charges") == center.truth("charges")
    assert any("contradict" in warning for warning in done.warnings)


def test_last_attempt_fails_the_run(center: Center) -> None:
    charges = center.dataset("charges", retry=Retry(every_minutes=5, attempts=2))
    run = center.runs.create(charges.id, "schedule", center.clock())
    break_charges(center)
    assert center.attempt(run, 1) == 300
    assert center.attempt(run, 2) is None
    assert center.runs.get(run.id).status == "failed"
    assert [one.status for one in center.runs.attempts(run.id)] == ["failed", "failed"]
    assert center.datasets.get("charges").failures == 1
    assert not (center.settings.home / FILE).exists()


@pytest.mark.parametrize(
    ("retry", "trigger", "retried"),
    [
        (Retry(), "manual", False),
        (Retry(manual=True), "manual", True),
        (Retry(on=False), "schedule", False),
        (Retry(on=False, manual=True), "manual", False),
        (Retry(), "after", True),
        (Retry(attempts=1), "schedule", False),
    ],
)
def test_retry_policy_decides_which_runs_are_retried(center: Center, retry: Retry, trigger: str, retried: bool) -> None:
    charges = center.dataset("charges", retry=retry)
    break_charges(center)
    assert center.run(charges, trigger).status == ("waiting" if retried else "failed")


def test_permanent_error_is_not_retried(center: Center) -> None:
    charges = center.dataset("charges")
    center.fault("status", "/v1/charges", status=400, error={"message": "No such thing"}, count=10)
    run = center.run(charges, "schedule")
    assert (run.status, run.attempt) == ("failed", 1)
    assert run.error is not None
    assert run.error["kind"] == "RunError"
    assert run.error["request_id"]
    assert run.error["path"] == "/v1/charges"


def test_run_is_not_retried_after_its_deadline(center: Center) -> None:
    charges = center.dataset("charges", deadline_minutes=10)
    break_charges(center)
    run = center.run(charges, "schedule")
    assert run.status == "failed"
    assert run.deadline_at is not None


def test_rejected_key_pauses_only_the_datasets_of_its_account(center: Center) -> None:
    center.stripe.control("keys", key="sk_test_expires", refused=True, code="api_key_expired")
    center.account("Old", key="sk_test_expires")
    center.account("Other")
    charges = center.dataset("charges", account="Old")
    center.dataset("refunds", account="Old")
    center.dataset("coupons", account="Other")
    run = center.run(charges, "schedule")
    assert (run.status, run.attempt) == ("failed", 1)
    for name in ("charges", "refunds"):
        pause = center.datasets.get(name).pause
        assert pause is not None
        assert "sk_test_expires" not in pause.reason
        assert pause.code == "key_rejected"
        assert pause.action == f"counterfoil accounts key {charges.account}"
        assert center.datasets.get(name).next_due_at is None
    assert center.datasets.get("coupons").pause is None
    assert center.accounts.get("Old").status == "rejected"
    assert center.accounts.get("Other").status == "ok"
    assert run.error is not None
    assert "STRIPE_API_KEY" not in run.error["hint"]
    center.stripe.control("keys", key="sk_test_expires")
    assert center.datasets.resume("charges").pause is None
    assert center.run("charges", "schedule").status == "succeeded"
    assert (center.accounts.get("Old").status, center.accounts.get("Old").problem) == ("ok", None)


def test_single_rejection_of_the_key_is_retried_without_a_pause(center: Center) -> None:
    charges = center.dataset("charges", schedule=parse("every 1 hours", "UTC"))
    center.fault("status", "/v1/account", status=401, error={"type": "invalid_request_error"}, count=1)

    run = center.run(charges, "schedule")

    assert (run.status, run.error and run.error["kind"]) == ("waiting", "StripeUnavailable")
    assert (center.datasets.get("charges").pause, center.accounts.get("Shop").status) == (None, "ok")
    assert center.attempt(run, 2) is None
    assert center.runs.get(run.id).status == "succeeded"


def test_unconfirmed_rejection_of_the_key_pauses_no_dataset(center: Center) -> None:
    charges = center.dataset("charges", schedule=parse("every 1 hours", "UTC"))
    center.fault("status", "/v1/charges", status=401, error={"type": "invalid_request_error"}, count=1)
    center.fault("should_not_retry", "/v1/account", count=1000, skip=1)

    assert center.run(charges, "schedule").status == "waiting"
    assert (center.datasets.get("charges").pause, center.accounts.get("Shop").status) == (None, "ok")


def test_cancellation_ends_the_wait_for_a_confirmation(make_center: Callable[..., Center]) -> None:
    center = make_center(key_confirm_seconds=3600)
    charges = center.dataset("charges")
    center.fault("status", "/v1/account", status=401, error={"type": "invalid_request_error"}, count=1)
    made = center.runs.create(charges.id, "manual")
    with in_background(lambda: center.attempt(made)):
        wait_until(lambda: center.stripe.ask("requests")["endpoints"].get("GET /v1/account"))
        center.runs.request_cancel(made.id)
    assert center.runs.get(made.id).status == "canceled"


def test_accepted_key_resumes_only_datasets_that_its_rejection_paused(center: Center) -> None:
    hourly = parse("every 1 hours", "UTC")
    center.stripe.control("keys", key="sk_test_expires", refused=True, code="api_key_expired")
    center.account("Old", key="sk_test_expires")
    for name in ("charges", "refunds", "coupons", "plans"):
        center.dataset(name, account="Old", schedule=hourly)
    center.datasets.pause("coupons", "Paused manually.")
    assert center.run("charges", "schedule").status == "failed"
    center.datasets.pause("plans", "Paused manually.")
    assert {one.name: one.pause and one.pause.code for one in center.datasets.list()} == {
        "charges": "key_rejected",
        "refunds": "key_rejected",
        "coupons": "manual",
        "plans": "manual",
    }

    center.stripe.control("keys", key="sk_test_expires")
    assert center.run("coupons", "manual").status == "succeeded"

    assert [one.name for one in center.datasets.list() if one.pause is not None] == ["coupons", "plans"]
    resumed = center.datasets.get("refunds")
    assert (resumed.failures, resumed.next_due_at is not None) == (0, True)


def test_missing_permission_pauses_only_its_dataset(center: Center) -> None:
    center.stripe.control("keys", key="rk_test_few", permissions=["rak_charge_read"])
    center.account(key="rk_test_few")
    center.dataset("charges")
    refunds = center.dataset("refunds")
    center.stripe.control("keys", key="rk_test_few", permissions=["rak_coupon_read"])
    run = center.run("charges", "schedule")
    assert run.status == "failed"
    pause = center.datasets.get("charges").pause
    assert pause is not None
    assert pause.code == "permission_missing"
    assert "rak_charge_read" in pause.reason
    assert "rak_charge_read" in pause.action
    assert center.datasets.get(refunds.id).pause is None


def test_ten_failures_in_a_row_pause_the_dataset_and_a_success_resets_the_count(center: Center) -> None:
    charges = center.dataset("charges", retry=Retry(on=False))
    break_charges(center)
    for _ in range(MOST_FAILURES - 2):
        center.runs.finish(center.runs.create(charges.id, "manual").id, "failed")
    assert center.run(charges, "schedule").status == "failed"
    assert center.datasets.get("charges").pause is None
    center.run(charges, "schedule")
    pause = center.datasets.get("charges").pause
    assert pause is not None
    assert pause.code == "failures"
    assert "10 runs" in pause.reason
    assert pause.action == "counterfoil datasets resume charges"
    assert center.datasets.resume("charges").failures == 0
    center.run(charges, "schedule")
    center.healed()
    center.run(charges, "schedule")
    assert center.datasets.get("charges").failures == 0


def test_late_error_leaves_an_ended_run_unchanged(center: Center) -> None:
    charges = center.dataset("charges")
    run = center.run(charges)
    delay = center.steps.failed(run.id, 1, StripeUnavailable("too slow"))
    assert (delay, center.runs.get(run.id).status) == (None, "succeeded")
    assert "too slow" not in "".join(center.lines(run))


def test_active_run_rejects_a_manual_run_and_skips_a_scheduled_run(center: Center) -> None:
    charges = center.dataset("charges")
    break_charges(center)
    waiting = center.run(charges, "schedule")
    with pytest.raises(RunError, match=waiting.id):
        center.runs.create(charges.id, "manual")
    skipped = center.runs.create(charges.id, "schedule", center.clock.advance(minutes=5))
    assert skipped.status == "skipped"
    assert waiting.id in (skipped.reason or "")


def test_locked_file_is_retried_without_api_requests(
    make_center: Callable[..., Center],
) -> None:
    center = make_center(busy_seconds=0.2)
    charges = center.dataset("charges")
    run = center.runs.create(charges.id, "schedule", center.clock())
    center.steps.plan(run.id, 1)
    center.steps.extract(run.id, 1)
    with held(center) as holder:
        center.asked()
        assert center.attempt(run) == 15 * 60
        waiting = center.runs.get(run.id)
        assert waiting.error is not None
        assert waiting.error["kind"] == "DestinationBusy"
        assert f"PID {holder}" in waiting.error["message"]
        # A run without a plan finds the locked file before any request other than the one for the account.
        other = center.run(center.dataset("refunds"), "schedule")
        assert other.error is not None
        assert f"PID {holder}" in other.error["message"]
        assert center.asked() == {"GET /v1/account": 1}
    assert center.attempt(run, 2) is None
    assert center.asked() == {}
    assert center.runs.get(run.id).status == "succeeded"
    assert center.ids("charges") == center.truth("charges")


def test_invalid_database_file_fails_the_run_before_any_api_request(center: Center) -> None:
    center.settings.home.joinpath(FILE).write_text("plain text with more than sixteen characters")
    run = center.run(center.dataset("charges"), "schedule")
    assert (run.status, run.attempt) == ("failed", 1)
    assert run.error is not None
    assert run.error["kind"] == "DestinationRejected"
    assert center.asked() == {}


def test_table_of_another_program_is_rejected_and_unchanged(center: Center) -> None:
    with duckdb.connect(str(center.settings.home / FILE)) as connection:
        connection.execute("CREATE TABLE charges AS SELECT 1 AS mine")
    run = center.run(center.dataset("charges"), "schedule")
    assert run.status == "failed"
    assert center.rows("SELECT mine FROM charges") == [(1,)]
    assert CHARGES not in center.asked()


def test_damaged_archive_fails_the_load_and_leaves_the_table_unchanged(center: Center) -> None:
    charges = center.dataset("charges", method="replace")
    center.run(charges)
    before = center.snapshot("charges")
    run = center.runs.create(charges.id, "schedule", center.clock.advance(minutes=1))
    center.steps.plan(run.id, 1)
    center.steps.extract(run.id, 1)
    (part,) = center.archive(run).glob("part-*.parquet")
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 0xFF
    part.write_bytes(content)
    assert center.attempt(run) is None
    failed = center.runs.get(run.id)
    assert failed.error is not None
    assert "checksum" in failed.error["message"]
    assert center.snapshot("charges") == before


def test_counts_are_correct_after_a_crash_before_they_are_stored(center: Center) -> None:
    charges = center.dataset("charges")
    run = center.runs.create(charges.id, "manual")
    center.steps.plan(run.id, 1)
    center.steps.extract(run.id, 1)
    counts = center.runs.get(run.id).counts
    center.runs.update(run.id, counts=Counts())
    center.attempt(run, 1, Attempt(center.records))
    done = center.runs.get(run.id)
    assert (done.counts.read, done.counts.bytes) == (counts.read, counts.bytes)
    assert counts.read == 600
    assert center.asked()[CHARGES] == done.requests[CHARGES]


def small_disk(folder: Path) -> bool:
    """Mounts a file system of 700 kB; False if this machine does not allow it."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    return made.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_full_disk_fails_the_load(center: Center, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    if not small_disk(disk):
        pytest.skip("a file system can't be mounted here")
    try:
        target = (Target(url=f"duckdb:////{str(disk).lstrip('/')}/x.duckdb", table="charges"),)
        coupons = center.dataset("charges", targets=target)
        assert center.run(coupons).status == "failed"
        failed = center.runs.list(coupons.id)[0]
        assert failed.error is not None
        assert failed.error["kind"] == "DestinationRejected"
        assert "full" in failed.error["message"] or "space" in failed.error["message"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
