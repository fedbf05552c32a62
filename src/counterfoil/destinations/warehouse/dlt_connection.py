"""dlt with Counterfoil's settings: a temporary folder for each use, one thread, and no telemetry."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import dlt
import pyarrow as pa
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import (
    ConfigTomlProvider,
    CustomLoaderDocProvider,
    EnvironProvider,
    SecretsTomlProvider,
)
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.runtime.collector_base import Collector
from dlt.common.runtime.run_context import RunContext, global_dir
from dlt.common.schema import Schema

from counterfoil.destinations.lock_wait import Locked
from counterfoil.destinations.sql.errors import holder_of
from counterfoil.destinations.warehouse.url import WarehouseAddress, is_secret
from counterfoil.errors import RunError, SettingsError

#: Columns and rows of each table, by table name.
Tables = Mapping[str, tuple[pa.Schema, Iterable[pa.RecordBatch]]]

#: Settings that override the environment and dlt's files.
_FORCED: dict[str, Any] = {
    "runtime": {"dlthub_telemetry": False, "log_level": "CRITICAL", "sentry_dsn": "", "dlthub_dsn": ""},
    # Names of lower-case letters, digits and single underscores stay unchanged.
    "schema": {"naming": "sql_ci_v1"},
    "pipelines": {"dev_mode": False},
    "extract": {"workers": 1},
    "normalize": {"workers": 1, "parquet_normalizer": {"add_dlt_load_id": False, "add_dlt_id": False}},
    "load": {"workers": 1, "raise_on_failed_jobs": True, "delete_completed_jobs": True},
    # A load can be stopped only between two files.
    "data_writer": {"file_max_bytes": 8 << 20, "disable_compression": True},
}


class _Context(RunContext):
    """Takes settings from the environment and the user's dlt folder, and none from the working folder.

    Files that dlt would store in the user's folder go to a temporary one.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self._global_dir = folder

    @property
    def settings_dir(self) -> str:
        return str(self.global_dir)

    def initial_providers(self) -> list[Any]:
        settings = global_dir()
        return [
            CustomLoaderDocProvider("counterfoil", lambda: _FORCED),
            EnvironProvider(),
            SecretsTomlProvider(settings),
            ConfigTomlProvider(settings),
        ]


class _Users:
    """Counts the users of dlt with our settings, which apply to the whole process while there is one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._ours = ExitStack()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        with self._lock:
            if not self._count:
                # The default context must never be created: it starts telemetry at once.
                context = PluggableRunContext(_Context(self._ours.enter_context(TemporaryDirectory(prefix="dlt-"))))
                self._ours.enter_context(Container().injectable_context(context))
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                if not self._count:
                    self._ours.close()


_users = _Users()


class Halt(Collector):
    """Ends dlt's work at its next step after `set`."""

    def __init__(self) -> None:
        super().__init__()
        self._event = threading.Event()
        self.set = self._event.set

    def check(self) -> None:
        """Raises RunError after `set`."""
        if self._event.is_set():
            raise RunError("the load was canceled", hint="The table is unchanged.", code="load_canceled")

    def update(self, *_: Any, **__: Any) -> None:
        self.check()

    def _start(self, _step: str) -> None:
        self.check()

    def _stop(self) -> None:
        """Nothing to do: no progress is displayed."""


class Connection:
    """dlt's connected client of one dataset."""

    def __init__(self, place: WarehouseAddress, pipeline: Any, client: Any) -> None:
        self.place = place
        self.client = client
        self.sql = client.sql_client
        self._pipeline = pipeline

    @property
    def secrets(self) -> list[str]:
        """All values that must not appear in messages."""
        return [*_secret_values(self.client.config.credentials), *self.place.secrets().values()]

    def interrupt(self) -> None:
        """Cancels the running statement, if the driver can. Callable from any thread."""
        native = self.sql.native_connection
        for name in ("interrupt", "cancel"):
            if callable(end := getattr(native, name, None)):
                end()
                return

    def stage(self, name: str, tables: Tables, halt: Halt) -> None:
        """Creates these tables and loads their batches; dlt records them as a schema with this name."""
        resources = [
            dlt.resource(
                _batches(schema, batches, halt),
                name=table,
                columns=columns_of(schema, json=self.place.kind.json),
                write_disposition="append",
            )
            for table, (schema, batches) in tables.items()
        ]
        # From CSV, its default for Postgres, dlt would load empty strings as null.
        form = {"loader_file_format": "insert_values"} if self.place.warehouse == "postgres" else {}
        self._pipeline.collector = halt
        self._pipeline.run(resources, schema=Schema(name), **form)


