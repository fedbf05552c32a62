"""Declared columns and `_extra` rebuild every object, except nulls, empty values and expanded objects."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counterfoil.columns.column import Column, ColumnType
from counterfoil.columns.declared import declared
from counterfoil.columns.flatten import Flattener
from counterfoil.columns.rebuild import rebuild, without_empties
from counterfoil.reports.catalogue import REPORTS

STRIPE = Path(__file__).resolve().parents[2] / "../shared/stripe"
needs_stripe = pytest.mark.skipif(not STRIPE.is_dir(), reason="Stripe's spec is not available")

_SURROGATE = re.compile("[\ud800-\udfff]")


def with_ids(columns: Sequence[Column], item: Any) -> Any:
    """The object with ids in place of expanded objects in id columns."""
    item = json.loads(json.dumps(item))
    for column in columns:
        if column.type != "id" or column.derived:
            continue
        parent = item
        for key in column.path[:-1]:
            parent = parent.get(key) if isinstance(parent, dict) else None
        value = parent.get(column.path[-1]) if isinstance(parent, dict) else None
        if isinstance(value, dict) and isinstance(value.get("id"), str) and not _SURROGATE.search(value["id"]):
            parent[column.path[-1]] = value["id"]
    return item


def exactly(value: Any) -> str:
    """The value as text, so that True, 1 and 1.0 differ."""
    return json.dumps(value, sort_keys=True)


def check(columns: Sequence[Column], objects: Sequence[dict[str, Any]]) -> None:
    rows = Flattener(columns).batch(objects).to_pylist()
    assert len(rows) == len(objects)
    for row, item in zip(rows, objects, strict=True):
        assert exactly(rebuild(columns, row)) == exactly(without_empties(with_ids(columns, item)) or {})


KINDS: tuple[ColumnType, ...] = ("string", "id", "integer", "boolean", "timestamp", "json", "decimal")
SMALL = (
    *(Column(name=kind, type=kind, path=(kind,)) for kind in KINDS),
    *(Column(name=f"in_{kind}", type=kind, path=("in", kind)) for kind in KINDS),
    *(Column(name=f"in_deep_{kind}", type=kind, path=("in", "deep", kind)) for kind in KINDS),
    Column(name="json_type", type="string", path=("json", "type"), derived=True),
)

keys = st.sampled_from([*KINDS, "in", "deep", "id", "type", "a.b", "", "\udfff"])
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**66), 2**66)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | st.sampled_from(["\ud800", "1.50", "12.5", "1e3", "-0", "cus_1", 253_402_300_800, 1_700_000_000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.dictionaries(keys, anything, max_size=6), max_size=4))
def test_any_json_round_trips(objects: list[dict[str, Any]]) -> None:
    check(SMALL, objects)


class Objects:
    """Objects by Stripe's spec, with each optional field absent, null, valid or of a wrong type."""

    WRONG: tuple[Any, ...] = (
        *(True, 0, 1.5, -1, 2**63, 2**70, "", "text", "\ud800", "12.50", "NaN"),
        *([], [None], {}, {"a": {}}, {"id": "x_1"}, {"id": 7}, {"id": "\udfff"}),
    )

    def __init__(self, schemas: dict[str, Any], chance: random.Random) -> None:
        self.schemas = schemas
        self.chance = chance

    def of(self, schema: dict[str, Any], depth: int = 0) -> Any:
        if self.chance.random() < 0.04:
            return self.chance.choice(self.WRONG)
        if schema.get("nullable") and self.chance.random() < 0.3:
            return None
        if "anyOf" in schema:
            return self.of(self.chance.choice(schema["anyOf"]), depth)
        if "$ref" in schema:
            return self.of(self.schemas[schema["$ref"].rpartition("/")[2]], depth)
        return self.plain(schema, depth)

    def plain(self, schema: dict[str, Any], depth: int) -> Any:
        match schema.get("type"):
            case "integer":
                return self.chance.randrange(10**10)
            case "number":
                return self.chance.random() * 100
            case "boolean":
                return self.chance.random() < 0.5
            case "string" if schema.get("format") == "decimal":
                return self.chance.choice(["0", "1050", "0.5", "-12.000000000001"])
            case "string":
                return self.chance.choice(schema.get("enum") or ["usd", "é", "x" * 30])
            case "array":
                return (
                    [self.of(schema["items"], depth + 1) for _ in range(self.chance.randrange(2))] if depth < 3 else []
                )
            case _:
                return self.object(schema, depth)

    def object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        if depth > 4:
            return {"id": "deep_1"}
        required = schema.get("required", ())
        result = {
            name: self.of(field, depth + 1)
            for name, field in schema.get("properties", {"some": {"type": "string"}}).items()
            if name in required or self.chance.random() < 0.5
        }
        if self.chance.random() < 0.1:
            result["not_in_the_spec"] = self.chance.choice(self.WRONG)
        return result


