"""A dataset with several destinations: read once, loaded into each; one that is down gets later what it lacks."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.errors import RunError
from counterfoil.runs.loads.backfill import backlog_of, behind
from counterfoil.runs.loads.rollback import plan_rollback
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
        pytest.skip("there is no Postgres here")
    with running(careless=False) as server:
        yield server


def several(center: Center, report: str, *urls: str, **given: Any) -> Dataset:
    for url in urls:
        if url.startswith("duckdb:"):
            (center.settings.home / url.removeprefix("duckdb:///")).parent.mkdir(exist_ok=True)
    return center.dataset(report, targets=tuple(Target(url=url, table=report) for url in urls), **given)


def look_at(center: Center, url: str, look: Callable[[Destination], Any]) -> Any:
    with closing(open_destination(url, relative_to=center.settings.home, settings=center.settings)) as place:
        return look(place)


def rows(center: Center, url: str, table: str, columns: str = "id, _run, _deleted") -> list[dict[str, Any]]:
    sql = f'SELECT {columns} FROM "{table}" ORDER BY {columns}'
    found: list[dict[str, Any]] = look_at(center, url, lambda place: place.query(sql).read_all().to_pylist())
    return found


def same(center: Center, dataset: Dataset, columns: str = "id, _run, _deleted") -> list[dict[str, Any]]:
    """The rows of all of its tables, which are the same."""
    first, *others = (rows(center, target.url, target.table, columns) for target in dataset.targets)
    assert first
    for other in others:
        assert other == first
    return first


@contextmanager
def down(center: Center, *urls: str) -> Iterator[None]:
    """The folders of these destinations are not there."""
    folders = [(center.settings.home / url.removeprefix("duckdb:///")).parent for url in urls]
    for folder in folders:
        folder.rename(f"{folder}.away")
    yield
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(f"{folder.name}.away").rename(folder)


def filled(center: Center, dataset: Dataset, url: str) -> Run:
    """A run that fills one table from what is kept."""
    last = center.runs.get(str((center.datasets.get(dataset.id).bookmark or {})["run"]))
    center.clock.advance(minutes=1)
    made = center.runs.create(dataset.id, "manual")
    into = next(target for target in center.datasets.get(dataset.id).targets if target.url == url)
    center.runs.update(made.id, plan=plan_rollback(last, into))
    center.attempt(made)
    return center.runs.get(made.id)


def test_of_three_destinations_one_is_down_then_up_and_stripe_is_asked_once(center: Center, server: Server) -> None:
    charges = several(
        center, "charges", ONE, server.url(), OTHER, method="merge", retry=Retry(manual=True), proof=Proof()
    )
    assert center.run(charges).status == "succeeded"
    before = same(center, charges)
    made = center.create("charge")
    server.kill()
    center.clock.advance(minutes=1)
    run = center.runs.create(charges.id, "schedule")
    assert center.attempt(run) == 15 * 60, "it is tried again"
    assert center.runs.get(run.id).status == "waiting"
    assert "connection" in center.runs.get(run.id).error["message"]
    for url in (ONE, OTHER):
        assert {"id": made["id"], "_run": run.id, "_deleted": False} in rows(center, url, "charges")
    assert center.asked()
    server.start()
    assert center.attempt(run, 2) is None
    ended = center.runs.get(run.id)
    assert (ended.status, ended.warnings) == ("succeeded", ())
    assert not [path for path in center.asked() if "charges" in path or "events" in path], "what was read is kept"
    assert len(same(center, charges)) == len(before) + 1
    results = {(check.url, check.result) for check in center.checks.of_run(run.id)}
    assert {url for url, _ in results} == {target.url for target in charges.targets}
    assert "FAIL" not in {result for _, result in results}


def test_a_run_that_is_not_tried_again_goes_on_without_it_and_the_next_one_brings_it_what_it_lacks(
    center: Center, server: Server
) -> None:
    charges = several(center, "charges", server.url(), ONE, method="merge", merge=Merge(history=True))
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
        assert "is not up to date" in warning
        assert not run.plan["whole"]
        assert behind(center.runs, charges) == charges.targets[:1]
    (notice,) = [one for one in center.alerts.claim() if "left behind" in one.title]
    assert charges.targets[0].url in notice.body
    server.start()
    center.asked()
    ids.append(center.create("charge")["id"])
    center.later(minutes=10)
    last = center.run(charges)
    assert (last.status, last.warnings, last.plan["whole"]) == ("succeeded", (), False)
    assert behind(center.runs, charges) == ()
    assert set(ids) <= {row["id"] for row in same(center, charges)}
    history = "id, _valid_from, _valid_to, _run"
    both = (rows(center, target.url, "charges__history", history) for target in charges.targets)
    assert [*next(both)] == [*next(both)], "with every version in between"


@pytest.mark.parametrize(
    ("method", "partition"), [("replace", None), ("append", None), ("partition", Partition(unit="month", last=1))]
)
def test_every_method_brings_what_was_missed(center: Center, method: str, partition: Partition | None) -> None:
    refunds = several(center, "refunds", ONE, OTHER, method=method, partition=partition)
    center.run(refunds)
    for gone in ([OTHER], [ONE], [OTHER]):
        center.create("refund")
        with down(center, *gone):
            assert center.run(refunds).warnings
    center.create("refund")
    assert not center.run(refunds).warnings
    assert same(center, refunds)
    runs = {row["_run"] for row in same(center, refunds)}
    assert len(runs) == (5 if method == "append" else 1 if method == "replace" else 2)


def test_when_all_are_down_the_run_fails_with_the_error_of_the_first(center: Center) -> None:
    refunds = several(center, "refunds", ONE, OTHER)
    with down(center, ONE, OTHER):
        failed = center.run(refunds)
    assert failed.status == "failed"
    assert "there is no folder" in failed.error["message"]
    assert "/one" in failed.error["message"]


def test_a_file_that_is_held_is_passed_over_and_loaded_by_the_next_attempt(make_center: Callable[..., Center]) -> None:
    center = make_center(busy_seconds=0)
    refunds = several(center, "refunds", ONE, OTHER, retry=Retry(manual=True))
    center.run(refunds)
    center.create("refund")
    center.clock.advance(minutes=1)
    run = center.runs.create(refunds.id, "manual")
    with held(center, ONE.removeprefix("duckdb:///")) as pid:
        assert center.attempt(run) == 900
        assert str(pid) in center.runs.get(run.id).error["message"]
        assert run.id in {row["_run"] for row in rows(center, OTHER, "refunds")}
    assert center.attempt(run, 2) is None
    same(center, refunds)


def test_what_is_kept_no_longer_is_read_again(center: Center) -> None:
    charges = several(center, "charges", ONE, OTHER, method="merge")
    center.run(charges)
    center.create("charge")
    with down(center, OTHER):
        missed = center.run(charges)
    shutil.rmtree(center.archive(missed))
    with pytest.raises(RunError, match="kept no longer"):
        look_at(center, OTHER, lambda place: backlog_of(center.records, charges, charges.targets[1], place))
    center.create("charge")
    run = center.run(charges)
    assert (run.status, run.plan["whole"], run.warnings) == ("succeeded", True, ())
    assert run.reason == "Everything is read: the table is not the one that the last run left."
    same(center, charges, CONTENTS)


def test_a_destination_that_comes_beside_another_is_filled_from_what_is_kept(center: Center) -> None:
    charges = several(center, "charges", ONE, method="merge")
    center.run(charges)
    center.create("charge")
    center.run(charges)
    center.asked()
    (center.settings.home / "other").mkdir()
    charges = center.datasets.edit(charges.id, targets=(*charges.targets, Target(url=OTHER, table="charges")))
    gave = filled(center, charges, OTHER)
    assert (gave.status, center.asked()) == ("succeeded", {})
    before = same(center, charges)
    assert behind(center.runs, charges) == ()
    assert {load.rows for load in center.runs.loads(str(gave.plan["back_to"]))} == {1}, "as many as that run brought"
    center.create("charge")
    run = center.run(charges)
    assert (run.plan["whole"], run.warnings) == (False, ())
    assert len(same(center, charges)) == len(before) + 1
    # Again, over what somebody did to it by hand.
    look_at(center, OTHER, lambda place: place.drop("charges"))
    assert filled(center, charges, OTHER).status == "succeeded"
    same(center, charges)
    assert [load.url for load in center.runs.loads(gave.id)] == [OTHER]


def test_a_destination_that_was_down_while_the_others_went_back_goes_back_too(center: Center) -> None:
    refunds = several(center, "refunds", ONE, OTHER, method="append")
    first = center.run(refunds)
    center.create("refund")
    center.run(refunds)
    with down(center, OTHER):
        assert back(center, first).status == "succeeded"
    assert {row["_run"] for row in rows(center, ONE, "refunds")} == {first.id}
    third = center.run(refunds)
    assert (third.status, third.warnings) == ("succeeded", ())
    assert {row["_run"] for row in same(center, refunds)} == {first.id, third.id}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.thorough)])
def test_whatever_happens_all_are_equal_once_all_are_up(center: Center, seed: int) -> None:
    chance = random.Random(seed)
    method = chance.choice(["merge", "merge", "append", "partition"])
    partition = Partition(unit="month", last=1) if method == "partition" else None
    charges = several(center, "charges", ONE, OTHER, THIRD, method=method, partition=partition)
    succeeded = [center.run(charges)]
    for _ in range(8):
        step = chance.choice(["run", "run", "run", "back", "fill", "drop"])
        gone = chance.sample([ONE, OTHER, THIRD], chance.choice([0, 1, 1, 2]))
        center.create("charge")
        if step == "drop":
            look_at(center, OTHER, lambda place: place.drop("charges"))
            continue
        with down(center, *gone):
            if step == "back":
                run = back(center, chance.choice(succeeded))
            elif step == "fill":
                url = chance.choice([url for url in (ONE, OTHER, THIRD) if url not in gone])
                run = filled(center, charges, url)
            else:
                run = center.run(charges)
                succeeded.append(run)
        assert run.status == "succeeded", (step, gone, run.error)
    center.catch_up()
    last = center.run(charges)
    assert (last.status, last.warnings) == ("succeeded", ())
    # Of a row that is the same as before, a merge keeps when it was read.
    same(center, charges, CONTENTS if method == "merge" else "id, _run, _deleted")
    if method == "merge":
        assert sorted(row["id"] for row in rows(center, ONE, "charges", "id")) == center.truth("charges")
