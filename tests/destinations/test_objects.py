"""Tables in an object store: concurrent loads, leftover files, and other readers."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.files.table_record import Record
from counterfoil.destinations.object_store.errors import error_of
from counterfoil.destinations.object_store.manifest import Manifest
from counterfoil.destinations.object_store.store import Store
from counterfoil.destinations.object_store.tables import ObjectTable
from counterfoil.destinations.object_store.url import store_address
from counterfoil.errors import (
    CounterfoilError,
    DestinationBusy,
    DestinationRejected,
    RunError,
    SettingsError,
    TransientError,
)
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived, create_unmanaged_table, files_of, raises, rejects_unmanaged, root_of
from tests.objects import ENVIRONMENT, Objects

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "ch_1", "amount": 1050}]


def _load(run: str, **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace", "order": ("id",)} | changes)


def _ids(destination: Destination) -> list[str]:
    return [row["id"] for row in destination.query("SELECT id FROM charges ORDER BY id").read_all().to_pylist()]


def _table(destination: Destination) -> ObjectTable:
    return ObjectTable(Store(store_address(destination.name)), "charges")


def _objects(destination: Destination) -> list[str]:
    root = f"{root_of(destination)}/charges"
    return [path.removeprefix(f"{root}/") for path in files_of(destination).find(root)]


@pytest.fixture
def loaded(s3_destination: Destination, archived: Archived) -> Destination:
    s3_destination.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, _ROWS))
    return s3_destination


def test_second_of_two_concurrent_loads_fails_and_can_be_repeated(loaded: Destination, archived: Archived) -> None:
    table = _table(loaded)
    first = table.current()
    assert first
    other = Manifest(2, Record(first.record.columns, 1), first.files, after=first.id)
    parts = archived(_SCHEMA, [{"id": "ch_2", "amount": 2}])
    append = _load("run-2", method="append")
    with raises(DestinationBusy, "s3://", code="concurrent_load"):
        loaded.load(append, _SCHEMA, parts, guard=lambda: table.publish(other))
    assert _ids(loaded) == ["ch_1"]
    assert not loaded.has_load(append)
    assert loaded.load(append, _SCHEMA, parts).rows == 1
    assert _ids(loaded) == ["ch_1", "ch_2"]


def test_table_dropped_during_load_stays_dropped(loaded: Destination, archived: Archived) -> None:
    table = _table(loaded)

    def drop() -> None:
        current = table.current()
        assert current
        table.drop(current)

    with pytest.raises(DestinationBusy):
        loaded.load(_load("run-2", method="append"), _SCHEMA, archived(_SCHEMA, _ROWS), guard=drop)
    assert loaded.columns("charges") is None
    loaded.load(_load("run-3"), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert _ids(loaded) == ["ch_1"]


def test_manifest_sent_twice_counts_and_late_manifest_is_rejected(loaded: Destination) -> None:
    table = _table(loaded)
    first = table.current()
    assert first
    sent = Manifest(2, first.record, first.files, after=first.id)
    table.publish(sent)
    table.publish(sent)
    late = Manifest(2, first.record, first.files, after=first.id)
    for number in (2, 3):
        loaded.load(_load(f"run-{number}"), _SCHEMA, ())
    assert "_counterfoil/00000002.json" not in _objects(loaded)
    with pytest.raises(DestinationBusy):
        table.publish(late)
    assert loaded.rows("charges") == 0


def test_only_current_and_previous_version_are_kept(loaded: Destination, archived: Archived, tmp_path: Path) -> None:
    table = _table(loaded)
    first = table.current()
    assert first
    loaded.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert pq.read_table(table.fetch(first.files[0].path, tmp_path / "x.parquet")).num_rows == 1
    loaded.load(_load("run-3"), _SCHEMA, archived(_SCHEMA, _ROWS))
    with raises(TransientError, first.files[0].path, code="version_replaced"):
        table.fetch(first.files[0].path, tmp_path / "y.parquet")
    numbers = sorted(path[:8] for path in _objects(loaded) if path.endswith(".parquet"))
    assert numbers == ["00000002", "00000003"]


def test_load_removes_leftovers_but_not_files_of_later_version(loaded: Destination, archived: Archived) -> None:
    files, root = files_of(loaded), f"{root_of(loaded)}/charges"
    for name in ("00000002-0123abcd-killed.parquet", "00000003-0123abcd-now.parquet", "mine.txt"):
        files.pipe_file(f"{root}/{name}", b"left")
    loaded.load(_load("run-2", method="append"), _SCHEMA, ())
    left = set(_objects(loaded))
    assert not any("killed" in path for path in left)
    assert {"00000003-0123abcd-now.parquet", "mine.txt"} <= left
    assert _ids(loaded) == ["ch_1"]


def test_append_lists_existing_files_again(loaded: Destination, archived: Archived) -> None:
    before = _table(loaded).current()
    loaded.load(_load("run-2", method="append"), _SCHEMA, archived(_SCHEMA, _ROWS))
    now = _table(loaded).current()
    assert before
    assert now
    assert before.paths < now.paths
    assert len(now.files) == 2
    assert [entry.rows for entry in now.files] == [1, 1]


def test_other_programs_read_files_of_manifest(
    loaded: Destination, archived: Archived, objects: Objects, tmp_path: Path
) -> None:
    loaded.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, [{"id": "ch_2", "amount": 2}]))
    table, files = f"{root_of(loaded)}/charges", files_of(loaded)
    manifest = json.loads(files.cat_file(max(files.ls(f"{table}/_counterfoil", detail=False))))
    paths = [f"{table}/{file['path']}" for file in manifest["files"]]
    expected = [{"id": "ch_2", "amount": 2}]
    assert pd.read_parquet(paths, filesystem=files).to_dict("records") == expected
    options = {
        "aws_access_key_id": ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
        "aws_region": "us-east-1",
        "endpoint_url": objects.endpoint,
    }
    scanned = pl.scan_parquet([f"s3://{path}" for path in paths], storage_options=options)
    assert scanned.collect().to_dicts() == expected
    # DuckDB needs a downloaded extension to read stores; the query is the same for a folder.
    files.get(f"{table}/", f"{tmp_path}/copy/", recursive=True)
    with duckdb.connect() as connection:
        connection.execute(_MANIFEST_QUERY.replace("s3://bucket/stripe", f"{tmp_path}/copy").replace("/charges", ""))
        rows = connection.sql("SELECT * FROM read_parquet(getvariable('charges'))")
        assert rows.to_arrow_table().to_pylist() == expected
    assert len(list((tmp_path / "copy").glob("*.parquet"))) == 2, "a plain glob also matches the previous version"


_MANIFEST_QUERY = """
SET VARIABLE charges = (
    SELECT list('s3://bucket/stripe/charges/' || file.path) FROM (
        SELECT unnest(files) AS file FROM (
            SELECT files FROM read_json('s3://bucket/stripe/charges/_counterfoil/*.json', filename = true)
            ORDER BY filename DESC LIMIT 1
        )
    )
);
"""


def test_manifest_query_matches_docs() -> None:
    docs = Path(__file__).parents[2] / "docs/destinations.md"
    assert _MANIFEST_QUERY.strip() in docs.read_text()


@pytest.mark.parametrize(
    ("data", "code"), [(b'{"format": ', "damaged_record"), (b'{"format": 2}', "unsupported_format")]
)
def test_unreadable_manifest_is_rejected_and_unchanged(loaded: Destination, data: bytes, code: str) -> None:
    path = f"{root_of(loaded)}/charges/_counterfoil/00000001.json"
    files_of(loaded).pipe_file(path, data)
    with raises(DestinationRejected, "00000001.json", code=code):
        loaded.load(_load("run-2", overwrite=True), _SCHEMA, ())
    assert files_of(loaded).cat_file(path) == data


@pytest.mark.parametrize("method", ["replace", "append"])
def test_only_parquet_files_can_be_overwritten(s3_destination: Destination, archived: Archived, method: str) -> None:
    create_unmanaged_table(s3_destination, "SELECT 'mine' AS id, 1::BIGINT AS amount")
    assert (s3_destination.rows("charges"), _ids(s3_destination)) == (1, ["mine"])
    with rejects_unmanaged():
        s3_destination.drop("charges")
    thesis = f"{root_of(s3_destination)}/charges/thesis.txt"
    files_of(s3_destination).pipe_file(thesis, b"keep me")
    load = _load("run-1", method=method, overwrite=True)
    with raises(DestinationRejected, "charges", code="table_not_overwritten"):
        s3_destination.load(load, _SCHEMA, archived(_SCHEMA, _ROWS))
    files_of(s3_destination).rm(thesis)
    s3_destination.load(load, _SCHEMA, archived(_SCHEMA, _ROWS))
    assert _ids(s3_destination) == (["ch_1", "mine"] if method == "append" else ["ch_1"])
    assert ("mine.parquet" in _objects(s3_destination)) == (method == "append")


def test_large_file_is_transferred_in_chunks(s3_destination: Destination, tmp_path: Path) -> None:
    store, large = Store(store_address(s3_destination.name)), tmp_path / "large"
    large.write_bytes(bytes(range(256)) * (17 << 12))
    calls: list[bool] = []

    def stop() -> bool:
        calls.append(True)
        return len(calls) > 3

    with raises(RunError, code="load_canceled"):
        store.put(large, "large", stop)
    assert store.sizes("") == {}
    store.put(large, "large")
    assert store.get("large", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == large.read_bytes()


def test_missing_bucket_is_rejected(objects: Objects, tmp_path: Path, settings: Settings) -> None:
    url = f"s3://nowhere-{objects.bucket()}/x?endpoint={objects.endpoint}"
    destination = open_destination(url, relative_to=tmp_path, settings=settings)
    for call in (destination.check, lambda: destination.load(_load("run-1"), _SCHEMA, ())):
        with raises(DestinationRejected, "s3://nowhere", code="bucket_missing"):
            call()


def test_unreachable_store_raises_transient_error(
    objects: Objects, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    url = "s3://bucket/x?endpoint=http://127.0.0.1:1"
    with raises(TransientError, "s3://bucket/x", code="unreachable"):
        open_destination(url, relative_to=tmp_path, settings=settings).check()


@pytest.mark.parametrize(
    ("status", "name", "kind", "code"),
    [
        (503, "SlowDown", TransientError, "unreachable"),
        (500, "InternalError", TransientError, "unreachable"),
        (403, "AccessDenied", DestinationRejected, "access_denied"),
        (403, "ExpiredToken", DestinationRejected, "access_denied"),
        (301, "PermanentRedirect", DestinationRejected, "wrong_region"),
        (400, "InvalidRequest", DestinationRejected, "request_rejected"),
    ],
)
def test_store_errors_are_mapped(status: int, name: str, kind: type[Exception], code: str) -> None:
    response = {"Error": {"Code": name, "Message": "AKIAhunter2"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error = error_of(ClientError(response, "PutObject"), store_address("s3://bucket/x"))  # type: ignore[arg-type]
    assert isinstance(error, CounterfoilError)
    assert (type(error), error.code) == (kind, code)
    assert (name in error.message) == (code != "wrong_region")
    assert "hunter2" not in f"{error}{error.hint}"


def test_missing_credentials_error_names_variables() -> None:
    error = error_of(NoCredentialsError(), store_address("s3://bucket/x"))
    assert isinstance(error, DestinationRejected)
    assert error.code == "credentials_missing"
    assert "AWS_ACCESS_KEY_ID" in str(error.hint)


@pytest.mark.parametrize(("url", "library", "extra"), [("gs://b/x", "gcsfs", "gcs"), ("az://b/x", "adlfs", "azure")])
def test_missing_library_error_names_install_command(
    url: str, library: str, extra: str, tmp_path: Path, settings: Settings
) -> None:
    if find_spec(library):
        pytest.skip(f"{library} is installed")
    with raises(SettingsError, library, hint=f"pip install 'counterfoil[{extra}]'"):
        open_destination(url, relative_to=tmp_path, settings=settings)


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:hunter2@bucket/x",
        "s3://bucket/x?secret=hunter2",
        "s3://bucket/x?hunter2",
        "s3://bucket/x?endpoint=http://me:hunter2@host",
        "gs://bucket/x?token=hunter2",
        "az://hunter2:x@container/x",
        "az://container/x?sas_token=hunter2",
        "s3:hunter2@bucket",
        "s3://?hunter2=1",
        "s3://bucket/*?region=hunter2",
    ],
)
def test_credentials_in_url_are_rejected_and_not_repeated(url: str, tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(SettingsError) as caught:
        open_destination(url, relative_to=tmp_path, settings=settings)
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value!r}"


def test_url_is_normalized() -> None:
    named = {
        "S3://bucket/": "s3://bucket",
        "s3://bucket/a b/?region=eu-west-1&endpoint=http://h": "s3://bucket/a b?endpoint=http://h&region=eu-west-1",
        "gcs://bucket/x?partition=month": "gs://bucket/x?partition=month",
        "abfss://box@shop.dfs.core.windows.net/x": "az://box/x?account=shop",
    }
    assert {url: store_address(url).name for url in named} == named
    assert {store_address(name).name for name in named.values()} == set(named.values())


def test_failed_upload_removes_uploaded_files(loaded: Destination, tmp_path: Path) -> None:
    before = _objects(loaded)
    (tmp_path / "next").mkdir()
    pq.write_table(pa.Table.from_pylist(_ROWS, schema=_SCHEMA), tmp_path / "next/a.parquet")
    (tmp_path / "next/b.parquet").write_bytes(b"no Parquet")
    with pytest.raises(pa.ArrowInvalid):
        _table(loaded).upload(tmp_path / "next", 2, None, None)
    assert _objects(loaded) == before
