"""Rows with missing or duplicate keys never reach a table, whether by a run, a rollback, a pull or a reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import counterfoil
from counterfoil.archive import Ledger, read_ledger
from counterfoil.archive.ledger import write_ledger
from counterfoil.archive.parts import PartWriter
from counterfoil.errors import RunError
from counterfoil.settings import Settings
from counterfoil.state.run import Run

from .conftest import FILE, KEY, Center
from .scripted_stripe import scripted_stripe

#: One id in both lists of the report: each list alone is valid.
TWICE = {
    "/v1/transfers": [{"object": "transfer", "id": "tr_1", "created": 1_700_000_000}],
    "/v1/payouts": [{"object": "payout", "id": "tr_1", "created": 1_700_000_000}],
}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[counterfoil.Connection]:
    settings = Settings(home=tmp_path / "home")
    with (
        scripted_stripe(TWICE) as stripe,
        counterfoil.connect(KEY, api_base=stripe.url, settings=settings, relative_to=tmp_path) as connected,
    ):
        yield connected


def _duplicate_first_row(center: Center, run: Run, **columns: pa.Array) -> None:
    """Rewrites the archive's first part with its first row twice, the second time with the given values."""
    folder = center.archive(run)
    ledger = read_ledger(folder)
    assert ledger is not None
    rows = pq.read_table(ledger.parts[0].path)
    more = rows.slice(0, 1)
    for name, value in columns.items():
        more = more.set_column(more.schema.get_field_index(name), more.schema.field(name), value)
    whole = pa.concat_tables([rows, more]).combine_chunks()
    plain = pa.Table.from_batches(
        [
            pa.record_batch(
                [c.storage if isinstance(c, pa.ExtensionArray) else c for c in batch.columns],
                names=whole.schema.names,
            )
            for batch in whole.to_batches()
        ]
    )
    writer = PartWriter(folder, plain.schema)
    for batch in plain.to_batches():
        writer.write(batch)
    writer.cut()
    write_ledger(folder, Ledger(ledger.sources, tuple(writer.parts), ledger.parents, ledger.whole))


def _extracted(center: Center, dataset: str) -> Run:
    run = center.runs.create(center.datasets.get(dataset).id, "schedule", center.clock())
    center.steps.plan(run.id, 1)
    center.steps.extract(run.id, 1)
    return run


@pytest.mark.parametrize("method", ["replace", "append", "merge"])
def test_duplicate_row_fails_the_run_and_leaves_the_table_unchanged(center: Center, method: str) -> None:
    center.dataset("refunds", method=method)
    center.run("refunds")
    before = center.snapshot("refunds")
    center.datasets.set_bookmark(center.datasets.get("refunds").id, None)
    center.clock.advance(minutes=1)
    run = _extracted(center, "refunds")
    _duplicate_first_row(center, run)
    with pytest.raises(RunError) as caught:
        center.steps.load(run.id, 1)
    assert caught.value.code == "duplicate_keys"
    assert "Refunds" in caught.value.message
    assert center.ids("refunds")[0] in caught.value.message or "re_" in caught.value.message
    assert center.steps.failed(run.id, 1, caught.value) is None, "the same archive is not retried"
    assert center.snapshot("refunds") == before
    center.later(minutes=1)
    assert center.run("refunds").status == "succeeded", "the next run reads all pages again"


def test_row_without_a_key_fails_the_run(center: Center) -> None:
    center.dataset("refunds")
    run = _extracted(center, "refunds")
    _duplicate_first_row(center, run, id=pa.array([None], pa.string()))
    with pytest.raises(RunError) as caught:
        center.steps.load(run.id, 1)
    assert caught.value.code == "missing_keys"
    assert not (center.settings.home / FILE).exists()


def test_incremental_run_may_read_an_object_twice(center: Center) -> None:
    center.dataset("customers", method="merge")
    center.run("customers")
    center.create("customer")
    center.clock.advance(minutes=1)
    run = _extracted(center, "customers")
    assert center.runs.get(run.id).plan["changes"] is not None
    _duplicate_first_row(center, run)
    center.steps.load(run.id, 1)
    assert center.ids("customers") == center.truth("customers")


def test_rollback_checks_the_keys_of_the_earlier_run(center: Center) -> None:
    from counterfoil.runs.loads.rollback import plan_rollback

    center.dataset("refunds")
    first = center.run("refunds")
    center.run("refunds")
    before = center.snapshot("refunds")
    _duplicate_first_row(center, first)
    center.clock.advance(minutes=1)
    rollback = center.runs.create(first.dataset, "manual")
    center.runs.update(rollback.id, plan=plan_rollback(first))
    center.attempt(rollback)
    failed = center.runs.get(rollback.id)
    assert failed.error is not None
    assert (failed.status, failed.error["code"]) == ("failed", "duplicate_keys")
    assert center.snapshot("refunds") == before


def test_pull_rejects_a_duplicate_and_does_not_resume_its_pages(
    connection: counterfoil.Connection, tmp_path: Path
) -> None:
    for resume in (False, True):
        with pytest.raises(RunError) as caught:
            connection.pull("transfers", resume=resume)
        assert caught.value.code == "duplicate_keys"
        assert "tr_1" in caught.value.message
        assert "--resume" not in (caught.value.hint or "")
        assert not list((tmp_path / "home").rglob("*.spool"))
        assert not (tmp_path / "counterfoil.duckdb").exists()


def test_row_stream_ends_with_an_error_after_a_duplicate_key(connection: counterfoil.Connection) -> None:
    with pytest.raises(RunError) as caught:
        connection.read("transfers").read_all()
    assert caught.value.code == "duplicate_keys"
