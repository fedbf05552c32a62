"""What the tests of destinations share: settings in a temporary home, and archives made of rows."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from counterfoil.archive import Archive
from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.postgres_url import place_of
from counterfoil.settings import Settings
from counterfoil.values import Part
from tests.objects import Objects
from tests.postgres import Server

Archived = Callable[[pa.Schema, list[dict[str, Any]]], tuple[Part, ...]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", busy_seconds=0)


@pytest.fixture
def archived(settings: Settings) -> Archived:
    """Writes rows as the parts of an archive of their own."""
    numbers = itertools.count()

    def write(schema: pa.Schema, rows: list[dict[str, Any]]) -> tuple[Part, ...]:
        with Archive(settings.archive / f"archived-{next(numbers)}", schema) as archive:
            archive.write(pa.RecordBatch.from_pylist(rows, schema=schema))
        return archive.parts()

    return write


#: How Postgres spells DuckDB's types.
_POSTGRES = {
    "VARCHAR": "text",
    "JSON": "jsonb",
    "DOUBLE": "double precision",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "DECIMAL(22,3)": "numeric(22,3)",
    "DECIMAL(38,12)": "numeric(38,12)",
}


def spelled(destination: Destination, kind: str) -> str:
    """A type of DuckDB's as the destination spells it."""
    return kind if destination.dialect == "duckdb" else _POSTGRES.get(kind, kind.lower())


def typed(destination: Destination, **columns: str) -> tuple[tuple[str, str], ...]:
    """Columns as the destination tells them."""
    return tuple((name, spelled(destination, kind)) for name, kind in columns.items())


def by_hand(destination: Destination, *statements: str) -> list[tuple[Any, ...]]:
    """What somebody else does in the place, with a program that knows nothing of us; the rows of the last statement."""
    if destination.dialect == "duckdb":
        with duckdb.connect(destination.name.removeprefix("duckdb:///")) as connection:
            for statement in statements:
                answer = connection.execute(statement)
            return answer.fetchall()
    place = place_of(destination.name)
    with psycopg.connect(**place.connection(), autocommit=True) as other:
        other.execute(f'CREATE SCHEMA IF NOT EXISTS "{place.schema}"; SET search_path TO "{place.schema}"')
        for statement in statements:
            cursor = other.execute(statement)
        return cursor.fetchall() if cursor.description else []


def make_theirs(destination: Destination, select: str) -> None:
    """A table `charges` that somebody else made."""
    if destination.name.startswith("parquet:"):
        folder = Path(destination.name.removeprefix("parquet:///").partition("?")[0], "charges")
        folder.mkdir(parents=True)
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({select}) TO '{folder}/mine.parquet'")
    elif destination.name.startswith("s3:"):
        with duckdb.connect() as connection:
            table = connection.sql(select).to_arrow_table()
            with files_of(destination).open(f"{root_of(destination)}/charges/mine.parquet", "wb") as file:
                pq.write_table(table, file)
    else:
        by_hand(destination, f"CREATE TABLE charges AS {select}")


def root_of(destination: Destination) -> str:
    """Where a destination in an object store has its tables, as fsspec names it."""
    return destination.name.partition("://")[2].partition("?")[0]


def files_of(destination: Destination) -> Any:
    """The objects of the store, by a client that knows nothing of us."""
    endpoint = destination.name.partition("endpoint=")[2].partition("&")[0]
    return Objects(endpoint).files


@pytest.fixture
def duckdb_destination(tmp_path: Path, settings: Settings) -> Destination:
    return open_destination("duckdb:///stripe.duckdb", relative_to=tmp_path, settings=settings)


@pytest.fixture
def parquet_destination(tmp_path: Path, settings: Settings) -> Destination:
    return open_destination("parquet:///stripe", relative_to=tmp_path, settings=settings)


@pytest.fixture
def monthly_destination(tmp_path: Path, settings: Settings) -> Destination:
    return open_destination("parquet:///stripe?partition=month", relative_to=tmp_path, settings=settings)


@pytest.fixture
def s3_destination(objects: Objects, tmp_path: Path, settings: Settings) -> Destination:
    url = f"s3://{objects.bucket()}/books/stripe?endpoint={objects.endpoint}"
    return open_destination(url, relative_to=tmp_path, settings=settings)


@pytest.fixture
def postgres_destination(postgres: Server, tmp_path: Path, settings: Settings) -> Iterator[Destination]:
    """Held, so that its many calls take one connection."""
    destination = open_destination(postgres.url(), relative_to=tmp_path, settings=settings)
    with destination.holding():
        yield destination


@pytest.fixture(params=["duckdb", "postgres"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> Iterator[Callable[[], Destination]]:
    """Makes a destination that can merge, and in which nothing is."""
    with ExitStack() as held:

        def made() -> Destination:
            if request.param == "duckdb":
                url = f"duckdb:///{uuid.uuid4()}.duckdb"
            else:
                server: Server = request.getfixturevalue("postgres")
                url = server.url()
            destination = open_destination(url, relative_to=tmp_path, settings=settings)
            held.enter_context(destination.holding())
            return destination

        yield made


@pytest.fixture(params=["duckdb", "postgres"])
def merging(request: pytest.FixtureRequest) -> Destination:
    """Each destination that can merge, and keeps histories."""
    found: Destination = request.getfixturevalue(f"{request.param}_destination")
    assert {"merge", "history", "atomic", "idempotent"} <= found.guarantees
    assert "merge" in found.methods
    return found


@pytest.fixture(params=["duckdb", "parquet", "monthly", "s3", "postgres"])
def destination(request: pytest.FixtureRequest) -> Destination:
    found: Destination = request.getfixturevalue(f"{request.param}_destination")
    return found