@contextmanager
def connected(place: WarehouseAddress, settings: Mapping[str, Any], work_folder: Path | None) -> Iterator[Connection]:
    """A connection. Raises errors of dlt and the driver, and Locked while another process holds a DuckDB file.

    Temporary files are in a folder in `work_folder`, or in the system's default, and are removed at the end.
    """
    with ExitStack() as stack:
        stack.enter_context(_users.one_more())
        pipeline = dlt.pipeline(
            "counterfoil",
            pipelines_dir=stack.enter_context(TemporaryDirectory(prefix="dlt-", dir=work_folder)),
            destination=_destination(place, settings),
            staging=place.staging,
            dataset_name=place.dataset,
        )
        # No state passes from load to load, remote or local.
        pipeline.config.restore_from_destination = False
        client = pipeline.destination_client()
        try:
            stack.enter_context(cast("AbstractContextManager[Any]", client))
        except Exception as error:
            if (holder := holder_of(error)) is not None:
                raise Locked(holder) from error
            raise
        yield Connection(place, pipeline, client)


def columns_of(schema: pa.Schema, *, json: bool) -> Any:
    """The columns with dlt's names of their types. JSON is a separate type, or text."""
    return [{"name": field.name, "nullable": True, **_type(field, json=json)} for field in schema]


def normalized(name: str) -> str:
    """The name as dlt would normalize it."""
    from dlt.common.normalizers.naming.sql_ci_v1 import NamingConvention

    return NamingConvention().normalize_path(name) if name.strip() else ""


def _type(field: pa.Field, *, json: bool) -> dict[str, Any]:
    kind = field.type
    if json and (field.metadata or {}).get(b"counterfoil") == b"json":
        return {"data_type": "json"}
    if pa.types.is_decimal128(kind):
        return {"data_type": "decimal", "precision": kind.precision, "scale": kind.scale}
    if pa.types.is_timestamp(kind):
        return {"data_type": "timestamp"} | ({} if kind.tz else {"timezone": False})
    if pa.types.is_int32(kind):
        return {"data_type": "bigint", "precision": 32}
    names = {pa.bool_(): "bool", pa.int64(): "bigint", pa.float64(): "double", pa.date32(): "date"}
    return {"data_type": names.get(kind, "text")}


def _batches(schema: pa.Schema, batches: Iterable[pa.RecordBatch], halt: Halt) -> Iterator[pa.RecordBatch]:
    some = False
    for batch in batches:
        halt.check()
        some = True
        yield batch
    if not some:
        # Without a batch, dlt would create no table.
        yield pa.RecordBatch.from_pylist([], schema=schema.remove_metadata())


def _destination(place: WarehouseAddress, settings: Mapping[str, Any]) -> Any:
    factory = getattr(import_module("dlt.destinations"), place.warehouse)
    own = factory.spec.get_resolvable_fields()
    fields = _credential_fields(own["credentials"])
    credentials: dict[str, Any] = {**place.address, **settings}
    others: dict[str, Any] = {}
    query: dict[str, str] = {}
    secrets = place.secrets()
    for name, value in {**place.parameters, **secrets}.items():
        if name in fields and name not in ("host", "port", "username", "database", "query"):
            credentials[name] = value
        elif name in own:
            others[name] = value
        elif "query" in fields and not is_secret(name):
            query[name] = value
        else:
            raise SettingsError(
                f"{place.warehouse} does not accept {name}",
                hint=f"Use one of: {', '.join(sorted(fields - {'query'}))}.",
            )
    if "host" in query:
        # libpq's way to name a socket; dlt needs an address too.
        credentials.setdefault("host", "localhost")
    if query:
        credentials["query"] = query
    return factory(credentials=credentials or None, **others)


def _credential_fields(hint: Any) -> frozenset[str]:
    specs = [one for one in getattr(hint, "__args__", (hint,)) if hasattr(one, "get_resolvable_fields")]
    return frozenset(name for spec in specs for name in spec.get_resolvable_fields())


def _secret_values(credentials: Any) -> list[str]:
    fields = type(credentials).get_resolvable_fields()
    found = (getattr(credentials, name, None) for name in fields if is_secret(name))
    return [value for value in found if isinstance(value, str) and value]
