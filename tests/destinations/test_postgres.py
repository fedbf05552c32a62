"""What is Postgres' own: names, rights, what others made on a table, and what is told when something goes wrong."""

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
    CounterfoilError,
    DestinationBusy,
    DestinationRejected,
    RunError,
    SchemaConflict,
    SettingsError,
    TransientError,
)
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Window
from tests.destinations.conftest import Archived, by_hand
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
def test_a_password_is_in_no_name_and_no_repr(url: str, tmp_path: Path) -> None:
    destination = _open(url, tmp_path)
    place = postgres_address(url)
    assert "hunter2" in "".join(place.connection().values()).replace("@", "")
    for told in (destination.name, repr(destination), repr(place), str(vars(destination))):
        assert "hunter2" not in told
        assert "hun" not in told
    again = postgres_address(destination.name)
    secret = ("password", "sslpassword")
    assert (again.schema, again.parameters) == (
        place.schema,
        {name: value for name, value in place.parameters.items() if name not in secret},
    )


@pytest.mark.parametrize("url", [
    "postgresql://me:hunter2@host", "postgresql://", "postgresql:x",
    "postgresql://me:hunter2@host/x?schema=", "postgresql://me:hunter2@host/x?schema=pg_catalog",
    "postgresql://me:hunter2@host/x?nonsense=1", "postgresql://me:hunt er2@host/%zz",
])  # fmt: skip
def test_a_url_that_names_no_database_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        _open(url, tmp_path).check()
    assert "hunt" not in f"{refused.value} {refused.value.hint} {refused.value!r}"


def test_a_password_is_found_where_the_url_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_SECRET", "hunter2")
    (tmp_path / "secret").write_text("hunter3\n")
    for reference, secret in (("env:PG_SECRET", "hunter2"), (f"file:{tmp_path}/secret", "hunter3")):
        place = postgres_address(f"postgresql://me@host/x?password={reference}")
        assert place.connection()["password"] == secret
        assert reference in place.name
        assert secret not in repr(place) + place.name
    for reference, words in (("env:GONE", "GONE is not set"), (f"file:{tmp_path}/gone", "No such file")):
        with pytest.raises(SettingsError, match=words):
            postgres_address(f"postgresql://me@host/x?password={reference}").connection()


def test_names_that_postgres_would_cut_are_refused(destination: Destination) -> None:
    long = "x" * 63
    for name in (long + "1", long + "2", "é" * 32):
        with pytest.raises(DestinationRejected, match="63 bytes"):
            destination.load(_load(table=name), _SCHEMA, ())
        with pytest.raises(SchemaConflict, match="63 bytes"):
            destination.load(_load(), pa.schema([pa.field(name, pa.string())]), ())
    with pytest.raises(DestinationRejected, match="54 bytes"):
        destination.load(_load(table="x" * 55, history=True), _SCHEMA, ())
    assert destination.load(_load(table="x" * 54, history=True), _SCHEMA, ()).rows == 0
    with pytest.raises(SchemaConflict, match="that Postgres keeps itself"):
        destination.load(_load(), pa.schema([pa.field("ctid", pa.string())]), ())


def test_nul_characters_are_replaced_wherever_they_are(destination: Destination, archived: Archived) -> None:
    schema = pa.schema([*_SCHEMA, pa.field("json", pa.string(), metadata={b"counterfoil": b"json"})])
    rows = [{"id": "a\0\0b", "amount": 1, "json": r'{"a": "\u0000x\\u0000\u0000\\\u0000"}'}, {"id": "\\u0000"}]
    parts = archived(schema, rows)
    for run, method in (("a", "replace"), ("b", "merge")):
        done = destination.load(_load(run, method=method), schema, parts)
        assert done.rows == 2
    assert done.unchanged == 2, "what was replaced in the same way is the same"
    answer = destination.query("SELECT id, json ->> 'a' AS a FROM charges ORDER BY amount").read_all().to_pylist()
    mark = "\ufffd"
    assert answer == [{"id": f"a{mark * 2}b", "a": f"{mark}x\\u0000{mark}\\{mark}"}, {"id": "\\u0000", "a": None}]


