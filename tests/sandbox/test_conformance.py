"""All responses at the pinned version validate against Stripe's specification, with the exceptions listed here."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from stripe_sandbox.kinds import KINDS
from tests.sandbox.conftest import Client

SPEC = Path(__file__).resolve().parents[2] / "../shared/stripe/spec3.json"
pytestmark = pytest.mark.skipif(not SPEC.parent.parent.is_dir(), reason="the specification is not available")

#: Fields that the specification does not declare. The sandbox sends them because Stripe sends them.
UNDECLARED = {
    "charge": {"source"},
    "subscription_item": {"plan"},
    "product": {"type"},
    "subscription_schedule_configuration_item": {"plan"},
    "recurring": {"trial_period_days"},
    "subscriptions_resource_subscription_invoice_settings": {"custom_fields", "description", "footer"},
}


def schema(node: Any) -> Any:
    """Converts OpenAPI's `nullable` to JSON Schema."""
    if isinstance(node, list):
        return [schema(child) for child in node]
    if not isinstance(node, dict):
        return node
    converted = {
        key: {name: schema(child) for name, child in value.items()} if key == "properties" else schema(value)
        for key, value in node.items()
        if key != "nullable" and not key.startswith("x-")
    }
    return {"anyOf": [converted, {"type": "null"}]} if node.get("nullable") else converted


@cache
def specification() -> dict[str, Any]:
    return json.loads(SPEC.read_text())


@cache
def validator(method: str, path: str) -> Draft202012Validator:
    spec = specification()
    response = spec["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    return Draft202012Validator({"components": schema(spec["components"]), **schema(response)})


def check(path: str, body: Any, method: str = "get") -> None:
    problems = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in validator(method, path).iter_errors(body)
    ]
    assert not problems, problems[:5]