RESOURCES = {
    "account": "account",
    "application_fee": "application_fees",
    "balance_transaction": "balance_transactions",
    "charge": "charges",
    "coupon": "coupons",
    "customer": "customers",
    "discount": "discounts",
    "event": "events",
    "invoice": "invoices",
    "invoiceitem": "invoiceitems",
    "plan": "plans",
    "refund": "refunds",
    "transfer": "transfers",
    "payout": "transfers",
    "subscription": "subscriptions",
}
REPORT_COLUMNS = {report.key: report.columns for report in REPORTS}


@pytest.fixture(scope="session")
def schemas() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((STRIPE / "spec3.json").read_bytes())["components"]["schemas"]
    return found


@needs_stripe
@pytest.mark.parametrize("resource", RESOURCES)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_objects_of_the_spec_with_invalid_values_round_trip(schemas: dict[str, Any], resource: str, seed: int) -> None:
    objects = Objects(schemas, random.Random(seed))
    columns = tuple(column for column in REPORT_COLUMNS[RESOURCES[resource]] if column.type != "double")
    check(columns, [objects.object(schemas[resource], 0) for _ in range(5)])


@needs_stripe
@pytest.mark.parametrize(("resource", "key"), RESOURCES.items())
def test_examples_of_stripe_round_trip(resource: str, key: str) -> None:
    fixture = json.loads((STRIPE / "fixtures3.json").read_bytes())["resources"][resource]
    columns = REPORT_COLUMNS[key]
    flattener = Flattener(columns)
    batch = flattener.batch([fixture, {}, fixture])
    first, nothing, last = batch.to_pylist()
    assert rebuild(columns, first) == without_empties(with_ids(columns, fixture))
    assert rebuild(columns, nothing) == {}
    assert first == last
    assert [drift.message for drift in flattener.drift.values() if drift.kind != "undeclared"] == []


@needs_stripe
def test_balance_rows_round_trip() -> None:
    fixture = json.loads((STRIPE / "fixtures3.json").read_bytes())["resources"]["balance"]
    rows = [
        {**entry, "_bucket": bucket, "_state": bucket, "livemode": fixture["livemode"], "object": "balance"}
        for bucket in ("available", "pending")
        for entry in fixture[bucket]
    ]
    assert rows
    flattener = Flattener(REPORT_COLUMNS["balance"])
    batch = flattener.batch(rows)
    assert [rebuild(REPORT_COLUMNS["balance"], row) for row in batch.to_pylist()] == rows
    assert not flattener.drift


def test_rates_round_trip_as_numbers() -> None:
    columns = declared("coupon")
    rows = (
        Flattener(columns).batch([{"percent_off": 12.5}, {"percent_off": 25}, {"percent_off": 2**53 + 1}]).to_pylist()
    )
    assert [rebuild(columns, row) for row in rows] == [
        {"percent_off": 12.5},
        {"percent_off": 25},
        {"percent_off": 2**53 + 1},
    ]


def test_empty_values_are_removed_except_in_lists() -> None:
    sent = {"a": None, "b": {}, "c": [], "d": {"e": {"f": None}}, "g": [None, {}, 1], "h": 0, "i": "", "j": False}
    assert without_empties(sent) == {"g": [None, None, 1], "h": 0, "i": "", "j": False}
