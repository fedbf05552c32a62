"""Runs prove what they loaded: after each, cheaply, and never to the run's harm."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from counterfoil.destinations.sql.parts_tables import parts_tables
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

from .conftest import Center, checked, proved, subject
from .planted import sql

CHEAP = Proof()


def kept(center: Center, run: Run) -> dict[str, StoredCheck]:
    return {f"{check.family}: {check.name}": check for check in center.checks.of_run(run.id)}


def ran(center: Center, report: str, **given: Any) -> Run:
    run = center.run(center.dataset(report, proof=CHEAP, **given))
    assert run.status == "succeeded", run.error
    return run


def results(found: dict[Any, Check]) -> set[str]:
    return {check.result for check in found.values()}


def test_each_run_keeps_its_checks(center: Center) -> None:
    run = ran(center, "charges")
    found = kept(center, run)
    assert {"coverage: windows", "coverage: table", "keys: double keys"} <= found.keys()
    assert results(found) == {"PASS"}
    assert found["coverage: table"].table == "charges"
    assert any(line.startswith("Proved: PASS (") for line in center.lines(run))


def test_an_object_that_came_and_went_between_two_runs_is_no_fault(center: Center) -> None:
    ran(center, "customers", method="merge")
    made = center.create("customer")
    center.stripe.control("objects", action="delete", kind="customer", id=made["id"])
    center.later(minutes=15)
    run = center.run("customers")
    found = kept(center, run)["coverage: ids"]
    assert (found.figures["gone"], found.result) == (1, "PASS")


def test_a_dataset_can_do_without(center: Center) -> None:
    assert kept(center, center.run(center.dataset("charges", proof=Proof(after="none")))) == {}


def test_a_fail_is_told_and_the_run_succeeds_all_the_same(center: Center) -> None:
    center.fault("lost_object", "/v1/balance_transactions")
    run = ran(center, "balance_transactions")
    assert run.status == "succeeded"
    assert worst(center.checks.of_run(run.id)) == "FAIL"
    assert any(line.startswith("Check failed: payments (balance)") for line in center.lines(run))


def test_cheap_checks_ask_for_two_percent_and_three_requests_at_most(center: Center) -> None:
    for report in ("balance_transactions", "charges"):
        dataset = center.dataset(report, proof=CHEAP)
        run = center.runs.create(dataset.id, "manual")
        for step in ("plan", "extract", "load"):
            getattr(center.steps, step)(run.id, 1)
        before = sum(center.asked().values())
        center.steps.prove(run.id, 1)
        asked = sum(center.asked().values())
        assert asked <= affordable(before)
        assert asked == (3 if report == "balance_transactions" else 0)
        assert sum(center.runs.get(run.id).requests.values()) == before + asked
        center.steps.finish(run.id, 1)


@pytest.mark.parametrize("method", ["append", "merge", "partition"])
def test_however_a_table_is_updated_it_passes_run_after_run(center: Center, method: str) -> None:
    more = {"partition": Partition(unit="month", last=2)} if method == "partition" else {}
    for number in range(2):
        run = ran(center, "charges", method=method, **more) if number == 0 else center.run("charges")
        assert results(kept(center, run)) == {"PASS"}, number
        assert run.plan["whole"] is (number == 0 or method == "append")
        center.create("charge", fields={"amount": 4200 + number})
        center.later(hours=2)
    if method in ("merge", "partition"):
        assert results(proved(center, "charges")) <= {"PASS", "NOT APPLICABLE"}


def test_a_merge_that_reads_changes_counts_on_from_the_run_before(center: Center) -> None:
    ran(center, "charges", method="merge")
    center.later(hours=1)
    sql(center, "DELETE FROM charges WHERE id = (SELECT min(id) FROM charges)")
    found = kept(center, center.run("charges"))["coverage: table"]
    assert (found.result, found.figures["expected"] - found.figures["compared"]) == ("FAIL", 1)


def test_rows_that_a_merge_dropped_are_reckoned_with(center: Center) -> None:
    ran(center, "customers", method="merge", merge=Merge(deleted="drop"))
    center.stripe.control("objects", action="delete", kind="customer", id=center.truth("customers")[0])
    center.later(hours=1)
    run = center.run("customers")
    assert (run.counts.deleted, kept(center, run)["coverage: table"].result) == (1, "PASS")


def test_a_balance_that_changes_while_it_is_looked_at_is_looked_at_again(center: Center) -> None:
    ran(center, "balance_transactions")
    center.stripe.control(
        "rules",
        path="/v1/balance_transactions",
        after_pages=1,
        do=[{"kind": "charge", "fields": {"amount": 990, "currency": "usd", "status": "succeeded"}}],
    )
    found = proved(center, "balance_transactions")[("balance", "payments")]
    assert found.result == "PASS"


def test_a_balance_that_never_stands_still_is_inconclusive(center: Center) -> None:
    ran(center, "balance_transactions")
    for number in range(5):
        fields = {"amount": 990 + number, "currency": "usd", "status": "succeeded"}
        do = [{"kind": "charge", "fields": fields}]
        center.stripe.control("rules", path="/v1/balance_transactions", after_pages=number + 1, do=do)
    found = checked(center, "balance_transactions")[("balance", "payments")]
    assert found.result == "INCONCLUSIVE"


def test_without_full_history_the_change_of_the_balance_is_compared(center: Center) -> None:
    choice = Choice(since=center.now() - 30 * 86_400)
    first = kept(center, ran(center, "balance_transactions", choice=choice))["balance: payments"]
    assert (first.result, "snapshot" in first.figures) == ("NOT APPLICABLE", True)
    center.create("charge", fields={"amount": 4200, "currency": "usd", "status": "succeeded"})
    center.later(hours=1)
    second = kept(center, center.run("balance_transactions"))["balance: payments"]
    assert (second.result, second.figures["since"]) == ("PASS", first.figures["snapshot"]["at"])
    assert second.figures["currencies"]["usd"]["stripe"] > 0
    sql(
        center,
        "UPDATE balance_transactions SET net = net - 1 WHERE created = (SELECT max(created) FROM balance_transactions)",
    )
    assert checked(center, "balance_transactions")[("balance", "payments")].result == "FAIL"


def test_only_one_currency_is_compared_where_only_one_is_read(center: Center) -> None:
    found = kept(center, ran(center, "balance_transactions", choice=Choice(options={"currency": "eur"})))
    assert found["balance: payments"].figures["currencies"].keys() == {"eur"}
    assert found["balance: payments"].result == "PASS"


def test_columns_that_are_left_out_or_hashed_are_not_taken_for_others(center: Center) -> None:
    choice = Choice(left_out=("name", "phone"), hashed=("email",), promoted=("plan",))
    run = ran(center, "customers", choice=choice)
    assert results(kept(center, run)) == {"PASS"}
    found = proved(center, "customers")
    assert found["recount", "rows"].result == "PASS"
    assert found["recount", "rows"].figures["rows_expected"] == run.counts.read
    lacking = ran(center, "balance_transactions", choice=Choice(left_out=("net",)))
    assert kept(center, lacking)["balance: payments"].result == "NOT APPLICABLE"


@pytest.mark.parametrize("fault", [{"fault": "status", "status": 403}, {"fault": "should_not_retry"}])
def test_what_stripe_does_not_tell_is_inconclusive_and_no_failure(center: Center, fault: dict[str, Any]) -> None:
    center.fault(path="/v1/balance", **fault)
    run = ran(center, "balance_transactions")
    found = kept(center, run)["balance: payments"]
    assert (found.result, found.reason[:21]) == ("INCONCLUSIVE", "It could not be made:")
    assert run.status == "succeeded"


def test_rows_that_changed_after_the_run_are_no_differences(center: Center) -> None:
    ran(center, "charges", method="replace")
    center.later(hours=1)
    charge = center.truth("charges")[5]
    center.stripe.control("objects", action="update", kind="charge", id=charge, fields={"description": "later"})
    center.create("charge")
    found = proved(center, "charges")["recount", "rows"]
    assert (found.result, found.figures["changed_since"]) == ("PASS", 1)


def test_a_status_that_changes_when_its_time_comes_is_no_difference(center: Center) -> None:
    ran(center, "balance_transactions")
    center.later(days=3)
    found = proved(center, "balance_transactions")["recount", "rows"]
    assert found.result == "PASS"
    assert found.figures["changed_since"] > 0


def _windows_of(what: Subject, inquiry: StripeRequests, seed: int) -> Any:
    with parts_tables(folders=[what.scratch], spill=what.scratch, megabytes=160) as place:
        copy = Copy(what, place, whole=False)
        return recount(what, inquiry, Recount(windows=1, seed=seed), copy).figures["windows"]


def test_the_same_seed_reads_the_same_windows_again(center: Center) -> None:
    ran(center, "balance_transactions")
    with subject(center, "balance_transactions") as (what, client):
        windows = [_windows_of(what, StripeRequests(client), seed) for seed in (1, 1, 0)]
    assert windows[0] == windows[1]
    assert len({str(window) for window in windows}) > 1


def test_hold_keeps_what_is_wrong_from_being_loaded(center: Center) -> None:
    held = Proof(hold=True)
    dataset = center.dataset("charges", proof=held, method="replace")
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
    assert failed.error["message"].startswith("Nothing was loaded, since a check failed: windows (coverage):")
    assert center.snapshot("charges") == before
    assert worst(center.checks.of_run(run.id)) == "FAIL"


def test_without_hold_the_same_is_loaded_and_told(center: Center) -> None:
    run = center.runs.create(center.dataset("charges", proof=CHEAP).id, "manual")
    for step in ("plan", "extract"):
        getattr(center.steps, step)(run.id, 1)
    spool = center.archive(run) / "pages.spool"
    spool.write_bytes(spool.read_bytes()[:-40])
    center.attempt(run)
    assert center.runs.get(run.id).status == "succeeded"
    assert worst(center.checks.of_run(run.id)) == "FAIL"


def test_deep_checks_are_made_by_the_first_run_after_their_time(center: Center) -> None:
    dataset = center.dataset("coupons", proof=Proof(deep=parse("daily at 13:00")))
    found = [kept(center, center.run(dataset))]  # at 12:01
    center.later(hours=1, minutes=30)
    found.append(kept(center, center.run(dataset)))
    found.append(kept(center, center.run(dataset)))
    assert ["recount: rows" in checks for checks in found] == [False, True, False]
    assert all(results(checks) <= {"PASS", "NOT APPLICABLE"} for checks in found)


def test_a_table_that_is_gone_is_inconclusive_and_the_run_ends(center: Center) -> None:
    dataset = center.dataset("charges", proof=CHEAP)
    run = center.runs.create(dataset.id, "manual")
    for step in ("plan", "extract", "load"):
        getattr(center.steps, step)(run.id, 1)
    shutil.move(center.settings.home / "stripe.duckdb", center.settings.home / "elsewhere.duckdb")
    center.steps.prove(run.id, 1)
    assert worst(center.checks.of_run(run.id)) == "INCONCLUSIVE"
    shutil.move(center.settings.home / "elsewhere.duckdb", center.settings.home / "stripe.duckdb")
    center.steps.finish(run.id, 1)
    assert center.runs.get(run.id).status == "succeeded"


def test_a_run_that_goes_back_is_as_proved_as_the_one_it_goes_back_to(center: Center) -> None:
    first = ran(center, "charges", method="replace")
    center.create("charge")
    second = center.run("charges")
    assert len(center.ids("charges")) == second.counts.read == first.counts.read + 1
    back = center.runs.create(first.dataset, "manual")
    center.runs.update(back.id, plan=plan_rollback(first))
    center.attempt(back)
    assert center.runs.get(back.id).status == "succeeded"
    assert kept(center, back) == {}
    assert results(proved(center, "charges")) <= {"PASS", "NOT APPLICABLE"}


def test_a_run_that_is_asked_to_stop_once_it_has_loaded_is_not_proved_and_ends_well(center: Center) -> None:
    run = center.runs.create(center.dataset("charges", proof=CHEAP).id, "manual")
    for step in ("plan", "extract", "load"):
        getattr(center.steps, step)(run.id, 1)
    center.runs.request_cancel(run.id)
    for step in ("prove", "finish"):
        getattr(center.steps, step)(run.id, 1)
    assert center.runs.get(run.id).status == "succeeded"
    assert "Not proved: the run was to end." in center.lines(run)


def test_what_a_killed_proof_left_is_removed(center: Center) -> None:
    folder = center.settings.archive / "proofs" / "20260101T000000Z-abcdef"
    folder.mkdir(parents=True)
    remove_left(center.settings)
    assert folder.exists()
    remove_left(center.settings, now=folder.stat().st_mtime + 90_000)
    assert not folder.exists()


def test_subscription_items_lead_to_all_subscriptions_and_a_lost_canceled_one_is_found(center: Center) -> None:
    ran(center, "subscription_items", method="replace")
    center.later(minutes=30)
    ran(center, "all_subscriptions", method="replace")
    key = ("references", "subscription in all_subscriptions")
    check = checked(center, "subscription_items")[key]
    assert (check.result, check.figures["orphans"]) == ("PASS", 0)
    sql(center, "DELETE FROM all_subscriptions WHERE status = 'canceled'")
    assert checked(center, "subscription_items")[key].result == "FAIL"
