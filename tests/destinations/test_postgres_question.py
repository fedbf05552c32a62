"""A Postgres query only reads tables and computes, and its result is exact."""

from __future__ import annotations

import datetime as dt
import gc
from decimal import Decimal

import pyarrow as pa
import pytest

from counterfoil.destinations import Destination
from counterfoil.destinations.postgres.url import postgres_address
from counterfoil.errors import QUERY_FAILED, RunError
from counterfoil.values import Load
from tests.destinations.conftest import Archived, execute_sql, raises

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "a", "amount": 1}, {"id": "b", "amount": 2}]


@pytest.fixture
def loaded(postgres_destination: Destination, archived: Archived) -> Destination:
    load = Load(run="r1", table="charges", method="replace")
    postgres_destination.load(load, _SCHEMA, archived(_SCHEMA, _ROWS))
    return postgres_destination


def test_functions_with_side_effects_are_rejected(loaded: Destination) -> None:
    execute_sql(loaded, "CREATE FUNCTION drop_it() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    for sql in (
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM pg_ls_dir('/') AS files",
        "WITH x AS (SELECT pg_sleep(1)) SELECT * FROM x",
        "SELECT id FROM charges WHERE amount IN (SELECT pg_advisory_lock(1)::text::int)",
        "SELECT count(*) FILTER (WHERE set_config('transaction_read_only', 'off', true) = 'x') FROM charges",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
        "SELECT * FROM charges ORDER BY lo_import('/etc/passwd')",
        "SELECT query_to_xml('DROP TABLE charges', true, true, '')",
        "SELECT nextval('s') FROM (SELECT 1) AS x, pg_notify('a', 'b')",
        "SELECT drop_it()",
        "/* random() */ SELECT \"pg_stat_file\"('/etc/passwd')",
    ):
        with pytest.raises(RunError) as caught:
            loaded.query(sql)
        assert caught.value.code in ("query_not_allowed", QUERY_FAILED), sql
    assert loaded.rows("charges") == 2


def test_statement_other_than_one_select_is_rejected(loaded: Destination) -> None:
    schema = postgres_address(loaded.name).schema
    for sql in (
        "INSERT INTO charges VALUES ('c', 3)",
        "WITH x AS (DELETE FROM charges RETURNING *) SELECT * FROM x",
        "DELETE FROM charges RETURNING id",
        "SELECT 1; DROP TABLE charges",
        "SELECT 1) AS x; DROP TABLE charges; --",
        f"SELECT 1) AS x; COMMIT; DROP TABLE {schema}.charges; SELECT * FROM (SELECT 1",
        f"SELECT 1; COMMIT; DELETE FROM {schema}.charges",
        "SELECT 1) TO PROGRAM 'touch /tmp/x' --",
        "SELECT 1) AS x, (SELECT 2",
        "SELECT * INTO other FROM charges",
        "COPY charges TO '/tmp/x'",
        "EXPLAIN ANALYZE SELECT 1",
        "SHOW data_directory",
        "SET ROLE owner",
        "VACUUM",
        "SELECT FROM charges",
        "",
        "-- nothing",
        "SELECT 1\0",
    ):
        with pytest.raises(RunError):
            loaded.query(sql)
    assert loaded.rows("charges") == 2


def test_query_results_are_exact(loaded: Destination) -> None:
    for sql, result in (
        ("SELECT sum(amount) AS n FROM charges", 3),
        ("SELECT count(*) AS n, 1 AS n FROM charges -- all", 2),
        ("VALUES (1)", 1),
        ("SELECT 1 AS n;\n", 1),
        ("TABLE charges", "a"),
        ("SELECT sum(x) AS n FROM (VALUES (10.000), (0.125)) AS v(x)", Decimal("10.125")),
        ("SELECT 9223372036854775807::numeric * 3 AS n", Decimal(27670116110564327421)),
        ("SELECT NULL AS n", None),
        ("SELECT '' AS n", ""),
        ("SELECT NULL::text AS n UNION ALL SELECT 'x' ORDER BY 1 NULLS FIRST", None),
        ("SELECT 'NaN'::numeric IS NULL AS n", False),
        ("SELECT '{\"a\": [1, null]}'::jsonb AS n", '{"a": [1, null]}'),
        ("SELECT ARRAY[1, 2] AS n", "{1,2}"),
        ("SELECT '1 day 02:00'::interval AS n", "1 day 02:00:00"),
        ("SELECT TIMESTAMPTZ '2027-01-01 05:30+05:30' AS n", dt.datetime(2027, 1, 1, tzinfo=dt.UTC)),
        ("SELECT DATE '2027-02-01' AS n", dt.date(2027, 2, 1)),
        ("SELECT 0.1::float8 + 0.2::float8 AS n", 0.1 + 0.2),
        ("SELECT E'\\n,\"' AS n", '\n,"'),
        ("SELECT random() < 2 AS n", True),
        ("SELECT count(*) AS n FROM charges WHERE false", 0),
    ):
        table = loaded.query(sql).read_all()
        assert table.column(0)[0].as_py() == result, sql
    assert loaded.query("SELECT amount, id FROM charges WHERE false").read_all().schema == pa.schema(
        [("amount", pa.int64()), ("id", pa.string())]
    )


def test_sums_keep_all_digits_and_quotients_those_of_first_row(loaded: Destination) -> None:
    wide = "repeat('x', 900) AS wide FROM generate_series(1, 4000) AS t(n) ORDER BY n"
    table = loaded.query(f"SELECT n::numeric(30,3) + 0.125 AS sum, 1::numeric / n AS part, {wide}").read_all()
    sums = table.column("sum").to_pylist()
    assert (sums[0], sums[-1]) == (Decimal("1.125"), Decimal("4000.125"))
    assert table.column("part")[3_999].as_py() == Decimal("0.00025")


def test_slow_query_times_out(loaded: Destination) -> None:
    endless = (
        "SELECT count(*) FROM generate_series(1, 100000) AS a, generate_series(1, 100000) AS b WHERE a * b % 7 = 9"
    )
    with raises(RunError, "0.2 seconds", code="query_timeout"):
        loaded.query(endless, seconds=0.2).read_all()
    assert loaded.query("SELECT count(*) AS n FROM charges", seconds=5).read_all().to_pylist() == [{"n": 2}]


def test_dropped_result_releases_server(loaded: Destination) -> None:
    reader = loaded.query("SELECT repeat('x', 1000) AS mine FROM generate_series(1, 1000000)")
    assert reader.read_next_batch().num_rows
    del reader
    gc.collect()
    # Waits until the server stops sending, up to a timeout.
    sending = "EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'COPY%AS mine FROM%')"
    waiting = f"DO $$ BEGIN WHILE {sending} LOOP PERFORM pg_stat_clear_snapshot(); END LOOP; END $$"
    execute_sql(loaded, "SET statement_timeout TO '30s'", waiting)
