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
    answer = company.send("GET", "/v1/balance", headers={"Stripe-Version": version})
    assert answer.status == 200
    assert answer.headers["Stripe-Version"] == version


def test_an_unknown_version_is_refused(company: Client) -> None:
    assert company.send("GET", "/v1/balance", headers={"Stripe-Version": "2026-01-01.gorse"}).status == 400


def test_every_answer_has_its_own_request_id_and_the_sandboxs_time(company: Client) -> None:
    one, two = (company.send("GET", "/v1/balance").headers for _ in range(2))
    assert one["Request-Id"].startswith("req_")
    assert one["Request-Id"] != two["Request-Id"]
    assert one["Date"] == "Sun, 01 Nov 2026 12:00:00 GMT"


def test_bodies_are_gzipped_for_who_can_read_it(company: Client) -> None:
    plain = company.send("GET", "/v1/charges", {"limit": 100})
    packed = company.send("GET", "/v1/charges", {"limit": 100}, headers={"Accept-Encoding": "gzip, deflate"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.body == plain.body
    assert int(packed.headers["Content-Length"]) * 4 < int(plain.headers["Content-Length"])


def test_a_page_of_charges_weighs_what_stripes_do(company: Client) -> None:
    answer = company.send("GET", "/v1/charges", {"limit": 100})
    assert 2900 < int(answer.headers["Content-Length"]) / 100 < 3600


def test_basic_and_bearer_both_open(company: Client) -> None:
    assert company.send("GET", "/v1/balance", key=None, headers=basic(KEY)).status == 200
    assert company.send("GET", "/v1/balance").status == 200


@pytest.mark.parametrize("key", [None, "sk_test_unknown0000", "pk_test_demo0000000"])
def test_no_key_an_unknown_one_and_a_publishable_one_are_401(company: Client, key: str | None) -> None:
    answer = company.send("GET", "/v1/balance", key=key)
    assert answer.status == 401
    assert answer.error["type"] == "invalid_request_error"
    assert key is None or key not in json.dumps(answer.body)


def test_a_refused_key_says_why(own: Client) -> None:
    own.sandbox.control("keys", key="sk_test_old_key_1234", refused=True, code="api_key_expired")
    answer = own.send("GET", "/v1/balance", key="sk_test_old_key_1234")
    assert (answer.status, answer.error["code"]) == (401, "api_key_expired")


def test_a_restricted_key_reads_what_it_may_and_hears_what_it_lacks(own: Client) -> None:
    key = "rk_test_some_key_9876"
    own.sandbox.control("keys", key=key, permissions=["rak_charge_read", "rak_invoice_write"])
    assert own.send("GET", "/v1/charges", key=key).status == 200
    assert own.send("GET", "/v1/refunds", key=key).status == 200
    assert own.send("GET", "/v1/invoices", key=key).status == 200
    answer = own.send("GET", "/v1/subscriptions", key=key)
    account = own.get("/v1/account")["id"]
    assert answer.status == 403
    assert answer.error["message"] == (
        "The provided key 'rk_test_***9876' does not have the required permissions for this endpoint on account "
        f"'{account}'. Having the 'rak_subscription_read' permission would allow this request to continue."
    )


def test_an_account_that_is_not_connected_is_403(company: Client) -> None:
    assert company.send("GET", "/v1/charges", headers={"Stripe-Account": "acct_1Nobody"}).status == 403
    mine = company.get("/v1/accounts", {"limit": 1})["data"][0]["id"]
    assert company.send("GET", "/v1/charges", headers={"Stripe-Account": mine}).status == 200


@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/core/events", "/v1/charges/a/b/c", "/v1/recipients"])
def test_an_unknown_route_is_404_without_a_code(company: Client, path: str) -> None:
    answer = company.send("GET", path)
    assert answer.status == 404
    assert "code" not in answer.error
    assert answer.error["message"].startswith(f"Unrecognized request URL (GET: {path}). ")


@pytest.mark.parametrize("path", ["/v1/charges/ch_3none", "/v1/coupons/NONE", "/v1/invoices/in_1none/lines"])
def test_a_missing_object_is_404_with_a_code(company: Client, path: str) -> None:
    answer = company.send("GET", path)
    assert (answer.status, answer.error["code"]) == (404, "resource_missing")


def test_nothing_can_be_written(company: Client) -> None:
    assert company.send("POST", "/v1/customers", {"name": "x"}).status == 404
    assert company.send("DELETE", "/v1/charges").status == 404


@pytest.mark.parametrize("mode", ["400", "403", "404", "500"])
def test_recipients_answer_as_they_are_switched(own: Client, mode: str) -> None:
    own.sandbox.control("recipients", mode=mode)
    assert own.send("GET", "/v1/recipients", headers={"Stripe-Version": "2020-08-27"}).status == int(mode)


def test_recipients_are_listed_under_the_old_version_only(own: Client) -> None:
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
def test_a_rate_beyond_its_limit_is_429_with_the_reason(own: Client, limits: dict[str, int], reason: str) -> None:
    own.sandbox.control("limits", **limits)
    answers = [own.send("GET", "/v1/coupons", {"limit": 1}) for _ in range(12)]
    refused = [answer for answer in answers if answer.status == 429]
    assert answers[0].status == answers[1].status == answers[2].status == 200
    assert refused
    assert {answer.headers["Stripe-Rate-Limited-Reason"] for answer in refused} == {reason}


def test_endpoints_have_buckets_of_their_own(own: Client) -> None:
    own.sandbox.control("limits", endpoint_rps=0.001)
    assert own.send("GET", "/v1/coupons").status == 200
    assert own.send("GET", "/v1/coupons").status == 429
    assert own.send("GET", "/v1/coupons/WELCOME10").status == 200
    assert own.send("GET", "/v1/coupons/LOYAL5").status == 429


@pytest.mark.parametrize("limit", ["concurrency", "endpoint_concurrency"])
def test_too_many_in_flight_are_429_with_the_reason(own: Client, limit: str) -> None:
    own.sandbox.control("limits", **{limit: 1})
    own.sandbox.control("faults", fault="hold", path="/v1/charges")
    held = http.client.HTTPConnection(own.sandbox.host, own.sandbox.port, timeout=10)
    held.request("GET", "/v1/charges", headers={"Authorization": f"Bearer {KEY}"})
    while own.sandbox.ask("requests")["peak_in_flight"] < 1:
        pass
    answer = own.send("GET", "/v1/charges")
    reason = "global-concurrency" if limit == "concurrency" else "endpoint-concurrency"
    assert (answer.status, answer.headers["Stripe-Rate-Limited-Reason"]) == (429, reason)
    own.sandbox.control("release")
    assert held.getresponse().status == 200
    held.close()
    assert own.send("GET", "/v1/charges").status == 200


def test_a_lock_timeout_names_no_limiter_and_no_request(own: Client) -> None:
    own.sandbox.control("faults", fault="lock_timeout")
    answer = own.send("GET", "/v1/charges")
    assert (answer.status, answer.error["code"]) == (429, "lock_timeout")
    assert "Stripe-Rate-Limited-Reason" not in answer.headers
    assert "Request-Id" not in answer.headers


@pytest.mark.parametrize(
    ("fault", "status", "retry"),
    [
        ("500", 500, None), ("502", 502, None), ("503", 503, None), ("504", 504, None), ("409", 409, None),
        ("424", 424, None), ("should_retry", 400, "true"), ("should_not_retry", 500, "false"),
        ("resource-specific", 429, None),
    ],
)  # fmt: skip
def test_a_planned_fault_befalls_exactly_the_requests_it_is_for(
    own: Client, fault: str, status: int, retry: str | None
) -> None:
    own.sandbox.control("faults", fault=fault, path="/v1/charges", count=2, skip=1)
    assert own.send("GET", "/v1/customers").status == 200
    answers = [own.send("GET", "/v1/charges") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, status, status, 200]
    assert answers[1].headers.get("Stripe-Should-Retry") == retry


def test_a_status_fault_says_whatever_it_is_told(own: Client) -> None:
    own.sandbox.control(
        "faults", fault="status", status=400, error={"message": "Not onboarded", "code": "x"}, headers={"X-A": "b"}
    )
    answer = own.send("GET", "/v1/charges")
    assert (answer.status, answer.error["message"], answer.error["code"]) == (400, "Not onboarded", "x")
    assert answer.headers["X-A"] == "b"


def test_a_cut_connection_answers_nothing(own: Client) -> None:
    own.sandbox.control("faults", fault="cut")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        own.send("GET", "/v1/charges")
    assert own.send("GET", "/v1/charges").status == 200


@pytest.mark.parametrize("packed", [False, True])
def test_half_a_body_is_less_than_its_length(own: Client, packed: bool) -> None:
    own.sandbox.control("faults", fault="half")
    connection = http.client.HTTPConnection(own.sandbox.host, own.sandbox.port, timeout=10)
    headers = {"Authorization": f"Bearer {KEY}"} | ({"Accept-Encoding": "gzip"} if packed else {})
    connection.request("GET", "/v1/charges?limit=100", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    part = cut.value.partial
    assert 0 < len(part) < int(answer.getheader("Content-Length") or 0)
    with pytest.raises((ValueError, EOFError)):
        json.loads(gzip.decompress(part) if packed else part)
    connection.close()


def test_garbage_is_200_and_no_json(own: Client) -> None:
    own.sandbox.control("faults", fault="garbage")
    with pytest.raises(json.JSONDecodeError):
        own.send("GET", "/v1/charges")


def test_a_stuck_cursor_shows_the_first_page_again(own: Client) -> None:
    first = own.get("/v1/charges")
    own.sandbox.control("faults", fault="stuck_cursor")
    assert own.get("/v1/charges", {"starting_after": first["data"][-1]["id"]}) == first
    assert own.get("/v1/charges", {"starting_after": first["data"][-1]["id"]}) != first


def test_faults_by_chance_come_at_their_rate_and_are_the_same_for_a_seed() -> None:
    def statuses() -> list[int]:
        with Sandbox(scale=0.1, fault_rate=0.3) as sandbox:
            sandbox.control("faults", rate=0.3, kinds=["500", "global-rate"])
            client = Client(sandbox)
            return [client.send("GET", "/v1/coupons", {"limit": 1}).status for _ in range(60)]

    one = statuses()
    assert one == statuses()
    assert 8 <= sum(status != 200 for status in one) <= 30
    assert set(one) == {200, 500, 429}


def test_latency_is_at_least_what_is_asked(own: Client) -> None:
    import time

    own.sandbox.control("latency", ms=60, path="/v1/charges")
    started = time.perf_counter()
    own.get("/v1/charges")
    assert time.perf_counter() - started >= 0.055


def test_requests_are_counted_and_shown(own: Client) -> None:
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


def test_a_wrong_turn_of_a_control_says_so(company: Client) -> None:
    with pytest.raises(ValueError, match="no fault is called"):
        company.sandbox.control("faults", fault="explode")
    with pytest.raises(ValueError, match="there is no"):
        company.sandbox.control("nothing")
    with pytest.raises(ValueError, match="no kind is called"):
        company.sandbox.control("objects", kind="unicorn")
