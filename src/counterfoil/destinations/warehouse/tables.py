"""Operations on tables of a warehouse, in portable SQL and with dlt's column types."""

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
from counterfoil.errors import INVALID_TABLE, CounterfoilError, DestinationRejected, SchemaConflict
from counterfoil.values import Load, Loaded

#: Columns as dlt describes them, by name, in order.
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
#: Held while the record of loads is created: two threads can't create it at once.
_making = threading.Lock()


class Session:
    """Statements on one dataset. They raise Counterfoil's errors only."""

    def __init__(self, connection: Connection, dialect: str) -> None:
        self.connection = connection
        self.place = connection.place
        self.interrupt = connection.interrupt
        self._client = connection.client
        self._sql = connection.sql
        self.dialect = dialect
        #: Whether text can contain the NUL character.
        self.keeps_nul = dialect == "duckdb"

    def ask(self, sql: str, *values: Any) -> list[Sequence[Any]]:
        """Executes a statement, with `%s` for each value, and returns its rows."""
        with self._mapped():
            return list(self._sql.execute_sql(sql, *values) or ())

    def count(self, sql: str, *values: Any) -> int:
        """The result of SELECT count(*) FROM `sql`."""
        return int(self.ask(f"SELECT count(*) FROM {sql}", *values)[0][0])  # noqa: S608 - quoted

    def named(self, table: str) -> str:
        """The qualified and quoted name of the table."""
        return str(self._sql.make_qualified_table_name(table))

    def quoted(self, column: str) -> str:
        """The quoted name of the column."""
        return str(self._sql.escape_column_name(column))

    def column(self, table: str, column: str) -> str:
        """The name of a column, qualified with its table."""
        return f"{self._sql.make_qualified_table_name_path(table)[-1]}.{self.quoted(column)}"

    def listed(self, columns: Sequence[str]) -> str:
        """Quoted column names, comma-separated."""
        return ", ".join(map(self.quoted, columns))

    def columns(self, *tables: str) -> list[Columns]:
        """The columns of each table or view; empty for one that does not exist."""
        with self._mapped():
            found = dict(self._client.get_storage_tables(tables))
            # Snowflake returns names that were created without quotes in upper case.
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
        """The type of a column, as the dialect spells it."""
        kind = str(column["data_type"])
        name = _SPELLED[self.dialect].get(kind, kind)
        return f"{name}({column['precision']},{column['scale']})" if kind == "decimal" else name

    def make(self, table: str, schema: pa.Schema, *, only: Sequence[str] | None = None) -> None:
        """Creates the table, or adds the columns `only` to it, with dlt's types for the warehouse."""
        columns = columns_of(schema, json=self.place.kind.json)
        with self._mapped():
            self._client.schema.tables.pop(table, None)
            self._client.schema.update_table(new_table(table, columns=columns))
            wanted = [column for column in columns if only is None or column["name"] in only]
            self._sql.execute_many(self._client._get_table_update_sql(table, wanted, only is not None))

    def stage(self, name: str, tables: Tables, halt: Halt) -> None:
        """Creates these tables and loads their batches with dlt."""
        with self._mapped():
            self.connection.stage(name, tables, halt)

    def remove(self, *tables: str) -> None:
        """Drops those of the tables that exist."""
        with self._mapped():
            self._sql.drop_tables(*tables)

    def check_lengths(self, table: str, schema: pa.Schema) -> None:
        """Rejects names that are too long for the warehouse."""
        limits = self._client.capabilities
        most = limits.max_column_identifier_length
        if len(table) > limits.max_identifier_length:
            raise DestinationRejected(f"table name too long for {self.place.name}: {table}", code=INVALID_TABLE)
        if (name := next((name for name in schema.names if len(name) > most), None)) is not None:
            raise SchemaConflict(
                f"column name too long for {self.place.name}: {name} (at most {most} characters)",
                code="invalid_column",
            )

    @contextmanager
    def transaction(self, guard: Guard | None = None) -> Iterator[None]:
        """Commits the block if it and the guard raise nothing; otherwise rolls back."""
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
            except Exception as other:  # noqa: BLE001 - the connection is lost, and its changes with it
                if other is not error:
                    raise error from None
            raise
        with self._mapped():
            begun.__exit__(None, None, None)

    def _mapped(self) -> Any:
        return mapped(self.place.name, self.place.warehouse, self.connection.secrets)


