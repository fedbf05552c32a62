"""Parts contain every row once and in order, with types and metadata; the ledger describes the folder."""

from __future__ import annotations

import datetime as dt
import resource
import stat
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from counterfoil.archive import Archive, read_ledger, read_parts, read_spool, verify
from counterfoil.archive.parts import PartWriter
from counterfoil.errors import RunError
from counterfoil.values import Page, Window

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), metadata={b"comment": b"Stripe's id"}),
        pa.field("created", pa.timestamp("us", tz="UTC")),
        pa.field("amount", pa.int64()),
        pa.field("amount_major", pa.decimal128(22, 3)),
        pa.field("metadata", pa.string(), metadata={b"counterfoil": b"json"}),
    ]
)


def _batch(start: int, rows: int) -> pa.RecordBatch:
    numbers = range(start, start + rows)
    return pa.record_batch(
        {
            "id": [f"ch_{n}" for n in numbers],
            "created": [dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=n) for n in numbers],
            "amount": list(numbers),
            "amount_major": [Decimal(n) / 100 for n in numbers],
            "metadata": [None if n % 3 else f'{{"n": {n}}}' for n in numbers],
        },
        schema=_SCHEMA,
    )


def _wide_batch() -> pa.RecordBatch:
    """Sixteen rows, larger than a row group in memory."""
    return pa.record_batch([["x" * (1 << 20)] * 16, *[pa.nulls(16, f.type) for f in list(_SCHEMA)[1:]]], schema=_SCHEMA)


def test_rows_are_read_back_in_order_with_types_and_field_metadata(tmp_path: Path) -> None:
    batches = [_batch(0, 10), _batch(10, 0), _batch(10, 25)]
    with Archive(tmp_path / "run", _SCHEMA) as archive:
        for batch in batches:
            archive.write(batch)
    reader = read_parts(archive.parts())
    assert reader.schema.equals(_SCHEMA)
    assert [(f.metadata or {}).get(b"counterfoil") for f in reader.schema] == [None] * 4 + [b"json"]
    assert reader.schema.field("id").metadata[b"comment"] == b"Stripe's id"
    assert reader.read_all().equals(pa.Table.from_batches(batches))


def test_json_columns_have_the_json_type_of_parquet(tmp_path: Path) -> None:
    with Archive(tmp_path / "run", _SCHEMA) as archive:
        archive.write(_batch(0, 1))
    column = pq.ParquetFile(archive.parts()[0].path).schema.column(4)
    assert column.logical_type.type == "JSON"


def test_part_never_exceeds_its_row_limit(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path, _SCHEMA, part_rows=10)
    for start in range(0, 35, 7):
        writer.write(_batch(start, 7))
    writer.cut()
    assert [part.rows for part in writer.parts] == [10, 10, 10, 5]
    assert read_parts(writer.parts).read_all().column("amount").to_pylist() == list(range(35))


def test_part_ends_when_its_file_reaches_the_byte_limit(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path, _SCHEMA, part_bytes=1)
    writer.write(_wide_batch())
    writer.write(_wide_batch())
    assert [part.rows for part in writer.parts] == [16, 16]


def test_parts_have_their_size_and_altered_parts_are_detected(tmp_path: Path) -> None:
    with Archive(tmp_path / "run", _SCHEMA) as archive:
        archive.write(_batch(0, 100))
    (part,) = archive.parts()
    assert (part.rows, part.bytes) == (100, part.path.stat().st_size)
    verify(part)
    data = bytearray(part.path.read_bytes())
    data[len(data) // 2] ^= 1
    part.path.write_bytes(data)
    with pytest.raises(RunError, match=part.path.name) as caught:
        verify(part)
    assert caught.value.code == "part_changed"
    part.path.unlink()
    with pytest.raises(RunError, match=part.path.name) as caught:
        verify(part)
    assert caught.value.code == "part_unreadable"


def test_no_rows_make_no_part(tmp_path: Path) -> None:
    with Archive(tmp_path / "run", _SCHEMA) as archive:
        archive.write(_batch(0, 0))
    assert archive.parts() == ()
    assert read_parts((), _SCHEMA).read_all().schema.equals(_SCHEMA)


def test_a_closed_archive_can_be_loaded_later_from_its_ledger(tmp_path: Path) -> None:
    with Archive(tmp_path / "run", _SCHEMA) as archive:
        archive.spool.append(Page("/v1/charges", Window(5, None), None, [{"id": "ch_1"}], True))
        archive.spool.append(Page("/v1/charges", Window(None, 5), None, [{"id": "ch_0"}], False))
        archive.write(_batch(0, 2))
        assert read_ledger(tmp_path / "run") is None
    ledger = read_ledger(tmp_path / "run")
    assert ledger == archive.ledger
    assert ledger is not None
    assert ledger.parts == archive.parts()
    assert ledger.sources["/v1/charges"].complete == [Window(5, None)]


def test_failure_keeps_the_spool_but_no_partial_part_and_no_ledger(tmp_path: Path) -> None:
    page = Page("/v1/charges", Window(), None, [{"id": "ch_1"}], True)
    archive = Archive(tmp_path / "run", _SCHEMA)
    archive.spool.append(page)
    archive.write(_wide_batch())
    assert list(archive.folder.glob("*.partial"))
    archive.__exit__(ValueError, ValueError(), None)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["pages.spool"]
    assert list(read_spool(tmp_path / "run/pages.spool")) == [page]


def test_reopened_archive_rewrites_its_parts_and_keeps_its_spool(tmp_path: Path) -> None:
    page = Page("/v1/charges", Window(), None, [{"id": "ch_1"}], True)
    with Archive(tmp_path / "run", _SCHEMA) as archive:
        archive.spool.append(page)
        archive.write(_batch(0, 2))
    (tmp_path / "run/part-00002.parquet.partial").write_bytes(b"half")
    with Archive(tmp_path / "run", _SCHEMA) as again:
        assert read_ledger(tmp_path / "run") is None
        again.write(_batch(0, 3))
    assert [part.rows for part in again.parts()] == [3]
    assert list(read_spool(again.spool.path)) == [page]
    assert not list((tmp_path / "run").glob("*.partial"))


def test_archive_folder_is_private_and_removed_completely(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive/run", _SCHEMA)
    archive.write(_batch(0, 2))
    assert stat.S_IMODE(archive.folder.stat().st_mode) == 0o700
    archive.remove()
    assert not archive.folder.exists()


def test_batch_with_other_columns_is_rejected(tmp_path: Path) -> None:
    with Archive(tmp_path / "run", _SCHEMA) as archive, pytest.raises(ValueError, match="schema"):
        archive.write(pa.record_batch({"id": ["ch_1"]}))


def test_full_disk_while_writing_parts_is_reported_with_the_folder(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "run", _SCHEMA)
    archive.write(_batch(0, 20_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
    try:
        with pytest.raises(RunError) as caught:
            archive.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "archive_disk_full"
    assert str(tmp_path / "run") in caught.value.message
    archive.remove()


def test_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError) as caught:
        Archive(tmp_path / "file/run", _SCHEMA)
    assert caught.value.code == "archive_not_writable"
    assert str(tmp_path / "file/run") in caught.value.message
