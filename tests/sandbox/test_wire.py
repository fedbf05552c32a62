from __future__ import annotations

import gzip
import http.client
import json
from typing import Any

import pytest

from stripe_sandbox import Sandbox
from tests.sandbox.conftest import KEY, Client, basic

PINNED = "2026-05-27.dahlia"


@pytest.mark.parametrize("version", [PINNED, "2020-08-27", "2011-01-01", "2026-10-28.endive"])
def test_a_known_version_is_echoed(company: Client, version: str) -> None:
    response = company.send("GET", "/v1/balance", headers={"Stripe-Version": version})
    assert response.status == 200
    assert response.headers["Stripe-Version"] == version


def test_unknown_version_is_rejected(company: Client) -> None:
    assert company.send("GET", "/v1/balance", headers={"Stripe-Version": "2026-01-01.gorse"}).status == 400


def test_responses_have_a_request_id_and_the_time_of_the_sandbox(company: Client) -> None:
    first, second = (company.send("GET", "/v1/balance").headers for _ in range(2))
    assert first["Request-Id"].startswith("req_")
    assert first["Request-Id"] != second["Request-Id"]
    assert first["Date"] == "Sun, 01 Nov 2026 12:00:00 GMT"


def test_bodies_are_gzipped_on_request(company: Client) -> None:
    plain = company.send("GET", "/v1/charges", {"limit": 100})
    packed = company.send("GET", "/v1/charges", {"limit": 100}, headers={"Accept-Encoding": "gzip, deflate"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.body == plain.body
    assert int(packed.headers["Content-Length"]) * 4 < int(plain.headers["Content-Length"])


def test_page_of_charges_has_a_realistic_size(company: Client) -> None:
    response = company.send("GET", "/v1/charges", {"limit": 100})
    assert 2900 < int(response.headers["Content-Length"]) / 100 < 3600


def test_basic_and_bearer_authentication_work(company: Client) -> None:
    assert company.send("GET", "/v1/balance", key=None, headers=basic(KEY)).status == 200
    assert company.send("GET", "/v1/balance").status == 200


@pytest.mark.parametrize("key", [None, "sk_test_unknown0000", "pk_test_demo0000000"])
def test_missing_unknown_and_publishable_keys_are_401(company: Client, key: str | None) -> None:
    response = company.send("GET", "/v1/balance", key=key)
    assert response.status == 401
    assert response.error["type"] == "invalid_request_error"
    assert key is None or key not in json.dumps(response.body)


def test_rejected_key_has_an_error_code(own: Client) -> None:
    own.sandbox.control("keys", key="sk_test_old_key_1234", refused=True, code="api_key_expired")
    response = own.send("GET", "/v1/balance", key="sk_test_old_key_1234")
    assert (response.status, response.error["code"]) == (401, "api_key_expired")


def test_restricted_key_gets_403_with_the_missing_permission(own: Client) -> None:
    key = "rk_test_some_key_9876"
    own.sandbox.control("keys", key=key, permissions=["rak_charge_read", "rak_invoice_write"])
    assert own.send("GET", "/v1/charges", key=key).status == 200
    assert own.send("GET", "/v1/refunds", key=key).status == 200
    assert own.send("GET", "/v1/invoices", key=key).status == 200
    response = own.send("GET", "/v1/subscriptions", key=key)
    account = own.get("/v1/account")["id"]
    assert response.status == 403
    assert response.error["message"] == (
        "The provided key 'rk_test_***9876' does not have the required permissions for this endpoint on account "
        f"'{account}'. Having the 'rak_subscription_read' permission would allow this request to continue."
    )


def test_unconnected_account_is_403(company: Client) -> None:
    assert company.send("GET", "/v1/charges", headers={"Stripe-Account": "acct_1Unknown"}).status == 403
    mine = company.get("/v1/accounts", {"limit": 1})["data"][0]["id"]
    assert company.send("GET", "/v1/charges", headers={"Stripe-Account": mine}).status == 200


@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/core/events", "/v1/charges/a/b/c", "/v1/recipients"])
def test_an_unknown_route_is_404_without_a_code(company: Client, path: str) -> None:
    response = company.send("GET", path)
    assert response.status == 404
    assert "code" not in response.error
    assert response.error["message"].startswith(f"Unrecognized request URL (GET: {path}). ")


@pytest.mark.parametrize("path", ["/v1/charges/ch_3none", "/v1/coupons/NONE", "/v1/invoices/in_1none/lines"])
def test_a_missing_object_is_404_with_a_code(company: Client, path: str) -> None:
    response = company.send("GET", path)
    assert (response.status, response.error["code"]) == (404, "resource_missing")


def test_writes_are_404(company: Client) -> None:
    assert company.send("POST", "/v1/customers", {"name": "x"}).status == 404
    assert company.send("DELETE", "/v1/charges").status == 404


@pytest.mark.parametrize("mode", ["400", "403", "404", "500"])
def test_recipients_respond_as_configured(own: Client, mode: str) -> None:
    own.sandbox.control("recipients", mode=mode)
    assert own.send("GET", "/v1/recipients", headers={"Stripe-Version": "2020-08-27"}).status == int(mode)


def test_recipients_are_listed_only_in_the_old_version(own: Client) -> None:
    own.sandbox.control("recipients", mode="list")
    old = {"Stripe-Version": "2020-08-27"}
    page = own.get("/v1/recipients", headers=old)
    assert len(page["data"]) == 10
    rest = own.get("/v1/recipients", {"starting_after": page["data"][-1]["id"]}, headers=old)
    assert [one["object"] for one in rest["data"]] == ["recipient"] * 4
    assert own.send("GET", "/v1/recipients").status == 404


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"rps": 3}, "global-rate"), ({"endpoint_rps": 3}, "endpoint-rate")],
)
def test_exceeded_rate_is_429_with_the_reason(own: Client, limits: dict[str, int], reason: str) -> None:
    own.sandbox.control("limits", **limits)
    responses = [own.send("GET", "/v1/coupons", {"limit": 1}) for _ in range(12)]
    limited = [response for response in responses if response.status == 429]
    assert responses[0].status == responses[1].status == responses[2].status == 200
    assert limited
    assert {response.headers["Stripe-Rate-Limited-Reason"] for response in limited} == {reason}