def test_what_others_made_on_a_table_stays_when_it_is_replaced(
    destination: Destination, archived: Archived, person: str
) -> None:
    parts = archived(_SCHEMA, _ROWS)
    destination.load(_load(), _SCHEMA, parts)
    by_hand(
        destination,
        "CREATE INDEX mine ON charges (amount)",
        "CREATE VIEW seen AS SELECT id FROM charges",
        f"GRANT SELECT ON charges TO {person}",
    )
    destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _ROWS[:1]))
    destination.replay([(_load("run-1"), parts)], _SCHEMA, run="back")
    assert by_hand(destination, "SELECT count(*) FROM seen") == [(2,)]
    assert by_hand(destination, f"SELECT indexname FROM pg_indexes {_HERE} AND tablename = 'charges'") == [("mine",)]
    assert by_hand(destination, f"SELECT has_table_privilege('{person}', 'charges', 'SELECT')") == [(True,)]


def test_a_table_that_gets_other_columns_keeps_its_rights_and_is_kept_for_a_view(
    destination: Destination, archived: Archived, person: str
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    by_hand(
        destination,
        f"GRANT SELECT, UPDATE ON charges TO {person} WITH GRANT OPTION",
        "GRANT SELECT ON charges TO PUBLIC",
        "CREATE VIEW seen AS SELECT amount FROM charges",
    )
    other = pa.schema([pa.field("id", pa.string())])
    with pytest.raises(DestinationRejected, match=r"something depends on it .*view seen depends on table") as kept:
        destination.load(_load("run-2"), other, ())
    assert "Drop or change" in str(kept.value.hint)
    assert destination.rows("charges") == 2
    by_hand(destination, "DROP VIEW seen")
    assert destination.load(_load("run-2"), other, ()) == Loaded(deleted=2)
    for right in ("SELECT WITH GRANT OPTION", "UPDATE WITH GRANT OPTION"):
        assert by_hand(destination, f"SELECT has_table_privilege('{person}', 'charges', '{right}')") == [(True,)]
    assert by_hand(destination, "SELECT relacl::text ~ '[{,]=r' FROM pg_class WHERE oid = 'charges'::regclass") == [
        (True,)
    ]


def test_a_reader_keeps_the_state_that_it_began_with(
    destination: Destination, archived: Archived, postgres: Server
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    schema = postgres_address(destination.name).schema
    with postgres.connected() as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        for run, method in (("b", "replace"), ("c", "append"), ("d", "merge")):
            destination.load(_load(run, method=method), _SCHEMA, archived(_SCHEMA, [{"id": run, "amount": 1}]))
        assert reader.execute(f"SELECT count(*) FROM {schema}.charges").fetchall() == [(2,)]
        reader.execute("ROLLBACK")
    assert destination.rows("charges") == 3


@pytest.mark.parametrize("made", ["VIEW charges AS SELECT 1 AS x", "MATERIALIZED VIEW charges AS SELECT 1 AS x",
                                  "SEQUENCE charges", "TYPE charges AS (x int)"])  # fmt: skip
def test_what_is_no_table_is_never_overwritten(destination: Destination, made: str) -> None:
    by_hand(destination, f"CREATE {made}")
    with pytest.raises(DestinationRejected, match=r"charges in .* is a "):
        destination.load(_load(overwrite=True), _SCHEMA, ())
    with pytest.raises(DestinationRejected, match="not made by Counterfoil"):
        destination.drop("charges")


def test_tables_and_columns_carry_comments(destination: Destination, archived: Archived) -> None:
    load = _load(method="merge", history=True, comment="Charges: it's all", comments={"amount": "In 'minor' units; --"})
    for run in ("a", "b"):
        destination.load(Load(**{**_fields(load), "run": run}), _SCHEMA, archived(_SCHEMA, _ROWS))
    told = """SELECT obj_description('{0}'::regclass, 'pg_class'), col_description('{0}'::regclass, 2)"""
    assert by_hand(destination, told.format("charges")) == [("Charges: it's all", "In 'minor' units; --")]
    assert by_hand(destination, told.format("charges__history")) == [
        ("Charges: it's all Every version of each row.", "In 'minor' units; --")
    ]
    assert by_hand(destination, "SELECT count(*) FROM charges__as_of(now())") == [(2,)]
    keys = f"SELECT count(*) FROM pg_indexes {_HERE} AND tablename LIKE 'charges%' AND indexdef LIKE '%(id)'"
    assert by_hand(destination, keys) == [(2,)], "one for the table and one for its history, however many loads"


def _fields(load: Load) -> dict[str, Any]:
    return {name: getattr(load, name) for name in load.__slots__}


def test_a_user_without_rights_is_told_which(postgres: Server, person: str, tmp_path: Path, archived: Archived) -> None:
    with pytest.raises(SettingsError, match=f"no schema .*, and {person} may not create it") as refused:
        _open(postgres.url(user=person), tmp_path).check()
    assert "CREATE SCHEMA" in str(refused.value.hint)
    schema = f"s{uuid.uuid4().hex}"
    with postgres.connected() as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        place = _open(postgres.url(schema, user=person), tmp_path)
        with pytest.raises(SettingsError, match="may not create tables in the schema") as refused:
            place.check()
        assert f'GRANT USAGE, CREATE ON SCHEMA "{schema}" TO "{person}"' in str(refused.value.hint)
        with pytest.raises(SettingsError, match="may not create tables"):
            place.load(_load(), _SCHEMA, ())
        connection.execute(f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {person}")
    place.check()
    parts = archived(_SCHEMA, _ROWS)
    for run, method in (("a", "replace"), ("b", "append"), ("c", "merge")):
        place.load(_load(run, method=method, history=method == "merge"), _SCHEMA, parts)
    assert place.rows("charges") == 2
    with postgres.connected() as connection:
        connection.execute(f"ALTER TABLE {schema}.charges OWNER TO owner")
        connection.execute(f"REVOKE ALL ON {schema}.charges FROM {person}")
    with pytest.raises(SettingsError, match=r"does not let this user do that .*permission denied for table charges"):
        place.load(_load("d"), _SCHEMA, ())
    assert _open(postgres.url(schema), tmp_path).rows("charges") == 2


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"database": "nowhere"}, SettingsError, "no such database"),
        ({"user": "nobody_at_all"}, SettingsError, "no such user"),
    ],
)
def test_a_place_that_cannot_be_reached_says_why(
    postgres: Server, tmp_path: Path, change: dict[str, str], kind: type[CounterfoilError], words: str
) -> None:
    for call in (lambda one: one.check(), lambda one: one.load(_load(), _SCHEMA, ()), lambda one: one.rows("x")):
        with pytest.raises(kind, match=words):
            call(_open(postgres.url(**change), tmp_path))


