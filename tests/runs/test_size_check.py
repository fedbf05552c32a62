"""A full refresh that would remove more than half of a table fails before its load, unless that is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import counterfoil
from counterfoil.errors import RunError
from counterfoil.reports.catalogue import report
from counterfoil.runs.loads.load import is_full_refresh
from counterfoil.runs.loads.size_check import TABLE_WOULD_SHRINK
from counterfoil.runs.plans.dataset_plan import allowing_shrink
from counterfoil.settings import Settings
from counterfoil.state.datasets import Choice, Dataset, Target
from counterfoil.state.run import Run

from .conftest import FILE, KEY, Center
from .scripted_stripe import ScriptedStripe, scripted_stripe

REFUNDS = "/v1/refunds"


def refunds(count: int) -> list[dict[str, Any]]:
    return [
        {"object": "refund", "id": f"re_{n:05}", "created": 1_700_000_000 + n, "amount": n, "currency": "usd"}
        for n in reversed(range(count))
    ]


@pytest.fixture
def scripted() -> Iterator[ScriptedStripe]:
    with scripted_stripe({REFUNDS: refunds(150)}) as stripe:
        yield stripe


@pytest.fixture
def shop(make_center: Callable[..., Center], scripted: ScriptedStripe) -> Center:
    center = make_center()
    center.accounts.add("Shop", key=KEY, shown="sk_test_…4242", fingerprint="Shop", api_base=scripted.url)
    return center


def _full_refresh(center: Center, dataset: Dataset) -> Run:
    """A full refresh."""
    center.datasets.set_bookmark(dataset.id, None)
    return center.run(dataset)


def _code(run: Run) -> str | None:
    return None if run.error is None else run.error["code"]


@pytest.mark.parametrize("method", ["replace", "merge"])
def test_run_that_would_remove_more_than_half_fails_and_resumes_from_its_archive(
    shop: Center, scripted: ScriptedStripe, method: str
) -> None:
    dataset = shop.dataset("refunds", method=method)
    shop.run(dataset)
    before = shop.snapshot("refunds")
    scripted.rows[REFUNDS] = refunds(74)
    run = _full_refresh(shop, dataset)
    assert (run.status, _code(run)) == ("failed", TABLE_WOULD_SHRINK)
    assert run.error is not None
    assert "150" in run.error["message"]
    assert "74" in run.error["message"]
    assert "counterfoil run refunds --allow-shrink" in run.error["hint"]
    assert shop.snapshot("refunds") == before
    scripted.asked.clear()
    reopened = shop.runs.reopen(run.id, allowing_shrink(run.plan))
    assert (reopened.status, reopened.error) == ("waiting", None)
    shop.attempt(reopened, 2)
    done = shop.runs.get(run.id)
    assert (done.status, done.error) == ("succeeded", None)
    assert scripted.asked == {}
    assert len(shop.ids("refunds", "_deleted IS NOT TRUE")) == 74


def test_run_may_remove_half_of_the_rows(shop: Center, scripted: ScriptedStripe) -> None:
    dataset = shop.dataset("refunds", method="replace")
    shop.run(dataset)
    scripted.rows[REFUNDS] = refunds(75)
    assert shop.run(dataset).status == "succeeded"
    scripted.rows[REFUNDS] = refunds(1)
    assert shop.run(dataset).status == "succeeded", "a table of fewer than 100 rows is not checked"


def test_rows_marked_as_deleted_do_not_count(shop: Center, scripted: ScriptedStripe) -> None:
    dataset = shop.dataset("refunds", method="merge")
    shop.run(dataset)
    scripted.rows[REFUNDS] = refunds(80)
    assert _full_refresh(shop, dataset).status == "succeeded"
    scripted.rows[REFUNDS] = refunds(70)
    assert _full_refresh(shop, dataset).status == "succeeded", "10 of 80 rows are deleted; the table has 150 rows"
    assert len(shop.ids("refunds")) == 150


def test_table_size_is_not_compared_after_changed_options(shop: Center, scripted: ScriptedStripe) -> None:
    dataset = shop.dataset("refunds", method="replace")
    shop.run(dataset)
    shop.datasets.edit(dataset.id, choice=Choice(since=1_700_000_140))
    assert shop.run(dataset).status == "succeeded"
    assert len(shop.ids("refunds")) == 10


def test_run_with_allow_shrink_loads_fewer_rows(shop: Center, scripted: ScriptedStripe) -> None:
    dataset = shop.dataset("refunds", method="replace")
    shop.run(dataset)
    scripted.rows[REFUNDS] = refunds(3)
    shop.clock.advance(minutes=1)
    run = shop.runs.create(dataset.id, "manual")
    shop.runs.update(run.id, plan=allowing_shrink({}))
    shop.attempt(run)
    assert shop.runs.get(run.id).status == "succeeded"
    assert len(shop.ids("refunds")) == 3


def test_shrinking_table_prevents_the_load_of_all_tables(shop: Center, scripted: ScriptedStripe) -> None:
    targets = (Target(url="duckdb:///other.duckdb", table="refunds"), Target(url=f"duckdb:///{FILE}", table="refunds"))
    dataset = shop.dataset("refunds", method="replace", targets=targets)
    shop.run(dataset)
    with duckdb.connect(str(shop.settings.home / "other.duckdb")) as other:
        other.execute("DELETE FROM refunds WHERE amount > 10")
    before = shop.snapshot("refunds")
    scripted.rows[REFUNDS] = refunds(9)
    run = shop.run(dataset)
    assert (run.status, _code(run)) == ("failed", TABLE_WOULD_SHRINK)
    assert shop.runs.loads(run.id) == ()
    assert shop.snapshot("refunds") == before


def test_rollback_to_fewer_rows_is_allowed(shop: Center, scripted: ScriptedStripe) -> None:
    from counterfoil.runs.loads.rollback import plan_rollback

    scripted.rows[REFUNDS] = refunds(20)
    dataset = shop.dataset("refunds", method="replace")
    first = shop.run(dataset)
    scripted.rows[REFUNDS] = refunds(150)
    shop.run(dataset)
    shop.clock.advance(minutes=1)
    rollback = shop.runs.create(dataset.id, "manual")
    shop.runs.update(rollback.id, plan=plan_rollback(first))
    shop.attempt(rollback)
    assert shop.runs.get(rollback.id).status == "succeeded"
    assert len(shop.ids("refunds")) == 20


@pytest.mark.parametrize(
    ("key", "choice", "method", "checked"),
    [
        ("refunds", Choice(), "replace", True),
        ("refunds", Choice(since=1), "replace", True),
        ("refunds", Choice(last_days=30), "replace", False),
        ("refunds", Choice(), "append", False),
        ("subscriptions", Choice(), "replace", False),
        ("subscriptions", Choice(options={"status": "all"}), "replace", True),
        ("balance", Choice(), "replace", False),
        ("events", Choice(), "merge", False),
        ("upcoming_invoices", Choice(), "replace", False),
    ],
)
def test_only_unfiltered_full_refreshes_are_checked(
    center: Center, key: str, choice: Choice, method: str, checked: bool
) -> None:
    from counterfoil.runs.plans.dataset_plan import plan_run
    from counterfoil.stripe.client import AccountIdentity

    assert report(key).key == key
    dataset = center.dataset(key, choice=choice, method=method)
    plan, _ = plan_run(dataset, AccountIdentity("acct_1", livemode=False), date=1_800_000_000)
    assert is_full_refresh(plan, whole=True) is checked
    assert not is_full_refresh(plan, whole=False)


def test_pull_that_would_shrink_the_table_fails_and_resumes_with_allow_shrink(
    scripted: ScriptedStripe, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home")
    with counterfoil.connect(KEY, api_base=scripted.url, settings=settings, relative_to=tmp_path) as connection:
        connection.pull("refunds")
        scripted.rows[REFUNDS] = refunds(20)
        with pytest.raises(RunError) as caught:
            connection.pull("refunds")
        assert caught.value.code == TABLE_WOULD_SHRINK
        assert caught.value.hint is not None
        assert "--resume --allow-shrink" in caught.value.hint
        with duckdb.connect(str(tmp_path / "counterfoil.duckdb")) as table:
            assert table.execute("SELECT count(*) FROM refunds").fetchall() == [(150,)]
        scripted.asked.clear()
        assert connection.pull("refunds", resume=True, allow_shrink=True).rows == 20
        assert scripted.asked[REFUNDS] == 0
        assert connection.pull("refunds", limit=5, overwrite=True).rows == 5, (
            "a pull with other options is confirmed separately"
        )
