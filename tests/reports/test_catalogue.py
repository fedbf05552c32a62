"""The reports: titles, order and properties of each definition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from counterfoil.columns.system import SYSTEM_COLUMNS
from counterfoil.destinations.keys import OBJECT
from counterfoil.errors import SettingsError
from counterfoil.reports.catalogue import REPORTS, columns_of, report
from counterfoil.reports.report import Collected, Listing, Preview, Report, Singleton, Union

STRIPE = Path(__file__).resolve().parents[2] / "../shared/stripe"
needs_stripe = pytest.mark.skipif(not STRIPE.is_dir(), reason="Stripe's spec is not available")
each_report = pytest.mark.parametrize("found", REPORTS, ids=[each.key for each in REPORTS])

MENU = [
    ("Account Description", "account"),
    ("Application Fees", "application_fees"),
    ("Balance", "balance"),
    ("Balance History", "balance_transactions"),
    ("Charges", "charges"),
    ("Coupons", "coupons"),
    ("Customers", "customers"),
    ("Discounts", "discounts"),
    ("Events", "events"),
    ("All Invoices", "invoices"),
    ("Invoice Items", "invoiceitems"),
    ("Upcoming Invoices", "upcoming_invoices"),
    ("Plans", "plans"),
    ("Recipients (DEPRECATED)", "recipients"),
    ("Refunds", "refunds"),
    ("Transfers", "transfers"),
    ("Subscriptions", "subscriptions"),
    ("All Subscriptions", "all_subscriptions"),
    ("Invoice Line Items", "invoice_line_items"),
    ("Subscription Items", "subscription_items"),
    ("Application Fee Refunds", "application_fee_refunds"),
    ("Transfer Reversals", "transfer_reversals"),
]


def listings_of(found: Report) -> Iterator[Listing]:
    match found.source:
        case Listing() as listing:
            yield listing
        case Union(listings=listings):
            yield from listings.values()
        case Collected(places=places):
            yield from (place.listing for place in places)
        case Preview(previewed=previewed):
            yield from (each.listing for each in previewed)
        case Singleton():
            return


def test_reports_have_their_titles_and_keys_in_menu_order() -> None:
    assert [(each.title, each.key) for each in REPORTS] == MENU


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("charges", "charges"),
        ("Charges", "charges"),
        ("All Invoices", "invoices"),
        ("balance-transactions", "balance_transactions"),
        ("BALANCE_HISTORY", "balance_transactions"),
        ("Recipients (DEPRECATED)", "recipients"),
        ("invoice items", "invoiceitems"),
        ("upcoming-invoices", "upcoming_invoices"),
    ],
)
def test_report_is_found_by_key_or_title_in_any_spelling(name: str, key: str) -> None:
    assert report(name).key == key


@pytest.mark.parametrize(
    ("name", "near"), [("chrages", "charges"), ("recipient", "recipients"), ("ballance", "balance")]
)
def test_unknown_report_is_rejected_with_suggestions(name: str, near: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        report(name)
    assert caught.value.code == "report_not_found"
    assert near in (caught.value.hint or "")


def test_hint_without_suggestions_names_the_reports_command() -> None:
    with pytest.raises(SettingsError) as caught:
        report("zzzzzz")
    assert "counterfoil reports" in (caught.value.hint or "")


def test_system_columns_follow_the_columns_of_the_report() -> None:
    found = report("coupons")
    assert columns_of(found) == (*found.columns, *SYSTEM_COLUMNS)


@each_report
def test_every_integer_has_a_currency_or_is_declared_not_money(found: Report) -> None:
    integers = {column.name for column in found.columns if column.type == "integer"}
    money = {column.name for column in found.columns if column.type == "integer" and column.currency}
    assert integers - money == found.not_money
    strings = {column.name for column in found.columns if column.type == "string"}
    assert {column.currency for column in found.columns if column.currency} <= strings


@each_report
def test_every_money_column_is_followed_by_its_major_column(found: Report) -> None:
    for column, following in zip(found.columns, found.columns[1:], strict=False):
        if column.type == "integer" and column.currency:
            assert (following.name, following.type, following.currency) == (
                f"{column.name}_major",
                "major",
                column.currency,
            )


@each_report
def test_no_amount_is_declared_not_money(found: Report) -> None:
    for name in found.not_money:
        assert not {"amount", "fee", "total", "subtotal", "balance", "net"} & set(name.split("_")), name


@each_report
def test_every_column_has_a_name_a_path_and_a_description(found: Report) -> None:
    names = [column.name for column in columns_of(found)]
    assert len(names) == len(set(names))
    assert all(column.description for column in columns_of(found))
    assert all(column.path for column in found.columns)
    assert max(len(name) for name in names) <= 63


@each_report
def test_key_order_and_creation_time_are_columns(found: Report) -> None:
    names = {column.name for column in found.columns}
    assert set(found.primary_key) <= names
    assert {name.removeprefix("-") for name in found.order} <= names
    assert found.created is None or found.created in names


@each_report
def test_creation_time_is_the_field_of_the_created_filter(found: Report) -> None:
    created = {listing.created for listing in listings_of(found)}
    if found.created is not None:
        assert created == {found.created}


@each_report
def test_update_methods_are_valid(found: Report) -> None:
    assert found.default_method in found.methods
    assert found.created is not None or "partition" not in found.methods
    # A snapshot has nothing to merge, and an outdated forecast must not be kept.
    expected = {"balance": "append", **dict.fromkeys(("account", "upcoming_invoices", "recipients"), "replace")}
    assert found.default_method == expected.get(found.key, "merge")


@each_report
def test_texts_have_one_line_and_permissions_the_prefix_of_stripe(found: Report) -> None:
    assert "\n" not in found.description
    assert all("\n" not in note for note in found.notes)
    assert all(name.startswith("rak_") for name in found.permissions)


@each_report
def test_a_default_option_is_a_choice(found: Report) -> None:
    for option in found.options:
        assert bool(option.choices) != bool(option.pattern), option.name
        assert option.default is None or option.default in option.choices
        assert option.widest is None or option.widest in option.choices
        assert set(option.sends) <= set(option.choices)
        assert option.description


def test_description_of_charges_explains_ten_dollars() -> None:
    description = report("charges").description
    assert "$10.00" in description
    assert "1000 in amount" in description
    assert "10.00 in amount_major" in description


def test_recipients_are_declared_retired() -> None:
    source = report("recipients").source
    assert isinstance(source, Listing)
    assert (source.api_version, source.retired) == ("2020-08-27", {400, 403, 404})
    (note,) = [note for note in report("recipients").notes if "retired" in note]
    assert "connected accounts" in note


def test_subscriptions_omit_canceled_ones_by_default() -> None:
    (status, *_) = report("subscriptions").options
    assert (status.default, status.sends["not_canceled"], status.sends.get("all", "all")) == (
        "not_canceled",
        None,
        "all",
    )


@needs_stripe
@each_report
def test_every_event_type_exists_in_stripe(found: Report) -> None:
    known = set(json.loads((STRIPE / "event_types.json").read_bytes()))
    types = [event.type for event in found.events]
    assert set(types) <= known
    assert len(types) == len(set(types))


@needs_stripe
@each_report
def test_listings_match_the_spec_of_stripe(found: Report) -> None:
    spec = json.loads((STRIPE / "spec3.json").read_bytes())
    for listing in listings_of(found):
        if listing.retired:
            assert listing.path not in spec["paths"]
            continue
        operation = spec["paths"][listing.path]["get"]
        accepted = {parameter["name"] for parameter in operation["parameters"]}
        assert ("created" in accepted) == (listing.created is not None)
        assert set(listing.params) <= accepted
        assert all(path.startswith("data.") and path.count(".") <= 4 for path in listing.expand)
        item = item_schema(spec, operation)
        assert lists_in(item["properties"]) == set(listing.lists) | without_expansion(found, listing)
        for option in found.options:
            assert (option.param or option.name) in accepted, option.name


def item_schema(spec: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    page = operation["responses"]["200"]["content"]["application/json"]["schema"]
    name = page["properties"]["data"]["items"]["$ref"].rpartition("/")[2]
    schema: dict[str, Any] = spec["components"]["schemas"][name]
    return schema


def lists_in(fields: dict[str, Any]) -> set[str]:
    return {
        name for name, field in fields.items() if field.get("properties", {}).get("object", {}).get("enum") == ["list"]
    }


def without_expansion(found: Report, listing: Listing) -> set[str]:
    """Lists that Stripe sends only if they are expanded, or without objects that the report collects."""
    only_expanded = {
        "/v1/charges": {"refunds"},
        "/v1/customers": {"sources", "subscriptions", "tax_ids"},
        "/v1/invoices": {"payments"},
    }
    unread = {"items"} if isinstance(found.source, Preview) and listing.path == "/v1/subscriptions" else set()
    return only_expanded.get(listing.path, set()) | unread


@needs_stripe
def test_singletons_and_previews_are_in_the_spec_of_stripe() -> None:
    paths = json.loads((STRIPE / "spec3.json").read_bytes())["paths"]
    assert "get" in paths["/v1/account"]
    assert "get" in paths["/v1/balance"]
    preview = report("upcoming_invoices").source
    assert isinstance(preview, Preview)
    form = paths[preview.path]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
    assert {each.param for each in preview.previewed} <= set(form["schema"]["properties"])


@needs_stripe
def test_every_list_of_the_balance_is_a_bucket() -> None:
    schemas = json.loads((STRIPE / "spec3.json").read_bytes())["components"]["schemas"]
    source = report("balance").source
    assert isinstance(source, Singleton)
    lists = set()
    for name, field in schemas["balance"]["properties"].items():
        if field.get("type") == "array":
            lists.add((name,))
        elif "$ref" in field:
            below = schemas[field["$ref"].rpartition("/")[2]]["properties"]
            lists |= {(name, inner) for inner, value in below.items() if value["type"] == "array"}
    assert {bucket.path for bucket in source.buckets} == lists


@needs_stripe
def test_discounts_are_collected_from_every_list_with_discounts() -> None:
    source = report("discounts").source
    assert isinstance(source, Collected)
    found = {(place.listing.path, at) for place in source.places for at in place.at}
    assert found == {
        ("/v1/customers", ("discount",)),
        ("/v1/subscriptions", ("discounts", "*")),
        ("/v1/subscriptions", ("items", "data", "*", "discounts", "*")),
        ("/v1/invoices", ("discounts", "*")),
        ("/v1/invoices", ("lines", "data", "*", "discounts", "*")),
        ("/v1/invoices", ("total_discount_amounts", "*", "discount")),
        ("/v1/invoiceitems", ("discounts", "*")),
    }
    for place in source.places:
        for at in place.at:
            path = ".".join(("data", *(key for key in at if key != "*")))
            assert at == ("discount",) or path in place.listing.expand


@each_report
def test_every_merged_table_has_the_object_column(found: Report) -> None:
    assert "merge" not in found.methods or OBJECT in {column.name for column in found.columns}
