"""Each check separately, with tables of a few rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from counterfoil.archive import Coverage, Ledger, PageNote, PartWriter
from counterfoil.columns.column import Column
from counterfoil.destinations.sql.parts_tables import PartsTables
from counterfoil.errors import StripeUnavailable
from counterfoil.proof import balance, coverage, keys
from counterfoil.proof.check import NOT_POSSIBLE, Check, made_together, worst
from counterfoil.proof.compare import compare
from counterfoil.proof.coverage import Expectation, expected_of
from counterfoil.proof.table_queries import one
from counterfoil.values import Loaded, Window

AS_OF = 1_793_534_400


class Tables:
    """A database in memory."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()

    def ask(self, sql: str) -> pa.RecordBatchReader:
        return self.connection.sql(sql).to_arrow_reader()


@pytest.fixture
def tables() -> Iterator[Tables]:
    found = Tables()
    yield found
    found.connection.close()


MONEY = (
    Column(name="id", type="string", path=("id",)),
    Column(name="amount", type="integer", path=("amount",), currency="currency"),
    Column(name="amount_major", type="major", path=("amount",), currency="currency", derived=True),
    Column(name="currency", type="string", path=("currency",)),
)


def check_values(
    tables: Tables, columns: Any, key: tuple[str, ...] = ("id",), digits: dict[str, int] | None = None
) -> dict[str, Check]:
    found = keys.check_values(tables.ask, "t", columns, key, created="created", until=AS_OF, digits=digits or {})
    return {check.name: check for check in found}


def amounts(tables: Tables, rows: str, digits: dict[str, int] | None = None) -> Check:
    tables.connection.execute(
        f"CREATE OR REPLACE TABLE t AS SELECT * FROM (VALUES {rows}) AS v(id, amount, amount_major, currency)"
    )
    tables.connection.execute("ALTER TABLE t ALTER amount TYPE BIGINT")
    tables.connection.execute("ALTER TABLE t ALTER amount_major TYPE DECIMAL(22,3)")
    return check_values(tables, MONEY, digits=digits)["amounts"]


def test_amounts_use_the_digits_of_the_currency(tables: Tables) -> None:
    valid = "('a', 1050, 10.5, 'usd'), ('b', 1050, 1050, 'JPY'), ('c', 1050, 1.05, 'kwd'), ('d', NULL, NULL, 'usd')"
    assert amounts(tables, valid).result == "PASS"
    assert amounts(tables, "('a', 1050, 10.5, 'jpy')").differences == (
        {"id": "a", "amount": 1050, "amount_major": "10.500", "currency": "jpy"},
    )
    assert amounts(tables, "('a', 1050, NULL, 'usd')").result == "FAIL"
    assert amounts(tables, "('a', NULL, 1, 'usd')").result == "FAIL"


def test_unknown_currency_needs_configured_digits(tables: Tables) -> None:
    assert amounts(tables, "('a', 1050, NULL, 'xyz')").result == "PASS"
    assert amounts(tables, "('a', 1050, 10.5, 'xyz')").result == "FAIL"
    assert amounts(tables, "('a', 1050, 10.5, 'xyz')", {"xyz": 2}).result == "PASS"


def test_the_largest_amount_is_compared_exactly(tables: Tables) -> None:
    largest = 2**63 - 1
    assert amounts(tables, f"('a', {largest}, {largest // 100}.07, 'usd')").result == "PASS"
    assert amounts(tables, f"('a', {largest}, {largest // 100}.08, 'usd')").result == "FAIL"


def test_hashed_or_missing_amounts_are_not_compared(tables: Tables) -> None:
    hashed = [Column(name="amount", type="string", path=("amount",)), *MONEY[2:]]
    tables.connection.execute("CREATE TABLE t AS SELECT 'a' AS id")
    assert check_values(tables, hashed)["amounts"].result == "NOT APPLICABLE"


def test_null_and_duplicate_keys_fail(tables: Tables) -> None:
    tables.connection.execute(
        "CREATE TABLE t AS SELECT * FROM (VALUES ('a', 1), ('b', 1), ('a', 2), (NULL, 1)) v(x, y)"
    )
    assert check_values(tables, (), ("x",))["null keys"].different == 1
    assert check_values(tables, (), ("y",))["null keys"].result == "PASS"
    found = keys.check_double_keys(tables.ask, "t", ("x",))
    assert (found.result, found.differences) == ("FAIL", ({"x": "a", "rows": 2},))
    assert keys.check_double_keys(tables.ask, "t", ("x", "y")).result == "PASS"


