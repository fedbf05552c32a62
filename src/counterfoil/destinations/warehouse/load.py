"""One load: dlt loads the rows into a staging table, and one transaction moves them to their table.

dlt's own loads are not atomic: a replace that is killed leaves an empty table by default. So dlt only adds rows to new
tables, which belong to one load and are dropped with it. The table's next load removes those of a killed load.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from counterfoil.destinations.cancellation import check_stop, stoppable
from counterfoil.destinations.postgres.copy import without_nul
from counterfoil.destinations.protocol import Guard, Stop
from counterfoil.destinations.warehouse import methods, tables
from counterfoil.destinations.warehouse.dlt_connection import Halt
from counterfoil.destinations.warehouse.tables import Session
from counterfoil.errors import CounterfoilError, RunError
from counterfoil.logging import get_logger
from counterfoil.values import Load, Loaded

_log = get_logger(__name__)

_PARENTS = pa.schema([pa.field("id", pa.string())])
_IDS_AT_ONCE = 10_000
_RUN_AGAIN = "Run the report again; the table is unchanged."
#: dlt's own tables of the schemas that it created, and of its loads.
_NOTES = ("_dlt_version", "_dlt_loads")


@dataclass(frozen=True, slots=True)
class _Staged:
    """The staging of one load: its name in dlt's own tables, and its tables."""

    note: str

    @property
    def rows(self) -> str:
        return f"_{self.note}_rows"

    @property
    def parents(self) -> str:
        return f"_{self.note}_ids"


class _Counted:
    """Batches, with a count of their rows so far."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self.rows = 0
        self._batches = batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            self.rows += batch.num_rows
            yield batch


def put(
    session: Session,
    load: Load,
    schema: pa.Schema,
    rows: Iterable[pa.RecordBatch],
    *,
    guard: Guard | None,
    stop: Stop | None,
    method: str | None = None,
) -> Loaded:
    """Loads the rows (one per key for a merge) and records the load, with its own method or `method`."""
    names = f"counterfoil_{hashlib.sha256(load.table.encode()).hexdigest()[:12]}_"
    # Earlier staging of this table is from a load that was killed or is too slow; such a load fails from now on.
    for note in _notes(session, names):
        _forget(session, _Staged(note))
    staged = _Staged(f"{names}{uuid.uuid4().hex[:12]}")
    counted = _Counted(rows)
    sent: dict[str, tuple[pa.Schema, Iterable[pa.RecordBatch]]] = {staged.rows: (schema, counted)}
    if load.parents:
        sent |= {staged.parents: (_PARENTS, _ids(load.parents.ids, nul=session.keeps_nul))}
    halt = Halt()
    try:
        with stoppable(halt.set, stop):
            session.stage(staged.note, sent, halt)
        arrived = session.count(session.named(staged.rows))
        if arrived != counted.rows:
            raise RunError(
                f"{load.table}: {counted.rows} rows were sent, but {arrived} arrived",
                hint=_RUN_AGAIN,
                code="row_count_mismatch",
            )
        tables.make_loads(session)
        place = _together if session.place.kind.transactions else _exchange
        return place(session, load, schema, staged, _Asked(guard, stop), method or load.method)
    finally:
        _forget(session, staged)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The callbacks of a load."""

    guard: Guard | None
    stop: Stop | None


def _together(session: Session, load: Load, schema: pa.Schema, staged: _Staged, asked: _Asked, method: str) -> Loaded:
    """Applies the method and records the load in one transaction."""
    tables_too = session.place.kind.tables_too
    if not tables_too:
        _prepare(session, load, schema, staged, recreate=False)
    with session.transaction(asked.guard), stoppable(session.interrupt, asked.stop):
        tables.take_turn(session, load.table)
        before = tables.loaded(session, load)
        if before is not None:
            return before
        if tables_too:
            _prepare(session, load, schema, staged, recreate=True)
        if load.method == "merge":
            done = methods.merge(session, load, schema, staged.rows, staged.parents)
        else:
            done = methods.put(session, load, schema, staged.rows)
        tables.record(session, load, done, method)
        return done


def _exchange(session: Session, load: Load, schema: pa.Schema, staged: _Staged, asked: _Asked, method: str) -> Loaded:
    """Replaces the table in one statement, then records the load. A kill between the two repeats the load."""
    check_stop(asked.stop)
    if asked.guard is not None:
        asked.guard()
    done = methods.exchange(session, load, schema, staged.rows)
    tables.record(session, load, done, method)
    return done


def _prepare(session: Session, load: Load, schema: pa.Schema, staged: _Staged, *, recreate: bool) -> None:
    if load.method == "partition":
        methods.check_partition(session, load)
    tables.prepare(session, load, schema, staged.rows, recreate=recreate)


def _ids(ids: Sequence[str], *, nul: bool) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[start : start + _IDS_AT_ONCE]
        yield pa.RecordBatch.from_pydict({"id": some if nul else [without_nul(one) for one in some]}, schema=_PARENTS)


def _notes(session: Session, names: str) -> list[str]:
    """Names of staged loads in dlt's own tables, with this prefix."""
    if not session.columns(_NOTES[0])[0]:
        return []
    sql = f"SELECT DISTINCT {session.quoted('schema_name')} FROM {session.named(_NOTES[0])}"  # noqa: S608 - quoted
    return [str(note) for (note,) in session.ask(sql) if str(note).startswith(names)]


def _forget(session: Session, staged: _Staged) -> None:
    """Removes the staging tables and dlt's entries of them. After an error, the table's next load removes them."""
    try:
        session.remove(staged.rows, staged.parents)
        for notes, columns in zip(_NOTES, session.columns(*_NOTES), strict=True):
            if columns:
                where = f"WHERE {session.quoted('schema_name')} = %s"
                session.ask(f"DELETE FROM {session.named(notes)} {where}", staged.note)  # noqa: S608 - quoted
    except CounterfoilError as error:
        _log.debug("staged rows stay", place=session.place.name, error=str(error))
