"""The view of the latest snapshot of each append table."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from counterfoil.destinations import Destination
from counterfoil.errors import INVALID_TABLE, DestinationRejected
from counterfoil.values import Load

from .conftest import Archived, execute_sql, raises

FIELDS = [pa.field("id", pa.string()), pa.field("amount", pa.int64()), pa.field("_run", pa.string())]
SCHEMA = pa.schema(FIELDS)
VIEW = "charges__latest"


def snapshot(destination: Destination, archived: Archived, run: str, *amounts: int, **changes: Any) -> None:
    """Appends a row for each amount, in one run."""
    rows = [{"id": f"ch_{number}", "amount": amount, "_run": run} for number, amount in enumerate(amounts)]
    destination.load(loaded(run, **changes), SCHEMA, archived(SCHEMA, rows))


def loaded(run: str, **changes: Any) -> Load:
    given = {"run": run, "table": "charges", "method": "append", "order": ("id",), "primary_key": ("id",)}
    return Load(**{**given, **changes})


def amounts(destination: Destination, view: str = VIEW) -> list[int]:
    sql = f'SELECT amount FROM "{view}" ORDER BY amount'
    return [row["amount"] for row in destination.query(sql).read_all().to_pylist()]


@pytest.fixture
def snapshots(with_latest_view: Destination, archived: Archived) -> Destination:
    """A destination in which `charges` has two snapshots."""
    snapshot(with_latest_view, archived, "run-1", 1, 2)
    snapshot(with_latest_view, archived, "run-2", 10, 20, 30)
    return with_latest_view


def test_only_declaring_destinations_have_the_view(destination: Destination, archived: Archived) -> None:
    snapshot(destination, archived, "run-1", 1)
    assert (destination.columns(VIEW) is not None) == ("latest" in destination.kind.guarantees)


def test_view_has_rows_of_latest_run_and_all_columns(snapshots: Destination) -> None:
    assert amounts(snapshots) == [10, 20, 30]
    assert snapshots.columns(VIEW) == snapshots.columns("charges")
    assert snapshots.rows("charges") == 5


def test_empty_snapshot_shows_no_rows(snapshots: Destination) -> None:
    snapshots.load(loaded("run-3"), SCHEMA, ())
    assert amounts(snapshots) == []


def test_new_column_is_in_view(snapshots: Destination, archived: Archived) -> None:
    wider = pa.schema([pa.field("new", pa.string()), *FIELDS])
    snapshots.load(loaded("run-3"), wider, archived(wider, [{"new": "x", "id": "ch_1", "amount": 7, "_run": "run-3"}]))
    assert snapshots.query(f"SELECT new, amount FROM {VIEW}").read_all().to_pylist() == [{"new": "x", "amount": 7}]


def test_each_append_table_has_its_view(snapshots: Destination, archived: Archived) -> None:
    snapshot(snapshots, archived, "run-2", 99, table="others")
    snapshot(snapshots, archived, "run-4", 98, table="others")
    assert amounts(snapshots) == [10, 20, 30]
    assert amounts(snapshots, "others__latest") == [98]


@pytest.mark.parametrize("method", ["replace", "merge"])
def test_changing_method_removes_view(snapshots: Destination, archived: Archived, method: str) -> None:
    snapshot(snapshots, archived, "run-3", 5, method=method)
    assert snapshots.columns(VIEW) is None
    snapshot(snapshots, archived, "run-4", 6)
    assert amounts(snapshots) == [6]


def test_replacing_columns_removes_view(snapshots: Destination) -> None:
    other = pa.schema([pa.field("id", pa.int64())])
    snapshots.load(loaded("run-3", method="replace"), other, ())
    assert snapshots.columns("charges") is not None
    assert snapshots.columns(VIEW) is None


def test_rollback_shows_latest_snapshot_of_that_run(snapshots: Destination, archived: Archived) -> None:
    rows = [{"id": "ch_0", "amount": 1, "_run": "run-1"}]
    kept = [(loaded("run-1"), archived(SCHEMA, rows))]
    snapshots.replay(kept, SCHEMA, run="run-3")
    assert amounts(snapshots) == [1]
    snapshot(snapshots, archived, "run-4", 4)
    assert amounts(snapshots) == [4]


def test_drop_removes_view(snapshots: Destination, archived: Archived) -> None:
    assert snapshots.drop("charges")
    assert snapshots.columns(VIEW) is None
    snapshot(snapshots, archived, "run-9", 9)
    assert amounts(snapshots) == [9]


def test_failed_load_leaves_view_unchanged(snapshots: Destination, archived: Archived) -> None:
    def refuse() -> None:
        raise DestinationRejected("not now")

    rows = [{"id": "ch_1", "amount": 7, "_run": "run-3"}]
    with pytest.raises(DestinationRejected, match="not now"):
        snapshots.load(loaded("run-3"), SCHEMA, archived(SCHEMA, rows), guard=refuse)
    assert amounts(snapshots) == [10, 20, 30]


@pytest.mark.parametrize("kind", ["TABLE", "VIEW"])
def test_unmanaged_object_with_view_name_is_never_overwritten(
    snapshots: Destination, archived: Archived, kind: str
) -> None:
    execute_sql(snapshots, f"DROP VIEW {VIEW}", f"CREATE {kind} {VIEW} AS SELECT 'unmanaged' AS owner")
    with raises(DestinationRejected, VIEW, code=INVALID_TABLE):
        snapshot(snapshots, archived, "run-3", 7)
    assert execute_sql(snapshots, f"SELECT * FROM {VIEW}") == [("unmanaged",)]
    assert snapshots.rows("charges") == 5
    snapshot(snapshots, archived, "run-4", 8, method="replace")
    assert execute_sql(snapshots, f"SELECT * FROM {VIEW}") == [("unmanaged",)]


def test_view_cannot_be_load_target(snapshots: Destination, archived: Archived) -> None:
    with raises(DestinationRejected, VIEW, code=INVALID_TABLE):
        snapshot(snapshots, archived, "run-3", 7, table=VIEW)
    assert amounts(snapshots) == [10, 20, 30]


@pytest.mark.parametrize(
    ("sql", "added"),
    [
        ("SELECT sum(amount) FROM charges", {"charges"}),
        ("SELECT id, count(*) FROM charges GROUP BY id", {"charges"}),
        ("SELECT sum(amount) OVER (ORDER BY id) FROM charges", {"charges"}),
        ("SELECT sum(amount) FROM (SELECT * FROM charges) AS every", {"charges"}),
        ("WITH every AS (SELECT amount FROM charges) SELECT max(amount) FROM every", {"charges"}),
        ("SELECT id, (SELECT sum(amount) FROM charges) AS total FROM charges__latest", {"charges", VIEW}),
        ("SELECT sum(amount) FROM charges__latest", {VIEW}),
        ("WITH charges AS (SELECT * FROM charges__latest) SELECT sum(amount) FROM charges", {VIEW}),
        ("SELECT _run, sum(amount) FROM charges GROUP BY _run", set()),
        ("SELECT sum(amount) FROM charges AS c WHERE c._run = 'run-2'", set()),
        ("SELECT * FROM charges", set()),
        ("SELECT id, amount FROM charges ORDER BY amount LIMIT 1", set()),
        ("SELECT 'sum(amount) FROM charges' AS words /* count(*) FROM charges */", set()),
        ("SELECT count(*) FROM (SELECT 1 AS one) AS charges", set()),
    ],
)
def test_aggregation_over_snapshots_is_detected(snapshots: Destination, sql: str, added: set[str]) -> None:
    snapshots.query(sql).read_all()
    assert snapshots.adds_up(sql) == added
