"""The protocol of destinations, and the rules that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack

from counterfoil.destinations.kind import DestinationKind
from counterfoil.errors import INVALID_TABLE, DestinationRejected, RunError, SchemaConflict
from counterfoil.values import Load, Loaded, Part, Window

if TYPE_CHECKING:
    import pyarrow as pa

#: Receives short texts about the progress of a load, for the user.
Progress = Callable[[str], None]

#: Called once, right before a commit. Raises when the load must not be committed any more.
Guard = Callable[[], None]

#: Whether to stop. Called a few times a second, from any thread.
Stop = Callable[[], bool]

#: Method in the record of loads for a table that was rebuilt from archived loads.
REPLAY = "replay"

#: Method in the record of loads for a table with the row versions of another table.
HISTORY = "history"

#: The destination's record of loads. Counterfoil did not create a table that has no row in it.
LOADS_TABLE = "_counterfoil_loads"

#: Prefix of Counterfoil's own tables. Some exist for one load only: in DuckDB `main.x` can be a temporary table.
RESERVED = "_counterfoil_"


class LoadHooks(TypedDict, total=False):
    """Callbacks of a load; each may be missing or None."""

    progress: Progress | None
    guard: Guard | None
    stop: Stop | None


class Destination(Protocol):
    """A store of tables. Safe to share between threads. Between two calls, only `holding` keeps it open."""

    @property
    def name(self) -> str:
        """The name to display; it never contains a secret."""
        ...

    @property
    def kind(self) -> DestinationKind: ...

    def load(self, load: Load, schema: pa.Schema, parts: Sequence[Part], **hooks: Unpack[LoadHooks]) -> Loaded:
        """Loads the parts into the table: all of their rows when it returns, none when it raises.

        If the run was loaded into this table before, nothing changes and the earlier result is returned. A load
        without parts still creates the table, typed and empty. A stopped load raises RunError within about a second.
        """
        ...

    def replay(
        self, loads: Sequence[tuple[Load, Sequence[Part]]], schema: pa.Schema, *, run: str, **hooks: Unpack[LoadHooks]
    ) -> Loaded:
        """Rebuilds the table by applying these loads in order to a new table; recorded as the load `run`.

        Each load adds the columns of its parts. Columns that only the schema has are added at the end, null. A replay
        is as atomic, idempotent and stoppable as one load.
        """
        ...

    def check(self) -> None:
        """Raises what a load would raise if the destination can't be reached or written. Creates nothing."""
        ...

    def drop(self, table: str) -> bool:
        """Drops a table with its history, its views and its entries in the record of loads.

        False when there is no such table. Raises for a table that Counterfoil did not create.
        """
        ...

    def has_load(self, load: Load) -> bool:
        """Whether the table exists and the run was loaded into it."""
        ...

    def columns(self, table: str) -> tuple[tuple[str, str], ...] | None:
        """Name and type of each column, in order; None when the table does not exist."""
        ...

    def rows(self, table: str) -> int | None:
        """Number of rows; None when the table does not exist."""
        ...

    def scopes(self, table: str) -> tuple[Mapping[str, Any], ...] | None:
        """The scopes of the loads in the table, newest first; None when Counterfoil did not create the table."""
        ...

    def query(self, sql: str, *, seconds: float | None = None) -> pa.RecordBatchReader:
        """Runs one SELECT over the destination's tables. RunError for anything else, and after `seconds`.

        The destination stays open until the reader is exhausted or dropped.
        """
        ...

    def adds_up(self, sql: str) -> frozenset[str]:
        """Tables and views that one SELECT aggregates without using a column that identifies runs."""
        ...

    def holding(self, progress: Progress | None = None, stop: Stop | None = None, /) -> AbstractContextManager[object]:
        """Keeps the destination open for several calls in a row. Opening waits as `load` does."""
        ...

    def close(self) -> None: ...


def since_replace(loads: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Mapping[str, Any], ...]:
    """The scopes of loads (method, scope), newest first, up to and including the latest full replacement."""
    scopes = []
    for method, scope in loads:
        scopes.append(scope)
        if method in ("replace", REPLAY):
            break
    return tuple(scopes)


def check_load(load: Load, schema: pa.Schema, kind: DestinationKind) -> None:
    """Rejects a load that the destination can't do: its method, its history, invalid names, missing columns."""
    if load.method not in kind.methods:
        raise DestinationRejected(
            f"the destination does not support {load.method}",
            hint=f"Use one of: {', '.join(sorted(kind.methods))}.",
            code="unsupported_method",
        )
    if not load.table or "\0" in load.table:
        raise DestinationRejected(f"invalid table name: {load.table!r}", code=INVALID_TABLE)
    if same_name(load.table).startswith(RESERVED):
        raise DestinationRejected(
            f"invalid table name: {load.table} begins with the reserved prefix {RESERVED}",
            hint="Choose another name.",
            code=INVALID_TABLE,
        )
    _check_names(schema)
    missing = [name for name in load.order if name.removeprefix("-") not in schema.names]
    if missing or not schema.names:
        raise RunError(
            f"no column {missing[0].removeprefix('-')} to order by" if missing else "no columns to load",
            code="column_missing",
        )
    if load.history:
        _check_history(load, kind)
    if load.method == "merge" or load.history:
        _check_keys(load, schema)
    if load.method == "merge":
        _check_merge(load, schema)
    if load.method == "partition":
        if not load.covers:
            raise RunError(
                "a partition load needs the ranges of the creation time that it replaces", code="ranges_missing"
            )
        check_created(load, schema)


