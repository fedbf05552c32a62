"""The requests of the client, its handling of responses, and the secrecy of the key."""

from __future__ import annotations

import asyncio
import gc
import gzip
import io
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from log_lines import logged
from stripe_server import KEY, Received, Response, StripeServer

from counterfoil import __version__
from counterfoil.errors import (
    AccountError,
    CounterfoilError,
    KeyRejected,
    PermissionMissing,
    RateLimited,
    RunError,
    SettingsError,
    StripeUnavailable,
)
from counterfoil.http import async_bridge
from counterfoil.http.transport import Failure, Reply
from counterfoil.settings import Settings
from counterfoil.stripe.address import STRIPE, address_of
from counterfoil.stripe.client import API_VERSION, AccountIdentity, Client, Params
from counterfoil.stripe.key import Key
from counterfoil.stripe.responses import Question, read
from counterfoil.stripe.retries import Backoff

MakeClient = Callable[..., Client]

JSON = {"Request-Id": "req_7", "Content-Type": "application/json"}
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
HTML = {"Content-Type": "text/html; charset=utf-8"}
GATED = "Your account is not set up to use Issuing. Please visit https://dashboard.stripe.com/issuing/overview."
LACKS_CHARGES = (
    "The provided key 'rk_test_***abc' does not have the required permissions for this endpoint on account "
    "'acct_1Sandbox'. Having the 'rak_charge_read' permission would allow this request to continue."
)


def refusal(status: int, *, headers: dict[str, str] | None = None, **error: Any) -> Response:
    return Response(status, orjson.dumps({"error": {"type": "invalid_request_error"} | error}), JSON | (headers or {}))


def ok(body: object, **headers: str) -> Response:
    return Response(200, orjson.dumps(body), JSON | headers)


def in_order(*responses: Response) -> Callable[[Received], Response]:
    """One response after the other; the last one is repeated."""
    remaining = list(responses)
    return lambda request: remaining.pop(0) if len(remaining) > 1 else remaining[0]


def get(client: Client, path: str = "/v1/charges", params: Params | None = None, version: str | None = None) -> Any:
    return async_bridge.run(client.get(path, params, version=version))


def test_request_sends_key_version_user_agent_and_accepts_gzip(server: StripeServer, make_client: MakeClient) -> None:
    get(make_client())
    sent = server.received[0].headers
    assert sent["Authorization"] == f"Bearer {KEY}"
    assert sent["Stripe-Version"] == API_VERSION == "2026-05-27.dahlia"
    assert sent["User-Agent"] == f"counterfoil/{__version__}"
    assert sent["Accept-Encoding"] == "gzip"
    assert "Stripe-Account" not in sent


def test_connected_account_and_version_are_sent_if_set(server: StripeServer, make_client: MakeClient) -> None:
    get(make_client(stripe_account="acct_1Connected"), version="2020-08-27")
    assert server.received[0].headers["Stripe-Account"] == "acct_1Connected"
    assert server.received[0].headers["Stripe-Version"] == "2020-08-27"


def test_organization_key_sends_the_account_as_context(server: StripeServer, make_client: MakeClient) -> None:
    get(make_client("sk_org_live_AbcDefGhiJkl", stripe_account="acct_1Connected"))
    assert server.received[0].headers["Stripe-Context"] == "acct_1Connected"
    assert "Stripe-Account" not in server.received[0].headers


def test_parameters_are_encoded_as_stripe_expects(server: StripeServer, make_client: MakeClient) -> None:
    params = {"limit": 100, "created[gte]": 1680000000, "expand": ["data.a", "data.b"], "pending": True, "q": "a&b=ü +"}
    get(make_client(), "/v1/invoiceitems?subscription=sub_1", params)
    assert server.received[0].query == [
        ("subscription", "sub_1"),
        ("limit", "100"),
        ("created[gte]", "1680000000"),
        ("expand[]", "data.a"),
        ("expand[]", "data.b"),
        ("pending", "true"),
        ("q", "a&b=ü +"),
    ]