INSTANTS = [Column(name=name, type="timestamp") for name in ("created", "canceled_at", "cancel_at")]


@pytest.mark.parametrize(
    ("created", "canceled", "cancel", "different"),
    [
        (AS_OF, AS_OF, AS_OF * 2, 0),
        (AS_OF * 2, AS_OF, AS_OF, 1),
        (AS_OF, AS_OF * 2, AS_OF, 1),
        (0, 0, 0, 2),
        ("NULL", "NULL", "NULL", 0),
    ],
)
def test_implausible_times_are_counted(
    tables: Tables, created: Any, canceled: Any, cancel: Any, different: int
) -> None:
    values = ", ".join(f"to_timestamp({each})" for each in (created, canceled, cancel))
    tables.connection.execute(
        f"CREATE TABLE t AS SELECT * FROM (VALUES ('a', {values})) v(id, created, canceled_at, cancel_at)"
    )
    assert check_values(tables, INSTANTS)["instants"].different == different


def archived(folder: Path, rows: int = 3) -> Ledger:
    writer = PartWriter(folder, pa.schema([("id", pa.string())]))
    writer.write(pa.record_batch([pa.array([f"ch_{n}" for n in range(rows)])], names=["id"]))
    writer.cut()
    return Ledger({"/v1/charges": Coverage(1, rows, [Window()])}, tuple(writer.parts))


def test_parts_check_compares_rows_and_bytes(tmp_path: Path) -> None:
    ledger = archived(tmp_path)
    assert coverage.check_parts(ledger).result == "PASS"
    ledger.sources["/v1/charges"].rows += 1
    assert coverage.check_parts(ledger).differences == ({"rows_read": 4, "rows_in_the_parts": 3},)
    ledger.parts[0].path.write_bytes(b"PAR1")
    assert coverage.check_parts(ledger).different == 2


def test_pages_check_compares_spool_with_ledger(tmp_path: Path) -> None:
    ledger = archived(tmp_path)
    note = PageNote("/v1/charges", Window(), None, 3, True, None)
    assert coverage.check_pages([note], ledger).result == "PASS"
    assert coverage.check_pages([], ledger).result == "FAIL"
    assert coverage.check_pages([note, note], ledger).result == "FAIL"


def test_skipped_objects_are_listed() -> None:
    assert coverage.check_skipped((), ("a field is new",)).result == "PASS"
    found = coverage.check_skipped(("Stripe refuses the preview of these",), ())
    assert (found.result, found.different) == ("INCONCLUSIVE", 1)
    assert coverage.check_skipped(("retired by Stripe, use something else",), ()).result == "NOT APPLICABLE"


def ids(tables: Tables, keys: str, *, whole: bool, loaded: int | None) -> Check:
    tables.connection.execute(f"CREATE OR REPLACE TABLE parts AS SELECT unnest({keys.split()}) AS id")
    return coverage.check_ids(tables.ask, ("id",), whole=whole, loaded=loaded)


@pytest.mark.parametrize(("loaded", "result"), [(3, "PASS"), (2, "PASS"), (1, "FAIL"), (4, "FAIL")])
def test_object_deleted_between_runs_creates_no_row(tables: Tables, loaded: int, result: str) -> None:
    values = "VALUES ('a', false), ('b', NULL), ('c', true)"
    tables.connection.execute(f"CREATE OR REPLACE TABLE parts AS SELECT * FROM ({values}) AS every(id, _deleted)")
    assert coverage.check_ids(tables.ask, ("id",), whole=False, loaded=loaded).result == result


def test_ids_check_finds_duplicate_and_missing_objects(tables: Tables) -> None:
    assert ids(tables, "a b c", whole=True, loaded=3).result == "PASS"
    assert ids(tables, "a b b", whole=True, loaded=3).differences == ({"id": "b", "n": 2},)
    assert ids(tables, "a b b", whole=False, loaded=2).result == "PASS"
    assert ids(tables, "a b c", whole=True, loaded=2).result == "FAIL"
    assert ids(tables, "a b c", whole=True, loaded=None).result == "PASS"


def expected(
    method: Any, *, covers: tuple[Window, ...] = (), before: int | None = None, **more: Any
) -> Expectation | None:
    done = Loaded(rows=10, added=4, changed=3, deleted=2)
    options = {"run": "r1", "created": "created", "dropped": False, "live": "live"} | more
    return expected_of(method, done, covers=covers, before=before, **options)