def test_endpoints_have_separate_rate_limits(own: Client) -> None:
    own.sandbox.control("limits", endpoint_rps=0.001)
    assert own.send("GET", "/v1/coupons").status == 200
    assert own.send("GET", "/v1/coupons").status == 429
    assert own.send("GET", "/v1/coupons/WELCOME10").status == 200
    assert own.send("GET", "/v1/coupons/LOYAL5").status == 429


@pytest.mark.parametrize("limit", ["concurrency", "endpoint_concurrency"])
def test_exceeded_concurrency_is_429_with_the_reason(own: Client, limit: str) -> None:
    own.sandbox.control("limits", **{limit: 1})
    own.sandbox.control("faults", fault="hold", path="/v1/charges")
    waiting = http.client.HTTPConnection(own.sandbox.host, own.sandbox.port, timeout=10)
    waiting.request("GET", "/v1/charges", headers={"Authorization": f"Bearer {KEY}"})
    while own.sandbox.ask("requests")["peak_in_flight"] < 1:
        pass
    response = own.send("GET", "/v1/charges")
    reason = "global-concurrency" if limit == "concurrency" else "endpoint-concurrency"
    assert (response.status, response.headers["Stripe-Rate-Limited-Reason"]) == (429, reason)
    own.sandbox.control("release")
    assert waiting.getresponse().status == 200
    waiting.close()
    assert own.send("GET", "/v1/charges").status == 200


def test_lock_timeout_has_no_reason_and_no_request_id(own: Client) -> None:
    own.sandbox.control("faults", fault="lock_timeout")
    response = own.send("GET", "/v1/charges")
    assert (response.status, response.error["code"]) == (429, "lock_timeout")
    assert "Stripe-Rate-Limited-Reason" not in response.headers
    assert "Request-Id" not in response.headers


@pytest.mark.parametrize(
    ("fault", "status", "retry"),
    [
        ("500", 500, None), ("502", 502, None), ("503", 503, None), ("504", 504, None), ("409", 409, None),
        ("424", 424, None), ("should_retry", 400, "true"), ("should_not_retry", 500, "false"),
        ("resource-specific", 429, None),
    ],
)  # fmt: skip
def test_planned_fault_affects_only_the_selected_requests(
    own: Client, fault: str, status: int, retry: str | None
) -> None:
    own.sandbox.control("faults", fault=fault, path="/v1/charges", count=2, skip=1)
    assert own.send("GET", "/v1/customers").status == 200
    responses = [own.send("GET", "/v1/charges") for _ in range(4)]
    assert [response.status for response in responses] == [200, status, status, 200]
    assert responses[1].headers.get("Stripe-Should-Retry") == retry