def _check_names(schema: pa.Schema) -> None:
    seen: set[str] = set()
    for name in schema.names:
        if not name or "\0" in name:
            raise SchemaConflict(f"invalid column name: {name!r}", code="invalid_column")
        if same_name(name) in seen:
            raise SchemaConflict(
                f"duplicate column name: {name} (most databases do not distinguish upper and lower case)",
                code="invalid_column",
            )
        seen.add(same_name(name))


def _check_history(load: Load, kind: DestinationKind) -> None:
    if "history" not in kind.guarantees:
        raise DestinationRejected(
            f"the destination does not support a history of {load.table}",
            hint="Turn the history off, or use a DuckDB file or Postgres.",
            code="unsupported_history",
        )
    if load.method not in ("merge", "replace"):
        raise RunError(
            f"{load.method} does not support a history",
            hint="Use merge, or turn the history off.",
            code="unsupported_history",
        )


def _check_keys(load: Load, schema: pa.Schema) -> None:
    missing = [name for name in load.primary_key if name not in schema.names]
    if missing or not load.primary_key:
        raise RunError(
            f"no column {missing[0]} to merge by" if missing else "no columns to merge by", code="column_missing"
        )


def _check_merge(load: Load, schema: pa.Schema) -> None:
    if load.parents and load.parents.column not in schema.names:
        raise RunError(f"no column {load.parents.column} to find the rows of a parent by", code="column_missing")
    judged = load.covers or load.parents
    if judged and load.deleted == "keep" and not {"_deleted", "_deleted_at"} <= set(schema.names):
        raise RunError(
            "a merge that marks deleted rows needs the columns _deleted and _deleted_at", code="column_missing"
        )
    if any(window != Window() for window in load.covers):
        check_created(load, schema)


def check_created(load: Load, schema: pa.Schema) -> None:
    """Rejects a load by creation time if no column holds it."""
    kinds = {field.name: str(field.type) for field in schema}
    if load.created is None or not kinds.get(load.created, "").startswith("timestamp["):
        raise RunError(
            f"{load.table} has no creation time to {load.method} by",
            hint="Choose another update method.",
            code="creation_time_missing",
        )


def rebuilt(loads: Sequence[tuple[Load, Sequence[Part]]], run: str) -> Load:
    """The replay of these loads as one load: the scope of the first, everything else of the last."""
    tables = {load.table for load, _ in loads}
    if len(tables) != 1:
        raise RunError(
            f"a replay needs the loads of one table, not of {sorted(tables) or 'none'}", code="invalid_replay"
        )
    return replace(loads[-1][0], run=run, method="replace", scope=loads[0][0].scope)


def check_rows(load: Load, parts: Sequence[Part], loaded: int) -> None:
    """Rejects a load if the number of loaded rows differs from that of its parts."""
    expected = sum(part.rows for part in parts)
    if loaded != expected:
        raise RunError(
            f"{load.table}: the parts of {load.run} have {expected} rows, but {loaded} were loaded",
            hint="Run the report again; the table is unchanged.",
            code="row_count_mismatch",
        )


def files_of(parts: Sequence[Part], archive: Path) -> list[Path]:
    """The files of the parts that have rows. RunError for a file outside the archive."""
    files = [part.path.resolve() for part in parts if part.rows]
    for file in files:
        if not file.is_relative_to(archive):
            raise RunError(f"part {file} is outside the archive {archive}", code="part_outside_archive")
    return files


def conflict(
    table: str, column: str, present: str, wanted: str, hint: str = "Replace the whole table, or choose another one."
) -> SchemaConflict:
    """The error for data of another type than the column's."""
    return SchemaConflict(
        f"column {column} of {table} is {present} in the table and {wanted} in the data",
        hint=hint,
        code="column_type_conflict",
    )


def not_ours(table: str, place: str) -> DestinationRejected:
    """The error for a table that Counterfoil did not create."""
    return DestinationRejected(
        f"{table} in {place} was not created by Counterfoil",
        hint="Choose another table, or pass --overwrite to replace this one.",
        code=INVALID_TABLE,
    )


def check_owned(load: Load, kind: str | None, methods: Sequence[str], place: str) -> bool:
    """Whether the table exists. Rejects one that Counterfoil did not create, unless the load may overwrite it.

    `kind` is the kind of object with its name, None for none; `methods` are the methods of its recorded loads.
    """
    if kind is None:
        return False
    if kind != "table":
        article = "an" if kind[0] in "aeiou" else "a"
        raise DestinationRejected(
            f"{load.table} in {place} is {article} {kind}",
            hint=f"Choose another table, or drop the {kind} first.",
            code=INVALID_TABLE,
        )
    if not load.overwrite and not methods:
        raise not_ours(load.table, place)
    if HISTORY in methods:
        raise DestinationRejected(
            f"{load.table} in {place} is the history of another table",
            hint="Choose another table.",
            code=INVALID_TABLE,
        )
    return True


def no_query(place: str) -> DestinationRejected:
    """The error of a destination without the guarantee `query`."""
    return DestinationRejected(
        f"{place} does not support queries",
        hint="Query the tables there, or add a second destination to the dataset, such as a DuckDB file.",
        code="unsupported_queries",
    )


def same_name(name: str) -> str:
    """The name as databases compare it: A to Z in lower case."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)
