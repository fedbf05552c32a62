"""Postgres specifics: names, privileges, objects that others create on a table, and errors."""

from __future__ import annotations

import datetime as dt
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.postgres.url import postgres_address
from counterfoil.errors import (
    INVALID_TABLE,
    DestinationBusy,
    DestinationRejected,
    SchemaConflict,
    SettingsError,
    TransientError,
)
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Window
from tests.destinations.conftest import Archived, execute_sql, raises, rejects_unmanaged
from tests.postgres import Server

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_HERE = "WHERE schemaname = current_schema()"
_ROWS = [{"id": "ch_1", "amount": 1050}, {"id": "ch_2", "amount": None}]


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace", "primary_key": ("id",)} | changes)


@pytest.fixture
def destination(postgres_destination: Destination) -> Destination:
    return postgres_destination


@pytest.fixture
def person(postgres: Server) -> Iterator[str]:
    """A user who owns nothing."""
    name = f"p{uuid.uuid4().hex}"
    with postgres.connected() as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
        yield name
        connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def _open(url: str, folder: Path, **settings: Any) -> Destination:
    chosen = Settings(**{"home": folder / "home", "busy_seconds": 0} | settings)
    return open_destination(url, relative_to=folder, settings=chosen)


@pytest.mark.parametrize("url", [
    "postgresql://me:hunter2@host/x", "postgres://me:hunter2@host:5433/x?schema=s&sslmode=require",
    "postgresql://me@host/x?password=hunter2", "postgresql://me@host/x?sslpassword=hunter2",
    "postgresql:///x?host=/run/postgresql&password=hunter2&user=me", "postgresql://me:hun%40ter2@[::1]/x",
])  # fmt: skip
def test_password_is_never_displayed(url: str, tmp_path: Path) -> None:
    destination = _open(url, tmp_path)
    address = postgres_address(url)
    assert "hunter2" in "".join(address.connection().values()).replace("@", "")
    for text in (destination.name, repr(destination), repr(address), str(vars(destination))):
        assert "hunter2" not in text
        assert "hun" not in text
    displayed = postgres_address(destination.name)
    secret = ("password", "sslpassword")
    assert (displayed.schema, displayed.parameters) == (
        address.schema,
        {name: value for name, value in address.parameters.items() if name not in secret},
    )


@pytest.mark.parametrize("url", [
    "postgresql://me:hunter2@host", "postgresql://", "postgresql:x",
    "postgresql://me:hunter2@host/x?schema=", "postgresql://me:hunter2@host/x?schema=pg_catalog",
    "postgresql://me:hunter2@host/x?nonsense=1", "postgresql://me:hunt er2@host/%zz",
])  # fmt: skip
def test_invalid_url_is_rejected_without_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        _open(url, tmp_path).check()
    assert "hunt" not in f"{caught.value} {caught.value.hint} {caught.value!r}"


def test_password_is_read_from_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_SECRET", "hunter2")
    (tmp_path / "secret").write_text("hunter3\n")
    for reference, secret in (("env:PG_SECRET", "hunter2"), (f"file:{tmp_path}/secret", "hunter3")):
        address = postgres_address(f"postgresql://me@host/x?password={reference}")
        assert address.connection()["password"] == secret
        assert reference in address.name
        assert secret not in repr(address) + address.name
    for reference, name in (("env:MISSING", "MISSING"), (f"file:{tmp_path}/missing", f"{tmp_path}/missing")):
        with raises(SettingsError, name):
            postgres_address(f"postgresql://me@host/x?password={reference}").connection()


def test_names_that_postgres_would_truncate_are_rejected(destination: Destination) -> None:
    long = "x" * 63
    for name in (long + "1", long + "2", "é" * 32):
        with raises(DestinationRejected, name, 63, code=INVALID_TABLE):
            destination.load(_load(table=name), _SCHEMA, ())
        with raises(SchemaConflict, name, 63, code="invalid_column"):
            destination.load(_load(), pa.schema([pa.field(name, pa.string())]), ())
    with raises(DestinationRejected, 54, code=INVALID_TABLE):
        destination.load(_load(table="x" * 55, history=True), _SCHEMA, ())
    assert destination.load(_load(table="x" * 54, history=True), _SCHEMA, ()).rows == 0
    with raises(SchemaConflict, "ctid", code="reserved_column"):
        destination.load(_load(), pa.schema([pa.field("ctid", pa.string())]), ())


