"""Runs: one active run per dataset, attempts and their ownership, results, logs, loads and retention."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from counterfoil.errors import PermissionMissing, RunError, SettingsError, StripeUnavailable
from counterfoil.state import State
from counterfoil.state.datasets import Dataset, Datasets
from counterfoil.state.run import LostOwnership
from counterfoil.state.runs import Counts, Run, Runs
from counterfoil.state.tables import runs as table
from tests.state.conftest import KEY, MakeDataset, StandingClock

DOWN = StripeUnavailable(f"Stripe is down, {KEY}", hint="Wait.", request_id="req_1", path="/v1/charges")


@pytest.fixture
def run(dataset: Dataset, runs: Runs) -> Run:
    return runs.create(dataset.id, "manual")


def test_new_run_is_queued_and_empty(run: Run, runs: Runs, dataset: Dataset, clock: StandingClock) -> None:
    assert (run.dataset, run.trigger, run.status, run.attempt) == (dataset.id, "manual", "queued", 0)
    assert run.id.startswith("20270104T120000Z-")
    assert (run.created_at, run.started_at, run.finished_at, run.due_at) == (clock(), None, None, None)
    assert (run.plan, run.counts, run.requests, run.warnings, run.error) == ({}, Counts(), {}, (), None)
    assert runs.get(run.id) == run


def test_unknown_dataset_or_run_is_rejected(runs: Runs) -> None:
    with pytest.raises(SettingsError, match="ds_0") as caught:
        runs.create("ds_0", "manual")
    assert caught.value.code == "dataset_not_found"
    with pytest.raises(SettingsError, match="'x'") as caught:
        runs.get("x")
    assert caught.value.code == "run_not_found"


def test_manual_run_is_rejected_while_another_is_active(run: Run, runs: Runs, dataset: Dataset) -> None:
    for status in ("queued", "running", "waiting"):
        if status == "running":
            runs.begin_attempt(run.id)
        if status == "waiting":
            runs.wait(run.id, DOWN)
        with pytest.raises(RunError, match=rf"{run.id} \({status}\)") as caught:
            runs.create(dataset.id, "manual")
        assert f"counterfoil runs cancel {run.id}" in (caught.value.hint or "")
    runs.finish(run.id, "succeeded")
    assert runs.create(dataset.id, "manual").status == "queued"


def test_scheduled_run_is_stored_as_skipped_while_another_is_active(
    run: Run, runs: Runs, dataset: Dataset, clock: StandingClock
) -> None:
    skipped = runs.create(dataset.id, "schedule", clock())
    assert (skipped.status, skipped.finished_at) == ("skipped", clock())
    assert run.id in (skipped.reason or "")
    assert runs.create(dataset.id, "after").status == "skipped"
    runs.finish(run.id, "failed")
    assert runs.create(dataset.id, "schedule", clock() + timedelta(hours=1)).status == "queued"


def test_due_time_has_one_run(runs: Runs, dataset: Dataset, clock: StandingClock) -> None:
    first = runs.create(dataset.id, "schedule", clock())
    assert runs.create(dataset.id, "schedule", clock()) == first
    runs.finish(first.id, "succeeded")
    assert runs.create(dataset.id, "schedule", clock()).id == first.id
    assert len(runs.list()) == 1


def test_several_datasets_can_have_active_runs(make_dataset: MakeDataset, runs: Runs) -> None:
    made = [runs.create(make_dataset(name).id, "manual") for name in ("A", "B", "C")]
    assert {run.status for run in made} == {"queued"}


def test_concurrent_threads_start_one_run(dataset: Dataset, runs: Runs) -> None:
    def start(_: int) -> str:
        try:
            return runs.create(dataset.id, "manual").id
        except RunError as error:
            return error.message

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(start, range(24)))
    (made,) = runs.list()
    assert answers.count(made.id) == 1
    assert sum(made.id in answer for answer in answers) == 24


def test_database_constraint_rejects_second_active_run(run: Run, state: State, dataset: Dataset) -> None:
    with state.read() as connection:
        row = {**connection.execute(sa.select(table)).mappings().one()}
    second = table.insert().values(**row | {"id": "second", "status": "waiting"})
    with pytest.raises(sa.exc.IntegrityError), state.begin() as connection:
        connection.execute(second)
    with state.begin() as connection:
        connection.execute(second.values(status="skipped"))


def test_attempts_are_numbered_and_end_separately(run: Run, runs: Runs, clock: StandingClock) -> None:
    runs.begin_attempt(run.id, workflow="first")
    began = clock()
    waiting = runs.wait(run.id, DOWN)
    assert (waiting.status, waiting.attempt, waiting.owner) == ("waiting", 1, None)
    clock.advance(minutes=15)
    owner = runs.begin_attempt(run.id, workflow="second")
    assert runs.get(run.id).started_at == began
    runs.finish(run.id, "succeeded", owner=owner)
    first, second = runs.attempts(run.id)
    assert (first.number, first.status, first.workflow, first.finished_at) == (1, "failed", "first", began)
    assert (first.error or {})["kind"] == "StripeUnavailable"
    assert (second.number, second.status, second.started_at) == (2, "succeeded", clock())
    assert (second.error, runs.get(run.id).error) == (None, None)


def test_restarted_workflow_continues_its_attempt_with_new_token(run: Run, runs: Runs) -> None:
    old = runs.begin_attempt(run.id, workflow="w")
    new = runs.begin_attempt(run.id, workflow="w")
    assert (runs.get(run.id).attempt, len(runs.attempts(run.id))) == (1, 1)
    assert (runs.owns(run.id, old), runs.owns(run.id, new)) == (False, True)


def test_attempt_without_ownership_writes_nothing(run: Run, runs: Runs) -> None:
    old = runs.begin_attempt(run.id)
    new = runs.begin_attempt(run.id)
    for write in (
        lambda: runs.update(run.id, owner=old, counts=Counts(read=5)),
        lambda: runs.finish(run.id, "succeeded", owner=old),
        lambda: runs.wait(run.id, DOWN, owner=old),
    ):
        with pytest.raises(LostOwnership, match=run.id):
            write()
    assert runs.get(run.id).counts == Counts()
    assert runs.update(run.id, owner=new, counts=Counts(read=7)).counts.read == 7
    assert [attempt.status for attempt in runs.attempts(run.id)] == ["failed", "running"]


def test_update_stores_plan_counts_and_warnings(run: Run, runs: Runs, clock: StandingClock) -> None:
    counts = Counts(read=10, added=7, changed=2, deleted=1, bytes=5_000_000_000)
    runs.update(run.id, plan={"since": 1, "options": {"customer": "cus_1"}}, deadline_at=clock())
    updated = runs.update(run.id, counts=counts, requests={"/v1/charges": 3}, warnings=("A", f"key {KEY}"))
    assert updated.plan == {"since": 1, "options": {"customer": "cus_1"}}
    assert (updated.counts, updated.requests, updated.deadline_at) == (counts, {"/v1/charges": 3}, clock())
    assert updated.warnings == ("A", "key sk_test_…")
    with pytest.raises(ValueError, match="status"):
        runs.update(run.id, status="succeeded")


def test_success_stores_bookmark_and_resets_failures(
    run: Run, runs: Runs, dataset: Dataset, datasets: Datasets
) -> None:
    runs.finish(run.id, "failed", error=DOWN)
    assert datasets.get(dataset.id).failures == 1
    second = runs.create(dataset.id, "manual")
    done = runs.finish(second.id, "succeeded", bookmark={"as_of": 9}, counts=Counts(read=3), reason="first run")
    assert (done.bookmark, done.counts.read, done.reason) == ({"as_of": 9}, 3, "first run")
    updated = datasets.get(dataset.id)
    assert (updated.bookmark, updated.failures) == ({"as_of": 9}, 0)


def test_failed_or_canceled_run_leaves_bookmark_unchanged(
    run: Run, runs: Runs, dataset: Dataset, datasets: Datasets
) -> None:
    datasets.set_bookmark(dataset.id, {"as_of": 1})
    runs.finish(run.id, "failed", error=DOWN, bookmark={"as_of": 2})
    runs.finish(runs.create(dataset.id, "manual").id, "canceled", bookmark={"as_of": 3})
    found = datasets.get(dataset.id)
    assert (found.bookmark, found.failures) == ({"as_of": 1}, 1)


def test_finish_is_idempotent(run: Run, runs: Runs, dataset: Dataset, datasets: Datasets) -> None:
    owner = runs.begin_attempt(run.id)
    done = runs.finish(run.id, "failed", owner=owner, error=DOWN)
    assert runs.finish(run.id, "failed", owner=owner, error=DOWN) == done
    assert runs.finish(run.id, "succeeded", owner=owner, bookmark={"as_of": 2}) == done
    assert (datasets.get(dataset.id).failures, datasets.get(dataset.id).bookmark) == (1, None)


def test_error_is_stored_with_hint_and_without_key(run: Run, runs: Runs) -> None:
    missing = PermissionMissing(f"{KEY} may not", permission="rak_charge_read", hint="Add it.", code="forbidden")
    error = runs.finish(run.id, "failed", error=missing).error
    assert error == {
        "kind": "PermissionMissing",
        "message": "sk_test_… may not",
        "hint": "Add it.",
        "request_id": None,
        "path": None,
        "code": "forbidden",
    }


def test_ended_run_begins_no_attempt(run: Run, runs: Runs) -> None:
    runs.finish(run.id, "failed")
    with pytest.raises(RunError, match=f"{run.id}.*failed"):
        runs.begin_attempt(run.id)


@pytest.mark.parametrize("waiting", [False, True])
def test_queued_or_waiting_run_is_canceled_immediately(run: Run, runs: Runs, *, waiting: bool) -> None:
    if waiting:
        runs.begin_attempt(run.id)
        runs.wait(run.id, DOWN)
    canceled = runs.request_cancel(run.id)
    assert (canceled.status, canceled.reason) == ("canceled", "Canceled manually.")
    with pytest.raises(RunError, match=f"{run.id}.*canceled"):
        runs.request_cancel(run.id)


def test_cancel_of_running_run_is_requested(run: Run, runs: Runs) -> None:
    owner = runs.begin_attempt(run.id)
    requested = runs.request_cancel(run.id)
    assert (requested.status, requested.cancel_requested) == ("running", True)
    assert runs.owns(run.id, owner)
    assert runs.finish(run.id, "canceled", owner=owner).status == "canceled"
    assert runs.attempts(run.id)[0].status == "canceled"


def test_runs_are_listed_newest_first_by_dataset_and_status(
    make_dataset: MakeDataset, runs: Runs, clock: StandingClock
) -> None:
    one, two = make_dataset("One"), make_dataset("Two")
    made = []
    for dataset in (one, two, one):
        made.append(runs.create(dataset.id, "manual").id)
        runs.finish(made[-1], "succeeded" if dataset is one else "failed")
        clock.advance(seconds=1)
    assert [run.id for run in runs.list()] == made[::-1]
    assert [run.id for run in runs.list(one.id)] == [made[2], made[0]]
    assert [run.id for run in runs.list(status="failed")] == [made[1]]
    assert [run.id for run in runs.list(status=("failed", "succeeded"), limit=2)] == [made[2], made[1]]


def test_log_lines_are_ordered_paged_and_without_keys(run: Run, runs: Runs, clock: StandingClock) -> None:
    runs.log(run.id, "info", "reading", window=[1, 2], deep={"key": KEY})
    runs.log(run.id, "warning", f"the key {KEY}")
    first, second = runs.lines(run.id)
    assert (first.level, first.message, first.at) == ("info", "reading", clock())
    assert first.fields == {"window": [1, 2], "deep": {"key": "sk_test_…"}}
    assert second.message == "the key sk_test_…"
    assert runs.lines(run.id, after=first.number) == (second,)
    assert runs.lines("another") == ()


def test_load_is_recorded_once_per_table(run: Run, runs: Runs) -> None:
    runs.record_load(run.id, "duckdb:///a", "charges", "replace", 5)
    again = runs.record_load(run.id, "duckdb:///a", "charges", "replace", 6)
    other = runs.record_load(run.id, "parquet:///b", "charges", "append", 6)
    assert runs.loads(run.id) == (again, other)


def test_archives_expire_after_thirty_days_and_ten_later_successes(
    make_dataset: MakeDataset, runs: Runs, clock: StandingClock
) -> None:
    busy, quiet = make_dataset("Busy"), make_dataset("Quiet")
    old = [_finished(runs, busy, clock, "succeeded") for _ in range(4)]
    kept = [_finished(runs, busy, clock, "succeeded") for _ in range(10)]
    failed = _finished(runs, busy, clock, "failed")
    _finished(runs, quiet, clock, "succeeded")
    runs.create(quiet.id, "manual")
    assert runs.expired() == ()
    clock.advance(days=31)
    assert [run.id for run in runs.expired()] == [*old, failed]
    recent = _finished(runs, busy, clock, "failed")
    runs.archive_removed(old[0])
    assert [run.id for run in runs.expired()] == [*old[1:], failed]
    assert [run.id for run in runs.expired(keep_runs=9)] == [*old[1:], kept[0], failed]
    clock.advance(days=31)
    assert runs.expired()[-1].id == recent


def _finished(runs: Runs, dataset: Dataset, clock: StandingClock, status: str) -> str:
    run = runs.create(dataset.id, "manual").id
    runs.finish(run, status)  # type: ignore[arg-type]
    clock.advance(seconds=1)
    return run
