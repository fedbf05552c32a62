"""Domo specifics: names that are not unique, the record in a description, and the format of values."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from counterfoil.archive import Archive
from counterfoil.destinations import Destination
from counterfoil.destinations.domo.destination import DomoDestination
from counterfoil.errors import (
    DestinationRejected,
)
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded
from tests.destinations.conftest import Archived, raises, rejects_unmanaged
from tests.domo_api import DomoServer

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "ch_1", "amount": 1050}, {"id": "ch_2", "amount": None}]
_NEXT = [{"id": "ch_3", "amount": 3}]


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace"} | changes)


def _open(server: DomoServer, settings: Settings, **how: Any) -> DomoDestination:
    return DomoDestination(server.url(), settings, wait_seconds=0.01, **how)


@pytest.fixture
def destination(domo_destination: Destination) -> Destination:
    return domo_destination


def test_prefix_is_added_to_dataset_names(domo_server: DomoServer, settings: Settings, archived: Archived) -> None:
    destination = DomoDestination(domo_server.url(prefix="Stripe%20"), settings)
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert domo_server.rows("Stripe charges") == _ROWS
    assert destination.rows("charges") == 2
    assert destination.rows("Stripe charges") is None


def test_table_is_found_among_similar_names(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    for number in range(60):
        domo_server.make(f"{number} Charges of mine", [{"id": "x"}])
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    domo_server.make("charges", [{"id": "unmanaged, with the same name"}])
    assert destination.rows("charges") == 2
    assert destination.load(_load("run-2", method="append"), _SCHEMA, archived(_SCHEMA, _NEXT)).rows == 1
    assert destination.rows("charges") == 3


def test_unmanaged_dataset_is_replaced_only_with_overwrite_and_stream(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    mine = domo_server.make("charges", [{"id": "mine"}])
    parts = archived(_SCHEMA, _ROWS)
    for load in (_load(), _load(method="append")):
        with rejects_unmanaged():
            destination.load(load, _SCHEMA, parts)
    with rejects_unmanaged():
        destination.drop("charges")
    with raises(DestinationRejected, "charges", code="stream_missing"):
        destination.load(_load(overwrite=True), _SCHEMA, parts)
    assert domo_server.rows("charges") == [{"id": "mine"}]
    assert destination.scopes("charges") is None
    assert destination.columns("charges") == (("id", "STRING"),)
    del domo_server.datasets[mine.id]
    domo_server.make("charges", [{"id": "mine"}], by_stream=True)
    with pytest.raises(ZeroDivisionError):
        destination.load(_load(overwrite=True), _SCHEMA, parts, guard=lambda: 1 / 0)
    assert domo_server.rows("charges") == [{"id": "mine"}]
    assert destination.scopes("charges") is None
    assert destination.load(_load(overwrite=True), _SCHEMA, parts) == Loaded(rows=2, added=2, deleted=1)
    assert domo_server.rows("charges") == _ROWS


def test_two_managed_datasets_with_one_name_are_rejected(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    first = domo_server.dataset("charges")
    assert first
    other = domo_server.make("charges", [{"id": "a copy"}])
    other.description = first.description
    with raises(DestinationRejected, "2 DataSets", "charges", hint=str(first.id)):
        destination.rows("charges")


def test_description_has_comment_and_record_and_damage_is_rejected(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    load = _load(comment="Charges\nof the shop", report="charges", account="acct_1", scope={"since": 7})
    destination.load(load, _SCHEMA, archived(_SCHEMA, _ROWS))
    dataset = domo_server.dataset("charges")
    assert dataset
    assert dataset.description.startswith("Charges\nof the shop\n\nKept by Counterfoil")
    assert destination.scopes("charges") == ({"since": 7},)
    dataset.description += " and more text"
    with raises(DestinationRejected, "charges", code="damaged_record"):
        destination.has_load(load)


def test_row_policies_stay_enabled(domo_server: DomoServer, destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    dataset = domo_server.dataset("charges")
    assert dataset
    assert not dataset.policies
    dataset.policies = True
    other = pa.schema([pa.field("other", pa.string())])
    destination.load(_load("run-2"), other, archived(other, [{"other": "x"}]))
    assert dataset.policies


def test_record_keeps_recent_loads_and_all_scopes(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    parts = archived(_SCHEMA, _NEXT)
    for number in range(45):
        scope = {"since": number // 22}
        destination.load(_load(f"run-{number}", method="append", scope=scope), _SCHEMA, parts)
    assert destination.rows("charges") == 45
    assert destination.scopes("charges") == ({"since": 2}, *[{"since": 1}] * 19, {"since": 1}, {"since": 0})
    assert all(destination.has_load(_load(f"run-{number}")) for number in range(25, 45))
    dataset = domo_server.dataset("charges")
    assert dataset
    assert len(dataset.description) < 2_500
    destination.load(_load("whole"), _SCHEMA, parts)
    assert destination.scopes("charges") == ({},)


def test_values_are_formatted_as_documented_by_domo(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    schema = pa.schema(
        [
            pa.field("major", pa.decimal128(22, 3)),
            pa.field("fine", pa.decimal128(38, 12)),
            pa.field("at", pa.timestamp("us", tz="UTC")),
            pa.field("day", pa.date32()),
            pa.field("yes", pa.bool_()),
            pa.field("rate", pa.float64()),
        ]
    )
    at = dt.datetime(2027, 1, 31, 9, 30, tzinfo=dt.UTC)
    rows = [
        {"major": Decimal("0.000"), "fine": Decimal("0E-12"), "at": at, "day": at.date(), "yes": True, "rate": 1e-9},
        {"major": Decimal("-0.001"), "fine": Decimal("-1E-12"), "at": None, "day": None, "yes": None, "rate": 0.1},
    ]
    destination.load(_load(), schema, archived(schema, rows))
    assert domo_server.last_part.splitlines() == [
        '"0.000","0.000000000000","2027-01-31T09:30:00","2027-01-31","true","1e-9"',
        '"-0.001","-0.000000000001",,,,"0.1"',
    ]
    assert domo_server.rows("charges") == [row | {"yes": "true" if row["yes"] else None} for row in rows]


def _large(settings: Settings, rows: int) -> Any:
    """Rows that gzip can hardly compress."""
    generator = random.Random(7)
    with Archive(settings.archive / "large", _SCHEMA) as archive:
        texts = [f"{number:06}{generator.randbytes(60).hex()}" for number in range(rows)]
        archive.write(pa.RecordBatch.from_pydict({"id": texts, "amount": range(rows)}, schema=_SCHEMA))
    return archive.parts()


def test_parts_are_uploaded_concurrently_and_rows_stay_in_order(domo_server: DomoServer, settings: Settings) -> None:
    destination = _open(domo_server, settings, part_bytes=100_000)
    domo_server.fail("PUT .*/part/3$", 500)
    domo_server.fail("PUT .*/part/4$", "cut")
    domo_server.fail("PUT .*/part/5$", "lost")
    messages: list[str] = []
    assert destination.load(_load(), _SCHEMA, _large(settings, 60_000), progress=messages.append).rows == 60_000
    assert [row["amount"] for row in domo_server.rows("charges")] == list(range(60_000))
    assert len({request for request in domo_server.asked if "/part/" in request}) >= 7
    assert any("parts sent" in text for text in messages)
    assert not list((settings.home / "domo").glob("*/domo-*"))


def test_load_without_rows_replaces_existing_rows(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert destination.load(_load("run-2"), _SCHEMA, ()) == Loaded(deleted=2)
    assert domo_server.rows("charges") == []
    commits = len([request for request in domo_server.asked if request.endswith("/commit")])
    destination.load(_load("run-3"), _SCHEMA, ())
    destination.load(_load("run-4", method="append"), _SCHEMA, ())
    assert commits == len([request for request in domo_server.asked if request.endswith("/commit")])
    assert destination.has_load(_load("run-4"))


def test_missing_stream_is_rejected(domo_server: DomoServer, destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    domo_server.streams.clear()
    with raises(DestinationRejected, "charges", code="stream_missing"):
        destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _NEXT))
    assert destination.drop("charges")
    assert not domo_server.datasets