def check_names(place: str, table: str, schema: pa.Schema) -> None:
    """Rejects names that dlt would change."""
    rule = "Use lower-case letters, digits and single underscores: "
    if normalized(table) != table or table.startswith("_dlt"):
        raise DestinationRejected(
            f"invalid table name for {place}: {table!r}", hint=f"{rule}{normalized(table)}.", code=INVALID_TABLE
        )
    for name in schema.names:
        if normalized(name) != name:
            raise SchemaConflict(
                f"invalid column name for {place}: {name!r}", hint=f"{rule}{normalized(name)}.", code="invalid_column"
            )


def make_loads(session: Session) -> None:
    """Creates the record of loads if it is missing."""
    with _making:
        if session.columns(LOADS_TABLE)[0]:
            return
        try:
            session.make(LOADS_TABLE, _LOADS)
        except CounterfoilError:
            # Another process may have created it at the same time.
            if not session.columns(LOADS_TABLE)[0]:
                raise


def loads_of(session: Session, table: str) -> list[tuple[str, str, str]]:
    """Run, method and scope of each load into the table, newest first."""
    if not session.columns(LOADS_TABLE)[0]:
        return []
    names = session.listed(["run", "method", "scope"])
    where = f"WHERE {session.quoted('table_name')} = %s ORDER BY {session.quoted('loaded_at')} DESC"
    rows = session.ask(f"SELECT {names} FROM {session.named(LOADS_TABLE)} {where}", table)  # noqa: S608 - quoted
    return [(str(run), str(method), str(scope)) for run, method, scope in rows]


def loaded(session: Session, load: Load) -> Loaded | None:
    """The result of the run's load; None if it was not loaded, or the table no longer exists."""
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
    """Rejects a table that Counterfoil did not create, unless the load may overwrite it."""
    if session.columns(load.table)[0] and not load.overwrite and not loads_of(session, load.table):
        raise not_ours(load.table, session.place.name)


def take_turn(session: Session, table: str) -> None:
    """Waits, inside a transaction, for other loads of the table, if the warehouse has locks."""
    runs = session.quoted("run")
    session.ask(
        f"UPDATE {session.named(LOADS_TABLE)} SET {runs} = {runs} WHERE {session.quoted('table_name')} = %s",  # noqa: S608 - quoted
        table,
    )


def record(session: Session, load: Load, done: Loaded, method: str) -> None:
    """Records the load. Replaces an entry of the run for a dropped table."""
    loads = session.named(LOADS_TABLE)
    where = f"{session.quoted('run')} = %s AND {session.quoted('table_name')} = %s"
    session.ask(f"DELETE FROM {loads} WHERE {where}", load.run, load.table)  # noqa: S608 - quoted
    texts = [load.run, load.table, method, load.report, load.account, orjson.dumps(dict(load.scope)).decode()]
    values = [*texts, *(asdict(done)[name] for name in _COUNTS), datetime.now(UTC)]
    places = ", ".join(["%s"] * len(values))
    session.ask(f"INSERT INTO {loads} ({session.listed(_LOADS.names)}) VALUES ({places})", *values)  # noqa: S608 - quoted


def drop(session: Session, table: str) -> bool:
    """Drops a table that Counterfoil created, and the entries of its loads; False if there is none."""
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


def prepare(session: Session, load: Load, schema: pa.Schema, staged: str, *, recreate: bool) -> bool:
    """Creates the table, or adds the staged columns that it lacks. Returns whether the table existed.

    A replace recreates a table with other columns if `recreate` allows it.
    """
    present, wanted = session.columns(load.table, staged)
    if present and load.method == "replace" and recreate and list(present.items()) != list(wanted.items()):
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