def test_expected_rows_depend_on_the_method() -> None:
    replaced, appended = expected("replace"), expected("append")
    assert replaced
    assert appended
    assert (replaced.rows, replaced.where) == (10, "true")
    assert (appended.rows, appended.where) == (10, "_run = 'r1'")
    part = expected("partition", covers=(Window(5, 9),))
    assert part
    assert part.where == '(("created" >= to_timestamp(5) AND "created" < to_timestamp(9)))'
    covered = expected("merge", covers=(Window(),), before=100)
    assert covered
    assert (covered.rows, covered.where) == (10, "(live) AND (true)")


def test_merge_expects_earlier_rows_plus_added_rows() -> None:
    assert expected("merge") is None
    retained, dropped = expected("merge", before=100), expected("merge", before=100, dropped=True)
    assert retained
    assert dropped
    assert (retained.rows, dropped.rows) == (104, 102)


def test_rows_are_counted_without_an_expectation(tables: Tables) -> None:
    tables.connection.execute("CREATE TABLE t AS SELECT i, i = 0 AS _deleted FROM range(5) r(i)")
    first = coverage.check_table(tables.ask, "t", None, "NOT _deleted")
    assert (first.result, first.figures) == ("NOT APPLICABLE", {"rows": 5, "live_rows": 4})
    right, wrong = (
        coverage.check_table(tables.ask, "t", Expectation(rows=rows, where="true", why="so"), "true") for rows in (5, 6)
    )
    assert (right.result, wrong.result, wrong.differences) == ("PASS", "FAIL", ({"rows": 5, "expected": 6},))


STRIPE = {
    "available": [{"amount": 70, "currency": "usd"}, {"amount": 5, "currency": "jpy"}],
    "pending": [{"amount": 30, "currency": "usd"}],
    "connect_reserved": [{"amount": 9, "currency": "usd"}],
    "instant_available": [{"amount": 70, "currency": "usd"}],
    "issuing": {"available": [{"amount": -8, "currency": "usd"}]},
    "refund_and_dispute_prefunding": {
        "available": [{"amount": 1, "currency": "usd"}],
        "pending": [{"amount": 2, "currency": "usd"}],
    },
}


def test_balance_types_use_separate_lists() -> None:
    assert balance.held(STRIPE) == {
        "payments": {"usd": 100, "jpy": 5},
        "issuing": {"usd": -8},
        "refund_and_dispute_prefunding": {"usd": 3},
    }
    assert balance.shown(STRIPE)["connect_reserved"] == {"usd": 9}


def snapshot(at: int, **sums: int) -> balance.Snapshot:
    return balance.Snapshot(at=at, sums={"payments": sums}, stripe_balance={})


def test_currencies_are_compared_separately() -> None:
    found = balance.check_balance("payments", {"payments": {"usd": 100, "eur": 1}}, snapshot(9, usd=100, jpy=5))
    assert (found.result, [each["currency"] for each in found.differences]) == ("FAIL", ["eur", "jpy"])
    assert balance.check_balance("payments", {"payments": {"usd": 100}}, snapshot(9, usd=100, jpy=0)).result == "PASS"


def test_partial_history_compares_change_between_snapshots() -> None:
    then, now = snapshot(5, usd=70), snapshot(9, usd=100)
    moved = {"payments": {"usd": 30}}
    assert balance.check_balance("payments", moved, now, then=then).result == "PASS"
    assert balance.check_balance("payments", {"payments": {"usd": 29}}, now, then=then).result == "FAIL"


def test_oldest_covered_snapshot_is_selected() -> None:
    stored = [snapshot(at, usd=at).as_json() for at in (20, 10, 30)]
    oldest = balance.earlier(stored, since=None, until=40, currency=None)
    assert oldest
    assert oldest.at == 10
    later = balance.earlier(stored, since=15, until=40, currency=None)
    assert later
    assert later.at == 20
    assert balance.earlier(stored, since=31, until=40, currency=None) is None
    assert balance.earlier(stored, since=None, until=10, currency=None) is None
    assert balance.earlier(stored, since=None, until=40, currency="usd") is None


def test_balance_without_amounts_is_an_error() -> None:
    with pytest.raises(StripeUnavailable, match="amount"):
        balance.held({"available": [{"amount": "70", "currency": "usd"}]})


