"""What is done to tables of a warehouse, in SQL that all of them speak and with dlt's words for their columns."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
from dlt.common.schema.utils import new_table

from counterfoil.destinations.protocol import LOADS_TABLE, Guard, conflict, not_ours, same_name, since_replace
from counterfoil.destinations.warehouse.dlt_connection import Connection, Halt, Tables, columns_of, normalized
from counterfoil.destinations.warehouse.errors import mapped
from counterfoil.errors import CounterfoilError, DestinationRejected, SchemaConflict
from counterfoil.values import Load, Loaded

#: A column as dlt describes it, by its name, in order.
Columns = Mapping[str, Mapping[str, Any]]

_TEXTS = ("run", "table_name", "method", "report", "account", "scope")
_COUNTS = ("rows", "added", "changed", "deleted")
_LOADS = pa.schema(
    [pa.field(name, pa.string()) for name in _TEXTS]
    + [pa.field(name, pa.int64()) for name in _COUNTS]
    + [pa.field("loaded_at", pa.timestamp("us", tz="UTC"))]
)
_SPELLED = {
    "duckdb": {"text": "VARCHAR", "bigint": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN", "json": "JSON",
               "timestamp": "TIMESTAMP WITH TIME ZONE", "decimal": "DECIMAL", "date": "DATE"},
    "postgresql": {"double": "double precision", "bool": "boolean", "json": "jsonb",
                   "timestamp": "timestamp with time zone", "decimal": "numeric"},
}  # fmt: skip
#: Held while the record of loads is made, which two threads can't at once.
_making = threading.Lock()


class Session:
    """Statements on one dataset; all that they raise is ours."""

    def __init__(self, connection: Connection, dialect: str) -> None:
        self.connection = connection
        self.place = connection.place
        self.interrupt = connection.interrupt
        self._client = connection.client
        self._sql = connection.sql
        self.dialect = dialect
        #: Whether its texts can hold the NUL character.
        self.keeps_nul = dialect == "duckdb"

    def ask(self, sql: str, *values: Any) -> list[Sequence[Any]]:
        """The rows of a statement in which `%s` stands for each value."""
        with self._mapped():
            return list(self._sql.execute_sql(sql, *values) or ())

    def count(self, sql: str, *values: Any) -> int:
        """The number that stands behind SELECT count(*) FROM."""
        return int(self.ask(f"SELECT count(*) FROM {sql}", *values)[0][0])  # noqa: S608 - quoted

    def named(self, table: str) -> str:
        """The table as a statement names it."""
        return str(self._sql.make_qualified_table_name(table))

    def quoted(self, column: str) -> str:
        """The column as a statement names it."""
        return str(self._sql.escape_column_name(column))

    def column(self, table: str, column: str) -> str:
        """The column of a table that the statement names."""
        return f"{self._sql.make_qualified_table_name_path(table)[-1]}.{self.quoted(column)}"

    def listed(self, columns: Sequence[str]) -> str:
        """Columns with commas between."""
        return ", ".join(map(self.quoted, columns))

    def columns(self, *tables: str) -> list[Columns]:
        """The columns of each table or view; of one that is not there, none."""
        with self._mapped():
            found = dict(self._client.get_storage_tables(tables))
            # Snowflake tells names that were written without quotes in capitals.
            capitals = self._client.capabilities.casefold_identifier("a") == "A"
        return [
            {
                name.lower() if capitals else name: {
                    key: value for key, value in column.items() if key not in ("name", "nullable")
                }
                for name, column in found[table].items()
            }
            for table in tables
        ]

    def spelled(self, column: Mapping[str, Any]) -> str:
        """The type of a column, as the dialect calls it."""
        kind = str(column["data_type"])
        told = _SPELLED[self.dialect].get(kind, kind)
        return f"{told}({column['precision']},{column['scale']})" if kind == "decimal" else told

    def make(self, table: str, schema: pa.Schema, *, only: Sequence[str] | None = None) -> None:
        """Makes the table, or adds the columns `only` to it, of the types that dlt gives them there."""
        columns = columns_of(schema, json=self.place.kind.json)
        with self._mapped():
            self._client.schema.tables.pop(table, None)
            self._client.schema.update_table(new_table(table, columns=columns))
            wanted = [column for column in columns if only is None or column["name"] in only]
            self._sql.execute_many(self._client._get_table_update_sql(table, wanted, only is not None))

    def stage(self, name: str, tables: Tables, halt: Halt) -> None:
        """Has dlt make these tables and load their batches."""
        with self._mapped():
            self.connection.stage(name, tables, halt)

    def remove(self, *tables: str) -> None:
        """Drops tables that may be there."""
        with self._mapped():
            self._sql.drop_tables(*tables)

    def check_lengths(self, table: str, schema: pa.Schema) -> None:
        """Refuses names that are too long there."""
        limits = self._client.capabilities
        most = limits.max_column_identifier_length
        if len(table) > limits.max_identifier_length:
            raise DestinationRejected(f"{self.place.name} can't have a table {table}: its name is too long")
        if (name := next((name for name in schema.names if len(name) > most), None)) is not None:
            raise SchemaConflict(f"{self.place.name} can't have a column {name}: names have {most} letters at most")

    @contextmanager
    def transaction(self, guard: Guard | None = None) -> Iterator[None]:
        """All that the block does counts together when it ends well and the guard lets it, and else nothing."""
        begun = self._sql.begin_transaction()
        with self._mapped():
            begun.__enter__()
        try:
            yield
            if guard is not None:
                guard()
        except BaseException as error:
            try:
                begun.__exit__(type(error), error, error.__traceback__)
            except Exception as other:  # noqa: BLE001 - the connection is gone, and with it what was done
                if other is not error:
                    raise error from None
            raise
        with self._mapped():
            begun.__exit__(None, None, None)

    def _mapped(self) -> Any:
        return mapped(self.place.name, self.place.warehouse, self.connection.secrets)


def check_names(place: str, table: str, schema: pa.Schema) -> None:
    """Refuses names of which dlt would make others."""
    rule = "Names there have small letters, digits and single underscores: "
    if normalized(table) != table or table.startswith("_dlt"):
        raise DestinationRejected(f"{place} can't have a table {table!r}", hint=f"{rule}{normalized(table)}.")
    for name in schema.names:
        if normalized(name) != name:
            raise SchemaConflict(f"{place} can't have a column {name!r}", hint=f"{rule}{normalized(name)}.")


def make_loads(session: Session) -> None:
    """Makes the record of loads where it is missing."""
    with _making:
        if session.columns(LOADS_TABLE)[0]:
            return
        try:
            session.make(LOADS_TABLE, _LOADS)
        except CounterfoilError:
            # Another process may have made it just now.
            if not session.columns(LOADS_TABLE)[0]:
                raise


def loads_of(session: Session, table: str) -> list[tuple[str, str, str]]:
    """Run, method and scope of each load into the table, the latest first."""
    if not session.columns(LOADS_TABLE)[0]:
        return []
    names = session.listed(["run", "method", "scope"])
    where = f"WHERE {session.quoted('table_name')} = %s ORDER BY {session.quoted('loaded_at')} DESC"
    rows = session.ask(f"SELECT {names} FROM {session.named(LOADS_TABLE)} {where}", table)  # noqa: S608 - quoted
    return [(str(run), str(method), str(scope)) for run, method, scope in rows]


def loaded(session: Session, load: Load) -> Loaded | None:
    """What the run did to its table; None when it did nothing yet, or when the table is gone."""
    record, table = session.columns(LOADS_TABLE, load.table)
    if not record or not table:
        return None
    where = f"WHERE {session.quoted('run')} = %s AND {session.quoted('table_name')} = %s"
    sql = f"SELECT {session.listed(_COUNTS)} FROM {session.named(LOADS_TABLE)} {where}"  # noqa: S608 - quoted
    return next(
        (Loaded(**dict(zip(_COUNTS, row, strict=True))) for row in session.ask(sql, load.run, load.table)), None
    )


def scopes_of(session: Session, table: str) -> tuple[Mapping[str, Any], ...] | None:
    """The scopes of the loads whose rows are in the table."""
    if not session.columns(table)[0]:
        return None
    loads = loads_of(session, table)
    return since_replace((method, orjson.loads(scope)) for _, method, scope in loads) if loads else None


def check_ours(session: Session, load: Load) -> None:
    """Refuses a table that this program did not make, unless it may be overwritten."""
    if session.columns(load.table)[0] and not load.overwrite and not loads_of(session, load.table):
        raise not_ours(load.table, session.place.name)


def take_turn(session: Session, table: str) -> None:
    """Inside a transaction: waits for another one that loads the table to end, where the warehouse can make it wait."""
    runs = session.quoted("run")
    session.ask(
        f"UPDATE {session.named(LOADS_TABLE)} SET {runs} = {runs} WHERE {session.quoted('table_name')} = %s",  # noqa: S608 - quoted
        table,
    )


def record(session: Session, load: Load, done: Loaded, method: str) -> None:
    """Notes the load; an older note of the same run, whose table is gone, goes."""
    loads = session.named(LOADS_TABLE)
    where = f"{session.quoted('run')} = %s AND {session.quoted('table_name')} = %s"
    session.ask(f"DELETE FROM {loads} WHERE {where}", load.run, load.table)  # noqa: S608 - quoted
    texts = [load.run, load.table, method, load.report, load.account, orjson.dumps(dict(load.scope)).decode()]
    values = [*texts, *(asdict(done)[name] for name in _COUNTS), datetime.now(UTC)]
    places = ", ".join(["%s"] * len(values))
    session.ask(f"INSERT INTO {loads} ({session.listed(_LOADS.names)}) VALUES ({places})", *values)  # noqa: S608 - quoted


def drop(session: Session, table: str) -> bool:
    """Removes a table of ours and the notes of its loads; False when there is none."""
    there, loads = bool(session.columns(table)[0]), bool(loads_of(session, table))
    if there and not loads:
        raise not_ours(table, session.place.name)
    with session.transaction() if session.place.kind.tables_too else nullcontext():
        if there:
            session.remove(table)
        if loads:
            where = f"WHERE {session.quoted('table_name')} = %s"
            session.ask(f"DELETE FROM {session.named(LOADS_TABLE)} {where}", table)  # noqa: S608 - quoted
    return there


def prepare(session: Session, load: Load, schema: pa.Schema, staged: str, *, anew: bool) -> bool:
    """Makes the table, or adds what it lacks, so that the staged columns fit; whether there was one.

    A replace makes it anew if its columns are others, where `anew` says that this can be done.
    """
    present, wanted = session.columns(load.table, staged)
    if present and load.method == "replace" and anew and list(present.items()) != list(wanted.items()):
        session.remove(load.table)
        session.make(load.table, schema)
        return True
    if not present:
        session.make(load.table, schema)
        return False
    known = {same_name(name): column for name, column in present.items()}
    for name, column in wanted.items():
        if (there := known.get(same_name(name), column)) != column:
            raise conflict(load.table, same_name(name), session.spelled(there), session.spelled(column))
    if missing := [name for name in schema.names if name not in known]:
        session.make(load.table, schema, only=missing)
    return True
