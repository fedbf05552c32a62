"""Delta tables: what other readers see, what outlives clean-ups, and who else writes."""

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
from counterfoil.errors import DestinationBusy, DestinationRejected, SettingsError, TransientError
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded
from tests.destinations.conftest import Archived, table_of

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


def test_other_readers_see_every_load_and_the_table_as_it_was_before(
    delta_destination: Destination, archived: Archived
) -> None:
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


def test_comments_are_those_of_columns_and_table(delta_destination: Destination, archived: Archived) -> None:
    load = _load(comments={"id": "Stripe's id", "amount": "Minor units"}, comment="Charges")
    delta_destination.load(load, _SCHEMA, archived(_SCHEMA, [_row("a")]))
    wider = _SCHEMA.append(pa.field("new", pa.string()))
    delta_destination.load(_load("2", method="append", comments={"new": "Later", "id": "The id"}), wider, ())
    table = DeltaTable(table_of(delta_destination))
    comments = {field.name: field.metadata.get("comment") for field in table.schema().fields if field.metadata}
    assert comments == {"id": "The id", "amount": "Minor units", "new": "Later"}
    assert table.metadata().description == "Charges"


def test_what_is_noted_of_loads_outlives_checkpoints_clean_up_and_vacuum(
    delta_destination: Destination, archived: Archived
) -> None:
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
    assert not (log / "00000000000000000000.json").exists(), "the commits of the loads are gone"
    assert delta_destination.has_load(first)
    assert delta_destination.load(first, _SCHEMA, archived(_SCHEMA, [_row("a")])) == Loaded(rows=1, added=1)
    assert delta_destination.load(_load("append-3", method="append"), _SCHEMA, appended).rows == 1
    assert delta_destination.scopes("charges") == ({},) * 11 + ({"since": 5},)
    assert delta_destination.rows("charges") == 12
    assert len(list((table_of(delta_destination) / "_counterfoil").iterdir())) <= 5


def test_files_without_a_row_that_differs_stay_as_they_are(delta_destination: Destination, archived: Archived) -> None:
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
def test_many_small_files_are_put_together(delta_destination: Destination, archived: Archived) -> None:
    for number in range(61):
        delta_destination.load(_load(f"{number}", method="append"), _SCHEMA, archived(_SCHEMA, [_row(f"{number:02}")]))
    assert len(DeltaTable(table_of(delta_destination)).file_uris()) < 20
    assert _ids(delta_destination) == [f"{number:02}" for number in range(61)]
    assert delta_destination.has_load(_load("0"))


def test_who_was_quicker_is_kept_and_the_load_begins_anew(
    delta_destination: Destination, archived: Archived, tmp_path: Path, settings: Settings
) -> None:
    parts = archived(_SCHEMA, [_row("a")])
    delta_destination.load(_load(), _SCHEMA, parts)
    patient = settings.model_copy(update={"busy_seconds": 60})
    waiting = open_destination(delta_destination.name, relative_to=tmp_path, settings=patient)
    told: list[str] = []
    for run, destination in (("impatient", delta_destination), ("patient", waiting)):
        asked: list[str] = []

        def meanwhile(asked: list[str] = asked, run: str = run) -> None:
            if not asked:
                rows = pa.Table.from_pylist([_row(f"theirs-{run}")], schema=_SCHEMA)
                write_deltalake(table_of(delta_destination), rows, mode="append")
            asked.append(run)

        load = _load(run, method="merge")
        if destination is waiting:
            done = destination.load(
                load, _SCHEMA, archived(_SCHEMA, [_row("b")]), guard=meanwhile, progress=told.append
            )
            assert (done, asked) == (Loaded(rows=1, added=1), [run, run])
        else:
            files = _files(destination)
            with pytest.raises(DestinationBusy, match="held by another program that writes to the table"):
                destination.load(load, _SCHEMA, archived(_SCHEMA, [_row("b")]), guard=meanwhile)
            assert not destination.has_load(load)
            assert len(_files(destination) - files) == 1, "of the load nothing is left"
    assert _ids(waiting) == ["a", "b", "theirs-impatient", "theirs-patient"]
    assert len(told) == 1


def test_a_first_load_that_was_killed_before_its_commit_stands_in_nobodys_way(
    delta_destination: Destination, archived: Archived
) -> None:
    left = table_of(delta_destination)
    (left / "_counterfoil").mkdir(parents=True)
    (left / "_counterfoil" / "5.json").write_text('{"loads": [{"run": "run-1"}]}')
    (left / "part-left.parquet").write_bytes(b"PAR1")
    assert delta_destination.columns("charges") is None
    assert not delta_destination.has_load(_load())
    assert delta_destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("a")])).rows == 1
    assert _ids(delta_destination) == ["a"]


def test_a_commit_whose_answer_was_lost_is_looked_up(
    delta_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    delta_destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    storage = FolderStorage(tmp_path / "stripe")
    before = TableAt(storage, "charges")
    delta_destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, [_row("b")]))
    after = TableAt(storage, "charges")
    brought = [name for name, *_ in after.actions()]
    commit._judge(storage, before, OSError("connection reset"), after.number or 0, brought)
    assert _ids(delta_destination) == ["b"], "it was made: nothing is taken back"
    with pytest.raises(TransientError, match="can't be reached"):
        commit._judge(storage, after, OSError("connection reset"), 7, [f"_counterfoil/{before.number}.json"])


