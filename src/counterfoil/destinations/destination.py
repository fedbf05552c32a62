"""What every destination can do, and the rules that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from counterfoil.errors import DestinationRejected, RunError, SchemaConflict
from counterfoil.values import Load, Method, Part

if TYPE_CHECKING:
    import pyarrow as pa

#: `atomic`: readers see the table before or after a load, whatever kills it. `idempotent`: a run loaded twice counts
#: once. `merge`: by primary key. `query`: answers SQL.
Guarantee = Literal["atomic", "idempotent", "merge", "query"]

#: Takes one sentence for the person who waits.
Progress = Callable[[str], None]

#: The destination's record of its loads; a table without a row in it is not ours.
LOADS_TABLE = "_counterfoil_loads"


class Destination(Protocol):
    """One place that holds tables. Safe to share between threads; nothing is held between two calls."""

    @property
    def name(self) -> str:
        """What to print; never holds a secret."""
        ...

    @property
    def methods(self) -> frozenset[Method]: ...

    @property
    def guarantees(self) -> frozenset[Guarantee]: ...

    def load(self, load: Load, schema: pa.Schema, parts: Sequence[Part], *, progress: Progress | None = None) -> int:
        """The rows of this load, all in the table when it returns and none when it raises.

        A run that was loaded into this table before changes nothing. No parts make the table, typed and empty.
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

    def query(self, sql: str) -> pa.RecordBatchReader:
        """The answer to one SELECT; the destination is held until the reader is read to its end or dropped."""
        ...

    def close(self) -> None: ...


def since_replace(loads: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Mapping[str, Any], ...]:
    """Of loads as (method, scope), the latest first, the scopes up to the latest replace."""
    scopes = []
    for method, scope in loads:
        scopes.append(scope)
        if method == "replace":
            break
    return tuple(scopes)


def check_load(load: Load, schema: pa.Schema, methods: frozenset[Method]) -> None:
    """Refuses what no destination can do: the method, names that cannot be, an order that is not there."""
    if load.method not in methods:
        raise DestinationRejected(
            f"the destination cannot {load.method}", hint=f"It can {' and '.join(sorted(methods))}."
        )
    if not load.table or "\0" in load.table:
        raise DestinationRejected(f"{load.table!r} cannot be the name of a table")
    if same_name(load.table) == same_name(LOADS_TABLE):
        raise DestinationRejected(
            f"{LOADS_TABLE} is the record of loads, and never a table", hint="Choose another one."
        )
    seen: set[str] = set()
    for name in schema.names:
        if not name or "\0" in name:
            raise SchemaConflict(f"{name!r} cannot be the name of a column")
        if same_name(name) in seen:
            raise SchemaConflict(
                f"two columns are called {name}, and upper and lower case are the same in most databases"
            )
        seen.add(same_name(name))
    missing = [name for name in load.order if name.removeprefix("-") not in schema.names]
    if missing or not schema.names:
        raise RunError(f"there is no column {missing[0].removeprefix('-')} to order by" if missing else "no columns")


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


def conflict(table: str, column: str, present: str, wanted: str) -> SchemaConflict:
    """The refusal to append values of another type."""
    return SchemaConflict(
        f"column {column} of {table} is {present} in the table and {wanted} in the data",
        hint="Replace the table instead of appending to it, or choose another table.",
    )


def not_ours(table: str, place: str) -> DestinationRejected:
    """The refusal to touch what someone else made."""
    return DestinationRejected(
        f"{table} in {place} was not made by Counterfoil",
        hint="Choose another table, or say that it may be overwritten (--overwrite).",
    )


def same_name(name: str) -> str:
    """The name as databases compare it: letters A to Z count as small ones."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)
