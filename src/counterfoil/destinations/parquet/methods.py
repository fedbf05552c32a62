"""The update methods on Parquet files: they build a table's next version from the files of the current one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from counterfoil.destinations.files.columns import Columns, values_of, widened
from counterfoil.destinations.files.table_folder import file_name
from counterfoil.destinations.parquet.layout import Layout
from counterfoil.destinations.parquet.reused_files import ReusedFile, free
from counterfoil.destinations.protocol import Stop, check_rows, files_of, same_name
from counterfoil.destinations.sql.ordering import ordered_slices
from counterfoil.destinations.sql.query import check_types, described
from counterfoil.destinations.sql.ranges import check_within, no_created, within
from counterfoil.destinations.sql.text import parts_source
from counterfoil.values import Load, Loaded, Part

#: Rows per row group. With more, wide rows would need too much memory to write.
_GROUP_ROWS = 20_480


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of a load, apart from the files that it wrote."""

    columns: list[tuple[str, str]]
    loaded: Loaded
    #: The files that stay unchanged.
    carried: list[ReusedFile]


def apply(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    parts: Sequence[Part],
    archive: Path,
    kept: Sequence[ReusedFile],
    present: Columns,
    into: Path,
    *,
    monthly: bool = False,
    stop: Stop | None = None,
) -> Applied:
    """Writes the new files of the next version into a folder, from the load and the files of the current version.

    `present` are the columns of the current version; all files of a version have the same columns.
    """
    files = files_of(parts, archive)
    carried: list[ReusedFile] = []
    if load.method == "replace":
        columns, deleted_count = widened((), load, schema), sum(file.rows for file in kept)
        layout = Layout.of(load, columns, monthly=monthly)
    else:
        columns, deleted_count = widened(present, load, schema), 0
        layout = Layout.of(load, columns, monthly=monthly)
        if load.method == "partition":
            check_within(cursor, load, files)
            if kept and same_name(load.created or "") not in {same_name(name) for name, _ in present}:
                raise no_created(load)
        wider = columns if len(columns) > len(present) else None
        for file in kept:
            gone = _deleted_count(cursor, file, load) if load.method == "partition" else 0
            deleted_count += gone
            if file.rows and gone == file.rows:
                continue
            if gone or wider or not layout.fits(file):
                stays = f"NOT {within(load)}" if gone else "true"
                _rewrite(cursor, file, wider, stays, layout, into)
            else:
                carried.append(file)
    rows = _write(cursor, load, schema, files, columns, layout, into, stop)
    if not carried and not any(into.rglob("*.parquet")):
        # A table without rows needs a file for its columns.
        empty = into / layout.nowhere / f"{file_name(load.run)}.parquet"
        _copy(cursor, values_of(columns, set()), "WHERE false", empty)
    check_rows(load, parts, rows)
    return Applied(columns, Loaded(rows=rows, added=rows, deleted=deleted_count), carried)


def _deleted_count(cursor: duckdb.DuckDBPyConnection, file: ReusedFile, load: Load) -> int:
    """The number of rows of the file that a partition load deletes."""
    if file.span is not None and file.span.column == load.created:
        covered = file.span.within(load.covers)
        if covered is not None:
            return file.rows if covered else 0
    sql = f"SELECT count(*) FROM {parts_source([file.fetch()])} WHERE {within(load)}"  # noqa: S608 - quoted
    ((deleted_count,),) = cursor.execute(sql).fetchall()
    return int(deleted_count)


def _rewrite(
    cursor: duckdb.DuckDBPyConnection, file: ReusedFile, columns: Columns | None, stays: str, layout: Layout, into: Path
) -> None:
    """Rewrites the file, with `columns` if they changed, and with the rows that stay."""
    path = file.fetch()
    present = described(cursor, [path])
    values = values_of(columns or present, {same_name(name) for name, _ in present})
    _put(cursor, values, parts_source([path]), stays, "", layout, into, Path(file.name).name)


def _put(
    cursor: duckdb.DuckDBPyConnection,
    values: str,
    source: str,
    where: str,
    order: str,
    layout: Layout,
    into: Path,
    name: str,
) -> int:
    """Writes the rows into a file with this name, or into one in each month's folder."""
    return sum(
        _copy(cursor, values, f"FROM {source} WHERE {where} AND {chosen}{order}", into / folder / name)
        for folder, chosen in layout.folders(cursor, source, where)
    )


def _copy(cursor: duckdb.DuckDBPyConnection, values: str, rest: str, to: Path) -> int:
    """Writes the rows into a file. Not by COPY: DuckDB 2.0 can deadlock when that is interrupted."""
    copied = 0
    to.parent.mkdir(parents=True, exist_ok=True)
    reader = cursor.sql(f"SELECT {values} {rest}").to_arrow_reader(_GROUP_ROWS)
    with pq.ParquetWriter(free(to), reader.schema, compression="zstd", compression_level=1) as writer:
        for batch in reader:
            writer.write_batch(batch)
            copied += batch.num_rows
    return copied


def _write(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    files: Sequence[Path],
    columns: Columns,
    layout: Layout,
    into: Path,
    stop: Stop | None,
) -> int:
    """Writes the parts, in the load's order, as files that are named after the run and sort by name."""
    if not files:
        return 0
    name = file_name(load.run)
    check_types(cursor, files, schema)
    values = values_of(columns, {same_name(column) for column in schema.names})
    return sum(
        _put(cursor, values, source, "true", order, layout, into, f"{name}-{number:05}.parquet")
        for number, (source, order) in enumerate(ordered_slices(load, files, stop=stop), start=1)
    )
