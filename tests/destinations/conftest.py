"""Fixtures and helpers for destination tests: settings in a temporary home directory, and archives of given rows."""

from __future__ import annotations

import itertools
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from counterfoil.archive import Archive
from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.domo.destination import DomoDestination
from counterfoil.destinations.postgres.url import postgres_address
from counterfoil.destinations.warehouse.destination import WarehouseDestination
from counterfoil.errors import INVALID_TABLE, CounterfoilError, DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Part
from tests import domo
from tests.destinations.tiers import deselected
from tests.domo_api import SECRET, DomoServer
from tests.gate import everything
from tests.objects import Objects
from tests.postgres import Server


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if everything():
        return
    omitted = deselected(items)
    config.hook.pytest_deselected(items=omitted)
    items[:] = [item for item in items if item not in set(omitted)]


@contextmanager
def raises(
    kind: type[CounterfoilError], *values: object, code: str | None = None, hint: str = ""
) -> Iterator[pytest.ExceptionInfo[CounterfoilError]]:
    """Like `pytest.raises`, and checks the code, the values in the message, in this order, and the text in the hint."""
    with pytest.raises(kind) as caught:
        yield caught
    error = caught.value
    assert code in (None, error.code), f"{error.code}: {error}"
    start = 0
    for value in map(str, values):
        assert value in error.message[start:], error.message
        start = error.message.index(value, start) + len(value)
    assert hint in (error.hint or "")


@contextmanager
def rejects_unmanaged(table: str = "charges") -> Iterator[None]:
    """The block must fail with the error for a table that Counterfoil did not create."""
    with raises(DestinationRejected, table, code=INVALID_TABLE, hint="--overwrite"):
        yield


