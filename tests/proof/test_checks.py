"""Each check by itself, on tables of a few rows."""

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
from counterfoil.proof.check import Check, made_together, worst
from counterfoil.proof.compare import compare
from counterfoil.proof.coverage import Expectation, expected_of
from counterfoil.proof.table_queries import one
from counterfoil.values import Loaded, Window

AS_OF = 1_793_534_400


class Tables:
    """A database that answers."""

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


def looked(
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
    return looked(tables, MONEY, digits=digits)["amounts"]


def test_amounts_go_by_the_digits_of_their_currency(tables: Tables) -> None:
    well = "('a', 1050, 10.5, 'usd'), ('b', 1050, 1050, 'JPY'), ('c', 1050, 1.05, 'kwd'), ('d', NULL, NULL, 'usd')"
    assert amounts(tables, well).result == "PASS"
    assert amounts(tables, "('a', 1050, 10.5, 'jpy')").differences == (
        {"id": "a", "amount": 1050, "amount_major": "10.500", "currency": "jpy"},
    )
    assert amounts(tables, "('a', 1050, NULL, 'usd')").result == "FAIL"
    assert amounts(tables, "('a', NULL, 1, 'usd')").result == "FAIL"


def test_an_unknown_currency_has_no_major_amount_unless_its_digits_are_told(tables: Tables) -> None:
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
    assert looked(tables, hashed)["amounts"].result == "NOT APPLICABLE"


def test_keys_are_there_and_each_in_one_row(tables: Tables) -> None:
    tables.connection.execute(
        "CREATE TABLE t AS SELECT * FROM (VALUES ('a', 1), ('b', 1), ('a', 2), (NULL, 1)) v(x, y)"
    )
    assert looked(tables, (), ("x",))["null keys"].different == 1
    assert looked(tables, (), ("y",))["null keys"].result == "PASS"
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
def test_times_that_are_past_are_past(tables: Tables, created: Any, canceled: Any, cancel: Any, different: int) -> None:
    values = ", ".join(f"to_timestamp({each})" for each in (created, canceled, cancel))
    tables.connection.execute(
        f"CREATE TABLE t AS SELECT * FROM (VALUES ('a', {values})) v(id, created, canceled_at, cancel_at)"
    )
    assert looked(tables, INSTANTS)["instants"].different == different


def archived(folder: Path, rows: int = 3) -> Ledger:
    writer = PartWriter(folder, pa.schema([("id", pa.string())]))
    writer.write(pa.record_batch([pa.array([f"ch_{n}" for n in range(rows)])], names=["id"]))
    writer.cut()
    return Ledger({"/v1/charges": Coverage(1, rows, [Window()])}, tuple(writer.parts))


def test_parts_hold_what_was_read_byte_for_byte(tmp_path: Path) -> None:
    ledger = archived(tmp_path)
    assert coverage.check_parts(ledger).result == "PASS"
    ledger.sources["/v1/charges"].rows += 1
    assert coverage.check_parts(ledger).differences == ({"rows_read": 4, "rows_in_the_parts": 3},)
    ledger.parts[0].path.write_bytes(b"PAR1")
    assert coverage.check_parts(ledger).different == 2


def test_pages_of_the_spool_are_those_of_the_ledger(tmp_path: Path) -> None:
    ledger = archived(tmp_path)
    note = PageNote("/v1/charges", Window(), None, 3, True, None)
    assert coverage.check_pages([note], ledger).result == "PASS"
    assert coverage.check_pages([], ledger).result == "FAIL"
    assert coverage.check_pages([note, note], ledger).result == "FAIL"


def test_what_was_skipped_is_listed() -> None:
    assert coverage.check_skipped((), ("a field is new",)).result == "PASS"
    found = coverage.check_skipped(("Stripe refuses the preview of these",), ())
    assert (found.result, found.different) == ("INCONCLUSIVE", 1)
    assert coverage.check_skipped(("retired by Stripe, use something else",), ()).result == "NOT APPLICABLE"


def ids(tables: Tables, given: str, *, whole: bool, loaded: int | None) -> Check:
    tables.connection.execute(f"CREATE OR REPLACE TABLE parts AS SELECT unnest({given.split()}) AS id")
    return coverage.check_ids(tables.ask, ("id",), whole=whole, loaded=loaded)


@pytest.mark.parametrize(("loaded", "result"), [(3, "PASS"), (2, "PASS"), (1, "FAIL"), (4, "FAIL")])
def test_what_came_and_went_between_two_runs_makes_no_row(tables: Tables, loaded: int, result: str) -> None:
    values = "VALUES ('a', false), ('b', NULL), ('c', true)"
    tables.connection.execute(f"CREATE OR REPLACE TABLE parts AS SELECT * FROM ({values}) AS every(id, _deleted)")
    assert coverage.check_ids(tables.ask, ("id",), whole=False, loaded=loaded).result == result


def test_each_object_is_read_once_and_loaded(tables: Tables) -> None:
    assert ids(tables, "a b c", whole=True, loaded=3).result == "PASS"
    assert ids(tables, "a b b", whole=True, loaded=3).differences == ({"id": "b", "n": 2},)
    assert ids(tables, "a b b", whole=False, loaded=2).result == "PASS"
    assert ids(tables, "a b c", whole=True, loaded=2).result == "FAIL"
    assert ids(tables, "a b c", whole=True, loaded=None).result == "PASS"


def expected(
    method: Any, *, covers: tuple[Window, ...] = (), before: int | None = None, **more: Any
) -> Expectation | None:
    done = Loaded(rows=10, added=4, changed=3, deleted=2)
    given = {"run": "r1", "created": "created", "dropped": False, "live": "live"} | more
    return expected_of(method, done, covers=covers, before=before, **given)


def test_a_table_should_have_what_its_load_left() -> None:
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


def test_a_merge_adds_to_what_was_there() -> None:
    assert expected("merge") is None
    kept, dropped = expected("merge", before=100), expected("merge", before=100, dropped=True)
    assert kept
    assert dropped
    assert (kept.rows, dropped.rows) == (104, 102)


def test_rows_of_a_table_are_counted_even_when_nothing_is_expected(tables: Tables) -> None:
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


def test_each_type_of_balance_is_made_of_its_own_lists() -> None:
    assert balance.held(STRIPE) == {
        "payments": {"usd": 100, "jpy": 5},
        "issuing": {"usd": -8},
        "refund_and_dispute_prefunding": {"usd": 3},
    }
    assert balance.shown(STRIPE)["connect_reserved"] == {"usd": 9}


def held_at(at: int, **sums: int) -> balance.Snapshot:
    return balance.Snapshot(at=at, sums={"payments": sums}, told={})


def test_currencies_are_compared_each_for_itself() -> None:
    found = balance.check_balance("payments", {"payments": {"usd": 100, "eur": 1}}, held_at(9, usd=100, jpy=5))
    assert (found.result, [each["currency"] for each in found.differences]) == ("FAIL", ["eur", "jpy"])
    assert balance.check_balance("payments", {"payments": {"usd": 100}}, held_at(9, usd=100, jpy=0)).result == "PASS"


def test_without_all_movements_the_change_between_two_snapshots_is_compared() -> None:
    then, now = held_at(5, usd=70), held_at(9, usd=100)
    moved = {"payments": {"usd": 30}}
    assert balance.check_balance("payments", moved, now, then=then).result == "PASS"
    assert balance.check_balance("payments", {"payments": {"usd": 29}}, now, then=then).result == "FAIL"


def test_the_oldest_snapshot_that_the_table_reaches_back_to_is_taken() -> None:
    kept = [held_at(at, usd=at).as_json() for at in (20, 10, 30)]
    taken = balance.earlier(kept, since=None, until=40, currency=None)
    assert taken
    assert taken.at == 10
    later = balance.earlier(kept, since=15, until=40, currency=None)
    assert later
    assert later.at == 20
    assert balance.earlier(kept, since=31, until=40, currency=None) is None
    assert balance.earlier(kept, since=None, until=10, currency=None) is None
    assert balance.earlier(kept, since=None, until=40, currency="usd") is None


def test_an_answer_without_amounts_is_no_balance() -> None:
    with pytest.raises(StripeUnavailable, match="without amount or currency"):
        balance.held({"available": [{"amount": "70", "currency": "usd"}]})


def test_sums_are_integers_of_any_size(tables: Tables) -> None:
    row = one(tables.ask, f"SELECT sum(n) AS n FROM (VALUES ({2**62}), ({2**62}), ({2**62})) v(n)")
    assert row == {"n": 3 * 2**62}
    assert type(row["n"]) is int


def test_what_cannot_be_made_is_inconclusive_and_says_why() -> None:
    def unavailable() -> list[Check]:
        raise StripeUnavailable("Stripe is away", path="/v1/balance")

    (found,) = made_together("balance", ("payments",), unavailable)
    assert (found.result, found.reason) == ("INCONCLUSIVE", "It could not be made: Stripe is away (/v1/balance).")


def test_the_worst_result_is_what_counts() -> None:
    results = ("PASS", "NOT APPLICABLE", "INCONCLUSIVE", "FAIL")
    checks = [Check(family="keys", name="x", result=result, reason="") for result in results]
    assert [worst(checks[:count]) for count in range(5)] == [None, "PASS", "PASS", "INCONCLUSIVE", "FAIL"]


COMPARED = (Column(name="id", type="string"), Column(name="n", type="integer"), Column(name="j", type="json"))


def differences(
    held: Any, listed: Any, excuse: Any = lambda *_: False, **more: Any
) -> tuple[dict[str, int], list[Any]]:
    """By kind, and one by one."""
    with duckdb.connect() as connection, tempfile.TemporaryDirectory() as folder:
        for name, given in (("h", held), ("l", listed)):
            connection.execute(f"CREATE TABLE {name} (id VARCHAR, n BIGINT, j JSON)")
            for row in given:
                connection.execute(f"INSERT INTO {name} VALUES (?, ?, ?)", row)
        found = compare(PartsTables(connection, Path(folder)), "h", "l", COMPARED, ("id",), excuse=excuse, **more)
    return dict(found.faults), found.differences


def test_rows_are_compared_field_by_field() -> None:
    held = [("a", 1, None), ("b", 2, '{"x":1}'), ("c", 3, None), ("c", 3, None), ("e", 5, None)]
    listed = [("a", 1, None), ("b", 3, '{"x":2}'), ("c", 3, None), ("d", 4, None)]
    faults, told = differences(held, listed)
    assert faults == {"doubled": 1, "different": 1, "missing": 1, "extra": 1}
    assert {"fault": "missing", "id": "d"} in told
    assert {"fault": "extra", "id": "e"} in told
    (changed,) = (each for each in told if each["fault"] == "different")
    assert changed["fields"] == [
        {"column": "n", "table": 2, "expected": 3},
        {"column": "j", "table": '{"x":1}', "expected": '{"x":2}'},
    ]


def test_json_that_says_the_same_is_the_same() -> None:
    assert differences([("a", 1, '{"x":1,"y":[2]}')], [("a", 1, '{"y": [2], "x": 1}')]) == ({}, [])


def test_json_in_another_writing_is_told_apart_from_other_json_without_looking_at_each_row() -> None:
    held = [("a", 1, '{"x":1,"y":[2]}'), ("b", 1, "{}"), ("c", 1, None)]
    listed = [("a", 1, '{"y": [2], "x": 1}'), ("b", 1, '{"x": 1}'), ("c", 1, None)]
    looked_at: list[Any] = []

    def excuse(*row: Any) -> bool:
        looked_at.append(row)
        return False

    assert differences(held, listed, excuse, rewritten=True)[0] == {"different": 1}
    assert len(looked_at) == 1


def test_rows_without_a_key_are_differences_too() -> None:
    assert differences([(None, 1, None)], [("a", 1, None)])[0] == {"extra": 1, "missing": 1}


def test_what_is_excused_is_counted_and_no_difference() -> None:
    faults, _ = differences([("a", 1, None)], [("a", 2, None)], lambda held, listed, names: names == ["n"])
    assert faults == {}


def test_two_empty_sides_are_the_same() -> None:
    assert differences([], []) == ({}, [])


def test_of_a_merge_only_what_the_run_brought_is_compared() -> None:
    held = [("a", 1, None), ("b", 2, None), ("x", 9, None)]
    listed = [("a", 1, None), ("b", 3, None), ("c", 4, None), ("x", 8, None), ("x", 9, None)]
    assert differences(held, listed, brought=True)[0] == {"different": 1}