def test_sums_are_integers_of_any_size(tables: Tables) -> None:
    row = one(tables.ask, f"SELECT sum(n) AS n FROM (VALUES ({2**62}), ({2**62}), ({2**62})) v(n)")
    assert row == {"n": 3 * 2**62}
    assert type(row["n"]) is int


def test_impossible_check_is_inconclusive_with_a_reason() -> None:
    def unavailable() -> list[Check]:
        raise StripeUnavailable("Stripe is away", path="/v1/balance")

    (found,) = made_together("balance", ("payments",), unavailable)
    assert found.result == "INCONCLUSIVE"
    assert found.reason.startswith(NOT_POSSIBLE)
    assert "Stripe is away (/v1/balance)" in found.reason


def test_worst_result_is_selected() -> None:
    results = ("PASS", "NOT APPLICABLE", "INCONCLUSIVE", "FAIL")
    checks = [Check(family="keys", name="x", result=result, reason="") for result in results]
    assert [worst(checks[:count]) for count in range(5)] == [None, "PASS", "PASS", "INCONCLUSIVE", "FAIL"]


COMPARED = (Column(name="id", type="string"), Column(name="n", type="integer"), Column(name="j", type="json"))


def differences(
    stored: Any, listed: Any, excuse: Any = lambda *_: False, **more: Any
) -> tuple[dict[str, int], list[Any]]:
    """The number of differences of each kind, and the differences."""
    with duckdb.connect() as connection, tempfile.TemporaryDirectory() as folder:
        for name, rows in (("h", stored), ("l", listed)):
            connection.execute(f"CREATE TABLE {name} (id VARCHAR, n BIGINT, j JSON)")
            for row in rows:
                connection.execute(f"INSERT INTO {name} VALUES (?, ?, ?)", row)
        found = compare(PartsTables(connection, Path(folder)), "h", "l", COMPARED, ("id",), excuse=excuse, **more)
    return dict(found.faults), found.differences


def test_rows_are_compared_field_by_field() -> None:
    stored = [("a", 1, None), ("b", 2, '{"x":1}'), ("c", 3, None), ("c", 3, None), ("e", 5, None)]
    listed = [("a", 1, None), ("b", 3, '{"x":2}'), ("c", 3, None), ("d", 4, None)]
    faults, found = differences(stored, listed)
    assert faults == {"doubled": 1, "different": 1, "missing": 1, "extra": 1}
    assert {"fault": "missing", "id": "d"} in found
    assert {"fault": "extra", "id": "e"} in found
    (changed,) = (each for each in found if each["fault"] == "different")
    assert changed["fields"] == [
        {"column": "n", "table": 2, "expected": 3},
        {"column": "j", "table": '{"x":1}', "expected": '{"x":2}'},
    ]


def test_equivalent_json_is_equal() -> None:
    assert differences([("a", 1, '{"x":1,"y":[2]}')], [("a", 1, '{"y": [2], "x": 1}')]) == ({}, [])


def test_reformatted_json_is_recognized_without_excusing_each_row() -> None:
    stored = [("a", 1, '{"x":1,"y":[2]}'), ("b", 1, "{}"), ("c", 1, None)]
    listed = [("a", 1, '{"y": [2], "x": 1}'), ("b", 1, '{"x": 1}'), ("c", 1, None)]
    seen: list[Any] = []

    def excuse(*row: Any) -> bool:
        seen.append(row)
        return False

    assert differences(stored, listed, excuse, rewritten=True)[0] == {"different": 1}
    assert len(seen) == 1


def test_rows_without_a_key_are_differences() -> None:
    assert differences([(None, 1, None)], [("a", 1, None)])[0] == {"extra": 1, "missing": 1}


def test_excused_row_is_not_a_difference() -> None:
    faults, _ = differences([("a", 1, None)], [("a", 2, None)], lambda stored, listed, names: names == ["n"])
    assert faults == {}


def test_empty_tables_are_equal() -> None:
    assert differences([], []) == ({}, [])


def test_merge_compares_only_the_rows_of_the_run() -> None:
    stored = [("a", 1, None), ("b", 2, None), ("x", 9, None)]
    listed = [("a", 1, None), ("b", 3, None), ("c", 4, None), ("x", 8, None), ("x", 9, None)]
    assert differences(stored, listed, brought=True)[0] == {"different": 1}
