"""A query reads the existing tables, and nothing else."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from counterfoil.destinations import Destination
from counterfoil.errors import RunError
from counterfoil.values import Load
from tests.destinations.conftest import Archived, raises

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "a", "amount": 1}, {"id": "b", "amount": 2}]


@pytest.fixture(params=["duckdb", "parquet", "s3", "delta"])
def loaded(request: pytest.FixtureRequest, archived: Archived) -> Destination:
    """Each destination that DuckDB queries."""
    destination: Destination = request.getfixturevalue(f"{request.param}_destination")
    destination.load(Load(run="r1", table="charges", method="replace"), _SCHEMA, archived(_SCHEMA, _ROWS))
    return destination


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_parquet('{archive}/**/*.parquet')",
        "SELECT * FROM '{archive}/r1/part-00001.parquet'",
        'SELECT * FROM "{archive}/r1/part-00001.parquet"',
        "WITH x AS (FROM read_blob('{archive}/**')) SELECT * FROM x",
        "SELECT (SELECT count(*) FROM glob('{archive}/**'))",
        "SELECT id FROM charges WHERE id IN (SELECT file FROM glob('/etc/*'))",
        "SELECT * FROM charges, LATERAL (SELECT * FROM read_text('/etc/hostname')) t",
        "SELECT * FROM charges UNION ALL SELECT content, 1 FROM read_text('/etc/hostname')",
        "/* range(1) */ SELECT * FROM \"READ_TEXT\"('/etc/hostname')",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('charges')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM pragma_database_list()",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "DESCRIBE SELECT * FROM read_csv('/etc/passwd')",
    ],
)
def test_query_of_files_and_functions_is_rejected(loaded: Destination, tmp_path: Path, sql: str) -> None:
    with raises(RunError, code="query_not_allowed"):
        loaded.query(sql.format(archive=tmp_path / "home" / "archive"))


@pytest.mark.parametrize(
    "sql",
    [
        "COPY charges TO 'x.csv'",
        "ATTACH 'x.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "SET threads = 1",
        "CREATE TABLE x AS SELECT 1",
        "INSERT INTO charges VALUES ('c', 3)",
        "EXPLAIN ANALYZE DELETE FROM charges",
        "SELECT 1; DROP TABLE charges",
        "SELECT 1; SELECT 2",
        "BEGIN",
        "",
        "-- nothing",
    ],
)
def test_statement_other_than_one_select_is_rejected(loaded: Destination, sql: str) -> None:
    with pytest.raises(RunError):
        loaded.query(sql)
    assert loaded.rows("charges") == 2


@pytest.mark.parametrize(
    ("sql", "result"),
    [
        ("SELECT sum(amount) AS n FROM charges", 3),
        ("FROM charges SELECT count(*) AS n", 2),
        ("WITH x AS (SELECT amount FROM charges) SELECT max(amount) AS n FROM x", 2),
        ("SELECT sum(r) AS n FROM range(4) t(r)", 6),
        ("SELECT count(*) AS n FROM (SELECT unnest([1, 2, 3]))", 3),
        ("SELECT '/etc/passwd' = '/etc/passwd' AS n", True),
        ("SELECT count(*) AS n FROM (DESCRIBE charges)", 2),
    ],
)
def test_queries_over_tables_return_results(loaded: Destination, sql: str, result: object) -> None:
    assert loaded.query(sql).read_all().to_pylist() == [{"n": result}]


def test_only_history_macros_can_be_queried(
    duckdb_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    load = Load(run="r1", table="charges", method="replace", primary_key=("id",), as_of=7, history=True)
    duckdb_destination.load(load, _SCHEMA, archived(_SCHEMA, _ROWS))
    with duckdb.connect(str(tmp_path / "stripe.duckdb")) as connection:
        connection.execute("CREATE MACRO refunds__as_of(instant) AS TABLE SELECT content FROM read_text(instant)")
    for instant, rows in (("to_timestamp(7)", 2), ("'1970-01-01'", 0)):
        sql = f"SELECT count(*) AS n FROM CHARGES__as_of({instant})"
        assert duckdb_destination.query(sql).read_all().to_pylist() == [{"n": rows}]
    for sql in ("FROM refunds__as_of('/etc/hostname')", "FROM charges__as_of((SELECT now() FROM glob('/etc/*')))"):
        with raises(RunError, code="query_not_allowed"):
            duckdb_destination.query(sql)


def test_slow_query_times_out(loaded: Destination) -> None:
    endless = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range * b.range % 7 = 3"
    with raises(RunError, "0.2 seconds", code="query_timeout"):
        loaded.query(endless, seconds=0.2).read_all()
    assert loaded.query("SELECT count(*) AS n FROM charges", seconds=5).read_all().to_pylist() == [{"n": 2}]
