"""Merges parts into a Delta table. Only files with a changed or deleted row are rewritten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from counterfoil.destinations.cancellation import check_stop
from counterfoil.destinations.delta.files import DataFile, RowFiles, Version, insert
from counterfoil.destinations.files.columns import Columns, union_source, values_in, values_of
from counterfoil.destinations.keys import is_notice
from counterfoil.destinations.protocol import Stop, check_rows, same_name
from counterfoil.destinations.sql.merge import compare, forget, is_unique, read_at, result_counts
from counterfoil.destinations.sql.text import parts_source, quoted
from counterfoil.values import Load, Loaded, Part

#: The positions of changed rows, and of deleted rows.
_REPLACED = "SELECT place FROM temp._counterfoil_matched WHERE NOT same AND NOT gone"
_GONE = "SELECT place FROM temp._counterfoil_gone"


def merge(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    parts: Sequence[Part],
    files: Sequence[Path],
    present: Version | None,
    columns: Columns,
    out: RowFiles,
    stop: Stop | None,
) -> tuple[tuple[DataFile, ...], Loaded]:
    """The files that stay, and the counts. Writes new rows, and the remaining rows of other files."""
    if files:
        ((rows,),) = cursor.execute(f"SELECT count(*) FROM {parts_source(files)}").fetchall()  # noqa: S608 - quoted
        check_rows(load, parts, int(rows))
    if present is None and is_unique(cursor, load, files):
        rows = insert(cursor, load, schema, files, columns, out, stop, without=is_notice(load, schema.names))
        return (), Loaded(rows=rows, added=rows)
    version = present or Version((), (), lambda name, _: Path(name))
    view = _View(cursor, load, version, columns)
    view.widen()
    done = compare(cursor, load, schema, files, columns, narrow=view.narrow, widen=view.widen)
    wider = len(columns) > len(version.columns)
    touched = range(len(version.files)) if wider else view.numbers(f"{_REPLACED} UNION ALL {_GONE}")
    values, stays = _remaining(load, schema, files, columns)
    for number in touched:
        check_stop(stop)
        view.over([number])
        out.add(cursor, f"SELECT {values} FROM {view.name} WHERE {stays}")  # noqa: S608 - quoted
    values = values_of(columns, {same_name(name) for name in schema.names})
    for source in result_counts(files):
        out.add(cursor, f"SELECT {values} FROM {source}")  # noqa: S608 - quoted
    forget(cursor)
    return tuple(file for n, file in enumerate(version.files) if n not in touched), done


class _View:
    """A view of rows in files with the table's name. Its `rowid` combines the numbers of the file and the row."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, load: Load, version: Version, columns: Columns) -> None:
        self.name = f"main.{quoted(load.table)}"
        self._cursor = cursor
        self._version = version
        self._columns = columns
        judged = {*load.primary_key, "_deleted", load.created or "", load.parents.column if load.parents else ""}
        wanted = {same_name(name) for name in judged}
        self._judged = [(name, kind) for name, kind in columns if same_name(name) in wanted]

    def widen(self) -> None:
        """Shows all files, with the columns that find rows and decide about them."""
        self._over(range(len(self._version.files)), self._judged, [name for name, _ in self._judged])

    def narrow(self) -> None:
        """Shows the files that contain keys of the parts, with all columns."""
        self.over(self.numbers("SELECT place FROM temp._counterfoil_known"))

    def over(self, numbers: Sequence[int]) -> None:
        """Shows these files, with all columns."""
        self._over(numbers, self._columns, None)

    def numbers(self, places: str) -> list[int]:
        """The numbers of the files with these positions."""
        sql = f"SELECT DISTINCT place >> 40 FROM ({places}) ORDER BY 1"  # noqa: S608 - our own SQL
        return [number for (number,) in self._cursor.execute(sql).fetchall()]

    def _over(self, numbers: Sequence[int], columns: Columns, names: Sequence[str] | None) -> None:
        paths = [self._version.fetch(self._version.files[n].name, names) for n in numbers]
        if paths:
            place = f"(([{', '.join(map(str, numbers))}][file_index::BIGINT + 1])::BIGINT << 40) + file_row_number"
            rows = f"{values_in(self._cursor, paths, columns)}, {place} AS rowid FROM {union_source(paths)}"
        else:
            rows = f"{values_of(columns, set())}, 0::BIGINT AS rowid WHERE false"
        self._cursor.execute(f"CREATE OR REPLACE VIEW {self.name} AS SELECT {rows}")


def _remaining(load: Load, schema: pa.Schema, files: Sequence[Path], columns: Columns) -> tuple[str, str]:
    """SELECT list and WHERE condition for the remaining rows of a file, some of which are now marked."""
    if load.deleted == "drop":
        return _names(columns), f"rowid NOT IN ({_REPLACED}) AND rowid NOT IN ({_GONE})"
    marks = {"_deleted": "true", "_deleted_at": read_at(load, schema, files)}
    marked = (
        f"CASE WHEN rowid IN ({_GONE}) THEN {marks[name]} ELSE {quoted(name)} END AS {quoted(name)}"
        if name in marks
        else quoted(name)
        for name, _ in columns
    )
    return ", ".join(marked), f"rowid NOT IN ({_REPLACED})"


def _names(columns: Columns) -> str:
    return ", ".join(quoted(name) for name, _ in columns)
