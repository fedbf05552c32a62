"""A dataset with several destinations: read once, loaded into each. An unavailable one is backfilled later."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.errors import FOLDER_MISSING, RunError
from counterfoil.runs.loads.backfill import backlog_of, behind
from counterfoil.runs.loads.rollback import ARCHIVE_REMOVED, plan_rollback
from counterfoil.state.dataset import Merge, Partition, Retry
from counterfoil.state.datasets import Dataset, Proof, Target
from counterfoil.state.run import Run
from tests.postgres import Server, binaries, running

from .conftest import Center, held
from .test_reverting import back

pytestmark = pytest.mark.parametrize("stripe", [0.05], indirect=True)
CONTENTS = "id, status, amount, amount_refunded, _deleted"
ONE, OTHER, THIRD = (f"duckdb:///{name}/books.duckdb" for name in ("one", "other", "third"))


@pytest.fixture
def server() -> Iterator[Server]:
    if binaries() is None:
        pytest.skip("Postgres is not installed")
    with running(careless=False) as server:
        yield server


def dataset_with_destinations(center: Center, report: str, *urls: str, **options: Any) -> Dataset:
    for url in urls:
        if url.startswith("duckdb:"):
            (center.settings.home / url.removeprefix("duckdb:///")).parent.mkdir(exist_ok=True)
    return center.dataset(report, targets=tuple(Target(url=url, table=report) for url in urls), **options)


def inspect(center: Center, url: str, use: Callable[[Destination], Any]) -> Any:
    with closing(open_destination(url, relative_to=center.settings.home, settings=center.settings)) as destination:
        return use(destination)


def rows(center: Center, url: str, table: str, columns: str = "id, _run, _deleted") -> list[dict[str, Any]]:
    sql = f'SELECT {columns} FROM "{table}" ORDER BY {columns}'
    found: list[dict[str, Any]] = inspect(
        center, url, lambda destination: destination.query(sql).read_all().to_pylist()
    )
    return found


def equal_rows(center: Center, dataset: Dataset, columns: str = "id, _run, _deleted") -> list[dict[str, Any]]:
    """The rows of the dataset's tables, after asserting that all tables are equal."""
    first, *others = (rows(center, target.url, target.table, columns) for target in dataset.targets)
    assert first
    for other in others:
        assert other == first
    return first


@contextmanager
def down(center: Center, *urls: str) -> Iterator[None]:
    """Makes destinations unavailable during the block: their folders are renamed."""
    folders = [(center.settings.home / url.removeprefix("duckdb:///")).parent for url in urls]
    for folder in folders:
        folder.rename(f"{folder}.away")
    yield
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(f"{folder.name}.away").rename(folder)


def backfilled(center: Center, dataset: Dataset, url: str) -> Run:
    """Backfills one table from archives; returns the run."""
    last = center.runs.get(str((center.datasets.get(dataset.id).bookmark or {})["run"]))
    center.clock.advance(minutes=1)
    made = center.runs.create(dataset.id, "manual")
    into = next(target for target in center.datasets.get(dataset.id).targets if target.url == url)
    center.runs.update(made.id, plan=plan_rollback(last, into))
    center.attempt(made)
    return center.runs.get(made.id)


def test_unavailable_destination_is_loaded_by_the_next_attempt_without_reading_again(
    center: Center, server: Server
) -> None:
    charges = dataset_with_destinations(
        center, "charges", ONE, server.url(), OTHER, method="merge", retry=Retry(manual=True), proof=Proof()
    )
    assert center.run(charges).status == "succeeded"
    before = equal_rows(center, charges)
    made = center.create("charge")
    server.kill()
    center.clock.advance(minutes=1)
    run = center.runs.create(charges.id, "schedule")
    assert center.attempt(run) == 15 * 60, "it is retried"
    assert center.runs.get(run.id).status == "waiting"
    assert "connection" in center.runs.get(run.id).error["message"]
    for url in (ONE, OTHER):
        assert {"id": made["id"], "_run": run.id, "_deleted": False} in rows(center, url, "charges")
    assert center.asked()
    server.start()
    assert center.attempt(run, 2) is None
    ended = center.runs.get(run.id)
    assert (ended.status, ended.warnings) == ("succeeded", ())
    assert not [path for path in center.asked() if "charges" in path or "events" in path], (
        "the pages are in the archive"
    )
    assert len(equal_rows(center, charges)) == len(before) + 1
    results = {(check.url, check.result) for check in center.checks.of_run(run.id)}
    assert {url for url, _ in results} == {target.url for target in charges.targets}
    assert "FAIL" not in {result for _, result in results}