def test_a_server_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        url = f"postgresql://me:hunter2@127.0.0.1:{free.getsockname()[1]}/x"
        with pytest.raises(TransientError, match="can't be reached") as away:
            _open(url, tmp_path).check()
    assert "hunter2" not in f"{away.value} {away.value.hint} {away.value!r}"


def test_a_connection_that_is_cut_is_tried_again_and_nothing_is_changed(
    destination: Destination, archived: Archived, postgres: Server
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))

    def cut() -> None:
        with postgres.connected() as other:
            idle = "application_name = 'counterfoil' AND state = 'idle in transaction'"
            other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {idle}")

    with pytest.raises(TransientError):
        destination.load(_load("run-2"), _SCHEMA, (), guard=cut)
    assert destination.rows("charges") == 2
    assert destination.load(_load("run-2"), _SCHEMA, ()).deleted == 2


def test_a_lock_of_somebody_elses_is_waited_for_and_then_named(
    destination: Destination, archived: Archived, postgres: Server
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    schema = postgres_address(destination.name).schema
    with postgres.connected() as other:
        other.execute(f"BEGIN; LOCK TABLE {schema}.charges IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(DestinationBusy, match="has the table locked"):
            destination.load(_load("run-2"), _SCHEMA, ())
        other.execute("ROLLBACK")
    assert destination.load(_load("run-2"), _SCHEMA, ()).deleted == 2


def test_a_load_that_waits_says_who_loads(destination: Destination, archived: Archived, tmp_path: Path) -> None:
    told: list[str] = []

    def refused() -> None:
        with pytest.raises(DestinationBusy, match=r"charges in .* is held by counterfoil \(server process \d+\)"):
            destination.load(_load("run-2"), _SCHEMA, (), progress=told.append)

    assert destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS), guard=refused).rows == 2
    assert destination.load(_load(table="refunds"), _SCHEMA, (), guard=lambda: None).rows == 0


