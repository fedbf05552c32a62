"""A load that its guard rejects, or that is canceled, leaves the table unchanged."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from counterfoil.archive import Archive
from counterfoil.destinations import Destination, open_destination
from counterfoil.errors import RunError
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Part
from tests.destinations.conftest import Archived, raises

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "ch_1", "amount": 1050}]


class Rejected(Exception):
    """The error that a guard raises."""


def _load(run: str, **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace", "primary_key": ("id",)} | changes)


def _loading(destination: Destination, run: str, parts: Sequence[Part], **how: Any) -> Loaded:
    return destination.load(_load(run), _SCHEMA, parts, **how)


def _replaying(destination: Destination, run: str, parts: Sequence[Part], **how: Any) -> Loaded:
    return destination.replay([(_load("old"), parts)], _SCHEMA, run=run, **how)


def _is_watching() -> bool:
    """While statements run, the watching thread calls `stop`; before that, the loading thread does."""
    return threading.current_thread().name.startswith("stopping")


def _rows(destination: Destination) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = destination.query("SELECT * FROM charges").read_all().to_pylist()
    return found


@pytest.mark.parametrize("call", [_loading, _replaying])
def test_failing_guard_rolls_back(destination: Destination, archived: Archived, call: Any) -> None:
    destination.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, _ROWS))
    parts = archived(_SCHEMA, [{"id": "ch_2", "amount": 2}])
    seen: list[object] = []

    def refuse() -> None:
        seen.append(_rows(destination))
        raise Rejected

    with pytest.raises(Rejected):
        call(destination, "run-2", parts, guard=refuse)
    assert seen == [_ROWS], "the new rows are invisible before the guard returns"
    assert _rows(destination) == _ROWS
    assert not destination.has_load(_load("run-2"))
    assert call(destination, "run-2", parts, guard=lambda: None).rows == 1
    assert [row["id"] for row in _rows(destination)] == ["ch_2"]


@pytest.mark.parametrize("call", [_loading, _replaying])
def test_load_canceled_before_start_does_nothing(destination: Destination, archived: Archived, call: Any) -> None:
    with raises(RunError, code="load_canceled"):
        call(destination, "run-1", archived(_SCHEMA, _ROWS), stop=lambda: True)
    assert destination.columns("charges") is None


@pytest.mark.parametrize("call", [_loading, _replaying])
def test_long_load_is_canceled_within_two_seconds(
    destination: Destination, archived: Archived, settings: Settings, call: Any
) -> None:
    destination.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, _ROWS))
    with Archive(settings.archive / "large", _SCHEMA) as archive:
        archive.write(pa.RecordBatch.from_pydict({"id": ["x" * 500] * 9_000, "amount": range(9_000)}, schema=_SCHEMA))
    # Minutes of work, unless it is canceled.
    parts = archive.parts() * 2_000
    requested: list[float] = []

    def stop() -> bool:
        if not _is_watching():
            return False
        requested.append(time.monotonic())
        return True

    with raises(RunError, code="load_canceled"):
        call(destination, "run-2", parts, stop=stop)
    assert time.monotonic() - requested[0] < 2
    assert _rows(destination) == _ROWS
    assert not destination.has_load(_load("run-2"))


def test_failing_stop_ends_load_with_its_error(
    destination: Destination, archived: Archived, settings: Settings
) -> None:
    def stop() -> bool:
        if _is_watching():
            raise Rejected
        return False

    with Archive(settings.archive / "large", _SCHEMA) as archive:
        archive.write(pa.RecordBatch.from_pydict({"id": ["x" * 500] * 9_000, "amount": range(9_000)}, schema=_SCHEMA))
    with pytest.raises(Rejected):
        destination.load(_load("run-2"), _SCHEMA, archive.parts() * 2_000, stop=stop)
    assert destination.columns("charges") is None


def test_load_without_cancellation_completes(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, _ROWS)
    assert destination.load(_load("run-1"), _SCHEMA, parts, stop=lambda: False) == Loaded(rows=1, added=1)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("stopping")]


def test_waiting_load_is_canceled(
    destination: Destination, archived: Archived, tmp_path: Any, settings: Settings
) -> None:
    parts = archived(_SCHEMA, _ROWS)
    patient = settings.model_copy(update={"busy_seconds": 60})
    waiting = open_destination(destination.name, relative_to=tmp_path, settings=patient)
    inside, leave, requested = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        assert leave.wait(60)

    def stop() -> bool:
        requested.set()
        return True

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(destination.load, _load("run-1"), _SCHEMA, parts, guard=hold)
        assert inside.wait(60)
        try:
            second = threads.submit(waiting.load, _load("run-2"), _SCHEMA, parts, stop=stop)
            with raises(RunError, code="load_canceled"):
                second.result(60)
        finally:
            leave.set()
        assert first.result(60).rows == 1
    assert requested.is_set()
    assert not destination.has_load(_load("run-2"))
