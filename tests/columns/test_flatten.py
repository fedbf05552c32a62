"""Flattening by exact examples: the cells, the content of `_extra`, and the reported drift."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterfoil.columns.cells import is_text
from counterfoil.columns.column import Column, ColumnType, with_earlier_name
from counterfoil.columns.drift import MOST
from counterfoil.columns.flatten import Flattener
from counterfoil.columns.rebuild import rebuild, without_empties
from counterfoil.values import escaped

KINDS: tuple[ColumnType, ...] = ("string", "id", "integer", "double", "boolean", "timestamp", "json", "decimal")


def column(name: str, kind: ColumnType, path: str = "", *, derived: bool = False) -> Column:
    return Column(name=name, type=kind, path=tuple((path or name).split(".")), derived=derived)


def one(kind: ColumnType, value: Any) -> tuple[Any, Any, list[str]]:
    """The cell, the content of `_extra` and the kinds of drift for one value."""
    flattener = Flattener([column("it", kind)])
    row = flattener.batch([{"it": value}]).to_pylist()[0]
    extra = None if row["_extra"] is None else json.loads(row["_extra"])
    return row["it"], extra, [drift.kind for drift in flattener.drift.values()]


@pytest.mark.parametrize(
    ("kind", "value", "cell"),
    [
        ("string", "text", "text"),
        ("string", "", ""),
        ("string", "nul \x00 and 🧾", "nul \x00 and 🧾"),
        ("id", "cus_1", "cus_1"),
        ("id", {"id": "cus_1", "object": "customer"}, "cus_1"),
        ("id", {"id": "cus_1", "deleted": True}, "cus_1"),
        ("integer", 0, 0),
        ("integer", 2**63 - 1, 2**63 - 1),
        ("integer", -(2**63), -(2**63)),
        ("double", 12.5, 12.5),
        ("double", 25, 25.0),
        ("boolean", False, False),
        ("timestamp", 0, datetime(1970, 1, 1, tzinfo=UTC)),
        ("timestamp", 1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("timestamp", 253_402_300_799, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("timestamp", -62_135_596_800, datetime(1, 1, 1, tzinfo=UTC)),
        ("json", {}, "{}"),
        ("json", [1, "a", None], '[1,"a",null]'),
        ("json", False, "false"),
        ("json", "a", '"a"'),
        ("decimal", "0.000000000001", Decimal("0.000000000001")),
        ("decimal", "1050", Decimal(1050)),
        ("decimal", "-12.5", Decimal("-12.5")),
        ("decimal", "9" * 26 + "." + "9" * 12, Decimal("9" * 26 + "." + "9" * 12)),
    ],
)
def test_valid_value_is_a_cell(kind: ColumnType, value: Any, cell: Any) -> None:
    assert one(kind, value) == (cell, None, [])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", 1),
        ("string", True),
        ("string", {"id": "cus_1"}),
        ("string", ["a"]),
        ("string", "\ud800"),
        ("id", 1),
        ("id", {"object": "customer"}),
        ("id", {"id": 1}),
        ("id", {"id": "\ud800"}),
        ("id", ["cus_1"]),
        ("integer", 1.5),
        ("integer", 1.0),
        ("integer", True),
        ("integer", "1"),
        ("integer", 2**63),
        ("integer", -(2**63) - 1),
        ("integer", 10**30),
        ("double", True),
        ("double", "1.5"),
        ("double", 2**53 + 1),
        ("double", 10**400),
        ("boolean", 1),
        ("boolean", "true"),
        ("timestamp", 1.5),
        ("timestamp", True),
        ("timestamp", "2026-01-01"),
        ("timestamp", 253_402_300_800),
        ("timestamp", -62_135_596_801),
        ("timestamp", 2**70),
        ("decimal", 12),
        ("decimal", 1.5),
        ("decimal", "ten"),
        ("decimal", ""),
        ("decimal", "NaN"),
        ("decimal", "Infinity"),
        ("decimal", "1_000"),
        ("decimal", " 1"),
        ("decimal", "١"),
        ("decimal", "9" * 27),
        ("decimal", "0." + "0" * 12 + "1"),
        ("decimal", "1e99"),
    ],
)
def test_mismatched_value_is_null_and_stored_in_extra(kind: ColumnType, value: Any) -> None:
    assert one(kind, value) == (None, {"it": value}, ["wrong type"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinity_are_null(value: float) -> None:
    cell, _, drift = one("double", value)
    assert (cell, drift) == (None, ["wrong type"])


@pytest.mark.parametrize("kind", KINDS)
def test_null_is_a_null_cell_without_drift(kind: ColumnType) -> None:
    assert one(kind, None) == (None, None, [])


@pytest.mark.parametrize(
    ("written", "number"), [("12.50", "12.5"), ("1e3", "1000"), ("-0", "0"), ("+5", "5"), ("007", "7")]
)
def test_noncanonical_decimal_text_is_also_stored_in_extra(written: str, number: str) -> None:
    assert one("decimal", written) == (Decimal(number), {"it": written}, [])


def test_mismatch_leaves_the_other_rows_unchanged() -> None:
    flattener = Flattener([column("it", "integer")])
    batch = flattener.batch([{"it": 1}, {"it": 1.5}, {}, {"it": 2**63}, {"it": 4}])
    assert batch["it"].to_pylist() == [1, None, None, None, 4]
    assert batch["_extra"].to_pylist() == [None, '{"it":1.5}', None, '{"it":9223372036854775808}', None]


def test_nan_among_numbers_is_null() -> None:
    batch = Flattener([column("it", "double")]).batch([{"it": 1.5}, {"it": float("nan")}, {"it": 2}])
    assert batch["it"].to_pylist() == [1.5, None, 2.0]


NESTED = (column("id", "string"), column("a_b_c", "integer", "a.b.c"), column("a_d", "json", "a.d"))


@pytest.mark.parametrize(
    ("sent", "extra"),
    [
        ({"a": {"b": {"c": 1}}}, None),
        ({"a": None}, None),
        ({"a": {"b": None}}, None),
        ({"new": 1}, {"new": 1}),
        ({"a": {"new": [1]}}, {"a": {"new": [1]}}),
        ({"a": {"b": {"new": {"x": 1}, "c": 1}}}, {"a": {"b": {"new": {"x": 1}}}}),
        ({"a": "text"}, {"a": "text"}),
        ({"a": [1]}, {"a": [1]}),
        ({"a": {"b": 0}}, {"a": {"b": 0}}),
        ({"a": {"b": {"c": {"d": 1}}}}, {"a": {"b": {"c": {"d": 1}}}}),
        ({"a": {"new": None}}, None),
        ({"a": {"d": {"anything": 1}}}, None),
        ({"a.b.c": 1, "": 2, "_extra": 3}, {"a.b.c": 1, "": 2, "_extra": 3}),
    ],
)
def test_undeclared_values_are_stored_in_extra_under_their_path(sent: dict[str, Any], extra: Any) -> None:
    row = Flattener(NESTED).batch([sent]).to_pylist()[0]
    assert (None if row["_extra"] is None else json.loads(row["_extra"])) == extra


def test_rows_with_different_keys_keep_order_and_values() -> None:
    sent = [
        {"id": "1"},
        {"a": {"b": {"c": 2}}, "id": "2"},
        {},
        {"id": "4", "a": {"d": 0, "b": {}}},
        {"x": 1, "id": "5"},
    ]
    batch = Flattener(NESTED).batch(sent)
    assert batch["id"].to_pylist() == ["1", "2", None, "4", "5"]
    assert batch["a_b_c"].to_pylist() == [None, 2, None, None, None]
    assert batch["a_d"].to_pylist() == [None, None, None, "0", None]
    assert batch["_extra"].to_pylist() == [None, None, None, None, '{"x":1}']


def test_pages_added_one_by_one_equal_a_single_batch() -> None:
    sent = [
        {"id": str(number), "a": {"b": {"c": number}}, **({"x": number} if number % 7 == 0 else {})}
        for number in range(350)
    ]
    whole = Flattener(NESTED).batch(sent)
    flattener = Flattener(NESTED)
    for start in range(0, 350, 35):
        flattener.add(sent[start : start + 35])
    assert flattener.rows == 350
    assert flattener.flush().equals(whole)
    assert flattener.rows == 0
    assert whole["_extra"].to_pylist()[::7] == [f'{{"x":{number}}}' for number in range(0, 350, 7)]


def test_extra_values_belong_to_the_right_row_on_every_page() -> None:
    sent: list[dict[str, Any]] = [{"id": str(number)} for number in range(350)]
    sent[120] |= {"a": "no object"}
    sent[230] |= {"a": {"b": {"new": 1}}}
    sent[340] |= {"id": 340}
    extra = Flattener(NESTED).batch(sent)["_extra"].to_pylist()
    assert {row: json.loads(text) for row, text in enumerate(extra) if text is not None} == {
        120: {"a": "no object"},
        230: {"a": {"b": {"new": 1}}},
        340: {"id": 340},
    }


def test_second_batch_is_independent_of_the_first() -> None:
    flattener = Flattener(NESTED)
    flattener.batch([{"id": "1", "new": 1}])
    assert flattener.batch([{"id": "2"}]).to_pylist() == [{"id": "2", "a_b_c": None, "a_d": None, "_extra": None}]


def test_no_objects_make_an_empty_batch() -> None:
    batch = Flattener(NESTED).batch([])
    assert batch.num_rows == 0
    assert batch.schema.names == ["id", "a_b_c", "a_d", "_extra"]


def test_flattening_leaves_the_objects_unchanged() -> None:
    sent = [{"id": 1, "a": None, "new": {"x": 1}}, {"a": {"b": 2}}]
    before = json.dumps(sent)
    Flattener(NESTED).batch(sent)
    assert json.dumps(sent) == before


DERIVED = (
    column("details", "json"),
    column("details_type", "string", "details.type", derived=True),
    column("details_card_year", "integer", "details.card.year", derived=True),
)


def test_columns_extracted_from_a_json_column_leave_extra_empty() -> None:
    flattener = Flattener(DERIVED)
    sent = {"details": {"type": "card", "card": {"year": 2030, "new": 1}, "other": {}}}
    row = flattener.batch([sent]).to_pylist()[0]
    assert (row["details_type"], row["details_card_year"], row["_extra"]) == ("card", 2030, None)
    assert json.loads(row["details"]) == sent["details"]
    assert not flattener.drift
    assert rebuild(DERIVED, row) == {"details": {"type": "card", "card": {"year": 2030, "new": 1}}}


def test_mismatch_in_a_json_column_is_reported_but_not_stored_in_extra() -> None:
    flattener = Flattener(DERIVED)
    row = flattener.batch([{"details": {"type": 5, "card": "none"}}]).to_pylist()[0]
    assert row == {
        "details": '{"type":5,"card":"none"}',
        "details_type": None,
        "details_card_year": None,
        "_extra": None,
    }
    assert sorted(drift.path for drift in flattener.drift.values()) == ["details.card", "details.type"]


def test_drift_is_reported_once_with_its_count() -> None:
    flattener = Flattener(NESTED)
    for _ in range(3):
        flattener.batch([{"id": 5, "a": {"new": {"x": 1}}}] * 150)
    assert {(drift.path, drift.kind, drift.example): drift.count for drift in flattener.drift.values()} == {
        ("a.new", "undeclared", "object"): 450,
        ("id", "wrong type", "integer"): 450,
    }
    messages = {drift.kind: drift.message for drift in flattener.drift.values()}
    assert "a.new has no column" in messages["undeclared"]
    assert "object" in messages["undeclared"]
    assert "type of its column" in messages["wrong type"]
    assert "integer" in messages["wrong type"]
    assert all("_extra" in message for message in messages.values())


def test_null_field_is_drift_without_a_type_until_a_value_arrives() -> None:
    flattener = Flattener(NESTED)
    flattener.batch([{"new": None}])
    (drift,) = flattener.drift.values()
    assert (drift.path, drift.kind, drift.example) == ("new", "undeclared", "null")
    assert "_extra" not in drift.message
    flattener.batch([{"new": 1.5}])
    assert drift.example == "number"
    assert "_extra" in drift.message


def test_number_of_drift_entries_is_limited() -> None:
    flattener = Flattener(NESTED)
    batch = flattener.batch([{f"key_{number}": number} for number in range(MOST + 500)])
    assert len(flattener.drift) == MOST
    assert batch["_extra"].null_count == 0


@pytest.mark.parametrize("kind", ["json", "string"])
def test_json_rejected_by_a_strict_encoder_is_stored_completely(kind: ColumnType) -> None:
    hostile = {"\ud800": ["\udfff", 10**40, -(2**64)], "": {"": {}}, "a.b": [[], [{}]], "text": 'quo"te\u2028\x00'}
    cell, extra, _ = one(kind, hostile)
    assert (json.loads(cell) if kind == "json" else extra["it"]) == hostile


def test_json_deeper_than_the_stack_is_stored_completely() -> None:
    depth = 5_000
    deep: Any = None
    for _ in range(depth):
        deep = {"a": [deep]}
    text = Flattener([column("it", "json")]).batch([{"it": deep}])["it"][0].as_py()
    assert text == '{"a":[' * depth + "null" + "]}" * depth


@pytest.mark.parametrize(
    "columns",
    [
        (column("a", "string"), column("b", "string", "a")),
        (column("a", "string"), column("a_b", "string", "a.b")),
        (column("a", "json"), column("a_b", "string", "a.b")),
    ],
)
def test_columns_with_overlapping_paths_are_rejected(columns: tuple[Column, ...]) -> None:
    with pytest.raises(ValueError, match="a"):
        Flattener(columns)


def test_the_schema_is_known_before_the_first_row() -> None:
    schema = Flattener([column(kind, kind) for kind in KINDS]).schema
    assert [str(field.type) for field in schema] == [
        "string",
        "string",
        "int64",
        "double",
        "bool",
        "timestamp[us, tz=UTC]",
        "string",
        "decimal128(38, 12)",
        "string",
    ]
    assert [field.name for field in schema if field.metadata] == ["json", "_extra"]
    assert schema.field("_extra").type == pa.string()


def test_renamed_column_repeats_its_values_under_its_earlier_name() -> None:
    flattener = Flattener(with_earlier_name(column("_kind", "string"), "kind"))
    (row,) = flattener.batch([{"_kind": "payout", "kind": "standard"}]).to_pylist()
    assert (row["_kind"], row["kind"], json.loads(row["_extra"])) == ("payout", "payout", {"kind": "standard"})
    assert [(drift.path, drift.kind) for drift in flattener.drift.values()] == [("kind", "undeclared")]
    assert rebuild(flattener.columns, row) == {"_kind": "payout", "kind": "standard"}


@pytest.mark.parametrize(
    ("path", "kind", "cell", "extra"),
    [
        ("it", "string", None, {"it": {"_escaped": "caf\\udce9"}}),
        ("it", "id", None, {"it": {"_escaped": "caf\\udce9"}}),
        ("it", "json", '{"a":{"_escaped":"caf\\\\udce9"}}', None),
    ],
)
def test_escaped_value_is_stored_and_its_column_reported(path: str, kind: ColumnType, cell: Any, extra: Any) -> None:
    value: Any = escaped(r"caf\udce9")
    found = one(kind, {"a": value} if kind == "json" else value)
    assert found == (cell, extra, ["escaped"])
    flattener = Flattener([column(path, kind)])
    flattener.batch([{path: {"a": value} if kind == "json" else value}])
    assert [drift.path for drift in flattener.drift.values()] == [path]


_HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**63, 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["", "id", escaped("NaN"), 10**400, "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "a", "object", "data", "kind", "\udc80"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    objects=st.lists(
        st.dictionaries(st.sampled_from(["id", "a", "j", "n", "t", "x", "deleted", "kind"]), _HOSTILE), max_size=5
    ),
    depth=st.sampled_from([0, 3, 254, 600, 3_000]),
)
def test_rows_preserve_all_values_of_any_objects(objects: list[dict[str, Any]], depth: int) -> None:
    deep: Any = "bottom"
    for _ in range(depth):
        deep = {"a": deep}
    objects = [*objects, {"id": ["list"], "j": deep, "x": deep}]
    columns = [column("id", "string"), column("a", "id"), column("j", "json"), column("n", "integer")]
    columns += [column("t", "timestamp"), column("x_a", "decimal", "x.a"), column("deleted", "boolean")]
    batch = Flattener(columns).batch(objects)
    assert batch.num_rows == len(objects)
    batch.validate(full=True)
    if depth <= 254:
        for row, sent in zip(batch.to_pylist(), objects, strict=True):
            expected = {**sent, "a": sent["a"]["id"]} if _is_expanded(sent.get("a")) else sent
            assert without_empties(rebuild(columns, row)) == without_empties(expected)


def _is_expanded(value: Any) -> bool:
    return type(value) is dict and is_text(value.get("id"))