def test_run_without_retry_skips_an_unavailable_destination_and_the_next_run_backfills_it(
    center: Center, server: Server
) -> None:
    charges = dataset_with_destinations(center, "charges", server.url(), ONE, method="merge", merge=Merge(history=True))
    center.run(charges)
    center.alerts.add("ops", url="json://127.0.0.1:9/x", shown="json")
    server.kill()
    ids = []
    for _ in range(2):
        ids.append(center.create("charge")["id"])
        run = center.run(charges)
        assert run.status == "succeeded"
        (warning,) = run.warnings
        assert warning.startswith("charges of postgresql://owner@/test?host=")
        assert "not up to date" in warning
        assert not run.plan["whole"]
        assert behind(center.runs, charges) == charges.targets[:1]
    (notice,) = [one for one in center.alerts.claim() if "1 table behind" in one.title]
    assert charges.targets[0].url in notice.body
    server.start()
    center.asked()
    ids.append(center.create("charge")["id"])
    center.later(minutes=10)
    last = center.run(charges)
    assert (last.status, last.warnings, last.plan["whole"]) == ("succeeded", (), False)
    assert behind(center.runs, charges) == ()
    assert set(ids) <= {row["id"] for row in equal_rows(center, charges)}
    history = "id, _valid_from, _valid_to, _run"
    both = (rows(center, target.url, "charges__history", history) for target in charges.targets)
    assert [*next(both)] == [*next(both)], "including every version in between"


@pytest.mark.parametrize(
    ("method", "partition"), [("replace", None), ("append", None), ("partition", Partition(unit="month", last=1))]
)
def test_each_method_backfills_missed_runs(center: Center, method: str, partition: Partition | None) -> None:
    refunds = dataset_with_destinations(center, "refunds", ONE, OTHER, method=method, partition=partition)
    center.run(refunds)
    for unavailable in ([OTHER], [ONE], [OTHER]):
        center.create("refund")
        with down(center, *unavailable):
            assert center.run(refunds).warnings
    center.create("refund")
    assert not center.run(refunds).warnings
    assert equal_rows(center, refunds)
    runs = {row["_run"] for row in equal_rows(center, refunds)}
    assert len(runs) == (5 if method == "append" else 1 if method == "replace" else 2)


def test_run_fails_with_the_first_error_if_all_destinations_are_unavailable(center: Center) -> None:
    refunds = dataset_with_destinations(center, "refunds", ONE, OTHER)
    with down(center, ONE, OTHER):
        failed = center.run(refunds)
    assert failed.status == "failed"
    assert failed.error["code"] == FOLDER_MISSING
    assert "/one" in failed.error["message"]


def test_locked_file_is_skipped_and_loaded_by_the_next_attempt(make_center: Callable[..., Center]) -> None:
    center = make_center(busy_seconds=0)
    refunds = dataset_with_destinations(center, "refunds", ONE, OTHER, retry=Retry(manual=True))
    center.run(refunds)
    center.create("refund")
    center.clock.advance(minutes=1)
    run = center.runs.create(refunds.id, "manual")
    with held(center, ONE.removeprefix("duckdb:///")) as pid:
        assert center.attempt(run) == 900
        assert str(pid) in center.runs.get(run.id).error["message"]
        assert run.id in {row["_run"] for row in rows(center, OTHER, "refunds")}
    assert center.attempt(run, 2) is None
    equal_rows(center, refunds)