@pytest.mark.parametrize("method", ["replace", "append", "merge"])
def test_a_delta_table_of_somebody_elses_is_overwritten_only_if_told(
    delta_destination: Destination, archived: Archived, method: str
) -> None:
    write_deltalake(table_of(delta_destination), pa.table({"id": ["mine"], "amount": [1]}))
    load = _load(method=method)
    with pytest.raises(DestinationRejected, match="not made by Counterfoil"):
        delta_destination.load(load, _SCHEMA, archived(_SCHEMA, [_row("a")]))
    assert delta_destination.rows("charges") == 1
    assert delta_destination.scopes("charges") is None
    delta_destination.load(_load(method=method, overwrite=True), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    assert _ids(delta_destination) == (["a"] if method == "replace" else ["a", "mine"])
    assert delta_destination.has_load(load)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_that_is_no_delta_table_is_never_overwritten(
    delta_destination: Destination, archived: Archived, overwrite: bool
) -> None:
    mine = table_of(delta_destination) / "mine.parquet"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    words = "something else than a Delta table" if overwrite else "not made by Counterfoil"
    with pytest.raises(DestinationRejected, match=words):
        delta_destination.load(_load(overwrite=overwrite), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    assert [path.name for path in mine.parent.iterdir()] == ["mine.parquet"]


def test_a_table_that_others_partitioned_is_refused_and_hides_no_other(
    delta_destination: Destination, archived: Archived
) -> None:
    theirs = pa.table({"id": ["mine"], "amount": [1]})
    write_deltalake(table_of(delta_destination), theirs, partition_by="id")
    delta_destination.load(_load(table="refunds"), _SCHEMA, archived(_SCHEMA, [_row("r")]))
    with pytest.raises(DestinationRejected, match="is partitioned by id"):
        delta_destination.load(_load(overwrite=True), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    assert delta_destination.query("SELECT id FROM refunds").read_all().to_pylist() == [{"id": "r"}]


def test_columns_that_others_added_are_read_as_null_and_merged(
    delta_destination: Destination, archived: Archived
) -> None:
    delta_destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("a"), _row("b")]))
    rows = pa.table({"id": ["theirs"], "theirs": [5]})
    write_deltalake(table_of(delta_destination), rows, mode="append", schema_mode="merge")
    done = delta_destination.load(_load("2", method="merge"), _SCHEMA, archived(_SCHEMA, [_row("a", 2), _row("b")]))
    assert done == Loaded(rows=2, changed=1)
    found = delta_destination.query("SELECT id, amount, theirs FROM charges ORDER BY id").read_all().to_pylist()
    assert [tuple(row.values()) for row in found] == [("a", 2, None), ("b", 1, None), ("theirs", None, 5)]


def test_a_record_that_is_gone_is_told(delta_destination: Destination, archived: Archived) -> None:
    delta_destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    for record in (table_of(delta_destination) / "_counterfoil").iterdir():
        record.unlink()
    with pytest.raises(DestinationRejected, match="is damaged or gone"):
        delta_destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, [_row("a")]))


@pytest.mark.parametrize("method", ["replace", "append", "merge"])
def test_a_full_disk_is_told_and_the_table_is_as_it_was(
    delta_destination: Destination, archived: Archived, method: str
) -> None:
    delta_destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    files = _files(delta_destination)
    large = archived(_SCHEMA, [_row(os.urandom(500).hex(), n) for n in range(3_000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(DestinationRejected, match="disk is full"):
            delta_destination.load(_load("run-2", method=method), _SCHEMA, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _ids(delta_destination) == ["a"]
    assert _files(delta_destination) == files
    assert not list((table_of(delta_destination).parent / ".counterfoil" / "loading").iterdir())


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("status 404 Not Found: NoSuchBucket at http://127.0.0.1:40301/x", DestinationRejected, "bucket that is not"),
        ("AWS Error NO_SUCH_BUCKET during ListObjectsV2", DestinationRejected, "bucket that is not"),
        ("AWS Error ACCESS_DENIED during PutObject", DestinationRejected, "may not be read"),
        ("status 403 Forbidden: AccessDenied <Key>hunter2</Key>", DestinationRejected, "may not be read"),
        ("no credentials: error sending request to 169.254.169.254", DestinationRejected, "no credentials"),
        ("error sending request, operation timed out", TransientError, "can't be reached"),
        ("status 503 Service Unavailable: SlowDown", TransientError, "can't be reached"),
        ("a log that nobody understands at 40301", DestinationRejected, "nobody understands"),
    ],
)
def test_what_a_store_says_is_told_in_words_of_ours(said: str, kind: type[Exception], words: str) -> None:
    told = error_of(DeltaError(said), "s3://connection/forbidden")
    assert type(told) is kind
    assert words in f"{told}"
    assert "hunter2" not in f"{told} {told.hint}"


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("counterfoil.destinations.delta.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(SettingsError, match="need the package deltalake") as refused:
        open_destination("delta:///lake", relative_to=tmp_path, settings=settings)
    assert "pip install 'counterfoil[delta]'" in str(refused.value.hint)
