"""The update methods on the files of a Delta table: which files stay, are removed and are written.

A file is never changed. A file that loses rows or gets columns is removed, and its remaining rows are rewritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from counterfoil.destinations.delta.files import Change, DataFile, RowFiles, Version, insert
from counterfoil.destinations.delta.merge import merge
from counterfoil.destinations.files.columns import Columns, values_in, widened
from counterfoil.destinations.protocol import Stop, check_rows, same_name
from counterfoil.destinations.sql.ranges import check_within, no_created, within
from counterfoil.destinations.sql.text import parts_source
from counterfoil.values import Load, Loaded, Part


def apply(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    parts: Sequence[Part],
    files: Sequence[Path],
    present: Version | None,
    into: Path,
    stop: Stop | None = None,
) -> Change:
    """Writes the new files of a load into a folder. `present` is None if there is no table yet."""
    exchanged = present is None or load.method == "replace"
    columns = widened(() if present is None or exchanged else present.columns, load, schema)
    if load.method == "partition":
        check_within(cursor, load, files)
    with RowFiles(into) as out:
        if load.method == "merge":
            kept, done = merge(cursor, load, schema, parts, files, present, columns, out, stop)
            return Change(columns, kept, out.files(), done)
        kept, deleted_count = (), present.rows if present else 0
        if present is not None and not exchanged:
            kept, deleted_count = _carried(cursor, load, present, columns, out)
        rows = insert(cursor, load, schema, files, columns, out, stop)
        check_rows(load, parts, rows)
        return Change(columns, kept, out.files(), Loaded(rows=rows, added=rows, deleted=deleted_count))


def _carried(
    cursor: duckdb.DuckDBPyConnection, load: Load, present: Version, columns: Columns, out: RowFiles
) -> tuple[tuple[DataFile, ...], int]:
    """The files that stay, and the number of deleted rows. Writes the remaining rows of other files."""
    wider = len(columns) > len(present.columns)
    if load.method == "append":
        for file in present.files if wider else ():
            path = present.fetch(file.name, None)
            out.add(cursor, f"SELECT {values_in(cursor, [path], columns)} FROM {parts_source([path])}")  # noqa: S608
        return () if wider else present.files, 0
    created = next((name for name, _ in present.columns if same_name(name) == same_name(load.created or "")), None)
    if created is None:
        raise no_created(load)
    kept, deleted_count = [], 0
    for file in present.files:
        path = present.fetch(file.name, [created])
        ((going,),) = cursor.execute(
            f"SELECT count(*) FROM {parts_source([path])} WHERE {within(load)}"  # noqa: S608 - quoted
        ).fetchall()
        deleted_count += going
        if not going and not wider:
            kept.append(file)
        elif going < file.rows:
            path = present.fetch(file.name, None)
            values = values_in(cursor, [path], columns)
            out.add(cursor, f"SELECT {values} FROM {parts_source([path])} WHERE NOT {within(load)}")  # noqa: S608
    return tuple(kept), deleted_count