def test_missing_archive_causes_a_full_refresh(center: Center) -> None:
    charges = dataset_with_destinations(center, "charges", ONE, OTHER, method="merge")
    center.run(charges)
    center.create("charge")
    with down(center, OTHER):
        missed = center.run(charges)
    shutil.rmtree(center.archive(missed))
    with pytest.raises(RunError) as caught:
        inspect(center, OTHER, lambda other: backlog_of(center.records, charges, charges.targets[1], other))
    assert caught.value.code == ARCHIVE_REMOVED
    assert missed.id in caught.value.message
    center.create("charge")
    run = center.run(charges)
    assert (run.status, run.plan["whole"], run.warnings) == ("succeeded", True, ())
    assert "dataset's last run" in (run.reason or "")
    equal_rows(center, charges, CONTENTS)


def test_added_destination_is_backfilled_from_archives(center: Center) -> None:
    charges = dataset_with_destinations(center, "charges", ONE, method="merge")
    center.run(charges)
    center.create("charge")
    center.run(charges)
    center.asked()
    (center.settings.home / "other").mkdir()
    charges = center.datasets.edit(charges.id, targets=(*charges.targets, Target(url=OTHER, table="charges")))
    backfill = backfilled(center, charges, OTHER)
    assert (backfill.status, center.asked()) == ("succeeded", {})
    before = equal_rows(center, charges)
    assert behind(center.runs, charges) == ()
    assert {load.rows for load in center.runs.loads(str(backfill.plan["back_to"]))} == {1}, "the rows of that run"
    center.create("charge")
    run = center.run(charges)
    assert (run.plan["whole"], run.warnings) == (False, ())
    assert len(equal_rows(center, charges)) == len(before) + 1
    # A second backfill, after a user dropped the table.
    inspect(center, OTHER, lambda destination: destination.drop("charges"))
    assert backfilled(center, charges, OTHER).status == "succeeded"
    equal_rows(center, charges)
    assert [load.url for load in center.runs.loads(backfill.id)] == [OTHER]


def test_destination_that_missed_a_rollback_is_rolled_back_by_the_next_run(center: Center) -> None:
    refunds = dataset_with_destinations(center, "refunds", ONE, OTHER, method="append")
    first = center.run(refunds)
    center.create("refund")
    center.run(refunds)
    with down(center, OTHER):
        assert back(center, first).status == "succeeded"
    assert {row["_run"] for row in rows(center, ONE, "refunds")} == {first.id}
    third = center.run(refunds)
    assert (third.status, third.warnings) == ("succeeded", ())
    assert {row["_run"] for row in equal_rows(center, refunds)} == {first.id, third.id}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.thorough)])
def test_destinations_are_equal_after_random_outages_runs_and_rollbacks(center: Center, seed: int) -> None:
    chance = random.Random(seed)
    method = chance.choice(["merge", "merge", "append", "partition"])
    partition = Partition(unit="month", last=1) if method == "partition" else None
    charges = dataset_with_destinations(center, "charges", ONE, OTHER, THIRD, method=method, partition=partition)
    succeeded = [center.run(charges)]
    for _ in range(8):
        step = chance.choice(["run", "run", "run", "back", "fill", "drop"])
        unavailable = chance.sample([ONE, OTHER, THIRD], chance.choice([0, 1, 1, 2]))
        center.create("charge")
        if step == "drop":
            inspect(center, OTHER, lambda destination: destination.drop("charges"))
            continue
        with down(center, *unavailable):
            if step == "back":
                run = back(center, chance.choice(succeeded))
            elif step == "fill":
                url = chance.choice([url for url in (ONE, OTHER, THIRD) if url not in unavailable])
                run = backfilled(center, charges, url)
            else:
                run = center.run(charges)
                succeeded.append(run)
        assert run.status == "succeeded", (step, unavailable, run.error)
    center.catch_up()
    last = center.run(charges)
    assert (last.status, last.warnings) == ("succeeded", ())
    # A merge does not update `_run` of an unchanged row.
    equal_rows(center, charges, CONTENTS if method == "merge" else "id, _run, _deleted")
    if method == "merge":
        assert sorted(row["id"] for row in rows(center, ONE, "charges", "id")) == center.truth("charges")
