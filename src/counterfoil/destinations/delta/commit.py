"""Commits to a Delta table: files and the record of the load are brought first, and one commit makes them count."""

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
#: Every so many versions Delta writes a checkpoint, and what is out of date is taken away.
_INTERVAL = 10
#: Files of fewer bytes are put together, up to four times as many, when there are so many of them.
_SMALL_BYTES, _SMALL_FILES = 1 << 20, 50
#: Runs before a replace that are noted, and records that somebody may just be about to read.
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
    """Makes the change the table's next version, together with the record of the load.

    Held when somebody made another version meanwhile: then nothing is left of this one.
    """
    number = max((table.number or 0) + 1, time.time_ns())
    record = scratch / f"{number}.json"
    record.write_bytes(orjson.dumps({"loads": [*_earlier(table, method), entry_of(load, method, change.done)]}))
    brought: list[str] = []
    with ExitStack() as undo:
        undo.callback(_take_back, storage, table, brought)
        # The record first: by its folder a table is known as ours that was never committed.
        _bring(storage, table, record, f"{RECORDS}/{record.name}", brought)
        adds = []
        for file in change.written:
            check_stop(stop)
            adds.append(_added(storage, table, file, load, brought))
        if guard is not None:
            guard()
        undo.pop_all()
    try:
        _commit(storage, table, load, change, number, adds)
    except (DeltaError, OSError) as error:
        _judge(storage, table, error, number, brought)
    _settle(storage, table.name)


def _earlier(table: TableAt, method: str) -> list[dict[str, Any]]:
    """The notes that stay: of runs before a replace the last ones, so that a late attempt of theirs changes nothing."""
    loads = table.loads()
    return loads[-_REMEMBERED:] if method == "replace" else loads


def _bring(storage: Storage, table: TableAt, file: Path, name: str, brought: list[str]) -> None:
    brought.append(name)
    storage.put(table.name, name, file)


def _added(storage: Storage, table: TableAt, file: DataFile, load: Load, brought: list[str]) -> AddAction:
    path = Path(file.name)
    size, stats = path.stat().st_size, _statistics(path, file.rows, load.created)
    _bring(storage, table, path, path.name, brought)
    return AddAction(path.name, size, {}, int(time.time() * 1000), data_change=True, stats=stats)


def _statistics(path: Path, rows: int, created: str | None) -> str:
    """What the log says of a file: its rows, and between which times of creation they are."""
    told: dict[str, Any] = {"numRecords": rows}
    metadata = pq.read_metadata(path)
    number = next(
        (n for n, name in enumerate(metadata.schema.names) if same_name(name) == same_name(created or "")), None
    )
    if number is not None:
        found = [metadata.row_group(group).column(number).statistics for group in range(metadata.num_row_groups)]
        if found and all(one is not None and one.has_min_max for one in found):
            name = metadata.schema.names[number]
            told["minValues"] = {name: _instant(min(one.min for one in found))}
            told["maxValues"] = {name: _instant(max(one.max for one in found))}
            told["nullCount"] = {name: sum(one.null_count for one in found)}
    return orjson.dumps(told).decode()


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


def _commit(
    storage: Storage, table: TableAt, load: Load, change: Change, number: int, adds: Sequence[AddAction]
) -> None:
    """One commit, on the version that the table was looked at in and on no other."""
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
        # The library takes out all files by itself then, and only then can the columns become others.
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


def _judge(storage: Storage, table: TableAt, error: Exception, number: int, brought: list[str]) -> None:
    """Whether a commit that ended in an error was made all the same; raises when it was not, or nobody can say."""
    try:
        now = TableAt(storage, table.name)
    except (DeltaError, OSError):
        # What was brought stays: the table may have it.
        raise TransientError(
            f"{storage.place} does not say whether {table.name} was loaded", hint="The same is tried again, and looks."
        ) from error
    if now.number == number:
        return
    _take_back(storage, table, brought)
    moved = table.delta is None or (now.delta is not None and now.delta.version() != table.delta.version())
    if conflicting(error) and moved:
        raise Locked("another program that writes to the table") from error
    raise error_of(error, storage.place) from error


def _take_back(storage: Storage, table: TableAt, brought: Sequence[str]) -> None:
    """Removes what no commit names."""
    with suppress(DeltaError, OSError):
        storage.delete(table.name, brought)


def _settle(storage: Storage, name: str) -> None:
    """What is done behind a commit; whatever comes of it, the load is done."""
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
    """Takes away what is out of date by the table's own retention, and puts small files together."""
    numbers = sorted(int(found.removesuffix(".json")) for found in storage.entries(table.name, RECORDS))
    old = [number for number in numbers if number <= (table.number or 0)][:-_RECORDS_KEPT]
    storage.delete(table.name, [f"{RECORDS}/{number}.json" for number in old])
    if sum(size < _SMALL_BYTES for _, size, _ in table.actions()) >= _SMALL_FILES:
        delta.optimize.compact(target_size=4 * _SMALL_BYTES)
    delta.vacuum(dry_run=False)