def test_the_preview_is_posted_as_a_form(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client()
    async_bridge.run(client.post("/v1/invoices/create_preview", {"subscription": "sub_1", "expand": ["lines"]}))
    assert (server.received[0].method, server.received[0].query) == ("POST", [])
    assert server.received[0].form == [("subscription", "sub_1"), ("expand[]", "lines")]
    assert client.requests == {"POST /v1/invoices/create_preview": 1}


@pytest.mark.parametrize("path", ["/v1/charges", "/v1/invoices", "/v1/invoices/create_preview/", ""])
def test_post_to_another_path_is_rejected(server: StripeServer, make_client: MakeClient, path: str) -> None:
    with pytest.raises(ValueError, match=r"^POST "):
        async_bridge.run(make_client().post(path))
    assert server.received == []


@pytest.mark.parametrize(
    "path",
    ["", "v1/charges", "//evil.example/v1", "https://evil.example/v1", "/v1/../x", "/v1/charges/a b", "@evil/v1"],
)
def test_invalid_path_is_rejected(server: StripeServer, make_client: MakeClient, path: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        get(make_client(), path)
    assert server.received == []


def test_id_with_a_slash_is_one_segment_of_the_path(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client()
    get(client, "/v1/coupons/50%2Foff%20now")
    assert client.requests == {"GET /v1/coupons/{id}": 1}
    assert server.received[0].path == "/v1/coupons/50/off now"


def test_answer_contains_body_date_request_id_and_size(server: StripeServer, make_client: MakeClient) -> None:
    compressed = gzip.compress(b'{"object": "list", "data": [' + b"1," * 5000 + b"1]}")
    date = {"Date": "Tue, 14 Nov 2023 22:13:20 GMT", "Content-Encoding": "gzip"}
    server.respond = lambda request: Response(200, compressed, JSON | date)
    client = make_client()
    answer = get(client)
    assert answer.body["data"] == [1] * 5001
    assert answer.date == 1_700_000_000
    assert answer.request_id == "req_7"
    assert answer.bytes == len(compressed) == client.bytes


def test_connections_are_reused(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client()
    for _ in range(5):
        get(client)
    assert len(server.connections) == 1


# Each response with the number of tries, and the class, the code and a value of the error.
RESPONSES: dict[str, tuple[Response, int, type[CounterfoilError], str | None, str]] = {
    "400": (refusal(400, message="Unknown parameter: x"), 1, RunError, None, "Unknown parameter: x"),
    "400 to retry": (refusal(400, headers={"Stripe-Should-Retry": "true"}), 6, RunError, None, "400"),
    "400 for an unavailable product": (refusal(400, message=GATED), 1, AccountError, None, "issuing/overview"),
    "401": (refusal(401, message="Invalid API Key provided: sk_test_***4242"), 1, KeyRejected, None, "sk_test_…4242"),
    "402": (refusal(402, message="Declined"), 1, RunError, None, "Declined"),
    "403": (refusal(403, message=LACKS_CHARGES), 1, PermissionMissing, None, "rak_charge_read"),
    "403 without a permission": (refusal(403, message="No."), 1, PermissionMissing, None, "No."),
    "404": (refusal(404, code="resource_missing", message="No charge"), 1, RunError, "resource_missing", "No charge"),
    "408": (Response(408, b"<html>Timeout</html>", HTML), 6, StripeUnavailable, None, "408"),
    "409": (refusal(409, message="conflict"), 6, StripeUnavailable, None, "409"),
    "424": (refusal(424, message="depends"), 6, StripeUnavailable, None, "424"),
    "429": (
        refusal(429, headers={"Stripe-Rate-Limited-Reason": "endpoint-rate"}),
        6,
        RateLimited,
        None,
        "endpoint-rate",
    ),
    "429 for a lock": (refusal(429, code="lock_timeout"), 6, RateLimited, "lock_timeout", "lock_timeout"),
    "429 not to retry": (refusal(429, headers={"Stripe-Should-Retry": "false"}), 1, RateLimited, None, "429"),
    "500": (refusal(500, message="oops"), 6, StripeUnavailable, None, "500: oops"),
    "500 not to retry": (refusal(500, headers={"Stripe-Should-Retry": "false"}), 1, StripeUnavailable, None, "500"),
    "502 as HTML": (Response(502, b"<html>Bad gateway</html>", HTML), 6, StripeUnavailable, None, "502"),
    "503 without a body": (Response(503, b"", {}), 6, StripeUnavailable, None, "503"),
    "504": (refusal(504), 6, StripeUnavailable, None, "504"),
    "closed before the head": (Response(cut=0), 6, StripeUnavailable, "response_interrupted", "127.0.0.1"),
    "incomplete body": (Response(cut=10), 6, StripeUnavailable, "response_interrupted", "127.0.0.1"),
    "incomplete gzip": (
        Response(body=gzip.compress(b'{"object": "list"}')[:-9], headers=JSON | {"Content-Encoding": "gzip"}),
        6,
        StripeUnavailable,
        "response_interrupted",
        "127.0.0.1",
    ),
    "incomplete JSON": (
        Response(body=b'{"object": "li', headers=JSON),
        6,
        StripeUnavailable,
        "invalid_body",
        "complete JSON",
    ),
    "HTML": (
        Response(body=b"<html>Log in</html>", headers=HTML),
        6,
        StripeUnavailable,
        "not_stripe",
        "(200, text/html)",
    ),
    "HTML with 403": (Response(403, b"<html>No</html>", HTML), 1, SettingsError, "not_stripe", "(403, text/html)"),
    "JSON of another program": (
        Response(404, b'{"detail": "Not Found"}', JSON),
        1,
        SettingsError,
        "not_stripe",
        "(404, application/json)",
    ),
    "empty body": (Response(200, b"", HTML), 6, StripeUnavailable, "not_stripe", "(200, text/html)"),
    "array": (ok([1, 2]), 6, StripeUnavailable, "not_stripe", "(200, application/json)"),
    "object of another program": (
        Response(200, b'{"ok": true}', {}),
        6,
        StripeUnavailable,
        "not_stripe",
        "(200, application/octet-stream)",
    ),
    "empty object": (ok({}), 6, StripeUnavailable, "empty_object", "127.0.0.1"),
    "error with 200": (
        ok({"error": {"message": "We are sorry", "code": "oops"}}),
        6,
        StripeUnavailable,
        "oops",
        "We are sorry",
    ),
    "text error with 200": (ok({"error": "We are sorry"}), 6, StripeUnavailable, None, "We are sorry"),
    "201": (Response(201, b'{"object": "list"}', JSON), 6, StripeUnavailable, "unexpected_status", "201"),
    "204": (Response(204, b"", JSON), 6, StripeUnavailable, "unexpected_status", "204"),
    "206": (Response(206, b'{"object": "list", "data": []}', JSON), 6, StripeUnavailable, "unexpected_status", "206"),
    "206 with an error": (refusal(206, message="half"), 6, StripeUnavailable, "unexpected_status", "206"),
    "redirect": (
        Response(302, b"", {"Location": "https://evil.example/?key=1"}),
        1,
        SettingsError,
        "redirected",
        "evil.example (302)",
    ),
    "redirect with an error": (
        refusal(307, message="Elsewhere", headers={"Location": "https://evil.example"}),
        1,
        SettingsError,
        "redirected",
        "evil.example (307)",
    ),
    "redirect to an invalid URL": (
        Response(301, b"", {"Location": "https://[evil"}),
        1,
        SettingsError,
        "redirected",
        "redirect (301)",
    ),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_each_response_leads_to_its_error(server: StripeServer, make_client: MakeClient, name: str) -> None:
    response, tries, error_class, code, value = RESPONSES[name]
    server.respond = lambda request: response
    client = make_client()
    with pytest.raises(CounterfoilError) as caught:
        get(client)
    error = caught.value
    assert (type(error), error.code) == (error_class, code)
    assert value in error.message
    assert len(server.received) == tries
    assert client.retries == tries - 1
    assert client.requests == {"GET /v1/charges": tries}
    assert error.path == "/v1/charges"
    assert error.hint
    if response.headers.get("Request-Id") and response.cut is None and response.status != 200:
        assert error.request_id == "req_7"
        assert error.status == response.status


@pytest.mark.parametrize("name", [name for name, row in RESPONSES.items() if row[1] > 1])
def test_retried_request_succeeds_when_stripe_recovers(
    server: StripeServer, make_client: MakeClient, name: str
) -> None:
    server.respond = in_order(*[RESPONSES[name][0]] * 5, ok({"object": "charge"}))
    client = make_client()
    assert get(client).body == {"object": "charge"}
    assert client.retries == 5


@pytest.mark.parametrize("date", [None, "today", "", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_response_without_a_valid_date_is_rejected(date: str | None) -> None:
    headers = {"Request-Id": "req_1"} | ({} if date is None else {"Date": date})
    failure = read(
        Question(address_of(STRIPE), Key(KEY), "/v1/charges"), Reply(200, headers, b'{"object": "list"}', 18)
    )
    assert isinstance(failure, Failure)
    assert (type(failure.error), failure.error.code) == (StripeUnavailable, "missing_date")
    assert (failure.retry, failure.error.request_id) == (True, "req_1")


def test_login_page_instead_of_stripe_is_a_transient_error() -> None:
    reply = Reply(200, {"Date": DATE, **HTML}, b"<html>Log in</html>", 19)
    failure = read(Question(address_of(STRIPE), Key(KEY), "/v1/charges"), reply)
    assert isinstance(failure, Failure)
    assert type(failure.error) is StripeUnavailable
    assert (failure.retry, failure.from_api) == (True, False)


def test_object_with_an_error_field_is_accepted(server: StripeServer, make_client: MakeClient) -> None:
    body = {"object": "scheduled_query_run", "id": "sqr_1", "error": {"message": "A query that failed"}}
    server.respond = lambda request: ok(body)
    assert get(make_client()).body == body


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 0 "}, 0),
        ({"Retry-After": "-7"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "9" * 400}, 0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:14:00 GMT", "Date": DATE}, 40),
        ({"Retry-After": "Tue, 14 Nov 2023 22:00:00 GMT", "Date": DATE}, 0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:14:00 GMT"}, 0),
        ({}, 0),
    ],
)
@pytest.mark.parametrize("status", [200, 206, 429, 503])
def test_retry_after_is_read_as_seconds_or_date(status: int, headers: dict[str, str], seconds: float) -> None:
    failure = read(Question(address_of(STRIPE), Key(KEY), "/v1/charges"), Reply(status, headers, b"{}", 2))
    assert isinstance(failure, Failure)
    assert (failure.retry, failure.retry_after) == (True, seconds)


def test_request_is_retried_until_its_budget_ends(server: StripeServer, make_client: MakeClient) -> None:
    server.respond = in_order(*[refusal(500)] * 20, ok({"object": "list"}))
    client = make_client(backoff=Backoff(base_seconds=0))
    assert get(client).body == {"object": "list"}
    assert client.retries == 20


def test_retry_seconds_setting_limits_the_retries(server: StripeServer, make_client: MakeClient) -> None:
    server.respond = lambda request: refusal(500, headers={"Retry-After": "3"})
    quick = Settings(rate_global=1e6, rate_endpoint=1e6, retry_seconds=2.5)
    with pytest.raises(StripeUnavailable):
        get(make_client(settings=quick, backoff=None))
    assert len(server.received) == 1


def test_wait_for_a_permit_does_not_use_the_budget(server: StripeServer, make_client: MakeClient) -> None:
    one_at_a_time = Settings(rate_global=1e6, rate_endpoint=1e6, in_flight=1)
    client = make_client(settings=one_at_a_time, backoff=Backoff(budget_seconds=1, base_seconds=0))

    async def request_after_another() -> object:
        permit = await client.limiter.acquire("GET /v1/charges")
        request = asyncio.create_task(client.get("/v1/charges"))
        await asyncio.wait([request], timeout=1.1)
        client.limiter.release(permit)
        return (await request).body

    server.respond = in_order(refusal(500), ok({"object": "list"}))
    assert async_bridge.run(request_after_another()) == {"object": "list"}


def test_silent_server_times_out_at_the_end_of_the_budget(server: StripeServer, make_client: MakeClient) -> None:
    proceed = threading.Event()

    def silent(request: Received) -> Response:
        proceed.wait(10)
        return Response()

    server.respond = silent
    client = make_client(backoff=Backoff(budget_seconds=0.3, base_seconds=0))
    try:
        with pytest.raises(StripeUnavailable) as caught:
            get(client)
    finally:
        proceed.set()
    assert caught.value.code == "request_timeout"
    assert client.requests == {"GET /v1/charges": 1}


def test_single_wrong_date_does_not_change_the_clock(server: StripeServer, make_client: MakeClient) -> None:
    wrong = "Tue, 14 Nov 2023 23:13:20 GMT"
    for dates in ([DATE, wrong], [wrong, DATE], [DATE, wrong, DATE], [DATE, DATE, DATE.replace("2023", "1999")]):
        server.respond = in_order(*[ok({"object": "list"}, Date=date) for date in dates])
        client = make_client()
        for _ in dates:
            get(client)
        assert client.date == 1_700_000_000


def test_error_has_the_code_and_parameter_of_stripe(server: StripeServer, make_client: MakeClient) -> None:
    server.respond = lambda request: refusal(400, code="resource_missing", param="starting_after", message="gone")
    with pytest.raises(RunError) as caught:
        get(make_client())
    assert (caught.value.code, caught.value.param, caught.value.status) == ("resource_missing", "starting_after", 400)


@pytest.mark.parametrize(
    ("key", "page"),
    [
        ("sk_test_AbcDefGhiJklMno", "https://dashboard.stripe.com/test/apikeys"),
        ("rk_live_AbcDefGhiJklMno", "https://dashboard.stripe.com/apikeys"),
    ],
)
def test_error_of_a_rejected_key_names_dashboard_page_and_setting(
    server: StripeServer, make_client: MakeClient, key: str, page: str
) -> None:
    server.respond = lambda request: refusal(401)
    with pytest.raises(KeyRejected) as caught:
        get(make_client(key))
    assert f" {page}," in (caught.value.hint or "")
    assert "STRIPE_API_KEY" in (caught.value.hint or "")


@pytest.mark.parametrize("base", ["api.stripe.com", "127.0.0.1:8322", "localhost:8322", "user:secret@api.stripe.com"])
def test_address_without_a_scheme_is_rejected_without_its_password(base: str) -> None:
    with pytest.raises(SettingsError, match="https://") as caught:
        address_of(base)
    assert "STRIPE_API_BASE" in (caught.value.hint or "")
    assert "secret" not in str(caught.value)


def test_error_of_a_missing_permission_names_it_and_the_dashboard_page(
    server: StripeServer, make_client: MakeClient
) -> None:
    server.respond = lambda request: refusal(403, message=LACKS_CHARGES)
    with pytest.raises(PermissionMissing) as caught:
        get(make_client("rk_live_AbcDefGhiJklMno"))
    assert caught.value.permission == "rak_charge_read"
    assert caught.value.hint is not None
    assert "https://dashboard.stripe.com/apikeys" in caught.value.hint
    assert "rak_charge_read" in caught.value.hint


def test_each_retry_is_logged_and_the_third_is_a_warning(server: StripeServer, make_client: MakeClient) -> None:
    oops = refusal(500, message="oops " * 100)
    server.respond = in_order(oops, oops, oops, refusal(429, code="lock_timeout"), ok({"object": "list"}))
    with logged() as lines:
        get(make_client())
    assert [(line["level"], line["attempt"], line["endpoint"], line["request_id"]) for line in lines] == [
        ("debug", 1, "/v1/charges", "req_7"),
        ("debug", 2, "/v1/charges", "req_7"),
        ("warning", 3, "/v1/charges", "req_7"),
        ("debug", 4, "/v1/charges", "req_7"),
    ]
    assert "oops" in lines[0]["reason"]


def test_log_line_of_a_retry_fits_a_terminal(
    server: StripeServer, make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    server.respond = lambda request: refusal(500, message="oops " * 100)
    with pytest.raises(StripeUnavailable):
        get(make_client())
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1  # at most one warning in ten seconds for all requests
    assert all(len(line) <= 125 and "oops" in line for line in lines)


def test_waits_are_random_in_a_growing_bounded_range(server: StripeServer, make_client: MakeClient) -> None:
    server.respond = lambda request: refusal(500)
    client = make_client(backoff=Backoff(tries=9, base_seconds=0.001, cap_seconds=0.004))
    with logged() as lines, pytest.raises(StripeUnavailable):
        get(client)
    waits = [line["wait_seconds"] for line in lines]
    assert len(waits) == 8
    assert all(0 <= wait <= min(0.004, 0.001 * 2**number) + 0.0005 for number, wait in enumerate(waits))


def test_a_429_slows_down_the_account_for_all_its_clients(server: StripeServer, make_client: MakeClient) -> None:
    server.respond = in_order(
        refusal(429, headers={"Stripe-Rate-Limited-Reason": "endpoint-concurrency"}), ok({"object": "list"})
    )
    client, other = make_client(), make_client()
    assert client.slots("/v1/charges") == other.slots("/v1/charges") == 4
    get(client)
    assert client.slots("/v1/charges") == other.slots("/v1/charges") == 1
    assert client.slots("/v1/refunds") == 4


def test_a_lock_timeout_changes_no_limit(server: StripeServer, make_client: MakeClient) -> None:
    server.respond = in_order(refusal(429, code="lock_timeout"), ok({"object": "list"}))
    client = make_client()
    get(client)
    assert client.slots("/v1/charges") == 4


def test_cancelled_request_releases_its_slot(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client(settings=Settings(rate_global=1e6, rate_endpoint=1e6, in_flight=1))
    seen, proceed = threading.Event(), threading.Event()

    def slow(request: Received) -> Response:
        seen.set()
        proceed.wait(10)
        return ok({"object": "list"})

    async def cancel_in_flight() -> object:
        running = asyncio.create_task(client.get("/v1/charges"))
        await asyncio.to_thread(seen.wait, 10)
        running.cancel()
        await asyncio.wait([running])
        proceed.set()
        return (await client.get("/v1/charges")).body

    server.respond = slow
    assert async_bridge.run(asyncio.wait_for(cancel_in_flight(), 20)) == {"object": "list"}
    # The cancelled request has reached Stripe, too.
    assert client.requests == {"GET /v1/charges": 2}


def test_refused_connection_names_the_host_and_counts_no_request(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client()
    server.stop()
    with pytest.raises(StripeUnavailable) as caught:
        get(client)
    assert caught.value.code == "host_unreachable"
    assert f"127.0.0.1:{server.port}" in caught.value.message
    assert f"127.0.0.1:{server.port}" in (caught.value.hint or "")
    assert client.requests == {}
    assert client.retries == 5


def test_closed_client_raises_an_error(make_client: MakeClient) -> None:
    client = make_client()
    get(client)
    async_bridge.run(client.close())
    async_bridge.run(client.close())
    with pytest.raises(RunError, match="closed"):
        get(client)


def test_client_closes_its_connections(server: StripeServer, settings: Settings) -> None:
    async def use() -> None:
        async with Client(KEY, api_base=server.url, settings=settings) as client:
            await client.get("/v1/charges")

    async_bridge.run(use())
    gc.collect()  # an open session or connection would warn, and warnings are errors


# The identity of the account.

ACCOUNT = {"object": "account", "id": "acct_1Own", "settings": {"dashboard": {"display_name": "Rocket Rides"}}}


@pytest.mark.parametrize(
    ("response", "options", "expected"),
    [
        (ok(ACCOUNT), {}, AccountIdentity("acct_1Own", False, "Rocket Rides")),
        (ok(ACCOUNT), {"key": "rk_live_AbcDefGhiJklMno"}, AccountIdentity("acct_1Own", True, "Rocket Rides")),
        (ok({"object": "account", "id": "acct_1Own"}), {}, AccountIdentity("acct_1Own", False)),
        (
            refusal(403, message=LACKS_CHARGES.replace("rak_charge_read", "")),
            {},
            AccountIdentity("acct_1Sandbox", False),
        ),
        (refusal(403, message=LACKS_CHARGES), {"stripe_account": "acct_1Sub"}, AccountIdentity("acct_1Sub", False)),
        (refusal(403, message="No."), {}, None),
        (refusal(404, message="Unrecognized request URL"), {}, None),
    ],
)
def test_account_is_identified_as_far_as_stripe_allows(
    server: StripeServer,
    make_client: MakeClient,
    response: Response,
    options: dict[str, str],
    expected: AccountIdentity | None,
) -> None:
    server.respond = lambda request: response
    client = make_client(**options)
    assert async_bridge.run(client.account()) == (expected or AccountIdentity(f"key_{client.fingerprint}", False))
    assert async_bridge.run(client.account()).livemode is client.livemode
    assert len(server.received) == 1


def test_403_with_an_account_id_identifies_the_account(server: StripeServer, make_client: MakeClient) -> None:
    server.respond = lambda request: refusal(403, message=LACKS_CHARGES)
    assert async_bridge.run(make_client().account()).id == "acct_1Sandbox"


@pytest.mark.parametrize(
    "body",
    [
        {"object": "list", "data": []},
        {"object": "account"},
        {"object": "account", "id": None},
        {"object": "account", "id": ""},
        {"object": "account", "id": 7},
        {"id": "acct_1Own"},
        {"error": {"message": "We are sorry"}},
        {},
    ],
)
def test_response_without_an_account_id_is_not_accepted(
    server: StripeServer, make_client: MakeClient, body: dict[str, Any]
) -> None:
    server.respond = lambda request: ok(body)
    client = make_client(backoff=Backoff(tries=2, base_seconds=0))
    with pytest.raises(StripeUnavailable):
        async_bridge.run(client.account())
    assert len(server.received) == 2
    server.respond = in_order(ok(body), ok(ACCOUNT))
    assert async_bridge.run(client.account()).id == "acct_1Own"


def test_account_request_with_a_rejected_key_fails(server: StripeServer, make_client: MakeClient) -> None:
    server.respond = lambda request: refusal(401, message="Invalid API Key provided")
    with pytest.raises(KeyRejected):
        async_bridge.run(make_client().account())


def test_two_keys_of_one_account_share_its_limits_once_it_is_known(
    server: StripeServer, make_client: MakeClient
) -> None:
    server.respond = lambda request: ok(ACCOUNT)
    one, other = make_client("sk_test_AAAAAAAAAAAAAAAA"), make_client("rk_test_BBBBBBBBBBBBBBBB")
    assert one.limiter is not other.limiter
    async_bridge.run(one.account())
    async_bridge.run(other.account())
    assert one.limiter is other.limiter


def test_fingerprint_distinguishes_keys_without_revealing_them(make_client: MakeClient) -> None:
    one, other = make_client(), make_client(KEY[:-1] + "3")
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == make_client().fingerprint
    assert "4242" not in one.fingerprint


# The secrecy of the key.

SECRET = KEY.removeprefix("sk_test_")
SPILL = f"Invalid API Key: {KEY}; customer jane.doe+x@example.co.uk paid with 4242 4242 4242 4242 or 4000056655665556"


def all_texts(error: BaseException) -> Iterator[str]:
    """The error in every form that may be printed, with its causes and contexts."""
    yield from traceback.TracebackException.from_exception(error, capture_locals=True).format()
    chain: list[BaseException] = [error]
    while chain:
        one = chain.pop()
        yield repr(one)
        yield str(one)
        yield repr(vars(one)) if hasattr(one, "__dict__") else ""
        chain += [other for other in (one.__cause__, one.__context__) if other is not None]


@pytest.mark.parametrize("name", RESPONSES)
def test_no_error_or_log_line_shows_the_key(server: StripeServer, make_client: MakeClient, name: str) -> None:
    server.respond = lambda request: RESPONSES[name][0]
    client = make_client()
    with logged() as lines, pytest.raises(CounterfoilError) as caught:
        get(client)
    texts = [*all_texts(caught.value), repr(lines), repr(client), str(client)]
    assert not [text for text in texts if SECRET in text]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 500])
def test_secrets_in_messages_of_stripe_are_redacted(server: StripeServer, make_client: MakeClient, status: int) -> None:
    server.respond = lambda request: refusal(status, message=SPILL)
    with logged() as lines, pytest.raises(CounterfoilError) as caught:
        get(make_client())
    text = "".join(all_texts(caught.value)) + repr(lines)
    assert not [secret for secret in (SECRET, "jane", "example.co", "4242 4242", "4000056655665556") if secret in text]
    assert "Invalid API Key" in text


def test_connection_error_does_not_show_the_key(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client()
    server.stop()
    with pytest.raises(StripeUnavailable) as caught:
        get(client)
    assert not [text for text in all_texts(caught.value) if SECRET in text]


def test_repr_of_a_client_shows_only_prefix_and_four_letters_of_its_key(
    server: StripeServer, make_client: MakeClient
) -> None:
    assert repr(make_client()) == f"Client(sk_test_…4242, 127.0.0.1:{server.port})"
    assert repr(make_client("rk_live_short")).startswith("Client(rk_live_…,")
    out = io.StringIO()
    print(make_client(), file=out)
    assert SECRET not in out.getvalue()