Archived = Callable[[pa.Schema, list[dict[str, Any]]], tuple[Part, ...]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", busy_seconds=0)


@pytest.fixture
def archived(settings: Settings) -> Archived:
    """Writes rows as the parts of a separate archive."""
    numbers = itertools.count()

    def write(schema: pa.Schema, rows: list[dict[str, Any]]) -> tuple[Part, ...]:
        with Archive(settings.archive / f"archived-{next(numbers)}", schema) as archive:
            archive.write(pa.RecordBatch.from_pylist(rows, schema=schema))
        return archive.parts()

    return write


class QueryableWarehouse(WarehouseDestination):
    """A warehouse destination with queries, for tests only. Tables are read and changed without dlt."""

    def query(self, sql: str, *, seconds: float | None = None) -> pa.RecordBatchReader:
        if self._place.warehouse == "duckdb":
            with self.opened() as connection:
                return connection.sql(sql).to_arrow_reader(10_000).read_all().to_reader()
        return self.schema().query(sql)

    @contextmanager
    def opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the file, with the dataset as the default schema."""
        with duckdb.connect(str(self._place.address["database"])) as connection:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self._place.dataset}; SET TimeZone = 'UTC'")
            connection.execute(f"SET search_path = '{self._place.dataset}'")
            yield connection

    def schema(self) -> Destination:
        """The dataset as a Postgres schema."""
        url = f"postgresql://owner@/test?host={self._place.parameters['host']}&schema={self._place.dataset}"
        return open_destination(url, relative_to=Path("/"), settings=self._settings)


#: Postgres' names of DuckDB's types.
_POSTGRES = {
    "VARCHAR": "text",
    "JSON": "jsonb",
    "DOUBLE": "double precision",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "DECIMAL(22,3)": "numeric(22,3)",
    "DECIMAL(38,12)": "numeric(38,12)",
}
#: Domo's names of DuckDB's types. Domo has six types; all other types become STRING.
_DOMO = {
    "BIGINT": "LONG",
    "INTEGER": "LONG",
    "DOUBLE": "DOUBLE",
    "DATE": "DATE",
    "TIMESTAMP WITH TIME ZONE": "DATETIME",
    "DECIMAL(22,3)": "DECIMAL",
    "DECIMAL(38,12)": "DECIMAL",
}


def type_name(destination: Destination, kind: str) -> str:
    """The destination's name of a DuckDB type."""
    if destination.name.startswith("domo:"):
        return _DOMO.get(kind, "STRING")
    return kind if destination.kind.dialect == "duckdb" else _POSTGRES.get(kind, kind.lower())


def column_types(destination: Destination, **columns: str) -> tuple[tuple[str, str], ...]:
    """Columns as the destination returns them."""
    return tuple((name, type_name(destination, kind)) for name, kind in columns.items())


def execute_sql(destination: Destination, *statements: str) -> list[tuple[Any, ...]]:
    """Executes statements in the destination without Counterfoil; returns the rows of the last statement."""
    if isinstance(destination, QueryableWarehouse):
        if destination.kind.dialect == "postgresql":
            return execute_sql(destination.schema(), *statements)
        with destination.opened() as connection:
            return [connection.execute(statement).fetchall() for statement in statements][-1]
    if destination.name.startswith("duckdb:"):
        with duckdb.connect(destination.name.removeprefix("duckdb:///")) as connection:
            for statement in statements:
                result = connection.execute(statement)
            return result.fetchall()
    if destination.name.startswith("delta:"):
        assert statements == ("DROP TABLE charges",)
        shutil.rmtree(table_of(destination))
        return []
    address = postgres_address(destination.name)
    with psycopg.connect(**address.connection(), autocommit=True) as other:
        other.execute(f'CREATE SCHEMA IF NOT EXISTS "{address.schema}"; SET search_path TO "{address.schema}"')
        for statement in statements:
            cursor = other.execute(statement)
        return cursor.fetchall() if cursor.description else []


def create_unmanaged_table(destination: Destination, select: str) -> None:
    """Creates a table `charges` without Counterfoil."""
    if isinstance(destination, _QueryableDomo):
        destination.server.make("charges", [{"id": "mine"}])
    elif destination.name.startswith("parquet:"):
        folder = Path(destination.name.removeprefix("parquet:///").partition("?")[0], "charges")
        folder.mkdir(parents=True)
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({select}) TO '{folder}/mine.parquet'")
    elif destination.name.startswith("delta:"):
        with duckdb.connect() as connection:
            write_deltalake(table_of(destination), connection.sql(select).to_arrow_table())
    elif destination.name.startswith("s3:"):
        with duckdb.connect() as connection:
            table = connection.sql(select).to_arrow_table()
            with files_of(destination).open(f"{root_of(destination)}/charges/mine.parquet", "wb") as file:
                pq.write_table(table, file)
    else:
        execute_sql(destination, f"CREATE TABLE charges AS {select}")


def table_of(destination: Destination, table: str = "charges") -> Path:
    """The folder of a Delta table."""
    return Path(destination.name.removeprefix("delta:///"), table)


def root_of(destination: Destination) -> str:
    """The path of a destination's tables in an object store, as fsspec writes it."""
    return destination.name.partition("://")[2].partition("?")[0]


def files_of(destination: Destination) -> Any:
    """The objects of the store, through an independent client."""
    endpoint = destination.name.partition("endpoint=")[2].partition("&")[0]
    return Objects(endpoint).files


@pytest.fixture
def duckdb_destination(tmp_path: Path, settings: Settings) -> Destination:
    return open_destination("duckdb:///stripe.duckdb", relative_to=tmp_path, settings=settings)


@pytest.fixture
def parquet_destination(tmp_path: Path, settings: Settings) -> Destination:
    return open_destination("parquet:///stripe", relative_to=tmp_path, settings=settings)


@pytest.fixture
def delta_destination(tmp_path: Path, settings: Settings) -> Destination:
    return open_destination("delta:///stripe", relative_to=tmp_path, settings=settings)


@pytest.fixture
def monthly_destination(tmp_path: Path, settings: Settings) -> Destination:
    return open_destination("parquet:///stripe?partition=month", relative_to=tmp_path, settings=settings)


@pytest.fixture
def s3_destination(objects: Objects, tmp_path: Path, settings: Settings) -> Destination:
    url = f"s3://{objects.bucket()}/books/stripe?endpoint={objects.endpoint}"
    return open_destination(url, relative_to=tmp_path, settings=settings)


@pytest.fixture
def postgres_destination(postgres: Server, tmp_path: Path, settings: Settings) -> Iterator[Destination]:
    """A destination that is held open, so that its calls share a connection."""
    destination = open_destination(postgres.url(), relative_to=tmp_path, settings=settings)
    with destination.holding():
        yield destination


#: Arrow types of Domo's types. Domo does not report the precision of a DECIMAL.
_ARROW = {
    "STRING": pa.string(),
    "LONG": pa.int64(),
    "DOUBLE": pa.float64(),
    "DECIMAL": pa.decimal128(38, 12),
    "DATE": pa.date32(),
    "DATETIME": pa.timestamp("us", tz="UTC"),
}


class _QueryableDomo(DomoDestination):
    """A Domo destination with queries, for tests only: it queries the server's rows in a temporary DuckDB database."""

    def __init__(self, server: DomoServer, settings: Settings) -> None:
        super().__init__(server.url(), settings, wait_seconds=0.01)
        self.server = server

    def query(self, sql: str, *, seconds: float | None = None) -> pa.RecordBatchReader:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for name in {dataset.name for dataset in self.server.datasets.values()}:
                columns, rows = self.server.seen(name)
                schema = pa.schema([pa.field(column, _ARROW[kind]) for column, kind in columns])
                connection.register(name, pa.Table.from_pylist(rows, schema=schema))
            return connection.sql(sql).to_arrow_reader(10_000).read_all().to_reader()


@pytest.fixture
def domo_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DomoServer]:
    monkeypatch.setenv("DOMO_CLIENT_SECRET", SECRET)
    with domo.running() as server:
        yield server


