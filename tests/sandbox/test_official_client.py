"""Stripe's official client pages through the sandbox and reads the same objects as raw requests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import stripe
from tests.sandbox.conftest import KEY, Client


@pytest.fixture
def official(company: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[stripe.StripeClient]:
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    http = stripe.RequestsClient()
    yield stripe.StripeClient(
        KEY, base_addresses={"api": company.sandbox.url}, stripe_version="2026-05-27.dahlia", http_client=http
    )
    http.close()


@pytest.mark.parametrize("name", ["customers", "refunds", "subscriptions", "invoice_items", "payouts"])
def test_official_client_lists_the_same_objects(official: stripe.StripeClient, company: Client, name: str) -> None:
    service = getattr(official.v1, name)
    found = [one.id for one in service.list({"limit": 100}).auto_paging_iter()]
    path = f"/v1/{name.replace('_', '')}"
    assert found == [one["id"] for one in company.all(path)]
    assert len(found) > 100


@pytest.mark.parametrize("path", ["/v1/charges", "/v1/balance", "/v1/account", "/v1/invoices"])
def test_official_client_reads_the_same_bodies(official: stripe.StripeClient, company: Client, path: str) -> None:
    assert official.raw_request("get", path).data == company.get(path)


def test_official_client_sends_ranges_and_expansions(official: stripe.StripeClient, company: Client) -> None:
    middle = company.all("/v1/charges")[500]["created"]
    page = official.v1.charges.list({"created": {"lt": middle}, "expand": ["data.customer"], "limit": 5})
    raw = company.get("/v1/charges", {"created[lt]": middle, "expand[]": "data.customer", "limit": 5})
    assert [one.to_dict() for one in page.data] == raw["data"]


def test_official_client_recognizes_errors(official: stripe.StripeClient, company: Client) -> None:
    with pytest.raises(stripe.InvalidRequestError) as missing:
        official.v1.charges.retrieve("ch_3none")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    assert (missing.value.request_id or "").startswith("req_")
    rejected = stripe.StripeClient("sk_test_wrong_key", base_addresses={"api": company.sandbox.url})
    with pytest.raises(stripe.AuthenticationError):
        rejected.v1.balance.retrieve()