def test_a_constraint_of_somebody_elses_is_named_without_the_rows_values(
    destination: Destination, archived: Archived
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    by_hand(destination, "ALTER TABLE charges ADD CONSTRAINT small CHECK (amount < 2000)")
    with pytest.raises(DestinationRejected, match=r"a constraint that they do not meet \(small\)") as refused:
        destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, [{"id": "secret_1", "amount": 5000}]))
    assert "secret_1" not in str(refused.value)
    assert destination.rows("charges") == 2


def test_settings_of_the_user_change_nothing(postgres: Server, person: str, archived: Archived, tmp_path: Path) -> None:
    """The server of the tests also has another time zone and another way to write dates."""
    schema = f"s{uuid.uuid4().hex}"
    with postgres.connected() as connection:
        connection.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {person}")
        for setting in ("statement_timeout = '60s'", "default_transaction_read_only = on", "bytea_output = 'escape'",
                        "default_transaction_isolation = serializable", "extra_float_digits = -5"):  # fmt: skip
            connection.execute(f"ALTER ROLE {person} SET {setting}")
    schema_ = pa.schema([*_SCHEMA, pa.field("at", pa.timestamp("us", tz="UTC")), pa.field("x", pa.float64())])
    row = {"id": "a", "amount": 1, "at": dt.datetime(2027, 2, 1, 12, tzinfo=dt.UTC), "x": 0.1 + 0.2}
    place = _open(postgres.url(schema, user=person), tmp_path)
    place.load(_load(method="partition", created="at", covers=(Window(),)), schema_, archived(schema_, [row]))
    assert place.query("SELECT * FROM charges").read_all().to_pylist() == [row]
    assert place.query("SELECT current_setting('statement_timeout') AS n").read_all().to_pylist() == [{"n": "0"}]


def test_calls_while_the_place_is_held_share_a_connection(destination: Destination, postgres: Server) -> None:
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


def test_a_disk_that_is_full_and_other_states_have_words_of_ours() -> None:
    from counterfoil.destinations.postgres.errors import error_of

    for kind, error, words in (
        (DestinationRejected, psycopg.errors.DiskFull("no space"), "disk is full"),
        (TransientError, psycopg.errors.DeadlockDetected("x"), "what others did"),
        (TransientError, psycopg.errors.SerializationFailure("x"), "what others did"),
        (TransientError, psycopg.errors.TooManyConnections("x"), "no connection left"),
        (SettingsError, psycopg.OperationalError('FATAL: password authentication failed for user "x"'), "password"),
        (TransientError, psycopg.OperationalError("could not translate host name"), "can't be found"),
        (TransientError, psycopg.OperationalError("SSL connection has been closed unexpectedly"), "lost"),
        (TransientError, psycopg.OperationalError("server closed the connection unexpectedly"), "lost"),
    ):
        found = error_of(error, "postgresql://me@host/x")
        assert type(found) is kind or isinstance(found, kind)
        assert words in str(found)
        assert isinstance(found, CounterfoilError)
        assert found.hint


def test_a_table_with_the_column_that_stages_rows_is_not_merged_into(
    destination: Destination, archived: Archived
) -> None:
    schema = _SCHEMA.append(pa.field("_counterfoil_position", pa.int64()))
    destination.load(_load(), schema, ())
    with pytest.raises(RunError, match="cannot be merged into"):
        destination.load(_load("run-2", method="merge"), schema, ())
