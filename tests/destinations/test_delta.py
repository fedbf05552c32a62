"""Delta tables: other readers, clean-up operations, and other writers."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.delta import commit
from counterfoil.destinations.delta.errors import error_of
from counterfoil.destinations.delta.storage import FolderStorage
from counterfoil.destinations.delta.tables import TableAt
from counterfoil.errors import INVALID_TABLE, DestinationBusy, DestinationRejected, SettingsError, TransientError
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded
from tests.destinations.conftest import Archived, raises, rejects_unmanaged, table_of

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("amount", pa.int64()),
        pa.field("major", pa.decimal128(22, 3)),
        pa.field("created", pa.timestamp("us", tz="UTC")),
        pa.field("metadata", pa.string(), metadata={b"counterfoil": b"json"}),
    ]
)


def _row(name: str, amount: int = 1) -> dict[str, Any]:
    return {"id": name, "amount": amount, "major": None, "created": None, "metadata": '{"a": 1}'}


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace", "primary_key": ("id",)} | changes)


def _ids(destination: Destination) -> list[str]:
    return [row["id"] for row in destination.query("SELECT id FROM charges ORDER BY id").read_all().to_pylist()]


def _files(destination: Destination) -> set[str]:
    return {path.name for path in table_of(destination).glob("*.parquet")}


def test_other_readers_see_every_version(delta_destination: Destination, archived: Archived) -> None:
    states = []
    loads = [("replace", [_row("a"), _row("b")]), ("merge", [_row("b", 2), _row("c")]), ("append", [_row("d")])]
    for number, (method, rows) in enumerate(loads):
        delta_destination.load(_load(f"{number}", method=method), _SCHEMA, archived(_SCHEMA, rows))
        states.append(delta_destination.query("SELECT * FROM charges ORDER BY id").read_all().to_pylist())
    assert [[row["id"] for row in state] for state in states] == [["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"]]
    for version, state in enumerate(states):
        seen = DeltaTable(table_of(delta_destination), version=version)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("charges", seen.to_pyarrow_dataset())
            table = connection.sql("SELECT * FROM charges ORDER BY id").to_arrow_table()
        assert table.to_pylist() == state
        assert pl.from_arrow(table).to_dicts() == state
    schema = pa.schema(DeltaTable(table_of(delta_destination)).schema().to_arrow())
    assert [str(kind) for kind in schema.types] == [
        "string", "int64", "decimal128(22, 3)", "timestamp[us, tz=UTC]", "string"
    ]  # fmt: skip


def test_comments_are_stored_on_columns_and_table(delta_destination: Destination, archived: Archived) -> None:
    load = _load(comments={"id": "Stripe's id", "amount": "Minor units"}, comment="Charges")
    delta_destination.load(load, _SCHEMA, archived(_SCHEMA, [_row("a")]))
    wider = _SCHEMA.append(pa.field("new", pa.string()))
    delta_destination.load(_load("2", method="append", comments={"new": "Later", "id": "The id"}), wider, ())
    table = DeltaTable(table_of(delta_destination))
    comments = {field.name: field.metadata.get("comment") for field in table.schema().fields if field.metadata}
    assert comments == {"id": "The id", "amount": "Minor units", "new": "Later"}
    assert table.metadata().description == "Charges"


def test_load_record_survives_checkpoint_cleanup_and_vacuum(delta_destination: Destination, archived: Archived) -> None:
    first = _load(scope={"since": 5})
    delta_destination.load(first, _SCHEMA, archived(_SCHEMA, [_row("a")]))
    appended = archived(_SCHEMA, [_row("b")])
    for number in range(11):
        delta_destination.load(_load(f"append-{number}", method="append"), _SCHEMA, appended)
    table = DeltaTable(table_of(delta_destination))
    table.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 days"})
    table.create_checkpoint()
    table.cleanup_metadata()
    table.optimize.compact()
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)
    log = table_of(delta_destination) / "_delta_log"
    assert not (log / "00000000000000000000.json").exists(), "the commits of the loads were deleted"
    assert delta_destination.has_load(first)
    assert delta_destination.load(first, _SCHEMA, archived(_SCHEMA, [_row("a")])) == Loaded(rows=1, added=1)
    assert delta_destination.load(_load("append-3", method="append"), _SCHEMA, appended).rows == 1
    assert delta_destination.scopes("charges") == ({},) * 11 + ({"since": 5},)
    assert delta_destination.rows("charges") == 12
    assert len(list((table_of(delta_destination) / "_counterfoil").iterdir())) <= 5


def test_merge_keeps_files_without_changed_rows(delta_destination: Destination, archived: Archived) -> None:
    for name in ("a", "b", "c"):
        parts = archived(_SCHEMA, [_row(name), _row(f"{name}2")])
        delta_destination.load(_load(name, method="append"), _SCHEMA, parts)
    before = DeltaTable(table_of(delta_destination)).file_uris()
    parts = archived(_SCHEMA, [_row("a"), _row("b", 7), _row("d")])
    done = delta_destination.load(_load("m", method="merge"), _SCHEMA, parts)
    assert done == Loaded(rows=3, added=1, changed=1)
    after = DeltaTable(table_of(delta_destination)).file_uris()
    assert len(set(before) & set(after)) == 2
    assert len(after) == 3


@pytest.mark.thorough
def test_many_small_files_are_compacted(delta_destination: Destination, archived: Archived) -> None:
    for number in range(61):
        delta_destination.load(_load(f"{number}", method="append"), _SCHEMA, archived(_SCHEMA, [_row(f"{number:02}")]))
    assert len(DeltaTable(table_of(delta_destination)).file_uris()) < 20
    assert _ids(delta_destination) == [f"{number:02}" for number in range(61)]
    assert delta_destination.has_load(_load("0"))


def test_concurrent_commit_is_kept_and_load_starts_over(
    delta_destination: Destination, archived: Archived, tmp_path: Path, settings: Settings
) -> None:
    parts = archived(_SCHEMA, [_row("a")])
    delta_destination.load(_load(), _SCHEMA, parts)
    patient = settings.model_copy(update={"busy_seconds": 60})
    waiting = open_destination(delta_destination.name, relative_to=tmp_path, settings=patient)
    messages: list[str] = []
    for run, destination in (("impatient", delta_destination), ("patient", waiting)):
        guarded: list[str] = []

        def write_first(guarded: list[str] = guarded, run: str = run) -> None:
            if not guarded:
                rows = pa.Table.from_pylist([_row(f"external-{run}")], schema=_SCHEMA)
                write_deltalake(table_of(delta_destination), rows, mode="append")
            guarded.append(run)

        load = _load(run, method="merge")
        if destination is waiting:
            done = destination.load(
                load, _SCHEMA, archived(_SCHEMA, [_row("b")]), guard=write_first, progress=messages.append
            )
            assert (done, guarded) == (Loaded(rows=1, added=1), [run, run])
        else:
            files = _files(destination)
            with raises(DestinationBusy, "another program"):
                destination.load(load, _SCHEMA, archived(_SCHEMA, [_row("b")]), guard=write_first)
            assert not destination.has_load(load)
            assert len(_files(destination) - files) == 1, "the load left no file"
    assert _ids(waiting) == ["a", "b", "external-impatient", "external-patient"]
    assert len(messages) == 1


def test_leftovers_of_killed_first_load_do_not_block_next_load(
    delta_destination: Destination, archived: Archived
) -> None:
    folder = table_of(delta_destination)
    (folder / "_counterfoil").mkdir(parents=True)
    (folder / "_counterfoil" / "5.json").write_text('{"loads": [{"run": "run-1"}]}')
    (folder / "part-left.parquet").write_bytes(b"PAR1")
    assert delta_destination.columns("charges") is None
    assert not delta_destination.has_load(_load())
    assert delta_destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("a")])).rows == 1
    assert _ids(delta_destination) == ["a"]


def test_commit_with_lost_response_is_verified(
    delta_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    delta_destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    storage = FolderStorage(tmp_path / "stripe")
    before = TableAt(storage, "charges")
    delta_destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, [_row("b")]))
    after = TableAt(storage, "charges")
    uploaded = [name for name, *_ in after.actions()]
    commit._judge(storage, before, OSError("connection reset"), after.number or 0, uploaded)
    assert _ids(delta_destination) == ["b"], "the commit succeeded: its files stay"
    with raises(TransientError, code="unreachable"):
        commit._judge(storage, after, OSError("connection reset"), 7, [f"_counterfoil/{before.number}.json"])


@pytest.mark.parametrize("method", ["replace", "append", "merge"])
def test_unmanaged_delta_table_is_replaced_only_with_overwrite(
    delta_destination: Destination, archived: Archived, method: str
) -> None:
    write_deltalake(table_of(delta_destination), pa.table({"id": ["mine"], "amount": [1]}))
    load = _load(method=method)
    with rejects_unmanaged():
        delta_destination.load(load, _SCHEMA, archived(_SCHEMA, [_row("a")]))
    assert delta_destination.rows("charges") == 1
    assert delta_destination.scopes("charges") is None
    delta_destination.load(_load(method=method, overwrite=True), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    assert _ids(delta_destination) == (["a"] if method == "replace" else ["a", "mine"])
    assert delta_destination.has_load(load)


@pytest.mark.parametrize("overwrite", [True, False])
def test_folder_without_delta_table_is_never_overwritten(
    delta_destination: Destination, archived: Archived, overwrite: bool
) -> None:
    mine = table_of(delta_destination) / "mine.parquet"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    code = "table_not_overwritten" if overwrite else INVALID_TABLE
    with raises(DestinationRejected, "charges", code=code):
        delta_destination.load(_load(overwrite=overwrite), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    assert [path.name for path in mine.parent.iterdir()] == ["mine.parquet"]


def test_partitioned_table_is_rejected_and_others_stay_readable(
    delta_destination: Destination, archived: Archived
) -> None:
    unmanaged = pa.table({"id": ["mine"], "amount": [1]})
    write_deltalake(table_of(delta_destination), unmanaged, partition_by="id")
    delta_destination.load(_load(table="refunds"), _SCHEMA, archived(_SCHEMA, [_row("r")]))
    with raises(DestinationRejected, "charges", "partitioned", "id", code="unsupported_table"):
        delta_destination.load(_load(overwrite=True), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    assert delta_destination.query("SELECT id FROM refunds").read_all().to_pylist() == [{"id": "r"}]


def test_merge_keeps_columns_added_by_other_writers(delta_destination: Destination, archived: Archived) -> None:
    delta_destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("a"), _row("b")]))
    rows = pa.table({"id": ["external"], "external": [5]})
    write_deltalake(table_of(delta_destination), rows, mode="append", schema_mode="merge")
    done = delta_destination.load(_load("2", method="merge"), _SCHEMA, archived(_SCHEMA, [_row("a", 2), _row("b")]))
    assert done == Loaded(rows=2, changed=1)
    found = delta_destination.query("SELECT id, amount, external FROM charges ORDER BY id").read_all().to_pylist()
    assert [tuple(row.values()) for row in found] == [("a", 2, None), ("b", 1, None), ("external", None, 5)]


def test_missing_load_record_fails_load(delta_destination: Destination, archived: Archived) -> None:
    delta_destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    for record in (table_of(delta_destination) / "_counterfoil").iterdir():
        record.unlink()
    with raises(DestinationRejected, code="damaged_record"):
        delta_destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, [_row("a")]))


@pytest.mark.parametrize("method", ["replace", "append", "merge"])
def test_full_disk_leaves_table_unchanged(delta_destination: Destination, archived: Archived, method: str) -> None:
    delta_destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    files = _files(delta_destination)
    large = archived(_SCHEMA, [_row(os.urandom(500).hex(), n) for n in range(3_000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with raises(DestinationRejected, code="disk_full"):
            delta_destination.load(_load("run-2", method=method), _SCHEMA, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _ids(delta_destination) == ["a"]
    assert _files(delta_destination) == files
    assert not list((table_of(delta_destination).parent / ".counterfoil" / "loading").iterdir())


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("status 404 Not Found: NoSuchBucket at http://127.0.0.1:40301/x", DestinationRejected, "bucket_missing"),
        ("AWS Error NO_SUCH_BUCKET during ListObjectsV2", DestinationRejected, "bucket_missing"),
        ("AWS Error ACCESS_DENIED during PutObject", DestinationRejected, "access_denied"),
        ("status 403 Forbidden: AccessDenied <Key>hunter2</Key>", DestinationRejected, "access_denied"),
        ("no credentials: error sending request to 169.254.169.254", DestinationRejected, "credentials_missing"),
        ("error sending request, operation timed out", TransientError, "unreachable"),
        ("status 503 Service Unavailable: SlowDown", TransientError, "unreachable"),
        ("an unknown log at 40301", DestinationRejected, None),
    ],
)
def test_store_errors_are_mapped_without_response_text(text: str, kind: type[Exception], code: str | None) -> None:
    error = error_of(DeltaError(text), "s3://connection/forbidden")
    assert (type(error), error.code) == (kind, code)
    assert (text in error.message) == (code is None)
    assert "hunter2" not in f"{error} {error.hint}"


def test_missing_package_error_names_install_command(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("counterfoil.destinations.delta.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with raises(SettingsError, "deltalake", hint="pip install 'counterfoil[delta]'"):
        open_destination("delta:///lake", relative_to=tmp_path, settings=settings)
