"""What every destination can do, and the rules that all of them share."""

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

#: Takes one sentence for the person who waits.
Progress = Callable[[str], None]

#: Raises when what is being done may not count any more; asked once, as the last thing before it does.
Guard = Callable[[], None]

#: Whether to give up; asked a few times a second, from any thread.
Stop = Callable[[], bool]

#: What a record of loads calls a table that was rebuilt from archived loads.
REPLAY = "replay"

#: What it calls a table that keeps the versions of another's rows.
HISTORY = "history"

#: The destination's record of its loads; a table without a row in it is not ours.
LOADS_TABLE = "_counterfoil_loads"

#: How the names of our own tables begin, of which some last for one load: in DuckDB `main.x` can be a temporary table.
RESERVED = "_counterfoil_"


class LoadHooks(TypedDict, total=False):
    """What a load calls while it works; each may be missing or None."""

    progress: Progress | None
    guard: Guard | None
    stop: Stop | None


class Destination(Protocol):
    """One place that holds tables. Safe to share between threads; between two calls only `holding` holds it."""

    @property
    def name(self) -> str:
        """What to print; never holds a secret."""
        ...

    @property
    def kind(self) -> DestinationKind: ...

    def load(self, load: Load, schema: pa.Schema, parts: Sequence[Part], **hooks: Unpack[LoadHooks]) -> Loaded:
        """The rows of this load, all in the table when it returns and none when it raises.

        A run that was loaded into this table before changes nothing, and what it did then is told. No parts make the
        table, typed and empty. A stopped load raises RunError within about a second.
        """
        ...

    def replay(
        self, loads: Sequence[tuple[Load, Sequence[Part]]], schema: pa.Schema, *, run: str, **hooks: Unpack[LoadHooks]
    ) -> Loaded:
        """Makes the table what these loads, one after the other into no table, make it; recorded as the load `run`.

        Each brings the columns that its parts have; those that only the schema has are added at the end, null. It is
        as atomic, idempotent and stoppable as one load.
        """
        ...

    def check(self) -> None:
        """Raises what a load would for a place that can't be reached or written; makes nothing."""
        ...

    def drop(self, table: str) -> bool:
        """Removes a table of ours with its history, its views and the record of its loads; False when there is none.

        Refuses any other.
        """
        ...

    def has_load(self, load: Load) -> bool:
        """Whether this run is in this table, which still exists."""
        ...

    def columns(self, table: str) -> tuple[tuple[str, str], ...] | None:
        """Name and type of each column, in order; None when there is no such table."""
        ...

    def rows(self, table: str) -> int | None:
        """Rows of the table; None when there is no such table."""
        ...

    def scopes(self, table: str) -> tuple[Mapping[str, Any], ...] | None:
        """The scope of each load whose rows are in the table, the latest first; None when none of ours made it."""
        ...

    def query(self, sql: str, *, seconds: float | None = None) -> pa.RecordBatchReader:
        """The answer to one SELECT over its tables; RunError for anything else, and after so many seconds.

        The destination is held until the reader is read to its end or dropped.
        """
        ...

    def adds_up(self, sql: str) -> frozenset[str]:
        """Tables and views that one SELECT names and adds up, without a word of the run that each row is of."""
        ...

    def holding(self, progress: Progress | None = None, stop: Stop | None = None, /) -> AbstractContextManager[object]:
        """For many calls in a row: what opening takes is paid once, and is waited for as `load` waits."""
        ...

    def close(self) -> None: ...


def since_replace(loads: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Mapping[str, Any], ...]:
    """Of loads as (method, scope), the latest first, the scopes up to the latest that exchanged the whole table."""
    scopes = []
    for method, scope in loads:
        scopes.append(scope)
        if method in ("replace", REPLAY):
            break
    return tuple(scopes)


def check_load(load: Load, schema: pa.Schema, kind: DestinationKind) -> None:
    """Refuses what the destination can't do: the method, a history, names that can't be, columns that are not there."""
    if load.method not in kind.methods:
        raise DestinationRejected(
            f"the destination cannot {load.method}", hint=f"It can {' and '.join(sorted(kind.methods))}."
        )
    if not load.table or "\0" in load.table:
        raise DestinationRejected(f"{load.table!r} cannot be the name of a table", code=INVALID_TABLE)
    if same_name(load.table).startswith(RESERVED):
        raise DestinationRejected(
            f"{load.table} cannot be the name of a table: Counterfoil keeps its own under {RESERVED}…",
            hint="Choose another one.",
            code=INVALID_TABLE,
        )
    _check_names(schema)
    missing = [name for name in load.order if name.removeprefix("-") not in schema.names]
    if missing or not schema.names:
        raise RunError(f"there is no column {missing[0].removeprefix('-')} to order by" if missing else "no columns")
    if load.history:
        _check_history(load, kind)
    if load.method == "merge" or load.history:
        _check_keys(load, schema)
    if load.method == "merge":
        _check_merge(load, schema)
    if load.method == "partition":
        if not load.covers:
            raise RunError("a partition has to say which ranges of the time of creation it replaces")
        check_created(load, schema)