def test_status_fault_returns_the_given_error_and_headers(own: Client) -> None:
    own.sandbox.control(
        "faults", fault="status", status=400, error={"message": "Not onboarded", "code": "x"}, headers={"X-A": "b"}
    )
    response = own.send("GET", "/v1/charges")
    assert (response.status, response.error["message"], response.error["code"]) == (400, "Not onboarded", "x")
    assert response.headers["X-A"] == "b"


def test_cut_connection_has_no_response(own: Client) -> None:
    own.sandbox.control("faults", fault="cut")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        own.send("GET", "/v1/charges")
    assert own.send("GET", "/v1/charges").status == 200


@pytest.mark.parametrize("packed", [False, True])
def test_half_fault_sends_less_than_the_content_length(own: Client, packed: bool) -> None:
    own.sandbox.control("faults", fault="half")
    connection = http.client.HTTPConnection(own.sandbox.host, own.sandbox.port, timeout=10)
    headers = {"Authorization": f"Bearer {KEY}"} | ({"Accept-Encoding": "gzip"} if packed else {})
    connection.request("GET", "/v1/charges?limit=100", headers=headers)
    response = connection.getresponse()
    assert response.status == 200
    with pytest.raises(http.client.IncompleteRead) as cut:
        response.read()
    part = cut.value.partial
    assert 0 < len(part) < int(response.getheader("Content-Length") or 0)
    with pytest.raises((ValueError, EOFError)):
        json.loads(gzip.decompress(part) if packed else part)
    connection.close()


def test_garbage_is_200_without_json(own: Client) -> None:
    own.sandbox.control("faults", fault="garbage")
    with pytest.raises(json.JSONDecodeError):
        own.send("GET", "/v1/charges")


def test_stuck_cursor_repeats_the_first_page(own: Client) -> None:
    first = own.get("/v1/charges")
    own.sandbox.control("faults", fault="stuck_cursor")
    assert own.get("/v1/charges", {"starting_after": first["data"][-1]["id"]}) == first
    assert own.get("/v1/charges", {"starting_after": first["data"][-1]["id"]}) != first


def test_random_faults_follow_the_rate_and_the_seed() -> None:
    def statuses() -> list[int]:
        with Sandbox(scale=0.1, fault_rate=0.3) as sandbox:
            sandbox.control("faults", rate=0.3, kinds=["500", "global-rate"])
            client = Client(sandbox)
            return [client.send("GET", "/v1/coupons", {"limit": 1}).status for _ in range(60)]

    one = statuses()
    assert one == statuses()
    assert 8 <= sum(status != 200 for status in one) <= 30
    assert set(one) == {200, 500, 429}


def test_latency_is_at_least_the_configured_one(own: Client) -> None:
    import time

    own.sandbox.control("latency", ms=60, path="/v1/charges")
    started = time.perf_counter()
    own.get("/v1/charges")
    assert time.perf_counter() - started >= 0.055


def test_requests_are_counted_and_logged(own: Client) -> None:
    own.sandbox.ask("requests?reset=true")
    own.send("GET", "/v1/charges", {"limit": 3}, headers={"Stripe-Version": PINNED})
    own.send("GET", "/v1/charges/ch_3none")
    own.send("POST", "/v1/invoices/create_preview", {"subscription": "sub_1none"})
    log: dict[str, Any] = own.sandbox.ask("requests")
    assert log["total"] == 3
    assert log["endpoints"] == {
        "GET /v1/charges": {"200": 1},
        "GET /v1/charges/{id}": {"404": 1},
        "POST /v1/invoices/create_preview": {"404": 1},
    }
    first, _, last = log["last"]
    assert first["query"] == "limit=3"
    assert first["headers"]["Stripe-Version"] == PINNED
    assert "Authorization" in first["has"]
    assert KEY not in json.dumps(log)
    assert last["body"] == "subscription=sub_1none"
    assert log["peak_in_flight"] == 1


def test_invalid_control_requests_are_rejected(company: Client) -> None:
    with pytest.raises(ValueError, match="unknown fault: 'explode'"):
        company.sandbox.control("faults", fault="explode")
    with pytest.raises(ValueError, match="unknown endpoint: POST /_sandbox/nothing"):
        company.sandbox.control("nothing")
    with pytest.raises(ValueError, match="unknown kind: 'unicorn'"):
        company.sandbox.control("objects", kind="unicorn")
