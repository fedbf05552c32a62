"""Values that are left out or hashed are never stored: not in the spool, parts, table or `_extra`."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gate import sampled

from counterfoil.archive import Archive, read_spool
from counterfoil.columns.chosen import Chosen, choose
from counterfoil.columns.column import Column
from counterfoil.columns.flatten import Flattener
from counterfoil.columns.rebuild import rebuild, without_empties
from counterfoil.columns.redact import redacted, redaction
from counterfoil.errors import SettingsError
from counterfoil.extract import Warnings, read
from counterfoil.http.async_bridge import run
from counterfoil.reports.catalogue import REPORTS, report
from counterfoil.reports.report import Report
from counterfoil.settings import Settings
from counterfoil.stripe.client import Client
from counterfoil.values import Page, Window
from stripe_sandbox import Sandbox

STRIPE = Path(__file__).resolve().parents[2] / "../shared/stripe"
KEY = b"0123456789abcdef"
CHARGES = report("charges")

RESOURCES = {
    "account": ("account",),
    "application_fees": ("application_fee",),
    "balance_transactions": ("balance_transaction",),
    "charges": ("charge",),
    "coupons": ("coupon",),
    "customers": ("customer",),
    "discounts": ("discount",),
    "events": ("event",),
    "invoices": ("invoice",),
    "invoiceitems": ("invoiceitem",),
    "plans": ("plan",),
    "refunds": ("refund",),
    "transfers": ("transfer", "payout"),
    "subscriptions": ("subscription",),
}


def hash_of(text: str, key: bytes = KEY) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:32]


def one(item: dict[str, Any], key: bytes = KEY, **choices: Sequence[str]) -> dict[str, Any]:
    """The charge as it is stored."""
    return redaction(choose(CHARGES, **choices), key)(item)


def row(item: dict[str, Any], **choices: Sequence[str]) -> dict[str, Any]:
    """The row of the charge, without nulls."""
    chosen = choose(CHARGES, **choices)
    (found,) = Flattener(chosen.columns).batch([redaction(chosen, KEY)(item)]).to_pylist()
    return {name: value for name, value in found.items() if value is not None}


def test_left_out_value_is_removed_and_other_values_stay() -> None:
    sent = {"id": "ch_1", "billing_details": {"email": "a@b.c", "name": "A"}, "receipt_email": "a@b.c", "new": 1}
    kept = {"id": "ch_1", "billing_details": {"name": "A"}, "receipt_email": "a@b.c", "new": 1}
    assert one(sent, left_out=["billing_details_email"]) == kept


def test_redaction_leaves_the_original_object_unchanged() -> None:
    sent = {"id": "ch_1", "billing_details": {"email": "a@b.c"}, "customer": {"id": "cus_1"}, "metadata": {"a": "b"}}
    before = json.dumps(sent)
    one(sent, left_out=["billing_details_email", "metadata"], hashed=["receipt_email"], promoted=["x"])
    assert json.dumps(sent) == before


def test_objects_are_not_copied_without_redaction() -> None:
    sent = {"id": "ch_1", "customer": {"id": "cus_1", "email": "a@b.c"}}
    assert one(sent, promoted=["a"]) is sent


def test_left_out_values_are_removed_from_json_and_extracted_columns() -> None:
    sent = {"id": "ch_1", "payment_method_details": {"type": "card", "card": {"last4": "4242", "brand": "visa"}}}
    assert row(sent, left_out=["payment_method_details"]) == {"id": "ch_1"}
    kept = row(sent, left_out=["payment_method_details_card_last4"])
    assert kept["payment_method_details"] == '{"type":"card","card":{"brand":"visa"}}'
    assert "4242" not in json.dumps(kept)


def test_hashed_extracted_column_is_also_hashed_in_the_json() -> None:
    sent = {"id": "ch_1", "payment_method_details": {"type": "card", "card": {"last4": "4242"}}}
    kept = row(sent, hashed=["payment_method_details_card_last4"])
    assert kept["payment_method_details_card_last4"] == hash_of("4242")
    assert json.loads(kept["payment_method_details"])["card"] == {"last4": hash_of("4242")}


def test_object_with_all_columns_left_out_is_removed() -> None:
    every = [column.name for column in CHARGES.columns if column.path[0] == "billing_details"]
    sent = {"id": "ch_1", "billing_details": {"email": "a@b.c", "name": None, "new": "A", "address": {"zip2": "1"}}}
    assert one(sent, left_out=every) == {"id": "ch_1"}
    some = [name for name in every if name != "billing_details_phone"]
    assert one(sent, left_out=some)["billing_details"] == {"new": "A"}
    assert row(sent, left_out=every) == {"id": "ch_1"}


@pytest.mark.parametrize("odd", ["a@b.c", ["a@b.c"], [{"email": "a@b.c"}], 5, True])
@pytest.mark.parametrize("choice", ["left_out", "hashed"])
def test_value_of_an_unexpected_type_is_removed(odd: Any, choice: str) -> None:
    assert one({"id": "ch_1", "billing_details": odd}, **{choice: ["billing_details_email"]}) == {"id": "ch_1"}


def test_expanded_objects_become_ids() -> None:
    sent = {
        "id": "ch_1",
        "customer": {"id": "cus_1", "email": "a@b.c"},
        "review": {"no": "id"},
        "transfer": [{"id": "tr_1"}],
        "payment_intent": "pi_1",
        "application": 5,
        "outcome": {"rule": {"id": "rule_1", "predicate": "x"}, "type": "authorized"},
        "transfer_data": "odd",
    }
    assert one(sent, left_out=["receipt_email"]) == {
        "id": "ch_1",
        "customer": "cus_1",
        "review": None,
        "transfer": None,
        "payment_intent": "pi_1",
        "application": 5,
        "outcome": {"rule": "rule_1", "type": "authorized"},
        "transfer_data": "odd",
    }


def test_left_out_metadata_keeps_only_its_promoted_keys() -> None:
    sent = {"id": "ch_1", "metadata": {"order_id": "6735", "email": "a@b.c"}}
    assert row(sent, promoted=["order_id"], left_out=["metadata"]) == {"id": "ch_1", "metadata_order_id": "6735"}
    assert one({"id": "ch_1", "metadata": "a@b.c"}, promoted=["order_id"], left_out=["metadata"]) == {"id": "ch_1"}


def test_promoted_key_can_be_hashed_or_left_out() -> None:
    sent = {"id": "ch_1", "metadata": {"order_id": "6735", "email": "a@b.c"}}
    hashed = row(sent, promoted=["email"], hashed=["metadata_email"])
    assert hashed["metadata_email"] == hash_of("a@b.c")
    assert json.loads(hashed["metadata"]) == {"order_id": "6735", "email": hash_of("a@b.c")}
    assert row(sent, promoted=["email"], left_out=["metadata_email"]) == {
        "id": "ch_1",
        "metadata": '{"order_id":"6735"}',
    }
    both = row(sent, promoted=["email"], left_out=["metadata"], hashed=["metadata_email"])
    assert both == {"id": "ch_1", "metadata_email": hash_of("a@b.c")}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("receipt_email", "a@b.c", "a@b.c"),
        ("receipt_email", "", ""),
        ("receipt_email", "🧾", "🧾"),
        ("customer", "cus_1", "cus_1"),
        ("customer", {"id": "cus_1", "email": "a@b.c"}, "cus_1"),
        ("amount", 1000, "1000"),
        ("captured", True, "true"),
        ("refunds", {"b": 1, "a": [1.5, None]}, '{"a":[1.5,null],"b":1}'),
        ("source", "src_1", "src_1"),
        ("receipt_email", ["a@b.c"], '["a@b.c"]'),
        ("amount", "a@b.c", "a@b.c"),
        ("customer", {"email": "a@b.c"}, '{"email":"a@b.c"}'),
        ("amount", 10**30, "1" + "0" * 30),
        ("refunds", {"b": 10**30, "a": {"d": 1, "c": 2}}, '{"a":{"c":2,"d":1},"b":1' + "0" * 30 + "}"),
        ("receipt_email", "\ud800", '"\\ud800"'),
    ],
)
def test_hash_is_computed_from_the_value_as_text(name: str, value: Any, text: str) -> None:
    kept = row({"id": "ch_1", name: value}, hashed=[name])
    assert kept == {"id": "ch_1", name: hash_of(text)}


def test_a_null_stays_a_null() -> None:
    sent = {"id": "ch_1", "receipt_email": None, "billing_details": None}
    assert one(sent, hashed=["receipt_email", "billing_details_email"]) == sent


def test_equal_numbers_have_equal_hashes() -> None:
    coupons, plans = report("coupons"), report("plans")
    percent = redaction(choose(coupons, hashed=["percent_off"]), KEY)
    assert percent({"percent_off": 25}) == percent({"percent_off": 25.0}) != percent({"percent_off": 25.5})
    amount = redaction(choose(plans, hashed=["amount_decimal"]), KEY)
    assert amount({"amount_decimal": "12.50"}) == amount({"amount_decimal": "12.5"}) != amount({"amount_decimal": "12"})


def test_hash_depends_only_on_the_value_and_the_key() -> None:
    there = redaction(choose(report("customers"), hashed=["email"]), KEY)({"id": "cus_1", "email": "a@b.c"})["email"]
    here = one({"receipt_email": "a@b.c"}, hashed=["receipt_email"])["receipt_email"]
    other = one({"receipt_email": "a@b.c"}, b"another key of sixteen", hashed=["receipt_email"])["receipt_email"]
    assert here == there
    assert len({here, other, "a@b.c"}) == 3


@pytest.mark.parametrize("key", [b"", b"x" * 15])
def test_short_key_is_rejected_if_columns_are_hashed(key: bytes) -> None:
    with pytest.raises(ValueError, match=rf"\b{len(key)} bytes"):
        redaction(choose(CHARGES, hashed=["receipt_email"]), key)
    redaction(choose(CHARGES, left_out=["receipt_email"]), key)


def test_repr_does_not_show_the_key() -> None:
    chosen = choose(CHARGES, hashed=["receipt_email", "billing_details_email"])
    redact = redaction(chosen, b"secret-secret-secret")
    assert "secret" not in repr((chosen, redact, redact.__closure__))


def test_redacted_page_keeps_its_position() -> None:
    page = Page("/v1/charges", Window(1, 2), "ch_2", [{"id": "ch_1", "receipt_email": "a@b.c"}], last=True, date=5)
    kept = redacted(page, redaction(choose(CHARGES, left_out=["receipt_email"])))
    assert kept == Page("/v1/charges", Window(1, 2), "ch_2", [{"id": "ch_1"}], last=True, date=5)


def test_rows_with_a_shared_object_are_hashed_once_each() -> None:
    shared = {"email": "a@b.c"}
    page = Page("x", Window(), None, [{"id": str(n), "billing_details": shared} for n in range(2)], last=True)
    kept = redacted(page, redaction(choose(CHARGES, hashed=["billing_details_email"]), KEY))
    assert [item["billing_details"]["email"] for item in kept.objects] == [hash_of("a@b.c")] * 2


# Properties for objects of every report.

MARKER = "MARKER-c0ffee"
FORMS = [
    json.dumps(form)
    for form in (MARKER, {"id": MARKER, "mail": MARKER}, {"deep": [MARKER]}, [MARKER], [{"mail": MARKER}])
]


class Objects(dict[str, list[dict[str, Any]]]):
    """Objects by report key. The repr is short because Hypothesis prints the arguments of each failure."""

    def __repr__(self) -> str:
        return "objects"


@pytest.fixture(scope="session")
def objects() -> Objects:
    """Some objects of each report, from the sandbox and from Stripe's examples."""
    fixtures = STRIPE / "fixtures3.json"
    examples = json.loads(fixtures.read_bytes())["resources"] if fixtures.is_file() else {}
    found = Objects({key: [examples[name] for name in names if name in examples] for key, names in RESOURCES.items()})
    quick = Settings(rate_global=1e6, rate_endpoint=1e6)
    with Sandbox(scale=0.05) as sandbox:
        client = Client("sk_test_demo", api_base=sandbox.url, settings=quick)
        for each in REPORTS:
            with closing(read(client, each, Window(), notices=Warnings())) as pages:
                sent = [item for page in pages for item in page.objects]
            found.setdefault(each.key, []).extend(sent[:: max(1, len(sent) // 3)])
        run(client.close())
    # Retired: Stripe no longer lists them.
    found["recipients"].append({"id": "rp_1", "created": 1, "metadata": {"6": "x"}, "email": "a@b.c"})
    assert all(found.values())
    return found


def plant(item: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(item.get(key), dict):
            item[key] = {}
        item = item[key]
    item[path[-1]] = value


def choice_of(each: Report, chance: random.Random) -> tuple[Chosen, list[Column]]:
    """A valid choice, and the columns that it names."""
    has_metadata = any(column.path == ("metadata",) for column in each.columns)
    promoted = chance.sample(["email", "Order ID", "6", "é"], chance.randrange(4)) if has_metadata else []
    columns = [column for column in choose(each, promoted=promoted).columns if column.type != "major"]
    kept: dict[str, list[str]] = {"left_out": [], "hashed": []}
    # One by one, so that an invalid name is skipped instead of the whole example.
    for column in chance.sample(columns, chance.randrange(1, min(12, len(columns)))):
        choice = chance.choice(["left_out", "hashed"])
        trial = {**kept, choice: [*kept[choice], column.name]}
        try:
            choose(each, promoted=promoted, **trial)
        except SettingsError:
            continue
        kept = trial
    names = {*kept["left_out"], *kept["hashed"]}
    return choose(each, promoted=promoted, **kept), [column for column in columns if column.name in names]


def kept_of(chosen: Chosen, items: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """Everything that a run stores of the objects, as text, and its rows."""
    page = Page("source", Window(), None, [dict(item) for item in items], last=True, date=1)
    page = redacted(page, redaction(chosen, KEY))
    flattener = Flattener(chosen.columns)
    with tempfile.TemporaryDirectory() as folder:
        with Archive(Path(folder) / "run", flattener.schema) as archive:
            archive.spool.append(page)
            archive.write(flattener.batch(page.objects))
        (again,) = read_spool(archive.spool.path)
        rows = [row for part in archive.parts() for row in pq.read_table(part.path).to_pylist()]
        raw = b"".join(file.read_bytes() for file in sorted((Path(folder) / "run").iterdir()))
    drift = [entry.message for entry in flattener.drift.values()]
    assert len(rows) == len(items)
    return json.dumps([again.objects, rows, drift], default=str) + raw.decode("latin-1"), rows


PROPERTY = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("name", sampled(each.key for each in REPORTS))
@PROPERTY
@given(seed=st.integers(0, 2**32))
def test_left_out_and_hashed_values_are_never_stored(objects: Objects, name: str, seed: int) -> None:
    chance = random.Random(seed)
    chosen, named = choice_of(report(name), chance)
    items = json.loads(json.dumps(objects[name]))
    for item in items:
        for column in named:
            # Any ancestor can also be of another type than the object that is expected.
            depth = chance.choice([len(column.path), len(column.path), *range(1, len(column.path))])
            forms = FORMS if depth == len(column.path) else [form for form in FORMS if form[0] != "{"]
            plant(item, column.path[:depth], json.loads(chance.choice(forms)))
        for path in chosen.ids:
            if named and chance.random() < 0.5:
                plant(item, path, {"id": "x_1", "email": MARKER, "object": "any"})
    kept, _ = kept_of(chosen, items)
    assert MARKER not in kept


def parent_of(item: Any, path: Sequence[str]) -> dict[str, Any]:
    """The object with the last key of the path; a placeholder if it is missing."""
    for key in path[:-1]:
        item = item.get(key) if isinstance(item, dict) else None
    return item if isinstance(item, dict) and path[-1] in item else {path[-1]: None}


def as_text(kind: str, value: Any) -> str:
    if isinstance(value, dict) and kind == "id":
        value = value["id"]
    if isinstance(value, str):
        return value
    value = float(value) if kind == "double" else value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def reference(item: Any, chosen: Chosen) -> Any:
    """The object without left-out values and with hashes, by a simple implementation."""
    item = json.loads(json.dumps(item))
    if chosen.metadata is not None:
        sent = item.get("metadata") or {}
        item["metadata"] = {key: value for key, value in sent.items() if key in chosen.metadata}
    for path in chosen.removed:
        del parent_of(item, path)[path[-1]]
    for column in chosen.hashed:
        parent, last = parent_of(item, column.path), column.path[-1]
        if parent[last] is not None:
            parent[last] = hash_of(as_text(column.type, parent[last]))
    return with_ids(item, chosen)


def with_ids(item: Any, chosen: Chosen) -> Any:
    for path in chosen.ids:
        parent, last = parent_of(item, path), path[-1]
        if isinstance(parent[last], dict):
            parent[last] = parent[last]["id"]
    return item


@pytest.mark.parametrize("name", sampled(each.key for each in REPORTS))
@PROPERTY
@given(seed=st.integers(0, 2**32))
def test_rows_rebuild_the_object_without_left_out_values(objects: Objects, name: str, seed: int) -> None:
    chosen, _ = choice_of(report(name), random.Random(seed))
    items = [{**item, "not_in_the_spec": {"x": 1}} for item in objects[name]]
    _, rows = kept_of(chosen, items)
    for row, item in zip(rows, items, strict=True):
        assert rebuild(chosen.columns, row) == without_empties(reference(item, chosen))