def test_nul_characters_are_replaced_in_text_and_json(destination: Destination, archived: Archived) -> None:
    schema = pa.schema([*_SCHEMA, pa.field("json", pa.string(), metadata={b"counterfoil": b"json"})])
    rows = [{"id": "a\0\0b", "amount": 1, "json": r'{"a": "\u0000x\\u0000\u0000\\\u0000"}'}, {"id": "\\u0000"}]
    parts = archived(schema, rows)
    for run, method in (("a", "replace"), ("b", "merge")):
        done = destination.load(_load(run, method=method), schema, parts)
        assert done.rows == 2
    assert done.unchanged == 2, "equal after the same replacement"
    rows = destination.query("SELECT id, json ->> 'a' AS a FROM charges ORDER BY amount").read_all().to_pylist()
    mark = "\ufffd"
    assert rows == [{"id": f"a{mark * 2}b", "a": f"{mark}x\\u0000{mark}\\{mark}"}, {"id": "\\u0000", "a": None}]


def test_replace_keeps_indexes_views_and_privileges(destination: Destination, archived: Archived, person: str) -> None:
    parts = archived(_SCHEMA, _ROWS)
    destination.load(_load(), _SCHEMA, parts)
    execute_sql(
        destination,
        "CREATE INDEX mine ON charges (amount)",
        "CREATE VIEW seen AS SELECT id FROM charges",
        f"GRANT SELECT ON charges TO {person}",
    )
    destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _ROWS[:1]))
    destination.replay([(_load("run-1"), parts)], _SCHEMA, run="back")
    assert execute_sql(destination, "SELECT count(*) FROM seen") == [(2,)]
    assert execute_sql(destination, f"SELECT indexname FROM pg_indexes {_HERE} AND tablename = 'charges'") == [
        ("mine",)
    ]
    assert execute_sql(destination, f"SELECT has_table_privilege('{person}', 'charges', 'SELECT')") == [(True,)]