@pytest.fixture
def domo_destination(domo_server: DomoServer, settings: Settings) -> Destination:
    return _QueryableDomo(domo_server, settings)


@pytest.fixture
def dlt_destination(tmp_path: Path, settings: Settings) -> Destination:
    return QueryableWarehouse("dlt+duckdb:///stripe.duckdb?dataset=books", tmp_path, settings)


@pytest.fixture
def dlt_postgres_destination(
    postgres: Server, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Destination:
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS__PASSWORD", "any")
    url = f"dlt+postgres://owner@/test?host={postgres.folder}&dataset=s{uuid.uuid4().hex}"
    return QueryableWarehouse(url, tmp_path, settings)


@pytest.fixture(params=["duckdb", "postgres", "delta", "dlt"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> Iterator[Callable[[], Destination]]:
    """Creates empty destinations that support merge."""
    with ExitStack() as held:

        def create() -> Destination:
            if request.param == "dlt":
                return QueryableWarehouse(f"dlt+duckdb:///{uuid.uuid4()}.duckdb", tmp_path, settings)
            if request.param == "duckdb":
                url = f"duckdb:///{uuid.uuid4()}.duckdb"
            elif request.param == "delta":
                url = f"delta:///{uuid.uuid4()}"
            else:
                server: Server = request.getfixturevalue("postgres")
                url = server.url()
            destination = open_destination(url, relative_to=tmp_path, settings=settings)
            held.enter_context(destination.holding())
            return destination

        yield create


@pytest.fixture(params=["duckdb", "postgres", "delta", "dlt"])
def with_merge(request: pytest.FixtureRequest) -> Destination:
    """Each destination that supports merge."""
    found: Destination = request.getfixturevalue(f"{request.param}_destination")
    assert {"merge", "atomic", "idempotent"} <= found.kind.guarantees
    assert "merge" in found.kind.methods
    return found


@pytest.fixture(params=["duckdb", "postgres"])
def with_history(request: pytest.FixtureRequest) -> Destination:
    """Each destination that supports histories."""
    found: Destination = request.getfixturevalue(f"{request.param}_destination")
    assert {"merge", "history", "atomic", "idempotent"} <= found.kind.guarantees
    return found


@pytest.fixture(params=["duckdb", "postgres"])
def with_latest_view(request: pytest.FixtureRequest) -> Destination:
    """Each destination with a view of the latest snapshot of an append table."""
    found: Destination = request.getfixturevalue(f"{request.param}_destination")
    assert "latest" in found.kind.guarantees
    return found


#: Destinations that support queries.
QUERYABLE = ("duckdb", "parquet", "monthly", "s3", "postgres", "delta")


@pytest.fixture(params=[*QUERYABLE, "domo", "dlt"])
def destination(request: pytest.FixtureRequest) -> Destination:
    found: Destination = request.getfixturevalue(f"{request.param}_destination")
    return found


@pytest.fixture(params=QUERYABLE)
def queryable(request: pytest.FixtureRequest) -> Destination:
    """Each destination that supports queries."""
    found: Destination = request.getfixturevalue(f"{request.param}_destination")
    assert "query" in found.kind.guarantees
    return found
