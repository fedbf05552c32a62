"""Delta tables in a bucket: the same rules without a lock, and no credentials in URLs or errors."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from counterfoil.destinations import Destination, open_destination
from counterfoil.errors import DestinationBusy, DestinationRejected, RunError, SettingsError
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Window
from tests.destinations.conftest import Archived, raises
from tests.objects import Objects

_SCHEMA = pa.schema(
    [pa.field("id", pa.string()), pa.field("amount", pa.int64()), pa.field("created", pa.timestamp("us", tz="UTC"))]
)
_START = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


def _row(name: str, amount: int = 1, day: int = 0) -> dict[str, Any]:
    return {"id": name, "amount": amount, "created": _START + dt.timedelta(days=day)}


def _load(run: str, **changes: Any) -> Load:
    start = {"run": run, "table": "charges", "method": "replace", "primary_key": ("id",), "created": "created"}
    return Load(**start | changes)


def _ids(destination: Destination) -> list[str]:
    return [row["id"] for row in destination.query("SELECT id FROM charges ORDER BY id").read_all().to_pylist()]


@pytest.fixture
def lake(objects: Objects) -> str:
    """The URL of an empty prefix."""
    return f"delta+s3://{objects.bucket()}/lake?endpoint={objects.endpoint}"


@pytest.fixture
def destination(lake: str, settings: Settings) -> Destination:
    return open_destination(lake, relative_to=Path("/"), settings=settings)


def test_each_method_loads_and_counts_once(
    destination: Destination, archived: Archived, lake: str, objects: Objects, settings: Settings
) -> None:
    destination.check()
    assert (destination.columns("charges"), destination.rows("charges"), destination.scopes("charges")) == (None,) * 3
    for load, rows, done in (
        (_load("1"), [_row("a"), _row("b", day=1)], Loaded(rows=2, added=2)),
        (_load("2", method="append"), [_row("c", day=2)], Loaded(rows=1, added=1)),
        (_load("3", method="merge"), [_row("a", 2), _row("d")], Loaded(rows=2, added=1, changed=1)),
        (_load("4", method="partition", covers=(Window(int(_START.timestamp()) + 86_400),)), [], Loaded(deleted=2)),
    ):
        parts = archived(_SCHEMA, rows) if rows else ()
        assert [destination.load(load, _SCHEMA, parts) for _ in range(2)] == [done] * 2
    assert destination.query("SELECT id, amount FROM charges ORDER BY id").read_all().to_pylist() == [
        {"id": "a", "amount": 2}, {"id": "d", "amount": 1}
    ]  # fmt: skip
    options = {"AWS_ENDPOINT_URL": objects.endpoint, "AWS_ALLOW_HTTP": "true"}
    bucket = lake.partition("//")[2].partition("/")[0]
    seen = DeltaTable(f"s3://{bucket}/lake/charges", storage_options=options)
    assert (seen.version(), seen.count()) == (3, 2)
    assert not list((settings.home / "delta").iterdir()), "no temporary files stay on this machine"
    destination.replay([(_load("1"), archived(_SCHEMA, [_row("z")]))], _SCHEMA, run="back")
    assert _ids(destination) == ["z"]
    assert destination.drop("charges")
    assert destination.columns("charges") is None
    assert not [path for path in objects.files.find(bucket) if "charges" in path and not path.endswith("/")]


def test_second_commit_to_same_version_is_rejected_and_repeated(
    destination: Destination, archived: Archived, lake: str, settings: Settings
) -> None:
    destination.load(_load("1"), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    patient = open_destination(lake, relative_to=Path("/"), settings=settings.model_copy(update={"busy_seconds": 60}))
    for name, loading in (("b", destination), ("c", patient)):
        pending = [_load(f"other-{name}", method="append")]

        def load_first(pending: list[Load] = pending, name: str = name) -> None:
            for _ in range(len(pending)):
                destination.load(pending.pop(), _SCHEMA, archived(_SCHEMA, [_row(f"other-{name}")]))

        load = _load(name, method="append")
        if loading is destination:
            with pytest.raises(DestinationBusy):
                loading.load(load, _SCHEMA, archived(_SCHEMA, [_row(name)]), guard=load_first)
        else:
            assert loading.load(load, _SCHEMA, archived(_SCHEMA, [_row(name)]), guard=load_first).rows == 1
    assert _ids(destination) == ["a", "c", "other-b", "other-c"]


def test_failing_guard_leaves_bucket_empty(
    destination: Destination, archived: Archived, objects: Objects, lake: str
) -> None:
    def refuse() -> None:
        raise RunError("lease lost")

    bucket = lake.partition("//")[2].partition("/")[0]
    with pytest.raises(RunError, match="lease lost"):
        destination.load(_load("1"), _SCHEMA, archived(_SCHEMA, [_row("a")]), guard=refuse)
    assert not [path for path in objects.files.find(bucket) if not path.endswith("/")]


def test_missing_bucket_is_rejected(objects: Objects, settings: Settings) -> None:
    url = f"delta+s3://no-such-bucket/lake?endpoint={objects.endpoint}"
    destination = open_destination(url, relative_to=Path("/"), settings=settings)
    with raises(DestinationRejected, code="bucket_missing"):
        destination.check()
    with raises(DestinationRejected, code="bucket_missing"):
        destination.load(_load("1"), _SCHEMA, ())


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("delta+s3://key:hunter2@bucket/lake", "password"),
        ("delta+s3://bucket/lake?endpoint=http://key:hunter2@host", "endpoint"),
        ("delta+s3://bucket/lake?secret=hunter2", "parameter"),
        ("delta+s3://bucket/lake?endpoint=http://host&secret=hunter2", "parameter"),
        ("delta+s3://bucket/lake?endpoint=host", "endpoint"),
        ("delta+s3:///lake", "slashes"),
        ("delta+s3:lake", "slashes"),
    ],
)
def test_url_without_bucket_or_with_secret_is_rejected(url: str, value: str, settings: Settings) -> None:
    with raises(SettingsError, value) as caught:
        open_destination(url, relative_to=Path("/"), settings=settings)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
