"""Commits to a Delta table: files and the record of the load are uploaded, then one commit makes them visible."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from counterfoil.destinations.cancellation import check_stop
from counterfoil.destinations.delta.errors import conflicting, error_of
from counterfoil.destinations.delta.files import Change, DataFile
from counterfoil.destinations.delta.storage import RECORDS, Storage
from counterfoil.destinations.delta.tables import APPLICATION, TableAt, delta_schema
from counterfoil.destinations.files.table_record import entry_of
from counterfoil.destinations.lock_wait import Locked
from counterfoil.destinations.protocol import Guard, Stop, same_name
from counterfoil.errors import TransientError
from counterfoil.logging import get_logger
from counterfoil.values import Load

_log = get_logger(__name__)
#: Versions between two checkpoints of Delta, and between two cleanups of outdated files.
_INTERVAL = 10
#: Files below this size are compacted, to at most four times the size, when there are this many.
_SMALL_BYTES, _SMALL_FILES = 1 << 20, 50
#: Loads before a replace that stay recorded, and old records that stay for concurrent readers.
_REMEMBERED, _RECORDS_KEPT = 1_000, 3


def commit(
    storage: Storage,
    table: TableAt,
    load: Load,
    method: str,
    change: Change,
    scratch: Path,
    guard: Guard | None,
    stop: Stop | None,
) -> None:
    """Commits the change as the table's next version, together with the record of the load.

    Locked if another program committed a version first; then nothing of this one remains.
    """
    number = max((table.number or 0) + 1, time.time_ns())
    record = scratch / f"{number}.json"
    record.write_bytes(orjson.dumps({"loads": [*_earlier(table, method), entry_of(load, method, change.done)]}))
    uploaded: list[str] = []
    with ExitStack() as undo:
        undo.callback(_take_back, storage, table, uploaded)
        # The record first: its folder identifies a table without a commit as created by Counterfoil.
        _upload(storage, table, record, f"{RECORDS}/{record.name}", uploaded)
        adds = []
        for file in change.written:
            check_stop(stop)
            adds.append(_added(storage, table, file, load, uploaded))
        if guard is not None:
            guard()
        undo.pop_all()
    try:
        _commit(storage, table, load, change, number, adds)
    except (DeltaError, OSError) as error:
        _judge(storage, table, error, number, uploaded)
    _settle(storage, table.name)


def _earlier(table: TableAt, method: str) -> list[dict[str, Any]]:
    """The earlier entries to keep, with the latest before a replace: late attempts of those runs change nothing."""
    loads = table.loads()
    return loads[-_REMEMBERED:] if method == "replace" else loads


def _upload(storage: Storage, table: TableAt, file: Path, name: str, uploaded: list[str]) -> None:
    uploaded.append(name)
    storage.put(table.name, name, file)


def _added(storage: Storage, table: TableAt, file: DataFile, load: Load, uploaded: list[str]) -> AddAction:
    path = Path(file.name)
    size, stats = path.stat().st_size, _statistics(path, file.rows, load.created)
    _upload(storage, table, path, path.name, uploaded)
    return AddAction(path.name, size, {}, int(time.time() * 1000), data_change=True, stats=stats)


def _statistics(path: Path, rows: int, created: str | None) -> str:
    """The statistics of a file for the log: its number of rows and its range of creation times."""
    statistics: dict[str, Any] = {"numRecords": rows}
    metadata = pq.read_metadata(path)
    number = next(
        (n for n, name in enumerate(metadata.schema.names) if same_name(name) == same_name(created or "")), None
    )
    if number is not None:
        found = [metadata.row_group(group).column(number).statistics for group in range(metadata.num_row_groups)]
        if found and all(one is not None and one.has_min_max for one in found):
            name = metadata.schema.names[number]
            statistics["minValues"] = {name: _instant(min(one.min for one in found))}
            statistics["maxValues"] = {name: _instant(max(one.max for one in found))}
            statistics["nullCount"] = {name: sum(one.null_count for one in found)}
    return orjson.dumps(statistics).decode()


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


def _commit(
    storage: Storage, table: TableAt, load: Load, change: Change, number: int, adds: Sequence[AddAction]
) -> None:
    """Makes one commit on exactly the version of the table that was read."""
    properties = CommitProperties(
        custom_metadata={"counterfoil": {"run": load.run}},
        max_commit_retries=0,
        app_transactions=[Transaction(APPLICATION, number)],
    )
    if table.delta is None:
        create_table_with_add_actions(
            storage.uri(table.name),
            delta_schema(change.columns, load.comments),
            list(adds),
            mode="error",
            description=load.comment or None,
            configuration={"delta.checkpointInterval": f"{_INTERVAL}"},
            storage_options=None if storage.options is None else dict(storage.options),
            commit_properties=properties,
        )
        return
    stay = {file.name for file in change.kept}
    schema = delta_schema(change.columns, {**_comments(table), **load.comments})
    if not stay:
        # The library then removes all files itself, and only then can columns change.
        table.delta.create_write_transaction(list(adds), "overwrite", schema, commit_properties=properties)
        return
    now = int(time.time() * 1000)
    gone = [
        RemoveAction(name, data_change=True, deletion_timestamp=now, size=size, partition_values={})
        for name, size, _ in table.actions()
        if name not in stay
    ]
    table.delta.create_write_transaction([*adds, *gone], "append", schema, commit_properties=properties)


def _comments(table: TableAt) -> dict[str, str]:
    fields = table.delta.schema().fields if table.delta else ()
    return {field.name: str(field.metadata["comment"]) for field in fields if "comment" in field.metadata}


def _judge(storage: Storage, table: TableAt, error: Exception, number: int, uploaded: list[str]) -> None:
    """Checks whether a failed commit was made all the same. Raises if it was not, or if that is unknown."""
    try:
        now = TableAt(storage, table.name)
    except (DeltaError, OSError):
        # The uploaded files stay: the table may contain them.
        raise TransientError(
            f"{storage.place}: it is unknown whether {table.name} was loaded", hint="Try again."
        ) from error
    if now.number == number:
        return
    _take_back(storage, table, uploaded)
    moved = table.delta is None or (now.delta is not None and now.delta.version() != table.delta.version())
    if conflicting(error) and moved:
        raise Locked("another program that writes to the table") from error
    raise error_of(error, storage.place) from error


def _take_back(storage: Storage, table: TableAt, uploaded: Sequence[str]) -> None:
    """Deletes uploaded files that no commit refers to."""
    with suppress(DeltaError, OSError):
        storage.delete(table.name, uploaded)


def _settle(storage: Storage, name: str) -> None:
    """The work after a commit. If it fails, the load has succeeded all the same."""
    try:
        table = TableAt(storage, name)
        if table.delta is None:
            return
        storage.committed(name, table.delta.version())
        if table.delta.version() % _INTERVAL == 0:
            _tidy(storage, table, table.delta)
    except (DeltaError, OSError) as error:
        _log.info("the table could not be tidied", table=name, error=f"{error_of(error, storage.place)}")


def _tidy(storage: Storage, table: TableAt, delta: DeltaTable) -> None:
    """Deletes old records, compacts small files, and deletes outdated files by the table's own retention."""
    numbers = sorted(int(found.removesuffix(".json")) for found in storage.entries(table.name, RECORDS))
    old = [number for number in numbers if number <= (table.number or 0)][:-_RECORDS_KEPT]
    storage.delete(table.name, [f"{RECORDS}/{number}.json" for number in old])
    if sum(size < _SMALL_BYTES for _, size, _ in table.actions()) >= _SMALL_FILES:
        delta.optimize.compact(target_size=4 * _SMALL_BYTES)
    delta.vacuum(dry_run=False)
