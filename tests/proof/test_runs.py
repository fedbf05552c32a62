"""Checks after runs: cheap, stored with the run, and without effect on its success."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from counterfoil.destinations.sql.parts_tables import parts_tables
from counterfoil.proof.check import NOT_POSSIBLE
from counterfoil.proof.check_selection import affordable
from counterfoil.proof.recount import Copy, Recount, recount
from counterfoil.proof.stripe_requests import StripeRequests
from counterfoil.proof.subject import Subject
from counterfoil.runs.checks.proof_context import remove_left
from counterfoil.runs.loads.rollback import plan_rollback
from counterfoil.schedules import parse
from counterfoil.state.check import Check, StoredCheck, worst
from counterfoil.state.datasets import Choice, Merge, Partition, Proof
from counterfoil.state.run import Run

from .conftest import Center, cheap, subject, thorough
from .planted import sql

DEFAULT = Proof()


def checks_of(center: Center, run: Run) -> dict[str, StoredCheck]:
    return {f"{check.family}: {check.name}": check for check in center.checks.of_run(run.id)}


def run_new(center: Center, report: str, **options: Any) -> Run:
    run = center.run(center.dataset(report, proof=DEFAULT, **options))
    assert run.status == "succeeded", run.error
    return run


def results(found: dict[Any, Check]) -> set[str]:
    return {check.result for check in found.values()}


def test_run_stores_its_checks(center: Center) -> None:
    run = run_new(center, "charges")
    found = checks_of(center, run)
    assert {"coverage: windows", "coverage: table", "keys: double keys"} <= found.keys()
    assert results(found) == {"PASS"}
    assert found["coverage: table"].table == "charges"
    assert any(line.startswith("Checks: PASS (") for line in center.lines(run))


def test_object_created_and_deleted_between_runs_passes(center: Center) -> None:
    run_new(center, "customers", method="merge")
    made = center.create("customer")
    center.stripe.control("objects", action="delete", kind="customer", id=made["id"])
    center.later(minutes=15)
    run = center.run("customers")
    found = checks_of(center, run)["coverage: ids"]
    assert (found.figures["gone"], found.result) == (1, "PASS")


def test_checks_can_be_disabled(center: Center) -> None:
    assert checks_of(center, center.run(center.dataset("charges", proof=Proof(after="none")))) == {}


def test_failed_check_is_logged_and_run_succeeds(center: Center) -> None:
    center.fault("lost_object", "/v1/balance_transactions")
    run = run_new(center, "balance_transactions")
    assert run.status == "succeeded"
    assert worst(center.checks.of_run(run.id)) == "FAIL"
    assert any(line.startswith("Check failed: payments (balance)") for line in center.lines(run))


def test_cheap_checks_limit_their_requests(center: Center) -> None:
    for report in ("balance_transactions", "charges"):
        dataset = center.dataset(report, proof=DEFAULT)
        run = center.runs.create(dataset.id, "manual")
        for step in ("plan", "extract", "load"):
            getattr(center.steps, step)(run.id, 1)
        before = sum(center.asked().values())
        center.steps.prove(run.id, 1)
        requests = sum(center.asked().values())
        assert requests <= affordable(before)
        assert requests == (3 if report == "balance_transactions" else 0)
        assert sum(center.runs.get(run.id).requests.values()) == before + requests
        center.steps.finish(run.id, 1)


@pytest.mark.parametrize("method", ["append", "merge", "partition"])
def test_checks_pass_for_each_method(center: Center, method: str) -> None:
    more = {"partition": Partition(unit="month", last=2)} if method == "partition" else {}
    for number in range(2):
        run = run_new(center, "charges", method=method, **more) if number == 0 else center.run("charges")
        assert results(checks_of(center, run)) == {"PASS"}, number
        assert run.plan["whole"] is (number == 0 or method == "append")
        center.create("charge", fields={"amount": 4200 + number})
        center.later(hours=2)
    if method in ("merge", "partition"):
        assert results(thorough(center, "charges")) <= {"PASS", "NOT APPLICABLE"}


def test_incremental_merge_expects_rows_of_previous_run(center: Center) -> None:
    run_new(center, "charges", method="merge")
    center.later(hours=1)
    sql(center, "DELETE FROM charges WHERE id = (SELECT min(id) FROM charges)")
    found = checks_of(center, center.run("charges"))["coverage: table"]
    assert (found.result, found.figures["expected"] - found.figures["compared"]) == ("FAIL", 1)


def test_rows_dropped_by_a_merge_are_expected(center: Center) -> None:
    run_new(center, "customers", method="merge", merge=Merge(deleted="drop"))
    center.stripe.control("objects", action="delete", kind="customer", id=center.truth("customers")[0])
    center.later(hours=1)
    run = center.run("customers")
    assert (run.counts.deleted, checks_of(center, run)["coverage: table"].result) == (1, "PASS")


def test_changing_balance_is_read_again(center: Center) -> None:
    run_new(center, "balance_transactions")
    center.stripe.control(
        "rules",
        path="/v1/balance_transactions",
        after_pages=1,
        do=[{"kind": "charge", "fields": {"amount": 990, "currency": "usd", "status": "succeeded"}}],
    )
    found = thorough(center, "balance_transactions")[("balance", "payments")]
    assert found.result == "PASS"


def test_constantly_changing_balance_is_inconclusive(center: Center) -> None:
    run_new(center, "balance_transactions")
    for number in range(5):
        fields = {"amount": 990 + number, "currency": "usd", "status": "succeeded"}
        do = [{"kind": "charge", "fields": fields}]
        center.stripe.control("rules", path="/v1/balance_transactions", after_pages=number + 1, do=do)
    found = cheap(center, "balance_transactions")[("balance", "payments")]
    assert found.result == "INCONCLUSIVE"


def test_partial_history_compares_change_of_balance(center: Center) -> None:
    choice = Choice(since=center.now() - 30 * 86_400)
    first = checks_of(center, run_new(center, "balance_transactions", choice=choice))["balance: payments"]
    assert (first.result, "snapshot" in first.figures) == ("NOT APPLICABLE", True)
    center.create("charge", fields={"amount": 4200, "currency": "usd", "status": "succeeded"})
    center.later(hours=1)
    second = checks_of(center, center.run("balance_transactions"))["balance: payments"]
    assert (second.result, second.figures["since"]) == ("PASS", first.figures["snapshot"]["at"])
    assert second.figures["currencies"]["usd"]["stripe"] > 0
    sql(
        center,
        "UPDATE balance_transactions SET net = net - 1 WHERE created = (SELECT max(created) FROM balance_transactions)",
    )
    assert cheap(center, "balance_transactions")[("balance", "payments")].result == "FAIL"


def test_currency_option_restricts_the_balance_check(center: Center) -> None:
    found = checks_of(center, run_new(center, "balance_transactions", choice=Choice(options={"currency": "eur"})))
    assert found["balance: payments"].figures["currencies"].keys() == {"eur"}
    assert found["balance: payments"].result == "PASS"


def test_excluded_and_hashed_columns_are_not_differences(center: Center) -> None:
    choice = Choice(left_out=("name", "phone"), hashed=("email",), promoted=("plan",))
    run = run_new(center, "customers", choice=choice)
    assert results(checks_of(center, run)) == {"PASS"}
    found = thorough(center, "customers")
    assert found["recount", "rows"].result == "PASS"
    assert found["recount", "rows"].figures["rows_expected"] == run.counts.read
    lacking = run_new(center, "balance_transactions", choice=Choice(left_out=("net",)))
    assert checks_of(center, lacking)["balance: payments"].result == "NOT APPLICABLE"


@pytest.mark.parametrize("fault", [{"fault": "status", "status": 403}, {"fault": "should_not_retry"}])
def test_unavailable_balance_is_inconclusive(center: Center, fault: dict[str, Any]) -> None:
    center.fault(path="/v1/balance", **fault)
    run = run_new(center, "balance_transactions")
    found = checks_of(center, run)["balance: payments"]
    assert found.result == "INCONCLUSIVE"
    assert found.reason.startswith(NOT_POSSIBLE)
    assert run.status == "succeeded"


def test_rows_changed_after_the_run_are_not_differences(center: Center) -> None:
    run_new(center, "charges", method="replace")
    center.later(hours=1)
    charge = center.truth("charges")[5]
    center.stripe.control("objects", action="update", kind="charge", id=charge, fields={"description": "later"})
    center.create("charge")
    found = thorough(center, "charges")["recount", "rows"]
    assert (found.result, found.figures["changed_since"]) == ("PASS", 1)


def test_scheduled_status_change_is_not_a_difference(center: Center) -> None:
    run_new(center, "balance_transactions")
    center.later(days=3)
    found = thorough(center, "balance_transactions")["recount", "rows"]
    assert found.result == "PASS"
    assert found.figures["changed_since"] > 0


def _windows_of(loaded: Subject, inquiry: StripeRequests, seed: int) -> Any:
    with parts_tables(folders=[loaded.scratch], spill=loaded.scratch, megabytes=160) as tables:
        copy = Copy(loaded, tables, whole=False)
        return recount(loaded, inquiry, Recount(windows=1, seed=seed), copy).figures["windows"]


def test_same_seed_selects_the_same_windows(center: Center) -> None:
    run_new(center, "balance_transactions")
    with subject(center, "balance_transactions") as (loaded, client):
        windows = [_windows_of(loaded, StripeRequests(client), seed) for seed in (1, 1, 0)]
    assert windows[0] == windows[1]
    assert len({str(window) for window in windows}) > 1


def test_hold_prevents_load_after_a_failed_check(center: Center) -> None:
    hold = Proof(hold=True)
    dataset = center.dataset("charges", proof=hold, method="replace")
    assert center.run(dataset).status == "succeeded"
    before = center.snapshot("charges")
    center.later(hours=1)
    run = center.runs.create(dataset.id, "manual")
    for step in ("plan", "extract"):
        getattr(center.steps, step)(run.id, 1)
    spool = center.archive(run) / "pages.spool"
    spool.write_bytes(spool.read_bytes()[:-40])
    center.attempt(run)
    failed = center.runs.get(run.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error["kind"] == "RunError"
    assert "windows (coverage) failed" in failed.error["message"]
    assert f"--run {run.id}" in failed.error["hint"]
    assert center.snapshot("charges") == before
    assert worst(center.checks.of_run(run.id)) == "FAIL"


def test_failed_check_without_hold_does_not_prevent_load(center: Center) -> None:
    run = center.runs.create(center.dataset("charges", proof=DEFAULT).id, "manual")
    for step in ("plan", "extract"):
        getattr(center.steps, step)(run.id, 1)
    spool = center.archive(run) / "pages.spool"
    spool.write_bytes(spool.read_bytes()[:-40])
    center.attempt(run)
    assert center.runs.get(run.id).status == "succeeded"
    assert worst(center.checks.of_run(run.id)) == "FAIL"


def test_first_run_after_scheduled_time_makes_deep_checks(center: Center) -> None:
    dataset = center.dataset("coupons", proof=Proof(deep=parse("daily at 13:00")))
    found = [checks_of(center, center.run(dataset))]  # at 12:01
    center.later(hours=1, minutes=30)
    found.append(checks_of(center, center.run(dataset)))
    found.append(checks_of(center, center.run(dataset)))
    assert ["recount: rows" in checks for checks in found] == [False, True, False]
    assert all(results(checks) <= {"PASS", "NOT APPLICABLE"} for checks in found)


def test_missing_table_is_inconclusive_and_run_succeeds(center: Center) -> None:
    dataset = center.dataset("charges", proof=DEFAULT)
    run = center.runs.create(dataset.id, "manual")
    for step in ("plan", "extract", "load"):
        getattr(center.steps, step)(run.id, 1)
    shutil.move(center.settings.home / "stripe.duckdb", center.settings.home / "elsewhere.duckdb")
    center.steps.prove(run.id, 1)
    assert worst(center.checks.of_run(run.id)) == "INCONCLUSIVE"
    shutil.move(center.settings.home / "elsewhere.duckdb", center.settings.home / "stripe.duckdb")
    center.steps.finish(run.id, 1)
    assert center.runs.get(run.id).status == "succeeded"


def test_rollback_needs_no_checks_and_passes_them(center: Center) -> None:
    first = run_new(center, "charges", method="replace")
    center.create("charge")
    second = center.run("charges")
    assert len(center.ids("charges")) == second.counts.read == first.counts.read + 1
    rollback = center.runs.create(first.dataset, "manual")
    center.runs.update(rollback.id, plan=plan_rollback(first))
    center.attempt(rollback)
    assert center.runs.get(rollback.id).status == "succeeded"
    assert checks_of(center, rollback) == {}
    assert results(thorough(center, "charges")) <= {"PASS", "NOT APPLICABLE"}


def test_run_canceled_after_load_skips_checks_and_succeeds(center: Center) -> None:
    run = center.runs.create(center.dataset("charges", proof=DEFAULT).id, "manual")
    for step in ("plan", "extract", "load"):
        getattr(center.steps, step)(run.id, 1)
    center.runs.request_cancel(run.id)
    for step in ("prove", "finish"):
        getattr(center.steps, step)(run.id, 1)
    assert center.runs.get(run.id).status == "succeeded"
    assert checks_of(center, run) == {}
    assert any(line.startswith("Not checked:") for line in center.lines(run))


def test_files_of_a_killed_proof_are_removed(center: Center) -> None:
    folder = center.settings.archive / "proofs" / "20260101T000000Z-abcdef"
    folder.mkdir(parents=True)
    remove_left(center.settings)
    assert folder.exists()
    remove_left(center.settings, now=folder.stat().st_mtime + 90_000)
    assert not folder.exists()


def test_lost_canceled_subscription_fails_reference_of_items(center: Center) -> None:
    run_new(center, "subscription_items", method="replace")
    center.later(minutes=30)
    run_new(center, "all_subscriptions", method="replace")
    key = ("references", "subscription in all_subscriptions")
    check = cheap(center, "subscription_items")[key]
    assert (check.result, check.figures["orphans"]) == ("PASS", 0)
    sql(center, "DELETE FROM all_subscriptions WHERE status = 'canceled'")
    assert cheap(center, "subscription_items")[key].result == "FAIL"
