"""The Postgres destination: a load is one transaction on one schema of a database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import pyarrow as pa

from counterfoil.destinations.postgres import methods, tables
from counterfoil.destinations.postgres.copy import source_of
from counterfoil.destinations.postgres.history import check_history, drop_history, keep_history
from counterfoil.destinations.postgres.kind import POSTGRES
from counterfoil.destinations.postgres.latest import check_latest, drop_latest, keep_latest
from counterfoil.destinations.postgres.merge import now, read_at
from counterfoil.destinations.postgres.query import added_up, ask
from counterfoil.destinations.postgres.server import Server, Session
from counterfoil.destinations.postgres.types import check_columns, check_table
from counterfoil.destinations.postgres.url import postgres_address
from counterfoil.destinations.protocol import REPLAY, Guard, LoadHooks, Progress, Stop, check_load, files_of, rebuilt
from counterfoil.destinations.sql.query import schema_of
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Part


class PostgresDestination:
    """Tables in one schema of one database."""

    kind = POSTGRES

    def __init__(self, url: str, settings: Settings) -> None:
        place = postgres_address(url)
        self.name = place.name
        self._server = Server(place, settings.busy_seconds)
        self._archive = settings.archive.resolve()
        self._megabytes = settings.duckdb_megabytes

    def load(self, load: Load, schema: pa.Schema, parts: Sequence[Part], **hooks: Unpack[LoadHooks]) -> Loaded:
        self._check(load, schema)
        files = files_of(parts, self._archive)
        with self._writing(load.table, **hooks) as session:
            before = tables.loaded(session, load)
            if before is not None:
                return before
            there = self._check_ours(session, load)
            check_latest(session, load, schema.names, self.name)
            with source_of(session, load, schema, files, archive=self._archive, megabytes=self._megabytes) as source:
                done = methods.apply(session, source, parts, there=there)
                if load.history:
                    touched = there and load.method == "merge"
                    keep_history(session, load, schema, read_at(session, source), touched=touched)
            keep_latest(session, load, schema.names, done)
            tables.record(session, load, done)
            return done

    def replay(
        self, loads: Sequence[tuple[Load, Sequence[Part]]], schema: pa.Schema, *, run: str, **hooks: Unpack[LoadHooks]
    ) -> Loaded:
        whole = rebuilt(loads, run)
        check_columns(schema.names)
        with self._writing(whole.table, **hooks) as session:
            before = tables.loaded(session, whole)
            if before is not None:
                return before
            there = self._check_ours(session, whole)
            check_latest(session, loads[-1][0], schema.names, self.name)
            scratch = methods.scratch_of(whole.table)
            with methods.called(scratch, whole.table):
                for number, (load, parts) in enumerate(loads):
                    files = files_of(parts, self._archive)
                    own = schema_of(files[0]) if files else schema
                    self._check(load, own)
                    # Intermediate states of the table are not part of its history.
                    step = replace(load, table=scratch, history=False)
                    with source_of(
                        session, step, own, files, archive=self._archive, megabytes=self._megabytes
                    ) as source:
                        methods.apply(session, source, parts, there=number > 0)
                tables.widen(session, scratch, schema)
            rows, deleted_count = methods.exchange(session, whole.table, scratch, there=there)
            tables.comment(session, whole, schema.names)
            if whole.history:
                # A rollback is a change at the current time, whenever the rows were read.
                keep_history(session, whole, schema, now(session), touched=False, when_read=False)
            done = Loaded(rows=rows, added=rows, deleted=deleted_count)
            keep_latest(session, loads[-1][0], schema.names, done)
            tables.record(session, whole, done, method=REPLAY)
            return done

    def adds_up(self, sql: str) -> frozenset[str]:
        with self._server.asking() as session:
            return added_up(session, sql, self.name, None)

    def holding(
        self, _progress: Progress | None = None, _stop: Stop | None = None, /
    ) -> AbstractContextManager[object]:
        return self._server.held()

    def check(self) -> None:
        with self._server.reading() as session:
            tables.check_place(session)

    def drop(self, table: str) -> bool:
        with self._server.writing(table) as session:
            drop_latest(session, table)
            dropped = tables.drop(session, table, self.name)
            drop_history(session, table, self.name)
            return dropped

    def has_load(self, load: Load) -> bool:
        with self._server.reading() as session:
            return tables.loaded(session, load) is not None

    def columns(self, table: str) -> tuple[tuple[str, str], ...] | None:
        with self._server.reading() as session:
            return tables.columns_of(session, table) if tables.is_readable(session, table) else None

    def rows(self, table: str) -> int | None:
        with self._server.reading() as session:
            return tables.count(session, table) if tables.is_readable(session, table) else None

    def scopes(self, table: str) -> tuple[Mapping[str, Any], ...] | None:
        with self._server.reading() as session:
            return tables.scopes_of(session, table)

    def query(self, sql: str, *, seconds: float | None = None) -> pa.RecordBatchReader:
        with ExitStack() as stack:
            session = stack.enter_context(self._server.asking())
            return ask(session, sql, self.name, seconds, stack)

    def close(self) -> None:
        """Nothing is held between calls."""

    def _check(self, load: Load, schema: pa.Schema) -> None:
        check_load(load, schema, self.kind)
        check_table(load.table, suffix="__history" if load.history else "__latest" if load.method == "append" else "")
        check_columns(schema.names)

    def _check_ours(self, session: Session, load: Load) -> bool:
        """Whether the table exists. Rejects a table or history that Counterfoil did not create."""
        there = tables.check_ours(session, load, self.name)
        if load.history:
            check_history(session, load, self.name)
        return there

    @contextmanager
    def _writing(
        self, table: str, progress: Progress | None = None, guard: Guard | None = None, stop: Stop | None = None
    ) -> Iterator[Session]:
        with self._server.held():
            with self._server.committed() as session:
                tables.make_loads(session)
            with self._server.writing(table, progress, guard, stop) as session:
                yield session


def open_url(url: str, _relative_to: Path, settings: Settings) -> PostgresDestination:
    """The destination of a URL `postgresql://…`."""
    return PostgresDestination(url, settings)