def test_replacing_columns_keeps_privileges_and_fails_with_view(
    destination: Destination, archived: Archived, person: str
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    execute_sql(
        destination,
        f"GRANT SELECT, UPDATE ON charges TO {person} WITH GRANT OPTION",
        "GRANT SELECT ON charges TO PUBLIC",
        "CREATE VIEW seen AS SELECT amount FROM charges",
    )
    other = pa.schema([pa.field("id", pa.string())])
    with raises(DestinationRejected, "view seen", code="dependent_objects"):
        destination.load(_load("run-2"), other, ())
    assert destination.rows("charges") == 2
    execute_sql(destination, "DROP VIEW seen")
    assert destination.load(_load("run-2"), other, ()) == Loaded(deleted=2)
    for right in ("SELECT WITH GRANT OPTION", "UPDATE WITH GRANT OPTION"):
        assert execute_sql(destination, f"SELECT has_table_privilege('{person}', 'charges', '{right}')") == [(True,)]
    assert execute_sql(destination, "SELECT relacl::text ~ '[{,]=r' FROM pg_class WHERE oid = 'charges'::regclass") == [
        (True,)
    ]


def test_open_transaction_keeps_its_snapshot(destination: Destination, archived: Archived, postgres: Server) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    schema = postgres_address(destination.name).schema
    with postgres.connected() as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        for run, method in (("b", "replace"), ("c", "append"), ("d", "merge")):
            destination.load(_load(run, method=method), _SCHEMA, archived(_SCHEMA, [{"id": run, "amount": 1}]))
        assert reader.execute(f"SELECT count(*) FROM {schema}.charges").fetchall() == [(2,)]
        reader.execute("ROLLBACK")
    assert destination.rows("charges") == 3


@pytest.mark.parametrize("definition", ["VIEW charges AS SELECT 1 AS x", "MATERIALIZED VIEW charges AS SELECT 1 AS x",
                                        "SEQUENCE charges", "TYPE charges AS (x int)"])  # fmt: skip
def test_unmanaged_view_or_type_is_never_overwritten(destination: Destination, definition: str) -> None:
    execute_sql(destination, f"CREATE {definition}")
    with raises(DestinationRejected, "charges", definition.partition(" charges")[0].lower(), code=INVALID_TABLE):
        destination.load(_load(overwrite=True), _SCHEMA, ())
    with rejects_unmanaged():
        destination.drop("charges")


def test_comments_are_stored_on_tables_and_columns(destination: Destination, archived: Archived) -> None:
    load = _load(method="merge", history=True, comment="Charges: it's all", comments={"amount": "In 'minor' units; --"})
    for run in ("a", "b"):
        destination.load(Load(**{**_fields(load), "run": run}), _SCHEMA, archived(_SCHEMA, _ROWS))
    comments = """SELECT obj_description('{0}'::regclass, 'pg_class'), col_description('{0}'::regclass, 2)"""
    assert execute_sql(destination, comments.format("charges")) == [("Charges: it's all", "In 'minor' units; --")]
    assert execute_sql(destination, comments.format("charges__history")) == [
        ("Charges: it's all Every version of each row.", "In 'minor' units; --")
    ]
    assert execute_sql(destination, "SELECT count(*) FROM charges__as_of(now())") == [(2,)]
    keys = f"SELECT count(*) FROM pg_indexes {_HERE} AND tablename LIKE 'charges%' AND indexdef LIKE '%(id)'"
    assert execute_sql(destination, keys) == [(2,)], (
        "one for the table and one for its history, after any number of loads"
    )


def _fields(load: Load) -> dict[str, Any]:
    return {name: getattr(load, name) for name in load.__slots__}


def test_missing_privilege_is_named(postgres: Server, person: str, tmp_path: Path, archived: Archived) -> None:
    with raises(SettingsError, "schema s", person, hint="CREATE SCHEMA"):
        _open(postgres.url(user=person), tmp_path).check()
    schema = f"s{uuid.uuid4().hex}"
    with postgres.connected() as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        destination = _open(postgres.url(schema, user=person), tmp_path)
        for call in (destination.check, lambda: destination.load(_load(), _SCHEMA, ())):
            with raises(SettingsError, schema, hint=f'GRANT USAGE, CREATE ON SCHEMA "{schema}" TO "{person}"'):
                call()
        connection.execute(f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {person}")
    destination.check()
    parts = archived(_SCHEMA, _ROWS)
    for run, method in (("a", "replace"), ("b", "append"), ("c", "merge")):
        destination.load(_load(run, method=method, history=method == "merge"), _SCHEMA, parts)
    assert destination.rows("charges") == 2
    with postgres.connected() as connection:
        connection.execute(f"ALTER TABLE {schema}.charges OWNER TO owner")
        connection.execute(f"REVOKE ALL ON {schema}.charges FROM {person}")
    with raises(SettingsError, "table charges", code="access_denied"):
        destination.load(_load("d"), _SCHEMA, ())
    assert _open(postgres.url(schema), tmp_path).rows("charges") == 2


@pytest.mark.parametrize(
    ("change", "code"), [({"database": "nowhere"}, "database_missing"), ({"user": "nobody_at_all"}, "user_missing")]
)
def test_missing_database_or_user_is_reported(
    postgres: Server, tmp_path: Path, change: dict[str, str], code: str
) -> None:
    for call in (lambda one: one.check(), lambda one: one.load(_load(), _SCHEMA, ()), lambda one: one.rows("x")):
        with raises(SettingsError, code=code):
            call(_open(postgres.url(**change), tmp_path))


def test_unreachable_server_raises_transient_error(tmp_path: Path) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        url = f"postgresql://me:hunter2@127.0.0.1:{free.getsockname()[1]}/x"
        with raises(TransientError, code="unreachable") as caught:
            _open(url, tmp_path).check()
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value!r}"


def test_lost_connection_leaves_table_unchanged(destination: Destination, archived: Archived, postgres: Server) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))

    def cut() -> None:
        with postgres.connected() as other:
            idle = "application_name = 'counterfoil' AND state = 'idle in transaction'"
            other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {idle}")

    with pytest.raises(TransientError):
        destination.load(_load("run-2"), _SCHEMA, (), guard=cut)
    assert destination.rows("charges") == 2
    assert destination.load(_load("run-2"), _SCHEMA, ()).deleted == 2