def _check_names(schema: pa.Schema) -> None:
    seen: set[str] = set()
    for name in schema.names:
        if not name or "\0" in name:
            raise SchemaConflict(f"{name!r} cannot be the name of a column")
        if same_name(name) in seen:
            raise SchemaConflict(
                f"two columns are called {name}, and upper and lower case are the same in most databases"
            )
        seen.add(same_name(name))


def _check_history(load: Load, kind: DestinationKind) -> None:
    if "history" not in kind.guarantees:
        raise DestinationRejected(
            f"the destination keeps no history of {load.table}",
            hint="Switch it off, or choose a DuckDB file or Postgres.",
        )
    if load.method not in ("merge", "replace"):
        raise RunError(f"{load.method} has no history", hint="Choose merge, or switch the history off.")


def _check_keys(load: Load, schema: pa.Schema) -> None:
    missing = [name for name in load.primary_key if name not in schema.names]
    if missing or not load.primary_key:
        raise RunError(f"there is no column {missing[0]} to merge by" if missing else "no columns to merge by")


def _check_merge(load: Load, schema: pa.Schema) -> None:
    if load.parents and load.parents.column not in schema.names:
        raise RunError(f"there is no column {load.parents.column} to find the rows of a parent by")
    judged = load.covers or load.parents
    if judged and load.deleted == "keep" and not {"_deleted", "_deleted_at"} <= set(schema.names):
        raise RunError("a merge that marks what is deleted needs the columns _deleted and _deleted_at")
    if any(window != Window() for window in load.covers):
        check_created(load, schema)


def check_created(load: Load, schema: pa.Schema) -> None:
    """Refuses a load that goes by the time of creation where no column holds one."""
    kinds = {field.name: str(field.type) for field in schema}
    if load.created is None or not kinds.get(load.created, "").startswith("timestamp["):
        raise RunError(
            f"{load.table} has no time of creation to {load.method} by", hint="Choose another update method."
        )


def rebuilt(loads: Sequence[tuple[Load, Sequence[Part]]], run: str) -> Load:
    """The replay of these loads as one load: covers what the first does, and says what the last says."""
    tables = {load.table for load, _ in loads}
    if len(tables) != 1:
        raise RunError(f"a table is rebuilt from its own loads, not from those of {sorted(tables) or 'none'}")
    return replace(loads[-1][0], run=run, method="replace", scope=loads[0][0].scope)


def check_rows(load: Load, parts: Sequence[Part], loaded: int) -> None:
    """Refuses a load that does not hold what its parts hold."""
    expected = sum(part.rows for part in parts)
    if loaded != expected:
        raise RunError(
            f"{load.table}: the parts of {load.run} have {expected} rows and {loaded} were loaded",
            hint="The table is as it was. Run the report again.",
        )


def files_of(parts: Sequence[Part], archive: Path) -> list[Path]:
    """The files of the parts that have rows; a destination reads nothing outside of the archive."""
    files = [part.path.resolve() for part in parts if part.rows]
    for file in files:
        if not file.is_relative_to(archive):
            raise RunError(f"the part {file} lies outside of the archive {archive}")
    return files


def conflict(
    table: str, column: str, present: str, wanted: str, hint: str = "Replace the whole table, or choose another one."
) -> SchemaConflict:
    """The refusal to add values of another type."""
    return SchemaConflict(f"column {column} of {table} is {present} in the table and {wanted} in the data", hint=hint)


def not_ours(table: str, place: str) -> DestinationRejected:
    """The refusal to touch what someone else made."""
    return DestinationRejected(
        f"{table} in {place} was not made by Counterfoil",
        hint="Choose another table, or say that it may be overwritten (--overwrite).",
        code=INVALID_TABLE,
    )


def check_owned(load: Load, kind: str | None, methods: Sequence[str], place: str) -> bool:
    """Whether the table is there; refuses one that is not ours, unless it may be overwritten.

    `kind` is what has its name in the destination, None for nothing; `methods` are those of its recorded loads.
    """
    if kind is None:
        return False
    if kind != "table":
        article = "an" if kind[0] in "aeiou" else "a"
        raise DestinationRejected(
            f"{load.table} in {place} is {article} {kind}", hint=f"Choose another table, or drop the {kind} first."
        )
    if not load.overwrite and not methods:
        raise not_ours(load.table, place)
    if HISTORY in methods:
        raise DestinationRejected(
            f"{load.table} in {place} is the history of another table", hint="Choose another one."
        )
    return True


def no_query(place: str) -> DestinationRejected:
    """The refusal of a destination that declares no `query`."""
    return DestinationRejected(
        f"{place} answers no questions: its tables are read there, not from here",
        hint="Give the dataset a second destination that does, such as a DuckDB file.",
    )


def same_name(name: str) -> str:
    """The name as databases compare it: letters A to Z count as small ones."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)