SINGLE = {
    "account": "{account}", "charge": "{charge}", "coupon": "{coupon}", "customer": "{customer}",
    "dispute": "{dispute}", "invoice": "{invoice}", "invoiceitem": "{invoiceitem}",
    "invoice_payment": "{invoice_payment}", "payout": "{payout}", "plan": "{plan}", "price": "{price}",
    "refund": "{refund}", "subscription": "{subscription_exposed_id}", "subscription_schedule": "{schedule}",
    "transfer": "{transfer}",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_list_and_objects_match_the_specification(company: Client, kind: Any) -> None:
    params = {"status": "all"} if kind.name == "subscription" else {}
    whole = company.all(kind.path, params)
    some = random.Random(1).sample(whole, min(40, len(whole)))
    check(kind.path, {"object": "list", "data": some, "has_more": True, "url": kind.path})
    name = f"{kind.path}/{SINGLE.get(kind.name, '{id}')}"
    for one in some[:8]:
        shown = company.get(f"{kind.path}/{one['id']}")
        assert shown == one
        check(name, shown)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_objects_of_activity_match_the_specification(active: Client, kind: Any) -> None:
    overlay = active.sandbox.server.store.overlays[kind.name]
    whole = active.all(kind.path, {"status": "all"} if kind.name == "subscription" else {})
    changed = {kind.id_of(active.sandbox.world, n) for n in overlay.changed}
    for ids in (overlay.added.keys(), changed):
        some = [one for one in whole if one["id"] in ids]
        some = random.Random(1).sample(some, min(12, len(some)))
        check(kind.path, {"object": "list", "data": some, "has_more": True, "url": kind.path})
        found: set[tuple[str, str]] = set()
        for one in some if kind.name != "event" else ():
            undeclared(one, kind.name, found)
        assert found <= {(name, field) for name, fields in UNDECLARED.items() for field in fields}


@pytest.mark.parametrize("path", ["/v1/account", "/v1/balance"])
def test_single_object_matches_the_specification(company: Client, path: str) -> None:
    check(path, company.get(path))


def test_nested_lists_match_the_specification(company: Client) -> None:
    invoice = next(one for one in company.all("/v1/invoices") if one["lines"]["has_more"])
    check("/v1/invoices/{invoice}/lines", company.get(f"/v1/invoices/{invoice['id']}/lines", {"limit": 100}))
    fee = next(one for one in company.all("/v1/application_fees") if one["refunds"]["data"])
    check("/v1/application_fees/{id}/refunds", company.get(f"/v1/application_fees/{fee['id']}/refunds"))
    transfer = next(one for one in company.all("/v1/transfers") if one["reversals"]["data"])
    check("/v1/transfers/{id}/reversals", company.get(f"/v1/transfers/{transfer['id']}/reversals"))
    refund = company.get("/v1/refunds", {"limit": 1})["data"][0]
    check("/v1/charges/{charge}/refunds", company.get(f"/v1/charges/{refund['charge']}/refunds"))
    item = company.get("/v1/subscriptions", {"limit": 1})["data"][0]
    items = company.get("/v1/subscription_items", {"subscription": item["id"]})
    check("/v1/subscription_items", items)
    check("/v1/subscription_items/{item}", company.get(f"/v1/subscription_items/{items['data'][0]['id']}"))


def test_previews_match_the_specification(company: Client) -> None:
    upcoming = company.sandbox.ask("truth/upcoming_invoices")["upcoming"]
    for one in upcoming[:12] + upcoming[-4:]:
        params = {name: one[name] for name in ("subscription", "schedule") if name in one}
        response = company.send("POST", "/v1/invoices/create_preview", params)
        assert response.status == 200, response.body
        check("/v1/invoices/create_preview", response.body, "post")


def test_previews_after_activity_match_the_specification(active: Client) -> None:
    upcoming = [one for one in active.sandbox.ask("truth/upcoming_invoices")["upcoming"] if "subtotal" not in one]
    assert any("schedule" in one for one in upcoming)
    for one in upcoming[:6] + upcoming[-2:]:
        response = active.send("POST", "/v1/invoices/create_preview", one)
        assert response.status == 200, response.body
        assert response.body["total"] >= 0
        check("/v1/invoices/create_preview", response.body, "post")


EXPANSIONS = {
    "/v1/charges": ["data.customer", "data.balance_transaction.source", "data.refunds"],
    "/v1/coupons": ["data.applies_to", "data.currency_options"],
    "/v1/customers": ["data.discount.source.coupon", "data.subscriptions", "data.sources", "data.tax_ids", "data.tax"],
    "/v1/invoiceitems": ["data.discounts.source.coupon", "data.invoice"],
    "/v1/invoices": [
        "data.discounts.source.coupon", "data.lines.data.discounts", "data.total_discount_amounts.discount",
        "data.payments", "data.customer",
    ],
    "/v1/plans": ["data.tiers", "data.product"],
    "/v1/prices": ["data.tiers", "data.currency_options", "data.product"],
    "/v1/subscriptions": [
        "data.discounts.source.coupon", "data.items.data.discounts", "data.items.data.price", "data.latest_invoice",
        "data.schedule",
    ],
    "/v1/balance_transactions": ["data.source"],
    "/v1/refunds": ["data.charge.customer", "data.balance_transaction"],
    "/v1/transfers": ["data.destination", "data.balance_transaction"],
}  # fmt: skip


@pytest.mark.parametrize("path", EXPANSIONS)
def test_expanded_responses_match_the_specification(company: Client, path: str) -> None:
    check(path, company.get(path, {"limit": 30, "expand[]": EXPANSIONS[path]}))


@pytest.mark.parametrize("path", EXPANSIONS)
def test_expanded_responses_after_activity_match_the_specification(active: Client, path: str) -> None:
    check(path, active.get(path, {"limit": 15, "expand[]": EXPANSIONS[path]}))


def undeclared(value: Any, name: str, found: set[tuple[str, str]]) -> None:
    """Collects fields that the named schema does not declare, also of nested objects with a single schema."""
    node = specification()["components"]["schemas"][name]
    for field, child in value.items():
        if field not in node["properties"]:
            found.add((name, field))
            continue
        declared = node["properties"][field]
        refs = [arm["$ref"] for arm in declared.get("anyOf", [declared]) if "$ref" in arm]
        entries = declared.get("items", {}).get("$ref")
        inner = declared.get("properties", {}).get("data", {}).get("items", {}).get("$ref")
        if isinstance(child, dict) and len(refs) == 1:
            undeclared(child, refs[0].split("/")[-1], found)
        elif isinstance(child, list) and entries:
            for one in child:
                undeclared(one, entries.split("/")[-1], found)
        elif isinstance(child, dict) and inner:
            for one in child["data"]:
                undeclared(one, inner.split("/")[-1], found)


def test_undeclared_fields_are_listed(company: Client) -> None:
    found: set[tuple[str, str]] = set()
    for kind in KINDS:
        if kind.name != "event":
            for one in company.get(kind.path, {"limit": 60})["data"]:
                undeclared(one, kind.name, found)
    assert found == {(name, field) for name, fields in UNDECLARED.items() for field in fields}


def test_deleted_customer_matches_the_specification(company: Client) -> None:
    table = company.sandbox.world.customers
    deleted = company.sandbox.world.ids["customer"].of(table.deleted.index(1))
    body = company.get(f"/v1/customers/{deleted}")
    assert body == {"id": deleted, "object": "customer", "deleted": True}
    check("/v1/customers/{customer}", body)


def test_validator_finds_a_wrong_type(company: Client) -> None:
    page = company.get("/v1/charges", {"limit": 1})
    page["data"][0]["amount"] = "10.00"
    with pytest.raises(AssertionError, match="amount"):
        check("/v1/charges", page)