def test_table_locked_by_another_session_is_reported(
    destination: Destination, archived: Archived, postgres: Server
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    schema = postgres_address(destination.name).schema
    with postgres.connected() as other:
        other.execute(f"BEGIN; LOCK TABLE {schema}.charges IN ACCESS EXCLUSIVE MODE")
        with raises(DestinationBusy, code="table_locked"):
            destination.load(_load("run-2"), _SCHEMA, ())
        other.execute("ROLLBACK")
    assert destination.load(_load("run-2"), _SCHEMA, ()).deleted == 2


def test_waiting_load_names_lock_holder(destination: Destination, archived: Archived, tmp_path: Path) -> None:
    messages: list[str] = []

    def load_again() -> None:
        with pytest.raises(DestinationBusy, match=r"charges in .* counterfoil \(server process \d+\)"):
            destination.load(_load("run-2"), _SCHEMA, (), progress=messages.append)

    assert destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS), guard=load_again).rows == 2
    assert destination.load(_load(table="refunds"), _SCHEMA, (), guard=lambda: None).rows == 0


def test_violated_constraint_is_named_without_row_values(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    execute_sql(destination, "ALTER TABLE charges ADD CONSTRAINT small CHECK (amount < 2000)")
    with raises(DestinationRejected, "(small)", code="constraint_violated") as caught:
        destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, [{"id": "secret_1", "amount": 5000}]))
    assert "secret_1" not in f"{caught.value} {caught.value.hint}"
    assert destination.rows("charges") == 2


def test_user_settings_do_not_affect_loads(postgres: Server, person: str, archived: Archived, tmp_path: Path) -> None:
    """The test server also has another time zone and another date format."""
    schema = f"s{uuid.uuid4().hex}"
    with postgres.connected() as connection:
        connection.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {person}")
        for setting in ("statement_timeout = '60s'", "default_transaction_read_only = on", "bytea_output = 'escape'",
                        "default_transaction_isolation = serializable", "extra_float_digits = -5"):  # fmt: skip
            connection.execute(f"ALTER ROLE {person} SET {setting}")
    schema_ = pa.schema([*_SCHEMA, pa.field("at", pa.timestamp("us", tz="UTC")), pa.field("x", pa.float64())])
    row = {"id": "a", "amount": 1, "at": dt.datetime(2027, 2, 1, 12, tzinfo=dt.UTC), "x": 0.1 + 0.2}
    destination = _open(postgres.url(schema, user=person), tmp_path)
    destination.load(_load(method="partition", created="at", covers=(Window(),)), schema_, archived(schema_, [row]))
    assert destination.query("SELECT * FROM charges").read_all().to_pylist() == [row]
    assert destination.query("SELECT current_setting('statement_timeout') AS n").read_all().to_pylist() == [{"n": "0"}]


def test_calls_while_holding_share_one_connection(destination: Destination, postgres: Server) -> None:
    def connections() -> int:
        named = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        with postgres.connected() as other:
            return other.execute(named, [f"held-{schema}"]).fetchall()[0][0]  # type: ignore[no-any-return]

    schema = postgres_address(destination.name).schema
    held = _open(f"{destination.name}&application_name=held-{schema}", Path("/tmp"))
    with held.holding():
        assert held.rows("charges") is None
        assert held.columns("charges") is None
        assert connections() == 1


def test_server_errors_are_mapped() -> None:
    from counterfoil.destinations.postgres.errors import error_of

    for kind, error, code in (
        (DestinationRejected, psycopg.errors.DiskFull("no space"), "disk_full"),
        (TransientError, psycopg.errors.DeadlockDetected("x"), "concurrent_load"),
        (TransientError, psycopg.errors.SerializationFailure("x"), "concurrent_load"),
        (TransientError, psycopg.errors.TooManyConnections("x"), "too_many_connections"),
        (
            SettingsError,
            psycopg.OperationalError('FATAL: password authentication failed for user "x"'),
            "password_rejected",
        ),
        (TransientError, psycopg.OperationalError("could not translate host name"), "host_not_found"),
        (TransientError, psycopg.OperationalError("SSL connection has been closed unexpectedly"), "unreachable"),
        (TransientError, psycopg.OperationalError("server closed the connection unexpectedly"), "unreachable"),
    ):
        found = error_of(error, "postgresql://me@host/x")
        assert (type(found), found.code) == (kind, code)
        assert found.hint


def test_table_with_staging_column_cannot_be_merged(destination: Destination, archived: Archived) -> None:
    schema = _SCHEMA.append(pa.field("_counterfoil_position", pa.int64()))
    destination.load(_load(), schema, ())
    with raises(SchemaConflict, "_counterfoil_position", code="reserved_column"):
        destination.load(_load("run-2", method="merge"), schema, ())
