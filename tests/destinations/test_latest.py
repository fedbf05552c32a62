"""The view of the latest snapshot beside each append table."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from counterfoil.destinations import Destination
from counterfoil.errors import DestinationRejected
from counterfoil.values import Load

from .conftest import Archived, by_hand

FIELDS = [pa.field("id", pa.string()), pa.field("amount", pa.int64()), pa.field("_run", pa.string())]
SCHEMA = pa.schema(FIELDS)
VIEW = "charges__latest"


def snapshot(destination: Destination, archived: Archived, run: str, *amounts: int, **changes: Any) -> None:
    """A run that appends a row per amount."""
    rows = [{"id": f"ch_{number}", "amount": amount, "_run": run} for number, amount in enumerate(amounts)]
    destination.load(loaded(run, **changes), SCHEMA, archived(SCHEMA, rows))


def loaded(run: str, **changes: Any) -> Load:
    given = {"run": run, "table": "charges", "method": "append", "order": ("id",), "primary_key": ("id",)}
    return Load(**{**given, **changes})


def amounts(destination: Destination, view: str = VIEW) -> list[int]:
    sql = f'SELECT amount FROM "{view}" ORDER BY amount'
    return [row["amount"] for row in destination.query(sql).read_all().to_pylist()]


@pytest.fixture
def snapshots(showing: Destination, archived: Archived) -> Destination:
    """A destination in which `charges` has two snapshots."""
    snapshot(showing, archived, "run-1", 1, 2)
    snapshot(showing, archived, "run-2", 10, 20, 30)
    return showing


def test_only_a_destination_that_declares_it_has_the_view(destination: Destination, archived: Archived) -> None:
    snapshot(destination, archived, "run-1", 1)
    assert (destination.columns(VIEW) is not None) == ("latest" in destination.kind.guarantees)


def test_the_view_has_the_rows_of_the_latest_run_and_every_column(snapshots: Destination) -> None:
    assert amounts(snapshots) == [10, 20, 30]
    assert snapshots.columns(VIEW) == snapshots.columns("charges")
    assert snapshots.rows("charges") == 5


def test_an_empty_snapshot_shows_no_rows(snapshots: Destination) -> None:
    snapshots.load(loaded("run-3"), SCHEMA, ())
    assert amounts(snapshots) == []


def test_a_column_that_is_new_is_in_the_view(snapshots: Destination, archived: Archived) -> None:
    wider = pa.schema([pa.field("new", pa.string()), *FIELDS])
    snapshots.load(loaded("run-3"), wider, archived(wider, [{"new": "x", "id": "ch_1", "amount": 7, "_run": "run-3"}]))
    assert snapshots.query(f"SELECT new, amount FROM {VIEW}").read_all().to_pylist() == [{"new": "x", "amount": 7}]


def test_two_append_tables_have_a_view_each(snapshots: Destination, archived: Archived) -> None:
    snapshot(snapshots, archived, "run-2", 99, table="others")
    snapshot(snapshots, archived, "run-4", 98, table="others")
    assert amounts(snapshots) == [10, 20, 30]
    assert amounts(snapshots, "others__latest") == [98]


@pytest.mark.parametrize("method", ["replace", "merge"])
def test_a_table_that_is_no_longer_appended_to_has_no_view(
    snapshots: Destination, archived: Archived, method: str
) -> None:
    snapshot(snapshots, archived, "run-3", 5, method=method)
    assert snapshots.columns(VIEW) is None
    snapshot(snapshots, archived, "run-4", 6)
    assert amounts(snapshots) == [6]


def test_a_table_that_is_replaced_by_one_of_other_columns_has_no_view(snapshots: Destination) -> None:
    other = pa.schema([pa.field("id", pa.int64())])
    snapshots.load(loaded("run-3", method="replace"), other, ())
    assert snapshots.columns("charges") is not None
    assert snapshots.columns(VIEW) is None


def test_a_table_that_goes_back_shows_the_snapshot_that_was_the_latest_then(
    snapshots: Destination, archived: Archived
) -> None:
    rows = [{"id": "ch_0", "amount": 1, "_run": "run-1"}]
    kept = [(loaded("run-1"), archived(SCHEMA, rows))]
    snapshots.replay(kept, SCHEMA, run="run-3")
    assert amounts(snapshots) == [1]
    snapshot(snapshots, archived, "run-4", 4)
    assert amounts(snapshots) == [4]


def test_the_view_goes_with_its_table(snapshots: Destination, archived: Archived) -> None:
    assert snapshots.drop("charges")
    assert snapshots.columns(VIEW) is None
    snapshot(snapshots, archived, "run-9", 9)
    assert amounts(snapshots) == [9]


def test_a_load_that_fails_leaves_the_view_as_it_was(snapshots: Destination, archived: Archived) -> None:
    def refuse() -> None:
        raise DestinationRejected("not now")

    rows = [{"id": "ch_1", "amount": 7, "_run": "run-3"}]
    with pytest.raises(DestinationRejected, match="not now"):
        snapshots.load(loaded("run-3"), SCHEMA, archived(SCHEMA, rows), guard=refuse)
    assert amounts(snapshots) == [10, 20, 30]


@pytest.mark.parametrize("theirs", ["TABLE", "VIEW"])
def test_what_has_the_views_name_and_is_not_ours_is_never_overwritten(
    snapshots: Destination, archived: Archived, theirs: str
) -> None:
    by_hand(snapshots, f"DROP VIEW {VIEW}", f"CREATE {theirs} {VIEW} AS SELECT 'theirs' AS whose")
    with pytest.raises(DestinationRejected, match=VIEW):
        snapshot(snapshots, archived, "run-3", 7)
    assert by_hand(snapshots, f"SELECT * FROM {VIEW}") == [("theirs",)]
    assert snapshots.rows("charges") == 5
    snapshot(snapshots, archived, "run-4", 8, method="replace")
    assert by_hand(snapshots, f"SELECT * FROM {VIEW}") == [("theirs",)]


def test_the_view_is_no_table_that_a_run_can_fill(snapshots: Destination, archived: Archived) -> None:
    with pytest.raises(DestinationRejected, match=VIEW):
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
def test_what_a_question_adds_up_is_what_it_names_and_tells_no_runs_of(
    snapshots: Destination, sql: str, added: set[str]
) -> None:
    snapshots.query(sql).read_all()
    assert snapshots.adds_up(sql) == added
