"""The warehouse destination: one dataset of a warehouse, loaded by dlt. It is connected only during a call."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Unpack

import pyarrow as pa

from counterfoil.destinations.cancellation import taken
from counterfoil.destinations.duckdb.destination import DuckDBDestination
from counterfoil.destinations.lock_wait import wait_for
from counterfoil.destinations.protocol import (
    REPLAY,
    LoadHooks,
    Progress,
    Stop,
    check_load,
    check_rows,
    files_of,
    no_query,
    rebuilt,
)
from counterfoil.destinations.sql.errors import mapped as mapped_files
from counterfoil.destinations.sql.text import quoted
from counterfoil.destinations.warehouse import tables
from counterfoil.destinations.warehouse.dlt_connection import Connection, connected
from counterfoil.destinations.warehouse.errors import mapped
from counterfoil.destinations.warehouse.kind import KINDS
from counterfoil.destinations.warehouse.load import put
from counterfoil.destinations.warehouse.parts import batches_of, drained, one_of_each_key, rows_of
from counterfoil.destinations.warehouse.tables import Session
from counterfoil.destinations.warehouse.url import WarehouseAddress, warehouse_address
from counterfoil.errors import FOLDER_MISSING, DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Part

#: A lock for each destination and table, so that loads of this process run one after the other.
_loading: dict[tuple[str, str], threading.Lock] = {}


class WarehouseDestination:
    """Tables in one dataset of a warehouse: in most warehouses, a schema."""

    def __init__(self, url: str, relative_to: Path, settings: Settings) -> None:
        self._place: WarehouseAddress = warehouse_address(url, relative_to)
        self.name = self._place.name
        self.kind = KINDS[self._place.warehouse]
        self._settings = settings
        self._archive = settings.archive.resolve()

    def load(self, load: Load, schema: pa.Schema, parts: Sequence[Part], **hooks: Unpack[LoadHooks]) -> Loaded:
        check_load(load, schema, self.kind)
        tables.check_names(self.name, load.table, schema)
        files = files_of(parts, self._archive)
        with self._writing(load, schema, _work_folder(files), hooks.get("progress"), hooks.get("stop")) as session:
            before = tables.loaded(session, load)
            if before is not None:
                return before
            tables.check_ours(session, load)
            with mapped_files(self.name), TemporaryDirectory(prefix="loading-", dir=_work_folder(files)) as folder:
                check_rows(load, parts, rows_of(schema, files))
                if load.method == "merge":
                    megabytes, stop = self._settings.duckdb_megabytes, hooks.get("stop")
                    found = one_of_each_key(load, schema, files, Path(folder), megabytes=megabytes, stop=stop)
                    files = list(found)
                rows = batches_of(schema, files, nul=session.keeps_nul)
                if progress := hooks.get("progress"):
                    progress(f"sending {sum(part.rows for part in parts):,} rows to {self._place.warehouse}")
                return put(session, load, schema, rows, guard=hooks.get("guard"), stop=hooks.get("stop"))

    def replay(
        self, loads: Sequence[tuple[Load, Sequence[Part]]], schema: pa.Schema, *, run: str, **hooks: Unpack[LoadHooks]
    ) -> Loaded:
        whole = rebuilt(loads, run)
        for load, _ in loads:
            check_load(load, schema, self.kind)
        tables.check_names(self.name, whole.table, schema)
        work_folder = _work_folder([part.path for _, parts in loads for part in parts])
        with self._writing(whole, schema, work_folder, hooks.get("progress"), hooks.get("stop")) as session:
            before = tables.loaded(session, whole)
            if before is not None:
                return before
            tables.check_ours(session, whole)
            with TemporaryDirectory(prefix="loading-", dir=work_folder) as folder:
                # The loads are first replayed into a local DuckDB file.
                scratch = DuckDBDestination(Path(folder, "scratch.duckdb"), self._settings)
                scratch.replay(loads, schema, run=run, progress=hooks.get("progress"), stop=hooks.get("stop"))
                json = {name for name, kind in scratch.columns(whole.table) or () if kind == "JSON"}
                reader = scratch.query(f"SELECT * FROM {quoted(whole.table)}")  # noqa: S608 - quoted
                made = pa.schema(
                    field.with_metadata({b"counterfoil": b"json"}) if field.name in json else field
                    for field in reader.schema
                )
                rows = drained(made, reader, nul=session.keeps_nul)
                return put(session, whole, made, rows, guard=hooks.get("guard"), stop=hooks.get("stop"), method=REPLAY)

    def check(self) -> None:
        if self._is_missing():
            path = Path(str(self._place.address["database"]))
            if not path.parent.is_dir():
                raise DestinationRejected(
                    f"{path} cannot be created: folder {path.parent} not found",
                    hint=f"Create the folder: mkdir -p {path.parent}",
                    code=FOLDER_MISSING,
                )
            return
        with self._session() as session:
            session.ask("SELECT 1")

    def drop(self, table: str) -> bool:
        with self._reading() as session:
            return session is not None and tables.drop(session, table)

    def has_load(self, load: Load) -> bool:
        with self._reading() as session:
            return session is not None and tables.loaded(session, load) is not None

    def columns(self, table: str) -> tuple[tuple[str, str], ...] | None:
        with self._reading() as session:
            if session is None:
                return None
            (found,) = session.columns(table)
            return tuple((name, session.spelled(column)) for name, column in found.items()) or None

    def rows(self, table: str) -> int | None:
        with self._reading() as session:
            if session is None or not session.columns(table)[0]:
                return None
            return session.count(session.named(table))

    def scopes(self, table: str) -> tuple[Mapping[str, Any], ...] | None:
        with self._reading() as session:
            return None if session is None else tables.scopes_of(session, table)

    def query(self, sql: str, *, seconds: float | None = None) -> pa.RecordBatchReader:  # noqa: ARG002
        raise no_query(self.name)

    def adds_up(self, sql: str) -> frozenset[str]:  # noqa: ARG002
        raise no_query(self.name)

    def holding(self, *_: object) -> AbstractContextManager[object]:
        return nullcontext()

    def close(self) -> None:
        """Nothing is held between calls."""

    @contextmanager
    def _writing(
        self, load: Load, schema: pa.Schema, work_folder: Path | None, progress: Progress | None, stop: Stop | None
    ) -> Iterator[Session]:
        """A session while no other thread of this process loads the table."""
        turn = _loading.setdefault((self.name, load.table), threading.Lock())
        with taken(turn, stop), self._session(work_folder, progress, stop) as session:
            session.check_lengths(load.table, schema)
            yield session

    @contextmanager
    def _reading(self) -> Iterator[Session | None]:
        """A session, or None if there is no file: reading never creates one."""
        if self._is_missing():
            yield None
            return
        with self._session() as session:
            yield session

    @contextmanager
    def _session(
        self, work_folder: Path | None = None, progress: Progress | None = None, stop: Stop | None = None
    ) -> Iterator[Session]:
        with ExitStack() as stack:

            def attempt() -> Connection:
                return stack.enter_context(connected(self._place, self._own_settings(), work_folder))

            with mapped(self.name, self._place.warehouse, self._place.secrets().values()):
                connection = wait_for(attempt, self.name, self._settings.busy_seconds, progress, stop)
            yield Session(connection, self.kind.dialect)

    def _own_settings(self) -> dict[str, Any]:
        """The settings to open a DuckDB file with."""
        if self._place.warehouse != "duckdb":
            return {}
        megabytes = self._settings.duckdb_megabytes
        return {"global_config": {"memory_limit": f"{megabytes}MB", "threads": 2, "TimeZone": "UTC"}}

    def _is_missing(self) -> bool:
        return self._place.warehouse == "duckdb" and not Path(str(self._place.address["database"])).exists()


def _work_folder(files: Sequence[Path]) -> Path | None:
    """The folder for temporary files: next to the parts, where leftovers are removed, or the system's default."""
    return files[0].parent if files else None


def open_url(url: str, relative_to: Path, settings: Settings) -> WarehouseDestination:
    """The destination of a URL `dlt+…://…`."""
    return WarehouseDestination(url, relative_to, settings)
